"""What a model takes of a table that somebody hands it, and what it refuses.

    pandas or Polars table -> names in domain form, vectors as columns -> columns of the model

A column that is not there is not a value that was not measured: a table in other names would be
answered like a patient without any assay. So what is missing or unknown is said by name, and an
assay is left out only where the table says that it was not performed.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from ml.frames.expand import vector_matrix
from ml.frames.frame import KEY_COLUMNS, Frame
from oncoframe.columns import Column
from oncoframe.errors import StudyError
from oncoframe.names import decode, encode

#: Columns of frames and of Feast's answers that are beside the features.
_KEYS = frozenset({*KEY_COLUMNS, "event_timestamp", "known_by"})
#: Columns that an error names.
_NAMED = 5


@dataclass(frozen=True)
class BlockInput:
    """A block that can be given as one column of vectors.

    Parameters
    ----------
    axis
        Dictionary of its positions.
    fill
        Value behind the end of a vector; None: not known.
    """

    axis: str
    fill: float | None


@dataclass(frozen=True)
class Inputs:
    """Columns that a model takes, and what else a table for it may hold.

    Parameters
    ----------
    columns
        That it takes, in order and in domain names; numbers, then those of ``categories``.
    categories
        Names of the text columns.
    views
        Feature table -> modality.
    performed
        Modality -> flag that says whether the assay was performed.
    blocks
        Block column -> how its vectors are read.
    axes
        Axis -> names by position when the model was trained. Positions are only appended, so a
        longer vector of the same home says more than the model can use, and nothing else.
    unused
        Columns of the frame that it was trained on and does not take, those that were empty in it
        among them: another table may have values there.
    usual
        Modality -> inputs that were known of the median training patient with the assay.
    """

    columns: tuple[str, ...]
    categories: tuple[str, ...]
    views: Mapping[str, str] = field(default_factory=dict)
    performed: Mapping[str, str] = field(default_factory=dict)
    blocks: Mapping[str, BlockInput] = field(default_factory=dict)
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    usual: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: Frame, features: pd.DataFrame) -> Self:
        """Inputs of a model that is trained on some columns of a frame's design matrix."""
        about = {decode(name): column for name, column in frame.sidecar.columns.items()}
        columns = tuple(map(str, features.columns))
        taken = {_whole(name) for name in columns}
        blocks = {
            name: BlockInput(column.axis, column.fill)
            for name, column in about.items()
            if column.axis is not None and name in taken
        }
        inputs = cls(
            columns=columns,
            categories=tuple(name for name in columns if features[name].dtype.kind == "O"),
            views=frame.sidecar.views,
            performed={c.modality: n for n, c in about.items() if c.kind == "performed"},
            blocks=blocks,
            axes={block.axis: frame.dictionaries[block.axis] for block in blocks.values()},
            unused=tuple(sorted({*about, *map(decode, frame.sidecar.empty_columns)} - taken)),
        )
        known = inputs.known(features)
        usual = {m: float(np.median(n[n > 0])) for m, n in known.items() if n.any()}
        return replace(inputs, usual=usual)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """Inputs that :meth:`as_json` wrote."""
        return cls(
            **{
                **said,
                **{name: tuple(said[name]) for name in ("columns", "categories", "unused")},
                "blocks": {name: BlockInput(**block) for name, block in said["blocks"].items()},
                "axes": {axis: tuple(names) for axis, names in said["axes"].items()},
            }
        )

    def as_json(self) -> dict[str, Any]:
        """Values that JSON takes."""
        return asdict(self)

    def read(self, given: pd.DataFrame | pl.DataFrame) -> pd.DataFrame:
        """(n, p) columns of the model.

        Parameters
        ----------
        given : (n, ...) data frame
            Columns of a frame, an expanded frame or a design matrix, in safe or in domain names;
            numbers of any type, flags, text. A null was not measured.

        Raises
        ------
        StudyError
            If a column is unknown, is given twice or is of the wrong type, or if one is missing
            and the table does not say that its assay was not performed.
        """
        if isinstance(given, pd.DataFrame) and self._is_ready(given):
            return given
        table = _polars(given)
        named = self._named(table.columns)
        self._refuse_unknown(named)
        columns = self._columns(table.rename({old: new for new, old in named.items()}))
        self._refuse_missing(columns)
        read = self.filled(columns, height=table.height)
        if isinstance(given, pd.DataFrame):
            read.index = given.index
        return read

    def of_frame(self, frame: Frame, matrix: pd.DataFrame) -> pd.DataFrame:
        """(n, p) columns of the model, of the design matrix of a frame.

        What the frame has beyond them is left aside, for it says what that is. Vectors that nobody
        has are no columns of a design matrix, and columns that nobody has none of a training frame;
        their values are not known.

        Raises
        ------
        StudyError
            If the frame lacks a column.
        """
        sidecar = frame.sidecar
        recorded = {decode(name) for name in (*sidecar.columns, *sidecar.empty_columns)}
        there = set(matrix.columns)
        lacking = [n for n in self.columns if n not in there and _whole(n) not in recorded]
        if lacking:
            raise StudyError(
                "the frame lacks columns that the model takes",
                where=sidecar.frame_id,
                got=_some(lacking),
                hint="Train again on a frame of today's columns.",
            )
        texts = set(self.categories)
        numbers = [name for name in self.columns if name not in texts]
        text = matrix.reindex(columns=list(self.categories)).astype(object)
        taken = matrix.reindex(columns=numbers).astype(np.float32)
        return pd.concat([taken, text.where(text.notna(), None)], axis="columns")

    def filled(self, columns: Mapping[str, pl.Series], *, height: int) -> pd.DataFrame:
        """(n, p) columns of the model; null where there is none."""
        nothing = pl.repeat(None, height, eager=True)
        texts = set(self.categories)
        numbers = np.empty((height, len(self.columns) - len(texts)), np.float32, order="F")
        names = [name for name in self.columns if name not in texts]
        for at, name in enumerate(names):
            numbers[:, at] = _number(name, columns.get(name, nothing))
        read = pd.DataFrame(numbers, columns=names)
        for name in self.categories:
            read[name] = _text(name, columns.get(name, nothing))
        return read

    def known(self, features: pd.DataFrame) -> dict[str, np.ndarray]:
        """Modality -> (n,) number of its inputs that are known; whether it was performed aside."""
        flags = set(self.performed.values())
        of_modality: dict[str, list[int]] = {}
        for at, name in enumerate(self.columns):
            if name not in flags:
                of_modality.setdefault(self._modality(name), []).append(at)
        there = features.notna().to_numpy()
        return {m: there[:, at].sum(axis=1) for m, at in of_modality.items()}

    def share(self, known: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) known inputs against those of the median training patient, mean over modalities."""
        if not self.usual:
            return np.ones(len(next(iter(known.values()))))
        shares = [np.minimum(known[m] / usual, 1.0) for m, usual in self.usual.items()]
        return np.asarray(np.mean(shares, axis=0))

    @cached_property
    def _known_names(self) -> frozenset[str]:
        return frozenset({*self.columns, *self.unused, *self.blocks, *_KEYS})

    def _modality(self, column: str) -> str:
        return self.views.get(Column.parse(column).table, "")

    def _is_ready(self, given: pd.DataFrame) -> bool:
        numbers = len(self.columns) - len(self.categories)
        kinds = [dtype.str for dtype in given.dtypes]
        return (
            tuple(given.columns) == self.columns
            and set(kinds[:numbers]) <= {np.dtype(np.float32).str}
            and set(kinds[numbers:]) <= {np.dtype(object).str}
        )

    def _is_known(self, name: str) -> bool:
        return name in self._known_names or _whole(name) in self._known_names

    def _named(self, given: Iterable[str]) -> dict[str, str]:
        """Domain name -> name in the table."""
        named: dict[str, str] = {}
        for name in map(str, given):
            domain = name if self._is_known(name) else decode(name)
            if domain in named:
                raise StudyError(
                    "the table gives a column twice", where=domain, got=f"{named[domain]}, {name}"
                )
            named[domain] = name
        return named

    def _refuse_unknown(self, named: Mapping[str, str]) -> None:
        unknown = [name for name in named if not self._is_known(name)]
        if not unknown:
            return
        near = difflib.get_close_matches(unknown[0], [*self.columns, *self.blocks], n=1)
        raise StudyError(
            "the model does not know columns of the table",
            expected="columns of the frame that it was trained on, in safe or in domain names",
            got=_some(unknown),
            hint=f"Did you mean {near[0]}?" if near else "",
        )

    def _columns(self, table: pl.DataFrame) -> dict[str, pl.Series]:
        """Domain name -> values; vectors position by position."""
        columns = {series.name: series for series in table}
        for name, block in self.blocks.items():
            if name in columns:
                columns.update(self._positions(name, block, columns.pop(name)))
        return columns

    def _positions(self, name: str, block: BlockInput, vectors: pl.Series) -> dict[str, pl.Series]:
        names = self.axes[block.axis]
        if vectors.dtype == pl.Null:
            vectors = vectors.cast(pl.List(pl.Float32))
        if not isinstance(vectors.dtype, pl.List):
            raise StudyError(
                "a block is a column of vectors, or one column per position",
                where=name,
                got=str(vectors.dtype),
            )
        fill = np.nan if block.fill is None else block.fill
        values = vector_matrix(vectors.list.head(len(names)), len(names), fill=fill)
        taken = set(self.columns)
        return {
            column: pl.Series(column, values[:, at], nan_to_null=True)
            for at, column in enumerate(Column.parse(name).at(names))
            if column in taken
        }

    def _refuse_missing(self, given: Mapping[str, pl.Series]) -> None:
        missing: dict[str, list[str]] = {}
        for name in self.columns:
            if name not in given:
                missing.setdefault(self._modality(name), []).append(name)
        for modality, names in missing.items():
            flag = self.performed.get(modality, "")
            if flag in given and not _number(flag, given[flag].fill_null(value=True)).any():
                continue
            raise StudyError(
                f"the table lacks {len(names)} columns of {modality or 'no modality'}",
                expected=_some(names),
                hint=f"Give them, null where not measured; or {encode(flag)} as false, "
                "if the assay was not performed."
                if flag
                else "Give them, null where not measured.",
            )


def _polars(given: pd.DataFrame | pl.DataFrame) -> pl.DataFrame:
    if isinstance(given, pl.DataFrame):
        return given
    columns = [str(name) for name in given.columns]
    if len(set(columns)) < len(columns):
        twice = sorted({name for name in columns if columns.count(name) > 1})
        raise StudyError("the table gives a column twice", got=_some(twice))
    return pl.DataFrame([_series(name, given.iloc[:, at]) for at, name in enumerate(columns)])


def _series(name: str, values: pd.Series) -> pl.Series:
    if values.dtype.kind != "O":
        return pl.from_pandas(values, nan_to_null=True).alias(name)
    try:
        return pl.Series(name, pa.array(values, from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        # What Arrow says quotes the value.
        raise StudyError("the column holds values of several types", where=name) from error


def _number(name: str, values: pl.Series) -> np.ndarray:
    dtype = values.dtype
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        raise StudyError("the model takes numbers in this column", where=name, got=str(dtype))
    return values.cast(pl.Float32).to_numpy()


def _text(name: str, values: pl.Series) -> np.ndarray:
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        raise StudyError("the model takes text in this column", where=name, got=str(values.dtype))
    return values.cast(pl.String).to_numpy().astype(object)


def _whole(name: str) -> str:
    """Column without the position in its block."""
    column = Column.parse(name)
    return name if column.position is None else str(Column(column.table, column.name))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
