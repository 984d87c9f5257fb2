"""Report pages in the home: of a study's model, or of one patient, with evidence of the panel.

StoredTraining, frame, panel.yaml -> ml.report -> reports/<study>/<run>/*.html
"""

from pathlib import Path

from assets.genomics.panel import load_panel
from ml.report.patient import patient_report
from ml.report.stored import StoredTraining
from ml.report.study import study_report
from ml.report.words import Evidence


def panel_evidence() -> dict[str, Evidence]:
    """Every biomarker of the panel by its id, which is also the name of its column."""
    return {entry.id: Evidence(entry.title, entry.evidence) for entry in load_panel().entries}


def write_page(
    training: StoredTraining,
    *,
    frames_dir: Path,
    reports_dir: Path,
    patient_id: str | None = None,
    out: Path | None = None,
) -> Path:
    """Write the page of a training's best model, or of one patient, and return its file.

    Parameters
    ----------
    training
        From the registry.
    frames_dir
        Holds the frames.
    reports_dir
        Holds the pages, by study and training, unless ``out`` names a file.
    patient_id
        Pseudonym of the patient; None for the page of the model.

    Raises
    ------
    StudyError
        If the frame is not there, or does not hold the patient.
    """
    frame_dir, evidence = frames_dir / training.frame_id, panel_evidence()
    if patient_id is None:
        html = study_report(training, frame_dir, evidence=evidence)
    else:
        html = patient_report(training, frame_dir, patient_id, evidence=evidence)
    name = "report" if patient_id is None else f"patient_{patient_id}"
    file = out or reports_dir / training.study.name / training.run_id / f"{name}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(html, encoding="utf-8")
    return file.resolve()
