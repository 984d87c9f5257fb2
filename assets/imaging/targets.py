"""What was segmented: one target per ROI of an RTSTRUCT or segment of a DICOM SEG.

    segmentation objects -> targets -> those that the study's rule asks for

Naming rules: an outlined tumour is called after its gross tumour volume (GTV) in radiotherapy and
after the finding elsewhere; oedema, nodes and margins (CTV, PTV) are not the tumour.
"""

import re
from dataclasses import dataclass

from pydicom import Dataset

from assets.imaging.dicom_files import DicomFile, blaming
from assets.imaging.errors import NoMask
from assets.imaging.rules import MaskRule, Rule

_NOT_THE_TUMOUR = re.compile(
    r"o?edema|node|lymph|(?:^|[^a-z])ln(?:[^a-z]|$)|gtv[-_ ]?n(?![a-z])|ctv|ptv|itv|ring|margin"
    r"|necro"
)
_GROSS_TUMOUR_VOLUME = re.compile(r"gtv")
_TUMOUR = re.compile(r"tumou?r|neoplas|carcinom|sarcom|cancer|mass|lesion|nodule|malignan|metast")
_CONTAINS_NUMBER = re.compile(r"\d+")

RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


@dataclass(frozen=True)
class Target:
    """One segmented structure.

    Parameters
    ----------
    file
        Object that holds it.
    number
        ROI or segment number within the object.
    label
        Its name as written by a person: may name the patient, so it never leaves this package.
    finding
        Coded meaning of what it is (DICOM SEG), in lower case.
    """

    file: DicomFile
    number: int
    label: str
    finding: str

    @property
    def made(self) -> str:
        """Sortable date and time of the object."""
        for day, time in (("ContentDate", "ContentTime"), ("StructureSetDate", "StructureSetTime"),
                          ("SeriesDate", "SeriesTime"), ("StudyDate", "StudyTime")):  # fmt: skip
            if self.file.text(day):
                return self.file.text(day) + self.file.text(time).ljust(6, "0")
        return ""

    @property
    def tumour_rank(self) -> tuple[int, int] | None:
        """Order among tumours, smallest first: by label (GTV, tumour), by code; None for others."""
        label = self.label.casefold()
        if _NOT_THE_TUMOUR.search(label):
            return None
        number = _CONTAINS_NUMBER.search(label)
        order = int(number[0]) if number else 0
        if _GROSS_TUMOUR_VOLUME.search(label):
            return 0, order
        if _TUMOUR.search(label):
            return 1, order
        return (2, order) if _TUMOUR.search(self.finding) else None


def is_segmentation(file: DicomFile) -> bool:
    """Whether the object is an RTSTRUCT or a DICOM SEG."""
    return file.text("SOPClassUID") in (RTSTRUCT_CLASS, *SEG_CLASSES)


def targets_of(file: DicomFile) -> list[Target]:
    """Targets of one segmentation object, in its order; ROIs without contours are left out."""
    with blaming(file.where):
        return _targets_of(file)


def _targets_of(file: DicomFile) -> list[Target]:
    header = file.header
    if file.text("SOPClassUID") == RTSTRUCT_CLASS:
        drawn = {
            int(roi.ReferencedROINumber)
            for roi in header.get("ROIContourSequence") or ()
            if roi.get("ContourSequence")
        }
        return [
            Target(file, int(roi.ROINumber), str(roi.get("ROIName", "")), "")
            for roi in header.get("StructureSetROISequence") or ()
            if int(roi.ROINumber) in drawn
        ]
    return [
        Target(file, int(segment.SegmentNumber), str(segment.get("SegmentLabel", "")),
               _finding(segment))
        for segment in header.get("SegmentSequence") or ()
    ]  # fmt: skip


def _finding(segment: Dataset) -> str:
    codes = segment.get("SegmentedPropertyTypeCodeSequence") or ()
    return " ".join(str(code.get("CodeMeaning", "")) for code in codes).casefold()


def candidates(targets: list[Target], rule: MaskRule) -> list[Target]:
    """Targets that fit the rule; where it is about size, those whose size decides.

    Parameters
    ----------
    targets
        Targets on one CT; at least one.
    rule
        The study's rule.

    Raises
    ------
    NoMask
        If the rule names targets and none is called so.
    """
    if rule.rule == Rule.NAMED:
        wanted = {name.strip().casefold() for name in rule.names}
        named = [t for t in targets if t.label.strip().casefold() in wanted]
        if not named:
            raise NoMask(
                "no segmentation has the name that the study asks for",
                where=str(targets[0].file.where),
                expected=", ".join(rule.names),
                got=f"{len(targets)} segmentations of other names",
            )
        return _newest(named)
    if rule.rule == Rule.TUMOUR:
        tumours = [t for t in targets if t.tumour_rank is not None]
        newest = _newest(tumours or targets)
        best = min((t.tumour_rank for t in newest if t.tumour_rank is not None), default=None)
        return [t for t in newest if t.tumour_rank == best]
    return _newest(targets) if rule.rule == Rule.LATEST else targets


def _newest(targets: list[Target]) -> list[Target]:
    newest = max((t.made, t.file.text("SOPInstanceUID")) for t in targets)
    return [t for t in targets if (t.made, t.file.text("SOPInstanceUID")) == newest]
