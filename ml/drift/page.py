"""The page of a comparison, rendered by Evidently: verdict, modalities, drifted columns.

    DriftReport -> widgets of the summary, of each drifted column -> one HTML file

Evidently's own tests are not run: they call thousands of patients against a hundred different
wherever they look. The page holds counts per bin, no patient's value, and loads nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import polars as pl
from evidently import Dataset, Report
from evidently.core.container import MetricContainer, MetricOrContainer
from evidently.core.metric_types import MetricId
from evidently.core.report import Context
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.legacy.renderers.html_widgets import (
    ColumnDefinition,
    CounterData,
    RichTableDataRow,
    WidgetSize,
    counter,
    plotly_figure,
    rich_table_data,
    table_data,
    text_widget,
)
from pydantic.v1 import PrivateAttr

from ml.drift.comparison import DriftReport
from ml.drift.score import column_values

#: Drifted columns that are drawn, and that are listed.
DRAWN_COLUMNS = 12
LISTED_COLUMNS = 200
_ROWS_PER_PAGE = 20
#: Bars of a histogram, and the pooled quantiles it reaches over.
_BINS = 24
_REACH = (0.01, 0.99)
#: Values up to which a number gets a bar each.
_FEW_VALUES = 12
_FAINT, _BLUE, _ORANGE = "#75828f", "#9db4cc", "#c8641c"


class DriftSummary(MetricContainer):  # type: ignore[misc]
    """Container of finished widgets: everything was computed before."""

    _widgets: list[BaseWidgetInfo] = PrivateAttr(default_factory=list)

    def __init__(self, widgets: Sequence[BaseWidgetInfo]) -> None:
        super().__init__(include_tests=False)
        self._widgets = list(widgets)

    def generate_metrics(self, context: Context) -> Sequence[MetricOrContainer]:  # noqa: ARG002
        """No metric."""
        return []

    def render(
        self,
        context: Context,  # noqa: ARG002
        child_widgets: list[tuple[MetricId | None, list[BaseWidgetInfo]]] | None = None,  # noqa: ARG002
    ) -> list[BaseWidgetInfo]:
        """The widgets, in order."""
        return self._widgets


def write_html(report: DriftReport, file: Path) -> Path:
    """Write the page of a comparison and return its file."""
    drawn = report.tests.filter("drifted").unique("column", keep="first", maintain_order=True)
    widgets = [
        *_summary(report),
        *(_drawing(report, row) for row in drawn.head(DRAWN_COLUMNS).iter_rows(named=True)),
        *([_listing(report)] if report.verdict.drifted else []),
        text_widget(title="How to read this page", text=_LEGEND),
    ]
    # Evidently wants a table; the sizes are all that it gets to see.
    sizes = pd.DataFrame({"patients": [report.current_patients]})
    snapshot = Report([DriftSummary(widgets)]).run(Dataset.from_pandas(sizes), None)
    snapshot.save_html(str(file))
    return file


def _summary(report: DriftReport) -> list[BaseWidgetInfo]:
    verdict = report.verdict
    tested, drifted = report.tests["column"].n_unique(), len(verdict.columns)
    words = "Drift" if verdict.drifted else "No drift"
    counters = [
        CounterData("verdict", words),
        CounterData("patients of the reference", f"{report.reference_patients:,}"),
        CounterData("new patients", f"{report.current_patients:,}"),
        CounterData("columns drifted", f"{drifted:,} of {tested:,}"),
    ]
    made = [counter(counters=counters, title="Drift against the reference of the model")]
    if verdict.drifted:
        cause = verdict.cause or "no recorded covariate goes with the drift"
        made.append(text_widget(title="Likely cause", text=f"**{cause}**"))
    made.append(
        table_data(
            title="Modalities",
            column_names=["modality", "columns tested", "drifted", "share", "likely cause"],
            data=[
                [m.modality, m.tested, m.drifted, f"{m.share:.1%}", m.cause or ""]
                for m in report.modalities
            ],
        )
    )
    return made


def _listing(report: DriftReport) -> BaseWidgetInfo:
    rows = report.tests.filter("drifted").head(LISTED_COLUMNS)
    names = ("column", "what", "among", "before", "now", "effect", "q")
    return rich_table_data(
        title=f"Drifted columns, largest effect first (at most {LISTED_COLUMNS})",
        rows_per_page=_ROWS_PER_PAGE,
        columns=[ColumnDefinition(name, name) for name in names],
        data=[
            RichTableDataRow(
                fields={
                    "column": row["column"],
                    "what": _what(row),
                    "among": row["within"] or "all patients",
                    "before": _number(row, "before"),
                    "now": _number(row, "now"),
                    "effect": f"{row['effect']:+.2f}",
                    "q": f"{row['q']:.1e}",
                }
            )
            for row in rows.iter_rows(named=True)
        ],
    )


_LEGEND = (
    "**level**: mean, **spread**: standard deviation, **bias**: true less predicted, **share**, "
    "**category**, **missing**: share of the patients. **effect**: Cliff's delta for level and "
    "spread, Cohen's h for shares, d for bias. **q**: p-value corrected after Benjamini and "
    "Hochberg within the columns of one kind. p-values come from permutation (saddlepoint) and "
    "exact tests of the new patients against the reference. Research software; no medical advice."
)


def _what(row: dict[str, str | None]) -> str:
    return f"{row['what']}: {row['category']}" if row["category"] is not None else str(row["what"])


def _number(row: dict[str, str | float], side: str) -> str:
    return f"{row[side]:.4g}" if row["what"] in {"level", "spread"} else f"{row[side]:.1%}"


def _drawing(report: DriftReport, row: dict[str, str]) -> BaseWidgetInfo:
    """Distribution of a drifted column before and now, in percent of the patients."""
    pair = report.pair
    if row["what"] == "category":
        texts = pair.values(row["column"]).cast(pl.String).fill_null("(none)").to_numpy()
        names, codes = np.unique(texts.astype(str), return_inverse=True)
        known = np.ones(len(codes), dtype=bool)
    elif row["what"] in {"share", "missing"}:
        values = column_values(pair, row)
        known = ~np.isnan(values)
        names = np.array(["has a value", "missing"] if row["what"] == "missing" else ["no", "yes"])
        codes = np.where(known, values, 0).astype(int)
    else:
        values = column_values(pair, row)
        known = np.isfinite(values)
        names, codes = _binned(values, known)
    figure = go.Figure()
    sides = (("reference", ~pair.is_current, _BLUE), ("now", pair.is_current, _ORANGE))
    for name, side, colour in sides:
        counts = np.bincount(codes[known & side], minlength=len(names))
        percent = 100 * counts / max(counts.sum(), 1)
        figure.add_bar(x=list(names), y=percent.tolist(), name=name, marker_color=colour)
    figure.update_layout(
        barmode="group", bargap=0.15, bargroupgap=0.0,
        margin={"l": 50, "r": 10, "t": 10, "b": 60}, yaxis_title="% of patients",
        legend={"orientation": "h", "y": 1.08, "x": 0}, font={"size": 12, "color": _FAINT},
        plot_bgcolor="white", xaxis={"type": "category", "nticks": 10},
        yaxis={"gridcolor": "#e3e8ee"},
    )  # fmt: skip
    among = f", {row['within']}" if row["within"] else ""
    title = f"{row['column']} ({_what(dict(row))}{among})"
    return plotly_figure(title=title, figure=figure, size=WidgetSize.HALF)


def _binned(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of the bars, and the bar of each patient."""
    found = np.unique(values[known])
    if len(found) <= _FEW_VALUES:
        return np.array([f"{value:g}" for value in found]), np.searchsorted(found, values).clip(
            0, len(found) - 1
        )
    low, high = np.quantile(values[known], _REACH)
    edges = np.linspace(low, high, _BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    codes = np.searchsorted(edges[1:-1], np.where(known, values, low), side="right")
    return np.array([f"{value:.3g}" for value in middles]), codes
