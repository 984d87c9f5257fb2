"""Feature store: Dagster glue only; views and services are generated in ``feature_repo``.

contracts -> feature_registry (Feast entity, views, services)
"""

import dagster as dg

from feature_repo.client import apply
from orchestration.groups import OWNERS, group
from orchestration.settings import Settings


@dg.asset(
    deps=["snv_features", "fusion_features", "expression_features", "clinical_features"],
    group_name=group("store"),
    owners=OWNERS,
    kinds={"feast"},
    code_version="1",
)
def feature_registry(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult:
    """Feast registry: the entity patient, one view per feature table, one service per study."""
    summary = apply(settings.home)
    return dg.MaterializeResult(metadata=summary)
