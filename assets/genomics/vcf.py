"""VCF files as tables: header, tumour sample, and the records of that sample.

    path -> header -> tumour sample -> frames of records (one row per line, text as written)

Reads VCF 4.x, plain or (block-)gzipped, with Polars instead of htslib, because htslib drops what
it cannot parse with a message on stderr; here every line is a row or an error that names it. The
meaning of FORMAT and INFO belongs to the readers of variants, not here.

References
----------
The Variant Call Format specification, versions 4.1 to 4.4 (samtools/hts-specs).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from assets.errors import BadInput, ImpossibleValue, MissingSample, TruncatedFile, WrongFormat
from assets.textfiles import (
    column_counts,
    describe,
    line_blocks,
    unterminated,
    wrong_columns,
)

#: Columns of a VCF before the samples.
FIXED_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
#: Largest header; one of 10,000 contigs and 10,000 samples has about 1 MB.
MAX_HEADER_BYTES = 64 << 20
#: Largest position of a VCF (32-bit, as htslib has it).
MAX_POSITION = 2**31 - 1

#: Length of chromosome 1 -> build, to notice a file of another build than its row says.
CHROMOSOME_1_LENGTHS = {249250621: "GRCh37", 248956422: "GRCh38", 248387328: "T2T-CHM13v2"}
_BUILD_NAMES = {
    "hg19": "GRCh37",
    "grch37": "GRCh37",
    "b37": "GRCh37",
    "hs37d5": "GRCh37",
    "hg38": "GRCh38",
    "grch38": "GRCh38",
}

_COLUMNS = {0: "chrom", 1: "pos", 3: "ref", 4: "alt", 6: "filter", 7: "info", 8: "format"}


@dataclass(frozen=True)
class VcfHeader:
    """Meta lines (with their ``##``) and sample names of a VCF, in file order."""

    meta: tuple[str, ...]
    samples: tuple[str, ...]

    def build(self) -> str | None:
        """Genome build by the length of chromosome 1, or None if the header does not tell."""
        for line in self.meta:
            if match := re.match(r"##contig=<.*ID=(?:chr)?1,.*length=(\d+)", line):
                return CHROMOSOME_1_LENGTHS.get(int(match[1]))
        return None

    def declares(self, kind: str, key: str) -> str | None:
        """Meta line that declares an ``INFO`` or ``FORMAT`` key, or None."""
        start = f"##{kind}=<ID={key},"
        return next((line for line in self.meta if line.startswith(start)), None)


def read_vcf(path: Path) -> tuple[VcfHeader, Iterator[tuple[int, bytes]]]:
    """Header of a VCF, and its records as (number of the first line, whole lines).

    Raises
    ------
    EmptyFile, WrongFormat, TruncatedFile, FileMissing, Unavailable
        As :func:`assets.textfiles.line_blocks`; WrongFormat also if it is no VCF.
    MissingSample
        If the header names no sample.
    """
    blocks = line_blocks(path)
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
    header = _parse_header(text[:end], path, complete=body >= 0)
    return header, _numbered(text[end:], blocks, text.count(b"\n", 0, end) + 1)


def sample_records(
    path: Path, header: VcfHeader, body: Iterator[tuple[int, bytes]], sample: int
) -> Iterator[pl.DataFrame]:
    """Records with the values of one sample.

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
    expected = len(FIXED_COLUMNS) + len(header.samples)
    columns = {**_COLUMNS, len(FIXED_COLUMNS) + sample: "sample"}
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
        yield _with_positions(path, frame)


def check_build(path: Path, header: VcfHeader, reference_build: str | None) -> None:
    """Refuse a file whose contigs are of another build than its row says.

    Raises
    ------
    WrongFormat
        If both are known and differ.
    """
    said = _BUILD_NAMES.get((reference_build or "").lower(), reference_build)
    found = header.build()
    if said and found and said != found:
        raise WrongFormat(
            "the file is of another genome build than its row says",
            where=str(path),
            expected=said,
            got=found,
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


def _parse_header(text: bytes, path: Path, *, complete: bool) -> VcfHeader:
    lines = [line for line in text.decode("utf-8", errors="replace").split("\n") if line]
    cut = not complete and unterminated(text)
    meta = tuple(line for line in lines if line.startswith("##"))
    version = re.match(r"##fileformat=(.*)", lines[0])
    if version and not re.match(r"VCFv4\.\d", version[1]):
        raise WrongFormat(
            "this version of VCF is not read", where=str(path), expected="VCFv4.1 to VCFv4.4"
        )
    titles = [line for line in lines if not line.startswith("##")]
    if not titles or not titles[-1].startswith("#CHROM"):
        if not version:
            raise WrongFormat("not a VCF file", where=str(path), got=describe(text[:4096]))
        kind: type[BadInput] = WrongFormat if complete else TruncatedFile
        raise kind("the header has no #CHROM line", where=str(path))
    if cut:
        raise TruncatedFile("the file ends within its header", where=str(path))
    columns = titles[-1].split("\t")
    fixed = len(FIXED_COLUMNS)
    if tuple(columns[:fixed]) != FIXED_COLUMNS[: len(columns)] or len(columns) < fixed - 1:
        raise WrongFormat(
            "the #CHROM line does not name the columns of a VCF",
            where=str(path),
            expected="columns separated by tabs",
        )
    samples = tuple(columns[fixed:])
    if not any(samples):
        raise MissingSample(
            "the header names no sample",
            where=str(path),
            expected="a genotype column of the tumour",
        )
    if len(set(samples)) < len(samples):
        raise WrongFormat("the header names a sample twice", where=str(path))
    return VcfHeader(meta=meta, samples=samples)


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
