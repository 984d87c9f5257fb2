"""Files of a training: what the registry keeps and the report is made of.

    TrainingResult -> write_training -> folder; ModelResult -> write_model -> folder

Tables are Parquet or CSV, single numbers JSON. Every file says the same on each machine.

Files of a training
    ``study.json``, ``result.json``: the study, and what ``oncoframe train --json`` prints;
    ``folds.csv``: test fold of every patient; ``differences.parquet``: models against each other,
    paired, ``differences_complete.parquet``: the same of the patients with every assay;
    ``bias.parquet``: the data by group; ``components.json``, ``loadings.parquet``,
    ``scores.parquet``: principal components; ``neighbours.parquet``: nearest patients;
    ``similarity.json``: links between classes; ``environment.json``: versions of all packages.
Files of a model
    ``per_class.csv``; ``confusion.json``; ``predictions.parquet``: out-of-fold, raw and
    calibrated, with the prediction set; ``calibration.json``; ``coverage.json``;
    ``subgroups.parquet``; ``trials.parquet``; ``importance.parquet`` and ``shap.parquet``.
"""

import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml.evaluation.metrics import CLASS_METRICS, METRICS, Evaluation
from ml.training.procedure import JUDGED_REPEAT
from ml.training.results import Difference, Judged, ModelResult, TrainingResult
from ml.training.survival import SurvivalResult


def write_training(result: TrainingResult, folder: Path) -> None:
    """Write the files of a training that concern all its models."""
    _write(folder / "study.json", result.study.model_dump(mode="json"))
    _write(folder / "result.json", result.as_dict())
    _write(folder / "environment.json", environment())
    result.folds.table().write_csv(folder / "folds.csv")
    differences_table(result.differences()).write_parquet(folder / "differences.parquet")
    if result.complete.evaluations:
        table = differences_table(result.complete_differences())
        table.write_parquet(folder / "differences_complete.parquet")
    result.bias.write_parquet(folder / "bias.parquet")
    components = result.components
    ratio = components.variance_ratio
    _write(
        folder / "components.json",
        {"variance_ratio": ratio.tolist(), "cumulative": np.cumsum(ratio).tolist()},
    )
    components.loadings.write_parquet(folder / "loadings.parquet")
    scores = {f"component_{i + 1}": column for i, column in enumerate(components.scores.T[:20])}
    pl.DataFrame(
        {"patient_id": result.folds.patient_ids, "label": result.labels, **scores}
    ).write_parquet(folder / "scores.parquet")
    result.neighbours.write_parquet(folder / "neighbours.parquet")
    classes = np.unique(result.labels).tolist()
    _write(folder / "similarity.json", {"classes": classes, "links": result.links.tolist()})


def write_model(result: TrainingResult, model: ModelResult, folder: Path) -> None:
    """Write the files of one model."""
    class_table(model.evaluation).write_csv(folder / "per_class.csv")
    _write(
        folder / "confusion.json",
        {
            "classes": [c.name for c in model.evaluation.classes],
            "confusion": model.evaluation.confusion.tolist(),
        },
    )
    predictions(result, model).write_parquet(folder / "predictions.parquet")
    model.subgroups.write_parquet(folder / "subgroups.parquet")
    if model.judged is not None:
        _write_judged(model, model.judged, folder)
    if model.trials:
        trials_table(model).write_parquet(folder / "trials.parquet")
    if model.explanation is not None:
        model.explanation.importance.write_parquet(folder / "importance.parquet")
        model.explanation.patients.write_parquet(folder / "shap.parquet", compression="zstd")


def write_survival(result: SurvivalResult, folder: Path) -> None:
    """Write the files of a training of a survival study."""
    _write(folder / "study.json", result.study.model_dump(mode="json"))
    _write(folder / "result.json", result.as_dict())
    _write(folder / "differences.json", {"differences": result.differences()})
    _write(folder / "survival.json", {"days": result.grid.tolist()})
    _write(folder / "environment.json", environment())
    result.folds.table().write_csv(folder / "folds.csv")
    for model in result.results:
        name = f"risks_{model.recipe}_{model.modality_set}.parquet"
        result.predictions(model).write_parquet(folder / name)


def environment() -> dict[str, Any]:
    """Python, platform and the version of every installed package."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": dict(sorted((str(d.name).lower(), d.version) for d in distributions())),
    }


def differences_table(differences: Sequence[Difference]) -> pl.DataFrame:
    """One row per pair of models and metric: ``difference``, ``low``, ``high``."""
    rows = [
        {"one": row.one, "other": row.other, "metric": name, **_interval(row.metrics[name])}
        for row in differences
        for name in METRICS
    ]
    schema = {
        **dict.fromkeys(["one", "other", "metric"], pl.String),
        **dict.fromkeys(["difference", "low", "high"], pl.Float64),
    }
    return pl.DataFrame(rows, schema=schema)


def class_table(evaluation: Evaluation) -> pl.DataFrame:
    """One row per class: patients, then each metric with its interval."""
    rows = []
    for result in evaluation.classes:
        row: dict[str, object] = {"class": result.name, "patients": result.support}
        for metric in CLASS_METRICS:
            estimate = getattr(result, metric)
            row |= {
                metric: estimate.value,
                f"{metric}_ci_low": estimate.low,
                f"{metric}_ci_high": estimate.high,
            }
        rows.append(row)
    return pl.DataFrame(rows)


def predictions(result: TrainingResult, model: ModelResult) -> pl.DataFrame:
    """Out-of-fold answers: one row per patient and repeat, one column per class.

    ``p[<class>]`` as the model gives it, ``calibrated[<class>]`` as it would be answered; in the
    first repeat also ``prediction_set``.
    """
    names = [c.name for c in model.evaluation.classes]
    tables = []
    for repeat, predicted in enumerate(model.probabilities):
        table = pl.DataFrame(
            {
                "patient_id": result.folds.patient_ids,
                "repeat": repeat,
                "fold": result.folds.test_fold[repeat],
                "label": result.labels,
                **{f"p[{name}]": predicted[:, i] for i, name in enumerate(names)},
            }
        )
        if model.judged is not None:
            calibrated = model.judged.calibrated[repeat]
            table = table.with_columns(
                pl.Series(f"calibrated[{name}]", calibrated[:, i]) for i, name in enumerate(names)
            )
            if repeat == JUDGED_REPEAT:
                table = table.with_columns(_sets(model.judged.sets, names))
        tables.append(table)
    return pl.concat(tables, how="diagonal").filter(pl.col("fold") >= 0)


def _sets(sets: np.ndarray, names: Sequence[str]) -> pl.Series:
    held = [[n for n, holds in zip(names, row, strict=True) if holds] for row in sets]
    return pl.Series("prediction_set", held, dtype=pl.List(pl.String))


def trials_table(model: ModelResult) -> pl.DataFrame:
    """One row per trial: which search, number, state, value, seconds, settings as JSON."""
    return pl.DataFrame(
        {
            "search": [trial.where for trial in model.trials],
            "trial": [trial.number for trial in model.trials],
            "state": [trial.state for trial in model.trials],
            "value": [trial.value for trial in model.trials],
            "seconds": [trial.seconds for trial in model.trials],
            "settings": [json.dumps(dict(trial.settings)) for trial in model.trials],
        }
    )


def _write_judged(model: ModelResult, judged: Judged, folder: Path) -> None:
    thresholds, names = model.served.thresholds, [c.name for c in model.evaluation.classes]
    _write(
        folder / "calibration.json",
        {
            "calibrator": judged.choice.calibrator.as_dict(),
            "tried": dict(judged.choice.log_loss),
            "is_calibrated": judged.is_calibrated,
            "before": judged.before.as_dict(names),
            "after": model.calibration.as_dict(names),
        },
    )
    _write(
        folder / "coverage.json",
        {
            "asked": model.served.conformal.coverage,
            "overall": judged.coverage.overall.as_list(),
            "mean_size": judged.coverage.mean_size.as_list(),
            "answered": judged.coverage.answered.as_list(),
            "accuracy_answered": judged.coverage.accuracy_answered.as_list(),
            "by_class": [
                {"class": c.name, "patients": c.support, "coverage": covered.as_list()}
                for c, covered in zip(
                    model.evaluation.classes, judged.coverage.by_class, strict=True
                )
            ],
            "thresholds": None if thresholds is None else list(thresholds.smallest),
        },
    )


def _interval(estimate: Any) -> dict[str, float]:
    return dict(zip(("difference", "low", "high"), estimate.as_list(), strict=True))


def _write(file: Path, content: dict[str, Any]) -> None:
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """The same with null for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
