"""Scores: Dagster glue only; asking is in ``score.py``, waiting times in ``waiting.py``.

scoring_frame/<study>, champion of the registry -> scores/<study> (rows of the table scores)
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.scoring.score import Champion, Scored, refuse_other_measures, score
from assets.scoring.table import COLUMNS
from assets.scoring.waiting import recent_time_to_answer
from assets.training.population import QUARANTINED
from assets.training.sidecar import read_sidecar
from ml.frames.frame import read_frame
from ml.study.definition import load_study
from oncoframe.audit import Action, AuditLog, machine_user
from oncoframe.lake import Lake
from orchestration.groups import SCIENCE_OWNERS, group
from orchestration.metadata import latest_frame
from orchestration.settings import Settings
from orchestration.studies.champions import (
    champion_of,
    no_champion,
    opened_champion,
    scored_studies,
    stored_otherwise,
)

CHECK = "every_patient_has_a_score"
#: Reasons of the scoring frame to leave a patient out that somebody can do something about.
_TO_BE_MENDED = (QUARANTINED, "measured with another")


def _scores(study_name: str) -> dg.AssetsDefinition:
    study = load_study(study_name)
    frame_key = dg.AssetKey(["scoring_frame", study_name])
    key = dg.AssetKey(["scores", study_name])

    @dg.asset(
        key=key,
        deps=[frame_key, dg.AssetKey(["promotion", study_name])],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=key,
                description="Warns while a patient with consent cannot be scored, because a file "
                "is in quarantine or was measured in another way; says how many, and why.",
            )
        ],
        output_required=False,
        group_name=group("scoring"),
        owners=SCIENCE_OWNERS,
        kinds={"deltalake", "mlflow"},
        description="What the champion says of every patient: calibrated probabilities, the set of "
        "classes that cannot be ruled out, and whether it abstains. Asked again where features "
        f"changed, and everywhere when the champion did. {study.title}",
        code_version="1",
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(n, str(dtype), meaning) for n, (dtype, meaning) in COLUMNS.items()]
            )
        },
    )
    def scores(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        lake: dg.ResourceParam[Lake],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        version = champion_of(settings, study_name)
        frame_id = latest_frame(context.instance, frame_key)
        about = read_sidecar(settings.frames_dir, frame_id)
        yield _check(about)
        if version is None:
            context.log.info("Nobody was scored: %s", no_champion(study_name))
            return
        frame = read_frame(settings.frames_dir / frame_id)
        refuse_other_measures(read_frame(settings.frames_dir / version.frame_id), frame)
        champion = opened_champion(settings, version)
        if champion.served is None:
            context.log.warning("Nobody was scored: %s", stored_otherwise(version.label))
            return
        scored = score(
            lake,
            study_name,
            Champion(version.version, version.training_run_id, champion.served),
            frame,
            known=datetime.fromisoformat(about["as_of"]),
            run_id=context.run.run_id,
            now=datetime.now(tz=UTC),
        )
        AuditLog(settings.audit_log).append(
            Action.SCORED,
            actor=machine_user(),
            subject=study_name,
            details={
                "version": version.version, "frame_id": frame_id, "scored": scored.scored,
                "withdrawn": scored.withdrawn, "run_id": context.run.run_id,
            },
        )  # fmt: skip
        yield dg.MaterializeResult(
            metadata={
                **_metadata(scored),
                "champion": version.label,
                "mlflow_run_id": version.training_run_id,
                "frame_id": frame_id,
                **_waiting(lake, study_name, scored),
            }
        )

    return scores


def _check(about: dict[str, Any]) -> dg.AssetCheckResult:
    left_out = {
        why: len(who) for why, who in about["excluded"].items() if why.startswith(_TO_BE_MENDED)
    }
    number = sum(left_out.values())
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=dg.AssetKey(["scores", about["study"]]),
        passed=not number,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Patients who cannot be scored: {number}" if number else None,
        metadata={"patients": number, "reasons": left_out},
    )


def _metadata(scored: Scored) -> dict[str, Any]:
    return {
        "dagster/row_count": scored.patients,
        "scored": scored.scored,
        "unchanged": scored.unchanged,
        "withdrawn": scored.withdrawn,
        "abstained": scored.abstained,
        "delta_version": scored.version,
    }


def _waiting(lake: Lake, study: str, scored: Scored) -> dict[str, Any]:
    """Time from file to score: of this run as numbers, which the UI plots, and of recent ones."""
    metadata: dict[str, Any] = {}
    if scored.time_to_answer is not None:
        metadata = {
            f"time_to_answer_{name}": value
            for name, value in scored.time_to_answer.as_dict().items()
        }
    recent = recent_time_to_answer(lake, study)
    if recent is not None:
        metadata["time_to_answer_last_30_days"] = dg.MetadataValue.json(recent.as_dict())
    return metadata


@dg.definitions
def defs() -> dg.Definitions:
    """Scores of each study that predicts classes."""
    return dg.Definitions(assets=[_scores(name) for name in scored_studies()])
