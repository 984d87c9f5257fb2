"""Survival models: times, risks and concordance against scikit-survival."""

import numpy as np
import pandas as pd
import pytest
from sksurv.metrics import concordance_index_censored

from ml.frames.design_matrix import DesignMatrix
from ml.intervals import estimate
from ml.pipelines.recipes import Input
from ml.study.modelling import CrossValidation, Recipe
from ml.training.folds import assign_folds
from ml.training.survival import Times, build_survival, concordance, out_of_fold_risks, parse_times
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

    found = concordance(times, out_of_fold_risks(recipe, matrix, times, folds), seed=1)
    chance = estimate(
        concordance(shuffled, out_of_fold_risks(recipe, matrix, shuffled, folds), seed=1)
    )

    assert found[0] > 0.65
    assert chance.low < 0.5 < chance.high
