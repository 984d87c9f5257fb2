"""Smears by CPU features: fields of 640 x 480 per minute and core.

    python benchmarks/smears.py [--fields N]

Prints one JSON line per measurement. Fields are synthetic ones of three classes and sites, written
as PNG files and read as a run reads them, in one thread. ``cpu_seconds`` is the time of this
process alone, so that a busy machine does not count; the claim rests on it.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from assets.simulate.smears.cohort import write_cohort
from assets.smears.features import read_field, summarise
from assets.smears.fields import PIXEL_SIZE_UM, list_fields, open_field

SITES = 9


def main() -> None:
    """Measure opening, reading and summing up of fields."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=2, help="fields per patient")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_cohort(Path(folder), patients=SITES, seed=1, fields=arguments.fields)
        fields = list_fields(Path(folder) / "fields")
        read_field(open_field(fields[0], pixel_size_um=PIXEL_SIZE_UM))
        wall, cpu = time.perf_counter(), time.process_time()
        opened = [open_field(field, pixel_size_um=PIXEL_SIZE_UM) for field in fields]
        open_cpu = time.process_time() - cpu
        summarise([read_field(pixels) for pixels in opened])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(
        json.dumps(
            {
                "what": "smear_cpu_features",
                "fields": len(fields),
                "pixels": list(opened[0].shape[1::-1]),
                "wall_seconds": round(wall, 2),
                "cpu_seconds": round(cpu, 2),
                "open_cpu_seconds": round(open_cpu, 2),
                "fields_per_minute_and_core": round(60 * len(fields) / cpu, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
