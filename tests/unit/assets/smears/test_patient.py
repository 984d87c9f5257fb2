"""The smear of a patient: fields left out by reason, and what cannot be used at all."""

import shutil

import numpy as np
import pytest
from PIL import Image

from assets.simulate.smears.cohort import Case, write_smear
from assets.simulate.smears.faults import Fault, spoil
from assets.smears.contract import CONTRACT
from assets.smears.errors import GrayscaleField, NoPixelSize, NotAnImage, TooFewFields
from assets.smears.patient import inspect
from assets.smears.smear import extract
from oncoframe.extraction import Optics

SIZE_UM = (60.0, 45.0)
OPTICS = Optics(pixel_size_um=0.20353, stain="Pappenheim", scanner="S1")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Six good fields."""
    folder = tmp_path_factory.mktemp("smear")
    case = Case(0, "P1", "mds", "north")
    return write_smear(case, folder / "f", folder / "t", seed=1, fields=6, size_um=SIZE_UM).folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "fields")


def _extract(folder, optics=OPTICS):
    return extract(folder, reference_build=None, optics=optics)


def _spoil(folder):
    """Three broken fields and one out of focus."""
    (folder / "field-01.png").write_bytes((folder / "field-01.png").read_bytes()[:3000])
    (folder / "field-02.png").write_text("no image")
    Image.open(folder / "field-03.png").convert("L").save(folder / "field-03.png")
    pixels = np.asarray(Image.open(folder / "field-04.png"))
    blurred = spoil(pixels, Fault.BLURRED, 1.0, np.random.default_rng(1))
    Image.fromarray(blurred).save(folder / "field-04.png")


def test_extract__goes_on_without_broken_fields_and_names_them(folder):
    """A patient lost for one bad field, or fields lost without a word."""
    _spoil(folder)
    found = _extract(folder)
    assert (found.records, found.used) == (6, 2)
    assert found.failed == {"grayscale_field": 1, "not_an_image": 1, "truncated_file": 1}
    assert found.filtered == {"out_of_focus": 1}
    assert found.notes["left_out"] == {
        "field-01.png": "truncated_file",
        "field-02.png": "not_an_image",
        "field-03.png": "grayscale_field",
        "field-04.png": "out_of_focus",
    }
    assert found.features["fields_left_out"] == (
        "1 grayscale_field, 1 not_an_image, 1 out_of_focus, 1 truncated_file"
    )


def test_extract__fills_the_contract(folder):
    found = _extract(folder)
    assert [*found.features] == [feature.name for feature in CONTRACT.features]
    assert found.features["stain"] == "Pappenheim"
    assert found.features["pixel_size_source"] == "declared"
    vector = found.blocks["smear_cells"]
    assert len(vector.names) == vector.names.n_unique() == len(vector.values)


def test_extract__broken_fields_change_no_feature_of_the_others(folder, tmp_path):
    """A field that is left out would still weigh in a mean."""
    good = shutil.copytree(folder, tmp_path / "good")
    _spoil(folder)
    for name in ("field-01.png", "field-02.png", "field-03.png", "field-04.png"):
        (good / name).unlink()
    one, other = _extract(folder), _extract(good)
    for name in ("cells", "quality", "nucleus_area_um2_median", "segmented_share"):
        assert one.features[name] == other.features[name]


def test_extract__sizes_follow_the_declared_pixel(folder):
    """Sizes in pixels would tell two scanners apart."""
    one, larger = _extract(folder), _extract(folder, Optics(pixel_size_um=1.4 * 0.20353))
    ratio = larger.features["nucleus_area_um2_median"] / one.features["nucleus_area_um2_median"]
    assert ratio == pytest.approx(1.4**2, rel=0.15)


def _break_all(folder):
    for number, file in enumerate(sorted(folder.iterdir())):
        file.write_bytes(b"no image" if number else b"")


def _gray_all(folder):
    for file in folder.iterdir():
        Image.open(file).convert("L").save(file)


@pytest.mark.parametrize(
    ("change", "optics", "error"),
    [
        (_break_all, OPTICS, TooFewFields),
        (_gray_all, OPTICS, GrayscaleField),
        (lambda folder: [file.write_text("x") for file in folder.iterdir()], OPTICS, NotAnImage),
        (lambda folder: [file.unlink() for file in folder.iterdir()], OPTICS, TooFewFields),
        (lambda _: None, None, NoPixelSize),
    ],
)
def test_extract__refuses_a_smear_without_a_usable_field(folder, change, optics, error):
    change(folder)
    with pytest.raises(error):
        _extract(folder, optics)


def test_inspect__gives_the_account_of_the_command_line(folder):
    """Keys are a contract: acceptance checks and scripts read them."""
    _spoil(folder)
    said, about = inspect(
        folder, None, settings=None, mask_rule=None, own_settings=None, optics=OPTICS
    )
    assert {name: about[name] for name in ("modality", "fields", "used", "filtered", "failed")} == {
        "modality": "smear",
        "fields": 6,
        "used": 2,
        "filtered": {"out_of_focus": 1},
        "failed": {"grayscale_field": 1, "not_an_image": 1, "truncated_file": 1},
    }
    assert "field-04.png (out_of_focus)" in said
    assert about["features"]["fields_used"] == 2
