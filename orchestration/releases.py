"""Promotion, rollback and roles as the command line and the Dagster UI run them.

challenger -> gate -> champion; previous champion -> job rollback -> champion; settings -> roles
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from oncoframe.audit import Action, AuditLog, machine_user
from oncoframe.errors import PromotionError
from orchestration.pipeline import QUIET, Pipeline
from orchestration.settings import Settings
from orchestration.studies.champions import place, scored_studies


def promote_challenger(
    pipeline: Pipeline, study: str, approver: str, reason: str, *, accept_suspects: bool = False
) -> dict[str, Any]:
    """Materialise the gate of a study; returns what ``promote --json`` prints.

    Raises
    ------
    PromotionError
        With everything that failed.
    """
    _check_study(study)
    key = dg.AssetKey(["promotion", study])
    config = {"approver": approver, "reason": reason, "accept_suspects": accept_suspects}
    try:
        result = pipeline.materialize([key], config={key: config})
    except dg.Failure as refused:
        raise PromotionError(str(refused.description)) from refused
    pipeline.fill_store()  # whom the new champion is asked about is served as the lake has him
    [event] = result.asset_materializations_for_node(key.to_python_identifier())
    told = {name: entry.value for name, entry in event.metadata.items()}
    return {
        "study": study,
        "champion": told["champion"],
        "version": told["version"],
        "candidate": told["candidate"],
        "frame_id": told["frame_id"],
        "conditions": told["result"],
    }


def roll_back_champion(
    settings: Settings, instance: dg.DagsterInstance, study: str, approver: str, reason: str
) -> dict[str, str]:
    """Run the job ``rollback``; returns the champion and the previous one.

    Raises
    ------
    PromotionError
        If there is nobody to roll back to, or the person may not.
    """
    _check_study(study)
    config = {"study": study, "approver": approver, "reason": reason}
    result = rollback_job.execute_in_process(
        instance=instance,
        resources={"settings": settings},
        run_config={**QUIET, "ops": {"roll_back": {"config": config}}},
    )
    moved: dict[str, str] = result.output_for_node("roll_back")
    return moved


def give_roles(settings: Settings) -> Mapping[str, Sequence[str]]:
    """Roles of the settings on the MLflow server, and a line in the audit log.

    Raises
    ------
    PromotionError
        If there is no server, the user is no administrator, or a user does not exist.
    """
    from ml.registry.roles import apply_roles, signed_in  # noqa: PLC0415

    store = settings.registry
    given = apply_roles(
        scored_studies(), approvers=settings.approvers, scientists=settings.scientists, store=store
    )
    AuditLog(settings.audit_log).append(
        Action.ROLES_APPLIED,
        actor=signed_in(store) or machine_user(),
        subject=store.uri,
        details={role: list(users) for role, users in given.items()},
    )
    return given


def _check_study(study: str) -> None:
    if study not in scored_studies():
        raise PromotionError(
            f"study {study} predicts no classes, so it has no champion",
            expected=f"one of {', '.join(scored_studies())}",
        )


class RollbackConfig(dg.Config):
    """Study to roll back, who does it, and why."""

    study: str
    approver: str
    reason: str


@dg.op
def roll_back(
    context: dg.OpExecutionContext, config: RollbackConfig, settings: dg.ResourceParam[Settings]
) -> dict[str, str]:
    """Let the champion and the previous champion of a study change places."""
    from assets.promotion.gate import rollback  # noqa: PLC0415

    where = place(settings)
    person = where.person(config.approver, config.reason)
    now, before = rollback(config.study, person, where)
    moved = {"champion": now.label, "previous": before.label}
    context.log_event(
        dg.AssetObservation(
            ["promotion", config.study],
            description=f"Rolled back by {config.approver}: {config.reason}",
            metadata=moved,
        )
    )
    return moved


@dg.job(name="rollback", description="Make the previous champion of a study champion again.")
def rollback_job() -> None:
    """Run what ``oncoframe rollback`` runs."""
    roll_back()
