"""A good study changed in one place: the same values, or a refusal; never other ones in silence.

Files are renamed, shuffled, doubled and deleted, and each attribute is removed, from one slice,
from all of them, and from the segmentation.
"""

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.tag import BaseTag

from assets.imaging.study import CtStudy, read_study
from assets.simulate.phantom.dicom import ct_slices, save, structure_set
from assets.simulate.phantom.image import PhantomShape, make_phantom
from assets.simulate.phantom.segmentation import segmentation
from oncoframe.errors import BadInput

pytestmark = pytest.mark.slow

PHANTOM = make_phantom(PhantomShape(size=(9, 24, 26), tumour_mm=9.0, has_cavity=False), seed=1)
IMAGES = ct_slices(PHANTOM)
SEGMENTATIONS = {
    "rtstruct": structure_set(PHANTOM, IMAGES),
    "seg": segmentation(PHANTOM, IMAGES),
}
#: Attributes without which pydicom cannot write the pixels of a segmentation.
UNWRITABLE = {tag_for_keyword("BitsAllocated")}
TAGS = sorted({element.tag for image in IMAGES for element in image})


def write(folder: Path, images: list[Dataset], segments: Dataset) -> Path:
    for number, image in enumerate(images):
        save(image, folder / f"{number:03d}.dcm")
    save(segments, folder / "seg.dcm")
    return folder


def outcome(folder: Path) -> CtStudy | None:
    """The study as read; None for a refusal of ours. Anything else is a defect."""
    try:
        return read_study(folder)
    except BadInput:
        return None


def assert_planted_or_refused(folder: Path) -> None:
    study = outcome(folder)
    if study is not None:
        assert np.array_equal(study.volume.hu, PHANTOM.hu)
        assert np.array_equal(study.mask, PHANTOM.mask)
        assert study.volume.grid.matches(PHANTOM.grid)


@pytest.fixture(params=list(SEGMENTATIONS))
def segments(request) -> Dataset:
    return deepcopy(SEGMENTATIONS[request.param])


def renamed(folder: Path) -> None:
    rng = np.random.default_rng(3)
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"{rng.integers(10**9):09d}")


def doubled(folder: Path) -> None:
    shutil.copytree(folder, folder / "again")


def with_other_files(folder: Path) -> None:
    (folder / "LICENSE").write_text("CC BY 3.0")
    (folder / ".DS_Store").write_bytes(b"\0" * 9)


@pytest.mark.parametrize("change", [renamed, doubled, with_other_files])
def test_read_study__does_not_depend_on_files_but_on_what_they_say(tmp_path, segments, change):
    folder = write(tmp_path / "a", deepcopy(IMAGES), segments)
    change(folder)
    study = outcome(folder)
    assert study is not None
    assert_planted_or_refused(folder)


@pytest.mark.parametrize("number", range(len(IMAGES)))
def test_read_study__refuses_or_crops_when_a_slice_is_deleted(tmp_path, segments, number):
    """A slice at the end may be missing: what is left has the same tumour, or is refused."""
    folder = write(tmp_path, deepcopy(IMAGES), segments)
    (folder / f"{number:03d}.dcm").unlink()
    study = outcome(folder)
    if study is not None:
        assert number in (0, len(IMAGES) - 1)
        assert study.mask.sum() == PHANTOM.mask.sum()


@pytest.mark.parametrize("tag", TAGS, ids=str)
def test_read_study__survives_the_loss_of_an_attribute_of_one_slice(tmp_path, tag: BaseTag):
    images = deepcopy(IMAGES)
    del images[4][tag]
    assert_after(tmp_path, images, deepcopy(SEGMENTATIONS["rtstruct"]))


@pytest.mark.parametrize("tag", TAGS, ids=str)
def test_read_study__survives_the_loss_of_an_attribute_of_all_slices(tmp_path, tag: BaseTag):
    images = deepcopy(IMAGES)
    for image in images:
        del image[tag]
    assert_after(tmp_path, images, deepcopy(SEGMENTATIONS["rtstruct"]))


def assert_after(folder: Path, images: list[Dataset], segments: Dataset) -> None:
    for number, image in enumerate(images):
        image.save_as(folder / f"{number:03d}.dcm", enforce_file_format=False)
    segments.save_as(folder / "seg.dcm", enforce_file_format=False)
    assert_planted_or_refused(folder)


def places(item: Dataset) -> list[tuple[Callable[[Dataset], Dataset], BaseTag]]:
    """How to reach each attribute of the first items of all sequences."""
    found: list[tuple[Callable[[Dataset], Dataset], BaseTag]] = []
    for element in item:
        found.append((lambda dataset: dataset, element.tag))
        if element.VR == "SQ" and element.value:
            for reach, tag in places(element.value[0]):
                found.append((_first(element.tag, reach), tag))
    return found


def _first(tag: BaseTag, reach: Callable[[Dataset], Dataset]) -> Callable[[Dataset], Dataset]:
    return lambda dataset: reach(dataset[tag].value[0])


@pytest.mark.parametrize("kind", list(SEGMENTATIONS))
def test_read_study__survives_the_loss_of_any_attribute_of_a_segmentation(tmp_path, kind):
    """Numbers of frames, contours and segments included: each tells where the tumour is."""
    other = []
    for number, image in enumerate(IMAGES):
        save(image, tmp_path / f"{number:03d}.dcm")
    for reach, tag in places(SEGMENTATIONS[kind]):
        if tag in UNWRITABLE:
            continue
        segments = deepcopy(SEGMENTATIONS[kind])
        del reach(segments)[tag]
        segments.save_as(tmp_path / "seg.dcm", enforce_file_format=False)
        study = outcome(tmp_path)
        if study is not None and not np.array_equal(study.mask, PHANTOM.mask):
            other.append(keyword_for_tag(tag))
    assert other == []


@pytest.mark.parametrize("number", range(1, 4))
def test_read_study__never_fills_or_loses_a_contour_in_silence(tmp_path, number):
    segments = deepcopy(SEGMENTATIONS["rtstruct"])
    del segments.ROIContourSequence[0].ContourSequence[number]
    assert_after(tmp_path, IMAGES, segments)


def test_read_study__does_not_depend_on_the_order_of_contours(tmp_path):
    segments = deepcopy(SEGMENTATIONS["rtstruct"])
    segments.ROIContourSequence[0].ContourSequence.reverse()
    study = read_study(write(tmp_path, deepcopy(IMAGES), segments))
    assert np.array_equal(study.mask, PHANTOM.mask)
