"""External validation: a finished model asked about patients of a site that it never saw.

ServedModel, frame of the site, patients it learned from -> validate -> Validation

Nothing is fitted here, neither the model nor its calibration nor the thresholds of its sets.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from ml.evaluation.calibration import CalibrationResult, calibration
from ml.evaluation.conformal import Coverage, coverage
from ml.evaluation.metrics import METRICS, Evaluation, evaluate
from ml.frames.frame import Frame
from ml.serving.model import ServedModel
from oncoframe.errors import StudyError


@dataclass(frozen=True)
class Validation:
    """What a model said of patients elsewhere.

    Parameters
    ----------
    patient_ids, labels : (n,) arrays of str
        Who was asked about, and their classes.
    classes : (k,) array of str
        Sorted.
    probabilities : (n, k) array
        Calibrated as when the model was trained.
    evaluation, calibration, coverage
        Of them; sets are those of the model.
    """

    patient_ids: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray
    evaluation: Evaluation
    calibration: CalibrationResult
    coverage: Coverage | None

    def as_dict(self) -> dict[str, object]:
        """For JSON: patients, each metric with its interval, calibration and coverage."""
        metrics = self.evaluation.metrics
        return {
            "patients": len(self.labels),
            **{name: metrics[name].value for name in METRICS},
            **{f"{name}_ci": [metrics[name].low, metrics[name].high] for name in METRICS},
            "calibration": self.calibration.as_dict(self.classes.tolist()),
            "coverage": None if self.coverage is None else self.coverage.overall.as_list(),
        }

    def table(self) -> pl.DataFrame:
        """One row per patient: label and probabilities."""
        said = {f"p[{name}]": self.probabilities[:, i] for i, name in enumerate(self.classes)}
        return pl.DataFrame({"patient_id": self.patient_ids, "label": self.labels, **said})


def validate(model: ServedModel, frame: Frame, learned_from: Frame, *, seed: int) -> Validation:
    """Ask a model about the patients of a frame and hold the answers against their labels.

    Parameters
    ----------
    model
        As it was stored.
    frame
        Patients with labels.
    learned_from
        Frame that it was trained on.
    seed
        Of the bootstrap.

    Raises
    ------
    StudyError
        If a patient, or another one of their sites, was in the training, or a class is one that
        the model does not know.
    """
    _refuse_seen(frame, learned_from)
    labels = frame.rows["label"].to_numpy()
    unknown = sorted(set(labels) - set(model.classes))
    if unknown:
        raise StudyError(
            "patients have classes that the model does not know",
            where=frame.sidecar.frame_id,
            expected=", ".join(model.classes),
            got=", ".join(unknown),
        )
    probabilities = model.probabilities(model.features_of(frame))
    truth = np.searchsorted(model.classes, labels)
    one_model = np.zeros((1, len(labels)), dtype=np.int64)
    return Validation(
        patient_ids=frame.rows["patient_id"].to_numpy(),
        labels=labels,
        classes=model.classes,
        probabilities=probabilities,
        evaluation=evaluate(
            labels, probabilities[np.newaxis], one_model, seed=seed, classes=model.classes
        ),
        calibration=calibration(truth, probabilities, seed=seed),
        coverage=None
        if model.thresholds is None
        else coverage(truth, probabilities, model.sets(probabilities), model.conformal, seed=seed),
    )


def _refuse_seen(frame: Frame, learned_from: Frame) -> None:
    seen = set(frame.rows["patient_id"]) & set(learned_from.rows["patient_id"])
    if seen:
        raise StudyError(
            "the model has learned from patients whom it is to be validated on",
            where=frame.sidecar.frame_id,
            got=f"{len(seen)} of {frame.rows.height}",
        )
    if frame.sites is None or learned_from.sites is None:
        raise StudyError("the frame does not say where patients were seen")
    sites = sorted({*frame.sites} & {*learned_from.sites})
    if sites:
        raise StudyError(
            "the model has learned from other patients of the site",
            got=", ".join(site or "no site" for site in sites),
            hint="Hold the site out: population.held_out_sites of the study; then train again.",
        )
