"""Publishing the clinical marts: only what changed reaches the lake, on hand-made marts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pytest

from assets.clinical.contract import clinical_contract
from assets.clinical.publish import KEYS, publish
from oncoframe.contracts import Feature
from oncoframe.errors import ContractViolation, FileMissing
from oncoframe.point_in_time import latest_rows

pytestmark = pytest.mark.slow

INDEX = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def cohort(patient: str, **changes) -> dict:
    row = {"index_timestamp": INDEX, "consent": "yes", "site": "A", "exclusion_reason": None}
    return {"patient_id": patient, **row, **changes}


def label(patient: str, value: str, **changes) -> dict:
    row = {"label_name": "who", "label_value": value, "label_version": "1"}
    return {"patient_id": patient, **row, "known_timestamp": INDEX, **changes}


@pytest.fixture
def build(tmp_path):
    """Write marts as dbt would: patients with a white cell count, labels, cohort."""
    file = tmp_path / "clinical.duckdb"
    features = {f.column: f.dtype for f in clinical_contract().features}
    instant = pl.Datetime("us", "UTC")
    text = pl.String()

    def write(wbc: dict[str, float], labels: list[dict], patients: list[dict]):
        rows = [
            {"patient_id": patient, "index_timestamp": INDEX, "site": "A", "wbc_10e9_per_l": value}
            for patient, value in wbc.items()
        ]
        keys = {"patient_id": text, "index_timestamp": instant, "site": text}
        label_keys = dict.fromkeys(("patient_id", "label_name", "label_value", "label_version"))
        marts = {
            "clinical_features": pl.DataFrame(rows, schema={**keys, **features}),
            "labels": pl.DataFrame(
                labels, schema={**dict.fromkeys(label_keys, text), "known_timestamp": instant}
            ),
            "cohort": pl.DataFrame(
                patients, schema={**keys, "consent": text, "exclusion_reason": text}
            ),
        }
        file.unlink(missing_ok=True)
        with duckdb.connect(file) as connection:
            for name, mart in marts.items():
                connection.from_arrow(mart.to_arrow()).create(name)
        return file

    return write


def test_publish__writes_all_once_and_nothing_again(build, lake):
    """A second copy of unchanged rows would look like a correction, and every frame id change."""
    file = build(
        {"P1": 3.5, "P2": 4.5}, [label("P1", "A"), label("P2", "B")], [cohort("P1"), cohort("P2")]
    )

    first = publish(file, lake, run_id="r1", now=NOW)
    again = publish(file, lake, run_id="r2", now=NOW + timedelta(days=1))

    assert {table: done.appended for table, done in first.items()} == {
        "clinical_features": 2,
        "labels": 2,
        "cohort": 2,
    }
    assert {done.appended for done in again.values()} == {0}
    assert {t: d.sha256 for t, d in first.items()} == {t: d.sha256 for t, d in again.items()}
    rows = lake.scan("clinical_features").sort("patient_id").collect()
    clinical_contract().check(rows)
    assert rows["wbc_10e9_per_l"].to_list() == [3.5, 4.5]
    assert rows["event_timestamp"].to_list() == [INDEX, INDEX]
    assert rows["created_timestamp"].to_list() == [NOW, NOW]
    assert rows["clinical_performed"].to_list() == [True, True]


def test_publish__appends_a_correction_and_keeps_what_was_known_before(build, lake):
    """Overwriting the value would put tomorrow's knowledge into yesterday's frame."""
    patients = [cohort("P1"), cohort("P2")]
    publish(build({"P1": 3.5, "P2": 4.5}, [], patients), lake, run_id="r1", now=NOW)
    later = NOW + timedelta(days=1)

    done = publish(build({"P1": 35.0, "P2": 4.5}, [], patients), lake, run_id="r2", now=later)

    assert done["clinical_features"].appended == 1
    rows = lake.scan("clinical_features")
    by = KEYS["clinical_features"]
    assert latest_rows(rows, by=by).collect().sort("patient_id")["wbc_10e9_per_l"][0] == 35.0
    before = latest_rows(rows, by=by, known_by=NOW).collect().sort("patient_id")
    assert before["wbc_10e9_per_l"].to_list() == [3.5, 4.5]


def test_publish__takes_back_a_label_that_the_source_no_longer_gives(build, lake):
    """A wrong diagnosis that was deleted at the source would otherwise train models for ever."""
    patients = [cohort("P1"), cohort("P2")]
    times = [NOW + timedelta(days=day) for day in range(4)]

    def labelled(*labels: dict, now: datetime) -> dict[str, str | None]:
        publish(build({}, list(labels), patients), lake, run_id="r", now=now)
        rows = latest_rows(lake.scan("labels"), by=KEYS["labels"]).collect().sort("patient_id")
        return dict(rows.select("patient_id", "label_value").iter_rows())

    assert labelled(label("P1", "A"), label("P2", "B"), now=times[0]) == {"P1": "A", "P2": "B"}
    assert labelled(label("P2", "B"), now=times[1]) == {"P1": None, "P2": "B"}
    assert labelled(label("P2", "B"), now=times[2]) == {"P1": None, "P2": "B"}
    assert lake.scan("labels").collect().height == 3
    assert labelled(label("P1", "A"), label("P2", "B"), now=times[3]) == {"P1": "A", "P2": "B"}


def test_publish__keeps_patients_of_another_landing_zone(build, lake):
    """A second hospital's zone names other patients; the first hospital's must stay."""
    publish(build({"P1": 3.5}, [label("P1", "A")], [cohort("P1")]), lake, run_id="r", now=NOW)
    later = NOW + timedelta(days=1)
    publish(build({"P2": 4.5}, [label("P2", "B")], [cohort("P2")]), lake, run_id="r", now=later)

    assert set(lake.scan("cohort").collect()["patient_id"]) == {"P1", "P2"}
    assert lake.scan("labels").collect()["label_value"].sort().to_list() == ["A", "B"]


def test_publish__keeps_a_patient_without_index_date_in_the_cohort(build, lake):
    """Dropped for want of a time, the patient would be missing without a reason."""
    excluded = cohort("P1", index_timestamp=None, exclusion_reason="no_index_date")

    publish(build({}, [], [excluded]), lake, run_id="r1", now=NOW)
    again = publish(build({}, [], [excluded]), lake, run_id="r2", now=NOW + timedelta(days=1))

    [row] = lake.scan("cohort").collect().rows(named=True)
    assert (row["exclusion_reason"], row["event_timestamp"]) == ("no_index_date", NOW)
    assert again["cohort"].appended == 0


def test_publish__refuses_rows_that_break_the_contract(build, lake):
    """Infinity passes every range test that forgets it, and no model takes it."""
    with pytest.raises(ContractViolation, match="wbc_10e9_per_l must be finite"):
        publish(build({"P1": float("inf")}, [], [cohort("P1")]), lake, run_id="r", now=NOW)
    assert lake.tables() == []


def test_publish__says_that_dbt_has_not_run(tmp_path, lake):
    with pytest.raises(FileMissing, match="dbt has built no clinical tables yet"):
        publish(tmp_path / "none.duckdb", lake, run_id="r", now=NOW)
    duckdb.connect(tmp_path / "empty.duckdb").close()
    with pytest.raises(FileMissing, match="no mart clinical_features"):
        publish(tmp_path / "empty.duckdb", lake, run_id="r", now=NOW)


def test_publish__of_a_new_column_appends_those_who_have_a_value(build, lake, monkeypatch):
    """A correction of every patient, for a column that most do not have, is none."""
    patients = [cohort("P1"), cohort("P2"), cohort("P3", index_timestamp=None)]
    file = build({"P1": 3.5, "P2": 4.5}, [label("P1", "A")], patients)
    publish(file, lake, run_id="r1", now=NOW)
    contract = clinical_contract()
    wider = replace(
        contract,
        features=(*contract.features, Feature("ldh_max_u_per_l", pl.Float64(), "U/L", "highest")),
    )
    monkeypatch.setattr("assets.clinical.publish.clinical_contract", lambda **_: wider)
    with duckdb.connect(file) as connection:
        connection.execute("alter table clinical_features add column ldh_max_u_per_l double")
        connection.execute(
            "update clinical_features set ldh_max_u_per_l = 900 where patient_id = 'P2'"
        )

    done = publish(file, lake, run_id="r2", now=NOW + timedelta(days=1))

    assert {table: d.appended for table, d in done.items()} == {
        "clinical_features": 1, "labels": 0, "cohort": 0,
    }  # fmt: skip
    rows = lake.scan("clinical_features").sort("created_timestamp", "patient_id").collect()
    values = ("patient_id", "wbc_10e9_per_l", "ldh_max_u_per_l")
    assert rows.select(values).rows() == [("P1", 3.5, None), ("P2", 4.5, None), ("P2", 4.5, 900)]


@pytest.fixture
def center(tmp_path):
    """A center's package with one column."""
    folder = tmp_path / "center" / "models"
    folder.mkdir(parents=True)
    (folder / "labs.yml").write_text(
        "models: [{name: labs, config: {meta: {adds_to: clinical_features}}, columns: ["
        "{name: patient_id, config: {meta: {role: key}}}, "
        "{name: ldh_max_u_per_l, description: LDH, data_type: double, "
        "config: {meta: {unit: U/L, known: at_index}}}]}]"
    )
    return folder.parent


def test_publish__joins_the_columns_of_a_center_by_patient(build, lake, center):
    """A patient whom the center's model does not name is null; one named twice is refused."""
    file = build({"P1": 3.5, "P2": 4.5}, [], [cohort("P1"), cohort("P2")])
    with duckdb.connect(file) as connection:
        connection.execute("create table labs as select 'P2' as patient_id, 900.0::double as x")
        connection.execute("alter table labs rename x to ldh_max_u_per_l")
        connection.execute("insert into labs values ('P9', 1)")

    publish(file, lake, run_id="r1", now=NOW, center=center)

    rows = lake.scan("clinical_features").sort("patient_id").collect()
    assert rows.select("patient_id", "ldh_max_u_per_l").rows() == [("P1", None), ("P2", 900.0)]
    with duckdb.connect(file) as connection:
        connection.execute("insert into labs values ('P2', 2)")
    with pytest.raises(ContractViolation, match="one row per patient; got 2 rows that share"):
        publish(file, lake, run_id="r2", now=NOW, center=center)
