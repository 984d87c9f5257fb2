"""What differs between two frames, and why.

    frame A, frame B, the lake rows behind both -> diff_frames -> patients, columns, values

A value differs because its lake row does: the reason is read off the two rows, so a frame built
on a later day explains itself by what was learned in between.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assets.training.sidecar import read_sidecar
from ml.frames.expand import vector_matrix
from ml.frames.frame import Frame, read_frame
from oncoframe.lake import Lake
from oncoframe.point_in_time import served_rows

_PROVENANCE = ("code_version", "source_sha256")


class Why(StrEnum):
    """Why a value of the second frame is another one."""

    CORRECTION = "correction"
    LATE_ARRIVAL = "late arrival"
    NEW_SPECIMEN = "new specimen"
    OTHER_CODE = "other code version"
    NOT_KNOWN_YET = "not known yet"
    TAKEN_BACK = "taken back"
    INDEX_MOVED = "other index time"
    OTHER_LABEL = "other label"


#: Columns of :attr:`FrameDiff.values`.
VALUES_SCHEMA = pl.Schema(
    {
        "patient_id": pl.String(),
        "column": pl.String(),
        "before": pl.String(),
        "after": pl.String(),
        "why": pl.String(),
    }
)


@dataclass(frozen=True)
class FrameDiff:
    """What differs from frame A to frame B.

    Parameters
    ----------
    patients_added, patients_removed
        Patient of B only, of A only -> what the other frame says of them.
    columns_added, columns_removed
        Column of B only, of A only -> why.
    values
        A row per patient and column of both frames whose value differs, sorted; see
        :data:`VALUES_SCHEMA`. Of a block, the number of positions that differ is told.
    """

    patients_added: dict[str, str]
    patients_removed: dict[str, str]
    columns_added: dict[str, str]
    columns_removed: dict[str, str]
    values: pl.DataFrame


def diff_frames(lake: Lake, folder: Path, a: str, b: str) -> FrameDiff:
    """Difference of two frames of one home.

    Parameters
    ----------
    lake
        The tables that both were joined from.
    folder
        Holds one subfolder per frame id.
    a, b
        Frame ids.

    Raises
    ------
    StudyError
        If there is no such frame.
    """
    about_a, about_b = read_sidecar(folder, a), read_sidecar(folder, b)
    frame_a, frame_b = read_frame(folder / a), read_frame(folder / b)
    patients_a, patients_b = (set(f.rows["patient_id"]) for f in (frame_a, frame_b))
    both = sorted(patients_a & patients_b)
    left, right = (_only(frame, both) for frame in (frame_a, frame_b))
    changed = [*_key_changes(left, right), *_value_changes(lake, left, right, about_a, about_b)]
    values = pl.concat([pl.DataFrame(schema=VALUES_SCHEMA), *changed])
    return FrameDiff(
        patients_added=_reasons(patients_b - patients_a, about_a),
        patients_removed=_reasons(patients_a - patients_b, about_b),
        columns_added=_columns_only(about_b, about_a),
        columns_removed=_columns_only(about_a, about_b),
        values=values.sort("patient_id", "column"),
    )


def _only(frame: Frame, patients: list[str]) -> Frame:
    kept = pl.Series(patients, dtype=pl.String).implode()
    rows = frame.rows.filter(pl.col("patient_id").is_in(kept))
    return Frame(frame.sidecar, rows, frame.dictionaries)


def _reasons(patients: set[str], other: Mapping[str, Any]) -> dict[str, str]:
    """Patient -> why the other frame leaves it out."""
    told = {patient: why for why, some in other["excluded"].items() for patient in some}
    return {patient: told.get(patient, "not in the cohort then") for patient in sorted(patients)}


def _columns_only(having: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str]:
    """Column that only one frame has -> why the other has it not."""
    reasons = {}
    for name, about in having["columns"].items():
        if name in other["columns"]:
            continue
        if about["modality"] not in other["modalities"]:
            reasons[name] = f"modality {about['modality']} was not asked for"
        elif name in other.get("empty_columns", {}):
            reasons[name] = "no patient of the other frame has a value"
        else:
            reasons[name] = f"other definition of view {about['view']}"
    return reasons


def _key_changes(left: Frame, right: Frame) -> Iterator[pl.DataFrame]:
    for column, why in (("index_timestamp", Why.INDEX_MOVED), ("label", Why.OTHER_LABEL)):
        differs = left.rows[column].ne_missing(right.rows[column])
        yield _changes(left.rows, right.rows, column, differs, why=pl.lit(why.value))


def _value_changes(
    lake: Lake, left: Frame, right: Frame, about_a: Mapping[str, Any], about_b: Mapping[str, Any]
) -> Iterator[pl.DataFrame]:
    shared = [name for name in about_a["columns"] if name in about_b["columns"]]
    # Of two frames the later one knows all that the other one knew, unless it was taken back.
    later = _as_of(about_b) >= _as_of(about_a)
    knows_more = (right.rows["index_timestamp"] >= left.rows["index_timestamp"]) & later
    for view in dict.fromkeys(about_a["columns"][name]["view"] for name in shared):
        why = _why(
            _rows_behind(lake, view, left, about_a),
            _rows_behind(lake, view, right, about_b),
            left.rows["patient_id"],
            knows_more,
        )
        for column in shared:
            if about_a["columns"][column]["view"] != view:
                continue
            if about_a["columns"][column]["kind"] == "block":
                yield _block_changes(left, right, column, why)
            else:
                differs = left.rows[column].ne_missing(right.rows[column])
                yield _changes(left.rows, right.rows, column, differs, why=why)


def _as_of(about: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(about["as_of"])


def _rows_behind(lake: Lake, view: str, frame: Frame, about: Mapping[str, Any]) -> pl.DataFrame:
    """One row per patient of the frame: times and provenance, all null where it has no value."""
    behind = served_rows(
        lake,
        view,
        frame.rows.select("patient_id", "index_timestamp"),
        _PROVENANCE,
        known_by=_as_of(about),
        version=about["versions"][view],
    )
    wanted = ("event_timestamp", "created_timestamp", *_PROVENANCE)
    absent = [pl.lit(None).alias(name) for name in wanted if name not in behind.columns]
    return frame.rows.select("patient_id").join(
        behind.with_columns(absent), on="patient_id", how="left", maintain_order="left"
    )


def _why(
    before: pl.DataFrame, after: pl.DataFrame, patients: pl.Series, knows_more: pl.Series
) -> pl.Series:
    """(n,) reason for a change of each patient's row of one view."""
    rows = pl.DataFrame({"patient_id": patients, "knows_more": knows_more}).hstack(
        [
            frame[name].alias(f"{name}_{side}")
            for side, frame in (("a", before), ("b", after))
            for name in ("event_timestamp", "created_timestamp", *_PROVENANCE)
        ]
    )
    event_a, event_b = pl.col("event_timestamp_a"), pl.col("event_timestamp_b")
    same_source = pl.col("source_sha256_a").eq_missing(pl.col("source_sha256_b"))
    gone = event_b.is_null() | (event_b < event_a)
    why = (
        pl.when(pl.col("knows_more") & event_a.is_not_null() & gone)
        .then(pl.lit(Why.TAKEN_BACK.value))
        .when(event_b.is_null())
        .then(pl.lit(Why.NOT_KNOWN_YET.value))
        .when(event_a.is_null())
        .then(pl.lit(Why.LATE_ARRIVAL.value))
        .when(event_a != event_b)
        .then(pl.lit(Why.NEW_SPECIMEN.value))
        .when(same_source)
        .then(pl.lit(Why.OTHER_CODE.value))
        .otherwise(pl.lit(Why.CORRECTION.value))
    )
    return rows.select(why=why)["why"]


def _changes(
    before: pl.DataFrame,
    after: pl.DataFrame,
    column: str,
    differs: pl.Series,
    *,
    why: pl.Series | pl.Expr,
) -> pl.DataFrame:
    return (
        before.select("patient_id", column=pl.lit(column), before=pl.col(column).cast(pl.String))
        .with_columns(after[column].cast(pl.String).alias("after"), why=why)
        .filter(differs)
        .cast(VALUES_SCHEMA)
    )


def _block_changes(left: Frame, right: Frame, column: str, why: pl.Series) -> pl.DataFrame:
    """Patients whose vectors differ under the longer dictionary, told by number of positions."""
    about = right.sidecar.columns[column]
    width = max(len(f.dictionaries[about.axis or ""]) for f in (left, right))
    fill = np.nan if about.fill is None else about.fill
    before, after = (vector_matrix(f.rows[column], width, fill=fill) for f in (left, right))
    counts = ((before != after) & ~(np.isnan(before) & np.isnan(after))).sum(axis=1)
    absent = [f.rows[column].is_null() for f in (left, right)]
    differs = pl.Series(counts > 0) | (absent[0] != absent[1])
    changed = pl.Series([f"{count} of {width} positions" for count in counts])
    empty = pl.lit(None, pl.String)
    return (
        left.rows.select("patient_id", column=pl.lit(column))
        .with_columns(
            before=pl.when(absent[0]).then(empty).otherwise(pl.lit("a vector")),
            after=pl.when(absent[1]).then(empty).otherwise(changed),
            why=why,
        )
        .filter(differs)
        .cast(VALUES_SCHEMA)
    )
