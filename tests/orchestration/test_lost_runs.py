"""Runs whose process was killed are closed, and no other ones."""

import dagster as dg
import pytest

from orchestration.lost_runs import PROCESS_TAG, RunningProcess


@pytest.fixture
def process(tmp_path):
    return RunningProcess(tmp_path / "processes")


def started(instance, tags, **more) -> str:
    run = dg.DagsterRun("job", tags=tags, status=dg.DagsterRunStatus.STARTED, **more)
    instance.add_run(run)
    return run.run_id


def test_close_lost_runs__closes_those_of_processes_that_are_gone(process, instance, tmp_path):
    """A run that looks alive for ever keeps a place of the queue; a live one must go on."""
    lost = started(instance, {PROCESS_TAG: "gone"})
    alive = started(instance, process.tags())
    daemons = started(instance, {})
    RunningProcess(tmp_path / "processes").close_lost_runs(instance)
    assert instance.get_run_by_id(lost).status is dg.DagsterRunStatus.FAILURE
    for run_id in (alive, daemons):
        assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.STARTED


def test_close_lost_runs__lets_a_re_executed_run_go_on(process, instance):
    """Dagster hands on the tags of the first run, whose process is gone, but not this one's."""
    tags = {PROCESS_TAG: "gone"}
    first = started(instance, tags)
    again = started(instance, tags, parent_run_id=first, root_run_id=first)
    process.close_lost_runs(instance)
    assert instance.get_run_by_id(again).status is dg.DagsterRunStatus.STARTED
