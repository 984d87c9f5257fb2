"""Figures of two classes and of survival: that they draw the numbers that they are given."""

import numpy as np
import pytest

from ml.evaluation import calibration
from ml.evaluation.curves import Curve, DecisionCurve, RocCurves
from ml.evaluation.survival import HorizonCalibration, HorizonGroup
from ml.figures.binary import (
    benefit_figure,
    calibration_figure,
    precision_recall_figure,
    roc_figure,
)
from ml.figures.survival import horizon_figure, kaplan_meier_figure, years
from ml.intervals import Estimate

GRID = np.array([0.1, 0.5, 0.9])
CURVE = Curve(GRID, np.array([0.2, 0.6, 0.7]), GRID - 0.1, GRID + 0.1)


def line(figure, label):
    [found] = [x for x in figure.axes[0].lines if str(x.get_label()).startswith(label)]
    return np.stack([found.get_xdata(), found.get_ydata()])


def band(figure):
    [found] = figure.axes[0].collections
    return found.get_paths()[0].vertices


def test_roc_figure__folds_mean_and_band():
    folds = ((np.array([0, 0.5, 1]), np.array([0, 1, 1])),) * 3

    figure = roc_figure(RocCurves(folds, CURVE))

    np.testing.assert_array_equal(line(figure, "mean of the folds"), [GRID, CURVE.value])
    drawn = [x for x in figure.axes[0].lines if list(x.get_xdata()) == [0, 0.5, 1]]
    assert len(drawn) == 3
    assert {(0.1, 0.0), (0.9, 1.0)} <= {tuple(np.round(v, 6)) for v in band(figure)}
    assert "folds (3)" in [t.get_text() for t in figure.axes[0].get_legend().get_texts()]


def test_precision_recall_figure__beside_what_guessing_reaches():
    figure = precision_recall_figure(CURVE, 0.25)

    assert line(figure, "naming everybody: 0.25")[1].tolist() == [0.25, 0.25]
    np.testing.assert_array_equal(line(figure, "model"), [GRID, CURVE.value])


def test_benefit_figure__model_everybody_and_nobody():
    figure = benefit_figure(DecisionCurve(CURVE, np.array([0.3, 0.1, -0.9])))

    assert line(figure, "act on nobody")[1].tolist() == [0, 0]
    assert line(figure, "act on everybody")[1].tolist() == [0.3, 0.1, -0.9]
    np.testing.assert_array_equal(line(figure, "act on the model"), [GRID, CURVE.value])


@pytest.mark.parametrize(
    "curve", [calibration.Curve((0.1, 0.9), (0.2, 0.7), (0.0, 0.5), (0.4, 0.9)), None]
)
def test_calibration_figure__means_and_how_risks_are_spread(curve):
    event = np.array([True, False, False, False])
    risk = np.array([0.9, 0.02, 0.01, 0.35])

    figure = calibration_figure(curve, event, risk)

    assert line(figure, "means of all patients").ravel() == pytest.approx([0.32, 0.25])
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    assert (max(heights), min(heights), sum(map(abs, heights))) == (1, -2, 4)
    assert any("flexible" in str(x.get_label()) for x in figure.axes[0].lines) == (
        curve is not None
    )


@pytest.mark.slow
def test_kaplan_meier_figure__steps_and_numbers_at_risk():
    """Numbers under another group's name are the classic slip of such a figure."""
    year = 365.25
    low = (year * np.array([1.0, 2, 3, 4]), np.array([False, True, False, False]))
    high = (year * np.array([0.5, 0.75]), np.array([True, True]))

    figure = kaplan_meier_figure({"low risk": low, "high risk": high})

    steps = line(figure, "low risk (4 patients, 1 died)")
    np.testing.assert_allclose(steps, [[0, 1, 2, 3, 4], [1, 1, 2 / 3, 2 / 3, 2 / 3]])
    np.testing.assert_allclose(line(figure, "high risk")[1], [1, 0.5, 0], atol=1e-12)
    numbers = [
        (round(t.get_position()[1]), t.get_position()[0], t.get_text())
        for t in figure.axes[1].texts
    ]
    rows = {
        name: [text for row, _, text in sorted(numbers) if row == at]
        for at, name in enumerate(("low", "high"))
    }
    assert rows["low"][:3] == ["4", "4", "4"]  # at 0, 0.5 and 1 year
    assert rows["high"][:3] == ["2", "2", "0"]


def test_horizon_figure__groups_and_everybody():
    groups = (
        HorizonGroup(10, 0.1, Estimate(0.2, 0.1, 0.4)),
        HorizonGroup(10, 0.5, Estimate(0.4, 0.2, 0.6)),
    )
    found = HorizonCalibration(730.5, 0.3, Estimate(0.3, 0.2, 0.4), groups)

    figure = horizon_figure([found])

    points, everybody = figure.axes[0].lines[1:]
    assert list(zip(points.get_xdata(), points.get_ydata(), strict=True)) == [
        (0.1, 0.2),
        (0.5, 0.4),
    ]
    assert (everybody.get_xdata()[0], everybody.get_ydata()[0]) == (0.3, 0.3)
    assert figure.axes[0].get_title() == "2 years"
    assert years(365.25) == "1 year"
