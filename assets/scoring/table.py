"""The table of scores: append-only, one row per patient and time a champion was asked.

    rows -> check -> append -> current (the last answer of each patient that stands)

A patient whom a study may no longer score (consent withdrawn, file in quarantine) gets a row
without an answer, which takes the earlier ones back.
"""

import polars as pl

from oncoframe.contracts import UTC_TIME, WITHDRAWN
from oncoframe.errors import ContractViolation
from oncoframe.lake import Lake
from oncoframe.point_in_time import latest_rows

TABLE = "scores"

#: Column -> type and meaning; the meaning stands in the Dagster UI.
COLUMNS: dict[str, tuple[pl.DataType, str]] = {
    "patient_id": (pl.String(), "pseudonym"),
    "study": (pl.String(), "study whose champion was asked"),
    "event_timestamp": (UTC_TIME, "index time of the patient, from which the prediction is made"),
    "created_timestamp": (UTC_TIME, "when the champion was asked"),
    "known_timestamp": (UTC_TIME, "nothing learned later was looked at"),
    "arrived_timestamp": (
        UTC_TIME,
        "when the first file that this score answers landed; null if no file was new",
    ),
    "model_version": (pl.Int64(), "version of the champion in the registry"),
    "training_run_id": (pl.String(), "MLflow run of its training"),
    "frame_id": (pl.String(), "frame that the features came from"),
    "features_sha256": (pl.String(), "hash of the patient's features as the model sees them"),
    "classes": (pl.List(pl.String()), "classes that the model knows"),
    "probabilities": (pl.List(pl.Float64()), "calibrated probability of each class"),
    "prediction_set": (pl.List(pl.String()), "classes that cannot be ruled out"),
    "abstained": (pl.Boolean(), "the set is too large or empty: a person has to decide"),
    WITHDRAWN: (pl.Boolean(), "takes earlier answers back: the patient may not be scored"),
    "run_id": (pl.String(), "Dagster run"),
}
SCHEMA = pl.Schema({name: dtype for name, (dtype, _) in COLUMNS.items()})

_ANSWER = ("classes", "probabilities", "prediction_set", "abstained", "features_sha256")
_MAY_BE_NULL = ("arrived_timestamp", *_ANSWER)
#: How far from 1 probabilities may add up to.
_TOLERANCE = 1e-6


def check(rows: pl.DataFrame) -> None:
    """Refuse rows that do not fit.

    Raises
    ------
    ContractViolation
        If columns or types differ, a patient has two rows of a study, a key is null, or an answer
        is not one: a probability outside 0 to 1, a sum other than 1, a set of unknown classes.
    """
    if rows.schema != SCHEMA:
        different = sorted(set(rows.schema.items()) ^ set(SCHEMA.items()), key=str)
        raise ContractViolation(
            "rows do not fit the table",
            where=TABLE,
            got=", ".join(f"{n} {t}" for n, t in different),
        )
    answers = rows.filter(~pl.col(WITHDRAWN))
    value = pl.col("probabilities").list
    classes = pl.col("classes").list
    broken = {
        "two rows of a patient": rows.select("patient_id", "study").is_duplicated().sum(),
        "a key without value": sum(
            rows[name].null_count() for name in SCHEMA if name not in _MAY_BE_NULL
        ),
        "no answer": sum(answers[name].null_count() for name in _ANSWER),
        "not one probability per class": _count(answers, value.len() != classes.len()),
        "a probability that is none": _count(
            answers,
            pl.col("probabilities")
            .list.eval(~pl.element().is_between(0, 1) | pl.element().is_nan())
            .list.any(),
        ),
        "probabilities that do not add up to 1": _count(
            answers, (value.sum() - 1).abs() > _TOLERANCE
        ),
        "a set of unknown classes": _count(
            answers, pl.col("prediction_set").list.set_difference("classes").list.len() > 0
        ),
    }
    for what, number in broken.items():
        if number:
            raise ContractViolation(f"rows with {what}", where=TABLE, got=str(number))


def _count(rows: pl.DataFrame, wrong: pl.Expr) -> int:
    return len(rows.filter(wrong))


def scores_of(lake: Lake, study: str) -> pl.LazyFrame:
    """All rows of a study; none if the table was never written."""
    rows = lake.scan(TABLE) if lake.exists(TABLE) else pl.LazyFrame(schema=SCHEMA)
    return rows.filter(pl.col("study") == study)


def current_scores(lake: Lake, study: str) -> pl.DataFrame:
    """Last answer for each patient that stands, sorted by patient; columns of :data:`SCHEMA`."""
    return latest_rows(scores_of(lake, study), by=("patient_id",)).sort("patient_id").collect()
