"""Folds within a training fold, for whatever is fitted on predictions or chosen by them.

    training patients -> spread -> out_of_fold_within -> probabilities of models that never saw them

Classes may have fewer patients than there are folds here: they are spread as evenly as they can
be, and a model that never saw a class gives it no probability.
"""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone


def spread(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(n,) fold of each patient, from 0; every class is spread as evenly as it can be.

    Parameters
    ----------
    labels : (n,) array
        Classes.
    folds
        Number of folds.
    seed
        Of the shuffle within the classes.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return fold


def draw_by_class(labels: np.ndarray, patients: int, seed: int) -> np.ndarray:
    """(n,) mask of at most about ``patients`` patients, the shares of the classes kept."""
    if len(labels) <= patients:
        return np.ones(len(labels), dtype=bool)
    return np.asarray(spread(labels, int(np.ceil(len(labels) / patients)), seed) == 0)


def aligned_probabilities(
    model: BaseEstimator, features: pd.DataFrame, classes: np.ndarray
) -> np.ndarray:
    """(n, k) probabilities of a fitted model, 0 for classes that it never saw.

    Parameters
    ----------
    classes : (k,) array of str
        All classes, sorted.
    """
    probabilities = np.zeros((len(features), len(classes)))
    columns = np.searchsorted(classes, model.classes_)
    probabilities[:, columns] = model.predict_proba(features)
    return probabilities


def out_of_fold_within(
    estimator: BaseEstimator,
    features: pd.DataFrame,
    labels: np.ndarray,
    classes: np.ndarray,
    folds: int,
    seed: int,
) -> np.ndarray:
    """(n, k) probabilities of training patients by models that never saw them.

    Parameters
    ----------
    estimator
        Cloned for each fold.
    features, labels
        Training patients only.
    classes : (k,) array of str
        All classes, sorted.
    """
    fold = spread(labels, folds, seed)
    probabilities = np.empty((len(labels), len(classes)))
    for held_out in range(folds):
        tested = fold == held_out
        if tested.any():
            model = clone(estimator).fit(features[~tested], labels[~tested])
            probabilities[tested] = aligned_probabilities(model, features[tested], classes)
    return probabilities
