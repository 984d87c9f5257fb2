"""Online: what is materialised is what is known now, for one patient at a time."""

import asyncio

import httpx
import numpy as np
import pytest
from feast.feature_server import get_app

from assets.clinical.contract import clinical_contract
from assets.genomics.fusion.reader import CONTRACT as FUSION
from assets.genomics.snv.reader import CONTRACT as SNV
from feature_repo.client import apply
from feature_repo.online import differing_cells, materialize
from feature_repo.views import VIEWS

pytestmark = pytest.mark.filterwarnings(
    "ignore:On demand feature view is an experimental:RuntimeWarning"
)
FEATURES = ["blood:count", "blood:share", "blood:profile", "blood:blood_performed"]


@pytest.fixture(params=[True, False], ids=["newest row", "all rows"])
def served(request, clinic):
    """Store with rows of several appends materialised up to day four, either way Feast can."""
    clinic.write("blood", "A", 0, 0, count=1, share=0.5, profile=[1.0])
    clinic.write("blood", "A", 2, 2, count=2, profile=[2.0])
    clinic.write("blood", "A", 2, 9, count=3, share=0.25, profile=[3.0, 4.0])
    clinic.write("blood", "B", 1, 1, share=0.75)
    clinic.write("blood", "C", 5, 5, count=5)
    store = clinic.store(pull_latest=request.param)
    store.apply(store.list_feature_views())  # creates the tables of this clinic's online store
    store.materialize(clinic.at(-1), clinic.at(4))
    return store


def test_materialize__serves_the_newest_correction_of_every_patient(served):
    """Feast writes only the first chunk of a table: rows of later files would be missing."""
    patients = [{"patient_id": patient} for patient in ("A", "B", "C", "unknown")]

    got = served.get_online_features(features=FEATURES, entity_rows=patients).to_dict()

    assert got["count"] == [3, None, None, None]
    assert got["share"] == [0.25, 0.75, None, None]
    assert got["profile"] == [[3.0, 4.0], None, None, None]
    assert got["blood_performed"] == [True, True, None, None]


@pytest.mark.parametrize("pull_latest", [True, False])
def test_materialize__of_a_column_that_no_row_has_yet_serves_null(clinic, pull_latest):
    """A view that got a column must not stop the others until every table was written again."""
    clinic.lake.append("blood", clinic.row("blood", "A", 0, 0, count=1).drop("share", "profile"))
    store = clinic.store(pull_latest=pull_latest)
    store.apply(store.list_feature_views())

    store.materialize(clinic.at(-1), clinic.at(4))

    patient = [{"patient_id": "A"}]
    got = store.get_online_features(features=FEATURES, entity_rows=patient).to_dict()
    assert (got["count"], got["share"], got["profile"]) == ([1], [None], [None])


def test_pull_all__returns_every_row_of_a_time_span(clinic):
    """Feast's monitoring reads a view through it, corrections included."""
    for day in range(4):
        clinic.write("blood", "A", day, day, count=day)
    clinic.write("blood", "A", 2, 9, count=22)
    store = clinic.store()
    view = store.get_feature_view("blood")

    job = store._get_provider().offline_store.pull_all_from_table_or_query(  # noqa: SLF001
        config=store.config,
        data_source=view.batch_source,
        join_key_columns=["patient_id"],
        feature_name_columns=["count"],
        timestamp_field="event_timestamp",
        start_date=clinic.at(1),
        end_date=clinic.at(2),
    )

    assert sorted(job.to_polars()["count"]) == [1, 2, 22]


def test_feature_server__answers_from_the_online_store(served):
    """The HTTP interface reads the registry by itself and must know our kind of source."""
    question = {"features": FEATURES, "entities": {"patient_id": ["A"]}}

    got = asyncio.run(_request(get_app(served), "POST", "/get-online-features", json=question))

    names = got["metadata"]["feature_names"]
    values = [result["values"] for result in got["results"]]
    assert dict(zip(names, values, strict=True))["profile"] == [[3.0, 4.0]]


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_feast_ui__shows_the_views(served):
    """The UI turns the registry into JSON, bytes of our source included."""
    pytest.importorskip("grpc_reflection", reason="the UI needs feast[grpcio]")
    from feast.ui_server import get_app as get_ui  # noqa: PLC0415

    app = get_ui(served, "test")
    got = asyncio.run(_request(app, "GET", "/api/v1/feature_views?project=test"))

    assert {view["spec"]["name"] for view in got["featureViews"]} >= {"blood", "marrow"}


async def _request(app, method, path, **content):
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://feast") as client,
    ):
        response = await client.request(method, path, **content)
    assert response.status_code == 200, response.text
    return response.json()


TOLD = (FUSION, SNV, clinical_contract())


def tell(hospital, rng, *, day):
    """Rows that a hospital learns on a day: of now, of long ago, corrections, withdrawals."""
    for contract in TOLD:
        for patient in rng.choice(list("ABCDEF"), size=3, replace=False):
            values = {"snv_gene_burden": [float(day), 1.0]} if contract is SNV else {}
            if contract is FUSION:
                values = {"fusion_count": day, "withdrawn": bool(rng.random() < 0.3) or None}
            hospital.measure(
                contract,
                patient,
                event=int(rng.choice([-600, -1, 0, day])),
                # Dated shortly before the last materialisation, written after it.
                created=day - 0.99 if patient in "AB" else day - 0.5,
                run_id=f"{day}",
                **values,
            )


def test_materialize__keeps_up_with_what_is_learned_late(hospital):
    """Feast goes by event time: a correction, and all that is older than a year, stayed out."""
    store, rng = apply(hospital.home), np.random.default_rng(0)
    for day in range(1, 5):
        tell(hospital, rng, day=day)
        written = materialize(store, hospital.at(day))
        assert 3 <= written[FUSION.table] <= 6
        differ = differing_cells(store, as_of=hospital.at(day), patients=1000)
        assert differ == {view.name: 0 for view in VIEWS}
    materialize(store, hospital.at(7))  # ends of a span are part of it
    assert set(materialize(store, hospital.at(9)).values()) == {0}


def test_differing_cells__are_counted(hospital):
    """A check that finds no difference after a failed materialisation would always pass."""
    store = apply(hospital.home)
    hospital.measure(FUSION, "A", created=1, fusion_count=1)
    materialize(store, hospital.at(2))
    hospital.measure(FUSION, "A", created=3, fusion_count=2)
    hospital.measure(FUSION, "B", created=3)
    differ = differing_cells(store, as_of=hospital.at(4), patients=1000)
    # The count of A, and that B was tested.
    assert differ == {**{view.name: 0 for view in VIEWS}, FUSION.table: 2}
    assert sum(differing_cells(store, as_of=hospital.at(4), patients=1).values()) == 1
