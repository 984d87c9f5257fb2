"""Chromosomal changes of a synthetic specimen, as its karyotype and its fusions say.

    SyntheticPatient, Specimen -> joins of two places, changes of copy number

The same breakpoints stand in every specimen of a patient. Fusions break their genes beside the
exons that the transcript joins; what the karyotype alone knows breaks somewhere in the named bands.
"""

import re
from dataclasses import dataclass

import numpy as np

from assets.simulate import catalogue
from assets.simulate.design import patient_stream
from assets.simulate.patient import Purpose, Specimen, SyntheticPatient
from oncoframe.reference.builds import GRCH38
from oncoframe.reference.load import built_in

#: Distance in base pairs of a break from the exon that its transcript ends or goes on with.
INTRON_BP = (30, 80)
#: Shift in base pairs of the other join of a balanced change.
RECIPROCAL_SHIFT_BP = (2, 30)
#: Inversions without a transcript across, and the genes that their breaks lie in.
GENE_INVERSIONS = {"inv(3)(q21q26)": ("GATA2", "MECOM"), "inv(14)(q11q32)": ("TRA", "TCL1A")}

_TRANSLOCATION = re.compile(r"t\((\w+);(\w+)\)\(([pq][\d.]+);([pq][\d.]+)\)")
_INVERSION = re.compile(r"inv\((\w+)\)\(([pq][\d.]+)([pq][\d.]+)\)")
_DELETION = re.compile(r"del\((\w+)\)\(([pq][\d.]+)([pq][\d.]+)?\)")
_ISOCHROMOSOME = re.compile(r"i\((\w+)\)\(q10\)")
_COUNT = re.compile(r"([+-])(\d+|X|Y)$")


@dataclass(frozen=True)
class Join:
    """Two places that became one; a side is ``+`` where what lies left of it stays, else ``-``."""

    chrom1: str
    pos1: int
    side1: str
    chrom2: str
    pos2: int
    side2: str
    name: str


@dataclass(frozen=True)
class CopyChange:
    """Copies of a stretch in a leukaemic cell, in place of those of a normal one."""

    chrom: str
    start: int
    end: int
    gained: int
    name: str


def planted_joins(seed: int, patient: SyntheticPatient, specimen: Specimen) -> list[Join]:
    """Joins of a specimen; none in remission."""
    if not specimen.purity:
        return []
    rng = patient_stream(seed, patient.index, Purpose.SV)
    joins = []
    fused = [catalogue.fusions()[name] for name in specimen.fusions if name != "RARA::PML"]
    for fusion in fused:
        joins += _balanced(_of_fusion(fusion, rng), rng)
    chromosomes = [{place.split(":")[0] for place in (f.left, f.right)} for f in fused]
    for change in patient.karyotype:
        if match := _TRANSLOCATION.fullmatch(change):
            ends = [(match[1], match[3]), (match[2], match[4])]
        elif match := _INVERSION.fullmatch(change):
            ends = [(match[1], match[2]), (match[1], match[3])]
        elif _DELETION.fullmatch(change):
            [stretch] = planted_stretches(change, patient, seed)
            joins.append(Join(stretch.chrom, stretch.start - 1, "+", stretch.chrom,
                              stretch.end + 1, "-", change))  # fmt: skip
            continue
        else:
            continue
        if {f"chr{chrom}" for chrom, _ in ends} in chromosomes:
            continue  # the fusion is what the karyotype saw
        places = _places(change, ends, rng)
        sides = "+-" if change.startswith("t") else "++"
        (chrom1, pos1), (chrom2, pos2) = places
        joins += _balanced(Join(chrom1, pos1, sides[0], chrom2, pos2, sides[1], change), rng)
    return joins


def planted_copies(seed: int, patient: SyntheticPatient, specimen: Specimen) -> list[CopyChange]:
    """Changes of copy number of a specimen; none in remission."""
    if not specimen.purity:
        return []
    return [
        stretch
        for change in patient.karyotype
        for stretch in planted_stretches(change, patient, seed)
    ]


def planted_stretches(change: str, patient: SyntheticPatient, seed: int) -> list[CopyChange]:
    """Stretches that an abnormality adds or takes; none of a balanced one or of a marker."""
    lengths = built_in(GRCH38).lengths
    if match := _COUNT.fullmatch(change):
        gained = 1 if match[1] == "+" else -1
        return [CopyChange(match[2], 1, lengths[match[2]], gained, change)]
    if match := _ISOCHROMOSOME.fullmatch(change):
        (_, p_end), (q_start, q_end) = (_span(match[1], arm) for arm in "pq")
        return [CopyChange(match[1], 1, p_end, -1, change),
                CopyChange(match[1], q_start, q_end, 1, change)]  # fmt: skip
    if match := _DELETION.fullmatch(change):
        first, last = sorted((_span(match[1], match[2]), _span(match[1], match[3] or match[2])))
        # Breaks lie in the outer thirds of the bands, the same in each specimen of the patient.
        rng = patient_stream(seed, patient.index, Purpose.SV_PLACES)
        u, v = rng.uniform(0.05, 0.3, size=2)
        start = first[0] + int(u * (first[1] - first[0]))
        end = last[1] - int(v * (last[1] - last[0]))
        return [CopyChange(match[1], start, end, -1, change)]
    return []


def _of_fusion(fusion: catalogue.Fusion, rng: np.random.Generator) -> Join:
    """Break behind the exon of the 5' gene, and before that of the 3' gene."""
    (chrom1, pos1, strand1), (chrom2, pos2, strand2) = (
        place.split(":") for place in (fusion.left, fusion.right)
    )
    behind, before = (int(shift) for shift in rng.integers(*INTRON_BP, size=2))
    return Join(
        chrom1.removeprefix("chr"),
        int(pos1) + (behind if strand1 == "+" else -behind),
        strand1,
        chrom2.removeprefix("chr"),
        int(pos2) - (before if strand2 == "+" else -before),
        "-" if strand2 == "+" else "+",
        fusion.name,
    )


def _balanced(join: Join, rng: np.random.Generator) -> list[Join]:
    """The join and the one of what is left; a deletion or duplication leaves nothing to join."""
    if join.chrom1 == join.chrom2 and join.side1 != join.side2:
        return [join]
    turned = {"+": "-", "-": "+"}
    shift1, shift2 = (int(shift) for shift in rng.integers(*RECIPROCAL_SHIFT_BP, size=2))
    other = Join(join.chrom1, join.pos1 + shift1, turned[join.side1], join.chrom2,
                 join.pos2 + shift2, turned[join.side2], join.name)  # fmt: skip
    return [join, other]


def _places(
    change: str, ends: list[tuple[str, str]], rng: np.random.Generator
) -> list[tuple[str, int]]:
    if change in GENE_INVERSIONS:
        genes = {row["symbol"]: row for row in built_in(GRCH38).genes.iter_rows(named=True)}
        rows = [genes[symbol] for symbol in GENE_INVERSIONS[change]]
        return [(row["chrom"], int(rng.integers(row["start"], row["end"]))) for row in rows]
    return [(chrom, int(rng.integers(*_span(chrom, band)))) for chrom, band in ends]


def _span(chrom: str, band: str) -> tuple[int, int]:
    """First and last base of a band with its sub-bands, or of an arm."""
    bands = built_in(GRCH38).bands_of(chrom)
    within = bands.filter(bands["band"].str.starts_with(chrom + band))
    return int(within["start"][0]), int(within["end"][-1])
