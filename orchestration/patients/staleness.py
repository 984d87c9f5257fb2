"""What is stale: which files of which patients a run has to read, and which rows to take back.

    landed files, rows that stand, ledger -> plan: settled, tasks, gone

The feature table itself is asked what is done, so a kill at any moment loses no finished patient
and repeats none. Reads the lake, writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

import polars as pl

from assets.landing.intake import files_by_patient, landed
from oncoframe import ledger
from oncoframe.contracts import Contract, Status
from oncoframe.extraction import LandedFile
from oncoframe.lake import Lake
from oncoframe.ledger import Entry, Outcome
from oncoframe.modalities import spec
from oncoframe.point_in_time import latest_rows
from oncoframe.reference.active import reference_for
from oncoframe.reference.builds import BUILDS
from orchestration.patients.worker import Task

#: (event time, hash, genome build, tool, site, assay performed, code version) of a row: what makes
#: it current.
RowState = tuple[datetime, str, str | None, str | None, str | None, bool, str]


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
    gone
        Patient -> event times of its rows for which the landing zone no longer has an assay.
    """

    before: dict[str, Entry]
    settled: list[Entry] = field(default_factory=list)
    tasks: dict[Task, Entry] = field(default_factory=dict)
    gone: dict[str, list[datetime]] = field(default_factory=dict)

    def news(self) -> list[Entry]:
        """Settled entries that the ledger does not hold yet."""
        return [entry for entry in self.settled if self.before.get(entry.patient_id) != entry]

    def stale(self) -> set[str]:
        """Patients for whom there is something to write."""
        news = {entry.patient_id for entry in self.news()}
        return news | {task.patient_id for task in self.tasks} | set(self.gone)


def plan(
    lake: Lake,
    modality: str,
    patients: Sequence[str],
    *,
    now: datetime,
    run_id: str = "",
    retry: bool = False,
) -> Plan:
    """Split patients into settled ones and tasks for the workers.

    Parameters
    ----------
    lake
        Holds landed files, feature tables and ledger.
    modality
        Whose files, extractor and table.
    patients
        Pseudonyms; one without files has no assay performed.
    now
        Time of the new entries, UTC.
    run_id
        Run that the new entries name.
    retry
        Also read files again that failed before and did not change.
    """
    contract = spec(modality).contract
    files = files_by_patient(landed(lake), modality)
    states = row_states(lake, contract, patients)
    result = Plan(entries(lake, modality))
    for patient_id in patients:
        mine, done = files.get(patient_id, []), states[patient_id]
        before = result.before.get(patient_id)
        entry = _entry(contract, modality, patient_id, mine, before, now=now, run_id=run_id)
        same = before is not None and _same_input(before, entry)
        stale = tuple(file for file in mine if state(contract, file) not in done)
        gone = {when for when, *_ in done} - {file.collected_on for file in mine}
        if gone:
            result.gone[patient_id] = sorted(gone)
        if not stale:
            unchanged = same and before is not None and before.outcome == entry.outcome
            result.settled.append(before if unchanged and before else entry)
        elif same and before and before.outcome == Outcome.QUARANTINED and not retry:
            result.settled.append(before)
        else:
            result.tasks[Task(patient_id, modality, stale)] = entry
    return result


def entries(lake: Lake, modality: str) -> dict[str, Entry]:
    """Patient -> last entry of a modality in the ledger."""
    rows = ledger.current(lake).filter(pl.col("modality") == modality)
    return {row["patient_id"]: Entry(**row) for row in rows.iter_rows(named=True)}


def row_states(lake: Lake, contract: Contract, patients: Sequence[str]) -> dict[str, set[RowState]]:
    """Patient -> states of its rows that stand."""
    rows = lake.scan_features(contract).filter(pl.col("patient_id").is_in(list(patients)))
    references = (reference_for(build) for build in BUILDS)
    annotations = [reference.label for reference in references if reference]
    # A row with genes of another annotation is of no code that is current.
    outdated = ~pl.col("annotation_version").is_in(annotations)
    newest = (
        latest_rows(rows, by=("patient_id", "event_timestamp"))
        .select(
            "patient_id",
            "event_timestamp",
            "source_sha256",
            "reference_build",
            "tool",
            "site",
            contract.performed_column,
            pl.when(outdated).then(pl.lit("")).otherwise("code_version").alias("code_version"),
        )
        .collect()
    )
    states: dict[str, set[RowState]] = {patient_id: set() for patient_id in patients}
    for patient_id, *values in newest.iter_rows():
        states[patient_id].add(tuple(values))
    return states


def state(contract: Contract, file: LandedFile, digest: str | None = None) -> RowState:
    """State of the row that today's code would write for a file.

    Parameters
    ----------
    digest
        Signed hash of the bytes that were read; default that of the bytes that intake saw.
    """
    return (
        file.collected_on,
        digest or file.signature,
        file.reference_build,
        file.tool,
        file.site,
        file.status == Status.PERFORMED,
        contract.code_version,
    )


def _entry(
    contract: Contract,
    modality: str,
    patient_id: str,
    files: Sequence[LandedFile],
    before: Entry | None,
    *,
    now: datetime,
    run_id: str,
) -> Entry:
    """Entry of a patient whose files are all read well by this run."""
    signature = repr([(state(contract, file), file.path) for file in files])
    entry = Entry(
        patient_id=patient_id,
        modality=modality,
        outcome=Outcome.OK if files else Outcome.NOT_PERFORMED,
        error=None,
        message=None,
        file=", ".join(file.path for file in files if file.path) or None,
        source_sha256=sha256(signature.encode()).hexdigest(),
        tool=", ".join(sorted({file.tool for file in files if file.tool})) or None,
        code_version=contract.code_version,
        attempts=0,
        first_seen=now,
        last_seen=now,
        run_id=run_id,
    )
    if before is None or not _same_input(before, entry):
        return entry
    return replace(entry, attempts=before.attempts, first_seen=before.first_seen)


def _same_input(before: Entry, entry: Entry) -> bool:
    return (before.source_sha256, before.code_version) == (entry.source_sha256, entry.code_version)
