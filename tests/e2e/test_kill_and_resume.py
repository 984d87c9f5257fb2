"""kill -9 at any moment, then again: the lake ends as that of a run nobody disturbed.

The kills come at random times, to the run alone or to its process group; the seed is fixed, the
machine's own timing is not. Driver and lake are killed often, the whole command line a few times.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from assets.simulate.landing_zone import simulate
from oncoframe import ledger
from oncoframe.contracts import Contract
from oncoframe.lake import Lake
from oncoframe.modalities import assays
from orchestration.settings import PROJECT

PATIENTS, CORRUPT = 8, 2
#: A worker looks after its run at once; more than this, and a killed night fills the machine.
ORPHANS_END_S = 5.0
CONTRACTS = {modality: reader.contract for modality, reader in assays().items()}

#: Intake and driver without Dagster. Prints what it is about to compute, then each outcome.
RUN = """
import json, sys
from datetime import UTC, datetime
from oncoframe.modalities import assays
from oncoframe.lake import Lake
from assets.landing import intake
from assets.landing.samplesheet import read_samplesheet
from orchestration.patients.driver import Driver
from orchestration.settings import Settings
from orchestration.patients.staleness import plan

def say(**what):
    print(json.dumps(what), flush=True)

def main():
    settings = Settings(home=sys.argv[1], landing=sys.argv[2], workers=2, commit_patients=2)
    lake = Lake(settings.lake_dir)
    sheet = read_samplesheet(settings.require_landing())
    say(at="work")
    landed = intake.take_in(lake, sheet, now=datetime.now(tz=UTC))
    patients = landed["patient_id"].unique().sort().to_list()
    driver = Driver(lake, settings)
    for modality in assays():
        tasks = plan(lake, modality, patients, now=datetime.now(tz=UTC)).tasks
        say(at="plan", modality=modality, patients=[task.patient_id for task in tasks])
        for _ in driver.run(modality, patients, run_id=sys.argv[3]):
            pass
    say(at="end")

if __name__ == "__main__":
    main()
"""


@dataclass
class Tally:
    """What the cycles came to."""

    kills: int = 0
    homes: int = 0
    resumed: int = 0
    orphans_s: float = 0.0
    problems: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def landing(tmp_path_factory) -> Path:
    """Landing zone of a few patients, two of them with a corrupt file."""
    folder = tmp_path_factory.mktemp("kills") / "landing"
    simulate(folder, patients=PATIENTS, seed=3, corrupt=CORRUPT)
    return folder


@pytest.fixture(scope="module")
def start(landing, tmp_path_factory) -> Callable[..., "subprocess.Popen[str]"]:
    """Start intake and driver on a home, as leader of a session of its own."""
    script = tmp_path_factory.mktemp("script") / "run.py"
    script.write_text(RUN)

    def begin(home: Path, run_id: str = "run") -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, script, home, landing, run_id],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    return begin


@pytest.fixture(scope="module")
def calm(start, tmp_path_factory) -> tuple[Path, float]:
    """Home of an undisturbed run, and the seconds that its work took."""
    home = tmp_path_factory.mktemp("calm") / "home"
    with start(home) as run:
        assert json.loads(run.stdout.readline()) == {"at": "work"}
        begun = time.monotonic()
        *_, last = run.stdout
    assert json.loads(last) == {"at": "end"}
    return home, time.monotonic() - begun


def finished(home: Path, complete: dict[str, dict[str, int]]) -> dict[str, set[str]]:
    """Modality -> patients who have all their rows, or stand in the ledger as bad."""
    lake = Lake(home / "lake")
    bad = ledger.current(lake).filter(outcome=ledger.Outcome.QUARANTINED)
    done = {}
    for modality, contract in CONTRACTS.items():
        rows = _rows(lake, contract)
        whole = {patient for patient, n in rows.items() if n == complete[modality][patient]}
        done[modality] = whole | set(bad.filter(modality=modality)["patient_id"])
    return done


def _rows(lake: Lake, contract: Contract) -> dict[str, int]:
    """Patient -> rows in a table."""
    counted = lake.scan_features(contract).group_by("patient_id").len().collect()
    return dict(counted.iter_rows())


@dataclass
class Torment:
    """Kill and resume runs, home after home."""

    start: Callable[..., "subprocess.Popen[str]"]
    seconds_until_gone: Callable[[int], float]
    content: Callable[[Path], dict[str, str]]
    rows_twice: Callable[[Path], list[str]]
    calm: tuple[Path, float]
    folder: Path
    rng: random.Random = field(default_factory=lambda: random.Random(20))
    tally: Tally = field(default_factory=Tally)

    def run(self, kills: int) -> Tally:
        """Go on until so many kills have been survived."""
        undisturbed, work_s = self.calm
        expected, tally = self.content(undisturbed), self.tally
        complete = {m: _rows(Lake(undisturbed / "lake"), c) for m, c in CONTRACTS.items()}
        while tally.kills < kills:
            home, ended = self.folder / f"home{tally.homes}", False
            while not ended:
                before = finished(home, complete)
                patience = self.rng.uniform(0.0, work_s) if tally.kills < kills else 600.0
                ended, planned = self.cycle(home, patience)
                tally.resumed += any(before.values())
                for modality, patients in planned.items():
                    if again := patients & before[modality]:
                        tally.problems.append(f"{home.name}: {modality} of {sorted(again)} again")
                tally.problems += [f"{home.name}: rows twice in {t}" for t in self.rows_twice(home)]
            tally.homes += 1
            got = self.content(home)
            wrong = [table for table, value in expected.items() if got[table] != value]
            tally.problems += [f"{home.name}: another {table}" for table in wrong]
        return tally

    def cycle(self, home: Path, patience_s: float) -> tuple[bool, dict[str, set[str]]]:
        """One run, killed so long after it began to work; whether it ended, and its plan."""
        with self.start(home, f"run{self.tally.kills}") as run:
            first = run.stdout.readline()
            assert first, "the run died by itself"
            try:
                run.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.kill(run)
            said = [json.loads(line) for line in run.stdout if line.endswith("\n")]
        ended = bool(said) and said[-1]["at"] == "end"
        assert ended or run.returncode == -signal.SIGKILL
        plans = [line for line in said if line["at"] == "plan"]
        return ended, {plan["modality"]: set(plan["patients"]) for plan in plans}

    def kill(self, run: "subprocess.Popen[str]") -> None:
        """End the run by kill -9, alone or with its process group, and wait for its workers."""
        if self.rng.random() < 0.5:
            os.killpg(run.pid, signal.SIGKILL)
        else:
            run.kill()
        run.wait()
        self.tally.kills += 1
        self.tally.orphans_s = max(self.tally.orphans_s, self.seconds_until_gone(run.pid))


@pytest.fixture
def torment(start, seconds_until_gone, content, rows_twice, calm, tmp_path) -> Torment:
    """What kills and resumes, with the undisturbed run to compare with."""
    return Torment(start, seconds_until_gone, content, rows_twice, calm, tmp_path)


def report(tally: Tally, seconds: float, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON line, past pytest's capture."""
    found = {"soak": "kill_and_resume", **vars(tally), "seconds": round(seconds, 1)}
    with capsys.disabled():
        sys.stdout.write(json.dumps({**found, "orphans_s": round(tally.orphans_s, 2)}) + "\n")


def verdict(tally: Tally) -> None:
    assert tally.problems == []
    assert tally.resumed > 0
    assert tally.orphans_s < ORPHANS_END_S


def test_run__survives_twenty_kills(torment):
    """A row twice, a patient lost or computed anew after an outage, or a worker left behind."""
    verdict(torment.run(20))


@pytest.mark.soak
def test_run__survives_two_hundred_kills(torment, capsys):
    """The same, often enough to hit the moments between two writes."""
    begun = time.monotonic()
    tally = torment.run(200)
    report(tally, time.monotonic() - begun, capsys)
    verdict(tally)
