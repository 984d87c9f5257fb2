"""Subgroups: who is in which, and numbers by hand."""

import numpy as np
import polars as pl
import pytest

from ml.evaluation.subgroups import UNKNOWN, bias_table, groups_of, subgroup_table
from ml.frames.frame import Frame, FrameColumn, Sidecar
from ml.study.modelling import Subgroup, Subgroups
from oncoframe.errors import StudyError

N = 8


@pytest.fixture
def frame():
    def about(kind="scalar"):
        return FrameColumn.model_validate(
            {"modality": "clinical", "feature": "f", "unit": "1", "known": "at_index", "kind": kind}
        )

    rows = pl.DataFrame(
        {
            "patient_id": [f"P{i}" for i in range(N)],
            "label": ["a", "a", "a", "b", "b", "b", "b", "b"],
            "c__sex": ["f", "f", "f", "f", "m", "m", "m", None],
            "c__age": [30.0, 40.0, 39.9, 60.0, 80.0, None, 59.9, 10.0],
            "c__clinical_performed": [True] * 6 + [False] * 2,
        }
    )
    columns = {"c__sex": about(), "c__age": about(), "c__clinical_performed": about("performed")}
    sidecar = Sidecar(frame_id="x", study="s", label_name="l", columns=columns)
    return Frame(sidecar, rows, {}, np.array(["N", "N", "N", "S", "S", "S", "S", ""]))


def groups(frame, **by):
    return groups_of(frame, Subgroups(by={k: Subgroup(**v) for k, v in by.items()}))


def test_groups_of__a_value_equal_to_a_cut_is_above_it(frame):
    """A patient in no group would vanish from the table without a word."""
    found = groups(frame, age={"column": "c__age", "cuts": (40, 60)})

    assert found["age"].tolist() == [
        "below 40", "40 to 60", "below 40", "60 and above", "60 and above", UNKNOWN, "40 to 60",
        "below 40",
    ]  # fmt: skip


def test_groups_of__text_site_and_what_the_frame_lacks(frame):
    found = groups(
        frame, sex={"column": "c__sex"}, site={"column": "site"}, race={"column": "c__race"}
    )

    assert list(found) == ["sex", "site"]
    assert found["sex"][-1] == found["site"][-1] == UNKNOWN


@pytest.mark.parametrize("by", [{"column": "c__age"}, {"column": "c__sex", "cuts": (1,)}])
def test_groups_of__refuses_numbers_without_cuts_and_text_with_some(frame, by):
    with pytest.raises(StudyError, match="numbers need cuts, and only they"):
        groups(frame, wrong=by)


def test_subgroup_table__counts_by_hand_and_says_too_few():
    """An interval of three patients says nothing: it must not be there at all."""
    names = {"sex": np.array(["f"] * 5 + ["m"] * 5 + ["?"] * 2, dtype=object)}
    truth = np.array([0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    right = np.array([1, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1], dtype=bool)
    said = np.where((right == (truth == 0))[:, None], [[0.9, 0.1]], [[0.1, 0.9]])

    table = subgroup_table(names, truth, said, right, min_patients=3, seed=1)

    rows = {row["group"]: row for row in table.to_dicts()}
    assert (rows["f"]["accuracy"], rows["m"]["accuracy"]) == (0.8, 0.4)
    assert rows["f"]["difference"] == pytest.approx(0.8 - 4 / 7)
    assert rows["m"]["difference_low"] < rows["m"]["difference"] < rows["m"]["difference_high"]
    assert rows["f"]["coverage"] == 0.8
    assert rows["?"]["too_few"]
    assert rows["?"]["accuracy"] is None
    assert rows["?"]["patients"] == 2
    shares = {group: row["majority_share"] for group, row in rows.items()}
    assert shares == {"f": pytest.approx(0.6), "m": 1.0, "?": None}


def test_bias_table__counts_by_hand(frame):
    """What a model inherits is written down before it is trained."""
    table = bias_table(frame, groups(frame, sex={"column": "c__sex"}))

    rows = {row["group"]: row for row in table.to_dicts()}
    assert rows["f"]["class_imbalance"] == 0
    assert rows["f"]["label_difference"] == pytest.approx(3 / 4)
    assert (rows["f"]["label"], rows["f"]["performed[clinical]"]) == ("a", 1.0)
    assert rows["m"]["performed[clinical]"] == pytest.approx(2 / 3)
