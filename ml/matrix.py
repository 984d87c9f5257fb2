"""What a fitted step takes in: a matrix of numbers, and of those that are read counts.

    data frame or array -> float_matrix -> count_matrix -> library_sizes

Checks only; what is learned from the numbers is in :mod:`ml.normalize` and :mod:`ml.preprocess`.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from oncoframe.errors import ImpossibleValue

#: Tables of whole numbers become the first.
_FLOATS = (np.float64, np.float32)


class ImpossibleCounts(ImpossibleValue, ValueError):
    """Values that no sequencing gives; a ValueError too, as scikit-learn's callers expect."""


def float_matrix(
    step: BaseEstimator,
    X: pd.DataFrame | npt.ArrayLike,  # noqa: N803, sklearn's name
    *,
    reset: bool,
) -> np.ndarray:
    """(n, p) array of float32 or float64, its columns checked against those of the fit.

    scikit-learn's own way looks at the type of each column of a data frame, which for tens of
    thousands of genes takes longer than the fit; a design matrix is one block of float32 already.

    Parameters
    ----------
    step
        Transformer whose input it is.
    X
        Patients x columns; NaN is missing.
    reset
        Whether the transformer is being fitted.

    Raises
    ------
    ValueError, TypeError
        If it is no matrix of numbers, or has other columns than at the fit.
    """
    values = check_array(
        X.to_numpy() if isinstance(X, pd.DataFrame) else X,
        dtype=_FLOATS,
        ensure_all_finite=False,
        estimator=step,
    )
    validate_data(step, X, reset=reset, skip_check_array=True)
    return np.asarray(values)


def count_matrix(
    step: BaseEstimator,
    X: pd.DataFrame | npt.ArrayLike,  # noqa: N803, sklearn's name
    *,
    reset: bool,
) -> np.ndarray:
    """As :func:`float_matrix`, of read counts; NaN where a gene was not measured.

    Raises
    ------
    ImpossibleCounts
        If a count is negative or infinite.
    ValueError, TypeError
        As :func:`float_matrix`.
    """
    counts = float_matrix(step, X, reset=reset)
    if np.isinf(counts).any():
        raise ImpossibleCounts("a count is infinity", expected="finite numbers")
    if (counts < 0).any():
        raise ImpossibleCounts(
            "Negative values in data", expected="reads", hint="Logarithms are no counts."
        )
    return counts


def library_sizes(counts: np.ndarray, *, allow_none: bool = False) -> np.ndarray:
    """(n,) reads of each patient; NaN for a row of NaN, which is a patient without the assay.

    Parameters
    ----------
    counts : (n, p) array of float
        As :func:`count_matrix` returns them.
    allow_none
        Whether it may be that nobody has the assay.

    Raises
    ------
    ImpossibleCounts
        If a patient has no read, or nobody has the assay.
    """
    assayed = ~np.isnan(counts).all(axis=1)
    if not (assayed.any() or allow_none):
        raise ImpossibleCounts("no patient of the fold has counts")
    libraries = np.where(assayed, np.nansum(counts, axis=1, dtype=np.float64), np.nan)
    empty = int((libraries == 0).sum())
    if empty:
        raise ImpossibleCounts(
            "a patient has no read of any gene", expected="counts", got=f"{empty} such patients"
        )
    return libraries
