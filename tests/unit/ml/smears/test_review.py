"""Review of maps: the sheet that goes out, and what three people make of it."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.smears.maps import Areas, FieldMap, areas, overlay
from ml.smears.review import Reviewed, agreement, fleiss_kappa, read_answers, write_review
from oncoframe.errors import StudyError

#: Fourteen raters, ten subjects, five answers, as in the worked example of the literature.
EXAMPLE = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]
)  # fmt: skip


def answers_of(*rows):
    return pl.DataFrame(rows, schema=["field", "reviewer", "answer"], orient="row")


def test_fleiss_kappa__gives_the_value_of_the_worked_example():
    assert fleiss_kappa(EXAMPLE) == pytest.approx(0.210, abs=5e-4)


@given(st.integers(0, 2**32 - 1))
def test_fleiss_kappa__is_one_for_people_who_agree_and_never_more(seed):
    rng = np.random.default_rng(seed)
    agreed = 3 * np.eye(4, dtype=int)[[0, 1, *rng.integers(0, 4, 6)]]
    assert fleiss_kappa(agreed) == pytest.approx(1.0)
    assert fleiss_kappa(rng.multinomial(3, [0.25] * 4, 30)) < 1.0


def test_fleiss_kappa__does_not_call_one_answer_for_everything_agreement():
    """Three people who tick the first box everywhere have shown nothing."""
    assert fleiss_kappa(np.array([[3, 0], [3, 0]])) is None


def test_agreement__counts_fields_that_all_have_answered():
    rows = [(f, r, "typical" if f == "f1" else "background") for f in ("f1", "f2") for r in "ABC"]
    assert agreement(answers_of(*rows, ("f3", "A", "cells"))) == pytest.approx(1.0)


def test_agreement__is_refused_of_one_reviewer():
    with pytest.raises(StudyError, match="several people"):
        agreement(answers_of(("f1", "A", "typical")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("field,answer\nf1,typical\n", "not a file of answers"),
        ("field,reviewer,answer\nf1,A,perhaps\n", "cannot be read"),
        ("field,reviewer,answer\nf1,A,\n", "cannot be read"),
        ("field,reviewer,answer\nf1,A,typical\nf1,A,cells\n", "twice"),
    ],
)
def test_read_answers__refuses_what_is_no_answer(tmp_path, text, message):
    (tmp_path / "back.csv").write_text(text)
    with pytest.raises(StudyError, match=message):
        read_answers([tmp_path / "back.csv"])


def test_areas__share_the_highlighted_area_between_nucleus_cell_and_background():
    mask = np.array([[255, 255, 128, 0]], dtype=np.uint8)
    assert areas(np.array([[True, False, True, True]]), mask) == Areas(
        0.75, pytest.approx(2 / 3), pytest.approx(1 / 3), pytest.approx(1 / 3)
    )


def test_areas__are_unknown_where_nothing_is_highlighted():
    """No highlighted area is not an area that lies on no cell."""
    assert areas(np.zeros((1, 4), bool), np.full((1, 4), 255, np.uint8)) == Areas(
        0.0, None, None, None
    )


def test_overlay__leaves_the_rest_of_the_field_as_it_is():
    field = np.full((40, 40, 3), 200, np.uint8)
    high = np.zeros((40, 40), bool)
    high[10:20, 10:20] = True

    changed = (overlay(field, high) != field).any(axis=2)
    assert changed[10:20, 10:20].all()
    assert not changed[:8].any()


def test_write_review__writes_a_form_that_asks_of_every_field(tmp_path):
    importance = np.zeros((20, 20), np.float32)
    importance[5:9, 5:9] = 1
    row = Reviewed(
        "f-01", np.full((20, 20, 3), 220, np.uint8), FieldMap("<mds>", 0.8, importance),
        Areas(0.04, 0.9, 0.5, 0.1),
    )  # fmt: skip
    write_review([row], tmp_path, title="maps")

    html = (tmp_path / "review.html").read_text()
    assert html.count('type="radio" name="f-01"') == 4
    assert "&lt;mds&gt;" in html
    assert "http" not in html
    table = pl.read_csv(tmp_path / "review.csv")
    assert table.select("field", "on_cells", "on_background").rows() == [("f-01", 0.9, 0.1)]
