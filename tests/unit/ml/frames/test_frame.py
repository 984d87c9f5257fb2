"""Frames on disk: what is read, and what is refused."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from ml.frames.frame import read_frame
from oncoframe.errors import StudyError

COLUMN = {
    "view": "v", "modality": "expression", "feature": "log2", "unit": "log2(TPM)",
    "description": "d", "known": "at_index", "kind": "block", "axis": "gene", "fill": None,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Frame of two patients, written out of order, with one block."""
    pl.DataFrame(
        {
            "patient_id": ["P2", "P1"],
            "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * 2,
            "label": ["b", "a"],
            "v__log2": [[1.0, 2.0], [3.0, 4.0]],
        }
    ).write_parquet(tmp_path / "frame.parquet")
    pl.DataFrame({"position": [1, 0], "name": ["TP53", "FLT3"]}).write_parquet(
        tmp_path / "dictionary_gene.parquet"
    )
    sidecar = {"frame_id": "f", "study": "s", "label_name": "l", "columns": {"v__log2": COLUMN}}
    (tmp_path / "frame.json").write_text(json.dumps({**sidecar, "versions": {}}))
    return tmp_path


def test_read_frame__sorts_patients_and_positions(folder):
    """Folds are drawn by row number: another row order must not be another result."""
    frame = read_frame(folder)

    assert frame.rows["patient_id"].to_list() == ["P1", "P2"]
    assert frame.rows["label"].to_list() == ["a", "b"]
    assert frame.dictionaries == {"gene": ("FLT3", "TP53")}


def test_read_frame__refuses_a_patient_with_two_rows(folder):
    """Two rows of one patient, one in training and one in test, are the classic leak."""
    rows = pl.read_parquet(folder / "frame.parquet")
    pl.concat([rows, rows.head(1)]).write_parquet(folder / "frame.parquet")

    with pytest.raises(StudyError, match="one row in a frame; got 2 rows share theirs"):
        read_frame(folder)


def test_read_frame__refuses_a_missing_label(folder):
    rows = pl.read_parquet(folder / "frame.parquet")
    rows.with_columns(label=None).write_parquet(folder / "frame.parquet")

    with pytest.raises(StudyError, match="every row of a frame has a label; got 2 without"):
        read_frame(folder)


def test_read_frame__refuses_a_column_that_the_sidecar_does_not_know(folder):
    """Nobody has said when such a column is known."""
    rows = pl.read_parquet(folder / "frame.parquet")
    rows.with_columns(v__survival=1.0).write_parquet(folder / "frame.parquet")

    with pytest.raises(StudyError, match="a difference in v__survival"):
        read_frame(folder)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("frame.json", None, "the frame is not there; .* Build it: oncoframe frame build"),
        ("frame.json", b"{}", r"frame\.json: frame_id: Field required"),
        ("frame.parquet", None, r"frame\.parquet: a file of the frame is missing"),
        ("frame.parquet", b"no", r"frame\.parquet: a file of the frame is not Parquet"),
        ("dictionary_gene.parquet", None, "a file of the frame is missing"),
    ],
)
def test_read_frame__names_the_file_that_is_wrong(folder, file, content, sentence):
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)

    with pytest.raises(StudyError, match=sentence):
        read_frame(folder)


def test_read_frame__takes_patients_without_label_in_a_frame_of_everyone(folder):
    """Such a frame is to be scored; nothing else about it may be looser."""
    rows = pl.read_parquet(folder / "frame.parquet")
    rows.with_columns(label=pl.lit(None, pl.String)).write_parquet(folder / "frame.parquet")
    sidecar = json.loads((folder / "frame.json").read_text())
    (folder / "frame.json").write_text(json.dumps({**sidecar, "everyone": True}))
    assert read_frame(folder).rows["label"].null_count() == len(rows)
