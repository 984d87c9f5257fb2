"""The Python API on a small home: each question against the command line and the lake."""

import doctest
import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import oncoframe as of
from assets.clinical.contract import clinical_contract
from assets.clinical.publish import LABELS_SCHEMA
from assets.genomics.fusion.reader import CONTRACT as FUSION
from assets.scoring.table import SCHEMA as SCORES_SCHEMA
from assets.scoring.table import TABLE as SCORES
from assets.training import training_frame
from feature_repo.client import apply
from ml.registry.tracking import log_training
from oncoframe.audit import Action, AuditLog
from oncoframe.ledger import Outcome
from orchestration import home as home_module
from orchestration.cli.main import app
from orchestration.settings import Settings

STUDY = "synthetic_leukemia"


@pytest.fixture(scope="module")
def filled(toy_trainings, new_hospital, tmp_path_factory):
    """A home with thirteen patients, a score, and a model of a toy frame.

    The fusions of P00 are corrected on day 2; the file of P12 is in quarantine.
    """
    hospital = new_hospital(tmp_path_factory.mktemp("filled") / "home")
    apply(hospital.home)
    made = {"tool": "STAR-Fusion", "reference_build": "GRCh38"}
    for number in range(13):
        patient = f"P{number:02d}"
        hospital.admit(patient, None)
        _label(hospital, patient, ("AML", "ALL")[number % 2])
        hospital.measure(clinical_contract(), patient, age_at_index_years=40.0 + number)
        hospital.measure(FUSION, patient, fusion_count=number % 3, **made)
    hospital.measure(FUSION, "P00", created=2, fusion_count=9, source_sha256="repaired", **made)
    hospital.attempt("P12", "fusion", Outcome.QUARANTINED)
    score = {
        "patient_id": "P00", "study": STUDY, "created_timestamp": hospital.at(3),
        "prediction_set": ["ALL", "AML"], "withdrawn": False,
    }  # fmt: skip
    hospital.lake.append(SCORES, pl.DataFrame([score], schema=SCORES_SCHEMA))
    settings = Settings(home=hospital.home)
    [first, _] = toy_trainings
    shutil.copytree(first.frames_dir / "f00d", settings.frames_dir / "f00d")
    log_training(first.result, store=settings.registry, code_version="0.1.0", tags={})
    return hospital.home


def _label(hospital, patient, label):
    row = {
        "patient_id": patient, "event_timestamp": hospital.at(0),
        "created_timestamp": hospital.at(0), "source_sha256": "x", "code_version": "1",
        "run_id": "r", "label_name": "who_diagnosis", "label_value": label,
        "label_version": "WHO 2022",
    }  # fmt: skip
    hospital.lake.append("labels", pl.DataFrame([row], schema=LABELS_SCHEMA))


@pytest.fixture
def clinic(filled, tmp_path):
    """Current folder, in which ``.oncoframe`` is that home."""
    shutil.copytree(filled, tmp_path / ".oncoframe")
    return tmp_path


@pytest.fixture
def home(clinic):
    return of.Home(clinic / ".oncoframe")


def run(*arguments, code=0):
    """Last line of a command as JSON."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.usefixtures("clinic")
@pytest.mark.parametrize("module", [home_module, training_frame])
def test_examples__are_true(module):
    """An example that fails is the first thing a newcomer tries."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for example in finder.find(module):
        runner.run(example)
    assert runner.failures == 0
    assert runner.tries > 0


def test_frame__is_the_one_of_the_command_line(home):
    """Two ways to a frame that differ would be two results of one paper."""
    built = run("frame", "build", STUDY, "--as-of", "2024-01-02", "--out", "frame.parquet")
    frame = home.frame(STUDY, as_of="2024-01-02")

    assert frame.id == built["frame_id"]
    assert frame.rows.equals(pl.read_parquet("frame.parquet"))
    lines = [
        (entry.subject, entry.details)
        for entry in AuditLog(home.path / "audit" / "log.jsonl").entries()
        if entry.action == Action.FRAME_BUILT
    ]
    assert lines[0] == lines[1]
    assert lines[0][0] == frame.id


def test_frame__says_what_it_holds(home):
    frame = home.frame(STUDY, modalities=["fusion", "clinical"])
    shown = run("frame", "show", frame.id)

    assert (len(frame), frame.study) == (shown["rows"], shown["study"])
    assert frame.as_of.isoformat() == shown["as_of"]
    assert frame.labels.to_list() == ["AML", "ALL"] * 6
    assert frame.columns["column"].to_list() == list(shown["columns"])
    assert frame.excluded.rows() == [("P12", "a file of the patient is in quarantine")]
    assert frame.guards == shown["guards"]
    assert repr(frame).startswith(f"TrainingFrame('{frame.id}', study='{STUDY}'")
    page = frame._repr_html_()
    assert "<td>fusion performed</td><td>100%</td>" in page
    assert "left out: a file of the patient is in quarantine" in page


def test_frame__is_polars_pandas_and_a_matrix(home):
    """The columns that the study excludes are not for a model to see."""
    frame = home.frame(STUDY, modalities=["fusion", "clinical"])
    column = "clinical_features__age_at_index_years"

    assert frame.to_polars().equals(frame.rows)
    assert list(frame.to_pandas([column]).columns) == frame.to_polars([column]).columns
    assert frame.to_pandas()[column].tolist() == frame.rows[column].to_list()
    assert not any(type_ == pl.List for type_ in frame.to_polars(expand=True).dtypes)
    matrix = frame.design_matrix(["clinical"])
    assert matrix.labels.tolist() == frame.labels.to_list()
    assert matrix.features[column].tolist() == frame.rows[column].to_list()
    assert "clinical_features__fab_subtype" not in matrix.features
    assert "clinical_features__fab_subtype" in frame.about["empty_columns"]
    assert set(frame.design_matrix().modalities) == {"fusion", "clinical"}


def test_rebuild__gives_the_bytes_of_the_command(home):
    frame = home.frame(STUDY)
    run("frame", "rebuild", frame.id, "--out", "again.parquet")

    again = home.rebuild(frame.id)

    assert again.rows.equals(frame.rows)
    assert again.rows.equals(pl.read_parquet("again.parquet"))
    assert again.about == frame.about


def test_diff_and_explain__answer_as_their_commands(home):
    then, now = home.frame(STUDY, as_of="2024-01-02"), home.frame(STUDY)

    found = home.diff(then.id, now.id)

    assert found.values.to_dicts() == run("frame", "diff", then.id, now.id)["values"]
    said = run("explain", "P00", "fusion_count", "--as-of", "2024-01-02")
    value = home.explain("P00", "fusion_count", known_by="2024-01-02")
    assert (value.value, value.tool, str(value.known_by)) == (
        said["value"], said["tool"], said["known_by"]
    )  # fmt: skip


def test_frames__lists_what_was_built(home):
    frame = home.frame(STUDY)

    listed = home.frames().filter(frame_id=frame.id)

    assert listed.select("study", "rows", "as_of").row(0) == (
        STUDY, 12, frame.as_of.isoformat()
    )  # fmt: skip
    assert home.open(frame.id).rows.equals(frame.rows)
    assert STUDY in home.studies()["study"]


def test_ledger_and_scores__are_those_of_the_lake(home):
    failed = run("status", "--failed")["failed"]
    assert home.ledger().select("patient_id", "error").to_dicts() == [
        {name: entry[name] for name in ("patient_id", "error")} for entry in failed
    ]
    assert home.scores(STUDY)["patient_id"].to_list() == ["P00"]
    assert home.scores("aml_who_class").is_empty()


def test_report__is_the_page_of_the_command(home):
    page = Path(run("report", STUDY, "--patient", "P001", "--out", "p.html")["html"])

    assert home.report(STUDY, "P001").read_text() == page.read_text()


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda home: home.frame("tpyo"), "there is no study tpyo; expected one of"),
        (lambda home: home.scores("tpyo"), "there is no study tpyo"),
        (lambda home: home.report("tpyo"), "there is no study tpyo"),
        (lambda home: home.report("aml_who_class"), "study aml_who_class has no model"),
        (lambda home: home.report(STUDY, "nobody"), "nobody"),
        (lambda home: home.frame(STUDY, as_of="soon"), "as_of: not a time"),
        (lambda home: home.frame(STUDY, modalities=["xray"]), "no features of modality xray"),
        (lambda home: home.frame(STUDY, as_of="1999-01-01"), "no patient is left"),
        (lambda home: home.open("f00"), "there is no frame f00"),
        (lambda home: home.rebuild("f00"), "there is no frame f00"),
        (lambda home: home.rebuild("f00d"), "its study is not one that this version reads"),
        (lambda home: home.diff("f00", "f00d"), "there is no frame f00"),
        (lambda home: home.explain("nobody", "fusion_count"), "nothing is known of this patient"),
        (lambda home: home.explain("P00", "fusion_cuont"), "no feature table has fusion_cuont"),
    ],
)
def test_mistakes__are_one_sentence(home, ask, sentence):
    with pytest.raises(of.errors.OncoFrameError, match=sentence):
        ask(home)


def test_home__that_is_not_there_is_not_made(tmp_path):
    """A misspelt folder would answer every question with nothing."""
    with pytest.raises(of.errors.SettingsError, match="typo: there is no home of OncoFrame"):
        of.Home(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


def test_home__without_a_feature_registry_says_so(clinic, home):
    (clinic / ".oncoframe" / "feast_registry.db").unlink()
    with pytest.raises(of.errors.StudyError, match="oncoframe run"):
        home.frame(STUDY)


def test_import__is_light_and_knows_its_names():
    """Every worker imports the errors through this package."""
    program = (
        "import sys\n"
        "import oncoframe as of\n"
        "assert {'Home', 'TrainingFrame', 'errors'} <= set(dir(of))\n"
        "heavy = {'polars', 'pandas', 'dagster', 'feast', 'mlflow', 'sklearn', 'orchestration'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "of.Home\n"
        "heavy = {'dagster', 'feast', 'mlflow', 'sklearn', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Hmoe'"):
        of.Hmoe  # noqa: B018
