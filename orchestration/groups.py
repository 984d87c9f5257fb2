"""Groups and owners of the assets: the stages in the order in which the data flows.

    assets/<stage>/ -> group "01_landing", "02_genomics", ... in the Dagster UI

The UI sorts groups by name, so the number keeps folder order, group order and flow the same.
"""

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
OWNERS = ["team:data-engineering"]
SCIENCE_OWNERS = ["team:data-science"]


def group(stage: str) -> str:
    """Dagster group of a stage, for example ``01_landing``."""
    return f"{STAGES.index(stage) + 1:02d}_{stage}"
