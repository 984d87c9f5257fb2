"""De-identified copies of DICOM studies, and an account of what was kept.

    file -> allow-list (deid_rules) -> UIDs replaced, dates shifted, names gone -> new file, report

UIDs and the shift of dates depend on a secret key and the patient's pseudonym only, so that series
and their segmentations still belong together, a later scan of the patient fits, and nobody without
the key can go back.
"""

import hmac
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from assets.imaging.burned_in import burned_in
from assets.imaging.covariates import kernel, manufacturer, scanner_model
from assets.imaging.deid_rules import (
    CLASS_UIDS,
    DATES,
    EMPTY,
    INSTANCE_UIDS,
    LABELS,
    NUMBERS,
    SEQUENCES,
    SHORTEST_KEY_BYTES,
    TEXTS,
)
from assets.imaging.dicom_files import Scan, read_object, readable, save, scan
from assets.imaging.ready import read_pair
from assets.imaging.series import CT_CLASSES
from assets.imaging.structure_names import structure_label
from assets.imaging.targets import is_segmentation
from oncoframe.errors import SettingsError

METHOD = "PS3.15 basic profile by allow-list; dates shifted, UIDs replaced"
#: Dates move back by up to ten years.
LONGEST_SHIFT_DAYS = 3650


@dataclass
class DeidentificationReport:
    """What became of the attributes of a study; no values, so that it can be shown to anybody.

    Parameters
    ----------
    files
        Number of files written.
    kept, replaced, removed
        Attribute -> how often; private attributes count as ``private``.
    left_out
        Reason -> number of files not written: reports, screen shots, other modalities.
    burned_in
        Reason to suspect text in the picture -> number of files.
    """

    files: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    burned_in: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """The counts by name, as they lie beside the copy."""
        return {name: n if name == "files" else dict(n) for name, n in vars(self).items()}


@dataclass(frozen=True)
class Pseudonym:
    """A patient's new identity.

    Parameters
    ----------
    patient_id
        Pseudonym, as in the samplesheet.
    key
        Secret of the installation, at least 16 bytes.
    labels
        Names of structures that stay as they are, because the rule for masks asks for them.

    Raises
    ------
    SettingsError
        If the key is shorter.
    """

    patient_id: str
    key: bytes
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.key) < SHORTEST_KEY_BYTES:
            raise SettingsError(
                "the key for pseudonyms is too short", expected=f"{SHORTEST_KEY_BYTES} bytes",
                got=f"{len(self.key)}",
            )  # fmt: skip

    def _number(self, text: str) -> int:
        message = f"{self.patient_id}/{text}".encode()
        return int.from_bytes(hmac.digest(self.key, message, "sha256")[:15])

    @property
    def shift(self) -> timedelta:
        """How far all dates of the patient move; negative."""
        return -timedelta(days=1 + self._number("shift") % LONGEST_SHIFT_DAYS)

    def uid(self, original: str) -> UID:
        """UID that stands for another one."""
        return UID(f"2.25.{self._number(f'uid/{original}')}")

    def date(self, original: str) -> str | None:
        """DICOM date moved by :attr:`shift`; None for text that is no date."""
        try:
            moved: date = datetime.strptime(original, "%Y%m%d").date() + self.shift  # noqa: DTZ007
        except (ValueError, OverflowError):
            return None
        return moved.strftime("%Y%m%d")

    def label(self, original: str) -> str:
        """Name of a structure in the copy."""
        asked_for = {name.casefold() for name in self.labels}
        return original if original.strip().casefold() in asked_for else structure_label(original)


def deidentify_folder(source: Path, target: Path, pseudonym: Pseudonym) -> DeidentificationReport:
    """Write a de-identified copy of a patient's CT and segmentation files.

    Parameters
    ----------
    source
        Folder of DICOM files of one patient, in any layout.
    target
        New folder; files are called by series and rank, ``01/00001.dcm``.
    pseudonym
        Who the patient becomes.

    Raises
    ------
    oncoframe.errors.BadInput
        If a file is damaged or the files belong to several patients.
    """
    return deidentify_files(scan(source), target, pseudonym)


def deidentify_files(found: Scan, target: Path, pseudonym: Pseudonym) -> DeidentificationReport:
    """De-identified copy of files that were listed before, see :func:`deidentify_folder`."""
    report = DeidentificationReport()
    ranks: dict[str, int] = {}
    written: Counter[int] = Counter()
    for file in found.files:
        if file.text("SOPClassUID") not in CT_CLASSES and not is_segmentation(file):
            report.left_out["not_ct_or_segmentation"] += 1
            continue
        dataset = deidentified(read_object(file.path, file.where), pseudonym, report)
        rank = ranks.setdefault(file.text("SeriesInstanceUID"), len(ranks) + 1)
        written[rank] += 1
        for reason in burned_in(file, dataset):
            report.burned_in[reason] += 1
        save(dataset, target / f"{rank:02d}" / f"{written[rank]:05d}.dcm")
        report.files += 1
    return report


def deidentify_pair(image: Path, mask: Path, target: Path) -> DeidentificationReport:
    """Write a ready image and its mask anew, without names and free texts.

    Parameters
    ----------
    image, mask
        Volumes on one grid, see :func:`assets.imaging.ready.read_pair`.
    target
        Existing folder; the files are called ``image.nrrd`` and ``mask.nrrd``.

    Raises
    ------
    oncoframe.errors.BadInput
        If they cannot be used.
    """
    hu, inside, grid = read_pair(image, mask)
    sitk.WriteImage(grid.image(hu), str(target / "image.nrrd"), useCompression=True)
    sitk.WriteImage(
        grid.image(inside.astype(np.uint8)), str(target / "mask.nrrd"), useCompression=True
    )
    return DeidentificationReport(files=2)


def deidentified(dataset: Dataset, pseudonym: Pseudonym, report: DeidentificationReport) -> Dataset:
    """De-identified copy of one object; the report is added to."""
    clean = _cleaned(dataset, pseudonym, report)
    clean.PatientName = clean.PatientID = pseudonym.patient_id
    clean.PatientIdentityRemoved, clean.DeidentificationMethod = "YES", METHOD
    clean.LongitudinalTemporalInformationModified = "MODIFIED"
    for keyword in EMPTY:
        if keyword not in clean:
            setattr(clean, keyword, "")
    clean.file_meta = FileMetaDataset()
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    clean.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    clean.preamble = b"\0" * 128
    if "PixelData" in dataset:
        clean["PixelData"] = dataset["PixelData"]
    return clean


def _cleaned(dataset: Dataset, pseudonym: Pseudonym, report: DeidentificationReport) -> Dataset:
    clean = Dataset()
    for element in readable(dataset):
        if element.keyword == "PixelData":
            continue
        name = "private" if element.tag.is_private else element.keyword or "unknown"
        if element.keyword in SEQUENCES and element.VR == "SQ":
            items = [_cleaned(item, pseudonym, report) for item in element.value]
            clean.add(DataElement(element.tag, "SQ", items))
            report.kept[name] += 1
            continue
        value = _allowed(element, pseudonym)
        if value is None:
            report.removed[name] += 1
            continue
        clean.add(DataElement(element.tag, element.VR, value))
        (report.kept if value == element.value else report.replaced)[name] += 1
    return clean


def _allowed(element: DataElement, pseudonym: Pseudonym) -> object | None:
    """What an attribute may say in the copy; None if it has to go."""
    keyword = element.keyword
    value: object = element.value
    if keyword in NUMBERS and element.VR in ("US", "SS", "UL", "SL", "FL", "FD", "DS", "IS", "AT"):
        return value
    text = "" if value is None else str(value)
    if keyword in INSTANCE_UIDS:
        return pseudonym.uid(text)
    if keyword in CLASS_UIDS:
        # The name of a UID that the standard does not know is the UID itself.
        return text if UID(text).name != text else None
    if keyword in LABELS:
        return pseudonym.label(text)
    return pseudonym.date(text) if keyword in DATES else _allowed_text(element, text)


def _allowed_text(element: DataElement, text: str) -> object | None:
    keyword = element.keyword
    value: object = element.value
    if keyword in _NORMALISED:
        return _NORMALISED[keyword](text)
    if keyword in TEXTS:
        values = [text] if isinstance(value, str) else list(element.value or ())
        return value if all(TEXTS[keyword].fullmatch(str(v)) for v in values) else None
    return None


#: Texts of the scanner, as the covariates of features read them.
_NORMALISED = {
    "Manufacturer": manufacturer,
    "ManufacturerModelName": scanner_model,
    "ConvolutionKernel": kernel,
}
