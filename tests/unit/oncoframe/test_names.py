"""Column names: the codec is a bijection, and its output passes the tools that break on names."""

import re

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from oncoframe.names import decode, encode

#: Pieces that meet the codec's own syntax: escapes, half escapes, merge suffixes, digits.
_PIECES = st.sampled_from(
    [
        "_",
        "__",
        "u",
        "_u",
        "_u3a_",
        "_u5f_",
        "u3a_",
        "_x",
        "_y",
        "x",
        "y",
        "7",
        ":",
        "::",
        "\n",
        "é",
    ]
)
_NAMES = st.one_of(st.text(min_size=1), st.lists(_PIECES, min_size=1).map("".join))
_ISSUE_NAMES = ["BCR::ABL1", "cnv_chr_y", "TP53[R175H]", "a,b", "75 - < 100%", "HLA-A", "hla-a"]


@pytest.mark.slow
@given(_NAMES)
@settings(max_examples=500)
def test_encode__is_undone_by_decode(name):
    """A lost character would make two biomarkers one column."""
    assert decode(encode(name)) == name


@pytest.mark.slow
@given(_NAMES)
@settings(max_examples=500)
def test_encode__gives_names_that_every_tool_accepts(name):
    """A name that ends like a pandas merge suffix silently loses its column in a Feast join."""
    column = encode(name)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column)
    assert not column.endswith(("_x", "_y"))


@given(_NAMES, st.randoms())
@settings(max_examples=300)
def test_encode__tells_names_that_are_equal_up_to_case(name, chance):
    """Delta and DuckDB take HLA-A and hla-a for one column: one gene would be lost."""
    twin = "".join(
        letter.swapcase() if letter.isascii() and chance.random() < 0.5 else letter
        for letter in name
    )
    column = encode(name, unlike=twin)

    assert decode(column) == name
    assert (column.lower() == encode(twin).lower()) == (name == twin)


@pytest.mark.parametrize("name", ["npm1", "TP53_burden", "cnv_chr_1", "wbc_10e9_per_l"])
def test_encode__leaves_plain_names_alone(name):
    """Escaping what is safe would make every column unreadable."""
    assert encode(name) == name


def test_encode__writes_the_documented_example():
    """Stored tables carry encoded names: another escape would orphan their columns."""
    assert encode("BCR::ABL1") == "BCR_u3a__u3a_ABL1"


def test_encode__refuses_an_empty_name():
    """An empty column name survives Polars and breaks Feast."""
    with pytest.raises(ValueError, match="empty"):
        encode("")


def test_encode__passes_lightgbm_and_xgboost():
    """Both refuse JSON characters in feature names, LightGBM only when it trains."""
    columns = [encode(name) for name in _ISSUE_NAMES]
    values = np.random.default_rng(1).normal(size=(40, len(columns)))
    table = pd.DataFrame(values, columns=columns)
    label = values[:, 0] > 0

    booster = lightgbm.LGBMClassifier(n_estimators=1, n_jobs=1, verbose=-1).fit(table, label)
    matrix = xgboost.DMatrix(table, label=label)

    assert [decode(name) for name in booster.booster_.feature_name()] == _ISSUE_NAMES
    assert [decode(name) for name in matrix.feature_names] == _ISSUE_NAMES
