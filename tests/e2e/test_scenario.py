"""The whole loop with Dagster's daemon: arrivals, scores, drift, retraining, gate, rollback.

A sequencer is replaced: its files are those of the same simulator at a third of the depth. Nobody
starts anything but the two decisions that are people's: to promote, and to roll back.
"""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets.models.verdicts import StoredVerdict, newest_verdict
from assets.scoring.table import current_scores
from assets.simulate import vcf_files
from assets.simulate.landing_zone import simulate
from oncoframe.lake import Lake
from orchestration.pipeline import open_instance
from orchestration.settings import PROJECT, Settings
from orchestration.studies.retraining import DATA_VERSION_TAG, REASON_TAG

STUDY = "synthetic_leukemia"
#: Patients the first champion learns from, who arrive then, and who come from the new sequencer.
FIRST, LATER, SHIFTED = 60, 8, 72
SEED = 3
NEW_TOOL = "mutect2 4.6"
#: Longest wait for the daemon; a busy machine makes it slow, not wrong.
PATIENCE_S = 900.0
EVERY_MINUTE = "* * * * *"
WHO = {"approvers": '["ada"]'}


class Clinic:
    """A landing zone that fills up, and the home that reads it."""

    def __init__(self, root: Path, oncoframe: Callable[..., Any]) -> None:
        self.home, self.landing = root / "home", root / "landing"
        self.files = {"old": root / "old", "new": root / "new"}
        self.settings = Settings(home=self.home)
        self.lake = Lake(self.settings.lake_dir)
        self._oncoframe = oncoframe

    def oncoframe(self, *arguments: object) -> Any:
        return self._oncoframe(self.home, *arguments, **WHO)

    def ok(self, *arguments: object) -> dict[str, Any]:
        """JSON answer of a command that must succeed."""
        answer = self.oncoframe(*arguments, "--json")
        assert answer.code == 0, answer.stderr
        return answer.json

    def admit(self, patients: Iterable[str], *, sequencer: str = "old") -> None:
        """Land all that is known of some patients; the sheet comes last, as from a lab."""
        wanted = set(patients)
        source = self.files[sequencer]
        self.landing.mkdir(exist_ok=True)
        for patient in sorted(wanted):
            folder = Path("patients") / patient
            shutil.copytree(source / folder, self.landing / folder)
        for name in ("clinical/patients.csv", "clinical/diagnoses.csv", "samplesheet.csv"):
            rows = [row for row in _rows(source / name) if row["patient_id"] in wanted]
            for row in rows:
                if sequencer == "new" and row.get("modality") == "snv":
                    row["tool"] = NEW_TOOL
            _append(self.landing / name, rows)

    def consented(self) -> set[str]:
        """Patients who may be scored."""
        rows = _rows(self.files["old"] / "clinical/patients.csv")
        return {row["patient_id"] for row in rows if row["consent"] == "yes"}

    def scores(self) -> pl.DataFrame:
        return current_scores(self.lake, STUDY)

    def runs(self, job: str) -> list[dg.DagsterRun]:
        with open_instance(self.settings.dagster_dir) as instance:
            return list(instance.get_runs(dg.RunsFilter(job_name=job)))

    def wait(self, what: str, happened: Callable[[], Any]) -> Any:
        """Wait for the daemon; what went wrong is in its log."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_S:
            if found := happened():
                return found
            Event().wait(1.0)
        log = (self.home / "daemon.log").read_text()[-6000:]
        pytest.fail(f"waited {PATIENCE_S:.0f} s for {what}\n{log}")


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as source:
        return list(csv.DictReader(source))


def _append(file: Path, rows: list[dict[str, str]]) -> None:
    """Rows behind those that are there; readers see the old table or the new one."""
    every = [*(_rows(file) if file.exists() else []), *rows]
    file.parent.mkdir(exist_ok=True)
    new = file.with_suffix(".new")
    with new.open("w", newline="") as sink:
        writer = csv.DictWriter(sink, fieldnames=list(every[0]))
        writer.writeheader()
        writer.writerows(every)
    new.replace(file)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory, oncoframe):
    """Patients of two sequencers as files; the first of them landed, computed and trained on."""
    clinic = Clinic(tmp_path_factory.mktemp("scenario"), oncoframe)
    everyone = FIRST + LATER + SHIFTED
    simulate(clinic.files["old"], patients=everyone, seed=SEED)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vcf_files, "MEAN_DEPTH", vcf_files.MEAN_DEPTH / 3)
        simulate(clinic.files["new"], patients=everyone, seed=SEED)
    return clinic


@pytest.fixture
def daemon(clinic):
    """Start Dagster's daemon on the home; ends with the test."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ONCOFRAME_")},
        "DAGSTER_HOME": str(clinic.settings.dagster_dir),
        "ONCOFRAME_HOME": str(clinic.home),
        "ONCOFRAME_AUTOMATIC": "true",
        "ONCOFRAME_NIGHTLY_CRON": EVERY_MINUTE,
        "ONCOFRAME_APPROVERS": WHO["approvers"],
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with (clinic.home / "daemon.log").open("wb") as log:
            command = [Path(sys.executable).with_name("dagster-daemon"), "run"]
            workspace = ["--workspace", PROJECT / "workspace.yaml"]
            started.append(
                subprocess.Popen(
                    [*command, *workspace],
                    env=environment,
                    cwd=PROJECT,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.soak
def test_loop__from_arrival_to_rollback(clinic, daemon):
    """Each part may pass its tests and the night still do nothing: nobody would be scored."""
    patients = [row["patient_id"] for row in _rows(clinic.files["old"] / "clinical/patients.csv")]
    first, later = patients[:FIRST], patients[FIRST : FIRST + LATER]
    shifted = patients[FIRST + LATER :]
    consented = clinic.consented()

    # A first model, and a champion that only an approver can make.
    clinic.admit(first)
    assert clinic.ok("run", "--landing", clinic.landing)["patients"] == FIRST
    clinic.ok("train", STUDY)
    promote = ("promote", STUDY, "--reason", "first model", "--accept-suspects", "--approver")
    refused = clinic.oncoframe(*promote, "mallory")
    assert refused.code != 0
    assert "mallory" in refused.stderr
    clinic.ok(*promote, "ada")
    assert clinic.scores().is_empty()

    # New patients arrive: the daemon computes and scores them, and nobody retrains.
    clinic.admit(later)
    daemon()
    expected = consented.intersection(first + later)
    clinic.wait("scores of the new patients", lambda: len(clinic.scores()) == len(expected))
    scores = clinic.scores()
    assert set(scores["patient_id"]) == expected
    assert scores["model_version"].unique().to_list() == [1]
    waited = scores["created_timestamp"] - scores["arrived_timestamp"]
    assert waited.null_count() == 0
    assert waited.dt.total_seconds().min() > 0
    status = clinic.ok("status")["time_to_answer"][STUDY]
    assert status["answers"] == len(expected)
    assert clinic.runs("retrain") == []

    # Files of the new sequencer arrive: drift, its cause, one retraining, a challenger.
    clinic.admit(shifted, sequencer="new")
    frame_id = _frames(clinic)[f"{STUDY} 1"]
    verdict = clinic.wait("the verdict on drift", lambda: _drift(clinic, frame_id))
    assert "snv_features__snv_median_depth_reads" in verdict.columns
    assert NEW_TOOL in (verdict.cause or "")
    [run] = clinic.wait("the retraining", lambda: _ended(clinic.runs("retrain")))
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert NEW_TOOL in run.tags[REASON_TAG]
    assert "challenger" in _aliases(clinic)[f"{STUDY}_candidates 2"]

    # The night judges the challenger, too: the gate asks about the patients of today.
    own = _frames(clinic)[f"{STUDY}_candidates 2"]
    judged = _judged(clinic, own)
    assert judged is not None
    clinic.wait("the challenger's next verdict", lambda: _judged(clinic, own) != judged)

    # People decide: promoted, everyone is scored anew; rolled back, once more.
    promote = ("promote", STUDY, "--reason", "new sequencer", "--accept-suspects", "--approver")
    assert clinic.oncoframe(*promote, "mallory").code != 0
    clinic.ok(*promote, "ada")
    clinic.wait("scores of the new champion", lambda: _asked(clinic) == [2])
    assert set(clinic.scores()["patient_id"]) == consented
    clinic.ok("rollback", STUDY, "--approver", "ada", "--reason", "wrong on APL")
    clinic.wait("scores of the old champion", lambda: _asked(clinic) == [1])

    # All the while the verdict said drift, and was answered once.
    asked = [run.tags[DATA_VERSION_TAG] for run in clinic.runs("retrain")]
    assert len(set(asked)) == len(asked) == 1
    clinic.ok("audit", "verify")


def _judged(clinic: Clinic, frame_id: str) -> StoredVerdict | None:
    return newest_verdict(clinic.settings.drift_dir, STUDY, reference_frame_id=frame_id)


def _drift(clinic: Clinic, champion_frame: str) -> StoredVerdict | None:
    verdict = _judged(clinic, champion_frame)
    return verdict if verdict is not None and verdict.drifted else None


def _ended(runs: list[dg.DagsterRun]) -> list[dg.DagsterRun]:
    return [run for run in runs if run.is_finished]


def _asked(clinic: Clinic) -> list[int]:
    return clinic.scores()["model_version"].unique().to_list()


def _models(clinic: Clinic) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = clinic.ok("models", STUDY)["versions"]
    return found


def _aliases(clinic: Clinic) -> dict[str, list[str]]:
    return {row["model"]: row["aliases"] for row in _models(clinic)}


def _frames(clinic: Clinic) -> dict[str, str]:
    return {row["model"]: row["frame_id"] for row in _models(clinic)}
