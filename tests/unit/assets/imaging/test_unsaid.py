"""What a study does not say: refused, or recorded in the row, and never a confident number."""

import base64
import io
import tarfile
import zipfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid

from assets.imaging import errors
from assets.imaging.dicom_files import DicomFile, read_header, read_object
from assets.imaging.rules import MaskRule
from assets.imaging.study import extract_dicom, extract_volume, read_study
from assets.imaging.volume import stored_pixels
from assets.simulate.phantom.dicom import ct_slices, save, structure_set, uid
from assets.simulate.phantom.image import PhantomShape, make_phantom
from oncoframe.errors import EmptyFile, WrongFormat

PHANTOM = make_phantom(PhantomShape(size=(20, 40, 44), tumour_mm=16.0, has_cavity=False), seed=1)
MASK = PHANTOM.mask
OTHER = np.roll(MASK, 12, axis=2)


def write(folder: Path, images: list[Dataset], structures: Dataset | None = None) -> Path:
    for number, image in enumerate(images):
        save(image, folder / f"{number:03d}.dcm")
    if structures is not None:
        save(structures, folder / "rs.dcm")
    return folder


@pytest.fixture
def images() -> list[Dataset]:
    return ct_slices(PHANTOM)


def contours(structures: Dataset) -> list[Dataset]:
    return structures.ROIContourSequence[0].ContourSequence


def test_extract__names_the_structure_and_the_fallback(tmp_path, images):
    """Row and caption: a person must see which structure the numbers are of."""
    structures = structure_set(PHANTOM, images, {"Läsion Doe": MASK, "Haut": OTHER})
    found = extract_dicom(write(tmp_path, images, structures))
    row = found.extraction().features
    said = [row[name] for name in ("roi", "roi_rule", "mask_reference", "modality_source")]
    assert said == ["Lasion", "tumour/tumour_name", "images", "dicom"]
    assert found.notes["structures"] == ["Lasion", "Haut"]


def test_read_study__refuses_unnamed_structures(tmp_path, images):
    structures = structure_set(PHANTOM, images, {"Haut": np.ones_like(MASK), "Herz Doe": MASK})
    with pytest.raises(errors.UnclearTumour, match="1 Haut, 2 Herz") as raised:
        read_study(write(tmp_path, images, structures))
    assert "Doe" not in str(raised.value)


@pytest.mark.parametrize("step", [2, 3])
def test_read_study__refuses_contours_sparser_than_slices(tmp_path, images, step):
    """A comb has a half or a third of the volume, and a texture of its own."""
    structures = structure_set(PHANTOM, images)
    drawn = np.flatnonzero(MASK.any(axis=(1, 2)))[::step]
    images_drawn = {images[z].SOPInstanceUID for z in drawn}
    kept = [
        c for c in contours(structures)
        if c.ContourImageSequence[0].ReferencedSOPInstanceUID in images_drawn
    ]  # fmt: skip
    structures.ROIContourSequence[0].ContourSequence = kept
    folder = write(tmp_path, images, structures)
    with pytest.raises(errors.SparseContours, match=f"contours on {len(drawn)} slices"):
        read_study(folder)
    study = read_study(folder, MaskRule(interpolate=True))
    planted = MASK[drawn[0] : drawn[-1] + 1]
    filled = study.mask[drawn[0] : drawn[-1] + 1]
    assert 2 * (planted & filled).sum() / (planted.sum() + filled.sum()) > 0.95
    assert study.facts["interpolated_slices"] == drawn[-1] - drawn[0] + 1 - len(drawn)


def test_read_study__refuses_a_structure_with_a_slice_left_out(tmp_path, images):
    structures = structure_set(PHANTOM, images)
    del contours(structures)[4]
    with pytest.raises(errors.SparseContours, match="none on 1"):
        read_study(write(tmp_path, images, structures))


def test_read_study__leaves_parts_side_by_side_apart(tmp_path, images):
    """Two lesions at different heights are no gap in one."""
    parts = np.zeros_like(MASK)
    parts[2:6, 5:15, 5:15] = parts[8:12, 20:30, 20:30] = True
    structures = structure_set(PHANTOM, images, {"GTV": parts})
    assert np.array_equal(read_study(write(tmp_path, images, structures)).mask, parts)


def test_read_study__takes_a_contour_between_slices_as_little_as_a_segment(tmp_path, images):
    structures = structure_set(PHANTOM, images)
    for contour in contours(structures):
        data = [float(v) for v in contour.ContourData]
        data[2::3] = [z + 0.6 for z in data[2::3]]
        contour.ContourData = data
    with pytest.raises(errors.MaskOffGrid, match="between the slices"):
        read_study(write(tmp_path, images, structures))


def kernel(image: Dataset) -> None:
    image.ConvolutionKernel = "B70f"


def sharper(image: Dataset) -> None:
    pixels = np.frombuffer(image.PixelData, "<u2").astype(int)
    noise = np.random.default_rng(int(image.InstanceNumber)).normal(0, 40, pixels.size)
    image.PixelData = np.clip(pixels + noise, 0, 4095).astype("<u2").tobytes()


def breathed(image: Dataset) -> None:
    pixels = np.frombuffer(image.PixelData, "<u2").reshape(image.Rows, image.Columns)
    image.PixelData = np.roll(pixels, 5, axis=0).tobytes()


@pytest.mark.parametrize("change", [kernel, sharper, breathed])
def test_read_study__refuses_interleaved_reconstructions(tmp_path, images, change):
    """Two of 6 mm under one series UID look like one of 3 mm; headers need not differ."""
    for image in images[::2]:
        change(image)
    with pytest.raises(errors.MixedReconstructions):
        read_study(write(tmp_path, images, structure_set(PHANTOM, images)))


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_read_study__refuses_a_ct_without_rescaling(tmp_path, images, keyword):
    """Taken as 1 and 0, stored values are a thousand off."""
    delattr(images[7], keyword)
    with pytest.raises(errors.NotHounsfield, match="does not say how"):
        read_study(write(tmp_path, images, structure_set(PHANTOM, images)))


def test_read_study__refuses_stored_values_that_claim_to_be_hounsfield(tmp_path, images):
    for image in images:
        image.RescaleIntercept = 0
    with pytest.raises(errors.NotHounsfield, match="no Hounsfield units"):
        read_study(write(tmp_path, images, structure_set(PHANTOM, images)))


def test_read_study__refuses_another_quantity(tmp_path, images):
    for image in images:
        image.RescaleType = "Z_EFF"
    with pytest.raises(errors.NotHounsfield, match="rescale type"):
        read_study(write(tmp_path, images, structure_set(PHANTOM, images)))


@pytest.mark.parametrize(
    "values",
    [MASK.astype(np.uint8), np.abs(PHANTOM.hu) / 100.0, PHANTOM.hu + 1024.0],
    ids=["mask", "pet", "stored"],
)
def test_extract_volume__refuses_what_cannot_be_a_ct(tmp_path, values):
    image, mask = tmp_path / "i.nii.gz", tmp_path / "m.nii.gz"
    sitk.WriteImage(PHANTOM.grid.image(values), str(image))
    sitk.WriteImage(PHANTOM.grid.image(MASK.astype(np.uint8)), str(mask))
    with pytest.raises(errors.NotHounsfield):
        extract_volume(image, mask)


def test_extract_volume__refuses_an_image_or_probabilities_as_mask(tmp_path):
    image, mask = tmp_path / "i.nii.gz", tmp_path / "m.nii.gz"
    sitk.WriteImage(PHANTOM.grid.image(PHANTOM.hu), str(image))
    for values in (PHANTOM.hu, MASK * 0.7 + OTHER * 0.3):
        sitk.WriteImage(PHANTOM.grid.image(values), str(mask))
        with pytest.raises(WrongFormat, match="not a mask"):
            extract_volume(image, mask)


def test_extract_volume__says_how_it_is_known_to_be_a_ct(tmp_path):
    image, mask = tmp_path / "i.nii.gz", tmp_path / "m.nii.gz"
    sitk.WriteImage(PHANTOM.grid.image(PHANTOM.hu), str(image))
    sitk.WriteImage(PHANTOM.grid.image(MASK.astype(np.uint8)), str(mask))
    row = extract_volume(image, mask).covariates
    assert (row["modality_source"], row["mask_reference"]) == ("hu_range", "grid")


def as_other_series(images: list[Dataset]) -> list[Dataset]:
    """Another reconstruction in the same frame of reference, 100 HU brighter."""
    others = deepcopy(images)
    for z, image in enumerate(others):
        image.SeriesInstanceUID = uid(PHANTOM, "series", "other")
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid(PHANTOM, "o", z)
        image.RescaleIntercept = -924
    return others


def test_read_study__refuses_a_segmentation_of_images_that_are_not_there(tmp_path, images):
    """On another series of the same frame of reference every value is that of other images."""
    folder = write(tmp_path, as_other_series(images), structure_set(PHANTOM, images))
    with pytest.raises(errors.AbsentImages, match="none of the 20 images"):
        read_study(folder)
    study = read_study(folder, MaskRule(absent_images=True))
    assert study.facts["mask_reference"] == "absent_images"
    assert (study.notes["images_named"], study.notes["images_present"]) == (20, 0)


def test_read_study__records_that_only_the_series_is_named(tmp_path, images):
    structures = structure_set(PHANTOM, images)
    for item in structures.iterall():
        if item.keyword == "ReferencedSOPInstanceUID":
            item.value = generate_uid()
    study = read_study(write(tmp_path, images, structures))
    assert study.facts["mask_reference"] == "series"
    assert study.notes["images_present"] == 0


def test_read_study__reports_all_bad_files_at_once(tmp_path, images):
    """Repaired one by one, a study comes back as often as it has bad files."""
    folder = write(tmp_path, images, structure_set(PHANTOM, images))
    for number in (3, 5, 9):
        (folder / f"{number:03d}.dcm").write_bytes(b"")
    with pytest.raises(EmptyFile, match="3 files cannot be used") as raised:
        read_study(folder)
    assert all(f"{number:03d}.dcm" in str(raised.value) for number in (3, 5, 9))


def test_read_study__reports_all_slices_that_cannot_be_used(tmp_path, images):
    for image in (images[2], images[6]):
        del image.ImagePositionPatient
    with pytest.raises(errors.NoSlicePosition, match="2 files cannot be used"):
        read_study(write(tmp_path, images, structure_set(PHANTOM, images)))


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.dcm", b"x")
    return path


def tarred(path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("1.dcm"), io.BytesIO())
    return path


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_read_study__says_that_an_archive_has_to_be_unpacked(tmp_path, pack):
    path = pack(tmp_path / "study")
    for given in (path, tmp_path):
        with pytest.raises(WrongFormat, match="Unpack it"):
            read_study(given)


#: An 8 x 8 image whose pixel n is 37 n mod 2000, compressed by OpenJPH 0.26 as HTJ2K.
HTJ2K_IMAGE = """
/0//UQApQAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB
/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAHwAAf+TwAAmk/oFB3QA
AADAABLAABNAABKAQgGHdACM+QMHdAD7AEd0AMAAE0AAFRAABOAG6wBBVABKDxz9AMS0AD3a/QCCVADAACrgABXQAAnA
CMKjvPygRHCCdgBP/dSnls9Z/sBjASy2AM7n+eDCNAD/2Q==
"""


def compressed(image: Dataset, codestream: bytes, syntax: str, path: Path) -> DicomFile:
    image.file_meta.TransferSyntaxUID = UID(syntax)
    image.Rows = image.Columns = 8
    image.PixelData = encapsulate([codestream])
    image["PixelData"].is_undefined_length = True
    save(image, path)
    return DicomFile(path, "slice", read_header(path, "slice"))


@pytest.mark.parametrize("syntax", ["201", "202", "203"])
def test_stored_pixels__decodes_high_throughput_jpeg_2000(tmp_path, images, syntax):
    """GDCM hands out other values than those that were compressed, and no error."""
    codestream = base64.b64decode(HTJ2K_IMAGE)
    file = compressed(images[0], codestream, f"1.2.840.10008.1.2.4.{syntax}", tmp_path / "a.dcm")
    found = stored_pixels(read_object(file.path, file.where), file)
    assert np.array_equal(found.ravel(), np.arange(64) * 37 % 2000)


def test_stored_pixels__names_a_compression_that_it_cannot_decode(tmp_path, images):
    file = compressed(images[0], b"\0" * 64, "1.2.840.10008.1.2.4.100", tmp_path / "a.dcm")
    with pytest.raises(WrongFormat, match="cannot be decoded"):
        stored_pixels(read_object(file.path, file.where), file)
