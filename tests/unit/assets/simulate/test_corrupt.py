"""Corrupt files of the synthetic cohort: broken as promised, named in the truth, repairable."""

import gzip
import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from assets.expression.quantification import extract as extract_expression
from assets.genomics.fusion.reader import extract as extract_fusion
from assets.genomics.snv.reader import extract as extract_snv
from assets.simulate.corrupt import OUTCOMES, Way
from assets.simulate.landing_zone import repair, simulate
from oncoframe.errors import SettingsError

pytestmark = pytest.mark.slow

PATIENTS, CORRUPT, SEED = 28, 19, 4
EXTRACTORS = {"snv": extract_snv, "expression": extract_expression, "fusion": extract_fusion}
#: Address space of a worker by default (setting worker_memory_mb).
WORKER_BYTES = 4096 << 20

READ_IN_A_WORKER = """
import resource, sys
from pathlib import Path
from assets.genomics.snv.reader import extract
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
extract(Path(sys.argv[1]), reference_build="GRCh38")
"""


def digests(landing: Path) -> dict[str, str]:
    return {
        str(path.relative_to(landing)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (landing / "patients").rglob("*")
        if path.is_file()
    }


def corrupt_files(landing: Path) -> dict[str, dict[str, str]]:
    truth = json.loads((landing / "truth.json").read_text())
    return {k: p["corrupt"] for k, p in truth["by_patient"].items() if p["corrupt"]}


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corrupt")
    summary = simulate(folder, patients=PATIENTS, seed=SEED, corrupt=CORRUPT)
    assert summary.corrupt == {k: c["error"] for k, c in corrupt_files(folder).items()}
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    simulate(folder, patients=PATIENTS, seed=SEED)
    return folder


def test_corrupt__changes_exactly_the_files_of_the_truth(landing, good):
    before, after = digests(good), digests(landing)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {entry["path"] for entry in corrupt_files(landing).values()}
    assert len(changed) == CORRUPT
    assert before.keys() == after.keys()
    sheets = [(folder / "samplesheet.csv").read_bytes() for folder in (landing, good)]
    assert sheets[0] == sheets[1]


def test_corrupt__ways_take_turns(landing):
    ways = Counter(entry["way"] for entry in corrupt_files(landing).values())
    assert set(ways) == set(Way)
    assert max(ways.values()) - min(ways.values()) <= 1
    errors = {entry["way"]: entry["error"] for entry in corrupt_files(landing).values()}
    assert errors == {
        "truncated_gzip": "TruncatedFile",
        "wrong_format": "WrongFormat",
        "empty": "EmptyFile",
        "no_samples": "MissingSample",
        "impossible_value": "ImpossibleValue",
        "kills_worker": "WorkerDied",
    }


def test_corrupt__files_are_broken_for_other_readers_too(landing):
    """By the standard library, not by the readers that are tested with these files."""
    for entry in corrupt_files(landing).values():
        path = landing / entry["path"]
        match entry["way"]:
            case "truncated_gzip":
                with pytest.raises(EOFError), gzip.open(path) as stream:
                    stream.read()
            case "wrong_format":
                assert path.read_text().startswith("<!DOCTYPE html>")
            case "empty":
                assert path.stat().st_size == 0
            case "no_samples":
                lines = gzip.decompress(path.read_bytes()).decode().splitlines()
                assert next(x for x in lines if x.startswith("#CHROM")).endswith("\tINFO")
            case "impossible_value" if entry["modality"] == "snv":
                assert ":-120,-39:3.200:" in gzip.decompress(path.read_bytes()).decode()
            case "impossible_value":
                assert "\t-" in path.read_text()
            case "kills_worker":
                assert path.stat().st_size < 1 << 20


def test_corrupt__readers_raise_the_error_of_the_truth(landing):
    """Every way but the killing one, through the platform's readers."""
    for entry in corrupt_files(landing).values():
        if entry["way"] != Way.KILLS_WORKER:
            error, _ = OUTCOMES[Way(entry["way"])]
            with pytest.raises(error):
                EXTRACTORS[entry["modality"]](landing / entry["path"], reference_build="GRCh38")
            assert error.__name__ == entry["error"]


def test_corrupt__killing_file_kills_the_process_that_reads_it(landing):
    """If a reader learns to refuse it, the ledger says so and this file needs a successor."""
    entry = next(e for e in corrupt_files(landing).values() if e["way"] == Way.KILLS_WORKER)
    worker = subprocess.run(
        [sys.executable, "-c", READ_IN_A_WORKER, landing / entry["path"], str(WORKER_BYTES)],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        check=False,
    )
    assert worker.returncode < 0, worker.stderr.decode()[-500:]


def test_repair__writes_the_good_bytes_back(tmp_path, good):
    simulate(tmp_path, patients=PATIENTS, seed=SEED, corrupt=7)
    named = {tmp_path / entry["path"] for entry in corrupt_files(tmp_path).values()}
    assert set(repair(tmp_path)) == named
    assert digests(tmp_path) == digests(good)


def test_repair__needs_a_simulation(tmp_path):
    with pytest.raises(SettingsError, match="no simulated landing zone"):
        repair(tmp_path)


def test_corrupt__leaves_the_other_assays_good(landing):
    """A patient without the other assays would hide whether they survive the bad one."""
    truth = json.loads((landing / "truth.json").read_text())["by_patient"]
    for patient_id in corrupt_files(landing):
        assays = truth[patient_id]["specimens"][0]["assays"]
        assert set(assays.values()) == {"performed"}
        assert {"snv", "sv", "cnv", "expression", "fusion"} <= set(assays)
