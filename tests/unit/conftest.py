"""Fixtures of the report's tests: the files of a training, written by hand."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml.training.stored import StoredModel, StoredTraining

#: A name that a page must not take for HTML.
EVIL = '<img src=x onerror="alert(1)"> & co'
CLASSES = ("APL", EVIL, "CML")
PATIENTS = tuple(f"PSEUDO-{i:02d}" for i in range(6))
#: Class of each patient, and the one predicted out of fold.
LABELS = ("APL", "APL", EVIL, EVIL, "CML", "CML")
PREDICTED = ("APL", "CML", EVIL, EVIL, "CML", "CML")

COLUMNS = {
    "biomarkers__PML_u3a__u3a_RARA": ("biomarkers", "PML::RARA", "scalar", "t(15;17)", "1"),
    "clinical_features__wbc": ("clinical", "wbc", "scalar", "White blood cells; per litre.", "/l"),
    "clinical_features__sex": ("clinical", "sex", "scalar", "Sex of the patient.", "1"),
    "expression_features__expression": (
        "expression", "expression", "block", "expression per gene", "expression_unit",
    ),
    "expression_features__expression_performed": (
        "expression", "expression_performed", "performed", "Whether it gave a result.", "1",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Written:
    """A training on disk and the folder of its frame."""

    training: StoredTraining
    frame: Path

    def change(self, name: str, **values: Any) -> None:
        """Replace some keys of a JSON file of the training or of its model."""
        folders = (self.training.folder, self.training.models[0].folder, self.frame)
        [file] = [folder / name for folder in folders if (folder / name).is_file()]
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Training of one model on three classes, to be changed by a test."""
    return _write(tmp_path)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The same, to be read only."""
    return _write(tmp_path_factory.mktemp("kept"))


def _write(place: Path) -> Written:
    training, model, frame = (place / name for name in ("training", "model", "frame"))
    for folder in (training, model, frame):
        folder.mkdir()
    _write_frame(frame)
    _write_training(training)
    _write_model(model)
    stored = StoredModel("run-of-model", "lightgbm", "all", model, model / "served")
    started = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
    return Written(
        StoredTraining("run-1", started, "9.8.7", {"dagster_run_id": "d-1"}, training, (stored,)),
        frame,
    )


def _write_frame(folder: Path) -> None:
    columns = {
        name: {"modality": m, "feature": f, "kind": kind, "description": d, "unit": unit,
               "known": "at_index", "view": name.partition("__")[0]}
        for name, (m, f, kind, d, unit) in COLUMNS.items()
    }  # fmt: skip
    columns["expression_features__expression"]["axis"] = "gene"
    sidecar = {
        "frame_id": "f00d", "study": "toy", "label_name": "who",
        "as_of": "2024-05-01T10:11:12+00:00", "columns": columns,
        "excluded": {"no_consent": ["GONE-1", "GONE-2"], "no label": []},
        "performed_share": {"expression": 0.875},
        "guards": {"same": {"expression_unit": "counts"}},
    }  # fmt: skip
    (folder / "frame.json").write_text(json.dumps(sidecar))
    n = len(PATIENTS)
    pl.DataFrame(
        {
            "patient_id": PATIENTS,
            "index_timestamp": [datetime(2020, 1 + i, 1, tzinfo=UTC) for i in range(n)],
            "label": LABELS,
            "biomarkers__PML_u3a__u3a_RARA": [i < 2 for i in range(n)],
            "clinical_features__wbc": [float(i) for i in range(n)],
            "clinical_features__sex": ["f", "m"] * 3,
            "expression_features__expression": [[float(i), 1.0] for i in range(n)],
            "expression_features__expression_performed": [True] * n,
        }
    ).write_parquet(folder / "frame.parquet")
    pl.DataFrame({"position": [0, 1], "name": ["HOXA9", "GATA2"]}).write_parquet(
        folder / "dictionary_gene.parquet"
    )


def _write_training(folder: Path) -> None:
    study = {
        "name": "toy",
        "title": f"Class of a toy patient {EVIL}",
        "label": {"name": "who", "version": "1", "min_patients_per_class": 3},
        "clocks": {"index": "diagnosis"},
        "features": {"service": "toy_v1", "exclude": {"clinical_features__fab": "A synonym."}},
        "modality_sets": {"all": ["biomarkers", "clinical", "expression"]},
        "recipes": [{"name": "lightgbm"}, {"name": "plain", "model": "extra_trees"}],
        "cross_validation": {"folds": 3, "repeats": 1, "seed": 1},
    }
    row = {
        "recipe": "lightgbm", "modalities": "all", "uses": ["biomarkers", "clinical", "expression"],
        "patients": 6, "classes": 3, "features": 1234, "accuracy": 0.8123, "macro_f1": 0.7654,
        "accuracy_ci": [0.6012, 0.9234], "macro_f1_ci": [0.5111, 0.9222],
    }  # fmt: skip
    known = {
        "in_the_large": -0.12,
        "in_the_large_ci": [-0.3, 0.1],
        "slope": 0.99,
        "slope_ci": [0.9, 1.1],
        "observed_expected": 0.93,
        "observed_expected_ci": [0.8, 1.1],
    }
    row["calibration"] = {"of": CLASSES[0], **known, "ece": 0.044, "reason": None}
    constant = {
        "accuracy": 0.333,
        "accuracy_ci": [0.2, 0.4],
        "log_loss": 1.0986,
        "log_loss_ci": [1.0, 1.2],
        "brier": 0.6667,
        "brier_ci": [0.6, 0.7],
    }
    other = {**row, "recipe": "plain", "accuracy": 0.7001, "accuracy_ci": [0.5002, 0.8003]}
    result = {
        "study": "toy", "frame_id": "f00d", "best": row, "majority_share": 0.333,
        "best_by": "accuracy", "majority": CLASSES[2], "simplest": other, "constant": constant,
        "rivals": [
            {"kind": "constant", "name": "the class shares", "metric": "accuracy",
             "value": [0.333, 0.2, 0.4], "difference": [0.479, 0.2, 0.6], "is_beaten": True},
            {"kind": "baseline", "name": "plain on all", "metric": "accuracy",
             "value": [0.7001, 0.5002, 0.8003], "difference": [0.1122, -0.0211, 0.2033],
             "is_beaten": False},
        ],
        "complete_cases": {"patients": 4, "assays": ["expression"], "reason": None,
                           "recipes": [{**row, "patients": 4, "accuracy": 0.75}]},
        "recipes": [row, other],
        "permuted": [{"modalities": "all", "shuffle": 0, "accuracy": [0.31, 0.2, 0.4],
                      "auroc": [0.51, 0.41, 0.61], "at_chance": True}],
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps(study))
    (folder / "result.json").write_text(json.dumps(result))
    pl.DataFrame(
        {"one": ["lightgbm on all"], "other": ["plain on all"], "metric": ["accuracy"],
         "difference": [0.1122], "low": [-0.0211], "high": [0.2033]}
    ).write_parquet(folder / "differences.parquet")  # fmt: skip
    links = [[0.7, 0.25, 0.05], [0.5, 0.5, 0.0], [0.09, 0.0, 0.91]]
    (folder / "similarity.json").write_text(json.dumps({"classes": CLASSES, "links": links}))
    (folder / "components.json").write_text(
        json.dumps({"variance_ratio": [0.6, 0.4], "cumulative": [0.6, 1.0]})
    )
    features = ["biomarkers__PML::RARA", "clinical_features__wbc"]
    pl.DataFrame(
        {"feature": features * 2, "modality": ["biomarkers", "clinical"] * 2,
         "component": [1, 1, 2, 2], "loading": [0.8, 0.6, -0.6, 0.8],
         "correlation": [0.9, 0.5, -0.3, 0.7]}
    ).write_parquet(folder / "loadings.parquet")  # fmt: skip
    pl.DataFrame(
        {"patient_id": [PATIENTS[0]] * 2, "rank": [1, 2], "neighbour": PATIENTS[1:3],
         "label": LABELS[1:3], "distance": [1.25, 2.5]}
    ).write_parquet(folder / "neighbours.parquet")  # fmt: skip


def _write_model(folder: Path) -> None:
    metrics = {
        f"{m}{end}": [value + 0.01 * i for i in range(3)]
        for m in ("precision", "recall", "f1", "auroc")
        for end, value in (("", 0.81), ("_ci_low", 0.61), ("_ci_high", 0.91))
    }
    pl.DataFrame({"class": CLASSES, "patients": [3, 20, 200], **metrics}).write_csv(
        folder / "per_class.csv"
    )
    (folder / "confusion.json").write_text(
        json.dumps({"classes": CLASSES, "confusion": [[1, 0, 1], [0, 2, 0], [0, 0, 2]]})
    )
    bins = [{"patients": 3, "confidence": c, "accuracy": [c, c - 0.1, c + 0.1]} for c in (0.4, 0.8)]
    one = {
        "of": CLASSES[0],
        "slope": [0.77, 0.66, 0.88],
        "in_the_large": [-0.12, -0.3, 0.1],
        "observed_expected": [0.93, 0.81, 1.07],
        "ece": [0.044, 0.03, 0.06],
        "reason": None,
    }
    line = [0.1, 0.5, 0.9]
    curve = {"predicted": line, "observed": line, "low": [0.0, 0.4, 0.8], "high": [0.2, 0.6, 1.0]}
    one["classes"] = [
        {
            **{
                name: one[name] for name in ("slope", "in_the_large", "observed_expected", "reason")
            },
            "class": c,
            "patients": 223,
            "events": n,
            "expected": n + 0.5,
            "curve": curve,
        }
        for c, n in zip(CLASSES, (3, 20, 200), strict=True)
    ]
    (folder / "calibration.json").write_text(
        json.dumps({"calibrator": {"kind": "platt", "slopes": [0.85], "intercepts": [0.1, 0, 0]},
                    "tried": {"none": 0.5, "platt": 0.4}, "is_calibrated": True,
                    "before": {**one, "reliability": bins},
                    "after": {**one, "slope": [0.99, 0.9, 1.1], "reliability": bins}})
    )  # fmt: skip
    share = [0.917, 0.85, 0.96]
    (folder / "coverage.json").write_text(
        json.dumps({
            "asked": 0.9, "overall": share, "mean_size": [1.23, 1.1, 1.4], "thresholds": None,
            "answered": [0.71, 0.6, 0.8], "accuracy_answered": [0.95, 0.9, 0.99],
            "by_class": [{"class": c, "patients": n, "coverage": share}
                         for c, n in zip(CLASSES, (3, 20, 200), strict=True)],
        })
    )  # fmt: skip
    said = {f"p[{c}]": [0.8 if p == c else 0.1 for p in PREDICTED] for c in CLASSES}
    pl.DataFrame(
        {"patient_id": PATIENTS, "repeat": 0, "fold": [0, 1] * 3, "label": LABELS, **said}
    ).write_parquet(folder / "predictions.parquet")
    features = ["biomarkers__PML::RARA", "clinical_features__wbc", "(all others)", "(base value)"]
    pl.DataFrame(
        [
            {"patient_id": p, "class": c, "feature": f, "value": None if f[0] == "(" else 1.0,
             "shap": 0.5 * (f == features[0]) - 0.25 * (f == features[1]) - (f == features[3])}
            for p in PATIENTS for c in CLASSES for f in features
        ]
    ).write_parquet(folder / "shap.parquet")  # fmt: skip
    pl.DataFrame(
        [{"feature": f, "modality": f.partition("__")[0].removesuffix("_features"), "class": c,
          "mean_abs_shap": v} for f, v in zip(features, (0.5, 0.25), strict=False) for c in CLASSES]
    ).write_parquet(folder / "importance.parquet")  # fmt: skip
    measured = ("accuracy", "difference", "coverage")
    none = dict.fromkeys(f"{m}{end}" for m in measured for end in ("", "_low", "_high"))
    pl.DataFrame(
        [
            {"grouping": "sex", "group": "f", "patients": 40, "too_few": False, **none,
             "accuracy": 0.701, "accuracy_low": 0.6, "accuracy_high": 0.8, "difference": -0.111,
             "difference_low": -0.2, "difference_high": -0.01, "coverage": 0.905,
             "coverage_low": 0.81, "coverage_high": 0.97},
            {"grouping": "sex", "group": "m", "patients": 2, "too_few": True, **none},
        ]
    ).write_parquet(folder / "subgroups.parquet")  # fmt: skip
