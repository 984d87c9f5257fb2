"""A training frame as it lies on disk: rows, what each column means, names of block positions.

    frames/<frame_id>/{frame.parquet, frame.json, dictionary_<axis>.parquet} -> read_frame -> Frame

Reading and checking only; how a frame is joined is in ``assets/training``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from oncoframe.columns import Column
from oncoframe.contracts import Known
from oncoframe.errors import StudyError

#: File beside the rows that says where each patient was seen.
SITES = "sites.parquet"

#: Columns before the features.
KEY_COLUMNS = ("patient_id", "index_timestamp", "label")


class FrameColumn(BaseModel):
    """What the sidecar says about one feature column.

    Parameters
    ----------
    modality
        Assay it comes from, or ``clinical``.
    feature
        Domain name within its view (``CBFB::MYH11``).
    unit
        Unit of the values.
    known
        When it is known relative to the index event.
    kind
        ``performed`` flags whether the assay was done; a ``setting`` says how the row was made and
        enters no model; a ``block`` is a vector per patient.
    axis
        Dictionary that names the positions of a block.
    fill
        Value of a position behind the end of a block's vector; None (NaN in the contract, which
        JSON cannot say) where it is unknown.
    """

    model_config = ConfigDict(frozen=True)

    modality: str
    feature: str
    unit: str
    known: Known
    kind: Literal["scalar", "setting", "block", "performed"]
    axis: str | None = None
    fill: float | None = None


class Sidecar(BaseModel):
    """The part of ``frame.json`` that a model needs.

    Parameters
    ----------
    empty_columns
        Columns of the feature tables that are not in the frame: no patient of it has a value.
    everyone
        The frame holds patients without a label too: to be scored, not to be learned from.
    """

    model_config = ConfigDict(frozen=True)

    frame_id: str
    study: str
    label_name: str
    columns: dict[str, FrameColumn]
    empty_columns: dict[str, FrameColumn] = {}
    guards: dict[str, Any] = {}
    everyone: bool = False

    @property
    def views(self) -> dict[str, str]:
        """Feature table -> modality."""
        tables = ((Column.parse(name).table, about) for name, about in self.columns.items())
        return {table: about.modality for table, about in tables if table}

    @property
    def has_counts(self) -> bool:
        """Whether the expression is read counts, which have to be normalised."""
        return bool(self.guards.get("same", {}).get("expression_unit") == "counts")


@dataclass(frozen=True)
class Frame:
    """One row per patient: label and features as they were known at the index event.

    Parameters
    ----------
    sidecar
        Identity of the frame, and what its columns mean.
    rows
        :data:`KEY_COLUMNS` and the feature columns, sorted by patient.
    dictionaries
        Axis -> names by position.
    sites : (n,) array of str, optional
        Where each patient was seen, empty where nobody knows; never a feature.
    """

    sidecar: Sidecar
    rows: pl.DataFrame
    dictionaries: dict[str, tuple[str, ...]]
    sites: np.ndarray | None = None


def read_frame(folder: Path) -> Frame:
    """Frame of a folder, its rows sorted by patient.

    Raises
    ------
    StudyError
        If a file is missing or not what it should be, a patient has two rows, or no label where
        each has to have one, or the columns are not those of the sidecar.
    """
    sidecar = _read_sidecar(folder / "frame.json")
    rows = _read_parquet(folder / "frame.parquet")
    _check_rows(rows, sidecar, where=str(folder))
    rows = rows.sort("patient_id")
    axes = sorted({c.axis for c in sidecar.columns.values() if c.axis is not None})
    return Frame(
        sidecar,
        rows,
        {axis: _read_dictionary(folder / f"dictionary_{axis}.parquet") for axis in axes},
        _read_sites(folder / SITES, rows["patient_id"]),
    )


def _read_sidecar(path: Path) -> Sidecar:
    if not path.is_file():
        raise StudyError(
            "the frame is not there",
            where=str(path.parent),
            expected="frame.json and frame.parquet",
            hint="Build it: oncoframe frame build STUDY.",
        )
    try:
        return Sidecar.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StudyError(f"{place}: {first['msg']}", where=str(path)) from error


def _read_parquet(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise StudyError("a file of the frame is missing", where=str(path))
    try:
        return pl.read_parquet(path)
    except pl.exceptions.ComputeError as error:
        raise StudyError("a file of the frame is not Parquet", where=str(path)) from error


def _read_sites(path: Path, patients: pl.Series) -> np.ndarray | None:
    if not path.is_file():
        return None  # built before frames kept them
    sites = patients.to_frame().join(_read_parquet(path), on="patient_id", how="left")
    return np.asarray(sites["site"].fill_null("").to_numpy().astype(str))


def _read_dictionary(path: Path) -> tuple[str, ...]:
    return tuple(_read_parquet(path).sort("position")["name"])


def _check_rows(rows: pl.DataFrame, sidecar: Sidecar, *, where: str) -> None:
    expected = {*KEY_COLUMNS, *sidecar.columns}
    differing = sorted(expected.symmetric_difference(rows.columns))
    if differing:
        raise StudyError(
            "frame.parquet and frame.json do not name the same columns",
            where=where,
            got=f"a difference in {', '.join(differing)}",
        )
    duplicates = rows["patient_id"].is_duplicated().sum()
    if duplicates:
        raise StudyError(
            "a patient has one row in a frame", where=where, got=f"{duplicates} rows share theirs"
        )
    for column in ("patient_id",) if sidecar.everyone else ("patient_id", "label"):
        if rows[column].null_count():
            raise StudyError(
                f"every row of a frame has a {column}",
                where=where,
                got=f"{rows[column].null_count()} without",
            )
