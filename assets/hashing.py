"""Hashes of content: the same rows give the same hash, on any machine and in any order."""

from hashlib import sha256

import polars as pl


def content_hash(rows: pl.DataFrame) -> str:
    """SHA-256 over the schema and the sorted rows of a table.

    Parameters
    ----------
    rows
        Any table; vectors are compared element by element, NaN equal to NaN.
    """
    digest = sha256(repr(list(rows.schema.items())).encode())
    # Hashes of rows are sorted instead of rows: vectors have no order.
    lines = rows.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    for line in sorted(sha256(text.encode()).digest() for text in lines):
        digest.update(line)
    return digest.hexdigest()
