"""Calibration: numbers against scikit-learn and against probabilities known by construction."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from ml.evaluation.calibration import calibration, fit_temperature

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


@pytest.fixture
def honest():
    """Probabilities from which the classes are really drawn."""
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(K, 0.7), size=N)
    truth = (probabilities.cumsum(axis=1) > rng.random((N, 1))).argmax(axis=1)
    return truth, probabilities


def sharpened(probabilities, power):
    raised = np.clip(probabilities, 1e-6, None) ** power
    return raised / raised.sum(axis=1, keepdims=True)


def test_calibration__honest_probabilities_have_slope_one(honest):
    found = calibration(*honest, seed=1)

    assert found.slope.low < 1 < found.slope.high
    assert found.intercept.low < 0 < found.intercept.high
    assert found.ece.value < 0.03
    assert sum(row.patients for row in found.bins) == N
    confidence = [row.confidence for row in found.bins]
    assert confidence == sorted(confidence)


def test_calibration__overconfidence_has_a_slope_below_one(honest):
    """The sign matters to a reader: 0.5 means that odds should be halved in logarithm."""
    truth, probabilities = honest

    found = calibration(truth, sharpened(probabilities, 3), seed=1)

    assert found.slope.high < 0.7
    assert found.ece.low > 0.1


@pytest.mark.slow
def test_calibration__slope_is_that_of_a_logistic_regression(honest):
    truth, probabilities = honest
    given = np.clip(sharpened(probabilities, 2), 1e-6, 1 - 1e-6)
    logit = np.log(given / (1 - given)).reshape(-1, 1)
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        logit, np.eye(K)[truth].ravel()
    )

    found = calibration(truth, given, seed=1)

    assert found.slope.value == pytest.approx(reference.coef_[0, 0], rel=1e-3)
    assert found.intercept.value == pytest.approx(reference.intercept_[0], abs=2e-3)


@pytest.mark.parametrize("power", [0.4, 2.5])
def test_fit_temperature__undoes_a_power_and_agrees_with_scikit_learn(honest, power):
    """Fitted on other patients than it is applied to, it must bring back what was distorted."""
    truth, probabilities = honest
    given = sharpened(probabilities, power)
    reference = CalibratedClassifierCV(
        FrozenEstimator(AsGiven().fit(given, truth)), method="temperature", ensemble=False
    ).fit(given, truth)

    temperature = fit_temperature(given, truth)

    applied = temperature.apply(given)
    assert temperature.power == pytest.approx(1 / power, rel=0.1)
    np.testing.assert_allclose(applied, reference.predict_proba(given), atol=1e-2)
    np.testing.assert_array_equal(applied.argmax(axis=1), given.argmax(axis=1))
    assert log_loss(truth, applied) < log_loss(truth, given)
