"""Figures of classes: which are alike, and which are taken for each other.

    links between classes -> similarity_order -> circos_figure, similar_confusion_figure

Links are shares of the two nearest neighbours (:func:`ml.components.similarity`).
"""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from pycirclize import Circos
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from ml.figures_style import CYCLE, FAINT, GRID, INK, SHARES, new_figure, wrapped

#: Links that are weaker are not drawn.
LINK_FLOOR = 0.1
_CELL_IN = 0.34
_NAME_LETTERS = 44
#: Share of a row above which a cell is dark enough for white text.
_DARK = 0.55
_VISIBLE = 0.005
_FEWEST_TO_ORDER = 3


def similarity_order(links: np.ndarray) -> np.ndarray:
    """(k,) order of the classes in which similar ones stand side by side.

    Average linkage on one less the mean share of links in both directions, leaves in the order
    that keeps neighbours closest.

    References
    ----------
    Bar-Joseph Z et al. Fast optimal leaf ordering for hierarchical clustering. Bioinformatics
    2001;17:S22.
    """
    k = len(links)
    if k < _FEWEST_TO_ORDER:
        return np.arange(k)
    distance = 1 - (links + links.T) / 2
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return np.asarray(leaves_list(tree))


def strong_links(
    classes: Sequence[str], links: np.ndarray, *, floor: float = LINK_FLOOR
) -> list[tuple[str, str, float]]:
    """From, to and share of every link between two classes that is drawn, strongest first."""
    found = [
        (classes[i], classes[j], float(links[i, j]))
        for i, j in np.argwhere(links >= floor)
        if i != j
    ]
    return sorted(found, key=lambda link: (-link[2], link[0], link[1]))


def circos_figure(classes: Sequence[str], links: np.ndarray, order: np.ndarray) -> Figure:
    """Similarity of classes: a ribbon leaves each class for those its patients lie next to.

    Parameters
    ----------
    classes : (k,) names
    links : (k, k) array
        Share of the nearest neighbours of the patients of a class (row) that are of another.
    order : (k,) array of int
        Classes around the circle.

    Returns
    -------
    Figure; the first part of a sector holds what leaves it (a class of its own kind leaves
    nothing), the rest what arrives. A ribbon is as wide as its share and has the colour of the
    class that it leaves.
    """
    shown = np.where((links >= LINK_FLOOR) & ~np.eye(len(links), dtype=bool), links, 0.0)
    sizes = 1.0 + shown.sum(axis=0)
    names = [str(i) for i in order]
    colours = {i: CYCLE[at % len(CYCLE)] for at, i in enumerate(order)}
    circos = Circos(
        {name: float(sizes[int(name)]) for name in names},
        space=1.5 if len(names) > 1 else 0,
    )
    for sector in circos.sectors:
        i = int(sector.name)
        sector.add_track((94, 100)).axis(fc=colours[i], ec="white", lw=0.6)
        lines = wrap(classes[i], 26)
        text = "\n".join([*lines[:2], "..."] if len(lines) > 3 else lines)  # noqa: PLR2004
        sector.text(text, r=103, orientation="vertical", size=8.5, color=INK)
    leaves, arrives = np.zeros(len(links)), np.ones(len(links))
    for i in order:
        # Ribbons leave in the order of the circle, so that few cross.
        for j in (j for j in order if shown[i, j]):
            share = shown[i, j]
            circos.link(
                (str(i), leaves[i], leaves[i] + share),
                (str(j), arrives[j] + share, arrives[j]),
                color=colours[i], alpha=0.62, lw=0.3, ec="white",
            )  # fmt: skip
            leaves[i] += share
            arrives[j] += share
    figure = Figure(figsize=(10.4, 10.4), facecolor="white")
    axes = figure.add_axes((0.19, 0.19, 0.62, 0.62), projection="polar")
    if isinstance(axes, PolarAxes):
        circos.plotfig(ax=axes)
    return figure


def similar_confusion_figure(
    classes: Sequence[str], confusion: np.ndarray, order: np.ndarray
) -> Figure:
    """Confusion matrix whose rows and columns stand in the order of similarity.

    A cell shows the share of its row in percent; columns carry the numbers of the rows.
    """
    counts = confusion[np.ix_(order, order)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    k = len(order)
    names = wrapped([classes[i] for i in order], _NAME_LETTERS)
    side = max(k * _CELL_IN, 2.2)
    figure = new_figure(side + 3.9, side + 0.8)
    axes = figure.add_subplot()
    axes.pcolormesh(shares, cmap=SHARES, vmin=0, vmax=1, edgecolors=GRID, linewidth=0.6)
    axes.set(xlim=(0, k), ylim=(k, 0), aspect="equal")
    for row, column in np.argwhere(shares >= _VISIBLE):
        share = shares[row, column]
        axes.text(
            column + 0.5, row + 0.52, f"{100 * share:.0f}", ha="center", va="center",
            fontsize=8.5, color="white" if share > _DARK else INK,
        )  # fmt: skip
    middles = np.arange(k) + 0.5
    size = 8.5 if max(name.count("\n") for name in names) == 0 else 7.2
    numbered = [f"{name}  {i + 1}" for i, name in enumerate(names)]
    axes.set_yticks(middles, numbered, fontsize=size, color=INK)
    axes.set_xticks(middles, [str(i + 1) for i in range(k)], fontsize=8.5, color=INK)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_xlabel("Predicted class, numbered as the rows", fontsize=9.5, color=FAINT)
    axes.xaxis.set_label_position("top")
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    return figure
