"""Cross-validation: nothing of a tested patient reaches the model that is tested."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

from assets.errors import StudyError
from ml.design_matrix import DesignMatrix
from ml.folds import assign_folds, out_of_fold
from ml.recipes import build_recipe
from ml.study import CrossValidation

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


def test_out_of_fold__forgets_a_step_that_was_fitted_on_everybody(noise):
    """Genes selected on all patients make permuted labels look predictable; here they do not."""
    selector = SelectKBest(f_classif, k=10)
    leaky = Pipeline([("select", selector), ("nb", GaussianNB())]).fit(noise.features, noise.labels)
    folds = assign_folds(noise.patient_ids, noise.labels, PLAN)
    seen_before = selector.transform(noise.features)

    honest = out_of_fold(leaky, noise, folds)
    leaking = out_of_fold(Pipeline([("nb", GaussianNB())]), make_matrix(seen_before, noise.labels),
                          folds)  # fmt: skip

    truth = noise.labels == "b"
    assert (leaking.argmax(axis=2) == truth).mean() > 0.7
    # Two standard errors of a fair coin thrown 120 times.
    assert abs((honest.argmax(axis=2) == truth).mean() - 0.5) < 2 * np.sqrt(0.25 / 120)


def test_out_of_fold__permuted_labels_sit_at_chance_with_a_shipped_recipe(noise):
    folds = assign_folds(noise.patient_ids, noise.labels, PLAN)

    predicted = out_of_fold(build_recipe("lightgbm", seed=0), noise, folds).argmax(axis=2)

    assert abs((predicted == (noise.labels == "b")).mean() - 0.5) < 3 * np.sqrt(0.25 / 120)


def test_out_of_fold__same_predictions_with_any_number_of_workers(noise):
    """Threads must not change a number, and every fold is reported once."""
    folds = assign_folds(noise.patient_ids, noise.labels, PLAN)
    recipe = build_recipe("lightgbm", seed=5)
    done: list[None] = []

    alone = out_of_fold(recipe, noise, folds, fold_done=lambda: done.append(None))
    together = out_of_fold(recipe, noise, folds, workers=3)

    np.testing.assert_array_equal(alone, together)
    assert len(done) == PLAN.folds * PLAN.repeats


def test_out_of_fold__refuses_folds_of_other_patients(noise):
    folds = assign_folds(noise.patient_ids[:100], noise.labels[:100], PLAN)

    with pytest.raises(StudyError, match="folds are those of other patients"):
        out_of_fold(Pipeline([("prior", DummyClassifier())]), noise, folds)
