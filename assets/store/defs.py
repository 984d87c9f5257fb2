"""Feature store: Dagster glue only; views and services are generated in ``feature_repo``.

contracts -> feature_registry (Feast entity, views, services)
"""

import dagster as dg

from feature_repo.client import apply
from oncoframe.modalities import feature_contracts
from orchestration.groups import OWNERS, group
from orchestration.inputs import registry_input
from orchestration.settings import Settings


@dg.asset(
    deps=[contract.table for contract in feature_contracts()],
    group_name=group("store"),
    owners=OWNERS,
    kinds={"feast"},
    code_version="1",
)
def feature_registry(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """Feast registry: the entity patient, a view per feature table, the services."""
    store = apply(settings.home, settings.center)
    views = store.list_feature_views()
    return dg.MaterializeResult(
        metadata={
            "views": [view.name for view in views],
            "services": [service.name for service in store.list_feature_services()],
            "columns": sum(len(view.features) for view in views),
        },
        data_version=dg.DataVersion(registry_input(settings.center)),
    )
