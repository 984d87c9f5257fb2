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

import numpy as np
from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from assets.errors import SettingsError
from assets.imaging.covariates import kernel, manufacturer, scanner_model
from assets.imaging.deid_rules import (
    CLASS_UIDS,
    DATES,
    EMPTY,
    INSTANCE_UIDS,
    LABEL,
    LABELS,
    NUMBERS,
    SEQUENCES,
    TEXTS,
)
from assets.imaging.dicom_files import DicomFile, read_object, readable, save, scan
from assets.imaging.series import CT_CLASSES
from assets.imaging.targets import is_segmentation

METHOD = "PS3.15 basic profile by allow-list; dates shifted, UIDs replaced"
#: Dates move back by up to ten years.
LONGEST_SHIFT_DAYS = 3650
_SHORTEST_KEY_BYTES = 16
#: Corner of an image in which text is written, as a share of its edges.
_CORNER = 0.15
#: Saturated pixels that look like letters, and their distance from the background.
_INK_PIXELS, _INK_CONTRAST = 12, 500


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


@dataclass(frozen=True)
class Pseudonym:
    """A patient's new identity.

    Parameters
    ----------
    patient_id
        Pseudonym, as in the samplesheet.
    key
        Secret of the installation, at least 16 bytes.

    Raises
    ------
    SettingsError
        If the key is shorter.
    """

    patient_id: str
    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST_KEY_BYTES:
            raise SettingsError(
                "the key for pseudonyms is too short", expected=f"{_SHORTEST_KEY_BYTES} bytes",
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
    assets.errors.BadInput
        If a file is damaged or the files belong to several patients.
    """
    report = DeidentificationReport()
    ranks: dict[str, int] = {}
    written: Counter[int] = Counter()
    for file in scan(source).files:
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
    return pseudonym.date(text) if keyword in DATES else _allowed_text(element, text)


def _allowed_text(element: DataElement, text: str) -> object | None:
    keyword = element.keyword
    value: object = element.value
    if keyword in LABELS:
        return text if LABEL.fullmatch(text) else "structure"
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


def burned_in(file: DicomFile, clean: Dataset) -> list[str]:
    """Reasons to suspect text in the picture of a file; empty for none.

    Parameters
    ----------
    file
        The original.
    clean
        Its copy, with pixels.
    """
    reasons = []
    if file.text("BurnedInAnnotation") == "YES":
        reasons.append("said_to_have_burned_in_annotation")
    if {"SECONDARY", "SCREEN SAVE", "SCREENSAVE"} & set(file.header.get("ImageType") or ()):
        reasons.append("secondary_image")
    if any(0x6000 <= tag.group <= 0x601E for tag in file.header.keys()):  # noqa: PLR2004, SIM118
        reasons.append("overlay_plane_removed")
    syntax = clean.file_meta.TransferSyntaxUID
    if file.text("SOPClassUID") in CT_CLASSES and not syntax.is_compressed:
        bits = int(clean.get("BitsAllocated", 0))
        if bits in (8, 16) and _has_ink(clean, bits):
            reasons.append("letters_in_a_corner")
    return reasons


def _has_ink(clean: Dataset, bits: int) -> bool:
    """Whether the corners of an image, where there is air, hold saturated pixels."""
    kind = f"<{'i' if clean.PixelRepresentation else 'u'}{bits // 8}"
    rows, columns = int(clean.Rows), int(clean.Columns)
    stored = np.frombuffer(clean.PixelData, kind)[: rows * columns].reshape(rows, columns)
    high, wide = max(1, int(rows * _CORNER)), max(1, int(columns * 3 * _CORNER))
    parts = [
        stored[:high, :wide],
        stored[:high, -wide:],
        stored[-high:, :wide],
        stored[-high:, -wide:],
    ]
    return any(
        (part == stored.max()).sum() >= _INK_PIXELS
        and float(stored.max()) - float(np.median(part)) > _INK_CONTRAST
        for part in parts
    )
