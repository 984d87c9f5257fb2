"""A frame from whatever names one: its folder, its Parquet file, or a table without a sidecar.

    folder | frame.parquet beside frame.json | any Parquet table -> Frame

A table without a sidecar says by the names of its columns what they are: ``<table>__<feature>``, as
``oncoframe frame build --out`` writes them.
"""

from pathlib import Path

import polars as pl

from ml.drift.score import PATIENT, is_covariate
from ml.frames.frame import KEY_COLUMNS, Frame, FrameColumn, Sidecar, read_frame
from oncoframe.columns import Column
from oncoframe.contracts import PROVENANCE_COLUMNS, Known
from oncoframe.errors import StudyError
from oncoframe.names import decode

_PERFORMED = "_performed"


def read_any_frame(path: Path) -> Frame:
    """Frame of a folder or of a Parquet file.

    Raises
    ------
    StudyError
        If there is none, or it is not what it should be.
    """
    if path.is_dir():
        return read_frame(path)
    if not path.is_file():
        raise StudyError(
            "there is no such frame",
            where=str(path),
            expected="an id of a frame, its folder, or a Parquet file",
        )
    if path.name == "frame.parquet" and path.with_name("frame.json").is_file():
        return read_frame(path.parent)
    try:
        return bare_frame(pl.read_parquet(path), path.stem)
    except pl.exceptions.ComputeError as error:
        raise StudyError("the file is not Parquet", where=str(path)) from error


def bare_frame(rows: pl.DataFrame, name: str) -> Frame:
    """Frame of a table, what its columns mean inferred from their names and types.

    Times and identifiers of patients are no features; positions of vectors are numbers.
    """
    rows = rows.with_columns(
        pl.col(column).arr.to_list()
        for column, dtype in rows.schema.items()
        if isinstance(dtype, pl.Array)
    )
    columns = {
        column: _column(column, dtype)
        for column, dtype in rows.schema.items()
        if column not in KEY_COLUMNS and _is_feature(dtype)
    }
    widths = {
        column: int(rows[column].list.len().max() or 0)  # type: ignore[arg-type]
        for column, about in columns.items()
        if about.kind == "block"
    }
    dictionaries = {column: tuple(map(str, range(width))) for column, width in widths.items()}
    sidecar = Sidecar(frame_id=name, study="", label_name="label", columns=columns)
    return Frame(sidecar, rows, dictionaries)


def _is_feature(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List):
        return bool(dtype.inner.is_numeric())
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.String)


def _column(column: str, dtype: pl.DataType) -> FrameColumn:
    table, feature = Column.parse(column).table, Column.parse(column).within
    modality = table.removesuffix("_features") or PATIENT
    kind = "scalar"
    if isinstance(dtype, pl.List):
        kind = "block"
    elif dtype == pl.Boolean and feature.endswith(_PERFORMED):
        kind = "performed"
    elif feature in PROVENANCE_COLUMNS or (not table and is_covariate(column)):
        kind = "setting"
    return FrameColumn.model_validate(
        {
            "modality": modality,
            "feature": decode(feature),
            "unit": "1",
            "known": Known.AT_INDEX,
            "kind": kind,
            "axis": column if kind == "block" else None,
        }
    )
