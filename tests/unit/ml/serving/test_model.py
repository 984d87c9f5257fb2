"""Stored models: what comes back from the file, and what a foreign file may not bring."""

import json

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from ml.evaluation.calibrators import Scaling
from ml.evaluation.conformal import ClassThresholds
from ml.pipelines.encoding import is_category
from ml.pipelines.recipes import Input, build_recipe
from ml.serving.inputs import Inputs
from ml.serving.model import ServedModel, load_served
from ml.study.definition import load_study, study_names
from ml.study.modelling import CLASSIFIERS, Conformal, Recipe
from oncoframe.errors import StudyError

pytestmark = pytest.mark.slow

N = 60
VIEWS = {"expression_features": "expression", "clinical_features": "clinical"}
CLASSES = np.array(["AML, NOS", "APL", "t(8;21)"], dtype=object)
VARIANTS = {
    **{name: {"name": name} for name in CLASSIFIERS},
    **{
        f"plain {name}": {"name": name, "defaults": "library", "sampler": "none"}
        for name in CLASSIFIERS
    },
    "late": {"name": "late", "model": "lightgbm", "fusion": "late"},
    "stacking": {"name": "stacking", "model": "xgboost", "fusion": "stacking"},
    "adasyn": {"name": "adasyn", "model": "lightgbm", "sampler": "adasyn"},
    "loras": {"name": "loras", "model": "elastic_net", "sampler": "loras"},
    "dropout": {"name": "dropout", "model": "lightgbm", "modality_dropout": 0.5},
    "selected": {"name": "selected", "model": "elastic_net", "select": 3},
    **{
        f"{study} {recipe.name}": recipe.model_dump(exclude_unset=True)
        for study in study_names()
        for recipe in load_study(study).recipes
        if not (recipe.is_survival or recipe.is_network)
    },
}


@pytest.fixture(scope="module")
def features():
    """Counts of four genes, one number, one category."""
    rng = np.random.default_rng(1)
    truth = np.arange(N) % 3
    counts = rng.poisson(60, size=(N, 4)).astype(np.float32)
    counts[np.arange(N), truth] *= 3
    frame = pd.DataFrame(
        counts, columns=[f"expression_features__expression[G{i}]" for i in range(4)]
    )
    frame.insert(0, "clinical_features__age", rng.normal(60, 9, N).astype(np.float32))
    frame["clinical_features__sex"] = np.array(["f", "m"] * (N // 2), dtype=object)
    return frame


def served(variant, features):
    given = Input(VIEWS, True)
    recipe = build_recipe(Recipe.model_validate(VARIANTS[variant]), seed=1, given=given)
    return ServedModel(
        model=recipe.fit(features, CLASSES[np.arange(N) % 3]),
        classes=CLASSES,
        inputs=Inputs(
            tuple(features.columns),
            tuple(features.columns[is_category(features)]),
            VIEWS,
            {"expression": "expression_features__expression_performed"},
        ),
        calibrator=Scaling("temperature", (0.8,)),
        thresholds=ClassThresholds((0.2, 0.3, -1.0)),
        conformal=Conformal(),
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_served_model__comes_back_from_its_folder(variant, features, tmp_path):
    """Every recipe must be storable without pickle, and answer the same to 1e-9."""
    model = served(variant, features)

    model.save(tmp_path / "model")
    again = load_served(tmp_path / "model")

    assert not list(tmp_path.rglob("*.pkl"))
    one, other = model.predict(features), again.predict(features)
    pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0, atol=1e-9)
    np.testing.assert_allclose(one.filter(like="p[").sum(axis=1), 1)


def test_load_served__says_that_a_model_is_of_before(features, tmp_path):
    """Its probabilities would be those of weighted patients."""
    served("lightgbm", features).save(tmp_path)
    about = json.loads((tmp_path / "served.json").read_text())
    del about["calibrator"]
    (tmp_path / "served.json").write_text(json.dumps({**about, "power": 0.8}))

    with pytest.raises(StudyError, match="older version"):
        load_served(tmp_path)


def test_predict__sets_follow_the_thresholds_and_abstention_the_sets(features):
    model = served("lightgbm", features)

    answer = model.predict(features.head(5))

    for _, row in answer.iterrows():
        held = json.loads(row["prediction_set"])
        expected = [
            name for name, least in zip(CLASSES, (0.2, 0.3, -1.0), strict=True)
            if row[f"p[{name}]"] >= least
        ]  # fmt: skip
        assert held == expected
        assert row["abstained"] == (len(held) != 1)


def test_explain__names_columns_of_trees_and_nothing_otherwise(features):
    model = served("lightgbm", features)

    reasons = model.explain(features.head(1), "APL", count=3)

    assert 0 < len(reasons) <= 3
    assert {reason.feature for reason in reasons} <= set(
        model.model.named_steps["encode"].get_feature_names_out()
    )
    assert served("extra_trees", features).explain(features.head(1), "APL") == []


def test_load_served__refuses_foreign_types(features, tmp_path):
    """A model file is data from elsewhere; it must not bring code along."""
    model = served("lightgbm", features)
    model.save(tmp_path)
    skops.io.dump(Pipeline([("x", FunctionTransformer(json.dumps))]), tmp_path / "model.skops")

    with pytest.raises(StudyError, match=r"holds foreign types; got json\.dumps"):
        load_served(tmp_path)
