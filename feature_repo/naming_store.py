"""Feast's feature store, which answers a misspelt name with the nearest ones.

    unknown service, view or feature -> Feast's own error + a note with the nearest names

Plain Feast says only which name it does not know.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from feast import FeatureService, FeatureStore, FeatureView
from feast.errors import FeatureServiceNotFoundException, FeatureViewNotFoundException
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.online_response import OnlineResponse


class NamingStore(FeatureStore):
    """Feature store of a home, as :func:`feature_repo.client.open_store` opens it."""

    def get_feature_service(
        self,
        name: str,
        allow_cache: bool = False,  # noqa: FBT001, FBT002 - Feast's signature
    ) -> FeatureService:
        """Service of a name; an unknown one is answered with the nearest."""
        try:
            return super().get_feature_service(name, allow_cache)
        except FeatureServiceNotFoundException as error:
            error.add_note(_nearest(name, (s.name for s in self.list_feature_services())))
            raise

    def get_feature_view(
        self,
        name: str,
        allow_registry_cache: bool = False,  # noqa: FBT001, FBT002 - Feast's signature
    ) -> FeatureView:
        """View of a name; an unknown one is answered with the nearest."""
        with self._named([f"{name}:"]):
            return super().get_feature_view(name, allow_registry_cache)

    def get_historical_features(
        self,
        entity_df: Any = None,
        features: list[str] | FeatureService = [],  # noqa: B006 - Feast's default
        *args: Any,
        **kwargs: Any,
    ) -> RetrievalJob:
        """Rows with features as of their times; an unknown name is answered with the nearest."""
        with self._named(features):
            return super().get_historical_features(entity_df, features, *args, **kwargs)

    def get_online_features(
        self, features: list[str] | FeatureService, *args: Any, **kwargs: Any
    ) -> OnlineResponse:
        """Online values of entities; an unknown name is answered with the nearest."""
        with self._named(features):
            return super().get_online_features(features, *args, **kwargs)

    @contextmanager
    def _named(self, references: list[str] | FeatureService) -> Iterator[None]:
        try:
            yield
        except (FeatureViewNotFoundException, KeyError) as error:
            if isinstance(references, list):
                for note in self._unknown(references):
                    error.add_note(note)
            raise

    def _unknown(self, references: list[str]) -> Iterator[str]:
        """A note on each name that is not registered."""
        views: dict[str, list[str]] = {
            view.name: [field.name for field in view.features]
            for view in self.list_all_feature_views()
        }
        for reference in references:
            view, _, feature = reference.partition(":")
            if view not in views:
                yield _nearest(view, views)
            elif feature not in views[view]:
                yield _nearest(feature, views[view])


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), cutoff=0.5) or ["nothing that is registered"]
    return f"{name} resembles {', '.join(near)}."
