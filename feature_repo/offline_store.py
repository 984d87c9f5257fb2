"""Our Feast offline store: Polars over the Delta lake, point in time on both clocks.

    entity rows -> rows of each view's table that they may see -> values -> Arrow

A row of the lake counts if its ``event_timestamp`` is not after the entity row's time (as-of) and
its ``created_timestamp`` is not after the entity row's ``known_by``, or after as-of where the
entity frame has no such column. Of the rows that count, the latest event wins, and of that event
the latest correction.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Literal

import polars as pl
import pyarrow as pa
from feast import FeatureView, OnDemandFeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel
from feast.utils import compute_non_entity_date_range
from pydantic import Field

from feature_repo.entity_rows import EntityRows
from feature_repo.historical import join, patients_between, view_requests
from feature_repo.home import home_of
from feature_repo.latest import all_rows, newest_rows, open_source
from feature_repo.retrieval import LakeRetrievalJob, audited


class LakeOfflineStoreConfig(FeastConfigBaseModel):
    """Section ``offline_store`` of ``feature_store.yaml``.

    Parameters
    ----------
    type
        Path of the store's class.
    home
        Folder of the lake and of the audit log, in which each pull of features leaves a line.
    known_by
        ``as_of``: a value counts only if it was known by the entity row's time, unless the entity
        frame names another time in its column ``known_by``. ``ever``: without that column it
        counts whenever it was learned, as in other Feast stores.
    versions
        Lake table -> Delta version to read, None for a table to be read as never written. A table
        that is not named is read at its newest version.
    """

    type: str = "feature_repo.offline_store.LakeOfflineStore"
    home: str = ""
    known_by: Literal["as_of", "ever"] = "as_of"
    versions: dict[str, int | None] = Field(default_factory=dict)


class LakeOfflineStore(OfflineStore):
    """Feature tables of the lake behind the plain Feast interface."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(  # noqa: PLR0913 - Feast's signature
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: Any,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002 - Feast's signature
        *,
        filter_by_created_timestamp: bool = False,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> LakeRetrievalJob:
        """Join entity rows with the values they may see.

        Parameters
        ----------
        entity_df
            pandas or Polars frame with the key columns, ``event_timestamp`` (as-of) and, where
            it is another time, ``known_by``. None gives one row per patient with an event between
            ``start_date`` and ``end_date``, as of and known by ``end_date``.
        filter_by_created_timestamp
            Feast's own flag: never look past as-of, whatever else is said.
        config, feature_views, feature_refs, registry, project, full_feature_names
            As Feast passes them.

        Raises
        ------
        oncoframe.errors.StudyError
            If the entity frame cannot be used, or a view does not stand on the lake.
        """
        requests = view_requests(
            config, feature_views, feature_refs, full_feature_names=full_feature_names
        )
        limit = config.offline_store.known_by == "as_of"
        if entity_df is None:
            first, last = compute_non_entity_date_range(feature_views, start_date, end_date)
            rows = patients_between(requests, first, last, limit=limit)
        else:
            rows = EntityRows.of(entity_df)
            first, last = rows.span
        versions = {request.source: request.table.version for request in requests}
        read = partial(
            join,
            rows,
            requests,
            limit=limit,
            strict=filter_by_created_timestamp,
            home=home_of(config.offline_store.home),
        )
        return LakeRetrievalJob(
            audited(read, config, features=feature_refs, versions=versions),
            versions=versions,
            repo_path=config.repo_path,
            full_feature_names=full_feature_names,
            on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(
                feature_refs, project, registry
            ),
            metadata=RetrievalMetadata(
                features=feature_refs,
                keys=[name for name in rows.table.column_names if name != rows.as_of],
                min_event_timestamp=first,
                max_event_timestamp=last,
            ),
        )

    @staticmethod
    def pull_latest_from_table_or_query(  # noqa: PLR0913, PLR0917 - Feast's signature
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> LakeRetrievalJob:
        """Newest row of each key with an event between two times, for the online store.

        The latest correction wins even if it came after ``end_date``: what is served online is
        what is known now.
        """
        table = open_source(config, data_source)
        return _pull(
            config,
            {data_source.name: table.version},
            lambda: newest_rows(
                table,
                keys=join_key_columns,
                features=feature_name_columns,
                clocks=_named(timestamp_field, created_timestamp_column),
                span=(start_date, end_date),
            ),
        )

    @staticmethod
    def pull_all_from_table_or_query(  # noqa: PLR0913, PLR0917 - Feast's signature
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> LakeRetrievalJob:
        """Every row with an event between two times, of a lake table or a saved dataset."""
        table = open_source(config, data_source)
        times = _named(timestamp_field, created_timestamp_column)
        return _pull(
            config,
            {data_source.name: table.version},
            lambda: all_rows(
                table,
                columns=[*join_key_columns, *feature_name_columns, *times],
                event_time=timestamp_field,
                span=(start_date, end_date),
            ),
        )

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Refused: rows enter the lake through their contract.

        Raises
        ------
        NotImplementedError
            Always, as Feast expects of a store that it cannot write to.
        """
        del config, table, progress
        raise NotImplementedError(
            f"{feature_view.name} is written by oncoframe.lake.Lake.append_features, "
            "which checks the contract of the table"
        )


def _named(*columns: str | None) -> list[str]:
    return [column for column in columns if column]


def _pull(
    config: RepoConfig, versions: dict[str, int | None], read: Callable[[], pl.DataFrame]
) -> LakeRetrievalJob:
    return LakeRetrievalJob(
        lambda: read().to_arrow(), versions=versions, repo_path=config.repo_path
    )
