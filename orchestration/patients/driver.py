"""The per-patient driver: every patient ends as ok, quarantined or retry later, none stops another.

    landed files -> plan (what is stale) -> worker pool -> commit (lake, then ledger) -> outcome

The only place that knows commits and quarantine. Rows are committed before the ledger, and what is
stale the feature table itself is asked (:mod:`orchestration.patients.staleness`), so a kill at
any moment loses no finished patient and repeats none. Dagster events are written by
:mod:`orchestration.patients.per_patient`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import chain, islice

import polars as pl

from oncoframe import facts, ledger
from oncoframe.contracts import WITHDRAWN, Contract
from oncoframe.errors import ContractViolation, OncoFrameError, Unavailable
from oncoframe.extraction import ReadFile
from oncoframe.feature_rows import feature_rows
from oncoframe.lake import Lake
from oncoframe.ledger import Entry, Outcome
from oncoframe.modalities import spec
from orchestration.patients import pictures, staleness
from orchestration.patients.pool import Finished, WorkerPool
from orchestration.patients.references import prepare_references, seed_dictionaries
from orchestration.patients.staleness import row_states, state
from orchestration.patients.worker import Task
from orchestration.settings import Settings

#: In place of the hash of a file in a row that takes others back.
_NO_FILE = sha256(b"").hexdigest()


@dataclass(frozen=True)
class PatientOutcome:
    """How one patient and modality ended in this run.

    Parameters
    ----------
    entry
        As it stands in the ledger.
    reads
        Files read in this run, in order of date; empty for what was settled before.
    """

    entry: Entry
    reads: tuple[ReadFile, ...] = ()


class Driver:
    """Runs the extractor of a modality over patients.

    Parameters
    ----------
    lake
        Holds landed files, feature tables and ledger.
    settings
        Workers, commit size, limits and backoff.
    clock
        Tells the time, UTC; ``created_timestamp`` of the rows.
    """

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC),
    ) -> None:
        self.lake = lake
        self.settings = settings
        self.clock = clock

    def run(
        self, modality: str, patients: Sequence[str], *, run_id: str, retry: bool = False
    ) -> Iterator[PatientOutcome]:
        """Bring the feature table up to date for some patients.

        Parameters are those of :func:`orchestration.patients.staleness.plan`.

        Yields
        ------
        One outcome per patient, after it is in the lake and the ledger.
        """
        prepare_references(self.settings)
        seed_dictionaries(self.settings, self.lake)
        plan = staleness.plan(
            self.lake, modality, patients, now=self.clock(), run_id=run_id, retry=retry
        )
        self._withdraw(spec(modality).contract, plan.gone, run_id)
        ledger.append(self.lake, plan.news())
        yield from map(PatientOutcome, plan.settled)
        if not plan.tasks:
            return
        with WorkerPool(self.settings) as pool:
            finished = pool.run(plan.tasks)
            while batch := list(islice(finished, self.settings.commit_patients)):
                yield from self._commit(modality, batch, plan.tasks)

    def failed(self, modality: str) -> list[Entry]:
        """Patients of a modality that are in quarantine or wait for another try."""
        bad = (Outcome.QUARANTINED, Outcome.RETRY_LATER)
        found = staleness.entries(self.lake, modality)
        return [entry for entry in found.values() if entry.outcome in bad]

    def _commit(
        self, modality: str, batch: Sequence[Finished], entries: dict[Task, Entry]
    ) -> list[PatientOutcome]:
        """Write one batch: rows first, then the ledger, so that the ledger never promises more."""
        contract = spec(modality).contract
        errors = {item.task: item.reading.error for item in batch if item.reading.error}
        found = {item.task: item.reading.reads for item in batch if item.reading.reads}
        # Before the rows: no row that a person cannot look at.
        pictures.keep(self.settings.pictures_dir, modality, chain.from_iterable(found.values()))
        with self.lake.lock(contract.table):
            # Another run may have written the same files since this one was planned.
            done = row_states(self.lake, contract, [task.patient_id for task in found])
            new = {
                task: [
                    read
                    for read in reads
                    if state(contract, read.file, read.sha256) not in done[task.patient_id]
                ]
                for task, reads in found.items()
            }
            run_id = next(iter(entries.values())).run_id
            # Before the rows, as pictures are.
            read = chain.from_iterable(new.values())
            facts.append(self.lake, contract, read, created=self.clock(), run_id=run_id)
            refused = self._append(contract, new, run_id)
        errors.update(refused)
        outcomes = [
            PatientOutcome(
                self._attempted(entries[item.task], item.tries, errors.get(item.task)),
                () if item.task in refused else item.reading.reads,
            )
            for item in batch
        ]
        ledger.append(self.lake, [outcome.entry for outcome in outcomes])
        return outcomes

    def _withdraw(
        self, contract: Contract, gone: Mapping[str, Sequence[datetime]], run_id: str
    ) -> None:
        """Take back the rows whose assay left the landing zone; they stay for old frames."""
        if not gone:
            return
        with self.lake.lock(contract.table):
            # Another run may have done it since this one was planned.
            done = row_states(self.lake, contract, list(gone))
            rows = [
                {
                    "patient_id": patient_id,
                    "event_timestamp": when,
                    "created_timestamp": self.clock(),
                    contract.performed_column: False,
                    "source_sha256": _NO_FILE,
                    "code_version": contract.code_version,
                    "run_id": run_id,
                    WITHDRAWN: True,
                }
                for patient_id, times in gone.items()
                for when in {when for when, *_ in done[patient_id]}.intersection(times)
            ]
            if rows:
                self.lake.append_features(contract, pl.DataFrame(rows, contract.schema()))

    def _append(
        self, contract: Contract, reads: Mapping[Task, Sequence[ReadFile]], run_id: str
    ) -> dict[Task, OncoFrameError]:
        """Append the rows of all tasks; a task whose rows break the contract is refused alone."""
        rows = partial(feature_rows, self.lake, contract, created=self.clock(), run_id=run_id)

        def append(tasks: Iterable[Task]) -> None:
            if files := [read for task in tasks for read in reads[task]]:
                self.lake.append_features(contract, rows(files))

        refused: dict[Task, OncoFrameError] = {}
        try:
            append(reads)
        except ContractViolation:
            for task, files in reads.items():
                try:
                    contract.check(rows(files))
                except ContractViolation as error:
                    refused[task] = error
            append([task for task in reads if task not in refused])
        return refused

    def _attempted(self, entry: Entry, tries: int, error: OncoFrameError | None) -> Entry:
        entry = replace(entry, attempts=entry.attempts + tries, last_seen=self.clock())
        if error is None:
            return entry
        transient = isinstance(error, Unavailable)
        return replace(
            entry,
            outcome=Outcome.RETRY_LATER if transient else Outcome.QUARANTINED,
            error=error.name,
            message=str(error),
        )
