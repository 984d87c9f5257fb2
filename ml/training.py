"""Training of a study on a frame: every recipe on every modality set, on the same folds.

    frame, study -> folds -> out-of-fold predictions -> Evaluation -> model of all patients

Pure: reads the frame's folder and returns values; :mod:`ml.registry` keeps them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from sklearn.pipeline import Pipeline

from assets.errors import StudyError
from ml.design_matrix import design_matrix, typical_patient
from ml.evaluate import METRICS, Evaluation, evaluate
from ml.folds import FoldDone, Folds, assign_folds, out_of_fold
from ml.frame import Frame, read_frame
from ml.recipes import build_recipe, worth_storing
from ml.study import Study

#: Called with (models fitted, models in all, what is being fitted).
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ModelResult:
    """One recipe on one modality set.

    Parameters
    ----------
    recipe, modality_set
        Names in the study file.
    modalities
        What the set holds.
    feature_count
        Columns of the design matrix, before the recipe selects.
    typical_patient : (1, p) data frame
        A row of no real patient, with the columns that ``model`` takes.
    probabilities : (repeats, n, k) array of float
        Out-of-fold class probabilities, classes in sorted order.
    evaluation
        Metrics of them.
    model
        The recipe, fitted on all patients.
    seconds
        Time of cross-validation and final fit.
    """

    recipe: str
    modality_set: str
    modalities: tuple[str, ...]
    feature_count: int
    typical_patient: pd.DataFrame
    probabilities: np.ndarray
    evaluation: Evaluation
    model: Pipeline
    seconds: float

    def summary(self) -> dict[str, object]:
        """One row of the result table, for ``--json`` and the command line."""
        estimates = self.evaluation.metrics
        return {
            "recipe": self.recipe,
            "modalities": self.modality_set,
            "uses": list(self.modalities),
            "patients": self.probabilities.shape[1],
            "classes": self.probabilities.shape[2],
            "features": self.feature_count,
            **{name: estimates[name].value for name in METRICS},
            **{f"{m}_ci": [estimates[m].low, estimates[m].high] for m in METRICS},
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class TrainingResult:
    """All recipes and modality sets of a study on one frame.

    Parameters
    ----------
    labels : (n,) array of str
        Classes of the patients of ``folds``.
    """

    study: Study
    frame_id: str
    labels: np.ndarray
    folds: Folds
    results: tuple[ModelResult, ...]

    @property
    def best(self) -> ModelResult:
        """Highest macro F1: a rare entity counts as much as a common one."""
        return max(self.results, key=lambda r: r.evaluation.metrics["macro_f1"].value)

    @property
    def majority_share(self) -> float:
        """Accuracy of always naming the most frequent class."""
        _, sizes = np.unique(self.labels, return_counts=True)
        return float(sizes.max() / sizes.sum())

    def as_dict(self) -> dict[str, object]:
        """Content of the ``--json`` line of ``oncoframe train``."""
        return {
            "study": self.study.name,
            "frame_id": self.frame_id,
            "best": self.best.summary(),
            "majority_share": self.majority_share,
            "recipes": [result.summary() for result in self.results],
        }


def train(
    study: Study,
    frame_dir: Path,
    *,
    workers: int = 1,
    progress: Progress = lambda _done, _total, _what: None,
) -> TrainingResult:
    """Cross-validate every recipe of a study on every modality set, and fit it on all patients.

    Parameters
    ----------
    study
        Recipes, modality sets, exclusions and the cross-validation plan.
    frame_dir
        Folder of a frame built for the study.
    workers
        Models fitted side by side.
    progress
        Called after each fitted model.

    Raises
    ------
    StudyError
        If the frame is not one of this study, or holds what no model may see.
    """
    frame = read_frame(frame_dir)
    _check_frame(frame, study)
    plan = study.cross_validation
    labels = frame.rows["label"].to_numpy()
    folds = assign_folds(frame.rows["patient_id"].to_numpy(), labels, plan)
    pairs = [(recipe, name) for recipe in study.recipes for name in study.modality_sets]
    total = len(pairs) * (plan.folds * plan.repeats + 1)
    fitted = count(1)

    def report(what: str) -> None:
        progress(next(fitted), total, what)

    results = tuple(
        _train_one(
            study, frame, folds, recipe, name, workers, partial(report, f"{recipe} on {name}")
        )
        for recipe, name in pairs
    )
    return TrainingResult(study, frame.sidecar.frame_id, labels, folds, results)


def _train_one(
    study: Study,
    frame: Frame,
    folds: Folds,
    recipe_name: str,
    modality_set: str,
    workers: int,
    model_done: FoldDone,
) -> ModelResult:
    started = time.perf_counter()
    seed = study.cross_validation.seed
    modalities = study.modality_sets[modality_set]
    matrix = design_matrix(frame, modalities, exclude=study.features.exclude)
    recipe = build_recipe(recipe_name, seed=seed)
    probabilities = out_of_fold(recipe, matrix, folds, workers=workers, fold_done=model_done)
    features = worth_storing(matrix.features)
    model = recipe.fit(features, matrix.labels)
    model_done()
    return ModelResult(
        recipe=recipe_name,
        modality_set=modality_set,
        modalities=modalities,
        feature_count=matrix.features.shape[1],
        typical_patient=typical_patient(features),
        probabilities=probabilities,
        evaluation=evaluate(matrix.labels, probabilities, seed=seed),
        model=model,
        seconds=time.perf_counter() - started,
    )


def _check_frame(frame: Frame, study: Study) -> None:
    sidecar, where = frame.sidecar, frame.sidecar.frame_id
    if (sidecar.study, sidecar.label_name) != (study.name, study.label.name):
        raise StudyError(
            "the frame was built for another study",
            where=where,
            expected=f"{study.name} with label {study.label.name}",
            got=f"{sidecar.study} with label {sidecar.label_name}",
        )
    views = {name.partition("__")[0] for name in sidecar.columns}
    unknown = [
        name
        for name in study.features.exclude
        if name not in sidecar.columns and name.partition("__")[0] in views
    ]
    if unknown:
        # A typing error here would let in the very column that was to stay out.
        raise StudyError(
            "the study excludes columns that the frame does not have",
            where=where,
            got=", ".join(unknown),
        )
    sizes = frame.rows["label"].value_counts()
    small = sizes.filter(pl.col("count") < study.label.min_patients_per_class)["label"]
    wrong = sorted({*small, *(set(sizes["label"]) & set(study.label.exclude))})
    if wrong:
        raise StudyError(
            "the frame holds classes that the study leaves out",
            where=where,
            got=", ".join(wrong),
            hint="Build it again: oncoframe frame build.",
        )
