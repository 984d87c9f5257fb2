"""The registry of trainings and models; the only module that talks to MLflow.

    TrainingResult -> one run per training, one child run per model -> SQLite and a folder

A child run holds what its row of the result table says, number for number, and the model of all
patients with its signature. Nothing leaves the machine.
"""

import logging
import os
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

# Read by MLflow when it is imported.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

with warnings.catch_warnings():
    # On import MLflow warns about type hints of its own.
    warnings.simplefilter("ignore", UserWarning)
    import mlflow
    import mlflow.pyfunc
    import mlflow.sklearn

import numpy as np
import pandas as pd
import polars as pl
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from ml.evaluate import Evaluation
from ml.figures import comparison_figure, confusion_figure
from ml.training import ModelResult, TrainingResult

#: Classes in a saved model that skops does not know; nothing else is loaded from its file.
TRUSTED_TYPES = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "ml.preprocess.RareColumnFilter",
    "ml.recipes.ClassWeighted",
    "ml.recipes.is_category",
    "ml.recipes.is_number",
)
#: What a saved model needs to be loaded.
_REQUIREMENTS = ("lightgbm", "numpy", "pandas", "scikit-learn", "skops")
_FIGURE_DPI = 120


def log_training(
    result: TrainingResult,
    *,
    database: Path,
    artifacts: Path,
    code_version: str,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Log a training and its models, and return the MLflow run id of the training.

    Parameters
    ----------
    result
        What was trained.
    database
        SQLite file of the tracking store; made if it is not there.
    artifacts
        Folder of figures, tables and models.
    code_version
        Version of OncoFrame that trained.
    tags
        More tags of every run, such as the id of the Dagster run.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(f"sqlite:///{database.resolve()}")
    common = {
        "study": result.study.name,
        "frame_id": result.frame_id,
        "code_version": code_version,
        **(tags or {}),
    }
    experiment = _experiment(result.study.name, artifacts)
    with mlflow.start_run(
        experiment_id=experiment,
        run_name=f"{result.study.name} on {result.frame_id}",
        tags={**common, "best": f"{result.best.recipe} on {result.best.modality_set}"},
    ) as run:
        mlflow.log_params({**_plan(result), "frame_id": result.frame_id})
        mlflow.log_metrics(_metrics(result.best.evaluation))
        mlflow.log_dict(result.study.model_dump(mode="json"), "study.json")
        mlflow.log_dict(result.as_dict(), "result.json")
        mlflow.log_text(result.folds.table().write_csv(), "folds.csv")
        for recipe in result.study.recipes:
            rows = {r.modality_set: r.evaluation for r in result.results if r.recipe == recipe}
            figure = comparison_figure(
                rows,
                title=f"What each modality contributes, {recipe}",
                subtitle=f"{_plan_in_words(result)}, same folds for every row; 95 % intervals",
                majority_share=result.majority_share,
            )
            mlflow.log_figure(figure, f"modalities_{recipe}.png", save_kwargs={"dpi": _FIGURE_DPI})
        for model in result.results:
            _log_model(result, model, experiment, common)
    return str(run.info.run_id)


def _log_model(
    result: TrainingResult, model: ModelResult, experiment: str, tags: Mapping[str, str]
) -> None:
    name = f"{model.recipe} on {model.modality_set}"
    accuracy = model.evaluation.metrics["accuracy"]
    figure = confusion_figure(
        model.evaluation,
        title=result.study.title,
        subtitle=(
            f"{name}; {_plan_in_words(result)}. Accuracy {accuracy.value:.3f} "
            f"({accuracy.low:.3f} to {accuracy.high:.3f}), "
            f"macro F1 {model.evaluation.metrics['macro_f1'].value:.3f}"
        ),
    )
    settings = {
        name: value
        for name, value in model.model.get_params().items()
        if isinstance(value, str | int | float)
    }
    with (
        TemporaryDirectory() as scratch,
        mlflow.start_run(experiment_id=experiment, nested=True, run_name=name, tags=dict(tags)),
    ):
        folder = Path(scratch)
        mlflow.log_params(
            {
                **_plan(result),
                "recipe": model.recipe,
                "modality_set": model.modality_set,
                "modalities": ", ".join(model.modalities),
                "features": model.feature_count,
                **settings,
            }
        )
        mlflow.log_metrics({**_metrics(model.evaluation), "seconds": model.seconds})
        figure.savefig(folder / "confusion.png", dpi=_FIGURE_DPI)
        _class_table(model.evaluation).write_csv(folder / "per_class.csv")
        _predictions(result, model).write_parquet(folder / "predictions.parquet")
        mlflow.log_artifacts(str(folder))
        mlflow.sklearn.log_model(
            model.model,
            name="model",
            signature=_signature(model.typical_patient),
            input_example=model.typical_patient,
            skops_trusted_types=list(TRUSTED_TYPES),
            pip_requirements=[f"{package}=={version(package)}" for package in _REQUIREMENTS],
        )


def _experiment(name: str, artifacts: Path) -> str:
    found = mlflow.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(mlflow.create_experiment(name, (artifacts / name).resolve().as_uri()))


def _plan(result: TrainingResult) -> dict[str, object]:
    plan = result.study.cross_validation
    return {
        "folds": plan.folds,
        "repeats": plan.repeats,
        "seed": plan.seed,
        "patients": len(result.labels),
        "classes": len(np.unique(result.labels)),
    }


def _plan_in_words(result: TrainingResult) -> str:
    plan = _plan(result)
    return (
        f"{plan['patients']} patients, {plan['classes']} classes; "
        f"{plan['folds']}-fold cross-validation, repeated {plan['repeats']} times"
    )


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    """Each metric as ``<name>``, ``<name>_ci_low`` and ``<name>_ci_high``."""
    return {
        key: value
        for name, estimate in evaluation.metrics.items()
        for key, value in (
            (name, estimate.value),
            (f"{name}_ci_low", estimate.low),
            (f"{name}_ci_high", estimate.high),
        )
    }


def _class_table(evaluation: Evaluation) -> pl.DataFrame:
    """One row per class: support, then precision, recall and F1 with their intervals."""
    rows = []
    for result in evaluation.classes:
        row: dict[str, object] = {"class": result.name, "patients": result.support}
        for metric in ("precision", "recall", "f1"):
            estimate = getattr(result, metric)
            row |= {
                metric: estimate.value,
                f"{metric}_ci_low": estimate.low,
                f"{metric}_ci_high": estimate.high,
            }
        rows.append(row)
    return pl.DataFrame(rows)


def _predictions(result: TrainingResult, model: ModelResult) -> pl.DataFrame:
    """Out-of-fold probabilities: one row per patient and repeat, one column per class."""
    names = [c.name for c in model.evaluation.classes]
    repeats = [
        pl.DataFrame(
            {
                "patient_id": result.folds.patient_ids,
                "repeat": repeat,
                "fold": result.folds.test_fold[repeat],
                "label": result.labels,
                **{f"p[{name}]": predicted[:, i] for i, name in enumerate(names)},
            }
        )
        for repeat, predicted in enumerate(model.probabilities)
    ]
    return pl.concat(repeats)


def _signature(example: pd.DataFrame) -> ModelSignature:
    """Types of the input columns; any of them may be missing for a patient."""
    columns: list[ColSpec | TensorSpec] = [
        ColSpec("string" if dtype == np.dtype(object) else "float", str(name), required=False)
        for name, dtype in example.dtypes.items()
    ]
    return ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec("string")]))
