"""From what an extractor found to rows of the feature table.

Read values -> scalars by column, vectors by dictionary position -> contract-shaped rows
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from assets.contracts import Block, Contract
from assets.errors import ContractViolation
from assets.extraction import BlockValues, Extraction, ReadFile
from assets.lake import Lake


def feature_rows(
    lake: Lake, contract: Contract, reads: Sequence[ReadFile], *, created: datetime, run_id: str
) -> pl.DataFrame:
    """Rows of a feature table, one per file; names that are new extend their dictionary.

    Parameters
    ----------
    lake
        Holds the dictionaries.
    contract
        Columns of the table.
    reads
        Files with their features.
    created
        When the platform learned the values, UTC.
    run_id
        Run that read them.

    Raises
    ------
    ContractViolation
        If an extractor's features or blocks are not those of the contract.
    """
    for read in reads:
        if read.extraction is not None:
            _check_names(contract, read.extraction)
    vectors = {block.name: _vectors(lake, block, reads) for block in contract.blocks}
    rows = [_scalars(contract, read, created, run_id) for read in reads]
    schema = contract.schema()
    scalar_schema = {name: dtype for name, dtype in schema.items() if name not in vectors}
    table = pl.DataFrame(rows, schema=scalar_schema)
    return table.with_columns(**vectors).select(list(schema))


def _check_names(contract: Contract, extraction: Extraction) -> None:
    for what, expected, got in (
        ("features", {f.name for f in contract.features}, set(extraction.features)),
        ("blocks", {b.name for b in contract.blocks}, set(extraction.blocks)),
    ):
        if expected != got:
            raise ContractViolation(
                f"the extractor's {what} are not those of the table",
                where=contract.table,
                expected=f"also {sorted(expected - got)}",
                got=f"unknown {sorted(got - expected)}",
            )


def _scalars(
    contract: Contract, read: ReadFile, created: datetime, run_id: str
) -> dict[str, object]:
    file, found = read.file, read.extraction
    return {
        "patient_id": file.patient_id,
        "event_timestamp": file.collected_on,
        "created_timestamp": created,
        contract.performed_column: found is not None,
        **{f.column: found.features[f.name] if found else None for f in contract.features},
        "reference_build": file.reference_build,
        "tool": file.tool,
        "site": file.site,
        "source_sha256": read.sha256,
        "code_version": contract.code_version,
        "run_id": run_id,
    }


def _vectors(lake: Lake, block: Block, reads: Sequence[ReadFile]) -> pl.Series:
    """(len(reads),) series of vectors as long as the dictionary; null for a failed assay."""
    values = [read.extraction.blocks[block.name] if read.extraction else None for read in reads]
    dictionary = lake.extend_dictionary(block.axis, _new_names(values))
    vectors: list[np.ndarray | None] = []
    last_names, positions = pl.Series(dtype=pl.String), np.empty(0, dtype=np.int64)
    for found in values:
        if found is None:
            vectors.append(None)
            continue
        # Files of one pipeline list the same genes: look their positions up once.
        if not found.names.equals(last_names):
            positions = _positions(found.names, dictionary)
            last_names = found.names
        vector = np.full(len(dictionary), block.fill, dtype=np.float32)
        vector[positions] = found.values
        vectors.append(vector)
    return pl.Series(block.name, vectors, dtype=pl.List(pl.Float32()))


def _new_names(values: Sequence[BlockValues | None]) -> pl.Series:
    names: list[pl.Series] = []
    for found in values:
        if found is not None and not (names and found.names.equals(names[-1])):
            names.append(found.names.cast(pl.String))
    return pl.concat(names) if names else pl.Series(dtype=pl.String)


def _positions(names: pl.Series, dictionary: pl.DataFrame) -> np.ndarray:
    found = names.cast(pl.String).alias("name").to_frame()
    joined = found.join(dictionary, on="name", how="left", maintain_order="left")
    return joined["position"].cast(pl.Int64).to_numpy()
