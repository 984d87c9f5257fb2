"""Drift: speed and memory against Evidently's preset, false alarms, planted shifts found.

    python benchmarks/drift.py [speed] [wide] [vector] [null] [power]

One JSON line per measurement. What is timed runs in a process of its own, so that peak memory is
its own; importing and making the data are not counted. Patients are simulated (``drift_cohort``).
"""

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from drift_cohort import PLANTS, Cohort, about, new_kernel, vaf

from ml.drift.comparison import Window, compare
from ml.drift.report import write_report
from ml.drift.score import is_covariate
from ml.frames.frame import Frame, Sidecar

ROUNDS = 3
REFERENCE = 4_500
NULL_WEEKS = 200
POWER_RUNS = 100


def null() -> Iterator[dict[str, Any]]:
    """Weeks of 30 to 300 patients of the same distribution, against 4,500 x 800."""
    reference = Cohort(REFERENCE, 0).window("R")
    rng = np.random.default_rng(1)
    alarms, columns = 0, 0
    for week in range(NULL_WEEKS):
        window = Cohort(int(rng.integers(30, 301)), 1000 + week).window("C")
        verdict = compare(reference, window).verdict
        alarms += verdict.drifted
        columns += len(verdict.columns)
    width = len(reference.frame.sidecar.columns)
    share = {"alarms": alarms, "alarm_share": alarms / NULL_WEEKS, "false_columns": columns}
    yield {"weeks": NULL_WEEKS, "reference": REFERENCE, "columns": width, **share}


def power() -> Iterator[dict[str, Any]]:
    """How often a planted shift is found among 100 new patients, and its cause named."""
    reference = Cohort(REFERENCE, 0).window("R")
    for name, (plant, words) in PLANTS.items():
        found = in_values = named = 0
        for run in range(POWER_RUNS):
            verdict = compare(reference, Cohort(100, 5000 + run, plant).window("C")).verdict
            found += verdict.drifted
            # The kernel is a column of its own and drifts with itself; do the radiomics tell, too?
            in_values += not all(is_covariate(column) for column in verdict.columns)
            named += words in (verdict.cause or "")
        counts = {"found": found, "found_in_values": in_values, "cause_named": named}
        shares = {what: count / POWER_RUNS for what, count in counts.items()}
        yield {"plant": name, "patients": 100, "runs": POWER_RUNS, **shares}


def ours(reference: Window, current: Window, folder: Path) -> dict[str, Any]:
    """Compare and write the report."""
    report = compare(reference, current)
    files = write_report(report, folder)
    return {"drifted": len(report.verdict.columns), "html_mb": files["html"].stat().st_size / 1e6}


def preset(reference: Window, current: Window, folder: Path) -> dict[str, Any]:
    """Evidently's preset on the same columns, its page included.

    It stops at a column without values, so that it gets the others.
    """
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    frames = [
        window.frame.rows.drop("patient_id", "index_timestamp", "label").to_pandas()
        for window in (reference, current)
    ]
    filled = [name for name in frames[0] if all(frame[name].notna().any() for frame in frames)]
    frames = [frame[filled] for frame in frames]
    texts = [name for name, dtype in frames[0].dtypes.items() if dtype in ("object", "bool")]
    numbers = [name for name in frames[0].columns if name not in texts]
    columns = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    first, second = (Dataset.from_pandas(frame, columns) for frame in frames)
    snapshot = Report([DataDriftPreset()]).run(second, first)
    file = folder / "preset.html"
    snapshot.save_html(str(file))
    return {"html_mb": file.stat().st_size / 1e6}


def only(reference: Window, current: Window, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    """Compare without a report."""
    return {"drifted": len(compare(reference, current).verdict.columns)}


def measured(way: Callable[..., dict[str, Any]], make: Callable[[], tuple[Window, Window]]) -> Any:
    """Seconds, processor seconds and peak memory of one way, in this process."""
    import evidently.presets  # noqa: F401, PLC0415

    with tempfile.TemporaryDirectory() as folder:
        # Making the data takes more memory than comparing them.
        alone(keep, make, Path(folder))
        reference, current = (kept(Path(folder) / name) for name in ("reference", "current"))
    data = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        made = way(reference, current, Path(folder))
        seconds = {"s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    return {
        **made,
        **seconds,
        "data_gb": data,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def keep(make: Callable[[], tuple[Window, Window]], folder: Path) -> None:
    """Write two windows as frames are kept."""
    for name, window in zip(("reference", "current"), make(), strict=True):
        (folder / name).mkdir()
        window.frame.rows.write_parquet(folder / name / "rows.parquet")
        if window.provenance is not None:
            window.provenance.write_parquet(folder / name / "provenance.parquet")
        about = window.frame.sidecar.model_dump_json()
        (folder / name / "sidecar.json").write_text(about)
        (folder / name / "dictionaries.json").write_text(json.dumps(window.frame.dictionaries))


def kept(folder: Path) -> Window:
    """Read such a window."""
    frame = Frame(
        Sidecar.model_validate_json((folder / "sidecar.json").read_text()),
        pl.read_parquet(folder / "rows.parquet"),
        json.loads((folder / "dictionaries.json").read_text()),
    )
    provenance = folder / "provenance.parquet"
    return Window(frame, pl.read_parquet(provenance) if provenance.exists() else None)


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Result of a function that runs in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def usual() -> tuple[Window, Window]:
    """4,500 patients and 500 with two shifts, 800 columns."""

    def both(cohort: Cohort, rng: np.random.Generator) -> None:
        vaf(cohort, rng)
        new_kernel(cohort, rng)

    return Cohort(REFERENCE, 0).window("R"), Cohort(500, 1, both).window("C")


def wide_frames() -> tuple[Window, Window]:
    """4,500 patients and 500, 20,000 scalar columns."""
    return Cohort(REFERENCE, 0, width=31.4).window("R"), Cohort(500, 1, vaf, 31.4).window("C")


def vector_frames() -> tuple[Window, Window]:
    """4,500 patients and 500, one vector of 60,000 genes, of which 3,000 shifted."""
    genes = 60_000
    windows = []
    for name, patients, shift in (("R", REFERENCE, 0.0), ("C", 500, 0.5)):
        rng = np.random.default_rng(patients)
        values = rng.standard_normal((patients, genes), dtype=np.float32)
        values[:, :3000] += shift
        column = "expression_features__expression"
        vectors = pl.Series(column, values).arr.to_list()
        rows = pl.DataFrame(
            {"patient_id": [f"{name}{i}" for i in range(patients)], column: vectors}
        )
        columns = {column: about(column, "block", axis="gene")}
        sidecar = Sidecar(frame_id=name, study="simulated", label_name="class", columns=columns)
        windows.append(Window(Frame(sidecar, rows, {"gene": tuple(f"G{i}" for i in range(genes))})))
    return windows[0], windows[1]


def speed() -> Iterator[dict[str, Any]]:
    """800 columns with the report, in turns with Evidently's preset."""
    taken: dict[str, list[dict[str, float]]] = {"ours": [], "preset": []}
    for _ in range(ROUNDS):
        taken["ours"].append(alone(measured, ours, usual))
        taken["preset"].append(alone(measured, preset, usual))
    line = {
        f"{name}_{unit}": round(statistics.median(each[unit] for each in times), 3)
        for name, times in taken.items()
        for unit in ("s", "cpu_s", "peak_gb", "html_mb")
    }
    times = {"times_preset": round(line["ours_cpu_s"] / line["preset_cpu_s"], 4)}
    yield {"reference": REFERENCE, "current": 500, "columns": 800, **line, **times}


def wide() -> Iterator[dict[str, Any]]:
    """20,000 scalar columns with the report."""
    yield {"columns": 20_000, **alone(measured, ours, wide_frames)}


def vector() -> Iterator[dict[str, Any]]:
    """A vector of 60,000 genes, without the report."""
    yield {"columns": 60_000, **alone(measured, only, vector_frames)}


CASES = {case.__name__: case for case in (speed, wide, vector, null, power)}


def main() -> None:
    """Run the cases that are named, or all."""
    for name in sys.argv[1:] or CASES:
        for line in CASES[name]():
            print(json.dumps({"benchmark": "drift", "case": name, **line}), flush=True)


if __name__ == "__main__":
    main()
