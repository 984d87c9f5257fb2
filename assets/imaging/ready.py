"""Ready volumes: an image and its mask as NIfTI or NRRD, instead of DICOM."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from assets.imaging.errors import EmptyMask, MaskOffGrid, NoMask
from assets.imaging.grid import Grid
from oncoframe.errors import EmptyFile, FileMissing, ImpossibleValue, TruncatedFile, WrongFormat

_DIMENSIONS = 3
_NIFTI_HEADER_BYTES = 348
_CHUNK_BYTES = 2**20
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
_MASK_WORDS = ("mask", "label", "seg")


def find_pair(folder: Path) -> tuple[Path, Path] | None:
    """Image and mask of a folder that holds exactly these two volumes; None for other folders."""
    volumes = sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES))
    masks = [p for p in volumes if any(word in p.name.casefold() for word in _MASK_WORDS)]
    images = [p for p in volumes if p not in masks]
    return (images[0], masks[0]) if len(images) == len(masks) == 1 else None


def read_pair(
    image: Path, mask: Path, label: int | None = None
) -> tuple[np.ndarray, np.ndarray, Grid]:
    """Image, mask and grid of a pair: (Z, Y, X) arrays of HU and of bool.

    Parameters
    ----------
    image, mask
        NIfTI or NRRD files on one grid.
    label
        Value of the mask inside; 1, or the only value that is not 0, unless given.

    Raises
    ------
    FileMissing, EmptyFile, TruncatedFile, WrongFormat
        If a file cannot be read as a volume.
    MaskOffGrid
        If the two do not lie on one grid.
    EmptyMask
        If the mask has no voxel.
    WrongFormat
        If its values are no labels.
    NoMask
        If it has several labels and none was asked for, or not the one that was.
    ImpossibleValue
        If the image has a value that is not finite.
    """
    picture, regions = _read(image), _read(mask)
    grid = Grid.of_image(picture)
    if not grid.matches(Grid.of_image(regions)):
        raise MaskOffGrid(
            "image and mask do not lie on one grid", where=str(mask),
            expected=f"{grid.shape} voxels where those of the image are",
            got=f"{Grid.of_image(regions).shape} voxels",
        )  # fmt: skip
    hu, labels = sitk.GetArrayFromImage(picture), sitk.GetArrayFromImage(regions)
    if not np.isfinite(hu).all():
        raise ImpossibleValue("values that are not finite", where=str(image))
    return hu, _inside(labels, label, mask), grid


def _read(path: Path) -> sitk.Image:
    if not path.is_file():
        raise FileMissing("the volume is not there", where=str(path))
    if path.stat().st_size == 0:
        raise EmptyFile("the volume has no bytes", where=str(path))
    if not path.name.endswith(SUFFIXES):
        raise WrongFormat("not a volume", where=str(path), expected=" or ".join(SUFFIXES))
    if path.name.endswith((".nii", ".nii.gz")):
        _check_complete(path)
    try:
        volume = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise TruncatedFile("the volume ends early or is damaged", where=str(path)) from error
    if volume.GetDimension() != _DIMENSIONS or volume.GetNumberOfComponentsPerPixel() != 1:
        raise WrongFormat(
            "not a volume of one value per voxel", where=str(path), expected="three dimensions",
            got=f"{volume.GetDimension()} and {volume.GetNumberOfComponentsPerPixel()} values",
        )  # fmt: skip
    return volume


def _check_complete(path: Path) -> None:
    """Refuse a NIfTI file that ends early: ITK fills what is missing with whatever is in memory."""
    opened = gzip.open if path.name.endswith(".gz") else open
    try:
        with opened(path, "rb") as stream:
            header = stream.read(_NIFTI_HEADER_BYTES)
            size = len(header)
            while chunk := stream.read(_CHUNK_BYTES):
                size += len(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TruncatedFile("the volume ends early or is damaged", where=str(path)) from error
    expected = _nifti_bytes(header) if len(header) == _NIFTI_HEADER_BYTES else _NIFTI_HEADER_BYTES
    if size < expected:
        raise TruncatedFile(
            "the volume ends early", where=str(path), expected=f"{expected} bytes", got=f"{size}"
        )


def _nifti_bytes(header: bytes) -> int:
    """Size of the file that a NIfTI-1 header announces; 0 for a header of another kind.

    References
    ----------
    NIfTI-1: sizeof_hdr at byte 0, dim at 40, bitpix at 72, vox_offset at 108.
    """
    for order in "<>":
        if struct.unpack_from(f"{order}i", header, 0)[0] == _NIFTI_HEADER_BYTES:
            dimensions = struct.unpack_from(f"{order}8h", header, 40)
            bits = int(struct.unpack_from(f"{order}h", header, 72)[0])
            offset = float(struct.unpack_from(f"{order}f", header, 108)[0])
            voxels: int = math.prod(max(n, 1) for n in dimensions[1 : dimensions[0] + 1])
            return int(offset) + voxels * bits // 8
    return 0


def _inside(labels: np.ndarray, label: int | None, path: Path) -> np.ndarray:
    found = np.unique(labels[labels != 0])
    # Of probabilities or of an image only the voxels that happen to be 1 would count.
    if found.size and (found[0] < 0 or (found != np.rint(found)).any()):
        raise WrongFormat(
            "not a mask", where=str(path), expected="labels from 0 up", got="other values"
        )
    if not found.size:
        raise EmptyMask("the mask contains no voxel", where=str(path))
    if label is None:
        label = int(found[0]) if found.size == 1 else 1
    if label not in found:
        raise NoMask(
            "the mask has no such label", where=str(path), expected=f"{label}",
            got=f"{found.size} other labels",
        )  # fmt: skip
    return np.asarray(labels == label)
