"""Splits by site and in time, from the study to the result: what they must not let through."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ml.study.definition import Study
from ml.training.classification import train

pytestmark = pytest.mark.slow

N, SITES, QUARTERS = 120, 6, 4
START = datetime(2020, 1, 1, tzinfo=UTC)
BATCH = {"modality": "clinical", "feature": "batch", "unit": "1", "known": "at_index"}
IDS = [f"P{i:03d}" for i in range(N)]
AT = np.arange(N) % SITES
QUARTER = np.arange(N) * QUARTERS // N


def study(split, repeats=1):
    """One recipe on one text column."""
    return Study.model_validate(
        {
            "name": "toy",
            "title": "Class of a toy patient",
            "label": {"name": "who", "version": "1", "min_patients_per_class": 3},
            "clocks": {"index": "diagnosis"},
            "features": {"service": "toy_v1"},
            "modality_sets": {"clinical": ["clinical"]},
            "recipes": [{"name": "lightgbm", "class_weight_power": 0.0}],
            "permuted_labels": 0,
            "cross_validation": {"folds": 3, "repeats": repeats, "seed": 1, "split": split},
        }
    )


@pytest.fixture
def frame_of(tmp_path):
    """Write a frame whose batch numbers tell the label within a group of patients only.

    Each group (a site, a quarter) has two batch numbers of its own, one per class: whoever learns
    from patients of a group knows its others, and nothing of those of another group.
    """

    def write(group):
        labels = np.random.default_rng(6).permutation(np.repeat(["AML", "MDS"], N // 2))
        pl.DataFrame(
            {
                "patient_id": IDS,
                "index_timestamp": [START + timedelta(days=91 * int(q)) for q in QUARTER],
                "label": labels,
                "clinical__batch": [
                    f"batch {g}{label == 'AML'}" for g, label in zip(group, labels, strict=True)
                ],
            }
        ).write_parquet(tmp_path / "frame.parquet")
        sites = {"patient_id": IDS[::-1], "site": [f"site {s}" for s in AT[::-1]]}
        pl.DataFrame(sites).write_parquet(tmp_path / "sites.parquet")
        sidecar = {"frame_id": "f00d", "study": "toy", "label_name": "who"}
        columns = {"clinical__batch": {**BATCH, "kind": "scalar"}}
        (tmp_path / "frame.json").write_text(json.dumps({**sidecar, "columns": columns}))
        return tmp_path

    return write


def accuracy(result):
    return result.best.evaluation.metrics["accuracy"].value


def test_train__by_site_knows_no_patient_of_a_tested_site(frame_of):
    """Split at random, the batches of each hospital give the labels of its tested patients away."""
    frame = frame_of(AT)

    at_random, by_site = train(study("patient"), frame), train(study("site", repeats=2), frame)

    assert accuracy(at_random) > 0.95
    assert accuracy(by_site) < 0.6
    for fold in by_site.folds:
        assert fold.train.sum() + fold.test.sum() == N
        assert not set(AT[fold.train]) & set(AT[fold.test])
    assert by_site.folds.tested.all()
    assert by_site.best.evaluation.metrics["auroc"].value == pytest.approx(0.5, abs=0.15)


def test_train__in_time_knows_nobody_of_later(frame_of):
    """Split at random, the batches of a quarter give it away; tomorrow's patients have new ones."""
    frame = frame_of(QUARTER)

    at_random, in_time = train(study("patient"), frame), train(study("time"), frame)

    assert accuracy(at_random) > 0.95
    assert accuracy(in_time) < 0.65
    for fold in in_time.folds:
        assert fold.train.any()
        assert QUARTER[fold.train].max() < QUARTER[fold.test].min()


def test_train__in_time_judges_tested_patients_only(frame_of):
    """The earliest have no prediction: a NaN among the probabilities would be counted as wrong."""
    result = train(study("time"), frame_of(QUARTER))

    tested = result.folds.tested
    assert tested.tolist() == (QUARTER > 0).tolist()
    assert np.isnan(result.best.probabilities[0, ~tested]).all()
    assert np.isfinite(result.best.probabilities[0, tested]).all()
    assert result.best.evaluation.confusion.sum() == tested.sum()
    assert sum(c.support for c in result.best.evaluation.classes) == tested.sum()
    assert np.isfinite([e.low for e in result.best.evaluation.metrics.values()]).all()
