"""Two-sample tests of the drift engine against exact distributions and other libraries."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ansari, fisher_exact, hypergeom, mannwhitneyu

from ml.drift.two_sample import (
    level_scores,
    score_test,
    share_test,
    smallest_share_p,
    spread_scores,
)


def first(m, n):
    """The first m of n patients are current."""
    return np.arange(n) < m


@pytest.mark.parametrize(("m", "n"), [(10, 60), (12, 300), (30, 330)])
@pytest.mark.parametrize("shift", [0.3, 0.8, 1.6])
def test_score_test__agrees_with_the_exact_wilcoxon_test(m, n, shift):
    """A normal tail is too heavy or too light by factors where correction for columns looks."""
    values = np.random.default_rng(n).normal(size=(n, 4))
    values[:m] += shift

    got = score_test(level_scores(values), first(m, n))

    for column in range(4):
        exact = mannwhitneyu(values[:m, column], values[m:, column], method="exact")
        assert np.log10(got.p[column]) == pytest.approx(np.log10(exact.pvalue), abs=0.1)
        delta = 2 * exact.statistic / (m * (n - m)) - 1
        assert got.effect[column] == pytest.approx(delta, abs=1e-12)


@pytest.mark.parametrize(
    "column",
    [
        [0] * 12 + [1, 1, 2, 2, 3, 5],
        [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 9],
        [0] * 14 + [7, 8, 9, 10],
    ],
)
@pytest.mark.parametrize("chosen", [(12, 13, 14, 15, 16), (0, 5, 15, 16, 17), (0, 1, 2, 3, 4)])
def test_score_test__holds_with_zeros_and_ties(column, chosen):
    """Every choice of 5 among 18 patients is counted: the normal p-value is off by orders."""
    scores = level_scores(np.array(column, dtype=float)[:, np.newaxis])
    sums = np.array([scores[list(c), 0].sum() for c in combinations(range(18), 5)])
    asked = scores[list(chosen), 0].sum()
    tie = 0.5 * np.isclose(sums, asked).mean()
    exact = 2 * min((sums > asked + 1e-9).mean() + tie, (sums < asked - 1e-9).mean() + tie)

    got = score_test(scores, np.isin(np.arange(18), chosen))

    assert np.log10(got.p[0]) == pytest.approx(np.log10(exact), abs=0.35)


def test_score_test__rare_values_among_thousands_are_no_miracle():
    """Four of 30 new patients, 60 of 4,500 before: 2 in 1,000, and 1 in 100 million if normal."""
    n, m = 4530, 30
    values = np.zeros((n, 1))
    values[:4] = values[100:160] = 1

    got = score_test(level_scores(values), first(m, n))

    exact = 2 * (hypergeom.sf(4, n, 64, m) + 0.5 * hypergeom.pmf(4, n, 64, m))
    assert 0.5 < got.p[0] / exact < 2


def test_score_test__extreme_and_constant_columns_have_a_p_value():
    """The equations have no solution where all current patients are the largest."""
    values = np.column_stack([np.arange(40.0)[::-1], np.ones(40)])

    got = score_test(level_scores(values), first(5, 40))

    assert got.p[0] == pytest.approx(1 / comb(40, 5))
    assert (got.p[1], got.effect[1]) == (1.0, 0.0)


def test_score_test__sees_a_spread_that_has_no_level():
    """A noisier scanner moves no mean: only the second test tells."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(400, 1))
    values[:80] *= 2.5
    levels, current = level_scores(values), first(80, 400)

    level, spread = score_test(levels, current), score_test(spread_scores(levels), current)

    reference = ansari(values[:80, 0], values[80:, 0]).pvalue
    assert level.p[0] > 0.05
    assert np.log10(spread.p[0]) == pytest.approx(np.log10(reference), rel=0.1)
    assert spread.effect[0] > 0


def test_score_test__is_calibrated_where_almost_all_are_zero():
    """4,000 columns of counts: as many small p-values as there should be, not more."""
    rng = np.random.default_rng(2)
    values = np.where(rng.random((630, 4000)) < 0.06, 1 + rng.poisson(0.3, (630, 4000)), 0)

    p = score_test(level_scores(values.astype(float)), first(60, 630)).p

    for limit in (0.05, 0.01, 0.001):
        assert (p <= limit).mean() <= limit + 3 * np.sqrt(limit / 4000)


@given(st.integers(0, 2**32 - 1))
def test_score_test__only_order_and_direction_matter(seed):
    """A unit change (log, percent) must not make drift; a mirrored column drifts the other way."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=(60, 1)), 1)
    chosen = first(12, 60)

    got = score_test(level_scores(values), chosen)

    assert score_test(level_scores(np.exp(values)), chosen).p == pytest.approx(got.p)
    mirrored = score_test(level_scores(-values), chosen)
    assert mirrored.p == pytest.approx(got.p)
    assert mirrored.effect == pytest.approx(-got.effect)


@given(st.integers(2, 40), st.integers(2, 60), st.data())
def test_share_test__is_fishers_test_with_half_of_the_observed_table(m, rest, data):
    now, before = data.draw(st.integers(0, m)), data.draw(st.integers(0, rest))
    hits, n = now + before, m + rest

    got = share_test(np.array([hits]), np.array([now]), n, m)

    table = [[now, m - now], [before, rest - before]]
    own = 0.5 * hypergeom.pmf(now, n, hits, m)
    tails = [fisher_exact(table, alternative=side).pvalue - own for side in ("less", "greater")]
    assert got.p[0] == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-6, abs=1e-12)
    assert np.sign(got.effect[0]) == pytest.approx(np.sign(round(now / m - before / rest, 12)))


@given(st.integers(2, 20), st.integers(2, 20), st.data())
def test_smallest_share_p__no_table_is_more_significant(m, rest, data):
    """A column must never be left out although it could have told something."""
    n, hits = m + rest, data.draw(st.integers(1, m + rest - 1))
    tables = np.arange(max(0, hits - rest), min(hits, m) + 1)

    every = share_test(np.full(len(tables), hits), tables, n, m).p

    smallest = smallest_share_p(np.array([hits]), n, m)[0]
    assert every.min() == pytest.approx(min(smallest, 1.0), rel=1e-9)
