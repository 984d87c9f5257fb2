"""References: the built-in one, and those of a user's annotation files.

    build, GTF, cytobands -> load -> Reference
    settings -> compile_references (once, in the run) -> folder -> load_compiled (in every worker)

Reading a GTF takes half a minute, so a run writes what it holds as Parquet, and workers read that.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import polars as pl

from oncoframe.errors import WrongFormat
from oncoframe.files import local_sha256
from oncoframe.reference.builds import BUILDS, CHROMOSOMES, MITOCHONDRION, chromosome_names
from oncoframe.reference.gtf import TRANSCRIPT_SCHEMA, read_annotation
from oncoframe.reference.tables import BAND_SCHEMA, GENE_SCHEMA, LOCUS, Reference, with_bands
from oncoframe.textfiles import read_table

#: Version of the built-in tables and of the rules by which annotations are read.
BUILT_IN_VERSION = "panel-1"
_KEPT = (*CHROMOSOMES, MITOCHONDRION)
_META, _GENES, _BANDS = "reference.json", "genes.parquet", "bands.parquet"
_TRANSCRIPTS = "transcripts.parquet"


@dataclass(frozen=True)
class AnnotationFiles:
    """Files that the user gives for a build; None takes the built-in table."""

    gtf: Path | None = None
    cytobands: Path | None = None


def load(build: str, *, gtf: Path | None = None, cytobands: Path | None = None) -> Reference:
    """Reference of a build.

    Parameters
    ----------
    build
        ``GRCh37`` or ``GRCh38``.
    gtf
        Annotation, see :func:`oncoframe.reference.gtf.read_annotation`; without it the built-in
        genes.
        The antigen receptor loci, which no annotation has as genes, are added to it.
    cytobands
        UCSC table ``cytoBand`` of the build (chromosome, 0-based start, end, band, stain); the
        built-in one without it.

    Raises
    ------
    WrongFormat
        If a file cannot be read as such, or its header names another build.
    ImpossibleValue
        If a position of it is none.
    """
    if build not in BUILDS:
        raise WrongFormat(
            "there is no annotation of this build", expected=f"one of {', '.join(BUILDS)}"
        )
    own = built_in(build)
    if gtf is None and cytobands is None:
        return own
    bands = own.bands if cytobands is None else _read_bands(cytobands)
    genes, transcripts, label = own.genes, own.transcripts, BUILT_IN_VERSION
    if gtf is not None:
        read = read_annotation(gtf)
        if read.build not in (None, build):
            raise WrongFormat(
                "the annotation is of another genome build",
                where=str(gtf),
                expected=build,
                got=read.build,
            )
        loci = own.genes.filter(pl.col("biotype") == LOCUS).select(read.genes.columns)
        genes = pl.concat([_with_current_symbols(read.genes, own.genes), loci])
        transcripts, label = read.transcripts, read.label
    hashes = [local_sha256(path) for path in (gtf, cytobands) if path is not None]
    digest = hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:12]
    version = f"{label}+{BUILT_IN_VERSION}+{digest}"
    return Reference(build, version, _finished(genes, bands), bands, transcripts, own.previous)


@cache
def built_in(build: str) -> Reference:
    """Reference of the built-in tables, see ``data/SOURCE.md``."""
    bands = _typed_bands(_data(f"bands.{build}.tsv"))
    table = _data("genes.tsv")
    start, end = f"start_{build.lower()}", f"end_{build.lower()}"
    genes = table.filter(pl.col(start).is_not_null()).select(
        "symbol",
        "ensembl_id",
        "chrom",
        pl.col(start).cast(pl.Int64).alias("start"),
        pl.col(end).cast(pl.Int64).alias("end"),
        "strand",
        "biotype",
    )
    former = table.select("symbol", pl.col("previous_symbols").str.split(",")).drop_nulls()
    previous = {name: symbol for symbol, names in former.iter_rows() for name in names}
    none = pl.DataFrame(schema=TRANSCRIPT_SCHEMA)
    return Reference(build, BUILT_IN_VERSION, _finished(genes, bands), bands, none, previous)


def compile_references(given: Mapping[str, AnnotationFiles], folder: Path) -> None:
    """Write the references of the user's files, for :func:`load_compiled`.

    Parameters
    ----------
    given
        Build -> files. What is not given any more is removed; what has not changed is left.
    folder
        One folder per build is written to it.
    """
    for build in BUILDS:
        of_build = given.get(build, AnnotationFiles())
        target = folder / build
        paths = [path for path in (of_build.gtf, of_build.cytobands) if path is not None]
        if not paths:
            shutil.rmtree(target, ignore_errors=True)
            continue
        stamp = [BUILT_IN_VERSION, *(f"{p} {p.stat().st_size} {p.stat().st_mtime_ns}"
                                     for p in paths if p.exists())]  # fmt: skip
        meta = target / _META
        if meta.exists() and json.loads(meta.read_text("utf-8"))["stamp"] == stamp:
            continue
        reference = load(build, gtf=of_build.gtf, cytobands=of_build.cytobands)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        reference.genes.write_parquet(target / _GENES)
        reference.bands.write_parquet(target / _BANDS)
        reference.transcripts.write_parquet(target / _TRANSCRIPTS)
        content = {"stamp": stamp, "version": reference.version}
        meta.write_text(json.dumps(content), "utf-8")


def load_compiled(folder: Path, build: str) -> Reference:
    """Reference of a build that :func:`compile_references` wrote, else the built-in one."""
    meta = folder / build / _META
    if not meta.exists():
        return built_in(build)
    version = json.loads(meta.read_text("utf-8"))["version"]
    genes = pl.read_parquet(folder / build / _GENES)
    bands = pl.read_parquet(folder / build / _BANDS)
    transcripts = pl.read_parquet(folder / build / _TRANSCRIPTS)
    return Reference(build, version, genes, bands, transcripts, built_in(build).previous)


def _data(name: str) -> pl.DataFrame:
    text = files("oncoframe.reference").joinpath(f"data/{name}").read_bytes()
    return pl.read_csv(text, separator="\t", infer_schema=False)


def _read_bands(path: Path) -> pl.DataFrame:
    rows = [line for line in read_table(path).split(b"\n") if line and not line.startswith(b"#")]
    frame = pl.read_csv(
        BytesIO(b"\n".join(rows)), separator="\t", has_header=False, infer_schema=False,
        truncate_ragged_lines=True,
    )  # fmt: skip
    if frame.width < 4:  # noqa: PLR2004  # chromosome, start, end, band
        raise WrongFormat(
            "not a table of cytogenetic bands",
            where=str(path),
            expected="chromosome, start, end, band and stain, as UCSC's cytoBand has them",
        )
    frame.columns = ["chrom", "start", "end", "band", "stain"][: frame.width]
    frame = frame.with_columns(pl.col("start", "end").cast(pl.Int64, strict=False))
    frame = frame.drop_nulls(["start", "end"]).with_columns(pl.col("start") + 1)
    if "stain" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.String).alias("stain"))
    bands = _typed_bands(frame)
    if bands.is_empty() or (bands["end"] < bands["start"]).any():
        raise WrongFormat("not a table of cytogenetic bands", where=str(path))
    return bands


def _typed_bands(table: pl.DataFrame) -> pl.DataFrame:
    """Bands of the chromosomes (``p36.33`` -> ``1p36.33`` on arm ``1p``), in their order."""
    named = table.with_columns(chromosome_names(table["chrom"]).alias("chrom"))
    bands = named.filter(
        pl.col("chrom").is_in(CHROMOSOMES) & pl.col("band").str.contains(r"^[pq]\d")
    ).select(
        "chrom",
        pl.col("start").cast(pl.Int64),
        pl.col("end").cast(pl.Int64),
        (pl.col("chrom") + pl.col("band")).alias("band"),
        (pl.col("chrom") + pl.col("band").str.head(1)).alias("arm"),
        "stain",
    )
    order = {name: number for number, name in enumerate(CHROMOSOMES)}
    by_chromosome = pl.col("chrom").replace_strict(order, return_dtype=pl.Int32)
    return bands.sort(by_chromosome, "start").cast(BAND_SCHEMA)


def _with_current_symbols(genes: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Genes of an annotation under the symbols of today, where the built-in table has the gene."""
    current = known.filter(pl.col("ensembl_id").is_not_null())
    current = current.select("ensembl_id", pl.col("symbol").alias("current"))
    joined = genes.join(current, on="ensembl_id", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("current", "symbol").alias("symbol")).drop("current")


def _finished(genes: pl.DataFrame, bands: pl.DataFrame) -> pl.DataFrame:
    """Genes of the chromosomes in their order, with unique names and bands."""
    order = {name: number for number, name in enumerate(_KEPT)}
    ordered = genes.filter(pl.col("chrom").is_in(_KEPT)).with_columns(
        pl.col("chrom").replace_strict(order, return_dtype=pl.Int32).alias("number"),
        pl.coalesce("symbol", "ensembl_id").alias("symbol"),
    )
    # The gene that a shared symbol means: it codes for a protein, lies on X rather than Y, is long.
    first = ordered.drop_nulls("symbol").sort(
        pl.col("biotype").is_in(["protein_coding", LOCUS]).not_(),
        pl.col("chrom") == "Y",
        pl.col("start") - pl.col("end"),
        "number",
        "start",
        maintain_order=True,
    )
    named = first.with_columns(
        pl.when(pl.col("symbol").is_first_distinct()).then("symbol").otherwise("ensembl_id")
        .alias("symbol")
    ).drop_nulls("symbol").unique("symbol", keep="first", maintain_order=True)  # fmt: skip
    placed = with_bands(named, bands).sort("number", "start", "end", "symbol")
    return placed.select(list(GENE_SCHEMA)).cast(GENE_SCHEMA)
