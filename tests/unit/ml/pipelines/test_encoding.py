"""Encoders: what a gap becomes, for models that take gaps and for models that do not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.pipelines.encoding import dense_encoder, encoder
from oncoframe.contracts import Block, Contract
from oncoframe.modalities import spec

N = 12
NAN = np.nan
RATIO = "cnv_features__cnv_gene_ratio[TP53]"
OTHER_RATIO = "cnv_features__cnv_arm_ratio[17p]"
COPIES = "cnv_features__cnv_gene_copies[TP53]"


@pytest.fixture
def features():
    """Twelve patients; the first has a gap in a performed CNV assay, the last never had one."""
    lowest = np.array([NAN, 0.4, *np.linspace(0.8, 1.6, N - 3), NAN])
    copies = np.array([NAN, 1, *np.linspace(2, 4, N - 3), NAN])
    other = np.array([*np.linspace(0.7, 1.3, N - 1), NAN])
    columns = {
        "cnv_features__cnv_performed": [*[1] * (N - 1), 0],
        RATIO: lowest,
        OTHER_RATIO: other,
        COPIES: copies,
    }
    return pd.DataFrame(columns, dtype=np.float32)


def column(step, features, name):
    """Values of a column behind a fitted step."""
    values = step.fit_transform(features)
    return np.asarray(values)[:, list(step.get_feature_names_out()).index(name)]


def test_encoder__leaves_gaps_to_models_that_take_them(features):
    """A tree that cannot see the gap cannot learn from it."""
    got = column(encoder(), features, RATIO)

    np.testing.assert_array_equal(got, features[RATIO])


@pytest.mark.parametrize(("rule", "expected"), [("lowest", 0.5), ("zero", 0.0), (None, 4.0)])
def test_dense_encoder__fills_a_new_modality_as_it_declares(monkeypatch, rule, expected):
    """Left to the median, a gap would be filled in a way that nobody who knows the assay chose."""
    contract = Contract(
        table="beta_features", modality="beta", description="Beta values.", code_version="1",
        blocks=(Block("beta", "probe", "1", "beta value per probe", fill=NAN),),
    )  # fmt: skip
    new = replace(spec("expression"), contract=contract, fill={"beta": rule})
    monkeypatch.setattr("ml.pipelines.encoding.modalities", lambda: {"beta": new})
    first, second = "beta_features__beta[cg1]", "beta_features__beta[cg2]"
    values = {first: [NAN, 0.5, 0.6, 0.7, *[4.0] * (N - 4)], second: np.linspace(0.2, 0.8, N)}

    filled = column(dense_encoder()[:2], pd.DataFrame(values), first)

    assert filled[0] == pytest.approx(expected)


def test_dense_encoder__a_gap_in_a_performed_assay_is_the_lowest_ratio(features):
    """A region without a read is more likely lost than at the median of the others."""
    filled = column(dense_encoder()[:2], features, RATIO)

    assert filled[0] == pytest.approx(0.4)
    np.testing.assert_array_equal(filled[1:-1], features[RATIO][1:-1])


def test_dense_encoder__an_assay_that_was_not_performed_is_at_the_median(features):
    """Filled with the lowest, everybody without an assay would look like a deletion of all."""
    step = dense_encoder()[:2]

    others = [0.4, 0.4, *np.linspace(0.8, 1.6, N - 3)]
    assert column(step, features, RATIO)[-1] == pytest.approx(np.median(others))
    assert column(step, features, "cnv_features__cnv_performed")[-1] == 0


def test_dense_encoder__copies_are_no_ratios(features):
    """A caller that knows no purity gives ratios without copies: that is no loss of both."""
    filled = column(dense_encoder()[:2], features, COPIES)

    assert filled[0] == pytest.approx(np.nanmedian(features[COPIES]))


def test_dense_encoder__a_gene_that_was_not_counted_has_no_read():
    """In counts, before they are normalised; the median would be that of its CPM."""
    counts = np.random.default_rng(2).poisson(90, size=(N, 5)).astype(np.float32)
    counts[0, 2] = NAN
    counts[-1] = NAN
    names = [f"expression_features__expression[G{i}]" for i in range(5)]
    unread = np.where(np.isnan(counts) & (np.arange(N) == 0)[:, None], 0, counts)

    got = column(dense_encoder(counts=True), pd.DataFrame(counts, columns=names), names[2])
    expected = column(dense_encoder(counts=True), pd.DataFrame(unread, columns=names), names[2])

    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got[0] == got.min()


def test_dense_encoder__keeps_every_patient_and_leaves_no_gap(features):
    got = dense_encoder().fit_transform(features)

    assert len(got) == N
    assert np.isfinite(got).all()
