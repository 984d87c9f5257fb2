"""Champion against challenger: fair to both, and number for number what a loop finds."""

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

from ml.evaluation.calibrators import Scaling
from ml.frames.frame import Frame, Sidecar
from ml.promotion.comparison import Champion, challenge
from ml.serving.inputs import Inputs
from ml.serving.model import ServedModel
from ml.study.definition import Study
from ml.study.modelling import Conformal
from ml.training.stored import StoredModel, StoredTraining
from oncoframe.errors import StudyError

CLASSES = ["AML, NOS", "APL"]


def study(min_patients: int = 5) -> Study:
    return Study.model_validate(
        {
            "name": "toy",
            "title": "Class of a toy patient",
            "label": {"name": "who", "version": "1", "min_patients_per_class": 3},
            "clocks": {"index": "diagnosis"},
            "features": {"service": "toy_v1"},
            "modality_sets": {"all": ["clinical"]},
            "recipes": ["lightgbm"],
            "cross_validation": {"folds": 3, "repeats": 2, "seed": 7},
            "subgroups": {
                "by": {"sex": {"column": "clinical__sex"}}, "min_patients": min_patients,
            },
        }
    )  # fmt: skip


def frame(patients: list[str], labels: list[str], x: np.ndarray) -> Frame:
    columns = {
        name: {"modality": "clinical", "feature": name, "unit": "1", "known": "at_index",
               "kind": "scalar"}
        for name in ("clinical__x", "clinical__sex")
    }  # fmt: skip
    sidecar = {"frame_id": "new", "study": "toy", "label_name": "who", "columns": columns}
    rows = pl.DataFrame(
        {
            "patient_id": patients,
            "index_timestamp": [datetime(2020, 1, 1, tzinfo=UTC)] * len(patients),
            "label": labels,
            "clinical__x": x,
            "clinical__sex": ["f" if i % 2 else "m" for i in range(len(patients))],
        }
    )
    return Frame(Sidecar.model_validate(sidecar), rows.sort("patient_id"), {})


def training(
    folder, patients: list[str], said: np.ndarray, *, classes=CLASSES, untested=(), kind="p"
) -> StoredTraining:
    """Training whose model said this of its patients, in the first repeat."""
    folder.mkdir()
    tested = [i for i, patient in enumerate(patients) if patient not in untested]
    first = {f"{kind}[{name}]": said[tested, i] for i, name in enumerate(classes)}
    # The second repeat says nonsense: it must not be read.
    second = {name: 1 - values for name, values in first.items()}
    tables = [
        pl.DataFrame({"patient_id": [patients[i] for i in tested], "repeat": repeat, **values})
        for repeat, values in enumerate((first, second))
    ]
    pl.concat(tables).write_parquet(folder / "predictions.parquet")
    pl.DataFrame({"patient_id": patients, "repeat_0": 0}).write_csv(folder / "folds.csv")
    best = {"recipe": "lightgbm", "modalities": "all"}
    (folder / "result.json").write_text(json.dumps({"frame_id": folder.name, "best": best}))
    (folder / "study.json").write_text(json.dumps(study().model_dump(mode="json")))
    model = StoredModel(f"model {folder.name}", "lightgbm", "all", folder, None)
    started = datetime(2024, 1, 1, tzinfo=UTC)
    return StoredTraining(f"run {folder.name}", started, "0.1.0", {}, folder, (model,))


def served(*, classes=CLASSES) -> ServedModel:
    """Names the second class where x is above zero."""
    x = pd.DataFrame({"clinical__x": np.array([-2.0, -1.0, 1.0, 2.0], dtype=np.float32)})
    fitted = LogisticRegression().fit(x, np.repeat(np.array(classes, dtype=object), 2))
    return ServedModel(
        fitted, np.array(classes, dtype=object), Inputs(("clinical__x",), ()), Scaling(), None,
        Conformal(),
    )  # fmt: skip


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def patients():
    """Ids of digits, the first of them with zeros that a number has not."""
    return [f"{i:04d}" for i in range(40)]


def probabilities(rng, n: int, k: int = 2) -> np.ndarray:
    return rng.dirichlet(np.ones(k), size=n)


def test_challenge__a_champion_that_cannot_be_asked_stands_by_what_it_said(tmp_path, rng, patients):
    """A home whose champion an older version stored could never train its way out of it."""
    labels = [CLASSES[i % 3 == 0] for i in range(40)]
    challenger = training(tmp_path / "b", patients, probabilities(rng, 40))
    old = training(tmp_path / "a", patients[:25], probabilities(rng, 25))
    of_today = frame(patients, labels, rng.normal(size=40))

    found = challenge(of_today, challenger, Champion(old, old.best, None))

    assert (found.has_champion, found.overall.patients, found.left_out) == (True, 25, 15)
    assert (found.newcomers, found.on_newcomers) == (0, None)


def test_challenge__is_what_a_loop_finds(tmp_path, rng, patients):
    """Newcomers are asked, the others answered out of fold; intervals are paired."""
    labels = [CLASSES[i % 3 == 0] for i in range(40)]
    x = rng.normal(size=40)
    own, other = probabilities(rng, 40), probabilities(rng, 25)
    challenger = training(tmp_path / "b", patients, own)
    old = training(tmp_path / "a", patients[:25], other)

    found = challenge(frame(patients, labels, x), challenger, Champion(old, old.best, served()))

    asked = served().probabilities(pd.DataFrame({"clinical__x": x[25:]}))
    said = [CLASSES[i] for i in np.vstack([other, asked]).argmax(axis=1)]
    mine = [CLASSES[i] for i in own.argmax(axis=1)]
    draws = np.random.default_rng(7).integers(40, size=(2000, 40))
    for name, score in {
        "accuracy": accuracy_score,
        "macro_f1": lambda t, p: f1_score(t, p, average="macro"),
    }.items():
        truth = np.array(labels)
        apart = found.overall.difference[name]
        assert apart.value == pytest.approx(score(truth, mine) - score(truth, said), abs=1e-9)
        if name == "accuracy":
            right = (np.array(mine) == truth).astype(float) - (np.array(said) == truth)
            low, high = np.percentile(right[draws].mean(axis=1), [2.5, 97.5])
            assert (apart.low, apart.high) == pytest.approx((low, high), abs=1e-6)
    assert (found.newcomers, found.left_out, found.overall.patients) == (15, 0, 40)
    new = np.array(labels)[25:]
    assert found.on_newcomers.patients == 15
    assert found.on_newcomers.champion["accuracy"].value == pytest.approx(
        (np.array(said)[25:] == new).mean()
    )
    men = np.arange(40) % 2 == 0
    group = next(g for g in found.groups if g.group == "m")
    assert group.patients == 20
    right = (np.array(mine) == labels).astype(float) - (np.array(said) == labels)
    assert group.difference.value == pytest.approx(right[men].mean(), abs=1e-9)


def test_challenge__leaves_out_whom_a_model_has_learned_from(tmp_path, rng, patients):
    """Split by time, the earliest block is in no test fold: its model knows it by heart."""
    labels = [CLASSES[i % 2] for i in range(40)]
    said = probabilities(rng, 40)
    challenger = training(tmp_path / "b", patients, said, untested=patients[:4])
    old = training(tmp_path / "a", patients[:30], said[:30], untested=patients[2:8])

    found = challenge(
        frame(patients, labels, rng.normal(size=40)), challenger,
        Champion(old, old.best, served()),
    )  # fmt: skip

    assert found.left_out == 8
    assert found.overall.patients == 32
    assert found.newcomers == 10


def test_challenge__of_the_same_model_is_even(tmp_path, rng, patients):
    labels = [CLASSES[i % 2] for i in range(40)]
    same = training(tmp_path / "a", patients, probabilities(rng, 40), kind="calibrated")

    found = challenge(
        frame(patients, labels, rng.normal(size=40)), same, Champion(same, same.best, served())
    )

    assert all(d.as_list() == [0, 0, 0] for d in found.overall.difference.values())
    assert found.overall.calibration_challenger == found.overall.calibration_champion
    assert found.newcomers == 0
    assert found.on_newcomers is None
    json.dumps(found.as_dict())


def test_challenge__a_class_that_one_model_does_not_know(tmp_path, rng, patients):
    """Columns shifted by a class would turn every answer into another one."""
    three = ["AML, NOS", "APL", "A new class"]
    labels = [three[i % 3] for i in range(40)]
    right = np.eye(3)[[sorted(three).index(label) for label in labels]]
    challenger = training(tmp_path / "b", patients, right, classes=sorted(three))
    # The champion is right wherever it can be.
    of_two = np.eye(2)[[CLASSES.index(label) if label in CLASSES else 0 for label in labels]]
    old = training(tmp_path / "a", patients, of_two)

    found = challenge(
        frame(patients, labels, rng.normal(size=40)), challenger,
        Champion(old, old.best, served()),
    )  # fmt: skip

    assert found.overall.challenger["accuracy"].value == 1
    assert found.overall.champion["accuracy"].value == pytest.approx(27 / 40)


def test_challenge__without_a_champion_is_against_the_most_frequent_class(tmp_path, rng, patients):
    labels = [CLASSES[i % 4 == 0] for i in range(40)]
    challenger = training(tmp_path / "b", patients, probabilities(rng, 40))

    found = challenge(frame(patients, labels, rng.normal(size=40)), challenger, None)

    assert not found.has_champion
    assert found.overall.champion["accuracy"].value == 0.75
    assert found.overall.calibration_champion is None
    assert found.newcomers == 0


def test_challenge__needs_somebody_to_ask(tmp_path, rng, patients):
    said = probabilities(rng, 40)
    challenger = training(tmp_path / "b", patients, said, untested=patients[:20])
    old = training(tmp_path / "a", patients, said, untested=patients[20:])

    with pytest.raises(StudyError, match="no patient whom neither"):
        challenge(
            frame(patients, [CLASSES[0]] * 40, rng.normal(size=40)), challenger,
            Champion(old, old.best, served()),
        )  # fmt: skip
