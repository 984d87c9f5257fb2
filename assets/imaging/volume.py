"""CT volumes in Hounsfield units: slices decoded, rescaled and stacked in patient coordinates.

CT series -> slices in order -> (Z, Y, X) array of HU on a grid -> NIfTI with provenance
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.pixels import get_decoder  # type: ignore[attr-defined]  # documented there
from pydicom.uid import (
    HTJ2K,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
)

from assets.imaging.dicom_files import DicomFile, Faults, blaming, read_object
from assets.imaging.errors import MixedReconstructions
from assets.imaging.grid import Grid
from assets.imaging.hounsfield import check_hounsfield
from assets.imaging.slices import Slice, ordered, slices_of
from oncoframe.errors import TruncatedFile, WrongFormat

_HIGH_THROUGHPUT = (HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL)
_BY_GDCM = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
#: Fewer slices do not tell whether every second one is another image.
_FEWEST_TO_COMPARE = 8
#: Difference to the slice beyond over that to the neighbour, at least.
_LEAST_LIKENESS = 0.95
#: Share by which the sharpness of every second slice may differ.
_MOST_ALTERNATION = 0.08


@dataclass(frozen=True)
class Volume:
    """A CT volume.

    Parameters
    ----------
    hu : (Z, Y, X) array
        Hounsfield units; int16 where all of them fit, else int32 or float64.
    grid
        Where its voxels lie.
    instances
        SOP instance UID of each slice, in the order of z.
    repairs
        What was put right -> number of files.
    """

    hu: np.ndarray
    grid: Grid
    instances: tuple[str, ...] = ()
    repairs: dict[str, int] | None = None

    @property
    def image(self) -> sitk.Image:
        """The volume as a SimpleITK image."""
        return self.grid.image(self.hu)


def read_volume(files: tuple[DicomFile, ...], where: str) -> Volume:
    """Volume of a CT series.

    Identical copies of a slice (same SOP instance) are read once and counted as a repair.

    Raises
    ------
    TruncatedFile
        If pixel data end early.
    WrongFormat
        If the pixels cannot be decoded or are no single-channel CT pixels.
    assets.imaging.errors
        If the slices make no regular volume, see :func:`assets.imaging.slices.ordered`.
    """
    unique = _without_copies(files)
    repairs = Counter(identical_copy=len(files) - len(unique))
    slices: list[Slice] = []
    faults = Faults(where)
    for file in unique:
        with faults.collected():
            slices += slices_of(file)
    faults.check()
    slices, grid = ordered(slices, where)
    # Memory: HU of whole slopes are integers, so half of what float64 would take.
    whole = all(s.slope.is_integer() and s.intercept.is_integer() for s in slices)
    hu = np.empty(grid.shape, dtype=np.int32 if whole else np.float64)
    opened: tuple[Path | None, np.ndarray | None] = None, None
    for z, piece in enumerate(slices):
        if opened[0] != piece.file.path:
            opened = piece.file.path, None
            with faults.collected():
                opened = piece.file.path, _frames(piece)
        if opened[1] is not None:
            stored = opened[1][piece.frame]
            hu[z] = stored * hu.dtype.type(piece.slope) + hu.dtype.type(piece.intercept)
    faults.check()
    check_hounsfield(hu, where)
    _check_one_image(hu, where)
    limits = np.iinfo(np.int16)
    if whole and hu.min() >= limits.min and hu.max() <= limits.max:
        hu = hu.astype(np.int16)
    instances = tuple(s.file.text("SOPInstanceUID") for s in slices)
    return Volume(hu, grid, instances, dict(+repairs))


def _check_one_image(hu: np.ndarray, where: str) -> None:
    """Refuse two interleaved reconstructions whose headers do not differ.

    Slices of one scan are more like their neighbours than like those beyond, and as sharp: on real
    scans the ratio of the two differences is 1.3 to 1.7, and sharpness alternates by less than 2 %.
    """
    if len(hu) < _FEWEST_TO_COMPARE:
        return
    coarse = hu[:, ::4, ::4].astype(np.float32)
    near = np.abs(np.diff(coarse, axis=0)).mean(axis=(1, 2))
    beyond = np.abs(coarse[2:] - coarse[:-2]).mean(axis=(1, 2))
    likeness = float(np.median(beyond - _LEAST_LIKENESS * (near[1:] + near[:-1]) / 2))
    sharpness = np.abs(np.diff(hu[:, ::4].astype(np.float32), axis=2)).mean(axis=(1, 2))
    turns = (-1.0) ** np.arange(len(hu) - 2)
    alternating = np.median(turns * (sharpness[1:-1] - (sharpness[:-2] + sharpness[2:]) / 2))
    if likeness < 0 or abs(alternating) > _MOST_ALTERNATION * np.median(sharpness):
        raise MixedReconstructions(
            "every second slice of the series is of another image",
            where=where,
            expected="one reconstruction per series",
            hint="Land one reconstruction per folder, or give each a series of its own.",
        )


def _without_copies(files: tuple[DicomFile, ...]) -> list[DicomFile]:
    """Files without further copies of one that has the same UID and the same pixels."""
    kept: dict[str, DicomFile] = {}
    others = []
    for file in files:
        first = kept.setdefault(file.text("SOPInstanceUID"), file)
        if first is not file and _bytes(first) != _bytes(file):
            others.append(file)
    return [*kept.values(), *others]


def _bytes(file: DicomFile) -> tuple[str, bytes]:
    dataset = read_object(file.path, file.where)
    return file.text("ImagePositionPatient"), bytes(dataset.get("PixelData") or b"")


def _frames(piece: Slice) -> np.ndarray:
    """(frames, rows, columns) array of stored values of the file of a slice."""
    dataset = read_object(piece.file.path, piece.file.where)
    with blaming(piece.file.where):
        if int(dataset.get("SamplesPerPixel", 1)) != 1:
            raise WrongFormat("a CT image with colour", where=piece.file.where)
        stored = stored_pixels(dataset, piece.file)
        return stored.reshape(-1, int(dataset.Rows), int(dataset.Columns))


def stored_pixels(dataset: Dataset, file: DicomFile) -> np.ndarray:
    """Stored values of an image or segmentation object, decoded.

    Uncompressed, RLE, JPEG-LS and JPEG 2000 pixels are read by pydicom, JPEG of more than 8 bits
    by the GDCM inside SimpleITK. GDCM is asked for nothing else: of high-throughput JPEG 2000
    (HTJ2K) it hands out other values without an error.

    Raises
    ------
    TruncatedFile
        If the pixel data are missing or shorter than the image.
    WrongFormat
        If no decoder reads them.
    """
    if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
        raise TruncatedFile("the DICOM file ends before its pixel data", where=file.where)
    if "TransferSyntaxUID" not in dataset.file_meta:
        is_implicit, is_little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else explicit
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed or syntax.is_deflated:
        bits = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
        expected = (
            bits * int(dataset.BitsAllocated) * int(dataset.get("SamplesPerPixel", 1)) + 7
        ) // 8
        if len(dataset.PixelData) < expected:
            raise TruncatedFile(
                "the pixel data end early",
                where=file.where,
                expected=f"{expected} bytes",
                got=f"{len(dataset.PixelData)} bytes",
            )
    elif syntax in _HIGH_THROUGHPUT:
        # OpenJPEG reads both kinds of JPEG 2000; pydicom only has to be told that it is one.
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    elif syntax in _BY_GDCM:
        return _decoded_by_gdcm(dataset, file)
    elif not _has_decoder(syntax):
        raise WrongFormat(
            "the compressed pixels cannot be decoded", where=file.where, got=syntax.name,
            expected="no compression, RLE, JPEG, JPEG-LS or JPEG 2000",
        )  # fmt: skip
    try:
        return np.asarray(dataset.pixel_array)
    except (ValueError, RuntimeError, NotImplementedError, AttributeError, EOFError):
        raise TruncatedFile("the pixel data cannot be decoded", where=file.where) from None


def _has_decoder(syntax: UID) -> bool:
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _decoded_by_gdcm(dataset: Dataset, file: DicomFile) -> np.ndarray:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file.path))
    try:
        rescaled = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError:
        # ITK's message repeats the file name.
        raise WrongFormat(
            "the compressed pixels cannot be decoded",
            where=file.where,
            got=dataset.file_meta.TransferSyntaxUID.name,
        ) from None
    # GDCM hands out rescaled values; undo it, so that the caller rescales all files alike.
    slope = float(dataset.get("RescaleSlope", 1))
    intercept = float(dataset.get("RescaleIntercept", 0))
    return np.asarray(np.rint((rescaled - intercept) / slope), dtype=np.int32)
