"""Calibration: numbers against SciPy's and scikit-learn's fits, and against known truth."""

import numpy as np
import pytest
import statsmodels.api
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression

from ml.evaluation.calibration import (
    CURVE_PATIENTS,
    SLOPE_PATIENTS,
    CalibrationSummary,
    calibration,
    class_calibration,
    flexible_curve,
)
from ml.pipelines.resampling import ClassWeighted

N, K = 1500, 4
LIMIT = chi2.ppf(0.95, 1)


@pytest.fixture
def honest():
    """Probabilities from which the classes are really drawn."""
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(K, 0.7), size=N)
    truth = (probabilities.cumsum(axis=1) > rng.random((N, 1))).argmax(axis=1)
    return truth, probabilities


def two_classes(patients, prevalence, *, seed, power=1.0, shift=0.0):
    """Truth, and probabilities of both classes that are off by a slope and an intercept."""
    rng = np.random.default_rng(seed)
    odds = logit(prevalence) + rng.normal(size=patients)
    truth = (rng.random(patients) < expit(odds)).astype(int)
    said = expit(power * odds + shift)
    return truth, np.stack([1 - said, said], axis=1)


def sharpened(probabilities, power):
    raised = np.clip(probabilities, 1e-6, None) ** power
    return raised / raised.sum(axis=1, keepdims=True)


def deviance(truth, odds, intercept, slope):
    score = intercept + slope * odds
    return 2 * (np.logaddexp(0, score) - truth * score).sum()


def test_calibration__is_known_by_hand_where_everybody_gets_one_probability():
    """10 of 40 died where 20 % were expected: a quarter more, and log 4/3 in log-odds."""
    truth = np.repeat([1, 0], [10, 30])
    found = calibration(truth, np.tile([0.8, 0.2], (40, 1)), seed=1)

    assert found.position == 1
    assert found.in_the_large.value == pytest.approx(np.log(4 / 3))
    assert found.observed_expected.value == pytest.approx(1.25)
    assert found.in_the_large.low < 0 < found.in_the_large.high
    assert np.isnan(found.slope.value)
    assert found.reason == "everybody has the same probabilities"


@pytest.mark.parametrize(("power", "shift"), [(1.0, 0.0), (2.0, 0.0), (0.5, 0.7), (1.0, -1.0)])
def test_calibration__two_classes_agree_with_a_fit_by_scipy(power, shift):
    """Both classes stacked give an intercept of 0 for any model: the event alone has one."""
    truth, said = two_classes(400, 0.2, seed=2, power=power, shift=shift)
    odds = logit(said[:, 1])
    offset = minimize(lambda at: deviance(truth, odds, at[0], 1.0), [0.0])
    full = minimize(lambda at: deviance(truth, odds, at[0], at[1]), [0.0, 1.0])

    found = calibration(truth, said, seed=1)

    assert found.in_the_large.value == pytest.approx(offset.x[0], abs=1e-4)
    assert found.slope.value == pytest.approx(full.x[1], abs=1e-4)
    assert found.observed_expected.value == pytest.approx(truth.sum() / said[:, 1].sum())
    for end in (found.in_the_large.low, found.in_the_large.high):
        assert deviance(truth, odds, end, 1.0) - offset.fun == pytest.approx(LIMIT, abs=1e-2)
    for end in (found.slope.low, found.slope.high):
        held = minimize(lambda at, end=end: deviance(truth, odds, at[0], end), [0.0])
        assert held.fun - full.fun == pytest.approx(LIMIT, abs=1e-2)


def test_calibration__finds_too_high_and_too_extreme_risks():
    """0.357 predicted where 0.200 died was printed as an intercept of 0.00 [0.00, 0.00]."""
    found = calibration(*two_classes(1000, 0.2, seed=3, power=2.0, shift=1.5), seed=1)

    assert found.in_the_large.high < 0
    assert found.observed_expected.high < 1
    assert found.slope.high < 1


def test_calibration__ratio_and_intercept_say_the_same():
    """The interval of one must not hold the ideal where that of the other leaves it out."""
    for seed in range(10):
        found = calibration(*two_classes(150, 0.2, seed=seed, shift=0.3), seed=1)
        held = found.in_the_large.low <= 0 <= found.in_the_large.high
        assert held == (found.observed_expected.low <= 1 <= found.observed_expected.high)


def test_calibration__is_of_the_rarer_class():
    truth, said = two_classes(400, 0.2, seed=4, shift=1.0)
    there = calibration(truth, said, seed=1)
    turned = calibration(1 - truth, said[:, ::-1], seed=1)

    assert (there.position, turned.position) == (1, 0)
    assert there.in_the_large == turned.in_the_large
    assert there.slope.as_list() == pytest.approx(turned.slope.as_list(), abs=1e-3)


@pytest.mark.parametrize(("events", "known"), [(0, False), (SLOPE_PATIENTS - 1, True)])
def test_calibration__says_that_there_are_too_few(events, known):
    """A slope of nine deaths looks like a finding and is none."""
    rng = np.random.default_rng(5)
    truth = np.zeros(60, dtype=int)
    truth[:events] = 1
    said = rng.uniform(0.05, 0.4, 60)

    found = calibration(truth, np.stack([1 - said, said], axis=1), seed=1)

    assert np.isfinite(found.in_the_large.value) == known
    assert np.isnan(found.slope.value)
    assert found.reason
    summary = found.summary(["alive", "dead"]).as_dict()
    assert summary["slope"] is None
    assert summary["slope_ci"] == [None, None]
    assert CalibrationSummary.read(summary).as_dict() == summary


def test_calibration__a_separation_has_no_slope():
    said = np.repeat([0.3, 0.6], [40, 20])
    truth = np.repeat([0, 1], [40, 20])

    found = calibration(truth, np.stack([1 - said, said], axis=1), seed=1)

    assert np.isnan(found.slope.value)
    assert "without an error" in found.reason


def test_calibration__honest_probabilities_of_many_classes_pass(honest):
    found = calibration(*honest, seed=1)

    assert found.slope.low < 1 < found.slope.high
    assert found.in_the_large.low < 0 < found.in_the_large.high
    assert [row.position for row in found.classes] == [0, 1, 2, 3]
    assert found.ece.value < 0.03
    assert sum(row.patients for row in found.bins) == N
    confidence = [row.confidence for row in found.bins]
    assert confidence == sorted(confidence)


def test_calibration__slope_of_many_classes_is_that_of_a_multinomial_fit(honest):
    truth, probabilities = honest
    given = sharpened(probabilities, 2)
    logs = np.log(np.clip(given, 1e-6, 1 - 1e-6))

    def loss(at):
        scores = at[0] * logs + np.concatenate([[0.0], at[1:]])
        return -log_softmax(scores, axis=1)[np.arange(N), truth].sum()

    reference = minimize(loss, np.concatenate([[1.0], np.zeros(K - 1)]))

    found = calibration(truth, given, seed=1)

    assert found.slope.value == pytest.approx(reference.x[0], abs=1e-3)
    assert found.slope.high < 0.7
    assert found.ece.low > 0.05


def test_calibration__names_the_class_that_is_farthest_off(honest):
    """A mean over classes is 0 for any model: what one class gets too much, others lack."""
    truth, probabilities = honest
    odds = probabilities * [1, 1, 3, 1]

    found = calibration(truth, odds / odds.sum(axis=1, keepdims=True), seed=1)

    assert found.position == 2
    assert found.in_the_large.high < 0
    alone = found.classes[2].in_the_large
    assert found.in_the_large.value == alone.value
    assert found.in_the_large.high > alone.high


def test_class_calibration__ignores_how_the_others_are_told_apart(honest):
    truth, probabilities = honest
    pair = np.stack([1 - probabilities[:, 1], probabilities[:, 1]], axis=1)
    whole = class_calibration(truth, probabilities, 1)
    alone = class_calibration((truth == 1).astype(int), pair, 1)

    assert whole.slope == alone.slope
    assert whole.events == (truth == 1).sum()
    assert whole.expected == pytest.approx(probabilities[:, 1].sum())


def natural(at, knots):
    """Basis of natural cubic splines by SciPy, straight beyond the knots."""
    spline = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")
    inside = np.clip(at, knots[0], knots[-1])
    return spline(inside) + spline(inside, 1) * (at - inside)[:, np.newaxis]


def test_flexible_curve__is_a_regression_on_a_natural_spline():
    truth, said = two_classes(800, 0.3, seed=6, power=1.5)
    event, predicted = truth == 1, said[:, 1]
    odds = logit(predicted)
    knots = np.quantile(odds, [0.1, 0.5, 0.9])
    family = statsmodels.api.families.Binomial()
    reference = statsmodels.api.GLM(event.astype(float), natural(odds, knots), family=family).fit()

    curve = flexible_curve(event, predicted)

    linear = reference.get_prediction(natural(logit(np.array(curve.predicted)), knots)).linpred
    np.testing.assert_allclose(curve.observed, expit(linear.predicted), atol=2e-3)
    ends = np.stack([curve.low, curve.high], axis=1)
    np.testing.assert_allclose(ends, expit(linear.conf_int()), atol=2e-3)


def test_flexible_curve__shows_the_bend_that_was_planted():
    truth, said = two_classes(20_000, 0.3, seed=7, power=2.0, shift=0.5)
    curve = flexible_curve(truth == 1, said[:, 1])
    planted = expit((logit(np.array(curve.predicted)) - 0.5) / 2)

    np.testing.assert_allclose(curve.observed, planted, atol=0.03)


def test_flexible_curve__is_not_drawn_of_few_or_of_equal_predictions():
    few = np.arange(100) < CURVE_PATIENTS - 1
    assert flexible_curve(few, np.linspace(0.1, 0.9, 100)) is None
    assert flexible_curve(np.arange(100) < 50, np.full(100, 0.5)) is None


@pytest.mark.slow
@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("prevalence", [0.05, 0.2, 0.5])
def test_intervals__hold_the_truth_of_a_well_specified_model(prevalence, power):
    """Class weights once moved a mean risk from 0.20 to 0.36.

    ``benchmarks/calibration.py`` has 200 cohorts of each kind, and models that learned.
    """
    rng = np.random.default_rng([20, int(100 * prevalence)])
    effects, cohorts, held = np.array([1.0, 0.5, -0.5]), 60, np.zeros(2)
    features = rng.normal(size=(4000 + 300 * cohorts, 3))
    odds = logit(prevalence) + features @ effects
    truth = (rng.random(len(odds)) < expit(odds)).astype(int)
    model = ClassWeighted(LogisticRegression(C=np.inf), power=power)
    model.fit(features[:4000], truth[:4000])
    # What the model cannot know of the population is not what the intervals are about.
    model.estimator_.coef_[:] = effects
    lifted = np.log(model.lifted_[1] / model.lifted_[0])
    model.estimator_.intercept_[:] = logit(prevalence) + lifted
    for start in range(4000, len(odds), 300):
        asked = slice(start, start + 300)
        found = class_calibration(truth[asked], model.predict_proba(features[asked]), 1)
        held += [
            found.in_the_large.low <= 0 <= found.in_the_large.high,
            not (found.slope.low > 1 or found.slope.high < 1),
        ]

    # Of 60 intervals of 95 %, fewer than 52 hold the truth in one of 100 trials.
    assert held.min() >= 52
