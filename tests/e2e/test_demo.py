"""The demo: simulate, run, train and report in one command, and where it says to look."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import oncoframe as of
from ml.frames.expand import expand
from ml.frames.frame import read_frame
from ml.serving.model import load_served
from ml.study.definition import load_study

PATIENTS, BROKEN = 30, 3


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def answer(oncoframe, home):
    """What the command left."""
    return oncoframe(home, "demo", "--patients", PATIENTS, "--json")


def test_demo__says_what_it_came_to(answer, home):
    """Programs read these keys; a figure that is not a number would stop them."""
    assert answer.code == 0, answer.stderr
    said = answer.json
    assert {"home", "patients", "quarantined", "study", "accuracy", "macro_f1", "seconds"} <= set(
        said
    )
    assert (said["home"], said["study"]) == (str(home), "synthetic_leukemia")
    assert (said["patients"], said["quarantined"]) == (PATIENTS, BROKEN)
    assert 0.5 < said["accuracy"] <= 1


def test_demo__ends_with_the_report_of_its_model(answer, home):
    """A line that says where to look, and nothing there, is the first thing a newcomer meets."""
    page = Path(answer.json["report"])
    sidecars = [json.loads(f.read_text()) for f in (home / "frames").glob("*/frame.json")]
    [trained_on] = [s["frame_id"] for s in sidecars if not s["everyone"]]

    assert page.is_relative_to(home / "reports" / "synthetic_leukemia")
    html = page.read_text()
    assert trained_on in html
    assert f"{answer.json['accuracy']:.3f}" in html


def test_demo__every_model_says_the_same_of_frame_file_and_feast(answer, home):
    """Columns in other names were taken for values that nobody measured: 1.00 became 0.30."""
    ours = of.Home(home)
    sidecars = [json.loads(f.read_text()) for f in (home / "frames").glob("*/frame.json")]
    [trained_on] = [s["frame_id"] for s in sidecars if not s["everyone"]]
    frame = read_frame(home / "frames" / trained_on)
    store = ours.feature_store()
    entities = frame.rows.select(
        "patient_id",
        event_timestamp="index_timestamp",
        known_by=pl.lit(datetime.fromisoformat(ours.open(trained_on).about["as_of"])),
    )
    service = store.get_feature_service(load_study(answer.json["study"]).features.service)
    pulled = store.get_historical_features(
        entities.to_pandas(), service, full_feature_names=True
    ).to_df()
    models = [load_served(f.parent) for f in home.rglob("data/served/served.json")]

    assert models
    for model in models:
        expected = model.probabilities(model.features_of(frame))
        for given in (frame.rows, expand(frame).to_pandas(), pulled.sort_values("patient_id")):
            said = model.predict(given).filter(like="p[")
            np.testing.assert_allclose(said, expected, rtol=0, atol=1e-9)
