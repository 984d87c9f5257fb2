"""Backfills of patients through Dagster's own daemon: it ends failed, naming exactly the bad ones.

What the button in the UI starts: the code location is loaded from ``workspace.yaml`` in a server of
its own, and each run is a process that the daemon launches.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.asset_backfill import AssetBackfillStatus
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon
from dagster._time import get_current_timestamp

from assets.simulate.landing_zone import repair, simulate
from oncoframe.modalities import assays
from orchestration.definitions import pipeline_of
from orchestration.pipeline import open_instance
from orchestration.progress import Progress
from orchestration.settings import PROJECT, Settings

KEYS = [dg.AssetKey(reader.contract.table) for reader in assays().values()]
#: Runs of a small backfill take seconds each; this long, and the daemon hangs.
PATIENCE_S = 240.0
SOAK_PATIENCE_S = 3600.0

pytestmark = pytest.mark.filterwarnings(
    # Loading the workspace rebuilds what Dagster still calls beta.
    "ignore::dagster.BetaWarning",
    "ignore::dagster.PreviewWarning",
    "ignore:Function `AssetSelection.sources`:DeprecationWarning",
)


class Cohort:
    """Landing zone, taken in, in a home whose backfills a daemon works on.

    ``work`` lets the daemon work until a backfill has ended, and returns it.
    """

    def __init__(self, root: Path, patients: int, corrupt: int) -> None:
        self.landing = root / "landing"
        simulate(self.landing, patients=patients, seed=1, corrupt=corrupt)
        truth = json.loads((self.landing / "truth.json").read_text())["by_patient"]
        self.patients = sorted(truth)
        self.bad = {p: about["corrupt"] for p, about in truth.items() if about["corrupt"]}
        self.settings = Settings(home=root / "home", landing=str(self.landing), workers=2)
        self.settings.remember_landing()

    def bad_of(self, key: dg.AssetKey) -> set[str]:
        """Patients of whom this table misses a row."""
        [modality] = [m for m, r in assays().items() if dg.AssetKey(r.contract.table) == key]
        return {patient for patient, bad in self.bad.items() if bad["modality"] == modality}

    def missing(self, instance: dg.DagsterInstance) -> dict[dg.AssetKey, set[str]]:
        """Asset -> patients that Dagster shows as not materialised."""
        return {
            key: set(self.patients) - set(instance.get_materialized_partitions(key)) for key in KEYS
        }


def request(context: WorkspaceProcessContext, name: str, patients: list[str]) -> None:
    """Ask for a backfill of all per-patient tables, as the UI does."""
    graph = context.create_request_context().asset_graph
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=name,
        asset_graph=graph,
        partition_names=patients,
        asset_selection=KEYS,
        backfill_timestamp=get_current_timestamp(),
        tags={},
        dynamic_partitions_store=context.instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    context.instance.add_backfill(backfill)


def ended(instance: dg.DagsterInstance, name: str) -> PartitionBackfill | None:
    """The backfill, once the daemon has closed it."""
    backfill = instance.get_backfill(name)
    open_ = {BulkActionStatus.REQUESTED, BulkActionStatus.FAILING, BulkActionStatus.CANCELING}
    return backfill if backfill and backfill.status not in open_ else None


def in_process(context: WorkspaceProcessContext, name: str, patience_s: float) -> Any:
    """Turn the daemon's wheels here, without its half a minute between two looks."""
    quiet = logging.getLogger("daemon_of_a_test")
    quiet.setLevel(logging.ERROR)
    queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
    deadline = time.monotonic() + patience_s
    while (backfill := ended(context.instance, name)) is None:
        assert time.monotonic() < deadline, f"backfill {name} does not end"
        errors = [e for e in execute_backfill_iteration(context, quiet) if e is not None]
        assert errors == []
        list(queue.run_iteration(context))
        Event().wait(0.3)
    return backfill


def failed_by_asset(
    context: WorkspaceProcessContext, backfill: PartitionBackfill
) -> dict[dg.AssetKey, set[str]]:
    """Asset -> patients that the backfill's page shows as failed; the others it shows as done."""
    graph = context.create_request_context().asset_graph
    data = backfill.get_asset_backfill_data(graph)
    failed = {}
    for row in data.get_backfill_status_per_asset_key(graph):
        counts = row.partitions_counts_by_status
        subset = data.failed_and_downstream_subset.get_asset_subset(row.asset_key)
        keys = subset.subset_value.get_partition_keys() if subset else ()
        failed[row.asset_key] = set(keys)
        assert counts[AssetBackfillStatus.FAILED] == len(failed[row.asset_key])
        done = counts[AssetBackfillStatus.MATERIALIZED] + counts[AssetBackfillStatus.FAILED]
        assert done == row.num_targeted_partitions
    return failed


@pytest.fixture
def daemon_home(tmp_path, monkeypatch) -> Callable[..., Any]:
    """Make a cohort, take it in, and open its instance and code location."""

    @contextmanager
    def make(patients: int, corrupt: int) -> Iterator[tuple[Cohort, WorkspaceProcessContext]]:
        cohort = Cohort(tmp_path, patients, corrupt)
        # The server of the code location and the runs learn the home from their environment.
        monkeypatch.setenv("ONCOFRAME_HOME", str(cohort.settings.home))
        monkeypatch.setenv("DAGSTER_HOME", str(cohort.settings.dagster_dir))
        monkeypatch.setenv("ONCOFRAME_WORKER_MEMORY_MB", "1024")
        monkeypatch.chdir(PROJECT)
        with open_instance(cohort.settings.dagster_dir) as instance:
            pipeline = pipeline_of(cohort.settings, instance, Progress())
            pipeline.materialize([dg.AssetKey("landed_files")])
            target = WorkspaceFileTarget([str(PROJECT / "workspace.yaml")])
            with WorkspaceProcessContext(instance, target) as context:
                yield cohort, context

    return make


def check(cohort: Cohort, context: WorkspaceProcessContext, work: Callable[..., Any]) -> None:
    """Backfill, look, repair, retry, look, backfill again."""
    instance = context.instance
    request(context, "first", cohort.patients)
    first = work(context, "first")
    expected = {key: cohort.bad_of(key) for key in KEYS}
    assert first.status == BulkActionStatus.COMPLETED_FAILED
    assert failed_by_asset(context, first) == expected
    assert cohort.missing(instance) == expected
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": "first"}))
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}

    repair(cohort.landing)
    report = pipeline_of(cohort.settings, instance, Progress()).retry()
    assert (report.ok, report.quarantined) == (len(cohort.bad), 0)
    assert cohort.missing(instance) == {key: set() for key in KEYS}

    request(context, "second", cohort.patients)
    second = work(context, "second")
    assert second.status == BulkActionStatus.COMPLETED_SUCCESS
    assert failed_by_asset(context, second) == {key: set() for key in KEYS}


def test_backfill__ends_failed_and_names_exactly_the_bad(daemon_home):
    """Patients shown as done whose file was never read are lost without anybody noticing."""
    with daemon_home(patients=10, corrupt=2) as (cohort, context):
        check(cohort, context, lambda *about: in_process(*about, PATIENCE_S))


@pytest.mark.soak
def test_backfill__of_a_thousand_patients_by_the_daemon_process(daemon_home, tmp_path, capsys):
    """The line that the platform stands on: 963 done, 37 named, none lost; then all clean."""
    with daemon_home(patients=1000, corrupt=37) as (cohort, context):
        begun = time.monotonic()
        with daemon(tmp_path / "daemon.log"):
            check(cohort, context, wait_for_daemon)
        with capsys.disabled():
            found = {"soak": "backfill", "patients": 1000, "corrupt": 37}
            seconds = round(time.monotonic() - begun, 1)
            sys.stdout.write(json.dumps({**found, "lost": 0, "seconds": seconds}) + "\n")


@contextmanager
def daemon(log: Path) -> Iterator[None]:
    """``dagster-daemon run`` on the home in the environment."""
    binary = Path(sys.executable).with_name("dagster-daemon")
    with log.open("w") as sink:
        running = subprocess.Popen(
            [binary, "run", "--workspace", PROJECT / "workspace.yaml"],
            cwd=PROJECT,
            env=dict(os.environ),
            stdout=sink,
            stderr=sink,
        )
        try:
            yield
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)


def wait_for_daemon(context: WorkspaceProcessContext, name: str) -> Any:
    """Look now and then until the daemon has closed a backfill."""
    deadline = time.monotonic() + SOAK_PATIENCE_S
    while (backfill := ended(context.instance, name)) is None:
        assert time.monotonic() < deadline, f"backfill {name} does not end"
        Event().wait(1.0)
    return backfill
