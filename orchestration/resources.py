"""Resources: pure objects built from the settings, shared by the assets under one name each."""

from typing import Any

from oncoframe.lake import Lake
from orchestration.dbt import clinical_dbt
from orchestration.patients.driver import Driver
from orchestration.progress import Progress
from orchestration.settings import Settings


def resources(settings: Settings, progress: Progress | None = None) -> dict[str, Any]:
    """Resource key -> object, for one home."""
    lake = Lake(settings.lake_dir)
    return {
        "settings": settings,
        "lake": lake,
        "driver": Driver(lake, settings),
        "progress": progress or Progress(),
        "dbt": clinical_dbt(),
    }
