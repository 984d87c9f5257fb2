"""CT and segmentations as other programs write them: highdicom's SEG, multi-frame, compressed."""

import gc
import warnings
from copy import deepcopy
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.fileset import FileSet
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from assets.imaging import errors
from assets.imaging.rules import MaskRule, Rule
from assets.imaging.study import CtStudy, read_study
from assets.simulate.phantom.dicom import ct_slices, save, structure_set
from assets.simulate.phantom.image import PhantomShape, make_phantom
from assets.simulate.phantom.segmentation import segmentation
from oncoframe.errors import OncoFrameError

SHAPE = PhantomShape(size=(12, 40, 44), tumour_mm=11.0)


@pytest.fixture(params=[0.0, 30.0])
def phantom(request):
    return make_phantom(
        PhantomShape(size=(12, 40, 44), tumour_mm=11.0, tilt_deg=request.param), seed=1
    )


@pytest.fixture
def images(phantom) -> list[Dataset]:
    return ct_slices(phantom)


def read(folder: Path, images: list[Dataset], segments: Dataset, rule=None) -> CtStudy:
    for number, image in enumerate(images):
        save(image, folder / f"{number}.dcm")
    save(segments, folder / "seg.dcm")
    return read_study(folder, rule)


def repacked(segments: Dataset, frames: np.ndarray, order: list[int]) -> Dataset:
    """The segmentation with other pixels, its frames in another order."""
    groups = [segments.PerFrameFunctionalGroupsSequence[i] for i in order]
    segments.PerFrameFunctionalGroupsSequence = groups
    segments.NumberOfFrames, segments.Rows, segments.Columns = len(order), *frames.shape[1:]
    bits = np.packbits(frames[order].ravel(), bitorder="little").tobytes()
    segments.PixelData = bits + b"\0" * (len(bits) % 2)
    return segments


def frames_of(segments: Dataset) -> np.ndarray:
    return segments.pixel_array.reshape(-1, segments.Rows, segments.Columns).astype(np.uint8)


def test_read_study__places_shuffled_frames(tmp_path, phantom, images):
    """Frames in file order instead of by position scramble the tumour."""
    segments = segmentation(phantom, images)
    frames = frames_of(segments)
    order = np.random.default_rng(3).permutation(len(frames)).tolist()
    study = read(tmp_path, images, repacked(segments, frames, order))
    assert len(frames) < len(images)
    assert np.array_equal(study.mask, phantom.mask)


def test_read_study__places_cropped_frames(tmp_path, phantom, images):
    """A SEG of 20 x 24 pixels on a CT of 40 x 44: positions, not sizes, say where it lies."""
    segments = segmentation(phantom, images)
    frames = frames_of(segments)
    top, left = (np.flatnonzero(frames.any(axis=axes))[0] for axes in ((0, 2), (0, 1)))
    for group in segments.PerFrameFunctionalGroupsSequence:
        place = group.PlanePositionSequence[0]
        first = np.array([float(v) for v in place.ImagePositionPatient])
        move = phantom.grid.points(np.array([[left, top, 0]])) - phantom.grid.origin_mm
        place.ImagePositionPatient = [f"{v:.8f}"[:16] for v in first + move[0]]
    cropped = frames[:, top : top + 20, left : left + 24]
    study = read(tmp_path, images, repacked(segments, cropped, list(range(len(frames)))))
    assert cropped.sum() == phantom.mask.sum()
    assert np.array_equal(study.mask, phantom.mask)


def test_read_study__places_mirrored_and_turned_frames(tmp_path, phantom, images):
    """Rows of the SEG run down the columns of the CT, backwards."""
    segments = segmentation(phantom, images)
    frames = frames_of(segments)
    grid = phantom.grid
    last = grid.shape[2] - 1
    row, column = grid.direction[:, 1], -grid.direction[:, 0]
    for group in segments.PerFrameFunctionalGroupsSequence:
        place = group.PlanePositionSequence[0]
        first = np.array([float(v) for v in place.ImagePositionPatient])
        place.ImagePositionPatient = (
            first + grid.direction[:, 0] * grid.spacing_mm[0] * last
        ).tolist()
    shared = segments.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [*row, *column]
    turned = np.ascontiguousarray(frames.transpose(0, 2, 1)[:, ::-1])
    study = read(tmp_path, images, repacked(segments, turned, list(range(len(frames)))))
    assert np.array_equal(study.mask, phantom.mask)


def test_read_study__keeps_overlapping_segments_apart(tmp_path, phantom, images):
    """Reading frames into one label map loses the voxels that two segments share."""
    big = np.zeros_like(phantom.mask)
    big[3:9, 8:30, 8:40] = True
    masks = {"Lung": big, "Tumour": phantom.mask}
    both = segmentation(phantom, images, masks)
    study = read(tmp_path, images, both)
    assert np.array_equal(study.mask, phantom.mask)
    union = read_study(tmp_path, MaskRule(Rule.ALL))
    assert np.array_equal(union.mask, phantom.mask | big)
    named = read_study(tmp_path, MaskRule(Rule.NAMED, ("lung",)))
    assert np.array_equal(named.mask, big)


def test_read_study__takes_fractional_segments_from_one_half(tmp_path, phantom, images):
    """A probability of 0.2 is not tumour, though its stored value is not zero."""
    soft = np.where(phantom.mask, 0.8, 0.0)
    soft[2:10, 30:38, 4:10] = 0.2
    study = read(tmp_path, images, segmentation(phantom, images, {"Tumour": soft}))
    assert np.array_equal(study.mask, phantom.mask)


def test_read_study__refuses_an_empty_segment(tmp_path, phantom, images):
    """All voxels cleared: zero features would look like a measured tumour."""
    segments = segmentation(phantom, images)
    segments.PixelData = bytes(len(segments.PixelData))
    with pytest.raises(errors.EmptyMask):
        read(tmp_path, images, segments)


def test_read_study__refuses_a_segment_of_another_frame(tmp_path, phantom, images):
    segments = segmentation(phantom, images)
    segments.FrameOfReferenceUID = generate_uid()
    with pytest.raises(errors.OtherFrameOfReference):
        read(tmp_path, images, segments)


def test_read_study__refuses_pixels_between_voxels(tmp_path, phantom, images):
    """A third of a pixel beside the grid is no rounding: the mask belongs to another grid."""
    segments = segmentation(phantom, images)
    for group in segments.PerFrameFunctionalGroupsSequence:
        place = group.PlanePositionSequence[0]
        place.ImagePositionPatient = [float(v) + 0.66 for v in place.ImagePositionPatient]
    with pytest.raises(errors.MaskOffGrid):
        read(tmp_path, images, segments)


def test_read_study__refuses_segmented_pixels_beyond_the_ct(tmp_path, phantom, images):
    """The CT lost its upper half: the part of the tumour there must not vanish silently."""
    segments = segmentation(phantom, images)
    with pytest.raises(errors.MaskOutsideCT):
        read(tmp_path, images[:6], segments)


def test_read_study__reads_a_legacy_converted_multiframe_ct(tmp_path, phantom, images):
    """One file of many frames, each with its own place."""
    structures = structure_set(phantom, images)
    for image in images:
        image.InstanceCreationDate, image.InstanceCreationTime = "20200101", "120000"
    enhanced = hd.legacy.LegacyConvertedEnhancedCTImage(
        images, generate_uid(), 9, generate_uid(), 1
    )
    for item in structures.StructureSetROISequence:
        item.ReferencedFrameOfReferenceUID = enhanced.FrameOfReferenceUID
    save(enhanced, tmp_path / "ct.dcm")
    save(structures, tmp_path / "rs.dcm")
    study = read_study(tmp_path)
    assert np.array_equal(study.volume.hu, phantom.hu)
    assert np.array_equal(study.mask, phantom.mask)


def with_gdcm(image: Dataset, compressor: str, syntax: str, folder: Path) -> Dataset:
    """The image with its pixels compressed by the GDCM inside SimpleITK."""
    pixels = np.frombuffer(image.PixelData, "<u2").reshape(1, image.Rows, image.Columns)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    path = folder / "compressed.dcm"
    writer.SetFileName(str(path))
    writer.Execute(sitk.GetImageFromArray(pixels))
    written = pydicom.dcmread(path)
    assert written.file_meta.TransferSyntaxUID == syntax
    path.unlink()
    image.PixelData = encapsulate([get_frame(written.PixelData, 0, number_of_frames=1)])
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = UID(syntax)
    return image


@pytest.mark.parametrize(
    "syntax",
    ["rle", "jpegls", "jpeg2000", "jpeg", "deflated", "implicit"],
)
def test_read_study__reads_compressed_slices(tmp_path, syntax):
    """Archives compress: a slice decoded with the wrong sign or shift is a wrong volume."""
    phantom = make_phantom(SHAPE, seed=1)
    images = ct_slices(phantom)
    structures = structure_set(phantom, images)
    for image in images:
        match syntax:
            case "rle":
                image.compress(RLELossless, generate_instance_uid=False)
            case "jpegls":
                image.compress(JPEGLSLossless, generate_instance_uid=False)
            case "jpeg2000":
                with_gdcm(image, "JPEG2000", "1.2.840.10008.1.2.4.90", tmp_path)
            case "jpeg":
                with_gdcm(image, "JPEG", "1.2.840.10008.1.2.4.70", tmp_path)
            case "deflated":
                image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
            case "implicit":
                image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    study = read(tmp_path / "a", images, structures)
    assert np.array_equal(study.volume.hu, phantom.hu)
    assert np.array_equal(study.mask, phantom.mask)


def test_read_study__reads_run_length_coded_segments(tmp_path):
    phantom = make_phantom(SHAPE, seed=1)
    images = ct_slices(phantom)
    segments = segmentation(phantom, images)
    frames = (frames_of(segments) * 255).astype(np.uint8)
    segments = deepcopy(segments)
    segments.BitsAllocated = segments.BitsStored = 8
    segments.HighBit = 7
    segments.SegmentationType, segments.MaximumFractionalValue = "FRACTIONAL", 255
    segments.SegmentationFractionalType = "OCCUPANCY"
    segments.PixelData = frames.tobytes()
    segments.compress(RLELossless, generate_instance_uid=False)
    study = read(tmp_path, images, segments)
    assert np.array_equal(study.mask, phantom.mask)


def test_read_study__names_every_damage(tmp_path):
    """Bytes changed by chance: a study as planted but for what was hit, or one typed error."""
    phantom = make_phantom(PhantomShape(size=(5, 20, 22), tumour_mm=8.0), seed=1)
    images = ct_slices(phantom)
    outcomes = set()
    rng = np.random.default_rng(11)
    for number, image in enumerate(images):
        save(image, tmp_path / f"{number}.dcm")
    for structures in (structure_set(phantom, images), segmentation(phantom, images)):
        save(structures, tmp_path / "mask.dcm")
        intact = (tmp_path / "mask.dcm").read_bytes()
        for _ in range(20):
            damaged = bytearray(intact)
            for at in rng.integers(132, len(intact), 3):
                damaged[at] = rng.integers(256)
            (tmp_path / "mask.dcm").write_bytes(damaged)
            try:
                outcomes.add(read_study(tmp_path).mask.shape)
            except OncoFrameError as error:
                outcomes.add(error.name)
    assert {"DamagedFile", "TruncatedFile", phantom.grid.shape} <= outcomes


def test_read_study__reads_a_dicomdir_medium(tmp_path):
    """A CD from the hospital: an index, and files without suffix in folders of eight letters."""
    phantom = make_phantom(SHAPE, seed=1)
    images = ct_slices(phantom)
    medium = FileSet()
    for data in [*images, structure_set(phantom, images)]:
        medium.add(data)
    medium.write(tmp_path / "cd")
    with warnings.catch_warnings():
        # pydicom leaves its temporary folder to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        del medium
        gc.collect()
    assert (tmp_path / "cd" / "DICOMDIR").is_file()
    for path in (tmp_path / "cd", tmp_path / "cd" / "DICOMDIR"):
        study = read_study(path)
        assert np.array_equal(study.volume.hu, phantom.hu)
        assert np.array_equal(study.mask, phantom.mask)


def test_segmentation__gives_the_same_bytes_for_the_same_seed(tmp_path):
    """A time of day or a fresh UID of highdicom: the demo's hashes would never repeat."""
    phantom = make_phantom(PhantomShape(size=(5, 20, 22), tumour_mm=8.0), seed=1)
    for name in ("a", "b"):
        save(segmentation(phantom, ct_slices(phantom)), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
