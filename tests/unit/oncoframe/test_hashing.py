"""Content hash: equal for equal rows in any order, different for every other difference."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncoframe.hashing import content_hash

ROWS = pl.DataFrame(
    {"id": ["a", "b", "b"], "n": [1.0, None, 2.0], "v": [[1.0, float("nan")], None, []]},
    schema={"id": pl.String, "n": pl.Float64, "v": pl.List(pl.Float32)},
)


@given(st.permutations(range(3)))
def test_content_hash__does_not_see_the_order_of_rows(order):
    """Workers finish in any order; an equal lake must have an equal hash."""
    assert content_hash(ROWS[list(order)]) == content_hash(ROWS)


@pytest.mark.parametrize(
    "other",
    [
        ROWS[:2],
        pl.concat([ROWS, ROWS[2:]]),
        ROWS.rename({"n": "m"}),
        ROWS.cast({"n": pl.Float32}),
        ROWS.with_columns(n=pl.Series([1.0, None, 2.0000000001])),
        ROWS.with_columns(n=pl.Series([1.0, float("nan"), 2.0])),
        ROWS.with_columns(n=pl.Series([1.0, float("inf"), 2.0])),
        ROWS.with_columns(v=pl.Series([[1.0, None], None, []], dtype=pl.List(pl.Float32))),
        ROWS.with_columns(v=pl.Series([[1.0, float("nan")], [], []], dtype=pl.List(pl.Float32))),
        ROWS.with_columns(id=pl.Series(["a", "b", '"b'])),
    ],
)
def test_content_hash__sees_every_difference(other):
    """Null, NaN and an empty vector mean three different things and print alike."""
    assert content_hash(other) != content_hash(ROWS)


def test_content_hash__tells_multiplicity_from_membership():
    """A row written twice is exactly what this hash has to find."""
    assert content_hash(ROWS[[0, 0, 1]]) != content_hash(ROWS[[0, 1, 1]])


def test_content_hash__is_the_same_everywhere():
    """Ids made of this hash are stored: another value would orphan every frame."""
    assert content_hash(ROWS)[:16] == "6b4c99583b33357f"


def test_content_hash__does_not_see_the_bits_of_a_nan():
    """0/0 is a negative NaN on one processor and a positive one on another."""
    computed = np.array([np.copysign(np.nan, -1.0)])
    assert content_hash(pl.DataFrame({"n": computed})) == content_hash(
        pl.DataFrame({"n": [np.nan]})
    )


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["x"]), pl.Binary()])
def test_content_hash__refuses_types_without_one_meaning(dtype):
    """A category is a number that depends on the order in which a process met the names."""
    with pytest.raises(TypeError, match=r"column a of type .* has no content hash"):
        content_hash(pl.DataFrame({"a": ["x"]}).cast(dtype))
