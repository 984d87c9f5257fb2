"""Survival models: times, risks and concordance against scikit-survival."""

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import norm, spearmanr
from sksurv.linear_model import CoxnetSurvivalAnalysis
from sksurv.metrics import concordance_index_censored
from sksurv.util import Surv

from ml.frames.design_matrix import DesignMatrix
from ml.intervals import estimate
from ml.pipelines.recipes import Input
from ml.study.definition import Study
from ml.study.modelling import CrossValidation, Recipe
from ml.training.folds import assign_folds
from ml.training.survival import (
    AftModel,
    CoxModel,
    Times,
    build_survival,
    concordance,
    out_of_fold_risks,
    parse_times,
    train_survival,
)
from oncoframe.errors import StudyError

pytestmark = pytest.mark.slow

N = 120


@pytest.fixture
def times():
    """Exponential times with ties, a third of them cut off."""
    rng = np.random.default_rng(3)
    return Times(rng.exponential(100, N).round() + 1, rng.random(N) < 0.65)


def test_parse_times__plus_is_alive():
    """A patient alive at the last contact counted as dead would turn the result around."""
    times = parse_times(np.array(["872", "1095+", "12"], dtype=object))

    assert times.days.tolist() == [872, 1095, 12]
    assert times.died.tolist() == [True, False, True]


@pytest.mark.parametrize("label", ["dead", "-3", "0+", "nan"])
def test_parse_times__refuses_what_is_no_time(label):
    with pytest.raises(StudyError, match="survival time"):
        parse_times(np.array([label], dtype=object))


def test_concordance__agrees_with_scikit_survival(times):
    """Ties of time and of risk are where implementations differ in silence."""
    rng = np.random.default_rng(1)
    risks = rng.normal(size=(2, N)).round(1) - np.log(times.days)

    expected = [concordance_index_censored(times.died, times.days, r)[0] for r in risks]

    found = estimate(concordance(times, risks, seed=1))
    assert found.value == pytest.approx(np.mean(expected))
    assert found.low < found.value < found.high


@pytest.mark.parametrize("model", ["cox", "aft"])
def test_survival_recipe__finds_the_hazard_and_nothing_in_shuffled_times(model):
    """A sign error would rank the patients who die first as the safest."""
    rng = np.random.default_rng(2)
    hazard = rng.normal(size=N)
    days = rng.exponential(200 * np.exp(-1.5 * hazard)) + 1
    times = Times(days, rng.random(N) < 0.8)
    noise = rng.normal(size=(N, 5))
    matrix = DesignMatrix(
        np.array([f"P{i:03d}" for i in range(N)], dtype=object),
        times.strata(),
        pd.DataFrame(np.column_stack([hazard, noise]).astype(np.float32),
                     columns=[f"x__{i}" for i in range(6)]),
        ("x",) * 6,
    )  # fmt: skip
    plan = CrossValidation(folds=4, repeats=1, seed=1)
    folds = assign_folds(matrix.patient_ids, matrix.labels, plan)
    recipe = build_survival(Recipe.model_validate(model), seed=1, given=Input())
    shuffled = times.of(rng.permutation(N))

    grid = np.array([20.0, 100, 500, 2000])
    risks, survival = out_of_fold_risks(recipe, matrix, times, folds, days=grid)
    found = concordance(times, risks, seed=1)
    by_chance, _ = out_of_fold_risks(recipe, matrix, shuffled, folds)
    chance = estimate(concordance(shuffled, by_chance, seed=1))

    assert found[0] > 0.65
    assert chance.low < 0.5 < chance.high
    assert (np.diff(survival, axis=1) <= 0).all()
    # Who has the higher risk in a fold is predicted to live less long, at any time.
    for fold in folds:
        assert spearmanr(risks[0, fold.test], survival[fold.test, 1]).statistic < -0.99


def test_cox_model__survival_is_that_of_scikit_survival(times):
    """A baseline of other patients would shift every predicted survival."""
    rng = np.random.default_rng(4)
    columns = np.column_stack([rng.normal(size=(N, 3)), np.ones(N)])
    truth = Surv.from_arrays(times.died, times.days)

    found = CoxModel(alpha=0.01).fit(columns, times).survival(columns[:5], np.array([10.0, 80]))

    direct = CoxnetSurvivalAnalysis(
        alphas=[0.01], l1_ratio=0.5, max_iter=10_000, fit_baseline_model=True
    ).fit(columns[:, :3], truth)
    expected = [curve([10.0, 80]) for curve in direct.predict_survival_function(columns[:5, :3])]
    np.testing.assert_allclose(found, expected)


def test_aft_model__half_outlive_the_expected_time(times):
    columns = np.random.default_rng(4).normal(size=(N, 3)).astype(np.float32)
    settings = {"rounds": 5, "aft_loss_distribution_scale": 0.7}
    model = AftModel(settings=settings).fit(columns, times)

    expected = np.exp(-model.predict(columns[:1]))
    found = model.survival(columns[:1], np.array([1.0, expected[0], expected[0] * np.exp(0.7)]))

    assert found[0, 1] == pytest.approx(0.5)
    assert found[0, 2] == pytest.approx(norm.sf(1))


@pytest.fixture
def frame_dir(tmp_path):
    """Two thirds had an assay that says nothing; one clinical column is the hazard."""
    rng = np.random.default_rng(4)
    hazard, days = rng.normal(size=N), np.empty(N)
    days[:] = rng.exponential(200 * np.exp(-1.5 * hazard)).round() + 1
    had = np.arange(N) % 3 != 1
    columns = {
        "clinical__hazard": "scalar", "ct__noise": "scalar", "ct__ct_performed": "performed",
    }  # fmt: skip
    pl.DataFrame(
        {
            "patient_id": [f"P{i:03d}" for i in range(N)],
            "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * N,
            "label": [f"{time:.0f}{'' if i % 4 else '+'}" for i, time in enumerate(days)],
            "clinical__hazard": hazard,
            "ct__noise": [1.0 if one else None for one in had],
            "ct__ct_performed": had,
        }
    ).write_parquet(tmp_path / "frame.parquet")
    about = {"feature": "f", "unit": "1", "known": "at_index"}
    sidecar = {
        "frame_id": "f00d", "study": "toy", "label_name": "alive",
        "columns": {
            name: {**about, "modality": name.partition("__")[0], "kind": kind}
            for name, kind in columns.items()
        },
    }  # fmt: skip
    (tmp_path / "frame.json").write_text(json.dumps(sidecar))
    return tmp_path


def test_train_survival__compares_sets_on_the_patients_who_had_all(frame_dir):
    """A set of another assay is of other patients, some of whom live longer for other reasons."""
    study = Study.model_validate(
        {
            "name": "toy", "title": "How long a toy patient lives",
            "label": {
                "name": "alive", "version": "1", "kind": "survival", "min_patients_per_class": 1,
            },
            "clocks": {"index": "diagnosis"},
            "features": {"service": "toy_v1"},
            "modality_sets": {"clinical": ["clinical"], "all": ["clinical", "ct"]},
            "recipes": ["cox"],
            "permuted_labels": 0,
            "cross_validation": {"folds": 3, "repeats": 1, "seed": 1},
        }
    )  # fmt: skip
    result = train_survival(study, frame_dir)
    found = json.loads(json.dumps(result.as_dict()))["complete_cases"]
    had = np.arange(N) % 3 != 1

    assert (found["patients"], found["assays"], found["reason"]) == (80, ["ct"], None)
    for row, model in zip(found["recipes"], result.results, strict=True):
        times = result.times.of(had)
        [risks] = model.risks[:, had]
        expected = concordance_index_censored(times.died, times.days, risks)[0]
        assert row["concordance"] == pytest.approx(expected)
    [apart] = result.differences()
    one, other = (row["concordance"] for row in found["recipes"])
    assert apart["concordance_complete"][0] == pytest.approx(one - other)
