"""Pulling training rows through Feast: our store, Feast's DuckDB store, and plainly reading.

    python benchmarks/frames.py [scalars] [vector] [expanded] [history] [patients]

One JSON line per measurement. What is compared runs in turns, each time in a process of its own,
so that peak memory is its own; importing Feast and making the data are not counted.
"""

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml.frames.expand import expand
from ml.frames.frame import Frame, Sidecar
from oncoframe.contracts import PROVENANCE_COLUMNS, WITHDRAWN, Block, Contract, Feature
from oncoframe.lake import Lake

INDEX = datetime(2024, 1, 1, tzinfo=UTC)
ROUNDS = 3


def wide_contract(table: str, columns: int) -> Contract:
    """Table of that many numbers."""
    names = [f"{table}_{number}" for number in range(columns)]
    features = tuple(Feature(name, pl.Float64(), "1", "random") for name in names)
    return Contract(table, table, "Random numbers.", "1", features)


SCALARS = tuple(wide_contract(f"view{number}", 270) for number in range(3))
HISTORY = (wide_contract("history", 200),)
VECTOR = (Contract("vector", "vector", "Random vector.", "1",
                   blocks=(Block("values", "gene", "1", "random", fill=0.0),)),)  # fmt: skip
GENES = 70_000
NAMED_COLUMNS = 21_000
NAMED = tuple(wide_contract(f"named{number}", NAMED_COLUMNS // 3) for number in range(3))
NAMES = (Contract("names", "names", "Random vector.", "1",
                  blocks=(Block("values", "name", "1", "random", fill=0.0),)),)  # fmt: skip
WIDTHS = {"gene": GENES, "name": NAMED_COLUMNS}


def write(home: Path, contract: Contract, first: int, patients: int, day: int = 0) -> None:
    """Append a row of every patient, in one commit."""
    rng = np.random.default_rng(first + day)
    when = INDEX + timedelta(days=day)
    columns: dict[str, Any] = {
        "patient_id": [f"P{number:07d}" for number in range(first, first + patients)],
        "event_timestamp": [when] * patients,
        "created_timestamp": [when] * patients,
        contract.performed_column: [True] * patients,
    }
    columns |= {feature.column: rng.normal(size=patients) for feature in contract.features}
    for block in contract.blocks:
        vectors = pl.Series(rng.gamma(2.0, size=(patients, WIDTHS[block.axis])).astype(np.float32))
        columns[block.name] = vectors.arr.to_list()
    columns |= dict.fromkeys(PROVENANCE_COLUMNS, ["benchmark"] * patients)
    columns[WITHDRAWN] = [False] * patients
    schema = contract.schema()
    rows = pl.DataFrame({name: columns[name] for name in schema}, schema=schema)
    Lake(home / "lake").append_features(contract, rows)


def entities(patients: int) -> pl.DataFrame:
    """Entity row of every patient after all events, in random order."""
    ids = [f"P{number:07d}" for number in range(patients)]
    frame = pl.DataFrame({"patient_id": ids}).with_columns(
        event_timestamp=pl.lit(INDEX + timedelta(days=1000))
    )
    return frame.sample(fraction=1.0, shuffle=True, seed=1)


def ours(home: Path, contracts: tuple[Contract, ...], patients: int) -> dict[str, float]:
    """Pull all columns through our store."""
    from feast import FeatureService  # noqa: PLC0415

    from feature_repo.client import open_store, training_rows  # noqa: PLC0415
    from feature_repo.entities import PATIENT  # noqa: PLC0415
    from feature_repo.views import feature_view  # noqa: PLC0415

    views = [feature_view(contract) for contract in contracts]
    store = open_store(home)
    store.apply([PATIENT, *views, FeatureService(name="all", features=views)])
    asked = entities(patients)
    return measured(lambda: training_rows(store, "all", asked), patients)


def named(home: Path, contracts: tuple[Contract, ...], patients: int) -> dict[str, float]:
    """Pull a vector through our store and give each position a column of its own."""
    from feast import FeatureService  # noqa: PLC0415

    from feature_repo.client import open_store, training_rows  # noqa: PLC0415
    from feature_repo.entities import PATIENT  # noqa: PLC0415
    from feature_repo.views import feature_view  # noqa: PLC0415

    views = [feature_view(contract) for contract in contracts]
    store = open_store(home)
    store.apply([PATIENT, *views, FeatureService(name="all", features=views)])
    asked = entities(patients)
    genes = {"name": tuple(f"GENE{number}:{number}" for number in range(NAMED_COLUMNS))}
    columns = {"modality": "names", "feature": "values", "unit": "1", "known": "at_index"}
    about = {"names__values": {**columns, "kind": "block", "axis": "name", "fill": 0.0}}
    header = {"frame_id": "f", "study": "s", "label_name": "l", "columns": about}
    sidecar = Sidecar.model_validate(header)

    def pull() -> pl.DataFrame:
        rows = pl.DataFrame(training_rows(store, "all", asked))
        rows = rows.rename({"event_timestamp": "index_timestamp"}).with_columns(label=pl.lit("x"))
        return expand(Frame(sidecar, rows, genes))

    return measured(pull, patients)


def duckdb(home: Path, contracts: tuple[Contract, ...], patients: int) -> dict[str, float]:
    """Pull all columns through Feast's DuckDB store, created times respected."""
    from feast import FeatureStore, FeatureView, FileSource, RepoConfig  # noqa: PLC0415

    from feature_repo.entities import PATIENT  # noqa: PLC0415
    from feature_repo.views import feature_view  # noqa: PLC0415

    def view(contract: Contract) -> FeatureView:
        # DuckDB would download an extension to read Delta itself.
        file = home / f"{contract.table}.parquet"
        Lake(home / "lake").scan(contract.table).collect().write_parquet(file)
        source = FileSource(
            path=str(file),
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        )
        schema = feature_view(contract).schema
        return FeatureView(name=contract.table, entities=[PATIENT], schema=schema, source=source)

    config = RepoConfig(
        project="duckdb",
        provider="local",
        registry=str(home / "duckdb_registry.db"),
        online_store={"type": "sqlite", "path": str(home / "duckdb_online.db")},
        offline_store={"type": "duckdb"},
    )
    store = FeatureStore(config=config)
    views = [view(contract) for contract in contracts]
    store.apply([PATIENT, *views])
    asked = entities(patients).to_pandas()
    features = [f"{view.name}:{field.name}" for view in views for field in view.features]

    def pull() -> Any:
        return store.get_historical_features(
            asked, features, full_feature_names=True, filter_by_created_timestamp=True
        ).to_arrow()

    return measured(pull, patients)


def reading(home: Path, contracts: tuple[Contract, ...], patients: int) -> dict[str, float]:
    """Read the Parquet files of the tables."""
    lake = Lake(home / "lake")
    return measured(lambda: pl.concat(lake.scan(c.table).collect() for c in contracts), patients)


def measured(pull: Callable[[], Any], patients: int) -> dict[str, float]:
    """Seconds of one call, processor seconds, and peak memory of the process."""
    wall, cpu = time.perf_counter(), time.process_time()
    rows = len(pull())
    seconds = {"s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    if rows != patients:
        msg = f"pulled {rows} rows of {patients}"
        raise RuntimeError(msg)
    return {**seconds, "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Result of a function that runs in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare(
    home: Path,
    contracts: tuple[Contract, ...],
    patients: int,
    reference: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Medians over rounds in which our store and the reference take turns."""
    ways = {"ours": ours, **({reference.__name__: reference} if reference else {})}
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            taken[name].append(alone(way, home, contracts, patients))
    line = {
        f"{name}_{unit}": round(statistics.median(each[unit] for each in times), 3)
        for name, times in taken.items()
        for unit in ("s", "cpu_s", "peak_gb")
    }
    if reference:
        line["times_reference"] = round(line["ours_s"] / line[f"{reference.__name__}_s"], 3)
    return {"patients": patients, **line}


def scalars(home: Path) -> Iterator[dict[str, Any]]:
    """5,000 patients x 810 numbers in three views, against Feast's DuckDB store."""
    for contract in SCALARS:
        alone(write, home, contract, 0, 5_000)
    yield {"columns": 810, **compare(home, SCALARS, 5_000, duckdb)}


def vector(home: Path) -> Iterator[dict[str, Any]]:
    """5,000 patients x one vector of 70,000, against reading the files."""
    for first in range(0, 5_000, 500):
        alone(write, home, VECTOR[0], first, 500)
    yield {"vector": GENES, **compare(home, VECTOR, 5_000, reading)}


def expanded(home: Path) -> Iterator[dict[str, Any]]:
    """5,000 patients x 21,000 named columns of a vector, against as many scalar columns.

    Feast's DuckDB store takes minutes, so it has one turn and each round of ours is held against
    it.
    """
    for contract in NAMED:
        alone(write, home, contract, 0, 5_000)
    for first in range(0, 5_000, 500):
        alone(write, home, NAMES[0], first, 500)
    scalar = alone(duckdb, home, NAMED, 5_000)
    rounds = [alone(named, home, NAMES, 5_000) for _ in range(ROUNDS)]
    middle = {unit: statistics.median(each[unit] for each in rounds) for unit in scalar}
    line = {f"ours_{unit}": round(value, 3) for unit, value in middle.items()}
    line |= {f"duckdb_{unit}": round(value, 3) for unit, value in scalar.items()}
    times = {"times_reference": round(middle["s"] / scalar["s"], 4)}
    yield {"columns": NAMED_COLUMNS, "patients": 5_000, **line, **times}


def history(home: Path) -> Iterator[dict[str, Any]]:
    """100,000 patients x 200 numbers x 5 versions."""
    yield {"columns": 200, "versions": 5, **_history(home, 100_000)}


def patients(home: Path) -> Iterator[dict[str, Any]]:
    """Cost per patient as the cohort grows."""
    for number in (12_500, 25_000, 50_000):
        line = _history(home / str(number), number)
        yield {
            "columns": 200,
            "versions": 5,
            **line,
            "us_per_patient": 1e6 * line["ours_s"] / number,
        }


def _history(home: Path, number: int) -> dict[str, Any]:
    step = min(number, 20_000)
    for day in range(0, 150, 30):
        for first in range(0, number, step):
            alone(write, home, HISTORY[0], first, min(step, number - first), day)
    return compare(home, HISTORY, number)


CASES = {case.__name__: case for case in (scalars, vector, expanded, history, patients)}


def main() -> None:
    """Run the cases that are named, or all."""
    for name in sys.argv[1:] or CASES:
        with tempfile.TemporaryDirectory() as folder:
            for line in CASES[name](Path(folder)):
                print(json.dumps({"benchmark": "frames", "case": name, **line}), flush=True)


if __name__ == "__main__":
    main()
