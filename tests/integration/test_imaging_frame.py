"""Frames of CT features: one way of measuring per frame, and no bookkeeping in a model."""

import shutil

import polars as pl
import pytest

from assets.clinical.contract import clinical_contract
from assets.imaging.contract import CONTRACT, FILTERED
from assets.training.frames import FrameRequest
from feature_repo.client import apply
from ml.frames.design_matrix import design_matrix
from ml.frames.frame import read_frame
from oncoframe.errors import StudyError
from orchestration.frames import frame_builder
from orchestration.settings import Settings

NATIVE, RESAMPLED = "ct1130-1/tumour", "ct1130_1mm-1/tumour"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A home whose registry knows our views; registering takes seconds."""
    home = tmp_path_factory.mktemp("registry") / "home"
    apply(home)
    return home


@pytest.fixture
def ward(hospital, registry):
    """Six patients with a CT each, and its features of filtered images."""
    shutil.copytree(registry, hospital.home, dirs_exist_ok=True)
    hospital.lake.extend_dictionary("ct_feature", pl.Series(["wavelet-LLH_firstorder_Mean"]))
    for number in range(6):
        patient = f"P{number}"
        hospital.admit(patient, ("A", "B")[number % 2])
        hospital.measure(clinical_contract(), patient, age_at_index_years=50.0)
        measure(hospital, patient, NATIVE, mean=number)
    return hospital


def measure(hospital, patient, settings_version, *, mean=0.0, day=0):
    hospital.measure(
        CONTRACT, patient, created=day, settings_version=settings_version, mask_source="seg",
        mask_voxels=100, manufacturer="siemens", original_firstorder_Mean=mean,
        **{FILTERED: [mean / 2]},
    )  # fmt: skip


@pytest.fixture
def build(ward):
    study = ward.study(
        features={"service": "ct_radiomics_v1"}, modality_sets={"all": ["ct", "clinical"]}
    )
    builder = frame_builder(Settings(home=ward.home), ward.lake, study)

    def run():
        frame_id = builder.build(FrameRequest(study))["frame_id"]
        return read_frame(builder.folder / frame_id)

    return run


@pytest.mark.parametrize("other", [RESAMPLED, "ct1130-2/tumour", "ct1130-1/largest"])
def test_build__refuses_a_frame_that_mixes_settings(ward, build, other):
    """Voxel size, version or another rule of the mask: columns of one name, not one meaning."""
    measure(ward, "P3", other, day=1)
    with pytest.raises(StudyError, match="cannot mix values of settings_version") as raised:
        build()
    assert other in str(raised.value)
    assert "5 rows of ct_features" in str(raised.value)


def test_build__takes_a_cohort_that_was_extracted_again(ward, build):
    """The newest row counts: all of them under other settings mix nothing."""
    for number in range(6):
        measure(ward, f"P{number}", RESAMPLED, mean=10.0, day=1)
    assert set(build().rows["ct_features__settings_version"]) == {RESAMPLED}


def test_design_matrix__sees_findings_and_covariates_but_no_settings(build):
    """How a mask was stored tells the hospital, not the disease."""
    matrix = design_matrix(build(), ["ct"]).features
    columns = [name.removeprefix("ct_features__") for name in matrix.columns]
    assert {"original_firstorder_Mean", "manufacturer"} <= set(columns)
    assert f"{FILTERED}[wavelet-LLH_firstorder_Mean]" in columns
    settings = {feature.name for feature in CONTRACT.features if feature.is_setting}
    assert settings.isdisjoint(columns)
    assert "settings_version" in settings
