"""TMM and log-CPM: edgeR's numbers, and nothing that a test patient could change."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from ml.pipelines.normalization import ImpossibleCounts, LogCpm, TmmNormalizer
from oncoframe.errors import ImpossibleValue

#: Six patients x 12 genes, invented; the first four are the training fold.
COUNTS = np.array(
    [
        [286, 160, 212, 410, 104, 44, 74, 20, 322, 4, 44, 12],
        [348, 236, 8, 160, 164, 40, 100, 20, 40, 300, 60, 108],
        [144, 20, 328, 136, 284, 72, 172, 64, 116, 276, 148, 0],
        [77, 1, 46, 34, 80, 131, 43, 8, 7, 273, 128, 7],
        [20, 84, 168, 48, 48, 0, 476, 172, 140, 404, 16, 188],
        [36, 150, 15, 432, 60, 6, 138, 66, 354, 24, 147, 0],
    ]
)
#: Their factors by RNAnorm 2.2.0 (``TMM().fit(COUNTS[:4]).get_norm_factors(COUNTS)``).
FACTORS = [
    0.7454928255733893,
    1.0185379545500055,
    1.2791105744371107,
    1.0296063808132185,
    0.9826702397189289,
    1.00769255781642,
]
TRAIN = COUNTS[:4]

#: scikit-learn's checks use patients without a read, which no normalisation can take.
EMPTY_LIBRARIES = {
    "check_estimators_dtypes": "its matrix of small integers has rows of zeros",
    "check_fit2d_1feature": "with one gene, a patient without it has no read at all",
}

#: Patients x 8 genes with at least one read in the first gene.
counts_of = st.integers(2, 6).flatmap(
    lambda n: arrays(np.float64, (n, 8), elements=st.integers(0, 5000).map(float)).map(
        lambda drawn: drawn + np.eye(1, 8)
    )
)


@parametrize_with_checks(
    [TmmNormalizer(), TmmNormalizer(log=False), LogCpm()],
    expected_failed_checks=lambda _: EMPTY_LIBRARIES,
)
def test_normalizer__keeps_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


def test_tmm__gives_the_factors_of_rnanorm_for_training_and_new_patients():
    """A rank or weight off by one changes every patient's expression a little, silently."""
    fitted = TmmNormalizer().fit(TRAIN)

    np.testing.assert_allclose(fitted.norm_factors(COUNTS), FACTORS, rtol=1e-12)
    assert np.prod(fitted.norm_factors(TRAIN)) == pytest.approx(1.0)


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, lambda c: c.astype(np.float32)])
def test_tmm__takes_frames_and_arrays_alike(make):
    fitted = TmmNormalizer().fit(make(TRAIN))

    factors = fitted.norm_factors(make(COUNTS))

    assert factors.shape == (6,)
    np.testing.assert_allclose(factors, FACTORS, rtol=1e-6)


@given(counts_of, counts_of)
def test_tmm__a_new_patient_changes_no_other(train, new):
    """Factors of a test fold computed together would leak one patient into the next."""
    fitted = TmmNormalizer().fit(train)
    alone = fitted.norm_factors(train)
    both = np.concatenate([new, train])

    np.testing.assert_array_equal(fitted.norm_factors(both)[len(new) :], alone)
    np.testing.assert_array_equal(
        fitted.transform(both)[len(new) :], TmmNormalizer().fit(train).transform(train)
    )
    assert np.exp(np.log(alone).mean()) == pytest.approx(1.0)


@given(counts_of, st.integers(2, 9))
def test_tmm__a_deeper_library_of_the_same_composition_has_the_same_expression(train, times):
    """Expression must not depend on how long the machine ran."""
    fitted = TmmNormalizer(log=False).fit(train)
    [reference] = np.flatnonzero((train == fitted.reference_).all(axis=1))[:1]

    deeper = fitted.transform(train[[reference]] * times)

    np.testing.assert_allclose(deeper, fitted.transform(train)[[reference]], rtol=1e-12)


def test_tmm__makes_up_for_genes_that_were_not_measured():
    """A panel read as a transcriptome would show every gene of it twice too high."""
    genes = np.random.default_rng(1).integers(50, 500, size=400).astype(float)
    train = np.array([genes, genes * 2])
    panel = genes.copy()
    panel[::2] = np.nan
    fitted = TmmNormalizer(log=False).fit(train)

    got = fitted.transform(panel[np.newaxis])[0]

    np.testing.assert_allclose(got[1::2], fitted.transform(train)[0, 1::2], rtol=1e-9)
    assert np.isnan(got[::2]).all()


def test_tmm__leaves_patients_without_the_assay_out():
    """A row of NaN among the training patients must neither fail the fold nor move its factors."""
    nobody = np.full((1, 12), np.nan)
    fitted = TmmNormalizer().fit(np.concatenate([TRAIN[:2], nobody, TRAIN[2:]]))

    np.testing.assert_allclose(fitted.norm_factors(COUNTS), FACTORS, rtol=1e-12)
    assert np.isnan(fitted.norm_factors(nobody)).tolist() == [True]
    assert np.isnan(fitted.transform(nobody)).all()


def test_tmm__gives_log_cpm_of_the_effective_library():
    """edgeR: log2((y + c) / (N f + 2 c) * 1e6), c = 2 N f / mean(N f)."""
    fitted = TmmNormalizer().fit(TRAIN)
    effective = TRAIN.sum(axis=1) * np.array(FACTORS[:4])
    library, y = effective[2], TRAIN[2, 4]
    prior = 2 * library / effective.mean()

    assert fitted.transform(TRAIN)[2, 4] == pytest.approx(
        np.log2((y + prior) / (library + 2 * prior) * 1e6)
    )
    cpm = TmmNormalizer(log=False).fit(TRAIN).transform(TRAIN)
    assert cpm[2, 4] == pytest.approx(y / library * 1e6)


def test_tmm__reference_by_depth_where_quartiles_are_zero():
    """Sparse counts: edgeR then takes the library with the largest sum of square roots."""
    sparse = np.diag([5.0, 40.0, 3.0, 7.0, 2.0, 9.0])

    assert TmmNormalizer().fit(sparse).reference_.tolist() == sparse[1].tolist()


@pytest.mark.parametrize(
    "counts", [[[7.0, 0.0, 3.0]], [[7.0, 0.0, 3.0]] * 3, [[5.0, 0, 0], [0, 5, 0], [0, 0, 5]]]
)
def test_tmm__is_one_where_nothing_can_be_compared(counts):
    """One patient, identical patients, no gene in common: edgeR's factor is 1."""
    np.testing.assert_array_equal(TmmNormalizer().fit(counts).norm_factors(counts), 1.0)


def test_log_cpm__is_edger_by_hand():
    """Libraries 100 and 300, mean 200: priors 1 and 3, denominators 102 and 306."""
    got = LogCpm().fit([[10, 90], [0, 300]]).transform([[10, 90], [0, 300]])

    by_hand = [[11 / 102, 91 / 102], [3 / 306, 303 / 306]]
    np.testing.assert_allclose(got, np.log2(np.array(by_hand) * 1e6), rtol=1e-12)


def test_log_cpm__takes_the_mean_library_of_the_training_fold():
    """A gene without reads is the same in every patient, however deep."""
    fitted = LogCpm().fit([[10, 90], [0, 300]])

    assert fitted.transform([[0, 5]])[0, 0] == pytest.approx(np.log2(1e6 / 102))
    assert fitted.transform([[0, 5_000]])[0, 0] == pytest.approx(np.log2(1e6 / 102))


@pytest.mark.parametrize("step", [TmmNormalizer(), LogCpm()])
@pytest.mark.parametrize(
    ("value", "message"),
    [(-1.0, "Negative values in data"), (np.inf, "infinity"), (0.0, "no read of any gene")],
)
def test_normalizer__refuses_what_no_sequencing_gives(step, value, message):
    """A zero library divided by becomes NaN for all genes; logarithms would pass for counts."""
    bad = TRAIN.astype(float)
    bad[1] = value

    for call in (step.fit, step.fit(TRAIN).transform):
        with pytest.raises(ImpossibleCounts, match=message) as raised:
            call(bad)
        assert isinstance(raised.value, ImpossibleValue)


def test_normalizer__refuses_a_fold_without_the_assay():
    with pytest.raises(ImpossibleCounts, match="no patient of the fold has counts"):
        TmmNormalizer().fit(np.full((3, 4), np.nan))


@pytest.mark.parametrize("step", [TmmNormalizer(), LogCpm()])
def test_normalizer__keeps_float32_and_names(step):
    """A float64 copy of 5,000 patients x 60,000 genes does not fit beside the first one."""
    frame = pd.DataFrame(TRAIN.astype(np.float32), columns=[f"g[{i}]" for i in range(12)])

    values = step.fit(frame).transform(frame)

    assert values.dtype == np.float32
    assert step.get_feature_names_out().tolist() == list(frame)
    with pytest.raises(ValueError, match="feature names"):
        step.transform(frame[frame.columns[::-1]])


def test_normalizer__is_a_step_of_a_pipeline():
    steps = make_pipeline(FunctionTransformer(np.nan_to_num), TmmNormalizer())

    assert steps.fit(TRAIN).transform(COUNTS).shape == COUNTS.shape
