"""The best that could be known of a synthetic patient."""

import numpy as np
import pytest

from assets.simulate.design import make_plan
from assets.simulate.patient import draw_patient
from assets.simulate.posterior import observed_bayes, posterior
from oncoframe.contracts import Modality, Status

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plan():
    return make_plan(120, 3)


@pytest.fixture(scope="module")
def cohort(plan):
    return [draw_patient(plan, index) for index in range(120)]


def test_observed_bayes__is_near_the_rate_of_the_pictures(plan, cohort):
    """Findings are rich: what the posterior cannot reach is what lookalikes hide."""
    expected, reached = observed_bayes(plan, cohort)

    assert expected == pytest.approx(plan.bayes_accuracy(), abs=0.02)
    # Three standard errors of 120 patients.
    assert reached == pytest.approx(expected, abs=0.06)


def test_posterior__is_a_distribution_and_finds_the_picture(plan, cohort):
    found = np.array([posterior(plan, patient) for patient in cohort])

    np.testing.assert_allclose(found.sum(axis=1), 1)
    shown = found.argmax(axis=1) == [patient.picture_position for patient in cohort]
    assert shown.mean() > 0.95


def test_posterior__knows_less_without_assays(plan, cohort):
    """A missing assay that went on telling would make the ceiling a lie."""
    for patient in cohort[:20]:
        full = posterior(plan, patient)
        specimen = patient.specimens[0]
        statuses = dict(specimen.statuses)
        specimen.statuses.update(dict.fromkeys(Modality, Status.NOT_PERFORMED))
        blind = posterior(plan, patient)
        specimen.statuses.clear()
        specimen.statuses.update(statuses)

        assert blind.max() <= full.max() + 0.05
        np.testing.assert_array_equal(posterior(plan, patient), full)
