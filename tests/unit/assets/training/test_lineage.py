"""Explain: one value, and the file, hash, tool, code and run it comes from."""

import json
import subprocess
import sys
import time

import polars as pl
import pytest

from assets.biomarkers.contract import CONTRACT as BIOMARKERS
from assets.clinical.contract import clinical_contract
from assets.expression.quantification import CONTRACT as EXPRESSION
from assets.genomics.fusion.reader import CONTRACT as FUSION
from assets.landing import intake
from assets.training.lineage import explain
from oncoframe.errors import StudyError
from oncoframe.ledger import Outcome
from oncoframe.modalities import feature_contracts


@pytest.fixture
def ward(hospital):
    """Patient A with a corrected fusion file and expression of two genes; B in quarantine."""
    made = {"tool": "STAR-Fusion", "reference_build": "GRCh38", "run_id": "run"}
    hospital.measure(FUSION, "A", fusion_count=1, source_sha256="old", **made)
    hospital.measure(FUSION, "A", created=2, fusion_count=2, source_sha256="new", **made)
    hospital.lake.extend_dictionary("gene", pl.Series(["FLT3", "NPM1"]))
    hospital.measure(EXPRESSION, "A", expression_unit="counts", expression=[5.0, float("nan")])
    hospital.measure(clinical_contract(), "A", age_at_index_years=63.5)
    hospital.measure(BIOMARKERS, "A", karyotype_modal_number=46)
    hospital.measure(FUSION, "C", fusion_performed=False)
    hospital.attempt("B", "fusion", Outcome.QUARANTINED)
    hospital.attempt("B", "expression", Outcome.NOT_PERFORMED)
    sheet = dict.fromkeys(("path", "status", "tool", "site", "reference_build", "stamp"), "x")
    rows = [
        {
            **sheet, "patient_id": "A", "modality": "fusion", "collected_on": hospital.at(0),
            "path": f"calls/{digest}.tsv", "sha256": digest, "seen_at": hospital.at(day),
        }
        for day, digest in ((0, "old"), (2, "new"))
    ]  # fmt: skip
    hospital.lake.append(intake.TABLE, pl.DataFrame(rows, schema=intake.SCHEMA))
    return hospital


@pytest.fixture
def ask(ward):
    def run(patient, feature, day=None):
        known_by = None if day is None else ward.at(day)
        return explain(ward.lake, feature_contracts(), patient, feature, known_by=known_by)

    return run


def test_explain__gives_value_source_and_run(ask, ward):
    """Which file said so is the first question about any surprising value."""
    found = ask("A", "fusion_count")

    assert (found.value, found.unit, found.rows) == (2, "1", 2)
    assert (found.file, found.source_sha256) == ("calls/new.tsv", "new")
    assert (found.tool, found.code_version, found.run_id) == ("STAR-Fusion", "x", "run")
    assert found.settings == {"reference_build": "GRCh38", "annotation_version": "x"}
    assert (found.event_timestamp, found.created_timestamp) == (ward.at(0), ward.at(2))


@pytest.mark.parametrize(
    ("feature", "source"),
    [("age_at_index_years", "dbt model clinical_features"), ("karyotype_modal_number", "no file")],
)
def test_explain__names_no_file_where_there_is_none(ask, feature, source):
    """A biomarker said to come from the clinical tables sends its reader to the wrong place."""
    assert source in ask("A", feature).file


def test_explain__tells_what_was_known_then(ask):
    """The file that a published frame rests on may have been replaced since."""
    found = ask("A", "fusion_count", day=1)

    assert (found.value, found.file) == (1, "calls/old.tsv")


@pytest.mark.parametrize(
    ("feature", "value", "note"),
    [
        ("expression[FLT3]", 5.0, None),
        ("expression_features__expression[NPM1]", None, "the source does not say"),
        ("expression_performed", True, None),
        ("clinical_features__age_at_index_years", 63.5, None),
        ("BCR::ABL1", None, "the source does not say"),
    ],
)
def test_explain__knows_columns_domain_names_and_positions(ask, feature, value, note):
    found = ask("A", feature)

    assert (found.value, found.note) == (value, note)


@pytest.mark.parametrize(
    ("patient", "feature", "note"),
    [
        ("B", "fusion_count", "quarantined: ends early"),
        ("B", "expression_genes", "the expression assay was not performed"),
        ("C", "fusion_count", "the assay failed"),
    ],
)
def test_explain__says_why_there_is_no_value(ask, patient, feature, note):
    """Not performed, failed and in quarantine are answers, not errors."""
    found = ask(patient, feature)

    assert (found.value, found.note) == (None, note)


@pytest.mark.parametrize(
    ("patient", "feature", "sentence"),
    [
        ("nobody", "fusion_count", "nothing is known of this patient"),
        ("A", "fusion_cuont", "no feature table has fusion_cuont"),
        ("A", "expression[NPM2]", "axis gene has no NPM2"),
    ],
)
def test_explain__refuses_what_it_does_not_know(ask, patient, feature, sentence):
    with pytest.raises(StudyError, match=sentence):
        ask(patient, feature)


@pytest.mark.slow
def test_explain_command__is_quick_because_it_loads_no_platform(ward):
    """Dagster, Feast and MLflow take seconds to import; asking about one value must not."""
    program = (
        "import sys\n"
        "from orchestration.cli.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "assert not {'dagster', 'feast', 'mlflow', 'sklearn'} & set(sys.modules)\n"
        "print(__import__('time').process_time())\n"
    )
    arguments = ["explain", "A", "expression[FLT3]", "--home", str(ward.home), "--json"]

    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )

    line, processor = done.stdout.splitlines()[-2:]
    assert json.loads(line)["value"] == 5.0
    assert min(float(processor), time.monotonic() - start) < 2.0
