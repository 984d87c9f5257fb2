"""Steps of a recipe that learn from patients, and so are fitted inside the training fold.

    training fold -> fit -> transform of any patient

sklearn transformers on arrays; no step sees the label unless its docstring says so.
"""

from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted


class RareColumnFilter(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Drop columns that set too few training patients apart to be learned from.

    A column stays if at least ``min_patients`` training patients lie above its lowest and as many
    below its highest value: a gene mutated in two patients goes, and so does a gene mutated in
    all but two. Missing values count on neither side. If no column varies enough, all stay: a tree
    model then predicts the class shares, where one without columns could not be fitted.

    Parameters
    ----------
    min_patients
        Patients needed on either side.

    Attributes
    ----------
    support_ : (p,) array of bool
        Columns that stay.
    """

    def __init__(self, *, min_patients: int = 3) -> None:
        self.min_patients = min_patients

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: N803, sklearn's name
        """Learn which columns vary.

        Parameters
        ----------
        X : (n, p) data frame of float
            Training patients; NaN is missing.
        y
            Ignored.
        """
        del y
        self.support_ = varying(_float32(X), self.min_patients)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n, kept) float32 array of the columns that stay."""
        check_is_fitted(self)
        return np.compress(self.support_, _float32(X), axis=1)

    def get_feature_names_out(self, input_features: np.ndarray) -> np.ndarray:
        """(kept,) names of the columns that stay."""
        return np.compress(self.support_, np.asarray(input_features, dtype=object))


def varying(values: np.ndarray, min_patients: int) -> np.ndarray:
    """(p,) mask of the columns that set at least ``min_patients`` apart; of all, if none does.

    Parameters
    ----------
    values : (n, p) array of float
        NaN is missing.
    min_patients
        Patients needed above the lowest and below the highest value.
    """
    above = (values > np.fmin.reduce(values, axis=0)).sum(axis=0)
    below = (values < np.fmax.reduce(values, axis=0)).sum(axis=0)
    varies = np.minimum(above, below) >= min_patients
    return np.asarray(varies | ~varies.any())


def _float32(features: pd.DataFrame) -> np.ndarray:
    # scikit-learn's own validation looks at the type of each column, which for tens of thousands
    # of genes takes longer than the fit; the design matrix is float32 in one block already.
    return np.asarray(features, dtype=np.float32)
