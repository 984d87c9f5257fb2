"""What a stored model takes: every form of one patient's row, and nothing that it does not know."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pytest

from ml.evaluation.calibrators import Scaling
from ml.frames.design_matrix import design_matrix
from ml.frames.expand import expand, write_expanded
from ml.frames.frame import Frame, FrameColumn, Sidecar
from ml.pipelines.recipes import Input, build_recipe
from ml.serving.inputs import Inputs
from ml.serving.model import ServedModel, load_served
from ml.study.modelling import Conformal, Recipe
from oncoframe.errors import StudyError
from oncoframe.names import decode, encode

N = 40
CLASSES = np.array(["AML", "APL"], dtype=object)
GENES = ("HLA-A", "CBFB::MYH11", "GENE_x", "TP53")
EXPRESSION = "expression_features__expression"
AGE, SEX = "clinical_features__age", "clinical_features__sex"
FLAG = "clinical_features__clinical_performed"
RNA = "expression_features__expression_performed"


def about(modality, kind="scalar", **more):
    return FrameColumn(
        modality=modality, feature="x", unit="1", known="at_index", kind=kind, **more
    )


COLUMNS = {
    AGE: about("clinical"),
    "clinical_features__secondary": about("clinical"),
    "clinical_features__blasts": about("clinical"),
    SEX: about("clinical"),
    FLAG: about("clinical", "performed"),
    encode("expression_features__TP53/MDM2"): about("expression"),
    EXPRESSION: about("expression", "block", axis="gene", fill=0.0),
    RNA: about("expression", "performed"),
    "expression_features__unit": about("expression", "setting"),
}


@pytest.fixture(scope="module")
def frame():
    """Forty patients with flags, counts, categories and vectors; three of them without RNA."""
    rng = np.random.default_rng(1)
    truth = np.arange(N) % 2
    vectors = [[float(v) for v in rng.poisson(60, len(GENES)) + 90 * label] for label in truth]
    for patient in (4, 9, 12):
        vectors[patient] = None
    vectors[5] = vectors[5][:3]  # written when the dictionary was shorter
    rows = pl.DataFrame(
        {
            "patient_id": [f"P{i:02d}" for i in range(N)],
            "index_timestamp": [datetime(2024, 1, 1, tzinfo=UTC)] * N,
            "label": CLASSES[truth].tolist(),
            AGE: rng.normal(60, 9, N),
            "clinical_features__secondary": [bool(i % 3) for i in range(N)],
            "clinical_features__blasts": [None if i == 7 else 20 + i for i in range(N)],
            SEX: ["female", "male"] * (N // 2),
            FLAG: [True] * N,
            encode("expression_features__TP53/MDM2"): [v and v[0] / 9 for v in vectors],
            EXPRESSION: pl.Series(vectors, dtype=pl.List(pl.Float32)),
            RNA: [v is not None for v in vectors],
            "expression_features__unit": ["tpm"] * N,
        }
    )
    sidecar = Sidecar(frame_id="f00d", study="s", label_name="who", columns=COLUMNS)
    return Frame(sidecar, rows, {"gene": GENES})


@pytest.fixture(scope="module")
def model(frame):
    matrix = design_matrix(frame, ["clinical", "expression"])
    recipe = build_recipe(
        Recipe.model_validate("elastic_net"), seed=1, given=Input(frame.sidecar.views, counts=False)
    )
    fitted = recipe.fit(matrix.features, matrix.labels)
    inputs = Inputs.of(frame, matrix.features)
    return ServedModel(fitted, CLASSES, inputs, Scaling(), None, Conformal())


@pytest.fixture(scope="module")
def expected(model, frame):
    return model.probabilities(model.features_of(frame))


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    """MLflow's own scoring server on the stored model."""
    # A second to import, and not without warnings: the tracker knows how.
    from ml.registry.tracker import mlflow  # noqa: PLC0415, I001
    from mlflow.pyfunc import scoring_server  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("model")
    model.save(folder / "served")
    mlflow.pyfunc.save_model(
        folder / "model", loader_module="ml.serving.model", data_path=str(folder / "served")
    )
    return scoring_server.init(mlflow.pyfunc.load_model(str(folder / "model")))


def asked(server, split: dict[str, list]) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=server)
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
            return await client.post("/invocations", json={"dataframe_split": split})

    return asyncio.run(ask())


def from_csv(frame, folder):
    write_expanded(frame, folder / "expanded.csv")
    return pd.read_csv(folder / "expanded.csv")


def from_parquet(frame, folder):
    frame.rows.write_parquet(folder / "frame.parquet")
    return pd.read_parquet(folder / "frame.parquet")


FORMS = {
    "frame": lambda frame, _: frame.rows,
    "frame of pandas": lambda frame, _: frame.rows.to_pandas(),
    "frame of a file": from_parquet,
    "expanded": lambda frame, _: expand(frame),
    "expanded of pandas": lambda frame, _: expand(frame).to_pandas(),
    "expanded in domain names": lambda frame, _: expand(frame).rename(decode),
    "expanded of a file": from_csv,
    "design matrix": lambda frame, _: design_matrix(frame, ["clinical", "expression"]).features,
    "columns in another order": lambda frame, _: frame.rows.select(reversed(frame.rows.columns)),
}


@pytest.mark.parametrize("form", FORMS)
def test_predict__says_the_same_of_every_form(model, frame, expected, form, tmp_path):
    """Names in another form were columns that nobody measured: accuracy fell from 1.00 to 0.30."""
    answer = model.predict(FORMS[form](frame, tmp_path))
    np.testing.assert_allclose(answer.filter(like="p["), expected, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_rest__says_the_same(server, frame, expected):
    """JSON has neither flags nor missing numbers of its own."""
    for table in (expand(frame), frame.rows.drop("index_timestamp")):
        answer = asked(server, json.loads(table.to_pandas().to_json(orient="split", index=False)))
        said = pd.DataFrame(answer.json()["predictions"])
        np.testing.assert_allclose(said.filter(like="p["), expected, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_rest__refuses_what_the_model_does_not_know(server):
    answer = asked(server, {"columns": [AGE, "ldh"], "data": [[50.0, 300.0]]})
    assert answer.status_code == 400
    assert "does not know" in answer.text
    assert "ldh" in answer.text


def test_stored_model__takes_what_the_model_took(model, frame, expected, tmp_path):
    model.save(tmp_path)
    again = load_served(tmp_path)
    assert again.inputs == model.inputs
    np.testing.assert_allclose(again.predict(frame.rows).filter(like="p["), expected, atol=1e-9)


def test_predict__names_unknown_columns_and_the_nearest(model, frame):
    table = frame.rows.rename({AGE: "clinical_features__agee"})
    with pytest.raises(StudyError, match=r"got clinical_features__agee. Did you mean .*__age"):
        model.predict(table)


@pytest.mark.parametrize("name", [AGE, SEX, EXPRESSION])
def test_predict__names_what_is_missing_of_a_performed_assay(model, frame, name):
    modality = COLUMNS[name].modality
    with pytest.raises(StudyError, match=f"the table lacks .* of {modality}; expected {name}"):
        model.predict(frame.rows.drop(name))


def test_predict__takes_no_answer_for_an_assay_that_is_not_spoken_of(model, frame):
    """Two clinical values once gave p = 0.71 and a set of one class."""
    with pytest.raises(StudyError, match="the table lacks"):
        model.predict(frame.rows.select(AGE, SEX))


def test_predict__takes_an_absent_assay_that_was_not_performed(model, frame):
    """A site without RNA sends none; the answer is that of a patient whose RNA is null."""
    without = [4, 9, 12]
    clinical = [name for name in COLUMNS if name.startswith("clinical")]
    table = frame.rows[without].select(*clinical, pl.lit(value=False).alias(RNA))

    answer = model.predict(table)

    said = model.predict(frame.rows[without])
    np.testing.assert_allclose(answer.filter(like="p["), said.filter(like="p["), atol=1e-9)
    assert [json.loads(names) for names in answer["modalities"]] == [["clinical"]] * 3
    both = model.predict(frame.rows.head(1))["modalities"]
    assert json.loads(both[0]) == ["clinical", "expression"]


def test_predict__abstains_where_too_little_is_known(model, frame):
    """All names and no values is a table too."""
    features = [c for c in COLUMNS if c not in {FLAG, RNA}]
    nothing = frame.rows.head(2).with_columns(
        pl.lit(None, frame.rows.schema[name]).alias(name) for name in features
    )

    answer = model.predict(nothing)

    assert answer["abstained"].all()
    assert set(answer["abstained_because"]) == {
        "less than 20% of what is known of a training patient is known"
    }
    assert not model.predict(frame.rows)["abstained_because"].str.startswith("less").any()


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        (AGE, pl.Series(["sixty"]), "takes numbers in this column"),
        (SEX, pl.Series([1]), "takes text in this column"),
        (EXPRESSION, pl.Series([3.0]), "a block is a column of vectors"),
    ],
)
def test_predict__names_a_column_of_another_type(model, frame, name, values, sentence):
    with pytest.raises(StudyError, match=f"{name}: .*{sentence}"):
        model.predict(frame.rows.head(1).with_columns(values.alias(name)))


def test_predict__tells_no_value_of_a_mixed_column(model, frame):
    table = frame.rows.head(2).to_pandas().astype({AGE: object})
    table.loc[0, AGE] = "Smith"
    with pytest.raises(StudyError, match=f"{AGE}: the column holds values of several types") as e:
        model.predict(table)
    assert "Smith" not in str(e.value)


def test_predict__refuses_a_column_in_both_names(model, frame):
    """Which of the two is meant nobody can tell."""
    safe = encode("expression_features__TP53/MDM2")
    table = frame.rows.with_columns(pl.col(safe).alias(decode(safe)))
    with pytest.raises(StudyError, match="gives a column twice"):
        model.predict(table)


def test_predict__reads_a_vector_of_a_longer_dictionary(model, frame, expected):
    """Genes that were met after the training stand behind those that the model knows."""
    full = (frame.rows[EXPRESSION].list.len() == len(GENES)).fill_null(value=False)
    longer = frame.rows.filter(full).with_columns(pl.concat_list(EXPRESSION, pl.lit(7.0)))
    answer = model.predict(longer)
    np.testing.assert_allclose(answer.filter(like="p["), expected[full.to_numpy()], atol=1e-9)


def test_features_of__a_column_that_nobody_of_a_frame_has_is_not_known(model, frame):
    """A training frame leaves it out; the champion of an older one is still asked about it."""
    blasts = "clinical_features__blasts"
    empty = frame.sidecar.model_copy(
        update={
            "columns": {name: of for name, of in COLUMNS.items() if name != blasts},
            "empty_columns": {blasts: COLUMNS[blasts]},
        }
    )
    without = Frame(empty, frame.rows.drop(blasts), frame.dictionaries)
    unknown = frame.rows.with_columns(pl.lit(None, pl.Int64).alias(blasts))
    nulls = Frame(frame.sidecar, unknown, frame.dictionaries)

    pd.testing.assert_frame_equal(model.features_of(without), model.features_of(nulls))
    bare = empty.model_copy(update={"empty_columns": {}})
    with pytest.raises(StudyError, match="the frame lacks columns that the model takes"):
        model.features_of(Frame(bare, without.rows, frame.dictionaries))


def test_predict__leaves_aside_a_column_that_was_empty_in_training(frame, model, expected):
    """Feast serves a column that nobody of the cohort had; the frame dropped it."""
    empty = {"clinical_features__ldh": about("clinical")}
    sidecar = frame.sidecar.model_copy(update={"empty_columns": empty})
    learned_from = Frame(sidecar, frame.rows, frame.dictionaries)
    matrix = design_matrix(learned_from, ["clinical", "expression"])
    knowing = replace(model, inputs=Inputs.of(learned_from, matrix.features))

    answer = knowing.predict(frame.rows.with_columns(clinical_features__ldh=pl.lit(300.0)))

    np.testing.assert_allclose(answer.filter(like="p["), expected, atol=1e-9)
