"""Entity rows: what a caller asks for, as of when, and known by when.

    pandas or Polars frame -> Arrow table with UTC times -> asks of the point-in-time join

Time zones are converted to UTC; a time without a zone is UTC already, as everywhere in Feast. Where
that is hardly what was meant, a warning says so.
"""

import warnings
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from feast.errors import EntityTimestampInferenceException, FeastEntityDFMissingColumnsError

from feature_repo.home import StoreWarning
from oncoframe.contracts import UTC_TIME
from oncoframe.errors import StudyError
from oncoframe.point_in_time import AS_OF, KNOWN_BY

#: As-of column of an entity frame, as Feast names it.
AS_OF_COLUMN = "event_timestamp"
#: Optional column of an entity frame: values learned later than this are not seen.
KNOWN_BY_COLUMN = "known_by"
MIDNIGHT = time(0)


@dataclass(frozen=True)
class EntityRows:
    """Rows to be joined with features.

    Parameters
    ----------
    table : (n) Arrow table
        All columns of the caller, in the caller's row order; times in UTC.
    as_of
        Name of the as-of column.
    """

    table: pa.Table
    as_of: str

    @classmethod
    def of(cls, frame: Any) -> "EntityRows":
        """Rows of a pandas or Polars frame.

        Raises
        ------
        oncoframe.errors.StudyError
            If it is something else (a query), or a time is missing or unreadable.
        feast.errors.EntityTimestampInferenceException
            If no column, or more than one, can be the as-of time.
        """
        if isinstance(frame, pd.DataFrame):
            as_of = _as_of_column(
                {str(name): _is_time_dtype(dtype) for name, dtype in frame.dtypes.items()}
            )
            times = {c: _utc_pandas(frame[c]) for c in (as_of, KNOWN_BY_COLUMN) if c in frame}
            table = pa.Table.from_pandas(frame.assign(**times), preserve_index=False)
            return cls._checked(table.replace_schema_metadata(None), as_of)
        if isinstance(frame, pl.DataFrame):
            as_of = _as_of_column({c: t.is_temporal() for c, t in frame.schema.items()})
            clocks = [c for c in (as_of, KNOWN_BY_COLUMN) if c in frame.columns]
            return cls._checked(
                frame.with_columns(_utc(frame[c]) for c in clocks).to_arrow(), as_of
            )
        raise StudyError(
            "the lake has no query engine behind it, so rows cannot be given as a query",
            where="entity_df",
            expected="a pandas or Polars frame",
            got=type(frame).__name__,
        )

    @classmethod
    def _checked(cls, table: pa.Table, as_of: str) -> "EntityRows":
        for column in (as_of, KNOWN_BY_COLUMN):
            if column in table.column_names and table[column].null_count:
                raise StudyError(
                    "every entity row needs its time",
                    where=f"entity column {column}",
                    got=f"{table[column].null_count} rows without",
                )
        return cls(table, as_of)

    @classmethod
    def snapshot(cls, keys: pl.DataFrame, end: datetime) -> "EntityRows":
        """One row per key, as of one time."""
        times = keys.with_columns(pl.lit(end, dtype=UTC_TIME).alias(AS_OF_COLUMN))
        return cls(times.to_arrow(), AS_OF_COLUMN)

    @property
    def span(self) -> tuple[Any, Any]:
        """First and last as-of time, both None without rows."""
        ends = pc.min_max(self.table[self.as_of])
        return ends["min"].as_py(), ends["max"].as_py()

    def asks(self, keys: dict[str, pl.DataType], *, limit: bool, strict: bool) -> pl.DataFrame:
        """What the point-in-time join is asked.

        Parameters
        ----------
        keys
            Key columns and their types in the lake.
        limit
            Whether a row must be known by its as-of time where the caller names no time.
        strict
            Whether it must be known by then even where the caller names a later one.

        Raises
        ------
        feast.errors.FeastEntityDFMissingColumnsError
            If a key column is missing.
        oncoframe.errors.StudyError
            If a key column has another type than in the lake.
        """
        missing = set(keys) - set(self.table.column_names)
        if missing:
            raise FeastEntityDFMissingColumnsError(set(keys), missing)
        columns = [_key(pl.Series(name, self.table[name]), keys[name]) for name in keys]
        as_of = pl.Series(AS_OF, self.table[self.as_of])
        if KNOWN_BY_COLUMN in self.table.column_names:
            named = pl.Series(KNOWN_BY, self.table[KNOWN_BY_COLUMN])
            known_by = pl.select(pl.min_horizontal(named, as_of)).to_series() if strict else named
            return pl.DataFrame([*columns, as_of, known_by.alias(KNOWN_BY)])
        if limit or strict:
            return pl.DataFrame([*columns, as_of, as_of.alias(KNOWN_BY)])
        return pl.DataFrame([*columns, as_of])


def _as_of_column(is_time: dict[str, bool]) -> str:
    if AS_OF_COLUMN in is_time:
        return AS_OF_COLUMN
    times = [name for name, yes in is_time.items() if yes and name != KNOWN_BY_COLUMN]
    if len(times) != 1:
        raise EntityTimestampInferenceException(AS_OF_COLUMN)
    return times[0]


def _is_time_dtype(dtype: Any) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(dtype))


def _utc_pandas(column: "pd.Series[Any]") -> "pd.Series[Any]":
    name = str(column.name)
    if pd.api.types.is_numeric_dtype(column):
        raise _unreadable(name, str(column.dtype))  # pandas would count from 1970
    try:
        # Python datetimes of several zones share an object column, which Arrow cannot hold.
        times = pd.to_datetime(column, utc=True)
    except (TypeError, ValueError) as error:
        raise _unreadable(name, str(column.dtype)) from error
    if _is_time_dtype(column.dtype):
        shifted = (column == column.dt.normalize()) & (times != times.dt.normalize())
        _doubt(name, column.dt.tz, int(shifted.sum()), len(column))
    return times.dt.as_unit("us")


def _utc(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Date):
        return column.cast(pl.Datetime("us", "UTC"))
    if not isinstance(column.dtype, pl.Datetime):
        raise _unreadable(column.name, str(column.dtype))
    zone = column.dtype.time_zone
    column = column.dt.cast_time_unit("us")
    if zone is None:
        _doubt(column.name, zone, 0, len(column))
        return column.dt.replace_time_zone("UTC")
    times = column.dt.convert_time_zone("UTC")
    shifted = (column.dt.time() == MIDNIGHT) & (times.dt.time() != MIDNIGHT)
    _doubt(column.name, zone, int(shifted.sum()), len(column))
    return times


def _doubt(column: str, zone: object, shifted: int, rows: int) -> None:
    """Warn of times that may not be those that were meant."""
    if zone is None and rows:
        warnings.warn(
            f"entity column {column} has no time zone and is read as UTC.",
            StoreWarning,
            stacklevel=2,
        )
    if shifted:
        warnings.warn(
            f"entity column {column}: {shifted} of {rows} times are midnight in {zone}, which is "
            "another hour in UTC; the lake dates days by midnight in UTC, so that a finding of "
            "that day may not count yet.",
            StoreWarning,
            stacklevel=2,
        )


def _unreadable(column: str, dtype: str) -> StudyError:
    return StudyError(
        "a time cannot be read", where=f"entity column {column}", expected="datetimes", got=dtype
    )


def _key(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String())
    if column.dtype != dtype and not column.is_empty():
        raise StudyError(
            "the key has another type than in the lake, so no row would be found",
            where=f"entity column {column.name}",
            expected=str(dtype),
            got=str(column.dtype),
        )
    return column.cast(dtype)
