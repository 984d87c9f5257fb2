"""The registry: every modality is found, and declared as a whole."""

import subprocess
import sys
from dataclasses import MISSING, fields, replace
from importlib import import_module
from itertools import combinations
from pathlib import Path

import pytest

from assets.simulate.landing_zone import simulator
from oncoframe.errors import SettingsError
from oncoframe.modalities import (
    MODULES,
    assays,
    extractor,
    feature_contracts,
    modalities,
    spec,
    with_installed,
)
from oncoframe.modality import ModalitySpec

ASSETS = Path(__file__).parents[3] / "assets"


def test_modules__are_the_folders_that_declare_a_modality():
    """A folder that nobody registered is science that never runs."""
    declared = {
        ".".join(path.relative_to(ASSETS.parent).with_suffix("").parts)
        for path in ASSETS.rglob("modality.py")
    }
    assert declared == set(MODULES.values())


def test_spec__has_no_default_that_could_be_forgotten():
    assert [field.name for field in fields(ModalitySpec) if field.default is not MISSING] == []
    assert [f.name for f in fields(ModalitySpec) if f.default_factory is not MISSING] == []


def test_modalities__stand_in_the_order_of_the_flow_and_differ_in_all_that_people_see():
    found = modalities().values()
    assert [one.name for one in found] == list(MODULES)
    for name in ("words", "colour"):
        assert len({getattr(one, name) for one in found}) == len(MODULES)
    tables = [contract.table for contract in feature_contracts()]
    assert tables == [one.contract.table for one in found]
    assert len(set(tables)) == len(tables)


def test_colours__are_far_apart_for_everybody():
    """Red, green and blue of two colours differ by more than a printer or a beamer adds."""
    channels = {
        name: [int(one.colour[at : at + 2], 16) for at in (1, 3, 5)]
        for name, one in modalities().items()
    }
    near = [
        (one, other)
        for one, other in combinations(channels, 2)
        if sum(abs(a - b) for a, b in zip(channels[one], channels[other], strict=True)) < 48
    ]
    assert near == []


@pytest.mark.parametrize("name", MODULES)
def test_hooks__are_there(name):
    """A hook that is only a name fails on the day somebody simulates or looks at a file."""
    one = spec(name)
    if one.simulate:
        hook = simulator(name)
        assert callable(hook.file_of)
        assert callable(hook.write_assay)
    if one.inspect:
        assert callable(import_module(one.inspect).inspect)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"colour": "blue"}, "colour of modality fusion cannot be 'blue'"),
        ({"words": ""}, "words of modality fusion"),
        ({"stage": "01_genomics"}, "stage of modality fusion"),
        ({"kinds": frozenset()}, "kinds of modality fusion"),
        ({"files": None}, "files of modality fusion"),
        ({"fill": {}}, "fill of modality fusion"),
        ({"fill": {"fusion_partner": "mean"}}, "fill of modality fusion"),
    ],
)
def test_spec__refuses_what_it_cannot_be(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(spec("fusion"), **changed)


def test_spec__refuses_a_modality_that_nobody_declares():
    with pytest.raises(SettingsError, match="there is no modality note; expected one of snv, sv"):
        spec("note")


def test_spec__refuses_a_module_of_another_name(monkeypatch):
    """Rows of one modality in the table of another, because a line was copied."""
    monkeypatch.setitem(MODULES, "methylation", "assets.expression.modality")
    with pytest.raises(SettingsError, match="expected methylation of stage expression"):
        spec("methylation")


def test_extractor__refuses_what_is_made_from_tables():
    assert extractor("snv") is assays()["snv"].extract
    with pytest.raises(SettingsError, match="biomarkers is made from tables"):
        extractor("biomarkers")


def test_fill__is_that_of_the_leukemia_lab():
    """Counts that a table leaves out are no reads; a ratio without a read is the lowest seen."""
    rules = {
        block: rule for one in modalities().values() for block, rule in one.fill.items() if rule
    }
    assert rules == {
        "expression": "zero",
        "cnv_gene_ratio": "lowest",
        "cnv_band_ratio": "lowest",
        "cnv_arm_ratio": "lowest",
    }


def test_loading__is_light():
    """Every worker loads every modality; what reads DICOM or learns takes seconds."""
    heavy = ("SimpleITK", "pydicom", "sklearn", "pandas", "scipy", "dagster", "feast", "matplotlib")
    program = (
        "import sys; from oncoframe.modalities import modalities, spec; spec('snv');"
        "assert 'assets.imaging.modality' not in sys.modules; modalities();"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_with_installed__takes_the_entry_points_of_packages_after_ours(tmp_path, monkeypatch):
    """Sorted, so that the columns of a frame do not depend on the order of a folder."""
    about = tmp_path / "theirs-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    points = about / "entry_points.txt"
    points.write_text(
        "[oncoframe.modalities]\nproteins = theirs.proteins\nlipids = theirs.lipids\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    found = with_installed({"snv": "assets.genomics.snv.modality"})
    assert list(found) == ["snv", "lipids", "proteins"]
    assert found["proteins"] == "theirs.proteins"

    points.write_text("[oncoframe.modalities]\nsnv = theirs.snv\n")
    with pytest.raises(SettingsError, match="theirs: two packages bring a modality snv"):
        with_installed({"snv": "assets.genomics.snv.modality"})
