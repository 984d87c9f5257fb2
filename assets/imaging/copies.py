"""CT at intake: what landed becomes a copy that names nobody, before anything else reads it.

    samplesheet -> path of the copy instead of the original -> write_copy (in a worker) -> extract

A copy is a folder of de-identified files with ``intake.json``: how it is to be read (radiomics
settings, rule of the mask) and what became of its attributes, or why the study was refused. So the
hash of a copy changes when its features may change, and the original is named nowhere.
"""

import hmac
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from assets.imaging import errors as _imaging_errors
from assets.imaging.contract import CONTRACT
from assets.imaging.rules import MaskRule
from assets.imaging.settings import Settings, load_settings
from oncoframe import errors as _errors
from oncoframe import files
from oncoframe.errors import BadInput, FileMissing, OncoFrameError, Unavailable

#: Changes whenever the same folder would give another copy.
VERSION = "2"
INTAKE = "intake.json"
_TOKEN_DIGITS = 12
_HINT = "The samplesheet's row of this patient and date names the folder."


@dataclass(frozen=True)
class Deidentification:
    """How the CT folders of a home are copied, and how the copies are read.

    Parameters
    ----------
    folder
        Holds the copies, a subfolder per patient.
    key
        Secret of UIDs, dates and folder names.
    settings
        Name of radiomics settings.
    rule
        Which segmentation is the tumour.
    own_settings
        Folder of the center's own radiomics settings.
    """

    folder: Path
    key: bytes
    settings: str
    rule: MaskRule
    own_settings: Path | None = None

    @property
    def radiomics(self) -> Settings:
        """The settings, read from their file."""
        return load_settings(self.settings, self.own_settings)

    def target(self, patient_id: str, collected_on: datetime) -> Path:
        """Folder of a copy; its name tells no date, which would betray the shift of the others."""
        message = f"{patient_id}/{collected_on:%Y-%m-%d}".encode()
        token = hmac.digest(self.key, message, "sha256").hex()[:_TOKEN_DIGITS]
        return self.folder / patient_id / token

    def prune(self, wanted: Iterable[Path]) -> None:
        """Remove all copies but those that are wanted."""
        kept = set(wanted)
        for folder in self.folder.glob("*/*"):
            target = folder.with_suffix("")
            if target not in kept:
                shutil.rmtree(target, ignore_errors=True)
                folder.unlink() if folder.is_file() else shutil.rmtree(folder, ignore_errors=True)

    def stamp(self, source: str) -> str:
        """Sign of change of all that decides on a copy; empty while the source cannot be seen."""
        try:
            seen = files.stamp(source)
        except (FileMissing, Unavailable):
            return ""
        parts = (seen, VERSION, self.radiomics.label, self.rule.label)
        return hmac.digest(self.key, "/".join(parts).encode(), "sha256").hex()


@dataclass(frozen=True)
class Copy:
    """One CT of the samplesheet and its copy.

    Parameters
    ----------
    source
        Folder as it landed: may name the patient, so it is never stored, logged or printed.
    target
        Folder of the copy.
    stamp
        What :meth:`Deidentification.stamp` says of the source.
    """

    patient_id: str
    source: str
    target: Path
    stamp: str

    @property
    def _stamp_file(self) -> Path:
        return self.target.with_name(f"{self.target.name}.stamp")

    @property
    def is_stale(self) -> bool:
        """Whether the copy is missing, or was made of something else."""
        if not self.stamp or not self._stamp_file.is_file():
            return True
        return self._stamp_file.read_text() != self.stamp

    def settle(self) -> None:
        """Remember that the copy, or the refusal in its place, is that of the source."""
        self._stamp_file.write_text(self.stamp)

    def refuse(self, error: OncoFrameError) -> None:
        """Write why there is no copy, for the extractor to say it for this patient.

        What may pass or depends on limits (storage, time, memory) is tried again at the next
        intake; what is wrong with the files stays wrong until they change.
        """
        inside = (error.where or "").removeprefix(str(self.target)).removeprefix(": ")
        # A worker that was killed or timed out could name the source only.
        said = inside if (error.where or "").startswith(str(self.target)) else ""
        refused = {
            "error": error.name,
            **{name: getattr(error, name) for name in ("what", "expected", "got", "hint")},
            "where": said,
        }
        with _fresh(self.target) as folder:
            _write_json(folder / INTAKE, {"refused": refused})
        if isinstance(error, BadInput) and self.stamp:
            self.settle()


def with_copies(sheet: pl.DataFrame, how: Deidentification) -> tuple[pl.DataFrame, list[Copy]]:
    """Sheet that names the copies of its CT folders, and the copies that it names.

    Parameters
    ----------
    sheet
        Rows of :func:`assets.landing.samplesheet.read_samplesheet`.
    how
        Where the copies lie.
    """
    copies, paths = [], []
    wanted = sheet.select("patient_id", "modality", "path", "collected_on")
    for patient_id, modality, path, collected_on in wanted.iter_rows():
        if modality != CONTRACT.modality or not path:
            paths.append(path)
            continue
        folder, _, name = path.rpartition("/")
        source = folder if name.upper() == "DICOMDIR" else path
        target = how.target(patient_id, collected_on)
        copies.append(Copy(patient_id, source, target, how.stamp(source)))
        paths.append(str(target))
    return sheet.with_columns(path=pl.Series(paths, dtype=pl.String)), copies


def write_copy(patient_id: str, source: str, target: Path, how: Deidentification) -> None:
    """De-identified copy of a folder of DICOM files, or of one ready image and its mask.

    Runs in a worker: a file may kill the process that reads it.

    Raises
    ------
    oncoframe.errors.OncoFrameError
        If the study cannot be used; it names the copy, not the source.
    """
    try:
        with files.local_copy(source) as local:
            try:
                _write_copy(patient_id, local, target, how)
            except OncoFrameError as error:
                said = (error.where or "").split(f"{local}: ")[1:]
                error.where = ": ".join([str(target), *said])
                raise
    except FileMissing:
        raise FileMissing("the CT folder is not there", where=str(target)) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unavailable("the study could not be read", where=str(target), got=reason) from None


def _write_copy(patient_id: str, local: Path, target: Path, how: Deidentification) -> None:
    from assets.imaging.deidentify import (  # noqa: PLC0415  (imaging libraries take 2 s)
        Pseudonym,
        deidentify_files,
        deidentify_pair,
    )
    from assets.imaging.dicom_files import check_folder, scan  # noqa: PLC0415
    from assets.imaging.ready import find_pair  # noqa: PLC0415
    from assets.imaging.series import choose  # noqa: PLC0415

    check_folder(local)
    pair = find_pair(local)
    with _fresh(target) as folder:
        if pair:
            report = deidentify_pair(*pair, folder)
        else:
            found = scan(local)
            # Of a PET alone the copy would be empty, and nobody could say any more what it was.
            choose(found)
            who = Pseudonym(patient_id, how.key, how.rule.names)
            report = deidentify_files(found, folder, who)
        radiomics = how.radiomics
        about = {
            "settings": asdict(radiomics),
            "settings_version": radiomics.label,
            "mask_rule": how.rule.label,
            "deidentification": report.as_json(),
        }
        _write_json(folder / INTAKE, about)


@dataclass(frozen=True)
class Order:
    """How a copy is to be read, as intake wrote it.

    Parameters
    ----------
    settings, rule
        Radiomics settings and rule of the mask.
    deidentification
        What became of the attributes of the study: counts, no values.
    """

    settings: Settings
    rule: MaskRule
    deidentification: dict[str, Any]

    @property
    def burned_in_suspected(self) -> bool:
        """Whether a picture may have text in it."""
        return bool(self.deidentification["burned_in"])


def read_order(folder: Path) -> Order | None:
    """How the copy in a folder is to be read; None for a folder that did not come by intake.

    Raises
    ------
    oncoframe.errors.OncoFrameError
        If intake refused the study: the error that it met.
    """
    file = folder / INTAKE
    if not file.is_file():
        return None
    about = json.loads(file.read_text("utf-8"))
    if "refused" in about:
        raise _error(about["refused"], folder)
    settings = Settings(**{**about["settings"], "exclude": tuple(about["settings"]["exclude"])})
    return Order(settings, MaskRule.parse(about["mask_rule"]), about["deidentification"])


def _error(refused: dict[str, Any], folder: Path) -> OncoFrameError:
    name, what, where = (refused.pop(key) for key in ("error", "what", "where"))
    kind = getattr(_errors, name, None) or getattr(_imaging_errors, name)
    refused["hint"] = refused["hint"] or _HINT
    place = f"{folder}: {where}" if where else str(folder)
    error: OncoFrameError = kind(what, where=place, **refused)
    return error


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """New folder that takes the place of ``target`` when it is complete."""
    new = target.with_name(f"{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        shutil.rmtree(target, ignore_errors=True)
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
