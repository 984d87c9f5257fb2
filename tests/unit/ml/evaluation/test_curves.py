"""Curves of two classes, against scikit-learn, statsmodels and counting."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_auc_score, roc_curve
from statsmodels.stats.proportion import proportion_confint

from ml.evaluation.curves import (
    decision_curve,
    precision_recall,
    roc_curves,
    threshold_table,
)

N = 211


@pytest.fixture
def risk():
    """Two decimals, so that many patients share a risk."""
    return np.random.default_rng(4).beta(2, 4, size=N).round(2).clip(0.01, 0.99)


@pytest.fixture
def event(risk):
    return np.random.default_rng(5).random(N) < risk


def test_roc_curves__the_mean_is_that_of_the_folds(event, risk):
    """Risks of two folds are of two models: pooled, their curve would be of neither."""
    folds = np.arange(2 * N).reshape(2, N) % 5
    risks = np.stack([risk, np.random.default_rng(6).permutation(risk)])

    found = roc_curves(event, risks, folds, seed=1)

    assert len(found.folds) == 10
    at, apart = found.mean.grid, []
    for of_repeat, said in zip(folds, risks, strict=True):
        for fold in range(5):
            tested = of_repeat == fold
            false, true, _ = roc_curve(event[tested], said[tested])
            apart.append(np.array([true[false <= x].max() if (false == x).any()
                                   else np.interp(x, false, true) for x in at]))  # fmt: skip
    np.testing.assert_allclose(found.mean.value, np.mean(apart, axis=0), atol=1e-6)
    assert (found.mean.low <= found.mean.value + 1e-9).all()
    assert (found.mean.high >= found.mean.value - 1e-9).all()


def test_roc_curves__a_fold_of_one_class_has_none(event, risk):
    folds = np.where(event, 0, 1)[np.newaxis]
    folds[0, :20] = 2

    found = roc_curves(event, risk[np.newaxis], folds, seed=1)

    [(false, true)] = found.folds
    assert np.trapezoid(true, false) == pytest.approx(roc_auc_score(event[:20], risk[:20]))


def test_precision_recall__is_that_of_scikit_learn(event, risk):
    precision, recall, _ = precision_recall_curve(event, risk)

    found = precision_recall(event, risk, seed=1)

    # From the highest threshold down: the first one that finds so many.
    reached = [precision[recall >= r - 1e-12][-1] for r in found.grid]
    np.testing.assert_allclose(found.value, reached, atol=1e-12)
    assert found.value[-1] >= event.mean()
    assert (found.low <= found.value).all()


def test_decision_curve__is_hits_less_weighted_false_alarms(event, risk):
    """The weight is the odds of the threshold; its inverse turns the advice around."""
    found = decision_curve(event, risk, seed=1)

    for at, threshold in enumerate(found.model.grid):
        (_, alarms), (_, hits) = confusion_matrix(event, risk >= threshold, labels=[False, True])
        odds = threshold / (1 - threshold)
        assert found.model.value[at] == pytest.approx((hits - alarms * odds) / N)
        assert found.everybody[at] == pytest.approx(event.mean() - (~event).mean() * odds)


def test_threshold_table__shares_and_their_intervals(event, risk):
    table = threshold_table(event, risk, [0.3, 0.999])

    row, nobody = table.iter_rows(named=True)
    (kept, alarms), (missed, hits) = confusion_matrix(event, risk >= 0.3)
    assert row["patients"] == hits + alarms
    for name, k, n in (
        ("sensitivity", hits, hits + missed),
        ("specificity", kept, kept + alarms),
        ("ppv", hits, hits + alarms),
        ("npv", kept, kept + missed),
    ):
        expected = [k / n, *proportion_confint(k, n, method="wilson")]
        assert row[name] == pytest.approx(expected)
    assert nobody["ppv"] is None
    assert nobody["sensitivity"][0] == 0
