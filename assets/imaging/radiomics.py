"""Radiomic features of tumours: PyRadiomics, on no more of the image than the features need.

    image, masks -> crop, a margin per filter -> filtered images, shared by all masks -> features

A filter sees a neighbourhood only, so that the stock extractor's filters over the whole image are
mostly thrown away. Margins: the wavelet reaches as far as its filter is long, and wraps around at
the edge of the image; the recursive Gaussian never ends but falls to 1e-5 within 8 sigma.

References
----------
van Griethuysen et al., Computational radiomics system to decode the radiographic phenotype.
Cancer Research 77 (2017). Deriche, Recursively implementing the Gaussian and its derivatives.
INRIA RR-1893 (1993): the filter behind ITK's LoG.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pywt
import SimpleITK as sitk
from radiomics import featureextractor, imageoperations

from assets.imaging.errors import EmptyMask, MaskTooSmall
from assets.imaging.grid import Grid
from assets.imaging.settings import Settings

# PyRadiomics logs what it skips or fails at; here that is a null in the row.
logging.getLogger("radiomics").setLevel(logging.CRITICAL)

#: Margin of the Laplacian of Gaussian in sigma; see the module's text.
LOG_MARGIN_SIGMA = 8.0
#: Voxels beyond which the prefilter of the B-spline (pole 0.27) has faded below rounding.
SPLINE_MARGIN = 32
_LABEL = 1

#: First and last index of a region, (x, y, z) each.
Box = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Region:
    """One mask, cropped to its own box."""

    mask: sitk.Image
    box: Box


def compute_features(
    image: sitk.Image, masks: Mapping[str, np.ndarray], settings: Settings
) -> dict[str, dict[str, float | None]]:
    """Features of each mask, by name; None where a feature is not defined for the region.

    Parameters
    ----------
    image
        Three-dimensional image; CT in HU.
    masks : mapping of (Z, Y, X) arrays of bool
        Regions, on the grid of the image.
    settings
        What to compute.

    Raises
    ------
    EmptyMask
        If a mask has no voxel.
    MaskTooSmall
        If a mask has a single voxel, or fewer dimensions than the settings ask for.
    """
    extractor = _extractor(settings)
    options = {**extractor.settings, "label": _LABEL}
    for name, mask in masks.items():
        if not mask.any():
            raise EmptyMask("a region without a voxel", where=name)
    # PyRadiomics divides by zero where a texture is flat, and turns warnings into NaN.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if options["normalize"]:
            image = imageoperations.normalizeImage(image, **options)
        margin = _margin(extractor, image.GetSpacing())
        image, arrays = _resampled(image, masks, options, margin)
        found = _all_features(extractor, image, arrays, options)
    names = settings.feature_names()
    return {region: {n: _number(values.get(n)) for n in names} for region, values in found.items()}


def _extractor(settings: Settings) -> Any:
    """The stock extractor under these settings; names of other features are not computed."""
    extractor = featureextractor.RadiomicsFeatureExtractor(**settings.parameters.get("setting", {}))
    extractor.enabledImagetypes = settings.parameters["imageType"]
    classes = settings.parameters.get("featureClass")
    if classes:
        extractor.enabledFeatures = classes
    return extractor


def _all_features(
    extractor: Any, image: sitk.Image, arrays: Mapping[str, np.ndarray], options: dict[str, Any]
) -> dict[str, dict[str, float]]:
    regions, found = {}, {}
    for name, array in arrays.items():
        whole = _region(image, array, name, options)
        crop = _crop(image, whole.box)
        texture = whole
        if kept := _resegmented(crop, whole.mask, name, options):
            full = np.zeros_like(array)
            low, high = whole.box
            full[_slices(low, high)] = sitk.GetArrayViewFromImage(kept) == _LABEL
            texture = _region(image, full, name, options)
        shape = texture if options.get("resegmentShape") else whole
        local = np.zeros(6, dtype=int)
        local[1::2] = shape.box[1] - shape.box[0]
        found[name] = dict(
            extractor.computeShape(_crop(image, shape.box), shape.mask, local, **options)
        )
        regions[name] = texture
    union = _union([region.box for region in regions.values()])
    for filtered, origin, image_name, given in _filtered(extractor, image, union, options):
        for name, region in regions.items():
            crop = _crop(filtered, (region.box[0] - origin, region.box[1] - origin))
            found[name] |= extractor.computeFeatures(crop, region.mask, image_name, **given)
    return found


def _resegmented(
    image: sitk.Image, mask: sitk.Image, name: str, options: dict[str, Any]
) -> sitk.Image | None:
    """Mask of the voxels within the range of the settings, then within their deviations.

    Raises
    ------
    MaskTooSmall
        If fewer than two voxels are left.
    """
    kept = None
    try:
        if options["resegmentRange"] is not None:
            kept = imageoperations.resegmentMask(image, mask, **options)
        if sigma := options.get("resegmentSigma"):
            outliers = {**options, "resegmentRange": [-sigma, sigma], "resegmentMode": "sigma"}
            kept = imageoperations.resegmentMask(image, kept or mask, **outliers)
    except ValueError:
        raise MaskTooSmall(
            "the range of the settings leaves too little of the region", where=name
        ) from None
    return kept


def _region(image: sitk.Image, array: np.ndarray, name: str, options: dict[str, Any]) -> _Region:
    """The region of a mask.

    Raises
    ------
    EmptyMask, MaskTooSmall
        If there is too little of it to describe.
    """
    if not array.any():
        raise EmptyMask("no voxel of the region is left", where=name)
    low, high = _box(array)
    dimensions = int((high > low).sum())
    if dimensions < max(1, options["minimumROIDimensions"]):
        raise MaskTooSmall(
            "the region is too small for radiomics", where=name,
            expected=f"at least {options['minimumROIDimensions']} dimensions", got=f"{dimensions}",
        )  # fmt: skip
    smallest = options["minimumROISize"]
    if smallest is not None and array.sum() <= smallest:
        raise MaskTooSmall(
            "the region is too small for radiomics", where=name,
            expected=f"more than {smallest} voxels", got=f"{int(array.sum())}",
        )  # fmt: skip
    mask = sitk.GetImageFromArray(array[_slices(low, high)].astype(np.uint32))
    mask.CopyInformation(_crop(image, (low, high)))
    return _Region(mask, (low, high))


def _box(array: np.ndarray) -> Box:
    """First and last index (x, y, z) of the True voxels of a (Z, Y, X) array."""
    z = np.flatnonzero(array.any(axis=(1, 2)))
    plane = np.asarray(array[z[0] : z[-1] + 1].any(axis=0))
    y, x = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    return np.array([x[0], y[0], z[0]]), np.array([x[-1], y[-1], z[-1]])


def _union(boxes: list[Box]) -> Box:
    return np.min([low for low, _ in boxes], axis=0), np.max([high for _, high in boxes], axis=0)


def _slices(low: np.ndarray, high: np.ndarray) -> tuple[slice, ...]:
    return tuple(slice(first, last + 1) for first, last in zip(low[::-1], high[::-1], strict=True))


def _crop(image: sitk.Image, box: Box) -> sitk.Image:
    low, high = (edge.tolist() for edge in box)
    return image[low[0] : high[0] + 1, low[1] : high[1] + 1, low[2] : high[2] + 1]


def _padded(box: Box, margin: np.ndarray | int, image: sitk.Image) -> Box:
    last = np.array(image.GetSize()) - 1
    return np.maximum(box[0] - margin, 0), np.minimum(box[1] + margin, last)


def _margin(extractor: Any, spacing: tuple[float, ...]) -> int:
    """Voxels around a region that the widest filter needs after resampling."""
    target = extractor.settings["resampledPixelSpacing"] or spacing
    smallest = min(t or s for t, s in zip(target, spacing, strict=True))
    sigmas = extractor.enabledImagetypes.get("LoG", {}).get("sigma", [])
    reach = _wavelet_reach(extractor.enabledImagetypes.get("Wavelet", {}))
    return max(reach, *(int(np.ceil(LOG_MARGIN_SIGMA * s / smallest)) for s in sigmas), 0)


def _wavelet_reach(given: Mapping[str, Any]) -> int:
    levels = given.get("start_level", 0) + given.get("level", 1)
    return int(pywt.Wavelet(given.get("wavelet", "coif1")).dec_len * 2**levels)


def _resampled(
    image: sitk.Image, masks: Mapping[str, np.ndarray], options: dict[str, Any], margin: int
) -> tuple[sitk.Image, Mapping[str, np.ndarray]]:
    """Image and masks on the voxels of the settings, with ``margin`` voxels around all masks."""
    if options["resampledPixelSpacing"] is None or options["interpolator"] is None:
        return image, masks
    if options.get("resampleLike") == "ibsi":
        return _resampled_like_ibsi(image, masks, options)
    grid = Grid.of_image(image)
    union = np.logical_or.reduce(list(masks.values()))
    target = np.array(options["resampledPixelSpacing"], dtype=float)
    stretch = np.maximum(target / grid.spacing_mm, 1)
    reach = np.ceil((margin + 2) * stretch).astype(int) + SPLINE_MARGIN
    near = _crop(image, _padded(_box(union), reach, image))
    # The grid of the new voxels hangs on the origin of the mask: it stays uncropped.
    whole = grid.image(union.astype(np.uint8))
    resampled, _ = imageoperations.resampleImage(near, whole, **{**options, "padDistance": margin})
    arrays = {name: _moved(grid, mask, resampled, options) for name, mask in masks.items()}
    return resampled, arrays


def _resampled_like_ibsi(
    image: sitk.Image, masks: Mapping[str, np.ndarray], options: dict[str, Any]
) -> tuple[sitk.Image, Mapping[str, np.ndarray]]:
    """Image and masks on new voxels whose grid has the centre of the old one.

    HU are rounded to whole ones, and a new voxel belongs to a mask from one half of it on; the
    stock extractor aligns the corners, does not round and takes the nearest old voxel of the mask.
    """
    grid = Grid.of_image(image)
    asked = np.array(options["resampledPixelSpacing"], dtype=float)
    spacing = np.where(asked == 0, grid.spacing_mm, asked)
    old = np.array(grid.shape[::-1])
    new = np.ceil(np.round(old * grid.spacing_mm / spacing, 6)).astype(int)
    first = ((old - 1) * grid.spacing_mm - (new - 1) * spacing) / 2 / grid.spacing_mm
    target = Grid(
        (int(new[2]), int(new[1]), int(new[0])), grid.points(first)[0], spacing, grid.direction
    )
    interpolator = options["interpolator"]
    if isinstance(interpolator, str):
        interpolator = getattr(sitk, interpolator)
    hu = np.rint(_on_grid(image, target, interpolator)).astype(np.int32)
    # Neighbouring positions often give one half exactly, but for rounding.
    arrays = {
        name: _on_grid(grid.image(mask.astype(np.float64)), target, sitk.sitkLinear) >= 0.5 - 1e-6
        for name, mask in masks.items()
    }
    return target.image(hu), arrays


def _on_grid(image: sitk.Image, target: Grid, interpolator: int) -> np.ndarray:
    resample = sitk.ResampleImageFilter()
    resample.SetSize(target.shape[::-1])
    resample.SetOutputOrigin(target.origin_mm.tolist())
    resample.SetOutputSpacing(target.spacing_mm.tolist())
    resample.SetOutputDirection(target.direction.ravel().tolist())
    resample.SetInterpolator(interpolator)
    resample.SetUseNearestNeighborExtrapolator(True)
    found = resample.Execute(sitk.Cast(image, sitk.sitkFloat64))
    return np.asarray(sitk.GetArrayFromImage(found))


def _moved(
    grid: Grid, mask: np.ndarray, resampled: sitk.Image, options: dict[str, Any]
) -> np.ndarray:
    """A mask on the voxels of the resampled image, as the stock extractor moves it.

    Centres of new voxels often lie half-way between old ones, where rounding noise decides; so
    the mask is resampled by exactly the stock call, with its padding, and put in its place.
    """
    image = grid.image(mask.astype(np.uint8))
    nearest = {**options, "interpolator": sitk.sitkNearestNeighbor}
    moved = imageoperations.resampleImage(image, image, **nearest)[1]
    target = Grid.of_image(resampled)
    origin = np.rint(target.indices(np.array([moved.GetOrigin()]))[0]).astype(int)
    array = np.zeros(target.shape, dtype=bool)
    last = origin + np.array(moved.GetSize()) - 1
    array[_slices(origin, last)] = sitk.GetArrayViewFromImage(moved) == _LABEL
    return array


def _filtered(
    extractor: Any, image: sitk.Image, box: Box, options: dict[str, Any]
) -> Iterator[tuple[sitk.Image, np.ndarray, str, dict[str, Any]]]:
    """Filtered images around ``box``: image, index of its first voxel, name, options."""
    spacing = np.array(image.GetSpacing())
    for kind, custom in extractor.enabledImagetypes.items():
        given = {**options, **custom}
        get = getattr(imageoperations, f"get{kind}Image")
        if kind == "Wavelet":
            near, origin = _wrapped(image, box, _wavelet_reach(custom))
            parts = [(near, origin, given)]
        elif kind == "LoG":
            parts = []
            for sigma in custom["sigma"]:
                reach = np.ceil(LOG_MARGIN_SIGMA * sigma / spacing).astype(int)
                padded = _padded(box, reach, image)
                parts.append((_crop(image, padded), padded[0], {**given, "sigma": [sigma]}))
        elif kind in ("Original", "Gradient"):
            padded = _padded(box, 2, image)
            parts = [(_crop(image, padded), padded[0], given)]
        else:
            # The other filters scale by the extremes of the whole image.
            parts = [(image, np.zeros(3, dtype=int), given)]
        for near, origin, arguments in parts:
            for filtered, name, used in get(near, None, **arguments):
                yield filtered, origin, name, used


def _wrapped(image: sitk.Image, box: Box, reach: int) -> tuple[sitk.Image, np.ndarray]:
    """Image around ``box`` as the periodic wavelet of the whole image would see it.

    PyWavelets continues an image with itself, after repeating its first voxel where the length is
    odd; a box near an edge therefore needs voxels of the opposite edge.
    """
    array = sitk.GetArrayViewFromImage(image)
    indices, origin = [], []
    for axis, size in enumerate(image.GetSize()):
        even = size + size % 2
        first, last = int(box[0][axis]) - reach, int(box[1][axis]) + reach
        if last - first + 1 >= even:
            first, last = 0, size - 1
        wrapped = np.arange(first, last + 1) % even
        indices.append(np.where(wrapped == size, 0, wrapped))
        origin.append(first)
    x, y, z = indices
    near = sitk.GetImageFromArray(array[np.ix_(z, y, x)])
    near.SetSpacing(image.GetSpacing())
    near.SetDirection(image.GetDirection())
    return near, np.array(origin)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if np.isfinite(number) else None
