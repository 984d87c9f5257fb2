"""Figures of survival: curves of risk groups with numbers at risk, calibration at horizons.

    values of ml.evaluation.survival -> matplotlib Figure

Figures are returned, not saved.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ml.evaluation.survival import (
    DAYS_PER_YEAR,
    HorizonCalibration,
    at_risk,
    kaplan_meier,
)
from ml.figures.style import BLUE, FAINT, INK, ORANGE, new_figure, plain

_COLOURS = (BLUE, FAINT, ORANGE)
_STYLES = ("-", (0, (5, 2)), "-")
_TICKS = 8


def kaplan_meier_figure(groups: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Kaplan-Meier curve of each risk group, and below it who is still at risk.

    Parameters
    ----------
    groups
        Name -> days and whether each patient died, from the lowest risk to the highest.
    """
    figure = new_figure(8.6, 5.4)
    axes, below = figure.subplots(2, 1, height_ratios=[5, 1], sharex=True)
    for (name, (days, died)), colour, style in zip(groups.items(), _COLOURS, _STYLES, strict=False):
        curve = kaplan_meier(days, died)
        years = curve.days / DAYS_PER_YEAR
        axes.step(years, curve.value, where="post", color=colour, linestyle=style, linewidth=2,
                  label=f"{name} ({len(days)} patients, {int(died.sum())} died)")  # fmt: skip
        axes.fill_between(years, curve.low, curve.high, step="post", color=colour, alpha=0.13,
                          linewidth=0)  # fmt: skip
        cut = np.unique(days[~died])
        marks = [curve.at(day).value for day in cut]
        axes.plot(cut / DAYS_PER_YEAR, marks, "|", color=colour, markersize=6, markeredgewidth=0.8)
    longest = max(float(days.max()) for days, _ in groups.values()) / DAYS_PER_YEAR
    step = next(s for s in (0.25, 0.5, 1, 2, 5, 10, 50) if longest / s <= _TICKS)
    ticks = np.arange(0, longest + step / 2, step)
    axes.set(ylim=(0, 1.01), xlim=(-0.02 * longest, longest * 1.03), ylabel="Alive")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    plain(axes, grid="y")
    axes.legend(loc="lower left", frameon=False, fontsize=9)
    _numbers_at_risk(below, groups, ticks)
    return figure


def _numbers_at_risk(
    axes: Axes, groups: Mapping[str, tuple[np.ndarray, np.ndarray]], ticks: np.ndarray
) -> None:
    for row, (days, _) in enumerate(groups.values()):
        for tick, left in zip(ticks, at_risk(days, ticks * DAYS_PER_YEAR), strict=True):
            axes.text(tick, row, str(left), ha="center", va="center", fontsize=9,
                      color=_COLOURS[row % len(_COLOURS)])  # fmt: skip
    axes.set(ylim=(len(groups) - 0.4, -0.9), xlabel="Years")
    axes.set_yticks(range(len(groups)), list(groups))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_title("At risk", loc="left", fontsize=9, color=FAINT, pad=2)
    plain(axes)
    axes.spines["left"].set_visible(False)


def horizon_figure(found: Sequence[HorizonCalibration]) -> Figure:
    """Predicted and observed risk of death of groups of patients, one panel per horizon."""
    figure = new_figure(2.9 * max(len(found), 2) + 0.4, 3.5)
    panels = figure.subplots(1, max(len(found), 2), sharey=True, squeeze=False)[0]
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    for axes, horizon in zip(panels, found, strict=False):
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        at = [group.predicted for group in horizon.groups]
        value, low, high = zip(*(group.observed.as_list() for group in horizon.groups), strict=True)
        axes.vlines(at, low, high, color=BLUE, linewidth=4, alpha=0.22)
        axes.plot(at, value, "o-", color=BLUE, markersize=6, linewidth=1.4)
        axes.plot(horizon.predicted, horizon.observed.value, "D", color=ORANGE, markersize=6)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="Predicted risk of death")
        axes.set_title(years(horizon.days), fontsize=10, color=INK)
        plain(axes, grid="y")
    panels[0].set_ylabel("Observed (Kaplan-Meier)")
    return figure


def years(days: float) -> str:
    """A horizon in words, such as ``2 years``."""
    count = days / DAYS_PER_YEAR
    return f"{count:g} year" if count == 1 else f"{count:g} years"
