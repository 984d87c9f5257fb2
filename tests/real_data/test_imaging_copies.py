"""De-identified copies of real studies: another name, the same numbers."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assets.imaging.copies import Deidentification, write_copy
from assets.imaging.ct import extract
from assets.imaging.dicom_files import scan
from assets.imaging.rules import MaskRule

pytestmark = pytest.mark.real_data

DAY = datetime(2024, 5, 17, tzinfo=UTC)
STUDIES = (
    *(f"sts/STS_{number}" for number in ("002", "003", "008", "012", "019", "025")),
    *(f"lung_rtstruct/pat_{number}" for number in (1, 2, 3, 4)),
    "dicom_seg/ct-3slice",
)


def assert_same_row(source: Path, tmp_path: Path) -> None:
    how = Deidentification(
        tmp_path / "copies", b"a secret of sixteen bytes", "default107", MaskRule()
    )
    target = how.target("P1", DAY)
    write_copy("P1", str(source), target, how)
    original = extract(source, reference_build=None)
    copy = extract(target, reference_build=None)
    said = copy.features.pop("burned_in_suspected")
    assert said is False
    original.features.pop("burned_in_suspected")
    assert copy.features == original.features
    assert copy.pictures["overlay"].png == original.pictures["overlay"].png
    assert not {f.text("PatientName") for f in scan(target).files} - {"P1"}


@pytest.mark.parametrize("study", STUDIES)
def test_write_copy__of_a_real_study_gives_the_same_row(real_data, tmp_path, study):
    """Structures called by people, private tags, odd lengths: none may change the tumour."""
    source = real_data / "imaging" / study
    if study.startswith("dicom_seg"):
        shutil.copytree(source, tmp_path / "in")
        shutil.copyfile(source.parent / "liver.dcm", tmp_path / "in" / "seg.dcm")
        source = tmp_path / "in"
    assert_same_row(source, tmp_path)
