"""The champion of a study: the model that is asked, if the gate promoted it.

registry, audit log -> champion_of -> scores, drift report, schedules
"""

from typing import TYPE_CHECKING

from assets.promotion.aliases import unexplained_champion
from ml.study.definition import load_study, study_names
from oncoframe.audit import AuditLog
from oncoframe.errors import PromotionError
from orchestration.settings import Settings

if TYPE_CHECKING:
    from ml.promotion.comparison import Champion
    from ml.registry.model_version import ModelVersion


def champion_of(settings: Settings, study: str) -> "ModelVersion | None":
    """Version with the alias ``champion``; None where nothing was promoted yet.

    Raises
    ------
    oncoframe.errors.PromotionError
        If the registry cannot be read.
    """
    # MLflow takes seconds to load, which a run without models does not spend.
    from ml.registry.versions import with_alias  # noqa: PLC0415

    return with_alias(study, "champion", store=settings.registry)


def opened_champion(settings: Settings, version: "ModelVersion") -> "Champion":
    """A champion, ready to be asked.

    Raises
    ------
    oncoframe.errors.PromotionError
        If neither a promotion nor a rollback made it champion, or its files changed.
    oncoframe.errors.AuditError
        If the audit log was changed.
    """
    from ml.registry.files import opened  # noqa: PLC0415

    # Of this version, and not of the alias, which may have moved since it was looked up.
    entries = AuditLog(settings.audit_log).entries()
    problem = unexplained_champion(entries, version.study, version)
    if problem is not None:
        raise PromotionError(
            f"nobody is scored: {problem}",
            where=f"study {version.study}",
            hint="Promote or roll back by oncoframe; see docs/operations.md.",
        )
    return opened(version, store=settings.registry)


def no_champion(*studies: str) -> str:
    """What to do about studies without a champion, in a sentence."""
    return (
        f"no champion of {', '.join(studies)}; promote a candidate: "
        f"oncoframe promote STUDY --approver NAME --reason TEXT"
    )


def stored_otherwise(label: str) -> str:
    """What to do about a champion that cannot be asked, in a sentence."""
    return f"{label} was stored in the form of an older version; train again, and promote that"


def scored_studies() -> list[str]:
    """Studies whose models can be asked about patients: those that predict classes."""
    return [name for name in study_names() if load_study(name).label.kind == "class"]


if TYPE_CHECKING:
    from assets.promotion.gate import Place
    from ml.promotion.criteria import Condition
    from ml.training.stored import StoredTraining


def place(settings: Settings) -> "Place":
    """Where the registry, the frames, the verdicts on drift and the audit log of a home are."""
    # MLflow takes seconds to load, which a run without models does not spend.
    from assets.promotion.gate import Place  # noqa: PLC0415

    return Place(
        settings.registry,
        settings.frames_dir,
        settings.drift_dir,
        AuditLog(settings.audit_log),
        settings.approvers,
    )


def verdict_of_gate(settings: Settings, training: "StoredTraining") -> "tuple[Condition, ...]":
    """Conditions of the release of a training's best model."""
    from assets.promotion.gate import verdict_on  # noqa: PLC0415  (as above)

    return verdict_on(training, place(settings))
