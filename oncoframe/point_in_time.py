"""Which row was known: the rule of the two clocks, for all who ask.

    asks (patient, as-of, known-by) x history (patient, event, created) -> row number -> values
    patients and index times, table of the lake -> served_rows -> rows that a frame shows
    rows -> latest_rows (a row per key) | latest_events (a row per patient) -> what stands

A row counts if it was true by the as-of time and known by the known-by time. Of the rows that
count, the latest event wins, and of that event the latest correction; an event whose latest
correction takes it back counts no more. Rows that tie on both clocks are told apart by their run.
Feature store, frames, guards, diff, explain and publishing ask here; nobody else sorts by clocks.
Times that people give are in UTC unless they name a zone.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from oncoframe.contracts import UTC_TIME, WITHDRAWN
from oncoframe.errors import SettingsError
from oncoframe.lake import Lake

#: When a value became true, when it was learned, and by which run: one run writes a patient's event
#: once.
EVENT_TIME, CREATED_TIME, RUN = CLOCKS = ("event_timestamp", "created_timestamp", "run_id")

#: Columns of the asks: the two times an entity row looks from.
AS_OF = "__as_of"
KNOWN_BY = "__known_by"

_ASK, _EVENT, _CREATED, _RANK, _ROW = "__ask", "__event", "__created", "__rank", "__row"


def standing() -> pl.Expr:
    """Whether a row says something; false if it only takes earlier ones back."""
    return ~pl.col(WITHDRAWN).fill_null(value=False)


def known_rows(rows: pl.LazyFrame, known_by: datetime | None) -> pl.LazyFrame:
    """Rows that were learned by a time; None takes all."""
    if known_by is None:
        return rows
    return rows.filter(pl.col(CREATED_TIME) <= pl.lit(known_by, dtype=UTC_TIME))


def latest_rows(
    rows: pl.LazyFrame, *, by: Sequence[str], known_by: datetime | None = None
) -> pl.LazyFrame:
    """Newest version of each row, as it was known at a time.

    Parameters
    ----------
    rows
        Rows with both of ``created_timestamp`` and ``run_id``, and the columns of ``by``.
    by
        Key of a row, for example ``("patient_id", "event_timestamp")``.
    known_by
        Rows learned later are ignored; None takes all.

    Returns
    -------
    One row per key; none for a key whose newest row takes the others back.
    """
    return _corrected(known_rows(rows, known_by), by).filter(_stands(rows))


def latest_events(
    rows: pl.LazyFrame, *, by: Sequence[str], taken_back: bool = False
) -> pl.LazyFrame:
    """Row of each key with the latest event that stands.

    Parameters
    ----------
    rows
        Rows with :data:`CLOCKS` and the columns of ``by``.
    by
        Key of a history, for example ``("patient_id",)``.
    taken_back
        Of a key whose events were all taken back, return the last row that does so.
    """
    stands = _stands(rows)
    newest = _corrected(rows, [*by, EVENT_TIME])
    if not taken_back:
        newest = newest.filter(stands)
    return newest.sort(stands, *CLOCKS).unique(by, keep="last", maintain_order=True)


def _corrected(rows: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
    return rows.sort(CREATED_TIME, RUN).unique(by, keep="last", maintain_order=True)


def _stands(rows: pl.LazyFrame) -> pl.Expr:
    return standing() if WITHDRAWN in rows.collect_schema() else pl.lit(value=True)


def served_rows(
    lake: Lake,
    table: str,
    patients: pl.DataFrame,
    columns: Sequence[str],
    *,
    known_by: datetime,
    version: int | None,
) -> pl.DataFrame:
    """Row of each patient that a frame shows, with columns that no feature view serves.

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
    shown = dict.fromkeys(("patient_id", *CLOCKS, *columns))
    schema = rows.collect_schema()
    history = rows.select(n for n in dict.fromkeys((*shown, WITHDRAWN)) if n in schema).collect()
    asks = patients.select(
        "patient_id",
        pl.col("index_timestamp").alias(AS_OF),
        pl.lit(known_by, dtype=UTC_TIME).alias(KNOWN_BY),
    )
    seen = latest_known_rows(asks, history, keys={"patient_id": "patient_id"})
    return history.select(n for n in shown if n in schema)[seen.drop_nulls()].sort("patient_id")


def latest_known_rows(
    asks: pl.DataFrame,
    history: pl.DataFrame,
    *,
    keys: Mapping[str, str],
    ttl: timedelta | None = None,
) -> pl.Series:
    """Row of the history that each ask may see.

    Parameters
    ----------
    asks : (n) frame
        Key columns, :data:`AS_OF` and, unless it does not matter when a row was learned,
        :data:`KNOWN_BY`.
    history : (m) frame
        Key columns, :data:`CLOCKS` and, where rows may take others back,
        :data:`~oncoframe.contracts.WITHDRAWN`.
    keys
        Key column of the history -> key column of the asks.
    ttl
        Longest time from an event to the as-of time, ends included; None or zero is for ever.

    Returns
    -------
    (n) series of UInt32: position in ``history``, null where no row counts.

    Notes
    -----
    Rows are resolved on these narrow columns; :func:`take_rows` then reads the wide ones once.

    Only the chosen row is held against ``ttl``: where the latest event is too old, so are the
    earlier ones.
    """
    ordered = (
        history.with_row_index(_ROW)
        .sort(*CLOCKS)
        .select(
            _ROW,
            *(pl.col(column).alias(asked) for column, asked in keys.items()),
            pl.col(EVENT_TIME).alias(_EVENT),
            pl.col(CREATED_TIME).alias(_CREATED),
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


def utc_time(given: datetime | str, *, where: str) -> datetime:
    """Time with a zone.

    Parameters
    ----------
    given
        ``2024-03-31``, ``2024-03-31T12:00+02:00``, or a time; UTC unless it names a zone.
    where
        Option or argument it was given for.

    Raises
    ------
    SettingsError
        If the text is no time in ISO format.
    """
    try:
        time = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError as error:
        raise SettingsError(
            "not a time", where=where, expected="ISO format, such as 2024-03-31"
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)
