"""The code location: assets of every stage, jobs, schedules and the resources they share.

assets/<stage>/defs.py + jobs + schedules + resources -> defs -> Dagster UI and command line
"""

from pathlib import Path

import dagster as dg

from orchestration import automation, jobs
from orchestration.progress import Progress
from orchestration.releases import rollback_job
from orchestration.resources import resources
from orchestration.settings import Settings


def build(settings: Settings, progress: Progress | None = None) -> dg.Definitions:
    """Everything that Dagster knows of OncoFrame, on the home of some settings."""
    return dg.Definitions.merge(
        dg.load_from_defs_folder(path_within_project=Path(__file__).parent),
        dg.Definitions(
            jobs=[*jobs.JOBS, *automation.JOBS, rollback_job],
            schedules=automation.schedules(settings),
            sensors=automation.sensors(settings),
            resources=resources(settings, progress),
            # The driver's pool uses all cores; a process per step would load Feast and dbt again.
            executor=dg.in_process_executor,
        ),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Code location of the default home, or of ``ONCOFRAME_HOME``."""
    return build(Settings.load())
