"""Networks in the engine of all studies: folds, shuffled labels, storing, another site, leaks."""

import json

import numpy as np
import polars as pl
import pytest

from ml.frames.frame import read_frame
from ml.pipelines.recipes import build_recipe
from ml.serving.model import load_served
from ml.smears.bags import FIELDS, field_files, write_bag
from ml.smears.estimator import BagClassifier
from ml.smears.places import Places
from ml.study.definition import Study
from ml.study.modelling import Recipe, Search
from ml.training.classification import train
from ml.training.search import Searcher
from ml.training.validation import validate
from oncoframe.errors import LossNotFinite, StudyError

OPTIONS = {"size_px": 32, "epochs": 6, "batch_patients": 6, "held_out": 0}
KEY = f"smear_features__{FIELDS}"


@pytest.fixture(scope="session")
def study():
    return Study.model_validate(
        {
            "name": "toy",
            "title": "Class of a toy smear",
            "label": {"name": "who", "version": "1", "min_patients_per_class": 3},
            "clocks": {"index": "aspirate"},
            "features": {"service": "smear_v1"},
            "modality_sets": {"smear": ["smear"]},
            "recipes": [{"name": "resnet18", "options": OPTIONS}],
            "cross_validation": {"folds": 3, "repeats": 1, "seed": 1},
            "calibration": None,
        }
    )


def write_frame(folder, keys, labels, *, prefix, site):
    """Frame of patients whose fields have these keys."""
    folder.mkdir(exist_ok=True)
    about = {"modality": "smear", "unit": "1", "known": "at_index"}
    columns = {
        "smear_features__smear_performed": {
            **about, "feature": "smear_performed", "kind": "performed",
        },
        "smear_features__cells": {**about, "feature": "cells", "kind": "scalar"},
        KEY: {**about, "feature": FIELDS, "kind": "setting"},
    }  # fmt: skip
    ids = [f"{prefix}{number:02d}" for number in range(len(labels))]
    pl.DataFrame(
        {
            "patient_id": ids,
            "index_timestamp": pl.Series([0] * len(ids)).cast(pl.Datetime("us", "UTC")),
            "label": list(labels),
            "smear_features__smear_performed": True,
            "smear_features__cells": [float(number % 4) for number in range(len(ids))],
            KEY: list(keys),
        }
    ).write_parquet(folder / "frame.parquet")
    pl.DataFrame({"patient_id": ids, "site": site}).write_parquet(folder / "sites.parquet")
    sidecar = {"frame_id": folder.name, "study": "toy", "label_name": "who", "columns": columns}
    (folder / "frame.json").write_text(json.dumps(sidecar))
    return folder


@pytest.fixture(scope="session")
def frame_dir(cohort, tmp_path_factory):
    keys, labels = cohort
    folder = tmp_path_factory.mktemp("frames")
    return write_frame(folder / "inner", keys.iloc[:, 0], labels, prefix="P", site="north")


@pytest.fixture(scope="session")
def trained(study, frame_dir, bags):
    return train(study, frame_dir, places=Places(bags))


def test_train__evaluates_a_network_like_any_recipe(trained):
    [model] = trained.results
    assert model.evaluation.metrics["auroc"].value > 0.9
    assert model.probabilities.shape == (1, 24, 2)
    np.testing.assert_allclose(model.probabilities.sum(axis=2), 1)
    assert trained.permuted[0].evaluation.metrics["auroc"].value < 0.9


def test_train__shows_nobody_in_the_example_of_the_model(trained):
    """The key of a patient's fields leads to the patient."""
    [model] = trained.results
    assert model.typical_patient.iloc[0].tolist() == [None]


def test_train__stores_a_network_that_answers_the_same(trained, frame_dir, bags, tmp_path):
    [model] = trained.results
    model.served.save(tmp_path)
    loaded = load_served(tmp_path).with_bags(bags)
    frame = read_frame(frame_dir)

    np.testing.assert_array_equal(
        loaded.probabilities(loaded.features_of(frame)),
        model.served.probabilities(model.served.features_of(frame)),
    )


def test_validate__asks_about_a_site_that_was_never_seen(
    trained, frame_dir, make_bags, bags, tmp_path
):
    keys, labels = make_bags(["a", "b"] * 6, seed=7)
    elsewhere = write_frame(tmp_path / "e", keys.iloc[:, 0], labels, prefix="E", site="east")
    found = validate(
        trained.best.served.with_bags(bags), read_frame(elsewhere), read_frame(frame_dir), seed=1
    )
    assert found.as_dict()["patients"] == 12
    assert found.evaluation.metrics["auroc"].value > 0.8


@pytest.mark.parametrize(
    ("prefix", "site", "message"),
    [("P", "east", "learned from patients"), ("E", "north", "other patients of the site")],
)
def test_validate__refuses_whom_the_training_saw(
    trained, frame_dir, cohort, tmp_path, prefix, site, message
):
    """A validation on the training patients would be the best one of all."""
    keys, labels = cohort
    seen = write_frame(tmp_path / "seen", keys.iloc[:, 0], labels, prefix=prefix, site=site)
    with pytest.raises(StudyError, match=message):
        validate(trained.best.served, read_frame(seen), read_frame(frame_dir), seed=1)


@pytest.mark.parametrize("change", [np.copy, np.rot90, np.fliplr], ids=["same", "turn", "mirror"])
def test_train__refuses_a_field_of_a_tested_patient_in_training(
    study, cohort, bags, tmp_path, change
):
    """A field filed under two names, or a copy augmented before the split."""
    keys, labels = cohort
    leaked = np.load(field_files(bags / keys.iloc[0, 0])[0])
    own = np.load(field_files(bags / keys.iloc[1, 0])[0])
    keys = keys.copy()
    keys.iloc[1, 0] = write_bag(bags, [own, np.ascontiguousarray(change(leaked))]).name
    frame = write_frame(tmp_path / "leak", keys.iloc[:, 0], labels, prefix="P", site="north")
    with pytest.raises(StudyError, match="share a field"):
        train(study, frame, places=Places(bags))


def test_train__refuses_another_specimen_of_a_patient_as_a_row(study, cohort, bags, tmp_path):
    """Two specimens of one patient in one frame would be tested on each other."""
    keys, labels = cohort
    frame = write_frame(tmp_path / "twice", keys.iloc[:, 0], labels, prefix="P", site="north")
    rows = pl.read_parquet(frame / "frame.parquet")
    twice = rows.with_columns(patient_id=pl.col("patient_id").replace("P01", "P00"))
    twice.write_parquet(frame / "frame.parquet")
    with pytest.raises(StudyError, match="a patient has one row"):
        train(study, frame, places=Places(bags))


def test_train__hands_a_network_no_field_of_a_tested_patient(study, frame_dir, bags, monkeypatch):
    """Whatever is read while a fold is fitted belongs to patients whom it does not test."""
    from ml.smears import fitting  # noqa: PLC0415

    taught = []

    def fit(plan, patients, classes, *, checkpoints):
        del checkpoints
        taught.append({bag.name for bag in patients.bags})
        network = fitting.new_network(plan, classes)
        weights = {name: values.numpy() for name, values in network.state_dict().items()}
        return fitting.Fitted(weights, (1.0,), (1.0,))

    monkeypatch.setattr(fitting, "fit_network", fit)
    found = train(study.model_copy(update={"permuted_labels": 0}), frame_dir, places=Places(bags))

    keys = read_frame(frame_dir).rows[KEY].to_numpy()
    assert len(taught) == 4
    for fold, seen in zip(found.folds, taught, strict=False):
        assert seen == set(keys[fold.train])
        assert not seen & set(keys[fold.test])


def test_search__tells_by_which_guard_a_trial_was_ended(cohort, bags, monkeypatch):
    """A trial that exploded must not stand there as one that was merely worse."""
    keys, labels = cohort
    recipe = Recipe.model_validate({"name": "resnet18", "options": {**OPTIONS, "epochs": 1}})
    fit, calls = BagClassifier.fit, []

    def sometimes(self, features, truth):
        calls.append(self.learning_rate)
        if len(calls) == 1:
            raise LossNotFinite("the loss is no number")
        return fit(self, features, truth)

    monkeypatch.setattr(BagClassifier, "fit", sometimes)

    def build(settings):
        from ml.pipelines.recipes import Input  # noqa: PLC0415

        return build_recipe(recipe, seed=1, given=Input(places=Places(bags)), settings=settings)

    from ml.pipelines.recipes import space_of  # noqa: PLC0415

    plan = Search(trials=2, inner_folds=2)
    found = Searcher(plan, build, space_of(recipe), 1).run("fold", keys, labels, np.unique(labels))

    assert [trial.state for trial in found.trials] == ["LossNotFinite", "complete"]
    assert found.settings["family"] == "resnet18"
    assert found.settings["pooling"] in {"mean", "attention"}
