"""Rules of the clinical tables: what dbt found broken, in words for those who keep the tables.

    run_results.json -> broken_rules -> one sentence
    DuckDB file      -> unknown_columns -> columns that nobody reads

Values are never repeated: a rule's name says table and column, its count how many rows.
"""

from pathlib import Path
from typing import Any

import duckdb

from oncoframe.errors import ContractViolation

#: Rules named in a sentence; the log names all.
_NAMED = 5
_UNKNOWN_COLUMNS = "no_unknown_columns_"


def broken_rules(
    run_results: dict[str, Any], database: Path, *, clinical: str, log: str
) -> ContractViolation:
    """The error that says which rules the landed clinical tables break.

    Parameters
    ----------
    run_results
        dbt's artefact of that name, of a build that failed.
    database
        DuckDB file of the build; holds the rows that break a rule about several columns.
    clinical
        Address of the clinical tables.
    log
        File with the details.
    """
    failed = [r for r in run_results["results"] if r["status"] in ("fail", "error")]
    named = ", ".join(_said(result, database) for result in failed[:_NAMED])
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return ContractViolation(
        "the clinical tables break their rules",
        where=clinical,
        got=f"{named}{more}",
        hint=f"Nothing was written to the lake; details are in {log}.",
    )


def _said(result: dict[str, Any], database: Path) -> str:
    kind, _, name, *_ = result["unique_id"].split(".")
    if result["status"] == "error":
        return f"{kind} {name} (could not be computed)"
    rows = f"{result['failures']} row{'s' if result['failures'] > 1 else ''}"
    stored = result.get("relation_name")
    if not stored:
        return f"{name} ({rows})"
    with duckdb.connect(database, read_only=True) as connection:
        columns = connection.table(stored).select("column_name").distinct().order("column_name")
        names = ", ".join(name for (name,) in columns.fetchall())
    return f"{name} ({rows}: {names})"


def unknown_columns(database: Path) -> dict[str, list[str]]:
    """Columns of the landed tables that no model reads, by table; sorted.

    Parameters
    ----------
    database
        DuckDB file that dbt built.
    """
    with duckdb.connect(database, read_only=True) as connection:
        stored = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where starts_with(table_name, ?) order by table_name",
            [_UNKNOWN_COLUMNS],
        ).fetchall()
        found = {
            name.rsplit("_", 1)[1]: [
                column
                for (column,) in connection.table(f"{schema}.{name}")
                .order("column_name")
                .fetchall()
            ]
            for schema, name in stored
        }
    return {table: columns for table, columns in found.items() if columns}
