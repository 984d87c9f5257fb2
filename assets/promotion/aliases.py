"""Whether the champion is who the gate made it: the registry's alias against the audit log.

lines of the log, champion -> unexplained_champion -> None, or what is wrong in a sentence
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oncoframe.audit import Action, Entry

if TYPE_CHECKING:
    from ml.registry.model_version import ModelVersion

_MOVES = (Action.PROMOTED, Action.ROLLED_BACK)


def unexplained_champion(
    entries: Sequence[Entry], study: str, champion: "ModelVersion | None"
) -> str | None:
    """What is wrong with the alias ``champion``; None where promotions and rollbacks explain it.

    Parameters
    ----------
    entries
        Lines of the audit log, verified: :meth:`oncoframe.audit.AuditLog.entries`.
    study
        Name of the study.
    champion
        What the alias points at; None where there is none.
    """
    moves = [entry for entry in entries if entry.subject == study and entry.action in _MOVES]
    if not moves:
        if champion is None:
            return None
        return f"{champion.label} is champion, but the audit log knows no promotion in {study}"
    last = moves[-1]
    said = f"line {last.seq} of the audit log made version {last.details['version']} champion"
    if champion is None:
        return f"{said}, but {study} has no champion"
    if champion.version != last.details["version"]:
        return f"{said}, but the alias points at {champion.version}: moved by other means"
    if champion.sha256 != last.details["sha256"]:
        return f"{said}, but the registered hash of its files is another one now"
    return None


def was_promoted(entries: Sequence[Entry], version: "ModelVersion") -> bool:
    """Whether the gate once made a version champion, with these files."""
    return any(
        entry.action == Action.PROMOTED
        and entry.subject == version.study
        and (entry.details["version"], entry.details["sha256"]) == (version.version, version.sha256)
        for entry in entries
    )
