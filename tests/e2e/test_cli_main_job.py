"""Command line on a landing zone with six corrupt files: run, look, replace, repair, retry.

One home lives through all steps; each test looks at what its step left behind.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assets.simulate.landing_zone import repair, simulate

PATIENTS, CORRUPT = 14, 6
TABLES = {"snv": "snv_features", "fusion": "fusion_features", "expression": "expression_features"}
RUN_KEYS = {"patients", "ok", "quarantined", "skipped", "seconds"}


@dataclass(frozen=True)
class Step:
    """A command's answer, and the home after it."""

    answer: Any
    home: Any


@dataclass(frozen=True)
class Story:
    """The landing zone's truth, the patient whose file was replaced, and the steps by name.

    ``failed`` and ``clean`` are the answers of ``status --failed`` after the first and last step.
    """

    landing: Path
    truth: dict[str, Any]
    replaced: str
    steps: dict[str, Step]
    failed: Any
    clean: Any

    @property
    def bad(self) -> dict[str, dict[str, str]]:
        """Patient -> modality, path and error of the corrupt file."""
        patients = self.truth["by_patient"].items()
        return {patient: about["corrupt"] for patient, about in patients if about["corrupt"]}


@pytest.fixture(scope="module")
def story(tmp_path_factory, oncoframe, look) -> Story:
    """Run the commands one after the other on one home."""
    root = tmp_path_factory.mktemp("main_job")
    landing, home = root / "landing", root / "home"
    simulate(landing, patients=PATIENTS, seed=1, corrupt=CORRUPT)
    truth = json.loads((landing / "truth.json").read_text())
    steps = {}

    def step(name: str, *arguments: object) -> None:
        answer = oncoframe(home, *arguments, "--json", worker_memory_mb=1024)
        steps[name] = Step(answer, look(home))

    step("first", "run", "--landing", landing)
    failed = oncoframe(home, "status", "--failed", "--json")
    step("second", "run")
    replaced = _replace_fusions(landing, truth)
    step("replaced", "run")
    repair(landing)
    step("retried", "retry")
    step("last", "run")
    clean = oncoframe(home, "status", "--failed", "--json")
    return Story(landing, truth, replaced, steps, failed, clean)


def _replace_fusions(landing: Path, truth: dict[str, Any]) -> str:
    """Leave one good patient's fusion file with its header only; returns the patient."""
    for patient, about in truth["by_patient"].items():
        found = sorted((landing / "patients" / patient).rglob("*fusion*.tsv"))
        if found and not about["corrupt"]:
            header = found[0].read_text().splitlines(keepends=True)[0]
            found[0].write_text(header)
            return patient
    pytest.fail("no good patient has a fusion file")


def test_run__counts_patients_and_says_that_some_failed(story):
    """A script tells a clean night from one to look at by the exit code alone."""
    answer = story.steps["first"].answer
    assert answer.code == 3, answer.stderr
    assert answer.json.keys() == RUN_KEYS
    counts = {key: answer.json[key] for key in RUN_KEYS - {"seconds"}}
    assert counts == {
        "patients": PATIENTS,
        "ok": PATIENTS - CORRUPT,
        "quarantined": CORRUPT,
        "skipped": 0,
    }
    assert "Traceback" not in answer.stderr


def test_status__names_each_corrupt_file_with_its_class(story):
    """The laboratory is told which file to send again; a wrong class sends them searching."""
    failed = story.failed.json["failed"]
    keys = {"patient_id", "modality", "error", "message", "file", "attempts"}
    assert all(entry.keys() == keys for entry in failed)
    got = {e["patient_id"]: (e["modality"], e["error"], e["attempts"]) for e in failed}
    assert got == {p: (bad["modality"], bad["error"], 1) for p, bad in story.bad.items()}
    for entry in failed:
        path = str(story.landing / story.bad[entry["patient_id"]]["path"])
        assert path in entry["message"]
        assert path in entry["file"]


def test_run__materialises_nothing_of_a_bad_patient(story):
    """A bad patient shown as done in Dagster, or half in the lake, is a silent loss."""
    home = story.steps["first"].home
    for modality, table in TABLES.items():
        bad = {patient for patient, about in story.bad.items() if about["modality"] == modality}
        assert home.materialized[table] == story.truth["by_patient"].keys() - bad
        assert not bad.intersection(home.rows[table])


def test_run__of_an_unchanged_zone_computes_nothing(story):
    """No new Delta version in any table and no new Dagster run, but the same exit code."""
    first, second = story.steps["first"], story.steps["second"]
    assert second.home == first.home
    assert second.answer.code == 3
    assert second.answer.json["ok"] == 0
    assert second.answer.json["skipped"] == PATIENTS - CORRUPT


def test_run__computes_exactly_the_replaced_file(story):
    """One row more in one table: the replaced patient's; nothing else is read again."""
    before, after = story.steps["second"].home, story.steps["replaced"].home
    assert story.steps["replaced"].answer.json["ok"] == 1
    added = {table: _added(before.rows[table], rows) for table, rows in after.rows.items()}
    assert {table: new for table, new in added.items() if new} == {
        "fusion_features": [story.replaced]
    }
    moved = {t for t, version in after.versions.items() if before.versions[t] != version}
    assert moved == {"landed_files", "extraction_facts", "fusion_features", "biomarkers", "ledger"}


def test_retry__computes_the_repaired_and_only_them(story):
    """After the repair everything is clean: exit 0, all materialised, no row beside the six."""
    before, step = story.steps["replaced"].home, story.steps["retried"]
    assert step.answer.code == 0, step.answer.stderr
    assert (step.answer.json["ok"], step.answer.json["quarantined"]) == (CORRUPT, 0)
    assert story.clean.json == {"failed": []}
    for modality, table in TABLES.items():
        bad = {patient for patient, about in story.bad.items() if about["modality"] == modality}
        # A patient with two bad specimens brings two rows.
        assert set(_added(before.rows[table], step.home.rows[table])) == bad
        assert step.home.materialized[table] == story.truth["by_patient"].keys()
    assert story.steps["last"].answer.code == 0


def test_run__after_a_clean_retry_has_nothing_to_do(story):
    """A patient that is computed again each night was never truly finished."""
    retried, last = story.steps["retried"], story.steps["last"]
    assert last.home == retried.home
    assert last.answer.json["skipped"] == PATIENTS


def _added(before: list[str], after: list[str]) -> list[str]:
    left = list(after)
    for patient in before:
        left.remove(patient)
    return left


SHEET = """patient_id,modality,path,collected_on,status,reference_build,tool,site
P1,fusion,a.tsv,2024-01-01,performed,,STAR-Fusion,
P2,fusion,a.tsv,2024-01-01,performed,,STAR-Fusion,
"""


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (SHEET.replace(",status", "", 1), "row 1: column status is missing"),
        (SHEET.replace("P2,fusion", "P2,fusions"), "row 3: column modality"),
        (SHEET.replace("P2", "P1"), "row 3: the row repeats"),
        (SHEET.replace("P2,fusion,a.tsv", "P2,fusion,b.tsv"), "row 3: column path names"),
        (SHEET.replace("P2", "P,2"), "row 3: column patient_id holds a comma"),
        (SHEET.replace("P2", '"P,2"'), "row 3: column patient_id must match"),
    ],
)
def test_run__refuses_a_wrong_samplesheet(oncoframe, look, tmp_path, wrong, sentence):
    """Nothing runs on a sheet that is wrong anywhere: no run, no table, one sentence."""
    landing, home = tmp_path / "landing", tmp_path / "home"
    landing.mkdir()
    (landing / "a.tsv").write_text("#FusionName\tJunctionReadCount\tSpanningFragCount\n")
    (landing / "samplesheet.csv").write_text(wrong)
    answer = oncoframe(home, "run", "--landing", landing, "--json")
    assert answer.code == 1
    assert answer.json["error"] == "SamplesheetError"
    assert sentence in answer.json["message"]
    assert answer.stderr.startswith("SamplesheetError: ")
    assert "Traceback" not in answer.stderr
    found = look(home)
    assert (found.runs, found.versions) == (0, {})


@pytest.fixture(scope="module")
def zone(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """Landing zone with each way to be corrupt, and its truth."""
    landing = tmp_path_factory.mktemp("extract") / "landing"
    simulate(landing, patients=PATIENTS, seed=2, corrupt=CORRUPT)
    return landing, json.loads((landing / "truth.json").read_text())["by_patient"]


def test_extract__accounts_for_every_record(oncoframe, zone, tmp_path):
    """What the acceptance checks compare with other readers' counts."""
    landing, truth = zone
    good = next(p for p, about in truth.items() if not about["corrupt"] and about["specimens"])
    [path] = sorted((landing / "patients" / good).rglob("*.mutect2.vep.vcf.gz"))[:1]
    answer = oncoframe(tmp_path, "extract", "snv", path, "--genome", "GRCh38", "--json")
    assert answer.code == 0, answer.stderr
    found = answer.json
    assert {
        "modality",
        "status",
        "records",
        "used",
        "filtered",
        "failed",
        "features",
        "blocks",
    } <= (found.keys())
    assert (found["modality"], found["status"]) == ("snv", "performed")
    assert found["records"] == found["used"] + found["filtered"] + found["failed"] > 0
    facts = found["facts"]
    assert (facts["build"], facts["build_source"]) == ("GRCh38", "declared")
    assert (facts["records"], facts["used"]) == (found["records"], found["used"])
    assert facts["measures"]["genes"] > 0
    said = oncoframe(tmp_path, "extract", "snv", path, "--genome", "GRCh38").stdout
    assert "Reference build: GRCh38 (declared)" in said


@pytest.mark.parametrize("way", ["truncated_gzip", "empty", "kills_worker"])
def test_extract__ends_a_bad_file_with_its_class(oncoframe, zone, tmp_path, way):
    """The class that the ledger tells; a file that kills its reader must not take the machine."""
    landing, truth = zone
    [bad] = [a["corrupt"] for a in truth.values() if a["corrupt"] and a["corrupt"]["way"] == way]
    answer = oncoframe(
        tmp_path, "extract", bad["modality"], landing / bad["path"], "--json", worker_memory_mb=1024
    )
    assert answer.code == 4
    assert answer.json["error"] == bad["error"]
    assert bad["path"] in answer.json["message"]
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "lake").exists()
