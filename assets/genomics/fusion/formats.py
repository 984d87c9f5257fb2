"""Fusion tables of the common callers as one layout of calls.

    path -> header -> caller -> one Call per line

The caller is recognised from the column names, never from the file name. Partners are given 5'
first, as every caller here does. Which call counts is not decided here.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from assets.genomics.fusion.layouts import HEADERLESS, LAYOUTS, FusionLayout
from oncoframe.errors import ImpossibleValue, WrongFormat
from oncoframe.reference.genes import NO_NAMES
from oncoframe.textfiles import (
    column_counts,
    describe,
    read_table,
    unterminated,
    wrong_columns,
)

#: Farthest gene that stands for a breakpoint between genes, in base pairs (Arriba lists both
#: neighbours with their distance).
MAX_FLANK_BP = 100_000

#: Largest table of one patient, its lines and columns: callers list thousands of candidates at
#: most, DRAGEN with the names of all their reads.
MAX_TEXT_BYTES, MAX_CALLS, MAX_COLUMNS = 64 << 20, 100_000, 1_000

#: Genes of one side that are read; no more overlap anywhere.
MAX_NAMES = 50

_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}")


@dataclass(frozen=True)
class FusionCall:
    """One line of a fusion table.

    Parameters
    ----------
    line
        1-based number in the file.
    five, three
        Genes at the 5' and the 3' side, the likeliest first; empty if unknown.
    reads
        Supporting reads and read pairs; None where the file does not say.
    in_frame
        Whether the reading frame goes on; None where unknown.
    is_confident
        False where the caller itself doubts the call; None where it does not tell.
    is_read_through
        True where the caller sees transcription into the next gene.
    sample
        Sample the line belongs to, for tables of several; None otherwise.
    readable
        False where a number of reads is no number.
    is_named
        False where the name of a gene is missing, which is not a breakpoint without a gene.
    """

    line: int
    five: tuple[str, ...]
    three: tuple[str, ...]
    reads: float | None
    in_frame: bool | None
    is_confident: bool | None
    is_read_through: bool
    sample: str | None
    readable: bool
    is_named: bool


_IN_FRAME = {"inframe", "inframe-shift", "in-frame", "true", "in_frame"}
_OUT_OF_FRAME = {"frameshift", "frame-shift", "out-of-frame", "false", "out_of_frame", "stop-codon"}


def read_calls(path: Path) -> tuple[str, list[FusionCall]]:
    """Caller and calls of a fusion table, in file order; none for a table of only a header.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, FileMissing, Unavailable
        As :func:`oncoframe.textfiles.read_table`; WrongFormat also if no supported caller writes
        these columns, the one is missing that tells the calls that passed, or a line has another
        number of them; TruncatedFile also if the last line is cut.
    ImpossibleValue
        If a number of reads is negative or not finite.
    """
    text = read_table(path, MAX_TEXT_BYTES)
    if text.count(b"\n") > MAX_CALLS:
        raise WrongFormat(
            "a fusion table of more calls than a patient has",
            where=str(path),
            expected=f"at most {MAX_CALLS} lines",
        )
    start = len(text) - len(text.lstrip(b"\n"))
    first_line, text = start + 1, text[start:]
    head = text.split(b"\n", 1)[0]
    for first, names in HEADERLESS:
        if first.match(head):
            first_line -= 1
            head = "\t".join(names).encode()
            text = head + b"\n" + text
    separator = "\t" if b"\t" in head else ","
    if head.count(separator.encode()) > MAX_COLUMNS:
        raise WrongFormat("not a fusion table", where=str(path), got=describe(text[:4096]))
    frame = _table(text, separator, first_line, path)
    columns = {name.lstrip("#").strip().lower(): name for name in frame.columns}
    layout = next((one for one in LAYOUTS if one.required <= columns.keys()), None)
    if layout is None:
        callers = ", ".join(one.caller for one in LAYOUTS)
        raise WrongFormat(
            "not a fusion table",
            where=str(path),
            expected=f"the columns of one of {callers}",
            got=describe(text[:4096]),
        )
    if layout.passing and layout.passing[0] not in columns:
        raise WrongFormat(
            "the table does not tell which calls passed the filters of its caller",
            where=str(path),
            expected=f"column {layout.passing[0]} of {layout.caller}",
            hint="If it lists only calls that passed, add the column with "
            f"{max(layout.passing[1])} in every line.",
        )
    if not len(frame) and unterminated(text):
        raise wrong_columns(path, 1, len(columns), len(columns), cut=True)
    used = {name: columns[name] for name in _columns_used(layout) if name in columns}
    rows = frame.select("line", **{name: pl.col(full) for name, full in used.items()})
    return layout.caller, [_call(row, layout, path) for row in rows.iter_rows(named=True)]


def _columns_used(layout: FusionLayout) -> list[str]:
    pairs = (layout.confidence, layout.passing, layout.read_through)
    return [
        *layout.partners,
        *layout.reads,
        *(pair[0] for pair in pairs if pair),
        *(name for name in (layout.frame, layout.sample) if name),
    ]


def _table(text: bytes, separator: str, first_line: int, path: Path) -> pl.DataFrame:
    """All columns as text, with ``line``; blank lines are left out."""
    lines = _checked_lines(text, separator, first_line, path)
    try:
        frame = pl.read_csv(
            re.sub(rb"\n{2,}", b"\n", text),
            separator=separator,
            quote_char='"' if separator == "," else None,
            infer_schema=False,
            encoding="utf8" if text.isascii() else "utf8-lossy",
            glob=False,
        )
    except pl.exceptions.PolarsError as error:
        raise WrongFormat("the table cannot be read", where=str(path)) from error
    if len(frame) != len(lines):
        raise WrongFormat("a quoted value does not end", where=str(path))
    return frame.fill_null("").with_columns(pl.Series("line", lines, dtype=pl.Int64))


def _checked_lines(text: bytes, separator: str, first_line: int, path: Path) -> list[int]:
    """Numbers of the lines that are neither blank nor the header."""
    unquoted = re.sub(rb'"[^"\n]*"', b'""', text) if separator == "," else text
    counts, blank = column_counts(unquoted, separator.encode())
    kept = [index for index in range(len(counts)) if not blank[index]]
    expected = int(counts[kept[0]])
    for index in kept:
        if counts[index] != expected:
            cut = index == len(counts) - 1 and unterminated(text)
            raise wrong_columns(path, first_line + index, expected, int(counts[index]), cut=cut)
    return [first_line + index for index in kept[1:]]


def _call(row: dict[str, str], layout: FusionLayout, path: Path) -> FusionCall:
    sides = _sides(row, layout)
    five, three = map(_genes, sides)
    reads, readable = _reads(row, layout, path)
    column, mark = layout.read_through or ("", "")
    return FusionCall(
        line=int(row["line"]),
        five=five,
        three=three,
        reads=reads,
        in_frame=_in_frame(row.get(layout.frame or "", "")),
        is_confident=_is_confident(row, layout),
        is_read_through=bool(mark) and mark in row.get(column, "").lower(),
        sample=row.get(layout.sample or ""),
        readable=readable,
        is_named=all(side == layout.no_gene or side not in NO_NAMES for side in sides),
    )


def _is_confident(row: dict[str, str], layout: FusionLayout) -> bool | None:
    passes = layout.passing is None or _holds(row, layout.passing)
    rule = layout.confidence if passes else layout.passing
    if rule is not None and row[rule[0]].strip() in NO_NAMES:
        return None
    return passes and not _holds(row, layout.confidence)


def _holds(row: dict[str, str], rule: tuple[str, frozenset[str]] | None) -> bool:
    return rule is not None and row.get(rule[0], "").lower() in rule[1]


def _sides(row: dict[str, str], layout: FusionLayout) -> tuple[str, str]:
    """What the table says of the 5' and the 3' gene."""
    pair = layout.partners[:2]
    if len(pair) > 1 and all(name in row for name in pair):
        return row[pair[0]].strip(), row[pair[1]].strip()
    # One column of a pair is no pair: the last column holds both genes.
    left, _, right = row[layout.partners[-1]].partition(layout.separator)
    return left.strip(), right.strip()


def _genes(text: str) -> tuple[str, ...]:
    """Genes of one side as the caller names them, the likeliest first.

    ``BCR^ENSG00000186716.15`` (STAR-Fusion), ``AF127577.4;LINC02246`` (DRAGEN, overlapping genes)
    and ``AC112492.1(83716),DCAF8L1(218)`` (Arriba, neighbours of a breakpoint between genes).
    """
    sides = []
    for part in re.split(r"[;,]", text, maxsplit=MAX_NAMES)[:MAX_NAMES]:
        name, _, distance = part.strip().partition("(")
        symbol = name.partition("^")[0]
        far = int(distance[:-1]) if re.fullmatch(r"\d{1,9}\)", distance) else 0
        known = symbol not in NO_NAMES and _SYMBOL.fullmatch(symbol)
        if known and far <= MAX_FLANK_BP:
            sides.append((far, symbol))
    return tuple(symbol for _, symbol in sorted(sides, key=lambda side: side[0]))


def _reads(row: dict[str, str], layout: FusionLayout, path: Path) -> tuple[float | None, bool]:
    values = []
    for name in layout.reads:
        text = row.get(name, "").strip()
        if text.upper() != "NAN" and text in NO_NAMES:
            continue
        try:
            value = float(text)
        except ValueError:
            return None, False
        if not 0 <= value < float("inf"):
            raise ImpossibleValue(
                "a number of supporting reads cannot have been counted",
                where=f"{path}, line {row['line']}",
                expected="a number from 0",
            )
        values.append(value)
    return (sum(values) if values else None), True


def _in_frame(text: str) -> bool | None:
    frame = text.strip().lower()
    if frame in _IN_FRAME:
        return True
    return False if frame in _OUT_OF_FRAME else None
