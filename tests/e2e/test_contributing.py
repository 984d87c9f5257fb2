"""CONTRIBUTING.md: each change is made in a copy of the source as it stands there, and tried.

The copy gets the files and the edits of one section; then its own tests and ruff look at it.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.settings import PROJECT

GUIDE = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## (Add .*?)\n(.*?)(?=^## |\Z)", GUIDE))
SOURCES = (
    "assets", "dbt_clinical", "docs", "feature_repo", "ml", "oncoframe", "orchestration", "tests",
)  # fmt: skip
#: A file that is named, or a block of code.
_PART = re.compile(r"(?ms)(?:Write|In)\s+`([\w./]+)`|^```(\w+)\n(.*?)^```")
#: What is run: the tests, and the command that writes a document. Simulating and training a new
#: modality is tested in test_new_modality.py.
_TRIED = re.compile(r"(?m)^\.venv/bin/(pytest .*|oncoframe biomarkers .*)$")


def blocks(section: str) -> Iterator[tuple[str, str, str]]:
    """File, language and text of each block of code."""
    file = ""
    for named, language, text in _PART.findall(SECTIONS[section]):
        file = named or file
        if not named and language != "sh":
            yield file, language, text


def side(diff: str, marks: str) -> str:
    """Lines of a diff with these marks, without them."""
    return "".join(f"{line[1:]}\n" for line in diff.splitlines() if line[:1] in marks)


def make(section: str, copy: Path) -> None:
    """Write the files and make the edits of a section."""
    for name, language, text in blocks(section):
        file = copy / name
        if language != "diff":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            continue
        before = file.read_text(encoding="utf-8")
        assert before.count(side(text, " -")) == 1, f"{name} does not hold once: {text}"
        file.write_text(before.replace(side(text, " -"), side(text, " +")), encoding="utf-8")


def test_guide__has_the_five_changes():
    assert list(SECTIONS) == [
        "Add a modality", "Add a recipe", "Add an importer", "Add a sensor", "Add a biomarker",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_guide__works_as_it_is_written(section, tmp_path):
    """Code moves, and a guide that nobody tries leads a newcomer astray at the first step."""
    copy = tmp_path / "checkout"
    skipped = shutil.ignore_patterns("__pycache__", "target", "logs")
    for name in SOURCES:
        shutil.copytree(PROJECT / name, copy / name, ignore=skipped)
    for name in ("pyproject.toml", "workspace.yaml"):
        shutil.copyfile(PROJECT / name, copy / name)
    make(section, copy)

    tools = Path(sys.executable).parent
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    commands = ["ruff check --no-cache .", "ruff format --no-cache --check ."]
    for command in (*_TRIED.findall(SECTIONS[section]), *commands):
        program, *arguments = shlex.split(command)
        done = subprocess.run(
            [tools / program, *arguments],
            cwd=copy, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-2000:]}"
