"""Layouts of expression tables: which columns are the gene and the value, and the value's unit.

    first line -> read_layout -> Layout

The quantifier is recognised from columns, never from the file name.

References
----------
STAR manual, section "Counting number of reads per gene"; Subread users' guide (featureCounts);
HTSeq documentation, "htseq-count"; salmon "Output file formats"; RSEM README; kallisto manual.
"""

import csv
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from oncoframe.errors import WrongFormat
from oncoframe.samples import listed_names, one_sample
from oncoframe.textfiles import describe


class Unit(StrEnum):
    """Unit of the values of an expression table."""

    COUNTS = "counts"
    TPM = "tpm"
    FPKM = "fpkm"
    LOG2 = "log2"


@dataclass(frozen=True)
class Layout:
    """How the lines of a table are taken apart."""

    separator: bytes
    columns: int
    gene: int
    value: int
    has_header: bool
    unit: Unit | None
    sample: str | None = None
    tool: str | None = None


#: Most columns of a table of one patient.
MAX_COLUMNS = 1_000
#: Columns -> (gene column, value column, tool) of quantifiers with counts and a fixed header, lower
#: case.
_FIXED_HEADERS = (
    ({"name", "tpm", "numreads"}, "name", "numreads", "salmon"),
    ({"gene_id", "expected_count", "tpm"}, "gene_id", "expected_count", "RSEM"),
    ({"target_id", "est_counts", "tpm"}, "target_id", "est_counts", "kallisto"),
    ({"gene_id", "unstranded", "stranded_first"}, "gene_id", "unstranded", "STAR"),  # of the GDC
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


def read_layout(head: bytes, text: bytes, path: Path, sample: str | None = None) -> Layout:
    """Columns of a table from its first line.

    Parameters
    ----------
    head
        The line, without its end.
    text
        The table from it on, for messages.
    sample
        Column to read, in a table of several.

    Raises
    ------
    WrongFormat
        If the columns are not those of an expression table of one patient.
    MissingSample
        If the sample is not there, or the only one is a normal one.
    """
    separator = next((mark for mark in _SEPARATORS if mark in head), None)
    if separator is None or head.lstrip().startswith((b"<", b"{", b"##")):
        raise WrongFormat("not an expression table", where=str(path), got=describe(text[:4096]))
    if head.count(separator) > MAX_COLUMNS:
        raise _several_samples(path, f"more than {MAX_COLUMNS}")
    titles = [name.strip(' "') for name in _split(head.lstrip(b"#"), separator, path)]
    names = [title.lower() for title in titles]
    has_header = names[0] in _GENE_COLUMNS or not any(map(_is_number, names[1:]))
    if not has_header:
        gene, value, unit = _unnamed_columns(names, path)
        return Layout(separator, len(names), gene, value, has_header, unit)
    gene, value, unit, own = _named_columns(titles, path, sample)
    tool = next((tool for columns, *_, tool in _FIXED_HEADERS if columns <= set(names)), None)
    return Layout(separator, len(names), gene, value, has_header, unit, own, tool)


def _split(head: bytes, separator: bytes, path: Path) -> list[str]:
    """Columns of the first line, of which quoted ones may hold the separator."""
    text = head.decode("utf-8", errors="replace")
    if '"' not in text:
        return text.split(separator.decode())
    try:
        return next(csv.reader([text], delimiter=separator.decode()))
    except csv.Error as error:
        raise WrongFormat("the header cannot be read", where=str(path)) from error


def _named_columns(
    titles: list[str], path: Path, sample: str | None
) -> tuple[int, int, Unit | None, str | None]:
    """Positions of gene and value, the unit where a name tells it, else the sample."""
    names = [title.lower() for title in titles]
    for columns, gene_name, value_name, _ in _FIXED_HEADERS:
        if columns <= set(names):
            return names.index(gene_name), names.index(value_name), Unit.COUNTS, None
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
            return gene, of_unit[0], unit, None
    samples = [titles[i] for i in others]
    if not others or (len(others) > 1 and sample is None):
        raise _several_samples(path, listed_names(samples))
    is_feature_counts = names[:6] == ["geneid", "chr", "start", "end", "strand", "length"]
    own = one_sample(samples, sample, path)
    value = others[samples.index(own)]
    return gene, value, Unit.COUNTS if is_feature_counts else units.get(value), own


def _several_samples(path: Path, got: str) -> WrongFormat:
    return WrongFormat(
        "the table is not of one patient",
        where=str(path),
        expected="one column of values",
        got=got,
        hint="Name the sample (column sample of the samplesheet, or --sample), or import a matrix "
        "of several patients instead.",
    )


def _unnamed_columns(names: list[str], path: Path) -> tuple[int, int, Unit | None]:
    """HTSeq (gene, maybe its name, count) and STAR (gene, unstranded and two stranded counts)."""
    if len(names) == _STAR_COLUMNS and all(_is_number(name) for name in names[1:]):
        return 0, 1, Unit.COUNTS
    is_htseq = len(names) == 2 or (len(names) == 3 and not _is_number(names[1]))  # noqa: PLR2004
    if is_htseq and not _is_number(names[0]):
        return 0, len(names) - 1, None
    raise WrongFormat(
        "the columns have no names",
        where=str(path),
        expected="a header, or the columns of STAR or HTSeq",
        got=f"{len(names)} columns",
    )


def _named_unit(name: str) -> Unit | None:
    return next((unit for pattern, unit in _UNIT_NAMES if pattern.search(name)), None)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|nan|[-+]?inf", text) is not None
