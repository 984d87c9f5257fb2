"""What a training costs: 30 classes, 30 search trials in each of 5 folds; an answer with reasons.

Each line is one measurement as JSON. Run with the number of patients, for a quick look:
``python benchmarks/training.py 600``.
"""

import json
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from ml.study.definition import Study
from ml.training.classification import train

PATIENTS, COLUMNS, CLASSES, FOLDS, TRIALS = 4500, 800, 30, 5, 30
#: Patients of a class fall with its rank as in a leukaemia cohort: few common, many rare.
_IMBALANCE = 0.8
_INFORMATIVE = 12
_ANSWERS = 50


def main() -> None:
    """Measure one study and the model that it leaves."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else PATIENTS
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "frame"
        folder.mkdir()
        write_frame(folder, patients)
        clock, cpu = time.perf_counter(), time.process_time()
        result = train(study(), folder, workers=2, trials=Path(scratch) / "trials.db")
        seconds, cpu = time.perf_counter() - clock, time.process_time() - cpu
    [model] = result.results
    say(
        "train with search",
        patients=patients,
        columns=model.feature_count,
        classes=CLASSES,
        folds=FOLDS,
        trials_per_fold=TRIALS,
        seconds=round(seconds, 1),
        cpu_seconds=round(cpu, 1),
        peak_gb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        accuracy=round(model.evaluation.metrics["accuracy"].value, 4),
    )
    patient, label = model.typical_patient, str(model.served.classes[0])
    model.served.explain(patient, label)
    clock, cpu = time.perf_counter(), time.process_time()
    for _ in range(_ANSWERS):
        model.served.predict(patient)
        model.served.explain(patient, label)
    say(
        "one patient: probabilities, set, ten reasons",
        milliseconds=round(1000 * (time.perf_counter() - clock) / _ANSWERS, 1),
        cpu_milliseconds=round(1000 * (time.process_time() - cpu) / _ANSWERS, 1),
    )


def study() -> Study:
    """One recipe with a search, as the leukemia study has it."""
    search = {"trials": TRIALS, "inner_folds": 3, "patients": 1200}
    return Study.model_validate(
        {
            "name": "bench",
            "title": "Class of a made-up patient",
            "label": {"name": "who", "version": "1", "min_patients_per_class": FOLDS},
            "clocks": {"index": "diagnosis"},
            "features": {"service": "bench_v1"},
            "modality_sets": {"all": ["snv"]},
            "recipes": [{"name": "searched", "model": "lightgbm", "search": search}],
            "cross_validation": {"folds": FOLDS, "repeats": 1, "seed": 1},
        }
    )


def write_frame(folder: Path, patients: int) -> None:
    """Frame of one block; each class shifts a few columns of its own."""
    rng = np.random.default_rng(1)
    share = (1 + np.arange(CLASSES)) ** -_IMBALANCE
    floor = np.repeat(np.arange(CLASSES), 2 * FOLDS)
    drawn = rng.choice(CLASSES, size=patients - len(floor), p=share / share.sum())
    label = np.concatenate([floor, drawn])
    values = rng.normal(size=(patients, COLUMNS)).astype(np.float32)
    for number in range(CLASSES):
        shifted = rng.choice(COLUMNS, size=_INFORMATIVE, replace=False)
        values[np.ix_(label == number, shifted)] += 1.0
    pl.DataFrame(
        {
            "patient_id": [f"P{i:05d}" for i in range(patients)],
            "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * patients,
            "label": [f"class {number:02d}" for number in label],
            "snv__burden": pl.Series(values.tolist(), dtype=pl.List(pl.Float32)),
        }
    ).write_parquet(folder / "frame.parquet")
    names = pl.DataFrame({"position": range(COLUMNS), "name": [f"G{i}" for i in range(COLUMNS)]})
    names.write_parquet(folder / "dictionary_gene.parquet")
    about = {"modality": "snv", "feature": "burden", "unit": "1", "known": "at_index"}
    columns = {"snv__burden": {**about, "kind": "block", "axis": "gene", "fill": 0.0}}
    sidecar = {"frame_id": "bench", "study": "bench", "label_name": "who", "columns": columns}
    (folder / "frame.json").write_text(json.dumps(sidecar))


def say(what: str, **measured: object) -> None:
    """One measurement."""
    print(json.dumps({"benchmark": "training", "what": what, **measured}), flush=True)


if __name__ == "__main__":
    main()
