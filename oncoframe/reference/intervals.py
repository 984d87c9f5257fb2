"""Overlap of intervals, counted and measured without listing the pairs.

    intervals, queries -> how many cover a query, how many bases, or which

Every function works on one chromosome, with 1-based closed intervals in base pairs. Time and memory
grow with the number of intervals and of queries, not with that of their overlaps, except for
:func:`overlapping_pairs`: a file of a million events as long as a chromosome is no danger.
"""

import numpy as np

#: Pairs that :func:`overlapping_pairs` lists at most.
MAX_PAIRS = 20_000_000


def covering(
    starts: np.ndarray, ends: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Number of intervals that overlap each query.

    Parameters
    ----------
    starts, ends : (intervals,) arrays of int
        The intervals, in any order.
    first, last : (queries,) arrays of int
        The queries.

    Returns
    -------
    (queries,) array of int.
    """
    begun = np.searchsorted(np.sort(starts), last, side="right")
    over = np.searchsorted(np.sort(ends), first, side="left")
    counts: np.ndarray = begun - over
    return counts


def weighted_bases(
    starts: np.ndarray, ends: np.ndarray, weights: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    r"""Bases of each query that intervals cover, each base times the weights of its intervals.

    Returns
    -------
    (queries,) array of float: :math:`\sum_i w_i |I_i \cap Q|`. Adds up over queries that touch.
    """
    # Both ends of the queries at once, because sorting the intervals takes longest.
    positions = np.concatenate([last, first - 1])
    bases = _up_to(starts, weights, positions) - _up_to(ends + 1, weights, positions)
    total: np.ndarray = bases[: len(last)] - bases[len(last) :]
    return total


def _up_to(starts: np.ndarray, weights: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Weighted bases from each start to a position: ``sum(w * max(position - start + 1, 0))``."""
    order = np.argsort(starts, kind="stable")
    sorted_starts, w = starts[order], weights[order].astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(w)])
    moments = np.concatenate([[0.0], np.cumsum(w * (sorted_starts - 1.0))])
    number = np.searchsorted(sorted_starts, position, side="right")
    bases: np.ndarray = sums[number] * position - moments[number]
    return bases


def overlapping_pairs(
    starts: np.ndarray, ends: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which intervals overlap which queries.

    Parameters
    ----------
    starts, ends : (intervals,) arrays of int
        The intervals, sorted by start.
    first, last : (queries,) arrays of int
        The queries; short ones (positions, genes), because every pair is listed.

    Returns
    -------
    query, interval : (pairs,) arrays of int
        Positions in the parameters, by query, then by interval.

    Raises
    ------
    ValueError
        If there are more than :data:`MAX_PAIRS`.
    """
    high = np.searchsorted(starts, last, side="right")
    # The furthest end so far grows, though single ends do not: nothing before overlaps.
    low = np.searchsorted(np.maximum.accumulate(ends), first, side="left")
    number = np.maximum(high - low, 0)
    if number.sum() > MAX_PAIRS:
        msg = f"{number.sum()} overlaps are too many to list"
        raise ValueError(msg)
    query = np.repeat(np.arange(len(first)), number)
    offset = np.arange(len(query)) - np.repeat(np.cumsum(number) - number, number)
    interval = np.repeat(low, number) + offset
    kept = ends[interval] >= first[query]
    return query[kept], interval[kept]
