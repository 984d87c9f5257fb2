"""Shapley values of the boosters, against the package shap."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import shap

from ml.explain.names import BASE, OTHERS
from ml.explain.shapley import combine, contributions, is_explainable, reasons
from ml.figures.shapley import patient_force
from ml.pipelines.recipes import build_recipe
from ml.study.modelling import Recipe
from oncoframe.errors import StudyError

N = 60


@pytest.fixture(params=[2, 3])
def cohort(request):
    """One gene per class raises it."""
    rng = np.random.default_rng(2)
    truth = np.arange(N) % request.param
    values = rng.normal(size=(N, 6)).astype(np.float32)
    values[np.arange(N), truth] += 3
    values[0, 5] = np.nan
    frame = pd.DataFrame(values, columns=[f"snv_features__gene{i}" for i in range(6)])
    return frame, np.array([f"class {i}" for i in truth], dtype=object)


def fitted(model, cohort):
    return build_recipe(Recipe.model_validate(model), seed=1).fit(*cohort)


@pytest.mark.filterwarnings("ignore:LightGBM binary classifier with TreeExplainer")
@pytest.mark.parametrize("model", ["lightgbm", "xgboost"])
def test_contributions__are_those_of_shap_and_add_up(model, cohort):
    """Columns shifted by one class or feature would still look like an explanation."""
    features, labels = cohort
    classes = np.unique(labels)
    recipe = fitted(model, cohort)
    trees = recipe.named_steps["model"].estimator_
    inputs = recipe.named_steps["encode"].transform(features)

    found = contributions(recipe, features, classes)

    reference = np.asarray(shap.TreeExplainer(trees).shap_values(inputs))
    if reference.ndim == 2:
        reference = np.stack([-reference, reference], axis=2)
    np.testing.assert_allclose(found.values, reference, atol=1e-4)
    score = found.base + found.values.sum(axis=1)
    said = recipe.predict_proba(features)
    if len(classes) == 2:
        odds = np.log(said[:, 1] / said[:, 0])
        np.testing.assert_allclose(score, np.stack([-odds, odds], axis=1), atol=1e-3)
    else:
        raised = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(raised, said, atol=1e-4)


def test_contributions__a_class_the_fold_never_saw_has_none(cohort):
    features, labels = cohort
    recipe = fitted("lightgbm", cohort)

    found = contributions(recipe, features, np.array([*np.unique(labels), "class 9"], object))

    assert not found.values[:, :, -1].any()
    assert found.values[:, :, 0].any()


def test_contributions__refuses_parts_that_do_not_add_up(cohort, monkeypatch):
    """A booster that changes its mind on how to count would be believed otherwise."""
    recipe = fitted("lightgbm", cohort)
    booster = recipe.named_steps["model"].estimator_.booster_
    whole = type(booster).predict

    def off(self, *given, **more):
        return whole(self, *given, **more) + (1.0 if more.get("raw_score") else 0.0)

    monkeypatch.setattr(type(booster), "predict", off)

    with pytest.raises(StudyError, match="do not add up"):
        contributions(recipe, cohort[0], np.unique(cohort[1]))


def test_combine__keeps_every_log_odd_of_every_patient(cohort):
    """What is not shown one by one is shown as a sum: decision plots must end at the score."""
    features, labels = cohort
    classes = np.unique(labels)
    recipe = fitted("lightgbm", cohort)
    halves = [np.arange(N) < N // 2, np.arange(N) >= N // 2]
    parts = [(half, contributions(recipe, features[half], classes)) for half in halves]
    ids = np.array([f"P{i:02d}" for i in range(N)], dtype=object)

    found = combine(parts, ids, classes, {"snv_features": "snv"})

    whole = contributions(recipe, features, classes)
    score = (whole.base + whole.values.sum(axis=1)).ravel()
    rows = found.patients.group_by("patient_id", "class", maintain_order=True)
    sums = rows.agg(pl.col("shap").sum())
    np.testing.assert_allclose(sums["shap"].to_numpy(), score, atol=1e-4)
    assert {OTHERS, BASE} <= set(found.patients["feature"])
    planted = {f"snv_features__gene{i}" for i in range(len(classes))}
    assert set(found.importance["feature"][: len(classes) ** 2]) == planted
    assert set(found.importance["modality"]) == {"snv"}


def test_reasons__name_the_gene_that_was_raised(cohort):
    features, labels = cohort
    recipe = fitted("lightgbm", cohort)

    [first, *others] = reasons(recipe, features.iloc[[1]], np.unique(labels), "class 1")

    planted = [f"snv_features__gene{i}" for i in range(len(set(labels)))]
    assert first.feature in planted
    assert first.shap > 0
    assert first.value == pytest.approx(float(features[first.feature].iloc[1]))
    assert all(abs(first.shap) >= abs(other.shap) for other in others)


def test_is_explainable__only_trees_of_their_own_columns(cohort):
    assert is_explainable(fitted("lightgbm", cohort))
    assert not is_explainable(fitted("xgboost_pca", cohort))
    assert not is_explainable(fitted("extra_trees", cohort))
    assert not is_explainable(fitted("ensemble", cohort))


@pytest.mark.parametrize("model", ["lightgbm", "xgboost"])
def test_patient_force__adds_up_for_a_thousand_patients(model):
    """A heading that is not the sum of its bars is what a reader checks first."""
    rng = np.random.default_rng(7)
    values = rng.normal(size=(1000, 40))
    labels = np.where(values[:, :20].sum(axis=1) + rng.normal(size=1000) > 0, "ill", "well")
    features = pd.DataFrame(values, columns=[f"snv_features__gene{i}" for i in range(40)])
    recipe = build_recipe(Recipe.model_validate(model), seed=1).fit(features, labels.astype(object))
    found = contributions(recipe, features, np.array(["ill", "well"], dtype=object))
    patients = np.array([f"P{i:04d}" for i in range(1000)], dtype=object)
    kept = combine(
        [(np.ones(1000, dtype=bool), found)], patients, np.array(["ill", "well"], dtype=object), {}
    ).patients.filter(pl.col("class") == "ill")
    said = recipe.predict_proba(features)
    odds = dict(zip(patients, np.log(said[:, 0] / said[:, 1]), strict=True))

    for (patient,), own in kept.partition_by("patient_id", as_dict=True).items():
        printed = patient_force(own, lambda feature, _: feature)

        cents = [round(100 * v) for _, v in (*printed.up.bars, *printed.down.bars)]
        assert round(100 * printed.base) + sum(cents) - round(100 * printed.score) == 0
        assert printed.score == pytest.approx(odds[patient], abs=0.006)
