"""What a training found: models with their metrics, and what compares and checks them.

    ml.training.search -> Trial, Found, without the library that searched
    ml.training.classification -> ModelResult, TrainingResult -> ml.registry, command line, report

Values only. Everything here is of out-of-fold predictions, except where it says all patients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from ml.evaluation.calibration import CalibrationResult
from ml.evaluation.calibrators import Choice
from ml.evaluation.conformal import Coverage
from ml.evaluation.metrics import LOSSES, METRICS, Evaluation, difference
from ml.evaluation.shuffled import above_chance
from ml.explain.components import Components
from ml.explain.shapley import Explanation
from ml.intervals import Estimate
from ml.serving.model import ServedModel
from ml.study.definition import Study
from ml.study.modelling import Recipe
from ml.training.folds import Folds
from ml.training.rivals import SIMPLE, Rival, rival


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


@dataclass(frozen=True)
class Judged:
    """Recalibration and prediction sets.

    Parameters
    ----------
    calibrated : (repeats, n, k) array
        Calibrated probabilities; NaN for patients who are never tested.
    sets : (n, k) array of bool
        Prediction sets, in the first repeat.
    before
        Calibration of the probabilities as the model gives them, in the first repeat.
    is_calibrated
        False: what was chosen made the log loss worse out of fold, and was left out.
    choice
        The calibrator of the stored model.
    coverage
        How often the sets hold the true class.
    """

    calibrated: np.ndarray
    sets: np.ndarray
    before: CalibrationResult
    is_calibrated: bool
    choice: Choice
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
        Out-of-fold class probabilities as the model gives them, classes in sorted order.
    evaluation
        Metrics of the answers, calibrated where they are.
    calibration
        Of the answers, in the first repeat.
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
    calibration: CalibrationResult
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

    @property
    def answers(self) -> np.ndarray:
        """(repeats, n, k) out-of-fold probabilities as the stored model would answer."""
        return self.probabilities if self.judged is None else self.judged.calibrated

    def summary(self, constant: Evaluation) -> dict[str, object]:
        """One row of the result table, for ``--json`` and the command line.

        Parameters
        ----------
        constant
            Of the class shares.
        """
        names = [result.name for result in self.evaluation.classes]
        row: dict[str, object] = {
            "recipe": self.recipe,
            "modalities": self.modality_set,
            "uses": list(self.modalities),
            "patients": self.probabilities.shape[1],
            "classes": self.probabilities.shape[2],
            "features": self.feature_count,
            **_metric_cells(self.evaluation),
            **{f"{m}_constant": constant.metrics[m].value for m in sorted(LOSSES)},
            "calibration": self.calibration.summary(names).as_dict(),
            "ece": self.calibration.ece.value,
            "seconds": round(self.seconds, 2),
        }
        if self.judged is not None:
            row |= {
                "calibrator": self.judged.choice.calibrator.kind,
                "coverage": self.judged.coverage.overall.value,
                "set_size": self.judged.coverage.mean_size.value,
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

    def as_dict(self, *, is_above: bool | None) -> dict[str, object]:
        """For JSON.

        Parameters
        ----------
        is_above
            See :func:`ml.evaluation.shuffled.above_chance`.
        """
        shown = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")
        return {
            "modalities": self.modality_set,
            "shuffle": self.shuffle,
            **{name: self.evaluation.metrics[name].as_list() for name in shown},
            "at_chance": None if is_above is None else not is_above,
        }


@dataclass(frozen=True)
class CompleteCases:
    """The patients who had every assay: all models on those who can be asked of each set.

    Parameters
    ----------
    patients
        Number of them.
    assays
        Which they had.
    evaluations
        Of every model, in the order of the results; empty where there are too few.
    reason
        Why there are none.
    """

    patients: int
    assays: tuple[str, ...]
    evaluations: tuple[Evaluation, ...] = ()
    reason: str | None = None

    def as_dict(self, rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
        """For JSON, with a row per model."""
        return {
            "patients": self.patients,
            "assays": list(self.assays),
            "reason": self.reason,
            "recipes": [{**row, "patients": self.patients} for row in rows],
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
    constant
        Of the class shares of the training patients, the same for everybody.
    complete
        The same models on the patients who had every assay.
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
    constant: Evaluation
    complete: CompleteCases
    permuted: tuple[Permuted, ...]
    bias: pl.DataFrame
    components: Components
    neighbours: pl.DataFrame
    links: np.ndarray

    @property
    def best(self) -> ModelResult:
        """First by the metric that the study declares."""
        return min(self.results, key=self._rank)

    @property
    def best_baseline(self) -> ModelResult | None:
        """Best recipe with the settings of its package, on the modality set of the best model."""
        plain = [
            result
            for result in self.results
            if result.plan.defaults == "library" and result.modality_set == self.best.modality_set
        ]
        return min(plain, key=self._rank, default=None)

    @property
    def simplest(self) -> ModelResult:
        """Of the models of the fewest columns, the one that is easiest to explain."""

        def effort(result: ModelResult) -> tuple[int, int, int]:
            model = result.plan.model
            known = SIMPLE.index(model) if model in SIMPLE else len(SIMPLE)
            return len(result.modalities), result.feature_count, known

        return min(self.results, key=effort)

    def _rank(self, result: ModelResult) -> float:
        value = result.evaluation.metrics[self.study.best_by].value
        return value if self.study.best_by in LOSSES else -value

    def rivals(self) -> tuple[Rival, ...]:
        """What the best model is held against, by the metric that the study declares."""
        best, by = self.best, self.study.best_by
        found = [rival("constant", "the class shares", best.evaluation, self.constant, by)]
        if self.simplest is not best:
            simple = self.simplest
            found.append(rival("simplest", simple.name, best.evaluation, simple.evaluation, by))
        plain = self.best_baseline
        if plain is not None and plain is not best:
            found.append(rival("baseline", plain.name, best.evaluation, plain.evaluation, by))
        return tuple(found)

    @property
    def majority_share(self) -> float:
        """Accuracy of always naming the most frequent class."""
        _, sizes = np.unique(self.labels, return_counts=True)
        return float(sizes.max() / sizes.sum())

    @property
    def majority(self) -> str:
        """The most frequent class."""
        classes, sizes = np.unique(self.labels, return_counts=True)
        return str(classes[sizes.argmax()])

    def differences(self) -> list[Difference]:
        """Every model against every later one: recipes and modality sets, paired."""
        return self._differences([result.evaluation for result in self.results])

    def complete_differences(self) -> list[Difference]:
        """The same of the patients who had every assay."""
        return self._differences(self.complete.evaluations)

    def _differences(self, evaluations: Sequence[Evaluation]) -> list[Difference]:
        named = zip([result.name for result in self.results], evaluations, strict=False)
        return [
            Difference(one, other, difference(of_one, of_other))
            for (one, of_one), (other, of_other) in combinations(named, 2)
        ]

    def as_dict(self) -> dict[str, object]:
        """Content of the ``--json`` line of ``oncoframe train``."""
        plain = self.best_baseline
        above = {} if plain is None else difference(self.best.evaluation, plain.evaluation)
        shown = [name for name in METRICS if name in {"accuracy", "macro_f1", self.study.best_by}]
        is_above = above_chance(
            [row.evaluation.metrics["auroc"].as_list() for row in self.permuted]
        )
        return {
            "study": self.study.name,
            "frame_id": self.frame_id,
            "best": self.best.summary(self.constant),
            "best_by": self.study.best_by,
            "majority": self.majority,
            "majority_share": self.majority_share,
            "constant": _metric_cells(self.constant),
            "simplest": self.simplest.summary(self.constant),
            "rivals": [row.as_dict() for row in self.rivals()],
            "above_baseline": {
                "baseline": None if plain is None else plain.recipe,
                **{name: above[name].as_list() for name in shown if above},
            },
            "recipes": [result.summary(self.constant) for result in self.results],
            "complete_cases": self.complete.as_dict(
                [
                    {
                        "recipe": result.recipe,
                        "modalities": result.modality_set,
                        **_metric_cells(evaluation),
                    }
                    for result, evaluation in zip(
                        self.results, self.complete.evaluations, strict=False
                    )
                ]
            ),
            "permuted": [
                row.as_dict(is_above=found)
                for row, found in zip(self.permuted, is_above, strict=True)
            ],
        }


def _metric_cells(evaluation: Evaluation) -> dict[str, object]:
    of = evaluation.metrics
    return {
        **{name: of[name].value for name in METRICS},
        **{f"{name}_ci": [of[name].low, of[name].high] for name in METRICS},
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
