"""The synthetic landing zone: files of every patient, clinical tables, samplesheet and truth.

    simulate -> patients/<id>/<date>/*, clinical/*.csv, samplesheet.csv, truth.json
    repair   -> the good file back in place of each corrupt one

The same seed gives the same bytes, patient by patient, whatever the order in which they are
written. ``truth.json`` is for tests; nothing in the platform reads it.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import polars as pl

from assets.landing.samplesheet import SAMPLESHEET, write_samplesheet
from assets.simulate.clinical import DIAGNOSIS_COLUMNS, PATIENT_COLUMNS, diagnosis_row, patient_row
from assets.simulate.corrupt import choose, damage
from assets.simulate.ct_files import choose_patients, write_ct
from assets.simulate.design import make_plan
from assets.simulate.patient import Site, Specimen, SyntheticPatient, draw_patient
from assets.simulate.smears.files import write_patient as write_smear
from assets.simulate.truth import TRUTH, truth_document, write_truth
from oncoframe.contracts import Status
from oncoframe.errors import SettingsError
from oncoframe.modalities import spec


class Simulator(Protocol):
    """A module that writes the files of one assay; the same seed gives the same bytes."""

    def file_of(self, site: Site) -> tuple[str, str]:
        """Tool of a hospital, and what follows the patient in the name of its file."""
        ...

    def write_assay(
        self, path: Path, seed: int, patient: SyntheticPatient, specimen: Specimen
    ) -> None:
        """Write the file of a specimen, and the folder that it lies in."""
        ...


def simulator(modality: str) -> Simulator:
    """Hook of a modality, loaded now."""
    module = spec(modality).simulate
    if module is None:
        msg = f"{modality} names no simulator"
        raise ValueError(msg)
    return cast("Simulator", import_module(module))


REFERENCE_BUILD = "GRCh38"
_PATIENTS = "patients"


@dataclass(frozen=True)
class SimulationSummary:
    """What was written.

    Parameters
    ----------
    files
        Assay files in the samplesheet.
    entities
        Label -> patients.
    corrupt
        Patient -> the error that the corrupt file must end in.
    bayes_accuracy
        Best accuracy that a model can expect on these labels.
    """

    landing: Path
    patients: int
    files: int
    entities: dict[str, int]
    corrupt: dict[str, str]
    bayes_accuracy: float


def simulate(
    landing: Path,
    *,
    patients: int,
    seed: int,
    corrupt: int = 0,
    ct: int = 0,
    smears: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationSummary:
    """Write a synthetic leukaemia cohort as a landing zone.

    Parameters
    ----------
    landing
        Folder to write; one that holds an earlier simulation is replaced.
    patients, seed
        Size of the cohort, and what else decides its content.
    corrupt
        Patients of whom one file is made unreadable.
    ct
        Patients who also get a CT; all of them if there are no more.
    smears
        Patients who also get a marrow smear.
    progress
        Called with patients written so far and in all.

    Raises
    ------
    SettingsError
        If a number cannot be used, or the folder holds a landing zone that is no simulation.
    """
    _check(landing, patients, {"corrupt": corrupt, "ct": ct, "smears": smears})
    plan = make_plan(patients, seed)
    cohort = [draw_patient(plan, index) for index in range(patients)]
    corruptions = choose(cohort, corrupt, seed)
    for folder in (_PATIENTS, "truth"):
        shutil.rmtree(landing / folder, ignore_errors=True)
    (landing / "clinical").mkdir(parents=True, exist_ok=True)
    rows = []
    for done, patient in enumerate(cohort, start=1):
        for specimen in patient.specimens:
            for modality in specimen.statuses:
                _write_assay(landing, seed, patient, specimen, modality)
                rows += _sheet_rows(patient, specimen, modality)
        if progress:
            progress(done, patients)
    scans = [write_ct(landing, seed, patient) for patient in choose_patients(cohort, ct)]
    films = [write_smear(landing, seed, patient) for patient in choose_patients(cohort, smears)]
    rows += [*(scan.sheet_row() for scan in scans), *(film.sheet_row() for film in films)]
    _write_clinical(landing, seed, cohort)
    corrupt_paths = [(c, _assay_path(cohort[c.patient_index], c.modality)) for c in corruptions]
    for corruption, path in corrupt_paths:
        damage(landing / path, corruption)
    document = truth_document(plan, cohort, corrupt_paths, scans, films)
    write_truth(landing, document)
    # Last, so that a sheet without truth beside it is never ours.
    write_samplesheet(landing, rows)
    return SimulationSummary(
        landing=landing,
        patients=patients,
        files=sum(row["status"] == Status.PERFORMED for row in rows),
        entities={e["name"]: e["patients"] for e in document["entities"].values()},
        corrupt={cohort[c.patient_index].patient_id: c.error for c in corruptions},
        bayes_accuracy=document["bayes_accuracy"],
    )


def repair(landing: Path) -> list[Path]:
    """Write the good files back, with the bytes they would have had.

    Returns
    -------
    The files that were corrupt, by patient.

    Raises
    ------
    SettingsError
        If the folder holds no simulation.
    """
    try:
        truth = json.loads((landing / TRUTH).read_text("utf-8"))
    except FileNotFoundError as error:
        raise SettingsError("no simulated landing zone", where=str(landing)) from error
    plan = make_plan(truth["patients"], truth["seed"])
    repaired = []
    for entry in truth["by_patient"].values():
        if entry["corrupt"]:
            patient = draw_patient(plan, entry["index"])
            modality = entry["corrupt"]["modality"]
            _write_assay(landing, plan.seed, patient, patient.specimens[0], modality)
            repaired.append(landing / entry["corrupt"]["path"])
    return repaired


def _check(landing: Path, patients: int, some: dict[str, int]) -> None:
    if patients < 1:
        raise SettingsError("a cohort needs a patient", where="patients", got=str(patients))
    for name, number in some.items():
        if number < 0:
            raise SettingsError("a number of patients is negative", where=name, got=str(number))
    if (landing / SAMPLESHEET).exists() and not (landing / TRUTH).exists():
        raise SettingsError(
            "the folder holds a landing zone that is no simulation",
            where=str(landing),
            hint="Choose another folder.",
        )


def _write_assay(
    landing: Path, seed: int, patient: SyntheticPatient, specimen: Specimen, modality: str
) -> None:
    if specimen.statuses[modality] == Status.PERFORMED:
        path = landing / _specimen_path(patient, specimen, modality)
        simulator(modality).write_assay(path, seed, patient, specimen)


def _sheet_rows(
    patient: SyntheticPatient, specimen: Specimen, modality: str
) -> list[dict[str, str]]:
    """The row of an assay; of those not performed every second patient's sheet says nothing."""
    status = specimen.statuses[modality]
    if status == Status.NOT_PERFORMED and patient.index % 2:
        return []
    performed = status == Status.PERFORMED
    tool, _ = simulator(modality).file_of(patient.site)
    path = _specimen_path(patient, specimen, modality) if performed else ""
    return [
        {
            "patient_id": patient.patient_id,
            "modality": str(modality),
            "path": path,
            "collected_on": specimen.collected_on.isoformat(),
            "status": status.value,
            "reference_build": REFERENCE_BUILD,
            "tool": tool,
            "site": patient.site.name,
        }
    ]


def _assay_path(patient: SyntheticPatient, modality: str) -> str:
    return _specimen_path(patient, patient.specimens[0], modality)


def _specimen_path(patient: SyntheticPatient, specimen: Specimen, modality: str) -> str:
    folder = f"{_PATIENTS}/{patient.patient_id}/{specimen.collected_on.isoformat()}"
    _, name = simulator(modality).file_of(patient.site)
    return f"{folder}/{patient.patient_id}.{name}"


def _write_clinical(landing: Path, seed: int, cohort: Sequence[SyntheticPatient]) -> None:
    tables = {
        "patients": (PATIENT_COLUMNS, [patient_row(seed, patient) for patient in cohort]),
        "diagnoses": (DIAGNOSIS_COLUMNS, [diagnosis_row(seed, patient) for patient in cohort]),
    }
    for name, (columns, rows) in tables.items():
        table = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String()))
        table.with_columns(pl.all().replace("", None)).write_csv(landing / f"clinical/{name}.csv")
