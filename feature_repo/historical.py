"""Historical retrieval: entity rows joined with the views they ask for.

    feature references -> one request per view -> rows seen -> columns

The caller's rows come back in the caller's order, each with the values it may see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
from feast import FeatureView, RepoConfig

from feature_repo.dtypes import polars_type
from feature_repo.entity_rows import EntityRows
from feature_repo.lake_source import LakeSource, LakeTable, open_table
from feature_repo.misses import Miss, miss, warn_of
from oncoframe.columns import SEPARATOR
from oncoframe.contracts import KEY_COLUMNS, WITHDRAWN, Known
from oncoframe.errors import StudyError
from oncoframe.point_in_time import CLOCKS, CREATED_TIME, EVENT_TIME, latest_known_rows, take_rows


@dataclass(frozen=True)
class ViewRequest:
    """What one view is asked for.

    Parameters
    ----------
    view
        Name of the view in the result.
    table
        Its table, at one version.
    source
        Name of that table.
    keys
        Key column of the table -> key column of the entity frame.
    ttl
        Longest time from event to as-of; None for ever.
    columns
        Column of the table -> its type.
    prefix
        What goes before the columns' names in the result.
    outcomes
        Whether the columns are known only after the index event.
    """

    view: str
    source: str
    table: LakeTable
    keys: dict[str, str]
    ttl: timedelta | None
    columns: dict[str, pl.DataType]
    prefix: str
    outcomes: bool


def view_requests(
    config: RepoConfig,
    views: Sequence[FeatureView],
    references: Sequence[str],
    *,
    full_feature_names: bool,
) -> list[ViewRequest]:
    """One request per view that is referred to, in the order of the references.

    Raises
    ------
    oncoframe.errors.StudyError
        If a view does not stand on a table of the lake.
    """
    by_name = {view.projection.name_to_use(): view for view in views}
    wanted: dict[str, list[str]] = {}
    for reference in references:
        name, _, feature = reference.partition(":")
        if name in by_name:  # the others are on-demand views, which Feast computes itself
            wanted.setdefault(name, []).append(feature)
    requests = []
    for name, features in wanted.items():
        view = by_name[name]
        source = view.batch_source
        if not isinstance(source, LakeSource):
            raise StudyError("the view does not stand on the lake", where=f"feature view {name}")
        renamed = view.projection.join_key_map
        types = {field.name: field.dtype for field in view.features}
        requests.append(
            ViewRequest(
                view=name,
                source=source.table,
                table=open_table(config, source),
                keys={c.name: renamed.get(c.name, c.name) for c in view.entity_columns},
                ttl=view.ttl or None,
                columns={feature: polars_type(types[feature]) for feature in features},
                prefix=f"{name}{SEPARATOR}" if full_feature_names else "",
                outcomes=view.tags.get("known") == Known.AFTER_INDEX,
            )
        )
    return requests


def join(
    rows: EntityRows, requests: Sequence[ViewRequest], *, limit: bool, strict: bool, home: Path
) -> pa.Table:
    """Entity columns and the requested features, one row per entity row.

    Where a view finds nothing though there are rows, a warning says why.

    Parameters
    ----------
    limit, strict
        See :meth:`~feature_repo.entity_rows.EntityRows.asks`.
    home
        Named in a warning.

    Raises
    ------
    oncoframe.errors.StudyError
        If a feature would be named like another column, or an outcome is asked for as of a time
        at which it was not known.
    """
    columns = dict(zip(rows.table.column_names, rows.table.columns, strict=True))
    misses = []
    for request in requests:
        found, missed = _values(rows, request, limit=limit, strict=strict)
        misses += [missed] if missed else []
        values = found.to_arrow()
        named = {request.prefix + name: values[name] for name in values.column_names}
        clash = named.keys() & columns.keys()
        if clash:
            raise StudyError(
                "features are named like other columns",
                where=f"feature view {request.view}",
                got=", ".join(sorted(clash)),
                hint="Ask for full_feature_names=True.",
            )
        columns |= named
    warn_of(misses, asked=rows.table.num_rows, views=len(requests), home=home)
    return pa.table(columns)


def _values(
    rows: EntityRows, request: ViewRequest, *, limit: bool, strict: bool
) -> tuple[pl.DataFrame, Miss | None]:
    """Values of one view, and why there are none where nothing was found."""
    if request.table.rows is None:
        nothing = pl.DataFrame(schema=request.columns).clear(rows.table.num_rows)
        return nothing, Miss(request.view, is_written=False, knows_patients=False)
    keys = {asked: KEY_COLUMNS[key] for key, asked in request.keys.items()}
    columns = [*request.keys, *CLOCKS, WITHDRAWN]
    schema = request.table.rows.collect_schema()
    history = request.table.rows.select(name for name in columns if name in schema).collect()

    def see(asks: pl.DataFrame) -> pl.Series:
        return latest_known_rows(asks, history, keys=request.keys, ttl=request.ttl)

    asks = rows.asks(keys, limit=limit, strict=strict or request.outcomes)
    seen = see(asks)
    if request.outcomes and not strict:
        early = see(rows.asks(keys, limit=limit, strict=False)).is_not_null() & seen.is_null()
        _refuse_early(request, early)
    nothing_seen = seen.null_count() == len(seen)
    missed = miss(request.view, asks, history, request.keys) if nothing_seen else None
    return take_rows(request.table.rows, seen, request.columns), missed


def _refuse_early(request: ViewRequest, early: pl.Series) -> None:
    """Refuse outcomes as of a time before they were learned, whatever is known today."""
    if early.any():
        raise StudyError(
            f"{early.sum()} of {len(early)} rows ask for outcomes as of a time at which nobody "
            "knew them",
            where=f"feature view {request.view}",
            expected="event_timestamp not before the outcome was learned (created_timestamp)",
            hint="Ask for outcomes in a call of their own, as of today.",
        )


def patients_between(
    requests: Sequence[ViewRequest], start: datetime, end: datetime, *, limit: bool
) -> EntityRows:
    """One row per key with an event between two times, as of the later one.

    Parameters
    ----------
    limit
        Whether the event must also be known by ``end``.
    """
    first, last = (pl.lit(time.astimezone(UTC)) for time in (start, end))
    counts = pl.col(EVENT_TIME).is_between(first, last)
    if limit:
        counts &= pl.col(CREATED_TIME) <= last
    found = [
        request.table.rows.filter(counts).select(
            pl.col(key).alias(asked) for key, asked in request.keys.items()
        )
        for request in requests
        if request.table.rows is not None
    ]
    names = [asked for request in requests for asked in request.keys.values()]
    empty = pl.LazyFrame(schema=dict.fromkeys(names, pl.String()))
    keys = pl.concat([empty, *found], how="diagonal").unique().sort(*empty.collect_schema())
    return EntityRows.snapshot(keys.collect(), end)
