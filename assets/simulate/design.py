"""Who is in the cohort: how many patients of which entity, and how well they can be told apart.

    patients, seed -> Plan -> entity of patient i, Bayes accuracy

Quotas instead of draws, so that a small cohort has enough patients of every entity it has; the
number of entities grows with the cohort, as its square root.
"""

import math
from dataclasses import dataclass

import numpy as np

from assets.simulate.catalogue import LOOKALIKE_SHARE, Entity, entities

#: Fewest patients of an entity, so that five folds hold one each.
MIN_PER_ENTITY = 5
#: First number of the spawn key of a random stream: of the cohort, or of one patient.
_COHORT, _PATIENT = 0, 1


@dataclass(frozen=True)
class Plan:
    """Entities of a cohort and the entity of each patient.

    Parameters
    ----------
    seed
        Seed of the cohort.
    entities
        Entities of this cohort, most frequent first.
    assigned : (patients,) array of int
        Position in ``entities`` for each patient.
    """

    seed: int
    entities: tuple[Entity, ...]
    assigned: np.ndarray

    def lookalikes(self, entity: int) -> list[int]:
        """Positions of the entities in this cohort whose picture ``entity`` may show."""
        keys = [other.key for other in self.entities]
        return [keys.index(key) for key in self.entities[entity].lookalikes if key in keys]

    def bayes_decisions(self) -> np.ndarray:
        """Entity to answer for each picture: (entities,) array of positions."""
        decisions: np.ndarray = self._joint().argmax(axis=0)
        return decisions

    def bayes_accuracy(self) -> float:
        r"""Accuracy of the best possible classifier that recognises every picture.

        With :math:`n_e` patients of entity e, of whom a share :math:`K_{ep}` shows picture p, it is
        :math:`\sum_p \max_e n_e K_{ep} / \sum_e n_e`. Weak pictures and missing assays lower what
        can be reached in files.
        """
        joint = self._joint()
        return float(joint.max(axis=0).sum() / joint.sum())

    def _joint(self) -> np.ndarray:
        counts = np.bincount(self.assigned, minlength=len(self.entities))
        shown = np.zeros((len(counts), len(counts)))
        for entity in range(len(counts)):
            others = self.lookalikes(entity)
            shown[entity, entity] = 1.0
            if others:
                shown[entity, entity] -= LOOKALIKE_SHARE
                shown[entity, others] = LOOKALIKE_SHARE / len(others)
        joint: np.ndarray = counts[:, None] * shown
        return joint


def make_plan(patients: int, seed: int) -> Plan:
    """Entities and their patients for a cohort of a size."""
    quotas = entity_quotas(patients)
    assigned = np.repeat(np.arange(len(quotas)), quotas)
    order = cohort_stream(seed, 0).permutation(patients)
    return Plan(seed, entities()[: len(quotas)], assigned[order])


def entity_quotas(patients: int) -> np.ndarray:
    """Patients of each entity: an equal floor, the rest by frequency (largest remainders).

    Returns
    -------
    (entities,) array of int that adds up to ``patients``.
    """
    number = min(max(math.isqrt(patients), 2), len(entities()), patients)
    floor = min(MIN_PER_ENTITY, patients // number)
    weights = np.array([entity.weight for entity in entities()[:number]])
    shares = (patients - number * floor) * weights / weights.sum()
    quotas: np.ndarray = floor + np.floor(shares).astype(np.int64)
    missing = patients - int(quotas.sum())
    by_remainder = np.argsort(np.floor(shares) - shares, kind="stable")
    quotas[by_remainder[:missing]] += 1
    return quotas


def cohort_stream(seed: int, purpose: int) -> np.random.Generator:
    """Random numbers of the whole cohort, one stream per purpose."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_COHORT, purpose)))


def patient_stream(seed: int, patient: int, purpose: int) -> np.random.Generator:
    """Random numbers of one patient, one stream per purpose; no other patient changes them."""
    key = (_PATIENT, patient, purpose)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
