"""The lake rows that a frame was joined from, with the columns that no feature view serves.

    patients and index times, table at a version, as-of -> served_rows -> times, provenance

The same rule as the feature store's join, for one table: of the rows true by the index time and
known by the as-of time, the latest event wins, and of that event the latest correction.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from oncoframe.contracts import UTC_TIME
from oncoframe.lake import Lake

#: When and by which run a row was written: orders the rows of a patient.
CLOCKS = ("event_timestamp", "created_timestamp", "run_id")


def served_rows(
    lake: Lake,
    table: str,
    patients: pl.DataFrame,
    columns: Sequence[str],
    *,
    known_by: datetime,
    version: int | None,
) -> pl.DataFrame:
    """Row of each patient that a frame shows.

    Parameters
    ----------
    lake
        Holds the table.
    table
        A feature table.
    patients : (n) frame
        ``patient_id`` and ``index_timestamp``.
    columns
        Columns wanted beside :data:`CLOCKS`; one that the table does not have is left out.
    known_by
        Rows learned later are not looked at.
    version
        Delta version; None for a table that was never written.

    Returns
    -------
    (at most n) frame: ``patient_id``, :data:`CLOCKS` and the columns, sorted by patient; a patient
    without a row that counts is not in it.
    """
    if version is None:
        return pl.DataFrame(schema={"patient_id": pl.String()})
    rows = lake.scan(table, version=version)
    present = rows.collect_schema().names()
    wanted = [name for name in columns if name in present and name not in CLOCKS]
    return (
        rows.select("patient_id", *CLOCKS, *wanted)
        .join(patients.lazy().select("patient_id", "index_timestamp"), on="patient_id")
        .filter(
            pl.col("event_timestamp") <= pl.col("index_timestamp"),
            pl.col("created_timestamp") <= pl.lit(known_by, dtype=UTC_TIME),
        )
        .drop("index_timestamp")
        .sort(CLOCKS)
        .unique("patient_id", keep="last", maintain_order=True)
        .sort("patient_id")
        .collect()
    )
