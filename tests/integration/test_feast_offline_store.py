"""The offline store behind plain Feast: which values an entity row may see."""

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl
import pytest
from feast.errors import FeatureNameCollisionError, SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from hypothesis import given, settings
from hypothesis import strategies as st

from oncoframe.audit import AuditLog

pytestmark = [
    pytest.mark.filterwarnings("ignore:On demand feature view is an experimental:RuntimeWarning"),
    # Many questions here are answered with nothing, and some times have no zone.
    pytest.mark.filterwarnings("ignore::feature_repo.home.StoreWarning"),
]

days = st.integers(0, 5)
histories = st.lists(
    st.tuples(st.sampled_from([f"P{n}" for n in range(8)]), days, days, st.sampled_from("rs")),
    unique=True,
    max_size=40,
)
questions = st.lists(
    st.tuples(st.sampled_from([f"P{n}" for n in range(9)]), days, days), min_size=1, max_size=20
)
zones = st.sampled_from([None, UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/Los_Angeles")])


@settings(max_examples=30, deadline=None)
@given(
    history=histories,
    asked=questions,
    zone=zones,
    named=st.booleans(),
    commits=st.integers(1, 4),
)
def test_get_historical_features__agree_with_the_definition(
    new_clinic, history, asked, zone, named, commits
):
    """Through Delta files, Feast, pandas and time zones: no value from the future, none stale."""
    clinic = new_clinic()
    numbered = [(number, *row) for number, row in enumerate(history)]
    for commit in filter(None, (numbered[start::commits] for start in range(commits))):
        for table in ("blood", "marrow"):
            rows = [clinic.row(table, p, e, c, run_id=r, count=n) for n, p, e, c, r in commit]
            clinic.lake.append(table, pl.concat(rows))
    moments = [clinic.at(as_of) for _, as_of, _ in asked]
    written = [m.astimezone(zone) if zone else m.replace(tzinfo=None) for m in moments]
    entities = pd.DataFrame({"patient_id": [p for p, _, _ in asked], "event_timestamp": written})
    if named:
        entities["known_by"] = [clinic.at(known_by) for _, _, known_by in asked]

    got = (
        clinic.store()
        .get_historical_features(entities, ["blood:count", "marrow:count"], full_feature_names=True)
        .to_df()
    )

    def newest(patient, as_of, known_by, ttl):
        counting = [
            (event, created, run, number)
            for number, owner, event, created, run in numbered
            if owner == patient and as_of - ttl <= event <= as_of and created <= known_by
        ]
        return max(counting)[-1] if counting else None

    assert got["patient_id"].to_list() == [p for p, _, _ in asked]
    for column, ttl in (("blood__count", 99), ("marrow__count", 2)):
        values = [None if pd.isna(value) else int(value) for value in got[column]]
        assert values == [
            newest(p, as_of, known_by if named else as_of, ttl) for p, as_of, known_by in asked
        ]


def test_entity_rows__come_back_as_they_were_given(clinic):
    """Sorted or merged rows would put one patient's label beside another one's features."""
    clinic.write("blood", "A", 0, 0, count=1)
    clinic.write("blood", "B", 0, 0, count=2)
    entities = clinic.asks("B", "unknown", "A", "B", label=["b", "u", "a", "b"])

    got = clinic.store().get_historical_features(entities, ["blood:count"]).to_polars()

    assert got.select("patient_id", "label", "count").rows() == [
        ("B", "b", 2), ("unknown", "u", None), ("A", "a", 1), ("B", "b", 2),
    ]  # fmt: skip


def test_known_by__is_later_or_left_open_only_when_said(clinic):
    """The stock stores use what was learned later; here somebody has to ask for it."""
    clinic.write("blood", "A", 1, 1, count=1)
    clinic.write("blood", "A", 1, 7, count=2)
    silent, later = clinic.asks("A", as_of=3), clinic.asks("A", as_of=3, known_by=[clinic.at(8)])

    assert clinic.counts(silent) == [1]
    assert clinic.counts(later) == [2]
    assert clinic.counts(silent, known_by="ever") == [2]
    for entities in (silent, later):
        job = clinic.store(known_by="ever").get_historical_features(
            entities, ["blood:count"], filter_by_created_timestamp=True
        )
        assert job.to_polars()["count"].to_list() == [1]


def test_withdrawn_rows__are_seen_until_they_were_taken_back(clinic):
    """A specimen that was another patient's would be served for ever; old frames still show it."""
    clinic.write("blood", "A", 1, 1, count=1)
    clinic.write("blood", "A", 2, 2, count=2)
    clinic.write("blood", "A", 2, 5, blood_performed=False, withdrawn=True)

    assert clinic.counts(clinic.asks("A", as_of=4)) == [2]
    assert clinic.counts(clinic.asks("A", as_of=6)) == [1]

    clinic.write("blood", "A", 1, 6, blood_performed=False, withdrawn=True)
    assert clinic.counts(clinic.asks("A", as_of=7)) == [None]


def test_versions__pin_what_is_read(clinic):
    """Last month's frame must not change because a correction came this month."""
    entities = clinic.asks("A")
    assert clinic.counts(entities) == [None]
    first = clinic.write("blood", "A", 1, 1, count=1)
    job = clinic.store().get_historical_features(entities, ["blood:count"])
    clinic.write("blood", "A", 1, 2, count=2)

    assert job.versions == {"blood": first}
    assert job.to_polars()["count"].to_list() == [1]
    assert clinic.counts(entities) == [2]
    assert clinic.counts(entities, versions={"blood": first}) == [1]
    assert clinic.counts(entities, versions={"blood": None}) == [None]


def test_unwritten_table__reads_as_nulls_of_the_right_type(clinic):
    """Before the first patient a frame has its columns already, with types a model accepts."""
    types = {
        "blood_performed": pl.Boolean,
        "count": pl.Int64,
        "share": pl.Float64,
        "BCR_u3a__u3a_ABL1": pl.Boolean,
        "profile": pl.List(pl.Float32),
    }
    job = clinic.store().get_historical_features(
        clinic.asks("A", "B"), [f"blood:{name}" for name in types]
    )

    got = job.to_polars().select(list(types))
    assert got.schema == types
    assert got.rows() == [(None,) * 5] * 2
    assert job.versions == {"blood": None}


def test_vectors__reach_numpy_as_slices_of_one_buffer(clinic):
    """Copied an element at a time, 70,000 genes of 5,000 patients take minutes."""
    for patient, profile in {"A": [1.0, float("nan"), 3.0], "B": None, "C": [4.0]}.items():
        clinic.write("blood", patient, 0, 0, profile=profile)
    job = clinic.store().get_historical_features(clinic.asks("C", "B", "A"), ["blood:profile"])

    vectors = job.to_df()["profile"]

    assert vectors[0].tolist() == [4.0]
    assert vectors[1] is None
    assert str(vectors[2]) == "[ 1. nan  3.]"
    assert (vectors[2].dtype, vectors[2].base is None) == ("float32", False)


def test_two_views__keep_features_of_one_name_apart(clinic):
    """Marrow counts under the name of blood counts would fit every schema."""
    clinic.write("blood", "A", 9, 9, count=1)
    clinic.write("marrow", "A", 9, 9, count=2)
    store, entities = clinic.store(), clinic.asks("A")

    got = store.get_historical_features(
        entities, store.get_feature_service("both"), full_feature_names=True
    ).to_polars()

    assert got.select("blood__count", "marrow__count").rows() == [(1, 2)]
    with pytest.raises(FeatureNameCollisionError):
        store.get_historical_features(entities, ["blood:count", "marrow:count"])


def test_two_roles__read_one_table_under_two_keys(clinic):
    """A donor's counts must come from the donor's rows."""
    clinic.write("blood", "A", 0, 0, count=1)
    clinic.write("blood", "B", 0, 0, count=2)
    store = clinic.store()

    got = store.get_historical_features(
        clinic.asks("A", donor_id=["B"]),
        store.get_feature_service("transplant"),
        full_feature_names=True,
    ).to_polars()

    assert got.select("recipient__count", "donor__count").rows() == [(1, 2)]


def test_on_demand_views__are_computed_from_what_the_row_may_see(clinic):
    """A derived feature must not look past the times that its input keeps to."""
    clinic.write("blood", "A", 1, 1, share=0.25)
    clinic.write("blood", "A", 1, 5, share=0.5)

    job = clinic.store().get_historical_features(clinic.asks("A", as_of=3), ["doubled:double"])

    assert job.to_df()["double"].to_list() == [0.5]


def test_time_span__finds_its_patients(clinic):
    """Without entity rows: who had an event in the span, as it was known at its end."""
    clinic.write("blood", "too late", 3, 8, count=1)
    clinic.write("blood", "in", 2, 2, count=2)
    clinic.write("blood", "in", 4, 4, count=3)
    clinic.write("blood", "in", 4, 9, count=4)
    clinic.write("blood", "before", 0, 0, count=5)
    clinic.write("marrow", "other", 5, 5, count=6)

    got = clinic.store().get_historical_features(
        features=["blood:count", "marrow:count"],
        full_feature_names=True,
        start_date=clinic.at(1),
        end_date=clinic.at(6),
    )

    end = clinic.at(6)
    assert got.to_polars().rows() == [("in", end, 3, None), ("other", end, None, 6)]
    assert got.metadata.min_event_timestamp == end - timedelta(days=5)


@pytest.mark.filterwarnings("ignore:Saving dataset is an experimental:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:Retrieving datasets is an experimental:RuntimeWarning")
def test_saved_datasets__come_back_as_they_were_saved(clinic):
    """A dataset that is kept for validation must not follow the lake."""
    clinic.write("blood", "A", 0, 0, count=1, profile=[1.0])
    store = clinic.store()
    storage = SavedDatasetFileStorage(path="saved/cohort.parquet")

    def save():
        job = store.get_historical_features(clinic.asks("A", "B"), ["blood:count", "blood:profile"])
        store.create_saved_dataset(from_=job, name="cohort", storage=storage)

    save()
    clinic.write("blood", "A", 0, 1, count=2)

    got = pl.DataFrame(store.get_saved_dataset("cohort").to_arrow())
    assert got.select("patient_id", "count", "profile").rows() == [
        ("A", 1, [1.0]),
        ("B", None, None),
    ]
    assert (clinic.home / "saved" / "cohort.parquet").is_file()
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        save()


def test_pulls__leave_a_line_in_the_audit_log_of_the_home(clinic):
    """One per reading, with counts and versions; a patient's name has no place there."""
    clinic.write("blood", "ANNA", 1, 2, count=7)
    log = AuditLog(clinic.home / "audit" / "log.jsonl")
    store = clinic.store()
    job = store.get_historical_features(clinic.asks("ANNA", "OTTO"), ["blood:count"])
    assert log.entries() == []

    job.to_df()

    [line] = log.entries()
    assert (line.action, line.subject) == ("frame_pulled", "blood")
    assert line.details == {"features": 1, "rows": 2, "versions": {"blood": 0}}
    assert "ANNA" not in log.file.read_text()


def test_offline_write__is_left_to_the_lake(clinic):
    """Rows pushed past the contract could hold anything."""
    clinic.write("blood", "A", 0, 0)
    rows = clinic.row("blood", "B", 0, 0).to_pandas()
    with pytest.raises(NotImplementedError, match="append_features"):
        clinic.store().write_to_offline_store("blood", rows, reorder_columns=False)
