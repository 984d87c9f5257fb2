"""All that is learned from a training fold: settings, model, calibration, prediction sets.

    training patients -> search -> settings -> inner out-of-fold -> calibrator, thresholds
                      -> model                                   -> probabilities, sets of the rest

A :class:`Procedure` is what cross-validation judges and what is then fitted on all patients. It is
handed training patients only; nothing it chooses can have seen a tested one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from ml.evaluation.calibrators import Choice, choose_calibrator, mean_log_loss
from ml.evaluation.conformal import ClassThresholds, fit_thresholds
from ml.explain.shapley import Contributions, contributions, is_explainable
from ml.frames.design_matrix import DesignMatrix
from ml.pipelines.inner_folds import aligned_probabilities, out_of_fold_within
from ml.pipelines.recipes import Input, build_recipe, space_of, starting_settings
from ml.study.modelling import Calibration, Conformal, Recipe
from ml.training.folds import Fold, FoldDone, Folds, check_patients, cross_validate
from ml.training.results import Found

#: Repeat of the cross-validation in which calibration, sets and explanations are judged: every
#: patient is tested in it once.
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
    inner : (n, k) array, optional
        What models of parts of the training patients said of the others among them.
    contributions
        Of boosters, in the judged repeat.
    """

    probabilities: np.ndarray
    found: Found
    inner: np.ndarray | None = None
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
    is_judged = fold.repeat == JUDGED_REPEAT
    explained = None
    if is_judged and is_explainable(model):
        explained = contributions(model, asked, classes)
    inner = None
    if procedure.calibration is not None:
        folds = procedure.calibration.inner_folds
        inner = out_of_fold_within(estimator, features, labels, classes, folds, procedure.seed)
    return FoldResult(said, found, inner, explained)


def learn_from_inner(
    inner: np.ndarray,
    labels: np.ndarray,
    classes: np.ndarray,
    conformal: Conformal,
    *,
    is_calibrated: bool = True,
) -> tuple[Choice, ClassThresholds]:
    """Calibrator and thresholds from predictions of patients by models that never saw them.

    Parameters
    ----------
    is_calibrated
        False: the probabilities stay as they are.
    """
    truth = np.searchsorted(classes, labels)
    choice = choose_calibrator(inner, truth) if is_calibrated else Choice()
    return choice, fit_thresholds(choice.calibrator.apply(inner), truth, conformal)


@dataclass(frozen=True)
class Predictions:
    """Out-of-fold answers for a whole frame.

    Parameters
    ----------
    probabilities : (repeats, n, k) array
        As the models give them; NaN for patients who are never tested.
    calibrated : (repeats, n, k) array, optional
    sets : (n, k) array of bool, optional
        In the judged repeat.
    is_calibrated
        False: what the folds chose made the log loss worse, and was left out.
    results
        What each fold gave.
    """

    probabilities: np.ndarray
    calibrated: np.ndarray | None
    sets: np.ndarray | None
    is_calibrated: bool
    results: tuple[tuple[Fold, FoldResult], ...]

    @property
    def answers(self) -> np.ndarray:
        """(repeats, n, k) probabilities as the stored model would answer."""
        return self.probabilities if self.calibrated is None else self.calibrated


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
    results = tuple(cross_validate(folds, fit, workers=workers, fold_done=fold_done))
    probabilities = np.full((*folds.test_fold.shape, len(classes)), np.nan)
    for fold, result in results:
        probabilities[fold.repeat, fold.test] = result.probabilities
    if procedure.calibration is None:
        return Predictions(probabilities, None, None, False, results)
    judge = partial(_judge, procedure, matrix.labels, classes, results, probabilities)
    calibrated, sets = judge(is_calibrated=True)
    tested, truth = folds.tested, np.searchsorted(classes, matrix.labels)
    before, after = (
        mean_log_loss(said[:, tested].reshape(-1, len(classes)), np.tile(truth[tested], len(said)))
        for said in (probabilities, calibrated)
    )
    if after > before:
        # The choice is between two ways only, so that its being made here flatters little.
        calibrated, sets = judge(is_calibrated=False)
    return Predictions(probabilities, calibrated, sets, after <= before, results)


def _judge(
    procedure: Procedure,
    labels: np.ndarray,
    classes: np.ndarray,
    results: Sequence[tuple[Fold, FoldResult]],
    probabilities: np.ndarray,
    *,
    is_calibrated: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """(repeats, n, k) calibrated probabilities, and the (n, k) sets of the judged repeat."""
    calibrated = np.full(probabilities.shape, np.nan)
    sets = np.zeros(probabilities.shape[1:], dtype=bool)
    for fold, result in results:
        if result.inner is None:
            continue
        choice, thresholds = learn_from_inner(
            result.inner, labels[fold.train], classes, procedure.conformal,
            is_calibrated=is_calibrated,
        )  # fmt: skip
        said = choice.calibrator.apply(result.probabilities)
        calibrated[fold.repeat, fold.test] = said
        if fold.repeat == JUDGED_REPEAT:
            sets[fold.test] = thresholds.sets(said)
    return calibrated, sets
