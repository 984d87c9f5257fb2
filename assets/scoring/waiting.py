"""Time to answer: from the moment a file landed to the score that takes it into account.

    landed_files (every snapshot) -> first sight of each file version -> arrived -> time_to_answer

A file counts for the first score of its patient that could know it. A score that no new file led
to (another champion, a clinical correction) answers no file and has no time.
"""

from dataclasses import asdict, dataclass
from datetime import timedelta

import polars as pl

from assets.landing import intake
from assets.scoring.table import TABLE, scores_of
from oncoframe.contracts import UTC_TIME, Status
from oncoframe.lake import Lake

#: A file of a patient in one state.
_VERSION = ["patient_id", "modality", "collected_on", "sha256"]
#: Answers as old as this say nothing about the platform of today.
WINDOW = timedelta(days=30)


@dataclass(frozen=True)
class TimeToAnswer:
    """How long patients waited, in seconds.

    Parameters
    ----------
    answers
        Scores that answered a new file.
    median_s, p90_s, max_s
        Of their times from file to score.
    """

    answers: int
    median_s: float
    p90_s: float
    max_s: float

    def as_dict(self) -> dict[str, float]:
        """Content of metadata and of the ``--json`` line."""
        return asdict(self)


def file_arrivals(lake: Lake) -> pl.DataFrame:
    """When each file that lies in the landing zone now was first seen as it is.

    Returns
    -------
    ``patient_id``, ``arrived``; a row per file.
    """
    now = intake.landed(lake).filter(
        (pl.col("status") == Status.PERFORMED) & (pl.col("sha256") != intake.UNREADABLE)
    )
    if now.is_empty():
        return pl.DataFrame(schema={"patient_id": pl.String(), "arrived": UTC_TIME})
    seen = lake.scan(intake.TABLE).group_by(_VERSION).agg(arrived=pl.col("seen_at").min())
    return (
        seen.join(now.lazy().select(_VERSION).unique(), on=_VERSION, how="semi", nulls_equal=True)
        .select("patient_id", "arrived")
        .collect()
    )


def arrived(arrivals: pl.DataFrame, patients: pl.DataFrame) -> pl.Series:
    """When the first file landed that a score is the first one to know.

    Parameters
    ----------
    arrivals
        As :func:`file_arrivals` gives it.
    patients : (n) frame
        ``patient_id``; ``known``: as of when the features are; ``known_before``: the same of the
        patient's score before, null if there is none.

    Returns
    -------
    (n) times; null for a patient without a new file.
    """
    since = pl.col("known_before")
    is_new = since.is_null() | (pl.col("arrived") > since)
    first = (
        patients.join(arrivals, on="patient_id")
        .filter(is_new & (pl.col("arrived") <= pl.col("known")))
        .group_by("patient_id")
        .agg(pl.col("arrived").min())
    )
    found = patients.select("patient_id").join(
        first, on="patient_id", how="left", maintain_order="left"
    )
    return found["arrived"]


def time_to_answer(scores: pl.DataFrame) -> TimeToAnswer | None:
    """How long the patients of some scores waited; None if none of them had a new file.

    Parameters
    ----------
    scores
        ``created_timestamp``, ``arrived_timestamp``.
    """
    waited = (
        scores.select(pl.col("created_timestamp") - pl.col("arrived_timestamp"))
        .to_series()
        .drop_nulls()
        .dt.total_milliseconds()
    )
    if waited.is_empty():
        return None
    seconds = waited / 1000
    return TimeToAnswer(
        answers=len(seconds),
        median_s=_rounded(seconds.quantile(0.5, "linear")),
        p90_s=_rounded(seconds.quantile(0.9, "linear")),
        max_s=_rounded(seconds.quantile(1.0, "linear")),
    )


def recent_time_to_answer(lake: Lake, study: str) -> TimeToAnswer | None:
    """The same over the last :data:`WINDOW` before the newest score of a study."""
    rows = scores_of(lake, study).select("created_timestamp", "arrived_timestamp").collect()
    recent = rows.filter(pl.col("created_timestamp") > pl.col("created_timestamp").max() - WINDOW)
    return time_to_answer(recent)


def _rounded(seconds: float | None) -> float:
    return round(float(seconds or 0.0), 3)


def scored_before(lake: Lake) -> list[str]:
    """Studies with scores, sorted."""
    if not lake.exists(TABLE):
        return []
    return lake.scan(TABLE).select("study").unique().collect()["study"].sort().to_list()
