"""Metadata of assets: schemas and pictures in the form that the Dagster UI shows."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import dagster as dg
import polars as pl

from oncoframe.contracts import Contract


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


def picture_metadata(pictures: Mapping[str, tuple[Path, Path]]) -> dict[str, dg.MetadataValue]:
    """Each picture to look at in the UI, and where it lies in full size.

    Dagster keeps every event for ever, so only the preview goes into the event log.

    Parameters
    ----------
    pictures
        Name -> picture in full size, preview; both PNG.
    """
    metadata: dict[str, dg.MetadataValue] = {}
    for name, (full, preview) in pictures.items():
        inline = base64.b64encode(preview.read_bytes()).decode()
        metadata[name] = dg.MetadataValue.md(f"![{full.stem}](data:image/png;base64,{inline})")
        metadata[f"{name}_file"] = dg.MetadataValue.path(full)
    return metadata


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> dg.MetadataValue:
    """Rows of text under heads."""
    lines = [heads, ["---"] * len(heads), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def latest_frame(instance: dg.DagsterInstance, key: dg.AssetKey) -> str:
    """Id of the frame that an asset built last.

    Raises
    ------
    dagster.Failure
        If it was never built.
    """
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        raise dg.Failure(
            f"{key.to_user_string()} was never built; materialise it first.", allow_retries=False
        )
    return str(event.asset_materialization.metadata["frame_id"].value)
