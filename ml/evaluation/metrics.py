"""How good out-of-fold predictions are, with intervals over patients.

    labels, probabilities, folds -> confusion of every bootstrap resample -> metrics -> Evaluation

All count metrics are functions of the confusion matrix, so a resample costs one row of a matrix
product. Pure NumPy.

An area under the ROC curve compares only patients who were tested in the same fold. Scores of two
folds come from two models, and a fold that holds more patients of a class leaves fewer to learn
from: its scores of that class are lower. Compared across folds, scores that know nothing reach
less than 0.5; within a fold they reach 0.5 on average, whatever the model.

References
----------
Parker BJ, Günter S, Bedo J. Stratification bias in low signal microarray studies. BMC
Bioinformatics 2007;8:326. Forman G, Scholz M. Apples-to-apples in cross-validation studies:
pitfalls in classifier performance measurement. SIGKDD Explor 2010;12:49-57.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ml.intervals import Estimate, estimate, resamples

#: Metrics of an :class:`Evaluation`, in the order in which tables show them. Precision, recall and
#: AUROC (each class against the others, within folds) are means over classes; recall is balanced
#: accuracy.
METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "macro_precision",
    "macro_recall",
    "auroc",
    "log_loss",
    "brier",
)
#: Those of which less is better.
LOSSES = frozenset({"log_loss", "brier"})
#: Metrics of a class, in the order of tables.
CLASS_METRICS = ("precision", "recall", "f1", "auroc")
#: Of a score among sorted ones: behind the lower ones, and behind the equal ones, too.
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


@dataclass(frozen=True)
class ClassResult:
    """How well one class is recognised; ``support`` is its number of patients."""

    name: str
    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    auroc: Estimate


@dataclass(frozen=True)
class Evaluation:
    """Result of one cross-validation: means over its repeats; AUROC, over the pairs of all repeats.

    Parameters
    ----------
    metrics
        One estimate per name of :data:`METRICS`.
    classes
        One result per class, sorted by name.
    confusion : (k, k) array of float
        Patients of class i (row) predicted as class j (column).
    resampled
        Metric -> (1 + resamples,) array: its value, then its bootstrap resamples. Of the same
        patients and seed, they are paired.
    """

    metrics: dict[str, Estimate]
    classes: tuple[ClassResult, ...]
    confusion: np.ndarray
    resampled: Mapping[str, np.ndarray] = field(repr=False, default_factory=dict)


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    folds: np.ndarray,
    *,
    seed: int,
    classes: np.ndarray | None = None,
) -> Evaluation:
    """Metrics of repeated out-of-fold predictions, with percentile bootstrap intervals.

    Patients are resampled, all repeats of a patient together. The interval says how far the
    result could move with other patients of the same population; the models are not refitted.

    Parameters
    ----------
    labels : (n,) array of str
        True classes.
    probabilities : (repeats, n, k) array of float
        Predicted probabilities, classes in sorted order.
    folds : (repeats, n) array of int
        Fold, from 0, in which each patient was tested: probabilities of one fold are of one model.
    seed
        Of the resampling.
    classes : (k,) array of str, optional
        Names of the columns, where not every class has a patient here. Sorted.
    """
    names = np.unique(labels) if classes is None else classes
    truth = np.searchsorted(names, labels)
    n, k = len(labels), len(names)
    support = np.bincount(truth, minlength=k)
    weights = resamples(n, seed)
    counts = _confusion(weights, truth, probabilities.argmax(axis=2), k)
    metrics, per_class = _count_metrics(counts)
    metrics["log_loss"] = weights @ _patient_log_loss(truth, probabilities) / n
    metrics["brier"] = weights @ _patient_brier(truth, probabilities) / n
    per_class["auroc"] = _auroc(weights, truth, probabilities, folds)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(per_class["auroc"])
        metrics["auroc"] = np.nansum(per_class["auroc"], axis=1) / known.sum(axis=1)
    return Evaluation(
        metrics={name: estimate(metrics[name]) for name in METRICS},
        classes=tuple(
            ClassResult(
                name=str(name),
                support=int(support[i]),
                **{metric: estimate(per_class[metric][:, i]) for metric in CLASS_METRICS},
            )
            for i, name in enumerate(names)
        ),
        confusion=counts[0].mean(axis=0),
        resampled={name: metrics[name] for name in METRICS},
    )


def difference(one: Evaluation, other: Evaluation) -> dict[str, Estimate]:
    """What ``one`` is above ``other``, metric by metric, with paired intervals.

    Both must be evaluations of the same patients with the same seed: a patient who is hard for
    both then widens neither end.
    """
    return {name: estimate(one.resampled[name] - other.resampled[name]) for name in METRICS}


def _confusion(weights: np.ndarray, truth: np.ndarray, predicted: np.ndarray, k: int) -> np.ndarray:
    """(resamples, repeats, k, k) patients by true and predicted class."""
    cells = (truth * k + predicted).T
    # (n, repeats, k * k): one where the patient falls, so that a product counts patients.
    falls = np.eye(k * k, dtype=np.float32)[cells]
    counts: np.ndarray = weights @ falls.reshape(len(truth), -1)
    return counts.reshape(len(weights), -1, k, k)


def _count_metrics(counts: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(resamples,) metrics and (resamples, k) class metrics of confusion matrices, over repeats.

    A class that no patient of a resample has is NaN there and left out of its means; precision of
    a class never predicted is 0, as in scikit-learn.
    """
    hits = np.einsum("brii->bri", counts).astype(np.float64)
    support = counts.sum(axis=3, dtype=np.float64)
    predicted = counts.sum(axis=2, dtype=np.float64)
    present = support > 0
    absent = np.where(present, 0.0, np.nan)
    recall = np.divide(hits, support, out=absent.copy(), where=present)
    precision = np.divide(hits, predicted, out=absent.copy(), where=present & (predicted > 0))
    f1 = np.divide(2 * hits, support + predicted, out=absent.copy(), where=present)
    classes = present.sum(axis=2)
    total = support.sum(axis=2)
    metrics = {
        "accuracy": hits.sum(axis=2) / total,
        "balanced_accuracy": np.nansum(recall, axis=2) / classes,
        "macro_f1": np.nansum(f1, axis=2) / classes,
        "weighted_f1": np.nansum(f1 * support, axis=2) / total,
        "macro_precision": np.nansum(precision, axis=2) / classes,
        "macro_recall": np.nansum(recall, axis=2) / classes,
    }
    per_class = {"precision": precision, "recall": recall, "f1": f1}
    return (
        {name: values.mean(axis=1) for name, values in metrics.items()},
        {name: values.mean(axis=1) for name, values in per_class.items()},
    )


def _patient_log_loss(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,) log loss of each patient in nats, mean over repeats."""
    of_truth = probabilities[:, np.arange(len(truth)), truth]
    losses = -np.log(np.maximum(of_truth, np.finfo(np.float64).eps))
    return np.asarray(losses.mean(axis=0))


def _patient_brier(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,) squared error of each patient, mean over repeats.

    Of two classes that of one probability, of more the sum over all, as in scikit-learn.
    """
    k = probabilities.shape[2]
    errors = ((probabilities - np.eye(k)[truth]) ** 2).sum(axis=2).mean(axis=0)
    return np.asarray(errors / 2 if k == 2 else errors)  # noqa: PLR2004  (two classes)


def _auroc(
    weights: np.ndarray, truth: np.ndarray, probabilities: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """(resamples, k) area under the ROC curve of each class against the others, within folds.

    NaN where no fold of a resample has both a patient of the class and one of another.
    """
    areas = np.empty((len(weights), probabilities.shape[2]))
    for i in range(areas.shape[1]):
        right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for scores, fold in zip(probabilities[:, :, i], folds, strict=True):
            of_repeat = _pairs(weights, truth == i, scores, fold)
            right += of_repeat[0]
            pairs += of_repeat[1]
        areas[:, i] = np.divide(right, pairs, out=np.full_like(right, np.nan), where=pairs > 0)
    return areas


def _pairs(
    weights: np.ndarray, inside: np.ndarray, scores: np.ndarray, fold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(resamples,) pairs of a patient in the class and one out of it: in right order, and in all.

    Both of one fold. An equal score is half right.
    """
    # One order for all folds: by fold, then by score. The patients whom a member of the class is
    # above then lie between the start of its fold and its own place.
    levels, level = np.unique(scores, return_inverse=True)
    place = fold * len(levels) + level
    outside = np.flatnonzero(~inside)
    outside = outside[np.argsort(place[outside], kind="stable")]
    passed = np.zeros((len(weights), len(outside) + 1), dtype=np.float32)
    np.cumsum(weights.take(outside, axis=1), axis=1, out=passed[:, 1:])
    members = np.flatnonzero(inside)
    counted = weights.take(members, axis=1)
    first, last = (np.searchsorted(place[outside], place[members], side) for side in _SIDES)
    below = (passed.take(first, axis=1) + passed.take(last, axis=1)) / 2
    # Per fold: how many lie before it, how many out of the class and how many in it.
    bounds = np.searchsorted(fold[outside], np.arange(fold.max() + 2))
    before = passed[:, bounds].astype(np.float64)
    own = counted @ np.eye(fold.max() + 1, dtype=np.float32)[fold[members]]
    right = (counted * below).sum(axis=1, dtype=np.float64)
    right -= (own * before[:, :-1]).sum(axis=1)
    return right, (own * np.diff(before)).sum(axis=1)
