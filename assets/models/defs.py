"""Models: Dagster glue only; training is in ``ml/training``, tracking in ``ml/registry``.

training_frame/<study> -> trained_model/<study> (cross-validated, logged to MLflow)
                       -> report/<study> (one HTML page)
"""

import shutil
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import dagster as dg

from assets.models.fields import prepare_fields
from assets.models.pages import write_page
from ml.study.definition import load_study, study_names
from ml.training.classification import train
from ml.training.survival import train_survival
from oncoframe.errors import TrainingStopped
from oncoframe.lake import Lake
from orchestration.groups import SCIENCE_OWNERS, group
from orchestration.metadata import latest_frame
from orchestration.progress import Progress
from orchestration.settings import Settings
from orchestration.studies.champions import verdict_of_gate


def _trained_model(study_name: str) -> dg.AssetsDefinition:
    study = load_study(study_name)
    frame_key = dg.AssetKey(["training_frame", study_name])

    @dg.asset(
        key=["trained_model", study_name],
        deps=[frame_key],
        group_name=group("models"),
        owners=SCIENCE_OWNERS,
        kinds={"lightgbm", "mlflow"},
        description=f"Cross-validated models: {study.title}",
        code_version="1",
    )
    def trained_model(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        progress: dg.ResourceParam[Progress],
    ) -> dg.MaterializeResult[None]:
        # MLflow takes seconds to load, which a run without training does not spend.
        from ml.registry.tracking import log_stopped, log_survival, log_training  # noqa: PLC0415

        frame_id = latest_frame(context.instance, frame_key)
        frame = settings.frames_dir / frame_id
        store: dict[str, Any] = {
            "store": settings.registry,
            "code_version": version("oncoframe"),
            "tags": {"dagster_run_id": context.run.run_id},
        }
        with progress.count(f"train {study_name}") as report:
            fitted = partial(_count, report)
            workers = settings.workers
            if study.label.kind == "survival":
                survival = train_survival(study, frame, workers=workers, progress=fitted)
                summary, columns = survival.as_dict(), survival.best.feature_count
                mlflow_run_id = log_survival(survival, **store)
            else:
                trials = settings.mlflow_db.with_name("trials.db")
                prepare_fields(Lake(settings.lake_dir), study, frame, settings.places)
                try:
                    result = train(
                        study, frame, workers=workers, trials=trials, places=settings.places,
                        progress=fitted,
                    )  # fmt: skip
                except TrainingStopped as error:
                    log_stopped(study.name, frame_id, error, **store)
                    raise
                summary, columns = result.as_dict(), result.best.feature_count
                mlflow_run_id = log_training(result, workers=workers, **store)
                if settings.places.checkpoints is not None:
                    shutil.rmtree(settings.places.checkpoints, ignore_errors=True)
        # The MLflow run is tagged with this run; so either leads to the other.
        context.instance.add_run_tags(context.run.run_id, {"mlflow_run_id": mlflow_run_id})
        return _materialized(frame_id, mlflow_run_id, summary, columns)

    return trained_model


def _report(study_name: str) -> dg.AssetsDefinition:
    study = load_study(study_name)

    @dg.asset(
        key=["report", study_name],
        deps=[dg.AssetKey(["trained_model", study_name])],
        group_name=group("models"),
        owners=SCIENCE_OWNERS,
        kinds={"html"},
        description=f"Report on the newest model, one page: {study.title}",
        code_version="1",
    )
    def report(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
        from ml.registry.trainings import newest_training  # noqa: PLC0415

        training = newest_training(study_name, store=settings.registry)
        file = write_page(
            training,
            frames_dir=settings.frames_dir,
            reports_dir=settings.reports_dir,
            gate=verdict_of_gate(settings, training),
            language=settings.language,
        )
        return dg.MaterializeResult(
            metadata={
                "html": dg.MetadataValue.path(file),
                "mlflow_run_id": training.run_id,
                "frame_id": training.frame_id,
            }
        )

    return report


def _count(report: Callable[[int, int], None], done: int, total: int, _what: str) -> None:
    report(done, total)


def _materialized(
    frame_id: str, mlflow_run_id: str, summary: dict[str, Any], columns: int
) -> dg.MaterializeResult[None]:
    best = summary["best"]
    return dg.MaterializeResult(
        metadata={
            "frame_id": frame_id,
            "mlflow_run_id": mlflow_run_id,
            "dagster/row_count": best["patients"],
            "columns": columns,
            "hash": frame_id,
            **{name: best[name] for name in _shown(summary)},
            "comparison": dg.MetadataValue.md(_markdown(summary)),
            "result": dg.MetadataValue.json({**summary, "mlflow_run_id": mlflow_run_id}),
        }
    )


def _shown(summary: dict[str, Any]) -> tuple[str, ...]:
    """Metrics that stand beside a model in tables."""
    return ("accuracy", "macro_f1") if "accuracy" in summary["best"] else ("concordance",)


def _markdown(summary: dict[str, Any]) -> str:
    """Result table as the Dagster UI shows it."""
    shown = _shown(summary)
    heads = ["recipe", "modalities", *(name.replace("macro_f1", "macro F1") for name in shown)]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for row in summary["recipes"]:
        cells = [
            f"{row[name]:.3f} [{row[f'{name}_ci'][0]:.3f}, {row[f'{name}_ci'][1]:.3f}]"
            for name in shown
        ]
        lines.append(f"| {' | '.join([row['recipe'], row['modalities'], *cells])} |")
    return "\n".join(lines)


@dg.definitions
def defs() -> dg.Definitions:
    """One model and one report per study file."""
    makers = (_trained_model, _report)
    return dg.Definitions(assets=[make(name) for name in study_names() for make in makers])
