"""The process pool: each task ends alone, whatever its file does to the worker.

    tasks -> worker processes -> what was read and the typed error per task, as they end

A worker that crashes, hangs or runs out of memory costs its task only; transient errors are tried
again with exponential backoff while other tasks go on. What a task means is the driver's business.
"""

import heapq
import itertools
import multiprocessing
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import forkserver
from typing import Self

from pebble import ProcessExpired, ProcessPool

from oncoframe.errors import (
    ExtractorFailed,
    OncoFrameError,
    SettingsError,
    TimedOut,
    Unavailable,
    WorkerDied,
)
from oncoframe.modalities import MODULES
from orchestration.patients.references import prepare_references
from orchestration.patients.worker import (
    OUT_OF_MEMORY,
    READER_CRASHED,
    Reading,
    Task,
    prepare,
    read_patient,
    worker_environment,
)
from orchestration.settings import PROJECT, Settings

#: Tasks handed to the pool per worker: enough to keep it busy, few enough to bound memory.
_AHEAD = 4
#: Exit codes that a worker chose.
_EXITS = {
    OUT_OF_MEMORY: "the file needs more memory than a worker has",
    READER_CRASHED: "the file crashed its reader",
}


@dataclass(frozen=True)
class Finished:
    """A task that ended: what was read, what was wrong; and after how many tries."""

    task: Task
    reading: Reading
    tries: int


class WorkerPool:
    """Worker processes for one run; a context manager that leaves none behind.

    Parameters
    ----------
    settings
        Number of workers, time and memory per patient, backoff of transient errors.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: ProcessPool | None = None

    def __enter__(self) -> Self:
        prepare_references(self._settings)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["orchestration.patients.worker", *MODULES.values()])
        with worker_environment():
            forkserver.ensure_running()
        self._pool = ProcessPool(
            max_workers=self._settings.workers,
            initializer=prepare,
            initargs=[self._settings.worker_memory_mb, self._settings.reference_dir],
            context=context,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()

    def run(
        self, tasks: Iterable[Task], work: Callable[[Task], Reading] = read_patient
    ) -> Iterator[Finished]:
        """Yield every task once, as it ends for good.

        Parameters
        ----------
        tasks
            What is to be read.
        work
            What a worker does with a task; it must be light to import.

        Raises
        ------
        SettingsError
            If no worker can be started with the memory it may use.
        """
        todo = iter(tasks)
        running: dict[Future[Reading], tuple[Task, int]] = {}
        later: list[tuple[float, int, Task, int]] = []
        tickets = itertools.count()
        room = _AHEAD * self._settings.workers
        while True:
            while len(running) < room and (ready := _next(todo, later)):
                running[self._schedule(ready[0], work)] = ready
            if not running and not later:
                return
            # With every place taken, only a task that ends makes room for one that is due.
            full = len(running) == room
            pause = max(0.0, later[0][0] - time.monotonic()) if later and not full else None
            if not running:
                time.sleep(pause or 0.0)
                continue
            for future in wait(running, timeout=pause, return_when=FIRST_COMPLETED).done:
                task, tries = running.pop(future)
                reading = self._reading(future, task)
                if isinstance(reading.error, Unavailable) and tries < self._settings.retry_tries:
                    due = time.monotonic() + self._wait_s(tries)
                    heapq.heappush(later, (due, next(tickets), task, tries + 1))
                else:
                    yield Finished(task, reading, tries)

    def _schedule(self, task: Task, work: Callable[[Task], Reading]) -> "Future[Reading]":
        if self._pool is None:
            msg = "the pool is used outside its context"
            raise RuntimeError(msg)
        return self._pool.schedule(work, args=[task], timeout=self._settings.patient_timeout_s)

    def _wait_s(self, tries: int) -> float:
        return self._settings.retry_wait_s * self._settings.retry_factor ** (tries - 1)

    def _reading(self, future: "Future[Reading]", task: Task) -> Reading:
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, BrokenProcessPool):
            # No file's fault: to put all patients in quarantine for it would be wrong.
            raise SettingsError(
                "the worker processes could not be started",
                where="setting worker_memory_mb",
                expected="a limit that the system grants",
                got=f"{self._settings.worker_memory_mb} MB",
            ) from error
        return Reading(error=self._fatal(error, task))

    def _fatal(self, error: BaseException, task: Task) -> OncoFrameError:
        """What a task is told for that ended without saying what was wrong."""
        where = ", ".join(file.path for file in task.files if file.path)
        if isinstance(error, TimeoutError):
            allowed = f"at most {self._settings.patient_timeout_s:g} s"
            return TimedOut("reading the file took too long", where=where, expected=allowed)
        if isinstance(error, ProcessExpired):
            code = error.exitcode
            return WorkerDied(
                "the worker process died while it read the file",
                where=where,
                got=_EXITS.get(code, f"exit code {code}"),
                hint="The file may be damaged, or need more memory than worker_memory_mb.",
            )
        return ExtractorFailed(
            "the extractor stopped with an error it does not know",
            where=where,
            got=f"{type(error).__name__}{_raised_at(error)}",
            hint="This is a defect of the extractor; please report it.",
        )


def _raised_at(error: BaseException) -> str:
    """Line of code that raised an error in a worker; the message may hold a patient's value."""
    frames = re.findall(r'File "(.+)", line (\d+), in ', str(error.__cause__))
    ours = [
        (path, line)
        for path, line in frames
        if path.startswith(f"{PROJECT}/") and "/site-packages/" not in path
    ]
    if not ours:
        return ""
    path, line = ours[-1]
    return f" at {path.removeprefix(f'{PROJECT}/')}:{line}"


def _next(
    todo: Iterator[Task], later: list[tuple[float, int, Task, int]]
) -> tuple[Task, int] | None:
    if later and later[0][0] <= time.monotonic():
        _, _, task, tries = heapq.heappop(later)
        return task, tries
    task_or_none = next(todo, None)
    return None if task_or_none is None else (task_or_none, 1)
