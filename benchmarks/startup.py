"""Start-up of the command line, and the demo: what a person waits for.

    python benchmarks/startup.py [--against DIR] [--patients N] [--only models help demo]

One JSON line per measurement. ``--against`` names another checkout with its own environment, whose
runs alternate with those of this one, so that a busy machine slows both; the load of the machine
is part of the line. Seconds of the processor include those of child processes.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

STUDY = "synthetic_leukemia"
BARS_S = {"models": 2.0, "help": 1.0, "demo": 40.0}
ROUNDS = {"models": 5, "help": 5, "demo": 1}
HERE = Path(__file__).resolve().parent.parent


def words(what: str, home: Path, patients: int) -> list[str]:
    """Arguments of ``oncoframe``."""
    return {
        "models": ["models", STUDY, "--home", str(home)],
        "help": ["--help"],
        "demo": ["demo", "--patients", str(patients), "--seed", "1", "--home", str(home)],
    }[what]


def seconds(tree: Path, arguments: list[str]) -> tuple[float, float]:
    """Time of one command by the clock, and of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    program = tree / ".venv" / "bin" / "oncoframe"
    subprocess.run([program, *arguments], cwd=tree, check=True, capture_output=True)
    clock, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return clock, used


def measure(what: str, trees: dict[str, Path], root: Path, patients: int) -> None:
    """Run one command in turns in each tree, and print a line."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in trees}
    for number in range(ROUNDS[what]):
        for name, tree in trees.items():
            # The demo leaves a home with models, which `models` then lists.
            home = root / (f"{name}-{number}" if what == "demo" else f"{name}-0")
            taken[name].append(seconds(tree, words(what, home, patients)))
    line: dict[str, object] = {"benchmark": f"startup_{what}", "bar_s": BARS_S[what]}
    for name, runs in taken.items():
        clocks, used = zip(*runs, strict=True)
        line[f"{name}_s"] = round(statistics.median(clocks), 2)
        line[f"{name}_cpu_s"] = round(statistics.median(used), 2)
    line |= {"runs": ROUNDS[what], "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2)}
    print(json.dumps(line), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout with a .venv")
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--only", nargs="+", choices=BARS_S, default=["demo", "models", "help"])
    given = parser.parse_args()
    trees = {"this": HERE}
    if given.against is not None:
        trees["other"] = given.against.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        for what in given.only:
            measure(what, trees, Path(scratch), given.patients)


if __name__ == "__main__":
    main()
