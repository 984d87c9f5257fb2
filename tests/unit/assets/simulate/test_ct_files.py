"""CT of the synthetic cohort: planted voxels are what the platform's reader finds."""

import hashlib
import json
from pathlib import Path

import pydicom
import pytest

from assets.imaging.study import read_study
from assets.landing.samplesheet import read_samplesheet
from assets.simulate.landing_zone import simulate
from oncoframe.errors import SettingsError

pytestmark = pytest.mark.slow

PATIENTS, CT, SEED = 9, 4, 5


@pytest.fixture(scope="module")
def landing(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    simulate(folder, patients=PATIENTS, seed=SEED, ct=CT)
    return folder


@pytest.fixture(scope="module")
def planted(landing) -> dict[str, dict]:
    """Patient -> what truth.json says of the CT."""
    patients = json.loads((landing / "truth.json").read_text())["by_patient"]
    return {patient: about["ct"] for patient, about in patients.items() if about["ct"]}


def digests(landing: Path) -> dict[str, str]:
    return {
        str(path.relative_to(landing)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((landing / "patients").rglob("*"))
        if path.is_file()
    }


def test_ct__holds_the_planted_tumour(landing, planted):
    """Counted by the reader of DICOM, in oblique scans and both kinds of segmentation."""
    assert len(planted) == CT
    assert {about["segmentation"] for about in planted.values()} == {"rtstruct", "seg"}
    for about in planted.values():
        study = read_study(landing / about["path"])
        assert study.mask.sum() == about["mask_voxels"] > 0
        assert study.volume.grid.shape[0] == about["slices"]
        assert study.source == about["segmentation"]


def test_ct__is_in_the_sheet_before_the_diagnosis(landing, planted):
    """A scan dated after the index time would be in no frame of the diagnosis."""
    sheet = read_samplesheet(str(landing))
    rows = {row["patient_id"]: row for row in sheet.filter(modality="ct").iter_rows(named=True)}
    assert rows.keys() == planted.keys()
    truth = json.loads((landing / "truth.json").read_text())["by_patient"]
    for patient, row in rows.items():
        index = truth[patient]["specimens"][0]["collected_on"]
        assert f"{row['collected_on']:%Y-%m-%d}" == planted[patient]["collected_on"] < index


def test_ct__carries_a_made_up_identity(landing, planted):
    """Without a name in it, the demo would not show that intake removes names."""
    for patient, about in planted.items():
        [*_, last] = sorted((landing / about["path"]).rglob("*.dcm"))
        header = pydicom.dcmread(last, stop_before_pixels=True)
        assert "Synthetic" in str(header.PatientName)
        assert patient not in (header.PatientID, str(header.PatientName))


def test_ct__changes_no_other_file_and_is_the_same_again(landing, tmp_path):
    """Cohorts of earlier versions keep their bytes; a rerun recomputes nobody."""
    simulate(tmp_path / "without", patients=PATIENTS, seed=SEED)
    simulate(tmp_path / "again", patients=PATIENTS, seed=SEED, ct=CT)
    first = digests(landing)
    assert digests(tmp_path / "again") == first
    assert digests(tmp_path / "without").items() < first.items()
    assert all(".ct/" in name for name in first.keys() - digests(tmp_path / "without").keys())


def test_ct__is_for_all_where_more_are_asked_for(tmp_path):
    simulate(tmp_path, patients=2, seed=SEED, ct=5)
    assert read_samplesheet(str(tmp_path)).filter(modality="ct").height == 2
    with pytest.raises(SettingsError, match="negative"):
        simulate(tmp_path, patients=2, seed=SEED, ct=-1)
