"""Cells of a synthetic smear: how much of which stain lies where in each kind.

    kind, random numbers -> draw_cell -> Cell (stains, nucleus, body) around its own middle

Sizes are those of an atlas (Bain, Blood Cells, 5th ed. 2015). A cell is drawn as amounts of two
stains, the blue of nuclei and the red of granules and haemoglobin; the colours come with the
laboratory, see :mod:`assets.simulate.smears.looks`. Nothing here is part of a real patient.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

#: Width of the soft edge of everything drawn.
_EDGE_UM = 0.35
#: Room around a cell, for the soft edge and an irregular outline.
_MARGIN_UM = 1.5


@dataclass(frozen=True)
class Kind:
    """One kind of nucleated cell.

    Parameters
    ----------
    radius_um
        Range of the radius of the cell.
    lobes
        Fewest and most lobes of the nucleus.
    lobe_um
        Radius of a lobe.
    chromatin
        Amount of blue in the nucleus, and how much it varies from place to place.
    grain_um
        Size of the clumps of chromatin.
    nucleoli
        Fewest and most pale nucleoli.
    blue, red
        Amount of each stain in the cytoplasm.
    granules
        Granules per square micrometre of cytoplasm.
    """

    radius_um: tuple[float, float]
    lobes: tuple[int, int]
    lobe_um: tuple[float, float]
    chromatin: tuple[float, float]
    grain_um: float
    nucleoli: tuple[int, int]
    blue: float
    red: float
    granules: float


#: What tells the classes apart: blasts are large, with one pale nucleus, fine chromatin, nucleoli
#: and blue cytoplasm; dysplastic neutrophils have one or two round lobes and no granules
#: (pseudo-Pelger-Huet; WHO 2022, dysplasia of granulopoiesis).
KINDS = {
    "neutrophil": Kind((5.8, 6.8), (3, 5), (1.6, 2.1), (0.85, 0.25), 0.55, (0, 0), 0.02, 0.22, 0.9),
    "dysplastic_neutrophil": Kind(
        (5.8, 6.8), (1, 2), (2.1, 2.6), (0.95, 0.25), 0.7, (0, 0), 0.04, 0.10, 0.05
    ),
    "lymphocyte": Kind((4.2, 5.0), (1, 1), (3.5, 4.0), (0.95, 0.2), 0.6, (0, 0), 0.25, 0.05, 0.0),
    "erythroblast": Kind((4.6, 5.6), (1, 1), (2.4, 3.0), (1.15, 0.15), 0.5, (0, 0), 0.1, 0.3, 0.0),
    "blast": Kind((7.0, 8.5), (1, 1), (5.4, 6.4), (0.7, 0.12), 0.25, (1, 3), 0.32, 0.06, 0.0),
}


@dataclass(frozen=True)
class Cell:
    """A drawn cell; arrays are square, with its middle in theirs.

    Parameters
    ----------
    kind
        Key of :data:`KINDS`.
    stains : (2, N, N) array of float
        Optical density of the blue and of the red stain.
    nucleus, body : (N, N) array of bool
        Where the nucleus and where the whole cell lies.
    """

    kind: str
    stains: np.ndarray
    nucleus: np.ndarray
    body: np.ndarray


def draw_cell(kind: str, pixel_um: float, rng: np.random.Generator) -> Cell:
    """One cell of a kind, at a size of a pixel."""
    about = KINDS[kind]
    radius = rng.uniform(*about.radius_um)
    x, y = _grid(radius, pixel_um)
    body = _outline(x, y, radius, 0.06, rng)
    middle = rng.uniform(-0.5, 0.5, 2) * (radius - about.lobe_um[1]) * 0.5
    nucleus = _nucleus(x - middle[0], y - middle[1], about, radius, rng)
    nucleus = np.maximum(nucleus, body + 0.3)
    inside, core = _soft(body), _soft(nucleus)
    amount, varies = about.chromatin
    chromatin = amount * (1 + varies * _noise(x.shape, about.grain_um / pixel_um, rng))
    for _ in range(rng.integers(about.nucleoli[0], about.nucleoli[1] + 1)):
        at = rng.uniform(-0.5, 0.5, 2) * about.lobe_um[0]
        spot = np.hypot(x - middle[0] - at[0], y - middle[1] - at[1]) - rng.uniform(0.7, 1.1)
        chromatin = chromatin * (1 - 0.35 * _soft(spot))
    cytoplasm = inside * (1 - core)
    grain = _granules(x.shape, about.granules, pixel_um, rng)
    around = 1 + 0.12 * _noise(x.shape, 0.6 / pixel_um, rng)
    blue = core * np.clip(chromatin, 0.2, None) + cytoplasm * about.blue * around
    red = 0.25 * core + cytoplasm * (about.red * around + 0.45 * grain)
    blue = blue + cytoplasm * 0.15 * grain
    return Cell(kind, np.stack([blue, red]), nucleus < 0, body < 0)


def draw_erythrocyte(pixel_um: float, rng: np.random.Generator) -> np.ndarray:
    """(2, N, N) array of stains of a red cell, pale in its middle."""
    radius = rng.uniform(3.4, 4.0)
    x, y = _grid(radius, pixel_um)
    body = _outline(x, y, radius, 0.04, rng)
    pallor = rng.uniform(0.3, 0.7) * np.exp(-(x**2 + y**2) / (0.4 * radius) ** 2)
    red = _soft(body) * 0.32 * (1 - pallor)
    return np.stack([0.1 * red, red])


def _grid(radius: float, pixel_um: float) -> tuple[np.ndarray, np.ndarray]:
    reach = int(np.ceil((radius * 1.1 + _MARGIN_UM) / pixel_um))
    axis = np.arange(-reach, reach + 1) * pixel_um
    return axis[None, :].repeat(axis.size, 0), axis[:, None].repeat(axis.size, 1)


def _outline(
    x: np.ndarray, y: np.ndarray, radius: float, irregular: float, rng: np.random.Generator
) -> np.ndarray:
    """Distance to a nearly round outline, negative inside."""
    angle = np.arctan2(y, x)
    swing = np.zeros_like(x)
    for wave in (2, 3, 4):
        swing += rng.normal(0, irregular / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.hypot(x, y) - radius * (1 + swing))


def _nucleus(
    x: np.ndarray, y: np.ndarray, about: Kind, radius: float, rng: np.random.Generator
) -> np.ndarray:
    """Distance to the nucleus: lobes along an arc, with bridges between them."""
    number = int(rng.integers(about.lobes[0], about.lobes[1] + 1))
    sizes = rng.uniform(*about.lobe_um, number)
    if number == 1:
        # A nucleus that could have had lobes is as large as two of them.
        whole = 1.3 if about.lobes[1] > 1 else 1.0
        return _outline(x, y, whole * float(sizes[0]), 0.05, rng)
    arc = radius - sizes.max() - 0.6
    # Neighbours nearly touch, so that the bridges stay short.
    step = 2 * np.arcsin(np.clip(sizes.mean() * 1.05 / arc, 0, 0.95))
    angles = rng.uniform(0, 2 * np.pi) + step * np.arange(number)
    places = arc * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    parts = [
        _outline(x - place[0], y - place[1], float(size), 0.08, rng)
        for place, size in zip(places, sizes, strict=True)
    ]
    parts += [_bridge(x, y, a, b) for a, b in pairwise(places)]
    return np.asarray(np.minimum.reduce(parts))


def _bridge(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance to the segment from a to b, 0.4 um thick on each side."""
    along = b - a
    t = np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / (along @ along), 0, 1)
    return np.asarray(np.hypot(x - a[0] - t * along[0], y - a[1] - t * along[1]) - 0.4)


def _soft(distance: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(0.5 - distance / _EDGE_UM, 0, 1))


def _noise(shape: tuple[int, ...], grain_px: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of unit variance whose blobs have a radius of ``grain_px``."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), max(grain_px, 0.3))
    return np.asarray(noise / noise.std())


def _granules(
    shape: tuple[int, ...], per_um2: float, pixel_um: float, rng: np.random.Generator
) -> np.ndarray:
    spots = (rng.random(shape) < per_um2 * pixel_um**2).astype(float)
    return np.asarray(np.clip(ndimage.gaussian_filter(spots, 0.22 / pixel_um) * 6.0, 0, 1))
