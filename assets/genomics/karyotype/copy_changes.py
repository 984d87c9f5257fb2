"""What an abnormality of a karyotype gains and loses, as stretches of chromosomes.

    Abnormality -> copy_changes -> +1 from 1cen to 1qter, -1 from 7cen to 7qter

Bands are places on a line through the chromosome: short arm negative, centromere 0, long arm
positive, ends at -:data:`END` and :data:`END`; band q13 reaches from 13 to just before 14.
"""

from dataclasses import dataclass

from assets.genomics.karyotype.items import Abnormality, Kind

#: Place of the ends of a chromosome.
END = 100.0


@dataclass(frozen=True)
class CopyChange:
    """Change of copies of a stretch of a chromosome, from ``low`` to ``high``."""

    chromosome: str
    low: float
    high: float
    change: int


def place(band: str) -> float:
    """Place of the inner edge of a band on the line of the chromosome; ``q`` alone is 0."""
    if band == "cen":
        return 0.0
    side = -1.0 if band[0] == "p" else 1.0
    return side * (END if band.endswith("ter") else float(band[1:] or 0))


def outer(band: str) -> float:
    """Place of the edge of a band that is farther from the centromere; an arm's is its end."""
    if band == "cen" or band.endswith("ter"):
        return place(band)
    digits = band[1:]
    if not digits:
        return -END if band[0] == "p" else END
    width = 10.0 if len(digits) == 1 else 10.0 ** -len(digits.partition(".")[2])
    start = float(digits) * (10 if len(digits) == 1 else 1)
    return (-1.0 if band[0] == "p" else 1.0) * (start + width - 1e-6)


def _distal(chromosome: str, band: str, change: int) -> CopyChange:
    """From a breakpoint to the end of its arm."""
    edge = place(band)
    if band.startswith("p"):
        return CopyChange(chromosome, -END, edge, change)
    return CopyChange(chromosome, edge, END, change)


def _arm(chromosome: str, arm: str, change: int) -> CopyChange:
    low, high = (-END, 0.0) if arm == "p" else (0.0, END)
    return CopyChange(chromosome, low, high, change)


def _stretch(chromosome: str, bands: tuple[str, ...], change: int) -> tuple[CopyChange, ...]:
    """Between two bands, both included; from one band to the end of its arm."""
    if not bands or chromosome == "?":
        return ()
    if len(bands) == 1:
        return (_distal(chromosome, bands[0], change),)
    edges = [edge for band in bands[:2] for edge in (place(band), outer(band))]
    return (CopyChange(chromosome, min(edges), max(edges), change),)


def _kept_arm(chromosome: str, band: str) -> tuple[CopyChange, ...]:
    """What is lost where a breakpoint at the centromere keeps the arm it names, or a part."""
    if band in ("p10", "q10", "p", "q"):
        return (_arm(chromosome, "q" if band[0] == "p" else "p", -1),)
    return (_distal(chromosome, band, -1),)


def copy_changes(item: Abnormality) -> tuple[CopyChange, ...]:
    """Stretches gained and lost against the ploidy of the clone; none of a balanced item."""
    real = [name for name in item.chromosomes if name != "?"]
    if not item.is_structural:
        change = 1 if item.kind is Kind.GAIN else -1
        return (CopyChange(item.chromosomes[0], -END, END, change),)
    if item.sign == "-":
        return ()
    changes = list(_inner_changes(item))
    if item.sign == "+" and item.kind is not Kind.TRANSLOCATION:
        changes += [CopyChange(name, -END, END, 1) for name in dict.fromkeys(real)]
    return tuple(change for change in changes if change.chromosome != "?")


def _inner_changes(item: Abnormality) -> tuple[CopyChange, ...]:
    """Changes against the normal chromosomes that the abnormal one replaces."""
    first = item.chromosomes[0]
    bands = item.bands[0] if item.bands else ()
    changes: tuple[CopyChange, ...] = ()
    match item.kind:
        case Kind.DELETION:
            changes = _stretch(first, bands, -1)
        case Kind.ADDITION if bands:
            changes = (_distal(first, bands[0], -1),)
        case Kind.DUPLICATION | Kind.TRIPLICATION if len(bands) > 1:
            changes = _stretch(first, bands, 1 if item.kind is Kind.DUPLICATION else 2)
        case Kind.RING:
            changes = tuple(_distal(first, band, -1) for band in bands[:2])
        case Kind.ISOCHROMOSOME if bands:
            arm = bands[0][0]
            other = "q" if arm == "p" else "p"
            changes = (_arm(first, arm, 1), _arm(first, other, -1), *_parts(item))
        case Kind.ISODICENTRIC if bands:
            lost = _distal(first, bands[0], -1)
            low, high = (-END, lost.low) if lost.low > -END else (lost.high, END)
            changes = (lost, CopyChange(first, low, high, 1))
        case Kind.DICENTRIC | Kind.DERIVATIVE:
            changes = (*_joined(item), *_parts(item))
    return changes


def _joined(item: Abnormality) -> tuple[CopyChange, ...]:
    """Losses of chromosomes that are joined: ``dic(5;17)(q11;p11)``, ``der(1;7)(q10;p10)``."""
    if len(item.chromosomes) < 2:  # noqa: PLR2004
        return ()
    pairs = zip(item.chromosomes, item.bands, strict=False)
    return tuple(
        change for name, bands in pairs if bands and name != "?"
        for change in _kept_arm(name, bands[0])
    )  # fmt: skip


def _parts(item: Abnormality) -> tuple[CopyChange, ...]:
    changes: list[CopyChange] = []
    for part in item.parts:
        if part.kind is Kind.TRANSLOCATION:
            changes += _received(item.chromosomes, part)
        elif part.kind is Kind.INSERTION and len(part.chromosomes) > 1:
            if part.chromosomes[0] in item.chromosomes:
                donor = part.bands[1] if len(part.bands) > 1 else ()
                changes += _stretch(part.chromosomes[1], donor, 1) if len(donor) > 1 else ()
        else:
            changes += _inner_changes(part)
    return tuple(changes)


def _received(centromeres: tuple[str, ...], part: Abnormality) -> list[CopyChange]:
    """Of ``t(A;B)(a;b)``, in the derivative of A: A beyond a is lost, B beyond b is gained.

    In an exchange of several chromosomes each receives from the one named before it.
    """
    changes: list[CopyChange] = []
    for i, name in enumerate(part.chromosomes):
        if name not in centromeres or i >= len(part.bands):
            continue
        donor, breaks = part.chromosomes[i - 1], part.bands[i - 1]
        if part.bands[i] and name != "?":
            changes += _kept_arm(name, part.bands[i][0])
        if breaks and donor != "?":
            whole = breaks[0] in ("p10", "q10")
            changes.append(_arm(donor, breaks[0][0], 1) if whole else _distal(donor, breaks[0], 1))
        break
    return changes
