"""Hashes of content: the same rows give the same hash, on any machine and in any order."""

import math
from hashlib import sha256
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from hashlib import _Hash


def content_hash(rows: pl.DataFrame) -> str:
    """SHA-256 over the schema and the rows of a table, whatever their order.

    Parameters
    ----------
    rows
        Columns of numbers, text, times, booleans, and lists of those. Rows that share every
        column that is no list count in the order given.

    Raises
    ------
    TypeError
        If a column has another type.
    """
    digest = sha256(repr(list(rows.schema.items())).encode())
    scalars = [name for name, dtype in rows.schema.items() if not dtype.is_nested()]
    ordered = rows.sort(scalars, maintain_order=True) if scalars else rows
    for column in ordered.iter_columns():
        _add(digest, column)
    return digest.hexdigest()


def _add(digest: "_Hash", column: pl.Series) -> None:
    """Add the buffers of a column: where it is null, and the values elsewhere."""
    digest.update(column.is_null().to_numpy().tobytes())
    if isinstance(column.dtype, pl.List):
        digest.update(column.list.len().fill_null(0).to_numpy().tobytes())
        _add(digest, column.explode(empty_as_null=False, keep_nulls=False))
    elif column.dtype == pl.String:
        text = column.fill_null("")
        digest.update(text.str.len_bytes().to_numpy().tobytes())
        digest.update("".join(text).encode())
    elif column.dtype.is_float():
        # A NaN has many bit patterns; which one a calculation leaves depends on the processor.
        digest.update(column.fill_null(0).fill_nan(math.nan).to_numpy().tobytes())
    elif column.dtype == pl.Boolean:
        digest.update(column.cast(pl.UInt8).fill_null(0).to_numpy().tobytes())
    elif column.dtype.is_integer() or column.dtype.is_temporal():
        digest.update(column.to_physical().fill_null(0).to_numpy().tobytes())
    else:
        msg = f"column {column.name} of type {column.dtype} has no content hash"
        raise TypeError(msg)
