"""Drift and outliers: Dagster glue only.

The verdicts are in ``assets/models/drift.py``, ``ml/drift/outliers.py`` and
``ml/frames/implausible.py``.

facts of the files of a feature table -> check nobody_stands_out (who, which fact, how far)
newest rows of a feature table -> check values_are_plausible (which column, how far)
champion, its frame, scoring_frame/<study> -> drift_report/<study> (verdict, page, figures)
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from assets.models.drift import AskedModel, Judgement, judge_drift
from assets.models.verdicts import StoredVerdict, store_verdict
from assets.training.sidecar import frame_columns
from ml.drift.outliers import FALSE_ALARM, MIN_PATIENTS, Judged, measurements, stand_out
from ml.drift.report import write_report
from ml.frames.frame import FrameColumn
from ml.frames.implausible import MIN_VALUES, Implausible, judge_values
from ml.study.definition import load_study
from oncoframe import facts
from oncoframe.columns import Column
from oncoframe.contracts import Contract
from oncoframe.errors import PromotionError, StudyError
from oncoframe.lake import Lake
from oncoframe.modalities import assays, feature_contracts
from oncoframe.point_in_time import latest_events
from orchestration.groups import SCIENCE_OWNERS, group
from orchestration.metadata import latest_frame, markdown_table, picture_metadata
from orchestration.patients.per_patient import OUTLIER_CHECK, PLAUSIBILITY_CHECK
from orchestration.settings import Settings
from orchestration.studies.champions import (
    champion_of,
    no_champion,
    opened_champion,
    place,
    scored_studies,
)

if TYPE_CHECKING:
    from ml.registry.model_version import ModelVersion

CHECK = "no_drift"
#: Drifted columns, and patients who stand out, that metadata names; the page lists more columns.
_NAMED = 50


def _drift_report(study_name: str) -> dg.AssetsDefinition:
    study = load_study(study_name)
    frame_key = dg.AssetKey(["scoring_frame", study_name])
    key = dg.AssetKey(["drift_report", study_name])

    @dg.asset(
        key=key,
        deps=[frame_key, dg.AssetKey(["scores", study_name])],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=key,
                description="Warns while the patients who arrived since the champion was trained "
                "differ from those it was trained on; says in which columns, and the likely cause.",
            )
        ],
        output_required=False,
        group_name=group("monitoring"),
        owners=SCIENCE_OWNERS,
        kinds={"evidently", "html"},
        description="Whether the patients who arrived since the champion was trained are still "
        "like those it learned from: features, missing assays, predictions and, where labels are "
        f"known, calibration; with the likely cause. {study.title}",
        code_version="1",
    )
    def drift_report(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        lake: dg.ResourceParam[Lake],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        champion = champion_of(settings, study_name)
        if champion is None:
            sentence = no_champion(study_name)
            context.log.info("Nothing was compared: %s", sentence)
            yield dg.AssetCheckResult(
                check_name=CHECK, asset_key=key, passed=True, description=sentence
            )
            return
        asked = opened_champion(settings, champion)
        judged = judge_drift(
            lake,
            settings.frames_dir,
            reference=champion.frame_id,
            current=latest_frame(context.instance, frame_key),
            model=AskedModel.of(asked),
        )
        folder = settings.reports_dir / study_name / "drift" / judged.verdict.name
        files = write_report(judged.report, folder)
        page = files.pop("html")
        verdict = replace(judged.verdict, page=str(page))
        store_verdict(settings.drift_dir, verdict)
        context.log.info(verdict.sentence)
        of_challenger = _of_challenger(
            study_name, champion, verdict.current_frame_id, settings, lake
        )
        yield dg.MaterializeResult(
            metadata={
                **_metadata(verdict, judged, files),
                "challenger": of_challenger,
                "html": dg.MetadataValue.path(page),
                "champion": champion.label,
                "mlflow_run_id": champion.training_run_id,
            }
        )
        yield dg.AssetCheckResult(
            check_name=CHECK,
            asset_key=key,
            passed=not verdict.drifted,
            severity=dg.AssetCheckSeverity.WARN,
            description=verdict.sentence,
            metadata={"columns": list(verdict.columns[:_NAMED]), "cause": verdict.cause or "none"},
        )

    return drift_report


def _of_challenger(
    study_name: str, champion: "ModelVersion", everyone: str, settings: Settings, lake: Lake
) -> str:
    """Judge the patients of today against the challenger's frame, too: the gate asks for it."""
    # MLflow takes seconds to load, which a run without models does not spend.
    from assets.promotion.candidates import judge_challenger  # noqa: PLC0415
    from ml.registry.versions import with_alias  # noqa: PLC0415

    challenger = with_alias(study_name, "challenger", store=settings.registry)
    if challenger is None or challenger.training_run_id == champion.training_run_id:
        return "no challenger"
    try:
        return judge_challenger(
            challenger, champion, place(settings), lake=lake, everyone=everyone
        ).sentence
    except (PromotionError, StudyError) as error:
        return f"not judged: {error}"  # the champion's verdict stands without it


def _metadata(
    verdict: StoredVerdict, judged: Judgement, figures: dict[str, Path]
) -> dict[str, Any]:
    shares = [
        f"| {m.modality} | {m.tested} | {m.drifted} | {m.share:.1%} | {m.cause or ''} |"
        for m in judged.report.modalities
    ]
    heads = "| modality | columns tested | drifted | share | likely cause |\n| --- |" + " --- |" * 4
    return {
        "verdict": verdict.sentence,
        "drifted": verdict.drifted,
        "cause": verdict.cause or "none",
        "effect": verdict.effect,
        "columns_drifted": len(verdict.columns),
        "columns": list(verdict.columns[:_NAMED]),
        "new_patients": verdict.current_patients,
        "reference_patients": verdict.reference_patients,
        "reference_frame_id": verdict.reference_frame_id,
        "frame_id": verdict.current_frame_id,
        "modalities": dg.MetadataValue.md("\n".join([heads, *shares])),
        **picture_metadata({name: (file, file) for name, file in figures.items()}),
    }


def _outlier_check(contract: Contract) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=OUTLIER_CHECK,
        asset=contract.table,
        description="Warns while a file stands out from those of the cohort in what it tells of "
        "itself: share of records used, genes with a value, ploidy, range of HU. Facts with fewer "
        f"than {MIN_PATIENTS} patients are not judged; of clean cohorts about {FALSE_ALARM:.0%} "
        "name somebody by chance.",
    )
    def nobody_stands_out(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        told = facts.standing(lake, contract)
        judged = stand_out(measurements(told))
        callers = dict(told.select("patient_id", pl.col("callers").list.join(", ")).rows())
        return dg.AssetCheckResult(
            passed=not judged.standouts,
            severity=dg.AssetCheckSeverity.WARN,
            description=_sentence(judged),
            metadata=_outlier_metadata(judged, callers),
        )

    return nobody_stands_out


def _sentence(judged: Judged) -> str:
    who = {one.patient_id for one in judged.standouts}
    few = ", ".join(f"{fact} of {n}" for fact, n in judged.too_few.items())
    parts = [
        f"Patients with a file that stands out: {len(who)}" if judged.patients else "",
        f"too few patients to judge ({MIN_PATIENTS} needed): {few}" if few else "",
    ]
    return "; ".join(part for part in parts if part) or "No facts were recorded yet"


def _outlier_metadata(judged: Judged, callers: dict[str, str | None]) -> dict[str, Any]:
    named = list(dict.fromkeys(one.patient_id for one in judged.standouts))[:_NAMED]
    rows = [
        (one.patient_id, one.fact, f"{one.value:.4g}", f"{one.median:.4g}", f"{one.z:+.1f}",
         callers.get(one.patient_id) or "")
        for one in judged.standouts
        if one.patient_id in named
    ]  # fmt: skip
    heads = ("patient", "fact", "value", "median of the cohort", "robust z", "callers")
    return {
        "standouts": markdown_table(heads, rows),
        "patients_who_stand_out": len({one.patient_id for one in judged.standouts}),
        "patients_judged": dict(judged.patients),
        "too_few_to_judge": dict(judged.too_few),
        "limit_of_z": judged.limit,
        "false_alarm": FALSE_ALARM,
    }


def _plausibility_check(contract: Contract) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=PLAUSIBILITY_CHECK,
        asset=contract.table,
        description="Warns while a column holds a value that no measurement gives: many times "
        "farther from the others than they are from each other. Columns with fewer than "
        f"{MIN_VALUES} values are not judged. A study says whether its models see such values "
        "(guards: implausible).",
    )
    def values_are_plausible(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        found = _implausible(lake, contract)
        farthest_first = sorted(found, key=lambda one: -abs(one.farthest - one.median))
        rows = [
            (Column.parse(one.column).within, str(one.values), f"{one.farthest:,.10g}",
             f"{one.median:.4g}")
            for one in farthest_first[:_NAMED]
        ]  # fmt: skip
        heads = ("column", "values", "farthest", "median")
        return dg.AssetCheckResult(
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"Columns with implausible values: {len(found)}",
            metadata={"implausible": markdown_table(heads, rows)},
        )

    return values_are_plausible


def _implausible(lake: Lake, contract: Contract) -> list[Implausible]:
    """Columns of the newest row of each patient with values that cannot be."""
    if not lake.exists(contract.table):
        return []
    columns = {
        name: FrameColumn.model_validate(about)
        for name, about in frame_columns([contract]).items()
        if about["kind"] != "performed"
    }
    rows = latest_events(lake.scan(contract.table), by=("patient_id",)).collect()
    axes = {block.axis for block in contract.blocks}
    _, found = judge_values(
        rows.select(pl.col(Column.parse(name).name).alias(name) for name in columns),
        columns,
        {axis: lake.dictionary(axis)["name"].to_list() for axis in axes},
    )
    return found


@dg.definitions
def defs() -> dg.Definitions:
    """A drift report for each study that predicts classes, checks for each feature table."""
    return dg.Definitions(
        assets=[_drift_report(name) for name in scored_studies()],
        asset_checks=[
            *(_outlier_check(found.contract) for found in assays().values()),
            *(_plausibility_check(contract) for contract in feature_contracts()),
        ],
    )
