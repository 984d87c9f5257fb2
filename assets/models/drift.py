"""Drift of the patients who arrived since a model was trained, judged on frames of the home.

    frame of the model, frame of everyone -> who is new -> ml.drift -> DriftReport -> StoredVerdict

The one way to a verdict: the drift report of the champion and the gate of a challenger use it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from assets.models.verdicts import StoredVerdict
from assets.training.data_version import last_learned, version_of_frame
from assets.training.measurement import frame_provenance
from assets.training.sidecar import read_sidecar
from ml.drift.comparison import DriftReport, Predictions, Window, compare
from ml.frames.frame import Frame, read_frame
from ml.promotion.comparison import Champion
from ml.serving.model import ServedModel
from ml.study.definition import Study
from ml.training.procedure import JUDGED_REPEAT
from ml.training.stored import StoredModel
from oncoframe.lake import Lake

_PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True)
class AskedModel:
    """A model whose predictions are held against each other, before and now.

    Parameters
    ----------
    stored
        With its out-of-fold predictions: what it says of patients it learned from.
    served
        What says something of all others.
    """

    stored: StoredModel
    served: ServedModel

    @classmethod
    def of(cls, released: Champion) -> Self | None:
        """The model of a version; None where an older version stored it in another form."""
        return None if released.served is None else cls(released.model, released.served)


@dataclass(frozen=True)
class Judgement:
    """A verdict, and what a page is made of."""

    verdict: StoredVerdict
    report: DriftReport


def judge_drift(
    lake: Lake,
    frames_dir: Path,
    *,
    reference: str,
    current: str,
    since: datetime | None = None,
    model: AskedModel | None = None,
    now: datetime | None = None,
) -> Judgement:
    """Hold the patients who arrived since a frame was built against those of that frame.

    A patient whom the reference left out, though all was known about them by ``since`` (no label,
    a rare class), did not arrive and is left out here, too: they would look like drift for ever.

    Parameters
    ----------
    lake
        Holds the tables that both frames were joined from.
    frames_dir
        Folder of the frames.
    reference
        Id of the frame that the model was trained on.
    current
        Id of a frame of everyone of the same study.
    since
        Who became known later counts as arrived; None: since the reference was built. For a
        challenger, the as-of time of the champion's frame, so that the arrivals that led to the
        challenger are judged as well.
    model
        Its predictions are compared, and its calibration where labels are known. None: only
        features are.
    now
        Time of the verdict, UTC; None: the time of the call.

    Raises
    ------
    StudyError
        If a frame is not there.
    """
    about, about_now = (read_sidecar(frames_dir, frame_id) for frame_id in (reference, current))
    learned_from = read_frame(frames_dir / reference)
    everyone = read_frame(frames_dir / current)
    start = since or datetime.fromisoformat(about["as_of"])
    arrivals = _arrived(lake, about_now, everyone, learned_from, start)
    before = Window(
        learned_from,
        frame_provenance(lake, about, learned_from.rows),
        out_of_fold(model.stored, learned_from) if model else None,
    )
    after = Window(
        arrivals,
        frame_provenance(lake, about_now, arrivals.rows),
        served_predictions(model.served, arrivals) if model and len(arrivals.rows) else None,
    )
    study = Study.model_validate(about_now["study_definition"])
    report = compare(before, after, exclude=study.features.exclude)
    verdict = StoredVerdict.of(
        report,
        study=study.name,
        reference_frame_id=reference,
        current_frame_id=current,
        data_version=version_of_frame(about_now),
        judged_at=now or datetime.now(tz=UTC),
    )
    return Judgement(verdict, report)


def out_of_fold(stored: StoredModel, frame: Frame) -> Predictions:
    """What a model said of the patients of its frame when it had not seen them.

    NaN for patients who were never held out.
    """
    table = pl.read_parquet(stored.folder / _PREDICTIONS).filter(pl.col("repeat") == JUDGED_REPEAT)
    kind = "calibrated" if any(name.startswith("calibrated[") for name in table.columns) else "p"
    columns = [name for name in table.columns if name.startswith(f"{kind}[")]
    said = frame.rows.select("patient_id", "label").join(
        table.select("patient_id", *columns), on="patient_id", how="left", maintain_order="left"
    )
    probabilities = said.select(columns).cast(pl.Float64).fill_null(np.nan).to_numpy()
    classes = [name.removeprefix(f"{kind}[").removesuffix("]") for name in columns]
    return Predictions(classes, probabilities, said["label"].to_list())


def served_predictions(served: ServedModel, frame: Frame) -> Predictions:
    """What a model says of patients whom it did not learn from; labels where they are known."""
    probabilities = served.probabilities(served.features_of(frame))
    return Predictions(served.classes.tolist(), probabilities, frame.rows["label"].to_list())


def _arrived(
    lake: Lake, about: dict[str, Any], everyone: Frame, reference: Frame, since: datetime
) -> Frame:
    """Patients of a frame without those whom the reference left out although they were known."""
    learned = last_learned(lake, about, everyone.rows)["learned"]
    in_reference = everyone.rows["patient_id"].is_in(reference.rows["patient_id"].implode())
    arrived = in_reference | (learned > since).fill_null(value=False)
    return Frame(everyone.sidecar, everyone.rows.filter(arrived), everyone.dictionaries)
