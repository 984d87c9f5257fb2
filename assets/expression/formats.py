"""Expression tables of the common quantifiers as one layout: gene, value, unit.

    path -> header and shape -> Quantification (as written, nothing summed or left out)

The quantifier is recognised from columns, never from the file name. What counts and what a value
must be is decided in :mod:`assets.expression.quantification`.

References
----------
STAR manual, section "Counting number of reads per gene"; Subread users' guide (featureCounts);
HTSeq documentation, "htseq-count"; salmon "Output file formats"; RSEM README; kallisto manual.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import polars as pl

from assets.errors import EmptyFile, WrongFormat
from assets.textfiles import column_counts, describe, read_table, unterminated, wrong_columns


class Unit(StrEnum):
    """Unit of the values of an expression table."""

    COUNTS = "counts"
    TPM = "tpm"
    FPKM = "fpkm"
    LOG2 = "log2"


@dataclass(frozen=True)
class Quantification:
    """One expression table as written.

    Parameters
    ----------
    genes
        Identifiers or symbols, one per row.
    values
        Texts of the values, one per row; null where empty.
    lines
        1-based line of each row.
    unit
        Unit of the values.
    """

    genes: pl.Series
    values: pl.Series
    lines: pl.Series
    unit: Unit


#: Columns -> (gene column, value column) of quantifiers with counts and a fixed header, lower case.
_FIXED_HEADERS = (
    ({"name", "tpm", "numreads"}, "name", "numreads"),  # salmon quant.sf and quant.genes.sf
    ({"gene_id", "expected_count", "tpm"}, "gene_id", "expected_count"),  # RSEM
    ({"target_id", "est_counts", "tpm"}, "target_id", "est_counts"),  # kallisto
    ({"gene_id", "unstranded", "stranded_first"}, "gene_id", "unstranded"),  # STAR by the GDC
)
#: Columns of a plain table that describe the gene: featureCounts, biomaRt.
_ATTRIBUTES = frozenset({
    "gene_name", "gene_symbol", "symbol", "gene_type", "gene_biotype", "biotype", "description",
    "chr", "chrom", "chromosome", "start", "end", "strand", "length", "entrez_gene_id",
    "entrezgene", "display_label", "effective_length", "transcript_id(s)",
})  # fmt: skip
#: Names of the column of genes in a plain table.
_GENE_COLUMNS = frozenset({
    "gene", "genes", "gene_id", "geneid", "gene_symbol", "symbol", "gene_name", "hgnc_symbol",
    "hugo_symbol", "ensembl", "ensembl_id", "ensembl_gene_id", "stable_id", "name", "id",
    "target_id", "feature", "feature_id",
})  # fmt: skip
#: What the name of a column says about its unit, first that fits.
_UNIT_NAMES = (
    (re.compile(r"log_?2|log_?(cpm|tpm|[fr]pkm)|^vst$|^rlog$"), Unit.LOG2),
    (re.compile(r"(^|[_. ])tpm([_. ]|$)"), Unit.TPM),
    (re.compile(r"(^|[_. ])[fr]pkm([_. ]|$)"), Unit.FPKM),
    (re.compile(r"(^|[_. ])counts?([_. ]|$)|^num_?reads$|^reads$"), Unit.COUNTS),
)
#: Columns of STAR ReadsPerGene; the second, unstranded, is taken for every library, as the Genomic
#: Data Commons harmonises its cohorts.
_STAR_COLUMNS = 4
_SEPARATORS = (b"\t", b",", b";")


def read_quantification(path: Path) -> Quantification:
    """Expression table of one patient.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, FileMissing, Unavailable
        As :func:`assets.textfiles.read_table`; EmptyFile also without a row of genes,
        TruncatedFile if the last line is cut, WrongFormat if the layout or the unit of the values
        cannot be told or the table holds several samples.
    """
    text, skipped = _without_comments(read_table(path))
    head = text.split(b"\n", 1)[0]
    separator = next((mark for mark in _SEPARATORS if mark in head), None)
    if separator is None or head.lstrip().startswith((b"<", b"{", b"##")):
        raise WrongFormat("not an expression table", where=str(path), got=describe(text[:4096]))
    text, lines = _without_blank_lines(text, separator, path, skipped=skipped)
    quoted = b'"' in text
    names = [name.strip(b' "').decode("utf-8", errors="replace").lower()
             for name in head.lstrip(b"#").split(separator)]  # fmt: skip
    has_header = names[0] in _GENE_COLUMNS or not any(map(_is_number, names[1:]))
    gene, value, unit = _named_columns(names, path) if has_header else _unnamed_columns(names, path)
    try:
        frame = pl.read_csv(
            text,
            separator=separator.decode(),
            has_header=False,
            columns=[gene, value],
            quote_char='"' if quoted else None,
            infer_schema=False,
            encoding="utf8" if text.isascii() else "utf8-lossy",
            glob=False,
        )
    except pl.exceptions.PolarsError as error:
        raise WrongFormat("the table cannot be read", where=str(path)) from error
    if len(frame) != len(lines):
        raise WrongFormat("a quoted value does not end", where=str(path))
    first, second = frame.columns if gene < value else reversed(frame.columns)
    start = int(has_header)
    if len(frame) == start:
        raise EmptyFile("the table has no row of a gene", where=str(path))
    values = frame[second].slice(start)
    return Quantification(
        genes=frame[first].slice(start).alias("gene"),
        values=values.alias("value"),
        lines=lines.slice(start),
        unit=unit or _unit_of_values(values, path),
    )


def _without_comments(text: bytes) -> tuple[bytes, int]:
    """Text from the first line that is neither blank nor a comment, and the lines before it.

    featureCounts writes its command, the GDC its gene model, behind ``# ``.
    """
    match = re.match(rb"(?:#[ !%].*\n|[ \t]*\n)*", text)
    end = match.end() if match else 0
    return text[end:], text.count(b"\n", 0, end)


def _without_blank_lines(
    text: bytes, separator: bytes, path: Path, *, skipped: int
) -> tuple[bytes, pl.Series]:
    """Lines that all have as many columns as the first, and their 1-based numbers."""
    unquoted = re.sub(rb'"[^"\n]*"', b'""', text) if b'"' in text else text
    counts, blank = column_counts(unquoted, separator)
    wrong = np.flatnonzero((counts != counts[0]) & ~blank)
    if len(wrong):
        index = int(wrong[0])
        cut = index == len(counts) - 1 and unterminated(text)
        raise wrong_columns(path, skipped + index + 1, int(counts[0]), int(counts[index]), cut=cut)
    numbers = pl.int_range(skipped + 1, skipped + len(counts) + 1, eager=True)
    if not blank.any():
        return text, numbers
    return re.sub(rb"\n{2,}", b"\n", text), numbers.filter(pl.Series(~blank))


def _named_columns(names: list[str], path: Path) -> tuple[int, int, Unit | None]:
    """Positions of gene and value, and the unit where a name tells it."""
    for columns, gene_name, value_name in _FIXED_HEADERS:
        if columns <= set(names):
            return names.index(gene_name), names.index(value_name), Unit.COUNTS
    gene = next((i for i, name in enumerate(names) if name in _GENE_COLUMNS), 0)
    others = [
        i
        for i, name in enumerate(names)
        if i != gene and name not in _ATTRIBUTES and name not in _GENE_COLUMNS
    ]
    units = {i: unit for i in others if (unit := _named_unit(names[i]))}
    for unit in Unit:
        of_unit = [i for i in others if units.get(i) is unit]
        if len(of_unit) == 1 and len(units) == len(others):
            return gene, of_unit[0], unit
    if len(others) != 1:
        raise WrongFormat(
            "the table is not of one patient",
            where=str(path),
            expected="one column of values",
            got=f"{len(others)}",
            hint="Import a matrix of several patients instead.",
        )
    is_feature_counts = names[:6] == ["geneid", "chr", "start", "end", "strand", "length"]
    return gene, others[0], Unit.COUNTS if is_feature_counts else None


def _unnamed_columns(names: list[str], path: Path) -> tuple[int, int, Unit | None]:
    """HTSeq (gene, maybe its name, count) and STAR (gene, unstranded and two stranded counts)."""
    if len(names) == _STAR_COLUMNS and all(_is_number(name) for name in names[1:]):
        return 0, 1, Unit.COUNTS
    if len(names) in (2, 3) and not _is_number(names[0]):
        return 0, len(names) - 1, None
    raise WrongFormat(
        "the columns have no names",
        where=str(path),
        expected="a header, or the columns of STAR or HTSeq",
        got=f"{len(names)} columns",
    )


def _named_unit(name: str) -> Unit | None:
    return next((unit for pattern, unit in _UNIT_NAMES if pattern.search(name)), None)


def _unit_of_values(values: pl.Series, path: Path) -> Unit:
    """Counts, if all values are whole numbers; nothing else can be told from values alone."""
    if values.drop_nulls().str.contains(r"^-?\d+(\.0*)?$").all():
        return Unit.COUNTS
    raise WrongFormat(
        "the header does not name the unit of the values",
        where=str(path),
        expected="counts, tpm, fpkm or log2 in the name of the column",
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|nan|[-+]?inf", text) is not None
