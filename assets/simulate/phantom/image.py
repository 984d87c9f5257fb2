"""A synthetic chest with a planted tumour: the array, its mask and where they lie.

    shape, spacing, orientation, seed -> Phantom -> (dicom.py, segmentation.py) CT, RTSTRUCT, SEG

For the demo cohort and for tests: the mask is known voxel by voxel, whichever way the files are
cut, turned or shuffled. Nothing here resembles a real patient.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from pydicom.uid import UID

from assets.imaging.grid import Grid

AIR_HU, LUNG_HU, TISSUE_HU, TUMOUR_HU = -1000.0, -820.0, 40.0, 60.0
#: Standard deviation of the noise of a CT reconstructed for soft tissue.
NOISE_HU = 12.0
#: When all of it was acquired.
DATE, TIME = "20200101", "120000"


@dataclass(frozen=True)
class PhantomShape:
    """What the phantom looks like.

    Parameters
    ----------
    size
        Voxels (z, y, x).
    spacing_mm
        Voxel edge lengths (x, y, z).
    tumour_mm
        Radius of the tumour.
    texture_hu
        Amplitude of the tumour's inner texture; what a model could learn from.
    has_cavity
        Whether the mask has a hole: an air cavity that was not segmented.
    tilt_deg
        Rotation of the whole grid about (1, 1, 0): an oblique acquisition.
    """

    size: tuple[int, int, int] = (24, 64, 64)
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 3.0)
    tumour_mm: float = 16.0
    texture_hu: float = 30.0
    has_cavity: bool = True
    tilt_deg: float = 0.0


@dataclass(frozen=True)
class Phantom:
    """A CT volume with its tumour.

    Parameters
    ----------
    hu : (Z, Y, X) array of int16
        Hounsfield units.
    mask : (Z, Y, X) array of bool
        The planted tumour.
    grid
        Where the voxels lie.
    seed
        What it was made from; UIDs of its files are derived from it.
    """

    hu: np.ndarray
    mask: np.ndarray
    grid: Grid
    seed: int = field(default=0)


def make_phantom(shape: PhantomShape | None = None, *, seed: int = 0) -> Phantom:
    """Phantom of that shape; the same seed gives the same voxels."""
    shape = shape or PhantomShape()
    rng = np.random.default_rng(seed)
    grid = _grid(shape)
    # (Z, Y, X, 3) array of positions in mm from the middle of the volume.
    middle = (np.array(shape.size) - 1) / 2
    axes = [
        (np.arange(n) - m) * s
        for n, m, s in zip(shape.size, middle, shape.spacing_mm[::-1], strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    wide, deep = axes[2][-1], axes[1][-1]
    hu = np.full(shape.size, AIR_HU)
    hu[np.broadcast_to((x / (0.9 * wide)) ** 2 + (y / (0.75 * deep)) ** 2 < 1, hu.shape)] = (
        TISSUE_HU
    )
    for side in (-1, 1):
        lung = ((x - side * 0.42 * wide) / (0.36 * wide)) ** 2 + (y / (0.55 * deep)) ** 2 < 1
        hu[np.broadcast_to(lung, hu.shape)] = LUNG_HU
    centre = np.array([0.42 * wide, 0.05 * deep, 0.0]) + rng.uniform(-1, 1, 3) * shape.spacing_mm
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    # Lobes make the outline differ from slice to slice.
    lobes = 1 + 0.15 * np.sin(3 * np.arctan2(y - centre[1], x - centre[0])) * np.cos(z / 9)
    mask = distance < shape.tumour_mm * lobes
    texture = shape.texture_hu * np.sin(x / 3) * np.sin(y / 4) * np.sin(z / 5)
    hu[mask] = (TUMOUR_HU + texture)[mask]
    if shape.has_cavity:
        cavity = distance < 0.3 * shape.tumour_mm
        hu[cavity] = AIR_HU
        mask &= ~cavity
    hu += rng.normal(0.0, NOISE_HU, hu.shape)
    return Phantom(np.rint(np.clip(hu, -1024, 3071)).astype(np.int16), mask, grid, seed)


def _grid(shape: PhantomShape) -> Grid:
    angle = np.deg2rad(shape.tilt_deg)
    axis = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    # Rodrigues' formula.
    direction = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    spacing = np.array(shape.spacing_mm)
    extent = (np.array(shape.size[::-1]) - 1) * spacing
    return Grid(shape.size, -(direction @ extent) / 2, spacing, direction)


def uid(phantom: Phantom, *parts: object) -> UID:
    """UID of something that belongs to a phantom; the same parts give the same UID."""
    text = "/".join(map(str, (phantom.seed, phantom.grid.shape, *parts)))
    return UID(f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:15])}")
