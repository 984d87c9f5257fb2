"""TMM on real counts, against the factors that edgeR itself computed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.pipelines.normalization import TmmNormalizer

pytestmark = pytest.mark.real_data


@pytest.fixture
def counts(real_data: Path) -> pd.DataFrame:
    """30 lungs x 818 genes of GTEx."""
    return pd.read_csv(real_data / "tmm_reference/gtex_lung.first30.chr21.csv.gz", index_col=0)


def test_tmm__equals_edger(counts, real_data):
    """The factors of ``calcNormFactors``, to the last digits that a double has."""
    file = real_data / "tmm_reference/gtex.lung.30.chr21.tmm_factors_edgeR.tsv"
    edger = pd.read_csv(file, sep="\t", comment="#", index_col=0)
    assert edger.index.tolist() == counts.index.tolist()

    got = TmmNormalizer().fit(counts).norm_factors(counts)

    np.testing.assert_allclose(got, edger["norm.factors"], rtol=1e-12)


def test_tmm__test_patients_change_nothing_of_the_training_fold(counts):
    """Leave the last ten out, then hand them in beside the others."""
    fitted = TmmNormalizer().fit(counts.iloc[:20])

    np.testing.assert_array_equal(
        fitted.norm_factors(counts)[:20], fitted.norm_factors(counts.iloc[:20])
    )
    np.testing.assert_array_equal(fitted.transform(counts)[:20], fitted.transform(counts.iloc[:20]))
