"""Nuclei and cells of a field, against planted ones, and what is no nucleus."""

import numpy as np
import pytest
from PIL import Image

from assets.simulate.smears.cells import KINDS
from assets.simulate.smears.cohort import CLASSES
from assets.simulate.smears.field import NUCLEUS, draw_field
from assets.simulate.smears.looks import LOOKS
from assets.smears.cells import measure_cells
from assets.smears.fields import PIXEL_SIZE_UM
from assets.smears.nuclei import find_cells

SMALL_UM = (90.0, 70.0)


def _at_scale(drawn, look):
    scale = look.pixel_size_um / PIXEL_SIZE_UM
    size = round(drawn.mask.shape[1] * scale), round(drawn.mask.shape[0] * scale)
    pixels = Image.fromarray(drawn.pixels).resize(size, Image.Resampling.BICUBIC)
    mask = Image.fromarray(drawn.mask).resize(size, Image.Resampling.NEAREST)
    return np.asarray(pixels), np.asarray(mask)


@pytest.mark.parametrize("site", LOOKS)
def test_find_cells__finds_each_planted_cell_once_in_every_stain(site):
    """A rule fitted to one stain finds nothing in another, or cuts segmented nuclei into cells."""
    drawn = draw_field(CLASSES["donor"], LOOKS[site], np.random.default_rng(1), size_um=SMALL_UM)
    pixels, mask = _at_scale(drawn, LOOKS[site])
    found = find_cells(pixels)
    nuclei, truth = found.nuclei > 0, mask == NUCLEUS
    assert 2 * (nuclei & truth).sum() / (nuclei.sum() + truth.sum()) > 0.9
    assert found.number == len(drawn.cells)


@pytest.mark.parametrize("colour", [(240, 238, 236), (235, 150, 160)])
def test_find_cells__finds_none_where_nothing_or_only_one_colour_is(colour):
    blank = np.full((200, 300, 3), colour, np.uint8)
    assert find_cells(blank).number == 0


def test_find_cells__takes_dirt_for_no_nucleus():
    """Specks of dirt are as dark as nuclei; counted as cells they make every marrow full."""
    pixels = np.full((200, 300, 3), 235, np.uint8)
    y, x = np.mgrid[:200, :300]
    for middle in (60, 150, 240):
        pixels[np.hypot(y - 100, x - middle) < 15] = 20
    assert find_cells(pixels).number == 0


@pytest.fixture(scope="module")
def measured():
    """Kind -> measures of its cells."""
    return {
        kind: measure_cells(drawn.pixels, find_cells(drawn.pixels))
        for number, kind in enumerate(KINDS)
        for drawn in [
            draw_field({kind: 1.0}, LOOKS["north"], np.random.default_rng(number), size_um=SMALL_UM)
        ]
    }


def test_measure_cells__sizes_are_those_planted(measured):
    """Blasts of 5.4 to 6.4 um radius; a wrong scale would be a wrong power of the pixel."""
    area = measured["blast"]["nucleus_area_um2"].median()
    assert np.pi * 5.2**2 < area < np.pi * 6.5**2
    assert np.pi * 2.3**2 < measured["erythroblast"]["nucleus_area_um2"].median() < np.pi * 3.2**2


def test_measure_cells__lobes_and_roundness_tell_segmented_from_round(measured):
    assert measured["neutrophil"]["nucleus_lobes"].median() >= 3
    assert measured["dysplastic_neutrophil"]["nucleus_lobes"].max() <= 2
    assert measured["lymphocyte"]["nucleus_roundness"].median() > 0.95
    assert measured["neutrophil"]["nucleus_roundness"].median() < 0.6


def test_measure_cells__chromatin_and_cytoplasm_tell_blasts(measured):
    """Finer chromatin and bluer cytoplasm, whatever the size of the nucleus."""
    blast, mature = measured["blast"], measured["neutrophil"]
    assert blast["chromatin_coarse"].median() < mature["chromatin_coarse"].median()
    assert blast["cytoplasm_b"].median() < mature["cytoplasm_b"].median() - 5


def test_measure_cells__a_quarter_turn_changes_nothing():
    """Textures of pairs in one direction only would depend on how the slide was laid."""
    drawn = draw_field(CLASSES["mds"], LOOKS["north"], np.random.default_rng(2), size_um=SMALL_UM)
    turned = np.ascontiguousarray(np.rot90(drawn.pixels))
    one, other = (
        measure_cells(pixels, find_cells(pixels)).sort("nucleus_area_um2", "nucleus_density")
        for pixels in (drawn.pixels, turned)
    )
    assert len(one) == len(other)
    for name in ("nucleus_area_um2", "chromatin_contrast", "nucleus_b", "cytoplasm_grain"):
        np.testing.assert_allclose(one[name].mean(), other[name].mean(), rtol=0.01)
