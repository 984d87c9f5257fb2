"""The ledger: what became of every patient and modality, attempt by attempt.

    outcome of an attempt -> append -> current state (the last attempt of each patient and modality)

An append-only Delta table. It remembers why a patient is missing from a feature table; that a
patient is in it, the feature table itself says, so a kill between the two writes loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import polars as pl

from oncoframe.contracts import UTC_TIME
from oncoframe.lake import Lake

TABLE = "ledger"


class Outcome(StrEnum):
    """How an attempt at one patient and modality ended."""

    OK = "ok"
    NOT_PERFORMED = "not_performed"
    QUARANTINED = "quarantined"
    RETRY_LATER = "retry_later"


@dataclass(frozen=True)
class Entry:
    """One attempt at one patient and modality.

    Parameters
    ----------
    error, message
        Class and sentence of the error; None when it went well.
    file
        Path as the samplesheet names it; None if there is none.
    source_sha256
        Hash over all files of the patient and modality.
    attempts
        Attempts so far on these files with this code, this one included.
    first_seen, last_seen
        First and last attempt on these files with this code, UTC.
    """

    patient_id: str
    modality: str
    outcome: Outcome
    error: str | None
    message: str | None
    file: str | None
    source_sha256: str
    tool: str | None
    code_version: str
    attempts: int
    first_seen: datetime
    last_seen: datetime
    run_id: str


SCHEMA = pl.Schema(
    {
        "patient_id": pl.String(),
        "modality": pl.String(),
        "outcome": pl.String(),
        "error": pl.String(),
        "message": pl.String(),
        "file": pl.String(),
        "source_sha256": pl.String(),
        "tool": pl.String(),
        "code_version": pl.String(),
        "attempts": pl.Int32(),
        "first_seen": UTC_TIME,
        "last_seen": UTC_TIME,
        "run_id": pl.String(),
    }
)


def append(lake: Lake, entries: Sequence[Entry]) -> None:
    """Write attempts, if there are any."""
    if entries:
        lake.append(TABLE, pl.DataFrame([vars(entry) for entry in entries], schema=SCHEMA))


def current(lake: Lake) -> pl.DataFrame:
    """Last attempt of every patient and modality, sorted by both; columns of :data:`SCHEMA`."""
    if not lake.exists(TABLE):
        return pl.DataFrame(schema=SCHEMA)
    return last_attempts(lake.scan(TABLE)).collect()


def last_attempts(entries: pl.LazyFrame) -> pl.LazyFrame:
    """Last attempt of every patient and modality among some entries, sorted by both."""
    return (
        entries.sort("last_seen", "attempts")
        .unique(["patient_id", "modality"], keep="last", maintain_order=True)
        .sort("patient_id", "modality")
    )
