"""The comparison of homes: what it overlooks would be taken for unchanged."""

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from oncoframe.lake import Lake

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "same_values.py"


def make_home(
    root: Path, *, value: float = 1.0, label: str = "A", accuracy: float = 0.9, learned: int = 1
) -> Path:
    """A home with one row, one frame and one training; ``learned`` is what only a clock decides."""
    rows = pl.DataFrame(
        {
            "patient_id": ["P1"],
            "created_timestamp": [datetime(2024, 1, learned, tzinfo=UTC)],
            "value": [value],
            "vector": [[0.0, 2.0]],
        }
    )
    Lake(root / "lake").append("features", rows)
    frame = root / "frames" / f"id{learned}"
    frame.mkdir(parents=True)
    about = {"study": "s", "everyone": False, "frame_id": frame.name, "as_of": learned}
    (frame / "frame.json").write_text(json.dumps(about))
    pl.DataFrame({"patient_id": ["P1"], "label": [label]}).write_parquet(frame / "frame.parquet")
    files = root / "mlflow" / "artifacts" / f"run{learned}"
    files.mkdir(parents=True)
    (files / "result.json").write_text(json.dumps({"accuracy": [accuracy], "seconds": learned}))
    with sqlite3.connect(root / "mlflow" / "mlflow.db") as registry:
        registry.execute("create table experiments (experiment_id, name)")
        registry.execute("create table runs (experiment_id, name, artifact_uri, start_time)")
        registry.execute("insert into experiments values (1, 's')")
        registry.execute("insert into runs values (1, ?, ?, 0)", (f"s on id{learned}", str(files)))
    return root


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"value": 1.0000001}, ["lake, features"]),
        ({"label": "B"}, ["frame s, rows"]),
        ({"accuracy": 0.8}, ["training s: s on, result.json, accuracy[0]"]),
    ],
)
def test_same_values__finds_each_kind_of_difference_and_no_clock(tmp_path, changed, said):
    """A comparison that ignores a kind of file would call any change of it harmless."""
    before = make_home(tmp_path / "before")
    after = make_home(tmp_path / "after", learned=2, **changed)
    command = [sys.executable, str(SCRIPT), str(before), str(after)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert json.loads(lines[-1]) == {"differences": len(said)}, done.stderr
    assert [line.startswith(part) for line, part in zip(lines, said, strict=False)] == [True] * len(
        said
    )
    assert done.returncode == bool(said)
