"""Sections on how good the models are: all of them, classes, calibration, prediction sets.

result.json, differences.parquet, per_class.csv, confusion.json, calibration.json, coverage.json
-> sections
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml.figures.classes import (
    class_count_figure,
    grouped,
    similar_confusion_figure,
    similarity_order,
)
from ml.figures.performance import reliability_figure
from ml.report.blocks import (
    NONE,
    Block,
    Picture,
    Section,
    Table,
    Text,
    interval,
    percent,
    picture,
    signed,
    stored_picture,
    whole,
)
from ml.report.facts import METRIC_NAMES
from ml.training.stored import StoredModel, StoredTraining, read_json, read_table

#: Metrics of the paired differences; the others are in the registry.
_COMPARED = {"concordance": "Concordance index", "accuracy": "Accuracy", "macro_f1": "Macro F1"}
_CLASS_METRICS = ("precision", "recall", "f1", "auroc")


def results_section(training: StoredTraining, model: StoredModel) -> Section:
    """Every recipe on every modality set, paired differences, and the shuffled labels."""
    result = training.result
    rows = result["recipes"]
    shown = [key for key in METRIC_NAMES if any(f"{key}_ci" in row for row in rows)]
    first, rest = shown[:4], shown[4:]
    blocks: list[Block] = [_model_table("Models, 95 % intervals", rows, first, model)]
    if rest:
        blocks.append(_model_table("Models, other measures", rows, rest, model))
    blocks += [_majority(result), *_modalities(training.folder, rows)]
    if (differences := _differences(training, model)) is not None:
        blocks.append(differences)
    blocks += _above_baseline(result)
    permuted = training.permuted
    if permuted:
        blocks.append(_permuted_table(permuted))
        if not all(row["at_chance"] for row in permuted):
            blocks.append(
                Text("A model of shuffled labels is not at chance: something leaks, or the "
                     "interval missed by chance (1 in 20).", "warning")
            )  # fmt: skip
    else:
        blocks.append(Text("No model was trained on shuffled labels.", "warning"))
    return Section("results", "Results", tuple(blocks))


def _model_table(
    caption: str, rows: list[dict[str, Any]], metrics: list[str], model: StoredModel
) -> Table:
    this = {
        at
        for at, row in enumerate(rows)
        if (row["recipe"], row["modalities"]) == (model.recipe, model.modality_set)
    }
    return Table(
        caption,
        ("Recipe", "Modality set", "Columns", *(_head(METRIC_NAMES[name]) for name in metrics)),
        tuple(
            (row["recipe"], row["modalities"], whole(row["features"]),
             *(interval(_estimate(row, name)) for name in metrics))
            for row in rows
        ),
        words=2,
        strong=frozenset(this),
        note="The model of this page stands out. Out-of-fold predictions, same folds for every "
        "row; intervals over patients (bootstrap).",
    )  # fmt: skip


def _head(name: str) -> str:
    return name[0].upper() + name[1:]


def _estimate(row: Mapping[str, Any], metric: str) -> list[float | None] | None:
    return [row[metric], *row[f"{metric}_ci"]] if f"{metric}_ci" in row else None


def _majority(result: Mapping[str, Any]) -> Text:
    share = result.get("majority_share")
    if share is None:
        return Text("")
    return Text(f"Always naming the most frequent class would be right for {percent(share, 1)} "
                "of the patients.")  # fmt: skip


def _modalities(folder: Path, rows: list[dict[str, Any]]) -> list[Block]:
    """Figures of the modality sets that the training drew, one per recipe with several."""
    return [
        stored_picture(
            file.read_bytes(),
            alt=f"Accuracy and macro F1 of {recipe} on each modality set, with 95 % intervals; "
            "the numbers stand in the table above.",
            caption=f"What each modality contributes, {recipe}.",
            width=980,
        )
        for file in sorted(folder.glob("modalities_*.png"))
        if (recipe := file.stem.removeprefix("modalities_"))
        and sum(row["recipe"] == recipe for row in rows) > 1
    ]


def _differences(training: StoredTraining, model: StoredModel) -> Table | None:
    """What the model of the page is above every other one."""
    found: dict[str, dict[str, list[float | None]]] = {}
    for one, other, metric, value, low, high in training.differences.iter_rows():
        if model.name == one:
            found.setdefault(other, {})[metric] = [value, low, high]
        elif model.name == other:
            found.setdefault(one, {})[metric] = [-value, -high, -low]
    metrics = [m for m in _COMPARED if any(m in row for row in found.values())]
    if not found:
        return None
    return Table(
        f"{model.name} against the other models, paired differences",
        ("Other model", *(_COMPARED[m] for m in metrics)),
        tuple((other, *(signed(row.get(m)) for m in metrics)) for other, row in found.items()),
        note="Same patients and folds. An interval that holds 0 shows no difference.",
    )


def _above_baseline(result: Mapping[str, Any]) -> list[Block]:
    above = result.get("above_baseline") or {}
    if not above.get("baseline"):
        return []
    metric = next((m for m in _COMPARED if m in above), None)
    if metric is None:
        return []
    estimate = above[metric]
    is_above = estimate[1] is not None and estimate[1] > 0
    said = "is above" if is_above else "is not shown to be above"
    return [
        Text(
            f"The best model {said} the best plain baseline ({above['baseline']}): "
            f"{METRIC_NAMES[metric]} {signed(estimate)}.",
            "plain" if is_above else "warning",
        )
    ]


def _permuted_table(permuted: list[dict[str, Any]]) -> Table:
    shown = [m for m in ("accuracy", "macro_f1", "auroc", "concordance") if m in permuted[0]]
    return Table(
        "Check: the same evaluation on shuffled labels",
        ("Modality set", "At chance", *(_head(METRIC_NAMES[m]) for m in shown)),
        tuple(
            (row["modalities"], "yes" if row["at_chance"] else "no",
             *(interval(row[m]) for m in shown))
            for row in permuted
        ),
        words=2,
        note="With labels of other patients there is nothing to find; AUROCs or concordances "
        "whose intervals leave out 0.5 would show a leak, if it is more than one row in ten.",
    )  # fmt: skip


def classes_section(training: StoredTraining, model: StoredModel) -> Section | None:
    """Results per class, class counts and the confusion matrix; None where there are none."""
    table = read_table(model.folder, "per_class.csv")
    confusion = read_json(model.folder, "confusion.json")
    if table is None or confusion is None:
        return None
    metrics = [m for m in _CLASS_METRICS if m in table.columns]
    names, sizes = [str(name) for name in table["class"]], table["patients"].to_list()
    groups = grouped(names, training.study.label.groups)
    return Section(
        "classes",
        "Classes",
        (
            _class_table(table, groups, metrics),
            picture(
                class_count_figure(names, sizes, groups),
                alt="Bar chart of the patients of each class, which are in the table above.",
                caption="Patients per class.",
            ),
            _confusion_picture(training, confusion),
        ),
    )


def _class_table(
    table: pl.DataFrame, groups: Mapping[str, np.ndarray], metrics: list[str]
) -> Table:
    of = {i: name for name, positions in groups.items() for i in positions.tolist()}
    place = {name: at for at, name in enumerate(groups)}
    rows = sorted(
        enumerate(table.iter_rows(named=True)),
        key=lambda row: (place[of[row[0]]], -row[1]["patients"], str(row[1]["class"])),
    )
    total, several = int(table["patients"].sum()), len(groups) > 1
    return Table(
        "Results per class, largest class first, 95 % intervals",
        ("Class", *(["Group"] if several else []), "Patients", "Share",
         *(_head(METRIC_NAMES.get(m, m)) for m in metrics)),
        tuple(
            (
                str(row["class"]),
                *([of[at]] if several else []),
                whole(row["patients"]),
                percent(row["patients"] / total, 1),
                *(_class_cell(row, m) for m in metrics),
            )
            for at, row in rows
        ),
        words=1 + several,
        note="Means over the repeats of the cross-validation. Intervals of classes with few "
        "patients are wide and, where all or none are right, too narrow to be believed.",
    )  # fmt: skip


def _confusion_picture(training: StoredTraining, confusion: Mapping[str, Any]) -> Picture:
    similarity = read_json(training.folder, "similarity.json")
    classes = list(confusion["classes"])
    counts = np.asarray(confusion["confusion"], dtype=np.float64)
    groups = grouped(classes, training.study.label.groups)
    order, ordered = np.concatenate(list(groups.values())), False
    if similarity is not None and similarity["classes"] == classes:
        order, ordered = similarity_order(np.asarray(similarity["links"]), groups), len(classes) > 2  # noqa: PLR2004
    within = " within a group" if len(groups) > 1 else ""
    return picture(
        similar_confusion_figure(classes, counts, order, groups),
        alt=f"Confusion matrix of {len(classes)} classes. Recall per class, the diagonal, is "
        "in the table above.",
        caption="Confusion matrix: percent of the patients of a row, and below it the patients, "
        "mean over the repeats. "
        + (f"Similar classes stand side by side{within}." if ordered else ""),
    )


def _answered(most: int) -> str:
    return "one class in the set" if most == 1 else f"1 to {most} classes in the set"


def _class_cell(row: Mapping[str, Any], metric: str) -> str:
    return interval([row[metric], row[f"{metric}_ci_low"], row[f"{metric}_ci_high"]], 2)


def calibration_section(model: StoredModel) -> Section:
    """Slope, intercept, calibration error and reliability curve, before and after."""
    found = read_json(model.folder, "calibration.json")
    if found is None:
        text = Text("Calibration was not measured for this model.", "warning")
        return Section("calibration", "Calibration", (text,))
    named = {"as the model gives them": found["before"], "recalibrated": found["after"]}
    table = Table(
        "Calibration of the probabilities, 95 % intervals",
        ("Probabilities", "Slope", "Intercept", "Expected calibration error"),
        tuple(
            (name, interval(c["slope"], 2), interval(c["intercept"], 2), interval(c["ece"]))
            for name, c in named.items()
        ),
        note="Ideal: slope 1, intercept 0, error 0. A slope below 1 is overconfidence. The error "
        "is above 0 by chance also for a calibrated model.",
    )
    curve = picture(
        reliability_figure({name: c["reliability"] for name, c in named.items()}),
        alt="Reliability curve: share of correct predictions against the mean probability of the "
        "predicted class, in groups of equally many patients, before and after recalibration.",
        caption="Reliability of the predicted class, in groups of equally many patients.",
    )
    power = Text(
        f"Recalibrated by temperature scaling; the stored model uses the power "
        f"{found['power']:.2f}. In cross-validation it was fitted on training patients only."
    )
    return Section("calibration", "Calibration", (table, curve, power))


def conformal_section(training: StoredTraining, model: StoredModel) -> Section:
    """Coverage of the prediction sets, overall and per class, and abstention."""
    found = read_json(model.folder, "coverage.json")
    if found is None:
        text = Text("The model gives no prediction sets.", "warning")
        return Section("sets", "Prediction sets", (text,))
    plan = training.study.conformal
    overall = Table(
        f"Prediction sets made to hold the true class of {percent(found['asked'])} of patients",
        ("Measure", "Value"),
        (
            ("Sets that hold the true class", interval(found["overall"])),
            ("Classes per set, mean", interval(found["mean_size"], 2)),
            (f"Answered ({_answered(plan.answer_at_most)})",
             interval(found["answered"])),
            ("Accuracy where answered", interval(found["accuracy_answered"])),
        ),
        note="The model abstains for the other patients.",
    )  # fmt: skip
    by_class = Table(
        "Coverage per class",
        ("Class", "Own threshold", "Patients", "Coverage"),
        tuple(
            (row["class"], "yes" if row["patients"] >= plan.min_patients else "shared",
             whole(row["patients"]), interval(row["coverage"], 2) if row["patients"] else NONE)
            for row in sorted(found["by_class"], key=lambda r: (-r["patients"], r["class"]))
        ),
        words=2,
        note=f"Classes with fewer than about {plan.min_patients} patients to learn from share a "
        "threshold; the promise holds for them together, not for each.",
    )  # fmt: skip
    return Section("sets", "Prediction sets", (overall, by_class))
