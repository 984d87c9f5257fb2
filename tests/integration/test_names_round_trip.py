"""Names of the field through every tool: lake, Feast, frame, boosters, MLflow and back."""

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import shap
import xgboost
from feast import FeatureService

from feature_repo.client import open_store, training_rows
from feature_repo.entities import PATIENT
from feature_repo.views import feature_view
from ml.frames.expand import expand
from ml.frames.frame import Frame, FrameColumn, Sidecar
from ml.registry.tracker import mlflow
from oncoframe.contracts import Block, Contract, Feature
from oncoframe.names import decode

#: Its own view is the first that the home registers.
pytestmark = pytest.mark.filterwarnings("ignore:.*nothing is registered in this home")

NAMES = (
    "BCR::ABL1", "cnv_chr_y", "cnv_chr_x", "TP53[R175H]", "a,b", "75 - < 100%", "HLA-A", "hla-a",
    "Npm1", "NPM1",
)  # fmt: skip
CONTRACT = Contract(
    table="odd",
    modality="odd",
    description="Names that break tools.",
    code_version="1",
    features=tuple(Feature(name, pl.Float64(), "1", "a number") for name in NAMES),
    blocks=(Block("vector", "odd", "1", "the same names as positions", fill=0.0),),
)
PATIENTS = [f"P{number:02d}" for number in range(40)]


@pytest.fixture
def rows(hospital):
    """Forty patients pulled through Feast; the value tells the column and the patient."""
    for number, patient in enumerate(PATIENTS):
        values = {f.column: place + number / 100 for place, f in enumerate(CONTRACT.features)}
        vector = [100.0 + value for value in values.values()]
        hospital.measure(CONTRACT, patient, vector=vector, **values)
    view = feature_view(CONTRACT)
    store = open_store(hospital.home)
    store.apply([PATIENT, view, FeatureService(name="odd", features=[view])])
    asked = pl.DataFrame({"patient_id": PATIENTS}).with_columns(
        event_timestamp=pl.lit(hospital.at(1))
    )
    return pl.DataFrame(training_rows(store, "odd", asked))


@pytest.fixture
def table(rows):
    """Named columns of the frame: ten scalars, and ten positions of the vector."""
    columns = {
        f"odd__{feature.column}": FrameColumn(
            modality="odd", feature=feature.name, unit="1", known="at_index", kind="scalar"
        )
        for feature in CONTRACT.features
    }
    columns["odd__vector"] = FrameColumn(
        modality="odd", feature="vector", unit="1", known="at_index", kind="block", axis="odd",
        fill=0.0,
    )  # fmt: skip
    keyed = rows.rename({"event_timestamp": "index_timestamp"}).with_columns(label=pl.lit("x"))
    sidecar = Sidecar(frame_id="f", study="s", label_name="who", columns=columns)
    return expand(Frame(sidecar, keyed, {"odd": NAMES}))[:, 3:].to_pandas()


def names_of(columns):
    """Domain names of columns: of scalars, then of positions."""
    names = [decode(column) for column in columns]
    return (
        [name.removeprefix("odd__") for name in names[: len(NAMES)]],
        [name.removeprefix("odd__vector[")[:-1] for name in names[len(NAMES) :]],
    )


def test_feast__keeps_every_name_with_its_value(table):
    """Feast's DuckDB store loses a trailing _y, a case-blind engine one of two genes."""
    assert names_of(table.columns) == (list(NAMES), list(NAMES))
    first = table.iloc[0].to_numpy()
    np.testing.assert_allclose(first, [*range(10), *range(100, 110)])


def test_boosters__keep_every_name(table):
    """Both refuse or rewrite characters of JSON in feature names, silently or when training."""
    label = np.arange(len(table)) % 2

    light = lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1).fit(table, label)
    extreme = xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(table, label)

    assert light.booster_.feature_name() == list(table.columns)
    assert names_of(light.booster_.feature_name()) == (list(NAMES), list(NAMES))
    assert extreme.get_booster().feature_names == list(table.columns)
    assert extreme.predict(table).shape == (40,)


def test_mlflow__keeps_every_name(table, tmp_path):
    """A signature that renames a column refuses the next patient, or reads another gene."""
    label = np.arange(len(table)) % 2
    model = lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1).fit(table, label)
    signature = mlflow.models.infer_signature(table, model.predict(table))

    mlflow.sklearn.save_model(
        model, tmp_path / "model", signature=signature, serialization_format="cloudpickle"
    )
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))

    assert names_of(loaded.metadata.get_input_schema().input_names()) == (list(NAMES), list(NAMES))
    np.testing.assert_array_equal(loaded.predict(table), model.predict(table))
    shuffled = pd.DataFrame(table[table.columns[::-1]])
    np.testing.assert_array_equal(loaded.predict(shuffled), model.predict(table))


def test_shap__explains_every_name_in_its_place(table):
    """A renamed or reordered column would show a clinician the wrong reason."""
    label = np.arange(len(table)) % 2
    model = lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1).fit(table, label)

    explained = shap.TreeExplainer(model)(table)

    assert names_of(explained.feature_names) == (list(NAMES), list(NAMES))
    margin = model.predict(table, raw_score=True)
    assert np.allclose(explained.values.sum(axis=1) + explained.base_values, margin)
