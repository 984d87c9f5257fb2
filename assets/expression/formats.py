"""Expression tables of the common quantifiers as one layout: gene, value, unit.

    path -> blocks of lines -> layout -> Quantification (as written, nothing summed or left out)

What counts and what a value must be is decided in :mod:`assets.expression.quantification`. A table
is read block by block, and one that is too large for a patient refused, so that memory is bounded.
"""

import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from assets.expression.layouts import Layout, Unit, read_layout
from oncoframe.errors import EmptyFile, WrongFormat
from oncoframe.textfiles import (
    MAX_TABLE_BYTES,
    column_counts,
    line_blocks,
    unterminated,
    wrong_columns,
)


@dataclass(frozen=True)
class Quantification:
    """One expression table as written.

    Parameters
    ----------
    genes
        Identifiers or symbols, one per row.
    values
        Values, one per row, null where empty: numbers, or texts if any of them is none.
    lines
        1-based line of each row.
    unit
        Unit of the values.
    sample
        Sample that the column of the values names; None where it names none.
    tool
        Quantifier whose columns these are; None where several write them.
    """

    genes: pl.Series
    values: pl.Series
    lines: pl.Series
    unit: Unit
    sample: str | None = None
    tool: str | None = None


#: Rows of a table of one patient; an annotation has 60,000 genes and 400,000 transcripts.
MAX_ROWS = 2_000_000
#: Lines of comment before a table.
MAX_COMMENT_LINES = 1_000
_COMMENT = re.compile(rb"#[ !%]|[ \t]*$")
_QUOTED = re.compile(rb'"[^"\n]*"')


def read_quantification(path: Path, sample: str | None = None) -> Quantification:
    """Expression table of one patient, read block by block.

    Parameters
    ----------
    path
        Table.
    sample
        Column to read, in a table of several.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, FileMissing, Unavailable
        As :func:`oncoframe.textfiles.line_blocks`; EmptyFile also without a row of genes,
        TruncatedFile if the last line is cut, WrongFormat if the layout or the unit of the values
        cannot be told, the table holds several samples and none is named, or is larger than
        :data:`MAX_ROWS` rows or :data:`oncoframe.textfiles.MAX_TABLE_BYTES`.
    """
    layout: Layout | None = None
    parts: list[Quantification] = []
    rows, size, line, previous = 0, 0, 1, b""
    for block in line_blocks(path):
        line += previous.count(b"\n")
        size += len(block)
        # Counting takes as long as a fifth of the parsing: only where the block may be too much.
        may_exceed = rows + len(block) > MAX_ROWS
        if size > MAX_TABLE_BYTES or (may_exceed and rows + block.count(b"\n") > MAX_ROWS):
            raise WrongFormat(
                "the table is too large for one patient",
                where=str(path),
                expected=f"at most {MAX_ROWS} rows and {MAX_TABLE_BYTES >> 20} MiB",
            )
        start = 0
        if layout is None:
            start = _table_start(block, path)
            if start == len(block):
                previous = block
                continue
            head = block[start:].split(b"\n", 1)[0]
            layout = read_layout(head, block[start:], path, sample)
            if layout.has_header:
                start = min(start + len(head) + 1, len(block))
        before = block.count(b"\n", 0, start)
        if start < len(block):
            parts.append(_rows(block[start:], layout, line + before, path))
            rows += len(parts[-1].genes)
        previous = block
    if layout is None or not rows:
        raise EmptyFile("the table has no row of a gene", where=str(path))
    dtypes = {part.values.dtype for part in parts}
    values = pl.concat(
        [part.values if len(dtypes) == 1 else part.values.cast(pl.String) for part in parts]
    )
    return Quantification(
        genes=pl.concat([part.genes for part in parts]),
        values=values,
        lines=pl.concat([part.lines for part in parts]),
        unit=layout.unit or _unit_of_values(values, path),
        sample=layout.sample,
        tool=layout.tool,
    )


def repeated_lines(path: Path, lines: pl.Series) -> pl.Series:
    """Of some lines of a table, those that say what an earlier one of them does, word by word.

    Parameters
    ----------
    lines
        Their numbers (1-based), ascending.

    Returns
    -------
    Booleans, one per number.
    """
    wanted, seen = set(lines), set()
    repeated = []
    blocks = (block.removesuffix(b"\n").split(b"\n") for block in line_blocks(path))
    for number, line in enumerate(chain.from_iterable(blocks), 1):
        if number in wanted:
            repeated.append(line in seen)
            seen.add(line)
    return pl.Series(repeated, dtype=pl.Boolean)


def _table_start(block: bytes, path: Path) -> int:
    """Where the first line begins that is neither blank nor a comment; the end without one.

    featureCounts writes its command, the GDC its gene model, behind ``# ``.
    """
    start = 0
    for _ in range(MAX_COMMENT_LINES):
        end = block.find(b"\n", start) + 1
        line = block[start : end or len(block)]
        if not _COMMENT.match(line):
            return start
        if not end or end == len(block):
            return len(block)
        start = end
    raise WrongFormat(
        "not an expression table",
        where=str(path),
        expected=f"at most {MAX_COMMENT_LINES} lines of comment",
    )


def _rows(text: bytes, layout: Layout, first_line: int, path: Path) -> Quantification:
    """Gene and value of every line of a block; a header, if it is there, is the first row."""
    unit = layout.unit or Unit.COUNTS
    quoted = b'"' in text
    frame = None if quoted else _regular(text, layout)
    if frame is not None:
        lines = pl.int_range(first_line, first_line + len(frame), eager=True)
        return Quantification(frame["gene"], frame["value"], lines, unit)
    text, lines = _checked_lines(text, layout, first_line, path)
    try:
        frame = _parsed(text, layout, pl.String(), quoted=quoted)
    except pl.exceptions.PolarsError as error:
        raise WrongFormat("the table cannot be read", where=str(path)) from error
    if len(frame) != len(lines):
        raise WrongFormat("a quoted value does not end", where=str(path))
    return Quantification(frame["gene"], frame["value"], lines, unit)


def _regular(text: bytes, layout: Layout) -> pl.DataFrame | None:
    """Columns ``gene`` and ``value`` where every line has both and a number; None otherwise.

    Of two columns both are parsed, so that a line with more ends in an error and one with fewer in
    a null; of more columns the parser leaves the others alone, and the lines are looked at.
    """
    is_pair = layout.columns == 2  # noqa: PLR2004
    if not text.endswith(b"\n") or (not is_pair and not _is_regular(text, layout)):
        return None
    try:
        frame = _parsed(text, layout, pl.Float64(), quoted=False)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        return None
    if not is_pair:
        return frame
    # The parser skips blank lines; looking for two ends in a row would take as long as parsing.
    lines = int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n")))
    return None if lines != len(frame) or sum(frame.null_count().row(0)) else frame


def _parsed(text: bytes, layout: Layout, dtype: pl.DataType, *, quoted: bool) -> pl.DataFrame:
    """Columns ``gene`` and ``value``; ComputeError if a value is not of the type."""
    names = [f"column_{position}" for position in range(layout.columns)]
    names[layout.gene], names[layout.value] = "gene", "value"
    return pl.read_csv(
        text,
        separator=layout.separator.decode(),
        has_header=False,
        schema={name: dtype if name == "value" else pl.String() for name in names},
        columns=sorted((layout.gene, layout.value)),
        quote_char='"' if quoted else None,
        encoding="utf8" if text.isascii() else "utf8-lossy",
        glob=False,
    )


def _is_regular(text: bytes, layout: Layout) -> bool:
    """Whether every line has the columns of the first and an end, in one pass over the text."""
    characters = np.frombuffer(text, dtype=np.uint8)
    if layout.separator == b"\t":
        is_mark = characters <= ord("\n")
    else:
        is_mark = (characters == layout.separator[0]) | (characters == ord("\n"))
    marks = characters[is_mark]
    if len(marks) % layout.columns or not text.endswith(b"\n"):
        return False
    marks = marks.reshape(-1, layout.columns)
    return bool((marks[:, -1] == ord("\n")).all() and (marks[:, :-1] == layout.separator[0]).all())


def _checked_lines(
    text: bytes, layout: Layout, first_line: int, path: Path
) -> tuple[bytes, pl.Series]:
    """Lines without blank ones, all with the columns of the first, and their 1-based numbers."""
    unquoted = _QUOTED.sub(b'""', text) if b'"' in text else text
    counts, blank = column_counts(unquoted, layout.separator)
    wrong = np.flatnonzero((counts != layout.columns) & ~blank)
    if len(wrong):
        index = int(wrong[0])
        cut = index == len(counts) - 1 and unterminated(text)
        raise wrong_columns(path, first_line + index, layout.columns, int(counts[index]), cut=cut)
    numbers = pl.int_range(first_line, first_line + len(counts), eager=True)
    if not blank.any():
        return text, numbers
    return re.sub(rb"\n{2,}", b"\n", text).lstrip(b"\n"), numbers.filter(pl.Series(~blank))


def _unit_of_values(values: pl.Series, path: Path) -> Unit:
    """Counts, if all values are whole numbers; nothing else can be told from values alone."""
    numbers = values.cast(pl.Float64, strict=False).drop_nulls()
    if len(numbers) and (numbers == numbers.floor()).all():
        return Unit.COUNTS
    raise WrongFormat(
        "the header does not name the unit of the values",
        where=str(path),
        expected="counts, tpm, fpkm or log2 in the name of the column",
    )
