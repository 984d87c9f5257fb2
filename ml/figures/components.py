"""Figures of principal components: variance, loadings by modality, correlation circle.

components.json, loadings.parquet -> variance_figure, loadings_figure, circle_figure
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
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
)
from oncoframe.modalities import MODULES

#: Columns of the heat map, and arrows of the circle: those with the largest loadings.
SHOWN_COLUMNS, SHOWN_ARROWS = 240, 16
_MARKS = (0.5, 0.8, 0.9, 0.99)
_NAME_LETTERS = 30


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


def loadings_figure(loadings: pl.DataFrame) -> Figure:
    """Heat map of the loadings of the kept components, columns sorted and coloured by modality.

    Parameters
    ----------
    loadings
        ``feature``, ``modality``, ``component``, ``loading``.
    """
    order = _strongest(loadings, SHOWN_COLUMNS)
    components = sorted(loadings["component"].unique())
    position = {name: at for at, name in enumerate(order["feature"])}
    grid = np.zeros((len(components), len(position)))
    for name, component, loading in loadings.select("feature", "component", "loading").iter_rows():
        if name in position:
            grid[component - components[0], position[name]] = loading
    limit = float(np.abs(grid).max()) or 1.0
    figure = new_figure(9.6, 5.4)
    strip, axes = figure.subplots(2, 1, height_ratios=[1, 22], sharex=True)
    colours = [to_rgb(modality_colour(modality)) for modality in order["modality"]]
    strip.imshow([colours], aspect="auto", interpolation="nearest")
    strip.set_axis_off()
    image = axes.imshow(
        grid, cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    axes.set_yticks(range(len(components)), [str(c) for c in components])
    axes.set_xticks([])
    axes.set(ylabel="Component", xlabel=f"{len(position)} columns, sorted by modality")
    plain(axes)
    bar = figure.colorbar(image, ax=axes, fraction=0.025, pad=0.01, label="Loading")
    bar.ax.tick_params(labelsize=8.5, length=0)
    bar.outline.set_visible(False)
    modality_legend(figure, order["modality"])
    return figure


def circle_figure(loadings: pl.DataFrame, called: Callable[[str], str]) -> Figure:
    """Correlation circle of the first two components, with the columns that lie farthest out.

    Parameters
    ----------
    loadings
        ``feature``, ``modality``, ``component``, ``correlation``.
    called
        Name of a feature for people.
    """
    points = _first_two(loadings).head(SHOWN_ARROWS)
    figure = new_figure(9.6, 5.9)
    axes = figure.add_subplot()
    axes.add_patch(Circle((0, 0), 1, fill=False, color=FAINT, linewidth=1))
    axes.axhline(0, color=GRID, linewidth=0.8)
    axes.axvline(0, color=GRID, linewidth=0.8)
    for right in (True, False):
        side = points.filter((pl.col("x") >= 0) if right else (pl.col("x") < 0)).sort("y")
        heights = _spread(side["y"].to_list())
        for (feature, modality, x, y), height in zip(
            side.select("feature", "modality", "x", "y").iter_rows(), heights, strict=True
        ):
            colour = modality_colour(modality)
            axes.annotate("", (x, y), (0, 0), arrowprops={
                "arrowstyle": "-|>", "color": colour, "lw": 1.3, "shrinkA": 0, "shrinkB": 0,
            })  # fmt: skip
            edge = 1.12 if right else -1.12
            axes.plot([x, edge], [y, height], color=colour, linewidth=0.6, alpha=0.5)
            axes.text(
                edge * 1.02, height, _short(called(feature)), ha="left" if right else "right",
                va="center", fontsize=8.5, color=INK,
            )  # fmt: skip
    axes.set(xlim=(-2.3, 2.3), ylim=(-1.2, 1.2), aspect="equal")
    axes.set(xlabel="Correlation with component 1", ylabel="Correlation with component 2")
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_yticks([-1, -0.5, 0, 0.5, 1])
    plain(axes)
    modality_legend(figure, points["modality"])
    return figure


def _strongest(loadings: pl.DataFrame, count: int) -> pl.DataFrame:
    """``feature`` and ``modality`` of the largest loadings, by modality, then by component."""
    places = {name: at for at, name in enumerate(MODULES)}
    strength = (
        loadings.with_columns(size=pl.col("loading").abs())
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


def _first_two(loadings: pl.DataFrame) -> pl.DataFrame:
    """``feature``, ``modality``, ``x``, ``y``: correlations with two components, longest first."""
    both = [
        loadings.filter(component=number).select("feature", "modality", pl.col("correlation"))
        for number in (1, 2)
    ]
    return (
        both[0]
        .rename({"correlation": "x"})
        .join(
            both[1].select("feature", y="correlation"), on="feature", how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("y").fill_null(0.0))
        .with_columns(length=(pl.col("x") ** 2 + pl.col("y") ** 2).sqrt())
        .sort("length", "feature", descending=[True, False])
    )  # fmt: skip


def _spread(heights: list[float], *, gap: float = 0.135) -> list[float]:
    """Ascending heights moved apart, so that labels beside them do not overlap."""
    if not heights:
        return []
    moved = [max(heights[0], -1.15)]
    for height in heights[1:]:
        moved.append(max(height, moved[-1] + gap))
    over = moved[-1] - 1.15
    if over > 0:
        moved[-1] = 1.15
        for at in range(len(moved) - 2, -1, -1):
            moved[at] = min(moved[at], moved[at + 1] - gap)
    return moved


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LETTERS else f"{name[: _NAME_LETTERS - 3]}..."
