"""Read counts of different libraries made comparable: TMM factors and log-CPM, as edgeR has them.

    training counts -> fit (reference patient, scale) -> factor of any patient -> log2 CPM

What a fitted step knows comes from the training fold alone, so a new patient is judged against the
same reference and changes no factor of anybody else. Only for counts of reads: TPM, FPKM and
logarithms are normalised already. Missing values that stay are for
:mod:`ml.pipelines.preprocessing` to fill.

References
----------
Robinson MD, Oshlack A. A scaling normalization method for differential expression analysis of
RNA-seq data. Genome Biol 2010;11:R25. Robinson MD, McCarthy DJ, Smyth GK. edgeR. Bioinformatics
2010;26:139-140 (``calcNormFactors`` and ``cpm`` of edgeR 3.36).
"""

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from oncoframe.errors import ImpossibleValue


class LogCpm(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Base-2 logarithm of counts per million reads, as ``cpm(log=TRUE)`` of edgeR.

    The prior grows with the library, so that a gene without reads has the same value whatever the
    depth. edgeR relates it to the mean library of all samples; here that is the training fold's.

    Parameters
    ----------
    prior_count
        Reads added to each gene of a patient with the mean library.

    Attributes
    ----------
    mean_library_size_ : float
        Mean reads per training patient.
    n_features_in_, feature_names_in_
        Number of genes, and their names where they came with any.
    """

    def __init__(self, *, prior_count: float = 2.0) -> None:
        self.prior_count = prior_count

    def fit(self, X: pd.DataFrame | npt.ArrayLike, y: object = None) -> Self:  # noqa: N803
        """Learn the mean library.

        Parameters
        ----------
        X : (n, p) data frame or array
            Read counts, patients x genes. NaN: gene not measured; a row of NaN: no assay.
        y
            Ignored.

        Raises
        ------
        ImpossibleCounts
            If a count is negative or infinite, a patient has no read, or nobody has an assay.
        """
        del y
        libraries = library_sizes(count_matrix(self, X, reset=True))
        self.mean_library_size_ = float(np.nanmean(libraries))
        return self

    def transform(self, X: pd.DataFrame | npt.ArrayLike) -> np.ndarray:  # noqa: N803
        """(n, p) array of log2 CPM; NaN where there was no count.

        Raises
        ------
        ImpossibleCounts
            As :meth:`fit`, but for a fold without any assay, which stays NaN.
        """
        check_is_fitted(self)
        counts = count_matrix(self, X, reset=False)
        libraries = library_sizes(counts, allow_none=True)
        return log2_cpm(counts, libraries, self.mean_library_size_, prior_count=self.prior_count)

    def __sklearn_tags__(self) -> Tags:
        return _count_tags(super().__sklearn_tags__())


class TmmNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Counts per million of the effective library: reads times the factor of TMM.

    The trimmed mean of M-values asks by how much the typical gene of a patient differs from that
    of a reference patient: a few genes with very many reads then no longer push down all others.
    The reference is the training patient whose upper quartile lies nearest the mean one; factors
    of the training fold have the geometric mean 1. Both are kept for new patients.

    A gene that is NaN in a patient was not measured there and takes no part in that patient's
    factor, which makes up for it: half the genes missing doubles the factor, not the values.

    Parameters
    ----------
    log
        Give log2 CPM, else CPM.
    prior_count
        See :class:`LogCpm`; of the effective libraries.

    Attributes
    ----------
    reference_ : (p,) array of float
        Counts of the reference patient: a fitted step holds one patient's expression.
    reference_library_size_ : float
        Reads of the reference patient.
    scale_ : float
        Geometric mean of the training factors before they were brought to 1.
    mean_library_size_ : float
        Mean effective library of the training patients.
    n_features_in_, feature_names_in_
        Number of genes, and their names where they came with any.

    Notes
    -----
    Equals edgeR's ``calcNormFactors(method = "TMM")`` on the training fold, whose rule for the
    reference and for rank ties it follows.
    """

    def __init__(self, *, log: bool = True, prior_count: float = 2.0) -> None:
        self.log = log
        self.prior_count = prior_count

    def fit(self, X: pd.DataFrame | npt.ArrayLike, y: object = None) -> Self:  # noqa: N803
        """Choose the reference patient and learn the scale.

        Parameters
        ----------
        X : (n, p) data frame or array
            Read counts, patients x genes. NaN: gene not measured; a row of NaN: no assay.
        y
            Ignored.

        Raises
        ------
        ImpossibleCounts
            As :meth:`LogCpm.fit`.
        """
        del y
        counts = count_matrix(self, X, reset=True)
        libraries = library_sizes(counts)
        reference = reference_patient(counts, libraries)
        self.reference_ = counts[reference].astype(np.float64)
        self.reference_library_size_ = float(libraries[reference])
        ratios = self._log2_ratios(counts, libraries)
        self.scale_ = float(2.0 ** np.nanmean(ratios))
        self.mean_library_size_ = float(np.nanmean(libraries * 2.0**ratios / self.scale_))
        return self

    def norm_factors(self, X: pd.DataFrame | npt.ArrayLike) -> np.ndarray:  # noqa: N803
        """(n,) factors in the order of the rows of counts; NaN without an assay.

        A patient who shares no gene with the reference, or is just like it, has its factor.

        Raises
        ------
        ImpossibleCounts
            If a count is negative or infinite, or a patient has no read.
        """
        check_is_fitted(self)
        counts = count_matrix(self, X, reset=False)
        return self._factors(counts, library_sizes(counts, allow_none=True))

    def transform(self, X: pd.DataFrame | npt.ArrayLike) -> np.ndarray:  # noqa: N803
        """(n, p) array of (log2) CPM of the effective libraries; NaN where there was no count.

        Raises
        ------
        ImpossibleCounts
            As :meth:`norm_factors`.
        """
        check_is_fitted(self)
        counts = count_matrix(self, X, reset=False)
        libraries = library_sizes(counts, allow_none=True)
        effective = libraries * self._factors(counts, libraries)
        if self.log:
            mean = self.mean_library_size_
            return log2_cpm(counts, effective, mean, prior_count=self.prior_count)
        return np.asarray(counts * _column(1e6 / effective, counts.dtype))

    def _factors(self, counts: np.ndarray, libraries: np.ndarray) -> np.ndarray:
        return np.asarray(2.0 ** self._log2_ratios(counts, libraries) / self.scale_)

    def _log2_ratios(self, counts: np.ndarray, libraries: np.ndarray) -> np.ndarray:
        ratios = np.full(len(counts), np.nan)
        for row in np.flatnonzero(~np.isnan(libraries)):
            ratios[row] = log2_ratio(
                counts[row].astype(np.float64),
                libraries[row],
                self.reference_,
                self.reference_library_size_,
            )
        return ratios

    def __sklearn_tags__(self) -> Tags:
        return _count_tags(super().__sklearn_tags__())


def log2_cpm(
    counts: np.ndarray, libraries: np.ndarray, mean_library: float, *, prior_count: float
) -> np.ndarray:
    r"""Logarithm of counts per million, by the formula of edgeR's ``cpm(log = TRUE)``.

    :math:`\log_2 \frac{10^6 (y + c)}{N + 2 c}` with :math:`c` the prior times :math:`N / \bar N`.

    Parameters
    ----------
    counts : (n, p) array of float
        Reads :math:`y`, patients x genes.
    libraries : (n,) array of float
        Reads :math:`N` of each patient.
    mean_library
        Mean reads :math:`\bar N`.
    prior_count
        Reads added to a gene at the mean library.
    """
    prior = prior_count * libraries / mean_library
    values = counts + _column(prior, counts.dtype)
    values *= _column(1e6 / (libraries + 2 * prior), counts.dtype)
    return np.asarray(np.log2(values, out=values))


def _column(values: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
    return values.astype(dtype)[:, np.newaxis]


def _count_tags(tags: Tags) -> Tags:
    tags.input_tags.positive_only = True
    tags.input_tags.allow_nan = True
    tags.transformer_tags.preserves_dtype = ["float64", "float32"]
    return tags


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


#: Share of genes left out at either end of the log ratios, and of the mean log expressions.
TRIM_RATIO, TRIM_EXPRESSION = 0.3, 0.05
#: Quantile of a library by which the reference patient is chosen.
REFERENCE_QUANTILE = 0.75
#: Largest log2 ratio between two libraries that count as the same.
_SAME = 1e-6
#: Median of the upper quartiles (per read) under which they cannot tell libraries apart.
_NO_QUARTILE = 1e-20


def reference_patient(counts: np.ndarray, libraries: np.ndarray) -> int:
    """Row of the patient to whom all others are compared.

    The one whose upper quartile, per read, lies nearest the mean upper quartile; where most
    patients have no read in three genes of four, the one with the most reads in the most genes.

    Parameters
    ----------
    counts : (n, p) array of float
        Reads, patients x genes; NaN where a gene was not measured.
    libraries : (n,) array of float
        Reads of each patient; NaN without the assay, but not for all.
    """
    assayed = np.flatnonzero(~np.isnan(libraries))
    seen = (counts > 0).any(axis=0)
    quartiles = np.array(
        [
            np.quantile(row[~np.isnan(row)].astype(np.float64), REFERENCE_QUANTILE)
            for row in (counts[i, seen] for i in assayed)
        ]
    )
    quartiles /= libraries[assayed]
    if np.median(quartiles) < _NO_QUARTILE:
        depth = np.nansum(np.sqrt(counts[assayed], dtype=np.float64), axis=1)
        return int(assayed[depth.argmax()])
    return int(assayed[np.abs(quartiles - quartiles.mean()).argmin()])


def log2_ratio(
    counts: np.ndarray, library: float, reference: np.ndarray, reference_library: float
) -> float:
    """Weighted and doubly trimmed mean of log2 ratios between a patient and the reference.

    Genes without a read in either have no ratio and are left out; without a common gene, 0.

    Parameters
    ----------
    counts, reference : (p,) array of float
        Reads of the patient and of the reference; NaN where a gene was not measured.
    library, reference_library
        Reads of either over all genes.
    """
    shared = (counts > 0) & (reference > 0)
    if not shared.any():
        return 0.0
    y, r = counts[shared], reference[shared]
    ratio = np.log2((y / library) / (r / reference_library))
    if np.abs(ratio).max() < _SAME:
        return 0.0
    expression = (np.log2(y / library) + np.log2(r / reference_library)) / 2
    variance = (library - y) / library / y + (reference_library - r) / reference_library / r
    kept = _untrimmed(ratio, TRIM_RATIO) & _untrimmed(expression, TRIM_EXPRESSION)
    if not kept.any():
        return 0.0
    weights = 1 / variance[kept]
    return float((ratio[kept] * weights).sum() / weights.sum())


def _untrimmed(values: np.ndarray, share: float) -> np.ndarray:
    """(n,) mask of what is left without a share of the ranks at either end; ties share a rank."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(sizes) - (sizes - 1) / 2)[group]
    lowest = np.floor(len(values) * share) + 1
    return np.asarray((rank >= lowest) & (rank <= len(values) + 1 - lowest))
