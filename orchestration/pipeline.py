"""The main job as a sequence of Dagster runs, for the command line and the job ``everything``.

landed_files -> per-patient features, a run per chunk -> clinical tables -> biomarkers -> registry
    -> online values; frame, model, report, candidate

Each step is a Dagster run of its own, because Dagster skips what depends on a per-patient asset in
the run that leaves a patient out. A step is not run if its assets were last made from the input
that lies there now: their data version says from which.
"""

import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from assets.biomarkers.contract import CONTRACT as BIOMARKERS
from assets.clinical.publish import COHORT, FEATURES, LABELS
from assets.landing import intake
from oncoframe.errors import StudyError
from oncoframe.lake import Lake
from oncoframe.ledger import Outcome
from oncoframe.migration import mark
from oncoframe.modalities import assays, spec
from orchestration.groups import group
from orchestration.inputs import (
    biomarkers_input,
    clinical_input,
    feature_versions,
    made_from,
    online_input,
    registry_input,
)
from orchestration.lost_runs import RunningProcess
from orchestration.partitions import PATIENTS
from orchestration.patients import staleness
from orchestration.patients.driver import Driver
from orchestration.patients.landing_zone import open_zone
from orchestration.patients.per_patient import OUTLIER_CHECK, PLAUSIBILITY_CHECK
from orchestration.patients.references import prepare_references
from orchestration.progress import Progress
from orchestration.settings import Settings
from orchestration.studies.champions import champion_of, no_champion, scored_studies
from orchestration.studies.retraining import (
    BY_HAND,
    REASON_TAG,
    SCORED,
    STUDY_TAG,
    data_version_now,
    retrained,
    training_tags,
)

#: Dagster's own console log; progress bars and ledger say the same to people.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
#: Makes the definitions of a home, with a place to show progress.
Build = Callable[[Settings, Progress], dg.Definitions]
_DONE = (Outcome.OK, Outcome.NOT_PERFORMED)
#: What ``score --json`` says of the scores, beside the waiting times.
_TOLD = ("champion", "frame_id", "scored", "unchanged", "withdrawn", "abstained")


@dataclass(frozen=True)
class RunReport:
    """What a run over the landing zone came to, in patients.

    Parameters
    ----------
    patients
        In the samplesheet.
    ok
        Computed in this run without an error.
    quarantined
        With a file that could not be read, now or before.
    skipped
        With nothing to compute.
    seconds
        Wall-clock time.
    """

    patients: int
    ok: int
    quarantined: int
    skipped: int
    seconds: float


class Pipeline:
    """Runs the stages of one home in order.

    Parameters
    ----------
    settings
        Of the home.
    instance
        Dagster instance that records the runs.
    progress
        Where long work shows how far it is.
    build
        Makes the definitions of the home; asked once there is something to run.
    """

    def __init__(
        self, settings: Settings, instance: dg.DagsterInstance, progress: Progress, build: Build
    ) -> None:
        self.settings = settings
        self.instance = instance
        self.progress = progress
        self._build = build
        self.lake = Lake(settings.lake_dir)
        self.driver = Driver(self.lake, settings)
        self._process = RunningProcess(settings.dagster_dir / "processes")

    def run(self, *, only: str | None = None) -> RunReport:
        """Materialise what is new or was replaced.

        Parameters
        ----------
        only
            Stage to stop at (``genomics``, ``expression``, ``clinical``, ``biomarkers``,
            ``store``); default all.
        """
        start = time.monotonic()
        self._land()
        stale = {
            modality: self._stale(modality)
            for modality, found in assays().items()
            if only is None or group(found.stage) == group(only)
        }
        self._features(stale)
        if only in (None, "clinical"):
            tables = (FEATURES, LABELS, COHORT)
            self._unless_made("clinical", tables, clinical_input(self.settings))
        if only in (None, "biomarkers"):
            self._biomarkers()
        if only in (None, "store"):
            self.fill_store()
        return self._report(stale, start)

    def retry(self) -> RunReport:
        """Read the files of quarantined and failed patients again; biomarkers follow."""
        start = time.monotonic()
        self._land()
        failed = {
            modality: sorted(entry.patient_id for entry in self.driver.failed(modality))
            for modality in assays()
        }
        self._features(failed, retry=True)
        self._biomarkers()
        self.fill_store()
        return self._report(failed, start)

    def _report(self, worked_on: dict[str, list[str]], start: float) -> RunReport:
        patients = set(intake.landed(self.lake)["patient_id"])
        computed = patients & {patient for some in worked_on.values() for patient in some}
        failed = patients & {
            entry.patient_id for modality in assays() for entry in self.driver.failed(modality)
        }
        return RunReport(
            patients=len(patients),
            ok=len(computed - failed),
            quarantined=len(failed),
            skipped=len(patients - computed - failed),
            seconds=round(time.monotonic() - start, 2),
        )

    def train(self, study: str) -> dict[str, Any]:
        """New frame, model, report and candidate; returns what ``train --json`` prints."""
        self._register()
        keys = [dg.AssetKey([kind, study]) for kind in retrained(study)]
        version = data_version_now(self.lake, study, self.settings.center)
        tags = training_tags(study, version, BY_HAND)
        result = self.materialize(keys, tags=tags)
        model, report = (
            result.asset_materializations_for_node(key.to_python_identifier())[0]
            for key in keys
            if key.path[0] in ("trained_model", "report")
        )
        summary: dict[str, Any] = model.metadata["result"].value  # type: ignore[assignment]
        return {**summary, "report": report.metadata["html"].value}

    def score(self, study: str) -> dict[str, Any]:
        """Score everyone who changed and judge drift; returns what ``score --json`` prints.

        Raises
        ------
        StudyError
            If the study has no champion, or predicts no classes.
        """
        if study not in scored_studies():
            raise StudyError(
                f"study {study} predicts no classes that a patient could be scored with",
                expected=f"one of {', '.join(scored_studies())}",
            )
        if champion_of(self.settings, study) is None:
            raise StudyError(no_champion(study))
        self._register()
        keys = [dg.AssetKey([kind, study]) for kind in SCORED]
        result = self.materialize(keys, tags={STUDY_TAG: study, REASON_TAG: BY_HAND})
        scores, drift = (
            result.asset_materializations_for_node(key.to_python_identifier())[0].metadata
            for key in keys[1:]
        )
        waits = {name: entry.value for name, entry in scores.items() if name.endswith("_s")}
        return {
            "study": study,
            **{name: scores[name].value for name in _TOLD},
            **waits,
            "drifted": drift["drifted"].value,
            "verdict": drift["verdict"].value,
            "html": str(drift["html"].value),
        }

    def build_frame(
        self, study: str, *, as_of: str | None = None, modalities: Sequence[str] | None = None
    ) -> str:
        """Frame of a study as a Dagster run; returns its id."""
        self._register()
        key = dg.AssetKey(["training_frame", study])
        config = {"as_of": as_of, "modalities": list(modalities) if modalities else None}
        result = self.materialize([key], config={key: config})
        [event] = result.asset_materializations_for_node(key.to_python_identifier())
        return str(event.metadata["frame_id"].value)

    def materialize(
        self,
        keys: Sequence[dg.AssetKey],
        *,
        config: dict[dg.AssetKey, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """One Dagster run over some assets; raises what the asset raised."""
        ops = {
            key.to_python_identifier(): {"config": value} for key, value in (config or {}).items()
        }
        graph = self._graph
        # Judging the whole cohort again after each chunk of patients is left to its schedule.
        checks = {
            check
            for check in graph.get_check_keys_for_assets(set(keys))
            if check.name not in {OUTLIER_CHECK, PLAUSIBILITY_CHECK}
        }
        job = self._job.get_subset(asset_selection=set(keys), asset_check_selection=checks)
        return job.execute_in_process(
            instance=self.instance,
            run_config={**QUIET, **({"ops": ops} if ops else {})},
            tags={**(tags or {}), **self._process.tags()},
        )

    def _land(self) -> None:
        """Check the samplesheet, and take the landing zone in if something changed."""
        mark(self.settings.home)
        self._process.close_lost_runs(self.instance)
        if intake.changed(self.lake, open_zone(self.settings).state()):
            self.materialize([dg.AssetKey(intake.TABLE)])

    def _features(self, stale: dict[str, list[str]], *, retry: bool = False) -> None:
        """Per-patient features in chunks; scattered patients share a run."""
        patients = sorted({patient for some in stale.values() for patient in some})
        size = self.settings.chunk_patients
        for first in range(0, len(patients), size):
            chunk = set(patients[first : first + size])
            config = {
                dg.AssetKey(spec(modality).contract.table): {
                    "patients": sorted(chunk.intersection(some)),
                    "retry": retry,
                }
                for modality, some in stale.items()
                if chunk.intersection(some)
            }
            self.materialize(list(config), config=config)

    def _stale(self, modality: str) -> list[str]:
        """Patients to read, to note in the ledger, or of whose success Dagster does not know."""
        landed = intake.landed(self.lake)
        table = spec(modality).contract.table
        if modality not in landed["modality"].unique() and not self.lake.exists(table):
            return []  # an assay that this center does not do
        # Also patients who left the samplesheet: their rows are taken back.
        patients = sorted(self.instance.get_dynamic_partitions(str(PATIENTS.name)))
        prepare_references(self.settings)
        plan = staleness.plan(self.lake, modality, patients, now=datetime.now(tz=UTC))
        told = self.instance.get_materialized_partitions(dg.AssetKey(table))
        untold = {e.patient_id for e in plan.settled if e.outcome in _DONE} - told
        return sorted(plan.stale() | untold)

    def fill_store(self) -> None:
        """Register what is declared, and bring online values up to date with the lake."""
        versions, center = feature_versions(self.lake), self.settings.center
        self._make_store({**self._registry(), "online_features": online_input(versions, center)})

    def _registry(self) -> dict[str, str]:
        return {"feature_registry": registry_input(self.settings.center)}

    def _make_store(self, made_of: Mapping[str, str]) -> None:
        """Make those of some assets of the store that were last made from something else."""
        stale = [
            dg.AssetKey(name)
            for name, version in made_of.items()
            if not made_from(self.instance, [dg.AssetKey(name)], version)
        ]
        if stale:
            with self.progress.task("store", 1) as advance:
                self.materialize(stale)
                advance()

    def _biomarkers(self) -> None:
        self._unless_made("biomarkers", [BIOMARKERS.table], biomarkers_input(self.lake))

    def _register(self) -> None:
        """Tell the feature store what this version declares, such as a column that is new in it."""
        self._make_store(self._registry())

    def _unless_made(self, stage: str, tables: Sequence[str], version: str) -> None:
        """Make the assets of a stage, unless its tables were last made from this input."""
        if made_from(self.instance, map(dg.AssetKey, tables), version):
            return
        with self.progress.task(stage, 1) as advance:
            keys = self._graph.asset_keys_for_group(group(stage))
            self.materialize(sorted(keys))
            advance()

    @cached_property
    def _definitions(self) -> dg.Definitions:
        # Loading Feast and dbt takes seconds, which a run without work does not spend.
        return self._build(self.settings, self.progress)

    @cached_property
    def _graph(self) -> Any:
        with _quiet_about_sensors():
            return self._definitions.resolve_asset_graph()

    @cached_property
    def _job(self) -> dg.JobDefinition:
        with _quiet_about_sensors():
            return self._definitions.resolve_implicit_global_asset_job_def()


@contextmanager
def _quiet_about_sensors() -> Iterator[None]:
    """Keep quiet that Dagster rebuilds every sensor with a beta parameter of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield


def open_instance(folder: Path) -> dg.DagsterInstance:
    """Dagster instance of a home, with telemetry off; created on first use."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "dagster.yaml"
    template = config if config.exists() else Path(__file__).parent / "dagster.yaml"
    # Dagster wants its event log by absolute path; a home that was moved takes it along.
    here = f'base_dir: "{folder.resolve()}/history/runs"'
    text = re.sub(r'base_dir: ".*/history/runs"', lambda _: here, template.read_text())
    if not config.exists() or config.read_text() != text:
        config.write_text(text)
    return dg.DagsterInstance.from_config(str(folder))
