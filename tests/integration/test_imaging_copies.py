"""CT at intake: copies that name nobody, read as the settings say; refusals that name nobody."""

import gc
import os
import shutil
import stat
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.fileset import FileSet
from pydicom.uid import PositronEmissionTomographyImageStorage, generate_uid

from assets.imaging.contract import CONTRACT, FILTERED
from assets.imaging.copies import Copy, Deidentification, read_order, with_copies, write_copy
from assets.imaging.ct import extract
from assets.imaging.errors import (
    GantryTilt,
    MissingSlice,
    NoMask,
    NotCT,
    OtherFrameOfReference,
)
from assets.imaging.rules import MaskRule, Rule
from assets.imaging.settings import load_settings
from assets.landing.samplesheet import SCHEMA, read_samplesheet
from assets.simulate.phantom.dicom import Identity, ct_slices, save, structure_set, write_study
from assets.simulate.phantom.image import PhantomShape, make_phantom
from oncoframe import files
from oncoframe.errors import (
    FileMissing,
    OncoFrameError,
    SettingsError,
    TimedOut,
    TruncatedFile,
    WrongFormat,
)
from orchestration.patients.landing_zone import KEY, open_zone
from orchestration.settings import Settings

PHANTOM = make_phantom(PhantomShape(size=(6, 30, 32), tumour_mm=8.0, has_cavity=False), seed=6)
DAY = datetime(2024, 5, 17, tzinfo=UTC)
PERFORMED = {"collected_on": DAY, "status": "performed"}
HEADER = "patient_id,modality,path,collected_on,status,reference_build,tool,site\n"


@pytest.fixture
def how(tmp_path) -> Deidentification:
    return Deidentification(
        tmp_path / "home" / "deidentified", b"a secret of sixteen bytes", "default107", MaskRule()
    )


@pytest.fixture
def landed(tmp_path) -> Path:
    """A study in a folder called after its patient."""
    folder = tmp_path / "DOE_JANE"
    write_study(PHANTOM, folder, kind="rtstruct", identity=Identity(patient_name="Doe^Jane"))
    return folder


def copy_of(how: Deidentification, source: Path, day: datetime = DAY) -> Copy:
    return Copy("P1", str(source), how.target("P1", day), how.stamp(str(source)))


def copied(how: Deidentification, source: Path) -> Path:
    """Take a study in, as a run does: the copy or the refusal lies in the folder returned."""
    copy = copy_of(how, source)
    try:
        write_copy("P1", copy.source, copy.target, how)
        copy.settle()
    except OncoFrameError as error:
        copy.refuse(error)
    return copy.target


def test_write_copy__gives_the_features_of_the_original(how, landed):
    """A copy that lost a position, a rescale or a contour would give other numbers."""
    target = copied(how, landed)
    original = extract(landed, reference_build=None)
    found = extract(target, reference_build=None)
    assert found.features == {**original.features, "burned_in_suspected": False}
    assert original.features["burned_in_suspected"] is None
    assert found.features["mask_voxels"] == PHANTOM.mask.sum()
    assert found.notes["deidentification"]["files"] == PHANTOM.grid.shape[0] + 1
    assert found.pictures["overlay"] == original.pictures["overlay"]
    assert "Doe" not in (target / "intake.json").read_text()


def test_write_copy__is_the_same_bytes_again(how, landed, tmp_path):
    """A clock or a random UID in a copy would make every patient stale at every intake."""
    first = files.local_sha256(copied(how, landed))
    other = replace(how, folder=tmp_path / "other")
    assert files.local_sha256(copied(other, landed)) == first
    assert files.local_sha256(copied(replace(other, key=b"x" * 16), landed)) != first


def test_write_copy__keeps_the_distance_of_two_scans(how, tmp_path):
    """The sheet's dates stand in the lake; those in the files move, all of a patient alike."""
    days = {}
    for day, said in ((DAY, "20240517"), (DAY + timedelta(days=92), "20240817")):
        images = ct_slices(PHANTOM)
        structures = structure_set(PHANTOM, images)
        for number, data in enumerate([*images, structures]):
            data.StudyDate = said
            save(data, tmp_path / said / f"{number}.dcm")
        target = how.target("P1", day)
        write_copy("P1", str(tmp_path / said), target, how)
        copy = pydicom.dcmread(min(target.rglob("*.dcm")))
        days[said] = datetime.strptime(copy.StudyDate, "%Y%m%d").replace(tzinfo=UTC)
        # A folder called by the true date would tell by how much the others moved.
        assert said not in str(target).replace("-", "")
    assert days["20240817"] - days["20240517"] == timedelta(days=92)
    assert days["20240517"] < DAY


def test_write_copy__of_ready_volumes_drops_their_texts(how, tmp_path):
    """NIfTI has fields for a description and a name, NRRD takes any key: people use them."""
    folder = tmp_path / "DOE_JANE"
    folder.mkdir()
    for name, array in (("doe_ct", PHANTOM.hu), ("doe_mask", PHANTOM.mask.astype(np.uint8))):
        path = folder / f"{name}.nii"
        sitk.WriteImage(PHANTOM.grid.image(array), str(path))
        content = bytearray(path.read_bytes())
        for field in (148, 228, 328):  # descrip, aux_file, intent_name
            content[field : field + 8] = b"DOE JANE"
        path.write_bytes(content)
    target = copied(how, folder)
    for path in target.rglob("*"):
        assert b"DOE" not in path.read_bytes().upper()
        assert "doe" not in path.name
    found = extract(target, reference_build=None).features
    assert found["mask_voxels"] == PHANTOM.mask.sum()
    raw = extract(folder, reference_build=None).features
    assert found == {**raw, "burned_in_suspected": False}


def truncate(folder: Path) -> None:
    path = folder / "ct" / "1-004.dcm"
    path.write_bytes(path.read_bytes()[:-300])


def make_pet(folder: Path) -> None:
    for path in (folder / "ct").iterdir():
        data = pydicom.dcmread(path)
        data.Modality, data.SOPClassUID = "PT", PositronEmissionTomographyImageStorage
        data.file_meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
        save(data, path)


def make_disguised_pet(folder: Path) -> None:
    for path in (folder / "ct").iterdir():
        data = pydicom.dcmread(path)
        data.Units = "BQML"
        save(data, path)


def remove_mask(folder: Path) -> None:
    (folder / "rtstruct" / "1-1.dcm").unlink()


def remove_all(folder: Path) -> None:
    for path in folder.rglob("*.dcm"):
        path.unlink()


def tilt(folder: Path) -> None:
    for path in (folder / "ct").iterdir():
        data = pydicom.dcmread(path)
        data.GantryDetectorTilt = 12
        save(data, path)


def move_away(folder: Path) -> None:
    path = folder / "rtstruct" / "1-1.dcm"
    data = pydicom.dcmread(path)
    data.FrameOfReferenceUID = generate_uid()
    data.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = generate_uid()
    for roi in data.StructureSetROISequence:
        roi.ReferencedFrameOfReferenceUID = generate_uid()
    save(data, path)


def lose_slice(folder: Path) -> None:
    (folder / "ct" / "1-003.dcm").unlink()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (truncate, TruncatedFile), (make_pet, NotCT), (make_disguised_pet, NotCT),
        (remove_mask, NoMask), (remove_all, WrongFormat), (tilt, GantryTilt),
        (move_away, OtherFrameOfReference), (lose_slice, MissingSlice),
    ],
)  # fmt: skip
def test_copies__say_the_error_of_the_original_and_name_nobody(how, landed, spoil, error):
    """The ledger must tell the class of the study that landed, under the name of the copy."""
    spoil(landed)
    with pytest.raises(error):
        extract(landed, reference_build=None)
    target = copied(how, landed)
    with pytest.raises(error) as raised:
        extract(target, reference_build=None)
    assert str(raised.value).startswith(str(target))
    assert "DOE" not in str(raised.value)
    assert "DOE" not in (target / "intake.json").read_text()
    assert not copy_of(how, landed).is_stale


def test_copies__of_a_folder_that_vanished_are_refused(how, tmp_path):
    """Between the check of the sheet and the copy a disk may go: one patient, no crash."""
    target = copied(how, tmp_path / "DOE_GONE")
    with pytest.raises(FileMissing):
        extract(target, reference_build=None)
    assert copy_of(how, tmp_path / "DOE_GONE").is_stale


def test_copy__is_tried_again_after_what_may_pass(how, landed):
    """More time or memory helps a study that ran out of it; the files need not change."""
    copy = copy_of(how, landed)
    copy.refuse(TimedOut("reading the file took too long", where=str(landed)))
    assert copy.is_stale
    with pytest.raises(TimedOut, match="names the folder") as raised:
        read_order(copy.target)
    assert "DOE" not in str(raised.value)


def test_copy__is_stale_when_anything_that_decides_on_it_changes(how, landed):
    """Settings, rule or key changed and the old copy read: rows of two kinds in one table."""
    copied(how, landed)
    assert not copy_of(how, landed).is_stale
    for other in (
        replace(how, settings="ct1130"),
        replace(how, rule=MaskRule(Rule.LARGEST)),
        replace(how, key=b"another secret of the hospital"),
    ):
        assert copy_of(other, landed).is_stale
    path = landed / "ct" / "1-001.dcm"
    os.utime(path, ns=(1, 1))
    assert copy_of(how, landed).is_stale


def test_extract__reads_a_copy_as_intake_was_told(how, tmp_path):
    """Settings and rule of the home reach the row, and stand in it."""
    big = np.zeros_like(PHANTOM.mask)
    big[1:5, 4:26, 4:26] = True
    images = ct_slices(PHANTOM)
    for number, image in enumerate(images):
        save(image, tmp_path / "in" / f"{number}.dcm")
    save(structure_set(PHANTOM, images, {"GTV-1": PHANTOM.mask, "Doe A": big}),
         tmp_path / "in" / "rs.dcm")  # fmt: skip
    voxels = {}
    for rule in (MaskRule(), MaskRule(Rule.LARGEST), MaskRule(Rule.NAMED, ("doe a",))):
        told = replace(how, settings="ct1029", rule=rule, folder=tmp_path / rule.rule)
        found = extract(copied(told, tmp_path / "in"), reference_build=None)
        assert found.features["settings_version"] == f"ct1029-1/{rule.label}"
        voxels[rule.rule] = found.features["mask_voxels"]
    assert voxels == {"tumour": PHANTOM.mask.sum(), "largest": big.sum(), "named": big.sum()}
    names = [*found.blocks[FILTERED].names]
    scalars = [f.name for f in CONTRACT.features if f.name.startswith("original_")]
    assert sorted([*names, *scalars]) == sorted(load_settings("ct1029").feature_names())


def as_flat(landed: Path, folder: Path) -> Path:
    """All files in one folder, without a suffix."""
    folder.mkdir()
    for number, path in enumerate(sorted(landed.rglob("*.dcm"))):
        shutil.copyfile(path, folder / f"IM{number:06d}")
    return folder


def as_nbia_tree(landed: Path, folder: Path) -> Path:
    """Collection, patient, study, series, as the NBIA data retriever writes them."""
    study = folder / "NSCLC Radiogenomics" / "R01-001" / "05-17-2024-NA-CT CHEST DOE-31415"
    for name, series in (("ct", "3.000000-THORAX 1.0 B30f-92653"), ("rtstruct", "1000-RTS-58979")):
        shutil.copytree(landed / name, study / series)
    (folder / "LICENSE").write_text("CC BY 3.0")
    (folder / "metadata.csv").write_text("Series UID,Subject ID\n")
    return folder


def as_medium(landed: Path, folder: Path) -> Path:
    """A CD: an index beside folders of eight letters; the index is what the sheet names."""
    medium = FileSet()
    for path in sorted(landed.rglob("*.dcm")):
        medium.add(path)
    medium.write(folder)
    with warnings.catch_warnings():
        # pydicom leaves its temporary folder to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        del medium
        gc.collect()
    return folder / "DICOMDIR"


@pytest.mark.parametrize("lay", [as_flat, as_nbia_tree, as_medium])
def test_copies__of_any_layout_give_the_same_row(how, landed, tmp_path, lay):
    """Archives, downloads and CDs lay files out in their own way; the tumour stays the same."""
    place = lay(landed, tmp_path / "laid_out")
    rows = [{"patient_id": "P1", "modality": "ct", "path": str(place), **PERFORMED}]
    _, [copy] = with_copies(pl.DataFrame(rows, schema=SCHEMA), how)
    write_copy("P1", copy.source, copy.target, how)
    expected = extract(landed, reference_build=None)
    found = extract(copy.target, reference_build=None)
    assert found.features == {**expected.features, "burned_in_suspected": False}
    assert extract(place, reference_build=None).features == expected.features


def test_write_copy__reads_from_object_storage(how, landed, bucket):
    """The same code as for a local folder; a folder that is away is said under the copy's name."""
    for path in landed.rglob("*.dcm"):
        bucket.put(f"ct/DOE_JANE/{path.relative_to(landed)}", path.read_bytes())
    target = how.target("P1", DAY)
    write_copy("P1", f"{bucket.root}/ct/DOE_JANE", target, how)
    expected = extract(landed, reference_build=None).features
    found = extract(target, reference_build=None).features
    assert found == {**expected, "burned_in_suspected": False}
    with pytest.raises(FileMissing) as raised:
        write_copy("P1", f"{bucket.root}/ct/DOE_JOHN", target, how)
    assert "DOE" not in str(raised.value)


def test_with_copies__takes_a_dicomdir_for_its_folder(how, landed):
    (landed / "DICOMDIR").write_bytes(b"")
    paths = {"ct": str(landed / "DICOMDIR"), "snv": "/x/doe.vcf"}
    rows = [{"patient_id": "P1", "modality": m, "path": p, **PERFORMED} for m, p in paths.items()]
    sheet = pl.DataFrame(rows, schema=SCHEMA)
    changed, [copy] = with_copies(sheet, how)
    assert copy.source == str(landed)
    assert changed["path"].to_list() == [str(copy.target), "/x/doe.vcf"]


def test_prune__removes_the_copies_of_patients_who_left(how, landed):
    """A patient who withdrew consent is not kept in the home by a forgotten copy."""
    kept = copied(how, landed)
    gone = copy_of(how, landed, DAY + timedelta(days=1))
    write_copy("P1", gone.source, gone.target, how)
    gone.settle()
    how.prune([kept])
    assert [path.name for path in kept.parent.iterdir() if path.is_dir()] == [kept.name]
    assert len(list(kept.parent.iterdir())) == 2


@pytest.fixture
def zone(landed, tmp_path):
    sheet = f"{HEADER}P1,ct,{landed.name},2024-05-17,performed,,,\n"
    (tmp_path / "samplesheet.csv").write_text(sheet)
    return tmp_path


def test_open_zone__makes_a_key_that_only_its_owner_reads(zone):
    """Without a key nothing is hidden; a key that all can read hides nothing either."""
    settings = Settings(home=zone / "home", landing=str(zone))
    first = open_zone(settings)
    assert stat.S_IMODE((settings.home / KEY).stat().st_mode) == 0o600
    assert open_zone(settings).how.key == first.how.key
    assert "DOE" not in str(first.state().rows())
    given = open_zone(Settings(home=zone / "home", landing=str(zone), mrn_key="s" * 16))
    assert given.how.key == b"s" * 16 != first.how.key


def test_open_zone__refuses_a_key_that_can_be_guessed(zone):
    with pytest.raises(SettingsError, match="too short"):
        open_zone(Settings(home=zone / "home", landing=str(zone), mrn_key="short"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("ct_settings", "ct9999"), ("ct_mask_rule", "biggest"), ("ct_mask_rule", "named:"),
     ("ct_mask_rule", "all:GTV")],
)  # fmt: skip
def test_settings__refuse_what_no_scan_can_be_read_with(name, value):
    """Said before a run, not patient by patient in the ledger."""
    with pytest.raises(SettingsError):
        Settings.load(**{name: value})


def test_read_samplesheet__names_no_ct_folder(tmp_path):
    """The message of a wrong sheet goes to the terminal, the log and the sensor's history."""
    rows = "P1,ct,ct/DOE_JANE_1950,2024-05-17,performed,,,\n"
    (tmp_path / "samplesheet.csv").write_text(HEADER + rows)
    with pytest.raises(OncoFrameError, match="row 2: column path names a folder") as raised:
        read_samplesheet(str(tmp_path))
    assert "DOE" not in str(raised.value)
