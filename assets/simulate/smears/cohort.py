"""Smears of synthetic patients: a folder of fields each, and what was planted in them.

    patients, seed -> Case (class, site) -> write_smear -> fields/*.png, truth -> PlantedSmear
    write_cohort: all of that, and truth.json of the whole cohort

The truth lies beside the fields and never among them: masks as the experts of real cells draw
them, and kind and box of each cell.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assets.simulate.design import cohort_stream, patient_stream
from assets.simulate.smears.field import FIELD_UM, DrawnField, Spread, draw_field
from assets.simulate.smears.looks import LOOKS

#: Class -> share of each kind of cell. Blasts are below 5 % of a healthy marrow, below 20 % in MDS
#: and above in AML; of dysplasia 10 % of a line is enough (WHO 2022).
CLASSES: Mapping[str, Mapping[str, float]] = {
    "donor": {
        "neutrophil": 0.60, "dysplastic_neutrophil": 0.01, "lymphocyte": 0.16,
        "erythroblast": 0.21, "blast": 0.02,
    },
    "mds": {
        "neutrophil": 0.24, "dysplastic_neutrophil": 0.36, "lymphocyte": 0.12,
        "erythroblast": 0.22, "blast": 0.06,
    },
    "aml": {
        "neutrophil": 0.12, "dysplastic_neutrophil": 0.05, "lymphocyte": 0.10,
        "erythroblast": 0.10, "blast": 0.63,
    },
}  # fmt: skip
#: The classes, and what else a patient of the leukaemia cohort may show.
MIXES: Mapping[str, Mapping[str, float]] = {
    **CLASSES,
    "cll": {
        "neutrophil": 0.16, "dysplastic_neutrophil": 0.01, "lymphocyte": 0.70,
        "erythroblast": 0.11, "blast": 0.02,
    },
}  # fmt: skip
#: Site whose stain and scanner no training sees.
EXTERNAL_SITE = "east"
#: Share of the patients of the external site.
EXTERNAL_SHARE = 0.2
#: How alike the mixes of patients of one class are (concentration of a Dirichlet distribution).
_ALIKE = 60.0
#: Purposes of the random streams; the cohort's is behind those of the leukaemia cohort.
_STREAM, _PLAN = 10, 7


@dataclass(frozen=True)
class Case:
    """A patient with a smear, before anything is drawn.

    Parameters
    ----------
    index
        Number of the patient; decides the random numbers together with the seed.
    diagnosis
        Key of :data:`MIXES`.
    site
        Key of :data:`~assets.simulate.smears.looks.LOOKS`.
    """

    index: int
    patient_id: str
    diagnosis: str
    site: str


@dataclass(frozen=True)
class PlantedSmear:
    """A smear as it was written.

    Parameters
    ----------
    case
        Whose.
    folder
        Folder of the fields.
    truth
        Folder of their masks, ``<field>.mask.png``, and of ``cells.json``.
    fields
        Names of the files, in order.
    shares
        Share of each kind of cell that the patient was given.
    """

    case: Case
    folder: Path
    truth: Path
    fields: tuple[str, ...]
    shares: Mapping[str, float]


def draw_cases(patients: int, seed: int, classes: Sequence[str] = tuple(CLASSES)) -> list[Case]:
    """Classes in turn, and within each the sites by their share, in an order of the seed."""
    internal = [site for site in LOOKS if site != EXTERNAL_SITE]
    every = round(1 / EXTERNAL_SHARE)
    cases = []
    for number in range(patients):
        turn = number // len(classes)
        is_external = turn % every == every - 1
        site = EXTERNAL_SITE if is_external else internal[turn % len(internal)]
        cases.append((classes[number % len(classes)], site))
    order = cohort_stream(seed, _PLAN).permutation(patients)
    return [Case(index, f"SMR{index + 1:05d}", *cases[place]) for index, place in enumerate(order)]


def write_smear(
    case: Case,
    folder: Path,
    truth: Path,
    *,
    seed: int,
    fields: int,
    size_um: tuple[float, float] = FIELD_UM,
) -> PlantedSmear:
    """Write the fields of a patient and their truth; the same seed gives the same bytes.

    Parameters
    ----------
    folder, truth
        Where the fields go, and what was planted in them.
    fields
        Number of fields.
    size_um
        Width and height of a field.
    """
    rng = patient_stream(seed, case.index, _STREAM)
    typical = np.array([*MIXES[case.diagnosis].values()])
    drawn = rng.dirichlet(_ALIKE * typical)
    shares = dict(zip(MIXES[case.diagnosis], drawn.tolist(), strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    names, cells = [], {}
    for name, field in _fields(shares, case, fields, size_um, rng):
        Image.fromarray(field.pixels).save(folder / name)
        Image.fromarray(field.mask).save(truth / f"{Path(name).stem}.mask.png")
        cells[name] = [asdict(cell) for cell in field.cells]
        names.append(name)
    (truth / "cells.json").write_text(json.dumps(cells, indent=1) + "\n", "utf-8")
    return PlantedSmear(case, folder, truth, tuple(names), shares)


def write_cohort(
    folder: Path,
    *,
    patients: int,
    seed: int,
    fields: int = 4,
    size_um: tuple[float, float] = FIELD_UM,
    classes: Sequence[str] = tuple(CLASSES),
) -> tuple[PlantedSmear, ...]:
    """Write ``fields/<patient>/*.png``, ``truth/<patient>/*`` and ``truth.json``.

    Parameters
    ----------
    patients, seed, classes
        Size of the cohort, what else decides it, and the classes it has.
    fields, size_um
        Fields per patient, and width and height of each.
    """
    planted = tuple(
        write_smear(
            case,
            folder / "fields" / case.patient_id,
            folder / "truth" / case.patient_id,
            seed=seed,
            fields=fields,
            size_um=size_um,
        )
        for case in draw_cases(patients, seed, classes)
    )
    (folder / "truth.json").write_text(
        json.dumps({smear.case.patient_id: truth_of(smear) for smear in planted}, indent=1) + "\n"
    )
    return planted


def truth_of(smear: PlantedSmear) -> dict[str, Any]:
    """What ``truth.json`` tells of a smear."""
    look = LOOKS[smear.case.site]
    return {
        "class": smear.case.diagnosis,
        "site": smear.case.site,
        "stain": look.stain,
        "scanner": look.scanner,
        "pixel_size_um": look.pixel_size_um,
        "fields": list(smear.fields),
        "shares": {kind: round(share, 4) for kind, share in smear.shares.items()},
    }


def _fields(
    shares: Mapping[str, float],
    case: Case,
    number: int,
    size_um: tuple[float, float],
    rng: np.random.Generator,
) -> Iterator[tuple[str, DrawnField]]:
    for place in range(1, number + 1):
        spread = Spread(cells=rng.uniform(0.8, 1.3), erythrocytes=rng.uniform(0.6, 1.4))
        field = draw_field(shares, LOOKS[case.site], rng, size_um=size_um, spread=spread)
        yield f"field-{place:02d}.png", field
