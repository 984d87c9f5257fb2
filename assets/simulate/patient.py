"""One synthetic patient: diagnosis, picture, specimens and the biomarkers planted in them.

    Plan, index -> draw_patient -> SyntheticPatient -> files

Only what is planted on purpose stands here; the noise around it (passenger mutations, filtered
calls, reads) is drawn by the writers' modules.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum

import numpy as np

from assets.simulate import catalogue
from assets.simulate.catalogue import LOOKALIKE_SHARE, Entity, Variant, draw_variant
from assets.simulate.design import Plan, patient_stream
from oncoframe.contracts import Modality, Status
from oncoframe.modalities import assays

#: First and last possible index date.
FIRST_DAY, LAST_DAY = date(2019, 1, 7), date(2023, 12, 22)
#: Share of the patients with a later specimen.
FOLLOW_UP_SHARE = 0.1
#: Share of the later specimens that find the leukaemia gone; the others are relapses.
REMISSION_SHARE = 0.5
#: First and last day of a later specimen, counted from the first.
FOLLOW_UP_DAYS = (60, 540)
#: Share of the patients who did not agree to research.
NO_CONSENT_SHARE = 0.01
#: Chance per year of age of a mutation of clonal haematopoiesis, for each gene.
CHIP_PER_YEAR = {"DNMT3A": 0.0011, "TET2": 0.0007, "ASXL1": 0.0003}
#: Allele fraction of such a mutation.
CHIP_VAF = 0.075
#: Range of the share of leukaemic cells at diagnosis.
PURITY = (0.7, 0.95)
#: Share of the mutations that every leukaemic cell has; the others are in half of them.
CLONAL_SHARE = 0.7
#: Share of the mutations at a known hotspot, in targets that have a stretch besides.
HOTSPOT_SHARE = 0.5
#: Share of the patients with PML::RARA whose reciprocal fusion is transcribed, too.
RECIPROCAL_SHARE = 0.35
#: Status of an assay of the first specimen -> probability.
_STATUSES = {Status.PERFORMED: 0.97, Status.FAILED: 0.02, Status.NOT_PERFORMED: 0.01}
_FUSION_NOT_PERFORMED = 0.03


class Purpose(IntEnum):
    """Random streams of a patient; specimen k adds ``10 * k``."""

    CORE = 0
    CLINICAL = 1
    DIAGNOSIS = 2
    SNV = 3
    EXPRESSION = 4
    COUNTER = 5
    FUSION = 6
    CNV = 7
    SV_CALLS = 8
    # Beyond those of any specimen: the breakpoints are the patient's.
    SV = 1_000_001
    SV_PLACES = 1_000_002


@dataclass(frozen=True)
class Site:
    """A hospital and the pipelines of its laboratory."""

    name: str
    share: float
    has_normal_sample: bool
    expression_tool: str
    fusion_tool: str


SITES = (
    Site("north", 0.45, True, "star", "star-fusion"),
    Site("south", 0.35, False, "star", "star-fusion"),
    Site("east", 0.20, True, "htseq-count", "arriba"),
)


@dataclass(frozen=True)
class PlantedCall:
    """A mutation that the specimen carries, with its expected allele fraction."""

    target: str
    variant: Variant
    vaf: float


@dataclass(frozen=True)
class Specimen:
    """One specimen with what is planted in it.

    Parameters
    ----------
    stage
        ``diagnosis``, ``relapse`` or ``remission``.
    purity
        Share of leukaemic cells.
    statuses
        Modality -> what became of the assay.
    """

    number: int
    collected_on: date
    stage: str
    purity: float
    calls: tuple[PlantedCall, ...]
    bystanders: tuple[PlantedCall, ...]
    fusions: tuple[str, ...]
    statuses: dict[str, Status]


@dataclass(frozen=True)
class SyntheticPatient:
    """A patient; ``picture`` is the entity whose findings the patient shows."""

    index: int
    patient_id: str
    entity: Entity
    picture: Entity
    picture_position: int
    site: Site
    sex: str
    age_years: float
    has_consent: bool
    karyotype: tuple[str, ...]
    specimens: tuple[Specimen, ...]

    @property
    def index_date(self) -> date:
        """Date of the diagnosis specimen."""
        return self.specimens[0].collected_on


def draw_patient(plan: Plan, index: int) -> SyntheticPatient:
    """Patient ``index`` of the cohort; depends on the seed, the index and the patient's entity."""
    rng = patient_stream(plan.seed, index, Purpose.CORE)
    position = picture_position = int(plan.assigned[index])
    lookalikes = plan.lookalikes(position)
    shows_lookalike, which = rng.random(2)
    if lookalikes and shows_lookalike < LOOKALIKE_SHARE:
        picture_position = lookalikes[int(which * len(lookalikes))]
    picture = plan.entities[picture_position]
    age = float(np.clip(rng.normal(*picture.age), 1, 95))
    site = SITES[rng.choice(len(SITES), p=[site.share for site in SITES])]
    sex = "female" if rng.random() < picture.female else "male"
    karyotype = _present(picture.karyotype, rng)
    return SyntheticPatient(
        index=index,
        patient_id=f"SYN{index + 1:05d}",
        entity=plan.entities[position],
        picture=picture,
        picture_position=picture_position,
        site=site,
        sex=sex,
        age_years=round(age, 1),
        has_consent=bool(rng.random() >= NO_CONSENT_SHARE),
        karyotype=tuple(change for change in karyotype if sex == "male" or change != "-Y"),
        specimens=_specimens(picture, age, rng),
    )


def _present(shares: dict[str, float], rng: np.random.Generator) -> tuple[str, ...]:
    drawn = rng.random(len(shares))
    return tuple(name for name, u in zip(shares, drawn, strict=True) if u < shares[name])


def _specimens(picture: Entity, age: float, rng: np.random.Generator) -> tuple[Specimen, ...]:
    first_day = FIRST_DAY + timedelta(days=int(rng.integers((LAST_DAY - FIRST_DAY).days)))
    purity = float(rng.uniform(*PURITY))
    chip_shares = {name: share * age for name, share in CHIP_PER_YEAR.items()}
    diagnosis = Specimen(
        number=0,
        collected_on=first_day,
        stage="diagnosis",
        purity=purity,
        calls=tuple(_planted(name, purity, rng) for name in _present(picture.mutations, rng)),
        bystanders=tuple(
            PlantedCall(name, _drawn_variant(name, rng), CHIP_VAF)
            for name in _present(chip_shares, rng)
            if name not in picture.mutations
        ),
        fusions=_drawn_fusions(picture, rng),
        statuses=_drawn_statuses(rng),
    )
    if rng.random() >= FOLLOW_UP_SHARE:
        return (diagnosis,)
    return (diagnosis, _follow_up(diagnosis, picture, rng))


def _follow_up(first: Specimen, picture: Entity, rng: np.random.Generator) -> Specimen:
    """Specimen after treatment: the leukaemia gone, or back with a further mutation."""
    later = replace(
        first,
        number=1,
        collected_on=first.collected_on + timedelta(days=int(rng.integers(*FOLLOW_UP_DAYS))),
        statuses=dict.fromkeys(first.statuses, Status.PERFORMED),
    )
    if rng.random() < REMISSION_SHARE:
        return replace(later, stage="remission", purity=0.0, calls=(), fusions=())
    resistance = "ABL1-T315I" if "t(9;22)(q34;q11)" in picture.karyotype else "TP53"
    if resistance in picture.mutations:
        return replace(later, stage="relapse")
    gained = _planted(resistance, first.purity, rng)
    return replace(later, stage="relapse", calls=(*first.calls, gained))


def _planted(name: str, purity: float, rng: np.random.Generator) -> PlantedCall:
    variant = _drawn_variant(name, rng)
    cells = 1.0 if rng.random() < CLONAL_SHARE else 0.5
    return PlantedCall(name, variant, purity * cells / 2)


def _drawn_variant(name: str, rng: np.random.Generator) -> Variant:
    target = catalogue.targets()[name]
    u = rng.random()
    if target.scatter is None or (target.hotspots and u < HOTSPOT_SHARE):
        return target.hotspots[rng.choice(len(target.hotspots), p=target.weights)]
    return draw_variant(target.scatter, rng)


def _drawn_fusions(picture: Entity, rng: np.random.Generator) -> tuple[str, ...]:
    u, reciprocal = rng.random(2)
    for name, share in picture.fusions.items():
        if u < share:
            has_second = name == "PML::RARA" and reciprocal < RECIPROCAL_SHARE
            return (name, "RARA::PML") if has_second else (name,)
        u -= share
    return ()


def _drawn_statuses(rng: np.random.Generator) -> dict[str, Status]:
    statuses = list(_STATUSES)
    snv, rna = rng.choice(len(statuses), size=2, p=list(_STATUSES.values()))
    no_fusion = rng.random() < _FUSION_NOT_PERFORMED
    drawn: dict[str, Status] = {
        Modality.SNV: statuses[snv],
        # One genome is sequenced, and all of it is called.
        Modality.SV: statuses[snv],
        Modality.CNV: statuses[snv],
        Modality.EXPRESSION: statuses[rna],
        Modality.FUSION: Status.NOT_PERFORMED if no_fusion else statuses[rna],
    }
    further = (name for name, found in assays().items() if found.simulate and name not in drawn)
    return {**drawn, **dict.fromkeys(further, Status.PERFORMED)}
