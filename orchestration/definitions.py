"""The code location: assets of every stage, jobs, schedules and the resources they share.

assets/<stage>/defs.py + assets of the modalities + jobs + schedules + resources -> defs -> UI
"""

from pathlib import Path
from typing import Any

import dagster as dg

from oncoframe.lake import Lake
from orchestration import automation, jobs
from orchestration.patients.driver import Driver
from orchestration.patients.per_patient import per_patient_assets
from orchestration.pipeline import Pipeline
from orchestration.progress import Progress
from orchestration.releases import rollback_job
from orchestration.settings import Settings


def build(settings: Settings, progress: Progress | None = None) -> dg.Definitions:
    """Everything that Dagster knows of OncoFrame, on the home of some settings."""
    return dg.Definitions.merge(
        dg.load_from_defs_folder(path_within_project=Path(__file__).parent),
        dg.Definitions(
            assets=per_patient_assets(),
            jobs=[*jobs.JOBS, *automation.JOBS, rollback_job],
            schedules=automation.schedules(settings),
            sensors=automation.sensors(settings),
            resources=_resources(settings, progress or Progress()),
            # The driver's pool uses all cores; a process per step would load Feast and dbt again.
            executor=dg.in_process_executor,
        ),
    )


def pipeline_of(settings: Settings, instance: dg.DagsterInstance, progress: Progress) -> Pipeline:
    """The main job of a home, on these definitions."""
    return Pipeline(settings, instance, progress, build)


def _resources(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Resource key -> pure object, shared by the assets under one name each."""
    # dagster-dbt takes seconds to load, which a run without work does not spend.
    from orchestration.dbt import clinical_dbt  # noqa: PLC0415

    lake = Lake(settings.lake_dir)
    return {
        "settings": settings,
        "lake": lake,
        "driver": Driver(lake, settings),
        "progress": progress,
        "dbt": clinical_dbt(),
        "build": build,
    }


@dg.definitions
def defs() -> dg.Definitions:
    """Code location of the default home, or of ``ONCOFRAME_HOME``."""
    return build(Settings.load())
