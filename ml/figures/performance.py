"""Figures of a training: the confusion matrix of a model, the comparison of modality sets.

    Evaluation -> confusion_figure; Evaluation per row -> comparison_figure -> matplotlib Figure

Colours are readable for colour-blind people and in grey. Figures are returned, not saved.
"""

from collections.abc import Mapping, Sequence
from textwrap import shorten, wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.evaluation.metrics import Evaluation
from ml.figures.style import (
    BLUE,
    FAINT,
    GRID,
    INK,
    ORANGE,
    SHARES,
    modality_colour,
    new_figure,
    plain,
)
from ml.intervals import Estimate

_CELL_IN = 0.54
#: Room for the sentences above the matrix.
_MIN_WIDTH_IN = 11.0
_TITLE_LETTERS_PER_IN = 7.8
_MEAN_PATIENTS = "Small: patients, mean over the repeats of the cross-validation."
#: Share of a row above which a cell is dark enough for white text.
_DARK = 0.45
#: Mean patients below which a cell stays empty.
_VISIBLE_PATIENTS = 0.3
_ONE_PERCENT = 0.01


def confusion_figure(evaluation: Evaluation, *, title: str, subtitle: str) -> Figure:
    """Confusion matrix, one row per true class from the largest to the smallest.

    A cell shows the share of its row in percent and below it the patients, both means over the
    repeats; at the right stand precision, recall and F1 of the class.
    """
    order = sorted(
        range(len(evaluation.classes)), key=lambda i: (-evaluation.classes[i].support, i)
    )
    counts = evaluation.confusion[np.ix_(order, order)]
    shares = counts / counts.sum(axis=1, keepdims=True)
    k = len(order)
    width, height = max(4.3 + k * _CELL_IN + 2.9, _MIN_WIDTH_IN), 2.0 + k * _CELL_IN
    figure = Figure(figsize=(width, height), facecolor="white")
    side = k * _CELL_IN
    axes = figure.add_axes((4.3 / width, 0.6 / height, side / width, side / height))
    axes.pcolormesh(shares, cmap=SHARES, vmin=0, vmax=1, edgecolors=GRID, linewidth=0.8)
    axes.set(xlim=(0, k), ylim=(k, 0))
    for row, column in np.argwhere(counts >= _VISIBLE_PATIENTS):
        _write_cell(axes, row, column, shares[row, column], counts[row, column])
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    _name_classes(axes, [evaluation.classes[i].name for i in order])
    _class_columns(axes, evaluation, order)
    _words(figure, title, subtitle, f"Large: % of the patients of the row. {_MEAN_PATIENTS}")
    return figure


def _write_cell(axes: Axes, row: int, column: int, share: float, patients: float) -> None:
    colour = "white" if share > _DARK else INK
    at = column + 0.5
    percent = f"{100 * share:.0f}" if share >= _ONE_PERCENT else "<1"
    axes.text(
        at, row + 0.4, percent, ha="center", va="center", fontsize=10.5, color=colour
    )  # fmt: skip
    axes.text(
        at, row + 0.76, f"{patients:.1f}".removesuffix(".0"),
        ha="center", va="center", fontsize=6.5, color=colour, alpha=0.85,
    )  # fmt: skip


def _name_classes(axes: Axes, names: list[str]) -> None:
    """Full names at the left; the columns carry their numbers."""
    middles = np.arange(len(names)) + 0.5
    numbers = [str(i + 1) for i in range(len(names))]
    axes.set_yticks(middles, ["\n".join(wrap(name, 42)) for name in names], fontsize=9, color=INK)
    axes.set_xticks(middles, numbers, fontsize=9, color=INK)
    axes.tick_params(length=0, pad=24, axis="y")
    axes.tick_params(length=0, pad=2, axis="x", top=True, labeltop=True, labelbottom=False)
    axes.set_xlabel("Predicted class, numbered as the rows", fontsize=9, color=FAINT, labelpad=6)
    axes.xaxis.set_label_position("top")
    for middle, number in zip(middles, numbers, strict=True):
        axes.annotate(
            number, (0, middle), xytext=(-8, 0), textcoords="offset points",
            ha="right", va="center", fontsize=9, color=FAINT,
        )  # fmt: skip


def _class_columns(axes: Axes, evaluation: Evaluation, order: list[int]) -> None:
    """Patients, precision, recall and F1 of each class, right of the matrix."""
    k = len(order)
    for j, head in enumerate(("patients", "precision", "recall", "F1")):
        at = k + 1.05 + 1.25 * j
        axes.text(at, -0.18, head, ha="center", va="bottom", fontsize=8.5, color=FAINT)
        for row, i in enumerate(order):
            result = evaluation.classes[i]
            cells = (
                str(result.support),
                *(f"{e.value:.2f}" for e in (result.precision, result.recall, result.f1)),
            )
            axes.text(
                at, row + 0.5, cells[j],
                ha="center", va="center", fontsize=9.5, color=INK,
            )  # fmt: skip


def comparison_figure(
    evaluations: Mapping[str, Evaluation],
    modalities: Mapping[str, Sequence[str]],
    *,
    title: str,
    subtitle: str,
    majority_share: float,
) -> Figure:
    """Accuracy and macro F1 of each row with 95 % intervals, rows from top to bottom.

    Parameters
    ----------
    evaluations
        Row name (a modality set) -> its evaluation; all of the same patients and folds.
    modalities
        Row name -> modalities of the set; a set of one has the colour of its modality.
    majority_share
        Accuracy of always naming the most frequent class; drawn as a reference, as is its macro
        F1, which follows from it and the number of classes.
    """
    rows_in = 0.46 * len(evaluations)
    width, height = 12.2, 2.2 + rows_in
    figure = Figure(figsize=(width, height), facecolor="white")
    classes = len(next(iter(evaluations.values())).classes)
    panels = (
        ("accuracy", "Accuracy", majority_share),
        ("macro_f1", "Macro F1", 2 * majority_share / (1 + majority_share) / classes),
    )
    colours = [
        modality_colour(held[0]) if len(held := modalities[row]) == 1 else INK
        for row in evaluations
    ]
    for i, (metric, name, reference) in enumerate(panels):
        left_in = 1.45 + 5.35 * i
        axes = figure.add_axes(
            (left_in / width, 0.85 / height, 3.5 / width, rows_in / height), title=name
        )
        estimates = {row: evaluation.metrics[metric] for row, evaluation in evaluations.items()}
        _estimates_panel(axes, estimates, colours, reference)
        axes.title.set(fontsize=10.5, color=INK, weight="bold", position=(0, 1), ha="left")
        if i:
            axes.set_yticklabels([])
    _words(figure, title, subtitle, "Dashed: always naming the most frequent class.")
    return figure


def _estimates_panel(
    axes: Axes, estimates: Mapping[str, Estimate], colours: Sequence[str], reference: float
) -> None:
    axes.set(xlim=(0, 1), ylim=(len(estimates) - 0.5, -0.5))
    axes.axvline(reference, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for row, (estimate, colour) in enumerate(zip(estimates.values(), colours, strict=True)):
        axes.plot(
            [estimate.low, estimate.high], [row, row],
            color=colour, linewidth=5, alpha=0.28, solid_capstyle="round", zorder=2,
        )  # fmt: skip
        axes.plot(estimate.value, row, "o", color=colour, markersize=7.5, zorder=3)
        axes.text(1.04, row, f"{estimate.value:.3f}", va="center", fontsize=9.5, color=INK)
        axes.text(
            1.19, row, f"{estimate.low:.3f} to {estimate.high:.3f}",
            va="center", fontsize=8.5, color=FAINT,
        )  # fmt: skip
    axes.set_yticks(range(len(estimates)), list(estimates), fontsize=10, color=INK)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.tick_params(axis="x", labelsize=8.5, labelcolor=FAINT, length=0)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRID)


def _words(figure: Figure, title: str, subtitle: str, footnote: str) -> None:
    width, height = figure.get_size_inches()
    left = 0.3 / width
    title = shorten(title, int(_TITLE_LETTERS_PER_IN * width), placeholder=" ...")
    figure.text(left, 1 - 0.38 / height, title, fontsize=14, color=INK, weight="bold", va="center")
    figure.text(left, 1 - 0.68 / height, subtitle, fontsize=9.5, color=FAINT, va="center")
    figure.text(left, 0.26 / height, footnote, fontsize=8.5, color=FAINT, va="center")


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
