"""One look for all figures: ink, colours of modalities, colour maps, plain axes.

Colours are told apart by colour-blind people (Okabe and Ito, Color Universal Design, 2008) and
never say anything alone: names or numbers stand beside them.
"""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from oncoframe.modalities import MODULES, spec

INK = "#1b2a3a"
FAINT = "#5d6a77"
GRID = "#e3e8ee"
BLUE = "#1f5a99"
ORANGE = "#c8641c"
#: White to dark blue, monotonic in lightness.
SHARES = LinearSegmentedColormap.from_list(
    "shares", ["#ffffff", "#dce8f4", "#93bde0", "#3f84c1", "#174d88", "#0b2c55"]
)
#: Blue below zero, white, orange above.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#174d88", "#7fb0d8", "#ffffff", "#eda66b", "#a84a0b"]
)
#: Of classes, which have no fixed colour: 30 that differ by at least 0.12 in OKLab.
CLASS_COLOURS = (
    "#0079ce", "#ffce00", "#6d0c00", "#ff92ff", "#3d9e0c", "#db5524", "#00e7ff", "#3d0c92",
    "#005500", "#9e3192", "#aaaa86", "#796149", "#6df386", "#aa79ce", "#ffc2c2", "#005579",
    "#55aaff", "#ff7992", "#189e9e", "#aa1831", "#ff920c", "#6d0061", "#92c20c", "#6149b6",
    "#b6c2ff", "#9e860c", "#00ce9e", "#007955", "#db4986", "#aa7979",
)  # fmt: skip
_UNKNOWN = "#9aa5b1"


def modality_colour(modality: str | None) -> str:
    """Colour of a modality; grey where there is none."""
    return spec(modality).colour if modality and modality in MODULES else _UNKNOWN


def modality_name(modality: str) -> str:
    """A modality as people call it; itself where there is no such modality."""
    return spec(modality).words if modality in MODULES else modality


def new_figure(width: float, height: float) -> Figure:
    """White figure of a size in inches, laid out so that nothing is cut off."""
    return Figure(figsize=(width, height), facecolor="white", layout="constrained")


def plain(axes: Axes, *, grid: str | None = None) -> None:
    """Faint frame and ticks, and a grid along ``x`` or ``y`` if asked for."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(GRID)
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    axes.xaxis.label.set(color=FAINT, fontsize=9.5)
    axes.yaxis.label.set(color=FAINT, fontsize=9.5)
    if grid == "x":
        axes.xaxis.grid(visible=True, color=GRID, linewidth=0.8)
    elif grid == "y":
        axes.yaxis.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def modality_legend(figure: Figure, modalities: Iterable[str | None]) -> None:
    """Legend of modalities below a figure, in the order of the data's flow."""
    present = set(modalities)
    names = [name for name in MODULES if name in present]
    names += sorted(name for name in present if name and name not in MODULES)
    if not names:
        return
    figure.legend(
        handles=[
            Patch(color=modality_colour(name), label=modality_name(name))
            for name in names
        ],
        loc="outside lower center", ncols=min(len(names), 8), frameon=False, fontsize=9,
        labelcolor=INK, handlelength=1.0,
    )  # fmt: skip


def wrapped(names: Sequence[str], width: int) -> list[str]:
    """Names on lines of at most so many letters."""
    return ["\n".join(wrap(name, width)) or name for name in names]
