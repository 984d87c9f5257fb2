"""Structural variants of one patient: five types per gene, joined genes, bands, totals.

    VCF -> records -> alleles -> junctions -> events -> features

A record with several alternates is taken apart; it counts as used if any of its alleles is, else
under the reason of its first one. A file of only a header is a negative result.
"""

from collections import Counter
from pathlib import Path

import polars as pl

from assets.genomics.sv.events import events_of, with_events
from assets.genomics.sv.features import CONTRACT, pairs_of, sv_blocks, sv_scalars
from assets.genomics.sv.records import (
    FAILED,
    FORMAT_KEYS,
    INFO_KEYS,
    TOLD_BY,
    with_structure,
)
from assets.genomics.vcf.events import read_events
from assets.genomics.vcf.facts import vcf_facts
from assets.genomics.vcf.kind import Kind, declares, is_small, refuse_other_kind
from oncoframe.extraction import Extraction, names_called, refuse_nothing_usable
from oncoframe.reference.active import reference_for

__all__ = ["CONTRACT", "extract"]


#: Reasons for which a record says nothing of structural variants of this tumour.
_SILENT = (
    *FAILED, "no_alternate_allele", "copy_number_call", "small_variant", "unknown_type",
    "other_contig", "no_call",
)  # fmt: skip


def extract(path: Path, *, reference_build: str | None, sample: str | None = None) -> Extraction:
    """Features of the structural variants in a VCF.

    Parameters
    ----------
    path
        VCF 4.x of Manta, DELLY, GRIDSS, LUMPY, DRAGEN or another caller that writes breakends,
        symbolic alleles or sequences; plain or (block-)gzipped, or BCF; with or without
        samples.
    reference_build
        Build that the samplesheet names; without it and without one in the file, genes, gene
        pairs, bands and chromosomes are null.
    sample
        The tumour, where the file does not tell.

    Notes
    -----
    Reasons in the account, in the order in which they are asked: ``no_alternate_allele``,
    ``unreadable_allele`` (failed), ``copy_number_call`` (a change of depth without breakpoints),
    ``small_variant`` (bases, and no SVTYPE), ``unknown_type``, ``other_contig`` (an end is on no
    chromosome), ``filter_not_pass``, ``unreadable_place`` (failed; no end, or one before the start
    that SVLEN does not mend), ``no_call`` (nothing is said of the tumour, see
    :func:`assets.genomics.vcf.events.read_events`), ``not_in_tumour`` (no read of the tumour
    supports it, or its genotype is that of the reference), ``mate_filtered`` (the caller does not
    believe the other breakend), ``duplicate_record``. Genes at the place of a record that failed
    are unknown, and the fusions of the panel with them.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, MissingSample, AmbiguousSample, ImpossibleValue
        See :func:`assets.genomics.vcf.events.read_events`; WrongFormat also if the records are of
        another kind.
    NothingUsable
        If there are records, and none says anything of structural variants of the tumour.
    """
    found = read_events(
        path,
        reference_build=reference_build,
        info=INFO_KEYS,
        formats=FORMAT_KEYS,
        told_by=TOLD_BY,
        sample=sample,
    )
    reference = reference_for(found.build)
    alleles = with_events(with_structure(found.rows))
    fates = (
        alleles.group_by("record", maintain_order=True)
        .agg(pl.col("reason").is_null().any().alias("is_used"), pl.col("reason").first())
        .with_columns(pl.when(~pl.col("is_used")).then("reason").alias("reason"))
    )
    reasons = Counter(fates["reason"].drop_nulls().to_list())
    with_alternate = len(found.rows) - reasons["no_alternate_allele"]
    by_depth, small = reasons["copy_number_call"], reasons["small_variant"]
    if declares(found.header, Kind.SMALL):
        # Callers of small variants give an SVTYPE too (Pindel).
        small = int(found.rows.select(is_small().sum()).item())
    # Files of both, as DRAGEN merges them, may have few structural variants.
    others = {Kind.SMALL: small, Kind.COPY_NUMBER: by_depth * (by_depth + small == with_alternate)}
    if with_alternate or found.rows.is_empty():
        refuse_other_kind(path, found.header, Kind.STRUCTURAL, others, with_alternate)
    events = events_of(alleles)
    pairs = pairs_of(events, reference)
    failed = alleles.filter(pl.col("reason").is_in(FAILED) & pl.col("is_believed"))
    blocks = sv_blocks(events, pairs, reference, failed)
    called = names_called(blocks[block.name] for block in CONTRACT.blocks if block.axis == "gene")
    extraction = Extraction(
        records=len(found.rows),
        used=int(fates["is_used"].sum()),
        filtered={r: n for r, n in sorted(reasons.items()) if r not in FAILED},
        failed={r: n for r, n in sorted(reasons.items()) if r in FAILED},
        features=sv_scalars(events, pairs),
        blocks=blocks,
        annotation_version=reference.label if reference else None,
        sample=found.sample,
        facts=vcf_facts(found.header, reference_build, found.build, called),
    )
    return refuse_nothing_usable(extraction, path, _SILENT)
