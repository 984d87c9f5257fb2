"""Whether a study is to be trained again: once per version of its data, whoever asks.

data version, runs of the instance -> Retraining -> run request with its reason, or why not

The instance is asked for runs by their tags, so that the answer is the same after a restart, for
the schedule, the sensor and the command line. A run that failed counts: the same data fail the
same way until somebody looks, who can re-execute the run in the UI.
"""

from dataclasses import dataclass

import dagster as dg

from assets.catalog import service_contracts
from assets.lake import Lake
from assets.training.data_version import data_version
from ml.study import load_study
from orchestration.champions import scored_studies
from orchestration.steps import PROPOSED, TRAINED

#: Run tags: study, version of its data, why the run was made, drift verdict that asked for it.
STUDY_TAG = "oncoframe/study"
DATA_VERSION_TAG = "oncoframe/data_version"
REASON_TAG = "oncoframe/reason"
VERDICT_TAG = "oncoframe/drift_verdict"
_LONGEST_REASON = 250


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


def data_version_now(lake: Lake, study_name: str) -> str:
    """Version of the data of a study."""
    study = load_study(study_name)
    return data_version(lake, study, service_contracts(study.features.service))


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
    wanted = [(DATA_VERSION_TAG, version) for version in (due.data_version, *versions)]
    if due.verdict is not None:
        wanted.append((VERDICT_TAG, due.verdict))
    for tag, value in wanted:
        filters = dg.RunsFilter(tags={STUDY_TAG: due.study, tag: value})
        for record in instance.get_run_records(filters, limit=1):
            run = record.dagster_run
            sentence = f"{due.study}: nothing changed since run {run.run_id[:8]} trained it"
            if run.status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
                sentence += f", which ended as {run.status.value.lower()}; re-execute it in the UI"
            return sentence
    return None
