"""What a person sees of a comparison: the page, and its figures as files.

    DriftReport -> figures, page -> drift.html, drift_modalities.png, drift_effects.png

Colours are readable for colour-blind people and in grey.
"""

import warnings
from pathlib import Path
from textwrap import shorten

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.drift.comparison import DriftReport
from oncoframe.columns import Column

_INK, _FAINT, _GRID = "#1b2a3a", "#75828f", "#e3e8ee"
_BLUE, _ORANGE = "#1f5a99", "#c8641c"
#: Drifted columns shown.
_SHOWN = 20
_NAME_LETTERS, _LINE_LETTERS = 44, 110
_WIDTH_IN, _ROW_IN, _ROOM_IN = 10.0, 0.34, 1.75


def write_report(report: DriftReport, folder: Path) -> dict[str, Path]:
    """Write ``drift.html`` and the figures as PNG; returns name -> file.

    Parameters
    ----------
    folder
        Made if it is not there.
    """
    with warnings.catch_warnings():
        # Evidently imports its server, and that what is deprecated elsewhere.
        warnings.simplefilter("ignore", DeprecationWarning)
        from ml.drift.page import write_html  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    files = {"html": write_html(report, folder / "drift.html")}
    for name, figure in figures(report).items():
        files[name] = folder / f"{name}.png"
        figure.savefig(files[name], dpi=120)
    return files


def figures(report: DriftReport) -> dict[str, Figure]:
    """Figures of a comparison by name; without drift the effects are left out."""
    made = {"drift_modalities": _modalities(report)}
    if report.verdict.drifted:
        made["drift_effects"] = _effects(report)
    return made


def _modalities(report: DriftReport) -> Figure:
    shown = report.modalities
    figure, axes = _canvas(report, len(shown), "Columns that drifted, by modality")
    shares = [100 * m.share for m in shown]
    axes.barh(range(len(shown)), shares, color=_ORANGE, height=0.6)
    top = max([*shares, 1.0])
    axes.set(xlim=(0, 1.25 * top), xlabel="% of the tested columns")
    for row, m in enumerate(shown):
        told = f"{m.drifted:,} of {m.tested:,}"
        axes.text(shares[row] + 0.015 * top, row, told, va="center", fontsize=9, color=_FAINT)
    axes.set_yticks(range(len(shown)), [m.modality for m in shown], fontsize=10, color=_INK)
    return figure


def _effects(report: DriftReport) -> Figure:
    rows = report.tests.filter("drifted").head(_SHOWN).to_dicts()
    figure, axes = _canvas(report, len(rows), "Drifted columns, largest effect first")
    for row, test in enumerate(rows):
        colour = _ORANGE if test["effect"] > 0 else _BLUE
        axes.plot([0, test["effect"]], [row, row], color=colour, linewidth=4, alpha=0.35)
        axes.plot(test["effect"], row, "o", color=colour, markersize=6)
    largest = max(abs(test["effect"]) for test in rows)
    axes.axvline(0, color=_FAINT, linewidth=1)
    axes.set(
        xlim=(-1.1 * largest, 1.1 * largest),
        xlabel="effect: Cliff's delta (level, spread), Cohen's h (shares); right: more than before",
    )
    names = [f"{Column.parse(test['column']).within} ({test['what']})" for test in rows]
    names = [shorten(name, _NAME_LETTERS, placeholder=" ...") for name in names]
    axes.set_yticks(range(len(rows)), names, fontsize=9, color=_INK)
    return figure


def _canvas(report: DriftReport, rows: int, title: str) -> tuple[Figure, Axes]:
    height = _ROOM_IN + _ROW_IN * max(rows, 1)
    figure = Figure(figsize=(_WIDTH_IN, height), facecolor="white")
    axes = figure.add_axes((0.36, 0.65 / height, 0.6, _ROW_IN * max(rows, 1) / height))
    axes.set_ylim(max(rows, 1) - 0.5, -0.5)
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", labelsize=8.5, labelcolor=_FAINT, length=0)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.xaxis.label.set(fontsize=9, color=_FAINT)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GRID)
    figure.text(0.03, 1 - 0.36 / height, title, fontsize=13, color=_INK, weight="bold")
    told = f"{report.current_patients:,} new patients against {report.reference_patients:,}"
    if report.verdict.drifted:
        told += f". Likely cause: {report.verdict.cause or 'none recorded'}"
    told = shorten(told, _LINE_LETTERS, placeholder=" ...")
    figure.text(0.03, 1 - 0.66 / height, told, fontsize=9.5, color=_FAINT)
    return figure, axes
