"""What promotion looks at, by the settings of a home.

settings -> Place
"""

from typing import TYPE_CHECKING

from oncoframe.audit import AuditLog
from orchestration.settings import Settings

if TYPE_CHECKING:
    from assets.promotion.gate import Place


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
