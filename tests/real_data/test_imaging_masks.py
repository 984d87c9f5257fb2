"""Volumes and masks against those that others made of the same DICOM files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from assets.imaging.ct import CONTRACT, extract
from assets.imaging.grid import Grid
from assets.imaging.ready import read_pair
from assets.imaging.rules import MaskRule, Rule
from assets.imaging.study import read_study

pytestmark = pytest.mark.real_data

STS = ("STS_002", "STS_003", "STS_008", "STS_012", "STS_019", "STS_025")
LIVER_VOXELS = [36233, 35645, 35220]


@pytest.mark.parametrize("patient", STS)
def test_read_study__agrees_with_the_masks_of_the_ibsi_data_sets(real_data, patient):
    """Even-odd at voxel centres is what the makers of the data did: equal, not only alike."""
    folder = real_data / "imaging" / "sts"
    study = read_study(folder / patient)
    given = sitk.ReadImage(str(folder / f"{patient}_CT_mask.nii.gz"))
    mask = sitk.GetArrayFromImage(given) > 0
    assert study.volume.grid.matches(Grid.of_image(given))
    dice = 2 * (study.mask & mask).sum() / (study.mask.sum() + mask.sum())
    assert dice >= 0.98
    assert np.array_equal(study.mask, mask)


@pytest.mark.parametrize("patient", ["STS_002", "STS_003"])
def test_read_study__stacks_the_volume_voxel_by_voxel(real_data, patient):
    folder = real_data / "imaging" / "sts"
    given = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{patient}_CT_image.nii.gz")))
    assert np.array_equal(read_study(folder / patient).volume.hu, given)


@pytest.fixture
def three_slices(real_data, tmp_path):
    """Folder with the CT of three slices and one of the segmentations drawn on it."""

    def place(segmentation: str) -> Path:
        for path in (real_data / "imaging" / "dicom_seg" / "ct-3slice").glob("*.dcm"):
            shutil.copyfile(path, tmp_path / path.name)
        source = real_data / "imaging" / "dicom_seg" / segmentation
        shutil.copyfile(source, tmp_path / "seg.dcm")
        return tmp_path

    return place


def test_read_study__finds_the_liver_voxels_of_dcmqi(real_data, three_slices):
    study = read_study(three_slices("liver.dcm"))
    given = sitk.ReadImage(str(real_data / "imaging" / "dicom_seg" / "liver_seg.nrrd"))
    assert study.mask.sum(axis=(1, 2)).tolist() == LIVER_VOXELS
    assert np.array_equal(study.mask, sitk.GetArrayFromImage(given) == 1)
    assert study.volume.grid.matches(Grid.of_image(given))


def test_read_study__separates_partly_overlapping_segments(three_slices):
    """Empty frames are left out and segments overlap: each has its own voxels per slice."""
    folder = three_slices("partial_overlaps.dcm")
    names = ("GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE")
    masks = {n: read_study(folder, MaskRule(Rule.NAMED, (n,))).mask for n in names}
    assert {n: m.sum(axis=(1, 2)).tolist() for n, m in masks.items()} == {
        "GREEN": [0, 9602, 0],
        "ORANGE": [0, 11888, 0],
        "PURPLE": [117, 117, 10509],
        "LIGHT_BLUE": [6693, 0, 0],
        "DARK_BLUE": [4713, 0, 0],
    }
    union = read_study(folder, MaskRule(Rule.ALL)).mask
    assert np.array_equal(union, np.logical_or.reduce(list(masks.values())))
    assert union.sum() < sum(m.sum() for m in masks.values())


def test_read_study__reads_a_single_slice(real_data, tmp_path):
    """One image and one frame: the third dimension is the slice thickness."""
    folder = real_data / "imaging" / "dicom_seg"
    shutil.copyfile(folder / "ct_image.dcm", tmp_path / "1.dcm")
    shutil.copyfile(folder / "seg_image_ct_binary_single_frame.dcm", tmp_path / "2.dcm")
    study = read_study(tmp_path)
    assert study.mask.shape == (1, 128, 128)
    assert study.mask.any()


@pytest.mark.parametrize("name", ["liver_seg", "spine_seg", "liver_spine_seg", "heart_seg"])
def test_read_pair__takes_the_only_label_or_the_first(real_data, name, three_slices, tmp_path):
    """Masks of dcmqi carry the labels 1, 2 and 3: the only label counts, else label 1."""
    folder = real_data / "imaging" / "dicom_seg"
    image = tmp_path / "ct.nii.gz"
    sitk.WriteImage(read_study(three_slices("liver.dcm")).volume.image, str(image))
    _, mask, _ = read_pair(image, folder / f"{name}.nrrd")
    voxels = {"liver_seg": 107098, "spine_seg": 12439, "liver_spine_seg": 107098}
    assert mask.sum() == voxels.get(name, 41449)


@pytest.mark.parametrize("patient", ["pat_1", "pat_2", "pat_3", "pat_4"])
def test_extract__describes_the_lung_tumours(real_data, patient):
    """Whole way from real DICOM to a row: every feature of the contract is there and finite."""
    found = extract(real_data / "imaging" / "lung_rtstruct" / patient, reference_build=None)
    assert set(found.features) == {feature.name for feature in CONTRACT.features}
    radiomics = {k: v for k, v in found.features.items() if "_" in k and k.startswith("original")}
    assert len(radiomics) == 107
    assert all(isinstance(v, float) and np.isfinite(v) for v in radiomics.values())
    assert (found.records, found.used) == (2, 2)
