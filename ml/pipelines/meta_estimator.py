"""What classifiers around other classifiers share: how they answer.

fitted estimator_, classes_ -> predict_proba -> predict
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils.validation import check_is_fitted


class Wrapper(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Base of a classifier whose ``fit`` fits others, and learns the sorted ``classes_``.

    It answers as its ``estimator_`` does; one that combines several has a ``predict_proba`` of its
    own. X is a data frame of a design matrix or an array, whichever ``fit`` takes.
    """

    estimator: BaseEstimator
    estimator_: BaseEstimator
    classes_: np.ndarray

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n, k) probabilities in the order of ``classes_``."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803, sklearn's name
        """(n,) most probable classes."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
