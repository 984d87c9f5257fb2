"""Feature views of a feature table, derived from the contract of the table.

    contract -> fields with unit, meaning and when they are known -> feature view on the lake
                columns known only after the index event          -> outcome view on the same table

A reference to a view of findings, or an on-demand view over all of it, can therefore name no
outcome. What stands in a column is said once, in the contract beside the science; nothing is
repeated here, and a modality that joins the catalogue of feature tables is here without another
line.
"""

from datetime import timedelta
from functools import cache
from pathlib import Path

from feast import FeatureView, Field
from feast.types import Array, Bool, Float32, String

from assets.store.catalog import contracts
from feature_repo.dtypes import feast_type
from feature_repo.entities import OURS, OWNER, PATIENT
from feature_repo.lake_source import LakeSource
from oncoframe.contracts import PERFORMED_MEANING, Block, Contract, Feature, Known

#: A finding stays a finding. Feast takes zero for "for ever" too, but its incremental
#: materialisation then starts one year back; this one starts before any patient was born.
FOR_EVER = timedelta(days=300 * 365)


def feature_view(contract: Contract) -> FeatureView:
    """Feast view of what a feature table says at the index event.

    Every field is tagged with its domain name (``feature``), ``unit``, when it is ``known`` and
    its ``kind``: ``scalar``, ``performed`` (the flag that tells a measured row from a failed
    assay) or ``block``, which also has an ``axis`` and a ``fill`` value.

    Raises
    ------
    oncoframe.errors.ContractViolation
        If a column has a type that Feast cannot hold.
    """
    fields = [_performed_field(contract), *_fields(contract, Known.AT_INDEX)]
    return _view(contract.table, contract, Known.AT_INDEX, contract.description, fields)


def outcome_view(contract: Contract) -> FeatureView | None:
    """Feast view of the columns that are known only after the index event; None without any.

    The offline store lets nobody see them at a time at which they were not known yet.
    """
    fields = _fields(contract, Known.AFTER_INDEX)
    if not fields:
        return None
    description = f"Known only after the index event. {contract.description}"
    return _view(f"{contract.table}_outcomes", contract, Known.AFTER_INDEX, description, fields)


def _view(
    name: str, contract: Contract, known: Known, description: str, fields: list[Field]
) -> FeatureView:
    tags = {"modality": contract.modality, "code_version": contract.code_version}
    return FeatureView(
        name=name,
        entities=[PATIENT],
        ttl=FOR_EVER,
        schema=[Field(name=PATIENT.join_key, dtype=String), *fields],
        source=_source(contract),
        description=description,
        owner=OWNER,
        tags={**OURS, **tags, "known": known.value},
    )


@cache
def _source(contract: Contract) -> LakeSource:
    """Table of a contract; one object for both views, because Feast tells sources apart by name."""
    return LakeSource(
        table=contract.table, description=contract.description, owner=OWNER, tags=OURS
    )


def _fields(contract: Contract, known: Known) -> list[Field]:
    return [
        *(_scalar_field(feature) for feature in contract.features if feature.known == known),
        *(_block_field(block) for block in contract.blocks if block.known == known),
    ]


def served(view: FeatureView, contract: Contract) -> FeatureView:
    """View without the columns that are not in a contract.

    Parameters
    ----------
    contract
        Of the view's table, perhaps with fewer columns.

    Returns
    -------
    The view itself where nothing is left out, else a projection of it.
    """
    columns = contract.schema()
    names = [field.name for field in view.features if field.name in columns]
    return view if len(names) == len(view.features) else view[names]


def _performed_field(contract: Contract) -> Field:
    return Field(
        name=contract.performed_column,
        dtype=Bool,
        description=PERFORMED_MEANING,
        tags=_tags(contract.performed_column, "1", Known.AT_INDEX, "performed"),
    )


def _scalar_field(feature: Feature) -> Field:
    return Field(
        name=feature.column,
        dtype=feast_type(feature.dtype),
        description=feature.description,
        tags=_tags(feature.name, feature.unit, feature.known, "scalar"),
    )


def _block_field(block: Block) -> Field:
    tags = _tags(block.name, block.unit, block.known, "block")
    return Field(
        name=block.name,
        dtype=Array(Float32),
        description=block.description,
        tags={**tags, "axis": block.axis, "fill": str(block.fill)},
    )


def _tags(feature: str, unit: str, known: Known, kind: str) -> dict[str, str]:
    return {"feature": feature, "unit": unit, "known": known.value, "kind": kind}


def declared_views(center: Path | None = None) -> tuple[FeatureView, ...]:
    """Views of each feature table; ``center`` holds clinical columns of the center's own."""
    found = contracts(center)
    return (*map(feature_view, found), *filter(None, map(outcome_view, found)))


VIEWS = declared_views()
