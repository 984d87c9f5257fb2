"""Weights and samplers: what they pretend about frequencies is taken back from every answer."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from ml.pipelines.resampling import ClassWeighted, Oversampled, prior_corrected


def cohort(patients, intercept, *, seed=1):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(patients, 3))
    risk = expit(intercept + features @ [1.0, -0.5, 0.0])
    return features, np.where(rng.random(patients) < risk, "dead", "alive")


def test_prior_corrected__is_known_by_hand():
    """A class that counted four times, said to be as likely as the other, is a fifth."""
    said = prior_corrected(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([1.0, 4.0]))

    np.testing.assert_allclose(said, [[0.8, 0.2], [0.0, 1.0]])


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_class_weighted__answers_as_if_nobody_had_been_weighted(power):
    """Of a well specified model, weights change how well is learned, and no probability."""
    features, labels = cohort(20_000, -2.5)
    plain = ClassWeighted(LogisticRegression(C=np.inf), power=0.0).fit(features, labels)
    weighted = ClassWeighted(LogisticRegression(C=np.inf), power=power).fit(features, labels)
    raw = weighted.estimator_.predict_proba(features)

    assert abs(raw[:, 1].mean() - (labels == "dead").mean()) > 0.1
    np.testing.assert_allclose(
        weighted.predict_proba(features), plain.predict_proba(features), atol=0.02
    )


@pytest.mark.parametrize("method", ["adasyn", "loras"])
def test_oversampled__takes_back_what_it_added(method):
    features, labels = cohort(1500, -2.5)
    model = Oversampled(LogisticRegression(), method=method).fit(features, labels)
    dead, added = (labels == "dead").sum(), model.added_["dead"]

    assert added > dead
    np.testing.assert_allclose(model.lifted_, [1.0, (dead + added) / dead])
    raw = model.estimator_.predict_proba(features)[:, 1]
    odds = raw / (1 - raw) / model.lifted_[1]
    np.testing.assert_allclose(model.predict_proba(features)[:, 1], odds / (1 + odds))
