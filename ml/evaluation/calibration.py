"""Whether probabilities can be taken at their word.

    labels, out-of-fold probabilities -> calibration -> in the large, slope, curve, reliability

What makes them so is in :mod:`ml.evaluation.calibrators`. Two classes are judged by the probability
of the rarer one, more classes one by one, each against the others.

Intervals are those of the profile likelihood: they hold with few events, where Wald's are too
symmetric, and say where there is no end. They take the probabilities as given. Of predictions in
stratified folds, the mean is near the observed share by construction, so that calibration in the
large is tested best on other patients.

References
----------
Cox DR. Two further applications of a model for binary regression. Biometrika 1958;45:562-565.
Van Calster B et al. A calibration hierarchy for risk models was defined. J Clin Epidemiol
2016;74:167-176. Van Hoorde K et al. Assessing calibration of multinomial risk prediction models.
Stat Med 2014;33:2585-2596. Venzon DJ, Moolgavkar SH. A method for computing
profile-likelihood-based confidence intervals. J R Stat Soc C 1988;37:87-94.
Harrell FE. Regression modeling strategies. 2015, section 2.4.5 (spline).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_softmax, logit, softmax
from scipy.stats import chi2, norm

from ml.intervals import CONFIDENCE, Estimate, estimate, resamples

#: Groups of the reliability curve and of the calibration error, of equally many patients.
BINS = 10
#: Patients in a class, and out of it, from which on a slope and a curve are fitted.
SLOPE_PATIENTS, CURVE_PATIENTS = 10, 20
#: Points of a curve.
CURVE_POINTS = 50
#: Probabilities nearer to 0 or 1 than this count as this near.
SMALLEST = 1e-6
#: Where the curve's spline bends, as quantiles of the predictions; Harrell's for three knots.
_KNOTS = (0.1, 0.5, 0.9)
_NEWTON_STEPS = 50
#: Change of a coefficient far below what a table shows.
_CONVERGED = 1e-8
#: Error of the end of an interval, far below what a table shows.
_END = 1e-4
#: A log-odds or a slope beyond this has no end.
_FARTHEST = 50.0
_UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))
_TWO = 2
#: Estimates of a summary, in its order.
_SUMMARISED = ("in_the_large", "slope", "observed_expected")


@dataclass(frozen=True)
class Curve:
    """Flexible calibration curve: what was observed where a probability was predicted.

    Parameters
    ----------
    predicted, observed, low, high : (points,) tuples of float
        Ascending predictions, the smoothed share of events there, and its pointwise 95 % band.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "predicted": list(self.predicted), "observed": list(self.observed),
            "low": list(self.low), "high": list(self.high),
        }  # fmt: skip


@dataclass(frozen=True)
class ClassCalibration:
    """Calibration of the probability of one class against all others.

    Parameters
    ----------
    position
        Of the class.
    patients, events
        Those who were judged, and those of the class.
    expected
        Sum of the probabilities.
    in_the_large
        Log-odds to be added to every prediction: below 0, too much was predicted.
    slope
        Of the logistic regression of the class on the log-odds of its probability: below 1, the
        predictions are too extreme.
    observed_expected
        Events over their expected number.
    curve
        None where too few patients are in the class or out of it.
    reason
        Why a number is not known.
    """

    position: int
    patients: int
    events: int
    expected: float
    in_the_large: Estimate
    slope: Estimate
    observed_expected: Estimate
    curve: Curve | None
    reason: str | None

    def as_dict(self) -> dict[str, object]:
        """For JSON, without the name of the class."""
        return {
            "patients": self.patients,
            "events": self.events,
            "expected": self.expected,
            "in_the_large": self.in_the_large.as_list(),
            "slope": self.slope.as_list(),
            "observed_expected": self.observed_expected.as_list(),
            "curve": None if self.curve is None else self.curve.as_dict(),
            "reason": self.reason,
        }


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
    position
        Class of which ``in_the_large`` and ``observed_expected`` speak: of two the rarer one, of
        more the one that is farthest off, with intervals widened for their number.
    in_the_large, observed_expected
        As in :class:`ClassCalibration`.
    slope
        One for all classes, each with an intercept of its own; of two classes that of Cox.
    classes
        Of two classes the rarer one, of more all that have patients.
    ece
        Mean distance between confidence and accuracy over the bins, weighted by patients. Above 0
        also for a calibrated model: a bin of few patients is off by chance.
    bins
        Reliability curve of the most probable class, from the least to the most confident.
    reason
        Why a number is not known.
    """

    position: int
    in_the_large: Estimate
    observed_expected: Estimate
    slope: Estimate
    classes: tuple[ClassCalibration, ...]
    ece: Estimate
    bins: tuple[ReliabilityBin, ...]
    reason: str | None

    def summary(self, names: Sequence[str]) -> "CalibrationSummary":
        """The numbers of a row of the result table.

        Parameters
        ----------
        names : (k,) sequence of str
            Of the classes.
        """
        return CalibrationSummary(
            str(names[self.position]), self.in_the_large, self.slope, self.observed_expected,
            self.ece.value, self.reason,
        )  # fmt: skip

    def as_dict(self, names: Sequence[str]) -> dict[str, object]:
        """For JSON.

        Parameters
        ----------
        names : (k,) sequence of str
            Of the classes.
        """
        return {
            "of": str(names[self.position]),
            "in_the_large": self.in_the_large.as_list(),
            "slope": self.slope.as_list(),
            "observed_expected": self.observed_expected.as_list(),
            "reason": self.reason,
            "classes": [{"class": str(names[c.position]), **c.as_dict()} for c in self.classes],
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


@dataclass(frozen=True)
class CalibrationSummary:
    """Calibration of a model in four numbers; ``of`` names the class of the first and the third.

    See :class:`CalibrationResult`.
    """

    of: str
    in_the_large: Estimate
    slope: Estimate
    observed_expected: Estimate
    ece: float
    reason: str | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """Of what :meth:`as_dict` gave."""
        found = {name: _read(row[name], *row[f"{name}_ci"]) for name in _SUMMARISED}
        return cls(of=str(row["of"]), **found, ece=_nan(row["ece"]), reason=row["reason"])

    def as_dict(self) -> dict[str, object]:
        """For JSON, null where not known."""
        row: dict[str, object] = {"of": self.of}
        for name in _SUMMARISED:
            value, low, high = (_known(end) for end in getattr(self, name).as_list())
            row |= {name: value, f"{name}_ci": [low, high]}
        return {**row, "ece": _known(self.ece), "reason": self.reason}


def calibration(truth: np.ndarray, probabilities: np.ndarray, *, seed: int) -> CalibrationResult:
    """Calibration of all classes and of each, with intervals.

    Parameters
    ----------
    truth : (n,) array of int
        Position of the true class of each patient.
    probabilities : (n, k) array
        Of models that never saw the patient.
    seed
        Of the bootstrap of the reliability curve.
    """
    k = probabilities.shape[1]
    sizes = np.bincount(truth, minlength=k)
    judged = [event_class(truth)] if k == _TWO else [i for i in range(k) if sizes[i]]
    classes = tuple(class_calibration(truth, probabilities, i) for i in judged)
    position = judged[0]
    if k > _TWO:
        position = max(judged, key=lambda i: _in_the_large(truth == i, probabilities[:, i]).excess)
    whole = _in_the_large(truth == position, probabilities[:, position], tests=len(judged))
    slope, reason = _common_slope(truth, probabilities)
    bins, ece = _reliability(truth, probabilities, resamples(len(truth), seed))
    return CalibrationResult(
        position, whole.intercept, whole.ratio, slope, classes, ece, bins, whole.reason or reason
    )


def event_class(truth: np.ndarray) -> int:
    """Of two classes, the one whose probability is judged: the rarer one."""
    return int(np.bincount(truth, minlength=_TWO)[:_TWO].argmin())


def class_calibration(
    truth: np.ndarray, probabilities: np.ndarray, position: int
) -> ClassCalibration:
    """Calibration of the probability of one class, by logistic recalibration."""
    event, predicted = truth == position, probabilities[:, position]
    whole = _in_the_large(event, predicted)
    pair = np.stack([1 - predicted, predicted], axis=1)
    slope, reason = _common_slope(event.astype(np.int64), pair)
    return ClassCalibration(
        position=position,
        patients=len(event),
        events=int(event.sum()),
        expected=float(predicted.sum()),
        in_the_large=whole.intercept,
        slope=slope,
        observed_expected=whole.ratio,
        curve=flexible_curve(event, predicted),
        reason=whole.reason or reason,
    )


@dataclass(frozen=True)
class _InTheLarge:
    """Intercept and ratio with their intervals; ``excess`` is the deviance without an intercept."""

    intercept: Estimate
    ratio: Estimate
    excess: float
    reason: str | None = None


def _in_the_large(event: np.ndarray, predicted: np.ndarray, *, tests: int = 1) -> _InTheLarge:
    """Calibration in the large, with an interval widened for a number of tests."""
    observed, n = int(event.sum()), len(event)
    if observed in {0, n}:
        all_or_none = "no patient" if observed == 0 else "every patient"
        return _InTheLarge(_UNKNOWN, _UNKNOWN, -np.inf, f"{all_or_none} is of the class")
    odds = _logit(predicted)

    def loss(intercept: float) -> float:
        return float(np.logaddexp(0, intercept + odds).sum() - (intercept + odds)[event].sum())

    # The sum of the shifted probabilities ascends with the intercept, so there is one solution.
    best = brentq(lambda a: expit(a + odds).sum() - observed, -_FARTHEST, _FARTHEST)
    shifted = expit(best + odds)
    width = 1 / np.sqrt((shifted * (1 - shifted)).sum())
    low, high = _profile(lambda a: 2 * (loss(a) - loss(best)), best, width, tests)
    # What is expected under each end of the interval: it excludes 1 where the other excludes 0.
    ratios = [float(expit(a + odds).sum() / expit(odds).sum()) for a in (best, low, high)]
    return _InTheLarge(
        Estimate(float(best), low, high), Estimate(*ratios), 2 * (loss(0.0) - loss(best))
    )


def _common_slope(truth: np.ndarray, probabilities: np.ndarray) -> tuple[Estimate, str | None]:
    """Slope of multinomial recalibration with an intercept per class, and why there is none."""
    present, truth = np.unique(truth, return_inverse=True)
    others = len(truth) - int(np.bincount(truth).max())
    if others < SLOPE_PATIENTS:
        return _UNKNOWN, (
            f"{others} patients outside the largest class are too few for a slope "
            f"({SLOPE_PATIENTS} needed)"
        )
    logs = np.log(np.clip(probabilities[:, present], SMALLEST, 1 - SMALLEST))
    if np.ptp(logs - logs[:, :1], axis=0).max() < _CONVERGED:
        return _UNKNOWN, "everybody has the same probabilities"
    fit = _recalibrated(logs, truth, np.eye(1, logs.shape[1])[0])
    slope = float(fit.found[0])

    def deviance(fixed: float) -> float:
        start = np.concatenate([[fixed], fit.found[1:]])
        return 2 * (_recalibrated(logs, truth, start, is_fixed=True).loss - fit.loss)

    low, high = _profile(deviance, slope, fit.width)
    if not np.isfinite([low, high]).all():
        return _UNKNOWN, "the classes are told apart without an error, which no slope describes"
    return Estimate(slope, low, high), None


@dataclass(frozen=True)
class _Fit:
    """The slope and the intercepts of all classes but the first, and the slope's error."""

    found: np.ndarray
    loss: float
    width: float


def _recalibrated(
    logs: np.ndarray, truth: np.ndarray, start: np.ndarray, *, is_fixed: bool = False
) -> _Fit:
    """Multinomial recalibration by Newton's method.

    Parameters
    ----------
    logs : (n, k) array
        Logarithms of the probabilities.
    start : (k,) array
        Slope and intercepts to begin with.
    is_fixed
        Leave the slope as it is.
    """
    n, k = logs.shape
    rows, counts = np.arange(n), np.bincount(truth, minlength=k)
    free, found = slice(int(is_fixed), k), start

    def scores(at: np.ndarray) -> np.ndarray:
        return np.asarray(at[0] * logs + np.concatenate([[0.0], at[1:]]))

    def loss(at: np.ndarray) -> float:
        return -float(log_softmax(scores(at), axis=1)[rows, truth].sum())

    reached, curvature = loss(found), np.eye(k)
    for _ in range(_NEWTON_STEPS):
        said = softmax(scores(found), axis=1)
        mean = (said * logs).sum(axis=1)
        gradient = np.concatenate(
            [[(logs[rows, truth] - mean).sum()], (counts - said.sum(axis=0))[1:]]
        )
        curvature = np.empty((k, k))
        curvature[0, 0] = (said * logs**2).sum() - (mean**2).sum()
        curvature[0, 1:] = curvature[1:, 0] = (said * (logs - mean[:, np.newaxis])).sum(axis=0)[1:]
        curvature[1:, 1:] = np.diag(said.sum(axis=0)[1:]) - said[:, 1:].T @ said[:, 1:]
        # A trace of ridge: where classes are told apart, the curvature vanishes.
        curvature += _CONVERGED * n * np.eye(k)
        step = np.zeros(k)
        step[free] = np.linalg.solve(curvature[free, free], gradient[free])
        while (lower := loss(found + step)) > reached and np.abs(step).max() > _CONVERGED:
            step = step / 2
        found, reached = found + step, lower
        if np.abs(step).max() < _CONVERGED or abs(found[0]) >= _FARTHEST:
            break
    return _Fit(found, reached, float(np.sqrt(np.linalg.inv(curvature)[0, 0])))


def _profile(
    deviance: Callable[[float], float], best: float, width: float, tests: int = 1
) -> tuple[float, float]:
    """Ends of the profile likelihood interval around the best value; infinite without an end."""
    limit = float(chi2.ppf(1 - (1 - CONFIDENCE) / tests, 1))

    def end(sign: int) -> float:
        near, far = 0.0, width
        while deviance(best + sign * far) < limit:
            near, far = far, 2 * far
            if far > _FARTHEST:
                return sign * float("inf")
        found = brentq(lambda d: deviance(best + sign * d) - limit, near, far, xtol=_END)
        return best + sign * float(found)

    return end(-1), end(1)


def flexible_curve(event: np.ndarray, predicted: np.ndarray) -> Curve | None:
    """Share of events along the predictions, by logistic regression on a restricted cubic spline.

    Parameters
    ----------
    event : (n,) array of bool
    predicted : (n,) array
        Probabilities of the event.

    Returns
    -------
    None where fewer than :data:`CURVE_PATIENTS` have the event, or have it not, or all predictions
    are the same.
    """
    if min(event.sum(), (~event).sum()) < CURVE_PATIENTS:
        return None
    odds = _logit(predicted)
    knots = np.unique(np.quantile(odds, _KNOTS))
    first, last = np.quantile(odds, [0.01, 0.99])
    if last - first < _CONVERGED:
        return None
    coefficients, covariance = _logistic(_spline(odds, knots), event.astype(np.float64))
    grid = np.linspace(first, last, CURVE_POINTS)
    design = _spline(grid, knots)
    fitted = design @ coefficients
    half = norm.isf((1 - CONFIDENCE) / 2) * np.sqrt(((design @ covariance) * design).sum(axis=1))
    ends = (grid, fitted, fitted - half, fitted + half)
    return Curve(*(tuple(expit(values).tolist()) for values in ends))


def _spline(at: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """(n, 3) intercept, line, and a cubic that is straight outside three knots; (n, 2) with fewer.

    Scaled by the squared distance of the outer knots, as Harrell has it.
    """
    line = np.stack([np.ones_like(at), at], axis=1)
    if len(knots) < len(_KNOTS):
        return line
    one, two, three = (np.maximum(at - knot, 0) ** 3 for knot in knots)
    first, middle, last = knots
    bend = one - two * (last - first) / (last - middle) + three * (middle - first) / (last - middle)
    return np.column_stack([line, bend / (last - first) ** 2])


def _logistic(design: np.ndarray, answer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a logistic regression, and their covariance."""
    # A trace of ridge: without it perfect separation has no finite solution.
    ridge = 1e-6 * len(answer) * np.eye(design.shape[1])

    def loss(at: np.ndarray) -> float:
        score = design @ at
        return float((np.logaddexp(0, score) - answer * score).sum() + at @ ridge @ at / 2)

    found = np.zeros(design.shape[1])
    reached, curvature = loss(found), ridge
    for _ in range(_NEWTON_STEPS):
        expected = expit(design @ found)
        gradient = design.T @ (answer - expected) - ridge @ found
        curvature = (design * (expected * (1 - expected))[:, np.newaxis]).T @ design + ridge
        step = np.linalg.solve(curvature, gradient)
        # Far from the solution the full step overshoots: probabilities near 0 and 1 are flat.
        while (lower := loss(found + step)) > reached and np.abs(step).max() > _CONVERGED:
            step = step / 2
        found, reached = found + step, lower
        if np.abs(step).max() < _CONVERGED:
            break
    return found, np.linalg.inv(curvature)


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


def _logit(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(logit(np.clip(probabilities, SMALLEST, 1 - SMALLEST)))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _read(*ends: float | None) -> Estimate:
    return Estimate(*(_nan(end) for end in ends))


def _nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
