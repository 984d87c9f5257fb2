"""Somatic small variants of one patient: gene burden, driver genes, hotspots, totals.

    VCF -> records of the tumour -> alleles -> the fate of each -> features

A record with several alternates is taken apart into alleles; each allele that passes is a variant.
The record counts as used if any of its alleles is, else under the reason of the allele that came
furthest. :class:`Fate` lists the reasons in the order in which they are asked. A value that the
file does not give (no depth, no fraction) filters nothing.

A file whose header declares no gene annotation says nothing about genes: its variants are counted
as ``no_gene_annotation`` and its features are null, not zero, unless no variant passed anyway.
"""

from collections import Counter
from enum import IntEnum
from pathlib import Path

import polars as pl

from assets.extraction import Extraction
from assets.genomics.allele_reads import with_allele_reads
from assets.genomics.annotation import SCHEMA as ANNOTATION_SCHEMA
from assets.genomics.annotation import Annotation, find_annotation
from assets.genomics.consequences import PROTEIN_ALTERING, TRUNCATING, terms
from assets.genomics.snv_features import CONTRACT, GENES_WITH_CHANGES, snv_blocks, snv_scalars
from assets.genomics.tumour import tumour_sample
from assets.genomics.vcf import VcfHeader, check_build, read_vcf, sample_records

__all__ = ["CONTRACT", "extract"]

#: Reads at the position below which a variant is not judged: with four, a heterozygous variant is
#: missed or called homozygous in one case of eight.
MIN_DEPTH_READS = 5
#: Smallest fraction that counts, the limit of clonal haematopoiesis (Steensma et al., Blood 2015).
MIN_VAF = 0.02
#: Alternates of one record above which it is not taken apart: no tumour has so many alleles.
MAX_ALTERNATES = 30
#: FILTER values of a record that its caller believes.
PASSING_FILTERS = ("PASS", ".")
#: Value of SS (VarScan, SomaticSniper, TCGA) that means somatic.
SOMATIC = "2"


class Fate(IntEnum):
    """What becomes of an allele; the name in lower case is the reason in the account."""

    TOO_MANY_ALTERNATES = 0
    UNREADABLE_ALLELE = 1
    NO_ALTERNATE_ALLELE = 2
    STRUCTURAL_ALLELE = 3
    FILTER_NOT_PASS = 4
    NOT_SOMATIC = 5
    UNREADABLE_SAMPLE = 6
    NOT_IN_TUMOUR = 7
    LOW_DEPTH = 8
    LOW_VAF = 9
    DUPLICATE_RECORD = 10
    NO_GENE_ANNOTATION = 11
    USED = 12


_FAILED = (Fate.TOO_MANY_ALTERNATES, Fate.UNREADABLE_ALLELE, Fate.UNREADABLE_SAMPLE)
_NO_ALTERNATE = (".", "*", "<*>", "<NON_REF>", "<X>")


def extract(path: Path, *, reference_build: str | None) -> Extraction:
    """Features of the somatic small variants in a VCF.

    Parameters
    ----------
    path
        VCF 4.x, plain or (block-)gzipped, one or more samples, see
        :func:`assets.genomics.tumour.tumour_sample`.
    reference_build
        Build that the samplesheet names; refused if the header's contigs are of another.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, MissingSample
        See :func:`assets.genomics.vcf.read_vcf` and :func:`~assets.genomics.vcf.sample_records`.
    ImpossibleValue
        If a position, depth or fraction cannot have been measured.
    """
    header, body = read_vcf(path)
    check_build(path, header, reference_build)
    annotation = find_annotation(header)
    records = 0
    early: Counter[Fate] = Counter()
    kept = []
    for frame in sample_records(path, header, body, tumour_sample(header)):
        alleles = _judged(_alleles(frame, records), header, path)
        candidates = alleles.filter(pl.col("fate") >= Fate.DUPLICATE_RECORD.value)
        early += _ended(alleles, candidates)
        kept.append(_candidates(candidates, annotation))
        records += len(frame)
    nothing = pl.DataFrame(schema=_RECORD_SCHEMA)
    variants = _without_duplicates(pl.concat(kept or [_candidates(nothing, annotation)]))
    fates = early + _record_fates(variants)
    unknown = annotation is None and fates[Fate.NO_GENE_ANNOTATION] > 0
    used = None if unknown else variants.filter(pl.col("fate") == Fate.USED.value)
    return Extraction(
        records=records,
        used=fates[Fate.USED],
        filtered={f.name.lower(): fates[f] for f in Fate
                  if fates[f] and f not in (*_FAILED, Fate.USED)},
        failed={f.name.lower(): fates[f] for f in _FAILED if fates[f]},
        features=snv_scalars(used),
        blocks=snv_blocks(used),
    )  # fmt: skip


_RECORD_SCHEMA = pl.Schema(
    {
        "record": pl.UInt32(),
        "chrom": pl.String(),
        "pos": pl.Int64(),
        "ref": pl.String(),
        "alt": pl.String(),
        "allele": pl.Int64(),
        "alleles": pl.UInt32(),
        "info": pl.String(),
        "depth": pl.Float64(),
        "vaf": pl.Float64(),
        "fate": pl.Int32(),
    }
)


def _alleles(frame: pl.DataFrame, records: int) -> pl.DataFrame:
    """One row per alternate allele; ``record`` numbers the records of the file."""
    return (
        frame.with_row_index("record", offset=records)
        .with_columns(pl.col("ref").str.to_uppercase(), pl.col("alt").str.split(","))
        .with_columns(pl.col("alt").list.head(MAX_ALTERNATES), alleles=pl.col("alt").list.len())
        .with_columns(allele=pl.int_ranges(1, pl.col("alt").list.len().cast(pl.Int64) + 1))
        .explode("alt", "allele")
        .with_columns(pl.col("alt").str.to_uppercase())
    )


def _judged(alleles: pl.DataFrame, header: VcfHeader, path: Path) -> pl.DataFrame:
    """Alleles with ``depth``, ``vaf`` and their ``fate`` up to the ones that need all records."""
    ref, alt = pl.col("ref"), pl.col("alt")
    bases = r"^[ACGTURYKMSWBDHVN]+$"
    structural = alt.str.contains(r"[<>\[\]]") | alt.str.contains(r"^\.[^.]|[^.]\.$")
    fate = (
        pl.when(pl.col("alleles") > MAX_ALTERNATES).then(Fate.TOO_MANY_ALTERNATES.value)
        .when(~ref.str.contains(bases)).then(Fate.UNREADABLE_ALLELE.value)
        .when(alt.is_in(_NO_ALTERNATE) | (alt == ref)).then(Fate.NO_ALTERNATE_ALLELE.value)
        .when(structural).then(Fate.STRUCTURAL_ALLELE.value)
        .when(~alt.str.contains(bases)).then(Fate.UNREADABLE_ALLELE.value)
        .when(~pl.col("filter").is_in(PASSING_FILTERS)).then(Fate.FILTER_NOT_PASS.value)
        .when(_not_somatic(header)).then(Fate.NOT_SOMATIC.value)
        .otherwise(Fate.USED.value)
    )  # fmt: skip
    judged = alleles.with_columns(fate.cast(pl.Int32).alias("fate"))
    passing = with_allele_reads(judged.filter(pl.col("fate") == Fate.USED.value), path)
    absent = (pl.col("vaf") == 0) | (pl.col("vaf").is_null() & ~pl.col("in_genotype"))
    passing = passing.with_columns(
        pl.when(~pl.col("readable")).then(Fate.UNREADABLE_SAMPLE.value)
        .when(absent).then(Fate.NOT_IN_TUMOUR.value)
        .when(pl.col("depth") < MIN_DEPTH_READS).then(Fate.LOW_DEPTH.value)
        .when(pl.col("vaf") < MIN_VAF).then(Fate.LOW_VAF.value)
        .otherwise(Fate.USED.value).cast(pl.Int32).alias("fate")
    )  # fmt: skip
    rejected = judged.filter(pl.col("fate") != Fate.USED.value)
    return pl.concat([rejected, passing], how="diagonal")


def _not_somatic(header: VcfHeader) -> pl.Expr:
    """Whether SS, in INFO or of the tumour, says germline, loss of heterozygosity or reference."""
    says = pl.lit(None, pl.String)
    line = header.declares("INFO", "SS")
    if line and "omatic" in line:
        says = pl.col("info").str.extract(r"(?:^|;)SS=([0-9])")
    line = header.declares("FORMAT", "SS")
    if line and ("omatic" in line or "normal" in line.lower()):
        keys = pl.col("format").str.split(":")
        position = keys.list.eval(pl.element() == "SS").list.arg_max().cast(pl.Int64)
        own = pl.col("sample").str.split(":").list.get(position, null_on_oob=True)
        says = pl.coalesce(
            says, pl.when(keys.list.contains("SS") & own.is_in(list("01234"))).then(own)
        )
    return (says != SOMATIC).fill_null(value=False)


def _ended(alleles: pl.DataFrame, candidates: pl.DataFrame) -> Counter[Fate]:
    """Fates of the records none of whose alleles is a candidate."""
    return _record_fates(alleles.join(candidates, on="record", how="anti"))


def _record_fates(alleles: pl.DataFrame) -> Counter[Fate]:
    """Number of records by the fate of the allele that came furthest."""
    furthest = alleles.group_by("record").agg(pl.col("fate").max())
    counts = furthest.group_by("fate").len()
    return Counter({Fate(fate): number for fate, number in counts.iter_rows()})


def _candidates(alleles: pl.DataFrame, annotation: Annotation | None) -> pl.DataFrame:
    """What the features need of each allele, small enough to keep for a whole genome."""
    if annotation is None:
        nothing = (pl.lit(None, dtype).alias(name) for name, dtype in ANNOTATION_SCHEMA.items())
        annotated = alleles.with_columns(*nothing)
    else:
        annotated = annotation.read(alleles)
    written = annotated["consequence"].drop_nulls().unique()
    ref, alt = pl.col("ref"), pl.col("alt")
    return annotated.select(
        "record",
        pl.struct(pl.col("chrom").str.strip_prefix("chr"), "pos", "ref", "alt").hash().alias("key"),
        "depth",
        "vaf",
        "gene",
        pl.col("consequence").is_not_null().alias("is_annotated"),
        _has_term(written, PROTEIN_ALTERING).alias("is_protein_altering"),
        _has_term(written, TRUNCATING).alias("is_truncating"),
        (pl.col("consequence") == "synonymous_variant").alias("is_synonymous"),
        pl.when((alt.str.len_chars() == 1) & (ref.str.len_chars() == 1))
        .then(pl.concat_str(ref, alt).is_in(["AG", "GA", "CT", "TC"])).alias("is_transition"),
        (alt.str.len_chars().cast(pl.Int64) - ref.str.len_chars().cast(pl.Int64))
        .alias("inserted_bases"),
        pl.when(pl.col("gene").is_in(GENES_WITH_CHANGES)).then("protein_changes")
        .alias("protein_changes"),
        "fate",
    )  # fmt: skip


def _has_term(written: pl.Series, wanted: frozenset[str]) -> pl.Expr:
    having = [text for text in written if not wanted.isdisjoint(terms(text))]
    return pl.col("consequence").is_in(having).fill_null(value=False)


def _without_duplicates(variants: pl.DataFrame) -> pl.DataFrame:
    """Settle the fates that depend on other records or on the annotation."""
    settled = (
        pl.when(~pl.col("key").is_first_distinct()).then(Fate.DUPLICATE_RECORD.value)
        .when(~pl.col("is_annotated")).then(Fate.NO_GENE_ANNOTATION.value)
        .otherwise(Fate.USED.value)
    )  # fmt: skip
    return variants.with_columns(settled.cast(pl.Int32).alias("fate"))
