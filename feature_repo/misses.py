"""Why an ask found nothing, in a sentence: nulls alone look like assays that were never done.

asks + history of a table -> no patient of it | true only later | learned only later -> warning
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from feature_repo.home import StoreWarning
from oncoframe.point_in_time import AS_OF, CREATED_TIME, EVENT_TIME, KNOWN_BY


@dataclass(frozen=True)
class Miss:
    """A view of which no asked row found anything.

    Parameters
    ----------
    view
        Its name.
    reason
        Why, where the clocks are the reason.
    is_written, knows_patients
        Whether its table has rows at all, and rows of the patients asked for.
    """

    view: str
    reason: str | None = None
    is_written: bool = True
    knows_patients: bool = True


def miss(view: str, asks: pl.DataFrame, history: pl.DataFrame, keys: Mapping[str, str]) -> Miss:
    """What kept the rows of a history from being seen.

    Parameters
    ----------
    asks, history, keys
        As for :func:`oncoframe.point_in_time.latest_known_rows`, which found no row.
    """
    pairs = asks.join(history, left_on=list(keys.values()), right_on=list(keys), how="inner")
    if pairs.is_empty():
        return Miss(view, is_written=not history.is_empty(), knows_patients=False)
    true = pairs.filter(pl.col(EVENT_TIME) <= pl.col(AS_OF))
    if true.is_empty():
        return Miss(
            view, f"all {len(pairs)} rows of these patients became true (event_timestamp) later"
        )
    if (
        KNOWN_BY in asks.columns
        and true.filter(pl.col(CREATED_TIME) <= pl.col(KNOWN_BY)).is_empty()
    ):
        return Miss(
            view,
            f"all {len(true)} rows that were true by then were learned (created_timestamp) later; "
            "a column known_by says until when knowledge counts",
        )
    return Miss(view)  # taken back, or too old


def warn_of(misses: Sequence[Miss], *, asked: int, views: int, home: Path) -> None:
    """Warn of views that found nothing though there are rows.

    Parameters
    ----------
    misses
        Views that found nothing.
    asked
        Entity rows.
    views
        Views asked for.
    home
        Named in the warning.
    """
    for one in misses:
        if one.reason:
            _warn(f"feature view {one.view}: nothing matches: {one.reason}.")
    if not asked or len(misses) < views or any(one.knows_patients for one in misses):
        return
    if any(one.is_written for one in misses):
        _warn(
            f"none of the {asked} entity rows names a patient of the tables asked for: other ids?"
        )
    else:
        _warn(f"{home}: the lake has no row of any table asked for. Fill it: oncoframe run.")


def _warn(sentence: str) -> None:
    warnings.warn(sentence, StoreWarning, stacklevel=2)
