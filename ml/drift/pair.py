"""Two frames side by side: the columns they share, the patients of the reference first.

    reference, current -> Pair -> scalars, positions of blocks, gaps of all patients

Layout only; nothing is tested here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from ml.frames.expand import vector_matrix
from ml.frames.frame import KEY_COLUMNS, Frame, FrameColumn
from oncoframe.columns import Column
from oncoframe.errors import StudyError
from oncoframe.names import decode

#: Rows hashed together.
_ROWS = 500


@dataclass(frozen=True)
class Numbers:
    """Numeric columns of all patients.

    Parameters
    ----------
    names : p names
        Domain names; a position of a block is ``<column>[<name>]``.
    values : (n, p) array of float32
        NaN where there is no value.
    """

    names: Sequence[str]
    values: np.ndarray


def newcomers(reference: Frame, current: Frame) -> np.ndarray:
    """(n,) array of bool: rows of the current frame that the reference does not hold as they are.

    A frame of today holds last year's patients too; they would water down what is new.
    """
    old, new = reference.rows.schema, current.rows.schema
    features = {*reference.sidecar.columns, *KEY_COLUMNS} - {"label"}
    shared = [name for name in old if name in features and new.get(name) == old[name]]
    known = _hashes(reference.rows.select(shared))
    return (~_hashes(current.rows.select(shared)).is_in(known.implode())).to_numpy()


def _hashes(rows: pl.DataFrame) -> pl.Series:
    """One number per row; a few rows at a time, because hashing copies vectors several times."""
    starts = range(0, max(rows.height, 1), _ROWS)  # an empty frame has an empty slice
    return pl.concat([rows.slice(start, _ROWS).hash_rows() for start in starts])


class Pair:
    """The columns that two frames share.

    Parameters
    ----------
    reference, current
        Frames; a patient is in one of them.
    exclude
        Frame columns that no model sees.

    Raises
    ------
    StudyError
        If they share no column.
    """

    def __init__(self, reference: Frame, current: Frame, exclude: Collection[str] = ()) -> None:
        self.reference, self.current = reference, current
        self.columns = {
            name: column
            for name, column in reference.sidecar.columns.items()
            if name in current.sidecar.columns and name not in exclude
        }
        if not self.columns:
            raise StudyError(
                "the frames have no column in common",
                where=f"{reference.sidecar.frame_id}, {current.sidecar.frame_id}",
            )
        self.is_current = np.repeat([False, True], [reference.rows.height, current.rows.height])
        self._named = {decode(name): name for name in self.columns}

    def of_kind(self, *kinds: str) -> dict[str, FrameColumn]:
        """Frame column -> what it is, for the columns of some kinds."""
        return {name: column for name, column in self.columns.items() if column.kind in kinds}

    def series(self, name: str) -> pl.Series:
        """Scalar of all patients."""
        # Selecting from a frame of 20,000 columns takes a millisecond, taking one out does not.
        parts = [frame.rows[name] for frame in (self.reference, self.current)]
        types = [part.dtype for part in parts]
        if types[0] != types[1]:
            parts = [part.cast(pl.String if pl.String in types else pl.Float64) for part in parts]
        return pl.concat(parts)

    def scalars(self, names: Sequence[str]) -> Numbers:
        """Numbers and flags as numbers."""
        values = np.empty((len(self.is_current), len(names)), dtype=np.float32, order="F")
        for place, name in enumerate(names):
            values[:, place] = self.series(name).cast(pl.Float32).to_numpy()
        return Numbers([decode(name) for name in names], values)

    def positions(self, name: str) -> list[str]:
        """Names of the positions of a block that both frames know."""
        known = [_dictionary(frame, name) for frame in (self.reference, self.current)]
        shared = set(known[1])
        return [position for position in known[0] if position in shared]

    def block(self, name: str, positions: Sequence[str]) -> Numbers:
        """Some positions of a block."""
        parts = []
        for frame, places in zip((self.reference, self.current), self._places, strict=True):
            place = places[frame.sidecar.columns[name].axis]
            wanted = np.array([place[position] for position in positions])
            first, width = int(wanted.min()), int(np.ptp(wanted)) + 1
            fill = frame.sidecar.columns[name].fill
            vectors = frame.rows[name].list.slice(first, width)
            made = vector_matrix(vectors, width, fill=np.nan if fill is None else fill)
            parts.append(made[:, wanted - first])
        return Numbers(Column.of_safe(name).at(positions), np.vstack(parts))

    @cached_property
    def _places(self) -> tuple[dict[str | None, dict[str, int]], ...]:
        """Axis -> position -> where it is, for either frame."""
        return tuple(
            {
                axis: {position: place for place, position in enumerate(names)}
                for axis, names in frame.dictionaries.items()
            }
            for frame in (self.reference, self.current)
        )

    def frame_column(self, column: str) -> str:
        """Frame column that a domain name belongs to, that of a block for a position of it."""
        if column in self._named:
            return self._named[column]
        blocks = (name for name in self.of_kind("block") if column.startswith(f"{decode(name)}["))
        return max(blocks, key=len)

    def values(self, column: str) -> pl.Series:
        """Scalar or position of a block of all patients, by its domain name."""
        name = self.frame_column(column)
        if self.columns[name].kind != "block":
            return self.series(name).alias(column)
        position = column[len(decode(name)) + 1 : -1]
        parts = []
        for frame, places in zip((self.reference, self.current), self._places, strict=True):
            about, vectors = frame.sidecar.columns[name], frame.rows[name]
            values = vectors.list.get(places[about.axis][position], null_on_oob=True)
            behind = (vectors.list.len() <= places[about.axis][position]).fill_null(value=False)
            fill = pl.Series([about.fill], dtype=pl.Float32)
            parts.append(values.cast(pl.Float32).zip_with(~behind, fill).fill_nan(None))
        return pl.concat(parts).alias(column)

    def gap(self, column: str) -> np.ndarray:
        """(n,) array of bool: True where a patient has no value of a frame column."""
        about = self.columns[self._named[column]]
        parts = [f.rows[self._named[column]] for f in (self.reference, self.current)]
        return np.concatenate([_gap(part, about) for part in parts])

    def gaps(self) -> Iterator[tuple[str, FrameColumn, np.ndarray]]:
        """Column, what it is, and (n,) array of bool: True where a patient has no value of it.

        Assays first: what is missing because an assay was not performed is missing for one reason.
        """
        kinds = ("performed", "block", "scalar")
        for name, column in sorted(
            self.of_kind(*kinds).items(), key=lambda c: c[1].kind != kinds[0]
        ):
            yield name, column, self.gap(decode(name))


def _gap(values: pl.Series, column: FrameColumn) -> np.ndarray:
    if column.kind == "performed":
        return (~values.cast(pl.Boolean).fill_null(value=False)).to_numpy()
    if values.dtype.is_float():
        return np.asarray(np.isnan(values.to_numpy()))
    return values.is_null().to_numpy() if values.null_count() else np.zeros(len(values), dtype=bool)


def _dictionary(frame: Frame, name: str) -> tuple[str, ...]:
    axis = frame.sidecar.columns[name].axis
    return () if axis is None else frame.dictionaries[axis]


def with_columns(frame: Frame, values: pl.DataFrame, columns: Mapping[str, FrameColumn]) -> Frame:
    """Frame with more columns.

    Parameters
    ----------
    values : (n) frame
        Rows in the order of the frame's.
    columns
        What the columns of it mean.
    """
    sidecar = frame.sidecar.model_copy(update={"columns": {**frame.sidecar.columns, **columns}})
    return Frame(sidecar, frame.rows.with_columns(values), frame.dictionaries)
