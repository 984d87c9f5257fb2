"""The alarm of shuffled labels: one-sided, and widened for the number of rows."""

import numpy as np
import pytest

from ml.evaluation.shuffled import above_chance

PLAIN = [0.50, 0.45, 0.55]


@pytest.mark.parametrize(
    ("found", "is_above"),
    [
        ([0.70, 0.62, 0.78], True),
        ([0.40, 0.32, 0.48], False),  # below chance nothing leaked
        ([0.54, 0.52, 0.56], False),  # within the margin
        ([0.60, 0.45, 0.75], False),
        ([float("nan")] * 3, None),
        ([None, None, None], None),
    ],
)
def test_above_chance__looks_at_one_side(found, is_above):
    assert above_chance([found]) == [is_above]


def test_above_chance__allows_for_the_luck_of_many_rows():
    lucky = [0.56, 0.51, 0.61]
    assert above_chance([lucky]) == [True]
    assert above_chance([lucky, *[PLAIN] * 39]) == [False] * 40
    assert above_chance([[0.8, 0.7, 0.9], *[PLAIN] * 39]) == [True] + [False] * 39


def test_above_chance__is_rarely_a_false_alarm():
    """Twelve rows of a study, 2,000 studies of nothing: one in twenty may be called."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(2000):
        values = 0.5 + 0.05 * rng.normal(size=12)
        rows = np.stack([values, values - 1.96 * 0.05, values + 1.96 * 0.05], axis=1)
        alarms += any(above_chance(rows.tolist()))

    assert alarms / 2000 < 0.06


def test_above_chance__of_no_shuffle_is_nothing():
    assert above_chance([]) == []
