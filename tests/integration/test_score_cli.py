"""The command score and the waiting times in status: what a person and a program get."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from typer.testing import CliRunner

from assets.scoring.table import SCHEMA, TABLE
from oncoframe.lake import Lake
from orchestration.cli.main import app
from orchestration.cli.studies import waiting_table
from orchestration.settings import Settings

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def run(home, *arguments, code=0):
    """Last line of a command as JSON."""
    result = CliRunner().invoke(app, [*arguments, "--home", str(home), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        ("synthetic_leukemia", "no champion of synthetic_leukemia; promote a candidate"),
        ("nsclc_overall_survival", "predicts no classes"),
        ("tpyo", "one of aml_recipes"),
    ],
)
def test_score__says_what_is_missing(tmp_path, study, sentence):
    """An empty result would read as: nobody has to be scored."""
    said = run(tmp_path, "score", study, code=1)
    assert said["error"] == "StudyError"
    assert sentence in said["message"]


def test_status__says_how_long_patients_waited(tmp_path):
    """The answer may be perfect and a week late."""
    assert run(tmp_path, "status")["time_to_answer"] == {}
    waits = [3600, 7200, 10800]
    rows = [
        {
            "patient_id": f"P{wait}",
            "study": "toy",
            "created_timestamp": NOW,
            "arrived_timestamp": NOW - timedelta(seconds=wait),
        }
        for wait in waits
    ]
    Lake(Settings(home=tmp_path).lake_dir).append(TABLE, pl.DataFrame(rows, schema=SCHEMA))

    assert run(tmp_path, "status")["time_to_answer"] == {
        "toy": {"answers": 3, "median_s": 7200.0, "p90_s": 10080.0, "max_s": 10800.0}
    }
    shown = CliRunner().invoke(app, ["status", "--home", str(tmp_path)]).stdout
    assert "2.0 h" in shown
    assert "3.0 h" in shown


def test_waiting_table__names_times_in_units_that_people_use():
    """86,400 seconds are read as many."""
    times = {"answers": 1, "median_s": 42.0, "p90_s": 150.0, "max_s": 2 * 86400.0}
    table = waiting_table({"toy": times})
    assert [next(iter(column.cells)) for column in table.columns] == [
        "toy", "1", "42 s", "2.5 min", "2.0 d",
    ]  # fmt: skip
