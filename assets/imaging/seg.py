"""DICOM SEG frames to masks on the CT grid.

    frames of a segment -> place of each by patient coordinates -> voxels of the CT

Frames may come in any order, be cropped, mirrored or turned against the CT, and leave out slices;
segments may overlap, as each is read by itself. A fractional segment counts from one half.

References
----------
DICOM PS3.3 C.8.20 (segmentation), A.51.
"""

import numpy as np
from pydicom import Dataset

from assets.imaging.dicom_files import blaming, read_object
from assets.imaging.errors import MaskOffGrid, MaskOutsideCT
from assets.imaging.grid import TOLERANCE_VOXELS
from assets.imaging.targets import Target
from assets.imaging.volume import Volume, stored_pixels
from oncoframe.errors import TruncatedFile

#: Share of a voxel, or probability, from which a fractional segment contains the voxel.
FRACTION = 0.5


def segment_masks(targets: list[Target], volume: Volume) -> list[np.ndarray]:
    """(Z, Y, X) arrays of bool, one per target: voxels of the CT in the segment.

    Parameters
    ----------
    targets
        Segments of one DICOM SEG object.
    volume
        The CT.

    Raises
    ------
    TruncatedFile
        If pixel data or the description of a frame is missing.
    MaskOffGrid
        If pixels do not lie on voxels of the CT.
    MaskOutsideCT
        If segmented pixels lie beyond the CT.
    """
    with blaming(targets[0].file.where):
        return _segment_masks(targets, volume)


def _segment_masks(targets: list[Target], volume: Volume) -> list[np.ndarray]:
    file = targets[0].file
    dataset = read_object(file.path, file.where)
    pixels = stored_pixels(dataset, file)
    frames = pixels.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if len(groups) != len(frames):
        raise TruncatedFile(
            "frames and their descriptions differ in number", where=file.where,
            expected=f"{len(frames)}", got=f"{len(groups)}",
        )  # fmt: skip
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    masks = {target.number: np.zeros(volume.grid.shape, dtype=bool) for target in targets}
    is_labels = dataset.get("SegmentationType") == "LABELMAP"
    threshold = _threshold(dataset)
    for frame, group in zip(frames, groups, strict=True):
        numbers = list(masks) if is_labels else [_segment_number(group, shared)]
        for number in numbers:
            inside = frame == number if is_labels else frame >= threshold
            if number in masks and inside.any():
                _place(inside, group, shared, volume, masks[number], file.where)
    return [masks[target.number] for target in targets]


def _threshold(dataset: Dataset) -> float:
    if dataset.get("SegmentationType") == "FRACTIONAL":
        return max(FRACTION * float(dataset.get("MaximumFractionalValue") or 255), 1.0)
    return 1.0


def _segment_number(group: Dataset, shared: Dataset) -> int:
    for place in (group, shared):
        found = place.get("SegmentIdentificationSequence")
        if found:
            return int(found[0].ReferencedSegmentNumber)
    return 0


def _value(group: Dataset, shared: Dataset, sequence: str, keyword: str) -> np.ndarray | None:
    for place in (group, shared):
        found = place.get(sequence)
        if found and found[0].get(keyword) is not None:
            return np.array([float(v) for v in found[0].get(keyword)])
    return None


def _place(
    inside: np.ndarray,
    group: Dataset,
    shared: Dataset,
    volume: Volume,
    mask: np.ndarray,
    where: str,
) -> None:
    """Set the voxels of ``mask`` under the pixels that are ``inside``."""
    position = _value(group, shared, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _value(group, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _value(group, shared, "PixelMeasuresSequence", "PixelSpacing")
    grid = volume.grid
    if position is None:
        position = _source_position(group, volume)
    if orientation is None:
        orientation = grid.direction[:, :2].T.ravel()
    if spacing is None:
        spacing = grid.spacing_mm[1::-1]
    if position is None:
        raise TruncatedFile("a frame of the segmentation does not say where it lies", where=where)
    rows, columns = np.nonzero(inside)
    along_row, down_column = orientation[:3] * spacing[1], orientation[3:] * spacing[0]
    points = position + np.outer(columns, along_row) + np.outer(rows, down_column)
    indices = grid.indices(points)
    voxels = np.rint(indices).astype(np.int64)
    off = np.abs(indices - voxels).max()
    step = np.abs(np.array([along_row, down_column]) @ grid.direction / grid.spacing_mm)
    if off > TOLERANCE_VOXELS or np.abs(step.max(axis=1) - 1).max() > TOLERANCE_VOXELS:
        raise MaskOffGrid(
            "the pixels of the segmentation do not lie on voxels of the CT",
            where=where,
            expected=f"within {TOLERANCE_VOXELS} voxels",
            got=f"{off:.2f} voxels",
            hint="Land the CT series that the segmentation was drawn on.",
        )
    if (voxels < 0).any() or (voxels >= grid.shape[::-1]).any():
        raise MaskOutsideCT("segmented pixels lie beyond the CT", where=where)
    mask[voxels[:, 2], voxels[:, 1], voxels[:, 0]] = True


def _source_position(group: Dataset, volume: Volume) -> np.ndarray | None:
    """Position of the CT slice that a frame says it was drawn on."""
    for derivation in group.get("DerivationImageSequence") or ():
        for source in derivation.get("SourceImageSequence") or ():
            uid = str(source.get("ReferencedSOPInstanceUID"))
            if uid in volume.instances:
                z = volume.instances.index(uid)
                return np.asarray(volume.grid.points(np.array([[0, 0, z]]))[0])
    return None
