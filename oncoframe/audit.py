"""The audit log: who pulled, promoted, rolled back, scored, migrated; lines cannot be changed.

    action -> line (hash of the line before it, own hash) -> log.jsonl, log.head -> verify

A line that is edited, taken out, put in or moved breaks the chain of hashes; lines cut off the end
are missed by the head. Whoever may write both files can write a chain anew: noting the head
elsewhere, and asking :meth:`AuditLog.verify` for it, finds that too. Lines hold counts, hashes and
names of models; no value and no identifier of a patient.
"""

import getpass
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock

from oncoframe.errors import AuditError

#: Place of the log in a home.
AUDIT_LOG = Path("audit") / "log.jsonl"
#: What the first line names as the hash of the line before it.
GENESIS = "0" * 64


class Action(StrEnum):
    """What a line tells."""

    FRAME_PULLED = "frame_pulled"
    FRAME_BUILT = "frame_built"
    PROMOTED = "promoted"
    PROMOTION_REFUSED = "promotion_refused"
    ROLLED_BACK = "rolled_back"
    ROLES_APPLIED = "roles_applied"
    SCORED = "scored"
    MIGRATED = "migrated"


@dataclass(frozen=True)
class Entry:
    """One line.

    Parameters
    ----------
    seq
        Number of the line, from 1.
    time
        When it was written, ISO, UTC.
    actor
        Who: user of the MLflow server where there is one, else of the machine.
    action
        See :class:`Action`.
    subject
        Study, model version or frame that it concerns.
    details
        More, for JSON.
    previous_sha256, sha256
        Hash of the line before it, and of this one.
    """

    seq: int
    time: str
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    previous_sha256: str
    sha256: str

    def line(self) -> str:
        """Text of the line."""
        return _canonical(asdict(self))

    def hashed(self) -> str:
        """SHA-256 of everything but the hash itself."""
        content = {name: value for name, value in asdict(self).items() if name != "sha256"}
        return sha256(_canonical(content).encode()).hexdigest()


@dataclass(frozen=True)
class AuditVerdict:
    """A log whose chain holds: its number of lines and the hash of the last one."""

    lines: int
    head: str


class AuditLog:
    """Append-only log in a file, safe between processes of one machine.

    Parameters
    ----------
    file
        Made with its folder on first use; the head lies beside it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._head = file.with_suffix(".head")
        self._lock = file.with_suffix(".lock")

    def append(
        self, action: Action, *, actor: str, subject: str, details: Mapping[str, Any] | None = None
    ) -> Entry:
        """Write one line; it is on the disk when this returns.

        Parameters
        ----------
        action, actor, subject, details
            See :class:`Entry`.

        Raises
        ------
        AuditError
            If the head is gone: what was cut off could not be told any more.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock):
            seq, before = self._recovered()
            entry = Entry(
                seq + 1, datetime.now(tz=UTC).isoformat(timespec="microseconds"), actor,
                str(action), subject, dict(details or {}), before, "",
            )  # fmt: skip
            entry = Entry(**{**asdict(entry), "sha256": entry.hashed()})
            with self.file.open("ab") as log:
                log.write(f"{entry.line()}\n".encode())
                log.flush()
                os.fsync(log.fileno())
            self._write_head(entry)
        return entry

    def entries(self) -> list[Entry]:
        """All lines, oldest first, as :meth:`verify` finds them.

        Raises
        ------
        AuditError
            If the chain does not hold.
        """
        if not self.file.parent.is_dir():
            return []
        with FileLock(self._lock):
            return self._checked()

    def verify(self, *, holds: str | None = None) -> AuditVerdict:
        """Check every line, the order of the lines, and the head.

        Parameters
        ----------
        holds
            Hash of a line that was noted elsewhere; the log must still hold that line.

        Raises
        ------
        AuditError
            If somebody changed the log; it names the first wrong line.
        """
        entries = self.entries()
        if holds is not None and holds not in {entry.sha256 for entry in entries}:
            raise AuditError(
                "the log was written anew: a line that was noted is not in it",
                where=str(self.file),
                expected=holds,
            )
        return AuditVerdict(len(entries), entries[-1].sha256 if entries else GENESIS)

    def _checked(self) -> list[Entry]:
        raw = self.file.read_bytes() if self.file.is_file() else b""
        if not raw and not self._head.is_file():
            return []
        noted_seq, noted_sha256, written = self._noted()
        if not raw.endswith(b"\n"):
            # The rest of a line whose writer was killed; the next one takes it away.
            raw = raw[: max(written, raw.rfind(b"\n") + 1)]
        entries: list[Entry] = []
        for number, line in enumerate(raw.decode(errors="replace").splitlines(), start=1):
            try:
                entries.append(_follows(line, entries[-1] if entries else None))
            except ValueError as error:
                raise AuditError(str(error), where=f"{self.file} line {number}") from error
        # A process that was killed may have written the line, but not the head.
        if len(entries) not in (noted_seq, noted_seq + 1):
            raise AuditError(
                "lines were cut off or added behind the head",
                where=str(self.file),
                expected=f"{noted_seq} lines",
                got=str(len(entries)),
            )
        hashes = [GENESIS, *(entry.sha256 for entry in entries)]
        if hashes[noted_seq] != noted_sha256:
            raise AuditError(
                "the line is not the one that the head names", where=f"{self.file} line {noted_seq}"
            )
        return entries

    def _recovered(self) -> tuple[int, str]:
        """Number and hash to go on from, also after a process that was killed while it wrote."""
        size = self.file.stat().st_size if self.file.is_file() else 0
        if size == 0 and not self._head.is_file():
            return 0, GENESIS
        seq, before, written = self._noted()
        if size <= written:
            return seq, before
        with self.file.open("rb+") as log:
            log.seek(written)
            rest = log.read()
            if not rest.endswith(b"\n"):
                log.truncate(written)
                return seq, before
        try:
            entry = Entry(**json.loads(rest))
        except (ValueError, TypeError):
            entry = None
        if entry is not None and (entry.seq, entry.previous_sha256) == (seq + 1, before):
            return entry.seq, entry.sha256
        # Somebody wrote here; going on from the head leaves it for verify to find.
        return seq, before

    def _noted(self) -> tuple[int, str, int]:
        """Number and hash of the last line, and bytes up to its end."""
        try:
            head = json.loads(self._head.read_text("utf-8"))
            return int(head["seq"]), str(head["sha256"]), int(head["bytes"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AuditError(
                "the head of the log is gone or cannot be read",
                where=str(self._head),
                hint="Put it back from a backup: without it lines may be missing at the end.",
            ) from error

    def _write_head(self, entry: Entry) -> None:
        content = {"seq": entry.seq, "sha256": entry.sha256, "bytes": self.file.stat().st_size}
        new = self._head.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(_canonical(content))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._head)


def machine_user() -> str:
    """Who runs this process, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"  # a container's user without a name


def _follows(line: str, before: Entry | None) -> Entry:
    """Entry of a line that continues the chain; ValueError with what is wrong, if it does not."""
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise ValueError("this is no line of an audit log") from error
    if entry.line() != line or entry.hashed() != entry.sha256:
        raise ValueError("the line was changed")
    seq, previous = (before.seq, before.sha256) if before else (0, GENESIS)
    if (entry.seq, entry.previous_sha256) != (seq + 1, previous):
        raise ValueError("lines before it were taken out, put in or moved")
    return entry


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
