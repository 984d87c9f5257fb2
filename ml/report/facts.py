"""Facts of a training in words: the source of the TRIPOD+AI checklist and of the page's header.

StoredTraining, frame sidecar -> facts (name -> text), only those that are known

A fact that is not known has no entry. Nothing here is typed in by hand.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from ml.evaluation.subgroups import SITE, UNKNOWN
from ml.report.blocks import interval, percent, whole
from ml.study.modelling import Recipe
from ml.training.stored import StoredModel, StoredTraining, read_json, read_table
from oncoframe.columns import Column

#: Metrics of a result row in the order of tables, as people call them.
METRIC_NAMES = {
    "concordance": "concordance index",
    "concordance_ipcw": "concordance (IPCW)",
    "log_loss": "log loss",
    "brier": "Brier score",
    "auroc": "AUROC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "macro_precision": "precision (macro)",
    "macro_recall": "recall (macro)",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
}
#: Metric that decided before studies declared one.
_DECIDED = "macro_f1"
_SPLITS = {
    "patient": "at random, all data of a patient in one fold",
    "site": "by site, so that every site is predicted by models of the others",
    "time": "in time, so that every patient is predicted by models of earlier ones",
}
_TESTED = {
    "patient": "each tested once per repeat",
    "site": "each tested once per repeat",
    "time": "each tested once, but the earliest block never",
}
_SAMPLERS = {
    "none": "no correction for class imbalance",
    "class_weights": "weights by class size (power {power:g}), taken back from the probabilities",
    "adasyn": "ADASYN within the training fold, taken back from the probabilities",
    "loras": "LoRAS within the training fold, taken back from the probabilities",
}
#: What was chosen to recalibrate with, in words.
CALIBRATORS = {
    "none": "none; no calibrator was better out of fold",
    "temperature": "temperature scaling",
    "platt": "logistic recalibration (Platt; temperature with an intercept per class)",
    "vector": "a slope and an intercept per class (beta calibration; vector scaling)",
    "isotonic": "isotonic regression",
}


def facts(
    training: StoredTraining, model: StoredModel, frame: Mapping[str, Any], dates: pl.Series
) -> dict[str, str]:
    """Everything that is known, by name.

    Parameters
    ----------
    training, model
        What was trained, and the model that the page is about.
    frame
        Sidecar of the frame.
    dates : (n,) series of times
        Index time of each patient.
    """
    study, result = training.study, training.result
    row = row_of(result, model)
    recipe = next(r for r in study.recipes if r.name == model.recipe)
    known: dict[str, str | None] = {
        "title": study.title,
        "study": study.name,
        "code_version": training.code_version,
        "run_id": training.run_id,
        "frame_id": training.frame_id,
        "label": f"{study.label.name.replace('_', ' ')}, version {study.label.version}",
        "index": study.clocks.index,
        "patients": whole(row["patients"]),
        "classes": whole(row["classes"]) if "classes" in row else None,
        "deaths": whole(row["deaths"]) if "deaths" in row else None,
        "features": whole(row["features"]),
        "modalities": ", ".join(row["uses"]),
        "model": model.recipe,
        "recipe": _recipe(recipe),
        "events": f"{row['deaths']} deaths" if "deaths" in row else "patients of each class",
        "stored": None if model.served is None else model.run_id,
        "imbalance": None
        if recipe.is_survival
        else _SAMPLERS[recipe.sampler].format(power=recipe.class_weight_power),
        "search": _search(recipe),
        "excluded": _excluded(frame),
        "as_of": _minute(frame["as_of"]) if "as_of" in frame else None,
        "dates": _dates(dates, study.clocks.dates),
        "censored": _censored(row),
        "performed": _performed(frame),
        "guards": _guards(frame),
        "metrics": _metrics(row),
        "best_by": METRIC_NAMES[result["best_by"]] if "best_by" in result else None,
        "baselines": _baselines(result),
        "verdict": _verdict(result),
        "comparison": ", ".join(dict.fromkeys(r["recipe"] for r in result["recipes"])),
        "permuted": _permuted(training),
        **_of_plan(training),
        **_of_model(model),
        **_subgroups(model, study.subgroups.min_patients),
    }
    return {name: text for name, text in known.items() if text}


def row_of(result: Mapping[str, Any], model: StoredModel) -> dict[str, Any]:
    """Row of a model in the result table."""
    found: dict[str, Any] = next(
        row
        for row in result["recipes"]
        if (row["recipe"], row["modalities"]) == (model.recipe, model.modality_set)
    )
    return found


def best_by(result: Mapping[str, Any]) -> str | None:
    """Metric by which the best model of a training is best; None for models of times."""
    if "concordance" in result["best"]:
        return None
    return str(result.get("best_by", _DECIDED))


def _baselines(result: Mapping[str, Any]) -> str | None:
    """What always saying the same would reach."""
    constant = result.get("constant")
    if constant is None:
        return None
    said = ", ".join(
        f"{METRIC_NAMES[name]} {interval(estimate_of(constant, name))}"
        for name in ("accuracy", "log_loss", "brier")
    )
    return f"always {result['majority']}, with the class shares as probabilities: {said}"


def _verdict(result: Mapping[str, Any]) -> str | None:
    """What the best model is shown to beat, and what not."""
    rivals = result.get("rivals")
    if not rivals:
        return None
    beaten, others = (
        [row["name"] for row in rivals if row["is_beaten"] is wanted] for wanted in (True, False)
    )
    said = [f"beats {', '.join(beaten)}"] if beaten else []
    said += [f"is not shown to beat {', '.join(others)}"] if others else []
    return f"{', but '.join(said)} (by {METRIC_NAMES[result['best_by']]})"


def estimate_of(row: Mapping[str, Any], metric: str) -> list[float | None] | None:
    """Value, low and high end of a metric of a result row."""
    return [row[metric], *row[f"{metric}_ci"]] if f"{metric}_ci" in row else None


def _recipe(recipe: Recipe) -> str:
    parts = [
        f"{recipe.model} ({recipe.fusion} fusion)",
        f"settings of {'the package' if recipe.defaults == 'library' else 'this project'}",
    ]
    if recipe.select:
        parts.append(f"{recipe.select} block columns kept by variance within the training fold")
    if recipe.modality_dropout:
        parts.append(f"modality dropout {recipe.modality_dropout:g}")
    return ", ".join(parts)


def _search(recipe: Recipe) -> str:
    if recipe.search is None:
        return "no hyper-parameter search"
    search = recipe.search
    return (
        f"hyper-parameter search, {search.trials} trials per training fold, "
        f"{search.inner_folds} inner folds, objective {search.objective}"
    )


def _excluded(frame: Mapping[str, Any]) -> str | None:
    excluded = frame.get("excluded")
    if excluded is None:
        return None
    if not any(excluded.values()):
        return "nobody was excluded"
    return "; ".join(
        f"{why.replace('_', ' ')} ({len(who)})" for why, who in excluded.items() if who
    )


def _minute(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _dates(dates: pl.Series, what: str | None) -> str | None:
    first, last = dates.min(), dates.max()
    if first is None or last is None:
        return None
    said = f"{first:%Y-%m} to {last:%Y-%m}"  # type: ignore[str-bytes-safe]
    return f"{said} ({what})" if what else said


def _censored(row: Mapping[str, Any]) -> str | None:
    if "deaths" not in row:
        return None
    alive = row["patients"] - row["deaths"]
    return f"{whole(alive)} alive when last seen, of whom nothing later is known"


def _reasons(excluded: Mapping[str, str]) -> str:
    return "; ".join(
        f"{Column.parse(name).within} ({why.strip().rstrip('.')})" for name, why in excluded.items()
    )


def _performed(frame: Mapping[str, Any]) -> str | None:
    share = frame.get("performed_share") or {}
    return ", ".join(f"{name} {percent(value)}" for name, value in sorted(share.items())) or None


def _guards(frame: Mapping[str, Any]) -> str | None:
    same = (frame.get("guards") or {}).get("same") or {}
    said = (f"{name.replace('_', ' ')} {value}" for name, value in sorted(same.items()) if value)
    return ", ".join(said) or None


def _metrics(row: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {interval([row[key], *row[f'{key}_ci']])}"
        for key, name in METRIC_NAMES.items()
        if key in row and f"{key}_ci" in row
    )


def _permuted(training: StoredTraining) -> str | None:
    said = [
        f"{row['modalities']}: {METRIC_NAMES[metric]} {interval(row[metric])}"
        for row in training.permuted
        for metric in ("auroc", "concordance")
        if metric in row
    ]
    return "; ".join(said) or None


def _of_plan(training: StoredTraining) -> dict[str, str | None]:
    plan = training.study.cross_validation
    return {
        "folds": str(plan.folds),
        "repeats": str(plan.repeats),
        "split": _SPLITS[plan.split],
        "tested": _TESTED[plan.split],
        "feature_exclusions": _reasons(training.study.features.exclude),
    }


def _of_model(model: StoredModel) -> dict[str, str | None]:
    calibration = read_json(model.folder, "calibration.json")
    coverage = read_json(model.folder, "coverage.json")
    trials = read_table(model.folder, "trials.parquet")
    found: dict[str, str | None] = {}
    if calibration is not None and "calibrator" in calibration:
        after = calibration["after"]
        found["calibration"] = (
            f"in the large ({after['of']}) {interval(after['in_the_large'], 2)}, "
            f"observed over expected {interval(after['observed_expected'], 2)}, "
            f"slope {interval(after['slope'], 2)}, "
            f"expected calibration error {interval(after['ece'])}"
        )
        found["recalibration"] = CALIBRATORS[calibration["calibrator"]["kind"]]
    if coverage is not None:
        found["coverage"] = (
            f"{percent(coverage['asked'])} asked, {interval(coverage['overall'])} observed"
        )
    if trials is not None:
        found["trials"] = f"{whole(trials.height)} trials"
    return found


def _subgroups(model: StoredModel, floor: int) -> dict[str, str | None]:
    table = read_table(model.folder, "subgroups.parquet")
    if table is None or table.is_empty():
        return {}
    groupings = table["grouping"].unique(maintain_order=True).to_list()
    found: dict[str, str | None] = {
        "subgroups": f"{', '.join(groupings)} (groups below {floor} patients without a number)"
    }
    sites = table.filter(pl.col("grouping") == SITE, pl.col("group") != UNKNOWN)
    if sites.height > 1:
        found["sites"] = "; ".join(
            f"{group}: {'too few' if few else interval([value, low, high])}"
            for group, few, value, low, high in sites.select(
                "group", "too_few", "accuracy", "accuracy_low", "accuracy_high"
            ).iter_rows()
        )
        found["site_count"] = str(sites.height)
    return found
