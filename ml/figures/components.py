"""Figures of principal components: variance, loadings by modality, correlation circle.

components.json, loadings.parquet -> variance_figure, loadings_figure
loadings.parquet -> circles, telling_pair -> circle_figure
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ml.figures.style import (
    BLUE,
    FAINT,
    GRID,
    INK,
    SIGNED,
    modality_colour,
    modality_legend,
    new_figure,
    plain,
    wrapped,
)
from oncoframe.modalities import MODULES

#: Columns of the data in the heat map, and arrows of a circle.
SHOWN_COLUMNS, SHOWN_ARROWS = 240, 16
#: Lines of names beside a heat map of full height, and letters of a line.
_NAME_LINES, _LINE_LETTERS = 44, 52
#: Length of an arrow from which a modality counts as loading on a pair of components: half of the
#: column's variance.
FAR_OUT = 0.5**0.5
#: Arrows of a modality that are shorter say nothing and are left out.
SHORTEST = 0.1
_MARKS = (0.5, 0.8, 0.9, 0.99)
_NAME_LETTERS = 36


def variance_figure(cumulative: Sequence[float]) -> Figure:
    """Cumulative share of the variance, with the components that reach 50, 80, 90 and 99 %."""
    figure = new_figure(7.2, 3.9)
    axes = figure.add_subplot()
    shares = np.asarray(cumulative)
    numbers = np.arange(1, len(shares) + 1)
    axes.plot(numbers, shares, color=BLUE, linewidth=2, marker="o" if len(shares) < 40 else "",  # noqa: PLR2004
              markersize=4)  # fmt: skip
    for mark in _MARKS:
        # The last component reaches its share only up to rounding.
        reached = int(np.searchsorted(shares, mark - 1e-9)) + 1
        if reached <= len(shares):
            axes.plot([0, reached, reached], [mark, mark, 0], color=FAINT, linewidth=0.8,
                      linestyle=(0, (4, 3)))  # fmt: skip
            axes.annotate(
                f"{mark:.0%}: {reached}", (reached, mark), xytext=(6, -11),
                textcoords="offset points", fontsize=9, color=INK,
            )  # fmt: skip
    axes.set(xlim=(0, len(shares) * 1.08), ylim=(0, 1.04),
             xlabel="Number of components", ylabel="Cumulative share of the variance")  # fmt: skip
    plain(axes, grid="y")
    return figure


def loadings_figure(loadings: pl.DataFrame, called: Callable[[str], str] = str) -> Figure:
    """Heat map of the loadings: a row per column of the data, a column per component.

    Rows are sorted and coloured by modality; those with the strongest loadings carry their names.

    Parameters
    ----------
    loadings
        ``feature``, ``modality``, ``component``, ``loading``.
    called
        Name of a feature for people.
    """
    order = _strongest(loadings, SHOWN_COLUMNS)
    components = sorted(loadings["component"].unique())
    grid = loading_grid(loadings, order["feature"].to_list(), components)
    limit = float(np.abs(grid).max()) or 1.0
    figure = new_figure(9.6, min(1.6 + 0.22 * max(len(order), 8), 9.4))
    strip, axes = figure.subplots(1, 2, width_ratios=[1, 24], sharey=True)
    colours = [to_rgb(modality_colour(modality)) for modality in order["modality"]]
    strip.imshow([[colour] for colour in colours], aspect="auto", interpolation="nearest")
    strip.set_axis_off()
    image = axes.imshow(
        grid, cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    axes.set_xticks(range(len(components)), [str(c) for c in components])
    axes.set(xlabel="Component", ylim=(len(order) - 0.5, -0.5))
    axes.tick_params(left=False, labelleft=False)
    plain(axes)
    _name_rows(axes, order, np.argsort(-np.abs(grid).max(axis=1), kind="stable"), called)
    bar = figure.colorbar(image, ax=strip, location="left", fraction=0.4, aspect=40,
                          label="Loading")  # fmt: skip
    bar.ax.tick_params(labelsize=8.5, length=0)
    bar.outline.set_visible(False)
    modality_legend(figure, order["modality"])
    return figure


def loading_grid(
    loadings: pl.DataFrame, features: Sequence[str], components: Sequence[int]
) -> np.ndarray:
    """(p, c) loadings of some features on some components; 0 where there is none."""
    row = {name: at for at, name in enumerate(features)}
    column = {number: at for at, number in enumerate(components)}
    grid = np.zeros((len(row), len(column)))
    kept = loadings.filter(pl.col("feature").is_in(list(features)))
    for name, component, loading in kept.select("feature", "component", "loading").iter_rows():
        grid[row[name], column[component]] = loading
    return grid


def _name_rows(
    axes: Axes, order: pl.DataFrame, strongest: np.ndarray, called: Callable[[str], str]
) -> None:
    """Names of as many of the strongest rows as there is room for, with a line to each row."""
    rows = len(order)
    names = wrapped([called(order["feature"][int(at)]) for at in strongest], _LINE_LETTERS)
    room = np.cumsum([_taken(name.count("\n") + 1) for name in names])
    kept = int(np.searchsorted(room, _NAME_LINES, side="right"))
    named, lines = zip(*sorted(zip(strongest[:kept], names, strict=False)), strict=True)
    gap = max(1.0, rows / _NAME_LINES)
    heights = _spread([float(at) for at in named], [name.count("\n") + 1 for name in lines],
                      gap=gap, low=-0.5, high=rows - 0.5)  # fmt: skip
    for at, height, name in zip(named, heights, lines, strict=True):
        axes.annotate(
            name, (1, at), (1.035, height), xycoords=("axes fraction", "data"),
            textcoords=("axes fraction", "data"), va="center", ha="left", fontsize=8, color=INK,
            annotation_clip=False, linespacing=1.0,
            arrowprops={"arrowstyle": "-", "color": modality_colour(order["modality"][int(at)]),
                        "lw": 0.7, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)},
        )  # fmt: skip


def modality_reach(loadings: pl.DataFrame) -> pl.DataFrame:
    """``one``, ``other``, ``modalities``, ``reach`` of every pair of components.

    ``modalities`` counts those of which a column lies at least :data:`FAR_OUT` from the middle of
    the correlation circle, ``reach`` sums the farthest column of each modality.
    """
    wide, modality = _correlations(loadings)
    kinds = sorted(set(modality))
    squared = wide**2
    rows = []
    for one, other in combinations(range(wide.shape[1]), 2):
        length = np.sqrt(squared[:, one] + squared[:, other])
        farthest = [float(length[np.equal(modality, kind)].max()) for kind in kinds]
        rows.append(
            {
                "one": one + 1,
                "other": other + 1,
                "modalities": sum(far >= FAR_OUT for far in farthest),
                "reach": sum(farthest),
            }
        )
    schema = {"one": pl.Int64, "other": pl.Int64, "modalities": pl.Int64, "reach": pl.Float64}
    return pl.DataFrame(rows, schema=schema)


def telling_pair(loadings: pl.DataFrame) -> tuple[int, int]:
    """The pair of components on which most modalities load; of equals, where they load most."""
    best = modality_reach(loadings).sort(
        "modalities", "reach", "one", "other", descending=[True, True, False, False]
    )
    return int(best["one"][0]), int(best["other"][0])


@dataclass(frozen=True)
class Circles:
    """Correlation circles of all pairs of components.

    Parameters
    ----------
    features : (p,) names
        Columns that some circle shows.
    modalities : (p,) names
    correlations : (p, c) array
        With each component.
    shown
        Pair -> positions of the features that lie farthest out, farthest first.
    """

    features: tuple[str, ...]
    modalities: tuple[str, ...]
    correlations: np.ndarray
    shown: dict[tuple[int, int], tuple[int, ...]]


def circles(loadings: pl.DataFrame) -> Circles:
    """What the correlation circle of every pair of components shows."""
    wide, modality = _correlations(loadings)
    names = _features(loadings)
    picked = {
        (one + 1, other + 1): _farthest(wide[:, [one, other]], modality)
        for one, other in combinations(range(wide.shape[1]), 2)
    }
    used = sorted({at for positions in picked.values() for at in positions})
    place = {at: number for number, at in enumerate(used)}
    return Circles(
        tuple(names[at] for at in used),
        tuple(str(modality[at]) for at in used),
        wide[used],
        {pair: tuple(place[at] for at in positions) for pair, positions in picked.items()},
    )


def _farthest(points: np.ndarray, modality: np.ndarray) -> list[int]:
    """Positions of the longest arrows: the first of each modality, then the longest of all."""
    length = np.hypot(*points.T)
    order = np.argsort(-length, kind="stable")
    farthest = [next(at for at in order if modality[at] == kind) for kind in sorted(set(modality))]
    first = [int(at) for at in farthest if length[at] >= SHORTEST]
    rest = [int(at) for at in order[:SHOWN_ARROWS] if int(at) not in first]
    kept = (first + rest)[:SHOWN_ARROWS]
    return sorted(kept, key=lambda at: (-float(length[at]), at))


def circle_figure(found: Circles, called: Callable[[str], str], pair: tuple[int, int]) -> Figure:
    """Correlation circle of two components, with the columns that lie farthest out.

    Parameters
    ----------
    found
        See :func:`circles`.
    called
        Name of a feature for people.
    pair
        Components, from 1.
    """
    shown = list(found.shown[pair])
    points = found.correlations[np.ix_(shown, [pair[0] - 1, pair[1] - 1])]
    figure = new_figure(10.6, 5.9)
    axes = figure.add_subplot()
    axes.add_patch(Circle((0, 0), 1, fill=False, color=FAINT, linewidth=1))
    axes.axhline(0, color=GRID, linewidth=0.8)
    axes.axvline(0, color=GRID, linewidth=0.8)
    names = wrapped([called(found.features[at]) for at in shown], _NAME_LETTERS)
    for right in (True, False):
        side = [i for i in np.argsort(points[:, 1]) if (points[i, 0] >= 0) == right]
        heights = _spread(
            [float(points[i, 1]) for i in side], [1 + names[i].count("\n") for i in side]
        )
        for i, height in zip(side, heights, strict=True):
            x, y = (float(part) for part in points[i])
            colour = modality_colour(found.modalities[shown[i]])
            axes.annotate("", (x, y), (0, 0), arrowprops={
                "arrowstyle": "-|>", "color": colour, "lw": 1.3, "shrinkA": 0, "shrinkB": 0,
            })  # fmt: skip
            edge = 1.12 if right else -1.12
            axes.plot([x, edge], [y, height], color=colour, linewidth=0.6, alpha=0.5)
            axes.text(
                edge * 1.02, height, names[i], ha="left" if right else "right",
                va="center", fontsize=8.5, color=INK, linespacing=1.0,
            )  # fmt: skip
    axes.set(xlim=(-2.6, 2.6), ylim=(-1.25, 1.25), aspect="equal")
    axes.set(xlabel=f"Correlation with component {pair[0]}",
             ylabel=f"Correlation with component {pair[1]}")  # fmt: skip
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_yticks([-1, -0.5, 0, 0.5, 1])
    plain(axes)
    modality_legend(figure, [found.modalities[at] for at in shown])
    return figure


def _strongest(loadings: pl.DataFrame, count: int) -> pl.DataFrame:
    """``feature`` and ``modality`` of the largest loadings, by modality, then by component."""
    places = {name: at for at, name in enumerate(MODULES)}
    strength = (
        loadings.with_columns(size=pl.col("loading").abs())
        .filter(pl.col("size") > 0)
        .sort("size", "feature", descending=[True, False])
        .group_by("feature", maintain_order=True)
        .agg(pl.col("modality").first(), pl.col("component").first(), pl.col("size").first())
        .head(count)
    )
    place = pl.col("modality").replace_strict(places, default=len(places), return_dtype=pl.Int64)
    return strength.with_columns(place=place).sort(
        "place", "modality", "component", "size", "feature",
        descending=[False, False, False, True, False],
    )  # fmt: skip


def _features(loadings: pl.DataFrame) -> list[str]:
    """Features that vary; a modality without data has none."""
    varies = loadings.filter(pl.col("correlation") != 0)
    return varies["feature"].unique(maintain_order=True).to_list()


def _correlations(loadings: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(p, c) correlations of the features with the components, and (p,) their modalities."""
    place = {name: at for at, name in enumerate(_features(loadings))}
    loadings = loadings.filter(pl.col("feature").is_in(list(place)))
    count = int(loadings["component"].max() or 0)  # type: ignore[arg-type]
    wide = np.zeros((len(place), count))
    row = loadings["feature"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
    wide[row, loadings["component"].to_numpy() - 1] = loadings["correlation"].to_numpy()
    modality = np.full(len(place), "", dtype=object)
    modality[row] = loadings["modality"].fill_null("").to_numpy()
    return wide, modality


def _spread(
    heights: Sequence[float],
    lines: Sequence[int],
    *,
    gap: float = 0.135,
    low: float = -1.2,
    high: float = 1.2,
) -> list[float]:
    """Ascending heights moved apart, so that labels of so many lines do not overlap."""
    half = [gap / 2 * _taken(count) for count in lines]
    moved: list[float] = []
    for at, height in enumerate(heights):
        least = low if at == 0 else moved[-1] + half[at - 1] + half[at]
        moved.append(max(height, least))
    limit = high
    for at in range(len(moved) - 1, -1, -1):
        moved[at] = min(moved[at], limit)
        limit = moved[at] - half[at] - (half[at - 1] if at else 0)
    return moved


def _taken(lines: int) -> float:
    """Room of a label of so many lines, in labels of one: lines of one name stand closer."""
    return 1 + 0.75 * (lines - 1)
