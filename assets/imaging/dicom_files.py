"""DICOM files of a folder, in any layout: flat, NBIA/TCIA tree, DICOMDIR medium.

    folder -> every file below it -> header, or a reason why it is none

Messages never quote a header, and a file name only if it is made of numbers: names of files and
folders are a place where patients' names live.
"""

import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import DataElement, Dataset, config
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError

from assets.imaging.errors import DamagedFile, TwoPatients
from oncoframe.errors import BadInput, EmptyFile, TruncatedFile, WrongFormat

# Real files break length rules of value representations (a spacing written with 20 digits); what
# is used is checked where it is used. pydicom's log quotes values, so it is kept silent.
config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

_PREAMBLE = 128
_PLAIN_NAME = re.compile(r"(?:[A-Z]{0,8}[-_. ]?)?\d+(?:[-_.]\d+){0,3}(?:\.dcm)?", re.IGNORECASE)
#: Attributes that a complete header has.
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")
_UNDEFINED_LENGTH = 0xFFFFFFFF
#: Bad files of one folder that are told at once.
FAULTS_AT_MOST = 20
UNPACK = "Unpack it: studies are read from folders."
#: First bytes of archives: zip, gzip, bzip2, xz, 7z.
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf")
_TAR_MAGIC_AT = 257


#: What pydicom raises on attributes that are not what their type says, apart from its warnings.
PARSE_ERRORS = (
    AttributeError, BytesLengthException, IndexError, KeyError, NotImplementedError, OverflowError,
    TypeError, ValueError,
)  # fmt: skip


@contextmanager
def blaming(where: str) -> Iterator[None]:
    """Turn what pydicom raises on damaged attributes into one error that names the file.

    Raises
    ------
    DamagedFile
        If an attribute is missing or cannot be parsed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PARSE_ERRORS as error:
        # The cause quotes the value, which may be a name: it must not stand in a traceback.
        raise DamagedFile(
            "the DICOM file is damaged", where=where, got=type(error).__name__
        ) from None


@dataclass(frozen=True)
class DicomFile:
    """One DICOM file: what it says of itself, without its pixels.

    Parameters
    ----------
    path
        Where it lies.
    where
        Name for messages: folder, and file name or number, never a patient's name.
    header
        Everything before the pixel data.
    """

    path: Path
    where: str
    header: Dataset

    def text(self, keyword: str) -> str:
        """Value of an attribute as text; empty where it is absent or empty."""
        with blaming(self.where):
            value = self.header.get(keyword)
            return "" if value is None else str(value).strip()


class Faults:
    """Bad files of a folder, told together: who repairs one would only meet the next.

    Parameters
    ----------
    folder
        Whose files.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._errors: list[BadInput] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep what is wrong with one file; after :data:`FAULTS_AT_MOST` of them stop."""
        try:
            yield
        except BadInput as error:
            self._errors.append(error)
        if len(self._errors) >= FAULTS_AT_MOST:
            self.check()

    def check(self) -> None:
        """Raise what was kept: the error itself, or one of the first's class that lists all.

        Raises
        ------
        oncoframe.errors.BadInput
            If a file was bad.
        """
        if not self._errors:
            return
        first, *others = self._errors
        if not others:
            raise first
        names = [str(error.where or "").removeprefix(f"{self._folder}: ") for error in self._errors]
        listed = [f"{name} ({e.what})" for name, e in zip(names, self._errors, strict=True)]
        more = " or more" if len(self._errors) >= FAULTS_AT_MOST else ""
        raise type(first)(
            f"{len(self._errors)}{more} files cannot be used", where=self._folder,
            expected=first.expected, got="; ".join(listed), hint=first.hint,
        )  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """What a folder holds.

    Parameters
    ----------
    folder
        The folder.
    files
        Its DICOM files, sorted by path.
    ignored
        Reason -> number of files that are no DICOM objects.
    """

    folder: Path
    files: tuple[DicomFile, ...]
    ignored: dict[str, int]


def scan(folder: Path) -> Scan:
    """DICOM files below ``folder``.

    Raises
    ------
    EmptyFile
        If a file has no bytes.
    TruncatedFile
        If a DICOM file ends within its header.
    WrongFormat
        If a file called ``.dcm`` is no DICOM file, or there is no DICOM file at all.
    TwoPatients
        If the files belong to more than one patient.
    """
    files, ignored = [], Counter[str]()
    faults = Faults(str(folder))
    for number, path in enumerate(_paths(folder), start=1):
        where = place(folder, path, number)
        header = None
        with faults.collected():
            header = _header(path, where)
        if header is None:
            ignored["archive" if is_archive(path) else "not_dicom"] += 1
        elif "DirectoryRecordSequence" in header:
            ignored["dicomdir"] += 1
        else:
            files.append(DicomFile(path, where, header))
    faults.check()
    if not files:
        raise WrongFormat(
            "no DICOM file in the folder",
            where=str(folder),
            expected="a CT series with its segmentation",
            got=f"{ignored.total()} other files",
            hint=UNPACK if ignored["archive"] else None,
        )
    _check_one_patient(folder, files)
    return Scan(folder, tuple(files), dict(ignored))


def check_folder(path: Path) -> None:
    """Refuse what is no folder; of an archive the error says what to do with it.

    Raises
    ------
    WrongFormat
        If it is a file.
    """
    if not path.is_dir():
        packed = path.is_file() and is_archive(path)
        raise WrongFormat(
            "not a folder", where=str(path), expected="a folder of DICOM files",
            got="an archive" if packed else None, hint=UNPACK if packed else None,
        )  # fmt: skip


def is_archive(path: Path) -> bool:
    """Whether a file is a zip, a tar, or compressed, by its first bytes."""
    with path.open("rb") as stream:
        start = stream.read(_TAR_MAGIC_AT + 5)
    return start.startswith(_ARCHIVES) or start[_TAR_MAGIC_AT:] == b"ustar"


def place(folder: Path, path: Path, number: int) -> str:
    """Name of a file for messages: its name where that is a number, else its rank in the folder."""
    name = path.name if _PLAIN_NAME.fullmatch(path.name) else f"file {number} in sorted order"
    return f"{folder}: {name}"


def _paths(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path


def _header(path: Path, where: str) -> Dataset | None:
    """Header of a DICOM file, None for a file of another kind."""
    with path.open("rb") as stream:
        start = stream.read(_PREAMBLE + 4)
    if not start:
        raise EmptyFile("the file has no bytes", where=where)
    is_part_10 = start[_PREAMBLE:] == b"DICM"
    is_bare = start[:4] in (b"\x08\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00")
    if not is_part_10 and not is_bare:
        if path.suffix.lower() in (".dcm", ".dicom", ".ima"):
            raise WrongFormat("not a DICOM file in spite of its name", where=where)
        return None
    header = read_header(path, where, force=is_bare)
    if is_bare and "SOPClassUID" not in header:
        return None
    with blaming(where):
        is_complete = path.name.upper() == "DICOMDIR" or all(header.get(name) for name in _NEEDED)
    if not is_complete:
        raise TruncatedFile("the DICOM header ends early", where=where)
    return header


def read_header(path: Path, where: str, *, force: bool = False) -> Dataset:
    """Everything before the pixel data.

    Raises
    ------
    TruncatedFile
        If the file ends within an element, or cannot be parsed.
    """
    return _read(path, where, force=force, stop_before_pixels=True)


def read_object(path: Path, where: str) -> Dataset:
    """The whole file.

    Raises
    ------
    TruncatedFile
        If the file ends within an element, or cannot be parsed.
    """
    return _read(path, where, force=True, stop_before_pixels=False)


def _read(path: Path, where: str, *, force: bool, stop_before_pixels: bool) -> Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=force, stop_before_pixels=stop_before_pixels)
            _parse(dataset)
    except (EOFError, OSError, InvalidDicomError, *PARSE_ERRORS) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise TruncatedFile(
            "the DICOM file ends early or is damaged", where=where, got=type(error).__name__
        ) from None
    return dataset


def _parse(dataset: Dataset) -> None:
    """Parse all sequences: elements are parsed when first used, and only then fail if cut off."""
    if any(_is_short(element) for element in dataset.values()):
        raise EOFError
    for tag, raw in list(dataset.items()):
        known = dictionary_has_tag(tag) and dictionary_VR(tag)
        if (raw.VR or known) == "SQ":
            _ = dataset[tag].value


def readable(dataset: Dataset) -> Iterator[DataElement]:
    """Elements of a dataset whose value can be parsed; a number that is none is passed over."""
    for tag in list(dataset.keys()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                element = dataset[tag]
        except PARSE_ERRORS:
            continue
        yield element


def _is_short(element: DataElement | RawDataElement) -> bool:
    """Whether an element, not parsed yet, has fewer bytes than it announces."""
    if not isinstance(element, RawDataElement) or element.length == _UNDEFINED_LENGTH:
        return False
    return len(element.value or b"") < element.length


def _check_one_patient(folder: Path, files: list[DicomFile]) -> None:
    for keyword in ("PatientID", "PatientName"):
        # Programs differ in the case and the separators of names: only letters and digits count.
        said = {re.sub(r"[\W_]", "", file.text(keyword)).casefold() for file in files} - {""}
        if len(said) > 1:
            raise TwoPatients(
                "the folder holds files of more than one patient",
                where=str(folder),
                got=f"{len(said)} values of {keyword}",
                hint="Land one folder per patient.",
            )
        if said:
            return


def save(dataset: Dataset, path: Path) -> None:
    """Write a dataset as a DICOM file, its folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = config.settings.writing_validation_mode
    # Headers that broke rules when they were read may break them still.
    config.settings.writing_validation_mode = config.IGNORE
    try:
        dataset.save_as(path, enforce_file_format=True)
    finally:
        config.settings.writing_validation_mode = mode
