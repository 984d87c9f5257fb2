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
    Details,
    FactList,
    Section,
    Table,
    Text,
    number,
    percent,
    signed,
    whole,
)
from ml.report.words import Dictionary
from ml.training.stored import StoredModel, StoredTraining, read_table
from oncoframe.columns import Column

_PERFORMED = "performed["
#: Between thousands.
_THIN = "\N{NARROW NO-BREAK SPACE}"
_TWO_CLASSES = 2


def cohort_section(
    training: StoredTraining,
    frame: Mapping[str, Any],
    facts: Mapping[str, str],
    dictionary: Dictionary,
    sites: pl.Series | None,
) -> Section:
    """Who is in the frame, who is not and why, what was measured, and what is odd about it.

    Parameters
    ----------
    sites : (n,) series of str, optional
        Where each patient was seen.
    """
    rows = [
        ("Patients", facts["patients"]),
        *((("Deaths", facts["deaths"]),) if "deaths" in facts else ()),
        *((("Censored", facts["censored"]),) if "censored" in facts else ()),
        ("Predicted at", facts["index"]),
        ("Outcome", facts["label"]),
        ("Index dates", facts.get("dates", NONE)),
        ("Known as of", facts.get("as_of", NONE)),
        ("Same in all rows", facts.get("guards", NONE)),
    ]
    blocks: list[Block] = [FactList(tuple(rows)), _left_out(frame)]
    share = frame.get("performed_share") or {}
    unread = frame.get("unread") or {}
    if share:
        blocks.append(
            Table(
                "Assays performed",
                ("Assay", "Share of the patients", "Could not be read"),
                tuple(
                    (modality_name(m), percent(share[m], 1), whole(len(unread.get(m, ()))))
                    for m in sorted(share)
                ),
                note="A missing assay stays missing: no patient is dropped for it, and nothing is "
                "filled with zero. A file that could not be read counts as not performed.",
            )
        )
    if sites is not None and sites.n_unique() > 1:
        blocks.append(_sites(sites, facts))
    blocks += [
        *_sets_without_data(training, frame),
        *_excluded_columns(training),
        *_empty_columns(frame),
        *_suspects(suspected_leaks(training, frame, dictionary)),
        *_implausible(frame, dictionary),
    ]
    return Section("cohort", "Cohort and exclusions", tuple(blocks))


def _left_out(frame: Mapping[str, Any]) -> Block:
    excluded = {why: len(who) for why, who in frame.get("excluded", {}).items() if who}
    if not excluded:
        return Text("Nobody with a label was left out.")
    return Table(
        "Patients who were left out",
        ("Reason", "Patients"),
        tuple((why.replace("_", " "), whole(n)) for why, n in sorted(excluded.items())),
    )


def _sites(sites: pl.Series, facts: Mapping[str, str]) -> Table:
    counts = sites.replace("", None).alias("site").value_counts(sort=True)
    return Table(
        "Sites",
        ("Site", "Patients", "Share"),
        tuple(
            (site or "not known", whole(n), percent(n / len(sites), 1))
            for site, n in sorted(counts.iter_rows(), key=lambda row: (-row[1], row[0] or ""))
        ),
        note=f"Patients were split {facts['split']}.",
    )


def without_data(training: StoredTraining, frame: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Modality sets of the study that say nothing of their own, and why."""
    share = frame.get("performed_share") or {}
    declared = frame.get("study_definition", {}).get("modality_sets", {})
    trained = training.study.modality_sets
    found = []
    for name, modalities in declared.items():
        absent = [modality_name(m) for m in modalities if share.get(m) == 0]
        if absent:
            why = f"no patient had {' or '.join(absent)}"
            found.append((name, f"not trained: {why}" if name not in trained else why))
    return found


def _sets_without_data(training: StoredTraining, frame: Mapping[str, Any]) -> list[Block]:
    rows = without_data(training, frame)
    return [
        Table("Modality sets that lack data", ("Set", "What is missing"), tuple(rows), words=2)
    ] if rows else []  # fmt: skip


def _excluded_columns(training: StoredTraining) -> list[Block]:
    left_out = {**training.study.features.exclude, **training.study.label.exclude}
    return [
        Table(
            "Columns and labels that no model sees, by declaration of the study",
            ("What", "Reason"),
            tuple(
                (Column.parse(what).within.replace("_", " "), why) for what, why in left_out.items()
            ),
            words=2,
        )
    ] if left_out else []  # fmt: skip


def _empty_columns(frame: Mapping[str, Any]) -> list[Block]:
    """Columns of which no patient has a value; they are in no model."""
    of: dict[str, list[str]] = {}
    for about in (frame.get("empty_columns") or {}).values():
        of.setdefault(about["modality"], []).append(str(about["feature"]).replace("_", " "))
    return [
        Details(
            f"Empty in this cohort and left out: {len(names)} column{'s'[: len(names) > 1]} of "
            f"{modality_name(modality)}",
            ", ".join(names),
        )
        for modality, names in sorted(of.items())
    ]


def suspected_leaks(
    training: StoredTraining, frame: Mapping[str, Any], dictionary: Dictionary
) -> list[tuple[str, str, str]]:
    """Columns of a frame that tell a class too well: column, class and AUROC in words."""
    called = training.study.label.called()
    return [
        (dictionary.called(str(Column.of_safe(row["column"]))),
         called.get(row["label"], row["label"]), number(row["auc"]))
        for row in (frame.get("guards") or {}).get("suspected_leakage", [])
    ]  # fmt: skip


def _suspects(rows: list[tuple[str, str, str]]) -> list[Block]:
    return [
        Table(
            "Suspected leaks: columns that alone tell a class",
            ("Column", "Class", "AUROC"),
            tuple(rows),
            words=2,
            note="Out of fold, each column alone. A finding that defines its class is none; a "
            "column that was filled in after the diagnosis is one.",
        )
    ] if rows else []  # fmt: skip


def _implausible(frame: Mapping[str, Any], dictionary: Dictionary) -> list[Block]:
    rows = (frame.get("guards") or {}).get("implausible", [])
    if not rows:
        return []
    nulled = frame["study_definition"]["guards"]["implausible"] == "nulled"
    said = "taken as missing, as the study declares" if nulled else "kept"
    return [
        Table(
            f"Values that no measurement gives, {said}",
            ("Column", "Values", "Farthest", "Median of the column"),
            tuple(
                (dictionary.called(row["column"]), whole(row["values"]),
                 _four_digits(row["farthest"]), f"{row['median']:.4g}")
                for row in rows
            ),
        )
    ]  # fmt: skip


def _four_digits(value: float) -> str:
    """A number that may be huge: 295,000,030 as 295 000 000."""
    return f"{float(f'{value:.4g}'):,.12g}".replace(",", _THIN)


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
        blocks.append(_bias_table(bias, _rarer_of_two(model)))
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


def _rarer_of_two(model: StoredModel) -> str | None:
    """Of two classes the rarer one, None of more."""
    sizes = read_table(model.folder, "per_class.csv")
    if sizes is None or sizes.height != _TWO_CLASSES:
        return None
    return str(sizes.sort("patients", "class")["class"][0])


def _bias_table(bias: pl.DataFrame, of_two: str | None) -> Table:
    assays = [name for name in bias.columns if name.startswith(_PERFORMED)]
    heads = [name.removeprefix(_PERFORMED).removesuffix("]") for name in assays]
    # Of two classes what one has more the other has less: a table speaks of one of them.
    which = () if of_two else ("Class with the largest difference",)
    return Table(
        "The data by group, before any model",
        ("Grouping", "Group", *which, f"Difference, {of_two}" if of_two else "Difference",
         "Patients", "Imbalance", *(modality_name(head) for head in heads)),
        tuple(
            (
                str(row["grouping"]), str(row["group"]),
                *((row["label"] or NONE,) if which else ()),
                _difference(row, of_two), whole(row["patients"]), number(row["class_imbalance"], 2),
                *(percent(row[name]) for name in assays),
            )
            for row in bias.iter_rows(named=True)
        ),
        words=2 + len(which),
        note="Imbalance runs from -1 (everybody is in the group) to 1 (nobody is). Difference: "
        "share of the class in the group less its share among the others, in percentage points. "
        "The assays' columns show the share of the group that had them.",
    )  # fmt: skip


def _difference(row: Mapping[str, Any], of_two: str | None) -> str:
    value = row["label_difference"]
    if value is None:
        return NONE
    return _points(-value if of_two and row["label"] != of_two else value)


def _points(difference: float) -> str:
    return signed([100 * difference, None, None], 1)
