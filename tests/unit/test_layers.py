"""The import rules of pyproject.toml: they hold what they name, so nothing may go unnamed."""

import re
import tomllib
from pathlib import Path

import grimp
import pytest

from oncoframe.modalities import MODULES

ROOT = Path(__file__).parents[2]


def named() -> set[str]:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [layers] = [c["layers"] for c in rules["contracts"] if c["type"] == "layers"]
    return {name for layer in layers for name in re.split(r"\s*[|:]\s*", layer)}


def parts(package: str) -> set[str]:
    """Modules and packages right below one."""
    files = (ROOT / package).iterdir()
    return {
        f"{package}.{file.stem}"
        for file in files
        if (file.suffix == ".py" or (file / "__init__.py").exists()) and file.stem != "__init__"
    }


def rooms() -> set[str]:
    return {"ml", "oncoframe", "feature_repo", *parts("assets"), *parts("orchestration")}


def modality_stages() -> set[str]:
    """Folders of the modalities that are registered."""
    return {".".join(module.split(".")[:2]) for module in MODULES.values()}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Imports between our modules; those for the type checker alone bind nobody."""
    packages = ("assets", "feature_repo", "ml", "oncoframe", "orchestration")
    return grimp.build_graph(*packages, exclude_type_checking_imports=True, cache_dir=None)


def strangers(graph: grimp.ImportGraph, stage: str) -> set[str]:
    """Modules of ours that a stage imports or that import it, besides the kernel."""
    own = {stage, *graph.find_descendants(stage)}
    imported = {there for here in own for there in graph.find_modules_directly_imported_by(here)}
    importing = {here for there in own for here in graph.find_modules_that_directly_import(there)}
    kernel = {"oncoframe", *graph.find_descendants("oncoframe")}
    return (imported - kernel | importing) - own


def test_layers__name_every_room():
    """A stage that no layer names may import whatever it likes, and nobody is told."""
    assert rooms() - named() <= modality_stages()
    assert named() - rooms() == set()


def test_layers__leave_out_only_modalities_that_know_the_kernel_alone(graph):
    """A new modality is a folder and a line; with another import it needs its place in the flow."""
    bound = {stage: strangers(graph, stage) for stage in rooms() - named()}
    assert {stage: others for stage, others in bound.items() if others} == {}


def test_strangers__are_found_on_both_sides(graph):
    """A check that finds nobody anywhere would let every stage out of the layers."""
    found = strangers(graph, "assets.biomarkers")
    assert {"assets.genomics.panel.entries", "assets.store.catalog"} <= found
