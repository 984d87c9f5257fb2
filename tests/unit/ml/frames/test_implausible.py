"""Values that no measurement gives: found where they are, and nowhere else."""

import numpy as np
import pytest

from ml.frames.implausible import MIN_VALUES, found_in, implausible


@pytest.fixture
def genes():
    """130 patients, 400 genes of FPKM: log-normal, with zeros where a gene is silent."""
    rng = np.random.default_rng(7)
    values = np.exp(rng.normal(rng.uniform(-1, 5, 400), rng.uniform(0.3, 1.5, 400), (130, 400)))
    values[rng.random(values.shape) < rng.uniform(0, 0.9, 400)] = 0
    values[rng.random(values.shape) < 0.02] = np.nan
    return values


def test_implausible__finds_the_value_of_the_published_table(genes):
    """295,000,030 FPKM where the median is 14; found on each side of zero and in any unit."""
    genes[:, 5] = np.linspace(5, 30, 130)
    genes[17, 5] = 295_000_030
    mask, found = found_in(genes, [f"gene{at}" for at in range(400)])

    assert np.argwhere(mask).tolist() == [[17, 5]]
    assert [(one.column, one.values, one.farthest) for one in found] == [("gene5", 1, 295_000_030)]
    assert implausible(-genes)[17, 5]
    assert implausible(genes / 1e6)[17, 5]


def test_implausible__leaves_a_rare_class_alone(genes):
    """One patient in 130 with a gene at 200 times its median is a finding."""
    genes[:, 3] = np.random.default_rng(1).uniform(1, 4, 130)
    genes[4, 3] = 500
    assert not implausible(genes).any()


@pytest.mark.parametrize("known", [MIN_VALUES - 1, MIN_VALUES])
def test_implausible__needs_enough_values_to_judge(known):
    """Quartiles of a handful say nothing; missing values are no values."""
    values = np.full((60, 1), np.nan)
    values[:known, 0] = np.arange(known) + 1.0
    values[0, 0] = 1e9
    assert implausible(values).any() == (known == MIN_VALUES)


def test_implausible__quartiles_are_those_of_numpy(genes):
    """The rule itself, column by column, written another way."""
    genes[3, :200] *= 10.0 ** np.arange(0, 10, 0.05)
    mask = implausible(genes)
    for at in range(0, 400, 7):
        known = genes[~np.isnan(genes[:, at]), at]
        scale = np.median(known[known > 0]) if (known > 0).any() else 1.0
        doublings = np.log2(1 + known / scale)
        low, high = np.quantile(doublings, [0.25, 0.75])
        expected = doublings > high + 8 * max(high - low, 1)
        assert mask[~np.isnan(genes[:, at]), at].tolist() == expected.tolist()
    assert mask.any()
