"""Intake: what changed in the landing zone is hashed, what did not is not even read."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import polars as pl
import pytest

from assets.landing import intake
from assets.landing.intake import (
    UNREADABLE,
    changed,
    files_by_patient,
    landed,
    stamped,
    take_in,
)
from assets.landing.samplesheet import read_samplesheet
from oncoframe import files
from oncoframe.contracts import Status
from oncoframe.lake import Lake

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
HEADER = "patient_id,modality,path,collected_on,status,reference_build,tool,site\n"


@pytest.fixture
def zone(tmp_path):
    """Landing zone of two patients; rewrite its sheet, read it with ``zone()``."""

    class Zone:
        root = tmp_path / "landing"

        def sheet(self, *rows: str) -> None:
            (self.root / "samplesheet.csv").write_text(HEADER + "".join(f"{r}\n" for r in rows))

        def put(self, name: str, content: str) -> None:
            (self.root / name).write_text(content)

        def __call__(self):
            return read_samplesheet(str(self.root))

    Zone.root.mkdir()
    zone = Zone()
    zone.put("1.vcf", "one")
    zone.put("2.vcf", "two")
    zone.sheet(
        "P1,snv,1.vcf,2024-01-01,performed,GRCh38,,",
        "P2,snv,2.vcf,2024-01-01,performed,GRCh38,,",
        "P2,fusion,,2024-01-01,failed,,,",
    )
    return zone


def digests(snapshot) -> dict[str, str]:
    performed = snapshot.filter(snapshot["status"] == "performed")
    return dict(performed.select("patient_id", "sha256").iter_rows())


def digest(content: str) -> str:
    return sha256(content.encode()).hexdigest()


def test_take_in__records_every_file_with_its_hash(lake, zone):
    """The hash in the ledger must be that of the file, not of its name or time."""
    snapshot = take_in(lake, zone(), now=NOON)
    assert snapshot.schema == intake.SCHEMA
    assert digests(snapshot) == {"P1": digest("one"), "P2": digest("two")}
    assert landed(lake).equals(snapshot)


def test_landed__is_empty_before_the_first_intake(lake):
    """A status command on a fresh home must not fail."""
    assert landed(lake).is_empty()
    assert landed(lake).schema == intake.SCHEMA


def test_take_in__of_an_unchanged_zone_writes_and_reads_nothing(lake, zone, monkeypatch):
    """Hashing a terabyte every night would take the night."""
    first = take_in(lake, zone(), now=NOON)
    monkeypatch.setattr(files, "sha256", lambda path: pytest.fail(f"{path} was read again"))
    again = take_in(lake, zone(), now=NOON + timedelta(days=1))
    assert again.equals(first)
    assert lake.version(intake.TABLE) == 0


def test_changed__is_true_until_the_change_is_taken_in(lake, zone):
    """A change that is missed leaves old features; one seen forever runs forever."""
    assert changed(lake, stamped(zone()))
    take_in(lake, zone(), now=NOON)
    assert not changed(lake, stamped(zone()))

    zone.put("1.vcf", "uno")
    assert changed(lake, stamped(zone()))
    take_in(lake, zone(), now=NOON + timedelta(hours=1))
    assert not changed(lake, stamped(zone()))

    zone.sheet("P1,snv,1.vcf,2024-01-01,performed,GRCh37,,")
    assert changed(lake, stamped(zone()))


def test_take_in__rehashes_only_what_changed(lake, zone, monkeypatch):
    """One new file among thousands must cost one read."""
    take_in(lake, zone(), now=NOON)
    zone.put("2.vcf", "zwo")
    read = []
    real = files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: read.append(path) or real(path))
    snapshot = take_in(lake, zone(), now=NOON + timedelta(hours=1))
    assert read == [str(zone.root / "2.vcf")]
    assert digests(snapshot) == {"P1": digest("one"), "P2": digest("zwo")}
    assert landed(lake).equals(snapshot)
    assert len(lake.scan(intake.TABLE).collect()) == 6


def test_landed__forgets_what_left_the_sheet(lake, zone):
    """A patient taken out of the sheet (consent withdrawn) must not be computed again."""
    take_in(lake, zone(), now=NOON)
    zone.sheet("P2,snv,2.vcf,2024-01-01,performed,GRCh38,,")
    take_in(lake, zone(), now=NOON + timedelta(hours=1))
    assert landed(lake)["patient_id"].to_list() == ["P2"]


def test_landed__is_the_last_intake_even_if_the_clock_went_back(lake, zone):
    """A corrected clock would freeze the zone as it was before the correction."""
    take_in(lake, zone(), now=NOON)
    zone.put("1.vcf", "uno")
    take_in(lake, zone(), now=NOON - timedelta(hours=1))
    assert digests(landed(lake))["P1"] == digest("uno")
    assert not changed(lake, stamped(zone()))


def test_take_in__goes_on_when_a_file_vanishes(lake, zone):
    """Between the check of the sheet and the hash: one patient's problem, not everybody's."""
    sheet = zone()
    (zone.root / "1.vcf").unlink()
    snapshot = take_in(lake, sheet, now=NOON)
    assert digests(snapshot) == {"P1": UNREADABLE, "P2": digest("two")}


def test_take_in__hashes_a_file_that_came_back(lake, zone):
    """A patient stuck as unreadable would stay stale for good."""
    sheet = zone()
    (zone.root / "1.vcf").unlink()
    take_in(lake, sheet, now=NOON)
    zone.put("1.vcf", "one")
    assert changed(lake, stamped(sheet))
    assert digests(take_in(lake, sheet, now=NOON + timedelta(hours=1)))["P1"] == digest("one")


def test_take_in__goes_on_when_storage_does_not_answer(lake, zone, storage_at, closed_port):
    """An outage of one bucket must not stop the patients on the local disk."""
    storage_at(closed_port)
    zone.sheet(
        "P1,snv,1.vcf,2024-01-01,performed,GRCh38,,",
        "P2,snv,s3://away/2.vcf,2024-01-01,performed,GRCh38,,",
    )
    assert digests(take_in(lake, zone(), now=NOON)) == {"P1": digest("one"), "P2": UNREADABLE}


def test_take_in__tells_its_progress(lake, zone):
    """The bar of a first intake of a terabyte has to move."""
    seen = []
    take_in(lake, zone(), now=NOON, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_files_by_patient__has_performed_and_failed_assays_in_order_of_date(lake, zone):
    """A failed assay gets a row, one that was not performed gets none."""
    zone.sheet(
        "P1,snv,2.vcf,2024-05-01,performed,GRCh38,Mutect2,Ulm",
        "P1,snv,1.vcf,2024-01-01,performed,GRCh37,,",
        "P2,snv,,2024-01-01,failed,,,",
        "P3,snv,,,not_performed,,,",
        "P3,fusion,,2024-01-01,failed,,,",
    )
    by_patient = files_by_patient(take_in(lake, zone(), now=NOON), "snv")
    assert list(by_patient) == ["P1", "P2"]
    first, second = by_patient["P1"]
    assert (first.reference_build, first.tool, first.site) == ("GRCh37", None, None)
    assert (first.sha256, second.sha256) == (digest("one"), digest("two"))
    assert (second.tool, second.site) == ("Mutect2", "Ulm")
    assert first.collected_on == datetime(2024, 1, 1, tzinfo=UTC)
    assert [file.status for file in by_patient["P2"]] == [Status.FAILED]


def test_take_in__goes_on_in_a_home_of_before_the_samples(zone, lake):
    """An absent column is no change: nothing is written, and no file becomes stale."""
    before = take_in(lake, zone(), now=NOON)
    old = Lake(lake.root.parent / "old")
    old.append(intake.TABLE, before.drop("sample"))
    assert take_in(old, zone(), now=NOON + timedelta(hours=1)).equals(before)
    assert (landed(old).equals(before), changed(old, stamped(zone()))) == (True, False)
    sheet = zone().with_columns(
        sample=pl.when(pl.col("modality") == "snv").then(pl.lit("T")).otherwise("sample")
    )
    take_in(old, sheet, now=NOON + timedelta(hours=2))
    [file] = files_by_patient(landed(old), "snv")["P1"]
    assert (file.sample, file.sha256) == ("T", digest("one"))
    assert file.signature != file.sha256


def test_files_by_patient__another_pixel_size_is_another_source(zone, lake):
    """A corrected pixel size must compute the smear again, though no byte of it changed."""
    sheet = zone().with_columns(modality=pl.lit("smear"))
    files = [
        files_by_patient(
            take_in(lake, sheet.with_columns(pixel_size_um=size), now=NOON + timedelta(hours=hour)),
            "smear",
        )["P1"][0]
        for hour, size in enumerate((pl.lit(None, pl.Float64), pl.lit(0.2), pl.lit(0.25)))
    ]
    assert files[0].optics is None
    assert files[0].signature == files[0].sha256
    assert files[1].optics.pixel_size_um == 0.2
    assert len({file.signature for file in files}) == 3
