"""VCF files as tables: header, tumour sample, and the records of that sample.

    path -> header -> tumour sample -> frames of records (one row per line, text as written)

Reads VCF 4.x, plain or (block-)gzipped, with Polars instead of htslib, because htslib drops what
it cannot parse with a message on stderr; here every line is a row or an error that names it. A BCF
comes as the lines that it stands for. The meaning of FORMAT and INFO belongs to the readers of
variants, not here.

References
----------
The Variant Call Format specification, versions 4.1 to 4.4 (samtools/hts-specs).
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from assets.genomics.vcf.bcf import MAX_HEADER_BYTES, vcf_blocks
from assets.genomics.vcf.header import FIXED_COLUMNS, VcfHeader, check_build, parse_header
from oncoframe.errors import BadInput, ImpossibleValue, TruncatedFile, WrongFormat
from oncoframe.textfiles import (
    column_counts,
    describe,
    unterminated,
    wrong_columns,
)

__all__ = [
    "VcfHeader",
    "check_build",
    "info_value",
    "read_vcf",
    "refuse_beyond_contigs",
    "sample_records",
]

#: Largest position of a VCF (32-bit, as htslib has it).
MAX_POSITION = 2**31 - 1

_COLUMNS = {0: "chrom", 1: "pos", 3: "ref", 4: "alt", 6: "filter", 7: "info", 8: "format"}


def read_vcf(
    path: Path, *, needs_sample: bool = True
) -> tuple[VcfHeader, Iterator[tuple[int, bytes]]]:
    """Header of a VCF, and its records as (number of the first line, whole lines).

    Raises
    ------
    EmptyFile, WrongFormat, TruncatedFile, FileMissing, Unavailable
        As :func:`assets.genomics.vcf.bcf.vcf_blocks`; WrongFormat also if it is no VCF.
    MissingSample
        If the header names no sample, unless none is needed.
    """
    blocks = vcf_blocks(path)
    text = b""
    body = -1
    while body < 0 and (block := next(blocks, None)) is not None:
        if not text and not block.startswith(b"#"):
            raise WrongFormat("not a VCF file", where=str(path), got=describe(block[:4096]))
        start = len(text)
        text += block
        body = _first_record(text, start)
        if len(text) > MAX_HEADER_BYTES and body < 0:
            raise WrongFormat("the header is too long for a VCF", where=str(path))
    end = len(text) if body < 0 else body
    header = parse_header(text[:end], path, complete=body >= 0, needs_sample=needs_sample)
    return header, _numbered(text[end:], blocks, text.count(b"\n", 0, end) + 1)


def info_value(key: str, of: pl.Expr | None = None) -> pl.Expr:
    """Text of an INFO key, null without it; found as text, in a fifth of a pattern's time.

    The first one counts where a key is there twice. ``of`` is the text of INFO, by default the
    column ``info``.
    """
    info = pl.col("info") if of is None else of
    start = (
        pl.when(info.str.starts_with(f"{key}="))
        .then(pl.lit(0, pl.UInt32))
        .otherwise(info.str.find(f";{key}=", literal=True) + 1)
    )
    rest = info.cast(pl.Binary).bin.slice(start + len(key) + 1).cast(pl.String)
    end = rest.str.find(";", literal=True)
    return rest.cast(pl.Binary).bin.slice(0, end).cast(pl.String)


def sample_records(
    path: Path,
    header: VcfHeader,
    body: Iterator[tuple[int, bytes]],
    sample: int,
    others: Sequence[int] = (),
) -> Iterator[pl.DataFrame]:
    """Records with the values of one sample.

    Parameters
    ----------
    sample
        Index of its column.
    others
        Further columns of the same specimen, as a merge of callers leaves them: a record takes the
        first column that says anything.

    Yields
    ------
    Frames with ``line`` (1-based), ``chrom``, ``pos`` (Int64), ``ref``, ``alt``, ``filter``,
    ``info``, ``format`` and ``sample``; all but the numbers as the file writes them.

    Raises
    ------
    WrongFormat
        If a line has another number of columns than the header, or an empty one.
    TruncatedFile
        If the file ends within a line.
    ImpossibleValue
        If a position is negative, too large or not a whole number.
    """
    fixed = len(FIXED_COLUMNS)
    expected = fixed + len(header.samples)
    merged = {fixed + index: f"sample_{index}" for index in others}
    # Polars hands columns out in the order of the file.
    columns = dict(sorted({**_COLUMNS, fixed + sample: "sample", **merged}.items()))
    for first_line, block in body:
        lines = _record_lines(path, block, first_line, expected)
        if not len(lines):
            continue
        has_blanks = len(lines) < block.count(b"\n")
        text = re.sub(rb"\n{2,}", b"\n", block.lstrip(b"\n")) if has_blanks else block
        encoding = "utf8" if text.isascii() else "utf8-lossy"
        frame = pl.read_csv(
            text,
            separator="\t",
            has_header=False,
            quote_char=None,
            infer_schema=False,
            columns=list(columns),
            encoding=encoding,
            glob=False,
        )
        frame.columns = list(columns.values())
        frame = frame.with_columns(pl.Series("line", lines, dtype=pl.Int64))
        _refuse_empty(path, frame)
        yield _with_positions(path, _merged(frame, list(merged.values())))


def refuse_beyond_contigs(path: Path, header: VcfHeader, frame: pl.DataFrame) -> None:
    """Refuse records that lie beyond the end of their contig, as the header gives it.

    Raises
    ------
    ImpossibleValue
        If REF ends more than one base behind the contig (one is the telomere of the specification).
    """
    lengths = header.contig_lengths
    end = pl.col("pos") + pl.col("ref").str.len_bytes() - 1
    ends = frame.group_by("chrom").agg(end.max().alias("end"), pl.col("line").get(end.arg_max()))
    for chrom, last, line in ends.iter_rows():
        if last > lengths.get(chrom, MAX_POSITION) + 1:
            raise ImpossibleValue(
                "the record lies beyond the end of its contig",
                where=f"{path}, line {line}",
                expected=f"at most position {lengths[chrom]}",
            )


def _first_record(text: bytes, start: int) -> int:
    match = re.compile(rb"^[^#\n]", re.MULTILINE).search(text, start)
    return match.start() if match else -1


def _numbered(rest: bytes, blocks: Iterator[bytes], line: int) -> Iterator[tuple[int, bytes]]:
    if rest:
        yield line, rest
        line += rest.count(b"\n")
    for block in blocks:
        yield line, block
        line += block.count(b"\n")


def _record_lines(path: Path, block: bytes, first_line: int, expected: int) -> np.ndarray:
    counts, blank = column_counts(block)
    wrong = np.flatnonzero((counts != expected) & ~blank)
    if len(wrong):
        index = int(wrong[0])
        last = index == len(counts) - 1
        raise wrong_columns(
            path, first_line + index, expected, int(counts[index]), cut=last and unterminated(block)
        )
    if unterminated(block):
        _refuse_cut_value(path, block, first_line + len(counts) - 1)
    return np.flatnonzero(~blank) + first_line


def _refuse_cut_value(path: Path, block: bytes, line: int) -> None:
    """Refuse a last line without end whose last sample lacks values that FORMAT names.

    Trailing values may be left out, and a last line may lack its end; both together is a cut.
    """
    columns = block[block.rfind(b"\n") + 1 :].split(b"\t")
    short = columns[-1].count(b":") < columns[len(FIXED_COLUMNS) - 1].count(b":")
    if short or columns[-1].endswith((b":", b",")):
        raise TruncatedFile("the file ends within a line", where=f"{path}, line {line}")


def _merged(frame: pl.DataFrame, others: list[str]) -> pl.DataFrame:
    """Values of the first column of the specimen that says anything."""
    if not others:
        return frame
    columns = [pl.col(name) for name in ("sample", *others)]
    said = (pl.when(~column.str.contains(r"^[.:/|]*$")).then(column) for column in columns)
    return frame.with_columns(pl.coalesce(*said, "sample").alias("sample")).drop(others)


def _refuse_empty(path: Path, frame: pl.DataFrame) -> None:
    empty = frame.filter(pl.any_horizontal(pl.all().is_null()))
    if len(empty):
        raise WrongFormat(
            "a column is empty", where=f"{path}, line {empty['line'][0]}", expected="a value or '.'"
        )
    header = frame.filter(pl.col("chrom").str.starts_with("#"))
    if len(header):
        raise WrongFormat(
            "a header line stands among the records", where=f"{path}, line {header['line'][0]}"
        )


def _with_positions(path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    text = frame["pos"]
    position = text.cast(pl.Int64, strict=False)
    bad = frame["line"].filter(position.is_null() | ~position.is_between(0, MAX_POSITION))
    if len(bad):
        value = text.gather([int(np.flatnonzero(frame["line"] == bad[0])[0])])
        number = value.cast(pl.Float64, strict=False).is_not_null()[0]
        kind: type[BadInput] = ImpossibleValue if number else WrongFormat
        raise kind(
            "the position is not one of a chromosome",
            where=f"{path}, line {bad[0]}",
            expected=f"a whole number up to {MAX_POSITION}",
        )
    return frame.with_columns(position.alias("pos"))
