"""CT on the command line: simulated studies, one of them spoilt, and single folders and volumes."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import SimpleITK as sitk

from assets.imaging.study import read_study
from oncoframe.lake import Lake

PATIENTS, CT = 6, 3


@pytest.fixture(scope="module")
def landing(tmp_path_factory, oncoframe) -> Path:
    """Cohort with three CT studies; the first lost a slice on its way."""
    folder = tmp_path_factory.mktemp("ct") / "landing"
    answer = oncoframe(folder, "simulate", folder, "--patients", PATIENTS, "--ct", CT)
    assert answer.code == 0, answer.stderr
    first = next(iter(scans(folder).values()))
    (folder / first["path"] / "ct" / "1-009.dcm").unlink()
    return folder


def scans(landing: Path) -> dict[str, dict[str, Any]]:
    """Patient -> planted CT."""
    patients = json.loads((landing / "truth.json").read_text())["by_patient"]
    return {patient: about["ct"] for patient, about in patients.items() if about["ct"]}


@pytest.fixture(scope="module")
def ran(landing, tmp_path_factory, oncoframe):
    home = tmp_path_factory.mktemp("home")
    settings = {"ct_mask_rule": "largest"}
    only = ("--only", "imaging", "--json")
    run = oncoframe(home, "run", "--landing", landing, *only, **settings)
    return home, run, oncoframe(home, "status", "--failed", "--json")


def test_run__finds_the_planted_tumours_and_quarantines_the_gap(landing, ran):
    """A study with a gap, stacked as if whole, would move every feature of shape."""
    home, run, status = ran
    bad, *good = scans(landing)
    assert (run.code, run.json["quarantined"]) == (3, 1), run.stderr
    [failed] = status.json["failed"]
    told = (failed["patient_id"], failed["modality"], failed["error"])
    assert told == (bad, "ct", "MissingSlice")
    rows = Lake(home / "lake").scan("ct_features").collect()
    found = dict(rows.select("patient_id", "mask_voxels").iter_rows())
    assert found == {patient: scans(landing)[patient]["mask_voxels"] for patient in good}
    assert set(rows["settings_version"]) == {"default107-1/largest"}
    assert rows["event_timestamp"].dt.strftime("%Y-%m-%d").to_list() == [
        scans(landing)[patient]["collected_on"] for patient in rows["patient_id"]
    ]


def test_run__keeps_a_picture_of_each_row(landing, ran):
    home, _, _ = ran
    _, *good = scans(landing)
    folders = {path.name: len(list(path.iterdir())) for path in (home / "pictures/ct").iterdir()}
    assert folders == dict.fromkeys(good, 2)


def test_run__says_which_patients_have_no_ct(ran):
    """Absent is not failed: whoever had no CT is done, without a row."""
    home, _, _ = ran
    ledger = Lake(home / "lake").scan("ledger").filter(pl.col("modality") == "ct").collect()
    outcomes = ledger["outcome"].value_counts().rows()
    assert dict(outcomes) == {"ok": CT - 1, "quarantined": 1, "not_performed": PATIENTS - CT}


def test_run__reads_all_again_under_other_settings(ran, oncoframe):
    """Rows of the old settings stay beside the new: only a study decides what may be mixed."""
    home, _, _ = ran
    again = oncoframe(home, "run", "--only", "imaging", "--json", ct_settings="ct1130")
    assert again.json["ok"] == CT - 1, again.stderr
    rows = Lake(home / "lake").scan("ct_features").collect()
    assert dict(rows["settings_version"].value_counts().rows()) == {
        "default107-1/largest": CT - 1,
        "ct1130-1/tumour": CT - 1,
    }
    vectors = rows.filter(pl.col("settings_version") == "ct1130-1/tumour")["ct_filtered"]
    assert vectors.list.len().to_list() == [1130 - 107] * (CT - 1)
    assert len(Lake(home / "lake").dictionary("ct_feature")) == 1130 - 107


KEYS = {"modality", "status", "series", "slices", "mask_voxels", "settings", "features"}


def test_extract__describes_a_study(landing, oncoframe, tmp_path):
    """What acceptance checks call; the folder is read where it lies."""
    *_, about = scans(landing).values()
    answer = oncoframe(tmp_path, "extract", "ct", landing / about["path"], "--json")
    assert answer.code == 0, answer.stderr
    found = answer.json
    assert found.keys() >= KEYS
    assert (found["modality"], found["status"], found["settings"]) == (
        "ct", "performed", "default107",
    )  # fmt: skip
    assert (found["slices"], found["mask_voxels"]) == (about["slices"], about["mask_voxels"])
    assert len(found["features"]) == 107
    assert {series["used"] for series in found["series"]} == {True}
    assert found["facts"]["region"] == found["covariates"]["roi"]
    assert found["facts"]["region_rule"] == found["covariates"]["roi_rule"]
    assert found["facts"]["measures"].keys() == {"lowest_hu", "highest_hu"}


def test_extract__describes_ready_volumes_alike(landing, oncoframe, tmp_path):
    """The same tumour as NIfTI, made by another tool."""
    *_, about = scans(landing).values()
    study = read_study(landing / about["path"])
    grid = study.volume.grid
    sitk.WriteImage(grid.image(study.volume.hu), str(tmp_path / "ct.nii.gz"))
    sitk.WriteImage(grid.image(study.mask.astype(np.uint8)), str(tmp_path / "tumour.nii.gz"))
    volumes = ("--image", tmp_path / "ct.nii.gz", "--mask", tmp_path / "tumour.nii.gz")
    ready = oncoframe(tmp_path, "extract", "ct", *volumes, "--json")
    dicom = oncoframe(tmp_path, "extract", "ct", landing / about["path"], "--json")
    assert ready.code == 0, ready.stderr
    assert ready.json["mask_voxels"] == about["mask_voxels"]
    assert ready.json["features"] == pytest.approx(dicom.json["features"], rel=1e-5)


def test_extract__works_as_the_guide_types_it(landing, oncoframe, tmp_path):
    """A PATH beside --image is the folder that both lie in."""
    *_, about = scans(landing).values()
    study = read_study(landing / about["path"])
    grid = study.volume.grid
    sitk.WriteImage(grid.image(study.volume.hu), str(tmp_path / "ct.nii.gz"))
    sitk.WriteImage(grid.image(study.mask.astype(np.uint8)), str(tmp_path / "tumour.nii.gz"))
    typed = ("extract", "ct", tmp_path, "--image", "ct.nii.gz", "--mask", "tumour.nii.gz")
    answer = oncoframe(tmp_path, *typed, "--json")
    assert answer.code == 0, answer.stderr
    assert answer.json["covariates"]["modality_source"] == "hu_range"


def test_extract__is_bounded_as_a_run_is(landing, oncoframe, tmp_path):
    """A file that hangs its reader would hang the command."""
    *_, about = scans(landing).values()
    answer = oncoframe(
        tmp_path, "extract", "ct", landing / about["path"], "--json", patient_timeout_s="0.01"
    )
    assert (answer.code, answer.json["error"]) == (4, "TimedOut")


def test_extract__takes_settings_of_the_home(landing, oncoframe, tmp_path):
    *_, about = scans(landing).values()
    (tmp_path / "radiomics").mkdir()
    text = "setting: {binCount: 32, force2D: true}\nimageType: {Original: }\n"
    (tmp_path / "radiomics" / "ours.yaml").write_text(text + "featureClass: {glcm: [Contrast]}\n")
    given = ("extract", "ct", landing / about["path"], "--settings", "ours", "--json")
    answer = oncoframe(tmp_path, *given)
    assert answer.code == 0, answer.stderr
    assert list(answer.json["features"]) == ["original_glcm_Contrast"]
    assert answer.json["settings_version"].startswith("ours-")


def test_extract__says_that_an_archive_has_to_be_unpacked(oncoframe, tmp_path):
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.writestr("1.dcm", b"x")
    answer = oncoframe(tmp_path, "extract", "ct", tmp_path / "study.zip", "--json")
    assert (answer.code, answer.json["error"]) == (4, "WrongFormat")
    assert "Unpack it" in answer.json["message"]


def test_extract__ends_a_bad_study_with_its_class(landing, oncoframe, tmp_path):
    first = next(iter(scans(landing).values()))
    answer = oncoframe(tmp_path, "extract", "ct", landing / first["path"], "--json")
    assert answer.code == 4
    assert answer.json["error"] == "MissingSlice"
    assert answer.json["message"].startswith(str(landing / first["path"]))
