"""Promotion: Dagster glue only; candidates are made in ``candidates.py``, judged in ``gate.py``.

trained_model/<study>, report/<study>, scoring_frame/<study> -> candidate/<study> (challenger)
    -> promotion/<study> (the gate: champion), check alias_moved_only_by_gate
"""

from typing import Any

import dagster as dg

from ml.study.definition import Study, load_study, study_names
from oncoframe.errors import AuditError, PromotionError
from oncoframe.lake import Lake
from orchestration.groups import SCIENCE_OWNERS, group
from orchestration.settings import Settings
from orchestration.studies.champions import place

_CHECK = "alias_moved_only_by_gate"


class PromotionConfig(dg.Config):
    """Who promotes, why, and whether columns suspected to leak the label define their class."""

    approver: str
    reason: str
    accept_suspects: bool = False


def _candidate(study: Study) -> dg.AssetsDefinition:
    @dg.asset(
        key=["candidate", study.name],
        deps=[
            dg.AssetKey([kind, study.name]) for kind in ("trained_model", "report", "scoring_frame")
        ],
        group_name=group("promotion"),
        owners=SCIENCE_OWNERS,
        kinds={"mlflow"},
        description=f"Challenger of the champion, both held against the same patients: "
        f"{study.title}",
        code_version="1",
    )
    def candidate(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        lake: dg.ResourceParam[Lake],
    ) -> dg.MaterializeResult[None]:
        # MLflow takes seconds to load, which a run without models does not spend.
        from assets.promotion.candidates import challenge_table, propose  # noqa: PLC0415

        made = propose(
            study.name,
            place(settings),
            lake=lake,
            everyone=_scoring_frame(context.instance, study.name),
            tags={"dagster_run_id": context.run.run_id},
        )
        page = settings.reports_dir / study.name / made.training.run_id / "report.html"
        drift = made.verdict.sentence if made.verdict else "nobody to judge yet"
        return dg.MaterializeResult(
            metadata={
                "version": made.version.label,
                "mlflow_run_id": made.training.run_id,
                "frame_id": made.training.frame_id,
                "challenge": dg.MetadataValue.md(challenge_table(made.challenge)),
                "result": dg.MetadataValue.json(made.challenge.as_dict()),
                "drift": drift,
                "html": dg.MetadataValue.path(page),
                "hash": made.version.sha256,
            }
        )

    return candidate


def _promotion(study: Study) -> dg.AssetsDefinition:
    @dg.asset(
        key=["promotion", study.name],
        deps=[dg.AssetKey(["candidate", study.name])],
        group_name=group("promotion"),
        owners=SCIENCE_OWNERS,
        kinds={"mlflow"},
        description=f"The gate: makes the challenger champion if all conditions hold; needs an "
        f"approver and a reason. {study.title}",
        code_version="1",
    )
    def promotion(
        config: PromotionConfig, settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult[None]:
        from assets.promotion.gate import promote, review  # noqa: PLC0415

        where = place(settings)
        try:
            person = where.person(
                config.approver, config.reason, accepts_suspects=config.accept_suspects
            )
            found = review(study.name, person, where)
        except PromotionError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        told = _told(found)
        try:
            made = promote(found, person, where)
        except PromotionError as error:
            raise dg.Failure(str(error), metadata=told, allow_retries=False) from error
        return dg.MaterializeResult(
            metadata={
                **told,
                "champion": made.label,
                "version": made.version,
                "approver": config.approver,
                "reason": config.reason,
                "hash": made.sha256,
            }
        )

    return promotion


def _alias_check(study: Study) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=["promotion", study.name],
        name=_CHECK,
        description="The champion is the one that the last promotion or rollback of the audit log "
        "names, and the log was not changed.",
    )
    def alias_moved_only_by_gate(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
        from assets.promotion.gate import alias_problem  # noqa: PLC0415

        try:
            problem = alias_problem(study.name, place(settings))
        except AuditError as error:
            problem = str(error)
        said = problem or "the audit log explains the champion"
        return dg.AssetCheckResult(passed=problem is None, description=said)

    return alias_moved_only_by_gate


def _told(found: Any) -> dict[str, Any]:
    """What the Dagster UI shows of a review, also of one that was refused."""
    from assets.promotion.candidates import challenge_table, conditions_table  # noqa: PLC0415

    return {
        "candidate": found.candidate.label,
        "frame_id": found.candidate.frame_id,
        "conditions": dg.MetadataValue.md(conditions_table(found.conditions)),
        "challenge": dg.MetadataValue.md(challenge_table(found.challenge)),
        "result": dg.MetadataValue.json([c.as_dict() for c in found.conditions]),
    }


def _scoring_frame(instance: dg.DagsterInstance, study: str) -> str | None:
    event = instance.get_latest_materialization_event(dg.AssetKey(["scoring_frame", study]))
    if event is None or event.asset_materialization is None:
        return None
    return str(event.asset_materialization.metadata["frame_id"].value)


@dg.definitions
def defs() -> dg.Definitions:
    """One candidate, one gate and one check per study that predicts classes."""
    studies = [load_study(name) for name in study_names()]
    released = [study for study in studies if study.label.kind == "class"]
    return dg.Definitions(
        assets=[make(study) for study in released for make in (_candidate, _promotion)],
        asset_checks=[_alias_check(study) for study in released],
    )
