"""CT studies: every way in which a folder can be wrong is its own error, never a wrong volume."""

import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage, generate_uid

from assets.imaging import errors
from assets.imaging.rules import MaskRule, Rule
from assets.imaging.study import CtStudy, read_study
from assets.simulate.phantom.dicom import (
    Identity,
    ct_slices,
    save,
    structure_set,
    uid,
    write_study,
)
from assets.simulate.phantom.image import Phantom, PhantomShape, make_phantom
from oncoframe.errors import EmptyFile, OncoFrameError, TruncatedFile, WrongFormat

PHANTOM = make_phantom(PhantomShape(size=(12, 40, 44), tumour_mm=11.0), seed=1)


def write(
    folder: Path, images: list[Dataset], structures: Dataset | None, names: str = "{:03d}.dcm"
) -> Path:
    for number, image in enumerate(images):
        save(image, folder / names.format(number))
    if structures is not None:
        save(structures, folder / "rs.dcm")
    return folder


@pytest.fixture
def images() -> list[Dataset]:
    return ct_slices(PHANTOM)


@pytest.fixture
def structures(images) -> Dataset:
    return structure_set(PHANTOM, images)


def assert_planted(study: CtStudy, phantom: Phantom = PHANTOM) -> None:
    assert np.array_equal(study.volume.hu, phantom.hu)
    assert np.array_equal(study.mask, phantom.mask)
    assert study.volume.grid.matches(phantom.grid)


def shuffled(images: list[Dataset]) -> list[Dataset]:
    """Files named and numbered in an order that has nothing to do with position."""
    order = np.random.default_rng(5).permutation(len(images))
    for number, image in zip(order, images, strict=True):
        image.InstanceNumber = int(number)
    return [images[i] for i in order]


@pytest.mark.parametrize("tilt_deg", [0.0, 30.0, 180.0])
def test_read_study__recovers_volume_and_mask_whatever_the_file_order(tmp_path, tilt_deg):
    """Sorting by name, InstanceNumber or z alone turns an oblique or flipped volume over."""
    phantom = make_phantom(PhantomShape(size=(12, 40, 44), tilt_deg=tilt_deg), seed=2)
    images = ct_slices(phantom)
    structures = structure_set(phantom, images)
    study = read_study(write(tmp_path / "a", shuffled(images), structures))
    assert_planted(study, phantom)
    assert [(s.modality, s.used) for s in study.series] == [("CT", True), ("RTSTRUCT", True)]


def test_read_study__reads_any_layout(tmp_path, images, structures):
    """A TCIA tree, names without suffix, a licence text and a DICOMDIR beside them."""
    folder = tmp_path / "study"
    write(folder / "1.2.3" / "CT-4711", images, None, names="IM{:04d}")
    write(folder / "1.2.3" / "RT", [], structures)
    (folder / "LICENSE").write_text("CC BY 3.0")
    assert_planted(read_study(folder))


def test_read_study__keeps_the_orientation_of_descending_positions(tmp_path, images, structures):
    """Rows that run to the right: the normal points to the feet, and z of the array with it."""
    mirrored = [mirror(image) for image in images]
    study = read_study(write(tmp_path / "a", mirrored, structures))
    assert study.volume.grid.direction[2, 2] == pytest.approx(-1)
    assert np.array_equal(study.volume.hu, PHANTOM.hu[::-1, :, ::-1])
    assert np.array_equal(study.mask, PHANTOM.mask[::-1, :, ::-1])


def mirror(image: Dataset) -> Dataset:
    """The same picture with the pixels of each row in the other order."""
    pixels = np.frombuffer(image.PixelData, "<u2").reshape(image.Rows, image.Columns)
    image.PixelData = pixels[:, ::-1].tobytes()
    step = float(image.PixelSpacing[1]) * (image.Columns - 1)
    x, y, z = map(float, image.ImagePositionPatient)
    image.ImagePositionPatient = [x + step, y, z]
    image.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
    return image


def test_read_study__takes_spacing_from_positions_not_from_thickness(tmp_path, images, structures):
    """Overlapping reconstructions are thicker than they are apart: SliceThickness lies."""
    for image in images:
        image.SliceThickness = 5
    study = read_study(write(tmp_path / "a", images, structures))
    assert study.volume.grid.spacing_mm == pytest.approx([2.0, 2.0, 3.0])


def test_read_study__reads_an_identical_copy_once(tmp_path, images, structures):
    """The same file in two subfolders is a repair, counted; not a duplicate slice."""
    write(tmp_path / "a", images, structures)
    write(tmp_path / "a" / "again", images[:3], None)
    study = read_study(tmp_path / "a")
    assert_planted(study)
    assert study.volume.repairs == {"identical_copy": 3}


def test_read_study__rescales_each_slice_by_its_own_slope(tmp_path, images, structures):
    """One slope for the series gives a volume in which slices jump."""
    image = images[4]
    stored = np.frombuffer(image.PixelData, "<u2").astype(np.int32) - 1024 + 2048
    image.PixelData = (stored * 2).astype("<u2").tobytes()
    image.RescaleSlope, image.RescaleIntercept = "0.5", "-2048"
    study = read_study(write(tmp_path / "a", images, structures))
    assert np.array_equal(study.volume.hu, PHANTOM.hu)


@dataclass
class Files:
    images: list[Dataset]
    structures: Dataset


def missing_slice(files):
    del files.images[5]


def duplicate_slice(files):
    copy = deepcopy(files.images[5])
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    files.images.append(copy)


def two_images_of_one_uid(files):
    copy = deepcopy(files.images[5])
    copy.PixelData = bytes(len(copy.PixelData))
    files.images.append(copy)


def uneven_spacing(files):
    x, y, z = files.images[5].ImagePositionPatient
    files.images[5].ImagePositionPatient = [x, y, float(z) + 0.8]


def mixed_orientation(files):
    files.images[5].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def mixed_sizes(files):
    files.images[5].Columns = files.images[5].Columns // 2


def mixed_pixel_spacing(files):
    files.images[5].PixelSpacing = [2.1, 2.1]


def two_patients(files):
    files.images[5].PatientID = "OTHER"


def two_names(files):
    for image in [*files.images, files.structures]:
        image.PatientID = ""
    files.images[5].PatientName = "Other^Person"


def sheared(files):
    for z, image in enumerate(files.images):
        x, y, height = map(float, image.ImagePositionPatient)
        image.ImagePositionPatient = [x, y + 0.8 * z, height]


def tilt_in_name_only(files):
    for image in files.images:
        image.GantryDetectorTilt = 15


def no_position(files):
    del files.images[5].ImagePositionPatient


def frames_without_positions(files):
    files.images[5].NumberOfFrames = 2
    files.images[5].PixelData *= 2


def other_frame(files):
    for item in files.structures.StructureSetROISequence:
        item.ReferencedFrameOfReferenceUID = generate_uid()
    files.structures.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = generate_uid()
    files.structures.FrameOfReferenceUID = generate_uid()


def pet(files):
    for image in files.images:
        image.Modality, image.SOPClassUID = "PT", PositronEmissionTomographyImageStorage


def pet_passed_as_ct(files):
    for image in files.images:
        image.SOPClassUID = PositronEmissionTomographyImageStorage


def pet_with_ct_class(files):
    for image in files.images:
        image.Units = "BQML"


def contour_outside(files):
    contour = files.structures.ROIContourSequence[0].ContourSequence[0]
    contour.ContourData = [float(v) + 500 for v in contour.ContourData]


def contour_across_slices(files):
    contour = files.structures.ROIContourSequence[0].ContourSequence[0]
    data = list(contour.ContourData)
    data[2] = float(data[2]) + 6
    contour.ContourData = data


def contour_without_area(files):
    for contour in files.structures.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "POINT"


def no_contours(files):
    files.structures.ROIContourSequence[0].ContourSequence = []


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (missing_slice, errors.MissingSlice),
        (duplicate_slice, errors.DuplicateSlice),
        (two_images_of_one_uid, errors.DuplicateSlice),
        (uneven_spacing, errors.UnevenSpacing),
        (mixed_orientation, errors.MixedOrientation),
        (mixed_sizes, errors.MixedSlices),
        (mixed_pixel_spacing, errors.MixedSlices),
        (two_patients, errors.TwoPatients),
        (two_names, errors.TwoPatients),
        (sheared, errors.GantryTilt),
        (tilt_in_name_only, errors.GantryTilt),
        (no_position, errors.NoSlicePosition),
        (frames_without_positions, errors.NoSlicePosition),
        (other_frame, errors.OtherFrameOfReference),
        (pet, errors.NotCT),
        (pet_passed_as_ct, errors.NotCT),
        (pet_with_ct_class, errors.NotCT),
        (contour_outside, errors.MaskOutsideCT),
        (contour_across_slices, errors.MaskOffGrid),
        (contour_without_area, errors.EmptyMask),
        (no_contours, errors.EmptyMask),
    ],
)
def test_read_study__names_what_is_wrong(
    tmp_path, images, structures, spoil: Callable[[Files], None], error: type[OncoFrameError]
):
    """Each of these gives a plausible but wrong volume or mask if it goes unseen."""
    spoil(Files(images, structures))
    with pytest.raises(error) as raised:
        read_study(write(tmp_path / "a", images, structures))
    assert "PHANTOM" not in str(raised.value).replace(str(tmp_path), "")


def test_read_study__refuses_a_folder_without_segmentation(tmp_path, images):
    with pytest.raises(errors.NoMask):
        read_study(write(tmp_path / "a", images, None))


def test_read_study__refuses_a_folder_without_dicom(tmp_path):
    (tmp_path / "LICENSE").write_text("text")
    with pytest.raises(WrongFormat, match="no DICOM file"):
        read_study(tmp_path)


def test_read_study__refuses_a_web_page_called_dcm(tmp_path, images, structures):
    write(tmp_path / "a", images, structures)
    (tmp_path / "a" / "003.dcm").write_text("<html>404</html>" * 30)
    with pytest.raises(WrongFormat, match="in spite of its name"):
        read_study(tmp_path / "a")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5, 0.97])
def test_read_study__refuses_a_truncated_slice(tmp_path, images, structures, share):
    """Half a slice read as zeros, or a slice dropped, is a wrong volume."""
    write(tmp_path / "a", images, structures)
    path = tmp_path / "a" / "004.dcm"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises((TruncatedFile, EmptyFile, WrongFormat)):
        read_study(tmp_path / "a")


@pytest.mark.parametrize("share", np.linspace(0.05, 0.999, 25).tolist())
def test_read_study__refuses_a_truncated_structure_set(tmp_path, images, structures, share):
    """A structure set cut at any place must not become a smaller tumour."""
    write(tmp_path / "a", images, structures)
    path = tmp_path / "a" / "rs.dcm"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises((TruncatedFile, WrongFormat)):
        read_study(tmp_path / "a")


def test_read_study__takes_the_series_that_was_segmented(tmp_path, images, structures):
    """A second, longer reconstruction in the same frame of reference must not win."""
    other = deepcopy(images)
    for z, image in enumerate(other):
        image.SeriesInstanceUID = uid(PHANTOM, "series", "lung kernel")
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid(PHANTOM, "lung", z)
        image.PixelData = bytes(len(image.PixelData))
    write(tmp_path / "a" / "lung", other, None)
    localizer = deepcopy(images[0])
    localizer.SeriesInstanceUID, localizer.SOPInstanceUID = generate_uid(), generate_uid()
    localizer.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write(tmp_path / "a" / "scout", [localizer], None)
    study = read_study(write(tmp_path / "a", images, structures))
    assert_planted(study)
    reasons = {(s.modality, s.instances, s.used): s.reason for s in study.series}
    assert reasons["CT", 1, False] == "localizer"
    assert {s.reason for s in study.series if not s.used} == {
        "localizer",
        "no_segmentation_on_this_series",
    }


def rois() -> dict[str, np.ndarray]:
    """A tumour, a bigger oedema around it, and a node."""
    edema = np.zeros_like(PHANTOM.mask)
    edema[2:10, 5:35, 5:35] = True
    node = np.zeros_like(PHANTOM.mask)
    node[1:4, 3:8, 3:8] = True
    return {"GTV_Edema": edema, "GTV_Mass": PHANTOM.mask, "LN 4R": node}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (MaskRule(), ["GTV_Mass"]),
        (MaskRule(Rule.LATEST), ["GTV_Edema"]),
        (MaskRule(Rule.LARGEST), ["GTV_Edema"]),
        (MaskRule(Rule.NAMED, (" ln 4r",)), ["LN 4R"]),
        (MaskRule(Rule.NAMED, ("GTV_Mass", "LN 4R")), ["GTV_Mass", "LN 4R"]),
        (MaskRule(Rule.ALL), ["GTV_Edema", "GTV_Mass", "LN 4R"]),
    ],
)
def test_read_study__follows_the_rule_of_the_study(tmp_path, images, rule, expected):
    """Several segmentations are a choice, not an accident of file order, and never a crash."""
    structures = structure_set(PHANTOM, images, rois())
    study = read_study(write(tmp_path / "a", images, structures), rule)
    planted = np.logical_or.reduce([rois()[name] for name in expected])
    assert np.array_equal(study.mask, planted)


def test_read_study__takes_the_newest_of_two_structure_sets(tmp_path, images, structures):
    newer = structure_set(PHANTOM, images, {"GTV-1": rois()["LN 4R"]})
    newer.SOPInstanceUID = newer.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    newer.SeriesInstanceUID = generate_uid()
    newer.ContentDate = newer.StructureSetDate = "20210101"
    write(tmp_path / "a", images, structures)
    save(newer, tmp_path / "a" / "000-newer.dcm")
    study = read_study(tmp_path / "a")
    assert np.array_equal(study.mask, rois()["LN 4R"])
    assert [s.reason for s in study.series if not s.used] == ["not_the_segmentation_of_the_rule"]


def test_read_study__says_when_no_segmentation_has_the_name(tmp_path, images):
    """The message lists the names asked for, never those of the file: people write there."""
    structures = structure_set(PHANTOM, images, {"Doe John left": PHANTOM.mask})
    with pytest.raises(errors.NoMask, match="expected gtv") as raised:
        read_study(write(tmp_path / "a", images, structures), MaskRule(Rule.NAMED, ("gtv",)))
    assert "Doe" not in str(raised.value)


def test_read_study__never_names_a_file_called_after_the_patient(tmp_path, images, structures):
    write(tmp_path / "a", images, structures)
    shutil.move(tmp_path / "a" / "004.dcm", tmp_path / "a" / "DOE_JOHN.dcm")
    path = tmp_path / "a" / "DOE_JOHN.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TruncatedFile) as raised:
        read_study(tmp_path / "a")
    assert "DOE" not in str(raised.value)
    assert "in sorted order" in str(raised.value)


def test_write_study__gives_the_same_bytes_for_the_same_seed(tmp_path):
    """A UID or a time of the clock in the files would change every hash of the demo."""
    for name in ("a", "b"):
        write_study(PHANTOM, tmp_path / name, kind="rtstruct", identity=Identity())
    first, second = (sorted((tmp_path / n).rglob("*.dcm")) for n in ("a", "b"))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_write_study__writes_what_pydicom_reads(tmp_path):
    write_study(PHANTOM, tmp_path, kind="rtstruct")
    image = pydicom.dcmread(tmp_path / "ct" / "1-001.dcm")
    assert np.array_equal(image.pixel_array.astype(int) - 1024, PHANTOM.hu[0])
