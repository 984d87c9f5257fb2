"""Barcodes of TCGA and TARGET: whose sample it is, and which sample of a patient is landed.

    barcodes of each assay -> parse_barcode -> choose -> one specimen per patient, all assays of it

The samples of a public cohort have no dates, so only one specimen of a patient can be landed: the
one with the most assays; among equals the primary tumour; then by name. Several aliquots of it in
one assay: the first by name.

References
----------
Genomic Data Commons, "TCGA Barcode" and "Sample Type Codes".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from oncoframe.contracts import Modality

_BARCODE = re.compile(
    r"(?P<patient>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}|TARGET-[A-Z0-9]{2}-[A-Z0-9]{6})"
    r"(?:-(?P<type>\d{2})[A-Z.\d]*)?(?:-.*)?"
)
#: Sample types that were not tumour: normals 10-19, controls 20-29.
_NOT_TUMOUR = range(10, 30)
#: Primary tumours: solid, peripheral blood, bone marrow, further primaries, lymphatic nodes.
_PRIMARY = (1, 3, 9, 5, 8)


@dataclass(frozen=True, order=True)
class Barcode:
    """A sample by its name.

    Parameters
    ----------
    patient
        Whose it is.
    sample_type
        Code of the kind of sample, None where the name does not tell.
    specimen
        Name of the specimen: samples of one specimen share it.
    """

    patient: str
    sample_type: int | None
    specimen: str

    @property
    def is_tumour(self) -> bool:
        """Whether it may be a tumour."""
        return self.sample_type not in _NOT_TUMOUR

    @property
    def rank(self) -> int:
        """The smaller, the rather it is landed."""
        kind = self.sample_type or 0
        return _PRIMARY.index(kind) if kind in _PRIMARY else len(_PRIMARY) + kind


def parse_barcode(name: str, patients: Mapping[str, str]) -> Barcode:
    """Patient and specimen of a sample.

    Parameters
    ----------
    name
        As a file writes it, also with ``.`` for ``-`` as R does.
    patients
        Sample -> patient, as a clinical table says. A name that is neither there nor a barcode is
        its own patient.
    """
    dashed = name.replace(".", "-")
    match = _BARCODE.fullmatch(dashed)
    if match is None:
        return Barcode(patients.get(name, name), None, name)
    kind = match["type"]
    specimen = match["patient"] if kind is None else f"{match['patient']}-{kind}"
    return Barcode(patients.get(name, match["patient"]), int(kind) if kind else None, specimen)


@dataclass(frozen=True)
class Choice:
    """Which samples are landed.

    ``samples == landed + normals + other_specimens + further_aliquots`` always holds, where landed
    counts the names in ``names``.

    Parameters
    ----------
    names
        Modality -> name of the sample -> patient.
    samples
        Names of samples over all assays.
    normals, other_specimens, further_aliquots
        Of these, not landed: no tumour, another specimen of the patient, another aliquot.
    """

    names: dict[Modality, dict[str, str]] = field(default_factory=dict)
    samples: int = 0
    normals: int = 0
    other_specimens: int = 0
    further_aliquots: int = 0


def choose(assays: Mapping[Modality, set[str]], patients: Mapping[str, str]) -> Choice:
    """One specimen of each patient, and its first aliquot in each assay.

    Parameters
    ----------
    assays
        Modality -> names of the samples that have it.
    patients
        Sample -> patient, see :func:`parse_barcode`.
    """
    parsed = {
        modality: {name: parse_barcode(name, patients) for name in sorted(names)}
        for modality, names in assays.items()
    }
    done: dict[Barcode, set[Modality]] = {}
    for modality, barcodes in parsed.items():
        for barcode in barcodes.values():
            done.setdefault(barcode, set()).add(modality)
    tumours = [barcode for barcode in done if barcode.is_tumour]
    tumours.sort(key=lambda b: (b.patient, -len(done[b]), b.rank, b.specimen))
    chosen: dict[str, Barcode] = {}
    for barcode in tumours:
        chosen.setdefault(barcode.patient, barcode)
    names: dict[Modality, dict[str, str]] = {}
    normals = others = 0
    for modality, barcodes in parsed.items():
        first: dict[str, str] = {}
        for name, barcode in barcodes.items():
            if not barcode.is_tumour:
                normals += 1
            elif chosen[barcode.patient] != barcode:
                others += 1
            else:
                first.setdefault(barcode.patient, name)
        names[modality] = {name: patient for patient, name in first.items()}
    samples = sum(map(len, parsed.values()))
    landed = sum(map(len, names.values()))
    return Choice(names, samples, normals, others, samples - normals - others - landed)
