"""Figures of the report: that they draw the numbers that they are given."""

import io

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_rgb

from ml.explain.names import BASE, OTHERS
from ml.figures.classes import (
    circos_figure,
    class_count_figure,
    grouped,
    similar_confusion_figure,
    similarity_order,
    strong_links,
)
from ml.figures.components import (
    circle_figure,
    circles,
    loadings_figure,
    modality_reach,
    telling_pair,
    variance_figure,
)
from ml.figures.performance import reliability_figure
from ml.figures.shapley import (
    ELSEWHERE,
    REST,
    SHOWN_IN_FORCE,
    adding_up,
    class_importance_figure,
    decision_figure,
    destinations,
    force,
    force_figure,
    importance_figure,
    shown_patients,
)
from ml.figures.style import BLUE, CLASS_COLOURS, ORANGE
from ml.report.blocks import picture

THIRTY = [f"B-lymphoblastic leukaemia/lymphoma with a long name, number {i}" for i in range(30)]

OKLAB_CONES = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
OKLAB_AXES = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip


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


def test_circos_figure__says_own_share_and_links_of_each_class():
    """Rows of the table in another order than the sectors would name the wrong class."""
    links = np.array([[0.7, 0.25, 0.05], [0.1, 0.9, 0.0], [0.0, 0.5, 0.5]])

    figure = circos_figure(["a", "b", "c"], links, np.array([2, 0, 1]))

    said = [t.get_text() for t in figure.axes[1].texts][3:]
    assert said == ["1", "c", "50 %", "3 (50)", "2", "a", "70 %", "3 (25)", "3", "b", "90 %",
                    "2 (10)"]  # fmt: skip
    around = [t.get_text() for t in figure.axes[0].texts]
    assert {"1\n50 %", "2\n70 %", "3\n90 %", "50", "25", "10"} <= set(around)


def test_class_colours__thirty_that_differ():
    """Two classes of one colour cannot be told apart in the circle."""
    linear = (np.array([to_rgb(c) for c in CLASS_COLOURS]) + 0.055) / 1.055
    # OKLab: Ottosson B. A perceptual color space for image processing. 2020.
    cones = np.cbrt(linear**2.4 @ OKLAB_CONES.T)
    lab = cones @ OKLAB_AXES.T
    apart = np.linalg.norm(lab[:, np.newaxis] - lab, axis=2) + np.eye(len(lab))

    assert len(CLASS_COLOURS) == 30
    assert apart.min() > 0.1


def test_grouped__lineages_stay_together_and_in_order():
    """A class that falls out of its lineage falls out of the tables."""
    groups = grouped(["b1", "t1", "x", "b2"], {"T": ["t1"], "B": ["b1", "b2"], "none here": ["y"]})

    assert {name: at.tolist() for name, at in groups.items()} == {
        "T": [1], "B": [0, 3], "other classes": [2],
    }  # fmt: skip
    links = np.full((4, 4), 0.25)
    assert similarity_order(links, groups).tolist() == [1, 0, 3, 2]
    assert list(grouped(["a", "b"], {})) == [""]


def test_class_count_figure__largest_of_a_group_first():
    groups = grouped(["a", "b", "c"], {"G": ["b", "c"], "H": ["a"]})

    figure = class_count_figure(["a", "b", "c"], [6, 1, 3], groups)

    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["c", "b", "a"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [3, 1, 6]
    assert {"6 (60.0 %)", "1 (10.0 %)", "G", "H"} <= set(texts(figure))


def test_similar_confusion_figure__rows_are_true_classes_in_the_given_order():
    """A matrix whose names are in another order than its cells tells lies."""
    confusion = np.array([[3.0, 1.0], [0.0, 5.0]])

    figure = similar_confusion_figure(["small", "large"], confusion, np.array([1, 0]))

    cells = {}
    for text in figure.axes[0].texts:
        x, y = text.get_position()
        cells.setdefault((int(y), int(x)), []).append(text.get_text())
    assert cells == {(0, 0): ["100", "5"], (1, 0): ["25", "1"], (1, 1): ["75", "3"]}
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["large  1", "small  2"]


def test_similar_confusion_figure__a_class_without_patients_is_empty():
    figure = similar_confusion_figure(["a", "b"], np.array([[0.0, 0.0], [1, 1]]), np.arange(2))

    assert {t.get_text() for t in figure.axes[0].texts} == {"50", "1"}


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


def test_loadings_figure__rows_by_modality_columns_by_component(loadings):
    figure = loadings_figure(loadings, str.upper)

    image = figure.axes[1].images[0].get_array()
    # snv before clinical; within, by the component of the largest loading.
    np.testing.assert_allclose(image, [[0.9, 0.2], [0.4, -0.5], [0.1, 0.8]])
    named = [t.get_text() for t in figure.axes[1].texts]
    assert named == ["SNV__A", "SNV__C", "CLINICAL__B"]
    assert figure.axes[1].get_xlabel() == "Component"


def test_loadings_figure__a_modality_without_data_has_no_rows(loadings):
    """A block of white rows looks like a modality that says nothing; it was never there."""
    empty = loadings.with_columns(
        feature=pl.lit("ct__x"), modality=pl.lit("ct"), loading=0.0, correlation=0.0
    )
    both = pl.concat([loadings, empty.unique(["feature", "component"])])

    assert loadings_figure(both).axes[1].images[0].get_array().shape == (3, 2)
    assert "ct" not in circles(both).modalities


def test_variance_figure__names_the_components_that_are_needed():
    figure = variance_figure([0.5, 0.75, 0.9, 1.0])

    assert {"50%: 1", "80%: 3", "90%: 3", "99%: 4"} <= set(texts(figure))


def test_circle_figure__arrows_end_at_the_correlations(loadings):
    figure = circle_figure(circles(loadings), str.upper, (1, 2))

    ends = {tuple(t.xy) for t in figure.axes[0].texts if hasattr(t, "arrow_patch")}
    assert ends == {(0.95, 0.1), (0.2, 0.9), (0.4, -0.6)}
    assert {"SNV__A", "CLINICAL__B", "SNV__C"} <= set(texts(figure))


def test_telling_pair__the_one_on_which_most_modalities_load():
    """The first two components are often one modality's alone."""
    rows = {"snv__a": (0.9, 0.1, 0.1), "snv__b": (0.1, 0.9, 0.2), "clinical__c": (0.1, 0.2, 0.8)}
    loadings = pl.DataFrame(
        [
            {"feature": name, "modality": name.partition("_")[0], "component": i + 1,
             "loading": r, "correlation": r}
            for name, values in rows.items() for i, r in enumerate(values)
        ]
    )  # fmt: skip

    assert telling_pair(loadings) == (2, 3)
    found = modality_reach(loadings).filter(one=2, other=3)
    assert found["modalities"].item() == 2
    expected = np.hypot(0.9, 0.2) + np.hypot(0.2, 0.8)
    assert found["reach"].item() == pytest.approx(expected)


def test_circles__every_pair_shows_the_longest_arrows():
    """The script draws what is listed here: one wrong number names another gene."""
    rng = np.random.default_rng(5)
    r = rng.uniform(-0.7, 0.7, size=(60, 4))
    loadings = pl.DataFrame(
        [{"feature": f"snv__{i}", "modality": "snv", "component": c + 1, "loading": r[i, c],
          "correlation": r[i, c]} for i in range(60) for c in range(4)]
    )  # fmt: skip

    found = circles(loadings)

    assert len(found.shown) == 6
    for (one, other), positions in found.shown.items():
        length = np.sqrt(r[:, one - 1] ** 2 + r[:, other - 1] ** 2)
        expected = [f"snv__{i}" for i in np.argsort(-length)[:16]]
        assert [found.features[at] for at in positions] == expected


def test_circle_figure__long_names_are_whole(loadings):
    name = "Expression of a gene whose name is far too long for one line of a figure"

    figure = circle_figure(circles(loadings), lambda _: name, (1, 2))

    said = [t.get_text() for t in figure.axes[0].texts if t.get_text()]
    assert {text.replace("\n", " ") for text in said} == {name}


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
    figure = decision_figure(shap, ["P1", "P2"], ["x", "y"], "x", str)

    lines = [x for x in figure.axes[0].lines if len(x.get_xdata()) == 4]
    by_colour = {x.get_color(): list(x.get_xdata()) for x in lines}
    assert by_colour[BLUE] == pytest.approx([-2.0, -1.75, -1.25, -0.25])
    assert by_colour[ORANGE] == pytest.approx([-2.0, -1.75, -2.25, -3.25])
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["base value", REST, "b", "a"]
    [legend] = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["recognised (1)", "taken for y (1)"]


def test_destinations__most_frequent_first_and_the_rest_together():
    predicted = ["x"] * 5 + ["a"] * 3 + ["b"] * 2 + ["c", "d", "e"]

    assert destinations(predicted, "x") == [("a", 3), ("b", 2), ("c", 1), (ELSEWHERE, 2)]
    assert destinations(predicted[:10], "x") == [("a", 3), ("b", 2)]


def test_shown_patients__misclassified_first():
    recognised = np.array([True] * 90 + [False] * 5)

    shown = shown_patients(recognised)

    assert len(shown) == 80
    assert set(range(90, 95)) <= set(shown)


def test_force_figure__bars_lead_from_the_base_to_the_score():
    figure = force_figure(force([("a", 2.0), ("b", -0.5), (REST, 1.0)], base=-1.0))

    spans = [sorted((b.get_x(), b.get_x() + b.get_width())) for b in figure.axes[0].patches]
    # Score 1.5: a and the rest push it up from -1.5, b down from 2.0.
    np.testing.assert_allclose(spans, [[-0.5, 1.5], [-1.5, -0.5], [1.5, 2.0]])
    assert {"log-odds 1.50", "pushes up +3.00", "a", REST, "1  +2.00"} <= set(texts(figure))


def test_force_figure__every_bar_has_its_value_and_whole_name():
    name = "Expression of a gene with so many words in its name that they need three lines, or four"
    parts = [(f"{name} {i}", 1.0 / (i + 1)) for i in range(9)]

    found = force(parts, base=0.0)
    said = texts(force_figure(found))

    assert len(found.up.bars) == SHOWN_IN_FORCE + 1
    assert sum(text.replace("\n", " ").startswith(name) for text in said) == SHOWN_IN_FORCE
    for at, (_, value) in enumerate(found.up.bars[:-1], start=1):
        assert f"{at}  {value:+.2f}" in said


def test_adding_up__moves_nothing_by_a_whole_digit():
    values = np.random.default_rng(1).normal(size=50)

    printed = adding_up(values.tolist())

    assert round(sum(printed), 2) == round(values.sum(), 2)
    assert np.abs(np.array(printed) - values).max() < 0.01


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


@pytest.mark.slow
def test_figures__of_thirty_classes_fit_into_a_page_of_ten_megabytes():
    """A page that takes minutes to send or seconds to open is not read."""
    patients = [f"P{i:02d}" for i in range(80)]
    rng = np.random.default_rng(1)
    features = [f"Expression of a gene with a long name {i}" for i in range(30)]
    shap = pl.DataFrame(
        [{"patient_id": p, "feature": f, "shap": v}
         for p in patients for f, v in zip([*features, OTHERS, BASE], rng.normal(size=32),
                                                strict=True)]
    )  # fmt: skip
    predicted = [THIRTY[i % 5] for i in range(80)]
    links = rng.dirichlet(np.ones(30) * 0.2, size=30)
    confusion = rng.poisson(2.0, size=(30, 30)).astype(float)

    drawn = [
        *[picture(decision_figure(shap, patients, predicted, THIRTY[0], str), alt="", caption="")]
        * 30,
        picture(circos_figure(THIRTY, links, np.arange(30)), alt="", caption=""),
        picture(similar_confusion_figure(THIRTY, confusion, np.arange(30)), alt="", caption=""),
    ]

    # Text, tables and the other figures of a page take less than three.
    assert sum(len(one.source) for one in drawn) < 7e6
