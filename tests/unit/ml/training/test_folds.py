"""Cross-validation: nothing of a tested patient reaches the model that is tested."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

from ml.frames.design_matrix import DesignMatrix
from ml.pipelines.recipes import build_recipe
from ml.study.modelling import CrossValidation, Recipe
from ml.training.folds import NEVER, Folds, assign_folds, out_of_fold
from oncoframe.errors import StudyError

PLAN = CrossValidation(folds=5, repeats=2, seed=7)


def make_matrix(values: np.ndarray, labels: np.ndarray) -> DesignMatrix:
    names = [f"f{i}" for i in range(values.shape[1])]
    return DesignMatrix(
        patient_ids=np.array([f"P{i:04d}" for i in range(len(labels))], dtype=object),
        labels=labels,
        features=pd.DataFrame(values.astype(np.float32), columns=names),
        modalities=("snv",) * len(names),
    )


@pytest.fixture
def noise():
    """More columns than patients, and labels that have nothing to do with them."""
    rng = np.random.default_rng(11)
    return make_matrix(rng.normal(size=(120, 400)), rng.permutation(np.repeat(["a", "b"], 60)))


def test_assign_folds__tests_every_patient_once_per_repeat_and_keeps_shares(noise):
    labels = np.repeat(["a", "b", "c"], [60, 40, 20])

    folds = assign_folds(noise.patient_ids, labels, PLAN)

    assert folds.test_fold.shape == (2, 120)
    for row in folds.test_fold:
        table = pd.crosstab(row, labels)
        assert table.to_numpy().tolist() == [[12, 8, 4]] * 5
    assert (folds.test_fold[0] != folds.test_fold[1]).any()


def test_assign_folds__depend_on_patients_labels_and_seed_only(noise):
    """Paired comparisons need the same folds for every recipe and modality set."""
    again = assign_folds(noise.patient_ids, noise.labels, PLAN)
    other = assign_folds(noise.patient_ids, noise.labels, PLAN.model_copy(update={"seed": 8}))

    first = assign_folds(noise.patient_ids, noise.labels, PLAN)
    np.testing.assert_array_equal(first.test_fold, again.test_fold)
    assert (first.test_fold != other.test_fold).any()
    assert first.table().columns == ["patient_id", "repeat_0", "repeat_1"]


@pytest.mark.parametrize(
    ("patients", "labels", "sentence"),
    [
        (["P1", "P1", "P2", "P3"], ["a", "a", "b", "b"], "sorted rows, one per patient"),
        (["P2", "P1", "P3", "P4"], ["a", "a", "b", "b"], "sorted rows, one per patient"),
        (["P1", "P2", "P3", "P4"], ["a"] * 4, "two classes or more; got only a"),
        (["P1", "P2", "P3"], ["a", "a", "b"], "class b has fewer .*; expected at least 2, got 1"),
    ],
)
def test_assign_folds__refuses_what_cannot_be_split_by_patient(patients, labels, sentence):
    """A patient with two rows would be trained and tested on at once."""
    plan = CrossValidation(folds=2, repeats=1, seed=0)

    with pytest.raises(StudyError, match=sentence):
        assign_folds(np.array(patients), np.array(labels), plan)


class Recorder(TransformerMixin, BaseEstimator):
    """Passes data on and remembers which patients (rows) it was fitted on."""

    seen: list[set[int]] = []  # noqa: RUF012, shared by the clones on purpose

    def fit(self, X, _y=None):  # noqa: N803
        Recorder.seen.append(set(X.iloc[:, 0].astype(int)))
        return self

    def transform(self, X):  # noqa: N803
        return X


def test_out_of_fold__no_step_is_fitted_on_a_tested_patient():
    labels = np.array(["a", "b"] * 30)
    matrix = make_matrix(np.arange(60.0).reshape(-1, 1), labels)
    folds = assign_folds(matrix.patient_ids, labels, PLAN)
    Recorder.seen = []

    out_of_fold(Pipeline([("spy", Recorder()), ("nb", GaussianNB())]), matrix, folds)

    jobs = [(repeat, fold) for repeat in range(2) for fold in range(5)]
    assert len(Recorder.seen) == len(jobs)
    for fitted_on, (repeat, fold) in zip(Recorder.seen, jobs, strict=True):
        assert fitted_on == set(np.flatnonzero(folds.test_fold[repeat] != fold))


def test_out_of_fold__a_selector_inside_the_fold_finds_nothing_in_noise(noise):
    """Genes selected on all patients make permuted labels look predictable; here they do not."""
    selector = SelectKBest(f_classif, k=10)
    recipe = Pipeline([("select", selector), ("nb", GaussianNB())])
    folds = assign_folds(noise.patient_ids, noise.labels, PLAN)
    seen_before = clone(selector).fit_transform(noise.features, noise.labels)

    honest = out_of_fold(recipe, noise, folds)
    leaking = out_of_fold(Pipeline([("nb", GaussianNB())]), make_matrix(seen_before, noise.labels),
                          folds)  # fmt: skip

    truth = noise.labels == "b"
    assert (leaking.argmax(axis=2) == truth).mean() > 0.7
    # Two standard errors of a fair coin thrown 120 times.
    assert abs((honest.argmax(axis=2) == truth).mean() - 0.5) < 2 * np.sqrt(0.25 / 120)


def test_out_of_fold__refuses_a_transformer_fitted_on_everybody(noise):
    """The classic leak: fit once on all patients, then cross-validate what comes after."""
    selector = SelectKBest(f_classif, k=10).fit(noise.features, noise.labels)
    folds = assign_folds(noise.patient_ids, noise.labels, PLAN)

    with pytest.raises(StudyError, match="fitted outside the training fold; got a fitted Select"):
        out_of_fold(Pipeline([("select", selector), ("nb", GaussianNB())]), noise, folds)


def test_out_of_fold__refuses_patients_made_by_a_sampler(noise):
    """Oversampled before the split, copies of a tested patient would be trained on."""
    folds = assign_folds(noise.patient_ids, noise.labels, PLAN)
    twice = np.concatenate([np.arange(120), np.arange(60)])
    resampled = DesignMatrix(
        noise.patient_ids[twice], noise.labels[twice], noise.features.iloc[twice], ("snv",) * 500
    )

    with pytest.raises(StudyError, match="folds are those of other patients"):
        out_of_fold(Pipeline([("nb", GaussianNB())]), resampled, folds)
    with pytest.raises(StudyError, match="sorted rows, one per patient"):
        assign_folds(resampled.patient_ids, resampled.labels, PLAN)


def test_assign_folds__by_site_keeps_sites_whole_and_folds_even():
    """A site in training and test would let the model learn the site."""
    rng = np.random.default_rng(3)
    sites = rng.choice([f"S{i}" for i in range(9)], size=200)
    ids = np.array([f"P{i:03d}" for i in range(200)])
    plan = CrossValidation(folds=3, repeats=2, seed=1, split="site")

    folds = assign_folds(ids, rng.choice(["a", "b"], size=200), plan, sites=sites)

    for row in folds.test_fold:
        assert all(len(set(row[sites == site])) == 1 for site in set(sites))
        assert (
            np.bincount(row).max() - np.bincount(row).min()
            <= np.unique(sites, return_counts=True)[1].max()
        )
    assert not np.array_equal(*folds.test_fold)


def test_assign_folds__in_time_never_learns_from_the_future():
    """Trained on 2023 and tested on 2019, a model would know later practice."""
    rng = np.random.default_rng(4)
    times = np.datetime64("2019-01-01") + rng.integers(0, 900, size=100)
    ids = np.array([f"P{i:03d}" for i in range(100)])
    plan = CrossValidation(folds=4, repeats=1, seed=1, split="time")

    folds = assign_folds(ids, np.resize(["a", "b"], 100), plan, times=times)

    assert len(folds) == 4
    for fold in folds:
        assert times[fold.train].max() < times[fold.test].min()
    assert (folds.test_fold[0] == NEVER).sum() == pytest.approx(20, abs=2)
    assert folds.tested.sum() == (folds.test_fold[0] >= 0).sum()


@pytest.mark.parametrize(
    ("split", "more", "sentence"),
    [
        ("site", {}, "does not say where patients were seen"),
        ("site", {"sites": np.array(["A", "A", "B", "B"])}, "fewer sites than folds"),
        ("time", {}, "needs the index time"),
        ("time", {"times": np.full(4, np.datetime64("2020-01-01"))}, "share an index time"),
    ],
)
def test_assign_folds__refuses_a_split_that_the_frame_does_not_carry(split, more, sentence):
    ids, labels = np.array(["P1", "P2", "P3", "P4"]), np.array(["a", "b", "a", "b"])
    plan = CrossValidation(folds=3, repeats=1, seed=0, split=split)

    with pytest.raises(StudyError, match=sentence):
        assign_folds(ids, labels, plan, **more)


def test_out_of_fold__a_class_unknown_to_a_fold_gets_no_probability():
    """By site, a class may be in one fold only: columns must not shift to other classes."""
    labels = np.array(["a", "b", "a", "b", "c", "c"])
    matrix = make_matrix(np.arange(12.0).reshape(6, 2), labels)
    folds = Folds(matrix.patient_ids, np.array([[0, 0, 1, 1, 1, 1]]))

    predicted = out_of_fold(Pipeline([("prior", DummyClassifier())]), matrix, folds)

    np.testing.assert_allclose(predicted[0, :2], [[0.25, 0.25, 0.5]] * 2)
    np.testing.assert_allclose(predicted[0, 2:], [[0.5, 0.5, 0.0]] * 4)


def test_out_of_fold__permuted_labels_sit_at_chance_with_a_shipped_recipe(noise):
    folds = assign_folds(noise.patient_ids, noise.labels, PLAN)

    predicted = out_of_fold(
        build_recipe(Recipe.model_validate("lightgbm"), seed=0), noise, folds
    ).argmax(axis=2)

    assert abs((predicted == (noise.labels == "b")).mean() - 0.5) < 3 * np.sqrt(0.25 / 120)


@pytest.mark.slow
def test_out_of_fold__same_predictions_with_any_number_of_workers(noise):
    """Threads must not change a number, and every fold is reported once."""
    folds = assign_folds(noise.patient_ids, noise.labels, PLAN)
    recipe = build_recipe(Recipe.model_validate("lightgbm"), seed=5)
    done: list[None] = []

    alone = out_of_fold(recipe, noise, folds, fold_done=lambda: done.append(None))
    together = out_of_fold(recipe, noise, folds, workers=3)

    np.testing.assert_array_equal(alone, together)
    assert len(done) == PLAN.folds * PLAN.repeats


def test_out_of_fold__refuses_folds_of_other_patients(noise):
    folds = assign_folds(noise.patient_ids[:100], noise.labels[:100], PLAN)

    with pytest.raises(StudyError, match="folds are those of other patients"):
        out_of_fold(Pipeline([("prior", DummyClassifier())]), noise, folds)
