"""The CT series of a folder, the segmentations drawn on it, and why every other series is left out.

    scan -> series by UID -> CT candidates x targets -> one CT, its targets, an account of the rest

A series is chosen by what it is (SOP class, image type) and by what the segmentation says it was
drawn on (referenced images, then referenced series, then frame of reference); never by the names
of files and folders.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from assets.imaging.dicom_files import DicomFile, Scan, readable
from assets.imaging.errors import EmptyMask, NoMask, NotCT, OtherFrameOfReference
from assets.imaging.targets import RTSTRUCT_CLASS, Target, is_segmentation, targets_of
from oncoframe.errors import TruncatedFile

CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "enhanced CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "legacy converted enhanced CT",
}


@dataclass(frozen=True)
class SeriesAccount:
    """One series of the folder and what became of it.

    Parameters
    ----------
    modality
        DICOM modality; ``other`` unless it is one of the standard's two-letter codes.
    instances
        Number of files.
    used
        Whether features rest on it.
    reason
        Why it was used or not.
    """

    modality: str
    instances: int
    used: bool
    reason: str


@dataclass(frozen=True)
class References:
    """What a segmentation names of the CT that it is put on.

    Parameters
    ----------
    named, present
        Images that it names, and how many of them are in the CT series.
    names_series
        Whether it names the CT series; None if it names no series.
    """

    named: int
    present: int
    names_series: bool | None

    @property
    def known_by(self) -> str:
        """By what the segmentation belongs to the CT, the surest first."""
        if self.present:
            return "images"
        if self.names_series:
            return "series"
        names_others = self.named or self.names_series is not None
        return "absent_images" if names_others else "frame_of_reference"


@dataclass(frozen=True)
class Choice:
    """The CT series and what was segmented on it.

    Parameters
    ----------
    ct
        Files of the series, localizers left out.
    targets
        What was drawn on it.
    references
        Path of a segmentation -> what it names of this CT.
    left_out
        Series UID -> reason, for every series that is neither.
    series
        Series UID -> its files, for all series.
    """

    ct: tuple[DicomFile, ...]
    targets: tuple[Target, ...]
    references: dict[Path, References]
    left_out: dict[str, str]
    series: dict[str, list[DicomFile]]

    def account(self, used: list[Target]) -> list[SeriesAccount]:
        """What became of each series, given the targets that features rest on."""
        used_uids = {t.file.text("SeriesInstanceUID") for t in used}
        ct_uid = self.ct[0].text("SeriesInstanceUID")
        accounts = []
        for uid, files in self.series.items():
            if uid == ct_uid:
                said = (True, "ct_series")
            elif uid in used_uids:
                said = (True, "segmentation")
            else:
                said = (False, self.left_out.get(uid, "not_the_segmentation_of_the_rule"))
            accounts.append(SeriesAccount(_modality(files[0]), len(files), *said))
        return accounts


def choose(scan: Scan) -> Choice:
    """The CT series that was segmented and its segmentations.

    Raises
    ------
    NotCT
        If there is no CT series.
    NoMask
        If there is no segmentation.
    EmptyMask
        If nothing is drawn in any of them.
    OtherFrameOfReference
        If no segmentation was drawn on a CT series of the folder.
    """
    by_uid: dict[str, list[DicomFile]] = defaultdict(list)
    for file in scan.files:
        by_uid[file.text("SeriesInstanceUID")].append(file)
    series = dict(sorted(by_uid.items(), key=lambda s: (_modality(s[1][0]), s[0])))
    left_out: dict[str, str] = {}
    cts, targets = {}, []
    for uid, files in series.items():
        if is_segmentation(files[0]):
            targets += [target for file in files for target in targets_of(_complete(file))]
            continue
        reason = _why_no_ct(files)
        if reason:
            left_out[uid] = reason
        else:
            cts[uid] = tuple(file for file in files if not _is_localizer(file))
    _need(scan, cts, targets, left_out)
    ct_uid, on_it, references = _segmented(scan, cts, targets)
    on_it_files = {target.file.path for target in on_it}
    for uid in cts.keys() - {ct_uid}:
        left_out[uid] = "no_segmentation_on_this_series"
    for uid, files in series.items():
        if is_segmentation(files[0]) and not any(f.path in on_it_files for f in files):
            left_out[uid] = "segmentation_of_another_series"
    return Choice(cts[ct_uid], tuple(on_it), references, left_out, series)


def _need(
    scan: Scan, cts: dict[str, tuple[DicomFile, ...]], targets: list[Target], why: dict[str, str]
) -> None:
    if not cts:
        reasons = sorted(set(why.values())) or ["segmentations only"]
        raise NotCT("no CT series in the folder", where=str(scan.folder), got=", ".join(reasons))
    if not targets and any(is_segmentation(file) for file in scan.files):
        raise EmptyMask(
            "the segmentation contains no drawn structure", where=str(scan.folder),
            got="structures without a contour or segment",
        )  # fmt: skip
    if not targets:
        raise NoMask(
            "no segmentation in the folder",
            where=str(scan.folder),
            expected="an RTSTRUCT or a DICOM SEG with at least one structure",
            got=f"{len(cts)} CT series",
        )


def _segmented(
    scan: Scan, cts: dict[str, tuple[DicomFile, ...]], targets: list[Target]
) -> tuple[str, list[Target], dict[Path, References]]:
    """UID of the CT series of the newest tumour, all targets on it, and what their files name."""
    homes: dict[str, list[Target]] = defaultdict(list)
    files = {target.file.path: target.file for target in targets}
    named = {path: _named_uids(file.header) for path, file in files.items()}
    by_file = {path: _home(cts, uids) for path, uids in named.items()}
    for target in targets:
        home = by_file[target.file.path]
        if home is not None:
            homes[home].append(target)
    if not homes:
        raise OtherFrameOfReference(
            "no segmentation lies in the frame of reference of a CT series",
            where=str(scan.folder),
            got=f"{len(targets)} segmented structures, {len(cts)} CT series",
            hint="Land the CT series that the segmentation was drawn on.",
        )
    placed = [(t.tumour_rank is not None, t.made, uid) for uid, ts in homes.items() for t in ts]
    ct_uid = max(placed)[2]
    on_it = homes[ct_uid]
    paths = {target.file.path for target in on_it}
    return ct_uid, on_it, {path: _compared(named[path], ct_uid, cts[ct_uid]) for path in paths}


def _home(cts: dict[str, tuple[DicomFile, ...]], named: "_Uids") -> str | None:
    """UID of the CT series that was segmented; None if it is none of them."""
    frames, series, instances = named
    fits = []
    for uid, files in cts.items():
        frame = files[0].text("FrameOfReferenceUID")
        if frames and frame and frame not in frames:
            continue
        referenced = sum(bool(_images(file) & instances) for file in files)
        same_frame = bool(frame) and frame in frames
        if referenced or uid in series or same_frame:
            fits.append((referenced, uid in series, len(files), uid))
    return max(fits)[3] if fits else None


def _compared(named: "_Uids", ct_uid: str, ct: tuple[DicomFile, ...]) -> References:
    _, series, instances = named
    present = len({uid for file in ct for uid in _images(file)} & instances)
    return References(len(instances), present, ct_uid in series if series else None)


def _images(file: DicomFile) -> set[str]:
    """UIDs by which a CT file can be named: its own, and those of the images it was made from."""
    frames = file.header.get("PerFrameFunctionalGroupsSequence") or ()
    sources = (
        str(source.get("ReferencedSOPInstanceUID"))
        for frame in frames
        for source in frame.get("ConversionSourceAttributesSequence") or ()
    )
    return {file.text("SOPInstanceUID"), *sources}


#: Frames of reference, series and images.
_Uids = tuple[set[str], set[str], set[str]]


def _named_uids(header: Dataset) -> _Uids:
    """Frames of reference, series and images that a segmentation names, as sets of UIDs."""
    found: dict[str, set[str]] = defaultdict(set)
    pending = [("", header)]
    while pending:
        place, item = pending.pop()
        for element in readable(item):
            if element.VR == "SQ":
                pending += [(element.keyword, part) for part in element.value]
            elif element.VR == "UI" and element.value and place != "RTReferencedStudySequence":
                found[element.keyword].add(str(element.value))
    frames = found["FrameOfReferenceUID"] | found["ReferencedFrameOfReferenceUID"]
    series = found["SeriesInstanceUID"] - {str(header.get("SeriesInstanceUID"))}
    return frames, series, found["ReferencedSOPInstanceUID"]


def _why_no_ct(files: list[DicomFile]) -> str | None:
    """Reason why a series of images is no CT; None if it is one."""
    sop_class, modality = files[0].text("SOPClassUID"), files[0].text("Modality")
    if sop_class not in CT_CLASSES:
        return f"not_a_ct_image_class_{_modality(files[0])}"
    # Units of activity stand in PET images only, also in those whose class was rewritten.
    if modality != "CT" or files[0].text("Units") in ("BQML", "CNTS", "SUVBW"):
        return f"modality_{_modality(files[0])}_in_a_ct_image_class"
    return "localizer" if all(_is_localizer(file) for file in files) else None


def _is_localizer(file: DicomFile) -> bool:
    return "LOCALIZER" in (file.header.get("ImageType") or ())


def _modality(file: DicomFile) -> str:
    said = file.text("Modality")
    return said if said in _MODALITIES else "other"


_MODALITIES = {
    "CT", "PT", "MR", "NM", "SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "REG", "SR", "PR", "KO", "SC",
    "OT", "CR", "DX", "US", "XA", "MG",
}  # fmt: skip


def _complete(file: DicomFile) -> DicomFile:
    """The segmentation object, refused if its last parts are missing."""
    is_rtstruct = file.text("SOPClassUID") == RTSTRUCT_CLASS
    needed = (
        ("StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence")
        if is_rtstruct
        else ("SegmentSequence", "PerFrameFunctionalGroupsSequence")
    )
    missing = [name for name in needed if name not in file.header]
    if missing:
        raise TruncatedFile(
            "the segmentation ends early", where=file.where, expected=", ".join(needed)
        )
    return file
