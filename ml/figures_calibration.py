"""Figure of calibration: how sure the model was, against how often it was right.

reliability curves (name -> bins) -> reliability_figure
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from ml.figures_style import BLUE, FAINT, ORANGE, new_figure, plain

_COLOURS = (ORANGE, BLUE)
_MARKERS = ("s", "o")


def reliability_figure(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Reliability curves of the most probable class, with 95 % intervals.

    Parameters
    ----------
    curves
        Name of the curve -> bins of ``patients``, ``confidence`` and ``accuracy`` (value, low,
        high); at most two curves.
    """
    figure = new_figure(6.2, 5.6)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)), label="calibrated")
    for (name, bins), colour, marker in zip(curves.items(), _COLOURS, _MARKERS, strict=False):
        known = [row for row in bins if None not in row["accuracy"]]
        sure = [row["confidence"] for row in known]
        value, low, high = zip(*(row["accuracy"] for row in known), strict=True)
        axes.vlines(sure, low, high, color=colour, linewidth=4, alpha=0.22)
        axes.plot(sure, value, color=colour, marker=marker, markersize=6, linewidth=1.6, label=name)
    axes.set(
        xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal",
        xlabel="Mean probability of the predicted class", ylabel="Share predicted correctly",
    )  # fmt: skip
    plain(axes, grid="y")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure
