"""What a karyotype says: which regions are lost and gained, and how complex it is.

    Karyotype -> lost, gained (region) -> True, False, None
              -> karyotype_counts -> numbers

Every clone that is written counts, also one of a single cell: a laboratory writes what it holds
for clonal. Copies count against the ploidy of the clone, of a haploid one against two.
None: the laboratory doubts it, or a part of the karyotype could not be read.

References
----------
ISCN 2020. Döhner et al., Blood 2022 (ELN): complex karyotype. Breems et al., J Clin Oncol 2008:
monosomal karyotype.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from assets.genomics.karyotype.copy_changes import END, CopyChange, copy_changes, outer, place
from assets.genomics.karyotype.iscn import Clone, Karyotype
from assets.genomics.karyotype.items import CHROMOSOMES, Abnormality, Kind

AUTOSOMES = CHROMOSOMES[:22]
#: Unrelated abnormalities from which a karyotype is complex (ELN 2022).
COMPLEX_FROM = 3
#: Autosomal monosomies that make a karyotype monosomal without a structural abnormality.
MONOSOMAL_FROM = 2

_REGION = re.compile(
    r"(\d{1,2}|X|Y)(?:([pq])(\d{1,2}(?:\.\d{1,3})?)?(?:-([pq]\d{1,2}(?:\.\d+)?))?)?"
)
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Region:
    """A chromosome, an arm or a stretch of bands, on the line of :mod:`copy_changes`."""

    chromosome: str
    low: float = -END
    high: float = END

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole chromosome."""
        return (self.low, self.high) == (-END, END)


@cache
def region(text: str) -> Region:
    """Region of a name: ``7``, ``5q``, ``17p13``, ``5q31-q33``.

    Raises
    ------
    ValueError
        If the text names no region.
    """
    match = _REGION.fullmatch(text)
    if match is None or match[1] not in CHROMOSOMES:
        msg = f"{text!r} is no chromosome, arm or band"
        raise ValueError(msg)
    chromosome, arm, band, last = match.groups()
    if arm is None:
        return Region(chromosome)
    if band is None:
        return Region(chromosome, *((-END, 0.0) if arm == "p" else (0.0, END)))
    edges = [
        edge for name in (arm + band, last or arm + band) for edge in (place(name), outer(name))
    ]
    return Region(chromosome, min(edges), max(edges))


def lost(karyotype: Karyotype, where: Region) -> bool | None:
    """Whether a clone lost a region: all of a chromosome, or any part of an arm or stretch."""
    return _changed(karyotype, where, -1)


def gained(karyotype: Karyotype, where: Region) -> bool | None:
    """Whether a clone gained a region: all of a chromosome, or any part of an arm or stretch."""
    return _changed(karyotype, where, 1)


def _changed(karyotype: Karyotype, where: Region, direction: int) -> bool | None:
    doubtful = not karyotype.complete
    for clone in karyotype.clones:
        certain = tuple(a for a in clone.acquired if not a.uncertain)
        if _in_profile(_profile(certain, clone.ploidy), where, direction):
            return True
        doubtful |= len(certain) < len(clone.acquired) and _in_profile(
            _profile(clone.acquired, clone.ploidy), where, direction
        )
    return None if doubtful else False


@cache
def _profile(items: tuple[Abnormality, ...], ploidy: int) -> tuple[CopyChange, ...]:
    changes = [change for item in items for change in copy_changes(item)]
    if ploidy == 1:
        changes += [CopyChange(name, -END, END, -1) for name in AUTOSOMES]
    return tuple(changes)


def _in_profile(changes: tuple[CopyChange, ...], where: Region, direction: int) -> bool:
    """Whether the sum of changes has a direction: everywhere in a chromosome, else somewhere."""
    own = [change for change in changes if change.chromosome == where.chromosome]
    edges = {where.low, where.high}
    edges |= {e for c in own for e in (c.low, c.high) if where.low < e < where.high}
    points = sorted(edges)
    signs = [
        direction * sum(c.change for c in own if c.low <= (a + b) / 2 <= c.high) > 0
        for a, b in pairwise(points)
        if b - a > _TOLERANCE
    ]
    return bool(signs) and (all(signs) if where.is_whole else any(signs))


@dataclass(frozen=True)
class KaryotypeCounts:
    """Numbers of a karyotype; constitutional abnormalities do not count.

    Parameters
    ----------
    modal_number
        Chromosomes per cell of the largest abnormal clone, else of the first; of a range the
        mean, rounded down; None where the text does not say.
    clones
        Abnormal clones.
    cells, normal_cells
        Metaphases in all and of normal clones; None where a clone gives no number.
    abnormalities
        Different abnormalities over all clones: each gain and loss of a chromosome, each rebuilt
        chromosome, each marker; two derivatives of one exchange are one.
    structural
        Those that rebuild a chromosome, markers and rings included.
    gains, losses
        Whole chromosomes gained and lost.
    autosomal_monosomies
        Autosomes lost, most in one clone.
    is_complex
        :data:`COMPLEX_FROM` or more abnormalities, but not gains of whole chromosomes alone.
    is_monosomal
        Two autosomal monosomies, or one and a structural abnormality, in one clone.
    """

    modal_number: int | None
    clones: int
    cells: int | None
    normal_cells: int | None
    abnormalities: int
    structural: int
    gains: int
    losses: int
    autosomal_monosomies: int
    is_complex: bool
    is_monosomal: bool


def karyotype_counts(karyotype: Karyotype) -> KaryotypeCounts:
    """Numbers of a karyotype."""
    abnormal = karyotype.abnormal
    most: Counter[tuple[object, ...]] = Counter()
    markers = 0
    monosomies, monosomal = 0, False
    for clone in abnormal:
        most |= Counter(_event(item) for item in _events(clone))
        markers = max(markers, sum(marker.least for marker in clone.markers))
        lone = {a.chromosomes[0] for a in clone.acquired if a.kind is Kind.LOSS} & set(AUTOSOMES)
        rebuilt = any(a.is_structural for a in clone.acquired) or bool(clone.markers)
        monosomies = max(monosomies, len(lone))
        monosomal |= len(lone) >= MONOSOMAL_FROM or (bool(lone) and rebuilt)
    gains = sum(n for event, n in most.items() if event[0] is Kind.GAIN)
    losses = sum(n for event, n in most.items() if event[0] is Kind.LOSS)
    rebuilt_chromosomes = sum(1 for event in most if event[0] not in (Kind.GAIN, Kind.LOSS))
    structural = rebuilt_chromosomes + markers
    cells = [clone.cells for clone in karyotype.clones]
    counted = None if None in cells else sum(n for n in cells if n is not None)
    normal = sum(clone.cells or 0 for clone in karyotype.clones if clone.is_normal)
    return KaryotypeCounts(
        modal_number=_modal_number(abnormal or karyotype.clones),
        clones=len(abnormal),
        cells=counted,
        normal_cells=None if counted is None else normal,
        abnormalities=gains + losses + structural,
        structural=structural,
        gains=gains,
        losses=losses,
        autosomal_monosomies=monosomies,
        is_complex=gains + losses + structural >= COMPLEX_FROM and bool(losses + structural),
        is_monosomal=monosomal,
    )


def _events(clone: Clone) -> list[Abnormality]:
    """Abnormalities that count: ``+1,der(1;7)(q10;p10)`` is one, written as two."""
    joined = {
        name
        for item in clone.acquired
        if item.kind is Kind.DERIVATIVE and len(item.chromosomes) > 1 and not item.sign
        for name in item.chromosomes
    }
    return [a for a in clone.acquired if a.kind is not Kind.GAIN or a.chromosomes[0] not in joined]


def _event(item: Abnormality) -> tuple[object, ...]:
    """What makes two abnormalities one: derivatives of one exchange, the same item twice."""
    if not item.is_structural:
        return item.kind, item.chromosomes
    exchange = next((part for part in item.with_parts() if part.kind is Kind.TRANSLOCATION), None)
    if exchange is not None:
        return Kind.TRANSLOCATION, tuple(
            sorted(zip(exchange.chromosomes, exchange.bands, strict=False))
        )
    return item.kind, item.chromosomes, item.bands, tuple(_event(part) for part in item.parts)


def _modal_number(clones: tuple[Clone, ...]) -> int | None:
    counted = [clone for clone in clones if clone.modal is not None]
    if not counted:
        return None
    largest = max(counted, key=lambda clone: clone.cells or 0)
    low, high = largest.modal or (0, 0)
    return (low + high) // 2
