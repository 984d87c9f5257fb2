"""What a hyper-parameter search tried and found, without the library that searched.

ml.training.search -> Trial, Found -> ml.training.procedure, ml.registry
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Parameters
    ----------
    where
        Which search it belongs to.
    number
        From 0, which is the recipe as it is.
    settings
        What was changed.
    value
        The objective; of the folds seen, where the trial was given up.
    state
        ``complete`` or ``pruned``.
    seconds
        Wall-clock time.
    """

    where: str
    number: int
    settings: Mapping[str, Any]
    value: float
    state: str
    seconds: float


@dataclass(frozen=True)
class Found:
    """Settings of the best trial, and all trials; without a search neither."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
