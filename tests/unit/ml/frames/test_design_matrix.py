"""Design matrix: what a model sees of a frame, value by value."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from ml.frames.design_matrix import design_matrix, typical_patient
from ml.frames.frame import Frame, FrameColumn, Sidecar
from oncoframe.errors import StudyError
from oncoframe.names import encode


def column(modality: str, kind: str = "scalar", **more: object) -> FrameColumn:
    about = {"modality": modality, "feature": "f", "unit": "1", "known": "at_index", "kind": kind}
    return FrameColumn.model_validate({**about, **more})


@pytest.fixture
def make_frame():
    """Frame of three patients with the given columns: name -> (values, meaning)."""

    def make(columns: dict[str, tuple[pl.Series, FrameColumn]]) -> Frame:
        rows = pl.DataFrame(
            {
                "patient_id": ["P1", "P2", "P3"],
                "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * 3,
                "label": ["a", "b", "a"],
                **{name: values for name, (values, _) in columns.items()},
            }
        )
        meaning = {name: about for name, (_, about) in columns.items()}
        sidecar = Sidecar(frame_id="f", study="s", label_name="who", columns=meaning)
        return Frame(sidecar, rows, {"gene": ("FLT3", "NPM1", "TP53")})

    return make


@pytest.mark.parametrize(("fill", "beyond"), [(0.0, 0.0), (None, np.nan)])
def test_design_matrix__block_positions_keep_their_gene(make_frame, fill, beyond):
    """A vector shorter than the dictionary must not shift, and no assay is not a zero."""
    vectors = pl.Series([[1.0, 2.0, 3.0], None, [4.0]], dtype=pl.List(pl.Float32))
    block = column("snv", "block", axis="gene", fill=fill)

    matrix = design_matrix(make_frame({"snv__burden": (vectors, block)}), ["snv"])

    assert list(matrix.features) == [f"snv__burden[{g}]" for g in ("FLT3", "NPM1", "TP53")]
    np.testing.assert_array_equal(
        matrix.features.to_numpy(),
        [[1, 2, 3], [np.nan, np.nan, np.nan], [4, beyond, beyond]],
    )


def test_design_matrix__performed_assay_without_any_position_is_filled(make_frame):
    """An empty vector is a negative result, a null one no result."""
    vectors = pl.Series([[], None, [0.5, 0.25]], dtype=pl.List(pl.Float32))
    block = column("snv", "block", axis="gene", fill=0.0)

    matrix = design_matrix(make_frame({"snv__burden": (vectors, block)}), ["snv"])

    np.testing.assert_array_equal(
        matrix.features.to_numpy(), [[0, 0, 0], [np.nan] * 3, [0.5, 0.25, 0]]
    )


def test_design_matrix__scalars_become_numbers_and_text_stays(make_frame):
    """A flag read as text would be one category per spelling; a null is never a zero."""
    fusion = f"fusion__{encode('BCR::ABL1')}"
    frame = make_frame(
        {
            fusion: (pl.Series([True, None, False]), column("fusion")),
            "clinical__sex": (pl.Series(["male", None, "female"]), column("clinical")),
            "clinical__count": (pl.Series([3, None, 5]), column("clinical")),
        }
    )

    matrix = design_matrix(frame, ["clinical", "fusion"])

    assert list(matrix.features) == ["fusion__BCR::ABL1", "clinical__count", "clinical__sex"]
    assert matrix.modalities == ("fusion", "clinical", "clinical")
    np.testing.assert_array_equal(matrix.features["fusion__BCR::ABL1"], [1, np.nan, 0])
    np.testing.assert_array_equal(matrix.features["clinical__count"], [3, np.nan, 5])
    assert matrix.features["clinical__sex"].tolist() == ["male", None, "female"]


def test_design_matrix__holds_neither_patient_nor_label_nor_other_modalities(make_frame):
    """Patient ids sort by time of inclusion in many cohorts: a model would use them."""
    frame = make_frame(
        {
            "snv__n": (pl.Series([1, 2, 3]), column("snv")),
            "clinical__age": (pl.Series([1.0, 2.0, 3.0]), column("clinical")),
            "clinical__fab": (pl.Series(["a", "b", "a"]), column("clinical")),
        }
    )

    matrix = design_matrix(frame, ["clinical"], exclude={"clinical__fab": "the label itself"})

    assert list(matrix.features) == ["clinical__age"]
    assert matrix.labels.tolist() == ["a", "b", "a"]
    assert matrix.patient_ids.tolist() == ["P1", "P2", "P3"]


def test_design_matrix__refuses_what_is_known_only_after_the_index_event(make_frame):
    """Survival time predicts survival perfectly; the sentence must name every such column."""
    late = column("clinical", known="after_index")
    days = pl.Series([1.0, 2.0, 3.0])
    frame = make_frame({"clinical__survival": (days, late), "clinical__death": (days, late)})

    with pytest.raises(StudyError, match="got clinical__death, clinical__survival"):
        design_matrix(frame, ["clinical"])


def test_design_matrix__refuses_a_vector_longer_than_its_dictionary(make_frame):
    vectors = pl.Series([[1.0] * 4, [1.0], None], dtype=pl.List(pl.Float32))
    block = column("snv", "block", axis="gene")

    with pytest.raises(StudyError, match="expected at most 3 positions, got 4"):
        design_matrix(make_frame({"snv__burden": (vectors, block)}), ["snv"])


def test_design_matrix__refuses_a_date(make_frame):
    frame = make_frame(
        {"clinical__when": (pl.Series([datetime(2020, 1, 1, tzinfo=UTC)] * 3), column("clinical"))}
    )

    with pytest.raises(StudyError, match="neither number, flag nor text; got Datetime"):
        design_matrix(frame, ["clinical"])


def test_design_matrix__refuses_a_modality_that_the_frame_does_not_have(make_frame):
    frame = make_frame({"snv__n": (pl.Series([1, 2, 3]), column("snv"))})

    with pytest.raises(StudyError, match="no column of these modalities; expected columns of ct"):
        design_matrix(frame, ["ct"])


def test_typical_patient__is_no_patient_and_has_the_same_columns(make_frame):
    """The example stored beside a model is read by many: it must not be somebody's row."""
    frame = make_frame(
        {
            "clinical__age": (pl.Series([50.0, 60.0, 70.0]), column("clinical")),
            "clinical__ldh": (pl.Series([None, 200.0, 300.0]), column("clinical")),
            "clinical__none": (pl.Series([None] * 3, dtype=pl.String), column("clinical")),
            "clinical__sex": (pl.Series(["f", "m", "f"]), column("clinical")),
        }
    )
    features = design_matrix(frame, ["clinical"]).features

    row = typical_patient(features)

    assert row.dtypes.equals(features.dtypes)
    assert row.to_dict("records") == [
        {
            "clinical__age": 60.0,
            "clinical__ldh": 250.0,
            "clinical__none": None,
            "clinical__sex": "f",
        }
    ]
