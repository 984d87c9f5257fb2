"""Trimmed mean of M-values: by how much a library differs from a reference library.

    counts -> reference_patient -> log2_ratio of each other patient

The algorithm of edgeR 3.36 (``calcNormFactors``, ``method = "TMM"``), on arrays. RNAnorm 2.2 gives
the same factors, but takes no new patient with a gene that has no read in the training fold, and no
gene that was not measured.

References
----------
Robinson MD, Oshlack A. A scaling normalization method for differential expression analysis of
RNA-seq data. Genome Biol 2010;11:R25.
"""

import numpy as np

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
