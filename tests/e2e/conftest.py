"""Fixtures of the end-to-end tests: the installed command line, and what a home holds after it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from assets.landing import intake
from oncoframe import ledger
from oncoframe.contracts import Contract
from oncoframe.hashing import content_hash
from oncoframe.lake import Lake
from oncoframe.modalities import assays
from orchestration.pipeline import open_instance
from orchestration.settings import Settings

#: Variables of the developer's shell that would lead a command elsewhere.
_FOREIGN = ("ONCOFRAME_", "DAGSTER_HOME", "MLFLOW_")
#: A process that lives on so long after its run was killed would stay for ever.
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code and both streams."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object on the last line of stdout."""
        found: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return found


@dataclass(frozen=True)
class Home:
    """What a home holds: Delta versions, rows, Dagster runs and materialised patients."""

    versions: dict[str, int | None]
    rows: dict[str, list[str]]
    runs: int
    materialized: dict[str, set[str]]


def environment(home: Path, **settings: object) -> dict[str, str]:
    """Environment of a process of ours that works on a home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    own = {f"ONCOFRAME_{name.upper()}": str(value) for name, value in settings.items()}
    return {**kept, **own, "ONCOFRAME_HOME": str(home)}


@pytest.fixture(scope="session")
def oncoframe() -> Callable[..., Answer]:
    """Run the command line as its users do: ``oncoframe(home, "run", ..., workers=1)``."""

    def call(home: Path, *arguments: object, **settings: object) -> Answer:
        ended = subprocess.run(
            [Path(sys.executable).with_name("oncoframe"), *map(str, arguments)],
            env=environment(home, **settings),
            capture_output=True,
            text=True,
            check=False,
        )
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    return call


@pytest.fixture(scope="session")
def look() -> Callable[[Path], Home]:
    """Look into lake and Dagster instance of a home."""

    def take_stock(home: Path) -> Home:
        settings = Settings(home=home)
        lake = Lake(settings.lake_dir)
        contracts = [reader.contract for reader in assays().values()]
        with open_instance(settings.dagster_dir) as instance:
            return Home(
                versions={table: lake.version(table) for table in lake.tables()},
                rows={
                    contract.table: lake.scan_features(contract)
                    .select("patient_id")
                    .collect()["patient_id"]
                    .sort()
                    .to_list()
                    for contract in contracts
                },
                runs=instance.get_runs_count(),
                materialized={
                    contract.table: set(
                        instance.get_materialized_partitions(dg.AssetKey(contract.table))
                    )
                    for contract in contracts
                },
            )

    return take_stock


@pytest.fixture(scope="session")
def content() -> Callable[[Path], dict[str, str]]:
    """Table -> hash of what runs decide: no times, no run ids, vectors in order of name."""
    return _content


def _content(home: Path) -> dict[str, str]:
    lake = Lake(home / "lake")
    contracts = [reader.contract for reader in assays().values()]
    hashes = {contract.table: content_hash(_named(lake, contract)) for contract in contracts}
    last = ledger.current(lake).select("patient_id", "modality", "outcome", "error", "message")
    landed = intake.landed(lake).drop("seen_at", "stamp")
    return {**hashes, "ledger": content_hash(last), "landed_files": content_hash(landed)}


def _named(lake: Lake, contract: Contract) -> pl.DataFrame:
    """Rows with every vector as long as the dictionary, in order of name."""
    rows = lake.scan_features(contract).drop("created_timestamp", "run_id").collect()
    dictionaries = {block.axis: lake.dictionary(block.axis)["name"] for block in contract.blocks}
    for block in contract.blocks:
        names = dictionaries[block.axis]
        by_name = names.arg_sort().to_numpy()
        full = np.full((len(rows), len(names)), block.fill, dtype=np.float32)
        for row, vector in zip(full, rows[block.name], strict=True):
            if vector is not None:
                row[: len(vector)] = vector.to_numpy()
        vectors = pl.Series(block.name, full[:, by_name]).arr.to_list()
        rows = rows.with_columns(pl.when(pl.col(block.name).is_not_null()).then(vectors))
    hashes = [content_hash(names.sort().to_frame()) for _, names in sorted(dictionaries.items())]
    return rows.with_columns(dictionary=pl.lit(" ".join(hashes)))


@pytest.fixture(scope="session")
def rows_twice() -> Callable[[Path], list[str]]:
    """Tables in which a patient has two rows of one event."""

    def find(home: Path) -> list[str]:
        lake = Lake(home / "lake")
        keys = {
            reader.contract.table: lake.scan_features(reader.contract)
            .select("patient_id", "event_timestamp")
            .collect()
            for reader in assays().values()
        }
        return [table for table, rows in keys.items() if rows.is_duplicated().any()]

    return find


def _session(leader: int) -> set[int]:
    """Living processes of a session: the run, its fork server, the workers."""
    members = set()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            state, _, _, sid, *_ = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended while we looked
            continue
        if int(sid) == leader and state != "Z":
            members.add(int(process.name))
    return members


@pytest.fixture(scope="session")
def seconds_until_gone() -> Callable[[int], float]:
    """How long the last process of a session lives on; what outlives all patience is killed."""

    def wait(leader: int) -> float:
        begun = time.monotonic()
        while members := _session(leader):
            if time.monotonic() - begun > PATIENCE_S:
                for process in members:
                    os.kill(process, signal.SIGKILL)
            Event().wait(0.01)
        return time.monotonic() - begun

    return wait
