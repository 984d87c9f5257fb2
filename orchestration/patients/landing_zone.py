"""The landing zone as the platform sees it: checked sheet, CT folders by their copies only.

    samplesheet -> paths of de-identified copies -> stale copies made in workers -> intake

Everything that reads the samplesheet reads it here, so that the path of a CT folder, which may name
the patient, goes no further.
"""

import os
import secrets
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from assets.imaging.contract import CONTRACT
from assets.imaging.copies import Copy, Deidentification, with_copies
from assets.imaging.deid_rules import SHORTEST_KEY_BYTES
from assets.landing import intake
from assets.landing.samplesheet import OPTICS, read_samplesheet
from oncoframe.contracts import Status
from oncoframe.errors import SettingsError
from oncoframe.extraction import LandedFile
from oncoframe.lake import Lake
from orchestration.patients.pool import WorkerPool
from orchestration.patients.worker import Task, copy_study
from orchestration.progress import Progress
from orchestration.settings import Settings

#: Folder of the copies and file of the key, below the home.
COPIES, KEY = "deidentified", "deidentification.key"
_KEY_BYTES = 32


@dataclass(frozen=True)
class LandingZone:
    """A checked samplesheet and the copies that it names.

    Parameters
    ----------
    sheet
        Rows as :func:`assets.landing.samplesheet.read_samplesheet` gives them, but CT rows name
        their copy.
    copies
        The CT folders.
    how
        How they are copied.
    """

    sheet: pl.DataFrame
    copies: tuple[Copy, ...]
    how: Deidentification

    def state(self) -> pl.DataFrame:
        """Rows with the stamp of each file; a copy that is not that of its source has another."""
        stale = {str(copy.target): f"stale {copy.stamp}" for copy in self.copies if copy.is_stale}
        stamped = intake.stamped(self.sheet)
        wanted = pl.col("path").replace_strict(stale, default=None, return_dtype=pl.String)
        return stamped.with_columns(stamp=pl.coalesce(wanted, "stamp")) if stale else stamped


def open_zone(settings: Settings) -> LandingZone:
    """Landing zone of a home, its samplesheet checked.

    Raises
    ------
    oncoframe.errors.SamplesheetError
        If the sheet is wrong; it names row and column.
    SettingsError
        If the key or a CT setting cannot be used.
    """
    sheet = read_samplesheet(settings.require_landing(), mrn_key=settings.mrn_secret())
    how = Deidentification(
        settings.home / COPIES, b"", settings.ct_settings, settings.mask_rule,
        settings.radiomics_dir,
    )  # fmt: skip
    if CONTRACT.modality in sheet["modality"]:
        how = replace(how, key=_key(settings))
    sheet, copies = with_copies(sheet, how)
    return LandingZone(sheet, tuple(copies), how)


def make_copies(zone: LandingZone, lake: Lake, settings: Settings, progress: Progress) -> None:
    """Copy the CT folders that are new or were replaced; a study that cannot be used is refused.

    Each folder is copied in a worker, with the time and memory that a patient may take. The
    refusal lies in place of the copy, where the extractor meets it: it costs this patient only.
    Copies that the samplesheet no longer asks for are removed.
    """
    with lake.lock(COPIES):
        zone.how.prune([copy.target for copy in zone.copies])
        if not any(copy.is_stale for copy in zone.copies):
            return
        # Another run may have made them while this one waited.
        stale = {_task(zone, copy): copy for copy in zone.copies if copy.is_stale}
        with progress.task("deidentify", len(stale)) as advance, WorkerPool(settings) as pool:
            for finished in pool.run(stale, partial(copy_study, how=zone.how)):
                copy = stale[finished.task]
                if finished.reading.error is None:
                    copy.settle()
                else:
                    copy.refuse(finished.reading.error)
                advance()


def _task(zone: LandingZone, copy: Copy) -> Task:
    [row] = zone.sheet.filter(path=str(copy.target)).iter_rows(named=True)
    told = {name: value for name, value in row.items() if name not in OPTICS}
    file = LandedFile(**{**told, "path": copy.source, "status": Status.PERFORMED}, sha256="")
    return Task(copy.patient_id, file.modality, (file,))


def _key(settings: Settings) -> bytes:
    """Secret of the copies: the one of record numbers, or one made up for this home."""
    file = settings.home / KEY
    given = settings.mrn_secret()
    if given is None and not file.is_file():
        _write_key(file)
    key = given or file.read_bytes()
    if len(key) < SHORTEST_KEY_BYTES:
        raise SettingsError(
            "the key of the de-identification is too short",
            where=str(file) if given is None else "setting mrn_key",
            expected=f"at least {SHORTEST_KEY_BYTES} bytes",
            got=f"{len(key)}",
        )
    return key


def _write_key(file: Path) -> None:
    """Write a random key that only its owner can read; the first of several runs wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    mine = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
        sink.write(secrets.token_bytes(_KEY_BYTES))
    try:
        os.link(mine, file)
    except FileExistsError:
        pass
    finally:
        mine.unlink()
