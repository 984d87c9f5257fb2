"""What runs in a worker process: one patient's files of one modality through the extractor.

    Task -> local copy -> hash -> extract -> Reading: what was read, and the typed error
    Task -> write_copy -> Reading without features: a CT folder at intake

Imported by every worker, so nothing heavy stands here: no Dagster, no Feast, no lake.
"""

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import F_GETFL, F_SETFL, F_SETOWN, F_SETSIG, fcntl
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING

from polars.exceptions import PanicException

from oncoframe.contracts import Status
from oncoframe.errors import OncoFrameError, Unavailable
from oncoframe.extraction import LandedFile, ReadFile, signed
from oncoframe.files import local_copy, local_sha256
from oncoframe.modalities import extractor
from oncoframe.reference.active import use

if TYPE_CHECKING:
    from assets.imaging.copies import Deidentification

#: What workers are born with. Libraries would start a thread per core; the pool already uses every
#: core. Polars, out of memory, would hang for ever in the attempt to print where. And Python would
#: take modules from the current folder, where somebody may have an assets.py of his own.
_ENVIRONMENT = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RUST_BACKTRACE": "0",
    "PYTHONSAFEPATH": "1",
}


#: Exit codes of a worker that ends itself; the pool says in words what they mean.
OUT_OF_MEMORY, READER_CRASHED = errno.ENOMEM, errno.EFAULT


@dataclass(frozen=True)
class Task:
    """Files of one patient and modality that a worker reads in one go."""

    patient_id: str
    modality: str
    files: tuple[LandedFile, ...]


@dataclass(frozen=True)
class Reading:
    """What came of a task.

    Parameters
    ----------
    reads
        Files that could be read; a specimen is not lost for a later one with a bad file.
    error
        What was wrong with another one; None if all were read.
    """

    reads: tuple[ReadFile, ...] = ()
    error: OncoFrameError | None = None


def prepare(memory_mb: int, references: Path | None = None) -> None:
    """Bound a new worker: address space, no core dumps, no chatter, no life without its run.

    Parameters
    ----------
    memory_mb
        Address space it may use, in MB, besides what its libraries have mapped already, which
        differs between machines.
    references
        Folder of the user's annotation, see :func:`oncoframe.reference.active.use`.
    """
    _follow_run()
    use(references)
    limit = _address_space() + memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # htslib writes what it dislikes to stderr; the typed error says it once, for the right file.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _address_space() -> int:
    """Bytes that this process has mapped."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _follow_run() -> None:
    """End with the run: after its kill -9 nobody else would stop a worker that hangs.

    The kernel is asked to kill when the run's end of a pipe closes: a thread that waits for that
    would itself wait for the interpreter, which a native library that hangs never gives back.
    """
    run = parent_process()
    if run is not None:
        fcntl(run.sentinel, F_SETOWN, os.getpid())
        fcntl(run.sentinel, F_SETSIG, signal.SIGKILL)
        fcntl(run.sentinel, F_SETFL, fcntl(run.sentinel, F_GETFL) | os.O_ASYNC)


@contextmanager
def worker_environment() -> Iterator[None]:
    """Environment for workers to be born in, one thread each.

    The run itself gets its own environment back; training in the same process uses all cores.
    """
    before = {variable: os.environ.get(variable) for variable in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value


def read_patient(task: Task) -> Reading:
    """Extract every file of the task that can be read.

    Of several errors one that may pass counts first, so that the files are tried again, then the
    earliest. It names the file as landed.
    """
    reads: list[ReadFile] = []
    errors: list[OncoFrameError] = []
    for file in task.files:
        try:
            reads.append(_read(file))
        except OncoFrameError as error:
            errors.append(error)
    errors.sort(key=lambda error: not isinstance(error, Unavailable))
    return Reading(tuple(reads), errors[0] if errors else None)


def copy_study(task: Task, how: "Deidentification") -> Reading:
    """Copy the folder of the task's one file; says what was wrong with it."""
    # Only a worker that copies a CT needs it.
    from assets.imaging.copies import write_copy  # noqa: PLC0415

    [file] = task.files
    target = how.target(file.patient_id, file.collected_on)
    try:
        write_copy(file.patient_id, file.path, target, how)
    except OncoFrameError as error:
        return Reading(error=error)
    except MemoryError:
        # What filled the memory may still do so: the next patient gets a fresh process.
        os._exit(OUT_OF_MEMORY)
    return Reading()


def _read(file: LandedFile) -> ReadFile:
    if file.status == Status.FAILED:
        return ReadFile(file, file.signature, None)
    try:
        with local_copy(file.path) as local:
            return _extract(file, local)
    except MemoryError:
        # What filled the memory may still do so: the next patient gets a fresh process.
        os._exit(OUT_OF_MEMORY)
    except PanicException:
        # Polars' own end of a thread, mostly for want of memory; what it leaves is not defined.
        os._exit(READER_CRASHED)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unavailable("the file could not be read", where=file.path, got=reason) from error


def _extract(file: LandedFile, local: Path) -> ReadFile:
    try:
        digest = signed(local_sha256(local), file.sample)
        extract = extractor(file.modality)
        if file.sample is None:  # a modality of one sample need not know of others
            found = extract(local, reference_build=file.reference_build)
        else:
            found = extract(local, reference_build=file.reference_build, sample=file.sample)
        return ReadFile(file, digest, found)
    except OncoFrameError as error:
        # A temporary download has a name nobody knows; the user knows the landed one.
        error.where = (error.where or str(local)).replace(str(local), file.path)
        raise
