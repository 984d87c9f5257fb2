"""Feature services: what a model version is trained on and served with.

Which tables a service has is said in :data:`assets.store.catalog.SERVICES`; of each it serves the
columns that are known at the index event.
"""

from feast import FeatureService

from assets.store.catalog import SERVICES as TABLES
from assets.store.catalog import service_contracts
from feature_repo.contract_view import served
from feature_repo.views import VIEWS


def _service(name: str) -> FeatureService:
    tables = {contract.table: contract for contract in service_contracts(name)}
    return FeatureService(
        name=name,
        features=[served(view, tables[view.name]) for view in VIEWS if view.name in tables],
        description=f"What is known at the index event: {', '.join(TABLES[name])}.",
    )


aml_who_class_v1 = _service("aml_who_class_v1")
aml_who_class_v2 = _service("aml_who_class_v2")
leukemia_subtype_v1 = _service("leukemia_subtype_v1")
ct_radiomics_v1 = _service("ct_radiomics_v1")
nsclc_survival_v1 = _service("nsclc_survival_v1")

SERVICES = (
    aml_who_class_v1,
    aml_who_class_v2,
    leukemia_subtype_v1,
    ct_radiomics_v1,
    nsclc_survival_v1,
)
