"""Tests of every column of two frames: the right values reach the right test."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.stats import mannwhitneyu

from ml.drift import columns as drift_columns
from ml.drift.columns import category_test, column_tests
from ml.drift.pair import Pair, newcomers
from ml.frames.frame import Frame, FrameColumn, Sidecar
from oncoframe.errors import StudyError

GENES = tuple(f"G{number}" for number in range(30))


def column(kind="scalar", modality="expression", **more):
    about = {"modality": modality, "feature": "f", "unit": "1", "known": "at_index", "kind": kind}
    return FrameColumn.model_validate({**about, **more})


def make_frame(name, values, *, genes=GENES, fill=None, **more):
    """Frame with the values as a block and, position by position, as scalars."""
    performed = ~np.isnan(values).all(axis=1)
    vectors = [
        row[~np.isnan(row)].tolist() if there else None
        for row, there in zip(values, performed, strict=True)
    ]
    scalars = {f"x__{gene}": values[:, i] for i, gene in enumerate(GENES)}
    rows = pl.DataFrame(
        {
            "patient_id": [f"{name}{number}" for number in range(len(values))],
            "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * len(values),
            "label": ["a"] * len(values),
            "x__performed": performed,
            "x__block": pl.Series(vectors, dtype=pl.List(pl.Float32)),
            **{key: pl.Series(v, dtype=pl.Float32, nan_to_null=True) for key, v in scalars.items()},
            **more,
        }
    )
    columns = {
        "x__performed": column("performed"),
        "x__block": column("block", axis="gene", fill=fill),
        **{name: column(modality="other") for name in scalars},
        **{name: column(modality="other") for name in more},
    }
    sidecar = Sidecar(frame_id=name, study="s", label_name="who", columns=columns)
    return Frame(sidecar, rows, {"gene": genes})


@pytest.fixture
def values():
    """(300, 30) expression of the reference and (40, 30) of new patients, whose G3 is higher."""
    rng = np.random.default_rng(1)
    made = rng.normal(size=(340, 30))
    made[300:, 3] += 1.5
    made[rng.random(340) < 0.2] = np.nan
    return made[:300], made[300:]


def of(tests, name, family):
    (row,) = tests.filter(pl.col("column") == name, pl.col("family") == family).to_dicts()
    return row


def test_column_tests__a_number_is_tested_among_those_who_have_it(values):
    """Patients without the assay must neither count as zero nor shift the ranks."""
    reference, current = values

    tests = column_tests(Pair(make_frame("R", reference), make_frame("C", current)))

    for i in (0, 3, 17):
        now, before = (v[~np.isnan(v[:, i]), i] for v in (current, reference))
        exact = mannwhitneyu(now, before, method="exact")
        row = of(tests, f"x__G{i}", "other")
        if row["what"] == "level":
            assert np.log10(row["p"] / 2) == pytest.approx(np.log10(exact.pvalue), abs=0.05)
            delta = 2 * exact.statistic / (len(now) * len(before)) - 1
            assert row["effect"] == pytest.approx(delta, abs=1e-6)
            assert row["now"] == pytest.approx(now.mean(), abs=1e-6)
            assert row["before"] == pytest.approx(before.mean(), abs=1e-6)
    clearest = tests.filter(pl.col("what") != "missing").sort("p").head(2)
    assert set(clearest["column"]) == {"x__G3", "x__block[G3]"}


def test_column_tests__blocks_and_scalars_say_the_same(values, monkeypatch):
    """Chunks of a vector must not be shifted against its names."""
    reference, current = values
    pair = Pair(make_frame("R", reference), make_frame("C", current))
    whole = column_tests(pair)

    monkeypatch.setattr(drift_columns, "CHUNK_COLUMNS", 7)
    tests = column_tests(pair)

    assert_frame_equal(tests, whole, rel_tol=1e-9)
    for gene in GENES:
        block, scalar = of(tests, f"x__block[{gene}]", "x__block"), of(tests, f"x__{gene}", "other")
        assert {**block, "column": 0, "modality": 0, "family": 0} == pytest.approx(
            {**scalar, "column": 0, "modality": 0, "family": 0}
        )


def test_column_tests__a_position_is_found_by_its_name(values):
    """A dictionary in another order is another frame's: G3 must stay G3."""
    reference, current = values
    order = np.random.default_rng(2).permutation(30)
    shuffled = make_frame("C", current[:, order], genes=tuple(GENES[i] for i in order))

    straight = column_tests(Pair(make_frame("R", reference), make_frame("C", current)))
    tests = column_tests(Pair(make_frame("R", reference), shuffled))

    for gene in GENES:
        name = f"x__block[{gene}]"
        assert of(tests, name, "x__block") == pytest.approx(of(straight, name, "x__block"))


def test_pair__values_of_a_position_are_those_of_the_block(values):
    """What is drawn and searched for a cause must be what was tested, fill included."""
    reference, current = values
    short = make_frame("C", current, fill=0.0)
    short = Frame(
        short.sidecar, short.rows.with_columns(pl.col("x__block").list.head(20)), short.dictionaries
    )
    pair = Pair(make_frame("R", reference, fill=0.0), short)

    for position in ("G3", "G25"):
        got = pair.values(f"x__block[{position}]").fill_null(np.nan).to_numpy()
        np.testing.assert_array_equal(got, pair.block("x__block", [position]).values[:, 0])


def test_column_tests__missing_for_one_reason_is_one_test(values):
    """30 genes and a block of one assay: were each a test, one failed assay were 31 findings."""
    reference, current = values
    current[:25] = np.nan

    tests = column_tests(Pair(make_frame("R", reference), make_frame("C", current)))

    (row,) = tests.filter(pl.col("family") == "missing").to_dicts()
    assert (row["column"], row["what"]) == ("x__performed", "missing")
    assert row["before"] == pytest.approx(np.isnan(reference[:, 0]).mean())
    assert row["now"] == pytest.approx(np.isnan(current[:, 0]).mean())
    assert row["p"] < 1e-4


def test_column_tests__flags_and_texts(values):
    """A category that is new must be found although the reference has none of it."""
    reference, current = values
    rng = np.random.default_rng(3)
    old = {"x__kernel": rng.choice(["a", "b"], 300), "x__flag": rng.random(300) < 0.5}
    new = {"x__kernel": ["a"] * 20 + ["z"] * 20, "x__flag": [None] * 10 + [True] * 30}

    tests = column_tests(Pair(make_frame("R", reference, **old), make_frame("C", current, **new)))

    kernel, flag = of(tests, "x__kernel", "other"), of(tests, "x__flag", "other")
    assert (kernel["what"], kernel["category"]) == ("category", "z")
    assert (kernel["before"], kernel["now"]) == (0, 0.5)
    assert (flag["what"], flag["category"], flag["now"]) == ("share", None, 1.0)
    assert flag["before"] == pytest.approx(np.mean(old["x__flag"]))


def test_category_test__free_text_is_no_category():
    """Karyotypes are different in every patient: nothing can be counted."""
    texts = pl.Series("iscn", [f"46,XX,{number}" for number in range(200)])

    tests = category_test(texts, np.arange(200) < 40, modality="clinical", family="clinical")

    assert tests.is_empty()


def test_column_tests__what_cannot_tell_is_not_tested(values):
    """A gene that two patients have costs power elsewhere and can never be significant."""
    reference, current = values
    old, new = np.zeros(300), np.zeros(40)
    old[:2] = 1

    tests = column_tests(
        Pair(
            make_frame("R", reference, x__rare=old, x__same=np.ones(300)),
            make_frame("C", current, x__rare=new, x__same=np.ones(40)),
        )
    )

    assert not set(tests["column"]) & {"x__rare", "x__same"}


def test_newcomers__are_those_the_reference_does_not_hold(values):
    """A frame of today contains the patients of last year; a corrected one is looked at again."""
    reference, current = values
    old = make_frame("R", reference)
    corrected = old.rows.head(2).with_columns(x__G0=pl.lit(9.0, dtype=pl.Float32))
    rows = pl.concat([corrected, old.rows.slice(2, 50), make_frame("C", current).rows])
    today = Frame(old.sidecar, rows, old.dictionaries)

    assert newcomers(old, today).tolist() == [True] * 2 + [False] * 50 + [True] * 40


@pytest.mark.parametrize("changed", [0, 499, 500, 1199])
def test_newcomers__in_frames_of_many_rows(changed):
    """Rows are hashed some at a time: at the seams a patient could be lost, or be new for ever."""
    old = make_frame("R", np.random.default_rng(1).normal(size=(1200, len(GENES))))
    value = pl.when(pl.int_range(pl.len()) == changed).then(9.0).otherwise("x__G0")
    rows = old.rows.with_columns(x__G0=value.cast(pl.Float32))

    new = newcomers(old, Frame(old.sidecar, rows, old.dictionaries))

    assert np.flatnonzero(new).tolist() == [changed]
    assert newcomers(old, Frame(old.sidecar, rows.clear(), old.dictionaries)).tolist() == []


def test_pair__frames_without_a_common_column(values):
    reference, current = values
    frame = make_frame("C", current)

    with pytest.raises(StudyError, match="no column in common"):
        Pair(make_frame("R", reference), frame, exclude=frame.sidecar.columns)
