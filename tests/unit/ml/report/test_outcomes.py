"""Sections on two classes and on survival: their numbers from the files of a training."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import precision_score, recall_score
from sksurv.metrics import cumulative_dynamic_auc
from sksurv.util import Surv

from ml.evaluation.curves import binary_answers
from ml.report.binary import binary_section
from ml.report.blocks import Gallery, Picture, Table, Text, number, whole
from ml.report.survival import survival_section

pytestmark = pytest.mark.slow

N = 120


@pytest.fixture
def answers():
    """Two repeats of two classes; the rarer one comes first by name."""
    rng = np.random.default_rng(1)
    ill = rng.random(N) < 0.3
    raw = np.clip(0.3 + 0.3 * (ill - 0.3) + rng.normal(0, 0.15, (2, N)), 0.01, 0.99)
    label = np.where(ill, "dead", "well")
    tables = [
        pl.DataFrame(
            {"patient_id": [f"P{i:03d}" for i in range(N)], "repeat": repeat,
             "fold": (np.arange(N) + repeat) % 4, "label": label, "p[dead]": said,
             "p[well]": 1 - said}
        )
        for repeat, said in enumerate(raw)
    ]  # fmt: skip
    tables[0] = tables[0].with_columns(
        pl.Series("calibrated[dead]", raw[0] ** 2), pl.Series("calibrated[well]", 1 - raw[0] ** 2)
    )
    return pl.concat(tables, how="diagonal")


@pytest.fixture
def of_two(written, answers):
    answers.write_parquet(written.training.models[0].folder / "predictions.parquet")
    return written


def tables(section):
    return {block.caption: block for block in section.blocks if isinstance(block, Table)}


def test_binary_answers__the_rarer_class_and_its_calibrated_risk(answers):
    """With the classes exchanged, every number of the section would be of the healthy."""
    found = binary_answers(answers.sample(fraction=1.0, shuffle=True, seed=3))

    first = answers.filter(repeat=0)
    assert found.looked_for == "dead"
    assert found.is_calibrated
    np.testing.assert_array_equal(found.event, first["label"] == "dead")
    np.testing.assert_array_equal(found.risk, first["calibrated[dead]"])
    np.testing.assert_array_equal(found.risks[1], answers.filter(repeat=1)["p[dead]"])
    np.testing.assert_array_equal(found.folds[1], answers.filter(repeat=1)["fold"])
    without = answers.drop("calibrated[dead]", "calibrated[well]")
    np.testing.assert_array_equal(binary_answers(without).risk, first["p[dead]"])


def test_binary_section__thresholds_are_counted(of_two, answers):
    section = binary_section(of_two.training, of_two.training.models[0])

    first = answers.filter(repeat=0)
    event, acts = (first["label"] == "dead").to_numpy(), first["calibrated[dead]"].to_numpy() >= 0.2
    [table] = tables(section).values()
    row = {r[0]: r[1:] for r in table.rows}["20 %"]
    assert row[0] == whole(acts.sum())
    assert row[2].startswith(number(recall_score(event, acts), 2))
    assert row[4].startswith(number(precision_score(event, acts), 2))
    text = next(b.text for b in section.blocks if isinstance(b, Text))
    assert f"dead, is what is looked for: {event.sum()} of {N} patients" in text
    shown = [p for b in section.blocks if isinstance(b, Gallery) for _, p in b.pictures]
    shown += [b for b in section.blocks if isinstance(b, Picture)]
    assert len(shown) == 4
    risk = first["calibrated[dead]"].mean()
    assert any(f"mean predicted risk {risk:.3f}, observed share {event.mean():.3f}" in p.caption
               for p in shown)  # fmt: skip


def test_binary_section__three_classes_have_none(written):
    assert binary_section(written.training, written.training.models[0]) is None


@pytest.fixture
def of_times(written):
    """A survival training whose model knows the hazard."""
    rng = np.random.default_rng(2)
    risk = rng.normal(size=N)
    death, lost = rng.exponential(900 * np.exp(-risk)), rng.uniform(300, 3000, size=N)
    days, died = np.minimum(death, lost) + 1, death <= lost
    grid = [365.25, 500.0, 730.5]
    survival = np.exp(-np.outer(np.exp(risk), grid) / 900)
    folder = written.training.folder
    study = json.loads((folder / "study.json").read_text())
    study["label"]["kind"] = "survival"
    study["label"]["name"] = "overall_survival"
    study["recipes"] = [{"name": "cox"}]
    (folder / "study.json").write_text(json.dumps(study))
    (folder / "survival.json").write_text(json.dumps({"days": grid}))
    table = pl.DataFrame(
        {"patient_id": [f"P{i:03d}" for i in range(N)], "fold": np.arange(N) % 3, "days": days,
         "died": died, "risk": risk}
    )  # fmt: skip
    pl.concat(
        [
            table.with_columns(repeat=0, survival=pl.Series(survival.tolist())),
            table.with_columns(repeat=1, survival=pl.lit(None, dtype=pl.List(pl.Float64))),
        ]
    ).write_parquet(folder / "risks_cox_all.parquet")
    model = replace(written.training.models[0], recipe="cox", folder=folder)
    return replace(written.training, models=()), model, (days, died, risk, survival)


def test_survival_section__numbers_of_the_files(of_times):
    training, model, (days, died, risk, survival) = of_times

    section = survival_section(training, model)

    found = tables(section)
    groups = {row[0]: row[1:] for row in found["Risk groups"].rows}
    lowest = np.argsort(risk)[: N // 3]
    assert groups["low risk"][:2] == (str(N // 3), str(died[lowest].sum()))
    assert groups["low risk"][3] == "1 (reference)"
    horizon = {row[0]: row[1:] for row in found["Predictions at a horizon, 95 % intervals"].rows}
    truth = Surv.from_arrays(died, days)
    expected, _ = cumulative_dynamic_auc(truth, truth, risk, [365.25, 730.5])
    assert list(horizon)[:2] == ["1 year", "2 years"]
    assert horizon["1 year"][0].startswith(number(expected[0]))
    assert horizon["1 year"][1] == number((1 - survival[:, 0]).mean())
    assert sum(isinstance(block, Picture) for block in section.blocks) == 2
    said = section.blocks[-1]
    assert said.kind == "plain"
    assert "whatever its cause" in said.text


def test_survival_section__warns_of_competing_risks(of_times):
    """Deaths of another cause counted as lost make the event look more frequent than it is."""
    training, model, _ = of_times
    study = json.loads((training.folder / "study.json").read_text())
    study["label"]["name"] = "time_to_recurrence"
    (training.folder / "study.json").write_text(json.dumps(study))

    said = survival_section(replace(training), model).blocks[-1]

    assert said.kind == "warning"
    assert said.text.startswith("Competing risks")
