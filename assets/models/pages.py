"""Report pages in the home: of a study's model, or of one patient, with evidence of the panel.

StoredTraining, frame, panel.yaml -> ml.report -> reports/<study>/<run>/*.html
"""

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from assets.genomics.panel.entries import load_panel
from assets.training.sidecar import FRAME, SIDECAR
from ml.promotion.criteria import Condition
from ml.report.patient import patient_report
from ml.report.study import study_report
from ml.report.words import Evidence
from ml.study.definition import Language
from ml.training.stored import StoredTraining
from oncoframe import facts
from oncoframe.lake import Lake
from oncoframe.modalities import assays


def panel_evidence() -> dict[str, Evidence]:
    """Every biomarker of the panel by its id, which is also the name of its column."""
    return {entry.id: Evidence(entry.title, entry.evidence) for entry in load_panel().entries}


def write_page(
    training: StoredTraining,
    *,
    frames_dir: Path,
    reports_dir: Path,
    gate: Sequence[Condition] = (),
    language: Language = "en",
    out: Path | None = None,
) -> Path:
    """Write the page of a training's best model, and return its file.

    Parameters
    ----------
    training
        From the registry.
    frames_dir
        Holds the frames.
    reports_dir
        Holds the pages, by study and training, unless ``out`` names a file.
    gate
        Conditions of the release of the model.
    language
        That classes are called in, where the study says how.

    Raises
    ------
    StudyError
        If the frame is not there.
    """
    html = study_report(
        training,
        frames_dir / training.frame_id,
        evidence=panel_evidence(),
        gate=gate,
        language=language,
    )
    return _written(html, out or _place(reports_dir, training, "report"))


def write_patient_page(
    training: StoredTraining,
    patient_id: str,
    *,
    frames_dir: Path,
    reports_dir: Path,
    lake: Lake | None = None,
    language: Language = "en",
    out: Path | None = None,
) -> Path:
    """Write the page of one patient before a training's best model, and return its file.

    Parameters
    ----------
    training, frames_dir, reports_dir, language, out
        As for :func:`write_page`.
    patient_id
        Pseudonym. A patient whom the model did not learn from is looked for in the newest frame of
        everyone.
    lake
        Knows the files of the patient; None leaves them out of the page.

    Raises
    ------
    StudyError
        If the frame is not there, or does not hold the patient.
    """
    frame_dir = frames_dir / training.frame_id
    if not _holds(frame_dir, patient_id):
        newest = _newest_of_everyone(training.study.name, frames_dir)
        if newest is not None and _holds(newest, patient_id):
            frame_dir = newest
    html = patient_report(
        training,
        frame_dir,
        patient_id,
        evidence=panel_evidence(),
        files=None if lake is None else _files_read(lake, patient_id),
        language=language,
    )
    return _written(html, out or _place(reports_dir, training, f"patient_{patient_id}"))


def _place(reports_dir: Path, training: StoredTraining, name: str) -> Path:
    return reports_dir / training.study.name / training.run_id / f"{name}.html"


def _written(html: str, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(html, encoding="utf-8")
    return file.resolve()


def _files_read(lake: Lake, patient_id: str) -> pl.DataFrame:
    """Facts of the patient's files, see :func:`oncoframe.facts.standing`."""
    found = (facts.standing(lake, one.contract, patient_id=patient_id) for one in assays().values())
    return pl.concat(found)


def _holds(frame_dir: Path, patient_id: str) -> bool:
    file = frame_dir / FRAME
    return file.is_file() and patient_id in pl.read_parquet(file, columns=["patient_id"])[:, 0]


def _newest_of_everyone(study: str, frames_dir: Path) -> Path | None:
    """Folder of the frame of everyone that knows most; None if none was built."""
    told = {file.parent: json.loads(file.read_text()) for file in frames_dir.glob(f"*/{SIDECAR}")}
    as_of = {
        folder: sidecar["as_of"]
        for folder, sidecar in told.items()
        if sidecar["study"] == study and sidecar.get("everyone")
    }
    return max(as_of, key=lambda folder: (as_of[folder], folder.name), default=None)
