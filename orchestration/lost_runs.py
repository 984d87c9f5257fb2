"""Runs in process that were killed: Dagster would take them for alive for ever.

run -> tag naming a lock that its process holds -> lock free: the process is gone -> run failed

After kill -9 nobody tells Dagster. The UI would show the run as started, and each such run would
keep one of the places of the queue, so that two of them stop every backfill.
"""

from pathlib import Path
from uuid import uuid4

import dagster as dg
from filelock import FileLock, Timeout

#: Run tag: lock that the process of the run holds as long as it lives.
PROCESS_TAG = "oncoframe/process"


class RunningProcess:
    """Says that this process lives, and finds runs whose process does not.

    Parameters
    ----------
    folder
        Of the locks, one per process; on a file system that all processes of the home share.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = uuid4().hex
        # Held until the process ends, however it ends: the system lets go of it.
        self._lock = FileLock(self._file(self._name), thread_local=False)

    def tags(self) -> dict[str, str]:
        """Tags of the runs of this process."""
        if not self._lock.is_locked:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        return {PROCESS_TAG: self._name}

    def close_lost_runs(self, instance: dg.DagsterInstance) -> None:
        """Mark the unfinished runs of processes that are gone as failed."""
        unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
        for run in instance.get_runs(dg.RunsFilter(statuses=unfinished)):
            name = run.tags.get(PROCESS_TAG)
            # Re-executed in the UI, a run has the tag of the one before, but another process.
            if name is not None and run.parent_run_id is None and self._is_gone(name):
                instance.report_run_failed(run, "The process of this run was killed.")

    def _is_gone(self, name: str) -> bool:
        try:
            with FileLock(self._file(name), timeout=0):
                return True
        except Timeout:
            return False

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.lock"
