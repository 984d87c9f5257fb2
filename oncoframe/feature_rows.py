"""From what an extractor found to rows of the feature table.

Read values -> scalars by column, vectors by dictionary position -> contract-shaped rows
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa

from oncoframe.contracts import WITHDRAWN, Block, Contract
from oncoframe.errors import ContractViolation
from oncoframe.extraction import BlockValues, Extraction, ReadFile
from oncoframe.lake import Lake


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
        If an extractor's features or blocks are not those of the contract, or not of its types.
    """
    for read in reads:
        if read.extraction is not None:
            _check_names(contract, read.extraction)
    vectors = {block.name: _vectors(lake, block, reads) for block in contract.blocks}
    rows = [_scalars(contract, read, created, run_id) for read in reads]
    columns = [
        vectors[name] if name in vectors else _column(contract, name, dtype, rows)
        for name, dtype in contract.schema().items()
    ]
    return pl.DataFrame(columns)


def _column(
    contract: Contract, name: str, dtype: pl.DataType, rows: Sequence[dict[str, object]]
) -> pl.Series:
    try:
        # From rows, Polars would cut a 2.5 to the 2 that fits an integer column.
        return pl.Series(name, [row[name] for row in rows], dtype, strict=True)
    except TypeError as error:
        raise ContractViolation(
            f"a value of column {name} has another type", where=contract.table, expected=str(dtype)
        ) from error


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
        "annotation_version": found.annotation_version if found else None,
        "tool": file.tool,
        "site": file.site,
        "source_sha256": read.sha256,
        "code_version": contract.code_version,
        "run_id": run_id,
        WITHDRAWN: False,
    }


def _vectors(lake: Lake, block: Block, reads: Sequence[ReadFile]) -> pl.Series:
    """(len(reads),) series of vectors as long as the dictionary; null for a failed assay."""
    values = [read.extraction.blocks[block.name] if read.extraction else None for read in reads]
    dictionary = lake.extend_dictionary(block.axis, _names(values))
    position = dict(zip(dictionary["name"], dictionary["position"], strict=True))
    measured = [found for found in values if found is not None]
    matrix = np.full((len(measured), len(dictionary)), block.fill, dtype=np.float32)
    last_names, positions = pl.Series(dtype=pl.String), np.empty(0, dtype=np.int64)
    for vector, found in zip(matrix, measured, strict=True):
        # Files of one pipeline list the same genes: look their positions up once.
        if not found.names.equals(last_names):
            positions = np.array([position[name] for name in found.names], dtype=np.int64)
            last_names = found.names
        vector[positions] = found.values
    return _list_series(block.name, matrix, [found is not None for found in values])


def _list_series(name: str, matrix: np.ndarray, present: Sequence[bool]) -> pl.Series:
    """(len(present),) series of the rows of a matrix in turn, null where not present."""
    lengths = np.where(present, matrix.shape[1], 0)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    mask = pa.array(np.logical_not(present), pa.bool_())
    lists = pa.LargeListArray.from_arrays(offsets, pa.array(matrix.ravel()), mask=mask)
    # Polars itself makes an Array of NumPy vectors that are equally long, whatever type is asked.
    return pl.Series(name, lists)


def _names(values: Sequence[BlockValues | None]) -> pl.Series:
    """All names of some patients; the same list of several patients in a row counts once."""
    names: list[pl.Series] = []
    for found in values:
        if found is not None and not (names and found.names.equals(names[-1])):
            names.append(found.names.cast(pl.String))
    return pl.concat(names) if names else pl.Series(dtype=pl.String)
