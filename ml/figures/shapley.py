"""Figures of Shapley values: what matters in the cohort, for a class, and in one patient.

importance.parquet -> importance_figure, class_importance_figure
shap.parquet, predictions -> decision_figure (a class), Force -> force_figure (a patient); all in
log-odds
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap

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
#: Classes that a decision plot tells apart among those that patients were taken for.
MAX_DESTINATIONS = 4
ELSEWHERE = "other classes"
_WRONG = (ORANGE, "#9e3192", "#3d9e0c", "#796149")
#: What the sum of the features that are not named is called.
REST = "all other features"
#: Share of the span of all bars that a bar needs to hold its number.
_LABELLED = 0.018
#: Digits behind the point of a force plot.
_PRINTED = 2
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


@dataclass(frozen=True)
class Decisions:
    """Numbers of a decision plot.

    Parameters
    ----------
    features : (p,) list of str
        From below, after the base value and the sum of what is not shown.
    steps : (n, p + 2) array
        Log-odds of each patient after each of them; the last is that of the model.
    """

    features: list[str]
    steps: np.ndarray


def decisions(shap: pl.DataFrame, patients: Sequence[str]) -> Decisions:
    """How the log-odds of a class add up for its patients, feature by feature.

    Parameters
    ----------
    shap
        ``patient_id``, ``feature``, ``shap`` of one class.
    patients : (n,) ids
    """
    table = shap.filter(pl.col("patient_id").is_in(list(patients)))
    features = _ranked(table, SHOWN_IN_DECISION)
    values = {(p, f): v for p, f, v in table.select("patient_id", "feature", "shap").iter_rows()}
    parts = np.array([[values.get((p, f), 0.0) for f in features] for p in patients])
    total = np.array([table_sum for _, table_sum in _scores(table, patients)], dtype=np.float64)
    # What is not shown comes first, so that every line ends at the log-odds of the model.
    base = np.array([values.get((p, BASE), 0.0) for p in patients])
    start = total - parts.sum(axis=1)
    return Decisions(
        features, np.column_stack([base, start, start[:, None] + np.cumsum(parts, axis=1)])
    )


def destinations(predicted: Sequence[str], label: str) -> list[tuple[str, int]]:
    """Classes that patients of a class were taken for instead, most frequent first, and how many.

    Those beyond :data:`MAX_DESTINATIONS` are counted together as :data:`ELSEWHERE`.
    """
    wrong = Counter(name for name in predicted if name != label)
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) <= MAX_DESTINATIONS:
        return ranked
    named = ranked[: MAX_DESTINATIONS - 1]
    return [*named, (ELSEWHERE, sum(count for _, count in ranked[len(named) :]))]


def decision_figure(
    shap: pl.DataFrame,
    patients: Sequence[str],
    predicted: Sequence[str],
    label: str,
    called: Called,
) -> Figure:
    """Decision plot of a class: how the log-odds of its patients add up, feature by feature.

    Parameters
    ----------
    shap
        ``patient_id``, ``feature``, ``shap`` of one class.
    patients : (n,) ids
        Patients to draw, of the class.
    predicted : (n,) names
        Class that each was taken for; where it is another one, the line is dashed, on top, and has
        the colour of that class.
    label
        The class.
    called
        Name of a feature for people.
    """
    found = decisions(shap, patients)
    names = ["base value", REST, *wrapped([called(f) for f in found.features], 34)]
    wrong = destinations(predicted, label)
    named = {name for name, _ in wrong}
    took = np.array([
        name if name == label or name in named else ELSEWHERE for name in predicted
    ])  # fmt: skip
    figure = new_figure(4.9, 1.3 + 0.25 * len(names) + 0.17 * len(wrong))
    axes = figure.add_subplot()
    rows = np.arange(len(names))
    right = int((took == label).sum())
    groups = [(label, right, "recognised", BLUE, "-"), *(
        (name, count, f"taken for {name}", colour, (0, (4, 2)))
        for (name, count), colour in zip(wrong, _WRONG, strict=False)
    )]  # fmt: skip
    for name, count, said, colour, style in groups:
        for line in found.steps[took == name]:
            axes.plot(line, rows, color=colour, linestyle=style,
                      linewidth=0.9 if name == label else 1.3,
                      alpha=0.55 if name == label else 0.95)  # fmt: skip
        if count:
            legend = "\n".join(wrap(f"{said} ({count})", 62))
            axes.plot([], [], color=colour, linestyle=style, label=legend)
    axes.axvline(float(found.steps[:, 0].mean()), color=FAINT, linewidth=0.8,
                 linestyle=(0, (1, 2)))  # fmt: skip
    axes.set_yticks(rows, names)
    axes.set(ylim=(-0.5, len(names) - 0.5), xlabel="Log-odds of the class")
    plain(axes, grid="y")
    axes.tick_params(labelsize=7.5)
    figure.legend(loc="outside upper left", frameon=False, fontsize=7.5, labelspacing=0.25)
    return figure


def shown_patients(recognised: np.ndarray, *, limit: int = MAX_LINES) -> np.ndarray:
    """(m,) positions to draw: misclassified patients first, then the others, at most ``limit``."""
    return np.sort(np.argsort(recognised, kind="stable")[:limit])


@dataclass(frozen=True)
class Side:
    """Features that push the log-odds in one direction.

    Parameters
    ----------
    bars
        Name for people and contribution, largest first; the sum of what is not named comes last.
    """

    bars: tuple[tuple[str, float], ...]

    @property
    def total(self) -> float:
        """Sum of the bars as they are printed."""
        return round(sum(value for _, value in self.bars), _PRINTED)


@dataclass(frozen=True)
class Force:
    """Numbers of a force plot as they are printed: base, up and down add up to the score."""

    base: float
    up: Side
    down: Side

    @property
    def score(self) -> float:
        """Log-odds of the class."""
        return round(self.base + self.up.total + self.down.total, _PRINTED)


def force(parts: Sequence[tuple[str, float]], base: float, *, named: int = SHOWN_IN_FORCE) -> Force:
    """What pushes the log-odds of one patient up, and what down.

    Parameters
    ----------
    parts
        Name for people and contribution of every feature; :data:`REST` is a sum already.
    base
        Log-odds without any feature.
    named
        Features of each side that have a bar of their own.
    """
    sides = [_bars([part for part in parts if part[1] * sign > 0], named) for sign in (1, -1)]
    exact = [base, *(value for side in sides for _, value in side)]
    printed = adding_up(exact)
    ends = 1 + len(sides[0])
    up, down = (
        Side(tuple((name, value) for (name, _), value in zip(side, values, strict=True)))
        for side, values in zip(sides, (printed[1:ends], printed[ends:]), strict=True)
    )
    return Force(printed[0], up, down)


def patient_force(own: pl.DataFrame, said: Callable[[str, float | None], str]) -> Force:
    """Force plot of the rows of ``shap.parquet`` of one patient and class.

    Parameters
    ----------
    said
        Name and value of a feature for people.
    """
    base = float(own.filter(feature=BASE)["shap"].sum())
    parts = [
        (REST if feature == OTHERS else said(feature, value), float(added))
        for feature, value, added in own.filter(pl.col("feature") != BASE)
        .select("feature", "value", "shap")
        .iter_rows()
    ]
    return force(parts, base)


def adding_up(values: Sequence[float], digits: int = _PRINTED) -> list[float]:
    """Values with so many digits whose sum is the rounded sum.

    Each is rounded down, and what then lacks goes to those that lost most, so that none moves by
    a whole unit of its last digit.

    References
    ----------
    Balinski M, Young HP. Fair representation. 1982, chapter 3, Hamilton's method.
    """
    scaled = np.asarray(values, dtype=np.float64) * 10**digits
    whole = np.floor(scaled)
    lacking = round(float(scaled.sum())) - int(whole.sum())
    whole[np.argsort(whole - scaled, kind="stable")[:lacking]] += 1
    return [round(float(value) / 10**digits, digits) for value in whole]


def _bars(parts: Sequence[tuple[str, float]], named: int) -> list[tuple[str, float]]:
    ranked = sorted(parts, key=lambda part: (part[0] == REST, -abs(part[1]), part[0]))
    shown = [part for part in ranked[:named] if part[0] != REST]
    rest = sum(value for _, value in ranked[len(shown) :])
    return [*shown, (REST, rest)] if len(shown) < len(ranked) else shown


def force_figure(found: Force) -> Figure:
    """Force plot of one patient and class: bars from the base to the score, and what they are."""
    sides = [_legend_rows(side) for side in (found.up, found.down)]
    lines = max(sum(1 + name.count("\n") for _, name in rows) for rows in sides)
    figure = new_figure(9.6, 1.75 + 0.19 * lines)
    axes, words = figure.subplots(2, 1, height_ratios=[1.35, 0.4 + 0.19 * lines])
    low = min(found.score - found.up.total, found.base)
    high = max(found.score - found.down.total, found.base)
    for side, colour, direction in ((found.up, ORANGE, -1), (found.down, BLUE, 1)):
        _push(axes, side, found.score, colour, direction, narrowest=_LABELLED * (high - low))
    margin = 0.06 * max(high - low, 0.1)
    # Each number stands on the far side of the other's line.
    sides_of = ("right", "left") if found.base < found.score else ("left", "right")
    for at, said, colour, height, toward in (
        (found.base, f"base {_minus(found.base)}", FAINT, 1.72, sides_of[0]),
        (found.score, f"log-odds {_minus(found.score)}", INK, 1.28, sides_of[1]),
    ):
        axes.plot([at, at], [0.3, height - 0.08], color=colour, linewidth=1.2)
        axes.annotate(said, (at, height), ha=toward, fontsize=9.5, color=colour,
                      annotation_clip=False)  # fmt: skip
    axes.set(xlim=(low - margin, high + margin), ylim=(0.2, 1.95), yticks=[])
    plain(axes)
    for spine in axes.spines.values():
        spine.set_visible(False)
    words.set_axis_off()
    words.set(xlim=(0, 1), ylim=(lines + 1.4, 0))
    for x, head, side, rows, colour in (
        (0.0, "pushes up", found.up, sides[0], ORANGE),
        (0.51, "pushes down", found.down, sides[1], BLUE),
    ):
        words.text(x, 0.1, f"{head} {_minus(side.total, sign=True)}", fontsize=9.5, color=colour,
                   weight="bold", va="top")  # fmt: skip
        _write_rows(words, rows, x)
    return figure


def _legend_rows(side: Side) -> list[tuple[str, str]]:
    """Number and value, and the name on as many lines as it needs, of each bar."""
    return [
        (f"{_number(name, at)}  {_minus(value, sign=True)}", wrapped([name], 54)[0])
        for at, (name, value) in enumerate(side.bars, start=1)
    ]


def _write_rows(axes: Axes, rows: Sequence[tuple[str, str]], x: float) -> None:
    at = 1.3
    for value, name in rows:
        axes.text(x + 0.075, at, value, fontsize=8.8, color=INK, va="top", ha="right")
        axes.text(x + 0.088, at, name, fontsize=8.8, color=INK, va="top", linespacing=1.25)
        at += 1 + name.count("\n")


def _number(name: str, at: int) -> str:
    return "" if name == REST else str(at)


def _minus(value: float, *, sign: bool = False) -> str:
    """A printed number with a minus that is as wide as a plus."""
    return f"{value:{'+' if sign else ''}.{_PRINTED}f}".replace("-", "\N{MINUS SIGN}")


def _push(
    axes: Axes, side: Side, score: float, colour: str, direction: int, *, narrowest: float
) -> None:
    """Draw bars outwards from the score, largest first, with a number where there is room."""
    at = score
    for number, (name, value) in enumerate(side.bars, start=1):
        width = abs(value) * direction
        axes.barh(0.7, width, left=at, height=0.44, color=colour, edgecolor="white", linewidth=1,
                  alpha=0.4 if name == REST else 1.0)  # fmt: skip
        if abs(value) >= narrowest and name != REST:
            axes.text(at + width / 2, 0.7, str(number), ha="center", va="center", fontsize=8.5,
                      color="white", weight="bold", clip_on=True)  # fmt: skip
        at += width


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
