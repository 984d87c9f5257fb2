"""All that is learned from a training fold: settings, model, calibration, prediction sets.

    training patients -> search -> settings -> inner out-of-fold -> temperature, thresholds
                      -> model                                   -> probabilities, sets of the rest

A :class:`Procedure` is what cross-validation judges and what is then fitted on all patients. It is
handed training patients only; nothing it chooses can have seen a tested one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from ml.evaluation.calibration import Temperature, fit_temperature
from ml.evaluation.conformal import ClassThresholds, fit_thresholds
from ml.explain.shapley import Contributions, contributions, is_explainable
from ml.frames.design_matrix import DesignMatrix
from ml.pipelines.inner_folds import aligned_probabilities, out_of_fold_within
from ml.pipelines.recipes import Input, build_recipe, space_of, starting_settings
from ml.study.modelling import Calibration, Conformal, Recipe
from ml.training.folds import Fold, FoldDone, Folds, check_patients, cross_validate
from ml.training.results import Found

#: Repeat of the cross-validation in which calibration, sets and explanations are judged: they cost
#: an inner cross-validation per fold, and every patient is tested in it once.
JUDGED_REPEAT = 0


@dataclass(frozen=True)
class Procedure:
    """A recipe with its search, calibration and prediction sets.

    Parameters
    ----------
    recipe
        From the study file.
    given
        What it has to know of the frame.
    seed
        Of all that is drawn.
    calibration, conformal
        From the study file; without calibration there are no sets.
    trials
        SQLite file of the searches; None keeps them in memory.
    prefix
        What names of searches in it start with.
    """

    recipe: Recipe
    given: Input
    seed: int
    calibration: Calibration | None = None
    conformal: Conformal = field(default_factory=Conformal)
    trials: Path | None = None
    prefix: str = ""

    def search(
        self, name: str, features: pd.DataFrame, labels: np.ndarray, classes: np.ndarray
    ) -> Found:
        """Settings found on training patients; nothing without a search."""
        space = space_of(self.recipe)
        if self.recipe.search is None or not space:
            return Found()
        # Takes a second to load, which a training without a search does not spend.
        from ml.training.search import Searcher  # noqa: PLC0415

        return Searcher(
            self.recipe.search, self.estimator, space, self.seed,
            self.trials, self.prefix, starting_settings(self.recipe),
        ).run(name, features, labels, classes)  # fmt: skip

    def estimator(self, settings: Mapping[str, Any]) -> BaseEstimator:
        """Unfitted estimator with some settings."""
        return build_recipe(self.recipe, seed=self.seed, given=self.given, settings=settings)


@dataclass(frozen=True)
class FoldResult:
    """What a fold's model said of its tested patients.

    Parameters
    ----------
    probabilities : (m, k) array
        As the model gives them.
    found
        What the search of the fold tried and chose.
    calibrated : (m, k) array, optional
        In the judged repeat.
    sets : (m, k) array of bool, optional
        In the judged repeat.
    contributions
        Of boosters, in the judged repeat.
    """

    probabilities: np.ndarray
    found: Found
    calibrated: np.ndarray | None = None
    sets: np.ndarray | None = None
    contributions: Contributions | None = None


def run_fold(
    procedure: Procedure, matrix: DesignMatrix, classes: np.ndarray, fold: Fold
) -> FoldResult:
    """Fit everything on the training patients of a fold and answer for the tested ones.

    Parameters
    ----------
    classes : (k,) array of str
        All classes, sorted.
    """
    features, labels = matrix.features[fold.train], matrix.labels[fold.train]
    asked = matrix.features[fold.test]
    found = procedure.search(f"repeat {fold.repeat} fold {fold.number}", features, labels, classes)
    estimator = procedure.estimator(found.settings)
    model = clone(estimator).fit(features, labels)
    said = aligned_probabilities(model, asked, classes)
    if fold.repeat != JUDGED_REPEAT:
        return FoldResult(said, found)
    explained = contributions(model, asked, classes) if is_explainable(model) else None
    if procedure.calibration is None:
        return FoldResult(said, found, contributions=explained)
    folds = procedure.calibration.inner_folds
    inner = out_of_fold_within(estimator, features, labels, classes, folds, procedure.seed)
    temperature, thresholds = learn_from_inner(inner, labels, classes, procedure.conformal)
    calibrated = temperature.apply(said)
    return FoldResult(said, found, calibrated, thresholds.sets(calibrated), explained)


def learn_from_inner(
    inner: np.ndarray, labels: np.ndarray, classes: np.ndarray, conformal: Conformal
) -> tuple[Temperature, ClassThresholds]:
    """Temperature and thresholds from predictions of patients by models that never saw them."""
    truth = np.searchsorted(classes, labels)
    temperature = fit_temperature(inner, truth)
    return temperature, fit_thresholds(temperature.apply(inner), truth, conformal)


@dataclass(frozen=True)
class Predictions:
    """Out-of-fold answers for a whole frame.

    Parameters
    ----------
    probabilities : (repeats, n, k) array
        NaN for patients who are never tested.
    calibrated : (n, k) array, optional
    sets : (n, k) array of bool, optional
    results
        What each fold gave.
    """

    probabilities: np.ndarray
    calibrated: np.ndarray | None
    sets: np.ndarray | None
    results: tuple[tuple[Fold, FoldResult], ...]


def predict_out_of_fold(
    procedure: Procedure,
    matrix: DesignMatrix,
    folds: Folds,
    *,
    workers: int = 1,
    fold_done: FoldDone = lambda: None,
) -> Predictions:
    """Run a procedure on every fold.

    Raises
    ------
    StudyError
        If matrix and folds do not hold the same patients in the same order.
    """
    check_patients(matrix, folds)
    classes = np.unique(matrix.labels)
    fit = partial(run_fold, procedure, matrix, classes)
    results = cross_validate(folds, fit, workers=workers, fold_done=fold_done)
    shape = (*folds.test_fold.shape, len(classes))
    probabilities = np.full(shape, np.nan)
    has_sets = procedure.calibration is not None
    calibrated = np.full(shape[1:], np.nan) if has_sets else None
    sets = np.zeros(shape[1:], dtype=bool) if has_sets else None
    for fold, result in results:
        probabilities[fold.repeat, fold.test] = result.probabilities
        if calibrated is not None and result.calibrated is not None:
            calibrated[fold.test] = result.calibrated
        if sets is not None and result.sets is not None:
            sets[fold.test] = result.sets
    return Predictions(probabilities, calibrated, sets, tuple(results))
