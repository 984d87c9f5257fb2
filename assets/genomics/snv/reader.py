"""Somatic small variants of one patient: gene burden, driver genes, hotspots, totals.

    VCF -> records of the tumour -> alleles -> the fate of each -> features

A record with several alternates is taken apart into alleles; each allele that passes is a variant.
The record counts as used if any of its alleles is, else under the reason of the allele that came
furthest. :class:`Fate` lists the reasons in the order in which they are asked. A value that the
file does not give (no depth, no fraction) filters nothing. A gene in which a record could not be
read is unknown unless another record shows it altered.

A file whose header declares no gene annotation gets the genes of the reference annotation, by
place; what rests on consequences is null then, not zero, unless no variant passed anyway. If the
build is not known either, or no variant that passed is annotated, its variants are counted as
``no_gene_annotation`` and every feature is null.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import polars as pl

from assets.genomics.annotation.alleles import SCHEMA as ANNOTATION_SCHEMA
from assets.genomics.annotation.alleles import Annotation
from assets.genomics.annotation.consequences import PROTEIN_ALTERING, TRUNCATING, terms
from assets.genomics.annotation.layouts import find_annotation
from assets.genomics.annotation.overlap import GeneOverlap
from assets.genomics.contigs import told_build
from assets.genomics.snv.alleles import (
    FATE_TYPE,
    MAX_ALTERNATES,
    PASSING_FILTERS,
    Fate,
    alleles_of,
    judged,
)
from assets.genomics.snv.features import CONTRACT, GENES_WITH_CHANGES, snv_blocks, snv_scalars
from assets.genomics.vcf.facts import vcf_facts
from assets.genomics.vcf.kind import Kind, declared_kind, kind_of_events, refuse_other_kind
from assets.genomics.vcf.records import (
    VcfHeader,
    check_build,
    read_vcf,
    refuse_beyond_contigs,
    sample_records,
)
from assets.genomics.vcf.tumour import same_specimen, tumour_sample
from oncoframe.errors import WrongFormat
from oncoframe.extraction import Extraction, names_called, refuse_nothing_usable
from oncoframe.reference.active import reference_for
from oncoframe.reference.builds import chromosome_names

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
#: Fates of records that say nothing of small variants of this tumour.
_SILENT = (*_FAILED, Fate.OTHER_CONTIG, Fate.STRUCTURAL_ALLELE, Fate.NO_CALL)
_SYNONYMOUS = frozenset({"synonymous_variant", "stop_retained_variant", "start_retained_variant"})
_BASES = {base: code for code, base in enumerate("ACGT")}
#: Whatever tells the gene of an allele.
Genes = Annotation | GeneOverlap


def extract(path: Path, *, reference_build: str | None, sample: str | None = None) -> Extraction:
    """Features of the somatic small variants in a VCF.

    Parameters
    ----------
    path
        VCF 4.x, plain or (block-)gzipped, or BCF, one or more samples.
    reference_build
        Build that the samplesheet names; refused if the contigs are of another, taken from them if
        it is None.
    sample
        The tumour, where the file does not tell, see
        :func:`assets.genomics.vcf.tumour.tumour_sample`.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, MissingSample, AmbiguousSample
        See :func:`~assets.genomics.vcf.records.read_vcf`,
        :func:`~assets.genomics.vcf.records.sample_records` and
        :func:`~assets.genomics.vcf.tumour.tumour_sample`; WrongFormat also if the records are of
        another kind.
    NothingUsable
        If there are records, and none says anything of small variants of the tumour.
    ImpossibleValue
        If a position, depth or fraction cannot have been measured.
    """
    header, body = read_vcf(path)
    check_build(path, header, reference_build)
    tumour = tumour_sample(header, path, sample)
    frames = sample_records(path, header, body, tumour, same_specimen(header, tumour))
    first = next(frames, None)
    contigs = () if first is None else first["chrom"].unique()
    build = told_build(path, contigs, reference_build or header.build())
    annotation = find_annotation(header) or _overlap(build)
    records = structural = 0
    early: Counter[Fate] = Counter()
    failed_genes: set[str] = set()
    kept = [_candidates(pl.DataFrame(schema=_RECORD_SCHEMA), annotation)]
    for frame in _bounded(chain([] if first is None else [first], frames)):
        refuse_beyond_contigs(path, header, frame)
        told_build(path, frame["chrom"].unique(), build)
        named = frame.with_columns(chromosome_names(frame["chrom"]))
        alleles = judged(alleles_of(named, records), header, path)
        candidates = alleles.filter(pl.col("fate") >= Fate.CONTRADICTED_REFERENCE.value)
        ended = _ended(alleles, candidates)
        early += ended
        if not ended.keys().isdisjoint(_FAILED):
            failed_genes |= _genes_of_failed(alleles, annotation)
        structural += _events_by_sequence(header, frame)
        kept.append(_candidates(candidates, annotation))
        records += len(frame)
        _refuse_too_many(path, kept)
    variants = _settled(pl.concat(kept))
    kept.clear()
    fates = early + _record_fates(variants)
    others = {kind_of_events(header): max(fates[Fate.STRUCTURAL_ALLELE], structural)}
    with_alternate = records - fates[Fate.NO_ALTERNATE_ALLELE]
    if with_alternate or not records:
        refuse_other_kind(path, header, Kind.SMALL, others, with_alternate)
    unknown = fates[Fate.NO_GENE_ANNOTATION] > 0 and (annotation is None or not fates[Fate.USED])
    used = None if unknown else variants.filter(pl.col("fate") == Fate.USED.value)
    contradicted = variants.filter(pl.col("fate") == Fate.CONTRADICTED_REFERENCE.value)
    failed_genes |= set(contradicted["gene"].drop_nulls())
    by_place = annotation if isinstance(annotation, GeneOverlap) else None
    tells = by_place is None or not fates[Fate.USED]
    tool = str(annotation.tool) if annotation else None
    scalars = snv_scalars(used, tells_consequences=tells, failed_genes=failed_genes)
    blocks = snv_blocks(used, tells_consequences=tells, failed_genes=failed_genes)
    found = Extraction(
        records=records,
        used=fates[Fate.USED],
        filtered={f.name.lower(): fates[f] for f in Fate
                  if fates[f] and f not in (*_FAILED, Fate.USED)},
        failed={f.name.lower(): fates[f] for f in _FAILED if fates[f]},
        features={**scalars, "snv_annotation": tool},
        blocks=blocks,
        annotation_version=by_place.reference.label if by_place else None,
        sample=header.samples[tumour],
        facts=vcf_facts(header, reference_build, build, names_called(blocks.values())),
    )  # fmt: skip
    return refuse_nothing_usable(found, path, [fate.name.lower() for fate in _SILENT])


def _genes_of_failed(alleles: pl.DataFrame, annotation: Genes | None) -> set[str]:
    """Genes of records that could not be read, and that their caller believes."""
    fates = [fate.value for fate in _FAILED]
    failed = alleles.filter(
        pl.col("fate").is_in(fates) & pl.col("filter").is_in(PASSING_FILTERS)
    ).unique("record", keep="first", maintain_order=True)
    if failed.is_empty() or annotation is None:
        return set()
    # Whose entries are whose is not known: those of all alleles count.
    alone = failed.with_columns(pl.lit(1, pl.UInt32).alias("alleles"))
    return set(annotation.read(alone)["gene"].drop_nulls())


def _events_by_sequence(header: VcfHeader, frame: pl.DataFrame) -> int:
    """Records that say themselves to be structural, in a file that declares nothing else."""
    if declared_kind(header) is not Kind.STRUCTURAL:
        return 0
    says = frame["info"].str.contains("SVTYPE=", literal=True) & (frame["alt"] != ".")
    return int(says.sum())


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
    ref, alt = pl.col("ref"), pl.col("alt")
    base = ref.str.slice(0, 1)
    return annotated.select(
        "record",
        pl.struct("chrom", "pos", "ref", "alt").hash().alias("key"),
        pl.struct("chrom", "pos").hash().alias("place"),
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
