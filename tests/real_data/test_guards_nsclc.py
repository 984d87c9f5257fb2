"""Guards on the clinical table that a published example trained on, outcome columns included."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from assets.clinical.contract import clinical_contract
from assets.training.frames import FrameBuilder, FrameRequest
from ml.frames.frame import FrameColumn
from ml.frames.leakage import refuse_late_columns, suspected_leaks
from ml.study.definition import load_study
from ml.training.classification import train
from oncoframe.contracts import Known
from oncoframe.errors import StudyError
from oncoframe.lake import Lake
from oncoframe.names import encode
from oncoframe.point_in_time import served_rows

pytestmark = pytest.mark.real_data

LABEL = "Survival Status"
#: Known only after diagnosis and surgery, by the names of the table.
OUTCOMES = (
    "Adjuvant Treatment",
    "Chemotherapy",
    "Radiation",
    "Recurrence",
    "Recurrence Location",
    "Date of Recurrence",
    "Date of Last Known Alive",
    "Date of Death",
    "Time to Death (days)",
)


@pytest.fixture
def clinical(real_data):
    """The table, its label apart; what the table calls missing is null."""
    [file] = (real_data / "nsclc").glob("*.csv")
    rows = pl.read_csv(file, infer_schema=False, null_values=["N/A", "Not Collected", ""])
    days = pl.col("Time to Death (days)").cast(pl.Float64)
    return rows.with_columns(days).rename({LABEL: "label"}).drop("Patient ID")


def test_guard__refuses_the_outcome_columns_naming_each(clinical):
    """The published code trains on time to death: the sentence must name every such column."""
    columns = {
        f"clinical__{encode(name)}": FrameColumn.model_validate(
            {
                "modality": "clinical", "feature": name, "unit": "1", "kind": "scalar",
                "known": "after_index" if name in OUTCOMES else "at_index",
            }
        )
        for name in clinical.columns
        if name != "label"
    }  # fmt: skip

    with pytest.raises(StudyError) as refused:
        refuse_late_columns(columns, where="study nsclc_survival")

    named = str(refused.value.got).split(", ")
    assert sorted(named) == sorted(f"clinical__{encode(name)}" for name in OUTCOMES)


def test_guard__finds_the_outcome_without_being_told(clinical):
    """Undeclared, time to death still shows itself: it alone has AUC 1.000."""
    suspects = suspected_leaks(clinical, threshold=0.95, min_patients=10)

    auc = {suspect.column: suspect.auc for suspect in suspects}
    assert auc["Time to Death (days)"] == 1.0
    assert set(auc) <= set(OUTCOMES)


def oncoframe(*arguments: object) -> dict:
    """Last line of a command that must succeed."""
    program = Path(sys.executable).with_name("oncoframe")
    done = subprocess.run(
        [program, *map(str, arguments), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def home(real_data, tmp_path_factory):
    """Home with the download imported and run."""
    folder = tmp_path_factory.mktemp("nsclc")
    oncoframe("import", "nsclc", real_data / "nsclc", "--landing", folder / "landing")
    ran = oncoframe("run", "--landing", folder / "landing", "--home", folder / "home")
    assert ran["quarantined"] == 0
    return folder / "home"


@pytest.fixture(scope="module")
def built(home):
    """The study's frame, by the command line: its folder."""
    said = oncoframe(
        "frame", "build", "nsclc_survival", "--home", home, "--out", home / "frame.parquet"
    )
    return home / "frames" / said["frame_id"]


def late_columns():
    """Columns of the clinical table that its marts declare known only after the index event."""
    return [f for f in clinical_contract().features if f.known is Known.AFTER_INDEX]


def test_frame_build__leaves_the_outcome_in_the_lake(home, built):
    """The lake has it, the cohort is scored by it, and no column of the frame comes from it."""
    lake = Lake(home / "lake").scan("clinical_features").collect()
    kept = {f.column for f in late_columns() if lake[f.column].null_count() < len(lake)}
    assert {"overall_survival_days", "vital_status", "recurrence_free_days"} <= kept

    columns = pl.read_parquet(built / "frame.parquet").columns

    assert not {name.partition("__")[2] for name in columns} & {f.column for f in late_columns()}


def test_train__refuses_the_built_frame_with_the_outcome_joined_to_it(home, built, tmp_path):
    """What the published code did: everything that is known of a patient in one table."""
    folder = Path(shutil.copytree(built, tmp_path / "frame"))
    rows = pl.read_parquet(folder / "frame.parquet")
    outcome = served_rows(
        Lake(home / "lake"), "clinical_features", rows, [f.column for f in late_columns()],
        known_by=datetime.now(tz=UTC), version=Lake(home / "lake").version("clinical_features"),
    )  # fmt: skip
    names = {f.column: f"clinical_features__{f.column}" for f in late_columns()}
    late = rows.select("patient_id").join(outcome, on="patient_id", how="left")
    rows.hstack(late.select(list(names)).rename(names)).write_parquet(folder / "frame.parquet")
    sidecar = json.loads((folder / "frame.json").read_text())
    sidecar["columns"] |= {
        names[f.column]: {
            "modality": "clinical", "feature": f.name, "unit": f.unit, "known": f.known,
            "kind": "scalar",
        }
        for f in late_columns()
    }  # fmt: skip
    (folder / "frame.json").write_text(json.dumps(sidecar))

    with pytest.raises(StudyError, match="known only after the index event") as refused:
        train(load_study("nsclc_survival"), folder)

    assert str(refused.value.got).split(", ") == sorted(names.values())


def test_frame_build__reports_an_outcome_that_is_declared_wrongly(home, tmp_path):
    """A mart that calls the survival time known at diagnosis: nothing but its AUC can tell."""
    contract = clinical_contract()
    lied = replace(
        contract,
        features=tuple(
            replace(f, known=Known.AT_INDEX) if f.column == "overall_survival_days" else f
            for f in contract.features
        ),
    )
    lake = Lake(home / "lake")

    def pull(entities, versions):
        table = contract.table
        columns = [*(f.column for f in contract.features), contract.performed_column]
        rows = served_rows(
            lake, table, entities.rename({"event_timestamp": "index_timestamp"}), columns,
            known_by=entities["known_by"][0], version=versions[table],
        )  # fmt: skip
        joined = entities.join(rows.rename({c: f"{table}__{c}" for c in columns}), on="patient_id")
        return joined.sort("patient_id")

    study = load_study("nsclc_survival")
    sidecar = FrameBuilder(lake, tmp_path, [lied], pull).build(FrameRequest(study))

    suspects = {suspect["column"] for suspect in sidecar["guards"]["suspected_leakage"]}
    assert "clinical_features__overall_survival_days" in suspects
