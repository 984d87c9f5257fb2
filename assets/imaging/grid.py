"""Voxel grids in patient coordinates: where voxel (x, y, z) lies, in mm.

Arrays are (Z, Y, X), points and indices (x, y, z), as in SimpleITK. Patient coordinates are
DICOM's: x to the patient's left, y to the back, z to the head (LPS).
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

#: Largest distance, in voxels, between points that count as one voxel centre. Positions are
#: written as decimal text and, in NIfTI, as float32; a tenth of a voxel is far above both.
TOLERANCE_VOXELS = 0.1


@dataclass(frozen=True)
class Grid:
    """Rectangular voxel grid.

    Parameters
    ----------
    shape
        Number of voxels (z, y, x).
    origin_mm : (3,) array
        Patient coordinates of the centre of voxel 0.
    spacing_mm : (3,) array
        Voxel edge lengths (x, y, z).
    direction : (3, 3) array
        Unit vectors of the x, y and z index as columns.
    """

    shape: tuple[int, int, int]
    origin_mm: np.ndarray
    spacing_mm: np.ndarray
    direction: np.ndarray

    def indices(self, points_mm: np.ndarray) -> np.ndarray:
        """Continuous indices (x, y, z) of patient points; both are (N, 3) arrays."""
        offset = np.atleast_2d(points_mm) - self.origin_mm
        return np.asarray(offset @ self.direction / self.spacing_mm)

    def points(self, indices: np.ndarray) -> np.ndarray:
        """Patient points in mm of continuous indices (x, y, z); both are (N, 3) arrays."""
        offset = np.atleast_2d(indices) * self.spacing_mm
        return np.asarray(self.origin_mm + offset @ self.direction.T)

    def corners(self) -> np.ndarray:
        """(8, 3) array of the patient coordinates of the corner voxels' centres."""
        last = np.array(self.shape[::-1]) - 1
        return self.points(np.array(list(np.ndindex(2, 2, 2))) * last)

    def matches(self, other: "Grid") -> bool:
        """Whether all voxel centres coincide, within :data:`TOLERANCE_VOXELS`."""
        if self.shape != other.shape:
            return False
        apart = np.abs(self.indices(other.corners()) - self.indices(self.corners()))
        return bool((apart <= TOLERANCE_VOXELS).all())

    def image(self, array: np.ndarray) -> sitk.Image:
        """SimpleITK image of a (Z, Y, X) array on this grid."""
        image = sitk.GetImageFromArray(array)
        image.SetOrigin(self.origin_mm.tolist())
        image.SetSpacing(self.spacing_mm.tolist())
        image.SetDirection(self.direction.ravel().tolist())
        return image

    @classmethod
    def of_image(cls, image: sitk.Image) -> "Grid":
        """Grid of a three-dimensional SimpleITK image."""
        x, y, z = image.GetSize()
        return cls(
            (z, y, x),
            np.array(image.GetOrigin()),
            np.array(image.GetSpacing()),
            np.array(image.GetDirection()).reshape(3, 3),
        )
