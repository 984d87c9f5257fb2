"""Prediction sets: coverage that is promised, and the thresholds of MAPIE."""

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from ml.evaluation.conformal import answered, coverage, fit_thresholds
from ml.study.modelling import Conformal

K = 3
PLAN = Conformal(coverage=0.9, min_patients=10)


class AsGiven(ClassifierMixin, BaseEstimator):
    """Classifier whose features are the probabilities."""

    def fit(self, X, y):  # noqa: N803
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X):  # noqa: N803
        return X

    def predict(self, X):  # noqa: N803
        return self.classes_[X.argmax(axis=1)]


def cohort(patients, seed):
    """Classes of different difficulty: one threshold for all would serve the last one worse."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(K, size=patients, p=[0.6, 0.3, 0.1])
    scores = rng.normal(size=(patients, K))
    scores[np.arange(patients), truth] += np.array([3.0, 1.5, 0.5])[truth]
    odds = np.exp(scores)
    return truth, odds / odds.sum(axis=1, keepdims=True)


def test_thresholds__hold_their_promise_class_by_class():
    """Overall coverage alone is met by giving up on the rare class."""
    truth, probabilities = cohort(4000, 1)
    asked, said = cohort(4000, 2)

    sets = fit_thresholds(probabilities, truth, PLAN).sets(said)

    held = sets[np.arange(4000), asked]
    assert held.mean() == pytest.approx(0.9, abs=0.02)
    for name in range(K):
        assert held[asked == name].mean() == pytest.approx(0.9, abs=0.04)


def sets_of_mapie(probabilities, truth, said, confidence):
    """MAPIE's sets, calibrated with the patients of one class."""
    reference = SplitConformalClassifier(
        AsGiven().fit(said, np.arange(len(said)) % K),
        confidence_level=confidence, conformity_score="lac", prefit=True,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="has less labels"):
        reference.conformalize(probabilities, truth)
    return reference.predict_set(said)[1][:, truth[0], 0]


@pytest.mark.parametrize("patients", [19, 89, 59, 41, 150])
def test_thresholds__are_those_of_mapie_for_the_patients_of_a_class(patients):
    """MAPIE has no condition on the label; given one class's patients it must agree."""
    truth, probabilities = cohort(2000, 3)
    _, said = cohort(300, 4)
    chosen = np.concatenate([np.flatnonzero(truth == name)[:patients] for name in range(K)])
    truth, probabilities = truth[chosen], probabilities[chosen]

    sets = fit_thresholds(probabilities, truth, PLAN).sets(said)

    for name in range(K):
        own = truth == name
        of_mapie = sets_of_mapie(probabilities[own], truth[own], said, 0.9)
        if (patients + 1) % 10 == 0:
            np.testing.assert_array_equal(sets[:, name], of_mapie)
        else:  # ours lie between MAPIE's and those of the next patient
            fewer = sets_of_mapie(probabilities[own], truth[own], said, 0.9 - 1 / (patients + 1))
            assert (sets[:, name] <= of_mapie).all()
            assert (fewer <= sets[:, name]).all()


@pytest.mark.parametrize("patients", [22, 57])
def test_thresholds__promise_no_more_than_is_asked(patients):
    """Rounded to a whole patient, 57 patients promise 91.4 %: sets larger than they need be."""
    rng = np.random.default_rng(6)
    held = [
        fit_thresholds(rng.random((patients, 1)), np.zeros(patients, dtype=int), PLAN).sets(
            np.linspace(0, 1, 1001)[:, None]
        )
        for _ in range(4000)
    ]

    assert np.mean(held) == pytest.approx(0.9, abs=0.003)


def test_thresholds__small_classes_share_theirs():
    """Nine patients cannot promise 90 % by themselves: alone they would be in every set."""
    rng = np.random.default_rng(5)
    truth = np.repeat([0, 1, 2], [100, 6, 6])
    probabilities = rng.dirichlet(np.ones(K), size=112)

    thresholds = fit_thresholds(probabilities, truth, PLAN)

    assert thresholds.smallest[1] == thresholds.smallest[2] > 0
    alone = fit_thresholds(probabilities[:106], truth[:106], PLAN)
    assert alone.smallest[1] == -1
    assert alone.sets(probabilities)[:, 1].all()


def test_answered__abstains_for_empty_and_large_sets():
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)

    assert answered(sets, PLAN).tolist() == [True, False, False]
    assert answered(sets, Conformal(answer_at_most=2)).tolist() == [True, True, False]


def test_coverage__counts_by_hand():
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]])
    sets = np.array([[1, 0], [0, 1], [1, 1], [0, 1]], dtype=bool)

    found = coverage(truth, probabilities, sets, PLAN, seed=1)

    assert found.overall.value == 0.75
    assert [c.value for c in found.by_class] == [0.5, 1.0]
    assert found.mean_size.value == 1.25
    assert found.answered.value == 0.75
    assert found.accuracy_answered.value == pytest.approx(2 / 3)
