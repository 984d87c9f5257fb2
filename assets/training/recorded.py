"""Values of a frame by what it recorded of itself: no view, service or contract of today is asked.

    frame.json -> recorded_types -> recorded_rows (the tables at their versions, point in time)

A table may have lost, renamed or retyped a column since, and a view may serve others: the versions
that a frame names still hold what it was made of.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from assets.training.sidecar import FRAME
from oncoframe.columns import Column
from oncoframe.contracts import UTC_TIME, WITHDRAWN
from oncoframe.errors import StudyError
from oncoframe.lake import Lake
from oncoframe.point_in_time import AS_OF, CLOCKS, KNOWN_BY, latest_known_rows, take_rows

#: Types of feature columns, as a frame spells them.
_TYPES = {
    str(dtype): dtype
    for dtype in (
        pl.Boolean(), pl.Int32(), pl.Int64(), pl.Float32(), pl.Float64(), pl.String(), UTC_TIME,
        pl.List(pl.Float32()),
    )
}  # fmt: skip


def recorded_types(about: Mapping[str, Any], folder: Path) -> dict[str, pl.DataType]:
    """Frame column -> its type, in the order of the frame.

    Parameters
    ----------
    about
        ``frame.json``. Those of 0.1.0 name no types, and sort their columns.
    folder
        Of the frame: of such a frame the rows tell.

    Raises
    ------
    StudyError
        If neither tells.
    """
    columns = about["columns"]
    if all("dtype" in column for column in columns.values()):
        return {name: _TYPES[column["dtype"]] for name, column in columns.items()}
    if not (folder / FRAME).is_file():
        raise StudyError(
            "its file is gone, and version 0.1.0 of OncoFrame recorded neither types nor order",
            where=f"frame {about['frame_id']}",
            expected=str(folder / FRAME),
        )
    schema = pl.read_parquet_schema(folder / FRAME)
    return {name: dtype for name, dtype in schema.items() if name in columns}


def recorded_rows(
    lake: Lake,
    entities: pl.DataFrame,
    types: Mapping[str, pl.DataType],
    versions: Mapping[str, int | None],
) -> pl.DataFrame:
    """Entities with the columns of a frame.

    Parameters
    ----------
    lake
        Holds the tables.
    entities : (n) frame
        ``patient_id``, ``event_timestamp`` (as-of) and ``known_by``.
    types
        Frame column, ``<table>__<column>`` -> type.
    versions
        Table -> Delta version; None for one that was never written.

    Returns
    -------
    (n) frame with exactly the columns of ``types``, null where a patient has no row, or the table
    did not have the column yet.
    """
    asks = entities.select(
        "patient_id", pl.col("event_timestamp").alias(AS_OF), pl.col("known_by").alias(KNOWN_BY)
    )
    tables: dict[str, dict[str, str]] = {}
    for name in types:
        column = Column.parse(name)
        tables.setdefault(column.table, {})[column.name] = name
    parts = []
    for table, names in tables.items():
        wanted = {column: types[name] for column, name in names.items()}
        parts.append(_values(lake, table, asks, wanted, versions[table]).rename(names))
    return pl.concat(parts, how="horizontal").select(*types)


def _values(
    lake: Lake,
    table: str,
    asks: pl.DataFrame,
    columns: Mapping[str, pl.DataType],
    version: int | None,
) -> pl.DataFrame:
    if version is None:
        return pl.DataFrame(schema=columns).clear(len(asks))
    rows = lake.scan(table, version=version)
    schema = rows.collect_schema()
    narrow = [name for name in ("patient_id", *CLOCKS, WITHDRAWN) if name in schema]
    history = rows.select(narrow).collect()
    seen = latest_known_rows(asks, history, keys={"patient_id": "patient_id"})
    return take_rows(rows, seen, columns)
