"""VCF files as GATK Mutect2, FilterMutectCalls and Ensembl VEP (RefSeq transcripts) leave them.

    specimen -> calls: planted, passengers, filtered -> <name>.vcf.gz and its tabix index

Samples stand in the order of their names, as Mutect2 puts them, so the normal is the first column.

References
----------
The Variant Call Format specification 4.2; GATK 4 documentation of Mutect2; VEP, "Output formats".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pysam

from assets.simulate import catalogue
from assets.simulate.catalogue import Variant, draw_variant, transcripts
from assets.simulate.design import patient_stream
from assets.simulate.patient import Purpose, Site, Specimen, SyntheticPatient

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


TUMOUR_SUFFIX, NORMAL_SUFFIX = "_T", "_N"

_IMPACTS = {
    "frameshift_variant": "HIGH",
    "stop_gained": "HIGH",
    "missense_variant": "MODERATE",
    "inframe_insertion": "MODERATE",
    "synonymous_variant": "LOW",
    "intron_variant": "MODIFIER",
}

#: Downstream neighbour that VEP names beside the gene itself: (symbol, transcript, distance).
_NEIGHBOURS = {
    "TP53": ("WRAP53", "NM_018081.2", 2541),
    "CEBPA": ("CEBPA-DT", "NR_026887.2", 1873),
    "NRAS": ("CSDE1", "NM_001242891.2", 3920),
    "TTN": ("TTN-AS1", "NR_038272.1", 4310),
}


def file_of(site: Site) -> tuple[str, str]:
    """Tool and file name, see :mod:`assets.simulate.landing_zone`."""
    del site
    return "mutect2", "mutect2.vep.vcf.gz"


def write_assay(path: Path, seed: int, patient: SyntheticPatient, specimen: Specimen) -> None:
    """Write the small variants of a specimen."""
    calls = draw_calls(seed, patient, specimen)
    write_vcf(path, patient.patient_id, calls, has_normal=patient.site.has_normal_sample)


def write_vcf(path: Path, patient_id: str, calls: Sequence[Call], *, has_normal: bool) -> None:
    """Write a bgzipped VCF and its index.

    Parameters
    ----------
    path
        File to write, ending in ``.vcf.gz``.
    calls
        Records, sorted by contig and position.
    has_normal
        Whether a matched normal was sequenced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bgzip(path, vcf_text(patient_id, calls, has_normal=has_normal))
    pysam.tabix_index(str(path), preset="vcf", force=True)


def write_bgzip(path: Path, text: str) -> None:
    """Write block-gzipped text; the same text gives the same bytes."""
    with pysam.BGZFile(str(path), "w", None) as stream:
        stream.write(text.encode())


def vcf_text(patient_id: str, calls: Sequence[Call], *, has_normal: bool) -> str:
    """Text of the VCF."""
    tumour, normal = patient_id + TUMOUR_SUFFIX, patient_id + NORMAL_SUFFIX
    samples = [normal, tumour] if has_normal else [tumour]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    lines = [
        *_header(),
        *([f"##normal_sample={normal}"] if has_normal else []),
        f"##tumor_sample={tumour}",
        "\t".join(columns),
        *(_record(call, has_normal=has_normal) for call in calls),
    ]
    return "\n".join(lines) + "\n"


@cache
def _header() -> tuple[str, ...]:
    path = files("assets.simulate").joinpath("data/mutect2.vep.header")
    return tuple(path.read_text("utf-8").splitlines())


@cache
def csq_fields() -> tuple[str, ...]:
    """Fields of a CSQ entry, in order, as the header declares them."""
    line = next(line for line in _header() if line.startswith("##INFO=<ID=CSQ,"))
    return tuple(line.split("Format: ")[1].rstrip('">').split("|"))


def _record(call: Call, *, has_normal: bool) -> str:
    variant = call.variant
    depth = sum(call.tumour) + (sum(call.normal) if has_normal else 0)
    info = f"DP={depth};ECNT=1;POPAF=7.30;TLOD={0.9 * call.tumour[1]:.2f};CSQ={_csq(variant)}"
    values = [_sample("0/1", call.tumour)]
    if has_normal:
        values.insert(0, _sample("0/0", call.normal))
    fixed = [variant.chrom, str(variant.pos), ".", variant.ref, variant.alt, ".", call.filter, info]
    return "\t".join([*fixed, "GT:AD:AF:DP:F1R2:F2R1", *values])


def _sample(genotype: str, reads: tuple[int, int]) -> str:
    ref, alt = reads
    # Mutect2 reports a posterior mean, never quite the ratio of the reads.
    fraction = (alt + 1) / (ref + alt + 2)
    forward = f"{ref // 2},{alt // 2}"
    reverse = f"{ref - ref // 2},{alt - alt // 2}"
    return f"{genotype}:{ref},{alt}:{fraction:.3f}:{ref + alt}:{forward}:{reverse}"


def _csq(variant: Variant) -> str:
    transcript, protein, strand = transcripts()[variant.gene]
    is_coding = bool(variant.hgvsp)
    values = {
        "Allele": _vep_allele(variant),
        "Consequence": variant.consequence,
        "IMPACT": _IMPACTS[variant.consequence],
        "SYMBOL": variant.gene,
        "Feature_type": "Transcript",
        "Feature": transcript,
        "BIOTYPE": "protein_coding",
        "HGVSc": f"{transcript}:{variant.hgvsc}",
        # VEP escapes what separates fields in INFO.
        "HGVSp": f"{protein}:{variant.hgvsp.replace('=', '%3D')}" if is_coding else "",
        "STRAND": "1" if strand == "+" else "-1",
        "PICK": "1",
        "SYMBOL_SOURCE": "EntrezGene",
    }
    entries = ["|".join(values.get(field, "") for field in csq_fields())]
    if variant.gene in _NEIGHBOURS:
        symbol, feature, distance = _NEIGHBOURS[variant.gene]
        beside = {
            "Allele": values["Allele"],
            "Consequence": "downstream_gene_variant",
            "IMPACT": "MODIFIER",
            "SYMBOL": symbol,
            "Feature_type": "Transcript",
            "Feature": feature,
            "DISTANCE": str(distance),
            "SYMBOL_SOURCE": "EntrezGene",
        }
        entries.insert(0, "|".join(beside.get(field, "") for field in csq_fields()))
    return ",".join(entries)


def _vep_allele(variant: Variant) -> str:
    """Allele as VEP names it: without the base that a VCF puts before an insertion or deletion."""
    if len(variant.ref) == len(variant.alt) == 1:
        return variant.alt
    return variant.alt[1:] or "-"
