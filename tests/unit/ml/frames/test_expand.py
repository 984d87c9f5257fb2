"""Expansion: every position under its name, whichever form it is asked in."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.frames.expand import expand, expand_matrix, vector_matrix, write_expanded
from ml.frames.frame import Frame, FrameColumn, Sidecar
from oncoframe.errors import StudyError
from oncoframe.names import decode, encode

NAMES = ("BCR::ABL1", "cnv_chr_y", "TP53[R175H]", "a,b", "75 - < 100%", "HLA-A", "hla-a")
BLOCK = "snv__burden"


def column(kind="scalar", **more):
    about = {"modality": "snv", "feature": "f", "unit": "1", "known": "at_index", "kind": kind}
    return FrameColumn.model_validate({**about, **more})


def make_frame(vectors, fill=0.0, names=NAMES, **scalars):
    rows = pl.DataFrame(
        {
            "patient_id": [f"P{number}" for number in range(len(vectors))],
            "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * len(vectors),
            "label": ["a"] * len(vectors),
            BLOCK: pl.Series(vectors, dtype=pl.List(pl.Float32)),
            **scalars,
        }
    )
    columns = {BLOCK: column("block", axis="gene", fill=fill), **dict.fromkeys(scalars, column())}
    sidecar = Sidecar(frame_id="f", study="s", label_name="who", columns=columns)
    return Frame(sidecar, rows, {"gene": names})


@pytest.fixture
def frame():
    """Three patients: a full vector, none, and one written when two positions were known."""
    return make_frame(
        [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], None, [8.0, 9.0]],
        snv__n=[1, 2, None],
        snv__text=["x", None, "y"],
    )


def test_expand__names_come_back_by_decoding(frame):
    """A name that only nearly comes back joins another gene's knowledge to the column."""
    columns = expand(frame).columns[3:]

    assert [decode(name) for name in columns] == [
        *(f"{BLOCK}[{name}]" for name in NAMES), "snv__n", "snv__text"
    ]  # fmt: skip
    assert all(name.replace("_", "").isalnum() for name in columns)


def test_expand__values_stand_under_their_names(frame):
    """No assay is null everywhere; a position that came later has the fill."""
    rows = expand(frame)

    def of(name):
        return rows[encode(f"{BLOCK}[{name}]")].to_list()

    assert of("BCR::ABL1") == [1.0, None, 8.0]
    assert of("TP53[R175H]") == [3.0, None, 0.0]
    assert (of("HLA-A"), of("hla-a")) == ([6.0, None, 0.0], [7.0, None, 0.0])
    assert rows["snv__n"].to_list() == [1, 2, None]


def test_expand__every_form_says_the_same(frame):
    """A table and a model's matrix must not disagree."""
    polars, matrix = expand(frame), expand_matrix(frame)

    assert matrix.names == [decode(name) for name in polars.columns[3:-1]]
    numbers = polars[:, 3:-1].cast(pl.Float32).fill_null(np.nan).to_numpy()
    np.testing.assert_array_equal(matrix.values, numbers)


def test_expand__keeps_the_columns_that_are_asked_for(frame):
    assert expand(frame, ["snv__n"]).columns[3:] == ["snv__n"]
    with pytest.raises(StudyError, match="no such column; got snv__m"):
        expand(frame, ["snv__m"])
    with pytest.raises(StudyError, match="column snv__text is no number; got String"):
        expand_matrix(frame, ["snv__text"])


def test_expand__refuses_two_columns_of_one_name():
    """The second would silently replace the first."""
    twin = encode(f"{BLOCK}[BCR::ABL1]")

    with pytest.raises(StudyError, match=f"two columns would get one name; got {twin}"):
        expand(make_frame([[1.0] * 7], **{twin: [1]}))


@given(st.lists(st.none() | st.lists(st.floats(-9, 9, width=32), max_size=5)))
@settings(deadline=None)
def test_vector_matrix__is_what_a_loop_makes(vectors):
    """Vectors of several lengths, empty ones and none: one shift moves every gene."""
    expected = [
        [np.nan] * 5 if vector is None else [*vector, *[-1.0] * (5 - len(vector))]
        for vector in vectors
    ]

    got = vector_matrix(pl.Series(vectors, dtype=pl.List(pl.Float32)), 5, fill=-1.0)

    np.testing.assert_array_equal(got, np.array(expected, np.float32).reshape(-1, 5))


def test_vector_matrix__of_an_empty_dictionary_has_no_columns():
    """An assay that nobody had yet has a block without a name."""
    nobody = pl.Series([None, None], dtype=pl.List(pl.Float32))
    assert vector_matrix(nobody, 0, fill=0.0).shape == (2, 0)


@pytest.mark.parametrize("name", ["f.parquet", "f.csv"])
def test_write_expanded__files_hold_the_frame(frame, tmp_path, name):
    assert write_expanded(frame, tmp_path / name) == (3, 9)

    read = pl.read_parquet if name.endswith("parquet") else pl.read_csv
    rows = read(tmp_path / name)
    assert rows.columns == expand(frame).columns
    assert rows[encode(f"{BLOCK}[a,b]")].to_list() == [4.0, None, 0.0]


def test_write_expanded__matrix_keeps_names_and_patients(frame, tmp_path):
    """A matrix without row and column names is a riddle."""
    write_expanded(frame, tmp_path / "f.npz", [BLOCK])

    with np.load(tmp_path / "f.npz") as file:
        assert file["names"].tolist() == [f"{BLOCK}[{name}]" for name in NAMES]
        assert file["patient_ids"].tolist() == ["P0", "P1", "P2"]
        assert file["matrix"].shape == (3, 7)
    with pytest.raises(StudyError, match=r"expected a file \.parquet, \.csv or \.npz"):
        write_expanded(frame, tmp_path / "f.xlsx")
