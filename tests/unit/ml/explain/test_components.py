"""Principal components and neighbours, against known geometry."""

import numpy as np
import pandas as pd
import pytest

from ml.explain.components import nearest_patients, principal_components, similarity
from ml.frames.design_matrix import DesignMatrix
from ml.pipelines.recipes import Input

N = 60


@pytest.fixture
def matrix():
    """Classes a and b side by side, c far away, along one direction of six columns."""
    rng = np.random.default_rng(1)
    labels = np.repeat(["a", "b", "c"], N // 3).astype(object)
    place = np.repeat([0.0, 0.3, 9.0], N // 3)
    values = place[:, None] * np.array([1, 1, -1, 0, 0, 0]) + rng.normal(size=(N, 6))
    names = [f"dna__g{i}" for i in range(3)] + [f"rna__g{i}" for i in range(3)]
    ids = np.array([f"P{i:02d}" for i in range(N)], dtype=object)
    frame = pd.DataFrame(values.astype(np.float32), columns=names)
    return DesignMatrix(ids, labels, frame, ("snv",) * 3 + ("expression",) * 3)


@pytest.fixture
def found(matrix):
    return principal_components(matrix, Input({"dna": "snv", "rna": "expression"}))


def test_principal_components__explain_the_variance(matrix, found):
    """Shares are of scaled columns; a decomposition of raw ones follows the loudest gene."""
    scaled = matrix.features.to_numpy(float)
    scaled = (scaled - scaled.mean(0)) / scaled.std(0)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(scaled.T))[::-1]

    np.testing.assert_allclose(found.variance_ratio, (eigenvalues / 6)[: len(found.variance_ratio)],
                               atol=1e-5)  # fmt: skip
    assert found.variance_ratio.sum() >= 0.99


def test_principal_components__correlations_are_those_of_columns_and_scores(matrix, found):
    first = found.loadings.filter(found.loadings["component"] == 1)

    for row in first.to_dicts():
        expected = np.corrcoef(matrix.features[row["feature"]], found.scores[:, 0])[0, 1]
        assert row["correlation"] == pytest.approx(expected, abs=1e-5)
        assert row["modality"] == ("snv" if row["feature"].startswith("dna") else "expression")


def test_similarity__neighbours_are_never_the_patient(matrix, found):
    near = nearest_patients(found, matrix.patient_ids, matrix.labels)

    links = similarity(near, matrix.patient_ids, matrix.labels)

    assert (near["patient_id"] != near["neighbour"]).all()
    assert near.group_by("patient_id").len()["len"].unique().to_list() == [10]
    np.testing.assert_allclose(links.sum(axis=1), 1)
    assert links[0, 1] > 0.2
    assert links[2, 2] == 1
    assert links[2, :2].sum() == 0
