"""Figures of Shapley values: what matters in the cohort, for a class, and in one patient.

importance.parquet -> importance_figure, class_importance_figure
shap.parquet, predictions -> decision_figure (a class), force_figure (a patient); all in log-odds
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.explain.names import BASE, OTHERS
from ml.figures.style import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    SHARES,
    modality_colour,
    modality_legend,
    new_figure,
    plain,
    wrapped,
)

#: Features of the figures on a cohort, on a class, and of the force plot.
SHOWN, SHOWN_IN_DECISION, SHOWN_IN_FORCE = 20, 12, 6
#: Lines of a decision plot; all misrecognised patients come first.
MAX_LINES = 80
#: What the sum of the features that are not named is called.
REST = "all other features"
#: Share of a side that a bar needs to hold its number.
_LABELLED = 0.03
#: Name of a feature for people.
Called = Callable[[str], str]


def most_important(importance: pl.DataFrame, count: int = SHOWN) -> pl.DataFrame:
    """``feature``, ``modality``, ``mean_abs_shap`` summed over classes, most important first."""
    return (
        importance.group_by("feature", "modality", maintain_order=True)
        .agg(pl.col("mean_abs_shap").sum())
        .sort("mean_abs_shap", "feature", descending=[True, False])
        .head(count)
    )


def importance_figure(importance: pl.DataFrame, called: Called) -> Figure:
    """Mean absolute Shapley value, summed over classes, coloured by modality."""
    top = most_important(importance)
    figure = new_figure(9.0, 0.9 + 0.29 * len(top))
    axes = figure.add_subplot()
    rows = np.arange(len(top))
    colours = [modality_colour(name) for name in top["modality"]]
    axes.barh(rows, top["mean_abs_shap"].to_numpy(), color=colours, height=0.68)
    axes.set_yticks(rows, wrapped([called(name) for name in top["feature"]], 60))
    axes.set(ylim=(len(top) - 0.4, -0.6),
             xlabel="Mean absolute contribution in log-odds, summed over classes")  # fmt: skip
    plain(axes, grid="x")
    modality_legend(figure, top["modality"])
    return figure


def class_importance_figure(importance: pl.DataFrame, called: Called) -> Figure:
    """Which of the most important features matter for which class; darkest is a row's largest."""
    top = most_important(importance)["feature"].to_list()
    classes = sorted(importance["class"].unique())
    cells = {(f, c): v for f, _, c, v in importance.iter_rows()}
    grid = np.array([[cells.get((f, c), 0.0) for c in classes] for f in top])
    grid = grid / np.maximum(grid.max(axis=1, keepdims=True), 1e-12)
    figure = new_figure(max(3.8 + 0.27 * len(classes), 6.4), 3.0 + 0.25 * len(top))
    axes = figure.add_subplot()
    axes.pcolormesh(grid, cmap=SHARES, vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
    axes.set_yticks(np.arange(len(top)) + 0.5, wrapped([called(name) for name in top], 44))
    axes.set_xticks(
        np.arange(len(classes)) + 0.5, wrapped(classes, 34), rotation=90, ha="center", va="top"
    )
    axes.set(ylim=(len(top), 0))
    plain(axes)
    axes.tick_params(axis="x", labelsize=7.5)
    return figure


def decision_figure(
    shap: pl.DataFrame, patients: Sequence[str], recognised: np.ndarray, called: Called
) -> Figure:
    """Decision plot of a class: how the log-odds of its patients add up, feature by feature.

    Parameters
    ----------
    shap
        ``patient_id``, ``feature``, ``shap`` of one class.
    patients : (n,) ids
        Patients to draw, of the class.
    recognised : (n,) array of bool
        Whether the class was predicted; the others are drawn dashed, in another colour, on top.
    called
        Name of a feature for people.
    """
    table = shap.filter(pl.col("patient_id").is_in(list(patients)))
    features = _ranked(table, SHOWN_IN_DECISION)
    values = {(p, f): v for p, f, v in table.select("patient_id", "feature", "shap").iter_rows()}
    parts = np.array([[values.get((p, f), 0.0) for f in features] for p in patients])
    total = np.array([table_sum for _, table_sum in _scores(table, patients)], dtype=np.float64)
    # What is not shown comes first, so that every line ends at the log-odds of the model.
    base = np.array([values.get((p, BASE), 0.0) for p in patients])
    start = total - parts.sum(axis=1)
    steps = np.column_stack([base, start, start[:, None] + np.cumsum(parts, axis=1)])
    names = ["base value", REST, *wrapped([called(f) for f in features], 34)]
    figure = new_figure(4.9, 1.1 + 0.25 * len(names))
    axes = figure.add_subplot()
    rows = np.arange(len(names))
    for right, colour, style, width, label in (
        (True, BLUE, "-", 0.9, "recognised"),
        (False, ORANGE, (0, (4, 2)), 1.3, "misclassified"),
    ):
        lines = steps[recognised == right]
        for line in lines:
            axes.plot(line, rows, color=colour, linestyle=style, linewidth=width,
                      alpha=0.55 if right else 0.95)  # fmt: skip
        if len(lines):
            axes.plot([], [], color=colour, linestyle=style, label=f"{label} ({len(lines)})")
    axes.axvline(float(base.mean()), color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_yticks(rows, names)
    axes.set(ylim=(-0.5, len(names) - 0.5), xlabel="Log-odds of the class")
    plain(axes, grid="y")
    axes.tick_params(labelsize=7.5)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=7.5)
    return figure


def shown_patients(
    patients: Sequence[str], recognised: np.ndarray, *, limit: int = MAX_LINES
) -> np.ndarray:
    """(m,) positions to draw: misclassified patients first, then the others, at most ``limit``."""
    order = np.argsort(recognised, kind="stable")[:limit]
    return np.sort(order[: len(patients)])


def force_figure(parts: Sequence[tuple[str, float]], base: float) -> Figure:
    """Force plot of one patient and class: what pushes the log-odds up, and what down.

    Parameters
    ----------
    parts
        Name for people and contribution of every feature, the sum of the others among them.
    base
        Log-odds without any feature.
    """
    score = base + sum(value for _, value in parts)
    up = sorted((p for p in parts if p[1] > 0), key=_size)
    down = sorted((p for p in parts if p[1] < 0), key=_size)
    figure = new_figure(9.6, 3.1)
    axes = figure.add_subplot()
    reach = [
        _push(axes, up, score, ORANGE, direction=-1),
        _push(axes, down, score, BLUE, direction=1),
    ]
    low, high = min(*reach, base, score), max(*reach, base, score)
    margin = 0.06 * max(high - low, 0.1)
    axes.plot([score, score], [0.3, 1.08], color=INK, linewidth=1.4)
    axes.annotate(f"{score:.2f}", (score, 1.12), ha="center", fontsize=11, color=INK,
                  weight="bold", annotation_clip=False)  # fmt: skip
    axes.plot([base, base], [0.3, 1.08], color=FAINT, linewidth=1, linestyle=(0, (3, 2)))
    axes.annotate(f"base {base:.2f}", (base, 1.12), ha="center", fontsize=9, color=FAINT,
                  annotation_clip=False)  # fmt: skip
    _legend(axes, "pushes up", up, ORANGE, x=0.0)
    _legend(axes, "pushes down", down, BLUE, x=0.52)
    axes.set(xlim=(low - margin, high + margin), ylim=(-1.9, 1.35), yticks=[])
    axes.xaxis.tick_top()
    plain(axes)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _size(part: tuple[str, float]) -> tuple[bool, float, str]:
    """Order of the bars: the sum of what is not named comes last."""
    return part[0] == REST, -abs(part[1]), part[0]


def _push(
    axes: Axes, parts: Sequence[tuple[str, float]], score: float, colour: str, *, direction: int
) -> float:
    """Draw bars outwards from the score, largest first; returns where they end."""
    at = score
    reach = sum(abs(value) for _, value in parts)
    for number, (name, value) in enumerate(parts, start=1):
        width = abs(value) * direction
        named = number <= SHOWN_IN_FORCE and name != REST
        axes.barh(0.7, width, left=at, height=0.44, color=colour, edgecolor="white", linewidth=1,
                  alpha=1.0 if named else 0.4)  # fmt: skip
        if named and abs(value) > _LABELLED * reach:
            axes.text(at + width / 2, 0.7, str(number), ha="center", va="center", fontsize=8.5,
                      color="white", weight="bold", clip_on=True)  # fmt: skip
        at += width
    return at


def _legend(
    axes: Axes, head: str, parts: Sequence[tuple[str, float]], colour: str, *, x: float
) -> None:
    total = sum(value for _, value in parts)
    rows = [
        f"{number}  {value:+.2f}  {wrapped([name], 52)[0].splitlines()[0]}"
        for number, (name, value) in enumerate(parts[:SHOWN_IN_FORCE], start=1)
        if name != REST
    ]
    rows += [f"     {value:+.2f}  {name}" for name, value in parts if name == REST]
    axes.text(x, 0.47, f"{head} {total:+.2f}", transform=axes.transAxes, fontsize=9.5,
              color=colour, weight="bold", va="top")  # fmt: skip
    axes.text(x, 0.39, "\n".join(rows), transform=axes.transAxes, fontsize=8.8, color=INK,
              va="top", linespacing=1.45)  # fmt: skip


def _ranked(table: pl.DataFrame, count: int) -> list[str]:
    """Features that move these patients most, the least of them first."""
    moved = (
        table.filter(~pl.col("feature").is_in([OTHERS, BASE]))
        .group_by("feature")
        .agg(pl.col("shap").abs().mean())
        .sort("shap", "feature", descending=[True, False])
    )
    return moved["feature"].head(count).to_list()[::-1]


def _scores(table: pl.DataFrame, patients: Sequence[str]) -> list[tuple[str, float]]:
    """Log-odds of each patient: the sum of all rows."""
    sums = dict(table.group_by("patient_id").agg(pl.col("shap").sum()).iter_rows())
    return [(patient, float(sums.get(patient, 0.0))) for patient in patients]
