"""Our store against Feast's own DuckDB store, on the same rows and the same questions."""

import pandas as pd
import polars as pl
import pytest
from feast import FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Int64, String
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.entities import PATIENT

pytestmark = [
    pytest.mark.filterwarnings("ignore:On demand feature view is an experimental:RuntimeWarning"),
    # Many questions here are answered with nothing.
    pytest.mark.filterwarnings("ignore::feature_repo.home.StoreWarning"),
    # Ibis, behind Feast's store, calls DuckDB by its old names.
    pytest.mark.filterwarnings("ignore:fetch_arrow_table.. is deprecated:DeprecationWarning"),
]

days = st.integers(0, 5)
patients = st.sampled_from([f"P{n}" for n in range(6)])
#: Rows that tie on both clocks are left out: DuckDB takes any of them.
histories = st.lists(st.tuples(patients, days, days), unique=True, min_size=1, max_size=30)
questions = st.lists(st.tuples(patients | st.just("Z"), days), min_size=1, max_size=15)


@pytest.fixture(scope="module")
def duckdb_store(tmp_path_factory):
    """Feast's DuckDB store with the views of the clinic on Parquet files; and their folder."""
    home = tmp_path_factory.mktemp("duckdb")

    def view(table, ttl):
        source = FileSource(
            path=str(home / f"{table}.parquet"),
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        )
        schema = [Field(name="patient_id", dtype=String), Field(name="count", dtype=Int64)]
        return FeatureView(name=table, entities=[PATIENT], ttl=ttl, schema=schema, source=source)

    store = FeatureStore(
        config=RepoConfig(
            project="test",
            provider="local",
            registry=str(home / "registry.db"),
            online_store={"type": "sqlite", "path": str(home / "online.db")},
            offline_store={"type": "duckdb"},
            repo_path=home,
        )
    )
    views = [view("blood", pd.Timedelta(0)), view("marrow", pd.Timedelta(days=2))]
    store.apply([PATIENT, *views, FeatureService(name="both", features=views)])
    return store, home


@settings(max_examples=20, deadline=None)
@given(history=histories, asked=questions, known_at_as_of=st.booleans())
def test_store__agrees_with_duckdb(new_clinic, duckdb_store, history, asked, known_at_as_of):
    """Two implementations that share no code: TTL, corrections, late arrivals, duplicates."""
    clinic, (reference, folder) = new_clinic(), duckdb_store
    for table in ("blood", "marrow"):
        rows = pl.concat(
            clinic.row(table, patient, event, created, count=number)
            for number, (patient, event, created) in enumerate(history)
        )
        clinic.lake.append(table, rows)
        rows.write_parquet(folder / f"{table}.parquet")
    entities = pd.DataFrame(
        {
            "row": range(len(asked)),
            "patient_id": [patient for patient, _ in asked],
            "event_timestamp": [clinic.at(as_of) for _, as_of in asked],
        }
    )

    def answer(store):
        job = store.get_historical_features(
            entities,
            ["blood:count", "marrow:count"],
            full_feature_names=True,
            filter_by_created_timestamp=known_at_as_of,
        )
        got = pl.DataFrame(job.to_arrow()).sort("row")  # DuckDB does not keep the caller's order
        return got.select("row", "patient_id", "blood__count", "marrow__count").rows()

    ours = clinic.store(known_by="as_of" if known_at_as_of else "ever")
    assert answer(ours) == answer(reference)


def test_store__does_not_see_a_value_before_it_was_known(clinic, duckdb_store):
    """Where the two differ by default: Feast documents the created time as a tie-breaker only."""
    reference, folder = duckdb_store
    clinic.write("blood", "A", 1, 7, count=1)
    clinic.row("blood", "A", 1, 7, count=1).write_parquet(folder / "blood.parquet")
    entities = clinic.asks("A", as_of=3)

    job = reference.get_historical_features(entities.to_pandas(), ["blood:count"])

    assert job.to_df()["count"].to_list() == [1]
    assert clinic.counts(entities) == [None]
