"""Outliers of a cohort: clean cohorts stay silent, planted files are named."""

import numpy as np
import polars as pl
import pytest

from ml.drift.outliers import measurements, stand_out
from oncoframe.facts import SCHEMA

#: Of simulated clean cohorts, at least this share must name nobody.
SILENT = 0.95
COHORTS = 100


def cohort(rng, n):
    """Facts of clean files: skew counts, shares of few and many records, mixed ploidy, HU."""
    records = np.maximum(rng.negative_binomial(3, 3 / 203, n), 20)
    facts = {
        "share_used": rng.binomial(records, rng.beta(40, 10, n)) / records,
        "genes": rng.negative_binomial(4, 4 / 34, n).astype(float),
        "ploidy": np.where(rng.random(n) < 0.85, rng.normal(2, 0.05, n), rng.normal(2, 0.1, n)),
        "lowest_hu": np.full(n, -1024.0),
        "highest_hu": rng.normal(1500, 250, n),
    }
    who = [f"P{i}" for i in range(n)]
    frames = (
        pl.DataFrame({"patient_id": who, "fact": [fact] * n, "value": values})
        for fact, values in facts.items()
    )
    return pl.concat(frames)


def planted(values, fact, value):
    """The cohort with one value of P3 replaced."""
    is_it = (pl.col("patient_id") == "P3") & (pl.col("fact") == fact)
    return values.with_columns(value=pl.when(is_it).then(value).otherwise("value"))


@pytest.mark.parametrize("n", [20, 60, 300])
def test_stand_out__is_silent_on_clean_cohorts(n):
    """Null control: a check that cries every week is switched off. Seen: 0 to 2 of 100."""
    rng = np.random.default_rng(n)
    loud = sum(bool(stand_out(cohort(rng, n)).standouts) for _ in range(COHORTS))
    assert loud <= (1 - SILENT) * COHORTS


@pytest.mark.parametrize("n", [20, 300])
@pytest.mark.parametrize(
    ("fact", "value"),
    [("share_used", 0.02), ("ploidy", 4.2), ("lowest_hu", 0.0), ("highest_hu", 30_000.0),
     ("genes", 20_000.0)],
)  # fmt: skip
def test_stand_out__names_a_planted_patient_and_the_fact(n, fact, value):
    """What a wrong file looks like: nothing used, doubled copies, shifted HU, a germline VCF."""
    found = stand_out(planted(cohort(np.random.default_rng(n), n), fact, value))
    assert [(one.patient_id, one.fact) for one in found.standouts] == [("P3", fact)]
    assert found.standouts[0].value == value
    assert abs(found.standouts[0].z) > found.limit


def test_stand_out__does_not_judge_few():
    """Of 19 patients the spread is not known well enough."""
    found = stand_out(planted(cohort(np.random.default_rng(0), 19), "ploidy", 40.0))
    assert found.standouts == ()
    assert found.too_few["ploidy"] == 19
    assert found.limit is None


def test_stand_out__of_nothing_is_nothing():
    found = stand_out(measurements(pl.DataFrame(schema=SCHEMA)))
    assert (found.standouts, found.patients, found.too_few) == ((), {}, {})


def test_stand_out__takes_equal_values_for_equal():
    """Of counts that nearly all are zero the deviation is zero; two fusions are no outlier."""
    who = [f"P{i}" for i in range(50)]
    values = pl.DataFrame({"patient_id": who, "fact": ["genes"] * 50, "value": [0.0] * 48 + [4, 4]})
    assert stand_out(values).standouts == ()


def test_measurements__leave_out_what_was_not_recorded_and_shares_of_few_records():
    row = {"patient_id": "P1", "records": 100, "used": 40}
    rows = [
        {**row, "measures": [{"name": "ploidy", "value": 2.1}]},
        {**row, "patient_id": "P2", "records": 3, "used": 0, "measures": []},
        {"patient_id": "P3", "records": None, "used": None, "measures": None},
    ]
    found = measurements(pl.DataFrame(rows, schema_overrides={"measures": SCHEMA["measures"]}))
    assert found.rows() == [("P1", "share_used", 0.4), ("P1", "ploidy", 2.1)]
