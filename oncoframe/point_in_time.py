r"""Point-in-time join on both clocks: which row of a history an entity row may see.

    asks (patient, as-of, known-by) x history (patient, event, created) -> row number -> values

A row counts if it was true by the as-of time and known by the known-by time. Of the rows that
count, the latest event wins, and of that event the latest correction; an event whose latest
correction takes it back counts no more. Pure Polars: no files.

Rows are resolved on the narrow key columns first; the wide columns are then read once.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from oncoframe.contracts import WITHDRAWN
from oncoframe.lake import standing

#: Columns of the asks: the two times an entity row looks from.
AS_OF = "__as_of"
KNOWN_BY = "__known_by"

_ASK, _EVENT, _CREATED, _RANK, _ROW = "__ask", "__event", "__created", "__rank", "__row"


def latest_known_rows(
    asks: pl.DataFrame,
    history: pl.DataFrame,
    *,
    keys: Mapping[str, str],
    clocks: Sequence[str],
    ttl: timedelta | None = None,
) -> pl.Series:
    """Row of the history that each ask may see.

    Parameters
    ----------
    asks : (n) frame
        Key columns, :data:`AS_OF` and, unless it does not matter when a row was learned,
        :data:`KNOWN_BY`.
    history : (m) frame
        Key columns, those of ``clocks`` and, where rows may take others back,
        :data:`~oncoframe.contracts.WITHDRAWN`.
    keys
        Key column of the history -> key column of the asks.
    clocks
        Columns that order the rows of one key: event time, created time, then what breaks ties.
    ttl
        Longest time from an event to the as-of time, ends included; None or zero is for ever.

    Returns
    -------
    (n) series of UInt32: position in ``history``, null where no row counts.

    Notes
    -----
    Only the chosen row is held against ``ttl``: where the latest event is too old, so are the
    earlier ones.
    """
    event, created, *_ = clocks
    ordered = (
        history.with_row_index(_ROW)
        .sort(*clocks)
        .select(
            _ROW,
            *(pl.col(column).alias(asked) for column, asked in keys.items()),
            pl.col(event).alias(_EVENT),
            pl.col(created).alias(_CREATED),
            *([WITHDRAWN] if WITHDRAWN in history.columns else []),
        )
    )
    counts = pl.col(_EVENT) <= pl.col(AS_OF)
    if KNOWN_BY in asks.columns:
        counts &= pl.col(_CREATED) <= pl.col(KNOWN_BY)
    visible = (
        asks.lazy()
        .with_row_index(_ASK)
        .join(ordered.lazy().with_row_index(_RANK), on=list(keys.values()), how="inner")
        .filter(counts)
    )
    if WITHDRAWN in ordered and ordered[WITHDRAWN].any():
        corrected = pl.all().sort_by(_RANK).last()
        visible = visible.group_by(_ASK, _EVENT).agg(corrected).filter(standing())
    best = visible.group_by(_ASK).agg(pl.col(_RANK).max())
    ranks = asks.lazy().with_row_index(_ASK).join(best, on=_ASK, how="left", maintain_order="left")
    rank = ranks.select(_RANK).collect().to_series()
    seen = ordered.select(pl.col(_ROW, _EVENT).gather(rank))
    if ttl:
        seen = seen.select(pl.when(pl.col(_EVENT) >= asks[AS_OF] - ttl).then(_ROW))
    return seen[_ROW]


def take_rows(
    rows: pl.LazyFrame, positions: pl.Series, columns: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """Values of chosen rows, in the order chosen.

    Parameters
    ----------
    rows : (m) lazy frame
    positions : (n) series of UInt32
        Positions in ``rows``, any number of times; null gives a row of nulls.
    columns
        Columns to read. One that ``rows`` does not have yet is null, of the given type.

    Returns
    -------
    (n) frame with exactly ``columns``.
    """
    schema = rows.collect_schema()
    present = [name for name in columns if name in schema]
    needed = positions.drop_nulls().unique().sort()
    if not present or needed.is_empty():
        return pl.DataFrame(schema=columns).clear(len(positions))
    values = _take(_read(rows.select(present), needed), needed, positions)
    missing = [pl.lit(None, dtype).alias(n) for n, dtype in columns.items() if n not in present]
    return values.with_columns(missing).select(*columns)


def _read(rows: pl.LazyFrame, needed: pl.Series) -> pl.DataFrame:
    first, last = needed[0], needed[-1]
    if last - first + 1 == len(needed):
        return rows.slice(first, len(needed)).collect()  # a filter would copy the vectors
    wanted = pl.col(_ROW).is_in(needed.implode())
    return rows.with_row_index(_ROW).filter(wanted).drop(_ROW).collect()


def _take(chosen: pl.DataFrame, needed: pl.Series, positions: pl.Series) -> pl.DataFrame:
    if positions.equals(needed):
        return chosen  # vectors of gigabytes are not copied to come back in the same order
    where = pl.Series(np.searchsorted(needed.to_numpy(), positions.fill_null(0).to_numpy()))
    where = pl.select(pl.when(positions.is_not_null()).then(where)).to_series()
    return chosen.select(pl.all().gather(where))
