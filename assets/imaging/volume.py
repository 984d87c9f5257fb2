"""CT volumes in Hounsfield units: slices decoded, rescaled and stacked in patient coordinates.

CT series -> slices in order -> (Z, Y, X) array of HU on a grid -> NIfTI with provenance
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.pixels import get_decoder  # type: ignore[attr-defined]  # documented there
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from assets.imaging.dicom_files import DicomFile, blaming, read_object
from assets.imaging.grid import Grid
from assets.imaging.slices import Slice, ordered, slices_of
from oncoframe.errors import TruncatedFile, WrongFormat


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
    slices = [s for file in unique for s in slices_of(file)]
    slices, grid = ordered(slices, where)
    # Memory: HU of whole slopes are integers, so half of what float64 would take.
    whole = all(s.slope.is_integer() and s.intercept.is_integer() for s in slices)
    hu = np.empty(grid.shape, dtype=np.int32 if whole else np.float64)
    opened: tuple[Path, np.ndarray] | None = None
    for z, piece in enumerate(slices):
        if opened is None or opened[0] != piece.file.path:
            opened = piece.file.path, _frames(piece)
        stored = opened[1][piece.frame]
        hu[z] = stored * hu.dtype.type(piece.slope) + hu.dtype.type(piece.intercept)
    limits = np.iinfo(np.int16)
    if whole and hu.min() >= limits.min and hu.max() <= limits.max:
        hu = hu.astype(np.int16)
    instances = tuple(s.file.text("SOPInstanceUID") for s in slices)
    return Volume(hu, grid, instances, dict(+repairs))


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

    Uncompressed, RLE and JPEG-LS pixels are read by pydicom, the other syntaxes by the GDCM
    inside SimpleITK.

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
    elif not get_decoder(syntax).is_available:
        return _decoded_by_gdcm(dataset, file)
    try:
        return np.asarray(dataset.pixel_array)
    except (ValueError, RuntimeError, NotImplementedError, AttributeError, EOFError):
        raise TruncatedFile("the pixel data cannot be decoded", where=file.where) from None


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


def write_nifti(image: sitk.Image, path: Path, provenance: dict[str, object]) -> None:
    """Write a volume or mask as gzipped NIfTI, with its provenance in ``<name>.json`` beside it.

    Parameters
    ----------
    image
        Three-dimensional image.
    path
        Ends in ``.nii.gz``.
    provenance
        Hashes, versions and choices; no header values.
    """
    sitk.WriteImage(image, str(path), useCompression=True)
    sidecar = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
    sidecar.write_text(json.dumps(provenance, indent=2, sort_keys=True) + "\n", encoding="utf-8")
