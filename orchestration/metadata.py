"""Metadata of assets: schemas and hashes in the form that the Dagster UI shows."""

import dagster as dg
import polars as pl

from assets.contracts import Contract


def table_schema(schema: pl.Schema) -> dg.TableSchema:
    """Columns and types of a table without a contract."""
    return dg.TableSchema([dg.TableColumn(name, str(dtype)) for name, dtype in schema.items()])


def contract_schema(contract: Contract) -> dg.TableSchema:
    """Features of a contract with unit and meaning."""
    scalars = [
        dg.TableColumn(f.column, str(f.dtype), f"{f.description} [{f.unit}]")
        for f in contract.features
    ]
    vectors = [
        dg.TableColumn(b.name, f"vector over {b.axis}", f"{b.description} [{b.unit}]")
        for b in contract.blocks
    ]
    return dg.TableSchema([*scalars, *vectors])
