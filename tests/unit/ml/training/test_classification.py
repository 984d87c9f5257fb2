"""Training of a study on a frame folder: which rows, which columns, which errors."""

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from ml.study.definition import CrossValidation, Study
from ml.training.classification import train
from oncoframe.errors import StudyError

pytestmark = pytest.mark.slow

N = 60
CLASSES = ("AML, NOS", "APL; PML-RARA", "t(8;21)")


def about(modality: str, kind: str = "scalar", known: str = "at_index", **more: object) -> dict:
    base = {"modality": modality, "feature": "f", "unit": "1", "known": known, "kind": kind}
    return base | more


@pytest.fixture
def study():
    """Three modality sets; the copy of the label is left out with a reason."""
    return Study.model_validate(
        {
            "name": "toy",
            "title": "Class of a toy patient",
            "label": {"name": "who", "version": "1", "min_patients_per_class": 3},
            "clocks": {"index": "diagnosis"},
            "features": {"service": "toy_v1", "exclude": {"clinical__fab": "the label itself"}},
            "modality_sets": {"snv": ["snv"], "clinical": ["clinical"], "all": ["snv", "clinical"]},
            "recipes": ["lightgbm"],
            "cross_validation": {"folds": 3, "repeats": 2, "seed": 1},
        }
    )


@pytest.fixture
def columns():
    return {
        "snv__burden": about("snv", "block", axis="gene", fill=0.0),
        "clinical__fab": about("clinical"),
        "clinical__noise": about("clinical"),
        "clinical__site": about("clinical"),
    }


@pytest.fixture
def frame_dir(tmp_path, columns):
    """One gene per class carries the label, clinical columns are noise, ``fab`` is the label."""
    rng = np.random.default_rng(2)
    classes = np.arange(N) % 3
    genes = rng.poisson(0.2, size=(N, 6)).astype(np.float32)
    genes[np.arange(N), classes] += 2
    pl.DataFrame(
        {
            "patient_id": [f"P{i:03d}" for i in range(N)],
            "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * N,
            "label": [CLASSES[c] for c in classes],
            "snv__burden": pl.Series(genes.tolist(), dtype=pl.List(pl.Float32)),
            "clinical__fab": [f"M{c}" for c in classes],
            "clinical__noise": rng.normal(size=N),
            "clinical__site": rng.permutation(["a", "b"] * (N // 2)),
        }
    ).write_parquet(tmp_path / "frame.parquet")
    pl.DataFrame({"position": range(6), "name": [f"G{i}" for i in range(6)]}).write_parquet(
        tmp_path / "dictionary_gene.parquet"
    )
    sidecar = {"frame_id": "f00d", "study": "toy", "label_name": "who", "columns": columns}
    (tmp_path / "frame.json").write_text(json.dumps(sidecar))
    return tmp_path


def test_train__one_row_per_modality_set_on_the_same_folds(study, frame_dir):
    """The clinical set is noise here: it must sit at chance while the label lies beside it."""
    calls = []

    result = train(study, frame_dir, progress=lambda *call: calls.append(call))

    accuracy = {r.modality_set: r.evaluation.metrics["accuracy"].value for r in result.results}
    assert list(accuracy) == ["snv", "clinical", "all"]
    assert accuracy["snv"] > 0.9
    assert accuracy["clinical"] < 0.55
    assert accuracy["all"] > 0.9
    assert result.best.modality_set in {"snv", "all"}
    assert result.majority_share == pytest.approx(1 / 3)
    # Three sets, each six folds and the model of all patients, and three folds of shuffled labels.
    assert [done for done, _, _ in calls] == list(range(1, 31))
    assert calls[20] == (21, 30, "lightgbm on all")
    assert calls[-1] == (30, 30, "shuffled labels on all")


def test_train__same_frame_and_seed_give_the_same_predictions(study, frame_dir):
    """A result nobody can get again is no result; threads and row order must not matter."""
    first = train(study, frame_dir)
    shuffled = pl.read_parquet(frame_dir / "frame.parquet").sample(fraction=1, shuffle=True, seed=4)
    shuffled.write_parquet(frame_dir / "frame.parquet")
    again = train(study, frame_dir, workers=2)

    for one, other in zip(first.results, again.results, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
        assert one.evaluation.metrics == other.evaluation.metrics


def test_train__model_of_all_patients_takes_the_typical_patient(study, frame_dir):
    """The stored example and the stored model must fit each other."""
    result = train(study, frame_dir)

    for row in result.results:
        answer = row.served.predict(row.typical_patient)
        assert answer.filter(like="p[").shape == (1, 3)
        assert row.served.columns == tuple(row.typical_patient)


def test_training_result__as_dict_is_the_json_of_the_command_line(study, frame_dir):
    """The keys are a contract; the numbers must be those of the evaluation, not rounded ones."""
    result = train(study, frame_dir)

    said = json.loads(json.dumps(result.as_dict()))

    assert {"study", "frame_id", "best", "recipes"} <= set(said)
    assert (said["study"], said["frame_id"]) == ("toy", "f00d")
    assert said["best"] in said["recipes"]
    row, metrics = said["recipes"][0], result.results[0].evaluation.metrics
    assert (row["recipe"], row["modalities"], row["uses"]) == ("lightgbm", "snv", ["snv"])
    assert row["accuracy"] == metrics["accuracy"].value
    assert row["macro_f1_ci"] == [metrics["macro_f1"].low, metrics["macro_f1"].high]
    assert (row["patients"], row["classes"], row["features"]) == (N, 3, 6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "other"}, "built for another study; expected other with label who"),
        ({"modality_sets": {"ct": ("ct",)}}, "no column of these modalities"),
        ({"cross_validation": CrossValidation(folds=30, repeats=1, seed=0)}, "fewer patients"),
    ],
)
def test_train__refuses_a_study_that_the_frame_does_not_serve(study, frame_dir, change, sentence):
    with pytest.raises(StudyError, match=sentence):
        train(study.model_copy(update=change), frame_dir)


def test_train__refuses_a_frame_with_a_class_that_is_too_small(study, frame_dir):
    label = study.label.model_copy(update={"min_patients_per_class": 21})

    with pytest.raises(StudyError, match=r"classes that the study leaves out; got AML, NOS, APL"):
        train(study.model_copy(update={"label": label}), frame_dir)


def test_train__refuses_a_misspelt_exclusion(study, frame_dir):
    """The column that was to stay out would be the best feature of all."""
    features = study.features.model_copy(update={"exclude": {"clinical__fba": "the label itself"}})

    with pytest.raises(StudyError, match="columns that the frame does not have; got clinical__fba"):
        train(study.model_copy(update={"features": features}), frame_dir)


def test_train__refuses_a_column_known_only_after_the_index_event(study, frame_dir, columns):
    columns["clinical__noise"]["known"] = "after_index"
    sidecar = json.loads((frame_dir / "frame.json").read_text())
    (frame_dir / "frame.json").write_text(json.dumps({**sidecar, "columns": columns}))

    with pytest.raises(StudyError, match=r"after the index event .*; got clinical__noise"):
        train(study, frame_dir)
