"""Alleles of the records of a VCF, and what becomes of each by what its record says.

    records of the tumour -> alleles_of -> judged -> alleles with depth, VAF and fate

Reasons that need other records or the annotation are found later, by the reader.
"""

from enum import IntEnum
from pathlib import Path

import polars as pl

from assets.genomics.contigs import is_chromosome
from assets.genomics.snv.allele_reads import with_allele_reads
from assets.genomics.vcf.records import VcfHeader, info_value

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
_NO_ALTERNATE = (".", "*", "<*>", "<NON_REF>", "<X>")


FATE_TYPE = pl.UInt8()


class Fate(IntEnum):
    """What becomes of an allele; the name in lower case is the reason in the account."""

    TOO_MANY_ALTERNATES = 0
    OTHER_CONTIG = 1
    UNREADABLE_ALLELE = 2
    NO_ALTERNATE_ALLELE = 3
    STRUCTURAL_ALLELE = 4
    FILTER_NOT_PASS = 5
    NOT_SOMATIC = 6
    UNREADABLE_SAMPLE = 7
    NO_CALL = 8
    NOT_IN_TUMOUR = 9
    LOW_DEPTH = 10
    LOW_VAF = 11
    CONTRADICTED_REFERENCE = 12
    DUPLICATE_RECORD = 13
    NO_GENE_ANNOTATION = 14
    USED = 15


def alleles_of(frame: pl.DataFrame, records: int) -> pl.DataFrame:
    """One row per alternate allele; ``record`` numbers the records of the file."""
    return (
        frame.with_row_index("record", offset=records)
        .with_columns(pl.col("ref").str.to_uppercase(), pl.col("alt").str.split(","))
        .with_columns(pl.col("alt").list.head(MAX_ALTERNATES), alleles=pl.col("alt").list.len())
        .with_columns(allele=pl.int_ranges(1, pl.col("alt").list.len().cast(pl.Int64) + 1))
        .explode("alt", "allele")
        .with_columns(pl.col("alt").str.to_uppercase())
    )


def judged(alleles: pl.DataFrame, header: VcfHeader, path: Path) -> pl.DataFrame:
    """Alleles with ``depth``, ``vaf`` and their ``fate`` up to the ones that need all records."""
    ref, alt = pl.col("ref"), pl.col("alt")
    contigs = alleles.select(pl.col("chrom").unique())
    elsewhere = contigs.filter(~is_chromosome(mitochondrion=True))["chrom"]
    # Few files have such records, and looking for a name in each allele takes time.
    is_elsewhere = (
        pl.col("chrom").is_in(elsewhere.implode()) if len(elsewhere) else pl.lit(value=False)
    )
    bases = r"^[ACGTURYKMSWBDHVN]+$"
    structural = alt.str.contains(r"[<>\[\]]") | alt.str.contains(r"^\.[^.]|[^.]\.$")
    fate = (
        pl.when(pl.col("alleles") > MAX_ALTERNATES).then(Fate.TOO_MANY_ALTERNATES.value)
        .when(is_elsewhere).then(Fate.OTHER_CONTIG.value)
        .when(~ref.str.contains(bases)).then(Fate.UNREADABLE_ALLELE.value)
        .when(alt.is_in(_NO_ALTERNATE) | (alt == ref)).then(Fate.NO_ALTERNATE_ALLELE.value)
        .when(structural).then(Fate.STRUCTURAL_ALLELE.value)
        .when(~alt.str.contains(bases)).then(Fate.UNREADABLE_ALLELE.value)
        .when(~pl.col("filter").is_in(PASSING_FILTERS)).then(Fate.FILTER_NOT_PASS.value)
        .when(_not_somatic(header)).then(Fate.NOT_SOMATIC.value)
        .otherwise(Fate.USED.value)
    )  # fmt: skip
    decided = _malformed_together(alleles.with_columns(fate.cast(FATE_TYPE).alias("fate")))
    passing = with_allele_reads(decided.filter(pl.col("fate") == Fate.USED.value), path)
    absent = (pl.col("vaf") == 0) | (pl.col("vaf").is_null() & ~pl.col("in_genotype"))
    passing = passing.with_columns(
        pl.when(~pl.col("readable")).then(Fate.UNREADABLE_SAMPLE.value)
        .when(pl.col("is_no_call")).then(Fate.NO_CALL.value)
        .when(absent).then(Fate.NOT_IN_TUMOUR.value)
        .when(pl.col("depth") < MIN_DEPTH_READS).then(Fate.LOW_DEPTH.value)
        .when(pl.col("vaf") < MIN_VAF).then(Fate.LOW_VAF.value)
        .otherwise(Fate.USED.value).cast(FATE_TYPE).alias("fate")
    )  # fmt: skip
    rejected = decided.filter(pl.col("fate") != Fate.USED.value)
    return pl.concat([rejected, passing], how="diagonal")


def _malformed_together(alleles: pl.DataFrame) -> pl.DataFrame:
    """Alleles beside one that cannot be read share its fate: their values may be of others."""
    unreadable = pl.col("fate") == Fate.UNREADABLE_ALLELE.value
    records = alleles.filter(unreadable & (pl.col("alleles") > 1))["record"].unique()
    if records.is_empty():
        return alleles
    malformed = pl.col("record").is_in(records.implode())
    fate = pl.when(malformed).then(Fate.UNREADABLE_ALLELE.value).otherwise("fate")
    return alleles.with_columns(fate.cast(FATE_TYPE).alias("fate"))


def _not_somatic(header: VcfHeader) -> pl.Expr:
    """Whether SS, in INFO or of the tumour, says germline, loss of heterozygosity or reference."""
    says = pl.lit(None, pl.String)
    line = header.declares("INFO", "SS")
    if line and "omatic" in line:
        says = info_value("SS").str.slice(0, 1)
    line = header.declares("FORMAT", "SS")
    if line and ("omatic" in line or "normal" in line.lower()):
        keys = pl.col("format").str.split(":")
        position = keys.list.eval(pl.element() == "SS").list.arg_max().cast(pl.Int64)
        own = pl.col("sample").str.split(":").list.get(position, null_on_oob=True)
        says = pl.coalesce(
            says, pl.when(keys.list.contains("SS") & own.is_in(list("01234"))).then(own)
        )
    return (says != SOMATIC).fill_null(value=False)
