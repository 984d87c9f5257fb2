"""Jobs on the landing zone: the main job in one go, and a second try.

everything: landing zone -> features -> clinical -> biomarkers -> registry -> frames -> models
    -> reports
retry_failed: quarantined and failed patients -> features
"""

from typing import Any

import dagster as dg

from orchestration.pipeline import Build, Pipeline
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
    build: dg.ResourceParam[Build],
) -> None:
    """Land, extract, model clinical tables, register; then train a study, if one is named."""
    pipeline = Pipeline(settings, context.instance, progress, build)
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
    build: dg.ResourceParam[Build],
) -> None:
    """Read the files of quarantined and failed patients again."""
    context.log.info(str(Pipeline(settings, context.instance, progress, build).retry()))


@dg.job(description="Quarantined and failed patients once more, in few runs.")
def retry_failed() -> None:
    """Run what ``oncoframe retry`` runs."""
    run_retry()


JOBS: list[Any] = [everything, retry_failed]  # Dagster exports no common type
