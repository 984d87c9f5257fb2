"""Nuclei of a field and the cells that they are in, by the shipped rules.

    pixels -> optical density -> blue index -> nuclei -> lobes joined, neighbours split -> Cells

No learned model. Pixels are of three classes (glass; red cells and cytoplasm; nuclei), told apart
by multi-level Otsu (Liao et al., J Inf Sci Eng 2001;17:713) on what nuclei have and red cells lack:
they take red light away together with green.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage import filters, measure, morphology, segmentation

from assets.smears.fields import PIXEL_SIZE_UM

#: Smoothing before any threshold: below the size of a clump of chromatin.
_SMOOTH_UM = 0.15
#: The glass is what the brightest pixels show, in green light.
_GLASS_QUANTILE = 0.95
#: Least blue index of a nucleus; and the share of its darkest part that a pixel of it has, which
#: keeps Otsu from cutting the pale half off the nuclei where they fill most of the picture.
MIN_BLUE, _SHARE_OF_CORE = 0.08, 0.6
#: Dirt is this dark, and its least channel this near its largest; nuclei reach half of that.
_DARK, _NEUTRAL = 0.9, 0.6
#: Smallest part of a nucleus, and smallest nucleus; a platelet has up to 7 square micrometres.
MIN_PART_UM2, MIN_NUCLEUS_UM2 = 8.0, 12.0
#: Nuclei that touch are two if the waist between them is this deep.
_WAIST_UM = 0.8
#: Lobes of one nucleus: their gap is no wider, their hull no larger than the inside of a
#: neutrophil of 13 um; or together they are one convex nucleus, up to that of the largest cell.
_LOBE_GAP_UM, _LOBED_UM2, _LARGEST_UM2, _CONVEX = 2.2, 110.0, 220.0, 0.9
#: Reach of the cytoplasm beyond the hull of the nucleus, and its least optical density (sum of
#: red, green and blue).
_CYTOPLASM_UM, STAINED = 3.0, 0.12

_UM2 = PIXEL_SIZE_UM**2


@dataclass(frozen=True)
class Cells:
    """Nucleated cells of a field.

    Parameters
    ----------
    nuclei, bodies : (H, W) arrays of int32
        Number of the cell whose nucleus, or whose body, is there; 0 elsewhere.
    touching : (H, W) array of int32
        Number of the connected patch of nuclei before it was split into cells.
    density : (H, W, 3) array of float
        Optical density over the glass.
    glass : (3,) array of float
        Colour of the glass, of 255.
    """

    nuclei: np.ndarray
    bodies: np.ndarray
    touching: np.ndarray
    density: np.ndarray
    glass: np.ndarray

    @property
    def number(self) -> int:
        """How many there are."""
        return int(self.nuclei.max(initial=0))


def find_cells(pixels: np.ndarray) -> Cells:
    """Nuclei and cells of a field.

    Parameters
    ----------
    pixels : (H, W, 3) array of uint8
        RGB, at :data:`~assets.smears.fields.PIXEL_SIZE_UM`.
    """
    density, glass = optical_density(pixels)
    mask = nucleus_mask(np.where(artefacts(density), 0, blue_index(density)))
    nuclei = _joined(_split(mask))
    return Cells(nuclei, _bodies(nuclei, density), measure.label(mask), density, glass)


def optical_density(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) optical density over the glass (Beer-Lambert), and the colour of the glass."""
    sigma = _SMOOTH_UM / PIXEL_SIZE_UM
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), (sigma, sigma, 0))
    green = smooth[..., 1]
    glass = np.median(smooth[green >= np.quantile(green, _GLASS_QUANTILE)], axis=0)
    return np.clip(np.log10((glass + 1) / (smooth + 1)), 0, None), glass


def blue_index(density: np.ndarray) -> np.ndarray:
    """Geometric mean of the densities of red and green light: high in nuclei only.

    Haemoglobin and eosin let red light pass, so that red cells are low however dark they are.
    """
    return np.asarray(np.sqrt(density[..., 0] * density[..., 1]))


def artefacts(density: np.ndarray) -> np.ndarray:
    """(H, W) array of bool: what is dark without a hue; stains let some light pass, dirt none."""
    is_neutral = density.min(axis=2) > _NEUTRAL * density.max(axis=2)
    return np.asarray((density.sum(axis=2) > _DARK) & is_neutral)


def nucleus_mask(blue: np.ndarray) -> np.ndarray:
    """(H, W) array of bool: nuclei of a field, by its blue index."""
    try:
        otsu = filters.threshold_multiotsu(blue, classes=3)[-1]
    except ValueError:  # fewer values than classes: nothing is stained
        return np.zeros(blue.shape, dtype=bool)
    core = np.quantile(blue[blue >= otsu], 0.9)
    mask = blue > max(min(otsu, _SHARE_OF_CORE * core), MIN_BLUE)
    mask = ndimage.binary_fill_holes(ndimage.binary_opening(mask, morphology.disk(1)))
    return _without_small(measure.label(mask), MIN_PART_UM2) > 0


def _without_small(labels: np.ndarray, least_um2: float) -> np.ndarray:
    areas = np.bincount(labels.ravel()) * _UM2
    kept = np.where(areas[labels] >= least_um2, labels, 0)
    return np.asarray(segmentation.relabel_sequential(kept)[0], dtype=np.int32)


def _split(mask: np.ndarray) -> np.ndarray:
    """Numbers of the convex parts of the nuclei."""
    depth = ndimage.distance_transform_edt(mask) * PIXEL_SIZE_UM
    smooth = ndimage.gaussian_filter(depth, 2 * _SMOOTH_UM / PIXEL_SIZE_UM)
    tops = measure.label(morphology.h_maxima(smooth, _WAIST_UM))
    return np.asarray(segmentation.watershed(-smooth, tops, mask=mask))


def _joined(parts: np.ndarray) -> np.ndarray:
    """Numbers of the nuclei: parts that are lobes of one have the same."""
    number = int(parts.max(initial=0))
    places = [np.argwhere(parts == part) for part in range(1, number + 1)]
    reach = segmentation.expand_labels(parts, _LOBE_GAP_UM / 2 / PIXEL_SIZE_UM)
    group = {part: {part} for part in range(1, number + 1)}
    pairs = sorted((_hull_um2(places, pair), pair) for pair in _neighbours(reach))
    for _, (one, other) in pairs:
        together = group[one] | group[other]
        if group[one] is not group[other] and _is_one_nucleus(places, together):
            group |= dict.fromkeys(together, together)
    first = np.array([0, *(min(group[part]) for part in range(1, number + 1))])
    return _without_small(first[parts], MIN_NUCLEUS_UM2)


def _is_one_nucleus(places: list[np.ndarray], parts: set[int]) -> bool:
    hull = _hull_um2(places, parts)
    filled = sum(len(places[part - 1]) for part in parts) * _UM2 / hull
    return hull <= _LOBED_UM2 or (hull <= _LARGEST_UM2 and filled >= _CONVEX)


def _neighbours(labels: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of numbers that lie side by side."""
    found: set[tuple[int, int]] = set()
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        touch = (one != other) & (one > 0) & (other > 0)
        pairs = np.sort(np.stack([one[touch], other[touch]], axis=1), axis=1)
        found |= {(int(a), int(b)) for a, b in np.unique(pairs, axis=0)}
    return found


def _hull_um2(places: list[np.ndarray], parts: Iterable[int]) -> float:
    """Area of the convex hull of parts, through the middles of their outermost pixels."""
    return float(ConvexHull(np.concatenate([places[part - 1] for part in parts])).volume) * _UM2


def _bodies(nuclei: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Numbers of the cells: what is stained in and around the hull of each nucleus."""
    hulls = nuclei.copy()
    for region in measure.regionprops(nuclei):
        inside = hulls[region.slice]
        inside[region.image_convex & (inside == 0)] = region.label
    reach = segmentation.expand_labels(hulls, _CYTOPLASM_UM / PIXEL_SIZE_UM)
    sigma = 2 * _SMOOTH_UM / PIXEL_SIZE_UM
    stained = ndimage.gaussian_filter(density.sum(axis=2), sigma) > STAINED
    bodies = np.where(stained | (nuclei > 0), reach, 0)
    # What is stained near a cell and hangs together with another one is no part of it.
    patches = measure.label(bodies, connectivity=1)
    own = np.unique(patches[nuclei > 0])
    return np.where(np.isin(patches, own), bodies, 0).astype(np.int32)
