"""Synthetic smears: planted as told, same seed same bytes, every class at every site."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from assets.landing.samplesheet import read_samplesheet
from assets.simulate.landing_zone import simulate
from assets.simulate.smears.cohort import CLASSES, EXTERNAL_SITE, draw_cases, write_cohort
from assets.simulate.smears.field import CYTOPLASM, NUCLEUS, draw_field
from assets.simulate.smears.looks import LOOKS

SMALL_UM = (65.0, 50.0)


def _bytes(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_write_cohort__gives_the_same_bytes_for_a_seed(tmp_path):
    """Two runs that draw otherwise cannot be compared."""
    one, again = tmp_path / "one", tmp_path / "again"
    write_cohort(one, patients=2, seed=3, fields=1, size_um=SMALL_UM, classes=("mds",))
    write_cohort(again, patients=2, seed=3, fields=1, size_um=SMALL_UM, classes=("mds",))
    assert _bytes(one) == _bytes(again)


def test_draw_cases__has_every_class_at_every_site():
    """A class that only one site has would be told by its stain."""
    cases = draw_cases(60, 1)
    met = Counter((case.diagnosis, case.site) for case in cases)
    assert set(met) == {(name, site) for name in CLASSES for site in LOOKS}
    assert {met[name, EXTERNAL_SITE] for name in CLASSES} == {4}


def test_write_cohort__keeps_the_truth_of_each_cell_beside_the_fields(tmp_path):
    [smear] = write_cohort(tmp_path, patients=1, seed=1, fields=2, size_um=SMALL_UM)
    assert [p.name for p in sorted(smear.folder.iterdir())] == ["field-01.png", "field-02.png"]
    cells = json.loads((smear.truth / "cells.json").read_text())
    for name in smear.fields:
        mask = np.asarray(Image.open(smear.truth / name.replace(".png", ".mask.png")))
        assert mask.shape == np.asarray(Image.open(smear.folder / name)).shape[:2]
        assert set(np.unique(mask)) <= {0, CYTOPLASM, NUCLEUS}
        for cell in cells[name]:
            x, y, width, height = cell["box"]
            assert (mask[y : y + height, x : x + width] == NUCLEUS).any()


@pytest.mark.parametrize("site", LOOKS)
def test_draw_field__nuclei_are_darker_than_cytoplasm_and_that_than_glass(site):
    drawn = draw_field(CLASSES["donor"], LOOKS[site], np.random.default_rng(5), size_um=SMALL_UM)
    green = drawn.pixels[..., 1].astype(float)
    nucleus, cytoplasm, rest = (green[drawn.mask == v].mean() for v in (NUCLEUS, CYTOPLASM, 0))
    assert nucleus < cytoplasm - 30 < rest - 60


def test_simulate__gives_some_patients_of_the_cohort_a_smear(tmp_path):
    """The rows would be refused, or nobody would know what was planted, blurred fields included."""
    simulate(tmp_path, patients=4, seed=1, smears=2)
    truth = json.loads((tmp_path / "truth.json").read_text())["by_patient"]
    planted = {patient: about["smear"] for patient, about in truth.items() if about["smear"]}
    sheet = read_samplesheet(str(tmp_path)).filter(modality="smear")
    assert sheet["patient_id"].to_list() == [*planted]
    assert sheet["pixel_size_um"].to_list() == [p["pixel_size_um"] for p in planted.values()]
    for patient, about in planted.items():
        assert [p.name for p in sorted((tmp_path / about["path"]).iterdir())] == about["fields"]
        assert (tmp_path / "truth" / patient / "cells.json").exists()
    assert [about["blurred"] for about in planted.values()] == [["field-04.png"], []]
