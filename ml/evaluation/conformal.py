"""Sets of classes that hold the true one with a chosen probability, class by class.

    out-of-fold probabilities of training patients -> ClassThresholds -> sets -> answer or abstain

Split conformal prediction with one threshold per class: MAPIE 1.6 conditions on features only, not
on the label; calibrated with the patients of one class, it gives the same threshold (a test
compares them) where the wanted rank is a whole number. Between two patients the threshold is
interpolated: rounding down, as MAPIE does, promises 91.4 % for a class of 57 patients where 90 % is
asked, and pays with larger sets.

References
----------
Vovk V. Conditional validity of inductive conformal predictors. ACML 2012.
Hutson AD. Calculating nonparametric confidence intervals for quantiles using fractional order
statistics. J Appl Stat 1999;26:343-353.
Ding T et al. Class-conditional conformal prediction with many classes. NeurIPS 2023.
"""

from dataclasses import dataclass

import numpy as np

from ml.intervals import Estimate, estimate, resamples
from ml.study.modelling import Conformal

#: A threshold is itself the probability of a patient: rounding must not shut it out.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class ClassThresholds:
    """Smallest probability with which a class enters the set of a patient.

    Parameters
    ----------
    smallest : tuple of float
        Per class, in sorted order; negative where every patient's set holds the class.
    """

    smallest: tuple[float, ...]

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, k) mask of the classes in each patient's set."""
        return np.asarray(probabilities >= np.array(self.smallest) - _ROUNDING)


def fit_thresholds(
    probabilities: np.ndarray, truth: np.ndarray, plan: Conformal
) -> ClassThresholds:
    """Thresholds learned from out-of-fold predictions of training patients.

    Parameters
    ----------
    probabilities : (n, k) array
        By models that never saw the patient.
    truth : (n,) array of int
        Position of the true class of each.
    plan
        Coverage, and the patients that a class needs for a threshold of its own; classes with
        fewer share the threshold of them all together.
    """
    k = probabilities.shape[1]
    of_truth = probabilities[np.arange(len(truth)), truth]
    sizes = np.bincount(truth, minlength=k)
    small = sizes < plan.min_patients
    shared = _threshold(of_truth[small[truth]], plan.coverage)
    return ClassThresholds(
        tuple(
            shared if small[i] else _threshold(of_truth[truth == i], plan.coverage)
            for i in range(k)
        )
    )


def _threshold(of_truth: np.ndarray, coverage: float) -> float:
    """Probability that the patients' own class reaches in ``coverage`` of new patients."""
    # The (n + 1)th patient is the new one; too few patients promise nothing below all of them.
    rank = (len(of_truth) + 1) * (1 - coverage)
    if rank < 1 - _ROUNDING:
        return -1.0
    ranks = np.arange(1, len(of_truth) + 1)
    return float(np.interp(rank, ranks, np.sort(of_truth)))


def answered(sets: np.ndarray, plan: Conformal) -> np.ndarray:
    """(n,) mask of the patients whom the model answers for; it abstains for the others."""
    size = sets.sum(axis=1)
    return np.asarray((size > 0) & (size <= plan.answer_at_most))


@dataclass(frozen=True)
class Coverage:
    """How often sets hold the true class, and what they cost.

    Parameters
    ----------
    overall
        Share of patients whose set holds the true class.
    by_class
        The same for each class, in sorted order.
    mean_size
        Classes per set.
    answered
        Share of patients whom the model answers for.
    accuracy_answered
        Share of right answers among them.
    """

    overall: Estimate
    by_class: tuple[Estimate, ...]
    mean_size: Estimate
    answered: Estimate
    accuracy_answered: Estimate


def coverage(
    truth: np.ndarray, probabilities: np.ndarray, sets: np.ndarray, plan: Conformal, *, seed: int
) -> Coverage:
    """Coverage of out-of-fold sets, with intervals over patients.

    Parameters
    ----------
    truth : (n,) array of int
        Position of the true class of each patient.
    probabilities : (n, k) array
        Calibrated probabilities, whose largest is the answer.
    sets : (n, k) array of bool
        Prediction sets.
    """
    weights = resamples(len(truth), seed)
    total = weights.sum(axis=1)
    holds = sets[np.arange(len(truth)), truth].astype(np.float64)
    speaks = answered(sets, plan).astype(np.float64)
    right = speaks * (probabilities.argmax(axis=1) == truth)
    with np.errstate(invalid="ignore"):
        return Coverage(
            overall=estimate(weights @ holds / total),
            by_class=tuple(
                estimate(weights[:, truth == i] @ holds[truth == i] / weights[:, truth == i].sum(1))
                for i in range(sets.shape[1])
            ),
            mean_size=estimate(weights @ sets.sum(axis=1).astype(np.float64) / total),
            answered=estimate(weights @ speaks / total),
            accuracy_answered=estimate((weights @ right) / (weights @ speaks)),
        )
