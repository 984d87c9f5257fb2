"""Karyotypes: strings of the international nomenclature (ISCN) as clones and abnormalities.

    "47,XX,+8[15]/46,XX[5]" -> parse_karyotype -> Karyotype | reason why it says nothing

Reads what laboratories write, of ISCN 1985 to 2024 and beside it: missing commas and brackets,
``idem``, ``sl`` and ``sdl``, ranges, composite clones, remarks behind the karyotype. An item that
cannot be read is kept as such: the karyotype can then affirm an abnormality, but not exclude one.
In-situ hybridisation and array results (``.ish``, ``arr``) are not read.

References
----------
ISCN 2020: An International System for Human Cytogenomic Nomenclature. Karger, Basel 2020.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from assets.genomics.karyotype.items import Abnormality, Marker, parse_item

#: Longest text that is read; the longest karyotypes in use have about 1,000 characters.
MAX_CHARACTERS = 10_000
#: Most chromosomes of a cell that is counted one by one (an octaploid has 184).
MAX_CHROMOSOMES = 300

_NORMAL = re.compile(r"(?:a )?(?:normal|diploid)(?: (?:fe)?male)?(?: (?:karyotype|cytogenetics))?")
_NO_RESULT = re.compile(
    r"n/?a|none|unknown|pending|no (?:growth|metaphases?|mitos[ie]s|result)|fail(?:ed|ure)?"
    r"|not (?:done|performed|available|evaluable)|insufficient.*|no data|nd|-+|\?+"
)
_OTHER_METHOD = re.compile(r"\b(?:nuc\s*|rev\s*)?ish|\barr\b|\bsseq\b|\bogm\b")
_REMARK = re.compile(r"\([^()\[\]]*[A-Za-z]{3,}[ :]+[A-Za-z]{2,}[^()\[\]]*\)")
_CELLS = re.compile(r"(?:\[(cp)?(\d+)[\])}]?|\((cp)?(\d+)\]|(?<=\))\((cp)?(\d+)\))$")
_MODAL = re.compile(r"(\d{1,3})(?:[~\-](\d{1,3}))?(?:<(\d+)n[+\-]?>)?,?")
_SEX = re.compile(r"(\?|[XY]{1,8}|[UO])(c)?(?:,|$|(?=[a-z+\-?]))")
_STEM = re.compile(r"(idem|sl|sdl(\d*))(?:x\d+)?$", re.IGNORECASE)
#: What an item starts with; a comma before it separates even within a bracket left open.
_ITEM_START = re.compile(
    r"[?(]*[+\-]?[?]?(?:\d*[~\-]?\d*(?:mar|dmin)|[+\-](?:\d|[XY])|idem|sdl|sl\b|inc"
    r"|(?:psu)?(?:idic|ider|der|del|dup|add|dic|inv|ins|hsr|trp|rec|rob|[tir])\()",
    re.IGNORECASE,
)
_REPAIRS = (
    (re.compile(r"[\[(]c\s*p"), "[cp"),
    (re.compile(r"\s+"), ""),
    (re.compile(r"[{]"), "("),
    (re.compile(r"[}]"), ")"),
    (re.compile("\u00d7"), "x"),
    (re.compile("[\u2013\u2014\u2212]"), "-"),  # dashes and the minus sign
    (re.compile(r"\)([pq]\d[^()\[\]/]*\))"), r")(\1"),  # inv(16)p13q22)
    (re.compile(r"(?<=\d),(?=\d+[pq])"), "."),  # inv(16)(p13,1q22)
    (re.compile(r"(?<=[\d)])\.(?=[a-z]{1,4}\()"), ","),  # -18.add(19)(q13)
    (re.compile(r"(?<=\))(?=[+\-](?:\d|[XY]|mar|r\b))"), ","),  # t(1;7)(q10;p10)+8
    (re.compile(r"\b(idem|sl)(?=[+\-])"), r"\1,"),
    (re.compile(r"\](?=\d)"), "]/"),  # [9]46,XY[10]
    (re.compile(r"[.;,]+$"), ""),
)  # fmt: skip


@dataclass(frozen=True)
class Clone:
    """Cells with one set of abnormalities.

    Parameters
    ----------
    modal
        Least and most chromosomes per cell; None where the text does not say.
    ploidy
        Sets of chromosomes that gains and losses are relative to (2 unless ``<3n>`` is written).
    sex
        Sex chromosomes as written.
    cells
        Metaphases, None where not counted.
    composite
        Not every cell has every abnormality (``cp``).
    abnormalities, markers
        What is abnormal; those of a stem line referred to by ``idem`` or ``sl`` are included.
    """

    modal: tuple[int, int] | None
    ploidy: int
    sex: str
    cells: int | None
    composite: bool
    abnormalities: tuple[Abnormality, ...] = ()
    markers: tuple[Marker, ...] = ()

    @property
    def acquired(self) -> tuple[Abnormality, ...]:
        """Abnormalities that are not constitutional."""
        return tuple(a for a in self.abnormalities if not a.constitutional)

    @property
    def is_normal(self) -> bool:
        """Whether nothing but constitutional abnormalities is written of a diploid clone."""
        return not self.acquired and not self.markers and self.ploidy == 2  # noqa: PLR2004


@dataclass(frozen=True)
class Karyotype:
    """What a karyotype says.

    Parameters
    ----------
    clones
        In the order written, at least one; cells of a donor (behind ``//``) are left out.
    unread
        Items that could not be read.
    complete
        Whether everything was read; only then does it exclude what it does not mention.
    """

    clones: tuple[Clone, ...]
    unread: tuple[str, ...] = ()
    complete: bool = True

    @property
    def abnormal(self) -> tuple[Clone, ...]:
        """Clones with an acquired abnormality."""
        return tuple(clone for clone in self.clones if not clone.is_normal)


@dataclass(frozen=True)
class Unreadable:
    """A text that is no karyotype.

    Parameters
    ----------
    reason
        ``no_result``, ``donor_cells_only``, ``other_method``, ``too_long`` or ``no_karyotype``.
    """

    reason: str


@lru_cache(maxsize=16_384)
def parse_karyotype(text: str) -> Karyotype | Unreadable:
    """Karyotype of a text; never raises.

    Parameters
    ----------
    text
        A karyotype as the laboratory wrote it.
    """
    if len(text) > MAX_CHARACTERS:
        return Unreadable("too_long")
    words = " ".join(text.lower().split()).strip(" .")
    if _NORMAL.fullmatch(words):
        return Karyotype((Clone((46, 46), 2, "", None, composite=False),))
    if not words or _NO_RESULT.fullmatch(words):
        return Unreadable("no_result")
    written = _REMARK.sub("", text)
    other = _OTHER_METHOD.search(written)
    written = (written[: other.start()] if other else written).rstrip()
    cut = written.endswith((",", "[", "("))
    for pattern, repaired in _REPAIRS:
        written = pattern.sub(repaired, written)
    if not written:
        return Unreadable("other_method" if other else "no_karyotype")
    recipient = written.split("//")[0].strip("/")
    if not recipient:
        return Unreadable("donor_cells_only")
    return _clones(recipient, complete=not cut)


def _clones(text: str, *, complete: bool) -> Karyotype | Unreadable:
    clones: list[Clone] = []
    unread: list[str] = []
    known: dict[tuple[str, tuple[str, ...]], tuple[tuple[str, ...], ...]] = {}
    for part in _split(text, "/"):
        clone, problems, whole = _clone(_unwrapped(part), clones, known)
        unread += problems
        complete &= whole
        if clone is not None:
            clones.append(clone)
    said = [c for c in clones if c.modal or c.abnormalities or c.markers]
    if not said:
        return Unreadable("no_karyotype")
    return Karyotype(tuple(said), tuple(unread), complete and not unread)


def _unwrapped(part: str) -> str:
    """``[46,XY]`` and ``46[XX]`` without their misplaced brackets."""
    part = part.strip(".;,")
    if match := re.fullmatch(r"\[?(\d{2}),?\[?([XY]{1,4})\]?", part):
        return f"{match[1]},{match[2]}"
    return part


def _clone(
    part: str,
    before: list[Clone],
    known: dict[tuple[str, tuple[str, ...]], tuple[tuple[str, ...], ...]],
) -> tuple[Clone | None, list[str], bool]:
    """Clone of a part, the items that cannot be read, and whether the part is whole."""
    part = part.rstrip("[")
    cells, composite = None, False
    if match := _CELLS.search(part):
        cells = int(next(n for n in match.groups()[1::2] if n)[:6])
        composite = any(match.groups()[0::2])
        part = part[: match.start()]
    modal, ploidy, rest = _modal(part)
    sex = ""
    if match := _SEX.match(rest):
        sex, rest = match[1], rest[match.end() :]
    clone = Clone(modal, ploidy, sex, cells, composite)
    unread: list[str] = []
    whole = modal is not None
    for item in _split(rest, ","):
        item = item.strip("().;") if item.count("(") != item.count(")") else item  # noqa: PLW2901
        if not item:
            continue
        if item.lower() == "inc":
            whole = False
        elif match := _STEM.match(item):
            base = _stem(match, before)
            if base is None:
                unread.append(item)
            else:
                clone = replace(clone, abnormalities=base.abnormalities, markers=base.markers)
        elif (parsed := parse_item(item, known)) is None:
            unread.append(item)
        elif isinstance(parsed, Marker):
            clone = _with_marker(clone, parsed)
        else:
            clone = _with(clone, parsed)
    empty = clone.modal is None and not clone.abnormalities and not clone.markers
    return (None if empty else clone), unread, whole


def _modal(part: str) -> tuple[tuple[int, int] | None, int, str]:
    """Chromosomes per cell, ploidy, and the rest of a clone."""
    match = _MODAL.match(part)
    if match is None or part.startswith(("+", "-")):
        return None, 2, part
    low = int(match[1])
    high = int(match[2] or low)
    rest = part[match.end() :]
    if not 1 <= low <= high <= MAX_CHROMOSOMES or rest.startswith(("(", "p", "q")):
        return None, 2, part
    ploidy = int(match[3][:2]) if match[3] else 2
    return (low, high), max(1, min(ploidy, 16)), rest


def _split(text: str, separator: str) -> list[str]:
    """Parts between separators outside of brackets, or before what starts an item."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        if letter in "([":
            depth += 1
        elif letter in ")]":
            depth = max(0, depth - 1)
        elif letter == separator and (
            depth == 0
            or _ITEM_START.match(text, i + 1)
            or (separator == "/" and text[i + 1 : i + 2].isdigit())
        ):
            parts.append(text[start:i])
            start, depth = i + 1, 0
    return [part for part in (*parts, text[start:]) if part]


def _stem(match: re.Match[str], before: list[Clone]) -> Clone | None:
    """The clone that ``idem`` or ``sl`` (the first) or ``sdl2`` (the second side line) means."""
    abnormal = [clone for clone in before if clone.modal or clone.abnormalities]
    index = int(match[2][:3] or 1) if match[1].lower().startswith("sdl") else 0
    return abnormal[index] if index < len(abnormal) else None


def _with(clone: Clone, new: Abnormality) -> Clone:
    """Clone with one more abnormality; ``-`` before one of the stem line takes it away."""
    opposite = next((old for old in clone.abnormalities if new.undoes(old)), None)
    if opposite is not None:
        left = list(clone.abnormalities)
        left.remove(opposite)
        return replace(clone, abnormalities=tuple(left))
    if new.sign == "-" and new.is_structural:
        return clone  # taken from a stem line that does not name it
    return replace(clone, abnormalities=(*clone.abnormalities, *[new] * new.copies))


def _with_marker(clone: Clone, new: Marker) -> Clone:
    if new.sign == "-":
        left = list(clone.markers)
        found = next((old for old in left if old.kind == new.kind), None)
        if found is not None:
            left.remove(found)
        return replace(clone, markers=tuple(left))
    return replace(clone, markers=(*clone.markers, new))
