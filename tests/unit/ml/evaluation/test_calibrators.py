"""Calibrators: each against another library, and a choice that no patient is worse off by."""

import json

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from ml.evaluation.calibration import calibration
from ml.evaluation.calibrators import (
    KINDS,
    Scaling,
    choose_calibrator,
    fit_calibrator,
    fit_temperature,
    read_calibrator,
)
from oncoframe.errors import StudyError

N, K = 1500, 4


class AsGiven(ClassifierMixin, BaseEstimator):
    """Classifier whose features are the probabilities."""

    def fit(self, _X, y):  # noqa: N803
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):  # noqa: N803
        return X

    def predict(self, X):  # noqa: N803
        return X.argmax(axis=1)


def many_classes(seed=1, patients=N):
    """Probabilities from which the classes are really drawn."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(K, 0.7), size=patients)
    return (probabilities.cumsum(axis=1) > rng.random((patients, 1))).argmax(axis=1), probabilities


def two_classes(patients, *, seed=1, power=1.0, shift=0.0):
    rng = np.random.default_rng(seed)
    odds = -1.4 + 1.5 * rng.normal(size=patients)
    truth = (rng.random(patients) < expit(odds)).astype(int)
    said = expit(power * odds + shift)
    return truth, np.stack([1 - said, said], axis=1)


def sharpened(probabilities, power):
    raised = np.clip(probabilities, 1e-6, None) ** power
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("power", [0.4, 2.5])
def test_fit_temperature__undoes_a_power_and_agrees_with_scikit_learn(power):
    """Fitted on other patients than it is applied to, it must bring back what was distorted."""
    truth, probabilities = many_classes()
    given = sharpened(probabilities, power)
    reference = CalibratedClassifierCV(
        FrozenEstimator(AsGiven().fit(given, truth)), method="temperature", ensemble=False
    ).fit(given, truth)

    temperature = fit_temperature(given, truth)

    applied = temperature.apply(given)
    assert temperature.slopes[0] == pytest.approx(1 / power, rel=0.1)
    np.testing.assert_allclose(applied, reference.predict_proba(given), atol=1e-2)
    np.testing.assert_array_equal(applied.argmax(axis=1), given.argmax(axis=1))
    assert log_loss(truth, applied) < log_loss(truth, given)


def test_platt__is_a_logistic_regression_on_the_log_odds():
    truth, said = two_classes(8000, power=2.0, shift=1.0)
    odds = logit(said[:, [1]])
    reference = LogisticRegression(C=np.inf, tol=1e-8).fit(odds, truth).predict_proba(odds)

    found = fit_calibrator("platt", said, truth).apply(said)

    np.testing.assert_allclose(found, reference, atol=2e-3)


def test_vector__is_beta_calibration_of_two_classes():
    """Log p and -log(1 - p) with an intercept, as Kull et al. have it."""
    truth, said = two_classes(8000, power=1.5, shift=1.0)
    columns = np.stack([np.log(said[:, 1]), -np.log(said[:, 0])], axis=1)
    reference = LogisticRegression(C=np.inf, tol=1e-8).fit(columns, truth)
    assert (reference.coef_ > 0).all()

    found = fit_calibrator("vector", said, truth).apply(said)

    np.testing.assert_allclose(found, reference.predict_proba(columns), atol=3e-3)


def test_isotonic__is_that_of_scikit_learn_and_never_certain():
    truth, said = two_classes(2000, power=2.0)
    steps = IsotonicRegression(out_of_bounds="clip").fit(said[:, 1], truth)

    found = fit_calibrator("isotonic", said, truth).apply(said)

    np.testing.assert_allclose(found[:, 1], steps.predict(said[:, 1]), atol=2e-3)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.min() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_calibrators__survive_being_written_down(kind):
    """What is served must answer as what was judged."""
    for truth, said in (two_classes(300, power=2.0), many_classes(patients=300)):
        fitted = fit_calibrator(kind, said, truth)
        read = read_calibrator(json.loads(json.dumps(fitted.as_dict())))

        assert read == fitted
        np.testing.assert_array_equal(read.apply(said), fitted.apply(said))
        np.testing.assert_allclose(read.apply(said).sum(axis=1), 1)


def test_read_calibrator__refuses_a_kind_it_does_not_know():
    with pytest.raises(StudyError, match="no such calibrator"):
        read_calibrator({"kind": "magic"})


def test_calibrators__keep_three_patients_from_an_infinite_intercept():
    """A class that nobody of three was given would have none of the probability for ever."""
    said = np.tile([0.6, 0.3, 0.1], (30, 1))
    found = fit_calibrator("platt", said, np.repeat([0, 1], 15))

    assert np.abs(found.intercepts).max() < 5
    assert found.apply(said).min() > 0


@pytest.mark.parametrize(
    ("distorted", "kinds"),
    [
        ({}, {"none"}),
        ({"power": 3.0}, {"temperature", "platt", "vector"}),
        ({"shift": 1.2}, {"platt", "vector"}),
    ],
)
def test_choose_calibrator__takes_what_the_patients_ask_for(distorted, kinds):
    """One slope cannot undo class weights."""
    assert choose_calibrator(*two_classes(700, **distorted)[::-1]).calibrator.kind in kinds


def test_choose_calibrator__bends_only_where_there_are_patients():
    rng = np.random.default_rng(3)
    said = rng.uniform(0.02, 0.98, 4000)
    truth = (rng.random(4000) < np.where(said > 0.5, 0.6, 0.3)).astype(int)
    pair = np.stack([1 - said, said], axis=1)

    assert choose_calibrator(pair, truth).calibrator.kind == "isotonic"
    assert "isotonic" not in choose_calibrator(pair[:900], truth[:900]).log_loss
    few = np.r_[np.flatnonzero(truth)[:90], np.flatnonzero(truth == 0)[:1500]]
    assert "isotonic" not in choose_calibrator(pair[few], truth[few]).log_loss


@pytest.mark.slow
@pytest.mark.parametrize("patients", [40, 150, 600])
@pytest.mark.parametrize("distorted", [{}, {"power": 2.0}, {"shift": 1.0}, {"power": 0.6}])
def test_choose_calibrator__is_not_worse_than_none_on_other_patients(patients, distorted):
    """Recalibration once made the error worse (0.085 to 0.126), and the model kept it."""
    gains = []
    for seed in range(10):
        truth, said = two_classes(patients, seed=seed, **distorted)
        others, asked = two_classes(2000, seed=100 + seed, **distorted)
        chosen = choose_calibrator(said, truth)
        assert chosen.log_loss[chosen.calibrator.kind] <= chosen.log_loss["none"]
        gains.append(log_loss(others, asked) - log_loss(others, chosen.calibrator.apply(asked)))

    # What chance costs where nothing is wrong is a tenth of what is gained where something is.
    assert np.mean(gains) > (0.005 if distorted and patients >= 150 else -0.006)


@pytest.mark.parametrize("shift", [-1.5, 1.5])
def test_choose_calibrator__brings_the_mean_back(shift):
    truth, said = two_classes(800, shift=shift)
    others, asked = two_classes(800, seed=2, shift=shift)
    applied = choose_calibrator(said, truth).calibrator.apply(asked)
    found = calibration(others, applied, seed=1)

    assert found.observed_expected.low < 1 < found.observed_expected.high
    assert found.slope.low < 1 < found.slope.high


def test_scaling__without_a_calibrator_changes_nothing():
    """Clipping would turn a class that a model never saw into one in a million."""
    said = np.array([[1.0, 0.0], [0.25, 0.75]])
    np.testing.assert_array_equal(Scaling().apply(said), said)
