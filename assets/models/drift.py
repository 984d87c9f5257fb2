"""Drift of the patients who arrived since a model was trained, judged on frames of the home.

    frame of the model, frame of everyone -> who is new -> ml.drift -> DriftReport -> StoredVerdict

The one way to a verdict: the drift report of the champion and the gate of a challenger use it. A
home keeps the newest verdict per study and reference frame.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from assets.training.data_version import last_learned, version_of_frame
from assets.training.measurement import frame_provenance
from assets.training.sidecar import read_sidecar
from ml.drift.comparison import DriftReport, Predictions, Window, compare
from ml.frames.frame import Frame, read_frame
from ml.serving.model import ServedModel
from ml.study.definition import Study
from ml.training.procedure import JUDGED_REPEAT
from ml.training.stored import StoredModel
from oncoframe.lake import Lake

_PREDICTIONS = "predictions.parquet"
#: Columns named in a sentence.
_NAMED = 3


@dataclass(frozen=True)
class StoredVerdict:
    """What was found when new patients were held against the frame of a model.

    Parameters
    ----------
    study
        Name of the study.
    reference_frame_id
        Frame that the model was trained on.
    current_frame_id
        Frame of everyone that the new patients are in.
    data_version
        Of the study when that frame was built; see :mod:`assets.training.data_version`.
    judged_at
        UTC.
    drifted, columns, effect, cause
        As :class:`ml.drift.verdict.Verdict`.
    reference_patients, current_patients
        Patients compared.
    modalities
        Modality -> columns tested and drifted, share, causes.
    page
        HTML page; None if none was written.
    """

    study: str
    reference_frame_id: str
    current_frame_id: str
    data_version: str
    judged_at: datetime
    drifted: bool
    columns: tuple[str, ...]
    effect: float
    cause: str | None
    reference_patients: int
    current_patients: int
    modalities: dict[str, Any]
    page: str | None = None

    @classmethod
    def of(cls, report: DriftReport, **identity: Any) -> Self:
        """Verdict of a comparison.

        Parameters
        ----------
        identity
            The fields that the report does not say.
        """
        said: dict[str, Any] = report.as_dict()
        return cls(**{**said, "columns": tuple(said["columns"]), **identity})

    @property
    def name(self) -> str:
        """Name of the folder of its page: what was held against what."""
        return f"{self.current_frame_id}_against_{self.reference_frame_id}"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, as sensors and checks give it."""
        who = (
            f"{self.current_patients} new patients against {self.reference_patients} "
            f"of frame {self.reference_frame_id}"
        )
        if not self.drifted:
            return f"no drift in {who}"
        more = len(self.columns) - _NAMED
        named = ", ".join(self.columns[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        cause = self.cause or "no recorded covariate goes with it"
        return f"drift in {who}: {named}; likely cause: {cause}"


def store_verdict(folder: Path, verdict: StoredVerdict) -> Path:
    """Write a verdict in place of the one before of the same study and reference frame."""
    file = folder / verdict.study / f"{verdict.reference_frame_id}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {**asdict(verdict), "judged_at": verdict.judged_at.isoformat()}
    # Under another name first: whoever reads meets the old verdict or the new one.
    made = file.with_suffix(f".{os.getpid()}")
    made.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    made.replace(file)
    return file


def newest_verdict(
    folder: Path, study: str, *, reference_frame_id: str | None = None
) -> StoredVerdict | None:
    """Newest verdict of a study.

    Parameters
    ----------
    folder
        Of the verdicts of a home.
    study
        Name of the study.
    reference_frame_id
        Only verdicts against this frame; None: against any.

    Returns
    -------
    None if nothing was judged yet.
    """
    name = "*" if reference_frame_id is None else reference_frame_id
    found = [_read(file) for file in (folder / study).glob(f"{name}.json")]
    return max(found, key=lambda verdict: verdict.judged_at, default=None)


def _read(file: Path) -> StoredVerdict:
    content = json.loads(file.read_text(encoding="utf-8"))
    return StoredVerdict(
        **{
            **content,
            "columns": tuple(content["columns"]),
            "judged_at": datetime.fromisoformat(content["judged_at"]),
        }
    )


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
        data_version=version_of_frame(lake, about_now),
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
