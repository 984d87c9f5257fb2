"""Whether a study is to be trained again: once per version of its data, whoever asks.

data version, runs of the instance -> Retraining -> run request with its reason, or why not

The instance is asked for runs by their tags, so that the answer is the same after a restart, for
the schedule, the sensor and the command line. A run that failed counts: the same data fail the
same way until somebody looks, who can re-execute the run in the UI. One that somebody started by
hand and that came to nothing does not: it may be Ctrl-C.

The tag says at first which data a run was asked for, and from its frame on which data it read.
"""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets.store.catalog import service_contracts
from assets.training.data_version import data_version
from ml.study.definition import load_study
from oncoframe.lake import Lake
from orchestration.studies.champions import scored_studies

#: What training makes: first parts of the keys of the assets of a study, in order.
TRAINED = ("training_frame", "trained_model", "report")
#: What training again makes beyond it: a candidate, and whom its frame is held against.
PROPOSED = ("scoring_frame", "candidate")
#: What scoring makes.
SCORED = ("scoring_frame", "scores", "drift_report")
#: Checks of what scoring makes, by the first part of their asset's key.
SCORING_CHECKS = {
    "promotion": "alias_moved_only_by_gate",
    "scores": "every_patient_has_a_score",
    "drift_report": "no_drift",
}
#: Run tags: study, version of its data, why the run was made, drift verdict that asked for it.
STUDY_TAG = "oncoframe/study"
DATA_VERSION_TAG = "oncoframe/data_version"
REASON_TAG = "oncoframe/reason"
VERDICT_TAG = "oncoframe/drift_verdict"
#: Reason of the runs of the command line.
BY_HAND = "asked for"
#: Job of the schedule and the sensor.
JOB = "retrain"
_LONGEST_REASON = 250
_WAITING = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED]
_IN_VAIN = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True)
class Retraining:
    """A training that is due.

    Parameters
    ----------
    study
        Name of the study.
    data_version
        Of its data now.
    reason
        In a sentence.
    verdict
        Drift verdict that asks for it; None if the clock does.
    """

    study: str
    data_version: str
    reason: str
    verdict: str | None = None

    def tags(self) -> dict[str, str]:
        """Tags of its run."""
        asked = {} if self.verdict is None else {VERDICT_TAG: self.verdict}
        return {**training_tags(self.study, self.data_version, self.reason), **asked}

    def request(self) -> dg.RunRequest:
        """What is handed to Dagster; the key holds where two ticks overlap."""
        return dg.RunRequest(
            run_key=f"{self.study}-{self.data_version}",
            tags=self.tags(),
            asset_selection=[dg.AssetKey([kind, self.study]) for kind in retrained(self.study)],
        )


def retrained(study: str) -> tuple[str, ...]:
    """First parts of the keys of what a retraining of a study makes."""
    return (*TRAINED, *PROPOSED) if study in scored_studies() else TRAINED


def training_tags(study: str, version: str, reason: str) -> dict[str, str]:
    """Tags of a run that trains a study."""
    return {STUDY_TAG: study, DATA_VERSION_TAG: version, REASON_TAG: reason[:_LONGEST_REASON]}


def data_version_now(lake: Lake, study_name: str, center: Path | None = None) -> str:
    """Version of the data of a study; ``center`` holds clinical columns of the center's own."""
    study = load_study(study_name)
    return data_version(lake, study, service_contracts(study.features.service, center))


def done_before(instance: dg.DagsterInstance, due: Retraining, *versions: str) -> str | None:
    """Why a retraining is not due, in a sentence; None if it is.

    Parameters
    ----------
    instance
        Whose runs are looked through.
    due
        What would be done.
    versions
        Versions of the data whose training would do as well.
    """
    # What is not started yet reads the data of then.
    waiting = dg.RunsFilter(job_name=JOB, tags={STUDY_TAG: due.study}, statuses=_WAITING)
    for record in instance.get_run_records(waiting, limit=1):
        return f"{due.study}: run {record.dagster_run.run_id[:8]} still waits to train it"
    wanted = [(DATA_VERSION_TAG, version) for version in (due.data_version, *versions)]
    if due.verdict is not None:
        wanted.append((VERDICT_TAG, due.verdict))
    for tag, value in wanted:
        for record in instance.get_run_records(
            dg.RunsFilter(tags={STUDY_TAG: due.study, tag: value})
        ):
            if (said := _done_by(record.dagster_run)) is not None:
                return f"{due.study}: nothing changed since run {said}"
    return None


def _done_by(run: dg.DagsterRun) -> str | None:
    """What a run did, as the end of a sentence; None if it does not count."""
    name = run.run_id[:8]
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return f"{name} trained it"
    if run.status not in _IN_VAIN:
        return f"{name} began to train it ({run.status.value.lower()})"
    if run.tags.get(REASON_TAG) == BY_HAND:
        return None
    return f"{name} trained it, which ended as {run.status.value.lower()}; re-execute it in the UI"
