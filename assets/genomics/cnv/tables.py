"""Tables of copy-number segments and genes as one layout.

    path -> header -> whose table it is -> Segments: place, ratio, copies, loss of heterozygosity

Understood, recognised by their columns: CNVkit ``.cns`` and ``.call.cns``, SEG files (IGV, TCGA and
GDC, DRAGEN), GATK segments (``.cr.seg``, ``.called.seg``, ``modelFinal.seg``), PURPLE segments and
genes. Positions become 1-based and closed. A number that is none is null here and counted by the
caller. VCF files are read by :mod:`assets.genomics.cnv.vcf`.

References
----------
CNVkit documentation, "File formats"; IGV, "SEG"; GDC, "Copy number variation analysis pipeline";
hmftools, "PURPLE".
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from oncoframe.errors import WrongFormat
from oncoframe.reference.genes import NO_NAMES
from oncoframe.textfiles import column_counts, describe, read_table, unterminated, wrong_columns

#: Columns of :attr:`Segments.rows`.
SEGMENT_SCHEMA = pl.Schema(
    {
        "line": pl.Int64(),
        "sample": pl.String(),
        "chrom": pl.String(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "gene": pl.String(),
        "ratio": pl.Float64(),
        "copies": pl.Float64(),
        "minor": pl.Float64(),
    }
)


@dataclass(frozen=True)
class Segments:
    """Copy numbers as a file has them.

    Parameters
    ----------
    rows
        :data:`SEGMENT_SCHEMA`, in file order: ``ratio`` of the copies to those of a normal sample,
        ``copies`` in all and ``minor`` of the rarer allele per tumour cell; null where not given.
        ``gene`` only in tables of genes, which may lack places.
    is_by_gene
        Whether a row is a gene and not a segment.
    lists_events
        Whether the file lists only what is altered; what it does not mention is normal then.
    is_fitted
        Whether copies are fitted and not counted, and so may lie far below none.
    purity, ploidy
        As the file gives them.
    callers
        Tool whose columns these are; empty for those that several write.
    reason : dict
        Line -> why its record does not count, for rules that only this reader knows.
    """

    rows: pl.DataFrame
    is_by_gene: bool = False
    lists_events: bool = False
    is_fitted: bool = False
    purity: float | None = None
    ploidy: float | None = None
    callers: tuple[str, ...] = ()
    reasons: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Layout:
    """Columns of one tool's table, in lower case; ``required`` tells whose it is."""

    required: frozenset[str]
    place: tuple[str, str, str] | None
    is_zero_based: bool = False
    is_fitted: bool = False
    sample: str | None = None
    gene: str | None = None
    log2: str | None = None
    ratio: str | None = None
    copies: str | None = None
    minor: tuple[str, ...] = ()
    tool: str | None = None


_TCGA = ("chromosome", "start", "end")
_LAYOUTS = (
    # PURPLE, genes; the full table has places, excerpts of it do not
    _Layout(frozenset({"gene", "mincopynumber", "maxcopynumber"}), _TCGA, gene="gene",
            copies="mincopynumber", minor=("minminorallelecopynumber", "minminoralleleploidy"),
            is_fitted=True, tool="PURPLE"),
    # PURPLE, segments
    _Layout(frozenset({*_TCGA, "copynumber", "method"}), _TCGA, copies="copynumber",
            minor=("minorallelecopynumber", "minoralleleploidy"), is_fitted=True, tool="PURPLE"),
    # CNVkit
    _Layout(frozenset({*_TCGA, "gene", "log2", "probes"}), _TCGA, is_zero_based=True, log2="log2",
            copies="cn", minor=("cn1", "cn2"), tool="CNVkit"),
    # DRAGEN .seg.called: its mean is a ratio, not the logarithm of one
    _Layout(frozenset({*_TCGA, "segment_mean", "segment_call"}), _TCGA, sample="sample",
            ratio="segment_mean", copies="copy_number", tool="DRAGEN"),
    # TCGA and GDC
    _Layout(frozenset({*_TCGA, "segment_mean"}), _TCGA, sample="sample", log2="segment_mean"),
    _Layout(frozenset({*_TCGA, "copy_number", "minor_copy_number"}), _TCGA, sample="gdc_aliquot",
            copies="copy_number", minor=("minor_copy_number",)),
    # SEG of DNAcopy and IGV
    _Layout(frozenset({"chrom", "loc.start", "loc.end", "seg.mean"}),
            ("chrom", "loc.start", "loc.end"), sample="id", log2="seg.mean"),
    _Layout(frozenset({"chrom", "start", "end", "seg.mean"}),
            ("chrom", "start", "end"), sample="id", log2="seg.mean"),
    _Layout(frozenset({*_TCGA, "seg.mean"}), _TCGA, sample="sample", log2="seg.mean"),
    # GATK
    _Layout(frozenset({"contig", "start", "end", "mean_log2_copy_ratio"}),
            ("contig", "start", "end"), log2="mean_log2_copy_ratio", tool="GATK"),
    _Layout(frozenset({"contig", "start", "end", "log2_copy_ratio_posterior_50"}),
            ("contig", "start", "end"), log2="log2_copy_ratio_posterior_50", tool="GATK"),
)  # fmt: skip
_TOOLS = "CNVkit (.cns), SEG, GATK segments, PURPLE segments or genes"
_COMMENT = re.compile(rb"^(?:#(?!ID\b|[Cc]hrom)|@)[^\n]*\n?", re.MULTILINE)
_UNKNOWN = ["", "NA", "na", "."]


def read_segments(path: Path) -> Segments:
    """Segments or genes of a table, in file order; none for a table of only a header.

    Raises
    ------
    EmptyFile, TruncatedFile, FileMissing, Unavailable
        As :func:`oncoframe.textfiles.read_table`; TruncatedFile also if the last line is cut.
    WrongFormat
        If the columns are those of no supported tool, or a line has another number of them.
    """
    raw = read_table(path)
    # Comment lines become blank, so that line numbers stay those of the file.
    text = _COMMENT.sub(b"\n", raw)
    frame, names = _table(text, path)
    layout = next((one for one in _LAYOUTS if one.required <= names.keys()), None)
    if layout is None:
        hint = "CNVkit's bins (.cnr) are not read; give its segments."
        raise WrongFormat(
            "not a table of copy numbers",
            where=str(path),
            expected=f"the columns of {_TOOLS}",
            got=describe(raw[:4096]),
            hint=hint if _is_bins(names) else None,
        )
    return Segments(
        _rows(frame, names, layout),
        is_by_gene=layout.gene is not None,
        is_fitted=layout.is_fitted,
        callers=(layout.tool,) if layout.tool else (),
    )


def _is_bins(names: dict[str, str]) -> bool:
    return {"chromosome", "start", "end", "gene", "log2", "depth"} <= names.keys()


def _table(text: bytes, path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """All columns as text with ``line``; name in lower case -> name of the column."""
    counts, blank = column_counts(text)
    kept = [index for index in range(len(counts)) if not blank[index]]
    if not kept:
        raise WrongFormat("the table has no header", where=str(path))
    expected = int(counts[kept[0]])
    for index in kept:
        if counts[index] != expected:
            cut = index == len(counts) - 1 and unterminated(text)
            raise wrong_columns(path, index + 1, expected, int(counts[index]), cut=cut)
    if len(kept) == 1 and unterminated(text):
        raise wrong_columns(path, kept[0] + 1, expected, expected, cut=True)
    rows = re.sub(rb"\n{2,}", b"\n", text.lstrip(b"\n"))
    head, _, body = rows.partition(b"\n")
    titles = head.decode("utf-8", errors="replace").split("\t")
    names = {title.strip().strip('"').lstrip("#").lower(): title for title in titles}
    if len(names) < len(titles):
        raise WrongFormat("two columns have one name", where=str(path))
    if not body:
        frame = pl.DataFrame(schema=dict.fromkeys(titles, pl.String()))
    else:
        frame = pl.read_csv(
            body, separator="\t", has_header=False, quote_char=None, infer_schema=False,
            encoding="utf8" if body.isascii() else "utf8-lossy", new_columns=titles, glob=False,
        )  # fmt: skip
    lines = pl.Series("line", [index + 1 for index in kept[1:]], dtype=pl.Int64)
    return frame.with_columns(pl.all().fill_null("").str.strip_chars('" '), lines), names


def _rows(frame: pl.DataFrame, names: dict[str, str], layout: _Layout) -> pl.DataFrame:
    def text(name: str | None) -> pl.Expr:
        if name is None or name not in names:
            return pl.lit(None, pl.String)
        return pl.col(names[name])

    def number(name: str | None) -> pl.Expr:
        written = text(name)
        value = pl.when(~written.is_in(_UNKNOWN)).then(written).cast(pl.Float64, strict=False)
        return pl.when(value.is_finite()).then(value)

    chrom, start, end = (layout.place or ("", "", "")) if _has_place(layout, names) else ("",) * 3
    written = layout.ratio or layout.log2
    ratio = number(layout.ratio) if layout.ratio else 2.0 ** number(layout.log2)
    copies = number(layout.copies)
    minor = [number(name) for name in layout.minor if name in names]
    return frame.select(
        "line",
        text(layout.sample).alias("sample"),
        text(chrom).alias("chrom"),
        (text(start).cast(pl.Int64, strict=False) + int(layout.is_zero_based)).alias("start"),
        text(end).cast(pl.Int64, strict=False).alias("end"),
        pl.when(~text(layout.gene).is_in(NO_NAMES)).then(text(layout.gene)).alias("gene"),
        # A gap in the column of ratios is no reason to take those of another kind.
        (ratio if written else copies / 2).alias("ratio"),
        copies.alias("copies"),
        (pl.min_horizontal(minor) if minor else pl.lit(None, pl.Float64)).alias("minor"),
    ).cast(SEGMENT_SCHEMA)


def _has_place(layout: _Layout, names: dict[str, str]) -> bool:
    return layout.place is not None and set(layout.place) <= names.keys()
