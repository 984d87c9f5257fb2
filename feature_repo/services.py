"""Feature services: what a model version is trained on and served with.

Which tables a service has is said by :func:`assets.store.catalog.services`; of each it serves the
columns that are known at the index event.
"""

from feast import FeatureService

from assets.store.catalog import service_contracts, services
from feature_repo.views import VIEWS, served


def _service(name: str, modalities: tuple[str, ...]) -> FeatureService:
    tables = {contract.table: contract for contract in service_contracts(name)}
    return FeatureService(
        name=name,
        features=[served(view, tables[view.name]) for view in VIEWS if view.name in tables],
        description=f"What is known at the index event: {', '.join(modalities)}.",
    )


SERVICES = tuple(_service(name, modalities) for name, modalities in services().items())
