"""Whole-slide images: fields are cut where nuclei are, at the slide's own size of a pixel."""

import numpy as np
import pytest
import tifffile

from assets.simulate.smears.cohort import CLASSES
from assets.simulate.smears.field import draw_field
from assets.simulate.smears.looks import LOOKS
from assets.smears import slides
from assets.smears.errors import NoPixelSize, TooFewFields
from assets.smears.fields import list_fields, open_field
from assets.smears.patient import read_patient
from oncoframe.errors import TruncatedFile
from oncoframe.extraction import Optics

MPP = 0.4


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """A slide of 3 x 3 fields with cells in the middle row, as a scanner writes it: tiled."""
    look = LOOKS["north"]
    drawn = draw_field(CLASSES["aml"], look, np.random.default_rng(1))
    coarse = drawn.pixels[::2, ::2]
    pixels = np.full((3 * 244, 3 * 326, 3), 240, np.uint8)
    for column in (0, 326):
        pixels[244 : 244 + coarse.shape[0], column : column + coarse.shape[1]] = coarse
    path = tmp_path_factory.mktemp("slide") / "slide.tif"
    per_cm = 10_000 / MPP
    tifffile.imwrite(
        path, pixels, tile=(256, 256), photometric="rgb", resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
    )  # fmt: skip
    return path


def test_list_fields__cuts_a_slide_where_its_nuclei_are(slide):
    """Fields of glass would dilute every patient; without a sort they would differ by run."""
    fields = list_fields(slide)
    assert [field.region[:2] for field in fields] == [(0, 244), (326, 244)]
    assert fields[0].name == "slide.tif@0,244"


def test_open_field__of_a_slide_is_at_the_declared_size(slide):
    opened = open_field(list_fields(slide)[0])
    assert opened.shape == pytest.approx((480, 640, 3), abs=2)


def test_read_patient__of_a_slide_says_how_its_scale_is_known(slide):
    found = read_patient(slide, Optics())
    assert (found.records, found.used) == (2, 2)
    assert found.features["pixel_size_um"] == pytest.approx(MPP, rel=1e-3)
    assert found.features["pixel_size_source"] == "slide"


def test_list_fields__of_a_slide_without_a_scale_needs_it_declared(tmp_path):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, np.full((600, 600, 3), 200, np.uint8), tile=(256, 256))
    with pytest.raises(NoPixelSize):
        read_patient(path, Optics())
    with pytest.raises(TooFewFields):
        read_patient(path, Optics(pixel_size_um=0.4))


def test_read_region__of_a_damaged_slide_is_a_typed_error(slide, tmp_path):
    cut = tmp_path / "cut.tif"
    cut.write_bytes(slide.read_bytes()[: slide.stat().st_size // 2])
    with pytest.raises(TruncatedFile):
        slides.read_region(cut, (0, 0, 900, 700))
