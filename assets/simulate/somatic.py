"""Calls of a synthetic tumour: what is planted, passengers, and what the caller filtered.

SyntheticPatient, Specimen -> draw_calls -> calls in the order of a VCF
"""

from dataclasses import dataclass

import numpy as np

from assets.simulate import catalogue
from assets.simulate.catalogue import Variant
from assets.simulate.design import patient_stream
from assets.simulate.patient import Purpose, Specimen, SyntheticPatient
from assets.simulate.scatter import draw_variant

#: Contigs in the order of the header.
_CONTIGS = [f"chr{name}" for name in (*range(1, 23), "X", "Y", "M")]
#: Mean number of passenger mutations that the caller believes.
MEAN_PASSENGERS = 14.0
#: FILTER of a call that the caller does not believe -> mean number of such calls.
MEAN_FILTERED = {
    "germline": 6.0,
    "weak_evidence": 4.0,
    "base_qual;strand_bias": 2.0,
    "panel_of_normals": 2.0,
    "clustered_events;haplotype": 1.0,
}
#: Mean reads at a position, and the shape of their negative binomial.
MEAN_DEPTH, DEPTH_SHAPE = 240.0, 9.0
#: Fewest reads at a called position; fewer than three alternate reads are no call.
MIN_DEPTH, MIN_ALT_READS = 40, 3

_ORDER = {contig: number for number, contig in enumerate(_CONTIGS)}


@dataclass(frozen=True)
class Call:
    """A record of the VCF; reads as (reference, alternate)."""

    variant: Variant
    filter: str
    tumour: tuple[int, int]
    normal: tuple[int, int]


def draw_calls(seed: int, patient: SyntheticPatient, specimen: Specimen) -> list[Call]:
    """All calls of a specimen, sorted as a VCF; a position is called once."""
    rng = patient_stream(seed, patient.index, 10 * specimen.number + Purpose.SNV)
    planted = (*specimen.calls, *specimen.bystanders)
    calls = [_call(call.variant, "PASS", call.vaf, rng) for call in planted]
    stretches = catalogue.passengers()
    clonal = max(specimen.purity, 0.1) / 2
    for _ in range(rng.poisson(MEAN_PASSENGERS)):
        variant = draw_variant(stretches[rng.integers(len(stretches))], rng)
        calls.append(_call(variant, "PASS", clonal * rng.uniform(0.3, 1.1), rng))
    for reason, mean in MEAN_FILTERED.items():
        for _ in range(rng.poisson(mean)):
            variant = draw_variant(stretches[rng.integers(len(stretches))], rng)
            vaf = 0.5 if reason == "germline" else rng.uniform(0.01, 0.08)
            calls.append(_call(variant, reason, vaf, rng))
    first_at = {(c.variant.chrom, c.variant.pos): c for c in reversed(calls)}
    return sorted(first_at.values(), key=lambda c: (_ORDER[c.variant.chrom], c.variant.pos))


def _call(variant: Variant, reason: str, vaf: float, rng: np.random.Generator) -> Call:
    depth, normal_depth = MIN_DEPTH + rng.negative_binomial(
        DEPTH_SHAPE, DEPTH_SHAPE / (DEPTH_SHAPE + MEAN_DEPTH - MIN_DEPTH), size=2
    )
    alt = int(min(max(rng.binomial(depth, vaf), MIN_ALT_READS), depth))
    in_normal = 0.5 if reason == "germline" else 0.001
    normal_alt = int(rng.binomial(normal_depth, in_normal))
    return Call(
        variant, reason, (int(depth) - alt, alt), (int(normal_depth) - normal_alt, normal_alt)
    )
