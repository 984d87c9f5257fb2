"""What could be known of a synthetic patient at best: the posterior of the entity, given the files.

    plan, patient -> log_likelihood (per picture, performed assays only) -> posterior -> Bayes rate

The generating model turned around: mutations, fusion, karyotype, age, sex and expression are
independent given the picture. An assay that was not performed or failed, and a karyotype or
laboratory value that is missing, tells nothing. What the posterior knows and a reader of the files
does not: the share of leukaemic cells, and which mutation is clonal haematopoiesis. It leaves out
the single values of the laboratory that depend on each other (the differential). So it is close to,
not exactly, the best that can be reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from assets.simulate import catalogue, clinical
from assets.simulate.catalogue import LOOKALIKE_SHARE, Entity
from assets.simulate.design import Plan
from assets.simulate.patient import RECIPROCAL_SHARE, SyntheticPatient
from assets.simulate.transcripts import DISPERSION, GENE_SD, PROGRAM_SD, draw_counts
from oncoframe.contracts import Modality, Status

#: Chance of a finding that the catalogue does not give to a picture.
_NEVER = 1e-6
_LN2 = np.log(2)
#: Laboratory value -> column, for values that are drawn by themselves.
_NORMAL = {"hb": "hemoglobin_g_per_dl", "mcv": "mcv_fl", "bm_blasts": "blasts_bm_pct"}
_LOG_NORMAL = {"wbc": "wbc_10e9_per_l", "platelets": "platelets_10e9_per_l", "ldh": "ldh_u_per_l"}


def observed_bayes(plan: Plan, patients: Sequence[SyntheticPatient]) -> tuple[float, float]:
    """Expected and actual accuracy of naming the entity with the largest posterior.

    Returns
    -------
    Mean over the patients of the largest posterior, and the share of them whom it gets right.
    """
    posteriors = np.array([posterior(plan, patient) for patient in patients])
    keys = [entity.key for entity in plan.entities]
    truth = np.array([keys.index(patient.entity.key) for patient in patients])
    return (
        float(posteriors.max(axis=1).mean()),
        float((posteriors.argmax(axis=1) == truth).mean()),
    )


def posterior(plan: Plan, patient: SyntheticPatient) -> np.ndarray:
    """(entities,) probability of each entity, given what the patient's files say."""
    findings = _findings(plan.seed, patient)
    of_picture = np.array([_log_likelihood(findings, picture) for picture in plan.entities])
    likely = np.exp(of_picture - of_picture.max())
    counts = np.bincount(plan.assigned, minlength=len(plan.entities))
    joint = np.zeros(len(plan.entities))
    for entity, patients in enumerate(counts):
        others = plan.lookalikes(entity)
        share = 1 - LOOKALIKE_SHARE if others else 1.0
        shown = share * likely[entity]
        if others:
            shown += LOOKALIKE_SHARE * likely[others].mean()
        joint[entity] = patients * shown
    return np.asarray(joint / joint.sum())


@dataclass(frozen=True)
class _Reads:
    """Expression of a patient: log2 reads above a normal marrow's, and how far they scatter."""

    residual: np.ndarray
    noise: np.ndarray
    weighted: np.ndarray
    inner: np.ndarray


@dataclass(frozen=True)
class _Findings:
    """What the files of a patient's first specimen say; None where an assay was not performed."""

    patient: SyntheticPatient
    row: dict[str, str]
    mutations: set[str] | None
    fusions: tuple[str, ...] | None
    reads: _Reads | None


def _findings(seed: int, patient: SyntheticPatient) -> _Findings:
    specimen = patient.specimens[0]
    done = {m for m, status in specimen.statuses.items() if status is Status.PERFORMED}
    return _Findings(
        patient=patient,
        row=clinical.patient_row(seed, patient),
        mutations={c.target for c in specimen.calls} if Modality.SNV in done else None,
        fusions=specimen.fusions if Modality.FUSION in done else None,
        reads=_reads(seed, patient) if Modality.EXPRESSION in done else None,
    )


def _log_likelihood(findings: _Findings, picture: Entity) -> float:
    """Logarithm of how probable the findings are for a picture."""
    patient = findings.patient
    mean, spread = picture.age
    total = -((patient.age_years - mean) ** 2) / (2 * spread**2) - np.log(spread)
    total += np.log(picture.female if patient.sex == "female" else 1 - picture.female)
    total += _laboratory(findings.row, picture)
    if findings.row["karyotype_iscn"]:
        total += _bernoulli(set(patient.karyotype), picture.karyotype, _all_changes())
    if findings.mutations is not None:
        total += _bernoulli(findings.mutations, picture.mutations, _all_targets())
    if findings.fusions is not None:
        total += _fusion(findings.fusions, picture)
    if findings.reads is not None:
        total += _expression(findings.reads, patient.specimens[0].purity, picture)
    return float(total)


def _bernoulli(found: set[str], shares: dict[str, float], names: tuple[str, ...]) -> float:
    share = np.clip([shares.get(name, 0.0) for name in names], _NEVER, 1 - _NEVER)
    is_there = np.isin(names, list(found))
    return float(np.log(np.where(is_there, share, 1 - share)).sum())


def _fusion(found: tuple[str, ...], picture: Entity) -> float:
    """Of at most one fusion, and the reciprocal of PML::RARA."""
    if not found:
        return float(np.log(max(1 - sum(picture.fusions.values()), _NEVER)))
    probability = np.log(max(picture.fusions.get(found[0], 0.0), _NEVER))
    return float(probability + (np.log(RECIPROCAL_SHARE) if len(found) > 1 else 0.0))


def _laboratory(row: dict[str, str], picture: Entity) -> float:
    total = 0.0
    for name, column in _NORMAL.items():
        if row.get(column):
            mean, spread = picture.labs[name]
            total += -((float(row[column]) - mean) ** 2) / (2 * spread**2) - np.log(spread)
    for name, column in _LOG_NORMAL.items():
        if row.get(column):
            median, spread = picture.labs[name]
            off = np.log(max(float(row[column]), 0.05) / median)
            total += -(off**2) / (2 * spread**2) - np.log(spread)
    return total


def _expression(reads: _Reads, purity: float, picture: Entity) -> float:
    r"""Of the genes of programs and of the genes that pictures change, in logarithms of reads.

    Residuals are normal with the covariance :math:`D + \sigma^2 \sum_k w_k w_k^\top`: counts and
    patients vary gene by gene (D), a program moves its genes together.
    """
    off = reads.residual - purity * _shifts()[picture.key]
    projected = reads.weighted.T @ off
    return float(-(off @ (off / reads.noise) - projected @ reads.inner @ projected) / 2)


def _reads(seed: int, patient: SyntheticPatient) -> _Reads:
    counts = draw_counts(seed, patient, patient.specimens[0]).astype(np.float64)
    raw = np.log2(counts + 0.5) - catalogue.transcriptome().base
    used = _used_genes()
    # A library has a size, not an amount: genes that no picture changes tell how large it is.
    background = np.setdiff1d(np.arange(len(counts)), used)
    noise = GENE_SD**2 + (DISPERSION + 1 / (counts[used] + 0.5)) / _LN2**2
    moves = _program_moves()
    weighted = moves / noise[:, None]
    return _Reads(
        residual=raw[used] - np.median(raw[background]),
        noise=noise,
        weighted=weighted,
        inner=np.linalg.inv(np.eye(moves.shape[1]) / PROGRAM_SD**2 + moves.T @ weighted),
    )


@cache
def _shifts() -> dict[str, np.ndarray]:
    """Picture -> (used genes,) log2 change of each gene in a specimen of leukaemic cells only."""
    genes = catalogue.transcriptome()
    shifts = {}
    for entity in catalogue.entities():
        shift = np.zeros(len(genes.genes))
        for program, positions in genes.programs.items():
            shift[positions] += entity.programs.get(program, 0.0)
        shift *= genes.weights
        for gene, change in entity.genes.items():
            shift[genes.genes.index(gene)] += change
        shifts[entity.key] = shift[_used_genes()]
    return shifts


@cache
def _used_genes() -> np.ndarray:
    genes = catalogue.transcriptome()
    changed = {genes.genes.index(g) for entity in catalogue.entities() for g in entity.genes}
    return np.unique(np.concatenate([*genes.programs.values(), np.array(sorted(changed), int)]))


@cache
def _program_moves() -> np.ndarray:
    """(used genes, programs) how strongly each gene follows each program."""
    genes = catalogue.transcriptome()
    moves = np.zeros((len(genes.genes), len(genes.programs)))
    for column, positions in enumerate(genes.programs.values()):
        moves[positions, column] = genes.weights[positions]
    return np.asarray(moves[_used_genes()])


@cache
def _all_targets() -> tuple[str, ...]:
    return tuple(sorted({name for entity in catalogue.entities() for name in entity.mutations}))


@cache
def _all_changes() -> tuple[str, ...]:
    return tuple(sorted({name for entity in catalogue.entities() for name in entity.karyotype}))
