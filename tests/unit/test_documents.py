"""The documents name what exists: paths and names in them, links, anchors, commands and options.

Decisions in ``docs/adr`` are not held to the code: they tell of the day on which they were made.
Docstrings are, as far as they refer to modules of ours.
"""

import re
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from orchestration.cli.main import app

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = (
    "assets", "benchmarks", "dbt_clinical", "docs", "feature_repo", "ml", "oncoframe",
    "orchestration", "tests",
)  # fmt: skip
DOCUMENTS = sorted(
    [
        *(file for name in ("README", "CONTRIBUTING") if (file := PROJECT / f"{name}.md").exists()),
        *(PROJECT / "docs").glob("*.md"),
    ]
)
SOURCES = sorted(file for room in ROOMS for file in (PROJECT / room).rglob("*.py"))
DRAWINGS = sorted((PROJECT / "docs" / "images").glob("*.svg"))

#: A path that begins with a room, and perhaps a name in that file: ``ml/frames/frame.py::Frame``.
_PATH = re.compile(rf"(?<![\w./>-])((?:{'|'.join(ROOMS)})/(?:[\w./*-]|<\w+>)*)(?:::(\w+))?")
#: A tag of Dagster runs, no path.
_TAG = re.compile(r"oncoframe/\w+")
#: ``:func:`ml.frames.frame.read_frame```, also shortened by ``~``.
_REFERENCE = re.compile(rf":\w+:`~?((?:{'|'.join(ROOMS)})(?:\.\w+)+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
_COMMAND = re.compile(r"(?<![\w/.\[])(?<!import )oncoframe((?: +[^\s`#|]+)+)")
_OPTION = re.compile(r"(--[a-z][a-z-]*)")


def told(document: Path) -> str:
    """Text of a document, but for changes that it shows: ``test_contributing.py`` makes those."""
    return document.read_text().partition("\n## Add a ")[0]


def paths(text: str) -> list[tuple[str, str]]:
    """Path and name of all that a text says is in a room; the name may be empty."""
    found = ((path.rstrip("."), name) for path, name in _PATH.findall(text))
    return [(path, name) for path, name in found if not _TAG.fullmatch(path)]


def missing_paths(text: str) -> list[str]:
    """What of it is not there; ``*`` and ``<stage>`` stand for any name."""
    missing = []
    for path, name in paths(text):
        found = sorted(PROJECT.glob(re.sub(r"<\w+>", "*", path.rstrip("/"))))
        defined = re.compile(rf"^\s*(?:def|class) {name}\b", re.MULTILINE)
        if not found or (name and not defined.search(found[0].read_text())):
            missing.append(f"{path}::{name}" if name else path)
    return missing


def missing_references(text: str) -> list[str]:
    """References of docstrings to a module, or a name in one, that is not there."""
    return [name for name in _REFERENCE.findall(text) if not _refers(name.split("."))]


def _refers(parts: list[str]) -> bool:
    if (PROJECT.joinpath(*parts)).is_dir():
        return True
    for known in range(len(parts), 0, -1):
        module = PROJECT.joinpath(*parts[:known]).with_suffix(".py")
        if module.exists():
            words = set(re.findall(r"\w+", module.read_text()))
            return words.issuperset(parts[known:])
    return False


def anchors(document: Path) -> set[str]:
    """Anchors of the headings of a document, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def broken_links(document: Path) -> list[str]:
    """Links of a document to a file or heading that is not there."""
    broken = []
    for link in _LINK.findall(document.read_text()):
        target, _, anchor = link.partition("#")
        file = document.parent / target if target else document
        if "://" in link:
            continue
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(link)
    return broken


def wrong_commands(text: str) -> list[str]:
    """Commands in the code of a text that the program or one of its groups does not have."""
    wrong = []
    for code in _CODE.findall(text):
        for said in _COMMAND.findall(code.replace("\\\n", " ")):
            command, words = find_command(said.split())
            options = {name for option in command.params for name in option.opts}
            unknown = set(_OPTION.findall(said)) - options - {"--help"}
            if unknown or (isinstance(command, TyperGroup) and words and words[0][0] != "-"):
                wrong.append(f"oncoframe{said}")
    return wrong


def find_command(words: list[str]) -> tuple[TyperCommand | TyperGroup, list[str]]:
    """Command that the first words name, and the other words."""
    command = get_command(app)
    while words and isinstance(command, TyperGroup) and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("document", [*DOCUMENTS, *DRAWINGS], ids=lambda file: file.name)
def test_documents__name_paths_that_exist(document):
    assert not missing_paths(told(document))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_documents__link_to_what_exists(document):
    assert not broken_links(document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_documents__name_commands_that_exist(document):
    assert not wrong_commands(told(document))


def test_docstrings__refer_to_what_exists():
    assert [name for file in SOURCES for name in missing_references(file.read_text())] == []


def test_decisions__link_to_what_exists():
    decisions = sorted((PROJECT / "docs" / "adr").glob("*.md"))

    assert [link for decision in decisions for link in broken_links(decision)] == []


def test_missing_paths__finds_a_file_and_a_name_that_are_gone():
    text = "`assets/*/defs.py` `ml/frames/frame.py::Frame`, ml/gone.py, ml/frames/frame.py::Gone."

    assert missing_paths(text) == ["ml/gone.py", "ml/frames/frame.py::Gone"]


def test_missing_references__finds_a_module_and_a_name_that_are_gone():
    names = ("ml.frames", "ml.frames.frame.Frame", "ml.gone.Frame", "~ml.frames.frame.Gone")
    text = " ".join(":" + f"class:`{name}`" for name in names)

    assert missing_references(text) == ["ml.gone.Frame", "ml.frames.frame.Gone"]


def test_broken_links__finds_a_file_and_a_heading_that_are_gone(tmp_path):
    document = tmp_path / "a.md"
    document.write_text("# The way, back\n[1](#the-way-back) [2](#gone) [3](gone.md) [4](a.md)\n")

    assert broken_links(document) == ["#gone", "gone.md"]


def test_wrong_commands__finds_a_command_and_an_option_that_are_gone():
    text = (
        "`oncoframe frame show ID --json` is prose: oncoframe gone; `oncoframe gone`"
        "`oncoframe frame gone`\n```bash\noncoframe run --landing L --gone   # exit code 3\n```"
    )

    assert wrong_commands(text) == [
        "oncoframe gone",
        "oncoframe frame gone",
        "oncoframe run --landing L --gone",
    ]
