"""Types of a column: Polars in the contract and the lake, Feast in the registry.

    contract -> feast_type -> registry -> polars_type -> null column of an unwritten table

A bijection: only types that come back unchanged may stand in a contract.
"""

import polars as pl
from feast.types import (
    Array,
    Bool,
    FeastType,
    Float32,
    Float64,
    Int32,
    Int64,
    String,
    UnixTimestamp,
)

from oncoframe.contracts import UTC_TIME
from oncoframe.errors import ContractViolation

_FEAST_TYPES: dict[pl.DataType, FeastType] = {
    pl.Boolean(): Bool,
    pl.Int32(): Int32,
    pl.Int64(): Int64,
    pl.Float32(): Float32,
    pl.Float64(): Float64,
    pl.String(): String,
    UTC_TIME: UnixTimestamp,
    pl.List(pl.Float32()): Array(Float32),
}
_POLARS_TYPES = {feast: polars for polars, feast in _FEAST_TYPES.items()}


def feast_type(dtype: pl.DataType) -> FeastType:
    """Feast type of a Polars type.

    Raises
    ------
    oncoframe.errors.ContractViolation
        If Feast has no type that reads back as this one.
    """
    if dtype not in _FEAST_TYPES:
        raise ContractViolation(
            "a feature column has a type that Feast cannot hold",
            expected=f"one of {', '.join(map(str, _FEAST_TYPES))}",
            got=str(dtype),
        )
    return _FEAST_TYPES[dtype]


def polars_type(feast: FeastType) -> pl.DataType:
    """Polars type of a Feast type; the inverse of :func:`feast_type`.

    Raises
    ------
    oncoframe.errors.ContractViolation
        If no contract could have declared the type.
    """
    if feast not in _POLARS_TYPES:
        raise ContractViolation(
            "the registry holds a type that no contract can declare", got=str(feast)
        )
    return _POLARS_TYPES[feast]
