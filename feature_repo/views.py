"""Feature views: one per feature table, derived from the contract of the table.

    contract -> fields with unit, meaning and when they are known -> feature view on the lake

What stands in a column is said once, in the contract beside the science; nothing is repeated here,
and a modality that joins the catalogue of feature tables is here without another line.
"""

from datetime import timedelta

from feast import FeatureView, Field
from feast.types import Array, Bool, Float32, String

from feature_repo.dtypes import feast_type
from feature_repo.entities import PATIENT
from feature_repo.lake_source import LakeSource
from oncoframe.contracts import PERFORMED_MEANING, Block, Contract, Feature, Known
from oncoframe.modalities import feature_contracts


def feature_view(contract: Contract) -> FeatureView:
    """Feast view of a feature table.

    Every field is tagged with its domain name (``feature``), ``unit``, when it is ``known`` and
    its ``kind``: ``scalar``, ``performed`` (the flag that tells a measured row from a failed
    assay) or ``block``, which also has an ``axis`` and a ``fill`` value.

    Raises
    ------
    oncoframe.errors.ContractViolation
        If a column has a type that Feast cannot hold.
    """
    return FeatureView(
        name=contract.table,
        entities=[PATIENT],
        ttl=timedelta(0),  # a finding stays a finding
        schema=[
            Field(name=PATIENT.join_key, dtype=String),
            _performed_field(contract),
            *map(_scalar_field, contract.features),
            *map(_block_field, contract.blocks),
        ],
        source=LakeSource(table=contract.table, description=contract.description),
        description=contract.description,
        tags={"modality": contract.modality, "code_version": contract.code_version},
    )


def served(view: FeatureView, contract: Contract) -> FeatureView:
    """View without the columns that are known only after the index event, or not in a contract.

    Parameters
    ----------
    contract
        Of the view's table, perhaps with fewer columns.

    Returns
    -------
    The view itself where nothing is left out, else a projection of it.
    """
    columns = contract.schema()
    names = [
        field.name
        for field in view.features
        if field.name in columns and field.tags["known"] == Known.AT_INDEX
    ]
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


VIEWS = tuple(feature_view(contract) for contract in feature_contracts())
