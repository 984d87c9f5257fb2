"""Event log: databases that stay open hold what Dagster's own log reads, and can forget."""

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from orchestration.event_log import OpenSqliteEventLog
from orchestration.pipeline import open_instance

PATIENTS = dg.DynamicPartitionsDefinition(name="patients")


@dg.asset(partitions_def=PATIENTS)
def features() -> None:
    """Asset with a partition per patient."""


@pytest.fixture
def instance(tmp_path):
    """Instance of a home, whose three patients are materialised."""
    with open_instance(tmp_path) as opened:
        opened.add_dynamic_partitions("patients", ["P1", "P2", "P3"])
        for patient in ("P1", "P2", "P3"):
            dg.materialize([features], instance=opened, partition_key=patient)
        yield opened


def shown(instance: dg.DagsterInstance) -> set[str]:
    """Partitions that the partitions page calls materialised."""
    cache = get_and_update_asset_status_cache_value(instance, features.key, PATIENTS)
    assert cache is not None
    return set(cache.deserialize_materialized_partition_subsets(PATIENTS).get_partition_keys())


def test_events__are_those_that_dagsters_own_log_reads(instance, tmp_path):
    """A dagster tool with the stock class would show an empty history, or another one."""
    [run, *_] = instance.get_runs()
    stock = SqliteEventLogStorage(str(tmp_path / "history" / "runs"))
    kinds = [entry.dagster_event_type for entry in stock.get_logs_for_run(run.run_id)]
    assert isinstance(instance.event_log_storage, OpenSqliteEventLog)
    assert kinds == [entry.dagster_event_type for entry in instance.all_logs(run.run_id)]
    assert dg.DagsterEventType.ASSET_MATERIALIZATION in kinds
    assert stock.get_materialized_partitions(features.key) == {"P1", "P2", "P3"}


def test_wipe_asset_partitions__leaves_the_others_and_the_runs(instance):
    """A patient whose file turned bad would stay green; wiping too much would compute all again."""
    assert shown(instance) == {"P1", "P2", "P3"}

    instance.wipe_asset_partitions(features.key, ["P2"])

    assert shown(instance) == {"P1", "P3"}
    assert instance.get_materialized_partitions(features.key) == {"P1", "P3"}
    assert len(instance.get_runs()) == 3

    dg.materialize([features], instance=instance, partition_key="P2")
    assert shown(instance) == {"P1", "P2", "P3"}
