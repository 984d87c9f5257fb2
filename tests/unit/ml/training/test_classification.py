"""Training of a study on a frame folder: which rows, which columns, which errors."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from ml.evaluation.calibrators import KINDS
from ml.study.definition import CrossValidation, Study
from ml.study.modelling import Recipe, Subgroups
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
        assert row.served.inputs.columns == tuple(row.typical_patient)


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
    found = row["calibration"]
    assert {"in_the_large", "in_the_large_ci", "slope", "slope_ci", "observed_expected"} <= set(
        found
    )
    assert found["of"] in CLASSES
    # Equal shares of three classes: log 3, and two thirds summed over the classes.
    assert row["log_loss_constant"] == pytest.approx(np.log(3), abs=0.01)
    assert row["brier_constant"] == pytest.approx(2 / 3, abs=0.01)
    assert row["calibrator"] in KINDS


def test_training_result__is_best_by_what_the_study_declares(study, frame_dir):
    """A metric that nobody chose decided which model a page is about."""
    loss = train(study, frame_dir)
    by_f1 = replace(loss, study=study.model_copy(update={"best_by": "macro_f1"}))

    def values(metric):
        return [r.evaluation.metrics[metric].value for r in loss.results]

    assert loss.best.evaluation.metrics["log_loss"].value == min(values("log_loss"))
    assert by_f1.best.evaluation.metrics["macro_f1"].value == max(values("macro_f1"))
    said = loss.as_dict()
    assert said["best_by"] == "log_loss"
    assert said["simplest"]["modalities"] == "clinical"
    rivals = {row["kind"]: row for row in said["rivals"]}
    assert set(rivals) == {"constant", "simplest"}
    assert rivals["constant"]["is_beaten"]
    # Two losses of the same patients: less is better, and the difference is that of the values.
    value, low, high = rivals["constant"]["difference"]
    assert low <= value <= high < 0
    apart = said["best"]["log_loss"] - said["constant"]["log_loss"]
    assert value == pytest.approx(apart, abs=1e-6)
    # The clinical columns are noise.
    [noise] = [row for row in loss.results if row.modality_set == "clinical"]
    assert [row.is_beaten for row in replace(loss, results=(noise,)).rivals()] == [False]


@pytest.fixture
def some_without_assay(frame_dir, columns):
    """Every third patient had no sequencing."""
    rows = pl.read_parquet(frame_dir / "frame.parquet")
    had = np.arange(N) % 3 != 1
    burden = [values if one else None for values, one in zip(rows["snv__burden"], had, strict=True)]
    rows.with_columns(
        pl.Series("snv__burden", burden, dtype=pl.List(pl.Float32)),
        pl.Series("snv__snv_performed", had),
    ).write_parquet(frame_dir / "frame.parquet")
    flags = {**columns, "snv__snv_performed": about("snv", "performed")}
    sidecar = {"frame_id": "f00d", "study": "toy", "label_name": "who", "columns": flags}
    (frame_dir / "frame.json").write_text(json.dumps(sidecar))
    return had


def test_training_result__compares_sets_on_the_patients_who_had_all(
    study, frame_dir, some_without_assay
):
    """Rows of other patients are no comparison: who lacks an assay is harder in one row only."""
    quick = study.model_copy(update={"recipes": (Recipe.model_validate("prototypes"),)})
    result = train(quick, frame_dir)
    found = result.as_dict()["complete_cases"]
    labels = result.labels[some_without_assay]

    assert (found["patients"], found["assays"]) == (40, ["snv"])
    assert [row["modalities"] for row in found["recipes"]] == ["snv", "clinical", "all"]
    for row, model in zip(found["recipes"], result.results, strict=True):
        classes = np.unique(result.labels)
        answers = model.answers[:, some_without_assay]
        right = classes[answers.argmax(axis=2)] == labels
        assert row["accuracy"] == pytest.approx(right.mean())
    [first, *_] = result.complete_differences()
    one, other = found["recipes"][:2]
    assert (first.one, first.other) == ("prototypes on snv", "prototypes on clinical")
    assert first.metrics["accuracy"].value == pytest.approx(one["accuracy"] - other["accuracy"])


@pytest.mark.usefixtures("some_without_assay")
def test_training_result__says_that_too_few_had_all(study, frame_dir):
    few = study.model_copy(
        update={
            "recipes": (Recipe.model_validate("prototypes"),),
            "subgroups": Subgroups(min_patients=41),
        }
    )
    found = train(few, frame_dir).as_dict()["complete_cases"]

    assert found["recipes"] == []
    assert found["reason"] == "40 patients had every assay, which is too few (41 needed)"


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
