"""The data source behind every feature view: one feature table of the lake.

    feature view -> LakeSource -> table, pinned or newest -> lazy rows

What does not belong here: which rows an entity row may see (point_in_time).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from feast import RepoConfig, ValueType
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.type_map import pa_to_feast_value_type

from feature_repo.home import home_of
from oncoframe.contracts import KEY_COLUMNS
from oncoframe.errors import ContractViolation
from oncoframe.lake import Lake
from oncoframe.point_in_time import CREATED_TIME, EVENT_TIME, RUN


class LakeSource(DataSource):
    """A feature table of the lake.

    Parameters
    ----------
    table
        Name of the table; also the name of the source.
    description, tags, owner
        As for every Feast data source.
    """

    def __init__(
        self,
        *,
        table: str,
        description: str = "",
        tags: dict[str, str] | None = None,
        owner: str = "",
    ) -> None:
        super().__init__(
            name=table,
            timestamp_field=EVENT_TIME,
            created_timestamp_column=CREATED_TIME,
            description=description,
            tags=tags,
            owner=owner,
        )

    @property
    def table(self) -> str:
        """Name of the lake table."""
        return self.name

    def source_type(self) -> DataSourceProto.SourceType.ValueType:
        """Kind of source in Feast's registry."""
        return DataSourceProto.CUSTOM_SOURCE

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> "LakeSource":
        """Source as the registry stores it."""
        options = json.loads(data_source.custom_options.configuration)
        return LakeSource(
            table=options["table"],
            description=data_source.description,
            tags=dict(data_source.tags),
            owner=data_source.owner,
        )

    def _to_proto_impl(self) -> DataSourceProto:
        proto = DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=f"{LakeSource.__module__}.{LakeSource.__name__}",
            timestamp_field=self.timestamp_field,
            created_timestamp_column=self.created_timestamp_column,
            description=self.description,
            tags=self.tags,
            owner=self.owner,
        )
        proto.custom_options.configuration = json.dumps({"table": self.table}).encode()
        return proto

    def validate(self, config: RepoConfig) -> None:
        """Check that the table, once written, has the columns of every feature table.

        Raises
        ------
        oncoframe.errors.ContractViolation
            If one is missing.
        """
        columns = {name for name, _ in self.get_table_column_names_and_types(config)}
        missing = [name for name in (*KEY_COLUMNS, RUN) if name not in columns]
        if columns and missing:
            raise ContractViolation(
                "not a feature table", where=self.table, got=f"no column {', '.join(missing)}"
            )

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        """Translator of the type names of :meth:`get_table_column_names_and_types`."""
        return pa_to_feast_value_type

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        """Columns and Arrow types of the table; none if it was never written."""
        table = open_table(config, self)
        return [] if table.rows is None else _arrow_types(table.rows)

    def get_table_query_string(self) -> str:
        """The table as Feast's monitoring names it."""
        return self.table


def _arrow_types(rows: pl.LazyFrame) -> list[tuple[str, str]]:
    empty = pl.DataFrame(schema=rows.collect_schema()).to_arrow()
    return [(field.name, _feast_spelling(field.type)) for field in empty.schema]


def _feast_spelling(dtype: pa.DataType) -> str:
    # Feast reads "large_string" as JSON and knows no large lists.
    if pa.types.is_large_string(dtype):
        return "string"
    if pa.types.is_large_list(dtype):
        return f"list<element: {dtype.value_type}>"
    return str(dtype)


@dataclass(frozen=True)
class LakeTable:
    """One version of a lake table.

    Parameters
    ----------
    version
        Delta version; None for a table that was never written and for a saved dataset.
    rows
        Lazy rows, which every scan reads in the same order; None if never written.
    """

    version: int | None
    rows: pl.LazyFrame | None


def open_lake(config: RepoConfig) -> Lake:
    """Lake of a feature store."""
    return Lake(home_of(config.offline_store.home) / "lake")


def open_table(config: RepoConfig, source: LakeSource) -> LakeTable:
    """Table of a source at its pinned version, or at the newest one."""
    lake = open_lake(config)
    pinned: dict[str, int | None] = config.offline_store.versions
    version = pinned[source.table] if source.table in pinned else lake.version(source.table)
    if version is None:
        return LakeTable(None, None)
    return LakeTable(version, lake.scan(source.table, version=version))
