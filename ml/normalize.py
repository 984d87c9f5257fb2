"""Read counts of different libraries made comparable: TMM factors and log-CPM, as edgeR has them.

    training counts -> fit (reference patient, scale) -> factor of any patient -> log2 CPM

What a fitted step knows comes from the training fold alone, so a new patient is judged against the
same reference and changes no factor of anybody else. Only for counts of reads: TPM, FPKM and
logarithms are normalised already. Missing values that stay are :mod:`ml.preprocess`'s to fill.

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
from sklearn.utils.validation import check_is_fitted

from ml.matrix import count_matrix, library_sizes
from ml.tmm import log2_ratio, reference_patient


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
