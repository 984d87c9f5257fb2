"""RTSTRUCT contours to masks on the CT grid.

    contours -> planes of the CT -> even-odd rule over all contours of a plane -> voxels

A voxel belongs to the structure if its centre lies inside an odd number of contours, so that a
contour within another is a hole, whether drawn apart or through a keyhole. A contour lies on a
slice, as a DICOM SEG must. Slices without a contour between two that have one are a gap: of a
structure drawn on every second slice they would leave a comb of half the volume.

References
----------
DICOM PS3.3 C.8.8.6 (ROI contour module). Raya and Udupa, Shape-based interpolation of
multidimensional objects. IEEE Transactions on Medical Imaging 9 (1990).
"""

from itertools import pairwise

import numpy as np
from pydicom import Dataset
from scipy.ndimage import distance_transform_edt

from assets.imaging.dicom_files import blaming
from assets.imaging.errors import MaskOffGrid, MaskOutsideCT, SparseContours
from assets.imaging.grid import TOLERANCE_VOXELS, Grid
from assets.imaging.targets import Target
from oncoframe.errors import ImpossibleValue

#: Contours that enclose an area; points and open lines do not.
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
#: Slices from one contour to the next across which a shape is interpolated: this many, or twice
#: the typical distance if that is more. What is farther apart are parts of their own.
_FILLED_SLICES = 3


def contours_mask(
    target: Target, grid: Grid, *, interpolate: bool = False
) -> tuple[np.ndarray, int]:
    """Voxels whose centre the contours of a target enclose, and the number of slices filled.

    Parameters
    ----------
    target
        ROI of an RTSTRUCT.
    grid
        Grid of the CT.
    interpolate
        Whether to fill slices between contours by shape.

    Returns
    -------
    (Z, Y, X) array of bool, and how many of its slices were filled.

    Raises
    ------
    ImpossibleValue
        If a contour has no three coordinates per point.
    MaskOffGrid
        If a contour crosses slices or lies between them.
    SparseContours
        If there are slices without a contour within the structure, and they are not to be filled.
    MaskOutsideCT
        If a contour lies beyond the CT.
    """
    with blaming(target.file.where):
        planes = _planes(target, grid)
    mask = np.zeros(grid.shape, dtype=bool)
    for z, polygons in planes.items():
        _check_inside(polygons, grid, target)
        mask[z] = even_odd(polygons, grid.shape[1:])
    gaps = _gaps(mask)
    if gaps and not interpolate:
        raise SparseContours(
            "slices within the structure have no contour",
            where=target.file.where,
            expected="a contour on each slice of the CT",
            got=f"contours on {len(planes)} slices, none on {sum(b - a - 1 for a, b in gaps)}",
            hint="Add +interpolate to the rule for masks to fill them by shape.",
        )
    return mask, _fill(mask, gaps, grid, target)


def _gaps(mask: np.ndarray) -> list[tuple[int, int]]:
    """Neighbouring slices with a contour that have some without between them, in one structure.

    Parts of a structure that lie side by side may be drawn apart, unless all of it is sparse.
    """
    drawn = np.flatnonzero(mask.any(axis=(1, 2))).tolist()
    is_sparse = _typical_step(drawn) > 1
    return [
        (low, high)
        for low, high in pairwise(drawn)
        if high - low > 1 and (is_sparse or (mask[low] & mask[high]).any())
    ]


def _typical_step(drawn: list[int]) -> int:
    steps = sorted(high - low for low, high in pairwise(drawn))
    return steps[(len(steps) - 1) // 2] if steps else 1


def _fill(mask: np.ndarray, gaps: list[tuple[int, int]], grid: Grid, target: Target) -> int:
    """Fill gaps of ``mask`` by the distance to the outlines above and below; says how many slices.

    Raises
    ------
    SparseContours
        If the outlines are so different that nothing lies between them.
    """
    widest = max(_FILLED_SLICES, 2 * _typical_step(np.flatnonzero(mask.any(axis=(1, 2))).tolist()))
    filled = 0
    for low, high in gaps:
        if high - low > widest:
            continue
        below, above = (_depth(mask[z], grid) for z in (low, high))
        for z in range(low + 1, high):
            share = (z - low) / (high - low)
            mask[z] = (1 - share) * below + share * above > 0
            if not mask[z].any():
                raise SparseContours(
                    "contours are too far apart to fill the slices between them",
                    where=target.file.where, got=f"nothing on slice {z}",
                )  # fmt: skip
            filled += 1
    return filled


def _depth(plane: np.ndarray, grid: Grid) -> np.ndarray:
    """(Y, X) array of distances in mm to the outline, positive inside."""
    sampling = grid.spacing_mm[1::-1]
    inside, outside = (distance_transform_edt(part, sampling) for part in (plane, ~plane))
    return np.asarray(inside - outside)


def _planes(target: Target, grid: Grid) -> dict[int, list[np.ndarray]]:
    """Slice -> its contours as (N, 2) arrays of pixel coordinates; identical copies once."""
    planes: dict[int, list[np.ndarray]] = {}
    for contour in _contours(target):
        points = grid.indices(_points(contour, target))
        height = float(points[:, 2].mean())
        z = round(height)
        if np.abs(points[:, 2] - height).max() > TOLERANCE_VOXELS:
            raise MaskOffGrid(
                "a contour crosses slices",
                where=target.file.where,
                expected="contours parallel to the slices of the CT",
                got=f"one over {np.ptp(points[:, 2]):.1f} slices",
            )
        if not 0 <= z < grid.shape[0]:
            raise MaskOutsideCT(
                "a contour lies beyond the slices of the CT", where=target.file.where,
                expected=f"slice 0 to {grid.shape[0] - 1}", got=f"slice {z}",
            )  # fmt: skip
        # Contours of two planes in one slice would cancel each other out.
        if abs(height - z) > TOLERANCE_VOXELS:
            raise MaskOffGrid(
                "a contour lies between the slices of the CT",
                where=target.file.where,
                expected=f"within {TOLERANCE_VOXELS} slices of one",
                got=f"{abs(height - z):.2f} slices",
                hint="Land the CT series that the segmentation was drawn on.",
            )
        known = planes.setdefault(z, [])
        if not any(np.array_equal(points[:, :2], other) for other in known):
            known.append(points[:, :2])
    return planes


def _contours(target: Target) -> list[Dataset]:
    for roi in target.file.header.ROIContourSequence:
        if int(roi.ReferencedROINumber) == target.number:
            return [c for c in roi.ContourSequence if c.ContourGeometricType in CLOSED]
    return []


def _points(contour: Dataset, target: Target) -> np.ndarray:
    """(N, 3) array of patient coordinates in mm."""
    values = np.array(contour.get("ContourData") or (), dtype=np.float64)
    said = int(contour.get("NumberOfContourPoints") or values.size // 3)
    if values.size == 0 or values.size != 3 * said or not np.isfinite(values).all():
        raise ImpossibleValue(
            "a contour without three coordinates per point", where=target.file.where,
            expected=f"{3 * said} numbers", got=f"{values.size}",
        )  # fmt: skip
    return values.reshape(-1, 3)


def _check_inside(polygons: list[np.ndarray], grid: Grid, target: Target) -> None:
    last = np.array(grid.shape[:0:-1])
    points = np.concatenate(polygons)
    # Half a voxel is the edge of the image; contours may run along it.
    if (points < -1).any() or (points > last).any():
        raise MaskOutsideCT("a contour leaves the image", where=target.file.where)


def even_odd(polygons: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """(Y, X) array of bool: pixels whose centre lies inside an odd number of polygons.

    Parameters
    ----------
    polygons
        (N, 2) arrays of corners (x, y) in pixels; closed by themselves.
    shape
        Number of pixels (y, x).

    Notes
    -----
    Each edge turns the pixels right of it over, in every row whose centre line it crosses; the
    parity along the row is the result. Edges include their lower end only, so that a corner on a
    centre line counts once; a pixel centre on an edge is inside if the area is to its right.
    """
    rows, columns = shape
    turned = np.zeros((rows, columns + 1), dtype=np.int64)
    for polygon in polygons:
        x0, y0 = polygon.T
        x1, y1 = np.roll(polygon, -1, axis=0).T
        low, high = np.minimum(y0, y1), np.maximum(y0, y1)
        first = np.clip(np.ceil(low), 0, rows).astype(np.int64)
        count = np.clip(np.ceil(high), 0, rows).astype(np.int64) - first
        edge = np.repeat(np.arange(len(polygon)), count)
        y = first[edge] + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        x = x0[edge] + (y - y0[edge]) * (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
        np.add.at(turned, (y, np.clip(np.ceil(x), 0, columns).astype(np.int64)), 1)
    return np.asarray(np.cumsum(turned, axis=1)[:, :columns] % 2 == 1)
