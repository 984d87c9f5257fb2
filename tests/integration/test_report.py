"""Reports from end to end: a small study is trained and tracked, then both pages are made."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from assets.models.defs import defs
from assets.models.pages import panel_evidence, write_page, write_patient_page
from ml.frames.frame import read_frame
from ml.registry.store import Store
from ml.registry.tracking import log_survival, log_training
from ml.registry.trainings import newest_training
from ml.report.patient_facts import open_case
from ml.study.definition import Study
from ml.training.classification import train
from ml.training.survival import train_survival
from oncoframe.errors import StudyError
from orchestration.cli.main import app
from orchestration.settings import Settings

N = 60
STUDY = "synthetic_leukemia"
FLAG = "biomarkers__PML_u3a__u3a_RARA"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Home with a frame and a model of it; the biomarker tells one class from the others."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    folder = settings.frames_dir / "f00d"
    folder.mkdir(parents=True)
    _write_frame(folder)
    study = Study.model_validate(
        {
            "name": STUDY,
            "title": "Class of a toy patient",
            "label": {"name": "who", "version": "1", "min_patients_per_class": 3},
            "clocks": {"index": "diagnosis"},
            "features": {"service": "toy_v1"},
            "modality_sets": {"clinical": ["clinical"], "all": ["biomarkers", "clinical"]},
            "recipes": ["lightgbm"],
            "cross_validation": {"folds": 3, "repeats": 1, "seed": 1},
            "subgroups": {"by": {"sex": {"column": "clinical__sex"}}, "min_patients": 5},
        }
    )
    log_training(
        train(study, folder),
        store=settings.registry,
        code_version="0.1.0",
        tags={"dagster_run_id": "d-1"},
    )
    return settings


def _write_frame(folder: Path) -> None:
    rng = np.random.default_rng(1)
    classes = np.arange(N) % 3
    age = rng.normal(60, 5, size=N) + 12 * classes
    age[5] = 200.0
    pl.DataFrame(
        {
            "patient_id": [f"PSEUDO-{i:02d}" for i in range(N)],
            "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * N,
            "label": [("AML, NOS", "APL", "<b>bold</b>")[c] for c in classes],
            FLAG: classes == 1,
            "biomarkers__biomarkers_performed": [i != 7 for i in range(N)],
            "clinical__age": age,
            "clinical__sex": ["f", "m"] * (N // 2),
        }
    ).write_parquet(folder / "frame.parquet")
    told = {
        FLAG: ("biomarkers", "PML::RARA", "scalar"),
        "biomarkers__biomarkers_performed": ("biomarkers", "biomarkers_performed", "performed"),
        "clinical__age": ("clinical", "age", "scalar"),
        "clinical__sex": ("clinical", "sex", "scalar"),
    }
    columns = {
        name: {"modality": m, "feature": f, "kind": kind, "unit": "1", "known": "at_index",
               "description": f"The {f}."}
        for name, (m, f, kind) in told.items()
    }  # fmt: skip
    sidecar = {
        "frame_id": "f00d", "study": STUDY, "label_name": "who", "columns": columns,
        "excluded": {"no label": ["GONE-1"]}, "as_of": "2024-01-01T00:00:00+00:00",
    }  # fmt: skip
    (folder / "frame.json").write_text(json.dumps(sidecar))


@pytest.fixture(scope="module")
def training(settings):
    return newest_training(STUDY, store=settings.registry)


def page(settings, *options: str, code: int = 0) -> str:
    """HTML that the command writes, or what it says."""
    result = CliRunner().invoke(
        app, ["report", STUDY, *options, "--home", str(settings.home), "--json"]
    )
    assert result.exit_code == code, result.output
    said = json.loads(result.stdout.splitlines()[-1])
    return Path(said["html"]).read_text() if "html" in said else said["message"]


def test_newest_training__is_what_was_logged(training, settings, tmp_path):
    result = json.loads((training.folder / "result.json").read_text())

    assert {model.name for model in training.models} == {"lightgbm on clinical", "lightgbm on all"}
    assert training.best.modality_set == result["best"]["modalities"]
    assert (training.best.served / "model.skops").is_file()
    with pytest.raises(StudyError, match="study nothing has no model"):
        newest_training("nothing", store=settings.registry)
    with pytest.raises(StudyError, match="has no model"):
        newest_training(STUDY, store=Store.of_file(tmp_path / "no.db", tmp_path))


def test_report__of_a_study(settings, training, tmp_path):
    """A page that was made of another run, or loads something, would be found out late."""
    html = page(settings, "--out", str(tmp_path / "r.html"))

    best = training.result["best"]
    assert f"{best['accuracy']:.3f} [{best['accuracy_ci'][0]:.3f}" in html
    assert training.best.run_id in html
    assert "<b>bold</b>" not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    loaded = re.findall(r'\b(?:src|href)="([^"]*)"', html)
    assert all(address.startswith(("#", "data:image/")) for address in loaded)
    assert "PSEUDO" not in html
    assert "GONE" not in html


def test_report__of_a_patient_cites_the_biomarker(settings):
    html = page(settings, "--patient", "PSEUDO-01")

    assert "PML::RARA" in html
    assert panel_evidence()["PML::RARA"].citations[0].replace("'", "&#39;") in html
    assert "was among those the stored model was fitted on" in html
    named = set(re.findall(r"PSEUDO-\d\d", html))
    assert 1 < len(named) <= 11
    assert "GONE" not in html


def test_report__of_a_patient_without_an_assay_and_far_out(settings):
    assert "Not performed or failed: biomarkers." in page(settings, "--patient", "PSEUDO-07")
    assert "range of the other patients: The age" in page(settings, "--patient", "PSEUDO-05")


def test_report__a_patient_who_was_left_out_is_one_sentence(settings):
    assert "left out: no label" in page(settings, "--patient", "GONE-1", code=1)
    said = page(settings, "--patient", "NOBODY", code=1)
    assert "does not hold patient NOBODY" in said


def test_open_case__answers_are_those_of_the_files(settings, training):
    """Numbers on the page of a patient come from the stored model and the stored predictions."""
    frame = read_frame(settings.frames_dir / "f00d")

    case = open_case(training, frame, "PSEUDO-03", {})

    rows = pl.read_parquet(training.best.folder / "predictions.parquet")
    row = rows.filter(patient_id="PSEUDO-03", repeat=0).row(0, named=True)
    assert case.label == row["label"] == "AML, NOS"
    assert case.out_of_fold is not None
    for name in case.out_of_fold.classes:
        assert case.out_of_fold.of(name) == row[f"calibrated[{name}]"]
    assert list(case.out_of_fold.in_set) == row["prediction_set"]
    assert sum(case.stored.probabilities) == pytest.approx(1)
    shap = [abs(reason.shap) for reason in case.reasons]
    assert shap == sorted(shap, reverse=True)


def test_report_asset__writes_the_page_of_its_study(settings):
    [asset] = [a for a in defs().assets if a.key == dg.AssetKey(["report", STUDY])]

    result = dg.materialize([asset], resources={"settings": settings})

    [event] = result.asset_materializations_for_node(asset.node_def.name)
    file = Path(event.metadata["html"].value)
    assert file.is_relative_to(settings.reports_dir / STUDY)
    assert "TRIPOD+AI" in file.read_text()


def test_write_page__twice_is_the_same(settings, training, tmp_path):
    pages = [
        write_patient_page(
            training, "PSEUDO-02", frames_dir=settings.frames_dir, reports_dir=tmp_path,
            out=tmp_path / f"{i}.html",
        ).read_bytes()
        for i in range(2)
    ]  # fmt: skip
    assert pages[0] == pages[1]


def test_report__of_a_patient_whom_the_model_never_met(settings):
    """Most patients who are scored have no diagnosis yet: they are in a frame of everyone only."""
    folder = settings.frames_dir / "0e7e"
    shutil.copytree(settings.frames_dir / "f00d", folder)
    sidecar = json.loads((folder / "frame.json").read_text())
    about = {**sidecar, "frame_id": "0e7e", "everyone": True, "as_of": "2024-02-01T00:00:00+00:00"}
    (folder / "frame.json").write_text(json.dumps(about))
    rows = pl.read_parquet(folder / "frame.parquet")
    new = rows[1:2].with_columns(patient_id=pl.lit("NEW-1"), label=pl.lit(None, pl.String))
    pl.concat([rows, new]).write_parquet(folder / "frame.parquet")

    html = page(settings, "--patient", "NEW-1")

    assert "not known" in html
    assert "0e7e" in html
    # It has the fusion that makes the class, and no model of a fold was asked.
    assert "APL" in html
    assert "was among those the stored model was fitted on" not in html
    assert "was among those the stored model was fitted on" in page(
        settings, "--patient", "PSEUDO-01"
    )


@pytest.fixture(scope="module")
def survival(settings):
    """Home with a survival study, whose older patients die earlier."""
    folder = settings.frames_dir / "dead"
    folder.mkdir()
    shutil.copy(settings.frames_dir / "f00d" / "frame.parquet", folder)
    sidecar = json.loads((settings.frames_dir / "f00d" / "frame.json").read_text())
    told = {**sidecar, "frame_id": "dead", "study": "toy_survival", "label_name": "days"}
    (folder / "frame.json").write_text(json.dumps(told))
    rows = pl.read_parquet(folder / "frame.parquet").sort("clinical__age")
    days = [f"{2000 - 20 * i}{'+' if i % 4 == 0 else ''}" for i in range(N)]
    rows.with_columns(label=pl.Series(days)).write_parquet(folder / "frame.parquet")
    study = Study.model_validate(
        {
            "name": "toy_survival",
            "title": "Survival of a toy patient",
            "label": {"name": "days", "version": "1", "kind": "survival",
                      "min_patients_per_class": 1},
            "clocks": {"index": "diagnosis"},
            "features": {"service": "toy_v1"},
            "modality_sets": {"clinical": ["clinical"], "all": ["biomarkers", "clinical"]},
            "recipes": ["cox"],
            "cross_validation": {"folds": 3, "repeats": 1, "seed": 1},
        }
    )  # fmt: skip
    log_survival(
        train_survival(study, folder),
        store=settings.registry,
        code_version="0.1.0",
    )
    return newest_training("toy_survival", store=settings.registry)


def test_report__of_a_survival_study(settings, survival, tmp_path):
    """Nothing was kept of a survival model but what it said out of fold."""
    file = write_page(survival, frames_dir=settings.frames_dir, reports_dir=tmp_path)

    html, best = file.read_text(), survival.result["best"]
    value, (low, high) = best["concordance"], best["concordance_ci"]
    assert f"{value:.3f} [{low:.3f}, {high:.3f}]" in html
    assert "Concordance index" in html
    assert "Check: the same evaluation on shuffled labels" in html
    assert "Macro F1" not in html
    with pytest.raises(StudyError, match="no model was kept"):
        write_patient_page(
            survival, "PSEUDO-01", frames_dir=settings.frames_dir, reports_dir=tmp_path
        )
