"""Ledger: the last attempt of every patient and modality, and every attempt before it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl

from oncoframe import ledger
from oncoframe.ledger import Entry, Outcome

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
ENTRY = Entry(
    patient_id="P1",
    modality="snv",
    outcome=Outcome.QUARANTINED,
    error="EmptyFile",
    message="a.vcf: the file has no content.",
    file="a.vcf",
    source_sha256="0",
    tool=None,
    code_version="1",
    attempts=1,
    first_seen=NOON,
    last_seen=NOON,
    run_id="r",
)


def test_current__is_empty_before_the_first_run(lake):
    """``oncoframe status`` on a fresh home shows an empty table, not an error."""
    assert ledger.current(lake).schema == ledger.SCHEMA
    assert ledger.current(lake).is_empty()


def test_append__of_nothing_writes_nothing(lake):
    """A second run on an unchanged zone must not add a version."""
    ledger.append(lake, [])
    assert not lake.exists(ledger.TABLE)


def test_current__gives_back_the_entry(lake):
    """An entry that changed on its way (naive time, other text) would be written again each run."""
    ledger.append(lake, [ENTRY])
    [row] = ledger.current(lake).iter_rows(named=True)
    assert Entry(**row) == ENTRY


def test_current__is_the_last_attempt_whatever_the_order_of_writing(lake):
    """Two runs commit in any order: the later look at the file counts."""
    later = replace(
        ENTRY, outcome=Outcome.OK, error=None, message=None, last_seen=NOON + timedelta(hours=1)
    )
    ledger.append(lake, [later])
    ledger.append(lake, [ENTRY])
    assert ledger.current(lake)["outcome"].to_list() == ["ok"]
    assert len(lake.scan(ledger.TABLE).collect()) == 2


def test_current__keeps_patients_and_modalities_apart(lake):
    """A good expression file must not lift the quarantine of the variants."""
    others = [replace(ENTRY, modality="fusion"), replace(ENTRY, patient_id="P0")]
    ledger.append(lake, [ENTRY, *others])
    keys = ledger.current(lake).select("patient_id", "modality").rows()
    assert keys == [("P0", "snv"), ("P1", "fusion"), ("P1", "snv")]


def test_last_attempts__works_on_entries_known_by_a_time(lake):
    """A frame as of yesterday lists the patients that were in quarantine yesterday."""
    repaired = replace(ENTRY, outcome=Outcome.OK, last_seen=NOON + timedelta(days=1))
    ledger.append(lake, [ENTRY, repaired])
    then = lake.scan(ledger.TABLE).filter(pl.col("last_seen") <= NOON)
    assert ledger.last_attempts(then).collect()["outcome"].to_list() == ["quarantined"]
