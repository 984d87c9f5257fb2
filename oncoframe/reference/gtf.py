"""Genes of an annotation file: GTF of GENCODE or Ensembl, or a table with a header.

    path -> gene and transcript lines -> Annotation

A full GTF is 1.5 GB of text, nearly all of it exons; only the lines of genes and transcripts are
kept, block by block.

References
----------
GENCODE, "Format description of GENCODE GTF"; Ensembl, "GFF/GTF file format".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from oncoframe.errors import ImpossibleValue, WrongFormat
from oncoframe.reference.builds import build_in_text, chromosome_names
from oncoframe.textfiles import column_counts, line_blocks, read_table

#: Columns of the genes.
COLUMNS = ("symbol", "ensembl_id", "chrom", "start", "end", "strand", "biotype")
#: Transcripts: identifiers without version.
TRANSCRIPT_SCHEMA = pl.Schema({"transcript_id": pl.String(), "ensembl_id": pl.String()})

_LINE = re.compile(rb"^[^#\t\n][^\t\n]*\t[^\t\n]*\t(?:gene|transcript)\t[^\n]*$", re.MULTILINE)
_GTF_COLUMNS = {
    0: "chrom", 2: "feature", 3: "start", 4: "end", 6: "strand", 8: "attributes"
}  # fmt: skip
_FIELDS = 9
#: Column of a table -> names that it may have, the first present counts.
_TABLE_NAMES: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "hgnc_symbol", "hugo_symbol", "gene_name", "gene_symbol", "gene"),
    "ensembl_id": ("ensembl_id", "ensembl_gene_id", "gene_id"),
    "chrom": ("chrom", "chromosome", "chr", "seqname", "contig"),
    "start": ("start", "start_position", "gene_start"),
    "end": ("end", "end_position", "gene_end"),
    "strand": ("strand",),
    "biotype": ("biotype", "gene_biotype", "gene_type"),
}
_NEEDED = ("symbol", "chrom", "start", "end")


@dataclass(frozen=True)
class Annotation:
    """What an annotation file says.

    Parameters
    ----------
    genes
        :data:`COLUMNS`, in file order; a symbol, id, strand or biotype that is not given is null.
    transcripts
        :data:`TRANSCRIPT_SCHEMA`; without rows for a table of genes.
    label
        What the file calls itself, for example ``GENCODE 44``; its name if it does not.
    build
        Build that its header names, or None.
    """

    genes: pl.DataFrame
    transcripts: pl.DataFrame
    label: str
    build: str | None


def read_annotation(path: Path) -> Annotation:
    """Genes and transcripts of an annotation file.

    Parameters
    ----------
    path
        GTF, or a table separated by tabs or commas whose header names symbol, chromosome, start
        and end (1-based, closed); plain or gzipped.

    Raises
    ------
    WrongFormat
        If there is no gene line, or no such header.
    ImpossibleValue
        If a position is no positive whole number, or an end is before its start.
    EmptyFile, TruncatedFile, FileMissing, Unavailable
        As :func:`oncoframe.textfiles.line_blocks`.
    """
    first = next(line_blocks(path))[: 1 << 16]
    lines = [line for line in first.split(b"\n") if line and not line.startswith(b"#")]
    is_gtf = bool(lines) and lines[0].count(b"\t") == _FIELDS - 1 and b"gene_id" in lines[0]
    head = b"\n".join(line for line in first.split(b"\n") if line.startswith(b"#"))
    comments = head.decode("utf-8", errors="replace")
    nothing = pl.DataFrame(schema=TRANSCRIPT_SCHEMA)
    genes, transcripts = _gtf(path) if is_gtf else (_table(path), nothing)
    if genes.is_empty():
        raise WrongFormat(
            "the annotation has no genes",
            where=str(path),
            expected="a GTF with gene lines, or a table of genes",
            hint="GENCODE and Ensembl publish such GTF files for both builds.",
        )
    return Annotation(
        _checked(genes, path), transcripts, _label(comments, path), build_in_text(comments)
    )


def _gtf(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Genes and transcripts of a GTF."""
    found = [b"\n".join(_LINE.findall(block)) for block in line_blocks(path)]
    text = b"\n".join(part for part in found if part)
    if not text:
        genes = pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String()))
        return genes, pl.DataFrame(schema=TRANSCRIPT_SCHEMA)
    if (column_counts(text)[0] != _FIELDS).any():
        raise WrongFormat(
            "a line of a gene or transcript has the wrong number of columns",
            where=str(path),
            expected=f"{_FIELDS} columns",
        )
    frame = pl.read_csv(
        text,
        separator="\t",
        has_header=False,
        quote_char=None,
        infer_schema=False,
        columns=list(_GTF_COLUMNS),
        encoding="utf8-lossy",
    )
    frame.columns = list(_GTF_COLUMNS.values())

    def attribute(*names: str) -> pl.Expr:
        patterns = (rf'(?:^|;)\s*{name}\s+"([^"]*)"' for name in names)
        return pl.coalesce([pl.col("attributes").str.extract(pattern) for pattern in patterns])

    genes = frame.filter(pl.col("feature") == "gene").select(
        symbol=attribute("gene_name"),
        ensembl_id=attribute("gene_id"),
        chrom="chrom",
        start="start",
        end="end",
        strand="strand",
        biotype=attribute("gene_type", "gene_biotype"),
    )
    transcripts = frame.filter(pl.col("feature") == "transcript").select(
        transcript_id=attribute("transcript_id").str.extract(r"^([^.]+)"),
        ensembl_id=attribute("gene_id").str.extract(r"^([^.]+)"),
    )
    # GENCODE lists the pseudoautosomal genes of Y again; they are those of X.
    genes = genes.filter(~pl.col("ensembl_id").fill_null("").str.ends_with("_PAR_Y"))
    return genes, transcripts.drop_nulls().unique("transcript_id", keep="first")


def _table(path: Path) -> pl.DataFrame:
    text = read_table(path)
    head = text.split(b"\n", 1)[0]
    try:
        frame = pl.read_csv(
            text,
            separator="\t" if b"\t" in head else ",",
            infer_schema=False,
            encoding="utf8-lossy",
            comment_prefix="##",
        )
    except pl.exceptions.PolarsError as error:
        raise WrongFormat("the annotation cannot be read", where=str(path)) from error
    columns = {name.strip().lstrip("#").lower(): name for name in frame.columns}
    chosen = {
        ours: next((columns[name] for name in names if name in columns), None)
        for ours, names in _TABLE_NAMES.items()
    }
    missing = [name for name in _NEEDED if chosen[name] is None]
    if missing:
        raise WrongFormat(
            "not a GTF and no table of genes",
            where=str(path),
            expected=f"columns for {', '.join(_NEEDED)}",
            got=f"none for {', '.join(missing)}",
        )
    nothing = pl.lit(None, pl.String)
    return frame.select(
        (pl.col(name).str.strip_chars().replace("", None) if name else nothing).alias(ours)
        for ours, name in chosen.items()
    )


def _checked(genes: pl.DataFrame, path: Path) -> pl.DataFrame:
    typed = genes.with_columns(
        pl.col("start", "end").cast(pl.Int64, strict=False),
        pl.col("ensembl_id").str.replace(r"^(ENSG\d+)\.\d+$", "$1"),
        chromosome_names(genes["chrom"]).alias("chrom"),
        pl.when(pl.col("strand").is_in(["+", "-"])).then("strand").alias("strand"),
    )
    placed = (pl.col("start") >= 1) & (pl.col("end") >= pl.col("start"))
    bad = typed.filter(~placed.fill_null(value=False)).height
    if bad:
        raise ImpossibleValue(
            "genes of the annotation have no place on a chromosome",
            where=str(path),
            expected="start from 1, end not before start",
            got=f"{bad} genes without",
        )
    return typed.select(COLUMNS)


def _label(comments: str, path: Path) -> str:
    if match := re.search(r"human genome \(GRCh\d+\), version (\S+)", comments):
        return f"GENCODE {match[1]}"
    if match := re.search(r"#!genebuild-last-updated (\S+)", comments):
        return f"Ensembl {match[1]}"
    return path.name.removesuffix(".gz").removesuffix(".gtf")
