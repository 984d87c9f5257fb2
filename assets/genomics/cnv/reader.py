"""Copy numbers of one patient: ratio and copies per gene, band and arm, altered share, ploidy.

    table or VCF -> segments -> the reason why one does not count, or the segment -> features

A file of only a header is a result: nothing is altered, every ratio is 1. The same is true of what
a list of events does not mention; what a list of segments does not mention was not measured. On X
and Y the ratio is as the caller has it, which knows the sex or does not.
"""

from collections import Counter
from pathlib import Path

import polars as pl

from assets.genomics.cnv.features import CONTRACT, Profile, cnv_blocks, cnv_scalars
from assets.genomics.cnv.tables import Segments, read_segments
from assets.genomics.cnv.vcf import read_cnv_vcf
from oncoframe.errors import ImpossibleValue, WrongFormat
from oncoframe.extraction import Extraction
from oncoframe.reference.active import reference_for
from oncoframe.reference.builds import CHROMOSOMES, chromosome_names, normalise_build
from oncoframe.reference.tables import Reference
from oncoframe.textfiles import line_blocks

__all__ = ["CONTRACT", "extract"]

#: Largest number of copies, and ratio, that can be measured.
MAX_COPIES = 10_000.0
#: Copies a little below none are what a model fits to noise (PURPLE); they are none.
MIN_COPIES = -1.0
#: Bases by which a segment may end behind its chromosome: callers round to their bins.
END_TOLERANCE_BP = 1_000
#: Records of a table; a genome has thousands of segments and tens of thousands of genes.
MAX_RECORDS = 500_000

#: Reasons that mean that a record could not be read.
_FAILED = ("unreadable_place", "unreadable_copy_number")


def extract(path: Path, *, reference_build: str | None) -> Extraction:
    """Features of the copy numbers in a table or VCF.

    Parameters
    ----------
    path
        Plain or gzipped, see :mod:`assets.genomics.cnv.tables` and :mod:`assets.genomics.cnv.vcf`.
    reference_build
        Build that the samplesheet names; without it and without one in the file, what needs places
        of genes and bands is null.

    Notes
    -----
    Reasons in the account, in the order in which they are asked: those of the format
    (``filter_not_pass``, ``no_copy_number`` of a VCF), ``other_sample`` (the first one counts),
    ``unreadable_place`` (failed), ``end_before_start``, ``other_contig`` (no chromosome),
    ``unreadable_copy_number`` (failed). In a table of genes a gene needs no place.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat
        See the readers; WrongFormat also if the file is of another build than its row says.
    ImpossibleValue
        If a number of copies, a ratio or a place cannot be.
    """
    found, build = _read(path, reference_build)
    reference = reference_for(build)
    rows = _with_reasons(found, path)
    used = rows.filter(pl.col("reason").is_null())
    placed = used.filter(pl.col("chrom").is_in(CHROMOSOMES) & pl.col("end").is_not_null())
    if reference is not None:
        _refuse_other_build(placed, reference, path)
    genes = _genes(used, reference) if found.is_by_gene else None
    if found.is_by_gene and reference is not None and placed.is_empty():
        placed = _placed(used, reference)
    profile = Profile(placed, is_complete=not found.lists_events and not rows.is_empty())
    reasons = Counter(rows["reason"].drop_nulls().to_list())
    scalars = cnv_scalars(profile, reference, purity=found.purity, ploidy=found.ploidy)
    return Extraction(
        records=len(rows),
        used=len(used),
        filtered={r: n for r, n in sorted(reasons.items()) if r not in _FAILED},
        failed={r: n for r, n in sorted(reasons.items()) if r in _FAILED},
        features={**scalars, "cnv_segments": len(used)},
        blocks=cnv_blocks(profile, reference, genes),
        annotation_version=reference.label if reference else None,
    )


def _read(path: Path, reference_build: str | None) -> tuple[Segments, str | None]:
    """Segments of the file, and its genome build as far as it is known."""
    if _is_vcf(path):
        return read_cnv_vcf(path, reference_build=reference_build)
    found = read_segments(path)
    if len(found.rows) > MAX_RECORDS:
        raise WrongFormat(
            "a genome has fewer segments", where=str(path), expected=f"at most {MAX_RECORDS}"
        )
    return found, normalise_build(reference_build)


def _is_vcf(path: Path) -> bool:
    """Whether the file begins as a VCF does, whatever its name."""
    return next(line_blocks(path))[:4096].lstrip().startswith((b"##fileformat=", b"#CHROM\tPOS"))


def _with_reasons(found: Segments, path: Path) -> pl.DataFrame:
    """Rows with ``reason`` (null for those that count), names of chromosomes and whole copies."""
    rows = found.rows.with_columns(chromosome_names(found.rows["chrom"]).alias("chrom"))
    _refuse_impossible(rows, path)
    first = rows["sample"].first() if len(rows) else None
    by_reader = pl.col("line").replace_strict(
        found.reasons or {-1: ""}, default=None, return_dtype=pl.String
    )
    no_place = pl.col("start").is_null() | pl.col("end").is_null() | (pl.col("start") < 1)
    no_place &= pl.col("gene").is_null() | pl.col("chrom").is_not_null()
    reason = (
        pl.when(by_reader.is_not_null()).then(by_reader)
        .when(pl.col("sample").ne_missing(pl.lit(first))).then(pl.lit("other_sample"))
        .when(no_place).then(pl.lit("unreadable_place"))
        .when(pl.col("end") < pl.col("start")).then(pl.lit("end_before_start"))
        .when(~pl.col("chrom").is_in(CHROMOSOMES) & pl.col("gene").is_null())
        .then(pl.lit("other_contig"))
        .when(pl.col("ratio").is_null()).then(pl.lit("unreadable_copy_number"))
    )  # fmt: skip
    return rows.with_columns(
        reason=reason,
        ratio=pl.col("ratio").clip(lower_bound=0.0),
        copies=pl.col("copies").clip(lower_bound=0.0),
    )


def _refuse_impossible(rows: pl.DataFrame, path: Path) -> None:
    checks = {
        "a number of copies": ~pl.col("copies").is_between(MIN_COPIES, MAX_COPIES),
        "a copy-number ratio": ~pl.col("ratio").is_between(MIN_COPIES / 2, MAX_COPIES),
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
    named = used.with_columns(name.alias("name")).filter(pl.col("name") != "")
    return named.group_by("name", maintain_order=True).agg(*values)


def _placed(used: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Rows of a table of genes without places, at the places that the reference knows."""
    named = used.drop("chrom", "start", "end").with_columns(
        reference.symbols_of(used["gene"]).alias("symbol")
    )
    places = reference.genes.select("symbol", "chrom", "start", "end")
    found = named.join(places, on="symbol", how="inner", maintain_order="left")
    return found.filter(pl.col("chrom").is_in(CHROMOSOMES))
