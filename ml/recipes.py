"""Recipes: unfitted sklearn pipelines from a design matrix to class probabilities.

    name in the study file -> recipe -> Pipeline (every fitted step inside) -> cross-validation

A recipe is built anew for each training fold, so nothing in it can have seen a test patient.
"""

from typing import Self

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from assets.errors import StudyError
from ml.preprocess import RareColumnFilter, varying

RECIPES = ("lightgbm",)

#: A column is worth looking at if it sets this many training patients apart.
MIN_PATIENTS = 3


def build_recipe(name: str, *, seed: int) -> Pipeline:
    """Unfitted pipeline of a recipe.

    Raises
    ------
    StudyError
        If there is no recipe of this name.
    """
    if name not in RECIPES:
        raise StudyError(f"there is no recipe {name}", expected=f"one of {', '.join(RECIPES)}")
    return lightgbm_recipe(seed=seed)


def worth_storing(features: pd.DataFrame) -> pd.DataFrame:
    """Columns that a recipe fitted on these patients does not drop at once.

    The model of all patients is fitted on them, so that its signature names what it uses and not
    every gene of the dictionary. Not for cross-validation, where each training fold decides.

    Parameters
    ----------
    features : (n, p) data frame
        Of a design matrix.
    """
    keep = is_category(features)
    numbers = ~keep
    if numbers.any():
        keep[numbers] = varying(features.loc[:, numbers].to_numpy(), MIN_PATIENTS)
    return features.loc[:, keep]


def lightgbm_recipe(*, seed: int) -> Pipeline:
    """Gradient-boosted trees for few patients, many columns and classes of very different size.

    Trees are small, split thresholds drawn at random and a third of the columns offered to each:
    with hundreds of patients and thousands of correlated genes, exhaustive split search mostly
    finds noise. One thread per model: folds run side by side instead, and results repeat exactly.

    Parameters
    ----------
    seed
        Of the column, patient and threshold draws.

    References
    ----------
    Ke G et al. LightGBM: a highly efficient gradient boosting decision tree. NeurIPS 2017.
    Geurts P et al. Extremely randomized trees. Mach Learn 2006;63:3-42.
    """
    trees = lgb.LGBMClassifier(
        n_estimators=60,
        learning_rate=0.1,
        num_leaves=6,
        min_child_samples=5,
        extra_trees=True,
        colsample_bytree=0.3,
        subsample=0.8,
        subsample_freq=1,
        reg_lambda=1.0,
        max_bin=63,
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        force_col_wise=True,
        verbose=-1,
    )
    return Pipeline(
        [("encode", _encoder()), ("model", ClassWeighted(trees, power=0.5))],
    )


def _encoder() -> ColumnTransformer:
    """Varying numbers, and one flag per category that five training patients share."""
    categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=5,
        sparse_output=False,
        dtype=np.float32,
    )
    return ColumnTransformer(
        [
            ("numbers", RareColumnFilter(min_patients=MIN_PATIENTS), is_number),
            ("categories", categories, is_category),
        ],
        verbose_feature_names_out=False,
    )


def is_number(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the numeric columns of a design matrix."""
    # A mask, because scikit-learn looks up names one by one: quadratic in the columns.
    return ~is_category(features)


def is_category(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the text columns of a design matrix."""
    return np.asarray(features.dtypes.to_numpy() == np.dtype(object))


class ClassWeighted(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Classifier fitted with patient weights that lift rare classes.

    A patient of a class with n training patients weighs ``n ** -power``, scaled to mean 1 per
    class. 0 is no weighting, 1 gives all classes one total weight. At 0.5 the total weight still
    grows with the class: patients whom the features cannot tell apart go to the larger class,
    where full balancing would send them to the smallest.

    Parameters
    ----------
    estimator
        Classifier whose ``fit`` takes ``sample_weight``.
    power
        From 0 to 1.

    Attributes
    ----------
    estimator_
        The fitted classifier.
    classes_ : (k,) array of str
        Sorted class names.
    """

    def __init__(self, estimator: BaseEstimator, *, power: float = 0.5) -> None:
        self.estimator = estimator
        self.power = power

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:  # noqa: N803, sklearn's name
        """Fit on training patients.

        Parameters
        ----------
        X : (n, p) array
            Features.
        y : (n,) array of str
            Classes.
        """
        self.classes_, positions, counts = np.unique(y, return_inverse=True, return_counts=True)
        weights = (counts.mean() / counts) ** self.power
        self.estimator_ = clone(self.estimator).fit(X, y, sample_weight=weights[positions])
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n, k) probabilities in the order of ``classes_``."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict_proba(X))

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n,) most probable classes."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
