"""Fitted steps: what is filled, what is kept, learned from the training fold alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from ml.pipelines.preprocessing import (
    AssayImputer,
    BiomarkerVarianceSelector,
    RareColumnFilter,
)
from oncoframe.errors import StudyError

NAN = np.nan


@parametrize_with_checks(
    [
        AssayImputer(),
        AssayImputer(fill="lowest"),
        BiomarkerVarianceSelector(n_columns=1),
        RareColumnFilter(),
    ]
)
def test_step__keeps_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def cnv():
    """Two bands and the flag: measured, a band missing, and not performed (with no value)."""
    return pd.DataFrame(
        {"5q": [1.0, 0.5, NAN, NAN], "17p": [2.0, NAN, 3.0, NAN], "done": [1, 1, 1, 0]},
        dtype=np.float32,
    )


def test_assay_imputer__fills_inside_a_performed_assay_only(cnv):
    """A patient whose assay failed must not look like one without any finding."""
    filled = {
        fill: AssayImputer(fill=fill, performed="done").fit(cnv).transform(cnv)
        for fill in ("zero", "lowest")
    }

    np.testing.assert_array_equal(
        filled["zero"], [[1, 2, 1], [0.5, 0, 1], [0, 3, 1], [NAN, NAN, 0]]
    )
    np.testing.assert_array_equal(
        filled["lowest"], [[1, 2, 1], [0.5, 2, 1], [0.5, 3, 1], [NAN, NAN, 0]]
    )
    assert filled["zero"].dtype == np.float32


def test_assay_imputer__without_a_flag_a_value_shows_the_assay(cnv):
    values = cnv[["5q", "17p"]].to_numpy()

    got = AssayImputer().fit(values).transform(values)

    np.testing.assert_array_equal(got, [[1, 2], [0.5, 0], [0, 3], [NAN, NAN]])


def test_assay_imputer__a_performed_assay_without_any_value_is_filled():
    """Sequenced, nothing found: with the flag it is zero; without it, it would stay unknown."""
    nothing_found = np.array([[1, NAN, NAN], [0, NAN, NAN]])

    got = AssayImputer(performed=0).fit(nothing_found).transform(nothing_found)

    np.testing.assert_array_equal(got, [[1, 0, 0], [0, NAN, NAN]])


def test_assay_imputer__takes_the_lowest_value_from_training_patients(cnv):
    """A test patient with a deletion must not lower what is filled in for the others."""
    fitted = AssayImputer(fill="lowest", performed="done").fit(cnv)
    new = pd.DataFrame({"5q": [0.01, NAN], "17p": [NAN, 9], "done": [1, 1]})

    assert fitted.transform(new)[:, :2].tolist() == [[pytest.approx(0.01), 2], [0.5, 9]]


def test_assay_imputer__a_column_never_seen_gets_the_lowest_of_the_assay(cnv):
    """Its own lowest is not known; the flag's 0 is no copy number."""
    train = cnv.assign(**{"9p": np.float32(NAN)})[["5q", "17p", "9p", "done"]]

    fitted = AssayImputer(fill="lowest", performed="done").fit(train)

    assert fitted.fill_values_[:3].tolist() == [0.5, 2.0, 0.5]


def test_assay_imputer__learns_nothing_from_a_fold_without_the_assay():
    nobody = np.array([[NAN, 0.0], [NAN, 0.0]])
    new = np.array([[NAN, 1.0]])

    for fill in ("zero", "lowest"):
        got = AssayImputer(fill=fill, performed=1).fit(nobody).transform(new)
        np.testing.assert_array_equal(got, new)


def test_assay_imputer__refuses_what_it_does_not_know(cnv):
    with pytest.raises(StudyError, match="no fill mean; expected zero or lowest"):
        AssayImputer(fill="mean").fit(cnv)
    with pytest.raises(StudyError, match="AssayImputer: a column of a step is not in its input"):
        AssayImputer(performed="performed").fit(cnv)
    with pytest.raises(StudyError, match="got 1 others"):
        AssayImputer(performed=3).fit(cnv.to_numpy())


@given(arrays(np.float64, (7, 5), elements=st.sampled_from([0.0, 1.0, -2.5, NAN])), st.data())
def test_assay_imputer__changes_nothing_that_is_known(values, data):
    """Nor fills a row without the assay, whatever the pattern of gaps."""
    flag = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=7, max_size=7)))
    matrix = np.column_stack([values, flag])

    got = AssayImputer(fill="lowest", performed=5).fit(matrix).transform(matrix)

    known = ~np.isnan(matrix)
    np.testing.assert_array_equal(got[known], matrix[known])
    np.testing.assert_array_equal(got[flag == 0], matrix[flag == 0])
    assert np.isnan(got[flag == 1]).sum() in (0, values[flag == 1].size)


@pytest.fixture
def genes():
    """Variances 0, 25, 1, 4 (one value missing), and a gene nobody has."""
    return pd.DataFrame(
        {
            "flat": [3.0, 3.0, 3.0, 3.0],
            "wild": [0.0, 10.0, 0.0, 10.0],
            "calm": [0.0, 2.0, 0.0, 2.0],
            "some": [0.0, 4.0, NAN, 2.0],
            "none": [NAN] * 4,
        },
        dtype=np.float32,
    )


@pytest.mark.parametrize(
    ("n_columns", "biomarkers", "kept"),
    [
        (2, [], ["wild", "some"]),
        (2, ["flat"], ["flat", "wild"]),
        (1, ["none", "flat"], ["flat", "none"]),
        (4, ["flat", "flat"], ["flat", "wild", "calm", "some"]),
        (99, [], ["flat", "wild", "calm", "some", "none"]),
    ],
)
def test_selector__keeps_biomarkers_then_variance(genes, n_columns, biomarkers, kept):
    """A rare hotspot varies least of all and decides the class: variance alone would drop it."""
    by_name = BiomarkerVarianceSelector(n_columns=n_columns, biomarkers=biomarkers).fit(genes)
    positions = [genes.columns.get_loc(name) for name in biomarkers]
    by_position = BiomarkerVarianceSelector(n_columns=n_columns, biomarkers=positions)

    assert by_name.get_feature_names_out().tolist() == kept
    np.testing.assert_array_equal(by_name.transform(genes), genes[kept].to_numpy())
    assert by_position.fit(genes.to_numpy()).support_.tolist() == by_name.support_.tolist()


def test_selector__decides_on_training_patients_and_first_of_equals():
    train = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    fitted = BiomarkerVarianceSelector(n_columns=2).fit(train)

    assert fitted.transform(np.array([[5.0, 6.0, 700.0]])).tolist() == [[5.0, 6.0]]


@given(arrays(np.float32, (6, 9), elements=st.floats(-100, 100, width=32)))
def test_selector__keeps_the_variances_that_pandas_finds_largest(values):
    """An independent ranking, across blocks of columns."""
    fitted = BiomarkerVarianceSelector(n_columns=4).fit(values)
    variance = pd.DataFrame(values.astype(np.float64)).var(ddof=0)

    assert fitted.support_.sum() == 4
    assert variance[fitted.support_].min() >= variance[~fitted.support_].max() - 1e-9


def test_selector__refuses_unknown_biomarkers(genes):
    """A misspelt biomarker that is silently not kept costs the class it defines."""
    with pytest.raises(StudyError, match="got 1 others"):
        BiomarkerVarianceSelector(biomarkers=["wild", "NPM2"]).fit(genes)
    with pytest.raises(StudyError, match="n_columns of 1 or more"):
        BiomarkerVarianceSelector(n_columns=0).fit(genes)


def test_steps__work_in_a_column_transformer(cnv):
    """As a recipe uses them: one imputer per assay, chosen by mask; a clone forgets the fold."""
    step = AssayImputer(fill="lowest", performed="done")
    by_assay = ColumnTransformer(
        [("cnv", step, np.array([True, True, True]))], verbose_feature_names_out=False
    ).fit(cnv)

    assert by_assay.get_feature_names_out().tolist() == list(cnv)
    assert not hasattr(clone(by_assay.named_transformers_["cnv"]), "fill_values_")
