"""What lies beside the rows of a frame: its identity, and what each column means.

    contracts -> frame_columns -> frame.json -> read_sidecar -> facts, recorded_study

Light to import: showing a frame needs nothing that builds one.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from ml.study.definition import Study
from oncoframe.columns import Column
from oncoframe.contracts import Contract, Known
from oncoframe.errors import StudyError

FRAME = "frame.parquet"
SIDECAR = "frame.json"
#: What to do about a frame that today's code cannot build again.
OTHER_VERSION = "Check out the version of OncoFrame that built it."


def read_sidecar(folder: Path, frame_id: str) -> dict[str, Any]:
    """Sidecar of a frame.

    Parameters
    ----------
    folder
        Holds one subfolder per frame id.

    Raises
    ------
    StudyError
        If there is no frame of that id.
    """
    file = folder / frame_id / SIDECAR
    if not file.is_file():
        known = sorted(path.parent.name for path in folder.glob(f"*/{SIDECAR}"))
        raise StudyError(
            f"there is no frame {frame_id}",
            expected=f"one of {', '.join(known)}" if known else "a frame; none was built yet",
            hint="Build one: oncoframe frame build STUDY.",
        )
    sidecar: dict[str, Any] = json.loads(file.read_text())
    return sidecar


def recorded_study(about: Mapping[str, Any]) -> Study:
    """Study that a frame was built for, as it was then.

    Raises
    ------
    StudyError
        If this version of OncoFrame reads studies in another way.
    """
    try:
        return Study.model_validate(about.get("study_definition"))
    except ValidationError as error:
        raise StudyError(
            "its study is not one that this version reads",
            where=f"frame {about['frame_id']}",
            hint=OTHER_VERSION,
        ) from error


def facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a frame holds, who was left out, and what is suspected: lines of a table."""
    lines = [("patients", str(about["rows"])), ("columns", str(len(about["columns"])))]
    empty = Counter(column["modality"] for column in about.get("empty_columns", {}).values())
    for modality, count in sorted(empty.items()):
        lines.append((f"left out, no patient has a value: {modality} columns", str(count)))
    for modality, share in about["performed_share"].items():
        lines.append((f"{modality} performed", f"{share:.0%}"))
    for why, patients in about["excluded"].items():
        lines.append((f"left out: {why}", str(len(patients))))
    for modality, patients in about.get("unread", {}).items():
        lines.append((f"{modality} could not be read, taken as missing", str(len(patients))))
    for suspect in about.get("guards", {}).get("suspected_leakage", []):
        told = f"suspected leakage: {suspect['column']} tells {suspect['label']} (AUC)"
        lines.append((told, f"{suspect['auc']:.3f}"))
    done = about["study_definition"].get("guards", {}).get("implausible", "kept")
    for odd in about.get("guards", {}).get("implausible", []):
        told = f"implausible, {done}: {odd['column']}, median {odd['median']:.4g}"
        lines.append((told, f"{odd['values']} as far as {odd['farthest']:,.10g}"))
    return lines


def frame_columns(contracts: Sequence[Contract]) -> dict[str, dict[str, Any]]:
    """Frame column -> what it is, for every column that is known at the index event."""
    columns: dict[str, dict[str, Any]] = {}
    for contract in contracts:
        common = {"view": contract.table, "modality": contract.modality}
        columns[str(Column(contract.table, contract.performed_column))] = {
            **common,
            "feature": contract.performed_column,
            "unit": "1",
            "description": f"Whether the {contract.modality} assay gave a result.",
            "known": Known.AT_INDEX.value,
            "kind": "performed",
            "dtype": str(pl.Boolean()),
        }
        for feature in contract.features:
            if feature.known is Known.AT_INDEX:
                columns[str(Column(contract.table, feature.column))] = {
                    **common,
                    "feature": feature.name,
                    "unit": feature.unit,
                    "description": feature.description,
                    "known": feature.known.value,
                    "kind": "setting" if feature.is_setting else "scalar",
                    "dtype": str(feature.dtype),
                }
        for block in contract.blocks:
            if block.known is Known.AT_INDEX:
                columns[str(Column(contract.table, block.name))] = {
                    **common,
                    "feature": block.name,
                    "unit": block.unit,
                    "description": block.description,
                    "known": block.known.value,
                    "kind": "block",
                    "dtype": str(pl.List(pl.Float32())),
                    "axis": block.axis,
                    "fill": None if block.fill != block.fill else block.fill,
                }
    return columns
