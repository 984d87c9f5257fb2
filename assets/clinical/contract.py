"""The contract of the clinical features, derived from the YAML of the dbt marts.

    dbt_clinical/models/marts/*.yml -> clinical_contract -> lake schema, Feast view, dictionary
    <center>/models/**/*.yml -> center_models -> clinical_contract(center)

Columns, types, units and when each is known are said once, beside the SQL; dbt enforces names and
types when it builds, this module hands the rest to Python. A center's own columns are those of the
models of its dbt package that say ``adds_to``. No dbt and no database is needed.
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
def clinical_contract(marts: Path = MARTS, *, center: Path | None = None) -> Contract:
    """Contract of the lake table ``clinical_features``.

    Parameters
    ----------
    marts
        Folder with the YAML of the marts. Columns with a ``role`` (key, time, provenance) are no
        features.
    center
        Folder of a center's dbt package, whose columns come after ours; None: ours alone.

    Raises
    ------
    ContractViolation
        If a column has no description, no unit, no known type, does not say when it is known, or
        is there twice.
    """
    model = mart(TABLE, marts)
    try:
        return Contract(
            table=TABLE,
            modality=MODALITY,
            description=model["description"],
            code_version=model["config"]["meta"]["code_version"],
            features=tuple(
                feature for one in (model, *center_models(center)) for feature in _features(one)
            ),
        )
    except ValueError as error:
        raise ContractViolation(str(error), where=str(center or marts)) from error


@cache
def center_models(center: Path | None) -> tuple[dict[str, Any], ...]:
    """Properties of the models of a center's dbt package that add clinical columns, by name.

    Raises
    ------
    ContractViolation
        If the folder holds none.
    """
    if center is None:
        return ()
    found = [
        model
        for file in sorted((center / "models").rglob("*.yml"))
        for model in _models(file)
        if _meta(model).get("adds_to") == TABLE
    ]
    if not found:
        raise ContractViolation(
            "the folder has no dbt model that adds clinical columns",
            where=str(center),
            expected=f"models/*.yml with config: {{meta: {{adds_to: {TABLE}}}}}",
        )
    return tuple(sorted(found, key=lambda model: str(model["name"])))


def features_of(model: dict[str, Any]) -> list[str]:
    """Columns of a mart that are features."""
    return [feature.column for feature in _features(model)]


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
    models: list[dict[str, Any]] = yaml.safe_load(file.read_text()).get("models", [])
    return models


def _features(model: dict[str, Any]) -> list[Feature]:
    columns = model.get("columns", [])
    return [_feature(column, model["name"]) for column in columns if "role" not in _meta(column)]


def _feature(column: dict[str, Any], name: str) -> Feature:
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
            where=f"mart {name}",
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
