"""Feature store: Dagster glue only; views and services are generated in ``feature_repo``.

contracts -> feature_registry (Feast entity, views, services)
feature tables, feature_registry -> online_features (newest row of each patient, online)
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from feature_repo.client import apply, open_store
from feature_repo.online import differing_cells, materialize
from oncoframe.lake import Lake
from oncoframe.modalities import feature_contracts
from orchestration.groups import OWNERS, group
from orchestration.inputs import feature_versions, online_input, registry_input
from orchestration.settings import Settings

CHECK = "online_equals_offline"
#: Patients whose online values are held against the lake after each materialisation.
COMPARED = 1000


@dg.asset(
    deps=[contract.table for contract in feature_contracts()],
    group_name=group("store"),
    owners=OWNERS,
    kinds={"feast"},
    code_version="2",
)
def feature_registry(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """Feast registry: the entity patient, views of each feature table, the services."""
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


@dg.asset(
    deps=["feature_registry", *(contract.table for contract in feature_contracts())],
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset="online_features",
            description=f"Whether the online values of up to {COMPARED:,} patients are those of "
            "the lake. If not, fill the store anew: feast -c feature_repo materialize 1800-01-01 "
            "and the time of today.",
        )
    ],
    group_name=group("store"),
    owners=OWNERS,
    kinds={"feast"},
    code_version="1",
)
def online_features(
    settings: dg.ResourceParam[Settings], lake: dg.ResourceParam[Lake]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Online store: what is known now of every patient, for answers within milliseconds."""
    versions = feature_versions(lake)
    now = datetime.now(tz=UTC)
    store = open_store(settings.home, versions=versions)
    patients = materialize(store, now)
    yield dg.MaterializeResult(
        metadata={"patients": patients, "written": sum(patients.values())},
        data_version=dg.DataVersion(online_input(versions, settings.center)),
    )
    differ = differing_cells(store, as_of=now, patients=COMPARED)
    yield dg.AssetCheckResult(
        check_name=CHECK,
        passed=not any(differ.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"values that differ": differ},
    )
