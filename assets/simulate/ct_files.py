"""CT of some synthetic patients: a phantom chest with a planted tumour, as a hospital writes it.

    patient -> phantom (radius, texture, tilt) -> DICOM CT + RTSTRUCT or SEG -> what was planted

The files carry a made-up name, record number and hospital, so that the de-identification at intake
has something to remove.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from assets.simulate.design import patient_stream
from assets.simulate.patient import SyntheticPatient
from assets.simulate.phantom.dicom import Identity, write_study
from assets.simulate.phantom.image import PhantomShape, make_phantom
from oncoframe.contracts import Modality, Status

#: Random stream of a patient; behind those of :class:`assets.simulate.patient.Purpose`.
_STREAM = 9
#: Small, so that a demo stays fast: 20 slices of 96 x 96.
_SIZE, _SPACING_MM = (20, 96, 96), (2.5, 2.5, 4.0)
#: Range of the tumour's radius and of the amplitude of its texture.
_RADIUS_MM, _TEXTURE_HU = (10.0, 18.0), (10.0, 60.0)
#: Every second scan is oblique, by this angle.
_TILT_DEG = 12.0
#: The scan is made this long before the diagnostic specimen.
_BEFORE = timedelta(days=3)
_KINDS = ("rtstruct", "seg")


@dataclass(frozen=True)
class PlantedCt:
    """A CT study as it was written.

    Parameters
    ----------
    patient_id, site
        Whose, and where.
    path
        Folder, relative to the landing zone.
    collected_on
        Day of the scan.
    kind
        ``rtstruct`` or ``seg``.
    slices, mask_voxels
        Size of the volume and of the tumour.
    """

    patient_id: str
    site: str
    path: str
    collected_on: date
    kind: str
    slices: int
    mask_voxels: int

    def sheet_row(self) -> dict[str, str]:
        """Row of the samplesheet."""
        return {
            "patient_id": self.patient_id,
            "modality": Modality.CT.value,
            "path": self.path,
            "collected_on": self.collected_on.isoformat(),
            "status": Status.PERFORMED.value,
            "reference_build": "",
            "tool": "",
            "site": self.site,
        }

    def truth(self) -> dict[str, Any]:
        """What ``truth.json`` tells."""
        return {
            "path": self.path,
            "collected_on": self.collected_on.isoformat(),
            "segmentation": self.kind,
            "slices": self.slices,
            "mask_voxels": self.mask_voxels,
        }


def choose_patients(patients: Sequence[SyntheticPatient], number: int) -> list[SyntheticPatient]:
    """Patients who get a picture, spread over the cohort; all of them if there are no more."""
    number = min(number, len(patients))
    return [patients[turn * len(patients) // number] for turn in range(number)]


def write_ct(landing: Path, seed: int, patient: SyntheticPatient) -> PlantedCt:
    """Write the CT study of a patient below ``patients/<id>/<date>/``."""
    rng = patient_stream(seed, patient.index, _STREAM)
    shape = PhantomShape(
        size=_SIZE,
        spacing_mm=_SPACING_MM,
        tumour_mm=float(rng.uniform(*_RADIUS_MM)),
        texture_hu=float(rng.uniform(*_TEXTURE_HU)),
        tilt_deg=_TILT_DEG * (patient.index % 2),
    )
    phantom = make_phantom(shape, seed=int(rng.integers(2**31)))
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    day = patient.index_date - _BEFORE
    path = f"patients/{patient.patient_id}/{day.isoformat()}/{patient.patient_id}.ct"
    identity = Identity(
        patient_id=f"MRN{rng.integers(10**7):07d}",
        patient_name=f"Synthetic^Person {patient.index + 1}",
        birth_date=f"{day.year - round(patient.age_years)}0101",
        institution=f"Simulated Hospital {patient.site.name}",
    )
    write_study(phantom, landing / path, kind=kind, identity=identity)
    return PlantedCt(
        patient.patient_id, patient.site.name, path, day, kind, _SIZE[0], int(phantom.mask.sum())
    )
