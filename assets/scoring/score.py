"""Scoring: the champion asked about the patients whose features, or whose champion, changed.

frame of everyone, champion, scores so far -> stale patients -> answers -> rows of ``scores``
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from json import loads
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from assets.scoring.table import SCHEMA, TABLE, check, current_scores, scores_of
from assets.scoring.waiting import TimeToAnswer, arrived, file_arrivals, time_to_answer
from ml.frames.frame import Frame
from ml.serving.model import ABSTAINED, SET, ServedModel
from oncoframe.contracts import UTC_TIME, WITHDRAWN
from oncoframe.errors import StudyError
from oncoframe.lake import Lake

#: What an answer rests on: where one of them differs, the champion is asked again.
_ANSWERED = ["patient_id", "event_timestamp", "features_sha256", "model_version", "training_run_id"]
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Champion:
    """The model that is asked.

    Parameters
    ----------
    version
        In the registry.
    training_run_id
        MLflow run of its training.
    model
        Ready to be asked.
    """

    version: int
    training_run_id: str
    model: ServedModel


@dataclass(frozen=True)
class Scored:
    """What a scoring came to.

    Parameters
    ----------
    patients
        In the frame.
    scored
        Asked about now: new, changed, or with another champion than before.
    unchanged
        Whose score stands.
    withdrawn
        Whose score was taken back.
    abstained
        Of those scored, without an answer.
    time_to_answer
        Of those scored; None if no new file was answered.
    version
        Delta version of the table.
    """

    patients: int
    scored: int
    unchanged: int
    withdrawn: int
    abstained: int
    time_to_answer: TimeToAnswer | None
    version: int | None


def score(
    lake: Lake, study: str, champion: Champion, frame: Frame, *, known: datetime, run_id: str,
    now: datetime,
) -> Scored:  # fmt: skip
    """Append the scores of everyone whose features or champion changed.

    Parameters
    ----------
    lake
        Holds the scores so far and the landed files.
    study
        Name of the study.
    champion
        Who is asked.
    frame
        Patients with consent and readable files, with or without label.
    known
        As of when the frame is.
    run_id
        Run that scores.
    now
        Time of the scores, UTC.

    Raises
    ------
    ContractViolation
        If the model gives no probabilities; nothing is written then.
    """
    features = champion.model.features_of(frame)
    with lake.lock(TABLE):
        before = current_scores(lake, study)
        asked = _asked(champion, frame, features, known).join(
            before.select(*_ANSWERED, is_known=pl.lit(value=True)),
            on=_ANSWERED, how="left", maintain_order="left",
        )  # fmt: skip
        stale = asked["is_known"].is_null()
        rows = asked.filter(stale).hstack(_answers(champion.model, features[stale.to_numpy()]))
        rows = _with_arrivals(rows, lake, study, before)
        gone = before.join(frame.rows, on="patient_id", how="anti").select(
            "patient_id", "event_timestamp", pl.lit(value=True).alias(WITHDRAWN)
        )
        # The newest score counts, also after the clock was set back.
        last = before["created_timestamp"].max()
        given = {
            "study": study,
            "created_timestamp": max(now, last + _TICK) if isinstance(last, datetime) else now,
            "known_timestamp": known,
            "model_version": champion.version,
            "training_run_id": champion.training_run_id,
            "frame_id": frame.sidecar.frame_id,
            "run_id": run_id,
        }
        new = pl.concat([_rows(rows, given), _rows(gone, given)])
        check(new)
        if len(new):
            lake.append(TABLE, new)
    return Scored(
        patients=len(asked),
        scored=len(rows),
        unchanged=len(asked) - len(rows),
        withdrawn=len(gone),
        abstained=int(rows["abstained"].sum()),
        time_to_answer=time_to_answer(new),
        version=lake.version(TABLE),
    )


def _asked(
    champion: Champion, frame: Frame, features: pd.DataFrame, known: datetime
) -> pl.DataFrame:
    """(n) frame: patients, and what their answer rests on."""
    return frame.rows.select("patient_id", event_timestamp="index_timestamp").with_columns(
        pl.Series("features_sha256", list(feature_hashes(features)), dtype=pl.String),
        model_version=pl.lit(champion.version, pl.Int64),
        training_run_id=pl.lit(champion.training_run_id),
        known=pl.lit(known, UTC_TIME),
    )


def _with_arrivals(
    rows: pl.DataFrame, lake: Lake, study: str, before: pl.DataFrame
) -> pl.DataFrame:
    # Rows without an answer count, too: they were looked at with the files of then. Whose score
    # stands was looked at by every scoring since, though one that finds nothing new writes nothing.
    known_before = pl.when("stands").then(pl.col("known").max()).otherwise("known")
    standing = before.select("patient_id", stands=pl.lit(value=True))
    earlier = (
        scores_of(lake, study)
        .group_by("patient_id")
        .agg(known=pl.col("known_timestamp").max())
        .join(standing.lazy(), on="patient_id", how="left")
        .select("patient_id", known_before=known_before)
        .collect()
    )
    rows = rows.join(earlier, on="patient_id", how="left", maintain_order="left")
    return rows.with_columns(
        arrived(file_arrivals(lake), rows).alias("arrived_timestamp"),
        pl.lit(value=False).alias(WITHDRAWN),
    )


def refuse_other_measures(champion: Frame, current: Frame) -> None:
    """Refuse to ask a model about patients measured in another way than those it learned from.

    Parameters
    ----------
    champion, current
        Frame that the champion was trained on, and frame to score.

    Raises
    ------
    StudyError
        If genome build, unit of the expression or another column that the study asks to be the
        same is another one.
    """
    learned, found = (frame.sidecar.guards.get("same", {}) for frame in (champion, current))
    for name, value in learned.items():
        if None not in (value, found.get(name)) and found[name] != value:
            raise StudyError(
                f"the patients were measured with another {name} than those of the champion",
                where=f"study {current.sidecar.study}",
                expected=value,
                got=found[name],
                hint="Train again and promote the new model.",
            )


def feature_hashes(features: pd.DataFrame) -> Iterator[str]:
    """SHA-256 of each patient's features, as the model sees them.

    Parameters
    ----------
    features : (n, p) data frame
        As :meth:`ml.serving.model.ServedModel.features` gives it: float32 columns, then text.
    """
    names = sha256("\n".join(map(str, features.columns)).encode()).digest()
    is_text = np.array([dtype.kind == "O" for dtype in features.dtypes])
    # One bit pattern for every missing value, and one for zero.
    numbers = features.loc[:, ~is_text].to_numpy(dtype=np.float32) + np.float32(0)
    numbers = np.ascontiguousarray(np.where(np.isnan(numbers), np.float32(np.nan), numbers))
    texts = features.loc[:, is_text].to_numpy(dtype=object)
    for number, text in zip(numbers, texts, strict=True):
        digest = sha256(names)
        digest.update(number.tobytes())
        digest.update(repr(text.tolist()).encode())
        yield digest.hexdigest()


def _answers(model: ServedModel, features: pd.DataFrame) -> pl.DataFrame:
    """(n) frame with the columns of an answer; a champion is not asked about nobody."""
    wanted = ("classes", "probabilities", "prediction_set", "abstained")
    if features.empty:
        return pl.DataFrame(schema={name: SCHEMA[name] for name in wanted})
    said = model.predict(features)
    columns: dict[str, Any] = {
        "classes": [model.classes.tolist()] * len(said),
        "probabilities": said[[f"p[{name}]" for name in model.classes]].to_numpy().tolist(),
        "prediction_set": [loads(names) for names in said[SET]],
        "abstained": said[ABSTAINED].to_list(),
    }
    return pl.DataFrame(columns, schema={name: SCHEMA[name] for name in wanted})


def _rows(rows: pl.DataFrame, given: dict[str, Any]) -> pl.DataFrame:
    """Rows in the columns of the table; what is not said is null."""
    said = rows.with_columns(**{name: pl.lit(value, SCHEMA[name]) for name, value in given.items()})
    absent = [pl.lit(None, SCHEMA[name]).alias(name) for name in SCHEMA if name not in said.columns]
    return said.with_columns(absent).select(list(SCHEMA)).cast(SCHEMA)
