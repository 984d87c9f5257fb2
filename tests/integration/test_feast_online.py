"""Online: what is materialised is what is known now, for one patient at a time."""

import asyncio

import httpx
import pytest
from feast.feature_server import get_app

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
