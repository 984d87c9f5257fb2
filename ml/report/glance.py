"""First section of a page: what a reader asks before reading on, answered in sentences.

study, result.json, frame sidecar, files of the model, conditions of the gate -> names and sentences
"""

from collections.abc import Mapping, Sequence

import polars as pl

from ml.figures.style import modality_name
from ml.promotion.criteria import Condition
from ml.report.blocks import Block, FactList, Section, interval, percent, whole
from ml.report.facts import METRIC_NAMES, best_by, row_of
from ml.report.headline import rivals_in_words
from ml.training.stored import StoredModel, StoredTraining, read_json, read_table

#: Classes named one by one; of more, the largest and the smallest.
_NAMED_CLASSES = 4
#: Classes of the lowest recall that are named.
_WORST = 3
_ENDS = ("", "_ci_low", "_ci_high")


def glance_section(
    training: StoredTraining,
    model: StoredModel,
    facts: Mapping[str, str],
    gate: Sequence[Condition],
) -> Section:
    """What is predicted, for whom, how well against doing nothing, where it fails, where used."""
    rows = [
        ("Question", facts["title"]),
        ("Answers", _classes(model) or facts.get("events", "")),
        ("Asked at", facts["index"]),
        ("From", _inputs(training, model, facts)),
        ("For whom", _whom(facts)),
        ("Tested by", _tested(facts)),
        ("Best by", _chosen(training)),
        ("Against less", rivals_in_words(training.result) or _against_nothing(training, model)),
        ("Probabilities", facts.get("calibration", "")),
        ("Single answers", _answers(model)),
        ("Fails most for", _worst(model)),
        ("Differs between", _groups(model)),
        ("Fit for release", released(gate)),
        ("Not for", "The care of patients: nobody has tried the model there."),
    ]
    blocks: tuple[Block, ...] = (FactList(tuple(row for row in rows if row[1]), wide=True),)
    return Section("glance", "In short", blocks)


def released(gate: Sequence[Condition]) -> str:
    """What the gate says, in a sentence; empty where nobody asked it."""
    if not gate:
        return ""
    failed = [condition.name.replace("_", " ") for condition in gate if not condition.passed]
    if not failed:
        return "The gate finds nothing against it; a person decides, with a reason."
    return (
        f"No: of the {len(gate)} conditions of the gate {len(failed)} fail "
        f"({', '.join(failed)}); the section Release says why."
    )


def _classes(model: StoredModel) -> str:
    table = read_table(model.folder, "per_class.csv")
    if table is None:
        return ""
    total = int(table["patients"].sum())
    sizes = table.sort("patients", "class", descending=[True, False]).select("class", "patients")
    named = [f"{name} ({whole(n)}, {percent(n / total)})" for name, n in sizes.iter_rows()]
    if len(named) <= _NAMED_CLASSES:
        return " or ".join(named)
    return f"One of {len(named)} classes, from {named[0]} to {named[-1]}"


def _inputs(training: StoredTraining, model: StoredModel, facts: Mapping[str, str]) -> str:
    uses = ", ".join(modality_name(name) for name in row_of(training.result, model)["uses"])
    return f"{uses}: {facts['features']} columns, known by then"


def _whom(facts: Mapping[str, str]) -> str:
    sites = f" of {facts['site_count']} sites" if "site_count" in facts else ""
    dates = f", {facts['dates']}" if "dates" in facts else ""
    out = facts.get("excluded", "")
    return f"{facts['patients']} patients{sites}{dates}" + (f"; left out: {out}" if out else "")


def _tested(facts: Mapping[str, str]) -> str:
    repeated = f", repeated {facts['repeats']} times" if facts["repeats"] != "1" else ""
    return (
        f"{facts['folds']}-fold cross-validation{repeated}, split {facts['split']}; in no other "
        "cohort"
    )


def _chosen(training: StoredTraining) -> str:
    metric = best_by(training.result) or "concordance"
    models = len(training.result["recipes"])
    if models == 1:
        return ""
    return f"{METRIC_NAMES[metric]}, of {models} models on these patients"


def _against_nothing(training: StoredTraining, model: StoredModel) -> str:
    """What older trainings say: the accuracy of always naming the most frequent class."""
    share, row = training.result.get("majority_share"), row_of(training.result, model)
    if share is None or "accuracy_ci" not in row:
        return ""
    beats = "beats" if row["accuracy_ci"][0] > share else "does not beat"
    own = interval([row["accuracy"], *row["accuracy_ci"]])
    return f"{beats} always naming the most frequent class (accuracy {own} against {share:.3f})"


def _answers(model: StoredModel) -> str:
    found = read_json(model.folder, "coverage.json")
    if found is None:
        return ""
    return (
        f"For {percent(found['answered'][0])} of the patients, right for "
        f"{interval(found['accuracy_answered'])} of them; it abstains for the others"
    )


def _worst(model: StoredModel) -> str:
    table = read_table(model.folder, "per_class.csv")
    if table is None:
        return ""
    worst = table.sort("recall", "class").head(_WORST if table.height > _NAMED_CLASSES else 1)
    return "; ".join(
        f"{row['class']} (recall {interval([row[f'recall{end}'] for end in _ENDS], 2)}, "
        f"{whole(row['patients'])} patients)"
        for row in worst.iter_rows(named=True)
    )


def _groups(model: StoredModel) -> str:
    table = read_table(model.folder, "subgroups.parquet")
    if table is None or table.is_empty():
        return ""
    apart = table.filter((pl.col("difference_low") > 0) | (pl.col("difference_high") < 0))
    looked = f"of {table.filter(~pl.col('too_few')).height} groups looked at"
    if apart.is_empty():
        return f"No group differs from the others in accuracy, {looked}"
    by_grouping = apart.group_by("grouping", maintain_order=True).agg("group")
    named = "; ".join(f"{name} ({', '.join(groups)})" for name, groups in by_grouping.iter_rows())
    return f"{named}, {looked}"
