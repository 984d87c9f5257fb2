"""Measures of predicted survival, against scikit-survival and by hand."""

import numpy as np
import pytest
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.metrics import cumulative_dynamic_auc, integrated_brier_score
from sksurv.util import Surv

from ml.evaluation.survival import (
    DAYS_PER_YEAR,
    areas,
    at_risk,
    calibration_at,
    hazard_ratios,
    horizons,
    integrated_brier,
    kaplan_meier,
    risk_groups,
    survival_grid,
)

# scikit-survival takes a second to load.
pytestmark = pytest.mark.slow

N = 160


@pytest.fixture(scope="module")
def cohort():
    """Days with ties, who died, and a risk that knows something."""
    rng = np.random.default_rng(8)
    risk = rng.normal(size=N).round(1)
    death = rng.exponential(1500 * np.exp(-risk))
    lost = rng.uniform(200, 3000, size=N)
    return np.minimum(death, lost).round(-1) + 1, death <= lost, risk


def test_kaplan_meier__by_hand():
    """Two of four die; one is lost between them."""
    curve = kaplan_meier(np.array([10.0, 20, 30, 40]), np.array([True, False, True, False]))

    assert [curve.at(day).value for day in (0, 9, 10, 29, 30, 99)] == pytest.approx(
        [1, 1, 0.75, 0.75, 0.375, 0.375]
    )
    assert at_risk(np.array([10.0, 20, 30, 40]), np.array([0, 10, 20.5, 41])).tolist() == [
        4, 4, 2, 0,
    ]  # fmt: skip


def test_kaplan_meier__nobody_dies():
    curve = kaplan_meier(np.array([10.0, 20]), np.array([False, False]))

    assert curve.at(15).as_list() == [1, 1, 1]


def test_risk_groups__thirds_from_the_lowest():
    assert risk_groups(np.array([0.9, 0.1, 0.5, 0.2, 0.8, 0.6])).tolist() == [2, 0, 1, 0, 2, 1]


def test_hazard_ratios__are_those_of_scikit_survival(cohort):
    days, died, risk = cohort
    group = risk_groups(risk)

    found = hazard_ratios(days, died, group)

    dummies = (group[:, np.newaxis] == [1, 2]).astype(float)
    cox = CoxPHSurvivalAnalysis(ties="efron", tol=1e-12).fit(dummies, Surv.from_arrays(died, days))
    assert [ratio.value for ratio in found] == pytest.approx(np.exp(cox.coef_), rel=1e-4)
    assert all(ratio.low < ratio.value < ratio.high for ratio in found)
    # Wald: the interval is symmetric on the scale of the logarithm.
    assert found[1].low * found[1].high == pytest.approx(found[1].value ** 2)


def test_hazard_ratios__a_group_without_deaths_has_none(cohort):
    """Its ratio is zero with an infinite interval, which no table should print."""
    days, died, risk = cohort
    group = risk_groups(risk)

    middle, high = hazard_ratios(days, died & (group != 1), group)
    assert middle is None
    assert high.value > 1
    assert hazard_ratios(days, died & (group != 0), group) == [None, None]


def test_areas__are_those_of_scikit_survival(cohort):
    """Patients lost before the horizon must count through those followed as long."""
    days, died, risk = cohort
    at = horizons(days, died)
    truth = Surv.from_arrays(died, days)

    found = areas(days, died, risk, at, seed=1)

    expected, _ = cumulative_dynamic_auc(truth, truth, risk, at)
    assert at == [years * DAYS_PER_YEAR for years in (1, 2, 3, 5)]
    assert [area.value for area in found] == pytest.approx(expected)
    assert all(area.low < area.value < area.high for area in found)


def test_integrated_brier__is_that_of_scikit_survival(cohort):
    days, died, risk = cohort
    grid = survival_grid(days, died)
    survival = np.exp(-np.outer(np.exp(risk), grid) / 1500)
    truth = Surv.from_arrays(died, days)

    found = integrated_brier(days, died, survival, grid, seed=1)

    assert found.model.value == pytest.approx(integrated_brier_score(truth, truth, survival, grid))
    known = np.tile([kaplan_meier(days, died).at(day).value for day in grid], (N, 1))
    null = integrated_brier_score(truth, truth, known, grid)
    assert found.nobody_known.value == pytest.approx(null)
    assert found.gain.value == pytest.approx(1 - found.model.value / null)
    assert found.gain.low > 0


def test_calibration_at__without_losses_is_counting():
    """Four groups by predicted risk; observed is the share that died."""
    rng = np.random.default_rng(3)
    days, survival = rng.uniform(1, 800, size=40), rng.uniform(0.1, 0.9, size=40)

    found = calibration_at(days, np.ones(40, dtype=bool), survival, 400.0)

    order = np.argsort(1 - survival)
    for group, members in zip(found.groups, order.reshape(4, 10), strict=True):
        assert group.patients == 10
        assert group.predicted == pytest.approx((1 - survival[members]).mean())
        assert group.observed.value == pytest.approx((days[members] <= 400).mean())
    assert found.ratio.value == pytest.approx((days <= 400).mean() / (1 - survival).mean())


def test_horizons__need_deaths_and_patients_left(cohort):
    """With nine left, a horizon is judged by nine."""
    days, died, _ = cohort
    late = 10 * DAYS_PER_YEAR

    assert late not in horizons(days, died)
    assert horizons(np.full(30, 300.0), np.ones(30, dtype=bool)) == []
    assert survival_grid(days, np.zeros(N, dtype=bool)).size == 0
    grid = survival_grid(days, died)
    assert (days > grid[-1]).sum() >= 9
    assert set(horizons(days, died)) <= set(grid)
