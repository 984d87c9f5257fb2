"""What a training found: models with their metrics, and what compares and checks them.

    ml.training.search -> Trial, Found, without the library that searched
    ml.training.classification -> ModelResult, TrainingResult -> ml.registry, command line, report

Values only. Everything here is of out-of-fold predictions, except where it says all patients.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from ml.evaluation.calibration import CalibrationResult
from ml.evaluation.conformal import Coverage
from ml.evaluation.metrics import METRICS, Evaluation, difference
from ml.explain.components import Components
from ml.explain.shapley import Explanation
from ml.intervals import Estimate
from ml.serving.model import ServedModel
from ml.study.definition import Study
from ml.study.modelling import Recipe
from ml.training.folds import Folds


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Parameters
    ----------
    where
        Which search it belongs to.
    number
        From 0, which is the recipe as it is.
    settings
        What was changed.
    value
        The objective; of the folds seen, where the trial was given up.
    state
        ``complete``, ``pruned``, or the name of the error by which its training was ended.
    seconds
        Wall-clock time.
    """

    where: str
    number: int
    settings: Mapping[str, Any]
    value: float
    state: str
    seconds: float


@dataclass(frozen=True)
class Found:
    """Settings of the best trial, and all trials; without a search neither."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()


#: Metric that decides which model is best: a rare entity counts as much as a common one.
DECIDES = "macro_f1"


@dataclass(frozen=True)
class Judged:
    """Calibration, prediction sets and subgroups, in the first repeat of the cross-validation.

    Parameters
    ----------
    calibrated : (n, k) array
        Calibrated probabilities; NaN for patients who are never tested.
    sets : (n, k) array of bool
        Prediction sets.
    before, after
        Calibration of the probabilities as the model gives them, and recalibrated.
    coverage
        How often the sets hold the true class.
    """

    calibrated: np.ndarray
    sets: np.ndarray
    before: CalibrationResult
    after: CalibrationResult
    coverage: Coverage


@dataclass(frozen=True)
class ModelResult:
    """One recipe on one modality set.

    Parameters
    ----------
    plan
        The recipe's declaration.
    modality_set
        Name in the study file.
    modalities
        What the set holds.
    feature_count
        Columns of the design matrix, before the recipe selects.
    typical_patient : (1, p) data frame
        A row of no real patient, with the columns that the model takes.
    probabilities : (repeats, n, k) array of float
        Out-of-fold class probabilities, classes in sorted order.
    evaluation
        Metrics of them.
    judged
        None without calibration.
    subgroups
        See :func:`ml.evaluation.subgroups.subgroup_table`.
    explanation
        None for models that are no boosted trees of their columns.
    trials
        Of all searches, those for the model of all patients last.
    settings
        What the search on all patients found.
    served
        Model of all patients with its calibration.
    seconds
        Time of cross-validation and final fit.
    """

    plan: Recipe
    modality_set: str
    modalities: tuple[str, ...]
    feature_count: int
    typical_patient: pd.DataFrame
    probabilities: np.ndarray
    evaluation: Evaluation
    judged: Judged | None
    subgroups: pl.DataFrame
    explanation: Explanation | None
    trials: tuple[Trial, ...]
    settings: Mapping[str, Any]
    served: ServedModel
    seconds: float

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return self.plan.name

    @property
    def name(self) -> str:
        """How tables and runs call it."""
        return f"{self.recipe} on {self.modality_set}"

    def summary(self) -> dict[str, object]:
        """One row of the result table, for ``--json`` and the command line."""
        estimates = self.evaluation.metrics
        row: dict[str, object] = {
            "recipe": self.recipe,
            "modalities": self.modality_set,
            "uses": list(self.modalities),
            "patients": self.probabilities.shape[1],
            "classes": self.probabilities.shape[2],
            "features": self.feature_count,
            **{name: estimates[name].value for name in METRICS},
            **{f"{m}_ci": [estimates[m].low, estimates[m].high] for m in METRICS},
            "seconds": round(self.seconds, 2),
        }
        if self.judged is not None:
            row |= {
                "ece": self.judged.after.ece.value,
                "coverage": self.judged.coverage.overall.value,
                "answered": self.judged.coverage.answered.value,
            }
        return row


@dataclass(frozen=True)
class Permuted:
    """Evaluation of the first recipe on shuffled labels: what the evaluation finds in nothing.

    Parameters
    ----------
    shuffle
        Number of the shuffle, from 0.
    """

    modality_set: str
    shuffle: int
    evaluation: Evaluation

    @property
    def at_chance(self) -> bool:
        """Whether the interval of the area under the ROC curve holds 0.5, from both sides.

        Models of two folds share most of their training patients, which no bootstrap of tested
        patients can know: of honest evaluations, about one shuffle in ten is called not at chance.

        References
        ----------
        Bengio Y, Grandvalet Y. No unbiased estimator of the variance of K-fold cross-validation. J
        Mach Learn Res 2004;5:1089-1105.
        """
        area = self.evaluation.metrics["auroc"]
        return area.low <= 0.5 <= area.high  # noqa: PLR2004  (a coin's area)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        shown = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")
        return {
            "modalities": self.modality_set,
            "shuffle": self.shuffle,
            **{name: self.evaluation.metrics[name].as_list() for name in shown},
            "at_chance": self.at_chance,
        }


@dataclass(frozen=True)
class Difference:
    """What one model is above another on the same patients and folds."""

    one: str
    other: str
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True)
class TrainingResult:
    """All recipes and modality sets of a study on one frame.

    Parameters
    ----------
    labels : (n,) array of str
        Classes of the patients of ``folds``.
    permuted
        One row per modality set and shuffle.
    bias
        See :func:`ml.evaluation.subgroups.bias_table`.
    components, neighbours, links
        Of the largest modality set, all patients; see :mod:`ml.explain.components`.
    """

    study: Study
    frame_id: str
    labels: np.ndarray
    folds: Folds
    results: tuple[ModelResult, ...]
    permuted: tuple[Permuted, ...]
    bias: pl.DataFrame
    components: Components
    neighbours: pl.DataFrame
    links: np.ndarray

    @property
    def best(self) -> ModelResult:
        """Highest macro F1."""
        return max(self.results, key=lambda r: r.evaluation.metrics[DECIDES].value)

    @property
    def best_baseline(self) -> ModelResult | None:
        """Best recipe with the settings of its package, on the modality set of the best model."""
        plain = [
            result
            for result in self.results
            if result.plan.defaults == "library" and result.modality_set == self.best.modality_set
        ]
        return max(plain, key=lambda r: r.evaluation.metrics[DECIDES].value, default=None)

    @property
    def majority_share(self) -> float:
        """Accuracy of always naming the most frequent class."""
        _, sizes = np.unique(self.labels, return_counts=True)
        return float(sizes.max() / sizes.sum())

    def differences(self) -> list[Difference]:
        """Every model against every later one: recipes and modality sets, paired."""
        return [
            Difference(one.name, other.name, difference(one.evaluation, other.evaluation))
            for one, other in combinations(self.results, 2)
        ]

    def as_dict(self) -> dict[str, object]:
        """Content of the ``--json`` line of ``oncoframe train``."""
        plain = self.best_baseline
        above = {} if plain is None else difference(self.best.evaluation, plain.evaluation)
        return {
            "study": self.study.name,
            "frame_id": self.frame_id,
            "best": self.best.summary(),
            "majority_share": self.majority_share,
            "above_baseline": {
                "baseline": None if plain is None else plain.recipe,
                **{name: above[name].as_list() for name in ("accuracy", DECIDES) if above},
            },
            "recipes": [result.summary() for result in self.results],
            "permuted": [row.as_dict() for row in self.permuted],
        }


def plan_numbers(result: TrainingResult) -> dict[str, object]:
    """What a training did, as parameters of its runs."""
    plan = result.study.cross_validation
    return {
        "folds": plan.folds,
        "repeats": plan.repeats,
        "seed": plan.seed,
        "patients": len(result.labels),
        "classes": len(np.unique(result.labels)),
    }


def plan_in_words(result: TrainingResult) -> str:
    """The same in words, for figures."""
    plan = plan_numbers(result)
    return (
        f"{plan['patients']} patients, {plan['classes']} classes; "
        f"{plan['folds']}-fold cross-validation, repeated {plan['repeats']} times"
    )


def flat_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Each metric as ``<name>``, ``<name>_ci_low`` and ``<name>_ci_high``."""
    return {
        key: value
        for name, estimate in evaluation.metrics.items()
        for key, value in (
            (name, estimate.value),
            (f"{name}_ci_low", estimate.low),
            (f"{name}_ci_high", estimate.high),
        )
    }
