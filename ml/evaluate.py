"""How good out-of-fold predictions are, with intervals over patients.

    labels, probabilities -> confusion of every bootstrap resample -> metrics -> Evaluation

All count metrics are functions of the confusion matrix, so a resample costs one row of a matrix
product. Pure NumPy.
"""

from dataclasses import dataclass

import numpy as np

#: Resamples of the bootstrap; the width of a 95 % interval is then stable to about 3 %.
BOOTSTRAP_RESAMPLES = 2000
CONFIDENCE = 0.95

#: Metrics of an :class:`Evaluation`, in the order in which tables show them.
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "log_loss")


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassResult:
    """How well one class is recognised; ``support`` is its number of patients."""

    name: str
    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Evaluation:
    """Result of one cross-validation; all values are means over its repeats.

    Parameters
    ----------
    metrics
        One estimate per name of :data:`METRICS`.
    classes
        One result per class, sorted by name.
    confusion : (k, k) array of float
        Patients of class i (row) predicted as class j (column).
    """

    metrics: dict[str, Estimate]
    classes: tuple[ClassResult, ...]
    confusion: np.ndarray


def evaluate(labels: np.ndarray, probabilities: np.ndarray, *, seed: int) -> Evaluation:
    """Metrics of repeated out-of-fold predictions, with percentile bootstrap intervals.

    Patients are resampled, all repeats of a patient together. The interval says how far the
    result could move with other patients of the same population; the models are not refitted.

    Parameters
    ----------
    labels : (n,) array of str
        True classes.
    probabilities : (repeats, n, k) array of float
        Predicted probabilities, classes in sorted order.
    seed
        Of the resampling.

    References
    ----------
    Efron B, Tibshirani R. An introduction to the bootstrap. 1993, chapter 13.
    """
    names, truth, support = np.unique(labels, return_inverse=True, return_counts=True)
    n, k = len(labels), len(names)
    weights = _resamples(n, seed)
    counts = _confusion(weights, truth, probabilities.argmax(axis=2), k)
    metrics, per_class = _count_metrics(counts)
    metrics["log_loss"] = weights @ _patient_log_loss(truth, probabilities) / n
    return Evaluation(
        metrics={name: _estimate(metrics[name]) for name in METRICS},
        classes=tuple(
            ClassResult(
                name=str(name),
                support=int(support[i]),
                **{metric: _estimate(values[:, i]) for metric, values in per_class.items()},
            )
            for i, name in enumerate(names)
        ),
        confusion=counts[0].mean(axis=0),
    )


def _resamples(n: int, seed: int) -> np.ndarray:
    """(1 + resamples, n) float32: how often each patient counts; in the first row, once."""
    drawn = np.random.default_rng(seed).integers(n, size=(BOOTSTRAP_RESAMPLES, n))
    cells = drawn + n * np.arange(BOOTSTRAP_RESAMPLES)[:, np.newaxis]
    counts = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape)
    return np.vstack([np.ones((1, n)), counts]).astype(np.float32)


def _confusion(weights: np.ndarray, truth: np.ndarray, predicted: np.ndarray, k: int) -> np.ndarray:
    """(resamples, repeats, k, k) patients by true and predicted class."""
    cells = (truth * k + predicted).T
    # (n, repeats, k * k): one where the patient falls, so that a product counts patients.
    falls = np.eye(k * k, dtype=np.float32)[cells]
    counts: np.ndarray = weights @ falls.reshape(len(truth), -1)
    return counts.reshape(len(weights), -1, k, k)


def _count_metrics(counts: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Metrics and per-class metrics of confusion matrices, means over repeats.

    Parameters
    ----------
    counts : (resamples, repeats, k, k) array
        Confusion matrices.

    Returns
    -------
    (resamples,) array per metric, and (resamples, k) array per class metric. A class that no
    patient of a resample has is NaN there and left out of its means; precision of a class never
    predicted is 0, as in scikit-learn.
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


def _estimate(values: np.ndarray) -> Estimate:
    """Estimate of a metric: its value, then its bootstrap resamples."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(values[1:], [tail, 100 - tail])
    return Estimate(float(values[0]), float(low), float(high))
