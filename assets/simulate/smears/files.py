"""Smears as files of a landing zone: fields, the truth beside them, a row of the sheet.

case, or patient of the leukaemia cohort -> write_case, write_patient -> LandedSmear
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assets.simulate.design import patient_stream
from assets.simulate.patient import SyntheticPatient
from assets.simulate.smears.cohort import Case, PlantedSmear, truth_of, write_smear
from assets.simulate.smears.faults import Fault, spoil
from assets.simulate.smears.looks import LOOKS
from oncoframe.contracts import Modality, Status

#: Fields of a patient of the leukaemia cohort, and their size; small, so that a demo stays fast.
_FIELDS, _SIZE_UM = 4, (100.0, 75.0)
#: Entity -> mix of kinds, where cells mature.
_CHRONIC = {
    **dict.fromkeys(("cml", "et", "pmf", "pv"), "donor"),
    **dict.fromkeys(("cll", "hairy_cell", "t_lgl", "t_pll"), "cll"),
    **dict.fromkeys(("mds_sf3b1", "mds_ib", "mds_5q", "mds_tp53", "cmml"), "mds"),
}
#: The last field of every fourth of them is out of focus.
_BLURRED_EVERY, _STREAM = 4, 11
#: Folder of the masks of the cells, in the landing zone.
TRUTH_FOLDER = "truth"


@dataclass(frozen=True)
class LandedSmear:
    """A smear in a landing zone.

    Parameters
    ----------
    planted
        What was written.
    path
        Folder of the fields, relative to the landing zone.
    collected_on
        Day of the aspirate.
    blurred
        Fields that are out of focus on purpose.
    """

    planted: PlantedSmear
    path: str
    collected_on: date
    blurred: tuple[str, ...] = ()

    @property
    def patient_id(self) -> str:
        """Whose."""
        return self.planted.case.patient_id

    def sheet_row(self) -> dict[str, str]:
        """Row of the samplesheet."""
        look = LOOKS[self.planted.case.site]
        return {
            "patient_id": self.patient_id,
            "modality": Modality.SMEAR.value,
            "path": self.path,
            "collected_on": self.collected_on.isoformat(),
            "status": Status.PERFORMED.value,
            "reference_build": "",
            "tool": "",
            "site": self.planted.case.site,
            "pixel_size_um": f"{look.pixel_size_um:g}",
            "stain": look.stain,
            "scanner": look.scanner,
        }

    def truth(self) -> dict[str, Any]:
        """What ``truth.json`` tells."""
        return {
            "path": self.path,
            "collected_on": self.collected_on.isoformat(),
            **truth_of(self.planted),
            "blurred": list(self.blurred),
        }


def write_patient(landing: Path, seed: int, patient: SyntheticPatient) -> LandedSmear:
    """Write the smear of a patient of the leukaemia cohort, of the day of the first specimen."""
    # Acute leukaemias fill the marrow with blasts; the cells of chronic ones mature.
    mix = _CHRONIC.get(patient.picture.key, "aml")
    case = Case(patient.index, patient.patient_id, mix, patient.site.name)
    smear = write_case(landing, seed, case, patient.index_date, fields=_FIELDS, size_um=_SIZE_UM)
    if patient.index % _BLURRED_EVERY:
        return smear
    last = smear.planted.fields[-1]
    rng = patient_stream(seed, patient.index, _STREAM)
    file = smear.planted.folder / last
    blurred = spoil(np.asarray(Image.open(file)), Fault.BLURRED, 1.0, rng)
    Image.fromarray(blurred).save(file)
    return LandedSmear(smear.planted, smear.path, smear.collected_on, (last,))


def write_case(
    landing: Path,
    seed: int,
    case: Case,
    day: date,
    *,
    fields: int,
    size_um: tuple[float, float],
) -> LandedSmear:
    """Write the smear of a case, taken on a day; parameters as of ``write_smear``."""
    path = f"patients/{case.patient_id}/{day.isoformat()}/{case.patient_id}.smear"
    truth = landing / TRUTH_FOLDER / case.patient_id
    planted = write_smear(case, landing / path, truth, seed=seed, fields=fields, size_um=size_um)
    return LandedSmear(planted, path, day)
