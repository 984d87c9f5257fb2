"""Our radiomics against the stock extractor: cropping must not change a feature."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import radiomics as stock
import SimpleITK as sitk
from radiomics.featureextractor import RadiomicsFeatureExtractor

from assets.imaging import contract, ct, errors
from assets.imaging import radiomics as ours
from assets.imaging.radiomics import compute_features
from assets.imaging.settings import FEATURES, Settings, load_settings
from oncoframe.errors import SettingsError

SPACING = (0.7, 0.8, 2.5)


def image_and_mask(
    size: tuple[int, int, int], centre: tuple[int, int, int], radius_mm: float
) -> tuple[sitk.Image, np.ndarray]:
    noise = np.random.default_rng(1).normal(-50.0, 240.0, size).astype(np.float32)
    image = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(noise), 0.8)
    image = sitk.Cast(image, sitk.sitkInt16)
    image.SetSpacing(SPACING)
    z, y, x = np.ogrid[tuple(slice(n) for n in size)]
    distances = [
        (axis - c) * s for axis, c, s in zip((z, y, x), centre, SPACING[::-1], strict=True)
    ]
    return image, sum(d**2 for d in distances) < radius_mm**2


def by_stock(image: sitk.Image, mask: np.ndarray, settings: Settings) -> dict[str, float]:
    labels = sitk.GetImageFromArray(mask.astype(np.uint8))
    labels.CopyInformation(image)
    with np.errstate(all="ignore"):
        found = RadiomicsFeatureExtractor(dict(settings.parameters)).execute(image, labels)
    return {k: float(v) for k, v in found.items() if not k.startswith("diagnostics")}


def differences(got: dict[str, Any], expected: dict[str, float]) -> dict[str, float]:
    """Largest relative difference per image type."""
    worst: dict[str, float] = {}
    for name, value in expected.items():
        kind = name.split("_")[0].split("-")[0]
        if np.isfinite(value):
            off = abs(got[name] - value) / max(abs(value), 1e-9)
            worst[kind] = max(worst.get(kind, 0.0), off)
    return worst


@pytest.mark.parametrize(
    ("size", "centre"),
    [((25, 81, 79), (12, 40, 40)), ((25, 81, 80), (3, 8, 9)), ((24, 80, 79), (21, 73, 71))],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:the load_module:DeprecationWarning")
def test_compute_features__equals_the_stock_extractor(size, centre):
    """In the middle and at both ends, where the wavelet wraps around, of odd and even sizes."""
    settings = load_settings("ct1130")
    image, mask = image_and_mask(size, centre, 9.0)
    expected = by_stock(image, mask, settings)
    got = compute_features(image, {"tumour": mask}, settings)["tumour"]
    assert set(got) == set(expected)
    worst = differences(got, expected)
    assert worst["original"] <= 1e-9
    assert worst["wavelet"] <= 1e-9
    assert worst["log"] <= 1e-3


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:the load_module:DeprecationWarning")
def test_compute_features__resamples_like_the_stock_extractor_but_for_log(monkeypatch):
    """New voxels between old ones: half-way cases of the mask must fall as they fall there."""
    settings = load_settings("ct1130_1mm")
    image, mask = image_and_mask((30, 110, 100), (14, 60, 45), 10.0)
    got = compute_features(image, {"tumour": mask}, settings)["tumour"]
    worst = differences(got, by_stock(image, mask, settings))
    assert worst["original"] <= 1e-9
    assert worst["wavelet"] <= 1e-9
    # The stock extractor crops to 5 voxels before the LoG, which is where it is wrong.
    assert worst["log"] > 0.02
    monkeypatch.setattr(ours, "LOG_MARGIN_SIGMA", 2 * ours.LOG_MARGIN_SIGMA)
    wider = compute_features(image, {"tumour": mask}, settings)["tumour"]
    assert differences(got, wider)["log"] <= 1e-3


def test_compute_features__gives_each_of_several_masks_its_own():
    """Filters shared by masks far apart: the same values as one by one, filtered once."""
    settings = load_settings("ct1029")
    image, first = image_and_mask((24, 70, 70), (8, 20, 20), 8.0)
    _, second = image_and_mask((24, 70, 70), (17, 50, 48), 7.0)
    together = compute_features(image, {"a": first, "b": second}, settings)
    for name, mask in (("a", first), ("b", second)):
        alone = compute_features(image, {name: mask}, settings)[name]
        worst = differences(together[name], {k: v for k, v in alone.items() if v is not None})
        assert worst["original"] == worst["wavelet"] == 0.0
        assert worst["log"] <= 1e-3


def test_settings__name_the_features_without_importing_pyradiomics():
    """A feature that PyRadiomics has and the list lacks would be dropped from every row."""
    for kind, names in FEATURES.items():
        known = stock.getFeatureClasses()[kind].getFeatureNames()
        assert set(names) == {name for name, deprecated in known.items() if not deprecated}


@pytest.mark.parametrize(
    ("name", "count"),
    [("default107", 107), ("ct1130", 1130), ("ct1130_1mm", 1130), ("ct1029", 1029)],
)
def test_settings__give_the_published_counts(name, count):
    names = load_settings(name).feature_names()
    assert len(names) == len(set(names)) == count


def test_settings__refuse_what_does_not_exist():
    with pytest.raises(SettingsError, match="ct1130_1mm"):
        load_settings("ct9999")
    with pytest.raises(SettingsError, match="LBP3D"):
        Settings("x", 1, {"imageType": {"LBP3D": {}}}).feature_names()


@pytest.mark.parametrize(
    ("voxels", "error"),
    [((), errors.EmptyMask), (((2, 3, 3),), errors.MaskTooSmall),
     (((2, 3, 3), (2, 3, 4)), errors.MaskTooSmall)],
)  # fmt: skip
def test_compute_features__refuses_too_small_regions(voxels, error):
    """One voxel or a line has no texture: PyRadiomics would raise, or give numbers."""
    image, mask = image_and_mask((8, 16, 16), (4, 8, 8), 5.0)
    mask = np.zeros_like(mask)
    for voxel in voxels:
        mask[voxel] = True
    with pytest.raises(error):
        compute_features(image, {"r": mask}, load_settings("default107"))


def test_compute_features__gives_null_where_a_feature_is_not_defined():
    """A flat region has no correlation: null, never NaN or infinity in the lake."""
    image, mask = image_and_mask((8, 30, 30), (4, 15, 15), 6.0)
    flat = sitk.GetImageFromArray(np.zeros((8, 30, 30), dtype=np.int16))
    flat.CopyInformation(image)
    got = compute_features(flat, {"r": mask}, load_settings("default107"))["r"]
    assert all(value is None or np.isfinite(value) for value in got.values())
    assert got["original_firstorder_Mean"] == 0.0


def test_contract__names_units_and_types():
    """The columns of the table, and domain names that survive the codec."""
    features = {feature.name: feature for feature in contract.CONTRACT.features}
    assert ct.CONTRACT is contract.CONTRACT
    assert features["original_firstorder_Mean"].unit == "HU"
    assert features["original_shape_MeshVolume"].unit == "mm^3"
    assert features["original_shape_Maximum3DDiameter"].unit == "mm"
    assert features["original_firstorder_Entropy"].unit == "bit"
    assert features["original_firstorder_Mean"].column == "original_firstorder_Mean"
    assert features["settings_version"].dtype == pl.String()
    assert len(features) == 107 + len(contract.COVARIATES)
    assert {f.name for f in features.values() if f.is_setting} == {
        "settings_version", "mask_voxels", "mask_source", "burned_in_suspected", "slices", "roi",
        "roi_rule", "mask_reference", "interpolated_slices", "modality_source",
    }  # fmt: skip
