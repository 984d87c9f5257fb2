"""A landing zone of nothing but smears: donors, MDS and AML.

    patients, seed -> simulate_smears -> smears, clinical/*.csv, truth.json, samplesheet.csv

The label is in the morphology only: age and sex are drawn alike for all classes.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from assets.landing.samplesheet import SAMPLESHEET, write_samplesheet
from assets.simulate.clinical import DIAGNOSIS_COLUMNS, PATIENT_COLUMNS
from assets.simulate.design import patient_stream
from assets.simulate.patient import FIRST_DAY
from assets.simulate.smears.cohort import draw_cases
from assets.simulate.smears.field import FIELD_UM
from assets.simulate.smears.files import TRUTH_FOLDER, LandedSmear, write_case
from assets.simulate.truth import TRUTH
from oncoframe.errors import SettingsError

#: Label of such a cohort.
LABEL_NAME, LABEL_VERSION = "smear_class", "1"
_STREAM = 12


def simulate_smears(
    landing: Path,
    *,
    patients: int,
    seed: int,
    fields: int = 4,
    size_um: tuple[float, float] = FIELD_UM,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[LandedSmear, ...]:
    """Write a cohort of donors, MDS and AML with nothing but smears, as a landing zone.

    Parameters
    ----------
    landing
        Folder to write; one that holds an earlier simulation is replaced.
    patients, seed
        Size of the cohort, and what else decides its content.
    fields, size_um
        Fields per patient, and width and height of each.
    progress
        Called with patients written so far and in all.

    Raises
    ------
    SettingsError
        If the folder holds a landing zone that is no simulation.
    """
    if (landing / SAMPLESHEET).exists() and not (landing / TRUTH).exists():
        raise SettingsError(
            "the folder holds a landing zone that is no simulation",
            where=str(landing),
            hint="Choose another folder.",
        )
    for folder in ("patients", TRUTH_FOLDER):
        shutil.rmtree(landing / folder, ignore_errors=True)
    smears = []
    for case in draw_cases(patients, seed):
        day = FIRST_DAY + timedelta(days=7 * case.index % 1500)
        smears.append(write_case(landing, seed, case, day, fields=fields, size_um=size_um))
        if progress:
            progress(len(smears), patients)
    _write_clinical(landing, seed, smears)
    document = {
        "seed": seed,
        "patients": patients,
        "label_name": LABEL_NAME,
        "label_version": LABEL_VERSION,
        "by_patient": {smear.patient_id: smear.truth() for smear in smears},
    }
    (landing / TRUTH).write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    write_samplesheet(landing, [smear.sheet_row() for smear in smears])
    return tuple(smears)


def _write_clinical(landing: Path, seed: int, smears: Sequence[LandedSmear]) -> None:
    folder = landing / "clinical"
    folder.mkdir(parents=True, exist_ok=True)
    patients = pl.DataFrame(
        [_patient_row(seed, smear) for smear in smears],
        schema=dict.fromkeys(PATIENT_COLUMNS, pl.String()),
    )
    diagnoses = pl.DataFrame(
        [_diagnosis_row(smear) for smear in smears],
        schema=dict.fromkeys(DIAGNOSIS_COLUMNS, pl.String()),
    )
    patients.write_csv(folder / "patients.csv")
    diagnoses.write_csv(folder / "diagnoses.csv")


def _patient_row(seed: int, smear: LandedSmear) -> dict[str, str]:
    """Age and sex are of the patient and not of the class: only the smear tells that."""
    rng = patient_stream(seed, smear.planted.case.index, _STREAM)
    return {
        "patient_id": smear.patient_id,
        "index_date": smear.collected_on.isoformat(),
        "consent": "yes",
        "site": smear.planted.case.site,
        "sex": str(rng.choice(["female", "male"])),
        "age_at_index_years": f"{np.clip(rng.normal(62, 14), 18, 92):.1f}",
        "specimen_type": "bone_marrow_aspirate",
    }


def _diagnosis_row(smear: LandedSmear) -> dict[str, str]:
    return {
        "patient_id": smear.patient_id,
        "label_name": LABEL_NAME,
        "label_value": smear.planted.case.diagnosis,
        "label_version": LABEL_VERSION,
        "known_on": (smear.collected_on + timedelta(days=3)).isoformat(),
    }
