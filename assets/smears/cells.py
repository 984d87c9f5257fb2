"""Measures of each cell of a field: size, shape, lobes, chromatin, colour.

    pixels, Cells -> measure_cells -> one row per cell

Colours are CIELAB over the glass, in which equal distances look equally far (CIE 1976). Texture is
that of optical density relative to its mean in the nucleus, so that a deeper stain alone changes
nothing (Haralick et al., IEEE SMC 1973;3:610).
"""

from typing import Any

import numpy as np
import polars as pl
from scipy import ndimage
from skimage import color, measure, morphology
from skimage.feature import graycomatrix, graycoprops

from assets.smears.fields import PIXEL_SIZE_UM
from assets.smears.measures import CELL_MEASURES
from assets.smears.nuclei import Cells, blue_index

SCHEMA = pl.Schema({**dict.fromkeys(CELL_MEASURES, pl.Float64()), "is_cut": pl.Boolean()})

#: Sizes between which chromatin is fine, and coarse.
_FINE_UM, _MIDDLE_UM, _COARSE_UM = 0.2, 0.4, 0.8
#: Waist between two lobes, and edge of the nucleus that belongs to no texture.
_LOBE_WAIST_UM, _RIM_PX = 0.4, 2
#: Gray levels of the co-occurrence matrix, up to twice the mean density.
_LEVELS = 16
#: Fewest pixels of a cytoplasm whose colour can be told.
_FEWEST = 12


def measure_cells(pixels: np.ndarray, cells: Cells) -> pl.DataFrame:
    """One row per cell; null where a cell has too little of something to measure.

    Parameters
    ----------
    pixels : (H, W, 3) array of uint8
        The field.
    cells
        What :func:`~assets.smears.nuclei.find_cells` found in it.

    Returns
    -------
    The measures of :data:`~assets.smears.measures.CELL_MEASURES`, and ``is_cut``: whether the edge
    of the field cuts the cell, so that size and shape are not those of the whole.
    """
    blue = blue_index(cells.density)
    fine, coarse = (
        _between(blue, low, high)
        for low, high in ((_FINE_UM, _MIDDLE_UM), (_MIDDLE_UM, _COARSE_UM))
    )
    over_glass = np.clip(pixels / np.maximum(cells.glass, 1), 0, 1)
    lab = color.rgb2lab(over_glass)
    grain = _between(cells.density.sum(axis=2), _FINE_UM, _MIDDLE_UM)
    bodies = ndimage.find_objects(cells.bodies)
    rows = []
    for region in measure.regionprops(cells.nuclei):
        where = bodies[region.label - 1]
        nucleus = cells.nuclei[where] == region.label
        body = cells.bodies[where] == region.label
        rows.append(
            {
                **_shape(region, body),
                **_chromatin(nucleus, blue[where], fine[where], coarse[where]),
                **_colour(nucleus, body & (cells.nuclei[where] == 0), lab[where], grain[where]),
                "is_cut": _is_cut(where, cells.bodies.shape),
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def _shape(region: Any, body: np.ndarray) -> dict[str, float]:
    area, cell = region.area * PIXEL_SIZE_UM**2, body.sum() * PIXEL_SIZE_UM**2
    depth = ndimage.distance_transform_edt(np.pad(region.image, 1)) * PIXEL_SIZE_UM
    smooth = ndimage.gaussian_filter(depth, 1)
    lobes = measure.label(morphology.h_maxima(smooth, _LOBE_WAIST_UM)).max()
    return {
        "nucleus_area_um2": area,
        "nucleus_roundness": 4 * np.pi * region.area / region.perimeter_crofton**2,
        "nucleus_solidity": region.solidity,
        "nucleus_eccentricity": region.eccentricity,
        "nucleus_lobes": max(int(lobes), 1),
        "lobe_radius_um": depth.max(),
        "cell_area_um2": cell,
        "nucleus_share": area / cell,
    }


def _chromatin(
    nucleus: np.ndarray, blue: np.ndarray, fine: np.ndarray, coarse: np.ndarray
) -> dict[str, float | None]:
    """Texture of the nucleus without its rim, where the blur of the edge would count."""
    core = ndimage.binary_erosion(nucleus, iterations=_RIM_PX)
    core = core if core.sum() >= _FEWEST else nucleus
    mean = float(blue[core].mean())
    gray = np.clip(blue / mean * _LEVELS / 2, 0, _LEVELS - 1).astype(np.uint8) + 1
    pairs = graycomatrix(
        np.where(core, gray, 0), [1], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4],
        levels=_LEVELS + 1, symmetric=True,
    )[1:, 1:].astype(float)  # fmt: skip
    return {
        "nucleus_density": mean,
        "chromatin_spread": blue[core].std() / mean,
        "chromatin_fine": fine[core].std() / mean,
        "chromatin_coarse": coarse[core].std() / mean,
        "chromatin_contrast": _of_pairs(pairs, "contrast"),
        "chromatin_evenness": _of_pairs(pairs, "homogeneity"),
    }


def _of_pairs(pairs: np.ndarray, name: str) -> float:
    shares = pairs / np.maximum(pairs.sum(axis=(0, 1), keepdims=True), 1)
    return float(graycoprops(shares, name).mean())


def _colour(
    nucleus: np.ndarray, cytoplasm: np.ndarray, lab: np.ndarray, grain: np.ndarray
) -> dict[str, float | None]:
    light, a, b = lab[nucleus].mean(axis=0)
    found: dict[str, float | None] = {
        "nucleus_lightness": light,
        "nucleus_a": a,
        "nucleus_b": b,
    }
    if cytoplasm.sum() >= _FEWEST:
        light, a, b = lab[cytoplasm].mean(axis=0)
        found |= {
            "cytoplasm_lightness": light,
            "cytoplasm_a": a,
            "cytoplasm_b": b,
            "cytoplasm_grain": grain[cytoplasm].std(),
        }
    return found


def _between(image: np.ndarray, low_um: float, high_um: float) -> np.ndarray:
    """Difference of Gaussians: what is larger than one size and smaller than another."""
    small, large = (ndimage.gaussian_filter(image, um / PIXEL_SIZE_UM) for um in (low_um, high_um))
    return np.asarray(small - large)


def _is_cut(where: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
    return any(
        span.start == 0 or span.stop == edge for span, edge in zip(where, shape, strict=True)
    )
