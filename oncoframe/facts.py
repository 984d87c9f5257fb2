"""What was told of every file that gave a row, kept beside the feature tables.

    Extraction -> values -> in_words
    reads of a commit -> append -> lake table -> standing (facts of the rows that count)

Feature tables and so frames know nothing of it. The facts of a batch are written before its rows,
so a row lacks them only if an older version wrote it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from oncoframe.contracts import UTC_TIME, Contract
from oncoframe.extraction import Extraction, ReadFile
from oncoframe.lake import Lake
from oncoframe.point_in_time import latest_rows

TABLE = "extraction_facts"
#: Characters of a name out of a file; and those that would be markup where it is shown.
_MAX_NAME, _MARKUP = 64, "|<>`"

_KEYS = ("patient_id", "event_timestamp", "source_sha256", "code_version")
_CLOCKS = ("created_timestamp", "run_id")
_MEASURES = pl.List(pl.Struct({"name": pl.String(), "value": pl.Float64()}))
SCHEMA = pl.Schema(
    {
        "patient_id": pl.String(),
        "modality": pl.String(),
        "event_timestamp": UTC_TIME,
        "created_timestamp": UTC_TIME,
        "source_sha256": pl.String(),
        "code_version": pl.String(),
        "run_id": pl.String(),
        "sample": pl.String(),
        "callers": pl.List(pl.String()),
        "build": pl.String(),
        "build_source": pl.String(),
        "region": pl.String(),
        "region_rule": pl.String(),
        "records": pl.Int64(),
        "used": pl.Int64(),
        "measures": _MEASURES,
    }
)


def values(found: Extraction) -> dict[str, Any]:
    """Facts of an extraction, as the columns of :data:`SCHEMA` from ``sample`` on."""
    facts = found.facts
    return {
        "sample": _clean(found.sample),
        "callers": list(facts.callers),
        "build": facts.build,
        "build_source": facts.build_source,
        "region": _clean(facts.region),
        "region_rule": facts.region_rule,
        "records": found.records,
        "used": found.used,
        "measures": [{"name": name, "value": value} for name, value in facts.measures.items()],
    }


def in_words(told: Mapping[str, Any]) -> dict[str, str]:
    """What -> words, for each of the facts in a row of :data:`SCHEMA` that is known."""
    records, used = told["records"], told["used"]
    share = f"{used} of {records}" + (f" ({used / records:.0%})" if records else "")
    found = {
        "Sample": told["sample"],
        "Callers": ", ".join(told["callers"] or ()),
        "Reference build": _with_reason(told["build"], told["build_source"]),
        "Region": _with_reason(told["region"], told["region_rule"]),
        "Records used": None if records is None else share,
        "Measures": ", ".join(
            f"{one['name'].replace('_', ' ')} {one['value']:.6g}" for one in told["measures"] or ()
        ),
    }
    return {what: words for what, words in found.items() if words}


def _with_reason(what: str | None, reason: str | None) -> str | None:
    return f"{what} ({reason})" if what and reason else what


def _clean(name: str | None) -> str | None:
    """A name out of a file, short and without markup."""
    if name is None:
        return None
    return "".join(c for c in name if c.isprintable() and c not in _MARKUP)[:_MAX_NAME]


def append(
    lake: Lake, contract: Contract, reads: Iterable[ReadFile], *, created: datetime, run_id: str
) -> None:
    """Keep the facts of some files, if any of them was performed."""
    rows = [
        {
            "patient_id": read.file.patient_id,
            "modality": contract.modality,
            "event_timestamp": read.file.collected_on,
            "created_timestamp": created,
            "source_sha256": read.sha256,
            "code_version": contract.code_version,
            "run_id": run_id,
            **values(found),
        }
        for read in reads
        if (found := read.extraction) is not None
    ]
    if rows:
        lake.append(TABLE, pl.DataFrame(rows, schema=SCHEMA))


def standing(lake: Lake, contract: Contract, *, patient_id: str | None = None) -> pl.DataFrame:
    """Facts of the rows of a feature table that count, of all patients or of one.

    Returns
    -------
    One row per patient and event time of a performed assay, with the columns of :data:`SCHEMA`,
    sorted by both; null but for the keys where an older version of OncoFrame read the file.
    """
    if not lake.exists(contract.table):
        return pl.DataFrame(schema=SCHEMA)
    everybody = pl.lit(value=True) if patient_id is None else pl.col("patient_id") == patient_id
    rows = latest_rows(
        lake.scan(contract.table).filter(everybody), by=("patient_id", "event_timestamp")
    ).filter(pl.col(contract.performed_column))
    keys = rows.select(*_KEYS, *_CLOCKS).with_columns(modality=pl.lit(contract.modality))
    kept = lake.scan(TABLE) if lake.exists(TABLE) else pl.LazyFrame(schema=SCHEMA)
    facts = latest_rows(
        kept.filter(everybody, pl.col("modality") == contract.modality), by=_KEYS
    ).drop("modality", *_CLOCKS)
    joined = keys.join(facts, on=_KEYS, how="left")
    return joined.select(*SCHEMA.names()).sort("patient_id", "event_timestamp").collect()
