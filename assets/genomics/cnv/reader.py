"""Copy numbers of one patient: ratio and copies per gene, band and arm, altered share, ploidy.

    table or VCF -> segments -> the reason why one does not count, or the segment -> features

A file of only a header is a result: nothing is altered, every ratio is 1. The same is true of what
a list of events does not mention; what a list of segments does not mention was not measured. What a
record covers that could not be read is unknown in both. On X and Y the ratio is as the caller has
it, which knows the sex or does not.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from assets.genomics.cnv.features import AUTOSOMES, CONTRACT, Profile, cnv_blocks, cnv_scalars
from assets.genomics.cnv.tables import Segments, read_segments
from assets.genomics.cnv.vcf import read_cnv_vcf
from assets.genomics.contigs import told_build
from assets.genomics.vcf.bcf import vcf_blocks
from assets.genomics.vcf.facts import vcf_facts
from oncoframe.errors import ImpossibleValue, WrongFormat
from oncoframe.extraction import (
    BlockValues,
    Extraction,
    Facts,
    FeatureValue,
    named_build,
    refuse_nothing_usable,
)
from oncoframe.reference.active import reference_for
from oncoframe.reference.builds import CHROMOSOMES, chromosome_names
from oncoframe.reference.tables import Reference
from oncoframe.samples import one_sample

__all__ = ["CONTRACT", "extract"]

#: Largest number of copies, and ratio, that can be measured.
MAX_COPIES = 10_000.0
#: Copies a little below none are what a model fits to noise, far below at a low purity (PURPLE);
#: they are none, and counted in the notes.
MIN_COPIES, MIN_FITTED_COPIES = -1.0, -MAX_COPIES
#: Median ratio over the bases from which the values of a table are no logarithms of ratios: a
#: profile is centred on what is normal. The first where a table may list altered segments only.
MAX_MEDIAN_RATIO, MAX_MEDIAN_RATIO_GENOME = 2.0**1.5, 2.0**0.5
#: Median copies over the bases below which the values are no copies.
MIN_MEDIAN_COPIES = 0.4
#: Chromosomes from which a table is of a genome.
GENOME_CHROMOSOMES = 10
#: Bases by which a segment may end behind its chromosome: callers round to their bins.
END_TOLERANCE_BP = 1_000
#: Records of a table; a genome has thousands of segments and tens of thousands of genes.
MAX_RECORDS = 500_000

#: Reasons that mean that a record could not be read.
_FAILED = ("unreadable_place", "unreadable_copy_number")
#: Reasons for which a record says nothing of the copies of this tumour.
_SILENT = (
    *_FAILED, "no_copy_number", "no_call", "other_sample", "end_before_start", "other_contig",
)  # fmt: skip


@dataclass(frozen=True)
class _Read:
    """Segments of a file, its build, sample and other facts, as far as they are known."""

    segments: Segments
    build: str | None
    sample: str | None
    facts: Facts


def extract(path: Path, *, reference_build: str | None, sample: str | None = None) -> Extraction:
    """Features of the copy numbers in a table or VCF.

    Parameters
    ----------
    path
        Plain or gzipped, see :mod:`assets.genomics.cnv.tables` and :mod:`assets.genomics.cnv.vcf`.
    reference_build
        Build that the samplesheet names; without it and without one in the file, what needs places
        of genes and bands is null.
    sample
        The tumour, where the file holds several.

    Notes
    -----
    Reasons in the account, in the order in which they are asked: ``no_copy_number`` (of a VCF),
    ``other_sample``, ``other_contig`` (no chromosome), ``filter_not_pass``, ``no_call`` (of a VCF;
    nothing is said of the tumour), ``unreadable_place`` (failed), ``end_before_start``,
    ``unreadable_copy_number`` (failed), ``duplicate_record``. In a table of genes a gene needs no
    place.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, MissingSample, AmbiguousSample
        See the readers; WrongFormat also if the file is of another build than its row says, or
        its values are not in the unit of their column.
    NothingUsable
        If there are records, and none says anything of copies.
    ImpossibleValue
        If a number of copies, a ratio or a place cannot be.
    """
    read = _read(path, reference_build, sample)
    found = read.segments
    reference = reference_for(read.build)
    rows = _with_reasons(read, path)
    used = rows.filter(pl.col("reason").is_null())
    if not found.lists_events:
        _refuse_other_unit(used, path)
    placed = used.filter(pl.col("chrom").is_in(CHROMOSOMES) & pl.col("end").is_not_null())
    if reference is not None:
        _refuse_other_build(placed, reference, path)
    genes = _genes(used, reference) if found.is_by_gene else None
    if found.is_by_gene and reference is not None and placed.is_empty():
        placed = _placed(used, reference)
    is_complete = not found.lists_events and not rows.is_empty()
    profile = Profile(placed, is_complete, _failed(rows, reference))
    reasons = Counter(rows["reason"].drop_nulls().to_list())
    scalars = cnv_scalars(profile, reference, purity=found.purity, ploidy=found.ploidy)
    blocks = cnv_blocks(profile, reference, genes)
    clipped = rows.filter(pl.col("reason").is_null() & pl.col("is_below_none"))
    extraction = Extraction(
        records=len(rows),
        used=len(used),
        filtered={r: n for r, n in sorted(reasons.items()) if r not in _FAILED},
        failed={r: n for r, n in sorted(reasons.items()) if r in _FAILED},
        features={**scalars, "cnv_segments": len(used)},
        blocks=blocks,
        notes={"copies_below_none": len(clipped)} if len(clipped) else {},
        annotation_version=reference.label if reference else None,
        sample=read.sample,
        facts=replace(read.facts, measures=_measures(blocks, scalars["cnv_ploidy"])),
    )
    return refuse_nothing_usable(extraction, path, _SILENT)


def _measures(blocks: Mapping[str, BlockValues | None], ploidy: FeatureValue) -> dict[str, float]:
    """Genes with a copy number, and ploidy, where the file tells."""
    genes = blocks["cnv_gene_ratio"]
    counted = {} if genes is None else {"genes": float(np.isfinite(genes.values).sum())}
    return counted | ({"ploidy": ploidy} if isinstance(ploidy, float) else {})


def _read(path: Path, reference_build: str | None, sample: str | None) -> _Read:
    if _is_vcf(path):
        segments, events = read_cnv_vcf(path, reference_build=reference_build, sample=sample)
        facts = vcf_facts(events.header, reference_build, events.build)
        return _Read(segments, events.build, events.sample, facts)
    found = read_segments(path)
    if len(found.rows) > MAX_RECORDS:
        raise WrongFormat(
            "a genome has fewer segments", where=str(path), expected=f"at most {MAX_RECORDS}"
        )
    build = told_build(path, found.rows["chrom"].drop_nulls().unique(), reference_build)
    named = found.rows["sample"].drop_nulls().unique(maintain_order=True)
    names = [name for name in named if name]
    facts = Facts(found.callers, *named_build(reference_build, build))
    return _Read(found, build, one_sample(names, sample, path) if names else None, facts)


def _is_vcf(path: Path) -> bool:
    """Whether the file begins as a VCF does, whatever its name."""
    return next(vcf_blocks(path))[:4096].lstrip().startswith((b"##fileformat=", b"#CHROM\tPOS"))


def _with_reasons(read: _Read, path: Path) -> pl.DataFrame:
    """Rows with ``reason`` (null for those that count), names of chromosomes and whole copies."""
    found = read.segments
    rows = found.rows.with_columns(chromosome_names(found.rows["chrom"]).alias("chrom"))
    _refuse_impossible(rows, path, MIN_FITTED_COPIES if found.is_fitted else MIN_COPIES)
    by_reader = pl.col("line").replace_strict(
        found.reasons or {-1: ""}, default=None, return_dtype=pl.String
    )
    has_no_copies = by_reader == "no_copy_number"
    is_other = pl.lit(value=False)
    if read.sample is not None and not found.rows["sample"].is_null().all():
        is_other = pl.col("sample").ne_missing(pl.lit(read.sample))
    no_place = pl.col("start").is_null() | pl.col("end").is_null() | (pl.col("start") < 1)
    no_place &= pl.col("gene").is_null() | pl.col("chrom").is_not_null()
    same = pl.struct("sample", "chrom", "start", "end", "gene", "ratio", "copies", "minor").hash()
    on_contig = pl.col("chrom").is_not_null() & ~pl.col("chrom").is_in(CHROMOSOMES)
    reason = (
        pl.when(has_no_copies).then(by_reader)
        .when(is_other).then(pl.lit("other_sample"))
        .when(on_contig & pl.col("gene").is_null()).then(pl.lit("other_contig"))
        .when(by_reader.is_not_null()).then(by_reader)
        .when(no_place).then(pl.lit("unreadable_place"))
        .when(pl.col("end") < pl.col("start")).then(pl.lit("end_before_start"))
        .when(pl.col("ratio").is_null()).then(pl.lit("unreadable_copy_number"))
        .when(~same.is_first_distinct()).then(pl.lit("duplicate_record"))
    )  # fmt: skip
    return rows.with_columns(
        reason=reason,
        ratio=pl.col("ratio").clip(lower_bound=0.0),
        copies=pl.col("copies").clip(lower_bound=0.0),
        is_below_none=(pl.col("copies") < 0).fill_null(value=False),
    )


def _failed(rows: pl.DataFrame, reference: Reference | None) -> pl.DataFrame | None:
    """Places of records that could not be read; of one without an end, up to its chromosome's."""
    if reference is None:
        return None
    length = pl.col("chrom").replace_strict(reference.lengths, default=None, return_dtype=pl.Int64)
    failed = rows.filter(pl.col("reason").is_in(_FAILED) & length.is_not_null())
    has_place = pl.col("start").is_between(1, "end") & (pl.col("end") <= length + END_TOLERANCE_BP)
    start = pl.when(pl.col("start").is_between(1, length)).then("start").otherwise(1)
    return failed.select(
        "chrom",
        start=start,
        end=pl.when(has_place.fill_null(value=False)).then("end").otherwise(length),
    )


def _refuse_impossible(rows: pl.DataFrame, path: Path, lowest: float) -> None:
    checks = {
        "a number of copies": ~pl.col("copies").is_between(lowest, MAX_COPIES),
        "a copy-number ratio": ~pl.col("ratio").is_between(lowest / 2, MAX_COPIES),
        "a place": (pl.col("start") < 0) | (pl.col("end") < 0),
    }
    for what, wrong in checks.items():
        bad = rows.filter(wrong.fill_null(value=False))
        if len(bad):
            raise ImpossibleValue(
                f"{what} cannot have been measured",
                where=f"{path}, line {bad['line'][0]}",
                expected=f"a number from 0 to {MAX_COPIES:g}" if what != "a place" else "from 0",
            )


def _refuse_other_unit(used: pl.DataFrame, path: Path) -> None:
    """Refuse copies in the place of logarithms, and logarithms in the place of copies."""
    has_copies = used["copies"].null_count() < len(used)
    if used.is_empty() or (not has_copies and (used["ratio"] < 1).any()):
        return
    autosomal = used.filter(pl.col("chrom").is_null() | pl.col("chrom").is_in(AUTOSOMES))
    is_genome = autosomal["chrom"].n_unique() >= GENOME_CHROMOSOMES
    median = _median_over_bases(autosomal, "copies" if has_copies else "ratio")
    highest = MAX_MEDIAN_RATIO_GENOME if is_genome else MAX_MEDIAN_RATIO
    if median is not None and not has_copies and median >= highest:
        raise WrongFormat(
            "the values are not logarithms of ratios",
            where=str(path),
            expected="log2 of ratios, 0 where nothing is altered",
            got=f"a median of {math.log2(median):.2f}, and none below 0",
            hint="If they are copies, give them in a column of copies, as PURPLE and ASCAT do.",
        )
    if median is not None and has_copies and is_genome and median < MIN_MEDIAN_COPIES:
        raise WrongFormat(
            "the values are not copies",
            where=str(path),
            expected="copies, 2 where nothing is altered",
            got=f"a median of {median:.2f}",
        )


def _median_over_bases(rows: pl.DataFrame, column: str) -> float | None:
    """Median of a column, each row as often as it has bases (once without a place)."""
    known = rows.drop_nulls(column).sort(column)
    if known.is_empty():
        return None
    bases = (known["end"] - known["start"] + 1).fill_null(1).clip(1).cum_sum()
    return float(known[column][int((bases < bases[-1] / 2).sum())])


def _refuse_other_build(placed: pl.DataFrame, reference: Reference, path: Path) -> None:
    ends = placed.group_by("chrom").agg(pl.col("end").max())
    for chrom, end in ends.sort("chrom").iter_rows():
        length = reference.lengths[chrom]
        if end > length + END_TOLERANCE_BP:
            raise WrongFormat(
                f"segments lie beyond the end of chromosome {chrom}",
                where=str(path),
                expected=f"places on {reference.build}, up to {length}",
                got=str(end),
                hint="The file is of another genome build than its row says.",
            )


def _genes(used: pl.DataFrame, reference: Reference | None) -> pl.DataFrame:
    """Genes of a table under their names of today; of two rows of a gene the mean."""
    name = used["gene"]
    if reference is not None:
        name = reference.symbols_of(name).fill_null(used["gene"])
    values = [pl.col(column).mean() for column in ("ratio", "copies", "minor")]
    named = used.with_columns(name.alias("name")).drop_nulls("name")
    return named.group_by("name", maintain_order=True).agg(*values)


def _placed(used: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Rows of a table of genes without places, at the places that the reference knows."""
    named = used.drop("chrom", "start", "end").with_columns(
        reference.symbols_of(used["gene"]).alias("symbol")
    )
    places = reference.genes.select("symbol", "chrom", "start", "end")
    found = named.join(places, on="symbol", how="inner", maintain_order="left")
    return found.filter(pl.col("chrom").is_in(CHROMOSOMES))
