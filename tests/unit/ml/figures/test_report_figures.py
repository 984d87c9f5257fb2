"""Figures of the report: that they draw the numbers that they are given."""

import io

import numpy as np
import polars as pl
import pytest

from ml.explain.names import BASE, OTHERS
from ml.figures.components import circle_figure, loadings_figure, variance_figure
from ml.figures.performance import (
    circos_figure,
    reliability_figure,
    similar_confusion_figure,
    similarity_order,
    strong_links,
)
from ml.figures.shapley import (
    REST,
    class_importance_figure,
    decision_figure,
    force_figure,
    importance_figure,
    shown_patients,
)
from ml.figures.style import BLUE, ORANGE

THIRTY = [f"B-lymphoblastic leukaemia/lymphoma with a long name, number {i}" for i in range(30)]


def texts(figure) -> list[str]:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    for axes in figure.axes:
        found += [t.get_text() for t in (*axes.get_yticklabels(), *axes.get_xticklabels())]
    return [*found, *(text.get_text() for text in figure.texts)]


def is_drawn(figure) -> bool:
    """Whether the figure can be saved as the report saves it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight")
    return buffer.getvalue().startswith(b"<?xml")


def test_similarity_order__puts_similar_classes_side_by_side():
    """In order of names, the block of look-alikes of a confusion matrix falls apart."""
    links = np.full((4, 4), 0.0)
    links[0, 2] = links[2, 0] = 0.8
    links[1, 3] = links[3, 1] = 0.8
    order = similarity_order(links).tolist()

    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1
    assert sorted(order) == [0, 1, 2, 3]
    assert similarity_order(np.eye(2)).tolist() == [0, 1]


def test_strong_links__from_ten_percent_and_not_to_itself():
    links = np.array([[0.9, 0.1, 0.0], [0.099, 0.901, 0.0], [0.3, 0.0, 0.7]])

    assert strong_links(["a", "b", "c"], links) == [("c", "a", 0.3), ("a", "b", 0.1)]


@pytest.mark.parametrize("k", [1, 2, 30])
def test_circos_figure__any_number_of_classes(k):
    """Ribbons that leave their sector are refused by the drawing, not by us."""
    links = np.full((k, k), 0.4 / max(k - 1, 1)) + np.eye(k) * 0.6
    links[0] = 0.0
    links[0, -1] = 1.0

    figure = circos_figure(THIRTY[:k], links, np.arange(k))

    assert is_drawn(figure)
    assert sum("number" in text.replace("\n", " ") for text in texts(figure)) == k


def test_similar_confusion_figure__rows_are_true_classes_in_the_given_order():
    """A matrix whose names are in another order than its cells tells lies."""
    confusion = np.array([[3.0, 1.0], [0.0, 5.0]])

    figure = similar_confusion_figure(["small", "large"], confusion, np.array([1, 0]))

    cells = {
        (int(t.get_position()[1]), int(t.get_position()[0])): t.get_text()
        for t in figure.axes[0].texts
    }
    assert cells == {(0, 0): "100", (1, 0): "25", (1, 1): "75"}
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["large  1", "small  2"]


def test_similar_confusion_figure__a_class_without_patients_is_empty():
    figure = similar_confusion_figure(["a", "b"], np.array([[0.0, 0.0], [1, 1]]), np.arange(2))

    assert {t.get_text() for t in figure.axes[0].texts} == {"50"}


def test_reliability_figure__a_bin_without_interval_is_left_out():
    bins = [
        {"patients": 5, "confidence": 0.3, "accuracy": [0.25, 0.1, 0.4]},
        {"patients": 1, "confidence": 0.9, "accuracy": [1.0, None, None]},
    ]
    figure = reliability_figure({"raw": bins})

    line = next(x for x in figure.axes[0].lines if x.get_label() == "raw")
    assert (line.get_xdata()[:], line.get_ydata()[:]) == ([0.3], (0.25,))


@pytest.fixture
def loadings():
    return pl.DataFrame(
        {
            "feature": ["snv__a", "clinical__b", "snv__c"] * 2,
            "modality": ["snv", "clinical", "snv"] * 2,
            "component": [1] * 3 + [2] * 3,
            "loading": [0.9, 0.1, 0.4, 0.2, 0.8, -0.5],
            "correlation": [0.95, 0.2, 0.4, 0.1, 0.9, -0.6],
        }
    )


def test_loadings_figure__columns_by_modality(loadings):
    figure = loadings_figure(loadings)

    image = figure.axes[1].images[0].get_array()
    # snv before clinical; within, by the component of the largest loading.
    np.testing.assert_allclose(image, [[0.9, 0.4, 0.1], [0.2, -0.5, 0.8]])


def test_variance_figure__names_the_components_that_are_needed():
    figure = variance_figure([0.5, 0.75, 0.9, 1.0])

    assert {"50%: 1", "80%: 3", "90%: 3", "99%: 4"} <= set(texts(figure))


def test_circle_figure__arrows_end_at_the_correlations(loadings):
    figure = circle_figure(loadings, str.upper)

    ends = {tuple(t.xy) for t in figure.axes[0].texts if hasattr(t, "arrow_patch")}
    assert ends == {(0.95, 0.1), (0.2, 0.9), (0.4, -0.6)}
    assert {"SNV__A", "CLINICAL__B", "SNV__C"} <= set(texts(figure))


@pytest.fixture
def importance():
    return pl.DataFrame(
        {
            "feature": ["snv__a", "snv__a", "clinical__b", "clinical__b"],
            "modality": ["snv", "snv", "clinical", "clinical"],
            "class": ["x", "y"] * 2,
            "mean_abs_shap": [0.1, 0.2, 0.5, 0.0],
        }
    )


def test_importance_figure__is_the_sum_over_classes(importance):
    figure = importance_figure(importance, str.upper)

    bars = [bar.get_width() for bar in figure.axes[0].patches]
    assert bars == pytest.approx([0.5, 0.3])
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["CLINICAL__B", "SNV__A"]


def test_class_importance_figure__darkest_cell_is_the_largest_of_its_row(importance):
    figure = class_importance_figure(importance, str)

    cells = np.asarray(figure.axes[0].collections[0].get_array()).reshape(2, 2)
    np.testing.assert_allclose(cells, [[1.0, 0.0], [0.5, 1.0]])


def shap_rows(values: dict[str, dict[str, float]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"patient_id": p, "feature": f, "shap": v}
            for p, row in values.items()
            for f, v in row.items()
        ]
    )


def test_decision_figure__lines_end_at_the_log_odds():
    """A line that leaves out what is not shown ends at another score than the model's."""
    shap = shap_rows(
        {
            "P1": {"a": 1.0, "b": 0.5, OTHERS: 0.25, BASE: -2.0},
            "P2": {"a": -1.0, "b": -0.5, OTHERS: 0.25, BASE: -2.0},
        }
    )
    figure = decision_figure(shap, ["P1", "P2"], np.array([True, False]), str)

    lines = [x for x in figure.axes[0].lines if len(x.get_xdata()) == 4]
    by_colour = {x.get_color(): list(x.get_xdata()) for x in lines}
    assert by_colour[BLUE] == pytest.approx([-2.0, -1.75, -1.25, -0.25])
    assert by_colour[ORANGE] == pytest.approx([-2.0, -1.75, -2.25, -3.25])
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["base value", REST, "b", "a"]


def test_shown_patients__misclassified_first():
    recognised = np.array([True] * 90 + [False] * 5)

    shown = shown_patients([f"P{i}" for i in range(95)], recognised)

    assert len(shown) == 80
    assert set(range(90, 95)) <= set(shown)


def test_force_figure__bars_lead_from_the_base_to_the_score():
    parts = [("a", 2.0), ("b", -0.5), (REST, 1.0)]

    figure = force_figure(parts, base=-1.0)

    spans = [sorted((b.get_x(), b.get_x() + b.get_width())) for b in figure.axes[0].patches]
    # Score 1.5: a and the rest push it up from -1.5, b down from 2.0.
    np.testing.assert_allclose(spans, [[-0.5, 1.5], [-1.5, -0.5], [1.5, 2.0]])
    assert "1.50" in texts(figure)
    assert any("pushes up +3.00" in text for text in texts(figure))


@pytest.mark.slow
def test_figures__have_room_for_thirty_classes():
    """Thirty long names are what the figures are for."""
    confusion = np.eye(30) * 3 + 0.1
    importance = pl.DataFrame(
        [
            {"feature": f"snv__{i}", "modality": "snv", "class": c, "mean_abs_shap": 1.0 + i}
            for i in range(25)
            for c in THIRTY
        ]
    )
    assert is_drawn(similar_confusion_figure(THIRTY, confusion, np.arange(30)))
    assert is_drawn(class_importance_figure(importance, str))
