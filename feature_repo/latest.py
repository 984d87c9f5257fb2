"""Pulling rows out of one source: the newest for the online store, or all of a time span."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
from feast import RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.file_source import FileSource

from feature_repo.lake_source import LakeSource, LakeTable, open_table
from feature_repo.retrieval import local_path
from oncoframe.contracts import KEY_COLUMNS, WITHDRAWN
from oncoframe.errors import StudyError
from oncoframe.point_in_time import (
    CLOCKS,
    CREATED_TIME,
    EVENT_TIME,
    latest_events,
    standing,
    take_rows,
)

#: A row is dated before it is written: what an earlier materialisation could not see yet is
#: looked for this far back.
LATE = timedelta(hours=1)

_ROW = "__row"


def open_source(config: RepoConfig, source: DataSource) -> LakeTable:
    """Rows behind a source: a lake table, or a dataset that Feast saved as Parquet.

    Raises
    ------
    oncoframe.errors.StudyError
        If it is another kind of source.
    """
    if isinstance(source, LakeSource):
        return open_table(config, source)
    if isinstance(source, FileSource):
        return LakeTable(None, pl.scan_parquet(local_path(source.path, config.repo_path)))
    raise StudyError(
        "the source is neither a table of the lake nor a saved dataset",
        where=f"data source {source.name}",
        got=type(source).__name__,
    )


def newest_rows(
    table: LakeTable,
    *,
    keys: Sequence[str],
    features: Sequence[str],
    clocks: Sequence[str],
    span: tuple[datetime, datetime],
) -> pl.DataFrame:
    """Newest row of each key of which something happened, or was learned, in a time span.

    A row that came late, corrects or takes back an earlier one changes what is true of a patient
    without an event of that time. Of a key whose rows were all taken back, nulls, which overwrite
    what an online store holds. No event after the span is seen.

    Parameters
    ----------
    clocks
        Event time and created time.
    """
    columns = [*keys, *features, *clocks]
    if table.rows is None:
        return pl.DataFrame(schema={name: KEY_COLUMNS.get(name, pl.Null()) for name in columns})
    schema = table.rows.collect_schema()
    narrow = [*keys, *CLOCKS, *([WITHDRAWN] if WITHDRAWN in schema else [])]
    history = table.rows.with_row_index(_ROW).select(_ROW, *narrow)
    start, end = span
    learned = _within(CREATED_TIME, start - LATE, None)
    touched = history.filter(_within(EVENT_TIME, start, end) | learned)
    seen = history.filter(_within(EVENT_TIME, None, end)).join(touched, on=keys, how="semi")
    newest = latest_events(seen, by=keys, taken_back=True).collect().sort(_ROW)
    # A column that a view has and the table has not yet is null; Feast knows its type.
    types = {name: schema.get(name, pl.Null()) for name in columns}
    values = take_rows(table.rows, newest[_ROW], types)
    if WITHDRAWN in schema:
        stands = pl.lit(newest.select(standing()).to_series())
        values = values.with_columns(pl.when(stands).then(name).alias(name) for name in features)
    return values.rechunk()  # Feast writes only the first chunk to the online store


def all_rows(
    table: LakeTable,
    *,
    columns: Sequence[str],
    event_time: str,
    span: tuple[datetime | None, datetime | None],
) -> pl.DataFrame:
    """Every row with an event in a time span, ends included; None leaves an end open."""
    if table.rows is None:
        return pl.DataFrame(schema={name: KEY_COLUMNS.get(name, pl.Null()) for name in columns})
    schema = table.rows.collect_schema()
    values = [pl.col(name) if name in schema else pl.lit(None).alias(name) for name in columns]
    return table.rows.filter(_within(event_time, *span)).select(values).collect()


def _within(column: str, start: datetime | None, end: datetime | None) -> pl.Expr:
    within = pl.lit(True)
    if start is not None:
        within &= pl.col(column) >= pl.lit(start.astimezone(UTC))
    if end is not None:
        within &= pl.col(column) <= pl.lit(end.astimezone(UTC))
    return within
