"""Two-sample tests that hold with 30 patients against thousands, with zeros and ties.

    scores of all patients -> linear rank statistic -> saddlepoint p-value, effect
    hits among patients    -> exact mid-p (Fisher)  -> p-value, Cohen's h

Every test is conditional on the pooled values: under "same distribution" the current patients are
a random draw from all. Vectorised over columns. Pure NumPy and SciPy.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln
from scipy.stats import hypergeom, norm, rankdata

#: Iterations of the saddlepoint equations; they converge in 5 to 20, unless the statistic is the
#: largest possible, where the solution lies at infinity.
_ITERATIONS = 60
#: Below this many standard deviations the normal p-value is right to its second digit.
_NEAR_ZERO = 1.0
#: Extreme scores that are kept one by one, and the growth of the bins between them: two mutated
#: patients among 5,000 must not be averaged away.
_SINGLE_SCORES = 24
_BIN_GROWTH = 1.25
#: Change of a patient's log odds at which the equations count as solved.
_CONVERGED = 1e-8
_TINY = 1e-300
#: Difference of standardised scores that is rounding.
_SAME = 1e-9


@dataclass(frozen=True)
class TwoSample:
    """Current patients against the reference, one test per column.

    Parameters
    ----------
    p : (p,) array of float
        Two-sided p-values; 1 where the column is constant.
    effect : (p,) array of float
        Between -1 and 1 for ranks, Cohen's h for shares; positive where the current patients
        have more.
    """

    p: np.ndarray
    effect: np.ndarray


def level_scores(values: np.ndarray) -> np.ndarray:
    """(n, p) midranks of each column, scaled to mean 0 between -1 and 1."""
    patients = len(values)
    return np.asarray((2 * rankdata(values, axis=0) - patients - 1) / patients)


def spread_scores(levels: np.ndarray) -> np.ndarray:
    """(n, p) distances of the ranks from the middle, scaled as :func:`level_scores`.

    References
    ----------
    Ansari AR, Bradley RA. Rank-sum tests for dispersions. Ann Math Stat 1960;31:1174.
    """
    distances = np.abs(levels)
    return np.asarray(2 * (distances - distances.mean(axis=0)))


def score_test(scores: np.ndarray, current: np.ndarray) -> TwoSample:
    """Whether the current patients have other scores than the reference, column by column.

    With :func:`level_scores` this is the test of Wilcoxon, Mann and Whitney, and the effect is
    Cliff's delta. The p-value is a double saddlepoint approximation of the permutation
    distribution: the normal one is wrong by orders of magnitude where few patients are not zero.

    Parameters
    ----------
    scores : (n, p) array of float
        Mean 0 in each column, no NaN.
    current : (n,) array of bool
        True for current patients; at least one, and not all.

    References
    ----------
    Skovgaard IM. Saddlepoint expansions for conditional distributions. J Appl Prob 1987;24:875.
    Abd-Elfattah EF, Butler RW. The weighted log-rank class of permutation tests: P-values and
    confidence intervals using saddlepoint methods. Biometrika 2007;94:543.
    Cliff N. Dominance statistics. Psychol Bull 1993;114:494.
    """
    n, m = len(scores), int(current.sum())
    totals = scores[current].sum(axis=0)
    squares = np.einsum("ij,ij->j", scores, scores)
    varies = squares > n * np.finfo(np.float32).eps
    deviation = np.sqrt(np.where(varies, squares, 1.0) * m * (n - m) / (n * (n - 1)))
    z = np.where(varies, totals / deviation, 0.0)
    p = np.where(varies, 2 * norm.sf(np.abs(z)), 1.0)
    far = np.flatnonzero(np.abs(z) > _NEAR_ZERO)
    if len(far):
        # In units of the standard deviation, and turned so that the upper tail is asked for.
        scale = np.sign(totals[far]) / np.sqrt(squares[far] / n)
        ordered = np.sort(scores[:, far] * scale, axis=0)
        p[far] = np.minimum(2 * _upper_tail(ordered, m, totals[far] * scale), 1.0)
    return TwoSample(p, np.where(varies, totals * n / (m * (n - m)), 0.0))


def share_test(
    hits: np.ndarray, current_hits: np.ndarray, n: np.ndarray | int, m: np.ndarray | int
) -> TwoSample:
    """Whether a yes is as frequent among the current patients as in the reference.

    Fisher's exact test with the mid-p-value, twice the smaller tail.

    Parameters
    ----------
    hits, current_hits : (p,) array of int
        Patients with yes, all and current.
    n, m
        Patients, all and current.

    References
    ----------
    Lancaster HO. Significance tests in discrete distributions. J Am Stat Assoc 1961;56:223.
    Cohen J. Statistical power analysis for the behavioral sciences. 1988, chapter 6 (h).
    """
    half = 0.5 * hypergeom.pmf(current_hits, n, hits, m)
    lower = hypergeom.cdf(current_hits - 1, n, hits, m) + half
    upper = hypergeom.sf(current_hits, n, hits, m) + half
    now, before = current_hits / m, (hits - current_hits) / (n - m)
    effect = 2 * (np.arcsin(np.sqrt(now)) - np.arcsin(np.sqrt(before)))
    varies = (hits > 0) & (hits < n)
    p = np.where(varies, np.minimum(2 * np.minimum(lower, upper), 1.0), 1.0)
    return TwoSample(p, np.where(varies, effect, 0.0))


def smallest_share_p(hits: np.ndarray, n: np.ndarray | int, m: np.ndarray | int) -> np.ndarray:
    """(p,) smallest p-value that :func:`share_test` can give with this many hits in all.

    Depends on the pooled values only: a column that cannot become significant may be left out
    of the correction for many columns without harm.

    References
    ----------
    Tarone RE. A modified Bonferroni method for discrete data. Biometrics 1990;46:515.
    """
    fewest, most = np.maximum(0, hits - (n - m)), np.minimum(hits, m)
    ends = (hypergeom.pmf(end, n, hits, m) for end in (fewest, most))
    return np.asarray(np.minimum.reduce(list(ends)))


def _atoms(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(j, p) distribution of sorted columns, and (j, 1) how many patients each atom holds."""
    n = len(ordered)
    sizes = [1] * min(_SINGLE_SCORES, n // 2)
    while sum(sizes) < n // 2:
        sizes.append(min(int(sizes[-1] * _BIN_GROWTH) + 1, n // 2 - sum(sizes)))
    counts = np.array([*sizes, *([1] if n % 2 else []), *reversed(sizes)])
    starts, counts = np.cumsum(counts) - counts, counts[:, np.newaxis]
    return np.add.reduceat(ordered, starts, axis=0) / counts, counts


def _upper_tail(ordered: np.ndarray, draws: int, totals: np.ndarray) -> np.ndarray:
    """(p,) mid-p-value: chance that draws without replacement sum to more than the totals.

    The (n, p) values are sorted, with mean 0 and variance 1 in each column; totals are positive.
    """
    n = len(ordered)
    p = _saddlepoint(*_atoms(ordered), draws, totals)
    # At the largest sum there is the saddlepoint lies at infinity, and the chance is a count.
    largest = np.flatnonzero(totals >= ordered[-draws:].sum(axis=0) - _SAME * n)
    same = np.abs(ordered[:, largest] - ordered[-draws, largest]) < _SAME
    taken = same[-draws:].sum(axis=0)
    p[largest] = 0.5 * np.exp(_log_choose(same.sum(axis=0), taken) - _log_choose(n, draws))
    return p


def _log_choose(n: np.ndarray | int, k: np.ndarray | int) -> np.ndarray:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _saddlepoint(
    atoms: np.ndarray, weights: np.ndarray, draws: int, totals: np.ndarray
) -> np.ndarray:
    """(p,) approximation of :func:`_upper_tail`, values given as (j, p) atoms of some weights."""
    n = int(weights.sum())
    share = draws / n
    offset = np.log(share / (1 - share))
    s, t = np.zeros_like(totals), np.zeros_like(totals)
    for _ in range(_ITERATIONS):
        drawn = expit(offset + s + t * atoms)
        expected = weights * drawn
        variances = expected * (1 - drawn)
        lacks = draws - expected.sum(axis=0)
        falls = totals - (expected * atoms).sum(axis=0)
        ss, st = variances.sum(axis=0), (variances * atoms).sum(axis=0)
        tt = (variances * atoms**2).sum(axis=0)
        det = np.maximum(ss * tt - st**2, _TINY)
        step_s, step_t = (tt * lacks - st * falls) / det, (ss * falls - st * lacks) / det
        # A Newton step is trusted as far as no patient's log odds move by more than one.
        moves = np.maximum(*(np.abs(step_s + step_t * atoms[end]) for end in (0, -1)))
        brake = 1 / np.maximum(moves, 1.0)
        s, t = s + brake * step_s, t + brake * step_t
        if moves.max() < _CONVERGED:
            break
    growth = np.logaddexp(np.log1p(-share), np.log(share) + s + t * atoms)
    root = np.sqrt(2 * np.maximum(s * draws + t * totals - (weights * growth).sum(axis=0), _TINY))
    slope = np.maximum(t * np.sqrt(det / (n * share * (1 - share))), _TINY)
    return np.asarray(norm.sf(root + np.log(slope / root) / root))
