"""What was segmented: one target per ROI of an RTSTRUCT or segment of a DICOM SEG.

    segmentation objects -> targets -> those that the study's rule asks for, and why these

A tumour is known by its name, see :mod:`assets.imaging.structure_names`, or by its code. Where none
is called so and there is more than one structure, nobody can say which it is: a refusal.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom import Dataset

from assets.imaging.dicom_files import DicomFile, blaming
from assets.imaging.errors import NoMask, UnclearTumour
from assets.imaging.rules import MaskRule, Rule
from assets.imaging.structure_names import (
    Kind,
    is_no_tumour,
    kind_of,
    names_a_place,
    structure_label,
)

#: Rank of a tumour that is known by its code only; behind those of names.
_BY_CODE = 2
#: How a rank is called in a row.
_SIGNS = ("gross_tumour_volume", "tumour_name", "tumour_code")
#: Structures that an error lists at most.
_LISTED = 12

#: Codes of types of segments (SNOMED CT, and the older SNOMED RT) -> what they mean.
_MEANINGS = {
    **dict.fromkeys(("108369006", "M-8FFFF", "86049000", "M-80003", "372087000"), "neoplasm"),
    **dict.fromkeys(("14799000", "M-80006"), "metastasis"),
    **dict.fromkeys(("52988006", "M-01100", "301766008"), "lesion"),
    **dict.fromkeys(("4147007", "M-03000", "129788004"), "mass"),
    **dict.fromkeys(("27925004", "M-03010"), "nodule"),
    **dict.fromkeys(("79654002", "M-36300"), "edema"),
    **dict.fromkeys(("6574001", "M-54000"), "necrosis"),
    **dict.fromkeys(("59441001", "T-C4000"), "lymph node"),
}
#: Codes of categories that hold no tumour: anatomical structure, tissue, body substance.
_NO_FINDING = frozenset(
    {"123037004", "T-D000A", "91723000", "T-D0005", "85756007", "T-D0050", "91720002", "T-D0080"}
)

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
        Meaning of its codes, in lower case; empty where they tell of no finding.
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
    def name(self) -> str:
        """Its label in words for structures only, which names nobody."""
        return structure_label(self.label)

    @property
    def tumour_rank(self) -> tuple[int, int] | None:
        """Order among tumours, smallest first: by label (GTV, tumour), by code; None for others.

        Of one kind the lowest number comes first, whatever the sizes: GTV-1 before GTV-2, as
        planners number them by importance.
        """
        kind, number = kind_of(self.label)
        if is_no_tumour(self.label):
            return None
        if kind is not Kind.OTHER:
            return kind, number
        return (_BY_CODE, number) if kind_of(self.finding)[0] is not Kind.OTHER else None


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
        findings = {
            int(seen.ReferencedROINumber): _words(seen, "RTROIIdentificationCodeSequence")
            for seen in header.get("RTROIObservationsSequence") or ()
        }
        return [
            Target(
                file, int(roi.ROINumber), str(roi.get("ROIName", "")),
                findings.get(int(roi.ROINumber), ""),
            )
            for roi in header.get("StructureSetROISequence") or ()
            if int(roi.ROINumber) in drawn
        ]  # fmt: skip
    return [
        Target(file, int(segment.SegmentNumber), str(segment.get("SegmentLabel", "")),
               _finding(segment))
        for segment in header.get("SegmentSequence") or ()
    ]  # fmt: skip


def _finding(segment: Dataset) -> str:
    categories = segment.get("SegmentedPropertyCategoryCodeSequence") or ()
    if any(str(code.get("CodeValue")) in _NO_FINDING for code in categories):
        return ""
    return _words(segment, "SegmentedPropertyTypeCodeSequence")


def _words(item: Dataset, sequence: str) -> str:
    """Meanings of the codes of a sequence; TG-263 has names for codes (``GTVp``)."""
    found = []
    for code in item.get(sequence) or ():
        value, meaning = str(code.get("CodeValue", "")), str(code.get("CodeMeaning", ""))
        found.append(_MEANINGS.get(value, f"{value} {meaning}" if value.isalpha() else meaning))
    return " ".join(found).casefold()


@dataclass(frozen=True)
class Candidates:
    """Targets that fit a rule.

    Parameters
    ----------
    targets
        At least one; of several the rule takes the largest, or all together.
    sign
        By what they were known, and what was passed over for them.
    """

    targets: list[Target]
    sign: str


def candidates(targets: list[Target], rule: MaskRule) -> Candidates:
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
    UnclearTumour
        If the rule asks for the tumour and there are several structures, none of them called so.
    """
    match rule.rule:
        case Rule.TUMOUR:
            return _tumours(targets)
        case Rule.NAMED:
            return Candidates(_newest(_named(targets, rule)), "named")
        case Rule.LATEST:
            return Candidates(_newest(targets), "latest")
    return Candidates(targets, str(rule.rule))


def _named(targets: list[Target], rule: MaskRule) -> list[Target]:
    wanted = {name.strip().casefold() for name in rule.names}
    named = [t for t in targets if t.label.strip().casefold() in wanted]
    if not named:
        raise NoMask(
            "no segmentation has the name that the study asks for",
            where=str(targets[0].file.where),
            expected=", ".join(rule.names),
            got=_listed(targets),
        )
    return named


def _tumours(targets: list[Target]) -> Candidates:
    ranks = {id(t): rank for t in targets if (rank := t.tumour_rank) is not None}
    tumours = [t for t in targets if id(t) in ranks]
    if not tumours:
        # The same structure in several objects is one that was drawn again.
        if len({t.label.strip().casefold() for t in targets}) > 1:
            raise _unclear(targets, "several structures, and none is called after a tumour")
        return Candidates(_newest(targets), "only_structure")
    newest = _newest(tumours)
    best = min(ranks[id(t)] for t in newest)
    chosen = [t for t in newest if ranks[id(t)] == best]
    kind = [t for t in newest if ranks[id(t)][0] == best[0]]
    if best[0] == _BY_CODE and len(kind) > 1 and any(names_a_place(t.label) for t in kind):
        raise _unclear(targets, "several structures have the code of a tumour and are called else")
    sign = _SIGNS[best[0]]
    if len(chosen) < len(kind):
        sign += f"/lowest_number_of_{len(kind)}"
    return Candidates(chosen, sign)


def _unclear(targets: list[Target], what: str) -> UnclearTumour:
    return UnclearTumour(
        what,
        where=str(targets[0].file.where),
        expected="a name such as GTV or tumour, or one structure",
        got=_listed(targets),
        hint="Name it by the rule for masks, for example named:NAME.",
    )


def _listed(targets: Iterable[Target]) -> str:
    """Clean names of structures, with their numbers: a name without a known word has no other."""
    names = [f"{t.number} {t.name}" for t in targets]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _newest(targets: list[Target]) -> list[Target]:
    newest = max((t.made, t.file.text("SOPInstanceUID")) for t in targets)
    return [t for t in targets if (t.made, t.file.text("SOPInstanceUID")) == newest]
