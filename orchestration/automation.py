"""What happens by itself: scores every night, training once a week and on drift, a weekly check.

samplesheet or a file of it changed -> new_files -> job everything, once per state of the zone
clock -> nightly_scores -> scoring frame, scores, drift report of each study with a champion
clock -> weekly_outliers -> checks nobody_stands_out and values_are_plausible of the feature tables
clock -> weekly_retrain, drift verdict -> drift_retrain -> frame, model, report, candidate

Whether a training is due is decided in ``studies/retraining.py``. Ticks say in a sentence why they
do nothing; Dagster keeps it.
"""

from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg

from assets.landing import intake
from assets.models.verdicts import newest_verdict
from ml.study.definition import study_names
from oncoframe import facts
from oncoframe.errors import OncoFrameError
from oncoframe.hashing import content_hash
from oncoframe.lake import Lake
from oncoframe.modalities import assays, feature_contracts
from orchestration.jobs import everything
from orchestration.patients.landing_zone import open_zone
from orchestration.patients.per_patient import OUTLIER_CHECK, PLAUSIBILITY_CHECK
from orchestration.settings import Settings
from orchestration.studies.champions import champion_of, no_champion, scored_studies
from orchestration.studies.retraining import (
    JOB,
    PROPOSED,
    REASON_TAG,
    SCORED,
    SCORING_CHECKS,
    STUDY_TAG,
    TRAINED,
    Retraining,
    data_version_now,
    done_before,
)

if TYPE_CHECKING:
    from ml.registry.model_version import ModelVersion

#: The zone is looked at this often; looking reads sizes and times, no file.
ZONE_INTERVAL_S = 60
#: The verdict is looked at this often; looking reads a file and asks the registry.
INTERVAL_S = 30

_Status = TypeVar("_Status", dg.DefaultScheduleStatus, dg.DefaultSensorStatus)


def _checks(study: str) -> list[dg.AssetCheckKey]:
    """Checks of a scoring, with that of the champion's alias."""
    return [
        dg.AssetCheckKey(dg.AssetKey([kind, study]), name) for kind, name in SCORING_CHECKS.items()
    ]


score = dg.define_asset_job(
    "score",
    selection=dg.AssetSelection.key_prefixes(*SCORED)
    | dg.AssetSelection.checks(*(check for name in scored_studies() for check in _checks(name))),
    description="Scores of everyone by the champion, and whether new patients still resemble "
    "those it was trained on.",
)

retrain = dg.define_asset_job(
    JOB,
    selection=dg.AssetSelection.key_prefixes(*TRAINED, *PROPOSED),
    description="New frame, model and report of a study, and a candidate for its champion.",
)

outliers = dg.define_asset_job(
    "outliers",
    selection=dg.AssetSelection.checks(
        *(
            dg.AssetCheckKey(dg.AssetKey(found.contract.table), OUTLIER_CHECK)
            for found in assays().values()
        ),
        *(
            dg.AssetCheckKey(dg.AssetKey(contract.table), PLAUSIBILITY_CHECK)
            for contract in feature_contracts()
        ),
    ),
    description="Whether the files of a patient stand out from those of the cohort, and whether a "
    "feature table holds values that no measurement gives.",
)


def nightly_scores(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per study that has a champion and none that waits for its turn."""
    studies = scored_studies()
    crowned = [name for name in studies if champion_of(settings, name) is not None]
    if not crowned:
        return dg.SkipReason(no_champion(*studies))
    # On a busy machine a short interval would fill the queue with runs that all do the same.
    ready = [name for name in crowned if not _waits(context.instance, name)]
    if not ready:
        return dg.SkipReason(f"a run still waits to score {', '.join(crowned)}")
    return [
        dg.RunRequest(
            run_key=f"{name}-{context.scheduled_execution_time.isoformat()}",
            tags={STUDY_TAG: name, REASON_TAG: "nightly"},
            asset_selection=[dg.AssetKey([kind, name]) for kind in SCORED],
            asset_check_keys=_checks(name),
        )
        for name in ready
    ]


def _waits(instance: dg.DagsterInstance, study: str) -> bool:
    """Whether a run that scores a study was not started yet."""
    waiting = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED]
    filters = dg.RunsFilter(job_name=score.name, tags={STUDY_TAG: study}, statuses=waiting)
    return bool(instance.get_run_records(filters, limit=1))


def weekly_retrain(
    context: dg.ScheduleEvaluationContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per study that was trained before and whose data changed since."""
    trained = [
        name
        for name in study_names()
        if context.instance.get_latest_materialization_event(dg.AssetKey(["trained_model", name]))
    ]
    if not trained:
        return dg.SkipReason("no study has a model yet; train one with 'oncoframe train STUDY'")
    due = [
        Retraining(name, data_version_now(lake, name, settings.center), "weekly")
        for name in trained
    ]
    done = {one.study: done_before(context.instance, one) for one in due}
    skipped = [sentence for sentence in done.values() if sentence is not None]
    return _requests(context, [one for one in due if done[one.study] is None], skipped)


def weekly_outliers(
    context: dg.ScheduleEvaluationContext, lake: dg.ResourceParam[Lake]
) -> dg.RunRequest | dg.SkipReason:
    """One run of the checks, once files were read."""
    if not lake.exists(facts.TABLE):
        return dg.SkipReason("no file was read yet; take some in with 'oncoframe run'")
    return dg.RunRequest(run_key=f"outliers-{context.scheduled_execution_time.isoformat()}")


def drift_retrain(
    context: dg.SensorEvaluationContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per study whose newest verdict against its champion's frame says drift."""
    due: list[Retraining] = []
    skipped, without = [], []
    for name in scored_studies():
        champion = champion_of(settings, name)
        if champion is None:
            without.append(name)
            continue
        found = _asked_by_drift(context.instance, settings, lake, champion)
        if isinstance(found, str):
            skipped.append(found)
        else:
            due.append(found)
    return _requests(context, due, [*skipped, *([no_champion(*without)] if without else [])])


def _asked_by_drift(
    instance: dg.DagsterInstance, settings: Settings, lake: Lake, champion: "ModelVersion"
) -> Retraining | str:
    """The training that the verdict on a champion asks for, or why none is due."""
    study = champion.study
    verdict = newest_verdict(settings.drift_dir, study, reference_frame_id=champion.frame_id)
    if verdict is None:
        return f"{study}: drift against frame {champion.frame_id} was not judged yet"
    if not verdict.drifted:
        return f"{study}: {verdict.sentence}"
    reason = f"{study}: {verdict.sentence}"
    due = Retraining(study, data_version_now(lake, study, settings.center), reason, verdict.name)
    return done_before(instance, due, verdict.data_version) or due


def _requests(
    context: dg.ScheduleEvaluationContext | dg.SensorEvaluationContext,
    due: list[Retraining],
    skipped: list[str],
) -> list[dg.RunRequest] | dg.SkipReason:
    if not due:
        return dg.SkipReason("; ".join(skipped))
    for sentence in (*(one.reason for one in due), *skipped):
        context.log.info(sentence)
    return [one.request() for one in due]


JOBS: list[Any] = [score, retrain, outliers]  # Dagster exports no common type


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The schedules, at the times that the settings say."""
    return [
        dg.schedule(
            job=score,
            cron_schedule=settings.nightly_cron,
            default_status=_at_first(dg.DefaultScheduleStatus, settings),
            execution_timezone="UTC",
            description="Scores every patient whose features changed, everyone where the champion "
            "changed, and judges drift.",
        )(nightly_scores),
        dg.schedule(
            job=retrain,
            cron_schedule=settings.retrain_cron,
            default_status=_at_first(dg.DefaultScheduleStatus, settings),
            execution_timezone="UTC",
            description="Trains every study again that has a model and whose data changed since; "
            "the new model is a candidate until somebody promotes it.",
        )(weekly_retrain),
        dg.schedule(
            job=outliers,
            cron_schedule=settings.outliers_cron,
            default_status=_at_first(dg.DefaultScheduleStatus, settings),
            execution_timezone="UTC",
            description="Names the patients whose files stand out from those of the cohort.",
        )(weekly_outliers),
    ]


def sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensors: of the samplesheet and its files, and of drift."""
    return [
        dg.sensor(
            job=everything,
            minimum_interval_seconds=ZONE_INTERVAL_S,
            default_status=_at_first(dg.DefaultSensorStatus, settings),
            description="Runs the main job when the samplesheet or one of its files changed.",
        )(new_files),
        dg.sensor(
            job=retrain,
            minimum_interval_seconds=INTERVAL_S,
            default_status=_at_first(dg.DefaultSensorStatus, settings),
            description="Trains a study again when new patients drifted from those of its "
            "champion; once per version of the data.",
        )(drift_retrain),
    ]


def _at_first(kind: type[_Status], settings: Settings) -> _Status:
    """Status until somebody starts or stops it in the UI."""
    return kind.RUNNING if settings.automatic else kind.STOPPED


def new_files(
    settings: dg.ResourceParam[Settings], lake: dg.ResourceParam[Lake]
) -> dg.RunRequest | dg.SkipReason:
    """Runs the main job when the samplesheet or one of its files changed.

    New patients become partitions, replaced files make their patient stale; the rest is not
    touched. A wrong samplesheet starts nothing: its sentence is the reason of the skip.
    """
    try:
        state = open_zone(settings).state()
    except OncoFrameError as error:
        return dg.SkipReason(str(error))
    if not intake.changed(lake, state):
        return dg.SkipReason("the landing zone did not change")
    # Dagster drops a key it has seen: a file that is put back needs another key than at first.
    taken_in = lake.version(intake.TABLE)
    return dg.RunRequest(run_key=f"landing-{taken_in}-{content_hash(state)}")
