"""The feature dictionary: every column of every feature table, in words.

    contracts -> one row per column -> terminal, Markdown (``docs/dictionary.md``), HTML, JSON

Nothing is written here that does not stand in a contract.
"""

from collections.abc import Sequence
from math import isnan

import polars as pl

from ml.report.blocks import FactList, Page, Section, Table, Text, render
from oncoframe.contracts import CLOCKS, PERFORMED_MEANING, Block, Contract, Feature, Known

SCHEMA = pl.Schema(
    {
        "table": pl.String(),
        "modality": pl.String(),
        "column": pl.String(),
        "feature": pl.String(),
        "kind": pl.String(),
        "type": pl.String(),
        "unit": pl.String(),
        "known": pl.String(),
        "axis": pl.String(),
        "fill": pl.Float64(),
        "description": pl.String(),
    }
)
_MADE = (
    "Made by `oncoframe dictionary --markdown docs/dictionary.md`; do not edit. To search it: "
    "`oncoframe dictionary --search TEXT`, or the page that `oncoframe dictionary --html FILE` "
    "writes. The column is named where it is called otherwise than the feature."
)
_KNOWN = {Known.AT_INDEX: "at index", Known.AFTER_INDEX: "after index"}
_HEADS = ("feature", "column", "type", "unit", "known", "meaning")


def feature_dictionary(contracts: Sequence[Contract]) -> pl.DataFrame:
    """One row per column, in the order of the tables, with the columns of :data:`SCHEMA`.

    ``feature`` is the name of the field (``BCR::ABL1``), ``column`` the one that every tool takes;
    ``axis`` and ``fill`` are those of a vector, ``fill`` null where it is not known.
    """
    rows = [row for contract in contracts for row in _rows(contract)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def as_markdown(contracts: Sequence[Contract]) -> str:
    """The dictionary as a document, a table per feature table."""
    parts = ["# Feature dictionary", _MADE, _plain(CLOCKS)]
    for contract in contracts:
        heads = f"| {' | '.join(_HEADS)} |\n|{' --- |' * len(_HEADS)}"
        lines = [f"| {' | '.join(map(_plain, cells))} |" for cells in _cells(contract)]
        parts += [f"## {contract.table}", _plain(contract.description), "\n".join([heads, *lines])]
    return "\n\n".join(parts) + "\n"


def as_html(contracts: Sequence[Contract]) -> str:
    """The dictionary as one page."""
    columns = feature_dictionary(contracts)
    sections = tuple(
        Section(
            contract.table,
            contract.table,
            (
                Text(contract.description),
                Table(f"Columns of {contract.table}", _HEADS, _cells(contract), words=len(_HEADS)),
            ),
        )
        for contract in contracts
    )
    return render(
        Page(
            title="Feature dictionary",
            heading="Feature dictionary",
            subheading=CLOCKS,
            header=FactList((("Feature tables", str(len(contracts))),)),
            headline=(("Columns", str(len(columns)), "with unit and meaning"),),
            warnings=(),
            sections=sections,
        )
    )


def _rows(contract: Contract) -> list[tuple[str | float | None, ...]]:
    table = (contract.table, contract.modality)
    performed = contract.performed_column
    return [
        (*table, performed, performed, "performed", "Boolean", "1", Known.AT_INDEX, None, None,
         PERFORMED_MEANING),
        *(_scalar(table, feature) for feature in contract.features),
        *(_vector(table, block) for block in contract.blocks),
    ]  # fmt: skip


def _scalar(table: tuple[str, str], feature: Feature) -> tuple[str | None, ...]:
    kind = "setting" if feature.is_setting else "scalar"
    return (
        *table, feature.column, feature.name, kind, str(feature.dtype), feature.unit,
        feature.known, None, None, feature.description,
    )  # fmt: skip


def _vector(table: tuple[str, str], block: Block) -> tuple[str | float | None, ...]:
    fill = None if isnan(block.fill) else block.fill
    return (
        *table, block.name, block.name, "block", "List(Float32)", block.unit, block.known,
        block.axis, fill, block.description,
    )  # fmt: skip


def _cells(contract: Contract) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            row["feature"],
            row["column"] if row["column"] != row["feature"] else "",
            row["type"] if row["axis"] is None else f"{row['type']} by {row['axis']}",
            row["unit"],
            _KNOWN[Known(row["known"])],
            row["description"],
        )
        for row in feature_dictionary([contract]).iter_rows(named=True)
    )


def _plain(cell: str) -> str:
    """Text that is no Markdown: a bar would end the cell, a bracket begin a link."""
    for mark in "\\|*<[]`":
        cell = cell.replace(mark, f"\\{mark}")
    return cell
