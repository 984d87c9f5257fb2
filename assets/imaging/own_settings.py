"""Radiomics settings of a center: a file of the home, read and checked before anything runs.

    <home>/radiomics/<name>.yaml -> keys, types and names -> content, or one error that lists all

What PyRadiomics would ignore or meet in the middle of a run is refused here. Two options are ours:
``resegmentSigma``, as PyRadiomics takes a range of intensities or one of standard deviations, IBSI
both in turn; and ``resampleLike: ibsi``, see :func:`assets.imaging.radiomics._resampled_like_ibsi`.

References
----------
PyRadiomics 3.0.1, schema of its parameter files. Zwanenburg et al., The Image Biomarker
Standardization Initiative. Radiology 295 (2020), configurations A to E.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from assets.imaging.feature_names import FEATURES
from oncoframe.errors import SettingsError

_KEYS = ("setting", "imageType", "featureClass", "exclude")
_IMAGES = ("Original", "Wavelet", "LoG", "Gradient")
_INTERPOLATORS = (
    "sitkNearestNeighbor", "sitkLinear", "sitkBSpline", "sitkGaussian", "sitkLabelGaussian",
    "sitkHammingWindowedSinc", "sitkCosineWindowedSinc", "sitkWelchWindowedSinc",
    "sitkLanczosWindowedSinc", "sitkBlackmanWindowedSinc",
)  # fmt: skip
_NORMS = ("manhattan", "euclidean", "infinity", "no_weighting")
_MODES = ("absolute", "relative", "sigma")
_DIMENSIONS = 3


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _are(value: object, check: Callable[[object], bool], sizes: tuple[int, ...] = ()) -> bool:
    return (
        isinstance(value, list)
        and (len(value) in sizes if sizes else bool(value))
        and all(check(item) for item in value)
    )


def _is_spacing(value: object) -> bool:
    return _are(value, lambda mm: mm == 0 or _is_positive(mm), (_DIMENSIONS,))


#: Option -> whether a value can be used, and what it has to be.
_OPTIONS: dict[str, tuple[Callable[[object], bool], str]] = {
    "binWidth": (_is_positive, "a width in HU"),
    "binCount": (_is_count, "a number of bins"),
    "resampledPixelSpacing": (_is_spacing, "three edge lengths in mm, 0 for that of the image"),
    "interpolator": (lambda v: v in _INTERPOLATORS, "one of " + ", ".join(_INTERPOLATORS)),
    "resampleLike": (lambda v: v in ("pyradiomics", "ibsi"), "pyradiomics or ibsi"),
    "resegmentRange": (lambda v: _are(v, _is_number, (1, 2)), "one or two limits"),
    "resegmentMode": (lambda v: v in _MODES, "one of " + ", ".join(_MODES)),
    "resegmentSigma": (_is_positive, "a number of standard deviations"),
    "resegmentShape": (_is_flag, "true or false"),
    "force2D": (_is_flag, "true or false"),
    "force2Ddimension": (lambda v: v in (0, 1, 2) and not _is_flag(v), "0, 1 or 2"),
    "weightingNorm": (lambda v: v is None or v in _NORMS, "one of " + ", ".join(_NORMS)),
    "distances": (lambda v: _are(v, _is_count), "a list of distances in voxels"),
    "symmetricalGLCM": (_is_flag, "true or false"),
    "gldm_a": (lambda v: _is_number(v) and not _is_flag(v), "a difference of gray levels"),
    "voxelArrayShift": (_is_number, "a shift in HU"),
    "normalize": (_is_flag, "true or false"),
    "normalizeScale": (_is_positive, "a scale"),
    "removeOutliers": (lambda v: v is None or _is_positive(v), "a number of standard deviations"),
    "minimumROIDimensions": (lambda v: v in (1, 2, 3) and not _is_flag(v), "1, 2 or 3"),
    "minimumROISize": (lambda v: v is None or _is_count(v), "a number of voxels"),
}


def read_own(file: Path) -> dict[str, Any]:
    """Content of a file of settings.

    Raises
    ------
    SettingsError
        If it is no YAML, or has keys or values that cannot be used; all of them are listed.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError("the radiomics settings are no YAML", where=str(file)) from error
    if not isinstance(content, dict):
        raise SettingsError(
            "the radiomics settings are no table", where=str(file), expected=", ".join(_KEYS)
        )
    if problems := list(_problems(content)):
        raise SettingsError(
            "the radiomics settings cannot be used", where=str(file), got="; ".join(problems)
        )
    return content


def _problems(content: dict[str, Any]) -> Iterator[str]:
    yield from (f"{key} is no key" for key in content if key not in _KEYS)
    options = content.get("setting") or {}
    images = content.get("imageType")
    classes = content.get("featureClass") or {}
    tables = {"setting": options, "imageType": images, "featureClass": classes}
    wrong = [key for key, value in tables.items() if not isinstance(value, dict)]
    yield from (f"{key} is no table" for key in wrong)
    if wrong:
        return
    yield from _option_problems(options)
    yield from _image_problems(images or {})
    for kind, chosen in classes.items():
        if kind not in FEATURES:
            yield f"featureClass {kind} is none of {', '.join(FEATURES)}"
        elif chosen and not (isinstance(chosen, list) and set(chosen) <= set(FEATURES[kind])):
            yield f"featureClass {kind} lists no features of that class"
    patterns = content.get("exclude") or []
    if not isinstance(patterns, list) or not all(isinstance(p, str) for p in patterns):
        yield "exclude is no list of patterns"


def _option_problems(options: dict[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        check, expected = _OPTIONS.get(name, (None, ""))
        if check is None:
            yield f"setting {name} is not known"
        elif not check(value):
            yield f"setting {name} must be {expected}"
    if "binWidth" in options and "binCount" in options:
        yield "binWidth and binCount exclude each other"
    if "resegmentMode" in options and "resegmentRange" not in options:
        yield "resegmentMode needs resegmentRange"


def _image_problems(images: dict[str, Any]) -> Iterator[str]:
    if not images:
        yield "imageType names no image"
    for name, given in images.items():
        if name not in _IMAGES:
            yield f"imageType {name} is none of {', '.join(_IMAGES)}"
        elif name == "LoG":
            if not isinstance(given, dict) or not _are(given.get("sigma"), _is_positive):
                yield "imageType LoG needs sigma, a list of mm"
        elif given:
            yield f"imageType {name} takes no options"
