"""Guards: what is refused by name, and the single-column test against scikit-learn."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from ml.frames import leakage as guards
from ml.frames.frame import FrameColumn
from ml.study.definition import Guards
from oncoframe.errors import StudyError

WHEN = datetime(2020, 1, 1, tzinfo=UTC)


def column(feature="f", known="at_index", kind="scalar"):
    about = {"modality": "clinical", "unit": "1", "kind": kind}
    return FrameColumn.model_validate({**about, "feature": feature, "known": known})


def auc(values, labels):
    return guards.single_column_auc(pl.Series("x", values), np.asarray(labels))


def test_refuse_late_columns__names_each():
    """One named at a time, a person fixes one at a time."""
    columns = {"b": column(known="after_index"), "a": column(known="after_index"), "c": column()}

    with pytest.raises(StudyError, match=r"only after the index event.* got a, b"):
        guards.refuse_late_columns(columns, where="study toy")
    guards.refuse_late_columns({"c": column()}, where="study toy")


def test_refuse_label_columns__by_name_and_by_value():
    """The label under another column name scores perfectly and is worth nothing."""
    rows = pl.DataFrame(
        {
            "label": ["a", "b"],
            "x": [1, 2],
            "copy": ["a", "b"],
            "other": ["b", "b"],
            "half": ["a", None],
        }
    )
    columns = {"x": column("who"), "copy": column(), "other": column(), "half": column()}

    with pytest.raises(StudyError, match="the label who cannot be a feature; got x, copy"):
        guards.refuse_label_columns(rows, columns, label_name="who", where="study toy")


def test_refuse_mixed__null_says_nothing_and_two_values_are_refused():
    tables = {"t": pl.DataFrame({"unit": ["a", None]}), "u": pl.DataFrame({"other": [1]})}
    assert guards.refuse_mixed(tables, ["unit", "none"], where="s") == {"unit": "a", "none": None}

    tables["u"] = pl.DataFrame({"unit": ["b", "b"]})
    with pytest.raises(StudyError, match=r"got a \(1 rows of t\), b \(2 rows of u\)"):
        guards.refuse_mixed(tables, ["unit"], where="s")


@pytest.mark.parametrize(
    "leak",
    [
        pl.Series([1.0, 2.0] * 50),
        pl.Series([True, False] * 50),
        pl.Series([1.0, None] * 50),
        pl.Series(["dead", "alive"] * 50),
        pl.Series([None, "relapse"] * 50, dtype=pl.String),
        pl.Series([WHEN, WHEN + timedelta(days=9)] * 50),
        pl.Series([float(i) if i % 2 else 50.5 for i in range(100)]),
    ],
    ids=["number", "flag", "missing number", "text", "missing text", "time", "middle"],
)  # fmt: skip
def test_suspected_leaks__reports_a_perfect_column_of_every_kind(leak):
    """Time to death is null for the living: what is missing leaks as well as what is there."""
    rng = np.random.default_rng(1)
    rows = pl.DataFrame({"label": ["yes", "no"] * 50, "leak": leak, "noise": rng.normal(size=100)})

    suspects = guards.suspected_leaks(rows, threshold=0.95, min_patients=10)

    assert [suspect.column for suspect in suspects] == ["leak"]
    assert suspects[0].auc >= 0.99


def test_suspected_leaks__names_the_class_that_the_column_tells():
    """A fusion that defines one class of thirty is averaged away unless asked class by class."""
    labels = np.repeat(["APL", "CML", "NOS"], [20, 40, 60])
    rows = pl.DataFrame({"label": labels, "PML::RARA": labels == "APL"})

    assert guards.suspected_leaks(rows, threshold=0.95, min_patients=10) == [
        guards.Suspect("PML::RARA", "APL", 1.0)
    ]
    assert guards.suspected_leaks(rows, threshold=0.95, min_patients=21) == []


@pytest.mark.parametrize("distinct", [3, 500])
def test_single_column_auc__of_noise_is_one_half(distinct):
    """In-fold scores of 500 categories would separate anything: the test must be out of fold."""
    rng = np.random.default_rng(2)
    texts = [f"t{number}" for number in rng.integers(distinct, size=2000)]

    got = auc(texts, rng.integers(2, size=2000))

    np.testing.assert_allclose(got, 0.5, atol=0.04)


def test_single_column_auc__agrees_with_scikit_learn():
    """Independent truth: out-of-fold AUC of a tree on the same column and folds."""
    rng = np.random.default_rng(3)
    labels = rng.integers(3, size=3000)
    values = rng.normal(size=3000) + 0.8 * labels
    fold = guards._folds(labels)  # noqa: SLF001  (the same folds)
    expected = np.zeros(3)
    for held_out in range(guards.FOLDS):
        train = fold != held_out
        tree = DecisionTreeClassifier(max_leaf_nodes=16, random_state=0)
        scores = tree.fit(values[train, None], labels[train]).predict_proba(values[~train, None])
        expected += [
            roc_auc_score(labels[~train] == k, scores[:, k]) / guards.FOLDS for k in range(3)
        ]

    np.testing.assert_allclose(auc(values, labels), expected, atol=0.02)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_ranked__counts_pairs_as_scikit_learn_does(data):
    """Ties in the score are half right, whatever the order of the bins."""
    size = data.draw(st.integers(1, 8))
    scores = np.array(
        data.draw(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=size, max_size=size))
    )
    counts = np.array(data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)),
                                         min_size=size, max_size=size)), dtype=float)  # fmt: skip
    right, pairs = guards._ranked(np.c_[scores, scores], counts)  # noqa: SLF001

    inside = np.repeat(scores, counts[:, 0].astype(int))
    outside = np.repeat(scores, counts[:, 1].astype(int))
    assert pairs[0] == len(inside) * len(outside)
    if pairs[0]:
        truth = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
        expected = roc_auc_score(truth, np.r_[inside, outside])
        assert right[0] / pairs[0] == pytest.approx(expected)


def test_verdict__asks_no_vector_and_says_what_was_tested():
    rows = pl.DataFrame({"label": ["a", "b"] * 20, "leak": [1, 2] * 20, "vector": [[1.0]] * 40})
    columns = {"leak": column(), "vector": column(kind="block")}

    got = guards.verdict(rows, columns, Guards(), {"reference_build": "GRCh38"})

    assert got["verdict"] == "suspected leakage"
    assert got["columns_tested"] == 1
    assert got["suspected_leakage"] == [{"column": "leak", "label": "a", "auc": 1.0}]
    assert got["same"] == {"reference_build": "GRCh38"}
