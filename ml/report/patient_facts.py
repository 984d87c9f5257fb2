"""One patient before a model: answers, reasons, assays, and what is unlike the others.

StoredTraining, Frame, pseudonym -> load_served, predictions.parquet -> Case
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import polars as pl

from ml.evaluation.conformal import answered
from ml.explain.shapley import Reason
from ml.frames.frame import Frame
from ml.report.facts import row_of
from ml.serving.model import ABSTAINED, SET, ServedModel, load_served
from ml.study.modelling import Conformal
from ml.training.stored import StoredTraining, read_table
from oncoframe.columns import Column
from oncoframe.errors import StudyError
from oncoframe.names import decode

_REASONS = 10


@dataclass(frozen=True)
class Answer:
    """Probabilities and prediction set of one patient.

    Parameters
    ----------
    classes
        Names, sorted.
    probabilities
        One per class.
    in_set
        Classes in the prediction set.
    abstained
        Whether the model gives no answer.
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    in_set: tuple[str, ...]
    abstained: bool

    @property
    def best(self) -> str:
        """Most probable class."""
        return self.classes[int(np.argmax(self.probabilities))]

    def of(self, name: str) -> float:
        """Probability of a class."""
        return self.probabilities[self.classes.index(name)]


@dataclass(frozen=True)
class CaseReason:
    """A reason, and the share of the other patients with a smaller value."""

    feature: str
    value: float | None
    shap: float
    above: float | None


@dataclass(frozen=True)
class Unusual:
    """Values of a patient outside the range of the other patients.

    Parameters
    ----------
    scalars
        Scalar features outside it.
    block_values, block_beyond, block_expected
        Positions of blocks with a value, those outside the range, and how many would be by chance.
    """

    scalars: tuple[str, ...] = ()
    block_values: int = 0
    block_beyond: int = 0
    block_expected: float = 0.0


@dataclass(frozen=True)
class Case:
    """Everything the page of a patient says.

    Parameters
    ----------
    frame_id
        Frame that holds the patient.
    index, label
        Index time and class in the frame; None for a patient without a label.
    uses
        Modalities of the model.
    performed
        Modality -> whether the assay gave a result.
    stored
        Answer of the stored model.
    out_of_fold
        Answer of the cross-validation; None for a patient who was never tested.
    reasons
        For the class of :attr:`answer`.
    unusual
        What is unlike the other patients.
    """

    patient_id: str
    frame_id: str
    index: datetime
    label: str | None
    uses: tuple[str, ...]
    performed: Mapping[str, bool]
    stored: Answer
    out_of_fold: Answer | None
    reasons: tuple[CaseReason, ...]
    unusual: Unusual

    @property
    def answer(self) -> Answer:
        """Answer by models that never saw the patient, where there is one."""
        return self.out_of_fold or self.stored


def open_case(
    training: StoredTraining, frame: Frame, patient_id: str, excluded: Mapping[str, Sequence[str]]
) -> Case:
    """Ask the best model of a training about a patient of its frame, or of one of everyone.

    Parameters
    ----------
    training
        From the registry.
    frame
        Frame it was trained on, or a frame of everyone of the same study.
    patient_id
        Pseudonym.
    excluded
        Reason -> patients who were left out of the frame.

    Raises
    ------
    StudyError
        If the frame does not hold the patient; the sentence says why, where the frame does.
    """
    at = _row(frame, patient_id, excluded)
    if training.best.served is None:
        raise StudyError(
            "no model was kept that could be asked about a patient", where=training.study.name
        )
    served = load_served(training.best.served)
    features = served.features_of(frame)
    patient = features.iloc[[at]]
    row = frame.rows.row(at, named=True)
    stored = _stored(served, patient)
    predictions = read_table(training.best.folder, "predictions.parquet")
    out_of_fold = _out_of_fold(predictions, patient_id, stored.classes, served.conformal)
    return Case(
        patient_id=patient_id,
        frame_id=frame.sidecar.frame_id,
        index=row["index_timestamp"],
        label=row["label"],
        uses=tuple(row_of(training.result, training.best)["uses"]),
        performed={
            column.modality: bool(row[name])
            for name, column in frame.sidecar.columns.items()
            if column.kind == "performed"
        },
        stored=stored,
        out_of_fold=out_of_fold,
        reasons=_reasons(served, features, at, (out_of_fold or stored).best),
        unusual=_unusual(frame, features.drop(columns=list(served.inputs.categories)), at),
    )


def _row(frame: Frame, patient_id: str, excluded: Mapping[str, Sequence[str]]) -> int:
    found = frame.rows["patient_id"].index_of(patient_id)
    if found is not None:
        return int(found)
    reason = next((why for why, who in excluded.items() if patient_id in who), None)
    raise StudyError(
        f"the frame does not hold patient {patient_id}",
        where=f"frame {frame.sidecar.frame_id}",
        got=f"left out: {reason.replace('_', ' ')}" if reason else None,
    )


def _stored(served: ServedModel, patient: pd.DataFrame) -> Answer:
    said = served.predict(patient).iloc[0]
    classes = tuple(map(str, served.classes))
    return Answer(
        classes,
        tuple(float(said[f"p[{name}]"]) for name in classes),
        tuple(json.loads(said[SET])),
        bool(said[ABSTAINED]),
    )


def _out_of_fold(
    predictions: pl.DataFrame | None, patient_id: str, classes: tuple[str, ...], plan: Conformal
) -> Answer | None:
    """Answer of the judged repeat; uncalibrated where the model has no calibration."""
    if predictions is None:
        return None
    rows = predictions.filter((pl.col("patient_id") == patient_id) & (pl.col("repeat") == 0))
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    kind = "calibrated" if f"calibrated[{classes[0]}]" in row else "p"
    probabilities = tuple(float(row[f"{kind}[{name}]"]) for name in classes)
    best = classes[int(np.argmax(probabilities))]
    held = set(row["prediction_set"]) if "prediction_set" in row else {best}
    mask = np.array([[name in held for name in classes]])
    return Answer(
        classes,
        probabilities,
        tuple(name for name in classes if name in held),
        not bool(answered(mask, plan)[0]),
    )


def _reasons(
    served: ServedModel, features: pd.DataFrame, at: int, label: str
) -> tuple[CaseReason, ...]:
    found: list[Reason] = served.explain(features.iloc[[at]], label, count=_REASONS)
    if not found:
        return ()
    encode = served.model.named_steps["encode"]
    names = [str(name) for name in encode.get_feature_names_out()]
    cohort = np.asarray(encode.transform(features), dtype=np.float64)
    return tuple(
        CaseReason(r.feature, r.value, r.shap, _above(cohort[:, names.index(r.feature)], at))
        for r in found
    )


def _above(values: np.ndarray, at: int) -> float | None:
    """Share of the other patients with a value who have a smaller one."""
    others = np.delete(values, at)
    others = others[~np.isnan(others)]
    if np.isnan(values[at]) or not len(others):
        return None
    return float((others < values[at]).mean())


def _unusual(frame: Frame, numbers: pd.DataFrame, at: int) -> Unusual:
    """What of the numeric columns of a patient lies outside the range of the others."""
    values, others = numbers.iloc[at].to_numpy(), np.delete(numbers.to_numpy(), at, axis=0)
    beyond = _beyond(values, others)
    is_block = np.array([Column.parse(n).position is not None for n in numbers.columns], dtype=bool)
    flags = {decode(name) for name, dtype in frame.rows.schema.items() if dtype == pl.Boolean}
    return Unusual(
        scalars=tuple(name for name in numbers.columns[beyond & ~is_block] if name not in flags),
        block_values=int((is_block & ~np.isnan(values)).sum()),
        block_beyond=int((is_block & beyond).sum()),
        block_expected=_expected_beyond(values[is_block], others[:, is_block]),
    )


def _beyond(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(p,) mask of the values below all others or above them; not where nobody else has one."""
    anybody = ~np.isnan(others).all(axis=0)
    low = np.where(anybody, np.fmin.reduce(others, axis=0), -np.inf)
    high = np.where(anybody, np.fmax.reduce(others, axis=0), np.inf)
    return np.asarray((values < low) | (values > high))


def _expected_beyond(values: np.ndarray, others: np.ndarray) -> float:
    """Values that would lie beyond the others if the patient were one of them.

    Of n continuous values, two are extreme; a column whose smallest value is shared (a count with
    many zeros) has its largest only.
    """
    known = ~np.isnan(values)
    n = (~np.isnan(others[:, known])).sum(axis=0) + 1
    both = others[:, known]
    ends = 0.0
    for extreme in (np.fmin.reduce(both, axis=0), np.fmax.reduce(both, axis=0)):
        single = (both == extreme).sum(axis=0) == 1
        ends += float((single / n).sum())
    return ends
