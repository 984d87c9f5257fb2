"""Event log in SQLite whose databases stay open: an event per patient must cost milliseconds.

per-patient event -> shard of the run, shard of the assets -> SQLite

Dagster's own opens each database anew for every statement, and with it compiles each statement
anew: two thirds of what an event costs. Tables and files are the same; either class reads both.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from dagster import AssetKey, DagsterEventType
from dagster._core.storage.event_log import SqlEventLogStorageTable, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetKeyTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

#: Seconds to wait for another process that writes.
_BUSY_S = 20


class OpenSqliteEventLog(SqliteEventLogStorage):
    """Dagster's event log in SQLite, with the databases of the assets and of one run kept open."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Dagster's own constructor connects already.
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """The log that ``dagster.yaml`` asks for."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engines.get(shard) or self._open(shard)
            with engine.begin() as connection:
                yield connection

    def _open(self, shard: str) -> Engine:
        for other in self._engines.keys() - {INDEX_SHARD_NAME}:
            self._engines.pop(other).dispose()
        address = self.conn_string_for_shard(shard)
        engine = create_engine(address, connect_args={"timeout": _BUSY_S})
        event.listen(engine, "connect", _wait_for_no_disk)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        self._engines[shard] = engine
        return engine

    def wipe_asset_partitions(self, asset_key: AssetKey, partition_keys: Sequence[str]) -> None:
        """Forget that partitions were materialised, which Dagster's own cannot; runs stay."""
        events, keys = SqlEventLogStorageTable.c, AssetKeyTable.c
        asset = asset_key.to_string()
        with self.index_connection() as connection:
            connection.execute(
                SqlEventLogStorageTable.delete().where(
                    events.asset_key == asset,
                    events.partition.in_(partition_keys),
                    events.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION.value,
                )
            )
            # What Dagster summed up before would otherwise still count them.
            connection.execute(
                AssetKeyTable.update()
                .where(keys.asset_key == asset)
                .values(cached_status_data=None)
            )

    def dispose(self) -> None:
        """Close the databases."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()


def _wait_for_no_disk(connection: Any, _: Any) -> None:
    # With a write-ahead log a power cut may cost the last events, never the database; which
    # patients are done, the lake tells.
    connection.execute("PRAGMA synchronous=NORMAL")
