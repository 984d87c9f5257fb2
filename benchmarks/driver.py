"""The per-patient driver: overhead, workers, memory and growth, on files that cost nothing to read.

    python benchmarks/driver.py [--only overhead workers memory growth] [--patients N]
        [--small N] [--large N]

One JSON line per measurement. Each measurement runs in a process of its own, so that peak memory
is its own; writing the files and taking them in are not counted. Files are STAR-Fusion tables of
one call, but for ``growth``: three assays of the synthetic cohort. What is compared runs in
turns, so that a busy machine slows both; the load of the machine is part of the line.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from assets.landing import intake
from assets.landing.samplesheet import read_samplesheet
from assets.simulate.landing_zone import simulate
from oncoframe.contracts import Modality
from oncoframe.lake import Lake
from oncoframe.modalities import extractor, spec
from orchestration.partitions import PATIENTS
from orchestration.patients.driver import Driver
from orchestration.patients.per_patient import per_patient_asset
from orchestration.pipeline import open_instance
from orchestration.progress import Progress
from orchestration.settings import Settings

BARS = {"overhead": 25.0, "workers": 1.7, "memory": 200, "growth": 1.3}
HEADER = "#FusionName\tJunctionReadCount\tSpanningFragCount\n"
#: Calls in a table that takes a worker much longer than handing it over.
HEAVY_CALLS = 5_000
ROUNDS = 3
MODALITY = Modality.FUSION
#: Assays of ``growth``: a large VCF, 20,000 genes, a small table.
ASSAYS = (Modality.SNV, Modality.EXPRESSION, Modality.FUSION)


def write_fusions(landing: Path, patients: int, calls: int = 1) -> None:
    """Landing zone of one fusion table per patient."""
    files = landing / "files"
    files.mkdir(parents=True)
    sheet = ["patient_id,modality,path,collected_on,status,reference_build,tool,site"]
    for number in range(patients):
        rows = "".join(f"BCR--ABL1\t{number + call % 7}\t2\n" for call in range(calls))
        (files / f"{number}.tsv").write_text(HEADER + rows)
        sheet.append(f"P{number:06d},fusion,files/{number}.tsv,2024-01-01,performed,,STAR-Fusion,")
    (landing / "samplesheet.csv").write_text("\n".join(sheet) + "\n")


def take_in(settings: Settings) -> list[str]:
    """Land the files of a home; patients."""
    sheet = read_samplesheet(settings.require_landing())
    landed = intake.take_in(Lake(settings.lake_dir), sheet, now=datetime.now(tz=UTC))
    return landed["patient_id"].unique().sort().to_list()


def home(root: Path, name: str, landing: Path, workers: int = 2) -> Settings:
    """Empty home beside the others."""
    return Settings(home=root / name, landing=str(landing), workers=workers)


def chunks(settings: Settings, patients: list[str]) -> Iterator[list[str]]:
    """Patients of one run each, as the main job cuts them."""
    for first in range(0, len(patients), settings.chunk_patients):
        yield patients[first : first + settings.chunk_patients]


def drive(settings: Settings, patients: list[str], modality: Modality = MODALITY) -> None:
    """All patients through the driver, a run per chunk, without Dagster."""
    driver = Driver(Lake(settings.lake_dir), settings)
    for chunk in chunks(settings, patients):
        for outcome in driver.run(modality, chunk, run_id="benchmark"):
            if outcome.entry.error:
                raise RuntimeError(outcome.entry.message)


def drive_with_dagster(settings: Settings, patients: list[str]) -> None:
    """All patients through the asset, a Dagster run per chunk, events in SQLite."""
    resources = {"driver": Driver(Lake(settings.lake_dir), settings), "progress": Progress()}
    quiet = {"console": {"config": {"log_level": "CRITICAL"}}}
    landed = dg.AssetSpec(intake.TABLE)
    defs = dg.Definitions([landed, per_patient_asset(spec(MODALITY))], resources=resources)
    job = defs.resolve_implicit_global_asset_job_def()
    with open_instance(settings.dagster_dir) as instance:
        instance.add_dynamic_partitions(PATIENTS.name, patients)
        for chunk in chunks(settings, patients):
            config = {"fusion_features": {"config": {"patients": chunk}}}
            job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey("fusion_features")],
                run_config={"ops": config, "loggers": quiet},
            )


def bare(landing: Path, patients: int) -> None:
    """The same extractor in a loop: what nobody can undercut."""
    extract = extractor(MODALITY)
    for number in range(patients):
        extract(landing / "files" / f"{number}.tsv", reference_build=None)


class Cost(NamedTuple):
    """Wall clock, and processor time of this process alone: without workers, whatever the load."""

    wall_s: float
    cpu_s: float


def timed(call: Callable[..., object], *arguments: object) -> Cost:
    """What a call costs."""
    wall, cpu = time.perf_counter(), time.process_time()
    call(*arguments)
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def peak_mb() -> int:
    """Peak memory of this process, without its workers."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024)


def overhead(root: Path, patients: int) -> dict[str, Any]:
    """Milliseconds per patient and modality above the bare loop."""
    landing = root / "landing"
    write_fusions(landing, patients)
    costs: dict[str, list[Cost]] = {"bare": [], "driver": [], "with_dagster": []}
    for turn in range(ROUNDS):
        costs["bare"].append(timed(bare, landing, patients))
        for name, call in (("driver", drive), ("with_dagster", drive_with_dagster)):
            settings = home(root, f"{name}{turn}", landing)
            costs[name].append(timed(call, settings, take_in(settings)))
    plain = statistics.median(cost.wall_s for cost in costs.pop("bare"))
    found: dict[str, Any] = {"patients": patients, "bare_ms": per_patient(plain, patients)}
    for name, spent in costs.items():
        above = statistics.median(cost.wall_s for cost in spent) - plain
        found[f"{name}_ms"] = per_patient(above, patients)
        cpu = statistics.median(cost.cpu_s for cost in spent)
        found[f"{name}_cpu_ms"] = per_patient(cpu, patients)
    return {**found, "bar_ms": BARS["overhead"]}


def per_patient(seconds: float, patients: int) -> float:
    """Milliseconds for each."""
    return round(1000 * seconds / patients, 2)


def workers(root: Path, patients: int) -> dict[str, Any]:
    """Times faster with two workers than with one, on tables that take long to parse."""
    landing = root / "landing"
    write_fusions(landing, patients, HEAVY_CALLS)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(ROUNDS):
        for number, spent in seconds.items():
            settings = home(root, f"{number}_{turn}", landing, number)
            spent.append(timed(drive, settings, take_in(settings)).wall_s)
    one, two = (statistics.median(spent) for spent in seconds.values())
    plain = timed(bare, landing, patients).wall_s
    found = {"bare_s": round(plain, 2), "one_s": round(one, 2), "two_s": round(two, 2)}
    return {
        "patients": patients,
        **found,
        "times_faster": round(one / two, 2),
        "bar": BARS["workers"],
    }


def memory(root: Path, patients: int) -> dict[str, Any]:
    """Peak memory of the process of the driver with Dagster."""
    landing = root / "landing"
    write_fusions(landing, patients)
    settings = home(root, "home", landing)
    cost = timed(drive_with_dagster, settings, take_in(settings))
    return {"patients": patients, "seconds": round(cost.wall_s, 1), "peak_mb": peak_mb()}


def growth(root: Path, patients: int) -> dict[str, Any]:
    """Milliseconds per patient for three assays of the synthetic cohort."""
    landing = root / "landing"
    simulate(landing, patients=patients, seed=1)
    settings = home(root, "home", landing)
    landed = take_in(settings)
    costs = [timed(drive, settings, landed, modality) for modality in ASSAYS]
    wall, cpu = (sum(column) for column in zip(*costs, strict=True))
    return {
        "patients": patients,
        "seconds": round(wall, 1),
        "ms_per_patient": per_patient(wall, patients),
        "cpu_ms_per_patient": per_patient(cpu, patients),
    }


MEASUREMENTS = {"overhead": overhead, "workers": workers, "memory": memory, "growth": growth}


def measure(name: str, patients: int) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--one", name, "--patients", str(patients)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    line = {"benchmark": "driver", "measured": name, "load": round(os.getloadavg()[0], 1)}
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    print(json.dumps({**line, **found}), flush=True)
    return found


def compare(name: str, small: int, large: int) -> None:
    """A measurement at two sizes, and what the larger adds."""
    few, many = measure(name, small), measure(name, large)
    if name == "memory":
        found = {"added_mb": many["peak_mb"] - few["peak_mb"]}
    else:
        keys = {"ratio": "ms_per_patient", "cpu_ratio": "cpu_ms_per_patient"}
        found = {ratio: round(many[key] / few[key], 2) for ratio, key in keys.items()}
    line = {"benchmark": "driver", "measured": name, "patients": [small, large], **found}
    print(json.dumps({**line, "bar": BARS[name]}), flush=True)


def main() -> None:
    """Run all measurements, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    parser.add_argument("--patients", type=int, default=2000, help="for overhead")
    parser.add_argument("--small", type=int, default=0, help="for memory (200) and growth (500)")
    parser.add_argument("--large", type=int, default=5000, help="for memory and growth")
    parser.add_argument("--one", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(MEASUREMENTS[arguments.one](Path(folder), arguments.patients)))
        return
    if "overhead" in arguments.only:
        measure("overhead", arguments.patients)
    if "workers" in arguments.only:
        measure("workers", 160)
    if "memory" in arguments.only:
        compare("memory", arguments.small or 200, arguments.large)
    if "growth" in arguments.only:
        compare("growth", arguments.small or 500, arguments.large)


if __name__ == "__main__":
    main()
