"""Whether two versions of the code make the same values of the same landing zone.

    python tests/same_values.py BEFORE AFTER       two homes, each made by its own version
    python tests/same_values.py --rebuild BEFORE   frames of a home, built again by this version

Compares features, frames, folds, metrics, out-of-fold predictions, Shapley values and scores, value
for value; what a clock, a random id or the place of a folder decides is left out. Make the homes
with ``ONCOFRAME_WORKERS=1``: whose file is read first decides which gene has which position of a
vector, and so the order of a model's columns. Prints one line per difference and ends
with 1 if there is any. Reads files only, so that it does not change with what it compares; for
``--rebuild`` the ``oncoframe`` of this environment is asked.
"""

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import polars as pl
from polars.testing import assert_frame_equal

#: Columns and keys that a clock, a random id or the name of a folder decides, or the key of a home,
#: by which CT is de-identified before it is hashed.
VOLATILE = frozenset(
    {
        "arrived_timestamp", "as_of", "champion_run_id", "created_timestamp", "file", "first_seen",
        "frame_id",
        "known_timestamp", "landed_at", "last_seen", "message", "mlflow_run_id", "path", "run_id",
        "scored_at", "seconds", "seen_at", "sha256",
        "source_sha256", "stamp", "training_run_id", "versions", "waited_s",
    }
)  # fmt: skip
#: Of the files of a training: the packages installed, and what MLflow writes beside a model.
_COMPARED = frozenset({".csv", ".json", ".parquet", ".png"})
_LEFT_OUT = ("environment.json", "input_example.json", "serving_input_example.json")


def differences(before: Path, after: Path) -> Iterator[str]:
    """One sentence per difference between two homes."""
    yield from _of_tables(_lake(before), _lake(after), "lake")
    yield from _of_frames(before, after)
    yield from _of_trainings(before, after)


def not_rebuilt(home: Path) -> Iterator[str]:
    """One sentence per frame of a home that this version does not build to the same bytes."""
    for sidecar in sorted(home.glob("frames/*/frame.json")):
        frame_id = sidecar.parent.name
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "frame.parquet"
            done = subprocess.run(
                [Path(sys.executable).with_name("oncoframe"), "frame", "rebuild", frame_id,
                 "--home", home, "--out", out],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode:
                yield f"frame {frame_id}: {done.stderr.strip()}"
            elif out.read_bytes() != sidecar.with_name("frame.parquet").read_bytes():
                yield f"frame {frame_id}: other bytes"


def _lake(home: Path) -> dict[str, pl.DataFrame]:
    return {
        folder.parent.name: pl.read_delta(str(folder.parent))
        for folder in sorted(home.glob("lake/*/_delta_log"))
    }


def _of_frames(before: Path, after: Path) -> Iterator[str]:
    first, second = ({_named(file): file for file in home.glob("frames/*/frame.json")}
                     for home in (before, after))  # fmt: skip
    yield from _of_names(first, second, "frames")
    for name in first.keys() & second.keys():
        files = first[name], second[name]
        tables = ({"rows": pl.read_parquet(f.with_name("frame.parquet"))} for f in files)
        yield from _of_tables(*tables, f"frame {name}")
        yield from _of_values(*(json.loads(f.read_text()) for f in files), f"frame {name}")


def _named(sidecar: Path) -> str:
    about = json.loads(sidecar.read_text())
    return f"{about['study']}{' of everyone' if about['everyone'] else ''}"


def _of_trainings(before: Path, after: Path) -> Iterator[str]:
    first, second = _runs(before), _runs(after)
    yield from _of_names(first, second, "trainings")
    for name in first.keys() & second.keys():
        for file in sorted(first[name].glob("**/*")):
            other = second[name] / file.relative_to(first[name])
            where = f"training {name}, {file.name}"
            if file.name in _LEFT_OUT or file.suffix not in _COMPARED:
                continue
            if not other.exists():
                yield f"{where}: not there after"
            elif file.suffix == ".png":
                if file.read_bytes() != other.read_bytes():
                    yield f"{where}: another picture"
            elif file.suffix == ".json":
                yield from _of_values(
                    json.loads(file.read_text()), json.loads(other.read_text()), where
                )
            else:
                read = pl.read_csv if file.suffix == ".csv" else pl.read_parquet
                yield from _of_tables({"rows": read(file)}, {"rows": read(other)}, where)


def _runs(home: Path) -> dict[str, Path]:
    """Study and run name -> files of its newest run; the id of the frame is no part of the name."""
    database = home / "mlflow" / "mlflow.db"
    if not database.exists():
        return {}
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "select experiments.name, runs.name, runs.artifact_uri from runs "
            "join experiments using (experiment_id) order by runs.start_time"
        ).fetchall()
    named = (
        (f"{study}: {run.rpartition(' ')[0] if run.startswith(f'{study} on ') else run}", uri)
        for study, run, uri in rows
    )
    # A home may have been moved since MLflow wrote down where its files are.
    return {
        name: home / "mlflow" / unquote(urlparse(uri).path).partition("/mlflow/")[2]
        for name, uri in named
    }


def _of_tables(
    before: dict[str, pl.DataFrame], after: dict[str, pl.DataFrame], where: str
) -> Iterator[str]:
    yield from _of_names(before, after, where)
    for name in before.keys() & after.keys():
        first, second = (_stable(table) for table in (before[name], after[name]))
        try:
            assert_frame_equal(first, second, check_exact=True)
        except AssertionError as error:
            yield f"{where}, {name}: {' '.join(str(error).split())[:300]}"


def _stable(table: pl.DataFrame) -> pl.DataFrame:
    """Rows without volatile columns, in an order that rests on their values."""
    kept = table.drop(VOLATILE, strict=False)
    keys = [name for name, dtype in kept.schema.items() if not dtype.is_nested()]
    return kept.sort(keys) if keys else kept


def _of_values(before: Any, after: Any, where: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        first, second = ({k: v for k, v in d.items() if k not in VOLATILE} for d in (before, after))
        yield from _of_names(first, second, where)
        for key in first.keys() & second.keys():
            yield from _of_values(first[key], second[key], f"{where}, {key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (first, second) in enumerate(zip(before, after, strict=True)):
            yield from _of_values(first, second, f"{where}[{number}]")
    elif before != after:
        yield f"{where}: {before} before, {after} after"


def _of_names(before: dict[str, Any], after: dict[str, Any], where: str) -> Iterator[str]:
    for names, when in (
        (before.keys() - after.keys(), "after"),
        (after.keys() - before.keys(), "before"),
    ):
        if names:
            yield f"{where}: no {', '.join(sorted(names))} {when}"


def main() -> int:
    """Compare, print, and say by the exit code whether all is the same."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path, help="home made by the version before")
    parser.add_argument("after", type=Path, nargs="?", help="home made by the version after")
    parser.add_argument("--rebuild", action="store_true", help="build the frames of BEFORE again")
    given = parser.parse_args()
    if given.rebuild == (given.after is not None):
        parser.error("name two homes, or one with --rebuild")
    found = list(
        not_rebuilt(given.before) if given.rebuild else differences(given.before, given.after)
    )
    for line in found:
        print(line)
    print(json.dumps({"differences": len(found)}))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
