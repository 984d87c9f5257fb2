"""Intervals over patients: how far a number could move with other patients of the population.

    patients, seed -> resamples (weights) -> a metric per resample -> Estimate

The same patients and seed give the same resamples, so two metrics of them are paired: the
difference of their resamples is a resample of their difference.

References
----------
Efron B, Tibshirani R. An introduction to the bootstrap. 1993, chapter 13.
"""

from dataclasses import dataclass

import numpy as np

#: Resamples of the bootstrap; the width of a 95 % interval is then stable to about 3 %.
BOOTSTRAP_RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval."""

    value: float
    low: float
    high: float

    def as_list(self) -> list[float]:
        """Value, low, high, for JSON."""
        return [self.value, self.low, self.high]


def resamples(n: int, seed: int, *, draws: int = BOOTSTRAP_RESAMPLES) -> np.ndarray:
    """(1 + draws, n) float32: how often each patient counts; in the first row, once."""
    drawn = np.random.default_rng(seed).integers(n, size=(draws, n))
    cells = drawn + n * np.arange(draws)[:, np.newaxis]
    counts = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape)
    return np.vstack([np.ones((1, n)), counts]).astype(np.float32)


def estimate(values: np.ndarray) -> Estimate:
    """Estimate of a metric: its value, then its bootstrap resamples; NaN where none has one."""
    if np.isnan(values[1:]).all():
        return Estimate(float(values[0]), float("nan"), float("nan"))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(values[1:], [tail, 100 - tail])
    return Estimate(float(values[0]), float(low), float(high))
