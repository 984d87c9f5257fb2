"""What a model has to beat before it says anything: the class shares, and the simplest models.

    labels, folds -> class_shares -> Evaluation; TrainingResult -> Rival, beaten or not

A model that is not shown to be better than a rival says so beside its numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml.evaluation.metrics import LOSSES, Evaluation, difference
from ml.intervals import Estimate
from ml.training.folds import Folds

#: Models from the one that is explained in a sentence to the one that is not.
SIMPLE = ("prototypes", "elastic_net")


@dataclass(frozen=True)
class Rival:
    """Something simpler, and what the model is above it on the same patients and folds.

    Parameters
    ----------
    kind
        ``constant``: the class shares of the training patients. ``simplest``: the model of the
        fewest columns. ``baseline``: the best recipe with the settings of its package.
    name
        Of the model.
    metric
        What is compared.
    value
        The rival's.
    difference
        Model less rival, paired, of all metrics.
    """

    kind: Literal["constant", "simplest", "baseline"]
    name: str
    metric: str
    value: Estimate
    difference: Mapping[str, Estimate]

    @property
    def is_beaten(self) -> bool:
        """Whether the interval of the difference lies on the better side of zero."""
        apart = self.difference[self.metric]
        return apart.high < 0 if self.metric in LOSSES else apart.low > 0

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "metric": self.metric,
            "value": self.value.as_list(),
            "difference": self.difference[self.metric].as_list(),
            "is_beaten": self.is_beaten,
        }


def rival(
    kind: Literal["constant", "simplest", "baseline"],
    name: str,
    model: Evaluation,
    other: Evaluation,
    metric: str,
) -> Rival:
    """A model held against something simpler, both on the same patients and folds."""
    return Rival(kind, name, metric, other.metrics[metric], difference(model, other))


def class_shares(labels: np.ndarray, folds: Folds) -> np.ndarray:
    """(repeats, n, k) shares of the classes among the training patients of each fold.

    What can be said of a patient of whom nothing is known; NaN for patients who are never tested.
    """
    classes, truth = np.unique(labels, return_inverse=True)
    said = np.full((*folds.test_fold.shape, len(classes)), np.nan)
    for fold in folds:
        counts = np.bincount(truth[fold.train], minlength=len(classes))
        said[fold.repeat, fold.test] = counts / counts.sum()
    return said
