"""Radiomics settings of a center: checked before a run, versioned by content, in the copy."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from assets.imaging.copies import Deidentification, read_order, write_copy
from assets.imaging.errors import MaskTooSmall
from assets.imaging.radiomics import compute_features
from assets.imaging.rules import MaskRule
from assets.imaging.settings import load_settings
from assets.imaging.study import extract_landed
from assets.simulate.phantom.dicom import write_study
from assets.simulate.phantom.image import PhantomShape, make_phantom
from oncoframe.errors import SettingsError
from orchestration.settings import Settings

#: IBSI-1 configuration E, as far as PyRadiomics goes.
CONFIGURATION_E = """
setting:
  resampledPixelSpacing: [2, 2, 2]
  interpolator: sitkBSpline
  resegmentRange: [-1000, 400]
  resegmentSigma: 3
  binCount: 32
imageType:
  Original: {}
featureClass:
  firstorder:
  glcm: [Contrast, JointEntropy]
"""


def write(home: Path, text: str, name: str = "ours") -> Path:
    folder = home / "radiomics"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)
    return folder


def test_load_settings__versions_a_center_s_own_by_content(tmp_path):
    """A changed file under the same name would mix two meanings of a feature in one table."""
    own = write(tmp_path, CONFIGURATION_E)
    first = load_settings("ours", own)
    write(tmp_path, f"# a comment\n{CONFIGURATION_E}")
    assert load_settings("ours", own) == first
    write(tmp_path, CONFIGURATION_E.replace("32", "64"))
    assert load_settings("ours", own).label != first.label
    assert first.feature_names()[-2:] == (
        "original_glcm_Contrast", "original_glcm_JointEntropy",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "no YAML"), ("- 1", "no table"), ("settings: {}", "settings is no key"),
     ("setting: {binwidth: 25}\nimageType: {Original: }", "setting binwidth is not known"),
     ("setting: {binWidth: -1}\nimageType: {Original: }", "must be a width in HU"),
     ("setting: {binWidth: 25, binCount: 32}\nimageType: {Original: }", "exclude each other"),
     ("setting: {resampledPixelSpacing: [1, 1]}\nimageType: {Original: }", "three edge lengths"),
     ("setting: {force2D: 1}\nimageType: {Original: }", "true or false"),
     ("imageType: {}", "names no image"), ("imageType: {LBP3D: }", "LBP3D is none of"),
     ("imageType: {LoG: {sigma: []}}", "needs sigma"),
     ("imageType: {Original: }\nfeatureClass: {glcm: [Contrats]}", "lists no features")],
)  # fmt: skip
def test_load_settings__refuses_what_pyradiomics_would_ignore(tmp_path, text, problem):
    """A misspelt option is left out by PyRadiomics: other features under the name given."""
    with pytest.raises(SettingsError, match=problem):
        load_settings("ours", write(tmp_path, text))


def test_load_settings__lists_all_problems_of_a_file(tmp_path):
    text = "setting: {binwidth: 25, distances: 1}\nimageType: {Square: }"
    with pytest.raises(SettingsError, match=r"binwidth.*distances.*Square"):
        load_settings("ours", write(tmp_path, text))


def test_load_settings__never_leaves_its_folder_nor_replaces_shipped_ones(tmp_path):
    own = write(tmp_path, CONFIGURATION_E, "default107")
    assert load_settings("default107", own) == load_settings("default107")
    (tmp_path / "other.yaml").write_text(CONFIGURATION_E)
    with pytest.raises(SettingsError, match="no such radiomics settings"):
        load_settings("../other", own)


def test_settings__refuse_a_home_whose_radiomics_are_wrong(tmp_path):
    write(tmp_path, "setting: {binwidth: 25}")
    with pytest.raises(SettingsError):
        Settings.load(home=tmp_path, ct_settings="ours")
    write(tmp_path, CONFIGURATION_E)
    assert Settings.load(home=tmp_path, ct_settings="ours").ct_settings == "ours"


def test_compute_features__resegments_by_range_and_then_by_deviation(tmp_path):
    """IBSI's configuration E has both; PyRadiomics takes one."""
    phantom = make_phantom(PhantomShape(size=(12, 40, 44), tumour_mm=11.0), seed=1)
    hu = phantom.hu.copy()
    z, y, x = np.argwhere(phantom.mask)[:4].T
    hu[z, y, x] = [3000, 390, -990, 60]
    text = CONFIGURATION_E.replace("  resampledPixelSpacing: [2, 2, 2]\n", "")
    own = write(tmp_path, text)
    image = phantom.grid.image(hu)
    got = compute_features(image, {"t": phantom.mask}, load_settings("ours", own))["t"]
    kept = hu[phantom.mask & (hu >= -1000) & (hu <= 400)]
    kept = kept[np.abs(kept - kept.mean()) <= 3 * kept.std()]
    assert got["original_firstorder_Mean"] == pytest.approx(kept.mean())
    assert got["original_firstorder_Maximum"] == kept.max()


def test_compute_features__refuses_a_range_that_leaves_nothing(tmp_path):
    phantom = make_phantom(PhantomShape(size=(12, 40, 44), tumour_mm=11.0), seed=1)
    text = "setting: {resegmentRange: [2000, 3000]}\nimageType: {Original: }"
    settings = load_settings("ours", write(tmp_path, text))
    with pytest.raises(MaskTooSmall, match="range of the settings"):
        compute_features(phantom.grid.image(phantom.hu), {"t": phantom.mask}, settings)


def test_write_copy__carries_the_settings_themselves(tmp_path):
    """A worker knows no home: the copy says how it is to be read, also after the file changed."""
    own = write(tmp_path, CONFIGURATION_E)
    phantom = make_phantom(PhantomShape(size=(12, 40, 44), tumour_mm=11.0), seed=1)
    write_study(phantom, tmp_path / "in", kind="rtstruct")
    how = Deidentification(
        tmp_path / "copies", b"a secret of sixteen bytes", "ours", MaskRule(), own
    )
    stamp = how.stamp(str(tmp_path / "in"))
    target = how.target("P1", datetime(2024, 5, 17, tzinfo=UTC))
    write_copy("P1", str(tmp_path / "in"), target, how)
    before = load_settings("ours", own)
    write(tmp_path, CONFIGURATION_E.replace("32", "64"))
    assert how.stamp(str(tmp_path / "in")) != stamp
    order = read_order(target)
    assert order is not None
    assert order.settings == before
    assert extract_landed(target).features["settings_version"] == f"{before.label}/tumour"
