"""Sections on how good the models are: all of them, classes, calibration, prediction sets.

result.json, differences.parquet, per_class.csv, confusion.json, calibration.json, coverage.json
-> sections
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml.evaluation.shuffled import CHANCE_MARGIN
from ml.figures.classes import (
    class_count_figure,
    grouped,
    similar_confusion_figure,
    similarity_order,
)
from ml.figures.performance import reliability_figure
from ml.promotion.criteria import judge_training
from ml.report.blocks import (
    NONE,
    Block,
    Picture,
    Section,
    Table,
    Text,
    interval,
    number,
    percent,
    picture,
    signed,
    stored_picture,
    whole,
)
from ml.report.facts import CALIBRATORS, METRIC_NAMES, estimate_of, row_of
from ml.training.stored import StoredModel, StoredTraining, read_json, read_table

#: Metrics of the paired differences; the others are in the registry.
_COMPARED = {
    "concordance": "Concordance index",
    "log_loss": "Log loss",
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
}
_CLASS_METRICS = ("precision", "recall", "f1", "auroc")


def results_section(training: StoredTraining, model: StoredModel) -> Section:
    """Every recipe on every modality set, paired differences, and the shuffled labels."""
    result = training.result
    rows = result["recipes"]
    shown = [key for key in METRIC_NAMES if any(f"{key}_ci" in row for row in rows)]
    # Of all classes the mean recall is the balanced accuracy.
    shown = [key for key in shown if key != "macro_recall"]
    first, rest = shown[:4], shown[4:]
    blocks: list[Block] = [
        _model_table("Models, 95 % intervals", [*_constant(result), *rows], first, model)
    ]
    if rest:
        blocks.append(_model_table("Models, other measures", rows, rest, model))
    blocks += [*_rivals(result), *_modalities(training.folder, rows)]
    if (differences := _differences(training, model)) is not None:
        blocks.append(differences)
    blocks += _complete_cases(training, model)
    permuted = training.permuted
    if permuted:
        blocks.append(_permuted_table(permuted))
        if any(row["at_chance"] is False for row in permuted):
            blocks.append(
                Text("A model of shuffled labels is above chance: something leaks.", "warning")
            )
        if any(row["at_chance"] is None for row in permuted):
            blocks.append(Text("A shuffle of the labels could not be measured.", "warning"))
    else:
        blocks.append(Text("No model was trained on shuffled labels.", "warning"))
    return Section("results", "Results", tuple(blocks))


def _constant(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The class shares as a row of the result table."""
    if "constant" not in result:
        return []
    return [{"recipe": "class shares", "modalities": NONE, "features": 0, **result["constant"]}]


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
             *(interval(estimate_of(row, name)) for name in metrics))
            for row in rows
        ),
        words=2,
        strong=frozenset(this),
        note="The model of this page stands out. Out-of-fold predictions, same folds for every "
        "row; intervals over patients (bootstrap).",
    )  # fmt: skip


def _head(name: str) -> str:
    return name[0].upper() + name[1:]


def _against(
    differences: pl.DataFrame, model: StoredModel
) -> dict[str, dict[str, list[float | None]]]:
    """Other model -> metric -> what the model is above it."""
    found: dict[str, dict[str, list[float | None]]] = {}
    for one, other, metric, value, low, high in differences.iter_rows():
        if model.name == one:
            found.setdefault(other, {})[metric] = [value, low, high]
        elif model.name == other:
            found.setdefault(one, {})[metric] = [-value, -high, -low]
    return found


def _rivals(result: Mapping[str, Any]) -> list[Block]:
    """What the best model was chosen by, and what it is shown to beat."""
    rivals = result.get("rivals")
    if not rivals:
        return []
    by = METRIC_NAMES[result["best_by"]]
    constant, share = result["constant"], percent(result["majority_share"], 1)
    table = Table(
        f"Against simpler ways, by {by}, paired differences",
        ("Rival", "Its " + by, "Best model less rival", "Beaten"),
        tuple(
            (row["name"], interval(row["value"]), signed(row["difference"]),
             "yes" if row["is_beaten"] else "no")
            for row in rivals
        ),
        note=f"Best is the model with the best {by}, as the study declares. Always naming "
        f"{result['majority']} would be right for {share} of the patients; the class shares as "
        f"probabilities have a log loss of {interval(estimate_of(constant, 'log_loss'))} and a "
        f"Brier score of {interval(estimate_of(constant, 'brier'))}.",
    )  # fmt: skip
    missed = [row["name"] for row in rivals if not row["is_beaten"]]
    if not missed:
        return [table]
    said = f"The best model is not shown to beat {', '.join(missed)}."
    return [table, Text(said, "warning")]


def verdict_section(training: StoredTraining, frame: Mapping[str, Any]) -> Section | None:
    """What the gate asks of a model by itself, and what this one answers; None of other models."""
    if "rivals" not in training.result:
        return None
    found = judge_training(training.result, frame.get("guards") or {}, training.study.promotion)
    failed = [condition.name.replace("_", " ") for condition in found if not condition.passed]
    said = (
        f"The gate would refuse the best model: {', '.join(failed)}."
        if failed
        else "Nothing in the training stands against the best model."
    )
    table = Table(
        "Conditions of the gate that a training meets or fails by itself",
        ("Condition", "Holds", "What was found"),
        tuple((c.name.replace("_", " "), "yes" if c.passed else "no", c.sentence) for c in found),
        words=3,
        note="Champion, subgroups, drift and approver are asked for when somebody promotes it.",
    )
    return Section("verdict", "Verdict of the gate", (Text(said, "warning" if failed else "plain"),
                                                      table))  # fmt: skip


def _complete_cases(training: StoredTraining, model: StoredModel) -> list[Block]:
    """All models again, on the patients who had every assay."""
    result = training.result
    found = result.get("complete_cases")
    if found is None or found["patients"] == row_of(result, model)["patients"]:
        return []
    if found["reason"]:
        return [Text(f"Patients with every assay: {found['reason']}.")]
    asked = ("concordance", "log_loss", "auroc", "accuracy")
    shown = [name for name in asked if f"{name}_ci" in found["recipes"][0]]
    by = result.get("best_by", "concordance")
    apart = {
        other: row[by] for other, row in _against(training.complete_differences, model).items()
    }
    return [
        Table(
            f"The same models on the {found['patients']} patients who had every assay",
            ("Recipe", "Modality set", *(_head(METRIC_NAMES[name]) for name in shown),
             f"Best model less this, {METRIC_NAMES[by]}"),
            tuple(
                (row["recipe"], row["modalities"],
                 *(interval(estimate_of(row, name)) for name in shown),
                 signed(apart.get(f"{row['recipe']} on {row['modalities']}")))
                for row in found["recipes"]
            ),
            words=2,
            note="Above, a missing assay counts as missing, and everybody takes part. Here every "
            f"row is of the patients who had {', '.join(found['assays'])}.",
        )
    ]  # fmt: skip


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
    found = _against(training.differences, model)
    metrics = [m for m in _COMPARED if any(m in row for row in found.values())]
    if not found:
        return None
    return Table(
        f"{model.name} against the other models, paired differences",
        ("Other model", *(_COMPARED[m] for m in metrics)),
        tuple((other, *(signed(row.get(m)) for m in metrics)) for other, row in found.items()),
        note="Same patients and folds. An interval that holds 0 shows no difference.",
    )


_AT_CHANCE = {True: "yes", False: "no", None: "not measured"}


def _permuted_table(permuted: list[dict[str, Any]]) -> Table:
    shown = [m for m in ("accuracy", "macro_f1", "auroc", "concordance") if m in permuted[0]]
    return Table(
        "Check: the same evaluation on shuffled labels",
        ("Modality set", "At chance", *(_head(METRIC_NAMES[m]) for m in shown)),
        tuple(
            (row["modalities"], _AT_CHANCE[row["at_chance"]],
             *(interval(row[m]) for m in shown))
            for row in permuted
        ),
        words=2,
        note="With labels of other patients there is nothing to find. A row more than "
        f"{CHANCE_MARGIN:g} above 0.5 whose interval, widened for {len(permuted)} rows, leaves out "
        "0.5 would show a leak.",
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
    if found is None or "classes" not in found["after"]:
        text = Text("Calibration was not measured for this model, or by an older version only.",
                    "warning")  # fmt: skip
        return Section("calibration", "Calibration", (text,))
    named = {"as the model gives them": found["before"], "recalibrated": found["after"]}
    after = found["after"]
    because = f" {after['reason']}." if after["reason"] else ""
    table = Table(
        f"Calibration of the probabilities, 95 % intervals; in the large of {after['of']}",
        ("Probabilities", "In the large", "Observed / expected", "Slope",
         "Expected calibration error"),
        tuple(
            (name, interval(c["in_the_large"], 2), interval(c["observed_expected"], 2),
             interval(c["slope"], 2), interval(c["ece"]))
            for name, c in named.items()
        ),
        note="Ideal: in the large 0, observed over expected 1, slope 1, error 0. In the large "
        "below 0: too much was predicted. A slope below 1 is overconfidence. The error is above 0 "
        "by chance also for a calibrated model." + because,
    )  # fmt: skip
    by_class = Table(
        "Calibration class by class, each against all others",
        ("Class", "Patients", "Expected", "In the large", "Observed / expected", "Slope"),
        tuple(
            (c["class"], whole(c["events"]), number(c["expected"], 1),
             interval(c["in_the_large"], 2), interval(c["observed_expected"], 2),
             interval(c["slope"], 2) if c["slope"][0] is not None else c["reason"] or NONE)
            for c in after["classes"]
        ),
    )  # fmt: skip
    curve = picture(
        reliability_figure({name: c["reliability"] for name, c in named.items()}),
        alt="Reliability curve: share of correct predictions against the mean probability of the "
        "predicted class, in groups of equally many patients, before and after recalibration.",
        caption="Reliability of the predicted class, in groups of equally many patients.",
    )
    said = CALIBRATORS[found["calibrator"]["kind"]]
    if not found["is_calibrated"]:
        said = "none; what the folds chose made the log loss worse out of fold"
    chosen = Text(
        f"Recalibration of the stored model: {said}. In cross-validation it was chosen and fitted "
        "on training patients only, after the class weights were taken back."
    )
    return Section("calibration", "Calibration", (table, by_class, curve, chosen))


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
