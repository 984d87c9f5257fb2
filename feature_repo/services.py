"""Feature services: what a model version is trained on and served with.

Which tables a service has is said by :func:`assets.store.catalog.services`; of each it serves the
columns that are known at the index event.
"""

from collections.abc import Sequence
from pathlib import Path

from feast import FeatureService, FeatureView

from assets.store.catalog import service_contracts, services
from feature_repo.entities import OURS, OWNER
from feature_repo.views import VIEWS, served


def _service(
    name: str, modalities: tuple[str, ...], views: Sequence[FeatureView], center: Path | None
) -> FeatureService:
    tables = {contract.table: contract for contract in service_contracts(name, center)}
    return FeatureService(
        name=name,
        features=[served(view, tables[view.name]) for view in views if view.name in tables],
        description=f"What is known at the index event: {', '.join(modalities)}.",
        owner=OWNER,
        tags=OURS,
    )


def declared_services(
    views: Sequence[FeatureView], center: Path | None = None
) -> tuple[FeatureService, ...]:
    """The services on some views; ``center`` holds clinical columns of the center's own."""
    return tuple(
        _service(name, modalities, views, center) for name, modalities in services().items()
    )


SERVICES = declared_services(VIEWS)
