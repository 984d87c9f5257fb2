"""Models that know which columns belong to which assay, and which assays a patient had.

    columns by modality -> a model each -> LateFusion (calibrated average) | Stacking
    training fold + copies with an assay taken away -> ModalityDropout -> any model

An assay that was not performed is an input: late fusion averages over what there is, stacking sees
the flags, dropout trains for it. No patient is left out for a missing assay.
"""

from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from ml.evaluation.calibrators import fit_temperature
from ml.pipelines.inner_folds import aligned_probabilities, out_of_fold_within
from ml.pipelines.meta_estimator import Wrapper
from oncoframe.columns import Column

#: Folds within the training fold that give the second level its predictions.
INNER_FOLDS = 3
#: Patients with an assay without whom its model is not fitted.
MIN_PERFORMED = 10


class _PerModality(Wrapper):
    """What models per modality share: their columns, their patients, their predictions."""

    views: Mapping[str, str]
    random_state: int

    def _fit_models(self, X: pd.DataFrame, y: np.ndarray) -> dict[str, np.ndarray]:  # noqa: N803
        """Fit a model per modality on the patients who had the assay.

        Gives the (n, k) predictions of the training patients by models that never saw them, per
        modality; NaN for patients without the assay.
        """
        self.classes_ = np.unique(y)
        self.models_, inner = {}, {}
        for modality, columns in _columns_by_modality(X.columns, self.views):
            part = X.loc[:, columns]
            had = performed(part)
            if had.sum() < MIN_PERFORMED or len(np.unique(y[had])) < 2:  # noqa: PLR2004
                continue
            predicted = np.full((len(y), len(self.classes_)), np.nan)
            predicted[had] = out_of_fold_within(
                self.estimator, part[had], y[had], self.classes_, INNER_FOLDS, self.random_state
            )
            inner[modality] = predicted
            self.models_[modality] = clone(self.estimator).fit(part[had], y[had])
        self.shares_ = np.array([(y == name).mean() for name in self.classes_])
        return inner

    def _predict_models(self, X: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:  # noqa: N803
        """Modality and (n, k) probabilities, NaN for patients without the assay."""
        check_is_fitted(self)
        for modality, columns in _columns_by_modality(X.columns, self.views):
            if modality in self.models_:
                part = X.loc[:, columns]
                had = performed(part)
                predicted = np.full((len(X), len(self.classes_)), np.nan)
                if had.any():
                    model = self.models_[modality]
                    predicted[had] = aligned_probabilities(model, part[had], self.classes_)
                yield modality, predicted


class LateFusion(_PerModality):
    """Average of the calibrated probabilities of one model per modality.

    A patient without an assay gets the average of the others; one without any, the class shares
    of the training fold.

    Parameters
    ----------
    estimator
        Model of one modality's columns.
    views
        Feature table -> modality.
    random_state
        Of the inner folds.

    Attributes
    ----------
    models_, calibrations_ : dict
        Modality -> its fitted model, and what makes its probabilities comparable.
    classes_ : (k,) array of str
        Sorted class names.
    """

    def __init__(
        self, estimator: BaseEstimator, *, views: Mapping[str, str], random_state: int = 0
    ) -> None:
        self.estimator = estimator
        self.views = views
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:  # noqa: N803, sklearn's name
        """Fit the models and their calibration on training patients."""
        self.calibrations_ = {}
        for modality, predicted in self._fit_models(X, y).items():
            had = np.isfinite(predicted[:, 0])
            truth = np.searchsorted(self.classes_, y[had])
            self.calibrations_[modality] = fit_temperature(predicted[had], truth)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n, k) probabilities in the order of ``classes_``."""
        check_is_fitted(self)
        total = np.zeros((len(X), len(self.classes_)))
        count = np.zeros((len(X), 1))
        for modality, predicted in self._predict_models(X):
            had = np.isfinite(predicted[:, 0])
            total[had] += self.calibrations_[modality].apply(predicted[had])
            count[had] += 1
        return np.where(count > 0, total / np.maximum(count, 1), self.shares_)


class Stacking(_PerModality):
    """Logistic regression on what one model per modality predicts out of fold.

    The second level sees the logarithms of the probabilities, centred per modality (0 where the
    assay was not performed), and one flag per modality.

    Parameters
    ----------
    estimator
        Model of one modality's columns.
    views
        Feature table -> modality.
    regularization
        Inverse strength of the second level's L2 penalty.
    random_state
        Of the inner folds.

    Attributes
    ----------
    models_ : dict
        Modality -> its fitted model.
    combine_
        The second level.
    classes_ : (k,) array of str
        Sorted class names.

    References
    ----------
    Wolpert D. Stacked generalization. Neural Netw 1992;5:241-259.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        views: Mapping[str, str],
        regularization: float = 0.03,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.views = views
        self.regularization = regularization
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:  # noqa: N803, sklearn's name
        """Fit the models, then the second level on their out-of-fold predictions."""
        evidence = _evidence(list(self._fit_models(X, y).values()), len(X))
        self.combine_ = LogisticRegression(C=self.regularization, max_iter=1000).fit(evidence, y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n, k) probabilities in the order of ``classes_``."""
        evidence = _evidence([predicted for _, predicted in self._predict_models(X)], len(X))
        return np.asarray(self.combine_.predict_proba(evidence))


class ModalityDropout(Wrapper):
    """Model trained also on copies of patients with one assay taken away.

    Parameters
    ----------
    estimator
        Classifier of a design matrix.
    views
        Feature table -> modality.
    share
        Of the training patients that are copied.
    random_state
        Which patients, and which of their assays.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        views: Mapping[str, str],
        share: float = 0.3,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.views = views
        self.share = share
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:  # noqa: N803, sklearn's name
        """Copy, take away, fit."""
        rng = np.random.default_rng(self.random_state)
        groups = list(_columns_by_modality(X.columns, self.views))
        chosen = rng.permutation(len(X))[: int(self.share * len(X))]
        taken = rng.integers(len(groups), size=len(chosen)) if groups else np.empty(0)
        copies = [
            without(X.iloc[chosen[taken == number]], columns)
            for number, (_, columns) in enumerate(groups)
        ]
        order = [chosen[taken == number] for number in range(len(groups))]
        everybody = pd.concat([X, *(copy for copy in copies if len(copy))], ignore_index=True)
        labels = np.concatenate([y, *(y[rows] for rows in order)])
        self.estimator_ = clone(self.estimator).fit(everybody, labels)
        self.classes_ = self.estimator_.classes_
        return self


def performed(part: pd.DataFrame) -> np.ndarray:
    """(n,) mask of the patients who had the assay of some columns of one modality.

    By its flag, or, where the flag is not among the columns, by any known value.
    """
    flags = np.array([name.endswith("_performed") for name in part.columns], dtype=bool)
    if flags.any():
        return np.asarray((part.loc[:, flags].to_numpy(np.float32) > 0).any(axis=1))
    return np.asarray(part.notna().any(axis=1))


def without(part: pd.DataFrame, columns: np.ndarray) -> pd.DataFrame:
    """Copy of a design matrix as if an assay had not been performed.

    Parameters
    ----------
    columns : (p,) array of bool
        Columns of the assay, its flag among them.
    """
    text = part.dtypes.to_numpy() == np.dtype(object)
    flags = np.array([name.endswith("_performed") for name in part.columns], dtype=bool)
    # As one matrix: setting columns one by one takes seconds for tens of thousands of genes.
    numbers = part.loc[:, ~text].to_numpy(np.float32, copy=True)
    numbers[:, (columns & ~flags)[~text]] = np.nan
    numbers[:, (columns & flags)[~text]] = 0
    copy = pd.DataFrame(numbers, index=part.index, columns=part.columns[~text], copy=False)
    for name in part.columns[text]:
        copy[name] = part[name]
    for name in part.columns[text & columns]:
        copy[name] = None
    return copy[list(part.columns)] if text.any() else copy


def _columns_by_modality(
    names: pd.Index, views: Mapping[str, str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Modality and mask of its columns, in the order of the matrix."""
    of = np.array([views.get(Column.parse(name).table, "") for name in names], dtype=object)
    for modality in dict.fromkeys(of):
        if modality:
            yield str(modality), of == modality


def _evidence(predicted: list[np.ndarray], patients: int) -> np.ndarray:
    """(n, modalities * (k + 1)) centred log probabilities and a flag of each modality."""
    parts = []
    for probabilities in predicted:
        logs = np.log(np.clip(probabilities, 1e-4, None))
        centred = logs - logs.mean(axis=1, keepdims=True)
        parts += [np.nan_to_num(centred), np.isfinite(probabilities[:, :1])]
    return np.hstack(parts) if parts else np.zeros((patients, 1))
