"""Curves of a task with two classes, with bands over patients: the numbers behind the figures.

    predictions.parquet -> binary_answers -> event, risk, folds
    event, risk, folds -> roc_curves, precision_recall, decision_curve
    event, risk -> threshold_table

The flexible calibration curve is in :mod:`ml.evaluation.calibration`.

An event is the class that is looked for; a risk is its out-of-fold probability. Pure NumPy and
scikit-learn; drawing is in :mod:`ml.figures.binary`.

References
----------
Vickers AJ, Elkin EB. Decision curve analysis. Med Decis Making 2006;26:565-574. Wilson EB.
Probable inference, the law of succession, and statistical inference. JASA 1927;22:209-212.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import binomtest
from sklearn.metrics import roc_curve

from ml.intervals import CONFIDENCE, resamples

#: Points of a curve, and resamples of its band.
POINTS, BAND_RESAMPLES = 101, 400
#: Risks at which a table says what acting on them would mean.
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
#: Thresholds of a decision curve: beyond, the odds that weigh false alarms run away.
_DECISIONS = np.linspace(0.01, 0.9, 90)
_TWO = 2


@dataclass(frozen=True)
class Binary:
    """Out-of-fold answers of a model of two classes.

    Parameters
    ----------
    looked_for
        The rarer class; of two equal ones, the first by name.
    event : (n,) array of bool
        Who is of that class.
    risks : (repeats, n) array
        Probability of the class as the models give it.
    folds : (repeats, n) array of int
        Fold in which each patient was tested; -1, in none.
    risk : (n,) array
        Probability in the first repeat, calibrated where the model is.
    is_calibrated
        Whether it is.
    """

    looked_for: str
    event: np.ndarray
    risks: np.ndarray
    folds: np.ndarray
    risk: np.ndarray
    is_calibrated: bool


def binary_answers(predictions: pl.DataFrame) -> Binary | None:
    """Answers of ``predictions.parquet``; None where there are more than two classes."""
    classes = [name[2:-1] for name in predictions.columns if name.startswith("p[")]
    if len(classes) != _TWO:
        return None
    table = predictions.sort("repeat", "patient_id")
    first = table.filter(pl.col("repeat") == 0)
    counts = [first.filter(pl.col("label") == name).height for name in classes]
    looked_for = classes[0] if counts[0] <= counts[1] else classes[1]
    repeats = table["repeat"].n_unique()
    calibrated = f"calibrated[{looked_for}]"
    return Binary(
        looked_for=looked_for,
        event=(first["label"] == looked_for).to_numpy(),
        risks=table[f"p[{looked_for}]"].to_numpy().reshape(repeats, -1),
        folds=table["fold"].to_numpy().reshape(repeats, -1),
        risk=first[calibrated if calibrated in first.columns else f"p[{looked_for}]"].to_numpy(),
        is_calibrated=calibrated in first.columns,
    )


@dataclass(frozen=True)
class Curve:
    """A curve with its 95 % band.

    Parameters
    ----------
    grid, value, low, high : (g,) arrays
        Where, how much, and the ends of the band.
    """

    grid: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class RocCurves:
    """ROC curves of the folds, and their mean at each false positive rate.

    Parameters
    ----------
    folds
        Of each fold with both classes: false and true positive rates.
    mean
        Every fold counts the same; the band is over patients.
    """

    folds: tuple[tuple[np.ndarray, np.ndarray], ...]
    mean: Curve


def roc_curves(
    event: np.ndarray, risk: np.ndarray, folds: np.ndarray, *, seed: int
) -> RocCurves | None:
    """ROC curve of every fold and their mean; None where no fold holds both classes.

    Risks of two folds come from two models, so only patients of one fold are compared.

    Parameters
    ----------
    event : (n,) array of bool
    risk : (repeats, n) array
        Out of fold.
    folds : (repeats, n) array of int
        Fold, from 0, in which each patient was tested; below 0, in none.
    seed
        Of the bootstrap.

    References
    ----------
    Fawcett T. An introduction to ROC analysis. Pattern Recognit Lett 2006;27:861-874, algorithm 4.
    """
    grid = np.linspace(0, 1, POINTS)
    weights = resamples(len(event), seed, draws=BAND_RESAMPLES).astype(np.float64)
    total, counted = np.zeros((len(weights), POINTS)), np.zeros((len(weights), 1))
    found = []
    for of_repeat, risks in zip(folds, risk, strict=True):
        for fold in np.unique(of_repeat[of_repeat >= 0]):
            tested = np.flatnonzero(of_repeat == fold)
            if event[tested].all() or not event[tested].any():
                continue
            false, true, _ = roc_curve(event[tested], risks[tested], drop_intermediate=False)
            found.append((false, true))
            curves = _weighted_roc(event[tested], risks[tested], weights[:, tested], grid)
            known = np.isfinite(curves[:, :1])
            total += np.where(known, curves, 0.0)
            counted += known
    if not found:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        return RocCurves(tuple(found), _curve(grid, total / counted))


def _weighted_roc(
    event: np.ndarray, risk: np.ndarray, weights: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """(resamples, g) true positive rates; NaN where a resample lacks a class."""
    order, ends = _steps(risk)
    hits, alarms = (
        np.cumsum(weights[:, order] * part[order], axis=1)[:, ends] for part in (event, ~event)
    )
    curves = np.full((len(weights), len(grid)), np.nan)
    for row, (true, false) in enumerate(zip(hits, alarms, strict=True)):
        if true[-1] and false[-1]:
            # A hair to the right: where the curve rises straight up, its upper end is meant.
            at = np.append(0.0, false / false[-1])
            curves[row] = np.interp(grid + 1e-9, at, np.append(0.0, true / true[-1]))
    return curves


def precision_recall(event: np.ndarray, risk: np.ndarray, *, seed: int) -> Curve:
    """Precision at each recall, of patients of all folds together.

    Parameters
    ----------
    event : (n,) array of bool
    risk : (n,) array
        On one scale over the folds, so calibrated if there is such.
    seed
        Of the bootstrap.
    """
    grid = np.linspace(0.01, 1, POINTS - 1)
    weights = resamples(len(event), seed, draws=BAND_RESAMPLES).astype(np.float64)
    order, ends = _steps(risk)
    hits = np.cumsum(weights[:, order] * event[order], axis=1)[:, ends]
    named = np.cumsum(weights[:, order], axis=1)[:, ends]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / named, hits / hits[:, -1:]
    values = np.full((len(weights), len(grid)), np.nan)
    for row in np.flatnonzero(hits[:, -1] > 0):
        # A hair below: a recall of 0.2 that is 0.19999 by rounding is reached.
        values[row] = precision[row, np.searchsorted(recall[row], grid - 1e-9)]
    return _curve(grid, values)


def _steps(risk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Patients from the highest risk down, and the last position of every distinct risk."""
    order = np.argsort(-risk, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(risk[order])), len(risk) - 1)


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit of acting on a risk above a threshold, per patient.

    Parameters
    ----------
    model
        Of acting on the model, by threshold.
    everybody : (g,) array
        Of acting on all; acting on nobody has a net benefit of 0.
    """

    model: Curve
    everybody: np.ndarray


def decision_curve(event: np.ndarray, risk: np.ndarray, *, seed: int) -> DecisionCurve:
    """Net benefit of the model at each threshold, beside that of treating everybody.

    Parameters
    ----------
    event : (n,) array of bool
    risk : (n,) array
        Calibrated: a threshold is a probability.
    seed
        Of the bootstrap.
    """
    weights = resamples(len(event), seed, draws=BAND_RESAMPLES).astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    acts = (risk[:, np.newaxis] >= _DECISIONS).astype(np.float64)
    odds = _DECISIONS / (1 - _DECISIONS)
    hits = (weights * event) @ acts / total
    alarms = (weights * ~event) @ acts / total
    share = event.mean()
    return DecisionCurve(_curve(_DECISIONS, hits - odds * alarms), share - (1 - share) * odds)


def threshold_table(
    event: np.ndarray, risk: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> pl.DataFrame:
    """What acting on a risk above each threshold would mean.

    Returns
    -------
    ``threshold``, ``patients`` above it, ``share`` of all, and ``sensitivity``, ``specificity``,
    ``ppv`` and ``npv`` as [value, low, high] with Wilson intervals; null of nobody.
    """
    rows = []
    for threshold in thresholds:
        acts = risk >= threshold
        rows.append(
            {
                "threshold": threshold,
                "patients": int(acts.sum()),
                "share": float(acts.mean()),
                "sensitivity": _wilson(event & acts, event),
                "specificity": _wilson(~event & ~acts, ~event),
                "ppv": _wilson(event & acts, acts),
                "npv": _wilson(~event & ~acts, ~acts),
            }
        )
    return pl.DataFrame(rows)


def _wilson(hits: np.ndarray, of: np.ndarray) -> list[float] | None:
    if not of.any():
        return None
    found = binomtest(int(hits.sum()), int(of.sum()))
    ends = found.proportion_ci(CONFIDENCE, method="wilson")
    return [found.statistic, ends.low, ends.high]


def _curve(grid: np.ndarray, values: np.ndarray) -> Curve:
    """Curve of (1 + resamples, g) values, the first of which is that of all patients."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(values[1:], [tail, 100 - tail], axis=0)
    return Curve(grid, values[0], low, high)
