"""VCF files as GATK Mutect2, FilterMutectCalls and Ensembl VEP (RefSeq transcripts) leave them.

    calls -> write_vcf -> <name>.vcf.gz and its tabix index

Samples stand in the order of their names, as Mutect2 puts them, so the normal is the first column.

References
----------
The Variant Call Format specification 4.2; GATK 4 documentation of Mutect2; VEP, "Output formats".
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import pysam

from assets.simulate.catalogue import Variant, transcripts
from assets.simulate.patient import Site, Specimen, SyntheticPatient
from assets.simulate.somatic import Call, draw_calls

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
    """Tool and file name, see :mod:`assets.simulate.assay`."""
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
