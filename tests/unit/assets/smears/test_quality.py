"""Quality of fields: it falls with every planted fault, and good fields are used."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from assets.simulate.smears.cohort import CLASSES
from assets.simulate.smears.faults import Fault, draw_faulty
from assets.simulate.smears.field import draw_field
from assets.simulate.smears.looks import LOOKS
from assets.smears.nuclei import find_cells
from assets.smears.quality import RULES, measure_quality
from assets.smears.stain import find_stains

SIZE_UM = (90.0, 70.0)
AMOUNTS = np.linspace(0, 1, 7)
#: Fault -> measure that falls or rises with it.
MEASURES = {
    Fault.BLURRED: ("blur_um", 1),
    Fault.PALE: ("stain_contrast", -1),
    Fault.TINTED: ("glass_chroma", 1),
    Fault.DARK_CORNER: ("light_unevenness", 1),
    Fault.DIRTY: ("artefact_share", 1),
    Fault.EMPTY: ("stained_share", -1),
    Fault.CROWDED: ("stained_share", 1),
    Fault.ONE_SIDED: ("evenness", -1),
}


def _quality(pixels):
    return measure_quality(pixels, find_cells(pixels))


@pytest.mark.slow
@pytest.mark.parametrize("fault", Fault)
def test_measure_quality__ranks_planted_faults(fault):
    """A field that is a little worse must not look better than one that is good."""
    qualities = [
        _quality(
            draw_faulty(
                CLASSES["mds"], LOOKS["north"], fault, amount, np.random.default_rng(7),
                size_um=SIZE_UM,
            )
        )
        for amount in AMOUNTS
    ]  # fmt: skip
    name, direction = MEASURES[fault]
    told = [quality.measures[name] for quality in qualities]
    assert direction * spearmanr(AMOUNTS, told).statistic >= 0.9
    assert spearmanr(AMOUNTS, [quality.score for quality in qualities]).statistic <= -0.9


@pytest.mark.parametrize("site", LOOKS)
@pytest.mark.parametrize("name", CLASSES)
def test_measure_quality__uses_good_fields_of_every_class_and_stain(site, name):
    """A rule that leaves out blasts or one laboratory would be a finding of its own."""
    drawn = draw_field(CLASSES[name], LOOKS[site], np.random.default_rng(3), size_um=SIZE_UM)
    assert _quality(drawn.pixels).reason is None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.BLURRED, "out_of_focus"),
        (Fault.PALE, "pale_stain"),
        (Fault.DIRTY, "artefacts"),
        (Fault.ONE_SIDED, "uneven_spread"),
    ],
)
def test_measure_quality__says_why_a_field_is_left_out(fault, reason):
    rng = np.random.default_rng(4)
    pixels = draw_faulty(CLASSES["mds"], LOOKS["north"], fault, 1.0, rng, size_um=SIZE_UM)
    assert _quality(pixels).reason == reason
    assert reason in RULES


def test_find_stains__finds_the_planted_stains():
    """Vectors of red and blue swapped would turn every amount around."""
    look = LOOKS["north"]
    drawn = draw_field(CLASSES["aml"], look, np.random.default_rng(5), size_um=SIZE_UM)
    found = find_stains(find_cells(drawn.pixels).density)
    planted_blue, planted_red = (np.array(v) / np.linalg.norm(v) for v in (look.blue, look.red))
    assert found.blue @ planted_blue > 0.98
    assert found.red @ planted_red > 0.98


def test_find_stains__of_a_blank_field_are_unknown():
    assert find_stains(np.zeros((50, 50, 3))) is None
