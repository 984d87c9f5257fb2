"""Figures of two classes: ROC, precision and recall, decision curve, calibration curve.

    curves of ml.evaluation.curves -> matplotlib Figure

Figures are returned, not saved.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.evaluation.calibration import Curve as CalibrationCurve
from ml.evaluation.curves import Curve, DecisionCurve, RocCurves
from ml.figures.style import BLUE, FAINT, GRID, INK, ORANGE, new_figure, plain

_DASHED = (0, (4, 3))
_SIZE = (5.4, 5.0)
_BARS = 30


def roc_figure(found: RocCurves) -> Figure:
    """ROC curve of every fold, faint, and their mean with its band."""
    figure, axes = _square("1 - specificity (false alarms)", "Sensitivity (found)")
    for false, true in found.folds:
        axes.plot(false, true, color=FAINT, linewidth=0.6, alpha=0.35)
    axes.plot([], [], color=FAINT, linewidth=0.8, alpha=0.6, label=f"folds ({len(found.folds)})")
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=_DASHED, label="a coin")
    _band(axes, found.mean, "mean of the folds")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def precision_recall_figure(found: Curve, share: float) -> Figure:
    """Precision against recall with its band, and the share of events: what guessing reaches."""
    figure, axes = _square("Recall (share of the events that are found)",
                           "Precision (share of those named that are events)")  # fmt: skip
    axes.axhline(share, color=FAINT, linewidth=1, linestyle=_DASHED,
                 label=f"naming everybody: {share:.2f}")  # fmt: skip
    _band(axes, found, "model")
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    return figure


def benefit_figure(found: DecisionCurve) -> Figure:
    """Net benefit of acting on the model, on everybody and on nobody."""
    figure = new_figure(7.4, 4.2)
    axes = figure.add_subplot()
    top = max(float(np.nanmax(found.model.high)), float(found.everybody[0]), 0.01)
    axes.axhline(0, color=INK, linewidth=1, label="act on nobody")
    axes.plot(found.model.grid, found.everybody, color=ORANGE, linewidth=1.4, linestyle=_DASHED,
              label="act on everybody")  # fmt: skip
    _band(axes, found.model, "act on the model")
    axes.set(xlim=(0, found.model.grid[-1]), ylim=(-0.35 * top, 1.08 * top),
             xlabel="Risk from which one would act", ylabel="Net benefit per patient")  # fmt: skip
    plain(axes, grid="y")
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    return figure


def calibration_figure(
    found: CalibrationCurve | None, event: np.ndarray, risk: np.ndarray
) -> Figure:
    """Observed share at each predicted risk, and below it how the risks are spread.

    Parameters
    ----------
    found
        None where there are too few events for a curve.
    event : (n,) array of bool
    risk : (n,) array
    """
    figure = new_figure(5.4, 6.0)
    axes, below = figure.subplots(2, 1, height_ratios=[5, 1], sharex=True)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=_DASHED, label="ideal")
    if found is not None:
        ends = (found.predicted, found.observed, found.low, found.high)
        _band(axes, Curve(*map(np.array, ends)), "flexible curve")
    axes.axhline(event.mean(), color=GRID, linewidth=1)
    axes.plot(risk.mean(), event.mean(), "D", color=ORANGE, markersize=6,
              label="means of all patients")  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="Observed share of events")
    plain(axes, grid="y")
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    edges = np.linspace(0, 1, _BARS + 1)
    for members, sign, colour in ((event, 1, ORANGE), (~event, -1, BLUE)):
        counts, _ = np.histogram(risk[members], edges)
        below.bar(edges[:-1], sign * counts, width=1 / _BARS, align="edge", color=colour,
                  edgecolor="white", linewidth=0.4)  # fmt: skip
    below.axhline(0, color=INK, linewidth=0.8)
    ticks = [int(t) for t in below.get_yticks() if t == int(t)]
    below.set_yticks(ticks, [str(abs(t)) for t in ticks])
    below.set(xlabel="Predicted risk", ylabel="Without | with")
    plain(below)
    return figure


def _square(x: str, y: str) -> tuple[Figure, Axes]:
    figure = new_figure(*_SIZE)
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", xlabel=x, ylabel=y)
    plain(axes, grid="y")
    return figure, axes


def _band(axes: Axes, curve: Curve, label: str) -> None:
    axes.fill_between(curve.grid, curve.low, curve.high, color=BLUE, alpha=0.16, linewidth=0)
    axes.plot(curve.grid, curve.value, color=BLUE, linewidth=2, label=f"{label}, 95 % band")
