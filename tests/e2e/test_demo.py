"""The demo: simulate, run, train and report in one command, and where it says to look."""

import json
from pathlib import Path

import pytest

PATIENTS, BROKEN = 30, 3


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def answer(oncoframe, home):
    """What the command left."""
    return oncoframe(home, "demo", "--patients", PATIENTS, "--json")


def test_demo__says_what_it_came_to(answer, home):
    """Programs read these keys; a figure that is not a number would stop them."""
    assert answer.code == 0, answer.stderr
    said = answer.json
    assert {"home", "patients", "quarantined", "study", "accuracy", "macro_f1", "seconds"} <= set(
        said
    )
    assert (said["home"], said["study"]) == (str(home), "synthetic_leukemia")
    assert (said["patients"], said["quarantined"]) == (PATIENTS, BROKEN)
    assert 0.5 < said["accuracy"] <= 1


def test_demo__ends_with_the_report_of_its_model(answer, home):
    """A line that says where to look, and nothing there, is the first thing a newcomer meets."""
    page = Path(answer.json["report"])
    sidecars = [json.loads(f.read_text()) for f in (home / "frames").glob("*/frame.json")]
    [trained_on] = [s["frame_id"] for s in sidecars if not s["everyone"]]

    assert page.is_relative_to(home / "reports" / "synthetic_leukemia")
    html = page.read_text()
    assert trained_on in html
    assert f"{answer.json['accuracy']:.3f}" in html
