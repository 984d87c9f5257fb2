"""Schedules and sensors: what Monday morning requests, and what a new file does."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.landing.intake import take_in
from assets.landing.samplesheet import read_samplesheet
from ml.study import study_names
from orchestration.jobs import weekly_retrain_schedule
from orchestration.sensors import new_files

MONDAY = datetime(2024, 6, 3, 2, tzinfo=UTC)


@pytest.fixture
def instance(tmp_path):
    """Instance on disk: a schedule opens its instance by reference."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as on_disk:
        yield on_disk


@pytest.fixture
def tick(instance):
    """Evaluate the schedule at a time, as the daemon does."""

    def evaluate(at: datetime = MONDAY) -> dg.SkipReason | list[dg.RunRequest]:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at)
        return weekly_retrain_schedule(context)

    return evaluate


@pytest.fixture
def trained(instance):
    """Record that a study has a model."""

    def record(study: str) -> None:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(dg.AssetKey(["trained_model", study]))
        )

    return record


def test_weekly_retrain__skips_while_nothing_is_trained(tick):
    """A fresh home would fail every Monday; the reason says what to do."""
    skipped = tick()
    assert isinstance(skipped, dg.SkipReason)
    assert "oncoframe train STUDY" in skipped.skip_message


def test_weekly_retrain__skips_while_only_a_frame_was_built(tick, instance):
    """Somebody looked at a frame; that is no wish for a model each week."""
    key = dg.AssetKey(["training_frame", study_names()[0]])
    instance.report_runless_asset_event(dg.AssetMaterialization(key))
    assert isinstance(tick(), dg.SkipReason)


def test_weekly_retrain__requests_frame_and_model_of_each_trained_study(tick, trained):
    """A model on last week's frame learns nothing; a study never trained is nobody's wish."""
    one, *others = study_names()
    trained(one)
    [request] = tick()
    keys = {key.to_user_string() for key in request.asset_selection}
    assert keys == {f"training_frame/{one}", f"trained_model/{one}"}

    for study in others:
        trained(study)
    assert len(tick()) == 1 + len(others)


def test_weekly_retrain__has_one_run_key_per_study_and_week(tick, trained):
    """A key that repeats is dropped by Dagster: the second week would not run."""
    for study in study_names():
        trained(study)
    weeks = [MONDAY, datetime(2024, 6, 10, 2, tzinfo=UTC)]
    keys = [request.run_key for week in weeks for request in tick(week)]
    assert len(set(keys)) == len(keys) == 2 * len(study_names())
    assert keys[: len(study_names())] == [request.run_key for request in tick()]


def test_weekly_retrain__runs_on_monday_at_two():
    """Utc, so that summer time neither skips nor doubles a run."""
    assert weekly_retrain_schedule.cron_schedule == "0 2 * * 1"
    assert weekly_retrain_schedule.execution_timezone == "UTC"


def test_weekly_retrain__requests_assets_that_its_job_has(tick, trained, definitions):
    """A request outside the job's selection fails at the moment of launch."""
    for study in study_names():
        trained(study)
    job = definitions.resolve_job_def("weekly_retrain")
    within = job.asset_layer.executable_asset_keys
    assert all(set(request.asset_selection) <= within for request in tick())


@pytest.fixture
def look(settings, lake, instance):
    """Let the sensor look at the landing zone once."""

    def evaluate() -> dg.SkipReason | dg.RunRequest:
        context = dg.build_sensor_context(
            instance=instance, resources={"settings": settings, "lake": lake}
        )
        return new_files(context)

    return evaluate


@pytest.fixture
def land(settings):
    """Write a samplesheet whose one row is of this patient; the file is there from the start."""
    folder = Path(settings.landing)
    folder.mkdir()
    (folder / "a.tsv").write_text("a")

    def write(patient_id: str, path: str = "a.tsv") -> None:
        header = "patient_id,modality,path,collected_on,status,reference_build,tool,site"
        row = f"{patient_id},fusion,{path},2024-01-01,performed,,,"
        (folder / "samplesheet.csv").write_text(f"{header}\n{row}\n")

    return write


@pytest.fixture
def take_zone_in(settings, lake):
    """What the run that the sensor asks for does first."""

    def take() -> None:
        take_in(lake, read_samplesheet(settings.landing), now=datetime.now(tz=UTC))

    return take


def test_new_files__says_why_it_does_nothing(look, land):
    """A wrong sheet must neither start a run each minute nor fail the sensor."""
    assert "there is no samplesheet" in look().skip_message
    land("P1", "none.tsv")
    assert "row 2: column path names" in look().skip_message


def test_new_files__requests_a_run_once_per_change(look, land, take_zone_in):
    """One key per state of the zone: a second look before the run must not start a second one."""
    land("P1")
    assert look().run_key == look().run_key
    take_zone_in()
    assert "did not change" in look().skip_message


def test_new_files__requests_a_run_when_a_sheet_is_put_back(look, land, take_zone_in):
    """Dagster drops a run key it has seen: the zone would never be taken in again."""
    keys = set()
    for patient_id in ("P1", "P2", "P1", "P2"):
        land(patient_id)
        keys.add(look().run_key)
        take_zone_in()
    assert len(keys) == 4
