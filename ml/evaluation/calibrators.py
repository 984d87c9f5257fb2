"""What makes probabilities say what happens: recalibrations, and the choice among them.

    inner out-of-fold predictions -> choose_calibrator -> Calibrator -> apply -> probabilities

A calibrator is fitted on out-of-fold predictions of training patients, never on tested ones. All
but the isotonic one multiply the logarithms of the probabilities by slopes and add intercepts:

===============  =============  =============  ===================
kind             slopes         intercepts     of two classes
===============  =============  =============  ===================
``none``         1              0              left as they are
``temperature``  one            0              keeps 0.5 in place
``platt``        one            one per class  Platt scaling
``vector``       one per class  one per class  beta calibration
===============  =============  =============  ===================

``isotonic`` takes ascending steps instead, from a thousand patients on.

References
----------
Platt J. Probabilistic outputs for support vector machines. 1999. Zadrozny B, Elkan C. Transforming
classifier scores into accurate multiclass probability estimates. KDD 2002. Guo C et al. On
calibration of modern neural networks. ICML 2017 (temperature, vector). Kull M et al. Beta
calibration. AISTATS 2017. Alexandari A et al. Maximum likelihood with bias-corrected calibration is
hard-to-beat at label shift adaptation. ICML 2020 (temperature with intercepts).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.isotonic import IsotonicRegression

from ml.evaluation.calibration import SMALLEST
from oncoframe.errors import StudyError

ScalingKind = Literal["none", "temperature", "platt", "vector"]
Kind = Literal["none", "temperature", "platt", "vector", "isotonic"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Patients outside the largest class from which on anything is fitted: fewer make it worse.
CALIBRATED_PATIENTS = 20
#: Patients of the smallest class from which on it gets a slope of its own.
VECTOR_PATIENTS = 20
#: Patients, and those of the smallest class, from which on steps are fitted: with fewer they follow
#: chance (Niculescu-Mizil A, Caruana R. ICML 2005).
ISOTONIC_PATIENTS, ISOTONIC_CLASS = 1000, 100
#: Parts in which a calibrator is fitted on the others, to choose among them.
CHOICE_FOLDS = 5
#: Standard errors of the paired difference in log loss by which a calibrator must beat none: less
#: is the luck of these patients.
CHOICE_ERRORS = 1.0
#: Standard deviation of slopes around 1 and of intercepts around 0 before any patient is seen. It
#: leaves hundreds of patients alone, and keeps three from an infinite intercept.
PRIOR_SD = 1.0
_LARGEST_SLOPE = 20.0


@dataclass(frozen=True)
class Scaling:
    """Logarithms of the probabilities times slopes, plus intercepts, scaled to sum 1.

    Parameters
    ----------
    kind
        See the table of the module.
    slopes, intercepts : tuples of float
        Per class, in sorted order, or one for all.
    """

    kind: ScalingKind = "none"
    slopes: tuple[float, ...] = (1.0,)
    intercepts: tuple[float, ...] = (0.0,)

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, k) calibrated probabilities."""
        if self.kind == "none":
            return np.asarray(probabilities)
        slopes, intercepts = np.array(self.slopes), np.array(self.intercepts)
        return np.asarray(softmax(slopes * _logs(probabilities) + intercepts, axis=1))

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "kind": self.kind,
            "slopes": list(self.slopes),
            "intercepts": list(self.intercepts),
        }


@dataclass(frozen=True)
class Isotonic:
    """Ascending steps per class, scaled to sum 1; of two classes, of the second one.

    Parameters
    ----------
    given, answered : tuples of tuples of float
        Per class, a probability and what it becomes; straight lines between.
    """

    given: tuple[tuple[float, ...], ...]
    answered: tuple[tuple[float, ...], ...]
    kind: Literal["isotonic"] = "isotonic"

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, k) calibrated probabilities."""
        steps = list(zip(self.given, self.answered, strict=True))
        if len(steps) == 1:
            second = np.interp(probabilities[:, 1], *steps[0])
            return np.stack([1 - second, second], axis=1)
        said = np.stack([np.interp(p, *of) for p, of in zip(probabilities.T, steps, strict=True)])
        return np.asarray((said / said.sum(axis=0)).T)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "kind": self.kind,
            "given": [list(row) for row in self.given],
            "answered": [list(row) for row in self.answered],
        }


Calibrator = Scaling | Isotonic


def read_calibrator(about: Mapping[str, Any]) -> Calibrator:
    """Calibrator of what its ``as_dict`` gave.

    Raises
    ------
    StudyError
        If there is no such kind.
    """
    if about["kind"] not in KINDS:
        raise StudyError(
            "there is no such calibrator", expected=", ".join(KINDS), got=str(about["kind"])
        )
    if about["kind"] == "isotonic":
        return Isotonic(tuple(map(tuple, about["given"])), tuple(map(tuple, about["answered"])))
    return Scaling(about["kind"], tuple(about["slopes"]), tuple(about["intercepts"]))


@dataclass(frozen=True)
class Choice:
    """The calibrator that was chosen, and what speaks for it.

    Parameters
    ----------
    calibrator
        Fitted on all patients that the choice was made on.
    log_loss
        Kind -> mean log loss of the patients, each calibrated without it; those that were tried.
    """

    calibrator: Calibrator = Scaling()
    log_loss: Mapping[str, float] = field(default_factory=dict)


def choose_calibrator(
    probabilities: np.ndarray, truth: np.ndarray, folds: np.ndarray | None = None
) -> Choice:
    """The calibrator with the least log loss of patients it was not fitted on, or none.

    None is the answer unless the best one beats it by more than chance.

    Parameters
    ----------
    probabilities : (n, k) array
        By models that never saw the patient.
    truth : (n,) array of int
        Position of the true class of each.
    folds : (n,) array of int, optional
        Part of each patient, from 0; by class and in the order of the patients unless told.
    """
    folds = _parts(truth) if folds is None else folds
    losses: dict[Kind, np.ndarray] = {"none": _losses(probabilities, truth)}
    for kind in _possible(truth, probabilities.shape[1]):
        said = np.empty_like(probabilities)
        for part in np.unique(folds):
            held = folds == part
            said[held] = fit_calibrator(kind, probabilities[~held], truth[~held]).apply(
                probabilities[held]
            )
        losses[kind] = _losses(said, truth)
    best = min(losses, key=lambda kind: losses[kind].mean())
    gain = losses["none"] - losses[best]
    if gain.mean() <= CHOICE_ERRORS * gain.std() / np.sqrt(len(gain)):
        best = "none"
    return Choice(
        fit_calibrator(best, probabilities, truth),
        {kind: float(loss.mean()) for kind, loss in losses.items()},
    )


def fit_calibrator(kind: Kind, probabilities: np.ndarray, truth: np.ndarray) -> Calibrator:
    """A calibrator of a kind, fitted on out-of-fold predictions.

    Parameters
    ----------
    probabilities, truth
        As :func:`choose_calibrator`.
    """
    if kind == "none":
        return Scaling()
    if kind == "isotonic":
        return _isotonic(probabilities, truth)
    return _scaling(kind, _logs(probabilities), truth)


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> Scaling:
    """The one slope with the least log loss on out-of-fold predictions."""
    return _scaling("temperature", _logs(probabilities), truth)


def mean_log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean log loss in nats."""
    return float(_losses(probabilities, truth).mean())


def _possible(truth: np.ndarray, k: int) -> list[Kind]:
    """Kinds that so many patients can be asked for, from the simplest on."""
    sizes = np.bincount(truth, minlength=k)
    if len(truth) - sizes.max() < CALIBRATED_PATIENTS:
        return []
    found: list[Kind] = ["temperature", "platt"]
    if sizes.min() >= VECTOR_PATIENTS:
        found.append("vector")
    if sizes.min() >= ISOTONIC_CLASS and len(truth) >= ISOTONIC_PATIENTS:
        found.append("isotonic")
    return found


def _parts(truth: np.ndarray) -> np.ndarray:
    """(n,) part of each patient; every class is spread evenly."""
    part = np.empty(len(truth), dtype=np.int64)
    part[np.argsort(truth, kind="stable")] = np.arange(len(truth)) % CHOICE_FOLDS
    return part


def _scaling(kind: ScalingKind, logs: np.ndarray, truth: np.ndarray) -> Scaling:
    """Most likely slopes and intercepts, slopes not below 0, so that an order is kept."""
    n, k = logs.shape
    rows, is_true = np.arange(n), np.eye(k)[truth]
    slopes, intercepts = (k if kind == "vector" else 1), (0 if kind == "temperature" else k)

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        slope, added = at[:slopes], at[slopes:] if intercepts else 0.0
        scores = slope * logs + added
        off = softmax(scores, axis=1) - is_true
        by_class = (off * logs).sum(axis=0)
        gradient = np.concatenate(
            [by_class if slopes > 1 else [by_class.sum()], off.sum(axis=0)[:intercepts]]
        )
        distance = (at - start) / PRIOR_SD
        fit = -log_softmax(scores, axis=1)[rows, truth].sum()
        return float(fit + distance @ distance / 2), gradient + distance / PRIOR_SD

    start = np.concatenate([np.ones(slopes), np.zeros(intercepts)])
    bounds = [(0.0, _LARGEST_SLOPE)] * slopes + [(None, None)] * intercepts
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Scaling(kind, tuple(found[:slopes].tolist()), tuple(found[slopes:].tolist()) or (0.0,))


def _isotonic(probabilities: np.ndarray, truth: np.ndarray) -> Isotonic:
    k = probabilities.shape[1]
    # No step says never or always: nobody has seen enough patients for that.
    edge = 1 / (len(truth) + 2)
    given, answered = [], []
    for position in range(1, 2) if k == 2 else range(k):  # noqa: PLR2004  (two classes)
        steps = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(
            probabilities[:, position], truth == position
        )
        given.append(tuple(steps.X_thresholds_.tolist()))
        answered.append(tuple(steps.y_thresholds_.tolist()))
    return Isotonic(tuple(given), tuple(answered))


def _losses(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    of_truth = probabilities[np.arange(len(truth)), truth]
    return np.asarray(-np.log(np.maximum(of_truth, np.finfo(np.float64).eps)))


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.clip(probabilities, SMALLEST, None)))
