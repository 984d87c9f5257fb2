"""Scores: who is asked again, who is taken back, and how long patients waited."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from assets.landing import intake
from assets.scoring.score import Champion, feature_hashes, refuse_other_measures, score
from assets.scoring.table import SCHEMA, TABLE, check, current_scores
from assets.scoring.waiting import (
    arrived,
    file_arrivals,
    recent_time_to_answer,
    scored_before,
    time_to_answer,
)
from ml.evaluation.calibrators import Scaling
from ml.evaluation.conformal import ClassThresholds
from ml.frames.frame import Frame, Sidecar
from ml.serving.inputs import Inputs
from ml.serving.model import ServedModel
from ml.study.modelling import Conformal
from oncoframe.errors import ContractViolation, StudyError

DAY = datetime(2024, 1, 1, tzinfo=UTC)
CLASSES = np.array(["ALL", "AML"], dtype=object)
AGE, SEX = "clinical_features__age", "clinical_features__sex"


class Dial(ClassifierMixin, BaseEstimator):
    """Model whose probability of AML is a column: what it says is known beforehand."""

    classes_ = CLASSES

    def predict_proba(self, features):
        share = features[AGE].to_numpy(dtype=float)
        return np.column_stack([1 - share, share])


def champion(version=1, model=None):
    served = ServedModel(
        model=model or Dial(),
        classes=CLASSES,
        inputs=Inputs((AGE, SEX), (SEX,)),
        calibrator=Scaling(),
        thresholds=ClassThresholds((0.4, 0.4)),
        conformal=Conformal(),
    )
    return Champion(version, f"run-{version}", served)


def frame(ages, *, sexes=None, frame_id="f1", same=None):
    """Frame of everyone: patient -> probability of AML."""
    about = {"modality": "clinical", "unit": "1", "known": "at_index", "kind": "scalar"}
    sidecar = Sidecar(
        frame_id=frame_id,
        study="toy",
        label_name="who",
        columns={AGE: {**about, "feature": "age"}, SEX: {**about, "feature": "sex"}},
        guards={"same": same or {}},
        everyone=True,
    )
    rows = pl.DataFrame(
        {
            "patient_id": list(ages),
            "index_timestamp": [DAY] * len(ages),
            "label": pl.Series([None] * len(ages), dtype=pl.String),
            AGE: pl.Series(list(ages.values()), dtype=pl.Float64),
            SEX: pl.Series([(sexes or {}).get(name) for name in ages], dtype=pl.String),
        }
    )
    return Frame(sidecar, rows, {})


@pytest.fixture
def ask(lake):
    """Score a frame on a day of January."""

    def run(patients, *, day=2, version=1, known=None, **more):
        return score(
            lake,
            "toy",
            champion(version),
            frame(patients, **more),
            known=known or DAY + timedelta(days=day),
            run_id="r",
            now=DAY + timedelta(days=day),
        )

    return run


def test_score__writes_what_the_champion_says(ask, lake):
    """A swapped class, or a set in place of another, would be believed."""
    done = ask({"P1": 0.75, "P2": 0.5})
    assert (done.patients, done.scored, done.unchanged, done.abstained) == (2, 2, 0, 1)

    one, two = current_scores(lake, "toy").iter_rows(named=True)
    assert one["classes"] == ["ALL", "AML"]
    assert one["probabilities"] == pytest.approx([0.25, 0.75])
    assert one["prediction_set"] == ["AML"]
    assert (one["model_version"], one["training_run_id"], one["frame_id"]) == (1, "run-1", "f1")
    assert not one["abstained"]
    assert two["prediction_set"] == ["ALL", "AML"]
    assert two["abstained"]


def test_score__asks_only_about_patients_whose_features_changed(ask, lake):
    """Scoring 5,000 patients each night for one new file would bury what is new."""
    ask({"P1": 0.1, "P2": 0.2, "P3": 0.3})
    done = ask({"P1": 0.1, "P2": 0.9, "P3": 0.3, "P4": 0.4}, day=3)
    assert (done.scored, done.unchanged) == (2, 2)
    assert len(lake.scan(TABLE).collect()) == 5
    now = dict(current_scores(lake, "toy").select("patient_id", "probabilities").iter_rows())
    assert {name: round(p[1], 6) for name, p in now.items()} == {
        "P1": 0.1, "P2": 0.9, "P3": 0.3, "P4": 0.4,
    }  # fmt: skip


def test_score__writes_nothing_the_second_time(ask, lake):
    """A row per night and patient would make the table grow without saying anything."""
    ask({"P1": 0.1})
    version = lake.version(TABLE)
    assert ask({"P1": 0.1}, day=3).scored == 0
    assert lake.version(TABLE) == version


def test_score__asks_a_new_champion_about_everyone_and_an_old_one_again(ask, lake):
    """After a rollback the scores of the model that was taken back must not stand."""
    patients = {"P1": 0.1, "P2": 0.2}
    assert ask(patients, version=1).scored == 2
    assert ask(patients, version=2, day=3).scored == 2
    assert ask(patients, version=1, day=4).scored == 2
    assert current_scores(lake, "toy")["model_version"].to_list() == [1, 1]


def test_score__takes_back_scores_of_patients_who_may_not_be_scored(ask, lake):
    """Consent was withdrawn: no list of today may name the patient, and a return is scored."""
    ask({"P1": 0.1, "P2": 0.2})
    done = ask({"P1": 0.1}, day=3)
    assert (done.scored, done.withdrawn) == (0, 1)
    assert current_scores(lake, "toy")["patient_id"].to_list() == ["P1"]
    assert ask({"P1": 0.1}, day=4).withdrawn == 0
    assert ask({"P1": 0.1, "P2": 0.2}, day=5).scored == 1


def test_score__counts_after_the_clock_was_set_back(ask, lake):
    """The older score would win for ever."""
    ask({"P1": 0.1}, day=9)
    ask({"P1": 0.8}, day=3)
    [row] = current_scores(lake, "toy").iter_rows(named=True)
    assert row["probabilities"][1] == pytest.approx(0.8)


def test_score__keeps_studies_apart(lake):
    """Two studies share the table; one must not take back the patients of the other."""
    for study, patients in (("one", {"P1": 0.1, "P2": 0.2}), ("two", {"P1": 0.1})):
        given = frame(patients)
        score(lake, study, champion(), given, known=DAY, run_id="r", now=DAY)
    assert len(current_scores(lake, "one")) == 2
    assert len(current_scores(lake, "two")) == 1
    assert scored_before(lake) == ["one", "two"]


def test_feature_hashes__are_of_values_and_not_of_bit_patterns():
    """Two NaN with other bits, or -0.0, would ask about a patient every night."""
    quiet, other = np.array([0x7FC00000, 0xFFC00001], dtype=np.uint32).view(np.float32)
    rows = pd.DataFrame(
        {
            AGE: np.array([quiet, other, 0.0, -0.0, 1.0, 1.0], dtype=np.float32),
            SEX: np.array(["f", "f", "f", "f", "f", None], dtype=object),
        }
    )
    hashes = list(feature_hashes(rows))
    assert hashes[0] == hashes[1]
    assert hashes[2] == hashes[3]
    assert len(set(hashes)) == 4
    assert list(feature_hashes(rows.rename(columns={AGE: "x"})))[4] != hashes[4]


def test_refuse_other_measures__names_unit_and_values():
    """A model of counts that is asked about TPM answers, and is wrong."""
    learned = frame({}, same={"expression_unit": "counts", "reference_build": None})
    refuse_other_measures(learned, frame({}, same={"expression_unit": "counts"}))
    refuse_other_measures(learned, frame({}, same={"expression_unit": None}))
    refuse_other_measures(learned, frame({}, same={"reference_build": "GRCh38"}))
    with pytest.raises(StudyError, match=r"another expression_unit.*expected counts, got tpm"):
        refuse_other_measures(learned, frame({}, same={"expression_unit": "tpm"}))


@pytest.fixture
def good(ask, lake):
    """Rows that fit."""
    ask({"P1": 0.75, "P2": 0.5})
    return lake.scan(TABLE).collect()


def test_check__takes_what_fits(good):
    check(good)
    assert good.schema == SCHEMA


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("patient_id", "P1", "two rows of a patient"),
        ("frame_id", None, "a key without value"),
        ("abstained", None, "no answer"),
        ("probabilities", [0.2, 0.3, 0.5], "not one probability per class"),
        ("probabilities", [1.5, -0.5], "a probability that is none"),
        ("probabilities", [float("nan"), 1.0], "a probability that is none"),
        ("probabilities", [0.2, 0.2], "do not add up"),
        ("prediction_set", ["CML"], "unknown classes"),
    ],
)
def test_check__refuses_what_is_no_answer(good, column, value, sentence):
    """A table that takes anything shows anything to a physician."""
    wrong = good.with_columns(pl.Series(column, [value] * len(good), dtype=SCHEMA[column]))
    with pytest.raises(ContractViolation, match=sentence):
        check(wrong)


def test_check__refuses_other_columns(good):
    with pytest.raises(ContractViolation, match="do not fit the table"):
        check(good.drop("run_id"))


def snapshot(day, **files):
    """Landing zone as seen on a day: patient -> content of the one file, empty: assay failed."""
    rows = [
        {
            "patient_id": patient, "modality": "fusion", "path": f"{patient}.tsv",
            "collected_on": DAY, "status": "performed" if content else "failed",
            "reference_build": None, "tool": None, "site": None, "stamp": content,
            "sha256": sha256(content.encode()).hexdigest(),
            "seen_at": DAY + timedelta(days=day),
        }
        for patient, content in files.items()
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=intake.SCHEMA)


def test_file_arrivals__are_the_first_sight_of_what_lies_there_now(lake):
    """Every snapshot names all files: counting from the last one, nobody would have waited."""
    assert file_arrivals(lake).is_empty()
    lake.append(intake.TABLE, snapshot(1, P1="a", P2="a", P3="a"))
    lake.append(intake.TABLE, snapshot(4, P1="a", P2="b", P4=""))
    found = dict(file_arrivals(lake).iter_rows())
    assert found == {"P1": DAY + timedelta(days=1), "P2": DAY + timedelta(days=4)}


@pytest.mark.parametrize(
    ("files", "known", "known_before", "expected"),
    [
        ([2, 5], 6, None, 2),  # first score: from the first file
        ([2, 5], 6, 3, 5),  # what came after the features of the score before
        ([2, 5], 4, None, 2),  # a file that this score cannot know does not count
        ([5], 4, None, None),
        ([2, 5], 9, 6, None),  # another champion: no new file is answered
        ([], 9, None, None),
    ],
)
def test_arrived__is_the_first_file_that_the_score_answers(files, known, known_before, expected):
    """A file that landed while the night's scores were made would never be counted."""

    def at(day):
        return None if day is None else DAY + timedelta(days=day)

    utc = pl.Datetime("us", "UTC")
    patients = pl.DataFrame(
        {"patient_id": ["P1"], "known": [at(known)], "known_before": [at(known_before)]},
        schema={"patient_id": pl.String, "known": utc, "known_before": utc},
    )
    arrivals = pl.DataFrame(
        {"patient_id": ["P1"] * len(files), "arrived": list(map(at, files))},
        schema={"patient_id": pl.String, "arrived": utc},
    )
    assert arrived(arrivals, patients).to_list() == [at(expected)]


def test_time_to_answer__is_counted_over_answered_files(ask, lake):
    """Scores of a new champion would add months of waiting that nobody waited."""
    lake.append(intake.TABLE, snapshot(1, P1="a", P2="a"))
    done = ask({"P1": 0.1, "P2": 0.2}, day=2)
    assert done.time_to_answer.as_dict() == {
        "answers": 2, "median_s": 86400.0, "p90_s": 86400.0, "max_s": 86400.0,
    }  # fmt: skip
    assert ask({"P1": 0.1, "P2": 0.2}, day=20, version=2).time_to_answer is None
    lake.append(intake.TABLE, snapshot(21, P1="a", P2="b"))
    again = ask({"P1": 0.1, "P2": 0.3}, day=24, version=2)
    assert (again.scored, again.time_to_answer.max_s) == (1, 3 * 86400.0)
    recent = recent_time_to_answer(lake, "toy")
    assert (recent.answers, recent.median_s, recent.max_s) == (3, 86400.0, 3 * 86400.0)


def test_time_to_answer__counts_no_file_that_changed_nothing(ask, lake):
    """The next champion would answer it, after months that nobody waited."""
    lake.append(intake.TABLE, snapshot(1, P1="a", P2="a"))
    ask({"P1": 0.1, "P2": 0.2}, day=2)
    lake.append(intake.TABLE, snapshot(3, P1="other bytes, same numbers", P2="b"))
    assert ask({"P1": 0.1, "P2": 0.3}, day=4).time_to_answer.as_dict()["answers"] == 1
    assert ask({"P1": 0.1, "P2": 0.3}, day=90, version=2).time_to_answer is None


def test_time_to_answer__of_a_patient_who_returns_is_that_of_the_repaired_file(ask, lake):
    """Who came out of quarantine would have waited since the first file ever."""
    lake.append(intake.TABLE, snapshot(1, P1="a", P2="a"))
    ask({"P1": 0.1, "P2": 0.2}, day=2)
    ask({"P1": 0.1}, day=3)
    lake.append(intake.TABLE, snapshot(40, P1="a", P2="repaired"))
    assert ask({"P1": 0.1, "P2": 0.2}, day=41).time_to_answer.max_s == 86400.0
    # A file that lay there while others were scored is waited for until it can be read.
    ask({"P1": 0.1}, day=42)
    lake.append(intake.TABLE, snapshot(43, P1="a", P2="read late"))
    ask({"P1": 0.5}, day=44)
    assert ask({"P1": 0.5, "P2": 0.2}, day=46).time_to_answer.max_s == 3 * 86400.0


def test_recent_time_to_answer__forgets_what_is_a_month_old(ask, lake):
    """The backlog of the first day would be the median of the whole year."""
    lake.append(intake.TABLE, snapshot(1, P1="a"))
    ask({"P1": 0.1}, day=10)
    lake.append(intake.TABLE, snapshot(49, P1="a", P2="a"))
    ask({"P1": 0.1, "P2": 0.2}, day=50)
    assert recent_time_to_answer(lake, "toy").as_dict()["answers"] == 1
    assert recent_time_to_answer(lake, "other") is None


def test_time_to_answer__has_quantiles_of_the_times():
    """Checked against numpy."""
    waits = [10.0, 20.0, 30.0, 100.0, 500.0]
    rows = pl.DataFrame(
        {
            "created_timestamp": [DAY + timedelta(seconds=w) for w in waits],
            "arrived_timestamp": [DAY] * 5,
        }
    )
    found = time_to_answer(rows)
    assert found.median_s == 30.0
    assert found.p90_s == pytest.approx(np.quantile(waits, 0.9))
    assert found.max_s == 500.0
