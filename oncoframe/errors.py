"""Errors of OncoFrame: one tree, one sentence each.

    OncoFrameError
    ├── BadInput                 permanent: the same file fails the same way again
    │   ├── SamplesheetError     the samplesheet itself is wrong; nothing runs
    │   ├── FileMissing          the sheet names a file that is not there
    │   ├── EmptyFile            zero bytes, or no header
    │   ├── TruncatedFile        compressed stream or text ends early
    │   ├── WrongFormat          not the format its row says
    │   ├── MissingSample        no sample that is asked for, or that may be a tumour
    │   ├── AmbiguousSample      several samples that may be the patient's, and none is named
    │   ├── NothingUsable        records, but none that says anything of this assay
    │   └── ImpossibleValue      a value that cannot be measured (NaN, negative count, VAF of 3)
    ├── WorkerDied               the process that read the file was killed (permanent)
    ├── ExtractorFailed          an extractor met what it does not know: a defect of ours
    ├── TimedOut                 the patient took longer than allowed (permanent)
    ├── Unavailable              storage or network did not answer (transient: tried again)
    ├── ContractViolation        rows that do not fit their table; nothing is written
    ├── PanelError               a panel of biomarkers that cannot be used
    ├── StudyError               a study file, frame or model request that cannot be met
    ├── ExtraMissing             packages that only some machines have are not installed here
    ├── TrainingStopped          a network whose training can come to no good
    │   ├── LossNotFinite        its loss is no number any more
    │   ├── LossStuck            its loss does not move
    │   └── GradientsExploded    its steps grow without bounds
    ├── PromotionError           a candidate, promotion or rollback that is refused
    ├── HomeError                a home of another version of OncoFrame
    ├── AuditError               an audit log whose lines are not those that were written
    └── SettingsError            a setting that cannot be used

Pure Python: raised by pure modules, carried across processes by the driver, printed by the
command line, stored in the ledger. Nothing here knows Dagster.
"""

from typing import Any


class OncoFrameError(Exception):
    """A problem said in one sentence: where, what, expected, got, and what to do.

    Parameters
    ----------
    what
        The problem, in words; never a patient's value.
    where
        File, row, table or setting it concerns.
    expected, got
        What the reader expected and what it met.
    hint
        What the user can do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.got = got
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        sentence = f"{self.where}: {self.what}" if self.where else self.what
        if self.expected is not None:
            sentence += f"; expected {self.expected}"
        if self.got is not None:
            sentence += f"{',' if self.expected is not None else ';'} got {self.got}"
        sentence += "." if not sentence.endswith(".") else ""
        return f"{sentence} {self.hint}" if self.hint else sentence

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only attributes are lost by Exception's own pickling, which takes only args.
        return (_rebuild, (type(self), self.__dict__))

    @property
    def name(self) -> str:
        """Class name, as the ledger and ``--json`` report it."""
        return type(self).__name__


def _rebuild(cls: type[OncoFrameError], state: dict[str, Any]) -> OncoFrameError:
    error = cls(state["what"])
    error.__dict__.update(state)
    return error


class BadInput(OncoFrameError):
    """A file or table that is wrong and stays wrong until somebody replaces it."""


class SamplesheetError(BadInput):
    """The samplesheet cannot be used."""


class FileMissing(BadInput):
    """A named file does not exist."""


class EmptyFile(BadInput):
    """A file without content."""


class TruncatedFile(BadInput):
    """A file that ends before its format says it should."""


class WrongFormat(BadInput):
    """A file that is not what its row says."""


class MissingSample(BadInput):
    """A call file that carries no sample to read."""


class AmbiguousSample(BadInput):
    """A file of several samples, none of which is named."""


class NothingUsable(BadInput):
    """A file with records none of which can be used: no negative result."""


class ImpossibleValue(BadInput):
    """A value outside what can be measured."""


class WorkerDied(OncoFrameError):
    """The worker process was killed while it read this patient's file."""


class ExtractorFailed(OncoFrameError):
    """The extractor stopped with an error outside this tree: a defect of the extractor."""


class TimedOut(OncoFrameError):
    """The patient took longer than the time allowed per patient."""


class Unavailable(OncoFrameError):
    """Storage or network failed in a way that may pass."""


class ContractViolation(OncoFrameError):
    """Rows that do not fit the contract of their table."""


class PanelError(OncoFrameError):
    """A panel of biomarkers whose file breaks its rules."""


class StudyError(OncoFrameError):
    """A study, frame or model request that cannot be met."""


class ExtraMissing(OncoFrameError):
    """Something was asked for that needs an extra of the package."""


class TrainingStopped(OncoFrameError):
    """A training was ended by its guard."""


class LossNotFinite(TrainingStopped):
    """The loss became infinite or NaN."""


class LossStuck(TrainingStopped):
    """The loss stayed where it was, epoch after epoch."""


class GradientsExploded(TrainingStopped):
    """The gradients of a step were too long to follow."""


class PromotionError(OncoFrameError):
    """A model that may not be proposed, promoted, rolled back to or used."""


class HomeError(OncoFrameError):
    """A home that this version of OncoFrame cannot work with as it is."""


class AuditError(OncoFrameError):
    """An audit log that somebody changed."""


class SettingsError(OncoFrameError):
    """A setting that cannot be used."""
