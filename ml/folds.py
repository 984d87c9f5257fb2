"""Cross-validation: which patient is tested in which fold, and what was predicted of them there.

    patients, labels -> assign_folds -> Folds -> out_of_fold -> probabilities

Folds depend on patients, labels and seed only, never on the features: every recipe and modality
set is tested on the same ones, so their results are paired.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from assets.errors import StudyError
from ml.design_matrix import DesignMatrix
from ml.study import CrossValidation

#: Called after each fitted fold.
FoldDone = Callable[[], None]


@dataclass(frozen=True)
class Folds:
    """Test fold of every patient in every repeat.

    Parameters
    ----------
    patient_ids : (n,) array of str
        Sorted.
    test_fold : (repeats, n) array of int
        Fold, from 0, in which a patient is tested; each is tested once per repeat.
    """

    patient_ids: np.ndarray
    test_fold: np.ndarray

    def table(self) -> pl.DataFrame:
        """One row per patient: ``patient_id`` and ``repeat_<r>`` with the fold."""
        columns = {f"repeat_{r}": folds for r, folds in enumerate(self.test_fold)}
        return pl.DataFrame({"patient_id": self.patient_ids, **columns})


def assign_folds(patient_ids: np.ndarray, labels: np.ndarray, plan: CrossValidation) -> Folds:
    """Stratified folds of patients.

    Parameters
    ----------
    patient_ids : (n,) array of str
        Sorted, one row each.
    labels : (n,) array of str
        Their classes.
    plan
        Folds, repeats and seed.

    Raises
    ------
    StudyError
        If a patient occurs twice, patients are not sorted, there is one class only, or a class
        has fewer patients than there are folds.
    """
    if (patient_ids[:-1] >= patient_ids[1:]).any():
        raise StudyError("splitting by patient needs sorted rows, one per patient")
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:
        raise StudyError("a classifier needs two classes or more", got=f"only {classes[0]}")
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


def out_of_fold(
    recipe: Pipeline,
    matrix: DesignMatrix,
    folds: Folds,
    *,
    workers: int = 1,
    fold_done: FoldDone = lambda: None,
) -> np.ndarray:
    """Class probabilities of every patient by models that never saw them.

    The recipe is cloned for each fold, which drops whatever was fitted before, and fitted on the
    training patients as a whole.

    Parameters
    ----------
    recipe
        Pipeline with every fitted step inside.
    matrix
        Features and labels; its patients are those of ``folds``.
    folds
        Who is tested where.
    workers
        Folds fitted side by side, as threads: LightGBM computes outside the interpreter lock.
    fold_done
        Called after each fold.

    Returns
    -------
    (repeats, n, k) array of float
        Probabilities, classes in sorted order.

    Raises
    ------
    StudyError
        If matrix and folds do not hold the same patients in the same order.
    """
    if not np.array_equal(matrix.patient_ids, folds.patient_ids):
        raise StudyError("the folds are those of other patients than the matrix holds")
    jobs = [
        (repeat, fold)
        for repeat, row in enumerate(folds.test_fold)
        for fold in range(int(row.max()) + 1)
    ]

    def fit_and_predict(job: tuple[int, int]) -> np.ndarray:
        tested = folds.test_fold[job[0]] == job[1]
        model = clone(recipe).fit(matrix.features[~tested], matrix.labels[~tested])
        return np.asarray(model.predict_proba(matrix.features[tested]))

    shape = (*folds.test_fold.shape, len(np.unique(matrix.labels)))
    probabilities = np.empty(shape)
    with ThreadPoolExecutor(workers) as pool:
        for (repeat, fold), predicted in zip(jobs, pool.map(fit_and_predict, jobs), strict=True):
            probabilities[repeat, folds.test_fold[repeat] == fold] = predicted
            fold_done()
    return probabilities
