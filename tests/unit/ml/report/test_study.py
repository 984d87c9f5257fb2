"""The report of a study: its numbers are those of the files, and it stands alone."""

import base64
import json
import re
from html.parser import HTMLParser

import pytest

from ml.report.blocks import (
    Circles,
    Picture,
    Section,
    Table,
    Tile,
    interval,
    number,
    script_json,
    signed,
    whole,
)
from ml.report.study import study_page, study_report
from ml.report.words import Evidence
from oncoframe.errors import StudyError

pytestmark = pytest.mark.slow

EVIL = '<img src=x onerror="alert(1)"> & co'
EVIDENCE = {"PML::RARA": Evidence("t(15;17), PML::RARA", ("Khoury et al. 2022",))}


@pytest.fixture(scope="module")
def page(kept):
    return study_page(kept.training, kept.frame, evidence=EVIDENCE)


@pytest.fixture(scope="module")
def html(kept):
    return study_report(kept.training, kept.frame, evidence=EVIDENCE)


def section(page, anchor) -> Section:
    [found] = [s for s in page.sections if s.anchor == anchor]
    return found


def table(page, anchor, caption) -> dict[str, tuple[str, ...]]:
    """First cell of each row -> the others."""
    [found] = [
        block
        for block in section(page, anchor).blocks
        if isinstance(block, Table) and caption in block.caption
    ]
    return {row[0]: row[1:] for row in found.rows}


class Links(HTMLParser):
    """Everything in a page that a browser could load, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.alts: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.loaded += [given[k] for k in ("src", "href", "data", "srcset") if given.get(k)]
        if tag == "img":
            self.alts.append(given.get("alt"))

    def handle_data(self, data):
        self.texts.append(data)


def test_number__rounds_and_says_what_is_missing():
    """A minus zero, or a NaN as a number, reads like a finding."""
    assert [number(0.81249), number(-0.5, 1), number(-0.0001), number(None)] == [
        "0.812", "\N{MINUS SIGN}0.5", "0.000", "\N{EN DASH}",
    ]  # fmt: skip
    assert number(float("nan")) == "\N{EN DASH}"
    assert interval([0.5, 0.25, 0.75], 2) == "0.50 [0.25, 0.75]"
    assert interval([0.5, None, None]) == "0.500"
    assert signed([0.1, -0.1, 0.2], 1) == "+0.1 [\N{MINUS SIGN}0.1, 0.2]"
    assert whole(1234567) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"


def test_study_page__header_names_what_it_is_about(page):
    header = dict(page.header.rows)

    assert header["Study"] == "toy"
    assert header["Model version"] == "run-of-model"
    assert header["Frame"] == "f00d"
    assert header["Trained"] == "2024-05-06 07:08 UTC"
    assert header["Code version"] == "9.8.7"
    assert header["Dagster run"] == "d-1"
    tiles = {tile.name: tile for tile in page.headline}
    assert tiles["Accuracy"].value == "0.812"
    assert tiles["Accuracy"].small.startswith("95 % interval 0.601 to 0.923; always the most")


def test_study_page__results_are_those_of_the_files(page):
    """A number that is computed again, or taken from another row, would differ."""
    models = section(page, "results").blocks[0]
    assert models.rows[0][0] == "class shares"
    assert models.rows[1] == ("lightgbm", "all", "1\N{NARROW NO-BREAK SPACE}234",
                              "0.812 [0.601, 0.923]", "0.765 [0.511, 0.922]")  # fmt: skip
    assert models.rows[2][3] == "0.700 [0.500, 0.800]"
    assert models.strong == {1}
    differences = table(page, "results", "against the other models")
    assert differences == {"plain on all": ("+0.112 [\N{MINUS SIGN}0.021, 0.203]",)}
    assert table(page, "results", "shuffled")["all"][0] == "yes"


def test_study_page__says_what_is_not_shown(page):
    """An interval that holds 0 must not read like a victory."""
    said = [b.text for b in section(page, "results").blocks if hasattr(b, "text")]

    assert any("is not shown to beat plain on all" in text for text in said)
    rivals = table(page, "results", "Against simpler ways")
    assert [row[-1] for row in rivals.values()] == ["yes", "no"]
    assert "0.750 [0.601, 0.923]" in table(page, "results", "who had every assay")["lightgbm"]


def test_study_page__has_the_verdict_of_the_gate(page):
    """A page that praises what the gate refuses."""
    found = section(page, "verdict")
    assert "would refuse the best model: leakage" in found.blocks[0].text
    rows = table(page, "verdict", "Conditions")
    assert {name: row[0] for name, row in rows.items()} == {
        "metrics": "yes", "calibration": "yes", "leakage": "no", "shuffled labels": "yes",
    }  # fmt: skip


def test_study_page__warns_of_labels_that_are_found_in_nothing(written):
    written.change(
        "result.json",
        permuted=[{"modalities": "all", "auroc": [0.7, 0.6, 0.8], "at_chance": False}],
    )
    page = study_page(written.training, written.frame)

    warnings = [b for b in section(page, "results").blocks if getattr(b, "kind", "") == "warning"]
    assert any("above chance" in block.text for block in warnings)


def test_study_page__per_class_from_the_largest(page):
    rows = table(page, "classes", "Results per class")

    assert next(iter(rows)) == "CML"
    assert rows["CML"][:3] == ("200", "89.7 %", "0.83 [0.63, 0.93]")
    coverage = table(page, "sets", "Coverage per class")
    assert coverage["CML"] == ("yes", "200", "0.92 [0.85, 0.96]")
    assert coverage["APL"][0] == "shared"


def test_study_page__calibration_before_and_after(page):
    rows = table(page, "calibration", "Calibration of the probabilities")

    assert rows["as the model gives them"][2] == "0.77 [0.66, 0.88]"
    assert rows["recalibrated"] == (
        "\N{MINUS SIGN}0.12 [\N{MINUS SIGN}0.30, 0.10]",
        "0.93 [0.81, 1.07]",
        "0.99 [0.90, 1.10]",
        "0.044 [0.030, 0.060]",
    )
    by_class = table(page, "calibration", "class by class")
    assert by_class["CML"][:2] == ("200", "200.5")


def test_study_page__any_pair_of_components_can_be_drawn(page):
    """The numbers that the script draws are those of the file, not those of the picture."""
    [block] = [b for b in section(page, "shape").blocks if isinstance(b, Circles)]

    data = json.loads(block.data)
    assert data["components"] == 2
    assert data["pair"] == [1, 2]
    assert {" ".join(f["n"]): f["r"] for f in data["features"]} == {
        "PML::RARA": [0.9, -0.3], "White blood cells": [0.5, 0.7],
    }  # fmt: skip
    assert data["shown"] == {"1 2": [0, 1]}
    assert [name for name, _ in data["legend"]] == ["clinical data", "biomarkers"]


def test_script_json__no_name_ends_the_script():
    assert json.loads(script_json(["</script>"])) == ["</script>"]
    assert "<" not in script_json(["</script>", "<!--"])


def test_study_page__classes_by_lineage(written):
    """Thirty classes in order of size scatter a lineage over the table."""
    study = json.loads((written.training.folder / "study.json").read_text())
    study["label"]["groups"] = {"Acute": ["APL"], "Chronic": ["CML"]}
    (written.training.folder / "study.json").write_text(json.dumps(study))

    page = study_page(written.training, written.frame)

    rows = table(page, "classes", "Results per class")
    assert [(name, row[0]) for name, row in rows.items()] == [
        ("APL", "Acute"), ("CML", "Chronic"), (EVIL, "other classes"),
    ]  # fmt: skip


def test_study_page__groups_below_the_floor_have_no_number(page):
    [found] = [b for b in section(page, "subgroups").blocks if isinstance(b, Table)]

    assert found.rows[1] == ("sex", "m", "2", "\N{EN DASH}", "too few", "too few", "too few")
    assert found.rows[0][4:6] == (
        "0.701 [0.600, 0.800]", "\N{MINUS SIGN}0.111 [\N{MINUS SIGN}0.200, \N{MINUS SIGN}0.010]",
    )  # fmt: skip
    assert "Groups that differ" in table(page, "limits", "do not say")


def test_study_page__links_of_ten_percent(page):
    [links] = [b for b in section(page, "shape").blocks if isinstance(b, Table)]

    assert [row[2] for row in links.rows] == ["50 %", "25 %"]


def test_study_page__exclusions_without_names(page):
    assert table(page, "cohort", "left out") == {"no consent": ("2",)}


def test_study_report__stands_alone(html):
    """A page that loads a font, a script or a picture is broken in the clinic's network."""
    links = Links(html)
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)

    foreign = [a for a in links.loaded if not a.startswith(("#", "data:image/"))]
    assert foreign == []
    assert not {"link", "iframe", "object", "video"} & set(links.tags)
    assert [kind for kind, _ in scripts] == [' type="application/json"', ""]
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|import|fetch|eval", scripts[1][1])
    assert links.alts
    assert all(links.alts)
    assert links.tags.count("title") == 1


def test_study_report__pictures_load_nothing_either(page):
    pictures = [b for s in page.sections for b in s.blocks if isinstance(b, Picture)]
    for one in pictures:
        svg = base64.b64decode(one.source.partition("base64,")[2]).decode()
        loaded = re.findall(r'(?:href|src)="([^"]+)"|url\(([^)]+)\)', svg)
        assert all(a.startswith(("#", "data:")) or b.startswith("#") for a, b in loaded)


def test_study_report__names_are_text_not_html(html):
    """A class name from a file of somebody else must not run as a script."""
    assert "<img src=x" not in html
    assert html.count("&lt;img src=x") > 5
    assert not re.search(r'alt="[^"]*"[^>]*onerror=', html)


def test_study_report__names_no_patient(html):
    """The page of a model goes to others than the page of a patient."""
    assert "PSEUDO" not in html
    assert "GONE" not in html


def test_study_report__same_files_same_page(kept, html):
    """Two pages of one model that differ could not be compared."""
    assert study_report(kept.training, kept.frame, evidence=EVIDENCE) == html


@pytest.mark.parametrize(
    ("gone", "anchor"),
    [("calibration.json", "calibration"), ("coverage.json", "sets"),
     ("importance.parquet", "reasons"), ("subgroups.parquet", "subgroups")],
)  # fmt: skip
def test_study_page__what_was_not_measured_is_said(written, gone, anchor):
    """A section that silently goes away looks as if there was nothing to say."""
    (written.training.models[0].folder / gone).unlink()

    page = study_page(written.training, written.frame)

    [only] = section(page, anchor).blocks
    assert only.kind == "warning"


def test_study_page__survival_has_concordance_and_no_classes(written):
    """Times have no accuracy; a page that shows one would have made it up."""
    row = {
        "recipe": "cox", "modalities": "all", "uses": ["clinical"], "patients": 6, "deaths": 4,
        "features": 7, "concordance": 0.6789, "concordance_ci": [0.51, 0.8],
        "permuted_concordance": [0.49, 0.4, 0.58], "seconds": 1.0,
    }  # fmt: skip
    plain = {**row, "recipe": "aft", "concordance": 0.61}
    folder = written.training.folder
    study = json.loads((folder / "study.json").read_text())
    study["label"]["kind"] = "survival"
    study["recipes"] = [{"name": "cox"}, {"name": "aft"}]
    (folder / "study.json").write_text(json.dumps(study))
    for name in ("differences.parquet", "similarity.json", "components.json"):
        (folder / name).unlink()
    (folder / "differences.json").write_text(
        json.dumps({"differences": [{"one": "cox on all", "other": "aft on all",
                                     "concordance": [0.07, -0.01, 0.1]}]})
    )  # fmt: skip
    (folder / "result.json").write_text(
        json.dumps({"study": "toy", "frame_id": "f00d", "best": row, "recipes": [row, plain]})
    )
    training = type(written.training)(
        "run-2", written.training.started, "9.8.7", {}, folder, models=()
    )

    page = study_page(training, written.frame)

    said = "95 % interval 0.510 to 0.800; chance 0.500"
    assert page.headline == (Tile("Concordance index", "0.679", said),)
    assert dict(section(page, "cohort").blocks[0].rows)["Censored"].startswith("2 alive when last")
    assert section(page, "results").blocks[0].rows[0][3] == "0.679 [0.510, 0.800]"
    assert table(page, "results", "shuffled")["all, cox"] == ("yes", "0.490 [0.400, 0.580]")
    assert "classes" not in [s.anchor for s in page.sections]
    [missing] = section(page, "survival").blocks
    assert missing.kind == "warning"
    assert dict(section(page, "cohort").blocks[0].rows)["Deaths"] == "4"
    text = " ".join(" ".join(row) for row in section(page, "tripod").blocks[1].rows)
    assert "ccuracy 0" not in text


def test_study_report__frame_that_is_gone(written, tmp_path):
    with pytest.raises(StudyError, match="frame of the training is not there"):
        study_report(written.training, tmp_path / "nowhere")
