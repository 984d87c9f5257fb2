"""Verdicts on drift as a home keeps them: the newest one per study and reference frame.

DriftReport -> StoredVerdict -> drift/<study>/<reference frame>.json -> gate, sensor, command line
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from ml.drift.comparison import DriftReport

#: Columns named in a sentence.
_NAMED = 3


@dataclass(frozen=True)
class StoredVerdict:
    """What was found when new patients were held against the frame of a model.

    Parameters
    ----------
    study
        Name of the study.
    reference_frame_id
        Frame that the model was trained on.
    current_frame_id
        Frame of everyone that the new patients are in.
    data_version
        Of the study when that frame was built; see :mod:`assets.training.data_version`.
    judged_at
        UTC.
    drifted, columns, effect, cause
        As :class:`ml.drift.verdict.Verdict`.
    reference_patients, current_patients
        Patients compared.
    modalities
        Modality -> columns tested and drifted, share, causes.
    page
        HTML page; None if none was written.
    """

    study: str
    reference_frame_id: str
    current_frame_id: str
    data_version: str
    judged_at: datetime
    drifted: bool
    columns: tuple[str, ...]
    effect: float
    cause: str | None
    reference_patients: int
    current_patients: int
    modalities: dict[str, Any]
    page: str | None = None

    @classmethod
    def of(cls, report: "DriftReport", **identity: Any) -> Self:
        """Verdict of a comparison.

        Parameters
        ----------
        identity
            The fields that the report does not say.
        """
        said: dict[str, Any] = report.as_dict()
        return cls(**{**said, "columns": tuple(said["columns"]), **identity})

    @property
    def name(self) -> str:
        """Name of the folder of its page: what was held against what."""
        return f"{self.current_frame_id}_against_{self.reference_frame_id}"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, as sensors and checks give it."""
        who = (
            f"{self.current_patients} new patients against {self.reference_patients} "
            f"of frame {self.reference_frame_id}"
        )
        if not self.drifted:
            return f"no drift in {who}"
        more = len(self.columns) - _NAMED
        named = ", ".join(self.columns[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        cause = self.cause or "no recorded covariate goes with it"
        return f"drift in {who}: {named}; likely cause: {cause}"


def store_verdict(folder: Path, verdict: StoredVerdict) -> Path:
    """Write a verdict in place of the one before of the same study and reference frame."""
    file = folder / verdict.study / f"{verdict.reference_frame_id}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {**asdict(verdict), "judged_at": verdict.judged_at.isoformat()}
    # Under another name first: whoever reads meets the old verdict or the new one.
    made = file.with_suffix(f".{os.getpid()}")
    made.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    made.replace(file)
    return file


def newest_verdict(
    folder: Path, study: str, *, reference_frame_id: str | None = None
) -> StoredVerdict | None:
    """Newest verdict of a study.

    Parameters
    ----------
    folder
        Of the verdicts of a home.
    study
        Name of the study.
    reference_frame_id
        Only verdicts against this frame; None: against any.

    Returns
    -------
    None if nothing was judged yet.
    """
    name = "*" if reference_frame_id is None else reference_frame_id
    found = [_read(file) for file in (folder / study).glob(f"{name}.json")]
    return max(found, key=lambda verdict: verdict.judged_at, default=None)


def _read(file: Path) -> StoredVerdict:
    content = json.loads(file.read_text(encoding="utf-8"))
    return StoredVerdict(
        **{
            **content,
            "columns": tuple(content["columns"]),
            "judged_at": datetime.fromisoformat(content["judged_at"]),
        }
    )
