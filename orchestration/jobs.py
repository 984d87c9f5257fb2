"""Jobs and schedules: the main job in one go, a second try, and the weekly retraining.

everything: landing zone -> features -> clinical -> biomarkers -> registry -> frames -> models
retry_failed: quarantined and failed patients -> features
weekly_retrain: frames -> models, Monday 02:00
"""

from typing import Any

import dagster as dg

from ml.study import study_names
from orchestration.groups import group
from orchestration.pipeline import Pipeline
from orchestration.progress import Progress
from orchestration.settings import Settings


class EverythingConfig(dg.Config):
    """Study to train at the end; empty trains none."""

    study: str = ""


@dg.op
def run_everything(
    context: dg.OpExecutionContext,
    config: EverythingConfig,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[Progress],
) -> None:
    """Land, extract, model clinical tables, register; then train a study, if one is named."""
    pipeline = Pipeline(settings, context.instance, progress)
    context.log.info(str(pipeline.run()))
    if config.study:
        pipeline.train(config.study)


@dg.job(description="Landing zone to feature tables and registry, and a trained study if named.")
def everything() -> None:
    """Run the main job; each step appears as a run of its own."""
    run_everything()


@dg.op
def run_retry(
    context: dg.OpExecutionContext,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[Progress],
) -> None:
    """Read the files of quarantined and failed patients again."""
    context.log.info(str(Pipeline(settings, context.instance, progress).retry()))


@dg.job(description="Quarantined and failed patients once more, in few runs.")
def retry_failed() -> None:
    """Run what ``oncoframe retry`` runs."""
    run_retry()


weekly_retrain = dg.define_asset_job(
    "weekly_retrain",
    selection=dg.AssetSelection.groups(group("training"), group("models")),
    description="New frame and new model of every study that was trained before.",
)


@dg.schedule(
    name="weekly_retrain",
    job=weekly_retrain,
    cron_schedule="0 2 * * 1",
    execution_timezone="UTC",
    description="Monday 02:00 UTC: retrains every study that has a model, from what is known then.",
)
def weekly_retrain_schedule(
    context: dg.ScheduleEvaluationContext,
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per study that has a model in this home."""
    trained = [
        name
        for name in study_names()
        if context.instance.get_latest_materialization_event(dg.AssetKey(["trained_model", name]))
    ]
    if not trained:
        return dg.SkipReason("no study has a model yet; train one with 'oncoframe train STUDY'")
    return [
        dg.RunRequest(
            run_key=f"{name}-{context.scheduled_execution_time.isoformat()}",
            asset_selection=[
                dg.AssetKey([kind, name]) for kind in ("training_frame", "trained_model")
            ],
        )
        for name in trained
    ]


JOBS: list[Any] = [everything, retry_failed, weekly_retrain]  # Dagster exports no common type
SCHEDULES = [weekly_retrain_schedule]
