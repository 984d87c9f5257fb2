"""Smears on the command line: a landing zone, single folders, and what is said of broken fields."""

import csv
import shutil

import numpy as np
import polars as pl
import pytest
from PIL import Image

from assets.simulate.smear_cohort import simulate_smears
from oncoframe.lake import Lake

SIZE_UM = (60.0, 45.0)


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    """Three patients: a good one, 30 fields of which 3 are broken, and nothing but broken ones."""
    folder = tmp_path_factory.mktemp("smears") / "landing"
    smears = simulate_smears(folder, patients=3, seed=1, fields=4, size_um=SIZE_UM)
    some = folder / smears[1].path
    for number in range(5, 31):
        shutil.copy(some / "field-04.png", some / f"field-{number:02d}.png")
    some = sorted((folder / smears[1].path).iterdir())
    some[0].write_bytes(some[0].read_bytes()[:2000])
    some[1].write_bytes(b"")
    some[2].write_text("<html>503</html>")
    for file in (folder / smears[2].path).iterdir():
        file.write_bytes(b"no image")
    return folder, [smear.patient_id for smear in smears], [folder / s.path for s in smears]


@pytest.fixture(scope="module")
def ran(landing, tmp_path_factory, oncoframe):
    home = tmp_path_factory.mktemp("home")
    run = oncoframe(home, "run", "--landing", landing[0], "--only", "smears", "--json")
    return home, run, oncoframe(home, "status", "--failed", "--json")


def test_run__finishes_with_broken_fields_and_quarantines_a_smear_of_nothing_else(landing, ran):
    """Issue: 30 fields of which 3 are broken finish; all broken end in quarantine."""
    home, run, status = ran
    good, some, none = landing[1]
    assert (run.code, run.json["ok"], run.json["quarantined"]) == (3, 2, 1), run.stderr
    [failed] = status.json["failed"]
    assert (failed["patient_id"], failed["error"]) == (none, "NotAnImage")
    rows = Lake(home / "lake").scan("smear_features").collect()
    told = rows.select("patient_id", "fields", "fields_used", "fields_left_out").rows()
    assert sorted(told) == sorted(
        [
            (good, 4, 4, None),
            (some, 30, 27, "1 empty_file, 1 not_an_image, 1 truncated_file"),
        ]
    )
    assert rows["stain"].null_count() == rows["pixel_size_um"].null_count() == 0


def test_run__of_a_changed_pixel_size_computes_the_smear_again(landing, ran, oncoframe):
    """No byte of the fields changed, but every size in them did."""
    home, _, _ = ran
    folder, [good, *_], _ = landing
    sheet = folder / "samplesheet.csv"
    with sheet.open() as stream:
        rows = list(csv.DictReader(stream))
    before = sheet.read_text()
    for row in rows:
        if row["patient_id"] == good:
            row["pixel_size_um"] = "0.3"
    pl.DataFrame(rows).write_csv(sheet)
    again = oncoframe(home, "run", "--landing", folder, "--only", "smears", "--json")
    sheet.write_text(before)
    assert again.json["ok"] == 1, again.stderr
    rows = Lake(home / "lake").scan("smear_features").collect()
    assert set(rows.filter(patient_id=good)["pixel_size_um"].round(2)) >= {0.3}


def test_extract__prints_fields_used_filtered_and_failed(landing, tmp_path, oncoframe):
    _, _, [_, some, _] = landing
    found = oncoframe(tmp_path, "extract", "smear", some, "--pixel-size-um", 0.2, "--json")
    assert found.code == 0, found.stderr
    assert (found.json["fields"], found.json["used"], found.json["filtered"]) == (30, 27, {})
    assert found.json["failed"] == {"empty_file": 1, "not_an_image": 1, "truncated_file": 1}
    assert {*found.json["left_out"]} == {"field-01.png", "field-02.png", "field-03.png"}
    assert found.json["features"]["cells"] >= 27  # one or more in each field


@pytest.mark.parametrize(
    ("options", "error"),
    [((), "NoPixelSize"), (("--pixel-size-um", 0.2), "GrayscaleField")],
)
def test_extract__ends_in_a_typed_error(tmp_path, oncoframe, options, error):
    gray = np.full((300, 300, 3), 200, np.uint8)
    gray[100:200, 100:200] = 40
    (tmp_path / "fields").mkdir()
    Image.fromarray(gray).save(tmp_path / "fields" / "a.png")
    found = oncoframe(tmp_path, "extract", "smear", tmp_path / "fields", *options, "--json")
    assert (found.code, found.json["error"]) == (4, error)
