"""Recipes and their steps: what a training fold teaches them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier

from ml.pipelines.encoding import is_category, is_number, worth_storing
from ml.pipelines.preprocessing import RareColumnFilter
from ml.pipelines.recipes import Input, build_recipe
from ml.pipelines.resampling import ClassWeighted
from ml.study.modelling import CLASSIFIERS, Recipe
from ml.training.folds import refuse_fitted

pytestmark = pytest.mark.slow

N = 40


@pytest.fixture
def features():
    """Noise, one informative gene, one gene mutated in two patients, and text with a gap."""
    rng = np.random.default_rng(3)
    columns = ["rna__block[a]", "rna__block[b,c]", "rna__d::e"]
    frame = pd.DataFrame(rng.normal(size=(N, 3)) * [1, 2, 1], columns=columns, dtype=np.float32)
    frame["rna__gene"] = np.repeat([0, 1], N // 2).astype(np.float32)
    frame["rna__rare"] = (np.arange(N) < 2).astype(np.float32)
    frame["rna__never"] = np.full(N, np.nan, dtype=np.float32)
    frame["clinic__sex"] = np.array([*(["m", "f"] * (N // 2))[:-1], None], dtype=object)
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


def test_class_weighted__pretends_no_frequencies():
    """Weights teach what tells a rare class apart, and not that it is frequent."""
    labels = np.repeat(["common", "rare"], [30, 10])
    blind = np.zeros((40, 1))

    for power in (0.0, 0.5, 1.0):
        model = ClassWeighted(DummyClassifier(strategy="prior"), power=power).fit(blind, labels)
        np.testing.assert_allclose(model.predict_proba(blind)[0], [0.75, 0.25])


VARIANTS = {
    **{name: {"name": name} for name in CLASSIFIERS},
    "adasyn": {"name": "adasyn", "model": "lightgbm", "sampler": "adasyn"},
    "loras": {"name": "loras", "model": "elastic_net", "sampler": "loras"},
    "plain": {"name": "plain", "model": "extra_trees", "sampler": "none", "defaults": "library"},
    "late": {"name": "late", "model": "lightgbm", "fusion": "late"},
    "stacking": {"name": "stacking", "model": "extra_trees", "fusion": "stacking"},
    "dropout": {"name": "dropout", "model": "lightgbm", "modality_dropout": 0.5},
    "selected": {"name": "selected", "model": "elastic_net", "select": 2},
}
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def recipe(variant, seed=1):
    """Unfitted estimator of a variant."""
    given = Input({"rna": "expression", "clinic": "clinical"})
    return build_recipe(Recipe.model_validate(VARIANTS[variant]), seed=seed, given=given)


@every_variant
def test_recipe__learns_and_repeats_exactly(variant, features, labels):
    """Same seed, same probabilities: a frame id and a seed must be enough to get a model back."""
    first = recipe(variant).fit(features, labels)
    again = recipe(variant).fit(features, labels)

    probabilities = first.predict_proba(features)
    assert (first.predict(features) == labels).mean() > 0.95
    assert first.classes_.tolist() == ["AML, NOS", "t(8;21)"]
    np.testing.assert_array_equal(probabilities, again.predict_proba(features))


@pytest.mark.parametrize("variant", ["lightgbm", "xgboost", "extra_trees", "adasyn"])
def test_recipe__draws_with_its_seed(variant, features, labels):
    """A seed that goes nowhere would make every repeat the same one."""
    probabilities = [
        recipe(variant, seed).fit(features, labels).predict_proba(features) for seed in (1, 2)
    ]

    assert not np.array_equal(*probabilities)


@every_variant
def test_recipe__predicts_a_patient_with_nothing_measured(variant, features, labels):
    """A new patient may lack every assay and have a category never seen."""
    model = recipe(variant).fit(features, labels)
    nothing = features.head(1).copy()
    nothing.loc[:, is_number(nothing)] = np.float32(np.nan)
    nothing["clinic__sex"] = "unheard of"

    probabilities = model.predict_proba(nothing)

    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(), 1.0)


@every_variant
def test_recipe__clones_to_an_unfitted_one(variant, features, labels):
    """Cross-validation relies on it: a clone must have forgotten the patients."""
    refuse_fitted(clone(recipe(variant).fit(features, labels)))


@pytest.mark.parametrize("variant", ["lightgbm", "extra_trees", "late", "selected"])
def test_worth_storing__changes_no_prediction(variant, features, labels):
    """The stored model asks for fewer columns; it must be the model that was evaluated."""
    slim = worth_storing(features)

    assert list(slim) == [
        "rna__block[a]", "rna__block[b,c]", "rna__d::e", "rna__gene", "clinic__sex"
    ]  # fmt: skip
    np.testing.assert_array_equal(
        recipe(variant).fit(slim, labels).predict_proba(slim),
        recipe(variant).fit(features, labels).predict_proba(features),
    )


def test_recipe__selects_positions_of_blocks_only(features, labels):
    """Scalars are chosen by people: selection by variance must not drop an age."""
    declared = Recipe.model_validate({"name": "one", "model": "elastic_net", "select": 1})
    model = build_recipe(declared, seed=1).fit(features, labels)

    names = list(model.named_steps["encode"].get_feature_names_out())
    assert [name for name in names if name.startswith("rna__block")] == ["rna__block[b,c]"]
    assert {"rna__d::e", "rna__gene"} <= set(names)


def test_recipe__normalizes_counts_within_the_fold(labels):
    """Depth is no biology: a library of ten times the reads must look the same to the model."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(80, size=(N, 30)).astype(np.float32)
    counts[N // 2 :, 0] *= 3
    names = [f"expression_features__expression[G{i}]" for i in range(30)]
    shallow = pd.DataFrame(counts, columns=names)
    model = build_recipe(
        Recipe.model_validate("elastic_net"), seed=1, given=Input(counts=True)
    ).fit(shallow, labels)

    np.testing.assert_allclose(
        model.predict_proba(shallow), model.predict_proba(shallow * 10), atol=0.02
    )


def test_is_category__splits_a_design_matrix(features):
    assert features.columns[is_category(features)].tolist() == ["clinic__sex"]
    assert (is_number(features) != is_category(features)).all()
