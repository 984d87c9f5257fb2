"""Section on what the numbers do not say, found in the numbers.

result.json, per_class.csv, coverage.json, subgroups.parquet -> sentences
"""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from ml.figures.style import modality_name
from ml.report.blocks import Section, Table, interval, number, percent
from ml.report.cohort import without_data
from ml.report.facts import best_by
from ml.training.stored import StoredModel, StoredTraining, read_json, read_table

#: Classes with fewer patients have intervals that say little.
FEW_PATIENTS = 20


def limits_section(
    training: StoredTraining,
    model: StoredModel,
    facts: Mapping[str, str],
    frame: Mapping[str, Any],
) -> Section:
    """Limits, those that the study declares first, each with what it rests on."""
    rows = [
        *(("Declared by the study", limit) for limit in training.study.limits),
        *_of_data(training, frame),
        ("Research use only", "No output is a diagnosis; nothing here was validated for care."),
        (
            "Internal validation",
            (
                f"{facts['folds']}-fold cross-validation in one cohort. How the model does "
                "elsewhere is not known."
            ),
        ),
        (
            "Choice of the model",
            (
                f"The page shows the best of {len(training.result['recipes'])} models on these "
                "patients; being the best flatters it a little."
            ),
        ),
        *_of_classes(model),
        *_of_sets(model),
        *_of_groups(model),
        *_of_comparison(training, model),
    ]
    return Section(
        "limits", "Limits", (Table("What the numbers do not say", ("Limit", "Why"), tuple(rows),
                                   words=2),)
    )  # fmt: skip


def _of_data(training: StoredTraining, frame: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    found = (frame.get("guards") or {}).get("suspected_leakage", [])
    if found:
        best = max(row["auc"] for row in found)
        verb = "columns alone tell" if len(found) > 1 else "column alone tells"
        said = f"{len(found)} {verb} a class, the best with AUROC {number(best)}."
        yield ("Suspected leaks", said)
    if training.study.clocks.dates is not None:
        yield (
            "Dates",
            f"{training.study.clocks.dates[0].upper()}{training.study.clocks.dates[1:]}.",
        )
    unread = {m: len(who) for m, who in (frame.get("unread") or {}).items()}
    if unread:
        named = ", ".join(f"{modality_name(m)} of {n} patients" for m, n in sorted(unread.items()))
        yield ("Files that could not be read", f"{named}: taken as not performed.")
    lacking = without_data(training, frame)
    if lacking:
        named = "; ".join(f"{name}: {why}" for name, why in lacking)
        yield ("Modality sets that lack data", f"{named}.")


def _of_classes(model: StoredModel) -> Iterator[tuple[str, str]]:
    table = read_table(model.folder, "per_class.csv")
    if table is None:
        return
    small = table.filter(pl.col("patients") < FEW_PATIENTS)
    if small.height:
        fewest = int(small["patients"].to_numpy().min())
        yield (
            "Small classes",
            (
                f"{small.height} of {table.height} classes have fewer than {FEW_PATIENTS} patients "
                f"(the smallest {fewest}): their intervals are wide."
            ),
        )
    never = table.filter(pl.col("recall") == 0)["class"].to_list()
    if never:
        yield ("Classes never recognised", "; ".join(never))


def _of_sets(model: StoredModel) -> Iterator[tuple[str, str]]:
    found = read_json(model.folder, "coverage.json")
    if found is None:
        return
    asked, overall = found["asked"], found["overall"]
    if overall[1] is not None and not overall[1] <= asked <= overall[2]:
        said = f"{percent(asked)} asked, {interval(overall)} observed: not as promised."
        yield ("Coverage of the sets", said)
    silent = 1 - found["answered"][0]
    if silent > 0:
        yield ("Abstention", (f"The model gives no single answer for {percent(silent, 1)} of the "
               "patients."))  # fmt: skip


def _of_groups(model: StoredModel) -> Iterator[tuple[str, str]]:
    table = read_table(model.folder, "subgroups.parquet")
    if table is None or table.is_empty():
        yield ("Groups of patients", "Results by sex, age or site were not looked at.")
        return
    few = table.filter(pl.col("too_few"))
    if few.height:
        yield ("Groups with too few patients", (f"{few.height} of {table.height} groups have no "
               "number."))  # fmt: skip
    apart = table.filter((pl.col("difference_low") > 0) | (pl.col("difference_high") < 0))
    if apart.height:
        named = "; ".join(
            f"{row['grouping']} {row['group']} "
            f"{interval([row['difference'], row['difference_low'], row['difference_high']])}"
            for row in apart.iter_rows(named=True)
        )
        yield ("Groups that differ", f"Accuracy less that of all others leaves out zero: {named}.")


def _of_comparison(training: StoredTraining, model: StoredModel) -> Iterator[tuple[str, str]]:
    table = training.differences
    if table.is_empty():
        return
    metric = best_by(training.result) or "concordance"
    own = table.filter(
        (pl.col("metric") == metric)
        & ((pl.col("one") == model.name) | (pl.col("other") == model.name))
        & (pl.col("low") <= 0)
        & (pl.col("high") >= 0)
    )
    if own.height:
        others = [
            other if one == model.name else one
            for one, other in own.select("one", "other").iter_rows()
        ]
        yield ("Models not told apart", (f"The interval of the difference holds 0 against: "
               f"{'; '.join(others)}."))  # fmt: skip
