"""Patients whose files stand out from those of their own cohort; no model.

    facts of a table -> measurements -> stand_out -> Standout (who, which fact, how far)

A value is judged on a scale on which patients differ alike (shares by their angle, counts and
ploidy by their logarithm), by its distance from the median in units of the scaled median absolute
deviation of its side, because most facts are skew. The distance is compared with Student's t of the
degrees of freedom that the deviation is worth, at most :data:`MOST_FREEDOM` because patients differ
with longer tails than the normal distribution has, at a level divided by the number of values
judged (Bonferroni): a larger cohort does not name more patients by chance.

References
----------
Hampel, J. Am. Stat. Assoc. 1974, 69:383 (deviation from the median); Rousseeuw & Croux, J. Am.
Stat. Assoc. 1993, 88:1273 (efficiency of the median absolute deviation: 37 %).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import t

#: Patients with a value below which a fact is not judged.
MIN_PATIENTS = 20
#: Records below which a share of them is mostly chance.
MIN_RECORDS = 20
#: Probability that a clean cohort of such tails names anybody, per table.
FALSE_ALARM = 0.01
MOST_FREEDOM = 8.0

#: From a median absolute deviation to the standard deviation of a normal distribution; and the
#: share of the data that it makes use of.
_TO_SD, _EFFICIENCY = 1.4826, 0.37


@dataclass(frozen=True)
class _Scale:
    """Scale on which a fact is judged, and the least spread that is believed there.

    A cohort in which nearly everyone has the same value has no spread of its own. None: what
    counting alone spreads, the standard deviation of log(1 + n) being 1 / sqrt(1 + n).
    """

    of: Callable[[np.ndarray], np.ndarray]
    least: float | None

    def least_at(self, median: float) -> float:
        """Least spread around a median on this scale."""
        return float(np.exp(-median / 2)) if self.least is None else self.least


_SCALES: Mapping[str, _Scale] = {
    # Five parts of a hundred around one half.
    "share_used": _Scale(lambda p: np.arcsin(np.sqrt(p)), 0.05),
    "genes": _Scale(np.log1p, None),
    "ploidy": _Scale(np.log1p, 0.03),
}
#: Other facts, such as HU, as they are; a unit is the least that can be seen.
_AS_IS = _Scale(lambda values: values, 1.0)


@dataclass(frozen=True)
class Standout:
    """A value that stands out.

    Parameters
    ----------
    patient_id
        Pseudonym.
    fact
        Name of the fact.
    value, median
        Of the patient, and of the cohort.
    z
        Robust z on the scale of the fact.
    """

    patient_id: str
    fact: str
    value: float
    median: float
    z: float


@dataclass(frozen=True)
class Judged:
    """What came of a cohort.

    Parameters
    ----------
    standouts
        Furthest first.
    patients
        Fact -> patients with a value, for the facts that were judged.
    too_few
        The same for the facts that were not, for want of patients.
    limit
        Absolute z from which a value stands out; None where nothing was judged.
    """

    standouts: tuple[Standout, ...]
    patients: Mapping[str, int]
    too_few: Mapping[str, int]
    limit: float | None


def measurements(facts: pl.DataFrame) -> pl.DataFrame:
    """Numbers of the files: ``patient_id``, ``fact``, ``value``.

    Parameters
    ----------
    facts
        With the columns of :data:`oncoframe.facts.SCHEMA`; nulls are left out.
    """
    shares = facts.filter(pl.col("records") >= MIN_RECORDS).select(
        "patient_id", fact=pl.lit("share_used"), value=pl.col("used") / pl.col("records")
    )
    told = facts.select("patient_id", "measures").explode("measures").drop_nulls("measures")
    named = told.select(
        "patient_id",
        fact=pl.col("measures").struct.field("name"),
        value=pl.col("measures").struct.field("value"),
    )
    return pl.concat([shares, named]).drop_nulls()


def stand_out(values: pl.DataFrame) -> Judged:
    """Values of a cohort that stand out from the others.

    Parameters
    ----------
    values
        ``patient_id``, ``fact`` and ``value``; a patient has as many of a fact as files.
    """
    sizes = dict(values.group_by("fact").agg(pl.col("patient_id").n_unique()).sort("fact").rows())
    patients = {fact: n for fact, n in sizes.items() if n >= MIN_PATIENTS}
    judged = values.filter(pl.col("fact").is_in(list(patients)))
    found = [
        one
        for [fact], rows in judged.group_by("fact", maintain_order=True)
        for one in _beyond(str(fact), rows, len(judged))
    ]
    smallest = min(patients.values(), default=None)
    return Judged(
        standouts=tuple(sorted(found, key=lambda one: (-abs(one.z), one.patient_id, one.fact))),
        patients=patients,
        too_few={fact: n for fact, n in sizes.items() if fact not in patients},
        limit=None if smallest is None else _limit(smallest, len(judged)),
    )


def _beyond(fact: str, rows: pl.DataFrame, tests: int) -> list[Standout]:
    scale = _SCALES.get(fact, _AS_IS)
    values = rows["value"].to_numpy()
    scaled = scale.of(values)
    median = float(np.median(scaled))
    distance = scaled - median
    below, above = (
        max(_TO_SD * float(np.median(np.abs(distance[side]))), scale.least_at(median))
        for side in (distance <= 0, distance >= 0)
    )
    z = distance / np.where(distance < 0, below, above)
    at = np.flatnonzero(np.abs(z) > _limit(len(values), tests))
    middle = float(np.median(values))
    return [
        Standout(rows["patient_id"][int(i)], fact, float(values[i]), middle, float(z[i]))
        for i in at
    ]


def _limit(values: int, tests: int) -> float:
    """Absolute z that one of ``tests`` values passes by chance with :data:`FALSE_ALARM`."""
    freedom = min(_EFFICIENCY * (values - 1), MOST_FREEDOM)
    return float(t.isf(FALSE_ALARM / (2 * tests), freedom))
