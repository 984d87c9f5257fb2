"""Recipes and their steps: what a training fold teaches them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier

from assets.errors import StudyError
from ml.preprocess import RareColumnFilter
from ml.recipes import (
    RECIPES,
    ClassWeighted,
    build_recipe,
    is_category,
    is_number,
    worth_storing,
)

N = 40


@pytest.fixture
def features():
    """Noise, one informative gene, one gene mutated in two patients, and text with a gap."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(N, 3)), columns=["a", "b,[c]", "d::e"], dtype=np.float32)
    frame["gene"] = np.repeat([0, 1], N // 2).astype(np.float32)
    frame["rare"] = (np.arange(N) < 2).astype(np.float32)
    frame["never"] = np.full(N, np.nan, dtype=np.float32)
    frame["sex"] = np.array([*(["m", "f"] * (N // 2))[:-1], None], dtype=object)
    return frame


@pytest.fixture
def labels():
    return np.repeat(["AML, NOS", "t(8;21)"], N // 2)


@pytest.mark.parametrize(
    ("values", "stays"),
    [
        ([0, 0, 0, 1, 1, 1], True),
        ([0, 0, 0, 0, 1, 1], False),
        ([0, 0, 1, 1, 1, 1], False),
        ([5, 5, 5, 5, 5, 5], False),
        ([np.nan] * 6, False),
        ([np.nan, np.nan, 0, 1, 2, 3], True),
        ([np.nan, np.nan, np.nan, 0, 0, 1], False),
        ([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], True),
    ],
)
def test_rare_column_filter__needs_patients_on_both_sides(values, stays):
    """A gene mutated in all but two teaches as little as one mutated in two."""
    columns = np.array([values, [0, 0, 0, 1, 1, 1]], dtype=np.float32).T

    fitted = RareColumnFilter(min_patients=3).fit(columns)

    assert fitted.support_.tolist() == [stays, True]
    assert fitted.transform(columns).shape == (6, 1 + stays)
    assert fitted.get_feature_names_out(["x", "y"]).tolist() == ["x", "y"][1 - stays :]


def test_rare_column_filter__keeps_all_where_nothing_varies():
    """A tiny cohort without any fusion must still train: it then predicts class shares."""
    constant = np.ones((6, 2), dtype=np.float32)

    assert RareColumnFilter().fit(constant).support_.all()


def test_rare_column_filter__decides_on_training_patients_only():
    train = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    test = np.array([[0, 7], [1, 8]], dtype=np.float32)
    fitted = RareColumnFilter(min_patients=2).fit(train)

    assert fitted.transform(test).tolist() == test.tolist()


def test_class_weighted__ties_go_to_the_larger_class():
    """Fully balanced weights would send every patient without a finding to the rarest class."""
    labels = np.repeat(["common", "rare"], [30, 10])
    blind = np.zeros((40, 1))

    by_power = {
        power: ClassWeighted(DummyClassifier(strategy="prior"), power=power)
        .fit(blind, labels)
        .predict_proba(blind)[0]
        for power in (0.0, 0.5, 1.0)
    }

    np.testing.assert_allclose(by_power[0.0], [0.75, 0.25])
    np.testing.assert_allclose(by_power[0.5], np.sqrt([30, 10]) / np.sqrt([30, 10]).sum())
    np.testing.assert_allclose(by_power[1.0], [0.5, 0.5])


@pytest.mark.parametrize("name", RECIPES)
def test_recipe__learns_and_repeats_exactly(name, features, labels):
    """Same seed, same probabilities: a frame id and a seed must be enough to get a model back."""
    first = build_recipe(name, seed=1).fit(features, labels)
    again = build_recipe(name, seed=1).fit(features, labels)
    other = build_recipe(name, seed=2).fit(features, labels)

    probabilities = first.predict_proba(features)
    assert (first.predict(features) == labels).mean() > 0.95
    assert first.classes_.tolist() == ["AML, NOS", "t(8;21)"]
    np.testing.assert_array_equal(probabilities, again.predict_proba(features))
    assert not np.array_equal(probabilities, other.predict_proba(features))


@pytest.mark.parametrize("name", RECIPES)
def test_recipe__predicts_a_patient_with_nothing_measured(name, features, labels):
    """A new patient may lack every assay and have a category never seen."""
    model = build_recipe(name, seed=1).fit(features, labels)
    nothing = features.head(1).copy()
    nothing.loc[:, is_number(nothing)] = np.float32(np.nan)
    nothing["sex"] = "unheard of"

    probabilities = model.predict_proba(nothing)

    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(), 1.0)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe__clones_to_an_unfitted_one(name, features, labels):
    """Cross-validation relies on it: a clone must have forgotten the patients."""
    again = clone(build_recipe(name, seed=1).fit(features, labels))

    assert not hasattr(again.named_steps["model"], "estimator_")
    assert not hasattr(again.named_steps["encode"], "transformers_")


def test_build_recipe__refuses_an_unknown_name():
    with pytest.raises(StudyError, match="there is no recipe xgbost; expected one of lightgbm"):
        build_recipe("xgbost", seed=0)


@pytest.mark.parametrize("name", RECIPES)
def test_worth_storing__changes_no_prediction(name, features, labels):
    """The stored model asks for fewer columns; it must be the model that was evaluated."""
    slim = worth_storing(features)

    assert list(slim) == ["a", "b,[c]", "d::e", "gene", "sex"]
    np.testing.assert_array_equal(
        build_recipe(name, seed=1).fit(slim, labels).predict_proba(slim),
        build_recipe(name, seed=1).fit(features, labels).predict_proba(features),
    )


def test_is_category__splits_a_design_matrix(features):
    assert features.columns[is_category(features)].tolist() == ["sex"]
    assert (is_number(features) != is_category(features)).all()
