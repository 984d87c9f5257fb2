"""Search: the budget, going on where it stopped, and who it never sees."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from ml.frames.design_matrix import DesignMatrix
from ml.pipelines.recipes import Input
from ml.study.modelling import CrossValidation, Recipe, Search
from ml.training.folds import assign_folds
from ml.training.procedure import Procedure, predict_out_of_fold
from ml.training.search import Searcher

pytestmark = pytest.mark.slow

N = 60
CLASSES = np.array(["a", "b"], dtype=object)


@pytest.fixture
def cohort():
    rng = np.random.default_rng(1)
    truth = np.arange(N) % 2
    values = rng.normal(size=(N, 4)) + truth[:, None]
    return pd.DataFrame(values.astype(np.float32), columns=list("wxyz")), CLASSES[truth]


def searcher(database=None, trials=6, build=None, **plan):
    return Searcher(
        Search(trials=trials, inner_folds=3, **plan),
        build or (lambda settings: LogisticRegression(**settings)),
        {"C": (1e-4, 10.0, True)},
        seed=3,
        database=database,
        prefix="toy ",
        start={"C": 1.0},
    )


def test_search__begins_with_the_recipe_and_repeats_exactly(cohort):
    first = searcher().run("fold", *cohort, CLASSES)
    again = searcher().run("fold", *cohort, CLASSES)

    assert len(first.trials) == 6
    assert first.trials[0].settings == {"C": 1.0}
    assert first.settings == again.settings
    done = [trial.value for trial in first.trials if trial.state == "complete"]
    best = next(t for t in first.trials if t.settings == first.settings)
    assert best.value == min(done)


def test_search__goes_on_where_it_stopped(cohort, tmp_path):
    """Six trials, then ten: four are new, and a third run tries nothing again."""
    calls = []

    def build(settings):
        calls.append(settings)
        return LogisticRegression(**settings)

    database = tmp_path / "trials.db"
    first = searcher(database, 6, build).run("fold", *cohort, CLASSES)
    assert len(calls) == 6
    second = searcher(database, 10, build).run("fold", *cohort, CLASSES)
    assert len(calls) == 10
    third = searcher(database, 10, build).run("fold", *cohort, CLASSES)

    assert len(calls) == 10
    assert [t.settings for t in second.trials[:6]] == [t.settings for t in first.trials]
    assert third.settings == second.settings


def test_search__gives_up_what_is_behind(cohort):
    """Pruning is what makes thirty trials affordable."""

    def build(settings):
        return LogisticRegression() if settings["C"] > 0.1 else DummyClassifier()

    found = searcher(trials=15, build=build).run("fold", *cohort, CLASSES)

    states = {trial.state for trial in found.trials}
    assert states == {"complete", "pruned"}
    assert found.settings["C"] > 0.1


def test_search__draws_patients_by_class(cohort):
    """On large frames trials are judged on fewer patients; a rare class must not vanish."""
    sizes = []

    class Spy(LogisticRegression):
        def fit(self, X, y):  # noqa: N803
            sizes.append((len(X), len(set(y))))
            return super().fit(X, y)

    searcher(trials=1, build=lambda _: Spy(), patients=30).run("fold", *cohort, CLASSES)

    assert sizes == [(20, 2)] * 3


def test_nested__the_search_of_a_fold_sees_training_patients_only(cohort, monkeypatch):
    """A search over everybody would report the luck of its settings as skill."""
    features, labels = cohort
    ids = np.array([f"P{i:02d}" for i in range(N)], dtype=object)
    features["id"] = np.arange(N, dtype=np.float32)
    matrix = DesignMatrix(ids, labels, features, ("snv",) * 5)
    folds = assign_folds(ids, labels, CrossValidation(folds=3, repeats=1, seed=1))
    seen = []
    run = Searcher.run

    def watched(self, name, given, *more):
        seen.append(set(given["id"].astype(int)))
        return run(self, name, given, *more)

    monkeypatch.setattr(Searcher, "run", watched)
    recipe = Recipe.model_validate(
        {"name": "s", "model": "elastic_net", "search": {"trials": 2, "inner_folds": 2}}
    )

    predict_out_of_fold(Procedure(recipe, Input(), seed=1), matrix, folds)

    expected = [set(np.flatnonzero(fold.train)) for fold in folds]
    assert seen == expected
