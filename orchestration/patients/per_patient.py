"""Per-patient assets: what the driver did, told to Dagster.

    modality -> per_patient_asset -> one materialisation event per patient that succeeded

A patient that failed gets no event, so the partitions page, backfills and automation all see it as
missing. The asset yields no output: an output would mark every requested patient as done. Dagster
therefore skips what is downstream in the same run; that runs in its own run.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from oncoframe import facts
from oncoframe.contracts import Contract
from oncoframe.extraction import Extraction
from oncoframe.ledger import Entry, Outcome
from oncoframe.modalities import assays
from oncoframe.modality import ModalitySpec
from orchestration.groups import OWNERS, group
from orchestration.metadata import contract_schema, markdown_table, picture_metadata
from orchestration.partitions import PATIENTS
from orchestration.patients.driver import Driver, PatientOutcome
from orchestration.patients.pictures import newest
from orchestration.progress import Progress

_DONE = (Outcome.OK, Outcome.NOT_PERFORMED)
CHECK = "no_patient_in_quarantine"
#: Checks of the same tables by :mod:`assets.monitoring.defs`, on a schedule of their own.
OUTLIER_CHECK = "nobody_stands_out"
PLAUSIBILITY_CHECK = "values_are_plausible"
#: Patients per run of a backfill; a run costs 0.3 s in process and seconds as a process.
BACKFILL_CHUNK = 500
#: Patients named in metadata; the ledger names all.
_NAMED = 100


class PatientsConfig(dg.Config):
    """Patients of a run that no partition range can name."""

    patients: list[str] = Field(default_factory=list)
    retry: bool = False


def per_patient_assets() -> list[dg.AssetsDefinition]:
    """Feature tables of all modalities that are read from files."""
    with warnings.catch_warnings():
        # A backfill in chunks is in beta, as it is for the assets that a folder declares.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [per_patient_asset(spec) for spec in assays().values()]


def per_patient_asset(spec: ModalitySpec) -> dg.AssetsDefinition:
    """Feature table of one modality, partitioned by patient."""
    contract = spec.contract

    @dg.asset(
        name=contract.table,
        deps=["landed_files"],
        partitions_def=PATIENTS,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=BACKFILL_CHUNK),
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=contract.table,
                description="Fails while a file of a patient cannot be read; names who, and why.",
            )
        ],
        output_required=False,
        group_name=group(spec.stage),
        owners=OWNERS,
        kinds={*spec.kinds},
        description=contract.description,
        code_version=contract.code_version,
        metadata={"dagster/column_schema": contract_schema(contract)},
    )
    def features(
        context: dg.AssetExecutionContext,
        config: PatientsConfig,
        driver: dg.ResourceParam[Driver],
        progress: dg.ResourceParam[Progress],
    ) -> Iterator[dg.AssetCheckResult]:
        patients = config.patients or list(context.partition_keys)
        outcomes: list[Entry] = []
        with progress.task(contract.table, len(patients)) as advance:
            run = driver.run(spec.name, patients, run_id=context.run.run_id, retry=config.retry)
            for outcome in run:
                outcomes.append(outcome.entry)
                if outcome.entry.outcome in _DONE:
                    pictures = newest(
                        driver.settings.pictures_dir, spec.name, outcome.entry.patient_id
                    )
                    shown = picture_metadata(pictures)
                    context.log_event(_materialization(contract, outcome, shown))
                advance()
        _forget(context.instance, contract, outcomes)
        yield _check(driver, spec.name)
        context.log.info(_summary(contract, outcomes))

    return features


def _materialization(
    contract: Contract, outcome: PatientOutcome, pictures: dict[str, dg.MetadataValue]
) -> dg.AssetMaterialization:
    entry = outcome.entry
    metadata: dict[str, Any] = {
        **pictures,
        "outcome": str(entry.outcome),
        "source_sha256": entry.source_sha256,
        "columns": len(contract.schema()),
    }
    found = [read.extraction for read in outcome.reads if read.extraction is not None]
    if outcome.reads:
        metadata["dagster/partition_row_count"] = len(outcome.reads)
    if found:
        metadata["records"] = sum(extraction.records for extraction in found)
        metadata["used"] = sum(extraction.used for extraction in found)
        metadata["filtered"] = _total(extraction.filtered for extraction in found)
        metadata["failed"] = _total(extraction.failed for extraction in found)
        metadata.update(found[-1].notes)
        metadata.update(_facts(found[-1]))
    return dg.AssetMaterialization(contract.table, partition=entry.patient_id, metadata=metadata)


def _facts(found: Extraction) -> dict[str, Any]:
    """What a person needs to trust the newest row; the numbers on their own, to be plotted."""
    told = facts.in_words(facts.values(found))
    numbers = {**found.facts.measures, "share_used": found.share_used}
    return {
        "facts": markdown_table(("fact", "value"), told.items()),
        **{name: value for name, value in numbers.items() if value is not None},
    }


def _forget(instance: dg.DagsterInstance, contract: Contract, entries: Sequence[Entry]) -> None:
    """Take the event of an earlier success from patients whose new file is bad."""
    key = dg.AssetKey(contract.table)
    bad = {entry.patient_id for entry in entries if entry.outcome not in _DONE}
    if bad and (told := bad & instance.get_materialized_partitions(key)):
        instance.wipe_asset_partitions(key, sorted(told))


def _total(counts: Iterator[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for reasons in counts:
        for reason, number in reasons.items():
            total[reason] = total.get(reason, 0) + number
    return total


def _check(driver: Driver, modality: str) -> dg.AssetCheckResult:
    failed = driver.failed(modality)
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"Patients whose file could not be read: {len(failed)}" if failed else None,
        metadata={
            "quarantined": len(failed),
            "patients": {entry.patient_id: entry.message for entry in failed[:_NAMED]},
        },
    )


def _summary(contract: Contract, entries: Sequence[Entry]) -> str:
    counts = {o: sum(entry.outcome == o for entry in entries) for o in Outcome}
    parts = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
    return f"{contract.table}: {len(entries)} patients: {parts or 'none'}"
