"""The contract of the clinical features, derived from the YAML of the dbt marts.

    dbt_clinical/models/marts/*.yml -> clinical_contract -> lake schema, Feast view, dictionary

Columns, types, units and when each is known are said once, beside the SQL; dbt enforces names and
types when it builds, this module hands the rest to Python. No dbt and no database is needed.
"""

from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from oncoframe.contracts import Contract, Feature, Known
from oncoframe.errors import ContractViolation

MARTS = Path(__file__).resolve().parents[2] / "dbt_clinical" / "models" / "marts"
TABLE = "clinical_features"
MODALITY = "clinical"

#: Type in DuckDB -> type in the lake.
_TYPES: dict[str, pl.DataType] = {
    "varchar": pl.String(),
    "double": pl.Float64(),
    "bigint": pl.Int64(),
    "boolean": pl.Boolean(),
}


@cache
def clinical_contract(marts: Path = MARTS) -> Contract:
    """Contract of the lake table ``clinical_features``.

    Parameters
    ----------
    marts
        Folder with the YAML of the marts. Columns with a ``role`` (key, time, provenance) are no
        features.

    Raises
    ------
    ContractViolation
        If a column has no description, no unit, no known type or does not say when it is known.
    """
    model = mart(TABLE, marts)
    return Contract(
        table=TABLE,
        modality=MODALITY,
        description=model["description"],
        code_version=model["config"]["meta"]["code_version"],
        features=tuple(_feature(c) for c in model["columns"] if "role" not in _meta(c)),
    )


def mart(name: str, marts: Path = MARTS) -> dict[str, Any]:
    """Properties of one mart, as its YAML file says them.

    Raises
    ------
    ContractViolation
        If the file does not describe the mart.
    """
    file = marts / f"{name}.yml"
    described = [model for model in _models(file) if model["name"] == name]
    if len(described) != 1:
        raise ContractViolation(f"mart {name} is not described", where=str(file))
    return described[0]


@cache
def _models(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    models: list[dict[str, Any]] = yaml.safe_load(file.read_text())["models"]
    return models


def _feature(column: dict[str, Any]) -> Feature:
    meta = _meta(column)
    said = {
        "description": column.get("description"),
        "data_type": column.get("data_type") in _TYPES,
        "unit": meta.get("unit"),
        "known": meta.get("known") in set(Known),
    }
    missing = [name for name, value in said.items() if not value]
    if missing:
        raise ContractViolation(
            f"column {column['name']} does not say its {', '.join(missing)}",
            where=f"mart {TABLE}",
            expected=f"a data_type of {', '.join(_TYPES)}; known of {', '.join(Known)}",
        )
    return Feature(
        name=column["name"],
        dtype=_TYPES[column["data_type"]],
        unit=meta["unit"],
        description=column["description"],
        known=Known(meta["known"]),
    )


def _meta(column: dict[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = column.get("config", {}).get("meta", {})
    return meta
