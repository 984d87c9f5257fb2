"""Figures: what stands in them, and that nothing is cut off."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ml.evaluation.metrics import evaluate
from ml.figures.performance import comparison_figure, confusion_figure
from ml.figures.style import INK, modality_colour

LONG = "AML with inv(16)(p13.1q22) or t(16;16)(p13.1;q22); CBFB-MYH11"


@pytest.fixture
def evaluation():
    """Two classes; one of four patients of the small one is called the large one."""
    labels = np.array(["NPM1"] * 12 + [LONG] * 4)
    probabilities = np.tile([0.1, 0.9], (16, 1))
    probabilities[13:] = [0.8, 0.2]
    return evaluate(labels, probabilities[np.newaxis], np.zeros((1, 16), dtype=int), seed=0)


def words(figure) -> list[str]:
    texts = [text for axes in figure.axes for text in (*axes.texts, *axes.get_yticklabels())]
    return [text.get_text() for text in (*texts, *figure.texts)]


def cut_off(figure) -> list[str]:
    """Texts that reach beyond the edge of the figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [*figure.texts]
    for axes in figure.axes:
        texts += [axes.title, *axes.texts, *axes.get_yticklabels(), *axes.get_xticklabels()]
    boxes = {t.get_text(): t.get_window_extent(renderer) for t in texts if t.get_text()}
    width, height = figure.bbox.width, figure.bbox.height
    return [
        text
        for text, box in boxes.items()
        if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height
    ]


def test_confusion_figure__rows_are_true_classes_from_large_to_small(evaluation):
    """A transposed matrix looks just as good: recall and precision would change places."""
    figure = confusion_figure(evaluation, title="T", subtitle="S")

    cells = {
        (int(t.get_position()[1]), int(t.get_position()[0])): t.get_text()
        for t in figure.axes[0].texts
        if t.get_position()[1] % 1 == pytest.approx(0.4)
    }
    assert cells == {(0, 0): "100", (1, 0): "25", (1, 1): "75"}
    assert "12" in words(figure)
    assert any("CBFB-MYH11" in text for text in words(figure))


def test_comparison_figure__shows_each_row_with_its_interval(evaluation):
    figure = comparison_figure(
        {"snv": evaluation, "all": evaluation}, {"snv": ["snv"], "all": ["snv", "clinical"]},
        title="T", subtitle="S", majority_share=0.75,
    )  # fmt: skip

    accuracy = evaluation.metrics["accuracy"]
    assert words(figure).count("0.938") == 2
    assert f"{accuracy.low:.3f} to {accuracy.high:.3f}" in words(figure)
    # Two classes, the larger 75 %: F1 of it is 2 * 0.75 / 1.75, of the other 0.
    references = [axes.lines[0].get_xdata()[0] for axes in figure.axes]
    assert references == [0.75, pytest.approx(2 * 0.75 / 1.75 / 2)]
    # A set of one modality has its colour, as in all other figures.
    dots = [line.get_color() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert dots == [modality_colour("snv"), INK]


def test_figures__nothing_is_cut_off(evaluation):
    """Names of WHO classes are long."""
    for figure in (
        confusion_figure(evaluation, title="Wide title " * 20, subtitle="S"),
        comparison_figure(
            {"all": evaluation}, {"all": ["snv", "ct"]}, title="Wide title " * 20, subtitle="S",
            majority_share=0.75,
        ),
    ):  # fmt: skip
        assert cut_off(figure) == []
