"""The import rules of pyproject.toml: they hold what they name, so nothing may go unnamed."""

import re
import tomllib
from pathlib import Path

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


def test_layers__name_every_room():
    """A stage that no layer names may import whatever it likes, and nobody is told."""
    rooms = {"ml", "oncoframe", "feature_repo", *parts("assets"), *parts("orchestration")}
    assert rooms - named() == set()
    assert named() - rooms == set()
