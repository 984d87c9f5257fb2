"""What a reader has to be told: what the study knows, in its words, beside each number."""

import json
import re

import polars as pl
import pytest

from ml.promotion.criteria import Condition
from ml.report.blocks import Details, FactList, Table
from ml.report.classes import with_class_words
from ml.report.glance import released
from ml.report.glossary import TERMS, Glossary
from ml.report.study import study_page, study_report
from ml.report.words import Words
from ml.study.definition import Label
from ml.training.stored import read_json, read_table

pytestmark = pytest.mark.slow

#: What a declaration, a guard or the data knows, and what a page must say of it.
LIMIT = "The genes were chosen on the outcome of all these patients."
ODD = "expression_features__expression[HOXA9]"


@pytest.fixture
def told(written):
    """A training and a frame of which everything is known that can be wrong."""
    study = json.loads((written.training.folder / "study.json").read_text())
    declared = {**study, "limits": [LIMIT]}
    declared["clocks"]["dates"] = "shifted by the publisher"
    declared["guards"] = {"implausible": "nulled"}
    (written.training.folder / "study.json").write_text(json.dumps(declared))
    everything = {**declared["modality_sets"], "imaging": ["ct"], "both": ["clinical", "ct"]}
    written.change(
        "frame.json",
        study_definition={**declared, "modality_sets": everything},
        performed_share={"expression": 0.875, "clinical": 1.0, "ct": 0.0},
        unread={"ct": ["GONE-3"]},
        empty_columns={"clinical_features__blasts_bm_pct": {
            "view": "clinical_features", "modality": "clinical", "feature": "blasts_bm_pct",
            "unit": "%", "description": "Blasts.", "known": "at_index", "kind": "scalar",
        }},
        guards={
            "same": {"expression_unit": "fpkm"},
            "suspected_leakage": [
                {"column": "clinical_features__wbc", "label": "APL", "auc": 0.9876}
            ],
            "implausible": [
                {"column": ODD, "values": 1, "farthest": 295000030.0, "median": 14.136}
            ],
        },
    )  # fmt: skip
    sites = {
        "patient_id": [f"PSEUDO-0{i}" for i in range(6)],
        "site": ["A", "A", "B", "B", "B", ""],
    }
    pl.DataFrame(sites).write_parquet(written.frame / "sites.parquet")
    return written


def text_of(block) -> str:
    if isinstance(block, Table):
        return " ".join([block.caption, *(" ".join(row) for row in block.rows), block.note])
    if isinstance(block, FactList):
        return " ".join(" ".join(row) for row in block.rows)
    if isinstance(block, Details):
        return f"{block.summary} {block.text}"
    return getattr(block, "text", "")


def section_text(page, anchor) -> str:
    [section] = [s for s in page.sections if s.anchor == anchor]
    return " ".join(map(text_of, section.blocks))


@pytest.mark.parametrize(
    ("anchor", "said"),
    [
        ("limits", f"Declared by the study {LIMIT}"),
        ("limits", "Suspected leaks 1 column alone tells a class, the best with AUROC 0.988."),
        ("limits", "Dates Shifted by the publisher."),
        ("limits", "Files that could not be read CT of 1 patients: taken as not performed."),
        ("cohort", "2020-01 to 2020-06 (shifted by the publisher)"),
        ("cohort", "White blood cells APL 0.988"),
        ("cohort", "declares Expression of HOXA9 1 295\u202f000\u202f000 14.14"),
        ("cohort", "imaging not trained: no patient had CT both not trained: no patient had CT"),
        ("cohort", "Empty in this cohort and left out: 1 column of clinical data blasts bm pct"),
        ("cohort", "Sites B 3 50.0 % A 2 33.3 % not known 1 16.7 %"),
        ("cohort", "CT 0.0 % 1"),
    ],
)  # fmt: skip
def test_study_page__says_what_the_study_knows(told, anchor, said):
    """A limit that stands in the study file only has warned nobody."""
    assert said in section_text(study_page(told.training, told.frame), anchor)


def test_study_page__warns_at_the_top_of_limits_and_leaks(told):
    """A planted leak showed "accuracy 1.000" without a word."""
    warnings = study_page(told.training, told.frame).warnings
    assert warnings[0] == LIMIT
    assert "White blood cells tells APL (AUROC 0.988)" in warnings[1]


def test_study_page__a_frame_of_before_knows_less(kept):
    """Frames of older versions have none of these keys."""
    page = study_page(kept.training, kept.frame)
    assert page.warnings == ()
    assert "Values that no measurement gives" not in section_text(page, "cohort")


def test_headline__names_what_is_not_beaten(written):
    """An accuracy of 0.714 looks like a success, where always saying "alive" has 0.800."""
    best = read_json(written.training.folder, "result.json")["best"]
    rival = {"name": "prototypes on clinical", "metric": "accuracy", "value": [0.8, 0.7, 0.9],
             "difference": [0.01, -0.1, 0.12]}  # fmt: skip
    written.change(
        "result.json", majority_share=0.85, majority="CML", best_by="accuracy",
        simplest={**best, "recipe": "prototypes", "accuracy": 0.801},
        rivals=[{**rival, "kind": "simplest", "is_beaten": False},
                {**rival, "kind": "constant", "name": "plain", "is_beaten": True}],
    )  # fmt: skip
    page = study_page(written.training, written.frame)
    tile = next(tile for tile in page.headline if tile.name == "Accuracy")
    assert page.headline[0] == tile
    assert "always the most frequent class (CML) 0.850" in tile.small
    assert "simplest model 0.801" in tile.small
    assert tile.verdict == (
        "does not beat the most frequent class; does not beat prototypes on clinical"
    )
    assert "does not beat prototypes on clinical" in section_text(page, "glance")
    assert "beats plain (accuracy 0.010" in section_text(page, "glance")


def test_headline__sets_stand_with_size_and_share_answered(kept):
    """Coverage alone is cheap: a set of all classes has 100 %."""
    tile = next(t for t in study_page(kept.training, kept.frame).headline if "Sets" in t.name)
    assert "1.23 classes per set; an answer for 71 % of the patients" in tile.small


def test_release__lists_what_the_gate_refuses_and_why(kept):
    gate = (
        Condition("metrics", True, "Better than the champion."),
        Condition("calibration", False, "Slope 0.5 is not near 1."),
    )
    page = study_page(kept.training, kept.frame, gate=gate)
    assert "calibration no Slope 0.5 is not near 1." in section_text(page, "release")
    assert "Not fit for release. Slope 0.5 is not near 1." in section_text(page, "release")
    assert "of the 2 conditions of the gate 1 fail (calibration)" in section_text(page, "glance")
    assert "nothing against it" in released(gate[:1])
    assert "did not judge" in section_text(study_page(kept.training, kept.frame), "release")


@pytest.mark.parametrize(
    ("language", "words"), [("en", "promyelocytic leukaemia"), ("de", "Promyelozytenleukämie")]
)
def test_study_report__calls_classes_as_its_study_does(written, tmp_path, language, words):
    """The study says what it means that somebody is called dead: died within two years."""
    study = json.loads((written.training.folder / "study.json").read_text())
    study["label"]["words"] = {
        "APL": {"en": "promyelocytic leukaemia", "de": "Promyelozytenleukämie"}, "CML": "chronic"
    }  # fmt: skip
    (written.training.folder / "study.json").write_text(json.dumps(study))

    said = with_class_words(written.training, tmp_path / "said", language)

    model, before = said.models[0].folder, written.training.models[0].folder
    assert set(read_table(model, "per_class.csv")["class"]) >= {words, "chronic"}
    assert f"p[{words}]" in read_table(model, "predictions.parquet").columns
    assert words in set(read_table(model, "shap.parquet")["class"])
    assert read_json(said.folder, "similarity.json")["classes"].count(words) == 1
    assert set(read_table(before, "per_class.csv")["class"]) >= {"APL", "CML"}
    html = study_report(written.training, written.frame, language=language)
    assert words in html
    assert ">APL<" not in html


def test_label__two_classes_are_not_called_the_same():
    """Both would be one row of a table."""
    label = {"name": "who", "version": "1", "min_patients_per_class": 3}
    with pytest.raises(ValueError, match="two classes are called dead"):
        Label.model_validate({**label, "words": {"a": "dead", "b": {"en": "dead"}}})


def test_glossary__explains_a_term_once_and_only_whole_words():
    glossary = Glossary()
    first = glossary.marked("AUROC of <b> and macro F1; CT, but not contract or ct_features")
    assert first.count("<abbr") == 4
    assert "&lt;b&gt;" in first
    assert "<abbr" not in glossary.marked("AUROC again, F1 and CT")
    assert [term for term, _ in glossary.met] == ["AUROC", "CT", "F1", "macro"]


def test_study_report__explains_every_term_that_it_uses_once(told):
    """The list at the end is for print, where there are no tooltips."""
    html = study_report(told.training, told.frame)
    explained = re.findall(r"<abbr[^>]*>([^<]+)</abbr>", html)
    assert len(explained) == len({term.lower() for term in explained}) > 5
    text = re.sub(r"<[^>]+>", " ", html)
    for term in ("AUROC", "F1", "log-odds", "TRIPOD+AI", "CT"):
        assert term in explained, term
        assert TERMS[term].split(":")[0] in text


@pytest.mark.parametrize(
    ("unit", "value", "said"),
    [("a", 84, "84 years"), ("a", 1, "1 year"), ("d", 30, "30 days"), ("%", 12.5, "12.5 %"),
     ("1", 3, "3"), ("fpkm", 14.14, "14.14 FPKM"), ("10^9/L", 3.4, "3.4 billion per litre")],
)  # fmt: skip
def test_words__say_units_as_people_do(unit, value, said):
    """84 a is no age."""
    assert Words("Age", "", "clinical", unit).said(value) == said


def test_subgroups__of_two_classes_speak_of_one(written):
    """A row on "alive" beside a row on "dead" turns the sign of the difference unseen."""
    folder = written.training.models[0].folder
    read_table(folder, "per_class.csv").filter(pl.col("class") != "CML").write_csv(
        folder / "per_class.csv"
    )
    row = {"grouping": "sex", "patients": 3, "class_imbalance": 0.0}
    pl.DataFrame(
        [{**row, "group": "f", "label": "APL", "label_difference": 0.2},
         {**row, "group": "m", "label": "AML", "label_difference": 0.1}]
    ).write_parquet(written.training.folder / "bias.parquet")  # fmt: skip
    page = study_page(written.training, written.frame)
    [section] = [s for s in page.sections if s.anchor == "subgroups"]
    [table] = [b for b in section.blocks if "before any model" in getattr(b, "caption", "")]
    rare = read_table(folder, "per_class.csv").sort("patients")["class"][0]
    assert f"Difference, {rare}" in table.heads
    signs = {row[1]: row[2][0] for row in table.rows}
    expected = {"APL": {"f": "+", "m": "\N{MINUS SIGN}"}, "AML": {"f": "\N{MINUS SIGN}", "m": "+"}}
    assert signs == expected[rare]
