"""The page of a patient: what it warns of, the words of its reasons, whom it names."""

from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from ml.report.blocks import Table, Tile, render
from ml.report.patient import patient_page, warnings, with_stored_values
from ml.report.patient_facts import Answer, Case, CaseReason, Unusual
from ml.report.study import frame_dictionary, frame_sidecar
from ml.report.words import Evidence
from oncoframe.extraction import Extraction, Facts
from oncoframe.facts import SCHEMA, values

EVIDENCE = {"PML::RARA": Evidence("t(15;17), PML::RARA", ("Khoury et al. 2022", "Arber 2022"))}
SURE = Answer(("APL", "AML", "CML"), (0.9, 0.06, 0.04), ("APL",), abstained=False)


@pytest.fixture
def dictionary(kept):
    schema = pl.read_parquet_schema(kept.frame / "frame.parquet")
    return frame_dictionary(frame_sidecar(kept.frame), pl.Schema(schema), EVIDENCE)


@pytest.fixture
def case():
    """A patient of the training, answered for with one class."""
    return Case(
        patient_id="PSEUDO-00",
        frame_id="f00d",
        index=datetime(2020, 1, 1, tzinfo=UTC),
        label="APL",
        uses=("biomarkers", "expression"),
        performed={"expression": True},
        stored=replace(SURE, probabilities=(0.999, 0.001, 0.0)),
        out_of_fold=SURE,
        reasons=(
            CaseReason("biomarkers__PML::RARA", 1.0, 2.5, 0.7),
            CaseReason("expression_features__expression[HOXA9]", 3.25, -1.25, 0.25),
            CaseReason("clinical_features__sex_f", 0.0, 0.5, 0.0),
            CaseReason("clinical_features__wbc", None, -0.1, None),
        ),
        unusual=Unusual((), 2, 0, 0.5),
    )


def tables(page) -> dict[str, Table]:
    return {s.anchor: b for s in page.sections for b in s.blocks if isinstance(b, Table)}


def test_patient_page__reasons_in_the_words_of_the_clinic(kept, case, dictionary):
    """A column name and 1.0 tell a hematologist nothing."""
    rows = tables(patient_page(kept.training, case, dictionary))["reasons"].rows

    assert rows[0] == ("PML::RARA", "present", "t(15;17), PML::RARA",
                       "Khoury et al. 2022; Arber 2022", "+2.50")  # fmt: skip
    assert rows[1][:2] == ("Expression of HOXA9", "3.25 log2 CPM (above 25 % of the others)")
    assert rows[1][3:] == ("\N{EN DASH}", "\N{MINUS SIGN}1.25")
    assert rows[2][:2] == ("Sex of the patient: f", "no")
    assert rows[3][:2] == ("White blood cells", "not known")


def test_patient_page__a_category_is_the_answer_to_its_column(kept, case, dictionary):
    """Sex of the patient: f, yes, is how a table of flags talks."""
    reasons = (CaseReason("clinical_features__sex_f", 1.0, 0.5, None),)
    page = patient_page(kept.training, replace(case, reasons=reasons), dictionary)
    assert tables(page)["reasons"].rows[0][:3] == ("Sex of the patient", "f", "")


def test_patient_page__shows_one_value_per_gene(case):
    """The models of the cross-validation normalise on fewer patients: 3.25 here, 3.19 there."""
    own = pl.DataFrame(
        {"feature": ["expression_features__expression[HOXA9]", "clinical_features__wbc"],
         "value": [3.19, 7.0]}
    )  # fmt: skip
    seen = replace(case, values={"expression_features__expression[HOXA9]": 3.25})
    assert with_stored_values(own, seen)["value"].to_list() == [3.25, 7.0]


def test_patient_page__a_patient_of_the_training_is_answered_for_out_of_fold(
    kept, case, dictionary
):
    """The stored model has seen the patient: its own 99.9 % would be self-praise."""
    page = patient_page(kept.training, case, dictionary)

    assert page.headline[0] == Tile("Most probable class", "APL", "probability 90.0 %")
    assert tables(page)["answer"].rows[0] == ("APL", "yes", "90.0 %", "99.9 %")
    assert "was among those the stored model was fitted on" in page.warnings[0]


def test_patient_page__others_are_answered_for_by_the_stored_model(kept, case, dictionary):
    page = patient_page(kept.training, replace(case, out_of_fold=None), dictionary)

    assert page.warnings == ()
    assert tables(page)["answer"].rows[0] == ("APL", "yes", "99.9 %")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"out_of_fold": replace(SURE, in_set=(), abstained=True)}, "abstains: no class"),
        ({"out_of_fold": replace(SURE, in_set=("AML", "APL"), abstained=True)},
         "abstains: 2 classes cannot be told apart (AML; APL)"),
        ({"performed": {"expression": False}}, "Not performed or failed: expression."),
        ({"unusual": Unusual(("clinical_features__wbc",))},
         "range of the other patients: White blood cells"),
        ({"unusual": Unusual((), 900, 50, 9.0)},
         "50 of 900 values of genes lie outside the range of the other patients; about 9 would"),
    ],
)  # fmt: skip
def test_warnings__say_what_to_know_before_the_answer(kept, case, dictionary, change, said):
    found = warnings(kept.training, replace(case, **change), dictionary)

    assert any(said in text for text in found)


def test_warnings__a_few_extreme_genes_are_chance(kept, case, dictionary):
    """Of 20,000 genes some are extreme in everybody; a warning on each page is none."""
    usual = replace(case, unusual=Unusual((), 900, 11, 9.0))

    assert not any("genes" in text for text in warnings(kept.training, usual, dictionary))


def test_patient_page__nearest_patients_by_class(kept, case, dictionary):
    found = tables(patient_page(kept.training, case, dictionary))["neighbours"]

    assert found.rows[0] == ("APL", "PSEUDO-01", "1", "1.25")
    assert found.rows[1][1:] == ("PSEUDO-02", "1", "2.50")


def test_patient_page__names_nobody_but_the_patient_and_the_nearest(kept, case, dictionary):
    html = render(patient_page(kept.training, case, dictionary))

    assert "PSEUDO-00" in html
    assert not [f"PSEUDO-0{i}" for i in range(3, 6) if f"PSEUDO-0{i}" in html]
    assert "Research use only" in html


def test_dictionary__a_column_that_nobody_knows_keeps_its_name(dictionary):
    assert dictionary.called("made_up_feature") == "made_up_feature"


def test_dictionary__the_longest_column_has_the_category(dictionary):
    assert dictionary.called("clinical_features__sex_None") == "Sex of the patient: not known"
    assert dictionary.called("clinical_features__sex_infrequent_sklearn").endswith("another value")


@pytest.mark.parametrize(
    ("above", "said"),
    [(0.0, "not above any other"), (0.002, "not above nearly all others"), (0.25, "above 25 %"),
     (0.999, "above nearly all others"), (1.0, "above all others")],
)  # fmt: skip
def test_patient_page__says_where_a_value_lies(kept, case, dictionary, above, said):
    """Rounded, "above 0 %" and "above 100 %" would both be wrong."""
    reason = replace(case.reasons[1], above=above)
    changed = replace(case, reasons=(reason,))

    [row] = tables(patient_page(kept.training, changed, dictionary))["reasons"].rows

    assert said in row[1]


def test_patient_page__shows_what_a_person_needs_to_trust_a_file(kept, case, dictionary):
    """Files up to the index date only; one of an older version says so; a name is no markup."""
    found = Extraction(
        records=100, used=98, filtered={"no_call": 2}, failed={}, features={}, sample="T<b>1",
        facts=Facts(("Mutect2 4.1.8.1",), "GRCh38", "contigs", measures={"genes": 31.0}),
    )  # fmt: skip
    empty = dict.fromkeys(SCHEMA)
    file = {**empty, "modality": "snv", "event_timestamp": datetime(2019, 5, 4, tzinfo=UTC)}
    later = {**file, "event_timestamp": datetime(2021, 1, 1, tzinfo=UTC)}
    old = {**file, "modality": "cnv"}
    files = pl.DataFrame([{**file, **values(found)}, old, later], schema=SCHEMA)
    page = patient_page(kept.training, case, dictionary, files)
    rows = tables(page)["assays"].rows
    assert [row[2:] for row in rows if row[1] == "2019-05-04"] == [
        ("Sample", "Tb1"),
        ("Callers", "Mutect2 4.1.8.1"),
        ("Reference build", "GRCh38 (contigs)"),
        ("Records used", "98 of 100 (98%)"),
        ("Measures", "genes 31"),
        ("Not recorded", "read by an older version"),
    ]
    assert len(rows) == 6
    assert "Mutect2 4.1.8.1" in render(page)
