"""Steps of a recipe that learn from patients, and so are fitted inside the training fold.

    training fold -> fit -> transform of any patient

sklearn transformers on data frames and arrays, NaN where nothing is known; no step sees the label
unless its docstring says so. Which columns a step gets is said by a ``ColumnTransformer``, from
:attr:`ml.frames.design_matrix.DesignMatrix.modalities`. Counts are normalised by
:mod:`ml.pipelines.normalization`.
"""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ml.pipelines.normalization import float_matrix
from oncoframe.errors import StudyError
from oncoframe.modality import Fill

#: Columns looked at together: bounds the memory of a float64 copy.
_COLUMNS_AT_A_TIME = 4096


class AssayImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fill what is missing in a performed assay, and leave alone who did not have the assay.

    Parameters
    ----------
    fill
        ``zero``, or ``lowest``: the lowest training value of the column; of all columns, where
        the column has none. See :class:`~oncoframe.modality.ModalitySpec`.
    performed
        Column of X, by name or by position, that flags who had the assay, 1 or 0; never changed.
        None: who has any value.

    Attributes
    ----------
    fill_values_ : (p,) array of float
        What each column is filled with; NaN if the assay was performed on no training patient.
    n_features_in_, feature_names_in_
        Number of columns, and their names where they came with any.

    Notes
    -----
    A zero means "no read" before a logarithm, not after it: impute counts, then normalise.
    """

    def __init__(self, *, fill: Fill = "zero", performed: str | int | None = None) -> None:
        self.fill = fill
        self.performed = performed

    def fit(self, X: pd.DataFrame | npt.ArrayLike, y: object = None) -> Self:  # noqa: N803
        """Learn the lowest values.

        Parameters
        ----------
        X : (n, p) data frame or array
            Columns of one assay, its flag among them if ``performed`` names it.
        y
            Ignored.

        Raises
        ------
        StudyError
            If ``fill`` is another word, or X has no column ``performed``.
        """
        del y
        if self.fill not in ("zero", "lowest"):
            raise StudyError(f"there is no fill {self.fill}", expected="zero or lowest")
        values = float_matrix(self, X, reset=True)
        self._flag = None if self.performed is None else int(_positions(self, [self.performed])[0])
        known = values[self._assayed(values)]
        self.fill_values_ = np.zeros(values.shape[1], values.dtype)
        if not len(known):
            self.fill_values_ += np.nan
        elif self.fill == "lowest":
            lowest = np.fmin.reduce(known, axis=0)
            others = lowest if self._flag is None else np.delete(lowest, self._flag)
            lowest[np.isnan(lowest)] = np.fmin.reduce(others, initial=np.nan)
            self.fill_values_ = lowest
        return self

    def transform(self, X: pd.DataFrame | npt.ArrayLike) -> np.ndarray:  # noqa: N803
        """(n, p) array without NaN in the rows of patients who had the assay."""
        check_is_fitted(self)
        values = float_matrix(self, X, reset=False)
        missing = np.isnan(values) & self._assayed(values)[:, np.newaxis]
        return np.where(missing, self.fill_values_.astype(values.dtype), values)

    def _assayed(self, values: np.ndarray) -> np.ndarray:
        if self._flag is None:
            return np.asarray(~np.isnan(values).all(axis=1))
        return np.asarray(values[:, self._flag] == 1)

    def __sklearn_tags__(self) -> Tags:
        return _missing_allowed(super().__sklearn_tags__())


class _ColumnChoice(SelectorMixin, BaseEstimator):  # type: ignore[misc]
    """What steps that only leave out columns share: ``support_`` is the mask of those that stay."""

    support_: np.ndarray

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self.support_

    def transform(self, X: pd.DataFrame | npt.ArrayLike) -> np.ndarray:  # noqa: N803
        """(n, kept) array of the columns that stay, in their order."""
        check_is_fitted(self)
        return np.compress(self.support_, float_matrix(self, X, reset=False), axis=1)

    def __sklearn_tags__(self) -> Tags:
        return _missing_allowed(super().__sklearn_tags__())


class RareColumnFilter(_ColumnChoice):
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
    n_features_in_, feature_names_in_
        Number of columns, and their names where they came with any.
    """

    def __init__(self, *, min_patients: int = 3) -> None:
        self.min_patients = min_patients

    def fit(self, X: pd.DataFrame | npt.ArrayLike, y: object = None) -> Self:  # noqa: N803
        """Learn which columns vary.

        Parameters
        ----------
        X : (n, p) data frame or array
            Training patients; NaN is missing.
        y
            Ignored.
        """
        del y
        self.support_ = varying(float_matrix(self, X, reset=True), self.min_patients)
        return self


class BiomarkerVarianceSelector(_ColumnChoice):
    """Keep the biomarkers, and of the other columns those that vary most between patients.

    Variances are compared as they are: columns should have one unit, so logarithms and not counts.

    Parameters
    ----------
    n_columns
        Columns to keep in all. Biomarkers stay even if they are more.
    biomarkers
        Columns that always stay, by name or by position.

    Attributes
    ----------
    support_ : (p,) array of bool
        Columns that stay.
    n_features_in_, feature_names_in_
        Number of columns, and their names where they came with any.
    """

    def __init__(self, *, n_columns: int = 800, biomarkers: Sequence[str | int] = ()) -> None:
        self.n_columns = n_columns
        self.biomarkers = biomarkers

    def fit(self, X: pd.DataFrame | npt.ArrayLike, y: object = None) -> Self:  # noqa: N803
        """Learn which columns vary most.

        Parameters
        ----------
        X : (n, p) data frame or array
            Training patients; NaN is missing and left out. Equal variances: the first columns.
        y
            Ignored.

        Raises
        ------
        StudyError
            If ``n_columns`` is below 1, or a biomarker is no column of X.
        """
        del y
        if self.n_columns < 1:
            raise StudyError("a model needs a column", expected="n_columns of 1 or more")
        values = float_matrix(self, X, reset=True)
        always = _positions(self, self.biomarkers)
        order = np.argsort(-_variances(values), kind="stable")
        others = order[~np.isin(order, always)]
        self.support_ = np.zeros(values.shape[1], dtype=bool)
        self.support_[always] = True
        self.support_[others[: max(self.n_columns - len(np.unique(always)), 0)]] = True
        return self


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


def _variances(values: np.ndarray) -> np.ndarray:
    """(p,) variance of what is known; -1 where nothing is."""
    found = np.full(values.shape[1], -1.0)
    for columns in _slices(values.shape[1]):
        part = values[:, columns].astype(np.float64)
        known = (~np.isnan(part)).sum(axis=0)
        counted = np.maximum(known, 1)
        deviation = part - np.nansum(part, axis=0) / counted
        variance = np.nansum(deviation * deviation, axis=0) / counted
        found[columns] = np.where(known, variance, -1.0)
    return found


def _slices(columns: int) -> Iterator[slice]:
    return (slice(i, i + _COLUMNS_AT_A_TIME) for i in range(0, columns, _COLUMNS_AT_A_TIME))


def _positions(step: BaseEstimator, columns: Sequence[str | int]) -> np.ndarray:
    """Positions of columns of the fitted input, named or numbered."""
    names = getattr(step, "feature_names_in_", ())
    by_name = {name: position for position, name in enumerate(names)} if columns else {}
    found = [by_name.get(c, -1) if isinstance(c, str) else c for c in columns]
    unknown = sum(not 0 <= position < step.n_features_in_ for position in found)
    if unknown:
        raise StudyError(
            "a column of a step is not in its input",
            where=type(step).__name__,
            expected=f"names or positions of {step.n_features_in_} columns",
            got=f"{unknown} others",
        )
    return np.array(found, dtype=np.intp)


def _missing_allowed(tags: Tags) -> Tags:
    tags.input_tags.allow_nan = True
    tags.transformer_tags.preserves_dtype = ["float64", "float32"]
    return tags
