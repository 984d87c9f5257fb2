"""The online store of a home: filled from the lake, and held against it.

lake -> materialize -> online store -> differing_cells, beside what the offline store says
"""

import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, cast

import polars as pl

from feature_repo.quick_import import import_feast
from oncoframe.errors import Unavailable

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from feature_repo.lake_source import LakeSource, LakeTable

_KEY = "patient_id"
#: Patients compared at once: vectors of a genome are Python lists on their way out of Feast.
_BATCH = 100


def materialize(store: "FeatureStore", end: datetime) -> dict[str, int]:
    """Bring the online store up to date.

    Parameters
    ----------
    store
        Of a home, as :func:`feature_repo.client.open_store` opens it.
    end
        Events after it are not served yet.

    Returns
    -------
    View -> patients whose values were written; what nothing happened to is left as it is.

    Raises
    ------
    oncoframe.errors.Unavailable
        If the online store does not answer.
    """
    import_feast()
    due = {view.name: _due(store, view, end) for view in _views(store)}
    stale = [name for name, patients in due.items() if patients]
    if stale:
        try:
            with redirect_stdout(StringIO()):  # Feast prints a line per view
                store.materialize_incremental(end, stale)
        except _no_answer() as error:
            raise Unavailable(
                "the online store does not answer",
                where=store.config.online_store.type,
                hint="The features are in the lake; the next run tries again.",
            ) from error
    return due


def differing_cells(store: "FeatureStore", *, as_of: datetime, patients: int) -> dict[str, int]:
    """Values that online and offline store do not agree on.

    Parameters
    ----------
    store
        Of a home.
    as_of
        Time up to which the online store was filled.
    patients
        How many are compared, drawn from all of the lake, always the same ones.

    Returns
    -------
    View -> number of values that differ.
    """
    from feature_repo.home import StoreWarning  # noqa: PLC0415

    of_view = {view.name: _patients(store, view) for view in _views(store)}
    everyone = pl.concat(of_view.values()).unique().sort()
    drawn = everyone.sample(min(patients, len(everyone)), seed=0).to_list()
    differ = dict.fromkeys(of_view, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)  # few patients had a CT
        for view in _views(store):
            for first in range(0, len(drawn), _BATCH):
                some = drawn[first : first + _BATCH]
                differ[view.name] += _differing(store, view, some, as_of)
    return differ


def _no_answer() -> tuple[type[Exception], ...]:
    """What a store raises that cannot be reached; Redis is an extra and loaded by Feast."""
    redis = sys.modules.get("redis")
    return (redis.ConnectionError, redis.TimeoutError) if redis else ()


def _differing(
    store: "FeatureStore", view: "FeatureView", patients: Sequence[str], as_of: datetime
) -> int:
    from feature_repo.entity_rows import EntityRows  # noqa: PLC0415
    from feature_repo.historical import join, view_requests  # noqa: PLC0415
    from feature_repo.home import home_of  # noqa: PLC0415

    names = [f"{view.name}:{field.name}" for field in view.features]
    asked = pl.DataFrame({_KEY: patients, "event_timestamp": [as_of] * len(patients)})
    home = home_of(store.config.offline_store.home)
    requests = view_requests(store.config, [view], names, full_feature_names=False)
    # Not by get_historical_features: the audit log tells of values that leave the platform.
    known = join(EntityRows.of(asked), requests, limit=True, strict=False, home=home)
    offline = pl.DataFrame(known).drop("event_timestamp")
    served = store.get_online_features(names, {_KEY: list(patients)}).to_dict()
    online = pl.DataFrame(served, schema=offline.schema)
    return sum(int(offline[name].ne_missing(online[name]).sum()) for name in offline.columns)


def _due(store: "FeatureStore", view: "FeatureView", end: datetime) -> int:
    """Patients of whom something happened or was learned since a view was materialised."""
    from feature_repo.latest import newest_rows  # noqa: PLC0415
    from feature_repo.views import FOR_EVER  # noqa: PLC0415

    start = view.most_recent_end_time or end - FOR_EVER
    span = (start.replace(tzinfo=start.tzinfo or UTC), end)
    return len(newest_rows(_table(store, view), keys=[_KEY], features=[], clocks=[], span=span))


def _patients(store: "FeatureStore", view: "FeatureView") -> pl.Series:
    rows = _table(store, view).rows
    if rows is None:
        return pl.Series(_KEY, [], pl.String)
    return rows.select(pl.col(_KEY).unique()).collect()[_KEY]


def _table(store: "FeatureStore", view: "FeatureView") -> "LakeTable":
    from feature_repo.lake_source import open_table  # noqa: PLC0415

    return open_table(store.config, cast("LakeSource", view.batch_source))


def _views(store: "FeatureStore") -> list["FeatureView"]:
    """Views on the lake that we declare; somebody else's are somebody else's to fill."""
    from feature_repo.entities import OURS  # noqa: PLC0415

    return list(store.list_feature_views(tags=OURS))
