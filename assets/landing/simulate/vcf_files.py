"""VCF files as GATK Mutect2, FilterMutectCalls and Ensembl VEP (RefSeq transcripts) leave them.

    calls -> write_vcf -> <name>.vcf.gz and its tabix index

Samples stand in the order of their names, as Mutect2 puts them, so the normal is the first column.

References
----------
The Variant Call Format specification 4.2; GATK 4 documentation of Mutect2; VEP, "Output formats".
"""

from collections.abc import Sequence
from pathlib import Path

import pysam

from assets.landing.simulate.catalogue import Variant, transcripts
from assets.landing.simulate.somatic import CONTIGS, Call

TUMOUR_SUFFIX, NORMAL_SUFFIX = "_T", "_N"

CSQ_FIELDS = (
    "Allele", "Consequence", "IMPACT", "SYMBOL", "Gene", "Feature_type", "Feature", "BIOTYPE",
    "EXON", "INTRON", "HGVSc", "HGVSp", "cDNA_position", "CDS_position", "Protein_position",
    "Amino_acids", "Codons", "Existing_variation", "DISTANCE", "STRAND", "FLAGS", "PICK",
    "SYMBOL_SOURCE", "HGNC_ID", "REFSEQ_MATCH",
)  # fmt: skip

_IMPACTS = {
    "frameshift_variant": "HIGH",
    "stop_gained": "HIGH",
    "missense_variant": "MODERATE",
    "inframe_insertion": "MODERATE",
    "synonymous_variant": "LOW",
    "intron_variant": "MODIFIER",
}

_FILTERS = {
    "PASS": "All filters passed",
    "base_qual": "alt median base quality",
    "clustered_events": "Clustered events observed in the tumor",
    "germline": "Evidence indicates this site is germline, not somatic",
    "haplotype": "Variant near filtered variant on same haplotype.",
    "panel_of_normals": "Blacklisted site in panel of normals",
    "strand_bias": "Evidence for alt allele comes from one read direction only",
    "weak_evidence": "Mutation does not meet likelihood threshold",
}

_FIELDS = (
    '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Allelic depths for the ref and alt '
    'alleles in the order listed">',
    '##FORMAT=<ID=AF,Number=A,Type=Float,Description="Allele fractions of alternate alleles in '
    'the tumor">',
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Approximate read depth (reads with MQ=255 '
    'or with bad mates are filtered)">',
    '##FORMAT=<ID=F1R2,Number=R,Type=Integer,Description="Count of reads in F1R2 pair orientation '
    'supporting each allele">',
    '##FORMAT=<ID=F2R1,Number=R,Type=Integer,Description="Count of reads in F2R1 pair orientation '
    'supporting each allele">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence annotations from Ensembl VEP. '
    f'Format: {"|".join(CSQ_FIELDS)}">',
    '##INFO=<ID=DP,Number=1,Type=Integer,Description="Approximate read depth; some reads may have '
    'been filtered">',
    '##INFO=<ID=ECNT,Number=1,Type=Integer,Description="Number of events in this haplotype">',
    '##INFO=<ID=POPAF,Number=A,Type=Float,Description="negative log 10 population allele '
    'frequencies of alt alleles">',
    '##INFO=<ID=TLOD,Number=A,Type=Float,Description="Log 10 likelihood ratio score of variant '
    'existing versus not existing">',
)

#: Downstream neighbour that VEP names beside the gene itself: (symbol, transcript, distance).
_NEIGHBOURS = {
    "TP53": ("WRAP53", "NM_018081.2", 2541),
    "CEBPA": ("CEBPA-DT", "NR_026887.2", 1873),
    "NRAS": ("CSDE1", "NM_001242891.2", 3920),
    "TTN": ("TTN-AS1", "NR_038272.1", 4310),
}


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
    with pysam.BGZFile(str(path), "w") as stream:
        stream.write(text.encode())


def vcf_text(patient_id: str, calls: Sequence[Call], *, has_normal: bool) -> str:
    """Text of the VCF."""
    tumour, normal = patient_id + TUMOUR_SUFFIX, patient_id + NORMAL_SUFFIX
    samples = [normal, tumour] if has_normal else [tumour]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    lines = [
        "##fileformat=VCFv4.2",
        *(f'##FILTER=<ID={key},Description="{text}">' for key, text in _FILTERS.items()),
        *_FIELDS,
        "##MutectVersion=2.2",
        '##VEP="v112" API="v112" assembly="GRCh38.p14" refseq="GCF_000001405.40"',
        *(f"##contig=<ID={name},length={size}>" for name, size in CONTIGS.items()),
        "##filtering_status=These calls have been filtered by FilterMutectCalls to label false "
        "positives with a list of failed filters and true positives with PASS.",
        *([f"##normal_sample={normal}"] if has_normal else []),
        "##source=FilterMutectCalls",
        "##source=Mutect2",
        f"##tumor_sample={tumour}",
        "\t".join(columns),
        *(_record(call, has_normal=has_normal) for call in calls),
    ]
    return "\n".join(lines) + "\n"


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
    entries = ["|".join(values.get(field, "") for field in CSQ_FIELDS)]
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
        entries.insert(0, "|".join(beside.get(field, "") for field in CSQ_FIELDS))
    return ",".join(entries)


def _vep_allele(variant: Variant) -> str:
    """Allele as VEP names it: without the base that a VCF puts before an insertion or deletion."""
    if len(variant.ref) == len(variant.alt) == 1:
        return variant.alt
    return variant.alt[1:] or "-"
