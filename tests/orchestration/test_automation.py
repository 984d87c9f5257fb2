"""Schedules and the drift sensor: what fires them, what does not, and the reason they give.

The registry is a real one, its versions registered from files written by hand; verdicts and runs
are stored as the assets and the daemon store them.
"""

import contextlib
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from assets.models.verdicts import StoredVerdict, store_verdict
from ml.registry.tracker import mlflow
from ml.study.definition import study_names
from oncoframe import facts
from orchestration import automation
from orchestration.pipeline import open_instance
from orchestration.settings import Settings
from orchestration.studies.champions import scored_studies
from orchestration.studies.retraining import (
    BY_HAND,
    DATA_VERSION_TAG,
    REASON_TAG,
    STUDY_TAG,
    data_version_now,
    retrained,
    training_tags,
)

STUDY = "synthetic_leukemia"
FRAME = "f00df00df00df00d"
MONDAY = datetime(2024, 6, 3, 2, tzinfo=UTC)
VERDICT = StoredVerdict(
    study=STUDY,
    reference_frame_id=FRAME,
    current_frame_id="c0ffee",
    data_version="of the verdict",
    judged_at=MONDAY,
    drifted=True,
    columns=("snv_max_vaf", "snv_median_vaf", "snv_variants", "snv_indels"),
    effect=0.6,
    cause="new tool mutect2 4.6 (0% -> 50%)",
    reference_patients=130,
    current_patients=40,
    modalities={},
)


class Night:
    """Schedules and sensor over a home, and what happens to the runs that they ask for."""

    def __init__(self, settings, lake, instance) -> None:
        self.settings = settings
        self.lake = lake
        self.instance = instance

    def restart(self) -> None:
        """Another process on the same home."""
        self.instance.dispose()
        self.instance = open_instance(self.settings.dagster_dir)

    def sensor(self, name="drift_retrain"):
        context = dg.build_sensor_context(
            instance=self.instance, resources={"settings": self.settings, "lake": self.lake}
        )
        [sensor] = [s for s in automation.sensors(self.settings) if s.name == name]
        return sensor(context)

    def clock(self, name, at):
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=at,
            resources={"settings": self.settings, "lake": self.lake},
        )
        [schedule] = [s for s in automation.schedules(self.settings) if s.name == name]
        return schedule(context)

    def weekly(self, at=MONDAY):
        return self.clock("weekly_retrain", at)

    def nightly(self, at=MONDAY):
        return self.clock("nightly_scores", at)

    def launch(self, request, status=dg.DagsterRunStatus.SUCCESS, job="retrain") -> str:
        """What the daemon does with a request: a run with its tags, which comes to an end."""
        run = dg.DagsterRun(job_name=job, tags=dict(request.tags), status=status)
        self.instance.add_run(run)
        return run.run_id

    def train(self, study: str) -> None:
        key = dg.AssetKey(["trained_model", study])
        self.instance.report_runless_asset_event(dg.AssetMaterialization(key))

    def learn(self) -> None:
        """New rows for everyone: another data version."""
        self.lake.append("labels", pl.DataFrame({"patient_id": ["P1"]}))

    def judge(self, **changes) -> None:
        store_verdict(self.settings.drift_dir, replace(VERDICT, **changes))

    def crown(self, frame_id: str = FRAME) -> None:
        """Register a version as champion, as the gate leaves it."""
        client = self.settings.registry.client()
        with contextlib.suppress(mlflow.MlflowException):
            client.create_registered_model(STUDY)
        tags = {"training_run_id": "t", "frame_id": frame_id, "sha256": "x"}
        made = client.create_model_version(STUDY, str(self.settings.home), tags=tags)
        client.set_registered_model_alias(STUDY, "champion", made.version)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Empty registry; making its tables takes seconds."""
    home = tmp_path_factory.mktemp("registry")
    Settings(home=home).registry.client().search_registered_models()
    return Settings(home=home).mlflow_db


@pytest.fixture
def night(settings, lake, registry):
    settings.mlflow_db.parent.mkdir(parents=True)
    shutil.copyfile(registry, settings.mlflow_db)
    with open_instance(settings.dagster_dir) as instance:
        night = Night(settings, lake, instance)
        yield night
        night.instance.dispose()


@pytest.fixture
def drifted(night):
    """A champion whose new patients drifted."""
    night.crown()
    night.judge()
    return night


def test_weekly_retrain__skips_while_nothing_is_trained(night):
    """A fresh home would fail every Monday; the reason says what to do."""
    assert "oncoframe train STUDY" in night.weekly().skip_message


def test_weekly_retrain__skips_while_only_a_frame_was_built(night):
    """Somebody looked at a frame; that is no wish for a model each week."""
    key = dg.AssetKey(["training_frame", STUDY])
    night.instance.report_runless_asset_event(dg.AssetMaterialization(key))
    assert "no study has a model" in night.weekly().skip_message


def test_weekly_retrain__requests_all_steps_of_each_trained_study(night):
    """A model on last week's frame learns nothing; a study never trained is nobody's wish."""
    night.train(STUDY)
    [request] = night.weekly()
    assert {key.to_user_string() for key in request.asset_selection} == {
        f"training_frame/{STUDY}", f"trained_model/{STUDY}", f"report/{STUDY}",
        f"scoring_frame/{STUDY}", f"candidate/{STUDY}",
    }  # fmt: skip
    assert request.tags[STUDY_TAG] == STUDY
    assert request.tags[REASON_TAG] == "weekly"
    assert request.tags[DATA_VERSION_TAG] == data_version_now(night.lake, STUDY)

    for study in study_names():
        night.train(study)
    assert len(night.weekly()) == len(study_names())


def test_weekly_retrain__does_nothing_in_a_week_without_news(night):
    """Retraining on the same data every week costs hours and tells nothing."""
    night.train(STUDY)
    [request] = night.weekly()
    run_id = night.launch(request)
    skipped = night.weekly(MONDAY + timedelta(days=7)).skip_message
    assert f"nothing changed since run {run_id[:8]}" in skipped
    night.learn()
    [again] = night.weekly(MONDAY + timedelta(days=14))
    assert again.run_key != request.run_key


def test_weekly_retrain__requests_assets_that_its_job_has(night, definitions):
    """A request outside the job's selection fails at the moment of launch."""
    for study in study_names():
        night.train(study)
    within = definitions.resolve_job_def("retrain").asset_layer.executable_asset_keys
    assert all(set(request.asset_selection) <= within for request in night.weekly())


def test_nightly_scores__requests_studies_with_a_champion(night, definitions):
    """A study without champion would fail every night; one with it must not be forgotten."""
    skipped = night.nightly().skip_message
    assert all(study in skipped for study in scored_studies())
    assert "oncoframe promote" in skipped
    night.crown()
    [request] = night.nightly()
    assert [key.to_user_string() for key in request.asset_selection] == [
        f"scoring_frame/{STUDY}", f"scores/{STUDY}", f"drift_report/{STUDY}",
    ]  # fmt: skip
    within = definitions.resolve_job_def("score").asset_layer.executable_asset_keys
    assert set(request.asset_selection) <= within
    [tomorrow] = night.nightly(MONDAY + timedelta(days=1))
    assert tomorrow.run_key != request.run_key


def test_nightly_scores__leaves_out_what_waits_in_the_queue(night):
    """Every tick of a busy day would add a run, and the retraining would wait behind them all."""
    night.crown()
    [request] = night.nightly()
    night.launch(request, dg.DagsterRunStatus.NOT_STARTED, "score")
    assert "still waits to score" in night.nightly().skip_message
    run = night.instance.get_runs()[0]
    night.instance.report_run_failed(run)
    assert len(night.nightly()) == 1


def test_schedules__run_when_the_settings_say(tmp_path):
    """Utc, so that summer time neither skips nor doubles a run."""
    found = {s.name: s for s in automation.schedules(Settings(home=tmp_path))}
    assert found["nightly_scores"].cron_schedule == "0 1 * * *"
    assert found["weekly_retrain"].cron_schedule == "0 2 * * 1"
    assert found["weekly_outliers"].cron_schedule == "0 3 * * 1"
    assert {s.execution_timezone for s in found.values()} == {"UTC"}
    crons = ["30 3 * * *", "0 4 1 * *", "0 5 1 * *"]
    other = Settings(
        home=tmp_path, nightly_cron=crons[0], retrain_cron=crons[1], outliers_cron=crons[2]
    )
    assert [s.cron_schedule for s in automation.schedules(other)] == crons


def test_weekly_outliers__wait_until_a_file_was_read(night):
    """A check of nothing would look like a clean cohort."""
    assert "no file was read" in night.clock("weekly_outliers", MONDAY).skip_message
    night.lake.append(facts.TABLE, pl.DataFrame(schema=facts.SCHEMA))
    assert night.clock("weekly_outliers", MONDAY).run_key.startswith("outliers-2024-06-03")


def test_drift_retrain__says_why_it_does_nothing(night):
    """A sensor that is silent looks like one that is broken."""
    assert f"{STUDY}; promote a candidate" in night.sensor().skip_message
    night.crown()
    assert "was not judged yet" in night.sensor().skip_message
    night.judge(drifted=False, columns=(), cause=None)
    assert "no drift in 40 new patients against 130" in night.sensor().skip_message


def test_drift_retrain__asks_for_a_retraining_and_says_why(drifted):
    """Whoever looks at the run a month later wants to know which columns, and the cause."""
    [request] = drifted.sensor()
    assert {key.path[0] for key in request.asset_selection} == set(retrained(STUDY))
    assert {key.path[1] for key in request.asset_selection} == {STUDY}
    reason = request.tags[REASON_TAG]
    assert "snv_max_vaf, snv_median_vaf, snv_variants and 1 more" in reason
    assert "new tool mutect2 4.6" in reason


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.SUCCESS,
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.CANCELED,
    ],
)
def test_drift_retrain__fires_once_per_data_version(drifted, status):
    """The same drift would train the same model each minute; a failure, fail each minute."""
    [first], [before_launch] = drifted.sensor(), drifted.sensor()
    assert first.run_key == before_launch.run_key
    run_id = drifted.launch(first, status)
    for _ in range(5):
        drifted.restart()
        for _ in range(5):
            assert f"nothing changed since run {run_id[:8]}" in drifted.sensor().skip_message
    drifted.judge(judged_at=MONDAY + timedelta(days=1))
    assert isinstance(drifted.sensor(), dg.SkipReason)


def test_drift_retrain__says_that_the_retraining_failed(drifted):
    """Nobody would look: the sensor that waits for news looks as after a success."""
    [request] = drifted.sensor()
    drifted.launch(request, dg.DagsterRunStatus.FAILURE)
    assert "ended as failure; re-execute it in the UI" in drifted.sensor().skip_message


def test_drift_retrain__does_not_count_what_somebody_broke_off(drifted):
    """Ctrl-C in a terminal would switch the retraining off until the data change."""
    version = data_version_now(drifted.lake, STUDY)
    by_hand = dg.RunRequest(tags=training_tags(STUDY, version, BY_HAND))
    drifted.launch(by_hand, dg.DagsterRunStatus.FAILURE, "__ASSET_JOB")
    drifted.launch(by_hand, dg.DagsterRunStatus.CANCELED, "__ASSET_JOB")
    [request] = drifted.sensor()
    running = drifted.launch(by_hand, dg.DagsterRunStatus.STARTED, "__ASSET_JOB")
    assert f"run {running[:8]} began to train it (started)" in drifted.sensor().skip_message
    drifted.launch(request, dg.DagsterRunStatus.FAILURE)
    assert "ended as failure" in drifted.sensor().skip_message
    run_id = drifted.launch(by_hand, job="__ASSET_JOB")
    assert f"nothing changed since run {run_id[:8]} trained it;" in drifted.sensor().skip_message


def test_drift_retrain__waits_for_a_run_in_the_queue(drifted):
    """Files arrive while it waits: it reads them, and so would the second one behind it."""
    [request] = drifted.sensor()
    run_id = drifted.launch(request, dg.DagsterRunStatus.NOT_STARTED)
    drifted.learn()
    drifted.judge(current_frame_id="beef", data_version="another")
    drifted.train(STUDY)
    for skipped in (drifted.sensor(), drifted.weekly()):
        assert f"run {run_id[:8]} still waits to train it" in skipped.skip_message


def test_drift_retrain__fires_again_for_a_new_verdict_on_new_data(drifted):
    """More patients arrived and still drift: the next model may be the one that passes."""
    [first] = drifted.sensor()
    drifted.launch(first)
    drifted.learn()
    assert isinstance(drifted.sensor(), dg.SkipReason), "the verdict was answered already"
    drifted.judge(current_frame_id="beef", data_version="another")
    [second] = drifted.sensor()
    assert second.run_key != first.run_key
    drifted.launch(second)
    assert isinstance(drifted.sensor(), dg.SkipReason)


def test_drift_retrain__leaves_out_what_the_schedule_trained(drifted):
    """Clock and drift on the same morning would train twice."""
    drifted.train(STUDY)
    [weekly] = drifted.weekly()
    drifted.launch(weekly)
    assert isinstance(drifted.sensor(), dg.SkipReason)


def test_weekly_retrain__leaves_out_what_the_sensor_trained(drifted):
    """Likewise the other way round."""
    drifted.train(STUDY)
    [request] = drifted.sensor()
    drifted.launch(request)
    assert isinstance(drifted.weekly(), dg.SkipReason)


def test_drift_retrain__does_not_answer_a_verdict_on_data_that_were_trained_on(drifted):
    """The night judges what was trained on in the evening: nothing new for a model."""
    drifted.judge(data_version=data_version_now(drifted.lake, STUDY))
    [request] = drifted.sensor()
    drifted.launch(request)
    drifted.learn()
    drifted.judge(data_version=request.tags[DATA_VERSION_TAG], current_frame_id="beef")
    assert isinstance(drifted.sensor(), dg.SkipReason)


def test_drift_retrain__forgets_the_verdict_on_an_earlier_champion(drifted):
    """After a promotion the old verdict would retrain once more."""
    drifted.crown("0123456789abcdef")
    assert "frame 0123456789abcdef was not judged yet" in drifted.sensor().skip_message


@pytest.mark.parametrize("automatic", [True, False])
def test_automation__rests_until_it_is_wanted(tmp_path, automatic):
    """A home on a laptop must not retrain by itself; a server must, without a click."""
    settings = Settings(home=tmp_path, automatic=automatic)
    made = [*automation.schedules(settings), *automation.sensors(settings)]
    assert {one.default_status.value for one in made} == {"RUNNING" if automatic else "STOPPED"}
