"""Somatic small variants of one patient: gene burden, driver genes, hotspots, totals.

    VCF -> records of the tumour -> alleles -> the fate of each -> features

A record with several alternates is taken apart into alleles; each allele that passes is a variant.
The record counts as used if any of its alleles is, else under the reason of the allele that came
furthest. :class:`Fate` lists the reasons in the order in which they are asked. A value that the
file does not give (no depth, no fraction) filters nothing.

A file whose header declares no gene annotation gets the genes of the reference annotation, by
place; what rests on consequences is null then, not zero, unless no variant passed anyway. If the
build is not known either, its variants are counted as ``no_gene_annotation`` and every feature is
null.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from assets.genomics.annotation.alleles import SCHEMA as ANNOTATION_SCHEMA
from assets.genomics.annotation.alleles import Annotation
from assets.genomics.annotation.consequences import PROTEIN_ALTERING, TRUNCATING, terms
from assets.genomics.annotation.layouts import find_annotation
from assets.genomics.annotation.overlap import GeneOverlap
from assets.genomics.snv.alleles import FATE_TYPE, MAX_ALTERNATES, Fate, alleles_of, judged
from assets.genomics.snv.features import CONTRACT, GENES_WITH_CHANGES, snv_blocks, snv_scalars
from assets.genomics.vcf.records import (
    check_build,
    read_vcf,
    refuse_beyond_contigs,
    sample_records,
)
from assets.genomics.vcf.tumour import same_specimen, tumour_sample
from oncoframe.errors import WrongFormat
from oncoframe.extraction import Extraction
from oncoframe.reference.active import reference_for

__all__ = ["CONTRACT", "extract"]

#: Alleles looked at together, which bounds the memory of a file of nothing but alternates.
MAX_ALLELES_AT_ONCE = 100_000
#: Alleles that may pass: a genome has five million germline variants, a tumour fewer.
MAX_VARIANTS = 6_000_000
#: Variants with a protein change in a gene of the hotspots; a tumour has dozens.
MAX_CHANGES = 100_000
_FAILED = (
    Fate.TOO_MANY_ALTERNATES,
    Fate.UNREADABLE_ALLELE,
    Fate.UNREADABLE_SAMPLE,
    Fate.CONTRADICTED_REFERENCE,
)
_SYNONYMOUS = frozenset({"synonymous_variant", "stop_retained_variant", "start_retained_variant"})
_BASES = {base: code for code, base in enumerate("ACGT")}
#: Whatever tells the gene of an allele.
Genes = Annotation | GeneOverlap


def extract(path: Path, *, reference_build: str | None) -> Extraction:
    """Features of the somatic small variants in a VCF.

    Parameters
    ----------
    path
        VCF 4.x, plain or (block-)gzipped, one or more samples, see
        :func:`assets.genomics.vcf.tumour.tumour_sample`.
    reference_build
        Build that the samplesheet names; refused if the header's contigs are of another, taken from
        them if it is None.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, MissingSample
        See :func:`~assets.genomics.vcf.records.read_vcf` and
        :func:`~assets.genomics.vcf.records.sample_records`.
    ImpossibleValue
        If a position, depth or fraction cannot have been measured.
    """
    header, body = read_vcf(path)
    check_build(path, header, reference_build)
    build = reference_build or header.build()
    annotation = find_annotation(header) or _overlap(build)
    tumour = tumour_sample(header)
    records = 0
    early: Counter[Fate] = Counter()
    kept = [_candidates(pl.DataFrame(schema=_RECORD_SCHEMA), annotation)]
    frames = sample_records(path, header, body, tumour, same_specimen(header, tumour))
    for frame in _bounded(frames):
        refuse_beyond_contigs(path, header, frame)
        alleles = judged(alleles_of(frame, records), header, path)
        candidates = alleles.filter(pl.col("fate") >= Fate.CONTRADICTED_REFERENCE.value)
        early += _ended(alleles, candidates)
        kept.append(_candidates(candidates, annotation))
        records += len(frame)
        _refuse_too_many(path, kept)
    variants = _settled(pl.concat(kept))
    kept.clear()
    fates = early + _record_fates(variants)
    unknown = annotation is None and fates[Fate.NO_GENE_ANNOTATION] > 0
    used = None if unknown else variants.filter(pl.col("fate") == Fate.USED.value)
    by_place = annotation if isinstance(annotation, GeneOverlap) else None
    tells = by_place is None or not fates[Fate.USED]
    tool = str(annotation.tool) if annotation else None
    return Extraction(
        records=records,
        used=fates[Fate.USED],
        filtered={f.name.lower(): fates[f] for f in Fate
                  if fates[f] and f not in (*_FAILED, Fate.USED)},
        failed={f.name.lower(): fates[f] for f in _FAILED if fates[f]},
        features={**snv_scalars(used, tells_consequences=tells), "snv_annotation": tool},
        blocks=snv_blocks(used, tells_consequences=tells),
        annotation_version=by_place.reference.label if by_place else None,
    )  # fmt: skip


def _overlap(build: str | None) -> GeneOverlap | None:
    reference = reference_for(build)
    return GeneOverlap(reference) if reference else None


def _bounded(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Frames of records with at most about :data:`MAX_ALLELES_AT_ONCE` alleles."""
    for frame in frames:
        alternates = frame["alt"].str.count_matches(",", literal=True).clip(None, MAX_ALTERNATES)
        if (alternates.sum() or 0) + len(frame) <= MAX_ALLELES_AT_ONCE:
            yield frame
            continue
        part = (alternates + 1).cum_sum() // MAX_ALLELES_AT_ONCE
        yield from frame.with_columns(part=part).partition_by(
            "part", maintain_order=True, include_key=False
        )


def _refuse_too_many(path: Path, kept: list[pl.DataFrame]) -> None:
    changes = sum(len(frame) - frame["protein_changes"].null_count() for frame in kept)
    if sum(map(len, kept)) > MAX_VARIANTS or changes > MAX_CHANGES:
        raise WrongFormat(
            "more variants pass than a genome has",
            where=str(path),
            expected=f"at most {MAX_VARIANTS} variants of the tumour, and {MAX_CHANGES} with a "
            "protein change in the genes of the hotspots",
            hint="Somatic calls are needed, not every site.",
        )


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
        "fate": FATE_TYPE,
    }
)


def _ended(alleles: pl.DataFrame, candidates: pl.DataFrame) -> Counter[Fate]:
    """Fates of the records none of whose alleles is a candidate."""
    return _record_fates(alleles.join(candidates, on="record", how="anti"))


def _record_fates(alleles: pl.DataFrame) -> Counter[Fate]:
    """Number of records by the fate of the allele that came furthest."""
    furthest = alleles.group_by("record").agg(pl.col("fate").max())
    counts = furthest.group_by("fate").len()
    return Counter({Fate(fate): number for fate, number in counts.iter_rows()})


def _candidates(alleles: pl.DataFrame, annotation: Genes | None) -> pl.DataFrame:
    """What the features need of each allele, small enough to keep for a whole genome."""
    if annotation is None:
        nothing = (pl.lit(None, dtype).alias(name) for name, dtype in ANNOTATION_SCHEMA.items())
        annotated = alleles.with_columns(*nothing)
    else:
        annotated = annotation.read(alleles, GENES_WITH_CHANGES)
    written = annotated["consequence"].drop_nulls().unique()
    ref, alt, chrom = pl.col("ref"), pl.col("alt"), pl.col("chrom").str.strip_prefix("chr")
    base = ref.str.slice(0, 1)
    return annotated.select(
        "record",
        pl.struct(chrom, "pos", "ref", "alt").hash().alias("key"),
        pl.struct(chrom, "pos").hash().alias("place"),
        base.replace_strict(_BASES, default=None, return_dtype=pl.UInt8).alias("base"),
        "depth",
        "vaf",
        # Copied, because a name keeps the whole text that it was cut from alive.
        pl.concat_str(pl.col("gene"), pl.lit("")).alias("gene"),
        pl.col("consequence").is_not_null().alias("is_annotated"),
        _has_term(written, PROTEIN_ALTERING).alias("is_protein_altering"),
        _has_term(written, TRUNCATING).alias("is_truncating"),
        (_has_term(written, _SYNONYMOUS) & ~_has_term(written, PROTEIN_ALTERING))
        .alias("is_synonymous"),
        pl.when((alt.str.len_chars() == 1) & (ref.str.len_chars() == 1))
        .then(pl.concat_str(ref, alt).is_in(["AG", "GA", "CT", "TC"])).alias("is_transition"),
        (alt.str.len_bytes() != ref.str.len_bytes()).alias("is_indel"),
        pl.when(pl.col("gene").is_in(GENES_WITH_CHANGES)).then("protein_changes")
        .alias("protein_changes"),
        "fate",
    )  # fmt: skip


def _has_term(written: pl.Series, wanted: frozenset[str]) -> pl.Expr:
    having = [text for text in written if not wanted.isdisjoint(terms(text))]
    return pl.col("consequence").is_in(having).fill_null(value=False)


def _settled(variants: pl.DataFrame) -> pl.DataFrame:
    """Settle the fates that depend on other records or on the annotation."""
    shared = variants.filter(pl.col("place").is_duplicated()).select("place", "base")
    bases = shared.group_by("place").agg(pl.col("base").drop_nulls().n_unique())
    contradicted = bases.filter(pl.col("base") > 1)["place"]
    settled = (
        pl.when(pl.col("place").is_in(contradicted.implode()))
        .then(Fate.CONTRADICTED_REFERENCE.value)
        .when(~pl.col("key").is_first_distinct()).then(Fate.DUPLICATE_RECORD.value)
        .when(~pl.col("is_annotated")).then(Fate.NO_GENE_ANNOTATION.value)
        .otherwise(Fate.USED.value)
    )  # fmt: skip
    return variants.with_columns(settled.cast(FATE_TYPE).alias("fate")).drop("key", "place", "base")
