"""What Feast's own suite asks of an offline store and no other test here asks, on our lake.

    test_universal_types                   -> every type, offline and online
    test_universal_historical_retrieval    -> two views on one source; test_feast_offline_store.py
    test_persist, test_non_entity_mode     -> test_feast_offline_store.py
    test_offline_write, test_push_features -> refused: test_feast_offline_store.py
    test_offline_store (retrieval jobs)    -> every way out gives the same rows

Left out: logging of served features, and validation by profiles, in which a store has no part.
"""

from datetime import UTC, datetime

import polars as pl
import pytest

from feature_repo.client import apply
from feature_repo.views import feature_view
from oncoframe.contracts import PROVENANCE_COLUMNS, UTC_TIME, Block, Contract, Feature

pytestmark = pytest.mark.filterwarnings(
    "ignore:On demand feature view is an experimental:RuntimeWarning"
)
VALUES = {
    pl.Boolean(): True,
    pl.Int32(): -7,
    pl.Int64(): 2**40,
    pl.Float32(): 0.5,
    pl.Float64(): 1e-300,
    pl.String(): "t(8;21) ü",
    UTC_TIME: datetime(2020, 2, 29, 12, tzinfo=UTC),
}
EVERY_TYPE = Contract(
    table="every_type",
    modality="every_type",
    description="One column of each type that a contract may have.",
    code_version="1",
    features=tuple(
        Feature(f"f{number}", dtype, "1", "A value.") for number, dtype in enumerate(VALUES)
    ),
    blocks=(Block("vector", "gene", "1", "A vector.", fill=0.0),),
)


def test_types__come_back_as_they_were_stored(clinic):
    """A type that changes on its way to the online store gives a model another input there."""
    told = {f.column: value for f, value in zip(EVERY_TYPE.features, VALUES.values(), strict=True)}
    rows = [
        {"patient_id": "A", "every_type_performed": True, "vector": [1.0, float("nan")], **told},
        {"patient_id": "B", "every_type_performed": False},
    ]
    common = {
        **dict.fromkeys(PROVENANCE_COLUMNS, "x"),
        "event_timestamp": clinic.at(0),
        "created_timestamp": clinic.at(0),
    }
    schema = EVERY_TYPE.schema()
    clinic.lake.append_features(EVERY_TYPE, pl.DataFrame([common | row for row in rows], schema))
    store = clinic.store()
    store.apply([feature_view(EVERY_TYPE)])
    names = [*told, "vector", "every_type_performed"]
    references = [f"every_type:{name}" for name in names]

    store.materialize_incremental(clinic.at(1), ["every_type"])

    offline = store.get_historical_features(clinic.asks("A", "B"), references).to_polars()
    assert offline.select(names).schema == {name: schema[name] for name in names}
    assert offline.select(names).rows() == [
        (*told.values(), [1.0, pytest.approx(float("nan"), nan_ok=True)], True),
        (*[None] * (len(told) + 1), False),
    ]
    online = store.get_online_features(references, {"patient_id": ["A", "B"]}).to_dict()
    assert pl.DataFrame(online, {"patient_id": pl.String, **offline.select(names).schema}).equals(
        offline.select("patient_id", *names)
    )


def test_two_views__of_one_table_are_read_as_one_row(hospital):
    """Findings and outcomes of a patient stand in one row of the lake."""
    from assets.clinical.contract import clinical_contract  # noqa: PLC0415

    clinical = clinical_contract()
    hospital.measure(clinical, "A", sex="female", vital_status="alive")
    hospital.measure(clinical, "A", created=2, sex="female", vital_status="dead")
    store = apply(hospital.home)
    asked = pl.DataFrame(
        {"patient_id": ["A", "A"], "event_timestamp": [hospital.at(1), hospital.at(3)]}
    )
    both = ["clinical_features:sex", "clinical_features_outcomes:vital_status"]

    job = store.get_historical_features(asked, both, full_feature_names=True)

    assert job.to_polars().rows()[0][2:] == ("female", "alive")
    assert job.to_polars().rows()[1][2:] == ("female", "dead")
    assert job.versions == {"clinical_features": 1}


def test_retrieval_job__gives_the_same_rows_every_way_out(clinic):
    """A timeout is taken, as by every store, though a scan of local files is not interrupted."""
    clinic.write("blood", "A", 0, 0, count=1, share=0.5)
    job = clinic.store().get_historical_features(clinic.asks("A"), ["blood:count", "blood:share"])
    rows = job.to_polars().rows()
    assert job.to_arrow(timeout=1).to_pylist() == [
        dict(zip(job.to_polars().columns, rows[0], strict=True))
    ]
    assert [tuple(row) for row in job.to_df(timeout=1).itertuples(index=False)] == rows
    assert job.to_feast_df().data.equals(job.to_arrow())
