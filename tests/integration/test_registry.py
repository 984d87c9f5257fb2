"""The registry against a real MLflow on SQLite: what goes in comes out, number for number."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ml.evaluation.metrics import METRICS
from ml.registry.store import Store
from ml.registry.tracker import mlflow
from ml.registry.tracking import log_training
from ml.study.definition import Study
from ml.training.classification import train

N = 45


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Training of two modality sets on 45 patients."""
    folder = tmp_path_factory.mktemp("frame")
    rng = np.random.default_rng(1)
    classes = np.arange(N) % 3
    pl.DataFrame(
        {
            "patient_id": [f"P{i:03d}" for i in range(N)],
            "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * N,
            "label": [("AML, NOS", "APL", "t(8;21)")[c] for c in classes],
            "fusion__BCR_u3a__u3a_ABL1": classes == 1,
            "clinical__age": rng.normal(60, 10, size=N) + 8 * classes,
            "clinical__sex": [*(["f", "m"] * 22), None],
            "clinical__never": pl.Series([None] * N, dtype=pl.String),
        }
    ).write_parquet(folder / "frame.parquet")
    columns = {
        name: {"modality": name.partition("__")[0], "feature": "f", "unit": "1",
               "known": "at_index", "kind": "scalar"}
        for name in pl.read_parquet_schema(folder / "frame.parquet")
        if "__" in name
    }  # fmt: skip
    sidecar = {"frame_id": "f00d", "study": "toy", "label_name": "who", "columns": columns}
    (folder / "frame.json").write_text(json.dumps(sidecar))
    study = Study.model_validate(
        {
            "name": "toy",
            "title": "Class of a toy patient",
            "label": {"name": "who", "version": "1", "min_patients_per_class": 3},
            "clocks": {"index": "diagnosis"},
            "features": {"service": "toy_v1"},
            "modality_sets": {"clinical": ["clinical"], "all": ["fusion", "clinical"]},
            "recipes": ["lightgbm"],
            "cross_validation": {"folds": 3, "repeats": 2, "seed": 1},
        }
    )
    return train(study, folder)


@pytest.fixture(scope="module")
def logged(result, tmp_path_factory):
    """Run id of a logged training, its store, what it left in the working folder, who it asked."""
    home, elsewhere = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("elsewhere")
    asked: list[object] = []

    def refuse(*address: object, **_more: object) -> None:
        asked.append(address)
        raise OSError

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(socket.socket, "connect", refuse)
        run_id = log_training(
            result,
            store=Store.of_file(home / "mlflow.db", home / "artifacts"),
            code_version="0.1.0",
            tags={"dagster_run_id": "d-1"},
        )
    return run_id, f"sqlite:///{home / 'mlflow.db'}", list(elsewhere.iterdir()), asked


@pytest.fixture
def run_id(logged):
    """Run of the training."""
    return logged[0]


@pytest.fixture
def client(logged):
    """Client of the store; MLflow's global functions look there too."""
    mlflow.set_tracking_uri(logged[1])
    return mlflow.MlflowClient()


@pytest.fixture
def children(run_id, client):
    """Child runs by modality set."""
    experiment = client.get_run(run_id).info.experiment_id
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return {run.data.params["modality_set"]: run for run in runs}


def test_log_training__nothing_leaves_the_machine_or_the_home(logged):
    """MLflow's defaults write ``mlruns`` where one stands and send telemetry."""
    *_, left_behind, asked = logged

    assert asked == []
    assert left_behind == []


def test_log_training__metrics_are_those_of_the_result_table(run_id, client, children, result):
    """The command line prints ``as_dict``: a number rounded on one way would differ."""
    assert set(children) == {"clinical", "all"}
    for row in result.as_dict()["recipes"]:
        logged_metrics = children[row["modalities"]].data.metrics
        for name in METRICS:
            low, high = row[f"{name}_ci"]
            assert logged_metrics[name] == row[name]
            assert (logged_metrics[f"{name}_ci_low"], logged_metrics[f"{name}_ci_high"]) == (
                low,
                high,
            )
    parent = client.get_run(run_id).data
    assert parent.metrics["macro_f1"] == result.best.evaluation.metrics["macro_f1"].value


def test_log_training__runs_say_where_they_come_from(run_id, client, children):
    for run in (client.get_run(run_id), *children.values()):
        expected = {
            "study": "toy",
            "frame_id": "f00d",
            "code_version": "0.1.0",
            "dagster_run_id": "d-1",
        }
        assert expected.items() <= run.data.tags.items()
        assert run.info.status == "FINISHED"
    params = children["all"].data.params
    assert params["recipe"] == "lightgbm"
    assert params["modalities"] == "fusion, clinical"
    assert (params["folds"], params["repeats"], params["seed"]) == ("3", "2", "1")
    assert params["model__estimator__n_estimators"] == "60"


def test_log_training__every_run_names_its_frame_as_its_data(run_id, client, children, result):
    """MLflow's own page asks which data a model saw; a path of this machine would not answer."""
    for run in (client.get_run(run_id), *children.values()):
        [given] = run.inputs.dataset_inputs
        assert given.dataset.digest == result.frame_id
        assert json.loads(given.dataset.source) == {"uri": f"frames/{result.frame_id}"}
        assert result.frame_id in run.data.tags["mlflow.note.content"]


def test_log_training__artifacts_hold_tables_and_figures(
    run_id, client, children, result, tmp_path
):
    parent = {file.path for file in client.list_artifacts(run_id)}
    child = client.download_artifacts(children["all"].info.run_id, "", str(tmp_path))

    assert parent == {
        "bias.parquet", "circos.png", "components.json", "correlation_circle.png",
        "differences.parquet", "differences_complete.parquet", "environment.json", "folds.csv",
        "loadings.parquet", "loadings.png", "modalities_lightgbm.png", "neighbours.parquet",
        "result.json", "scores.parquet", "similarity.json", "study.json", "variance.png",
    }  # fmt: skip
    folds = mlflow.artifacts.load_text(f"runs:/{run_id}/folds.csv")
    assert pl.read_csv(folds.encode()).equals(result.folds.table())
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    table = pl.read_csv(f"{child}/per_class.csv")
    evaluation = next(r for r in result.results if r.modality_set == "all").evaluation
    assert table["class"].to_list() == [c.name for c in evaluation.classes]
    assert table["recall_ci_low"].to_list() == [c.recall.low for c in evaluation.classes]
    predictions = pl.read_parquet(f"{child}/predictions.parquet")
    probabilities = predictions.select(r"^p\[.*$")
    named = [f"p[{label}]" for label in predictions["label"]]
    most_probable = np.array(probabilities.columns)[probabilities.to_numpy().argmax(axis=1)]
    assert len(predictions) == 2 * N
    assert (most_probable == named).mean() == pytest.approx(
        evaluation.metrics["accuracy"].value, abs=1e-12
    )


def test_log_training__the_model_comes_back_with_its_signature(client, children, result):
    """A model that cannot be loaded, or asks for other columns, is found out at scoring time."""
    for row in result.results:
        (model,) = client.search_logged_models(
            [children[row.modality_set].info.experiment_id],
            f"source_run_id = '{children[row.modality_set].info.run_id}'",
        )

        pyfunc_model = mlflow.pyfunc.load_model(model.model_uri)

        example = row.typical_patient
        answer, said = pyfunc_model.predict(example), row.served.predict(example)
        pd.testing.assert_frame_equal(answer, said, check_exact=True)
        assert answer.filter(like="p[").to_numpy().sum() == pytest.approx(1)
        assert set(json.loads(answer["prediction_set"][0])) <= set(row.served.classes)
        # MLflow would drop columns that a schema does not name, and fill in those it does.
        assert pyfunc_model.metadata.get_input_schema() is None
        assert not any(Path(model.artifact_location.removeprefix("file://")).rglob("*.pkl"))


def test_log_training__a_second_training_joins_the_same_experiment(result, tmp_path):
    """A new experiment per run would hide that the model got worse."""
    for _ in range(2):
        store = Store.of_file(tmp_path / "m.db", tmp_path / "a")
        log_training(result, store=store, code_version="0.1.0")

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'm.db'}")
    experiment = client.get_experiment_by_name("toy")
    parents = client.search_runs([experiment.experiment_id], "tags.best LIKE '%'")
    assert len(parents) == 2
    assert experiment.artifact_location == (tmp_path / "a" / "toy").as_uri()
