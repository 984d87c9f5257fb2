"""Clinical stage as it runs: landed CSV files through dbt and Dagster into the lake.

dbt starts as a process of its own, so each landing zone here is one build of several seconds.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster_dbt import DbtCliResource

from assets.clinical.contract import clinical_contract
from assets.clinical.defs import defs
from assets.clinical.publish import publish
from assets.clinical.rules import unknown_columns
from oncoframe.errors import ContractViolation
from oncoframe.lake import Lake
from orchestration.dbt import clinical_dbt, clinical_manifest
from orchestration.groups import group
from orchestration.settings import Settings

PATIENTS = """\
patient_id,index_date,consent,Sex,wbc_10e9_per_l,is_denovo,karyotype_iscn,shoe_size
P1,2020-01-02,yes,Female, 3.5 ,true,"46,XX[20]",42
P2,2020-01-03,,MALE,1e2,no,,43
P3,2020-01-04,No,male,7,,,44
P4,,,male,8,,,45
"""
DIAGNOSES = """\
patient_id,label_name,label_value,label_version,known_on
P1,WHO_diagnosis,AML with mutated NPM1,WHO 2016,2020-01-09
P2,who_diagnosis,"AML, NOS",WHO 2016,
P3,who_diagnosis,,WHO 2016,2020-01-04
P9,who_diagnosis,AML,WHO 2016,2020-01-04
"""
BUILD = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def land(settings: Settings):
    """Write clinical tables into the landing zone."""

    def write(patients: str, diagnoses: str | None = None) -> None:
        folder = Path(settings.require_landing()) / "clinical"
        folder.mkdir(parents=True)
        (folder / "patients.csv").write_text(patients)
        if diagnoses is not None:
            (folder / "diagnoses.csv").write_text(diagnoses)

    return write


@pytest.fixture
def run(settings: Settings, lake: Lake, instance: dg.DagsterInstance):
    """Materialise the clinical group; returns Dagster's result."""

    def materialize(*, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        resources = {"settings": settings, "lake": lake, "dbt": clinical_dbt()}
        definitions = dg.Definitions.merge(defs(), dg.Definitions(resources=resources))
        keys = definitions.resolve_asset_graph().asset_keys_for_group(group("clinical"))
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=sorted(keys),
            run_config=BUILD,
            raise_on_error=raise_on_error,
        )

    return materialize


def test_clinical_group__tells_sql_what_a_column_means(land, run, settings):
    """An analyst who opens the file with DuckDB saw names and types alone."""
    land(PATIENTS, DIAGNOSES)
    run()

    with duckdb.connect(str(settings.clinical_db), read_only=True) as database:
        comments = dict(
            database.sql(
                "select column_name, comment from duckdb_columns() "
                "where table_name = 'clinical_features'"
            ).fetchall()
        )
    told = {f.column: f.description for f in clinical_contract().features}
    assert {name: comments[name].strip() for name in told} == told


def test_clinical_group__lands_in_the_lake_with_reasons_for_who_is_left_out(
    land, run, lake, settings, capsys
):
    """Spaces, capitals, missing columns and missing dates are what real tables look like."""
    land(PATIENTS, DIAGNOSES)

    result = run()

    cohort = lake.scan("cohort").sort("patient_id").collect()
    assert cohort.select("patient_id", "consent", "exclusion_reason").rows() == [
        ("P1", "yes", None),
        ("P2", "yes", None),
        ("P3", "no", "no_consent"),
        ("P4", "yes", "no_index_date"),
    ]
    features = lake.scan("clinical_features").sort("patient_id").collect()
    columns = ("patient_id", "sex", "wbc_10e9_per_l", "is_denovo", "karyotype_iscn", "mcv_fl")
    assert features.select(columns).rows() == [
        ("P1", "female", 3.5, True, "46,XX[20]", None),
        ("P2", "male", 100.0, False, None, None),
    ]
    assert str(features["event_timestamp"][0]) == "2020-01-02 00:00:00+00:00"
    labels = lake.scan("labels").sort("patient_id").collect()
    assert labels.select("patient_id", "label_name", "label_value").rows() == [
        ("P1", "who_diagnosis", "AML with mutated NPM1"),
        ("P2", "who_diagnosis", "AML, NOS"),
        ("P9", "who_diagnosis", "AML"),
    ]
    assert [str(time)[:10] for time in labels["event_timestamp"]] == [
        "2020-01-09",
        "2020-01-03",
        "2020-01-04",
    ]
    assert unknown_columns(settings.clinical_db) == {"patients": ["shoe_size"]}
    warned = {c.check_name for c in result.get_asset_check_evaluations() if not c.passed}
    assert warned == {
        "no_unknown_columns_stg_patients_patients",
        "not_null_stg_patients_index_date",
        "relationships_labels_patient_id__patient_id__ref_cohort_",
    }
    # Standard output is for results: the last line of a command is its JSON.
    assert "dbt" not in capsys.readouterr().out

    again = publish(settings.clinical_db, lake, run_id="again", now=datetime.now(tz=UTC))
    assert {done.appended for done in again.values()} == {0}


def test_clinical_group__refuses_values_that_cannot_be_read(land, run, lake):
    """An unreadable number becomes null on the way to its type: lost, unless a rule looks."""
    land(
        "patient_id,index_date,wbc_10e9_per_l,is_denovo\n"
        'P1,2020-01-02,"3,5",true\n'
        "P2,02.01.2020,4,perhaps\n"
        "P2,2020-01-02,4,true\n"
    )

    with pytest.raises(ContractViolation) as raised:
        run()

    said = str(raised.value)
    assert "unique_stg_patients_patient_id (1 row)" in said
    expected = "values_survive_typing_stg_patients_patients (3 rows: "
    assert expected + "index_date, is_denovo, wbc_10e9_per_l)" in said
    assert "perhaps" not in said
    assert lake.tables() == []


def test_clinical_group__refuses_values_that_cannot_be(land, run, lake, instance):
    """Haemoglobin in g/L, a percentage of 140, a code nobody knows, one label twice."""
    land(
        "patient_id,index_date,hemoglobin_g_per_dl,blasts_bm_pct,wbc_10e9_per_l,sex\n"
        "P1,2020-01-02,88,140,nan,f\n",
        "patient_id,label_name,label_value,label_version\nP1,who,A,1\nP1,who,B,1\n",
    )

    with pytest.raises(ContractViolation) as raised:
        run()

    said = str(raised.value)
    assert "unique_together_labels_patient_id__label_name__label_version (1 row)" in said
    expected = "values_as_declared_clinical_features (4 rows: "
    columns = "blasts_bm_pct, hemoglobin_g_per_dl, sex, wbc_10e9_per_l"
    assert f"{expected}{columns})" in said
    [record] = instance.get_run_records(limit=1)
    evaluated = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    logged = instance.all_logs(record.dagster_run.run_id, of_type=evaluated)
    checks = [entry.get_dagster_event().asset_check_evaluation_data for entry in logged]
    failed = {check.check_name for check in checks if not check.passed}
    assert failed == {
        "unique_together_labels_patient_id__label_name__label_version",
        "values_as_declared_clinical_features",
    }
    assert lake.tables() == []


def test_clinical_group__without_clinical_tables_is_empty_and_its_logic_is_tested(
    run, lake, settings
):
    """A zone with sequencing only still runs; dbt's unit tests bring rows of their own."""
    result = run()

    assert result.success
    rows = [
        event.materialization.metadata["dagster/row_count"].value
        for event in result.get_asset_materialization_events()
        if "appended" in event.materialization.metadata
    ]
    assert rows == [0, 0, 0]
    assert lake.tables() == []
    variables = {"clinical_dir": "nowhere", "clinical_db": str(settings.clinical_db)}
    tested = clinical_dbt().cli(
        ["test", "--select", "test_type:unit", "--vars", json.dumps(variables)],
        target_path=settings.home / "dbt",
    )
    tested.wait()
    results = tested.get_artifact("run_results.json")["results"]
    assert [result["status"] for result in results] == ["pass"] * 3


def test_clinical_manifest__is_parsed_once():
    """Parsing takes seconds, which each process of Dagster would spend again."""
    first = clinical_manifest().stat().st_mtime_ns
    assert clinical_manifest().stat().st_mtime_ns == first


def test_offline_dbt__replaces_members_that_dagster_dbt_still_has():
    """After a rename there, ``dbt --version`` would ask the package index again, unnoticed."""
    assert {"_cli_version", "_initialize_dbt_core_adapter"} <= set(vars(DbtCliResource))
