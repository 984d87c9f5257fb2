"""A procedure on folds: whatever is done about rare classes, the answers say what happens."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from ml.evaluation.calibration import calibration
from ml.evaluation.calibrators import mean_log_loss
from ml.frames.design_matrix import DesignMatrix
from ml.pipelines.recipes import Input
from ml.study.modelling import Calibration, CrossValidation, Recipe
from ml.training.folds import assign_folds
from ml.training.procedure import JUDGED_REPEAT, Procedure, predict_out_of_fold
from ml.training.rivals import class_shares

pytestmark = pytest.mark.slow

PLAN = CrossValidation(folds=3, repeats=2, seed=1)


def cohort(patients, prevalence, *, seed=1):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(patients, 4)).astype(np.float32)
    risk = expit(logit(prevalence) + values @ [1.2, -0.8, 0.0, 0.0])
    labels = np.where(rng.random(patients) < risk, "dead", "alive").astype(object)
    names = [f"clinical__f{i}" for i in range(4)]
    ids = np.array([f"P{i:04d}" for i in range(patients)], dtype=object)
    return DesignMatrix(ids, labels, pd.DataFrame(values, columns=names), ("clinical",) * 4)


def predicted(recipe, matrix, *, is_calibrated=True):
    procedure = Procedure(
        Recipe.model_validate(recipe), Input(), 1, Calibration() if is_calibrated else None
    )
    folds = assign_folds(matrix.patient_ids, matrix.labels, PLAN)
    return predict_out_of_fold(procedure, matrix, folds), folds


@pytest.mark.parametrize("prevalence", [0.08, 0.3])
@pytest.mark.parametrize(
    "recipe",
    [
        {"name": "elastic_net", "sampler": "none"},
        {"name": "elastic_net", "class_weight_power": 1.0},
        {"name": "elastic_net", "sampler": "adasyn"},
        {"name": "elastic_net", "sampler": "loras"},
        {"name": "lightgbm", "class_weight_power": 1.0},
        {"name": "xgboost_pca", "sampler": "none"},
        {"name": "prototypes"},
    ],
    ids=lambda recipe: "-".join(map(str, recipe.values())),
)
def test_predict_out_of_fold__mean_risk_is_what_happened(recipe, prevalence):
    """Weights printed a mean risk of 0.357 where 0.200 died, and 65.7 % for who lived."""
    matrix = cohort(420, prevalence)
    found, _ = predicted(recipe, matrix)
    truth = (matrix.labels == "dead").astype(int)
    judged = calibration(truth, found.answers[JUDGED_REPEAT], seed=1)

    assert judged.observed_expected.low < 1 < judged.observed_expected.high
    assert judged.in_the_large.low < 0 < judged.in_the_large.high


@pytest.mark.parametrize("recipe", ["lightgbm", "xgboost_pca", "elastic_net", "prototypes"])
@pytest.mark.parametrize("patients", [90, 300])
def test_predict_out_of_fold__calibrated_is_never_worse_than_not(recipe, patients):
    """Out of fold, on the very patients that the report judges."""
    matrix = cohort(patients, 0.3, seed=2)
    found, _ = predicted(recipe, matrix)
    truth = (matrix.labels == "dead").astype(int)
    before, after = (
        np.mean([mean_log_loss(repeat, truth) for repeat in said])
        for said in (found.probabilities, found.calibrated)
    )

    assert after <= before
    if not found.is_calibrated:
        np.testing.assert_array_equal(found.calibrated, found.probabilities)


def test_predict_out_of_fold__calibrates_every_repeat():
    """Metrics are means over repeats: one of another scale would be in all of them."""
    matrix = cohort(300, 0.3)
    found, _ = predicted("xgboost_pca", matrix)

    assert found.is_calibrated
    assert np.isfinite(found.calibrated).all()
    for repeat in range(PLAN.repeats):
        assert not np.array_equal(found.calibrated[repeat], found.probabilities[repeat])
    np.testing.assert_allclose(found.calibrated.sum(axis=2), 1)


def test_predict_out_of_fold__chooses_without_the_tested_patients():
    """Other labels of one fold's patients must not change what is said of them."""
    matrix = cohort(300, 0.3)
    found, folds = predicted("xgboost_pca", matrix)
    tested = folds.test_fold[JUDGED_REPEAT] == 0
    labels = matrix.labels.copy()
    turned = np.flatnonzero(tested)[:8]
    labels[turned] = np.where(labels[turned] == "dead", "alive", "dead")
    other = DesignMatrix(matrix.patient_ids, labels, matrix.features, matrix.modalities)
    procedure = Procedure(Recipe.model_validate("xgboost_pca"), Input(), 1, Calibration())
    again = predict_out_of_fold(procedure, other, folds)

    assert found.is_calibrated
    assert again.is_calibrated
    for name in ("probabilities", "calibrated"):
        one, two = getattr(found, name)[JUDGED_REPEAT], getattr(again, name)[JUDGED_REPEAT]
        np.testing.assert_array_equal(one[tested], two[tested])
        assert not np.array_equal(one[~tested], two[~tested])


def test_predict_out_of_fold__without_calibration_answers_as_the_model():
    found, _ = predicted("elastic_net", cohort(120, 0.3), is_calibrated=False)

    assert found.calibrated is None
    assert found.answers is found.probabilities


def test_class_shares__are_those_of_the_training_patients():
    matrix = cohort(90, 0.3)
    folds = assign_folds(matrix.patient_ids, matrix.labels, PLAN)
    said = class_shares(matrix.labels, folds)

    tested = folds.test_fold[1] == 2
    share = (matrix.labels[~tested] == "dead").mean()
    np.testing.assert_allclose(said[1, tested], np.tile([1 - share, share], (tested.sum(), 1)))
