"""Items of a karyotype: one abnormality, as the nomenclature writes it between two commas.

    "der(7)t(1;7)(q10;p10)" -> parse_item -> Abnormality(der, 7, parts: t(1;7) at q10 and p10)

What an abnormality gains and loses is in :mod:`assets.genomics.karyotype.copy_changes`.
"""

import re
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from enum import StrEnum

CHROMOSOMES = (*(str(n) for n in range(1, 23)), "X", "Y")
#: Most copies that a multiplier (``x2``) may claim.
MAX_COPIES = 20


class Kind(StrEnum):
    """Kind of an abnormality, by its symbol in the nomenclature."""

    GAIN = "+"
    LOSS = "-"
    TRANSLOCATION = "t"
    INVERSION = "inv"
    INSERTION = "ins"
    DELETION = "del"
    DUPLICATION = "dup"
    TRIPLICATION = "trp"
    ADDITION = "add"
    ISOCHROMOSOME = "i"
    ISODICENTRIC = "idic"
    DERIVATIVE = "der"
    DICENTRIC = "dic"
    RING = "r"
    HOMOGENEOUS_REGION = "hsr"
    OTHER = "other"


@dataclass(frozen=True)
class Abnormality:
    """One abnormality.

    Parameters
    ----------
    kind
        Of the chromosome as a whole: a derivative chromosome is one, whatever made it.
    chromosomes
        ``1`` to ``22``, ``X``, ``Y``, or ``?``.
    bands
        Breakpoints on each of the chromosomes (``("q22",), ("q22",)``); empty where not said.
    sign
        ``+`` for a further chromosome, ``-`` for one that is missing, else empty.
    copies
        How often it is there.
    constitutional
        In all cells of the body, not acquired.
    uncertain
        The laboratory put a question mark to it.
    parts
        What made a derivative chromosome.
    """

    kind: Kind
    chromosomes: tuple[str, ...]
    bands: tuple[tuple[str, ...], ...] = ()
    sign: str = ""
    copies: int = 1
    constitutional: bool = False
    uncertain: bool = False
    parts: tuple["Abnormality", ...] = ()

    @property
    def is_structural(self) -> bool:
        """Whether a chromosome is rebuilt, not merely gained or lost."""
        return self.kind not in (Kind.GAIN, Kind.LOSS)

    def with_parts(self) -> tuple["Abnormality", ...]:
        """The abnormality, then what made it."""
        return (self, *self.parts)

    def undoes(self, other: "Abnormality") -> bool:
        """Whether this item, in a side line, takes an abnormality of the stem line away."""
        if not self.is_structural:
            return (
                not other.is_structural
                and {self.kind, other.kind} == {Kind.GAIN, Kind.LOSS}
                and self.chromosomes == other.chromosomes
            )
        same = self.kind == other.kind and self.chromosomes == other.chromosomes
        return self.sign == "-" and same and (not any(self.bands) or self.bands == other.bands)


@dataclass(frozen=True)
class Marker:
    """Chromosomes of unknown origin: ``mar``, ``r`` without a number, ``dmin``.

    Parameters
    ----------
    kind
        Symbol.
    least
        Number, or the least of a range.
    """

    kind: str
    least: int
    sign: str = "+"


Known = MutableMapping[tuple[str, tuple[str, ...]], tuple[tuple[str, ...], ...]]

_SYMBOLS = {
    **{kind.value: kind for kind in Kind if kind.value.isalpha()},
    "rcp": Kind.TRANSLOCATION,
    "tan": Kind.TRANSLOCATION,
    "rob": Kind.DERIVATIVE,
    "iso": Kind.ISOCHROMOSOME,
    "ider": Kind.ISOCHROMOSOME,
    "psuidic": Kind.ISODICENTRIC,
    "psudic": Kind.DICENTRIC,
    "qdp": Kind.TRIPLICATION,
    "invdup": Kind.DUPLICATION,
    "dirdup": Kind.DUPLICATION,
    "invins": Kind.INSERTION,
    "dirins": Kind.INSERTION,
    "rec": Kind.OTHER,
    "tas": Kind.OTHER,
    "trc": Kind.DICENTRIC,
    "fra": Kind.OTHER,
    "fis": Kind.OTHER,
    "neo": Kind.OTHER,
    "upd": Kind.OTHER,
    "dmin": Kind.OTHER,
}
_WHOLE = re.compile(r"([+\-])\??(\d{1,2}|[XY])(\?c|c)?")
_OLD = re.compile(r"([+\-]?)(\d{1,2}|[XY])([pq])([+\-])")
_MARKER = re.compile(
    r"([+\-]?)\??(\d{0,3})(?:[~\-](\d{1,3}))?(mar|dmin|min|ace|r)(\d{0,3})(?:[~\-](\d{1,3}))?"
)
_MULTIPLE = re.compile(r"[xX](\d{1,3})(?:[~\-]\d+)?$")
_ELEMENT = re.compile(r"([A-Za-z]+)\??\(([^()]*)\)\??(?:\(([^()]*)\))?\??")
_CHROMOSOME = re.compile(r"(\d{1,2}|[XY]|\?)([pq]\S*)?")
_BAND = re.compile(r"[pq](?:ter|\d{0,2}(?:\.\d{1,3})?)|cen")
_BRACKETS = re.compile(r"\([^()]*\)")
_INHERITED = re.compile(r"(?:\?c|c|mat|pat|dn|inh|dmat|dpat)$")


def parse_item(text: str, known: Known) -> Abnormality | Marker | None:
    """One item between the commas of a clone, or None if it cannot be read.

    Parameters
    ----------
    text
        Without spaces.
    known
        Breakpoints by symbol and chromosomes; a later ``der(9)t(9;11)`` refers to them.
    """
    text = text[:1] + text[1:].split("or", maxsplit=1)[0]  # del(5)(q13)ordel(5)(q15)
    copies = 1
    if match := _MULTIPLE.search(text):
        copies, text = min(int(match[1]), MAX_COPIES), text[: match.start()]
    if match := _MARKER.fullmatch(text):
        first = int(match[2] or 1)
        span = int(match[6]) - int(match[5]) + 1 if match[5] and match[6] else 1
        least = max(first, 1) * max(span, 1) * max(copies, 1)
        return Marker(match[4], min(least, MAX_COPIES), match[1] or "+")
    uncertain = text.startswith("?")
    text = text.removeprefix("?")
    if match := _WHOLE.fullmatch(text):
        if match[2] not in CHROMOSOMES:
            return None
        kind = Kind(match[1])
        return Abnormality(kind, (match[2],), (), match[1], copies, bool(match[3]), uncertain)
    if match := _OLD.fullmatch(text):
        if match[2] not in CHROMOSOMES:
            return None
        kind = Kind.DELETION if match[4] == "-" else Kind.ADDITION
        return Abnormality(kind, (match[2],), ((match[3],),), match[1], copies)
    return _structural(text, copies, known, uncertain=uncertain)


def _structural(text: str, copies: int, known: Known, *, uncertain: bool) -> Abnormality | None:
    sign = text[0] if text[:1] in ("+", "-") else ""
    text = text.removeprefix(sign) if sign else text
    uncertain |= text.startswith("?")
    text = text.removeprefix("?")
    constitutional = False
    if match := _INHERITED.search(text):
        constitutional, text = True, text[: match.start()]
    elements: list[Abnormality] = []
    end = 0
    for match in _ELEMENT.finditer(text):
        if match.start() != end:
            return None
        end = match.end()
        uncertain |= "?" in _BRACKETS.sub("", match[0])  # of the whole, not of a band
        element = _element(match[1].lower(), match[2], match[3] or "", known)
        if element is None:
            return None
        elements.append(element)
    if not elements or end != len(text):
        return None
    head, *parts = elements
    if parts and head.kind not in (Kind.DERIVATIVE, Kind.ISOCHROMOSOME, Kind.DICENTRIC):
        head, parts = replace(head, kind=Kind.DERIVATIVE), elements
    return replace(
        head,
        sign=sign,
        copies=max(copies, 1),
        constitutional=constitutional,
        uncertain=uncertain,
        parts=tuple(parts),
    )


def _element(symbol: str, chromosomes: str, bands: str, known: Known) -> Abnormality | None:
    kind = _SYMBOLS.get(symbol)
    if kind is None:
        return None
    names, own = [], []
    for written in re.split("[;:]", chromosomes):
        match = _CHROMOSOME.fullmatch(written.strip("?") or written[:1])
        if match is None or match[1] not in (*CHROMOSOMES, "?"):
            return None
        names.append(match[1])
        own.append((match[2],) if match[2] else ())
    breaks = _bands(bands, len(names)) if bands else tuple(own)
    if breaks is None:
        return None
    key = (symbol, tuple(names))
    if any(breaks):
        known[key] = breaks
    else:
        breaks = known.get(key, breaks)
    return Abnormality(kind, tuple(names), breaks)


def _bands(text: str, chromosomes: int) -> tuple[tuple[str, ...], ...] | None:
    """Breakpoints on each chromosome; None if the text is no band."""
    text = text.replace("?", "")
    if "->" in text or "::" in text:
        return ((),) * chromosomes  # the detailed form: what it means is not followed up
    places = []
    for part in re.split("[;:]", text):
        # Of a range of bands (q25~26) the first is taken.
        clean = re.sub(r"[~\-](?:[pq]?\d+(?:\.\d+)?)", "", part)
        found = tuple(_BAND.findall(clean))
        if "".join(found) != clean:
            return None
        places.append(found)
    if chromosomes == 1:
        return (tuple(band for part in places for band in part),)
    places += [()] * (chromosomes - len(places))
    return tuple(places[:chromosomes])
