"""De-identification: PHI planted in every field that takes text is in no output, byte by byte."""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from traceback import format_exception

import dagster as dg
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image, ImageDraw
from pydicom import DataElement, Dataset
from pydicom.datadict import DicomDictionary, dictionary_keyword
from pydicom.uid import SecondaryCaptureImageStorage

from assets.imaging.ct import extract
from assets.imaging.deidentify import Pseudonym, deidentify_folder
from assets.imaging.dicom_files import save
from assets.imaging.errors import DamagedFile
from assets.imaging.overlay import overlay
from assets.imaging.rules import MaskRule, Rule
from assets.imaging.study import extract_folder, read_study
from assets.landing.samplesheet import pseudonym
from assets.simulate.phantom.dicom import ct_slices, structure_set
from assets.simulate.phantom.image import PhantomShape, make_phantom
from assets.simulate.phantom.segmentation import segmentation
from oncoframe.errors import OncoFrameError, SettingsError
from oncoframe.lake import Lake
from orchestration.pipeline import open_instance

PHANTOM = make_phantom(PhantomShape(size=(4, 24, 28), tumour_mm=5.0, has_cavity=False), seed=4)
WHO = Pseudonym("P001", b"a secret of sixteen bytes")
#: What is planted: a name, a number, a birth date, a UID.
NAME, NUMBER, BIRTH, ROOT = "ZQDOEJOHN", "4711174711", "19371224", "1.2.826.0.1.987654321"
CANARIES = (NAME, NUMBER, BIRTH, ROOT)
TEXT_VRS = {"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "DT", "TM", "DA"}
#: Attributes without which the planted files are no longer a CT with its segmentation.
STRUCTURE = {
    "Modality", "ImageType", "ContourGeometricType", "PhotometricInterpretation",
    "SegmentationType", "PatientID", "PatientName", "SpecificCharacterSet",
}  # fmt: skip


def planted_value(vr: str) -> str:
    return {"DA": BIRTH, "DT": BIRTH, "AS": "101Y", "TM": NAME}.get(vr, NAME)


def plant(dataset: Dataset) -> Dataset:
    """Fill every text-valued attribute, at the top and in the first item of each sequence."""
    pending = [dataset]
    while pending:
        item = pending.pop()
        for element in list(item):
            if element.VR == "SQ":
                pending += list(element.value)[:1]
        for tag, (vr, *_) in DicomDictionary.items():
            keyword = dictionary_keyword(tag)
            if vr in TEXT_VRS and keyword not in STRUCTURE and tag >> 16 > 2:
                item.add(DataElement(tag, vr, planted_value(vr)))
        block = item.private_block(0x0099, f"{NAME} PRIVATE", create=True)
        block.add_new(1, "LO", NAME)
        block.add_new(2, "OB", NAME.encode())
        block.add_new(3, "SQ", [Dataset()])
        block[3].value[0].PatientName = NAME
        item.add(DataElement(0x60000022, "LO", NAME))
        item.add(DataElement(0x60003000, "OW", NAME.encode() + b"\0"))
    dataset.PatientName, dataset.PatientID = f"{NAME}^{NAME}", NUMBER
    dataset.StudyDate = "20150615"
    dataset.preamble = NAME.encode().ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = NAME
    return dataset


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    """A study with PHI in its headers, file names and folders; UIDs lead to the hospital."""
    folder = tmp_path_factory.mktemp("planted") / f"{NAME}_{NUMBER}"
    images = ct_slices(PHANTOM)
    objects = [
        *images,
        structure_set(PHANTOM, images, {f"GTV {NAME}": PHANTOM.mask}),
        segmentation(PHANTOM, images, {f"Tumour {NAME}": PHANTOM.mask}),
    ]
    screenshot = deepcopy(images[0])
    screenshot.SOPClassUID = SecondaryCaptureImageStorage
    screenshot.SeriesInstanceUID = f"{ROOT}.99"
    renamed: dict[str, str] = {}
    for data in [*objects, screenshot]:
        for element in data.iterall():
            if element.VR == "UI" and str(element.value).startswith("2.25."):
                known = renamed.setdefault(element.value, f"{ROOT}.{len(renamed) + 1}")
                element.value = known
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        save(plant(data), folder / NAME / f"{NAME}{len(list(folder.rglob('*.dcm'))):03d}.dcm")
    return folder


def assert_clean(content: bytes, where: str = "") -> None:
    for canary in CANARIES:
        assert canary.lower().encode() not in content.lower(), f"{canary} in {where}"


@pytest.fixture(scope="module")
def copied(planted, tmp_path_factory):
    target = tmp_path_factory.mktemp("copied")
    return target, deidentify_folder(planted, target, WHO)


def test_deidentify_folder__leaves_no_byte_of_the_patient(planted, copied):
    """Names hide in private tags, nested items, preambles and the file names themselves."""
    target, report = copied
    originals = [path.read_bytes() for path in planted.rglob("*.dcm")]
    assert all(content.count(NAME.encode()) > 1000 for content in originals)
    assert all(any(c.encode() in content for content in originals) for c in CANARIES)
    files = [path for path in target.rglob("*") if path.is_file()]
    assert len(files) == report.files == PHANTOM.grid.shape[0] + 2
    for path in files:
        assert_clean(str(path.relative_to(target)).encode(), "a file name")
        assert_clean(path.read_bytes(), str(path))
    assert report.left_out == {"not_ct_or_segmentation": 1}
    assert report.removed["private"] > 0
    assert_clean(repr(report).encode(), "the report")


def test_deidentify_folder__keeps_the_study_usable(copied):
    """Volume, mask and the link between them survive; only the identity goes."""
    target, report = copied
    study = read_study(target)
    assert np.array_equal(study.volume.hu, PHANTOM.hu)
    assert np.array_equal(study.mask, PHANTOM.mask)
    image = pydicom.dcmread(next(target.rglob("*.dcm")))
    assert (image.PatientID, image.PatientName) == ("P001", "P001")
    assert image.PatientIdentityRemoved == "YES"
    assert report.kept["PixelSpacing"] == PHANTOM.grid.shape[0] + 1
    assert report.replaced["SOPInstanceUID"] == report.files


def test_extract__lets_nothing_of_the_patient_out(planted, tmp_path):
    """Features, errors, pictures and volumes of a study that was not de-identified first."""
    folder = tmp_path / "study"
    folder.symlink_to(planted, target_is_directory=True)
    described = extract_folder(folder)
    found = described.extraction()
    assert_clean(json.dumps(found.features).encode(), "features")
    assert_clean(repr((found.filtered, found.failed)).encode(), "account")
    assert_clean(json.dumps(described.as_json()).encode(), "JSON")
    study = read_study(folder)
    assert_clean(overlay(study.volume.hu, study.mask, study.volume.grid).png, "overlay")
    with pytest.raises(OncoFrameError) as raised:
        read_study(folder, MaskRule(Rule.NAMED, ("nothing",)))
    assert_clean(str(raised.value).encode(), "an error")
    assert found.features["manufacturer"] == "other"
    assert found.features["kernel"] == "other"


def test_extract__errors_and_logs_name_nobody(planted, tmp_path, caplog, capfd):
    """A damaged file of that study: neither message, traceback text nor log quotes a header."""
    folder = tmp_path / "study"
    folder.mkdir()
    for number, path in enumerate(sorted(planted.rglob("*.dcm"))):
        (folder / f"{number}.dcm").write_bytes(path.read_bytes())
    damaged = folder / "3.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    with caplog.at_level("DEBUG"), pytest.raises(OncoFrameError) as raised:
        extract(folder, reference_build=None)
    assert_clean("".join(format_exception(raised.value)).encode(), "a traceback")
    assert_clean(caplog.text.encode(), "the log")
    assert_clean("".join(capfd.readouterr()).encode(), "the terminal")


def test_extract__never_quotes_a_value_that_is_no_number(tmp_path):
    """Python says which text it could not convert, and a traceback repeats it."""
    images = ct_slices(PHANTOM)
    for image in images:
        save(image, tmp_path / f"{image.InstanceNumber}.dcm")
    structures = structure_set(PHANTOM, images)
    save(structures, tmp_path / "rs.dcm")
    first = str(structures.ROIContourSequence[0].ContourSequence[0].ContourData[0]).encode()
    content = (tmp_path / "rs.dcm").read_bytes()
    (tmp_path / "rs.dcm").write_bytes(content.replace(first[: len(NAME)], NAME.encode(), 1))
    with pytest.raises(DamagedFile) as raised:
        extract(tmp_path, reference_build=None)
    assert_clean("".join(format_exception(raised.value)).encode(), "a traceback")


def test_deidentify_folder__moves_all_dates_of_a_patient_alike(tmp_path):
    """Two scans 92 days apart stay 92 days apart; another patient moves otherwise."""
    images = ct_slices(PHANTOM)
    for image, day in zip(images, ("20150615", "20150915"), strict=False):
        image.StudyDate = day
    for image in images[:2]:
        save(image, tmp_path / "in" / f"{image.InstanceNumber}.dcm")
    dates = {}
    for who in (WHO, Pseudonym("P002", WHO.key)):
        deidentify_folder(tmp_path / "in", tmp_path / who.patient_id, who)
        copies = sorted((tmp_path / who.patient_id).rglob("*.dcm"))
        dates[who.patient_id] = [
            np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}")
            for d in (str(pydicom.dcmread(p).StudyDate) for p in copies)
        ]
    first, second = dates["P001"], dates["P002"]
    assert first[1] - first[0] == second[1] - second[0] == np.timedelta64(92, "D")
    assert first[0] != second[0]
    assert first[0] < np.datetime64("2015-06-15")
    assert WHO.uid("1.2.3") == Pseudonym("P001", WHO.key).uid("1.2.3") != WHO.uid("1.2.4")


def test_deidentify_folder__flags_text_in_the_picture(tmp_path):
    """A name drawn into the pixels passes every filter of headers."""
    images = ct_slices(make_phantom(PhantomShape(size=(3, 128, 128)), seed=4))
    canvas = Image.new("L", (128, 128))
    ImageDraw.Draw(canvas).text((2, 2), "DOE", fill=255)
    pixels = np.frombuffer(images[0].PixelData, "<u2").reshape(128, 128).copy()
    pixels[np.array(canvas) > 128] = 4095
    images[0].PixelData = pixels.tobytes()
    images[1].BurnedInAnnotation = "YES"
    for image in images:
        save(image, tmp_path / "in" / f"{image.InstanceNumber}.dcm")
    report = deidentify_folder(tmp_path / "in", tmp_path / "out", WHO)
    assert report.burned_in == {
        "letters_in_a_corner": 1,
        "said_to_have_burned_in_annotation": 1,
    }


def test_pseudonym__needs_a_real_key():
    with pytest.raises(SettingsError):
        Pseudonym("P001", b"short")


@dataclass(frozen=True)
class Ran:
    """A home after a run over record numbers, and everything that commands printed."""

    home: Path
    answers: dict[str, subprocess.CompletedProcess[bytes]]
    patients: dict[str, str]


@pytest.fixture(scope="module")
def ran(planted, tmp_path_factory) -> Ran:
    """``oncoframe run`` over a good study, one cut off, and a ready pair; all called by name."""
    root = tmp_path_factory.mktemp("ran")
    landing, home = root / "landing", root / "home"
    good, cut, ready = (landing / "ct" / f"{NAME}_{n}_{BIRTH}" for n in ("good", "cut", "ready"))
    for folder in (good, cut):
        shutil.copytree(planted, folder)
    # The last file by name is the screen shot.
    damaged = sorted(cut.rglob("*.dcm"))[2]
    damaged.write_bytes(damaged.read_bytes()[:-200])
    ready.mkdir()
    for name, array in (("ct", PHANTOM.hu), ("mask", PHANTOM.mask.astype(np.uint8))):
        path = ready / f"{NAME}_{name}.nii"
        sitk.WriteImage(PHANTOM.grid.image(array), str(path))
        content = bytearray(path.read_bytes())
        content[148 : 148 + len(NAME)] = NAME.encode()
        path.write_bytes(content)
    numbers = {"good": NUMBER, "cut": f"{NUMBER}1", "ready": f"{NUMBER}2"}
    rows = "".join(
        f"{numbers[folder.name.split('_')[1]]},ct,ct/{folder.name},2024-05-17,performed,,,\n"
        for folder in (good, cut, ready)
    )
    header = "mrn,modality,path,collected_on,status,reference_build,tool,site\n"
    (landing / "samplesheet.csv").write_text(header + rows)
    environment = {
        **os.environ, "ONCOFRAME_MRN_KEY": "a secret of the hospital", "ONCOFRAME_HOME": str(home),
    }  # fmt: skip
    patients = {n: pseudonym(number, b"a secret of the hospital") for n, number in numbers.items()}
    commands = {
        "run": ["run", "--landing", str(landing), "--json"],
        "failed": ["status", "--failed", "--json"],
        "explain": ["explain", patients["good"], "original_firstorder_Mean"],
        "again": ["run", "--only", "imaging", "--json"],
    }
    program = Path(sys.executable).with_name("oncoframe")
    answers = {
        name: subprocess.run(
            [program, *arguments], env=environment, capture_output=True, check=False
        )
        for name, arguments in commands.items()
    }
    return Ran(home, answers, patients)


def test_run__leaves_no_byte_of_the_patient_in_the_home(ran):
    """Lake, ledger, Dagster's databases, logs, copies, pictures, names of files and folders."""
    files = [path for path in ran.home.rglob("*") if path.is_file()]
    assert len(files) > 50
    for path in files:
        assert_clean(str(path.relative_to(ran.home)).encode(), "a file name")
        assert_clean(path.read_bytes(), str(path))
    # Parquet is compressed: look at what is in it, too.
    lake = Lake(ran.home / "lake")
    assert {"ct_features", "landed_files", "ledger"} <= set(lake.tables())
    for table in lake.tables():
        assert_clean(repr(lake.scan(table).collect().rows()).encode(), table)


def test_run__says_nothing_of_the_patient(ran):
    for name, answer in ran.answers.items():
        assert_clean(answer.stdout + answer.stderr, f"what {name} printed")
        assert b"Traceback" not in answer.stderr


def test_run__quarantines_the_study_that_is_cut_off(ran):
    """The class of what landed, under the pseudonym; the others have their row."""
    ended = json.loads(ran.answers["run"].stdout.splitlines()[-1])
    assert ran.answers["run"].returncode == 3, ran.answers["run"].stderr
    assert (ended["patients"], ended["ok"], ended["quarantined"]) == (3, 2, 1)
    [failed] = json.loads(ran.answers["failed"].stdout.splitlines()[-1])["failed"]
    assert failed["patient_id"] == ran.patients["cut"]
    assert failed["error"] == "TruncatedFile"
    assert failed["file"].startswith(str(ran.home / "deidentified" / ran.patients["cut"]))
    again = json.loads(ran.answers["again"].stdout.splitlines()[-1])
    assert (again["ok"], again["quarantined"], again["skipped"]) == (0, 1, 2)


def test_run__shows_picture_and_report_in_dagster(ran):
    """A person judges the row by the picture; the flag of burned-in text stands in the row."""
    table = dg.AssetKey("ct_features")
    patient = ran.patients["good"]
    with open_instance(ran.home / "dagster") as instance:
        told = instance.get_materialized_partitions(table)
        wanted = dg.AssetRecordsFilter(table, asset_partitions=[patient])
        [record] = instance.fetch_materializations(wanted, limit=1).records
    assert told == {ran.patients["good"], ran.patients["ready"]}
    metadata = record.asset_materialization.metadata
    shown, encoded = metadata["overlay"].value.split("base64,")
    assert shown.startswith("![")
    full = Path(metadata["overlay_file"].value).read_bytes()
    preview = b64decode(encoded.rstrip(")"))
    sizes = [Image.open(BytesIO(png), formats=["PNG"]).size for png in (preview, full)]
    assert sizes[0] < sizes[1]
    report = metadata["deidentification"].value
    assert report["burned_in"]["overlay_plane_removed"] > 0
    assert report["removed"]["private"] > 0
    assert report["left_out"] == {"not_ct_or_segmentation": 1}
    rows = Lake(ran.home / "lake").scan("ct_features").collect()
    flags = dict(rows.select("patient_id", "burned_in_suspected").iter_rows())
    assert flags == {ran.patients["good"]: True, ran.patients["ready"]: False}
    assert set(rows["mask_voxels"]) == {PHANTOM.mask.sum()}
    assert set(rows["settings_version"]) == {"default107-1/tumour"}
