"""Whether probabilities can be taken at their word, and what makes them so.

    inner out-of-fold predictions -> Temperature -> calibrated probabilities
    labels, out-of-fold predictions -> calibration -> slope, intercept, ECE, reliability curve

A recalibration is fitted on out-of-fold predictions of training patients, never on tested ones.

References
----------
Guo C et al. On calibration of modern neural networks. ICML 2017.
Van Calster B et al. Calibration: the Achilles heel of predictive analytics. BMC Med 2019;17:230.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from ml.intervals import Estimate, estimate, resamples

#: Groups of the reliability curve and of the calibration error, of equally many patients.
BINS = 10
#: Probabilities nearer to 0 or 1 than this count as this near.
_SMALLEST = 1e-6
#: Largest exponent that is looked at, and its inverse the smallest.
_LARGEST_POWER = 20.0
#: Resamples of slope and intercept, which take an iterative fit each.
_FITTED_RESAMPLES = 200
_NEWTON_STEPS = 50
#: Change of a coefficient far below what a table shows.
_CONVERGED = 1e-8


@dataclass(frozen=True)
class Temperature:
    """Probabilities to the power of one number, scaled to sum 1.

    One parameter suits small classes, and the most probable class stays the most probable one.

    Parameters
    ----------
    power
        Inverse temperature: below 1 the model was too sure of itself.
    """

    power: float = 1.0

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, k) calibrated probabilities."""
        return np.asarray(softmax(self.power * _logs(probabilities), axis=1))


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> Temperature:
    """The power with the least log loss on out-of-fold predictions of training patients.

    Parameters
    ----------
    probabilities : (n, k) array
        By models that never saw the patient.
    truth : (n,) array of int
        Position of the true class of each.
    """
    logs, rows = _logs(probabilities), np.arange(len(truth))

    def loss(log_power: float) -> float:
        return -float(log_softmax(np.exp(log_power) * logs, axis=1)[rows, truth].mean())

    limit = np.log(_LARGEST_POWER)
    found = minimize_scalar(loss, bounds=(-limit, limit), method="bounded")
    return Temperature(float(np.exp(found.x)))


@dataclass(frozen=True)
class ReliabilityBin:
    """Patients of similar confidence: how sure the model was, and how often it was right."""

    patients: int
    confidence: float
    accuracy: Estimate


@dataclass(frozen=True)
class CalibrationResult:
    """Calibration of out-of-fold probabilities.

    Parameters
    ----------
    slope, intercept
        Of the logistic regression of being the true class on the logit of the probability, over
        all patients and classes: 1 and 0 where calibrated; a slope below 1 is overconfidence.
    ece
        Mean distance between confidence and accuracy over the bins, weighted by patients. Above 0
        also for a calibrated model: a bin of few patients is off by chance.
    bins
        Reliability curve of the most probable class, from the least to the most confident.
    """

    slope: Estimate
    intercept: Estimate
    ece: Estimate
    bins: tuple[ReliabilityBin, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "slope": self.slope.as_list(),
            "intercept": self.intercept.as_list(),
            "ece": self.ece.as_list(),
            "reliability": [
                {
                    "patients": row.patients,
                    "confidence": row.confidence,
                    "accuracy": row.accuracy.as_list(),
                }
                for row in self.bins
            ],
        }


def calibration(truth: np.ndarray, probabilities: np.ndarray, *, seed: int) -> CalibrationResult:
    """Slope, intercept, calibration error and reliability curve, with intervals over patients.

    Parameters
    ----------
    truth : (n,) array of int
        Position of the true class of each patient.
    probabilities : (n, k) array
        Out-of-fold probabilities.
    seed
        Of the bootstrap.
    """
    weights = resamples(len(truth), seed)
    bins, ece = _reliability(truth, probabilities, weights)
    slopes, intercepts = _slopes(truth, probabilities, weights[: 1 + _FITTED_RESAMPLES])
    return CalibrationResult(estimate(slopes), estimate(intercepts), ece, bins)


def _reliability(
    truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> tuple[tuple[ReliabilityBin, ...], Estimate]:
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    order = np.argsort(confidence, kind="stable")
    off = np.zeros(len(weights))
    bins = []
    for members in np.array_split(order, min(BINS, len(order))):
        counted = weights[:, members]
        total = counted.sum(axis=1)
        hits = counted @ right[members]
        off += np.abs(hits - counted @ confidence[members])
        with np.errstate(invalid="ignore"):
            accuracy = estimate(hits / total)
        bins.append(ReliabilityBin(len(members), float(confidence[members].mean()), accuracy))
    return tuple(bins), estimate(off / weights.sum(axis=1))


def _slopes(
    truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slope and intercept of each resample, by Newton's method started at the first one's."""
    clipped = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
    logit = np.log(clipped / (1 - clipped))
    design = np.stack([logit.ravel(), np.ones(logit.size)], axis=1)
    is_true = np.eye(probabilities.shape[1])[truth].ravel()
    fitted = np.empty((len(weights), 2))
    start = np.array([1.0, 0.0])
    for row, patients in enumerate(weights):
        repeated = np.repeat(patients.astype(np.float64), probabilities.shape[1])
        fitted[row] = _logistic(design, is_true, repeated, start if row == 0 else fitted[0])
    return fitted[:, 0], fitted[:, 1]


def _logistic(
    design: np.ndarray, answer: np.ndarray, weights: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """(2,) coefficients of a weighted logistic regression."""
    # A trace of ridge: without it perfect separation has no finite solution.
    ridge = 1e-6 * weights.sum()

    def loss(coefficients: np.ndarray) -> float:
        score = design @ coefficients
        fit = weights @ (np.logaddexp(0, score) - answer * score)
        return float(fit + ridge / 2 * coefficients @ coefficients)

    coefficients, reached = start, loss(start)
    for _ in range(_NEWTON_STEPS):
        expected = expit(design @ coefficients)
        gradient = design.T @ (weights * (answer - expected)) - ridge * coefficients
        curvature = (design * (weights * expected * (1 - expected))[:, np.newaxis]).T @ design
        step = np.linalg.solve(curvature + ridge * np.eye(2), gradient)
        # Far from the solution the full step overshoots: probabilities near 0 and 1 are flat.
        while (lower := loss(coefficients + step)) > reached and np.abs(step).max() > _CONVERGED:
            step = step / 2
        coefficients, reached = coefficients + step, lower
        if np.abs(step).max() < _CONVERGED:
            break
    return np.asarray(coefficients)


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.clip(probabilities, _SMALLEST, None)))
