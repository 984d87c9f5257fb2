"""Metrics and intervals: against scikit-learn, and against known coverage."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.naive_bayes import GaussianNB

from ml.evaluation.metrics import METRICS, evaluate
from ml.frames.design_matrix import DesignMatrix
from ml.intervals import resamples
from ml.study.definition import CrossValidation
from ml.training.folds import assign_folds, out_of_fold

CLASSES = np.array(["a", "b", "c"])


def one_fold(repeats, n):
    """Everybody tested by one model."""
    return np.zeros((repeats, n), dtype=np.int64)


@pytest.fixture
def predictions():
    """Labels of 90 patients in three classes of very different size, and three repeats."""
    rng = np.random.default_rng(5)
    labels = rng.permutation(np.repeat(CLASSES, [60, 25, 5]))
    truth = np.searchsorted(CLASSES, labels)
    scores = rng.random((3, 90, 3)) + 0.6 * np.eye(3)[truth]
    return labels, scores / scores.sum(axis=2, keepdims=True)


def test_evaluate__agrees_with_scikit_learn(predictions):
    """Mean over repeats, never over pooled rows: macro F1 of the two differs."""
    labels, probabilities = predictions
    expected = {
        "accuracy": metrics.accuracy_score,
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "macro_f1": lambda t, p: metrics.f1_score(t, p, average="macro"),
        "weighted_f1": lambda t, p: metrics.f1_score(t, p, average="weighted"),
    }
    predicted = CLASSES[probabilities.argmax(axis=2)]

    got = evaluate(labels, probabilities, one_fold(3, 90), seed=0)

    assert tuple(got.metrics) == METRICS
    for name, reference in expected.items():
        by_repeat = [reference(labels, row) for row in predicted]
        assert got.metrics[name].value == pytest.approx(np.mean(by_repeat), abs=1e-12), name
    losses = [metrics.log_loss(labels, p, labels=CLASSES) for p in probabilities]
    assert got.metrics["log_loss"].value == pytest.approx(np.mean(losses), abs=1e-12)
    tables = [metrics.precision_recall_fscore_support(labels, row) for row in predicted]
    precision, recall, f1, support = np.mean(tables, axis=0)
    assert [c.precision.value for c in got.classes] == pytest.approx(precision)
    assert [c.recall.value for c in got.classes] == pytest.approx(recall)
    assert [c.f1.value for c in got.classes] == pytest.approx(f1)
    assert [c.support for c in got.classes] == support.tolist()
    confusion = np.mean([metrics.confusion_matrix(labels, row) for row in predicted], axis=0)
    np.testing.assert_allclose(got.confusion, confusion)


def test_evaluate__by_hand():
    """Two patients of a, two of b; one b is called a."""
    labels = np.array(["a", "a", "b", "b"])
    probabilities = np.array([[[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]])

    got = evaluate(labels, probabilities, one_fold(1, 4), seed=0)

    assert got.confusion.tolist() == [[2, 0], [1, 1]]
    assert got.metrics["accuracy"].value == 0.75
    assert got.metrics["balanced_accuracy"].value == 0.75
    # F1 of a: 2 * 2 / (2 + 3); of b: 2 * 1 / (2 + 1).
    assert got.metrics["macro_f1"].value == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert got.metrics["log_loss"].value == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.7]).mean())


def share_of_pairs(inside, scores, folds, weights):
    """AUROC from every pair of two patients of one fold, one by one; folds of all repeats."""
    right = pairs = 0.0
    for of_repeat, fold in zip(scores, folds, strict=True):
        for i, j in product(np.flatnonzero(inside), np.flatnonzero(~inside)):
            if fold[i] == fold[j]:
                pairs += weights[i] * weights[j]
                higher = of_repeat[i] > of_repeat[j]
                right += weights[i] * weights[j] * (higher + (of_repeat[i] == of_repeat[j]) / 2)
    return right / pairs if pairs else np.nan


def test_evaluate__auroc_agrees_with_every_pair_counted(predictions):
    """Of the value and of resamples; rounded scores, so that many of them are equal."""
    labels, probabilities = predictions
    probabilities = probabilities.round(1)
    folds = np.random.default_rng(9).integers(5, size=(3, 90))
    weights = resamples(90, seed=2)

    got = evaluate(labels, probabilities, folds, seed=2)

    for row in (0, 1, 2000):
        areas = [
            share_of_pairs(labels == name, probabilities[:, :, at], folds, weights[row])
            for at, name in enumerate(CLASSES)
        ]
        assert got.resampled["auroc"][row] == pytest.approx(np.nanmean(areas), abs=1e-12)
        if row == 0:
            assert [c.auroc.value for c in got.classes] == pytest.approx(areas, abs=1e-12)


def test_evaluate__auroc_of_one_fold_is_that_of_scikit_learn(predictions):
    labels, probabilities = predictions

    got = evaluate(labels, probabilities, one_fold(3, 90), seed=0)

    for at, name in enumerate(CLASSES):
        areas = [metrics.roc_auc_score(labels == name, p[:, at]) for p in probabilities]
        assert got.classes[at].auroc.value == pytest.approx(np.mean(areas), abs=1e-12)


def test_evaluate__a_fold_without_a_class_has_no_pair_of_it():
    """Its patients are no evidence on the class; in a split by site no fold may hold both."""
    labels = np.array(["a", "a", "b", "b", "b"])
    p = np.array([0.9, 0.4, 0.6, 0.1, 0.95])
    said = np.column_stack([p, 1 - p])[np.newaxis]

    mixed = evaluate(labels, said, np.array([[0, 0, 0, 0, 1]]), seed=0)
    apart = evaluate(labels, said, np.array([[0, 0, 1, 1, 1]]), seed=0)

    # Four pairs in the first fold, of which 0.4 against 0.6 is wrong; the 0.95 is compared to none.
    assert mixed.metrics["auroc"].value == 0.75
    assert np.isnan(apart.metrics["auroc"].value)
    assert np.isnan([c.auroc.low for c in apart.classes]).all()


@pytest.mark.slow
def test_evaluate__auroc_of_noise_is_half():
    """Pooled over folds, the same scores are worse than chance: a leak upwards could hide there."""
    features = pd.DataFrame(np.random.default_rng(3).normal(size=(60, 3)))
    ids = np.array([f"P{i:02d}" for i in range(60)])
    classes = np.repeat(["a", "b", "c", "d"], [24, 17, 12, 7])
    within, pooled = [], []
    for shuffle in range(80):
        labels = np.random.default_rng(shuffle).permutation(classes)
        folds = assign_folds(ids, labels, CrossValidation(folds=5, repeats=2, seed=shuffle))
        matrix = DesignMatrix(ids, labels, features, ("noise",) * 3)
        said = out_of_fold(GaussianNB(), matrix, folds)
        within.append(evaluate(labels, said, folds.test_fold, seed=0).metrics["auroc"].value)
        pooled += [metrics.roc_auc_score(labels, p, multi_class="ovr") for p in said]

    # Standard error of the first mean: 0.006.
    assert np.mean(within) == pytest.approx(0.5, abs=0.015)
    assert np.mean(pooled) < 0.485


def test_evaluate__a_class_never_predicted_has_precision_zero():
    """As in scikit-learn; a NaN would spread into the macro means."""
    labels = np.array(["a"] * 8 + ["b"] * 2)
    probabilities = np.tile([0.7, 0.3], (1, 10, 1))

    rare = evaluate(labels, probabilities, one_fold(1, 10), seed=0).classes[1]

    assert (rare.precision.value, rare.recall.value, rare.f1.value) == (0.0, 0.0, 0.0)


def test_evaluate__a_certain_and_wrong_prediction_costs_a_finite_loss():
    labels = np.array(["a", "b"])
    probabilities = np.array([[[0.0, 1.0], [0.0, 1.0]]])

    loss = evaluate(labels, probabilities, one_fold(1, 2), seed=0).metrics["log_loss"].value

    assert loss == pytest.approx(metrics.log_loss(labels, probabilities[0]))


def test_evaluate__interval_holds_its_value_and_repeats_with_the_seed(predictions):
    labels, probabilities = predictions

    folds = one_fold(3, 90)
    first, again = (evaluate(labels, probabilities, folds, seed=3) for _ in range(2))
    other = evaluate(labels, probabilities, folds, seed=4)

    assert first.metrics == again.metrics
    assert first.metrics != other.metrics
    for estimate in first.metrics.values():
        assert estimate.low < estimate.value < estimate.high


@pytest.mark.slow
def test_evaluate__accuracy_interval_covers_the_truth_about_95_times_in_100():
    """An interval over rows of repeats instead of patients is too narrow: coverage then is 74 %."""
    rng = np.random.default_rng(8)
    labels = np.array(["a", "b"] * 40)
    truth = np.arange(80) % 2
    covered = 0
    for trial in range(60):
        hit = np.tile(rng.random(80) < 0.7, (3, 1))
        right = np.where(hit, truth, 1 - truth)
        found = evaluate(labels, np.eye(2)[right], one_fold(3, 80), seed=trial)
        estimate = found.metrics["accuracy"]
        covered += estimate.low <= 0.7 <= estimate.high

    # 60 trials at 95 %: 57 expected, standard deviation 1.7.
    assert covered >= 52


def test_evaluate__accuracy_interval_is_as_wide_as_the_binomial_one():
    labels = np.array(["a", "b"] * 500)
    right = np.where(np.arange(1000) % 10 < 8, np.arange(1000) % 2, 1 - np.arange(1000) % 2)

    found = evaluate(labels, np.eye(2)[[right]], one_fold(1, 1000), seed=0)
    estimate = found.metrics["accuracy"]

    half_width = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert estimate.value == 0.8
    assert estimate.high - estimate.low == pytest.approx(2 * half_width, rel=0.08)
