"""What a drift probably comes from: the covariate that moved with it.

    drift score and covariates of every patient -> what the mix explains, what a level -> Cause

Two things make a population drift. More patients are of a kind that always measured so (another
scanner, another site): the mix. Or patients of one kind measure otherwise than before (a sequencer
that lost depth), or are of a kind never seen (a new tool version): a level. What the mix explains
is taken off first, by a regression fitted on the reference; the rest is laid at the door of the
level that holds it, if one does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml.drift.two_sample import share_test

#: Levels of a covariate that are looked at, the most frequent ones.
MAX_LEVELS = 20
#: Current patients a level has at least.
MIN_LEVEL = 5
#: Difference of twice the log likelihood below which two explanations cannot be told apart: one is
#: 20 times as likely as the other.
MARGIN = 2 * np.log(20)
#: A share of patients that moved by chance once in so many levels.
_MOVED_P = 0.01
#: Pseudo-patients of the regression: a level of one patient explains nothing.
_RIDGE = 1.0
#: Share of the best explanation that another one of the mix must reach to be named beside it.
_AS_GOOD = 0.9
#: Levels that are no cause: others than the frequent ones, and patients of whom nothing is known.
OTHER, NOT_RECORDED = "(other)", "(not recorded)"


@dataclass(frozen=True)
class Cause:
    """A likely cause.

    Parameters
    ----------
    covariate, level
        What moved, for example ``kernel`` and ``B60f``.
    how
        ``mix``: more or fewer patients of this level; ``new``: a level never seen before;
        ``changed``: patients of this level measure otherwise than before.
    explained
        Share of the drift that goes with it, about 1 where it explains all.
    before, now
        Share of the patients who are of this level.
    """

    covariate: str
    level: str
    how: Literal["mix", "new", "changed"]
    explained: float
    before: float
    now: float

    @property
    def sentence(self) -> str:
        """The cause in words."""
        if self.how == "changed":
            return f"{self.covariate} {self.level} measures otherwise than before"
        new = "new " if self.how == "new" else ""
        return f"{new}{self.covariate} {self.level} ({self.before:.0%} -> {self.now:.0%})"


@dataclass(frozen=True)
class Covariate:
    """Something recorded of every patient that is no feature of the disease.

    Parameters
    ----------
    name
        For example ``site``.
    levels : k names
        The most frequent ones; others are one level.
    codes : (n,) array of int
        Level of each patient.
    """

    name: str
    levels: tuple[str, ...]
    codes: np.ndarray

    @property
    def is_nameless(self) -> np.ndarray:
        """(k,) array of bool: levels that cannot be a cause."""
        return np.isin(self.levels, (OTHER, NOT_RECORDED))

    @classmethod
    def of(cls, name: str, values: Sequence[str | None]) -> "Covariate":
        """Covariate of recorded values; None: not recorded."""
        texts = np.array([NOT_RECORDED if value is None else value for value in values], dtype=str)
        found, codes, sizes = np.unique(texts, return_inverse=True, return_counts=True)
        kept = np.sort(np.argsort(-sizes, kind="stable")[:MAX_LEVELS])
        if len(kept) == len(found):
            return cls(name, tuple(found.tolist()), codes)
        place = np.full(len(found), len(kept))
        place[kept] = np.arange(len(kept))
        return cls(name, (*found[kept].tolist(), OTHER), place[codes])


def likely_causes(
    scores: np.ndarray, current: np.ndarray, covariates: Sequence[Covariate]
) -> tuple[Cause, ...]:
    """Causes of a drift, the likeliest first; several where they cannot be told apart.

    Parameters
    ----------
    scores : (n,) array of float
        How far each patient lies in the direction of the drift; NaN where not measured.
    current : (n,) array of bool
        True for current patients.
    covariates
        Of all n patients.

    Returns
    -------
    Empty where no covariate goes with the drift.

    References
    ----------
    Oaxaca R. Male-female wage differentials in urban labor markets. Int Econ Rev 1973;14:693;
    Blinder AS. Wage discrimination. J Hum Resour 1973;8:436: a difference of two means is what the
    mix of the groups explains, and the rest.
    """
    measured = ~np.isnan(scores)
    is_current = current[measured]
    if min(is_current.sum(), (~is_current).sum()) < MIN_LEVEL:
        return ()
    known = [Covariate(c.name, c.levels, c.codes[measured]) for c in covariates]
    known = [c for c in known if len(np.unique(c.codes)) > 1]
    values = scores[measured] - scores[measured][~is_current].mean()
    rest = values - _expected(values, is_current, known)
    drift, within = values[is_current].mean(), rest[is_current].mean()
    found = []
    if drift - within > within:
        found = [_mix(values, is_current, c, drift) for c in known]
        best = max((cause.explained for cause in found), default=0.0)
        found = [cause for cause in found if cause.explained >= _AS_GOOD * best]
    elif drift > 0:
        found = _levels(rest, is_current, known)
    return tuple(sorted(found, key=lambda cause: -cause.explained))


def _expected(
    values: np.ndarray, current: np.ndarray, covariates: Sequence[Covariate]
) -> np.ndarray:
    """(n,) what the covariates of a patient let expect, by the reference."""
    if not covariates:
        return np.zeros_like(values)
    parts = []
    for covariate in covariates:
        dummies = np.eye(len(covariate.levels))[covariate.codes]
        shares = dummies[~current].mean(axis=0)
        # A level that the reference does not have, or that is no level, lets expect nothing.
        tells = (shares > 0) & ~covariate.is_nameless
        parts.append(np.where(tells[covariate.codes][:, np.newaxis], dummies - shares, 0.0))
    design = np.hstack(parts)
    known = design[~current]
    normal = known.T @ known + _RIDGE * np.eye(design.shape[1])
    weights: np.ndarray = np.linalg.solve(normal, known.T @ values[~current])
    return np.asarray(design @ weights)


def _shares(covariate: Covariate, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(2, levels) patients of each level, reference and current, and their shares."""
    counts = np.array(
        [
            np.bincount(covariate.codes[chosen], minlength=len(covariate.levels))
            for chosen in (~current, current)
        ]
    )
    return counts, counts / counts.sum(axis=1, keepdims=True)


def _mix(values: np.ndarray, current: np.ndarray, covariate: Covariate, drift: float) -> Cause:
    """What the other mix of one covariate explains, at the means of the reference."""
    counts, shares = _shares(covariate, current)
    sums = np.bincount(covariate.codes[~current], values[~current], minlength=len(covariate.levels))
    means = sums / np.maximum(counts[0], 1)
    parts = np.where(covariate.is_nameless, 0.0, (shares[1] - shares[0]) * means)
    # Where few patients of one level make place for more of another, both explain alike.
    level = int(np.argmax(np.where(shares[1] > shares[0], parts, -np.inf)))
    return Cause(
        covariate.name, covariate.levels[level], "mix", float(parts.sum() / drift),
        float(shares[0, level]), float(shares[1, level]),
    )  # fmt: skip


def _levels(rest: np.ndarray, current: np.ndarray, covariates: Sequence[Covariate]) -> list[Cause]:
    """Levels whose current patients carry what the mix does not explain.

    Every explanation has one parameter, the shift of the patients it concerns, so that their
    likelihoods compare. "All patients shifted alike" is one of them.
    """
    now = rest[current]
    noise = (now.var() * len(now) + (rest[~current] ** 2).sum()) / len(rest)
    alike = len(now) * now.mean() ** 2 / noise
    candidates: list[tuple[float, Cause]] = []
    for covariate in covariates:
        counts, shares = _shares(covariate, current)
        moved = share_test(counts.sum(axis=0), counts[1], len(rest), len(now)).p < _MOVED_P
        codes = covariate.codes[current]
        means = np.bincount(codes, now, minlength=len(covariate.levels)) / np.maximum(counts[1], 1)
        gains = np.where(means > 0, counts[1] * means**2 / noise, 0.0)
        for level in np.flatnonzero((counts[1] >= MIN_LEVEL) & ~covariate.is_nameless):
            rising = moved[level] and shares[1, level] > shares[0, level]
            # What is new with the drift explains it as well as "all alike" does; what has always
            # been there has to explain it better.
            if gains[level] < alike + (-MARGIN if rising else MARGIN):
                continue
            cause = Cause(
                covariate.name, covariate.levels[level],
                "new" if counts[0, level] == 0 else "changed",
                float(counts[1, level] * means[level] / now.sum()),
                float(shares[0, level]), float(shares[1, level]),
            )  # fmt: skip
            candidates.append((float(gains[level]), cause))
    best = max((gain for gain, _ in candidates), default=0.0)
    return [cause for gain, cause in candidates if gain >= best - MARGIN]
