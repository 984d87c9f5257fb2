"""Models per modality: what a missing assay does, and what is learned from which patients."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ml.pipelines.encoding import dense_encoder
from ml.pipelines.modality_fusion import LateFusion, ModalityDropout, Stacking, performed, without

N = 90
VIEWS = {"dna": "snv", "rna": "expression"}


@pytest.fixture
def features():
    """Each assay tells the classes apart; half of the patients lack RNA."""
    rng = np.random.default_rng(1)
    truth = np.arange(N) % 2
    frame = pd.DataFrame(
        {
            "dna__snv_performed": np.ones(N),
            "dna__gene": truth + rng.normal(0, 0.7, N),
            "rna__expression_performed": np.arange(N) // 2 % 2,
            "rna__level": truth + rng.normal(0, 0.7, N),
        }
    ).astype(np.float32)
    frame.loc[frame["rna__expression_performed"] == 0, "rna__level"] = np.nan
    return frame


@pytest.fixture
def labels():
    return np.where(np.arange(N) % 2, "b", "a").astype(object)


@pytest.fixture
def member():
    return make_pipeline(dense_encoder(), LogisticRegression())


def test_late_fusion__averages_over_the_assays_a_patient_had(features, labels, member):
    """A missing assay counted as an answer would pull every such patient to the middle."""
    model = LateFusion(member, views=VIEWS).fit(features, labels)
    both = features["rna__expression_performed"].to_numpy() > 0
    parts = {
        modality: model.calibrations_[modality].apply(
            model.models_[modality].predict_proba(features.filter(like=f"{view}__"))
        )
        for view, modality in VIEWS.items()
    }

    said = model.predict_proba(features)

    expected = (parts["snv"] + parts["expression"])[both] / 2
    np.testing.assert_allclose(said[both], expected, atol=1e-6)
    np.testing.assert_allclose(said[~both], parts["snv"][~both], atol=1e-6)


def test_late_fusion__without_any_assay_says_the_class_shares(features, labels, member):
    model = LateFusion(member, views=VIEWS).fit(features.iloc[:60], np.r_[labels[:40], ["a"] * 20])
    nothing = features.head(1) * np.nan

    np.testing.assert_allclose(model.predict_proba(nothing), [[40 / 60, 20 / 60]])


@pytest.mark.slow
@pytest.mark.parametrize("combined", [LateFusion, Stacking])
def test_fusion__a_model_is_fitted_on_patients_with_the_assay(features, labels, member, combined):
    """Filled gaps would teach the RNA model that half of the patients look alike."""
    model = combined(member, views=VIEWS).fit(features, labels)
    had = features["rna__expression_performed"] > 0

    scale = model.models_["expression"][0].named_steps["scale"]
    assert scale.n_samples_seen_ == had.sum()


@pytest.mark.slow
def test_stacking__uses_what_both_assays_say(features, labels, member):
    model = Stacking(member, views=VIEWS, regularization=1.0).fit(features, labels)
    both = features["rna__expression_performed"].to_numpy() > 0

    assert (model.predict(features)[both] == labels[both]).mean() > 0.75
    assert model.combine_.n_features_in_ == 6


def test_modality_dropout__trains_for_patients_without_an_assay(features, labels):
    """The copies are training patients only and lose one assay as a whole, flag included."""
    seen = []

    class Spy(LogisticRegression):
        def fit(self, X, y):  # noqa: N803
            seen.append((X.copy(), y))
            return super().fit(X.fillna(0), y)

    ModalityDropout(Spy(), views=VIEWS, share=0.5, random_state=3).fit(features, labels)

    [(given, answers)] = seen
    copies = given.iloc[N:]
    assert len(copies) == N // 2
    pd.testing.assert_frame_equal(given.iloc[:N], features)
    no_dna = copies["dna__snv_performed"] == 0
    assert copies.loc[no_dna, "dna__gene"].isna().all()
    assert copies.loc[~no_dna, "rna__level"].isna().all()
    assert set(answers[N:]) == {"a", "b"}


def test_without__takes_numbers_text_and_flag(features):
    features["dna__tool"] = pd.Series(["x"] * N, dtype=object)
    columns = np.array([name.startswith("dna__") for name in features.columns])

    left = without(features, columns)

    assert left["dna__snv_performed"].eq(0).all()
    assert left[["dna__gene", "dna__tool"]].isna().all().all()
    pd.testing.assert_frame_equal(left.filter(like="rna__"), features.filter(like="rna__"))
    assert features["dna__gene"].notna().all()


def test_performed__asks_the_flag_before_the_values(features):
    """A performed assay without a finding is a result."""
    features["dna__gene"] = np.float32(np.nan)

    assert performed(features.filter(like="dna__")).all()
    assert not performed(features[["dna__gene"]]).any()
