"""The whole comparison: silent without drift, right about planted ones, and its report."""

import importlib.util
import json
import socket
import sys

import numpy as np
import polars as pl
import pytest

from ml.drift.comparison import Predictions, Window, compare
from ml.drift.report import write_report
from ml.drift.verdict import DriftRule
from ml.frames.frame import Frame
from oncoframe.errors import StudyError
from orchestration.settings import PROJECT

CLASSES = ("AML", "ALL", "MPN")


@pytest.fixture(scope="module")
def cohorts():
    """Module that simulates the patients of the benchmark."""
    spec = importlib.util.spec_from_file_location(
        "drift_cohort", PROJECT / "benchmarks" / "drift_cohort.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference(cohorts):
    return cohorts.Cohort(1500, 0, width=0.3).window("R")


def model(patients, seed, *, temperature=1.0, bias=0.0, known=1.0):
    """Predictions of a calibrated model; a temperature below 1 makes it too sure."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(patients, 3)) * 1.5 + np.array([0.5 + bias, 0.0, -0.5])
    truth = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = [CLASSES[rng.choice(3, p=p)] if rng.random() < known else None for p in truth]
    told = np.exp(scores / temperature)
    return Predictions(CLASSES, told / told.sum(axis=1, keepdims=True), labels)


@pytest.mark.slow
def test_compare__is_silent_without_drift(cohorts, reference):
    """Windows of 30 to 140 patients of the same hospital: at 2 % each, two alarms are too many."""
    alarms = [
        compare(reference, cohorts.Cohort(30 + 10 * week, 300 + week, width=0.3).window("C"))
        for week in range(12)
    ]

    assert sum(report.verdict.drifted for report in alarms) <= 1


@pytest.mark.parametrize("name", ["vaf", "depth", "new_kernel", "more_kernel"])
@pytest.mark.parametrize("seed", [11, 12])
def test_compare__finds_a_planted_shift_and_names_its_cause(cohorts, reference, name, seed):
    plant, words = cohorts.PLANTS[name]

    found = compare(reference, cohorts.Cohort(100, seed, plant, 0.3).window("C")).verdict

    assert found.drifted
    assert words in found.cause
    modality = "ct" if "kernel" in name else "snv"
    assert {column.partition("_")[0] for column in found.columns} == {modality}


def test_compare__names_the_columns_that_moved(cohorts, reference):
    """Depth falls in one sequencer: its five columns, among its patients, and no others."""
    window = cohorts.Cohort(120, 21, cohorts.depth, 0.3).window("C")

    report = compare(reference, window)

    drifted = report.tests.filter("drifted")
    assert set(report.verdict.columns) == {
        "snv_features__median_depth_reads", *(f"snv_features__depth_{i}" for i in range(4))
    }  # fmt: skip
    assert set(drifted["within"]) == {"sequencer NovaSeq"}
    assert (drifted["effect"] < -0.3).all()
    (snv,) = (m for m in report.modalities if m.modality == "snv")
    assert (snv.drifted, snv.share) == (5, 5 / snv.tested)
    assert report.verdict.effect == pytest.approx(drifted["effect"].abs().max())


def test_compare__the_same_patients_are_not_new(cohorts, reference):
    """The frame of today holds the training patients too: they would hide the new ones."""
    same = compare(reference, reference)
    plant, _ = cohorts.PLANTS["vaf"]
    new = cohorts.Cohort(100, 11, plant, 0.3).window("C")
    frame = reference.frame
    today = Window(
        Frame(frame.sidecar, pl.concat([frame.rows, new.frame.rows]), {}),
        pl.concat([reference.provenance, new.provenance]),
    )

    assert (same.current_patients, same.verdict.drifted) == (0, False)
    report = compare(reference, today)
    assert report.current_patients == 100
    assert report.as_dict() == compare(reference, new).as_dict()


def test_compare__excluded_columns_and_floors_are_respected(cohorts, reference):
    """What no model sees is no reason to train one."""
    window = cohorts.Cohort(120, 21, cohorts.depth, 0.3).window("C")
    depth = [name for name in reference.frame.sidecar.columns if "depth" in name]

    assert not compare(reference, window, exclude=depth).verdict.drifted
    assert not compare(reference, window, rule=DriftRule(min_rank_effect=1.0)).verdict.drifted
    assert not compare(reference, window, rule=DriftRule(min_column_share=0.5)).verdict.drifted


def test_compare__too_few_patients_tell_nothing(cohorts, reference):
    plant, _ = cohorts.PLANTS["vaf"]

    report = compare(reference, cohorts.Cohort(6, 1, plant, 0.3).window("C"))

    assert not report.verdict.drifted
    assert report.tests.is_empty()


@pytest.mark.parametrize(
    ("more", "modality"),
    [
        ({"temperature": 0.35}, {"predictions", "calibration"}),
        ({"bias": 1.5}, {"predictions"}),
        ({}, set()),
        ({"known": 0.0}, set()),
    ],
)
def test_compare__predictions_and_calibration(cohorts, reference, more, modality):
    """A model that became too sure is wrong with every feature in place; no label is no drift."""
    old, new = reference.frame, cohorts.Cohort(150, 31, width=0.3).window("C").frame

    report = compare(
        Window(old, predictions=model(old.rows.height, 1)),
        Window(new, predictions=model(150, 2, **more)),
    )

    drifted = {m.modality for m in report.modalities if m.drifted}
    assert drifted == modality


def test_compare__predictions_must_fit_the_frame(reference):
    short = Predictions(CLASSES, np.full((3, 3), 1 / 3))

    with pytest.raises(StudyError, match=r"one probability per patient and class.*got 3 x 3"):
        compare(Window(reference.frame, predictions=short), reference)


@pytest.fixture
def no_network(monkeypatch):
    """Any connection fails the test."""

    def refuse(*address):
        msg = f"connected to {address}"
        raise AssertionError(msg)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("drifting", [True, False])
def test_write_report__small_page_and_figures(cohorts, reference, tmp_path, drifting):
    """A page of 60 MB is not opened, one that names patients must not be shared."""

    def both(cohort, rng):
        cohorts.vaf(cohort, rng)
        cohorts.new_kernel(cohort, rng)

    window = cohorts.Cohort(150, 41, both if drifting else None, 0.3).window("C")
    report = compare(reference, window)

    files = write_report(report, tmp_path / "page")

    page = files["html"].read_text()
    assert len(page) < 5e6
    assert "C000001" not in page
    assert "R000001" not in page
    assert ("new tool mutect2 4.6" in page) is drifting
    assert set(files) == {"html", "drift_modalities", *(["drift_effects"] if drifting else [])}
    assert all(
        file.read_bytes()[:4] == b"\x89PNG" for name, file in files.items() if name != "html"
    )
    assert json.loads(json.dumps(report.as_dict()))["drifted"] is drifting
