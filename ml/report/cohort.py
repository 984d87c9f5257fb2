"""Sections on the patients: who is in, which assays they had, how groups differ before any model.

frame sidecar, per_class.csv, bias.parquet -> sections
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from ml.figures.style import modality_name
from ml.report.blocks import (
    NONE,
    Block,
    FactList,
    Section,
    Table,
    Text,
    number,
    percent,
    signed,
    whole,
)
from ml.training.stored import StoredModel, StoredTraining, read_table
from oncoframe.columns import Column

_PERFORMED = "performed["


def cohort_section(
    training: StoredTraining, frame: Mapping[str, Any], facts: Mapping[str, str]
) -> Section:
    """Who is in the frame, who is not and why, and which assays were performed."""
    rows = [
        ("Patients", facts["patients"]),
        *((("Deaths", facts["deaths"]),) if "deaths" in facts else ()),
        ("Predicted at", facts["index"]),
        ("Outcome", facts["label"]),
        ("Index dates", facts.get("dates", NONE)),
        ("Known as of", facts.get("as_of", NONE)),
        ("Same in all rows", facts.get("guards", NONE)),
    ]
    blocks: list[Block] = [FactList(tuple(rows))]
    excluded = {why: len(who) for why, who in frame.get("excluded", {}).items() if who}
    if excluded:
        blocks.append(
            Table(
                "Patients who were left out",
                ("Reason", "Patients"),
                tuple((why.replace("_", " "), whole(n)) for why, n in sorted(excluded.items())),
            )
        )
    else:
        blocks.append(Text("Nobody with a label was left out."))
    share = frame.get("performed_share") or {}
    if share:
        blocks.append(
            Table(
                "Assays performed",
                ("Assay", "Share of the patients"),
                tuple((modality_name(m), percent(share[m], 1)) for m in sorted(share)),
                note="A missing assay stays missing: no patient is dropped for it, and nothing is "
                "filled with zero.",
            )
        )
    left_out = {**training.study.features.exclude, **training.study.label.exclude}
    if left_out:
        blocks.append(
            Table(
                "Columns and labels that no model sees, by declaration of the study",
                ("What", "Reason"),
                tuple((Column.parse(what).within, why) for what, why in left_out.items()),
                words=2,
            )
        )
    return Section("cohort", "Cohort and exclusions", tuple(blocks))


def subgroup_section(training: StoredTraining, model: StoredModel) -> Section:
    """Results by group, and the data by group before any model."""
    floor = training.study.subgroups.min_patients
    table = read_table(model.folder, "subgroups.parquet")
    bias = read_table(training.folder, "bias.parquet")
    if table is None or table.is_empty():
        missing = "The study declares no groups, so results by group are missing."
        return Section("subgroups", "Groups of patients", (Text(missing, "warning"),))
    blocks: list[Block] = [
        Table(
            "Results by group",
            (
                "Grouping",
                "Group",
                "Patients",
                "Most frequent class",
                "Accuracy",
                "Less that of all others",
                "Coverage",
            ),
            tuple(_result_row(row) for row in table.iter_rows(named=True)),
            words=2,
            note="Most frequent class: the share of the group that is of the most frequent class "
            "of all, which is the accuracy of always naming it. "
            f"95 % intervals. Groups with fewer than {floor} patients have no number. Many "
            "groups are looked at: one interval that leaves out zero is no proof by itself.",
        )
    ]
    if bias is not None and not bias.is_empty():
        blocks.append(_bias_table(bias))
    return Section("subgroups", "Groups of patients", tuple(blocks))


def _result_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    share = row.get("majority_share")
    names = (
        str(row["grouping"]), str(row["group"]), whole(row["patients"]),
        NONE if share is None else percent(share, 1),
    )  # fmt: skip
    if row["too_few"]:
        return (*names, "too few", "too few", "too few")
    return (*names, _cell(row, "accuracy"), _cell(row, "difference", sign=True),
            _cell(row, "coverage"))  # fmt: skip


def _cell(row: Mapping[str, Any], metric: str, *, sign: bool = False) -> str:
    values = [row[f"{metric}{end}"] for end in ("", "_low", "_high")]
    if values[0] is None:
        return NONE
    if sign:
        return signed(values)
    value, low, high = (number(v) for v in values)
    return f"{value} [{low}, {high}]"


def _bias_table(bias: pl.DataFrame) -> Table:
    assays = [name for name in bias.columns if name.startswith(_PERFORMED)]
    heads = [name.removeprefix(_PERFORMED).removesuffix("]") for name in assays]
    return Table(
        "The data by group, before any model",
        ("Grouping", "Group", "Class with the largest difference", "Difference", "Patients",
         "Imbalance", *(modality_name(head) for head in heads)),
        tuple(
            (
                str(row["grouping"]), str(row["group"]), row["label"] or NONE,
                NONE if row["label_difference"] is None else _points(row["label_difference"]),
                whole(row["patients"]), number(row["class_imbalance"], 2),
                *(percent(row[name]) for name in assays),
            )
            for row in bias.iter_rows(named=True)
        ),
        words=3,
        note="Imbalance runs from -1 (everybody is in the group) to 1 (nobody is). Difference: "
        "share of the class in the group less its share among the others, in percentage points. "
        "The assays' columns show the share of the group that had them.",
    )  # fmt: skip


def _points(difference: float) -> str:
    return signed([100 * difference, None, None], 1)
