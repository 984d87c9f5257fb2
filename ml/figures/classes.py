"""Figures of classes: how many patients they have, whom they are mistaken for, which lie together.

    counts -> class_count_figure; confusion -> similar_confusion_figure
    links of ml.explain.components -> similarity_order, strong_links -> circos_figure

Figures are returned, not saved.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.projections.polar import PolarAxes
from pycirclize import Circos
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from ml.figures.style import (
    BLUE,
    CLASS_COLOURS,
    FAINT,
    GRID,
    INK,
    SHARES,
    new_figure,
    plain,
    wrapped,
)

#: Links that are weaker are not drawn.
LINK_FLOOR = 0.1
_CELL_IN = 0.38
_NAME_LETTERS, _TABLE_LETTERS = 40, 46
#: Share of a row above which a cell is dark enough for white text.
_DARK = 0.5
#: Mean patients below which a cell stays empty.
_VISIBLE_PATIENTS = 0.05
_FEWEST_TO_ORDER = 3
#: Width of a ribbon that has room for its percent; the table has all.
_LABELLED_DEGREES = 3
_UNGROUPED = "other classes"


def grouped(classes: Sequence[str], groups: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Positions of the classes of each group, such as a lineage, in the order of the groups.

    Parameters
    ----------
    groups
        Name of the group -> its classes. Classes that none names come last; without any group, all
        are in one without a name.
    """
    of = {name: group for group, names in groups.items() for name in names}
    names = np.array([of.get(name, _UNGROUPED if groups else "") for name in classes], dtype=object)
    members = {group: np.flatnonzero(names == group) for group in (*groups, _UNGROUPED, "")}
    return {group: positions for group, positions in members.items() if len(positions)}


def similarity_order(
    links: np.ndarray, groups: Mapping[str, np.ndarray] | None = None
) -> np.ndarray:
    """(k,) order of the classes in which similar ones stand side by side, group by group.

    Average linkage on one less the mean share of links in both directions, leaves in the order
    that keeps neighbours closest.

    Parameters
    ----------
    links : (k, k) array
        Share of links from each class (row) to each other.
    groups
        See :func:`grouped`; classes of a group stay together.

    References
    ----------
    Bar-Joseph Z et al. Fast optimal leaf ordering for hierarchical clustering. Bioinformatics
    2001;17:S22.
    """
    if groups is not None and len(groups) > 1:
        return np.concatenate(
            [of[similarity_order(links[np.ix_(of, of)])] for of in groups.values()]
        )
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


def class_count_figure(
    classes: Sequence[str], patients: Sequence[int], groups: Mapping[str, np.ndarray]
) -> Figure:
    """Patients of each class, the largest of a group first.

    Parameters
    ----------
    classes, patients : (k,) sequences
    groups
        See :func:`grouped`.
    """
    order = sorted(range(len(classes)), key=lambda i: (-patients[i], classes[i]))
    order = [i for positions in groups.values() for i in order if i in positions]
    classes, patients = [classes[i] for i in order], [patients[i] for i in order]
    names = wrapped(classes, 66)
    figure = new_figure(9.0, 0.7 + 0.27 * len(names))
    axes = figure.add_subplot()
    rows, total = np.arange(len(names)), sum(patients)
    axes.barh(rows, patients, color=BLUE, height=0.66)
    for row, count in enumerate(patients):
        axes.annotate(f"{count} ({100 * count / total:.1f} %)", (count, row), xytext=(4, 0),
                      textcoords="offset points", va="center", fontsize=8.5, color=INK)  # fmt: skip
    axes.set_yticks(rows, names)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.16 * max(patients)), xlabel="Patients")
    plain(axes, grid="x")
    for at in _borders(groups):
        axes.axhline(at - 0.5, color=FAINT, linewidth=0.8)
    _name_groups(axes, groups, offset=-0.5)
    return figure


def similar_confusion_figure(
    classes: Sequence[str],
    confusion: np.ndarray,
    order: np.ndarray,
    groups: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """Confusion matrix whose rows and columns stand in the given order.

    A cell shows the share of its row in percent and below it the patients, means over the repeats;
    columns carry the numbers of the rows.

    Parameters
    ----------
    groups
        See :func:`grouped`; the order keeps them together, and lines are drawn between them.
    """
    counts = confusion[np.ix_(order, order)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    k = len(order)
    names = wrapped([classes[i] for i in order], _NAME_LETTERS)
    side = max(k * _CELL_IN, 1.7)
    figure = new_figure(side + 3.7, side + 0.7)
    axes = figure.add_subplot()
    axes.pcolormesh(shares, cmap=SHARES, vmin=0, vmax=1, edgecolors=GRID, linewidth=0.6)
    axes.set(xlim=(0, k), ylim=(k, 0), aspect="equal")
    for row, column in np.argwhere(counts >= _VISIBLE_PATIENTS):
        _write_cell(axes, row, column, shares[row, column], counts[row, column])
    middles = np.arange(k) + 0.5
    size = 8.5 if max(name.count("\n") for name in names) == 0 else 7.4
    numbered = [f"{name}  {i + 1}" for i, name in enumerate(names)]
    axes.set_yticks(middles, numbered, fontsize=size, color=INK)
    axes.set_xticks(middles, [str(i + 1) for i in range(k)], fontsize=8.5, color=INK)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_xlabel("Predicted class, numbered as the rows", fontsize=9.5, color=FAINT)
    axes.xaxis.set_label_position("top")
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    for at in _borders(groups or {}):
        axes.axhline(at, color=INK, linewidth=1)
        axes.axvline(at, color=INK, linewidth=1)
    _name_groups(axes, groups or {}, offset=0)
    return figure


def _write_cell(axes: Axes, row: int, column: int, share: float, patients: float) -> None:
    colour = "white" if share > _DARK else INK
    percent = f"{100 * share:.0f}" if share >= 0.01 else "<1"  # noqa: PLR2004  (1 %)
    axes.text(column + 0.5, row + 0.4, percent, ha="center", va="center", fontsize=8.8,
              color=colour)  # fmt: skip
    axes.text(column + 0.5, row + 0.78, f"{patients:.1f}".removesuffix(".0"), ha="center",
              va="center", fontsize=5.8, color=colour)  # fmt: skip


def _borders(groups: Mapping[str, np.ndarray]) -> list[int]:
    """Positions at which another group begins."""
    sizes = [len(positions) for positions in groups.values()]
    return [sum(sizes[:at]) for at in range(1, len(sizes))]


def _name_groups(axes: Axes, groups: Mapping[str, np.ndarray], *, offset: float) -> None:
    """Name of each group, right of the axes, where there are several."""
    ends = np.cumsum([len(positions) for positions in groups.values()])
    for name, end, size in zip(groups, ends, np.diff(ends, prepend=0), strict=True):
        if len(groups) > 1:
            axes.annotate(
                "\n".join(wrapped([name], 20)), (1, end - size / 2 + offset),
                xycoords=("axes fraction", "data"), xytext=(7, 0), textcoords="offset points",
                ha="left", va="center", fontsize=8.5, color=FAINT,
            )  # fmt: skip


def circos_figure(classes: Sequence[str], links: np.ndarray, order: np.ndarray) -> Figure:
    """Similarity of classes: a ribbon leaves each class for those its patients lie next to.

    Parameters
    ----------
    classes : (k,) names
    links : (k, k) array
        Share of the nearest neighbours of the patients of a class (row) that are of another.
    order : (k,) array of int
        Classes around the circle, numbered from 1.

    Returns
    -------
    Figure; the inner band of a sector is the share of neighbours of the same class, behind it
    stand the ribbons that leave, with their percent, and then those that arrive. A ribbon is as
    wide as its share and has the colour of the class that it leaves. The table names the classes.
    """
    shown = np.where((links >= LINK_FLOOR) & ~np.eye(len(links), dtype=bool), links, 0.0)
    sizes = 1.0 + shown.sum(axis=0)
    names = [str(i) for i in order]
    colours = {i: CLASS_COLOURS[at % len(CLASS_COLOURS)] for at, i in enumerate(order)}
    circos = Circos(
        {name: float(sizes[int(name)]) for name in names}, space=1.5 if len(names) > 1 else 0
    )
    leaves, arrives = np.diag(links).copy(), np.ones(len(links))
    for at, sector in enumerate(circos.sectors):
        i = int(sector.name)
        sector.add_track((94, 100)).axis(fc=colours[i], ec="white", lw=0.6)
        own = sector.add_track((88, 93))
        if links[i, i] > 0:
            own.rect(0, min(float(links[i, i]), sector.size), fc=colours[i], alpha=0.55)
        sector.text(f"{at + 1}\n{_percent(links[i, i])}", r=108, adjust_rotation=False,
                    size=9, color=INK)  # fmt: skip
    for i in order:
        # Ribbons leave in the order of the circle, so that few cross.
        for j in (j for j in order if shown[i, j]):
            share = shown[i, j]
            circos.link(
                (str(i), leaves[i], leaves[i] + share),
                (str(j), arrives[j] + share, arrives[j]),
                r1=87, r2=87, color=colours[i], alpha=0.62, lw=0.3, ec="white",
            )  # fmt: skip
            if 360 * share / sizes.sum() >= _LABELLED_DEGREES:
                middle = min(leaves[i] + share / 2, float(sizes[i]))
                circos.get_sector(str(i)).text(
                    f"{100 * share:.0f}", x=middle, r=90.5, size=7, color=INK
                )
            leaves[i] += share
            arrives[j] += share
    height = max(6.4, 0.9 + 0.31 * len(names))
    figure = Figure(figsize=(12.6, height), facecolor="white")
    side = min(6.3, height)
    axes = figure.add_axes(
        (0.0, (1 - side / height) / 2, side / 12.6, side / height), projection="polar"
    )
    if isinstance(axes, PolarAxes):
        circos.plotfig(ax=axes)
    table = figure.add_axes((6.75 / 12.6, 0.02, 5.8 / 12.6, 0.96))
    _circos_table(table, [classes[i] for i in order], links[np.ix_(order, order)],
                  [colours[i] for i in order])  # fmt: skip
    return figure


def _circos_table(
    axes: Axes, names: Sequence[str], links: np.ndarray, colours: Sequence[str]
) -> None:
    """Number, colour, name, own share and drawn links of each class, a row each."""
    rows = len(names)
    axes.set(xlim=(0, 1), ylim=(max(rows, 14) + 0.5, -1))
    axes.set_axis_off()
    for x, head, side in (
        (0.1, "Class", "left"),
        (0.74, "own", "right"),
        (0.78, "next to", "left"),
    ):
        axes.text(x, -0.4, head, fontsize=8.5, color=FAINT, va="center", ha=side)
    for row, name in enumerate(names):
        axes.add_patch(_swatch(row, colours[row]))
        axes.text(0.085, row + 0.4, str(row + 1), fontsize=8.5, ha="right", va="center", color=INK)
        lines = wrapped([name], _TABLE_LETTERS)[0]
        axes.text(0.1, row + 0.4, lines, fontsize=7.0 if "\n" in lines else 8.5, va="center",
                  color=INK, linespacing=1.05)  # fmt: skip
        axes.text(0.74, row + 0.4, _percent(links[row, row]), fontsize=8.5, ha="right",
                  va="center", color=INK)  # fmt: skip
        near = [j for j in np.argsort(-links[row], kind="stable")
                if j != row and links[row, j] >= LINK_FLOOR]  # fmt: skip
        said = ", ".join(f"{j + 1} ({100 * links[row, j]:.0f})" for j in near[:3])
        axes.text(0.78, row + 0.4, said, fontsize=8.5, va="center", color=INK)


def _swatch(row: int, colour: str) -> Rectangle:
    return Rectangle((0.01, row + 0.12), 0.03, 0.56, facecolor=colour)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
