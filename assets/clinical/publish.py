"""Clinical marts, published to the lake: what is new or changed, nothing else.

    DuckDB file built by dbt -> marts -> rows that differ from the lake's latest -> append

A correction is a new row with a later ``created_timestamp``. A label that its source no longer
gives for a patient is taken back by a row without value; a patient whom the source no longer
names keeps the last rows, because another landing zone may have brought them.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import duckdb
import polars as pl

from assets.clinical.contract import clinical_contract, mart
from oncoframe.contracts import UTC_TIME
from oncoframe.errors import FileMissing
from oncoframe.hashing import content_hash
from oncoframe.lake import Lake
from oncoframe.point_in_time import latest_rows

FEATURES, LABELS, COHORT = "clinical_features", "labels", "cohort"

_TIMES = {"patient_id": pl.String(), "event_timestamp": UTC_TIME, "created_timestamp": UTC_TIME}
_PROVENANCE = {"source_sha256": pl.String(), "code_version": pl.String(), "run_id": pl.String()}

#: Labels; the event is the day on which the label was known. A null value: no longer given.
LABELS_SCHEMA = pl.Schema(
    {
        **_TIMES,
        "label_name": pl.String(),
        "label_value": pl.String(),
        "label_version": pl.String(),
        **_PROVENANCE,
    }
)
#: Patients; the event is the index event, or the publication where there is no index date.
COHORT_SCHEMA = pl.Schema(
    {
        **_TIMES,
        "consent": pl.String(),
        "exclusion_reason": pl.String(),
        "site": pl.String(),
        **_PROVENANCE,
    }
)

#: Columns that tell the rows of a table apart; the latest row of each is the current one.
KEYS = {
    FEATURES: ("patient_id", "event_timestamp"),
    LABELS: ("patient_id", "label_name", "label_version"),
    COHORT: ("patient_id",),
}


@dataclass(frozen=True)
class Published:
    """What publishing one table came to.

    Parameters
    ----------
    rows
        Rows of the mart.
    appended
        Rows appended to the lake table: new, changed or taken back.
    version
        Delta version that holds them; None for a table that was never written.
    sha256
        Hash over what the rows of the mart say.
    """

    rows: int
    appended: int
    version: int | None
    sha256: str


def publish(database: Path, lake: Lake, *, run_id: str, now: datetime) -> dict[str, Published]:
    """Append what changed in the marts to the lake tables of the same names.

    Parameters
    ----------
    database
        DuckDB file that dbt built.
    lake
        Where the tables are.
    run_id
        Run that publishes.
    now
        When the platform learned the rows, UTC.

    Returns
    -------
    Table -> what was done, for ``clinical_features``, ``labels`` and ``cohort``. The cohort is
    written last, so that a patient in it has the other rows.

    Raises
    ------
    FileMissing
        If the file or one of the marts is not there.
    ContractViolation
        If the clinical features do not fit their contract; nothing of them is written.
    """
    performed = pl.lit(value=True).alias(clinical_contract().performed_column)
    marts = {
        FEATURES: _read(database, FEATURES, event="index_timestamp").with_columns(performed),
        LABELS: _read(database, LABELS, event="known_timestamp"),
        COHORT: _read(database, COHORT, event="index_timestamp"),
    }
    patients = marts[COHORT]["patient_id"]
    published = {}
    for table, rows in marts.items():
        with lake.lock(table):
            latest = _latest(lake, table)
            gone = _taken_back(latest, rows, patients) if table == LABELS else rows.clear()
            changed = _changed(_hashed(pl.concat([rows, gone]), table), latest, table)
            stamped = _stamped(changed, schema(table), run_id=run_id, now=now)
            about = clinical_contract() if table == FEATURES else None
            if about is not None:
                about.check(stamped)
            version = (
                lake.append(table, stamped, about=about) if len(stamped) else lake.version(table)
            )
        published[table] = Published(len(rows), len(stamped), version, content_hash(rows))
    return published


def schema(table: str) -> pl.Schema:
    """Columns and types of one of the three lake tables."""
    if table == FEATURES:
        return pl.Schema(clinical_contract().schema())
    return {LABELS: LABELS_SCHEMA, COHORT: COHORT_SCHEMA}[table]


def _read(database: Path, table: str, *, event: str) -> pl.DataFrame:
    """Rows of a mart; the column named ``event`` becomes ``event_timestamp``."""
    if not database.is_file():
        raise FileMissing("dbt has built no clinical tables yet", where=str(database))
    with duckdb.connect(database, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        try:
            rows: pl.DataFrame = connection.table(table).pl()
        except duckdb.CatalogException as error:
            raise FileMissing(f"dbt has built no mart {table}", where=str(database)) from error
    return (
        rows.rename({event: "event_timestamp"}).cast({"event_timestamp": UTC_TIME}).sort(pl.all())
    )


def _hashed(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Add what the row says, in one number, and the version of the SQL that said it."""
    text = rows.select(pl.struct(sorted(rows.columns)).struct.json_encode()).to_series()
    digests = [sha256(line.encode()).hexdigest() for line in text]
    return rows.with_columns(
        source_sha256=pl.Series(digests, dtype=pl.String),
        code_version=pl.lit(mart(table)["config"]["meta"]["code_version"]),
    )


def _latest(lake: Lake, table: str) -> pl.DataFrame:
    if not lake.exists(table):
        return pl.DataFrame(schema=schema(table))
    return latest_rows(lake.scan(table), by=KEYS[table]).collect()


def _changed(rows: pl.DataFrame, latest: pl.DataFrame, table: str) -> pl.DataFrame:
    return rows.join(latest, on=[*KEYS[table], "source_sha256", "code_version"], how="anti")


def _taken_back(latest: pl.DataFrame, given: pl.DataFrame, patients: pl.Series) -> pl.DataFrame:
    """Labels of the lake that the source no longer gives for a patient it names, without value."""
    gone = latest.filter(pl.col("patient_id").is_in(patients.implode())).join(
        given, on=KEYS[LABELS], how="anti"
    )
    return gone.with_columns(label_value=pl.lit(None, pl.String)).select(given.columns)


def _stamped(rows: pl.DataFrame, columns: pl.Schema, *, run_id: str, now: datetime) -> pl.DataFrame:
    """Rows in the columns of their lake table; what the mart does not say is null."""
    learned = pl.lit(now, dtype=UTC_TIME)
    absent = [
        pl.lit(None, dtype).alias(name) for name, dtype in columns.items() if name not in rows
    ]
    return (
        rows.with_columns(absent)
        .with_columns(
            event_timestamp=pl.col("event_timestamp").fill_null(learned),
            created_timestamp=learned,
            run_id=pl.lit(run_id),
        )
        .select(list(columns))
    )
