"""Slices of a CT series: where each lies and what it measures, from single or multi-frame files.

    files -> one Slice per image plane -> parallel, equally far apart, complete; or a typed error

Positions come from ImagePositionPatient, never from SliceThickness or InstanceNumber.

References
----------
DICOM PS3.3 C.7.6.2 (image plane), C.7.6.16 (multi-frame functional groups), C.8.15.2 (CT tilt).
"""

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from assets.imaging.dicom_files import PARSE_ERRORS, DicomFile, blaming
from assets.imaging.errors import (
    DuplicateSlice,
    GantryTilt,
    MissingSlice,
    MixedOrientation,
    MixedReconstructions,
    MixedSlices,
    NoSlicePosition,
    NotHounsfield,
    UnevenSpacing,
)
from assets.imaging.grid import Grid
from oncoframe.errors import ImpossibleValue, TruncatedFile

#: Slice positions are decimal text, often with one decimal: 0.05 mm is rounding, not geometry.
POSITION_TOLERANCE_MM = 0.051
#: Larger share of the slice distance by which a slice may lie off its even position.
POSITION_TOLERANCE = 0.02
#: Cosines of orientation are written with four to six decimals.
ORIENTATION_TOLERANCE = 1e-3
#: Rescale types of other quantities, such as effective atomic number; the copy keeps these too.
_OTHER_UNITS = ("OD", "MGML", "Z_EFF", "ED", "EDW", "PCT")
#: Attributes in which two reconstructions of one scan differ.
_RECONSTRUCTION = (
    "ConvolutionKernel", "FilterType", "SliceThickness", "ReconstructionDiameter", "KVP",
    "RescaleType",
)  # fmt: skip
#: Slices that are said to be tilted by more are, in degrees.
TILT_TOLERANCE_DEG = 0.1


@dataclass(frozen=True)
class Slice:
    """One image plane.

    Parameters
    ----------
    file
        File that holds it.
    frame
        Its position among the frames of the file, from 0.
    position_mm : (3,) array
        Patient coordinates of the first pixel's centre.
    orientation : (6,) array
        Unit vectors along a row and down a column.
    pixel_spacing_mm
        Distance between rows and between columns.
    slope, intercept
        Rescaling to HU.
    """

    file: DicomFile
    frame: int
    position_mm: np.ndarray
    orientation: np.ndarray
    pixel_spacing_mm: tuple[float, float]
    slope: float
    intercept: float

    @property
    def size(self) -> tuple[int, int]:
        """Number of rows and columns."""
        with blaming(self.file.where):
            return int(self.file.header.Rows), int(self.file.header.Columns)

    @property
    def tilt_deg(self) -> float:
        """Tilt of the gantry, without its sign."""
        with blaming(self.file.where):
            return abs(float(self.file.header.get("GantryDetectorTilt") or 0))


def slices_of(file: DicomFile) -> list[Slice]:
    """Slices of one file: one, or one per frame.

    Raises
    ------
    TruncatedFile
        If the header ends before the description of the pixels.
    NoSlicePosition
        If position, orientation or pixel spacing of an image is missing.
    NotHounsfield
        If it does not say how its values become HU.
    """
    if not all(name in file.header for name in ("Rows", "Columns", "BitsAllocated")):
        raise TruncatedFile("the DICOM header ends early", where=file.where)
    with blaming(file.where):
        return _slices_of(file)


def _slices_of(file: DicomFile) -> list[Slice]:
    header = file.header
    frames = int(header.get("NumberOfFrames") or 1)
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or ()
    if not per_frame:
        if frames > 1:
            raise NoSlicePosition(
                "several frames in one image that does not say where each lies",
                where=file.where,
                expected="an enhanced CT with a position per frame",
                got=f"{frames} frames",
            )
        return [_slice(file, 0, [header])]
    shared = list(header.get("SharedFunctionalGroupsSequence") or ())
    return [
        _slice(file, number, [*_groups([frame]), *_groups(shared), header])
        for number, frame in enumerate(per_frame)
    ]


def _groups(items: list[Dataset]) -> list[Dataset]:
    """Items of the functional group macros of ``items``."""
    return [e.value[0] for item in items for e in item if e.VR == "SQ" and len(e.value)]


def _find(places: list[Dataset], keyword: str) -> list[float] | None:
    for item in places:
        try:
            value = item.get(keyword)
            if value is not None:
                several = value if hasattr(value, "__iter__") else [value]
                numbers = [float(v) for v in several]
                return numbers if np.isfinite(numbers).all() else None
        except PARSE_ERRORS:
            return None
    return None


def _slice(file: DicomFile, frame: int, places: list[Dataset]) -> Slice:
    position = _find(places, "ImagePositionPatient")
    orientation = _find(places, "ImageOrientationPatient")
    spacing = _find(places, "PixelSpacing")
    if (
        position is None or orientation is None or spacing is None
        or (len(position), len(orientation), len(spacing)) != (3, 6, 2) or min(spacing) <= 0
    ):  # fmt: skip
        raise NoSlicePosition(
            "the image does not say where it lies",
            where=file.where,
            expected="ImagePositionPatient, ImageOrientationPatient and PixelSpacing",
        )
    slope, intercept = _find(places, "RescaleSlope"), _find(places, "RescaleIntercept")
    if any("RescaleSlope" in place for place in places) and not (slope and slope[0]):
        raise ImpossibleValue("the rescale slope is 0 or no number", where=file.where)
    # Without them stored values would be taken for HU, which they are off by a thousand.
    if not slope or not intercept:
        raise NotHounsfield(
            "the CT image does not say how its values become Hounsfield units", where=file.where,
            expected="RescaleSlope and RescaleIntercept",
        )  # fmt: skip
    if any(str(place.get("RescaleType")) in _OTHER_UNITS for place in places):
        raise NotHounsfield(
            "the values of the CT image are no Hounsfield units", where=file.where,
            expected="rescale type HU",
        )  # fmt: skip
    return Slice(
        file, frame, np.array(position), np.array(orientation), (spacing[0], spacing[1]),
        slope[0], intercept[0],
    )  # fmt: skip


def ordered(slices: list[Slice], where: str) -> tuple[list[Slice], Grid]:
    """Slices sorted along their normal, and the grid of the volume that they make.

    Raises
    ------
    MixedOrientation, MixedSlices, MixedReconstructions, DuplicateSlice, GantryTilt, MissingSlice,
    UnevenSpacing
        If they make no regular volume.
    """
    first = slices[0]
    _check_alike(slices, where)
    row, column = first.orientation[:3], first.orientation[3:]
    normal = np.cross(row, column)
    positions = np.array([s.position_mm for s in slices])
    order = np.argsort(positions @ normal, kind="stable")
    slices, positions = [slices[i] for i in order], positions[order]
    _check_tilt(slices, positions, normal, where)
    _check_one_reconstruction(slices, where)
    distance = _even_distance(positions @ normal, where)
    if distance is None:
        distance = _said_distance(first)
    grid = Grid(
        (len(slices), *first.size),
        positions[0],
        np.array([first.pixel_spacing_mm[1], first.pixel_spacing_mm[0], distance]),
        np.column_stack([row, column, normal]),
    )
    return slices, grid


def _check_alike(slices: list[Slice], where: str) -> None:
    first = slices[0]
    row, column = first.orientation[:3], first.orientation[3:]
    lengths = [abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)]
    turned = [np.abs(s.orientation - first.orientation).max() for s in slices]
    if max(*lengths, *turned) > ORIENTATION_TOLERANCE:
        raise MixedOrientation(
            "the slices of the series are not parallel",
            where=where,
            got=f"{sum(t > ORIENTATION_TOLERANCE for t in turned)} of {len(slices)} turned",
        )
    sizes = {s.size for s in slices}
    spacing = np.ptp([s.pixel_spacing_mm for s in slices], axis=0)
    if len(sizes) > 1 or (spacing > ORIENTATION_TOLERANCE).any():
        raise MixedSlices(
            "the slices of the series differ in size or pixel spacing",
            where=where,
            got=f"{len(sizes)} sizes, pixel spacings up to {spacing.max():.3f} mm apart",
        )


def _check_one_reconstruction(slices: list[Slice], where: str) -> None:
    """Refuse slices of several kernels or thicknesses, which interleave to an even spacing."""
    for keyword in _RECONSTRUCTION:
        said = {_plain(s.file.text(keyword)) for s in slices} - {""}
        if len(said) > 1:
            raise MixedReconstructions(
                "the series holds several reconstructions",
                where=where,
                expected="one per series",
                got=f"{len(said)} values of {keyword}",
                hint="Land one reconstruction per folder, or give each a series of its own.",
            )


def _plain(text: str) -> str:
    """Text without the rounding of numbers, which differs from slice to slice."""
    try:
        return f"{float(text):.2f}"
    except ValueError:
        return text


def _check_tilt(slices: list[Slice], positions: np.ndarray, normal: np.ndarray, where: str) -> None:
    steps = positions - positions[0]
    shear = np.abs(steps - np.outer(steps @ normal, normal)).max()
    tilts = [s.tilt_deg for s in slices]
    # A tilted gantry makes tilted slices; axial ones that claim a tilt contradict themselves.
    contradiction = max(tilts) > TILT_TOLERANCE_DEG and abs(normal[2]) > 1 - 1e-6
    if shear > max(POSITION_TOLERANCE_MM, ORIENTATION_TOLERANCE * np.abs(steps).max()):
        raise GantryTilt(
            "the slices are sheared against their normal",
            where=where,
            got=f"{shear:.2f} mm over the series",
            hint="Resample the series to a rectangular volume before landing it.",
        )
    if contradiction and len(slices) > 1:
        raise GantryTilt(
            "the gantry was tilted but the slices say that they are axial",
            where=where,
            got=f"a tilt of {max(tilts):.1f} degrees",
        )


def _even_distance(along_mm: np.ndarray, where: str) -> float | None:
    """Distance between neighbouring slices in mm; None for a single slice."""
    if len(along_mm) == 1:
        return None
    steps = np.diff(along_mm)
    typical = float(np.median(steps))
    if steps.min() <= POSITION_TOLERANCE_MM / 5:
        raise DuplicateSlice(
            "several different images at one position",
            where=where,
            expected="one image per slice",
            got=f"{int((steps <= POSITION_TOLERANCE_MM / 5).sum())} positions too many",
            hint="Land one reconstruction and one time point per folder.",
        )
    gaps = np.rint(steps / typical)
    slots = np.concatenate([[0], np.cumsum(gaps)])
    even = along_mm[0] + slots * ((along_mm[-1] - along_mm[0]) / max(slots[-1], 1))
    off = np.abs(along_mm - even).max()
    tolerance = max(POSITION_TOLERANCE_MM, POSITION_TOLERANCE * typical)
    if off > tolerance or gaps.min() < 1:
        raise UnevenSpacing(
            "the slices are not equally far apart",
            where=where,
            expected=f"{typical:.3f} mm",
            got=f"{steps.min():.3f} to {steps.max():.3f} mm",
        )
    if gaps.max() > 1:
        raise MissingSlice(
            "slices are missing",
            where=where,
            expected=f"one every {typical:.3f} mm",
            got=f"{int((gaps - 1).sum())} missing of {int(slots[-1]) + 1}",
        )
    return float((along_mm[-1] - along_mm[0]) / (len(along_mm) - 1))


def _said_distance(single: Slice) -> float:
    """Extent of a single slice in mm: what it says of itself, as there is no neighbour."""
    header = single.file.header
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = _find([header], keyword)
        if value is not None and value[0] > 0:
            return value[0]
    raise NoSlicePosition(
        "a single image without slice thickness", where=single.file.where, expected="SliceThickness"
    )
