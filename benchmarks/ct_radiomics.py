"""Radiomics against the stock extractor, paired on one volume, and one patient from DICOM to row.

    python benchmarks/ct_radiomics.py [--repeats N]

Prints one JSON line per measurement. Stock and ours alternate within a run, so that a busy
machine slows both; the ratio of the medians is the claim. The volume is a synthetic CT of 512 x
512 x 120 voxels of 0.7 x 0.7 x 2 mm with a tumour of 29,000 voxels.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Python puts this folder first, where "radiomics" is this very file instead of PyRadiomics.
sys.path.remove(str(Path(__file__).resolve().parent))

import numpy as np
import SimpleITK as sitk
from radiomics.featureextractor import RadiomicsFeatureExtractor

from assets.imaging.copies import Deidentification, write_copy
from assets.imaging.radiomics import compute_features
from assets.imaging.rules import MaskRule
from assets.imaging.settings import load_settings
from assets.imaging.study import extract_folder
from assets.simulate.phantom.dicom import write_study
from assets.simulate.phantom.image import PhantomShape, make_phantom

SIZE = (120, 512, 512)
SPACING = (0.7, 0.7, 2.0)
CENTRE = (60, 300, 200)
RADIUS_MM = 18.95
PATIENT_SLICES = 130


def volume() -> tuple[sitk.Image, np.ndarray]:
    """CT-like noise of the resolution of a scanner, and a spherical tumour of 29,000 voxels."""
    noise = np.random.default_rng(0).normal(-50.0, 240.0, SIZE).astype(np.float32)
    image = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(noise), 0.8)
    image = sitk.Cast(image, sitk.sitkInt16)
    image.SetSpacing(SPACING)
    z, y, x = np.ogrid[tuple(slice(n) for n in SIZE)]
    offsets = [(a - c) * s for a, c, s in zip((z, y, x), CENTRE, SPACING[::-1], strict=True)]
    return image, sum(d**2 for d in offsets) < RADIUS_MM**2


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of wall clock, and the result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def by_image(got: dict[str, Any], expected: dict[str, Any]) -> dict[str, float]:
    """Largest relative difference to the stock extractor per kind of image."""
    worst: dict[str, float] = {}
    for name, value in expected.items():
        number = float(value) if not name.startswith("diagnostics") else np.nan
        if np.isfinite(number):
            kind = name.split("_")[0].split("-")[0]
            off = abs(got[name] - number) / max(abs(number), 1e-9)
            worst[kind] = max(worst.get(kind, 0.0), off)
    return worst


def paired(name: str, repeats: int) -> dict[str, Any]:
    """Times of both extractors on the same volume under one of the settings."""
    settings = load_settings(name)
    image, mask = volume()
    labels = sitk.GetImageFromArray(mask.astype(np.uint8))
    labels.CopyInformation(image)
    extractor = RadiomicsFeatureExtractor(dict(settings.parameters))
    stock, ours = [], []
    for _ in range(repeats):
        seconds, expected = timed(lambda: extractor.execute(image, labels))
        stock.append(seconds)
        seconds, got = timed(lambda: compute_features(image, {"tumour": mask}, settings))
        ours.append(seconds)
    return {
        "benchmark": "radiomics",
        "settings": name,
        "mask_voxels": int(mask.sum()),
        "stock_s": round(statistics.median(stock), 3),
        "ours_s": round(statistics.median(ours), 3),
        "times_faster": round(statistics.median(stock) / statistics.median(ours), 1),
        "largest_relative_difference": by_image(got["tumour"], expected),
    }


def write_patient(folder: Path) -> None:
    """A patient of 130 slices as DICOM CT and RTSTRUCT."""
    shape = PhantomShape((PATIENT_SLICES, 512, 512), (0.7, 0.7, 2.0), tumour_mm=19.0)
    write_study(make_phantom(shape, seed=1), folder, kind="rtstruct")


def peak_mb() -> int:
    """Peak memory of this process; ru_maxrss would count that of the parent before it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024)


def patient(folder: Path) -> dict[str, Any]:
    """One patient from DICOM to row in this process: wall time without imports, peak memory."""
    how = Deidentification(folder / "copies", b"0123456789abcdef", "default107", MaskRule())
    target, start = folder / "copies" / "P1" / "1", time.process_time()
    copied, _ = timed(lambda: write_copy("P1", str(folder / "landed"), target, how))
    seconds, found = timed(lambda: extract_folder(target))
    return {
        "benchmark": "ct_patient",
        "settings": found.settings.name,
        "slices": found.slices,
        "mask_voxels": found.mask_voxels,
        "seconds": round(copied + seconds, 3),
        "of_which_deidentify_s": round(copied, 3),
        "cpu_s": round(time.process_time() - start, 3),
        "peak_mb": peak_mb(),
    }


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--patient", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.patient:
        # A process of its own on one core: its peak memory is that of the patient.
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        print(json.dumps(patient(arguments.patient)))
        return
    for name in ("default107", "ct1130"):
        with np.errstate(all="ignore"):
            print(json.dumps(paired(name, arguments.repeats)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write_patient(Path(folder) / "landed")
        command = ["taskset", "-c", "0", sys.executable, __file__, "--patient", folder]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
