"""The per-patient driver: every patient ends as ok, quarantined or retry later, none stops another.

    landed files -> plan (what is stale) -> worker pool -> commit (lake, then ledger) -> outcome

The only place that knows staleness, commits and quarantine. A patient counts as done when its rows
are in the feature table: the table itself is asked, so a kill at any moment loses no finished
patient and repeats none. Dagster events are written by :mod:`orchestration.per_patient`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice

import polars as pl

from assets import ledger
from assets.contracts import Contract, Modality, Status
from assets.errors import ContractViolation, OncoFrameError, Unavailable
from assets.extraction import LandedFile, ReadFile
from assets.extractors import EXTRACTORS
from assets.feature_rows import feature_rows
from assets.lake import Lake, latest_rows
from assets.landing.intake import files_by_patient, landed
from assets.ledger import Entry, Outcome
from orchestration.pool import Finished, WorkerPool
from orchestration.settings import Settings
from orchestration.worker import Task

#: (event time, hash, genome build, tool, site, assay performed) of a row: what makes it current.
RowState = tuple[datetime, str, str | None, str | None, str | None, bool]


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


@dataclass(frozen=True)
class Plan:
    """What a run over some patients and one modality has to do.

    Parameters
    ----------
    before
        Patient -> last entry in the ledger.
    settled
        Patients that need no worker: done, not performed, or known to be bad.
    tasks
        Files to read, and the entry of their patient if all goes well.
    """

    before: dict[str, Entry]
    settled: list[Entry]
    tasks: dict[Task, Entry]

    def news(self) -> list[Entry]:
        """Settled entries that the ledger does not hold yet."""
        return [entry for entry in self.settled if self.before.get(entry.patient_id) != entry]


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

    def plan(
        self, modality: Modality, patients: Sequence[str], *, run_id: str = "", retry: bool = False
    ) -> Plan:
        """Split patients into settled ones and tasks for the workers.

        Parameters
        ----------
        modality
            Whose files, extractor and table.
        patients
            Pseudonyms; one without files has no assay performed.
        run_id
            Run that the new entries name.
        retry
            Also read files again that failed before and did not change.
        """
        contract = EXTRACTORS[modality].contract
        files = files_by_patient(landed(self.lake), modality)
        done = self._row_states(contract, patients)
        plan = Plan(self._ledger(modality), [], {})
        for patient_id in patients:
            mine = files.get(patient_id, [])
            before = plan.before.get(patient_id)
            entry = self._entry(contract, modality, patient_id, mine, before, run_id)
            same = before is not None and _same_input(before, entry)
            stale = tuple(f for f in mine if _state(f) not in done[patient_id])
            if not stale:
                unchanged = same and before is not None and before.outcome == entry.outcome
                plan.settled.append(before if unchanged and before else entry)
            elif same and before and before.outcome == Outcome.QUARANTINED and not retry:
                plan.settled.append(before)
            else:
                plan.tasks[Task(patient_id, modality, stale)] = entry
        return plan

    def run(
        self, modality: Modality, patients: Sequence[str], *, run_id: str, retry: bool = False
    ) -> Iterator[PatientOutcome]:
        """Bring the feature table up to date for some patients.

        Parameters are those of :meth:`plan`.

        Yields
        ------
        One outcome per patient, after it is in the lake and the ledger.
        """
        plan = self.plan(modality, patients, run_id=run_id, retry=retry)
        ledger.append(self.lake, plan.news())
        yield from map(PatientOutcome, plan.settled)
        if not plan.tasks:
            return
        with WorkerPool(self.settings) as pool:
            finished = pool.run(plan.tasks)
            while batch := list(islice(finished, self.settings.commit_patients)):
                yield from self._commit(modality, batch, plan.tasks)

    def failed(self, modality: Modality) -> list[Entry]:
        """Patients of a modality that are in quarantine or wait for another try."""
        bad = (Outcome.QUARANTINED, Outcome.RETRY_LATER)
        return [entry for entry in self._ledger(modality).values() if entry.outcome in bad]

    def _commit(
        self, modality: Modality, batch: Sequence[Finished], entries: dict[Task, Entry]
    ) -> list[PatientOutcome]:
        """Write one batch: rows first, then the ledger, so that the ledger never promises more."""
        contract = EXTRACTORS[modality].contract
        errors = {
            item.task: item.result for item in batch if isinstance(item.result, OncoFrameError)
        }
        found = {
            item.task: item.result for item in batch if not isinstance(item.result, OncoFrameError)
        }
        with self.lake.lock(contract.table):
            # Another run may have written the same files since this one was planned.
            done = self._row_states(contract, [task.patient_id for task in found])
            new = {
                task: [r for r in reads if _state(r.file, r.sha256) not in done[task.patient_id]]
                for task, reads in found.items()
            }
            run_id = next(iter(entries.values())).run_id
            table, refused = self._rows(contract, new, run_id)
            if not table.is_empty():
                self.lake.append_features(contract, table)
        errors.update(refused)
        outcomes = [
            PatientOutcome(
                self._attempted(entries[item.task], item.tries, errors.get(item.task)),
                () if item.task in refused else tuple(found.get(item.task, ())),
            )
            for item in batch
        ]
        ledger.append(self.lake, [outcome.entry for outcome in outcomes])
        return outcomes

    def _rows(
        self, contract: Contract, reads: dict[Task, list[ReadFile]], run_id: str
    ) -> tuple[pl.DataFrame, dict[Task, OncoFrameError]]:
        """Rows of all tasks; a task whose rows break the contract is refused alone."""
        created = self.clock()

        def build(files: list[ReadFile]) -> pl.DataFrame:
            rows = feature_rows(self.lake, contract, files, created=created, run_id=run_id)
            contract.check(rows)
            return rows

        refused: dict[Task, OncoFrameError] = {}
        try:
            return build([read for files in reads.values() for read in files]), refused
        except ContractViolation:
            good: list[ReadFile] = []
            for task, files in reads.items():
                try:
                    build(files)
                    good += files
                except ContractViolation as error:
                    refused[task] = error
            return build(good), refused

    def _ledger(self, modality: Modality) -> dict[str, Entry]:
        rows = ledger.current(self.lake).filter(pl.col("modality") == modality)
        return {row["patient_id"]: Entry(**row) for row in rows.iter_rows(named=True)}

    def _entry(
        self,
        contract: Contract,
        modality: Modality,
        patient_id: str,
        files: Sequence[LandedFile],
        before: Entry | None,
        run_id: str,
    ) -> Entry:
        """Entry of a patient whose files are all read well by this run."""
        now = self.clock()
        signature = sha256(repr([(_state(f), f.path) for f in files]).encode()).hexdigest()
        entry = Entry(
            patient_id=patient_id,
            modality=modality,
            outcome=Outcome.OK if files else Outcome.NOT_PERFORMED,
            error=None,
            message=None,
            file=", ".join(f.path for f in files if f.path) or None,
            source_sha256=signature,
            tool=", ".join(sorted({f.tool for f in files if f.tool})) or None,
            code_version=contract.code_version,
            attempts=0,
            first_seen=now,
            last_seen=now,
            run_id=run_id,
        )
        if before is None or not _same_input(before, entry):
            return entry
        return replace(entry, attempts=before.attempts, first_seen=before.first_seen)

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

    def _row_states(self, contract: Contract, patients: Sequence[str]) -> dict[str, set[RowState]]:
        """Patient -> states of its newest rows that today's code wrote."""
        rows = self.lake.scan_features(contract).filter(pl.col("patient_id").is_in(list(patients)))
        newest = (
            latest_rows(rows, by=("patient_id", "event_timestamp"))
            .filter(pl.col("code_version") == contract.code_version)
            .select(
                "patient_id",
                "event_timestamp",
                "source_sha256",
                "reference_build",
                "tool",
                "site",
                contract.performed_column,
            )
            .collect()
        )
        states: dict[str, set[RowState]] = {patient_id: set() for patient_id in patients}
        for patient_id, *state in newest.iter_rows():
            states[patient_id].add(tuple(state))
        return states


def _same_input(before: Entry, entry: Entry) -> bool:
    return (before.source_sha256, before.code_version) == (entry.source_sha256, entry.code_version)


def _state(file: LandedFile, digest: str | None = None) -> RowState:
    performed = file.status == Status.PERFORMED
    return (
        file.collected_on,
        digest or file.sha256,
        file.reference_build,
        file.tool,
        file.site,
        performed,
    )
