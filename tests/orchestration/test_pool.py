"""Worker pool: whatever a file does to its worker, the other tasks end as if it were not there.

A named pipe stands for the file that never ends: whoever opens it waits until somebody writes.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import forkserver
from pathlib import Path
from threading import Event

import boto3
import cyvcf2
import pytest
from moto.server import ThreadedMotoServer

from oncoframe.contracts import Modality, Status
from oncoframe.errors import (
    EmptyFile,
    ExtractorFailed,
    FileMissing,
    SettingsError,
    TimedOut,
    Unavailable,
    WorkerDied,
)
from oncoframe.extraction import LandedFile
from orchestration.patients import pool as pool_module
from orchestration.patients.pool import Finished, WorkerPool
from orchestration.patients.worker import Reading, Task, read_patient
from orchestration.settings import PROJECT

HEADER = "#FusionName\tJunctionReadCount\tSpanningFragCount\n"


@pytest.fixture
def write(tmp_path):
    """Write a fusion table with one call, or other content; returns its task."""

    def make(patient_id: str, content: str = f"{HEADER}BCR--ABL1\t10\t5\n") -> Task:
        path = tmp_path / f"{patient_id}.tsv"
        path.write_text(content)
        return task(patient_id, path)

    return make


@pytest.fixture
def endless(tmp_path):
    """Make a pipe that nobody writes to; returns its task."""

    def make(patient_id: str) -> Task:
        path = tmp_path / f"{patient_id}.pipe"
        os.mkfifo(path)
        return task(patient_id, path)

    return make


def task(patient_id: str, path: str | Path) -> Task:
    may = datetime(2024, 5, 1, tzinfo=UTC)
    file = LandedFile(
        patient_id, Modality.FUSION, str(path), may, Status.PERFORMED, None, None, None, "landed"
    )
    return Task(patient_id, Modality.FUSION, (file,))


def finish(settings, tasks) -> dict[str, Finished]:
    with WorkerPool(settings) as pool:
        finished = list(pool.run(tasks))
    assert len({one.task for one in finished}) == len(finished)
    return {one.task.patient_id: one for one in finished}


def workers() -> set[int]:
    """Worker processes of this process, by their parent, the fork server."""
    return workers_of(forkserver._forkserver._forkserver_pid)  # noqa: SLF001  (no public way)


def kill_workers() -> None:
    for worker in workers():
        os.kill(worker, signal.SIGKILL)


def workers_of(server: int | None) -> set[int]:
    return {pid for pid in _processes() if _parent(pid) == server}


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


@contextmanager
def being_read(pipe: Path) -> Iterator[None]:
    """Wait until somebody reads the pipe, and keep them reading."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            time.sleep(0.005)
        else:
            yield
            os.close(end)
            return
    pytest.fail(f"nobody reads {pipe}")


@contextmanager
def in_background(function: Callable[[], None]) -> Iterator[None]:
    """Run something beside; what it raises is raised at the end."""
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(function)
        yield
        future.result()


def test_run__ends_every_task_once(settings, write):
    """A task lost between queue and worker is a patient lost."""
    tasks = [write(f"P{number}") for number in range(30)]
    finished = finish(settings, iter(tasks))
    assert sorted(finished) == sorted(task.patient_id for task in tasks)
    assert all(one.tries == 1 for one in finished.values())
    features = [one.reading.reads[0].extraction.features for one in finished.values()]
    assert all(found["BCR::ABL1"] is True for found in features)


def test_run__of_nothing_ends(settings):
    """An unchanged cohort has no tasks."""
    assert finish(settings, []) == {}


def test_run__tries_a_bad_file_once(settings, write):
    """A file that is wrong stays wrong: trying again for minutes helps nobody."""
    finished = finish(settings, [write("bad", ""), write("good")])
    assert isinstance(finished["bad"].reading.error, EmptyFile)
    assert finished["bad"].tries == 1
    assert finished["good"].reading.error is None


def test_run__says_which_file_is_missing(settings, tmp_path):
    """The path in the ledger is what the laboratory searches for."""
    finished = finish(settings, [task("P1", tmp_path / "gone.tsv")])
    assert isinstance(finished["P1"].reading.error, FileMissing)
    assert str(tmp_path / "gone.tsv") in str(finished["P1"].reading.error)


def test_run__tries_again_what_may_pass_and_then_gives_up(settings, write):
    """Storage away: the patient is tried as often as told, the others do not wait for it."""
    start = time.monotonic()
    finished = finish(settings, [task("away", "s3://bucket/away.tsv"), write("good")])
    assert isinstance(finished["away"].reading.error, Unavailable)
    assert finished["away"].tries == settings.retry_tries
    assert "s3://bucket/away.tsv" in str(finished["away"].reading.error)
    assert finished["good"].reading.error is None
    assert time.monotonic() - start < settings.patient_timeout_s


@pytest.fixture
def storage(closed_port, s3_port):
    """Object storage with a fusion table that no worker can reach until ``start`` is called."""
    behind, front = (
        ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        for port in (closed_port, s3_port)
    )
    behind.start()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{closed_port}")
    place = {"LocationConstraint": "eu-central-1"}
    client.create_bucket(Bucket="bucket", CreateBucketConfiguration=place)
    client.put_object(Bucket="bucket", Key="away.tsv", Body=f"{HEADER}BCR--ABL1\t10\t5\n")
    yield front
    client.delete_object(Bucket="bucket", Key="away.tsv")
    behind.stop()
    front.stop()


def test_run__succeeds_when_storage_comes_back(settings, endless, storage, tmp_path):
    """An outage of a minute must not cost a patient."""

    def repair() -> None:
        # The only worker reads the second file, so the first was tried, without success.
        with being_read(tmp_path / "second.pipe"):
            storage.start()
            kill_workers()

    one_worker = settings.model_copy(update={"workers": 1})
    tasks = [task("away", "s3://bucket/away.tsv"), endless("second")]
    with in_background(repair):
        away = finish(one_worker, tasks)["away"]
    assert away.reading.reads[0].extraction.features["BCR::ABL1"] is True
    assert away.tries == 2


def test_run__ends_a_file_that_takes_too_long(settings, write, endless):
    """One hanging file would otherwise hold a worker until somebody looks in the morning."""
    impatient = settings.model_copy(update={"patient_timeout_s": 0.5})
    finished = finish(impatient, [endless("hangs"), *(write(f"P{n}") for n in range(5))])
    hangs = finished.pop("hangs")
    assert isinstance(hangs.reading.error, TimedOut)
    assert "hangs.pipe: reading the file took too long; expected at most 0.5 s" in str(
        hangs.reading.error
    )
    assert all(one.reading.error is None for one in finished.values())


def test_run__outlives_a_killed_worker(settings, write, endless, tmp_path):
    """The kernel kills for memory: that patient alone is lost, the pool goes on."""

    def kill() -> None:
        with being_read(tmp_path / "killed.pipe"):
            kill_workers()

    one_worker = settings.model_copy(update={"workers": 1})
    tasks = [endless("killed"), *(write(f"P{number}") for number in range(5))]
    with in_background(kill):
        finished = finish(one_worker, tasks)
    killed = finished.pop("killed")
    assert isinstance(killed.reading.error, WorkerDied)
    assert "killed.pipe: the worker process died" in str(killed.reading.error)
    assert killed.tries == 1
    assert all(one.reading.error is None for one in finished.values())


def die_in_htslib(task: Task) -> Reading:
    """Read a task in a worker whose htslib crashes on every file that it opens."""
    cyvcf2.VCF = lambda _: os.kill(os.getpid(), signal.SIGSEGV)
    return read_patient(task)


def test_run__outlives_a_bcf_that_kills_htslib(settings, write, write_bcf, tmp_path):
    """Htslib reads BCF and nothing else; the fusions of the others are read by a new worker."""
    columns = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT TUMOUR".replace(" ", "\t")
    (tmp_path / "calls.vcf").write_text(f"##fileformat=VCFv4.2\n{columns}\n")
    write_bcf(tmp_path / "calls.vcf", tmp_path / "calls.bcf")
    file = replace(write("bcf").files[0], modality=Modality.SNV, path=f"{tmp_path}/calls.bcf")
    killed = Task("bcf", Modality.SNV, (file,))
    one_worker = settings.model_copy(update={"workers": 1})
    with WorkerPool(one_worker) as pool:
        tasks = [killed, *(write(f"P{number}") for number in range(3))]
        finished = {one.task.patient_id: one for one in pool.run(tasks, die_in_htslib)}
    died = finished.pop("bcf").reading.error
    assert isinstance(died, WorkerDied)
    assert "calls.bcf: the worker process died" in str(died)
    assert len(finished) == 3
    assert all(one.reading.error is None for one in finished.values())


def test_run__says_when_a_file_takes_all_memory(settings, write):
    """A file that takes more than a worker may use ends its worker, without the kernel's help."""
    counts = "gene_id\tcount\n" + "".join(f"ENSG{n:011d}\t7\n" for n in range(1_500_000))
    large = write("large", counts)
    files = (replace(large.files[0], modality=Modality.EXPRESSION),)
    large = replace(large, modality=Modality.EXPRESSION, files=files)
    small_memory = settings.model_copy(update={"worker_memory_mb": 256})
    finished = finish(small_memory, [large, write("good")])
    assert isinstance(finished["large"].reading.error, WorkerDied)
    assert "worker_memory_mb" in str(finished["large"].reading.error)
    assert finished["good"].reading.error is None


_READ_IN_A_FOREIGN_FOLDER = """
import sys
from datetime import UTC, datetime
from oncoframe.contracts import Modality, Status
from oncoframe.extraction import LandedFile
from orchestration.patients.pool import WorkerPool
from orchestration.patients.worker import Task
from orchestration.settings import Settings

if __name__ == "__main__":
    may = datetime(2024, 5, 1, tzinfo=UTC)
    file = LandedFile(
        "P1", Modality.FUSION, sys.argv[1], may, Status.PERFORMED, None, None, None, "landed"
    )
    with WorkerPool(Settings(workers=1)) as pool:
        [one] = pool.run([Task("P1", Modality.FUSION, (file,))])
    print(one.reading.error)
"""


@pytest.mark.parametrize("stranger", ["assets.py", "oncoframe.py", "orchestration.py", "polars.py"])
def test_run__imports_nothing_from_the_current_folder(write, tmp_path, stranger):
    """An analyst's own assets.py there took the place of our package in every worker."""
    write("P1")
    (tmp_path / stranger).write_text("raise RuntimeError('a stranger')")
    script = tmp_path / "scripts" / "read.py"
    script.parent.mkdir()
    script.write_text(_READ_IN_A_FOREIGN_FOLDER)
    done = subprocess.run(
        [sys.executable, script, tmp_path / "P1.tsv"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("None\n", 0), done.stderr


def test_run__calls_an_unknown_error_a_defect(settings, write):
    """An error outside the tree must reach the ledger with the place to look at, and no value."""
    good = write("P1")
    files = (replace(good.files[0], reference_build=38),)  # a number, which no reader expects
    finished = finish(settings, [replace(good, files=files)])
    assert isinstance(finished["P1"].reading.error, ExtractorFailed)
    assert re.search(r"got \w+Error at [a-z/_]+\.py:\d+\.", str(finished["P1"].reading.error))


def test_run__blames_no_file_when_no_worker_starts(settings, write):
    """A limit that the system refuses would put the whole cohort in quarantine."""
    with pytest.raises(SettingsError, match="setting worker_memory_mb"):
        finish(settings.model_copy(update={"worker_memory_mb": 2**50}), [write("P1")])


def test_run__yields_in_order_of_completion(settings, write, endless):
    """A batch is committed as it ends, not when its slowest patient does."""
    slow = endless("slow")
    with WorkerPool(settings) as pool:
        finished = pool.run([slow, *(write(f"P{number}") for number in range(20))])
        first = [next(finished).task.patient_id for _ in range(20)]
    assert "slow" not in first


def test_run__takes_tasks_as_they_are_needed(settings, write):
    """All tasks of a cohort in the queue at once would hold them all in memory."""
    taken = []

    def tasks():
        for number in range(40):
            taken.append(number)
            yield write(f"P{number}")

    with WorkerPool(settings) as pool:
        finished = pool.run(tasks())
        next(finished)
        assert len(taken) < 20
        assert len(list(finished)) == 39


def test_run__does_not_spin_while_every_place_is_taken(settings, endless, monkeypatch, tmp_path):
    """Asking in a circle whether a retry has room takes a core away from the workers."""
    asked = []
    real = pool_module.wait
    monkeypatch.setattr(pool_module, "wait", lambda *a, **k: asked.append(1) or real(*a, **k))
    pipes = [tmp_path / f"P{number}.pipe" for number in range(4)]

    def watch() -> None:
        with being_read(pipes[0]):
            before = len(asked)
            Event().wait(0.3)
            monkeypatch.setattr(pool_module, "wait", real)
            assert len(asked) - before < 5
            kill_workers()
        for pipe in pipes[1:]:
            with being_read(pipe):
                kill_workers()

    one_worker = settings.model_copy(update={"workers": 1})
    with in_background(watch):
        finish(one_worker, [task("away", "s3://b/a.tsv"), *(endless(p.stem) for p in pipes)])


def test_exit__leaves_no_process_behind(settings, write, endless):
    """A run that is cancelled (generator closed, Ctrl-C) must free the machine."""
    with WorkerPool(settings) as pool:
        finished = pool.run([write("good"), endless("hangs")])
        next(finished)
        assert workers()
    assert workers() == set()


def test_enter__gives_the_environment_back(settings, write):
    """Training in the same process would go on with one thread."""
    before = dict(os.environ)
    finish(settings, [write("P1")])
    assert dict(os.environ) == before


def test_run__needs_its_context(settings, write):
    """A pool without processes would wait for ever."""
    with pytest.raises(RuntimeError, match="outside its context"):
        next(WorkerPool(settings).run([write("P1")]))


_RUN = """
import sys
from datetime import UTC, datetime
from oncoframe.contracts import Modality, Status
from oncoframe.extraction import LandedFile
from orchestration.patients.pool import WorkerPool
from orchestration.settings import Settings
from orchestration.patients.worker import Reading, Task, read_patient

def main():
    may = datetime(2024, 5, 1, tzinfo=UTC)
    file = LandedFile("P", "fusion", sys.argv[1], may, Status.PERFORMED, None, None, None, "0")
    with WorkerPool(Settings(home=sys.argv[2], workers=1)) as pool:
        list(pool.run([Task("P", Modality.FUSION, (file,))]))

if __name__ == "__main__":
    main()
"""


def test_workers__end_when_their_run_is_killed(endless, tmp_path):
    """After kill -9 of a run its hanging worker would stay for ever, and the next one's beside."""
    endless("hangs")
    script = tmp_path / "run.py"
    script.write_text(_RUN)
    run = subprocess.Popen(
        [sys.executable, script, tmp_path / "hangs.pipe", tmp_path / "home"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stderr=subprocess.DEVNULL,
    )
    with being_read(tmp_path / "hangs.pipe"):
        [server] = [pid for pid in _processes() if _parent(pid) == run.pid and workers_of(pid)]
        mine = {server, *workers_of(server)}
        run.kill()
        run.wait()
        assert gone(mine)


_HANG = """
import ctypes
import multiprocessing
import os
from orchestration.patients.worker import prepare

def hang():
    prepare(4096)
    print(os.getpid(), flush=True)
    ctypes.PyDLL(None).pause()

if __name__ == "__main__":
    worker = multiprocessing.get_context("forkserver").Process(target=hang)
    worker.start()
    worker.join()
"""


def test_workers__end_with_their_run_also_in_native_code(tmp_path):
    """A library that hangs with the interpreter's lock leaves no Python thread to notice."""
    script = tmp_path / "run.py"
    script.write_text(_HANG)
    with subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        worker = int(run.stdout.readline())
        run.kill()
    assert gone({worker})


def gone(processes: set[int]) -> bool:
    """Whether all of them end within a time that is long even for a busy machine."""
    deadline = time.monotonic() + 20
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(alive, processes))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
