"""Models: Dagster glue only; training is in ``ml/training.py``, tracking in ``ml/registry.py``.

training_frame/<study> -> trained_model/<study> (cross-validated, logged to MLflow)
"""

from importlib.metadata import version
from typing import Any

import dagster as dg

from ml.study import load_study, study_names
from ml.training import train
from orchestration.groups import SCIENCE_OWNERS, group
from orchestration.progress import Progress
from orchestration.settings import Settings


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
        from ml.registry import log_training  # noqa: PLC0415

        frame_id = _latest_frame(context.instance, frame_key)
        with progress.count(f"train {study_name}") as report:
            result = train(
                study,
                settings.frames_dir / frame_id,
                workers=settings.workers,
                progress=lambda done, total, _what: report(done, total),
            )
        mlflow_run_id = log_training(
            result,
            database=settings.mlflow_db,
            artifacts=settings.mlflow_artifacts,
            code_version=version("oncoframe"),
            tags={"dagster_run_id": context.run.run_id},
        )
        summary = result.as_dict()
        return dg.MaterializeResult(
            metadata={
                "frame_id": frame_id,
                "mlflow_run_id": mlflow_run_id,
                "dagster/row_count": len(result.labels),
                "columns": result.best.feature_count,
                "hash": frame_id,
                "accuracy": result.best.evaluation.metrics["accuracy"].value,
                "macro_f1": result.best.evaluation.metrics["macro_f1"].value,
                "comparison": dg.MetadataValue.md(_markdown(summary)),
                "result": dg.MetadataValue.json({**summary, "mlflow_run_id": mlflow_run_id}),
            }
        )

    return trained_model


def _latest_frame(instance: dg.DagsterInstance, key: dg.AssetKey) -> str:
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        raise dg.Failure(
            f"{key.to_user_string()} was never built; materialise it first.", allow_retries=False
        )
    return str(event.asset_materialization.metadata["frame_id"].value)


def _markdown(summary: dict[str, Any]) -> str:
    """Result table as the Dagster UI shows it."""
    lines = ["| recipe | modalities | accuracy | macro F1 |", "| --- | --- | --- | --- |"]
    for row in summary["recipes"]:
        cells = [
            f"{row[name]:.3f} [{row[f'{name}_ci'][0]:.3f}, {row[f'{name}_ci'][1]:.3f}]"
            for name in ("accuracy", "macro_f1")
        ]
        lines.append(f"| {row['recipe']} | {row['modalities']} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


@dg.definitions
def defs() -> dg.Definitions:
    """One asset per study file."""
    return dg.Definitions(assets=[_trained_model(name) for name in study_names()])
