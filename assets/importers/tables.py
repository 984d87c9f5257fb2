"""Delimited tables of public downloads: found, opened, read as text, every line accounted for.

    folder -> find_file -> open_table (names, lines) -> read_table (chosen columns)

Plain or gzipped, tabs, commas or semicolons, lines of comments before the header. What the columns
mean is the importers' business. Files are read block by block: a cohort's table may be larger than
memory, a chosen part of it is not.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from oncoframe.errors import EmptyFile, FileMissing, WrongFormat
from oncoframe.textfiles import column_counts, describe, line_blocks, unterminated, wrong_columns

#: Words for a value that nobody knows, in lower case.
NOTHING = (
    "", "na", "n/a", "nan", "null", "none", ".", "--", "'--", "unknown", "not reported",
    "[not available]", "[unknown]", "[not applicable]", "[not evaluated]",
)  # fmt: skip
_SEPARATORS = (b"\t", b",", b";")
_QUOTED = re.compile(rb'"[^"\n]*"')
#: A table of the Broad Institute (GCT) gives its size in the line behind its version.
_GCT = b"#1."


@dataclass(frozen=True)
class OpenTable:
    """A table whose header was read.

    Parameters
    ----------
    path
        Where it is.
    names
        Names of the columns as written; the first is empty where R left it out.
    separator
        One character between two columns.
    blocks
        (number of the first line, whole lines behind the header), read as they are asked for.
    """

    path: Path
    names: list[str]
    separator: str
    blocks: Iterator[tuple[int, bytes]]


def find_file(source: Path, patterns: Sequence[str], what: str, *, hint: str) -> Path | None:
    """The one file of a folder, or of its folders, that fits the first pattern that any fits.

    Parameters
    ----------
    patterns
        Globs, the most specific first.
    what
        What is looked for, in words.
    hint
        What to do if there are several.

    Raises
    ------
    FileMissing
        If there is no such folder, or several files fit.
    """
    if not source.is_dir():
        raise FileMissing("the download is not there", where=str(source), expected="a folder")
    for pattern in patterns:
        found = sorted(path for path in source.rglob(pattern) if path.is_file())
        if len(found) > 1:
            raise FileMissing(
                f"there is more than one {what}",
                where=str(source),
                expected=f"one file {pattern}",
                got=str(len(found)),
                hint=hint,
            )
        if found:
            return found[0]
    return None


def open_table(path: Path) -> OpenTable:
    """Header of a table, and its lines.

    Raises
    ------
    EmptyFile, FileMissing, TruncatedFile, WrongFormat, Unavailable
        As :func:`oncoframe.textfiles.line_blocks`, also while the lines are read; EmptyFile also if
        there is a header only, WrongFormat if a line has another number of columns.
    """
    blocks = line_blocks(path)
    head = next(blocks)
    line, start = 1, 0
    while head[start : start + 1] in (b"#", b"\n"):
        is_gct = head.startswith(_GCT, start)
        for _ in range(2 if is_gct else 1):
            start = head.find(b"\n", start) + 1 or len(head)
            line += 1
    header, _, body = head[start:].partition(b"\n")
    separator = next((mark for mark in _SEPARATORS if mark in header), None)
    if separator is None or header.lstrip().startswith((b"<", b"{")):
        raise WrongFormat("not a table", where=path.name, got=describe(head[start:][:4096]))
    names = split_fields(header, separator.decode())
    first = body if body.strip() else next(blocks, b"")
    if not first.strip():
        raise EmptyFile("the table has a header but no rows", where=path.name)
    counts, _ = column_counts(_QUOTED.sub(b'""', first.lstrip(b"\n").split(b"\n", 1)[0]), separator)
    if counts[0] == len(names) + 1:  # R names no column of row names
        names = ["", *names]
    lines = _numbered(chain([first], blocks), line + 1)
    return OpenTable(path, names, separator.decode(), _checked(lines, len(names), separator, path))


def split_fields(lines: bytes, separator: str) -> list[str]:
    """Fields of whole lines, one after the other; quotes around a field are taken off."""
    text = lines.decode("utf-8", errors="replace").rstrip("\n")
    if '"' in text:
        return [field for row in csv.reader(io.StringIO(text), delimiter=separator)
                for field in row]  # fmt: skip
    return text.replace("\n", separator).split(separator)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Columns of a table as text, trimmed; null where nothing is known (:data:`NOTHING`).

    Parameters
    ----------
    columns
        Those to read, where the table has them; all unless told.

    Raises
    ------
    EmptyFile, FileMissing, TruncatedFile, WrongFormat, Unavailable
        As :func:`open_table`; WrongFormat also if two columns have one name.
    """
    table = open_table(path)
    schema = {str(position): pl.String() for position in range(len(table.names))}
    chosen = [i for i, name in enumerate(table.names) if columns is None or name in columns]
    names = [table.names[i] for i in chosen]
    if len(set(names)) < len(names):
        raise WrongFormat("two columns have one name", where=path.name)
    frames = [
        pl.read_csv(
            block,
            separator=table.separator,
            has_header=False,
            schema=schema,
            columns=chosen,
            quote_char='"' if table.separator != "\t" else None,
            encoding="utf8" if block.isascii() else "utf8-lossy",
        )
        for _, block in table.blocks
        if chosen
    ]
    frame = pl.concat([pl.DataFrame(schema={str(i): pl.String() for i in chosen}), *frames])
    frame.columns = names
    return frame.select(known(pl.col(name)) for name in names)


def known(value: pl.Expr) -> pl.Expr:
    """Trimmed text, null where it says that nothing is known."""
    trimmed = value.str.strip_chars(' "')
    return pl.when(~trimmed.str.to_lowercase().is_in(NOTHING)).then(trimmed).name.keep()


def require(names: Sequence[str], required: Sequence[str], file: Path) -> None:
    """Refuse a table without one of the columns that are needed.

    Raises
    ------
    WrongFormat
        If one is missing.
    """
    missing = [name for name in required if name not in names]
    if missing:
        raise WrongFormat(
            f"{len(missing)} column{'s are' if len(missing) > 1 else ' is'} missing",
            where=file.name,
            expected=", ".join(missing),
        )


def _numbered(blocks: Iterator[bytes], line: int) -> Iterator[tuple[int, bytes]]:
    for block in blocks:
        yield line, block
        line += block.count(b"\n")


def _checked(
    blocks: Iterator[tuple[int, bytes]], columns: int, separator: bytes, path: Path
) -> Iterator[tuple[int, bytes]]:
    """Lines that all have as many columns as the header; blank ones are left out."""
    for line, block in blocks:
        unquoted = _QUOTED.sub(b'""', block) if b'"' in block and separator != b"\t" else block
        counts, blank = column_counts(unquoted, separator)
        wrong = np.flatnonzero((counts != columns) & ~blank)
        if len(wrong):
            index = int(wrong[0])
            cut = index == len(counts) - 1 and unterminated(block)
            raise wrong_columns(path, line + index, columns, int(counts[index]), cut=cut)
        kept = re.sub(rb"\n{2,}", b"\n", block).lstrip(b"\n") if blank.any() else block
        if kept:
            yield line, kept
