"""Training of a study on a frame: every recipe on every modality set, on the same folds.

    frame, study -> folds -> out-of-fold predictions -> Evaluation -> model of all patients

Pure: reads the frame's folder and returns values; :mod:`ml.registry` keeps them.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd

from ml.evaluation.calibration import calibration
from ml.evaluation.calibrators import Choice
from ml.evaluation.conformal import coverage
from ml.evaluation.metrics import Evaluation, evaluate
from ml.evaluation.subgroups import bias_table, groups_of, subgroup_table
from ml.explain.components import nearest_patients, principal_components, similarity
from ml.explain.shapley import Explanation, combine
from ml.frames.design_matrix import DesignMatrix, bag_matrix, design_matrix, typical_patient
from ml.frames.frame import Frame, read_frame
from ml.pipelines.encoding import worth_storing
from ml.pipelines.recipes import Input, build_recipe
from ml.serving.inputs import Inputs
from ml.serving.model import ServedModel
from ml.smears.available import require_extra
from ml.smears.bags import refuse_shared_fields
from ml.smears.places import Places
from ml.study.definition import Study
from ml.study.modelling import Recipe
from ml.training.eligibility import check_frame, complete, too_few, with_assays
from ml.training.folds import FoldDone, Folds, assign_folds, out_of_fold
from ml.training.procedure import (
    JUDGED_REPEAT,
    Predictions,
    Procedure,
    learn_from_inner,
    predict_out_of_fold,
)
from ml.training.results import (
    CompleteCases,
    Found,
    Judged,
    ModelResult,
    Permuted,
    TrainingResult,
)
from ml.training.rivals import class_shares

#: Called with (models fitted, models in all, what is being fitted).
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Trained:
    """What every model of a training shares."""

    study: Study
    frame: Frame
    folds: Folds
    groups: dict[str, np.ndarray]
    workers: int
    trials: Path | None
    places: Places | None

    @property
    def given(self) -> Input:
        return Input(self.frame.sidecar.views, self.frame.sidecar.has_counts, self.places)

    @property
    def seed(self) -> int:
        return self.study.cross_validation.seed

    @property
    def labels(self) -> np.ndarray:
        return self.frame.rows["label"].to_numpy()

    def evaluation(self, answers: np.ndarray, inside: np.ndarray | None = None) -> Evaluation:
        """Metrics of (repeats, n, k) answers for the tested patients, or some of them."""
        tested = self.folds.tested if inside is None else self.folds.tested & inside
        return evaluate(
            self.labels[tested],
            answers[:, tested],
            self.folds.test_fold[:, tested],
            seed=self.seed,
            classes=np.unique(self.labels),
        )

    def matrix(self, modality_set: str, recipe: Recipe | None = None) -> DesignMatrix:
        """What a recipe sees of the frame; all columns of the modalities unless told."""
        if recipe is not None and recipe.is_network:
            return bag_matrix(self.frame)
        modalities = self.study.modality_sets[modality_set]
        return design_matrix(self.frame, modalities, exclude=self.study.features.exclude)


def train(
    study: Study,
    frame_dir: Path,
    *,
    workers: int = 1,
    trials: Path | None = None,
    places: Places | None = None,
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
    trials
        SQLite file in which searches are kept, so that one that was cut off goes on.
    places
        Folders of networks on smears; None: the study has none.
    progress
        Called after each fitted model.

    Raises
    ------
    StudyError
        If the frame is not one of this study, or holds what no model may see.
    ExtraMissing
        If a recipe is a network and this machine cannot train one.
    TrainingStopped
        If the guard of a network ends its training.
    """
    frame = read_frame(frame_dir)
    check_frame(frame, study)
    study = with_assays(study, frame)
    if places is not None and any(recipe.is_network for recipe in study.recipes):
        require_extra()
        keys = bag_matrix(frame).features.iloc[:, 0].dropna()
        refuse_shared_fields([places.bags / key for key in keys])
    plan = study.cross_validation
    labels = frame.rows["label"].to_numpy()
    folds = assign_folds(
        frame.rows["patient_id"].to_numpy(), labels, plan,
        sites=frame.sites, times=frame.rows["index_timestamp"].to_numpy(),
    )  # fmt: skip
    groups = groups_of(frame, study.subgroups)
    shared = _Trained(study, frame, folds, groups, workers, trials, places)
    pairs = study.pairs()
    shuffles = study.permuted_labels * len(study.modality_sets)
    total = len(pairs) * (len(folds) + 1) + shuffles * plan.folds
    fitted = count(1)

    def report(what: str) -> None:
        progress(next(fitted), total, what)

    results = tuple(
        _train_one(shared, recipe, name, partial(report, f"{recipe.name} on {name}"))
        for recipe, name in pairs
    )
    permuted = tuple(
        _permuted(shared, name, shuffle, partial(report, f"shuffled labels on {name}"))
        for name in study.modality_sets
        for shuffle in range(study.permuted_labels)
    )
    largest = max(study.modality_sets, key=lambda name: len(study.modality_sets[name]))
    matrix = shared.matrix(largest)
    components = principal_components(matrix, shared.given)
    neighbours = nearest_patients(components, matrix.patient_ids, matrix.labels)
    return TrainingResult(
        study=study,
        frame_id=frame.sidecar.frame_id,
        labels=labels,
        folds=folds,
        results=results,
        constant=shared.evaluation(class_shares(labels, folds)),
        complete=_complete_cases(shared, results),
        permuted=permuted,
        bias=bias_table(frame, shared.groups),
        components=components,
        neighbours=neighbours,
        links=similarity(neighbours, matrix.patient_ids, matrix.labels),
    )


def _train_one(
    shared: _Trained, recipe: Recipe, modality_set: str, model_done: FoldDone
) -> ModelResult:
    started = time.perf_counter()
    study, folds = shared.study, shared.folds
    matrix = shared.matrix(modality_set, recipe)
    classes = np.unique(matrix.labels)
    procedure = Procedure(
        recipe, shared.given, shared.seed,
        # A baseline is there for its metrics: it is not calibrated, which saves most of its cost.
        None if recipe.defaults == "library" else study.calibration,
        study.conformal, shared.trials,
        prefix=f"{shared.frame.sidecar.frame_id} {recipe.name} {modality_set} ",
    )  # fmt: skip
    predictions = predict_out_of_fold(
        procedure, matrix, folds, workers=shared.workers, fold_done=model_done
    )
    tested = folds.tested
    answers = predictions.answers
    served, choice, example, final = _fit_on_all(
        procedure, shared.frame, matrix, predictions, tested
    )
    model_done()
    judged = _judge(shared, matrix, predictions, choice)
    truth = np.searchsorted(classes, matrix.labels)
    held = judged.sets[np.arange(len(truth)), truth] if judged else None
    return ModelResult(
        plan=recipe,
        modality_set=modality_set,
        modalities=study.modality_sets[modality_set],
        feature_count=matrix.features.shape[1],
        typical_patient=example,
        probabilities=predictions.probabilities,
        evaluation=shared.evaluation(answers),
        calibration=calibration(truth[tested], answers[JUDGED_REPEAT, tested], seed=shared.seed),
        judged=judged,
        subgroups=subgroup_table(
            {name: of[tested] for name, of in shared.groups.items()},
            truth[tested],
            answers[JUDGED_REPEAT, tested],
            held[tested] if held is not None else None,
            min_patients=study.subgroups.min_patients,
            seed=shared.seed,
        ),
        explanation=_explanation(predictions, matrix, shared.given.views),
        trials=(
            *(t for _, result in predictions.results for t in result.found.trials),
            *final.trials,
        ),
        settings=final.settings,
        served=served,
        seconds=time.perf_counter() - started,
    )


def _fit_on_all(
    procedure: Procedure,
    frame: Frame,
    matrix: DesignMatrix,
    predictions: Predictions,
    tested: np.ndarray,
) -> tuple[ServedModel, Choice, pd.DataFrame, Found]:
    """Model of all patients, how it is calibrated, its typical patient, what its search found."""
    classes = np.unique(matrix.labels)
    features = worth_storing(matrix.features, counts=procedure.given.counts)
    found = procedure.search("all patients", features, matrix.labels, classes)
    model = procedure.estimator(found.settings).fit(features, matrix.labels)
    choice, thresholds = Choice(), None
    if procedure.calibration is not None:
        choice, thresholds = learn_from_inner(
            predictions.probabilities[JUDGED_REPEAT, tested], matrix.labels[tested], classes,
            procedure.conformal, is_calibrated=predictions.is_calibrated,
        )  # fmt: skip
    served = ServedModel(
        model=model,
        classes=classes,
        inputs=Inputs.of(frame, features),
        calibrator=choice.calibrator,
        thresholds=thresholds,
        conformal=procedure.conformal,
    )
    return served, choice, typical_patient(features), found


def _judge(
    shared: _Trained, matrix: DesignMatrix, predictions: Predictions, choice: Choice
) -> Judged | None:
    """Recalibration and coverage of the tested patients."""
    if predictions.calibrated is None or predictions.sets is None:
        return None
    tested, seed, plan = shared.folds.tested, shared.seed, shared.study.conformal
    truth = np.searchsorted(np.unique(matrix.labels), matrix.labels)[tested]
    calibrated = predictions.calibrated[JUDGED_REPEAT, tested]
    return Judged(
        calibrated=predictions.calibrated,
        sets=predictions.sets,
        before=calibration(truth, predictions.probabilities[JUDGED_REPEAT, tested], seed=seed),
        is_calibrated=predictions.is_calibrated,
        choice=choice,
        coverage=coverage(truth, calibrated, predictions.sets[tested], plan, seed=seed),
    )


def _complete_cases(shared: _Trained, results: tuple[ModelResult, ...]) -> CompleteCases:
    """All models on the patients who had every assay that any of them was given."""
    has_all, assays = complete(shared.frame, shared.study)
    judged = has_all & shared.folds.tested
    patients = int(judged.sum())
    if reason := too_few(patients, shared.study):
        return CompleteCases(patients, assays, reason=reason)
    evaluations = tuple(shared.evaluation(result.answers, has_all) for result in results)
    return CompleteCases(patients, assays, evaluations)


def _explanation(
    predictions: Predictions, matrix: DesignMatrix, views: Mapping[str, str]
) -> Explanation | None:
    parts = [
        (fold.test, result.contributions)
        for fold, result in predictions.results
        if result.contributions is not None
    ]
    return combine(parts, matrix.patient_ids, np.unique(matrix.labels), views) if parts else None


def _permuted(shared: _Trained, modality_set: str, shuffle: int, fold_done: FoldDone) -> Permuted:
    """The first recipe of a set on labels of other patients, with everything else as it was."""
    first = next(recipe for recipe, name in shared.study.pairs() if name == modality_set)
    matrix = shared.matrix(modality_set, first)
    seed = shared.seed + shuffle
    shuffled = replace(matrix, labels=np.random.default_rng(seed).permutation(matrix.labels))
    plan = shared.study.cross_validation.model_copy(update={"repeats": 1, "split": "patient"})
    folds = assign_folds(matrix.patient_ids, shuffled.labels, plan)
    recipe = build_recipe(first, seed=seed, given=shared.given)
    said = out_of_fold(recipe, shuffled, folds, workers=shared.workers, fold_done=fold_done)
    evaluation = evaluate(shuffled.labels, said, folds.test_fold, seed=seed)
    return Permuted(modality_set, shuffle, evaluation)
