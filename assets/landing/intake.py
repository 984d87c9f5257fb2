"""Intake: what lies in the landing zone, with the hash of every file.

    samplesheet -> stamp -> hash of what changed -> landed_files (a snapshot per change)

A file whose stamp (size, time) did not change keeps its hash, so that looking at an unchanged
zone reads no file. What is in the files is the extractors' business.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import sha256

import polars as pl

from assets.landing.samplesheet import OPTICS
from assets.landing.samplesheet import SCHEMA as SHEET_SCHEMA
from oncoframe import files
from oncoframe.contracts import UTC_TIME, Status
from oncoframe.errors import FileMissing, Unavailable
from oncoframe.extraction import LandedFile, Optics
from oncoframe.lake import Lake

TABLE = "landed_files"
SCHEMA = pl.Schema(
    {**SHEET_SCHEMA, "stamp": pl.String(), "sha256": pl.String(), "seen_at": UTC_TIME}
)
#: In place of a hash: the file could not be read at intake.
UNREADABLE = "unreadable"
#: Hashing waits for the disk, not for the processor.
_READERS = 8


def snapshots(lake: Lake) -> pl.LazyFrame:
    """Every snapshot of the landing zone; columns of :data:`SCHEMA`."""
    if not lake.exists(TABLE):
        return pl.LazyFrame(schema=SCHEMA)
    rows = lake.scan(TABLE)
    # Homes of before a column have it in none of their snapshots.
    missing = SCHEMA.keys() - set(rows.collect_schema().names())
    filled = (pl.lit(None, SCHEMA[name]).alias(name) for name in missing)
    return rows.with_columns(*filled).select(list(SCHEMA))


def landed(lake: Lake) -> pl.DataFrame:
    """Newest snapshot of the landing zone; columns of :data:`SCHEMA`."""
    rows = snapshots(lake)
    return rows.filter(pl.col("seen_at") == pl.col("seen_at").max()).collect()


def stamped(sheet: pl.DataFrame) -> pl.DataFrame:
    """Rows of the sheet with the ``stamp`` of each file: the state of the zone, no file read."""
    with ThreadPoolExecutor(_READERS) as readers:
        stamps = readers.map(lambda path: _sign(path, None, digest=False)[0], sheet["path"])
        return sheet.with_columns(stamp=pl.Series(stamps, dtype=pl.String))


def changed(lake: Lake, state: pl.DataFrame) -> bool:
    """Whether the state of the zone (see :func:`stamped`) differs from the last snapshot."""
    return not state.equals(landed(lake).select(state.columns))


def take_in(
    lake: Lake,
    sheet: pl.DataFrame,
    *,
    now: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Hash new and changed files, record the zone if it changed, and return its snapshot.

    Parameters
    ----------
    lake
        Holds the last snapshot.
    sheet
        Rows of the samplesheet.
    now
        Time of this intake, UTC.
    progress
        Called with (files done, files in all).

    Returns
    -------
    Columns of :data:`SCHEMA`; ``sha256`` is :data:`UNREADABLE` for a file that vanished or could
    not be read.
    """
    before = landed(lake)
    known = {row["path"]: (row["stamp"], row["sha256"]) for row in before.iter_rows(named=True)}
    paths = sheet["path"].to_list()
    signs: list[tuple[str, str]] = []
    with ThreadPoolExecutor(_READERS) as readers:
        for sign in readers.map(lambda path: _sign(path, known.get(path)), paths):
            signs.append(sign)
            if progress:
                progress(len(signs), len(paths))
    # The newest snapshot counts, also after the clock was set back.
    last = before["seen_at"].max()
    seen_at = max(now, last + timedelta(microseconds=1)) if isinstance(last, datetime) else now
    snapshot = sheet.with_columns(
        stamp=pl.Series([stamp for stamp, _ in signs], dtype=pl.String),
        sha256=pl.Series([digest for _, digest in signs], dtype=pl.String),
        seen_at=pl.lit(seen_at, dtype=UTC_TIME),
    ).cast(SCHEMA)
    if not snapshot.drop("seen_at").equals(before.drop("seen_at")):
        lake.append(TABLE, snapshot)
        return snapshot
    return before


def _sign(path: str, known: tuple[str, str] | None, *, digest: bool = True) -> tuple[str, str]:
    """Stamp and hash of a file; the hash is empty unless asked for."""
    if not path:
        return "", sha256(b"").hexdigest()
    try:
        stamp = files.stamp(path)
        if known is not None and known[0] == stamp:
            return known
        return stamp, files.sha256(path) if digest else ""
    except (FileMissing, Unavailable):
        # The extractor meets the same error and says so for this one patient.
        return "", UNREADABLE


def files_by_patient(snapshot: pl.DataFrame, modality: str) -> dict[str, list[LandedFile]]:
    """Files of one modality by patient, in order of date; rows without an assay left out."""
    rows = snapshot.filter(
        (pl.col("modality") == modality) & (pl.col("status") != Status.NOT_PERFORMED)
    ).sort("patient_id", "collected_on")
    by_patient: dict[str, list[LandedFile]] = {}
    for row in rows.drop("stamp", "seen_at").iter_rows(named=True):
        told = {name: row.pop(name) for name in OPTICS}
        optics = Optics(**told) if any(value is not None for value in told.values()) else None
        file = LandedFile(**{**row, "status": Status(row["status"])}, optics=optics)
        by_patient.setdefault(file.patient_id, []).append(file)
    return by_patient
