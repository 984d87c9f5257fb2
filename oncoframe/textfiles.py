"""Text files as laboratories leave them: plain or gzipped, whole or cut, or something else.

    path -> what is it -> whole lines, block by block (line_blocks) or all at once (read_table)

Shared by the readers of variants, fusions and expression. A file that ends early is never read as
a shorter file: a gzip stream has to close, and a block-gzipped file (BGZF) has to end with its
empty block, because a cut between two blocks leaves a stream that reads well.

References
----------
SAM/BAM format specification, section 4.1 "The BGZF compression format".
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from oncoframe.errors import (
    BadInput,
    EmptyFile,
    FileMissing,
    TruncatedFile,
    Unavailable,
    WrongFormat,
)

#: Bytes read at a time; bounds the memory of a reader that works block by block.
BLOCK_BYTES = 8 << 20
#: A block of at least so many blanks and nothing else is no part of any table.
MIN_BLANK_BYTES = 1 << 20
#: Ten times a line of 10,000 samples; a longer one is refused before it fills the memory.
MAX_LINE_BYTES = 16 << 20
#: Largest table read at once, decompressed: 60,000 genes x 100 columns stay far below.
MAX_TABLE_BYTES = 256 << 20

_GZIP = b"\x1f\x8b"
#: The empty block at the end of every complete BGZF file.
BGZF_EOF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_UTF8_MARK = b"\xef\xbb\xbf"

#: First bytes -> what the file is, for files that are certainly not text tables.
_SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive or Office document",
    b"BAM\x01": "a BAM file",
    b"CRAM": "a CRAM file",
    b"BCF\x02": "a BCF file",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"PAR1": "a Parquet file",
}
_OPENINGS = {
    b"<!doctype html": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "an XML document",
    b"##fileformat=vcf": "a VCF file",
    b"##gff": "a GFF file",
    b"{": "a JSON document",
    b"#hugo_symbol": "a MAF file",
}


def describe(head: bytes) -> str:
    """Say what a file looks like from its first bytes, without showing any of its values."""
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature):
            return name
    opening = head.lstrip().lower()
    for signature, name in _OPENINGS.items():
        if opening.startswith(signature):
            return name
    if b"\0" in head:
        return "binary data"
    tabs, commas = (head.split(b"\n", 1)[0].count(mark) for mark in (b"\t", b","))
    if max(tabs, commas) < 1:
        return "other text"
    return f"a table of {max(tabs, commas) + 1} columns"


def line_blocks(path: Path) -> Iterator[bytes]:
    r"""Whole lines of a text file, in blocks of about :data:`BLOCK_BYTES`.

    Line ends are ``\n`` in every block, also where the file has ``\r\n`` or ``\r``; only the last
    block may lack the last one, which tells a reader that the file may be cut. A byte order mark is
    removed.

    Raises
    ------
    FileMissing
        If there is no such file.
    EmptyFile
        If it has no content.
    TruncatedFile
        If a compressed stream ends early.
    WrongFormat
        If it is a folder, no text, damaged, has a line over :data:`MAX_LINE_BYTES`, or a block of
        nothing but blank lines.
    Unavailable
        If it could not be read this time.
    """
    carry = b""
    first = True
    is_old_mac = False
    with opened(path) as stream:
        while chunk := read_some(stream, BLOCK_BYTES, path):
            if len(chunk) == BLOCK_BYTES >= MIN_BLANK_BYTES and chunk.isspace():
                raise WrongFormat("the file goes on with nothing but blank lines", where=str(path))
            if first:
                _refuse_binary(chunk, path)
                chunk = chunk.removeprefix(_UTF8_MARK)
                is_old_mac = b"\n" not in chunk and b"\r" in chunk
                first = False
            if is_old_mac:
                chunk = chunk.replace(b"\r", b"\n")
            end = chunk.rfind(b"\n") + 1
            if end:
                yield _clean(carry + chunk[:end], path)
                carry = chunk[end:]
            else:
                carry += chunk
            if len(carry) > MAX_LINE_BYTES:
                raise WrongFormat(
                    "a line is too long for a call file",
                    where=str(path),
                    expected=f"at most {MAX_LINE_BYTES >> 20} MiB",
                )
    if first:
        raise EmptyFile("the file has no content", where=str(path))
    if carry:
        yield _clean(carry, path)


def read_table(path: Path, most: int = MAX_TABLE_BYTES) -> bytes:
    """Whole text of a table of at most so many bytes, see :func:`line_blocks`.

    Raises
    ------
    EmptyFile
        Also if it holds nothing but blanks.
    WrongFormat
        Also if it is larger.
    """
    blocks = []
    size = 0
    for block in line_blocks(path):
        blocks.append(block)
        size += len(block)
        if size > most:
            raise WrongFormat(
                "the table is too large for one patient",
                where=str(path),
                expected=f"at most {most >> 20} MiB of text",
            )
    text = b"".join(blocks)
    if text.isspace():
        raise EmptyFile("the file has no content", where=str(path))
    return text


def column_counts(text: bytes, separator: bytes = b"\t") -> tuple[np.ndarray, np.ndarray]:
    r"""Columns of every line, and which lines are blank.

    Parameters
    ----------
    text
        Lines that end with ``\n``; the last one may not.
    separator
        One byte.

    Returns
    -------
    counts : (lines,) array of int
        Number of columns, at least 1.
    blank : (lines,) array of bool
        True for a line without any character.
    """
    characters = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    if not text.endswith(b"\n"):
        ends = np.append(ends, len(characters))
    marks = np.flatnonzero(characters == separator[0])
    counts = np.diff(np.searchsorted(marks, ends), prepend=0) + 1
    blank = np.diff(ends, prepend=-1) == 1
    return counts, blank


def unterminated(text: bytes) -> bool:
    """Whether the last line of a file has no end, as a cut leaves it."""
    return not text.endswith(b"\n")


def wrong_columns(path: Path, line: int, expected: int, got: int, *, cut: bool) -> BadInput:
    """Error for a line with too few or too many columns.

    Parameters
    ----------
    line
        1-based number in the file.
    cut
        True for the unterminated last line of a file, which then is a cut file.
    """
    kind = TruncatedFile if cut else WrongFormat
    what = "the file ends within a line" if cut else "a line has the wrong number of columns"
    return kind(
        what, where=f"{path}, line {line}", expected=f"{expected} columns", got=f"{got} columns"
    )


def _clean(block: bytes, path: Path) -> bytes:
    if b"\0" in block:
        raise WrongFormat("the file is not text", where=str(path), got="binary data")
    return block.replace(b"\r\n", b"\n") if b"\r" in block else block


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Bytes of a file, decompressed where it is gzipped.

    Raises
    ------
    FileMissing
        If there is no such file.
    TruncatedFile
        If a bgzip file lacks the empty block at its end.
    WrongFormat
        If it is a folder.
    Unavailable
        If it could not be opened this time.
    """
    if path.is_dir():
        raise WrongFormat("one file is needed", where=str(path), got="a folder")
    try:
        raw = path.open("rb")
    except FileNotFoundError as error:
        raise FileMissing("the file is not there", where=str(path)) from error
    except OSError as error:
        raise Unavailable("the file could not be opened", where=str(path)) from error
    with raw:
        head = read_some(raw, 18, path)
        if head == _GZIP[:1]:
            raise TruncatedFile("the compressed stream ends early", where=str(path))
        if not head.startswith(_GZIP):
            raw.seek(0)
            yield raw
            return
        if _is_bgzf(head):
            raw.seek(-min(len(BGZF_EOF), path.stat().st_size), 2)
            if read_some(raw, len(BGZF_EOF), path) != BGZF_EOF:
                raise TruncatedFile(
                    "the compressed stream ends early",
                    where=str(path),
                    expected="the empty block that closes a bgzip file",
                )
        raw.seek(0)
        with gzip.GzipFile(fileobj=raw) as stream:
            yield stream  # type: ignore[misc]  # typeshed does not call GzipFile a BinaryIO


def _is_bgzf(head: bytes) -> bool:
    has_extra_field = len(head) > 3 and head[3] & 4  # noqa: PLR2004  # offset in RFC 1952
    return bool(has_extra_field) and head[12:14] == b"BC"


def read_some(stream: BinaryIO, size: int, path: Path) -> bytes:
    """Next bytes of :func:`opened`, fewer only at the end of the file.

    Raises
    ------
    TruncatedFile
        If the compressed stream ends early.
    WrongFormat
        If it is damaged.
    Unavailable
        If it could not be read this time.
    """
    try:
        return stream.read(size)
    except EOFError as error:
        raise TruncatedFile("the compressed stream ends early", where=str(path)) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise WrongFormat("the compressed stream is damaged", where=str(path)) from error
    except OSError as error:
        raise Unavailable("the file could not be read", where=str(path)) from error


def _refuse_binary(head: bytes, path: Path) -> None:
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature):
            raise WrongFormat("the file is not a text table", where=str(path), got=name)
