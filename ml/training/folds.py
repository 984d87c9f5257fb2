"""Cross-validation: which patient is tested in which fold, and what was predicted of them there.

    patients, labels, sites, times -> assign_folds -> Folds -> cross_validate -> answers

Folds depend on patients, labels, sites, times and seed only, never on the features: every recipe
and modality set is tested on the same ones, so their results are paired.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import StratifiedKFold

from ml.frames.design_matrix import DesignMatrix
from ml.pipelines.inner_folds import aligned_probabilities
from ml.study.modelling import CrossValidation
from oncoframe.errors import StudyError

#: Called after each fitted fold.
FoldDone = Callable[[], None]

#: Fold of a patient who is never tested.
NEVER = -1

Result = TypeVar("Result")


@dataclass(frozen=True)
class Fold:
    """One split: models are fitted on ``train`` and asked about ``test``.

    Parameters
    ----------
    repeat, number
        Which repeat of the cross-validation, and which fold of it, from 0.
    train, test : (n,) arrays of bool
        Disjoint.
    """

    repeat: int
    number: int
    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Folds:
    """Test fold of every patient in every repeat.

    Parameters
    ----------
    patient_ids : (n,) array of str
        Sorted.
    test_fold : (repeats, n) array of int
        Fold, from 0, in which a patient is tested, at most once per repeat; :data:`NEVER` for the
        earliest patients of a split in time.
    in_time
        Whether a fold is predicted by models of the folds before it, not of all others.
    """

    patient_ids: np.ndarray
    test_fold: np.ndarray
    in_time: bool = False

    @property
    def tested(self) -> np.ndarray:
        """(n,) mask of the patients who are tested."""
        return np.asarray((self.test_fold >= 0).all(axis=0))

    def __iter__(self) -> Iterator[Fold]:
        for repeat, row in enumerate(self.test_fold):
            for number in range(int(row.max()) + 1):
                train = row < number if self.in_time else row != number
                yield Fold(repeat, number, train, row == number)

    def __len__(self) -> int:
        return int((self.test_fold.max(axis=1) + 1).sum())

    def table(self) -> pl.DataFrame:
        """One row per patient: ``patient_id`` and ``repeat_<r>`` with the fold."""
        columns = {f"repeat_{r}": folds for r, folds in enumerate(self.test_fold)}
        return pl.DataFrame({"patient_id": self.patient_ids, **columns})


def assign_folds(
    patient_ids: np.ndarray,
    labels: np.ndarray,
    plan: CrossValidation,
    *,
    sites: np.ndarray | None = None,
    times: np.ndarray | None = None,
) -> Folds:
    """Folds of patients, stratified by class where patients are split at random.

    Parameters
    ----------
    patient_ids : (n,) array of str
        Sorted, one row each.
    labels : (n,) array of str
        Their classes.
    plan
        Folds, repeats, seed, and what is kept together.
    sites : (n,) array of str, optional
        For a split by site.
    times : (n,) array of datetime64, optional
        Index times, for a split in time.

    Raises
    ------
    StudyError
        If a patient occurs twice, patients are not sorted, there is one class only, a class has
        fewer patients than there are folds, or sites or times are missing or too few.
    """
    if (patient_ids[:-1] >= patient_ids[1:]).any():
        raise StudyError("splitting by patient needs sorted rows, one per patient")
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:
        raise StudyError("a classifier needs two classes or more", got=f"only {classes[0]}")
    if plan.split == "site":
        return Folds(patient_ids, _by_site(sites, plan))
    if plan.split == "time":
        return Folds(patient_ids, _in_time(times, plan), in_time=True)
    if counts.min() < plan.folds:
        raise StudyError(
            f"class {classes[counts.argmin()]} has fewer patients than there are folds",
            expected=f"at least {plan.folds}",
            got=str(counts.min()),
        )
    test_fold = np.empty((plan.repeats, len(labels)), dtype=np.int64)
    for repeat in range(plan.repeats):
        splitter = StratifiedKFold(plan.folds, shuffle=True, random_state=plan.seed + repeat)
        for fold, (_, test) in enumerate(splitter.split(patient_ids, labels)):
            test_fold[repeat, test] = fold
    return Folds(patient_ids, test_fold)


def _by_site(sites: np.ndarray | None, plan: CrossValidation) -> np.ndarray:
    """(repeats, n) folds of whole sites, as even in patients as the sites allow."""
    if sites is None:
        raise StudyError(
            "the frame does not say where patients were seen",
            hint="Build it again: oncoframe frame build.",
        )
    names, site, sizes = np.unique(sites, return_inverse=True, return_counts=True)
    if len(names) < plan.folds:
        raise StudyError(
            "there are fewer sites than folds", expected=f"{plan.folds}", got=str(len(names))
        )
    test_fold = np.empty((plan.repeats, len(sites)), dtype=np.int64)
    for repeat in range(plan.repeats):
        shuffled = np.random.default_rng(plan.seed + repeat).permutation(len(names))
        of_site, filled = np.empty(len(names), dtype=np.int64), np.zeros(plan.folds)
        for chosen in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
            of_site[chosen] = filled.argmin()
            filled[of_site[chosen]] += sizes[chosen]
        test_fold[repeat] = of_site[site]
    return test_fold


def _in_time(times: np.ndarray | None, plan: CrossValidation) -> np.ndarray:
    """(1, n) folds in the order of time; patients of one moment are in one fold."""
    if times is None:
        raise StudyError("a split in time needs the index time of every patient")
    # One block more than folds: the first one has nobody before it to learn from.
    rank = np.searchsorted(np.sort(times), times)
    blocks = rank * (plan.folds + 1) // len(times) - 1
    if len(np.unique(blocks)) <= plan.folds:
        raise StudyError(
            "too many patients share an index time to split in time",
            expected=f"{plan.folds + 1} periods",
            got=str(len(np.unique(blocks))),
        )
    return blocks[np.newaxis]


def cross_validate(
    folds: Folds,
    fit: Callable[[Fold], Result],
    *,
    workers: int = 1,
    fold_done: FoldDone = lambda: None,
) -> list[tuple[Fold, Result]]:
    """What each fold gave, in the order of the folds.

    Parameters
    ----------
    fit
        Fits whatever there is to fit on ``fold.train`` and answers for ``fold.test``.
    workers
        Folds fitted side by side, as threads: LightGBM, XGBoost and NumPy compute outside the
        interpreter lock.
    fold_done
        Called after each fold.
    """
    results = []
    with ThreadPoolExecutor(workers) as pool:
        for fold, result in zip(folds, pool.map(fit, folds), strict=True):
            results.append((fold, result))
            fold_done()
    return results


def out_of_fold(
    recipe: BaseEstimator,
    matrix: DesignMatrix,
    folds: Folds,
    *,
    workers: int = 1,
    fold_done: FoldDone = lambda: None,
) -> np.ndarray:
    """Class probabilities of every tested patient by models that never saw them.

    Parameters
    ----------
    recipe
        Unfitted estimator with every fitted step inside; cloned for each fold.
    matrix
        Features and labels; its patients are those of ``folds``.
    folds
        Who is tested where.
    workers, fold_done
        As :func:`cross_validate`.

    Returns
    -------
    (repeats, n, k) array of float
        Probabilities, classes in sorted order; NaN for patients who are never tested.

    Raises
    ------
    StudyError
        If the recipe was fitted before, or matrix and folds do not hold the same patients in the
        same order.
    """
    refuse_fitted(recipe)
    check_patients(matrix, folds)
    classes = np.unique(matrix.labels)

    def fit(fold: Fold) -> np.ndarray:
        model = clone(recipe).fit(matrix.features[fold.train], matrix.labels[fold.train])
        return aligned_probabilities(model, matrix.features[fold.test], classes)

    probabilities = np.full((*folds.test_fold.shape, len(classes)), np.nan)
    for fold, predicted in cross_validate(folds, fit, workers=workers, fold_done=fold_done):
        probabilities[fold.repeat, fold.test] = predicted
    return probabilities


def check_patients(matrix: DesignMatrix, folds: Folds) -> None:
    """Refuse a matrix of other patients than the folds: resampled or filtered before the split.

    Raises
    ------
    StudyError
        If they are not the same patients in the same order.
    """
    if not np.array_equal(matrix.patient_ids, folds.patient_ids):
        raise StudyError("the folds are those of other patients than the matrix holds")


def refuse_fitted(recipe: BaseEstimator) -> None:
    """Refuse a recipe of which a step has seen patients already.

    Raises
    ------
    StudyError
        If it, or an estimator inside it, is fitted.
    """
    parts = [recipe, *(v for v in recipe.get_params().values() if isinstance(v, BaseEstimator))]
    for part in parts:
        fitted = [name for name in vars(part) if name.endswith("_") and not name.startswith("_")]
        if fitted:
            raise StudyError(
                "a step of the recipe was fitted outside the training fold",
                got=f"a fitted {type(part).__name__}",
                hint="Hand over the recipe unfitted; each fold fits its own.",
            )
