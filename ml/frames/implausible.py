"""Values that no measurement gives: a unit lost, a comma moved, a number typed twice.

    rows, columns -> implausible (mask) -> judge_values -> Implausible of each column, rows

A rule of each column alone, so far out that a rare class or a strong finding does not reach it. No
label is looked at, and one patient does not move quartiles; so it may look at all patients of a
frame before there are folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ml.frames.expand import vector_matrix
from ml.frames.frame import FrameColumn
from oncoframe.columns import Column
from oncoframe.names import decode

#: Ranges between the quartiles, at least one doubling, that a value may lie beyond a quartile. With
#: 8, nothing is implausible among 20 x 19,514 raw counts (Oshlack, ALLSorts) and 566 x 469
#: logarithms (BeatAML 2.0), and two values are among 130 x 140 FPKM (NSCLC Radiogenomics):
#: 295,000,030 where the median is 14, and 80,971 where it is 5.7. With 6, a count of 158 is, too.
RANGES = 8.0
#: Columns with fewer values have no quartiles to speak of.
MIN_VALUES = 20
#: Positions of a block that are sorted at once, to bound the memory.
_AT_ONCE = 2000


@dataclass(frozen=True)
class Implausible:
    """Values of one column that cannot be.

    Parameters
    ----------
    column
        Frame column, or ``<column>[<position>]`` of a block, in domain names.
    values
        How many.
    farthest
        The one farthest from the median.
    median
        Of the column.
    """

    column: str
    values: int
    farthest: float
    median: float


def implausible(values: np.ndarray) -> np.ndarray:
    """Mask of the values that lie too far from the others of their column.

    A value counts in doublings of the typical size of its column, on both sides of zero: sizes
    of measurements are skewed, and a column in thousands is judged like one in thousandths.

    Parameters
    ----------
    values : (n, p) array of float
        NaN: not known.

    Returns
    -------
    (n, p) array of bool; False throughout a column of fewer than :data:`MIN_VALUES` values.
    """
    sizes = np.abs(values)
    sizes[sizes == 0] = np.nan
    typical = _quantiles(sizes, (0.5,))[0]
    doublings = np.sign(values) * np.log2(1 + np.abs(values) / np.where(typical > 0, typical, 1))
    low, high = _quantiles(doublings, (0.25, 0.75))
    fence = RANGES * np.maximum(high - low, 1)
    enough = (~np.isnan(values)).sum(axis=0) >= MIN_VALUES
    return np.asarray(enough & ((doublings > high + fence) | (doublings < low - fence)))


def found_in(values: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, list[Implausible]]:
    """Mask of the implausible values of a matrix, and what they are in each column that has some.

    Parameters
    ----------
    values : (n, p) array of float
    names : (p,) sequence of str
    """
    mask = np.zeros(values.shape, dtype=bool)
    found = []
    for first in range(0, values.shape[1], _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        mask[:, part] = implausible(values[:, part].astype(np.float64))
    for at in np.flatnonzero(mask.any(axis=0)).tolist():
        median = float(np.nanmedian(values[:, at]))
        odd = values[mask[:, at], at]
        farthest = float(odd[np.abs(odd - median).argmax()])
        found.append(Implausible(names[at], len(odd), farthest, median))
    return mask, found


def judge_values(
    rows: pl.DataFrame,
    columns: Mapping[str, FrameColumn],
    dictionaries: Mapping[str, Sequence[str]],
    *,
    nulled: bool = False,
) -> tuple[pl.DataFrame, list[Implausible]]:
    """Rows of a frame, and the implausible values among them.

    Parameters
    ----------
    rows
        The columns of a frame.
    columns
        What they mean. Flags, settings and text are not judged.
    dictionaries
        Axis -> names by position.
    nulled
        Return the rows with null, in a block NaN, in place of these values.
    """
    found: list[Implausible] = []
    replaced = []
    for name, about in columns.items():
        column = rows[name]
        if about.kind == "scalar" and column.dtype.is_numeric():
            values = column.cast(pl.Float64).to_numpy().reshape(-1, 1)
            mask, odd = found_in(values, [decode(name)])
            if odd:
                known = ~pl.Series(mask[:, 0])
                replaced.append(rows.select(pl.when(known).then(pl.col(name)).alias(name))[name])
        elif about.kind == "block" and about.axis is not None:
            names = Column.of_safe(name).at(dictionaries[about.axis])
            fill = np.nan if about.fill is None else about.fill
            mask, odd = found_in(vector_matrix(column, len(names), fill=fill), names)
            if odd:
                replaced.append(_without(column, mask))
        else:
            continue
        found += odd
    return (rows.with_columns(replaced) if nulled and replaced else rows), found


def _without(vectors: pl.Series, mask: np.ndarray) -> pl.Series:
    """Vectors with NaN where the mask is set."""
    changed: list[list[float] | None] = []
    for vector, odd in zip(vectors, mask, strict=True):
        values = None if vector is None else vector.to_numpy().copy()
        if values is not None:
            values[odd[: len(values)]] = np.nan
        changed.append(None if values is None else values.tolist())
    return pl.Series(vectors.name, changed, dtype=vectors.dtype)


def _quantiles(values: np.ndarray, shares: Sequence[float]) -> list[np.ndarray]:
    """(p,) quantile of the known values of each column, for each share; NaN without any.

    NumPy's ``nanquantile`` goes column by column in Python; sorting puts NaN last at once.
    """
    ordered = np.sort(values, axis=0)
    last = (~np.isnan(values)).sum(axis=0) - 1
    columns = np.arange(values.shape[1])
    made = []
    for share in shares:
        place = share * np.maximum(last, 0)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(last, 0))
        low, high = ordered[below, columns], ordered[above, columns]
        made.append(low + (place - below) * (high - low))
    return made
