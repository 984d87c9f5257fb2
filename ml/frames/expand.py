"""Vector blocks as named columns: a matrix, a Polars or a pandas frame.

    List(Float32) column + dictionary -> (n, positions) matrix -> one column per position

A position is called ``<column>[<name>]`` in domain names, in a file by the safe form of that
(:mod:`oncoframe.names`): decoding a column name gives the name a model reports. Layout only:
nothing is selected, filled over an absent assay, or fitted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ml.frames.frame import KEY_COLUMNS, Frame
from oncoframe.columns import Column
from oncoframe.errors import StudyError
from oncoframe.names import decode, encode


@dataclass(frozen=True)
class ExpandedBlock:
    """One block column, position by position.

    Parameters
    ----------
    names : (p,) list of str
        Domain name of each position, ``<column>[<name>]``.
    values : (n, p) array of float32, in column order
        NaN where the assay was not performed; the block's fill behind the end of a vector.
    """

    names: list[str]
    values: np.ndarray


def expand_block(frame: Frame, column: str) -> ExpandedBlock:
    """Matrix of a block column, as wide as the dictionary of its axis.

    Raises
    ------
    StudyError
        If a vector has positions that the dictionary does not name.
    """
    about = frame.sidecar.columns[column]
    names = frame.dictionaries[about.axis] if about.axis is not None else ()
    vectors = frame.rows[column]
    longest = int(vectors.list.len().max() or 0)  # type: ignore[arg-type]
    if longest > len(names):
        raise StudyError(
            f"a vector of {column} is longer than its dictionary",
            where=frame.sidecar.frame_id,
            expected=f"at most {len(names)} positions",
            got=str(longest),
        )
    fill = np.nan if about.fill is None else about.fill
    values = vector_matrix(vectors, len(names), fill=fill)
    return ExpandedBlock(Column.of_safe(column).at(names), values)


def vector_matrix(vectors: pl.Series, width: int, *, fill: float) -> np.ndarray:
    """Vectors as the rows of a matrix.

    Parameters
    ----------
    vectors : (n,) series of lists
        At most ``width`` values each; null where the assay was not performed.
    width
        Columns of the matrix.
    fill
        Value of the columns behind the end of a vector.

    Returns
    -------
    (n, width) array of float32 in column order; NaN in the row of a null.
    """
    lengths = vectors.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    flat = vectors.explode(empty_as_null=False, keep_nulls=False).cast(pl.Float32).to_numpy()
    if len(vectors) and (lengths == width).all():
        return np.asfortranarray(flat.reshape(len(vectors), width))
    matrix = np.full((len(vectors), width), np.nan, dtype=np.float32, order="F")
    matrix[vectors.is_not_null().to_numpy()] = fill
    starts = np.cumsum(lengths) - lengths
    # Vectors are as long as the dictionary was when they were written: few lengths, many rows.
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        matrix[rows, :length] = flat[starts[rows, np.newaxis] + np.arange(length)]
    return matrix


def side_by_side(parts: Sequence[np.ndarray], height: int) -> np.ndarray:
    """(height, columns of all parts) array of float32 in column order."""
    matrix = np.empty((height, sum(part.shape[1] for part in parts)), np.float32, order="F")
    first = 0
    for part in parts:
        matrix[:, first : first + part.shape[1]] = part
        first += part.shape[1]
    return matrix


def expand(frame: Frame, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Frame whose blocks are named columns.

    Parameters
    ----------
    frame
        Rows, what the columns mean, and the names of the positions.
    columns
        Feature columns to keep, in that order; all unless told.

    Returns
    -------
    (n) data frame: :data:`~ml.frames.frame.KEY_COLUMNS`, then the columns; a block is one Float32
    column per position in its place, all in safe names. NaN in a block is null: not known.

    Raises
    ------
    StudyError
        If a column is not of the frame, or two columns would get one name.
    """
    made = [frame.rows[name] for name in KEY_COLUMNS]
    made += _expanded(frame, chosen(frame, columns))
    names = [series.name for series in made]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise StudyError(
            "two columns would get one name", where=frame.sidecar.frame_id, got=", ".join(twice)
        )
    return pl.DataFrame(made)


def expand_matrix(frame: Frame, columns: Sequence[str] | None = None) -> ExpandedBlock:
    """Numbers, flags and blocks of a frame as one float32 matrix, with the name of each column.

    Text and times have no place in a matrix: columns of them are left out unless named.

    Raises
    ------
    StudyError
        If a column that is named is not of the frame, or no number.
    """
    names: list[str] = []
    parts: list[np.ndarray] = []
    for name in chosen(frame, columns):
        values = frame.rows[name]
        if frame.sidecar.columns[name].kind == "block":
            block = expand_block(frame, name)
            names += block.names
            parts.append(block.values)
        elif values.dtype.is_numeric() or values.dtype == pl.Boolean:
            names.append(decode(name))
            parts.append(values.cast(pl.Float32).to_numpy().reshape(-1, 1))
        elif columns is not None:
            raise StudyError(
                f"column {name} is no number", where=frame.sidecar.frame_id, got=str(values.dtype)
            )
    return ExpandedBlock(names, side_by_side(parts, frame.rows.height))


def write_expanded(
    frame: Frame, out: Path, columns: Sequence[str] | None = None
) -> tuple[int, int]:
    """Write an expanded frame; returns the numbers of patients and of columns.

    Parameters
    ----------
    out
        ``.parquet`` and ``.csv`` hold :func:`expand`; ``.npz`` holds :func:`expand_matrix` as
        ``matrix`` and ``names``, beside ``patient_ids`` and ``labels``.

    Raises
    ------
    StudyError
        As :func:`expand` and :func:`expand_matrix`, or if the file is called otherwise.
    """
    if out.suffix == ".npz":
        block = expand_matrix(frame, columns)
        keys = {name: frame.rows[name].to_numpy().astype(str) for name in ("patient_id", "label")}
        np.savez(
            out,
            matrix=block.values,
            names=np.array(block.names, dtype=str),
            patient_ids=keys["patient_id"],
            labels=keys["label"],
        )
        return block.values.shape
    if out.suffix not in {".parquet", ".csv"}:
        raise StudyError(
            "an expanded frame cannot be written in this format",
            where=str(out),
            expected="a file .parquet, .csv or .npz",
        )
    expanded = expand(frame, columns)
    if out.suffix == ".parquet":
        expanded.write_parquet(out, compression="zstd", statistics=False)
    else:
        expanded.write_csv(out)
    return expanded.height, expanded.width - len(KEY_COLUMNS)


def chosen(frame: Frame, columns: Sequence[str] | None) -> list[str]:
    """Feature columns to keep: all of the frame, unless told.

    Raises
    ------
    StudyError
        If a column is not of the frame.
    """
    if columns is None:
        return list(frame.sidecar.columns)
    unknown = sorted(set(columns) - set(frame.sidecar.columns))
    if unknown:
        raise StudyError(
            "the frame has no such column", where=frame.sidecar.frame_id, got=", ".join(unknown)
        )
    return list(columns)


def _expanded(frame: Frame, columns: Sequence[str]) -> Iterator[pl.Series]:
    for name in columns:
        if frame.sidecar.columns[name].kind != "block":
            yield frame.rows[name]
            continue
        block = expand_block(frame, name)
        # A matrix in column order is handed over column by column without a copy.
        for position, values in zip(block.names, block.values.T, strict=True):
            yield pl.Series(encode(position), values, nan_to_null=True)
