"""One synthetic patient: diagnosis, picture, specimens and the biomarkers planted in them.

    Plan, index -> draw_patient -> SyntheticPatient -> files

Only what is planted on purpose stands here; the noise around it (passenger mutations, filtered
calls, reads) is drawn by the writers' modules.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum

import numpy as np

from assets.contracts import Modality, Status
from assets.landing.simulate import catalogue
from assets.landing.simulate.catalogue import LOOKALIKE_SHARE, Entity, Stretch, Variant
from assets.landing.simulate.plan import Plan, patient_stream
from assets.landing.simulate.scatter import draw_variant

#: First and last possible index date.
FIRST_DAY, LAST_DAY = date(2019, 1, 7), date(2023, 12, 22)
#: Share of the patients with a later specimen.
FOLLOW_UP_SHARE = 0.1
#: Share of the patients who did not agree to research.
NO_CONSENT_SHARE = 0.01
#: Chance per year of age of a mutation of clonal haematopoiesis, for each gene.
CHIP_PER_YEAR = {"DNMT3A": 0.0011, "TET2": 0.0007, "ASXL1": 0.0003}
#: Status of an assay of the first specimen -> probability.
_SNV_STATUS = {Status.PERFORMED: 0.97, Status.FAILED: 0.015, Status.NOT_PERFORMED: 0.015}
_RNA_STATUS = {Status.PERFORMED: 0.97, Status.FAILED: 0.015, Status.NOT_PERFORMED: 0.015}
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
    statuses: dict[Modality, Status]


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
    return SyntheticPatient(
        index=index,
        patient_id=f"SYN{index + 1:05d}",
        entity=plan.entities[position],
        picture=picture,
        picture_position=picture_position,
        site=site,
        sex="female" if rng.random() < picture.female else "male",
        age_years=round(age, 1),
        has_consent=bool(rng.random() >= NO_CONSENT_SHARE),
        karyotype=_present(picture.karyotype, rng),
        specimens=_specimens(picture, age, rng),
    )


def _present(shares: dict[str, float], rng: np.random.Generator) -> tuple[str, ...]:
    drawn = rng.random(len(shares))
    return tuple(name for name, u in zip(shares, drawn, strict=True) if u < shares[name])


def _specimens(picture: Entity, age: float, rng: np.random.Generator) -> tuple[Specimen, ...]:
    first_day = FIRST_DAY + timedelta(days=int(rng.integers((LAST_DAY - FIRST_DAY).days)))
    purity = float(rng.uniform(0.7, 0.95))
    calls = tuple(_planted(name, purity, rng) for name in _present(picture.mutations, rng))
    chip_shares = {name: share * age for name, share in CHIP_PER_YEAR.items()}
    chip = tuple(
        _planted(name, 0.15, rng)
        for name in _present(chip_shares, rng)
        if name not in picture.mutations
    )
    fusions = _drawn_fusion(picture, rng)
    diagnosis = Specimen(
        0, first_day, "diagnosis", purity, calls, chip, fusions, _drawn_statuses(rng)
    )
    if rng.random() >= FOLLOW_UP_SHARE:
        return (diagnosis,)
    return (diagnosis, _follow_up(diagnosis, picture, rng))


def _follow_up(first: Specimen, picture: Entity, rng: np.random.Generator) -> Specimen:
    """Specimen after treatment: the leukaemia gone, or back with a further mutation."""
    collected_on = first.collected_on + timedelta(days=int(rng.integers(60, 540)))
    performed = dict.fromkeys((Modality.SNV, Modality.EXPRESSION, Modality.FUSION))
    statuses = dict.fromkeys(performed, Status.PERFORMED)
    if rng.random() < 0.5:  # noqa: PLR2004  # half and half
        return Specimen(1, collected_on, "remission", 0.0, (), first.bystanders, (), statuses)
    resistance = "ABL1-T315I" if picture.key in ("cml", "ball_bcr_abl1") else "TP53"
    gained = () if resistance in picture.mutations else (_planted(resistance, first.purity, rng),)
    return Specimen(
        1,
        collected_on,
        "relapse",
        first.purity,
        (*first.calls, *gained),
        first.bystanders,
        first.fusions,
        statuses,
    )


def _planted(name: str, purity: float, rng: np.random.Generator) -> PlantedCall:
    target = catalogue.targets()[name]
    spot, subclone = rng.random(2)
    # Half of the patients with a known hotspot in a gene with other drivers carry the hotspot.
    by_hotspot = not target.scatter or (target.hotspots and spot < 0.5)  # noqa: PLR2004
    if by_hotspot:
        variant = target.hotspots[rng.choice(len(target.hotspots), p=target.weights)]
    else:
        variant = draw_variant(_stretch(target.scatter), rng)
    clonal = purity / 2
    return PlantedCall(name, variant, float(clonal * (1.0 if subclone < 0.7 else 0.5)))  # noqa: PLR2004


def _stretch(scatter: Stretch | None) -> Stretch:
    if scatter is None:
        msg = "a target has neither a hotspot nor a stretch"
        raise ValueError(msg)
    return scatter


def _drawn_fusion(picture: Entity, rng: np.random.Generator) -> tuple[str, ...]:
    u = rng.random()
    reciprocal = rng.random()
    for name, share in picture.fusions.items():
        if u < share:
            is_apl = name == "PML::RARA"
            return (name, "RARA::PML") if is_apl and reciprocal < 0.35 else (name,)  # noqa: PLR2004
        u -= share
    return ()


def _drawn_statuses(rng: np.random.Generator) -> dict[Modality, Status]:
    snv, rna = (
        list(shares)[rng.choice(len(shares), p=list(shares.values()))]
        for shares in (_SNV_STATUS, _RNA_STATUS)
    )
    no_fusion = rng.random() < _FUSION_NOT_PERFORMED
    return {
        Modality.SNV: snv,
        Modality.EXPRESSION: rna,
        Modality.FUSION: Status.NOT_PERFORMED if no_fusion else rna,
    }
