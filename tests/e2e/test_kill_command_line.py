"""kill -9 of the command line: Dagster's view is made whole by the next run, like the lake.

The kills wait for a commit: each leaves patients in the lake of whom Dagster may not know.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from assets.landing import intake
from assets.landing.samplesheet import read_samplesheet
from assets.simulate.landing_zone import simulate
from oncoframe import ledger
from oncoframe.contracts import Modality
from oncoframe.lake import Lake
from oncoframe.modalities import spec
from orchestration.patients.driver import Driver
from orchestration.pipeline import open_instance
from orchestration.settings import Settings

PATIENTS, CORRUPT = 8, 2
GENOMICS = {
    modality: spec(modality).contract.table
    for modality in (Modality.SNV, Modality.SV, Modality.CNV, Modality.FUSION)
}
ORPHANS_END_S = 5.0


def run_calmly(home: Path, landing: Path) -> None:
    """The lake of a run without Dagster and without a kill."""
    settings = Settings(home=home, workers=2)
    lake = Lake(settings.lake_dir)
    landed = intake.take_in(lake, read_samplesheet(str(landing)), now=datetime.now(tz=UTC))
    for modality in GENOMICS:
        list(Driver(lake, settings).run(modality, landed["patient_id"].unique(), run_id="calm"))


def kill_after(commits: int, home: Path, landing: Path) -> int:
    """Kill the command line once so many commits of variants are in the lake; returns its id."""
    lake = Lake(home / "lake")
    command = [Path(sys.executable).with_name("oncoframe"), "run", "--only", "genomics"]
    with subprocess.Popen(
        [*command, "--home", home, "--landing", landing],
        env={**os.environ, "ONCOFRAME_COMMIT_PATIENTS": "2"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as run:
        while _commits(lake) < commits:
            assert run.poll() is None, "the run ended before it could be killed"
            Event().wait(0.005)
        run.kill()
    return run.pid


def _commits(lake: Lake) -> int:
    version = lake.version(GENOMICS[Modality.SNV])
    return 0 if version is None else version + 1


def test_run__after_kills_of_the_command_line(
    oncoframe, look, content, rows_twice, seconds_until_gone, tmp_path
):
    """Patients in the lake and missing in Dagster, or runs that Dagster believes alive for ever."""
    landing, home, calm = tmp_path / "landing", tmp_path / "home", tmp_path / "calm"
    simulate(landing, patients=PATIENTS, seed=3, corrupt=CORRUPT)
    for commits in (1, 3):
        assert seconds_until_gone(kill_after(commits, home, landing)) < ORPHANS_END_S
    ended = oncoframe(home, "run", "--landing", landing, "--only", "genomics")
    assert ended.code == 3, ended.stderr

    run_calmly(calm, landing)
    assert rows_twice(home) == []
    assert content(home) == content(calm)
    found, entries = look(home), ledger.current(Lake(home / "lake"))
    good = entries.filter(entries["error"].is_null())
    for modality, table in GENOMICS.items():
        assert found.materialized[table] == set(good.filter(modality=modality)["patient_id"])
    with open_instance(Settings(home=home).dagster_dir) as instance:
        assert [run.run_id for run in instance.get_runs() if not run.is_finished] == []
