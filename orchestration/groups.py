"""Groups and owners of the assets: the stages in the order in which the data flows.

    assets/<stage>/ -> group "01_landing", "02_genomics", ... in the Dagster UI

The UI sorts groups by name, so the number keeps folder order, group order and flow the same.
"""

from oncoframe.errors import SettingsError
from oncoframe.modalities import assays

STAGES = (
    "landing",
    "genomics",
    "expression",
    "imaging",
    "smears",
    "notes",
    "clinical",
    "biomarkers",
    "store",
    "training",
    "models",
    "promotion",
    "scoring",
    "monitoring",
)
#: Number of an assay's stage that is not in the list, so that the others keep theirs.
_FURTHER_ASSAY = STAGES.index("notes") + 1
OWNERS = ["team:data-engineering"]
SCIENCE_OWNERS = ["team:data-science"]


def group(stage: str) -> str:
    """Dagster group of a stage, for example ``01_landing``.

    Raises
    ------
    SettingsError
        If there is no such stage.
    """
    if stage in STAGES:
        return f"{STAGES.index(stage) + 1:02d}_{stage}"
    stages = dict.fromkeys([*STAGES, *(found.stage for found in assays().values())])
    if stage not in stages:
        raise SettingsError(f"there is no stage {stage}", expected=f"one of {', '.join(stages)}")
    return f"{_FURTHER_ASSAY:02d}_{stage}"
