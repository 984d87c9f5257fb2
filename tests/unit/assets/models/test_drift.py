"""Verdicts on drift: who counts as new, what is found, and what is remembered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from assets.clinical.contract import clinical_contract
from assets.clinical.publish import COHORT_SCHEMA, LABELS_SCHEMA
from assets.genomics.fusion.reader import CONTRACT as FUSION
from assets.models.drift import AskedModel, judge_drift, out_of_fold
from assets.models.verdicts import StoredVerdict, newest_verdict, store_verdict
from assets.store.catalog import service_contracts
from assets.training.data_version import data_version, frame_tables
from assets.training.frames import FrameBuilder, FrameRequest
from assets.training.sidecar import frame_columns
from ml.evaluation.calibrators import Scaling
from ml.frames.frame import read_frame
from ml.serving.inputs import Inputs
from ml.serving.model import ServedModel
from ml.study.modelling import Conformal
from ml.training.stored import StoredModel
from oncoframe.point_in_time import served_rows

pytestmark = pytest.mark.slow

CLINICAL = clinical_contract()
SERVICE = "aml_who_class_v1"
COUNT = "fusion_features__fusion_count"
AGE = "clinical_features__age_at_index_years"
#: Patients of the reference, and of a wave of arrivals; the frame is built between the two days.
LEARNED, ARRIVED = 120, 40
BEFORE, BUILT, AFTER = 0, 10, 20


class Hall:
    """A hospital whose patients come in waves, and the frames of it."""

    def __init__(self, hospital) -> None:
        self.hospital = hospital
        self.rng = np.random.default_rng(7)
        self.frames = hospital.home / "frames"
        self.number = 0
        self.builder = FrameBuilder(
            hospital.lake, self.frames, service_contracts(SERVICE), self._pull
        )

    def _pull(self, entities, versions):
        asked = entities.rename({"event_timestamp": "index_timestamp"})
        joined = entities
        for contract in self.builder.contracts:
            names = frame_columns([contract])
            wanted = [name.partition("__")[2] for name in names]
            rows = served_rows(
                self.hospital.lake, contract.table, asked, wanted,
                known_by=entities["known_by"][0], version=versions.get(contract.table),
            )  # fmt: skip
            types = contract.schema()
            absent = [pl.lit(None, types[w]).alias(w) for w in wanted if w not in rows.columns]
            rows = rows.with_columns(absent).select(
                "patient_id", **{f"{contract.table}__{name}": name for name in wanted}
            )
            joined = joined.join(rows, on="patient_id", how="left", maintain_order="left")
        return joined

    def wave(self, patients, *, day, mean=2.0, tool="STAR-Fusion", labelled=True):
        """Patients with about so many fusions, found by a tool."""
        names = [f"P{self.number + i:03d}" for i in range(patients)]
        self.number += patients
        rows = [self._row(name, day) for name in names]
        cohort = pl.DataFrame(rows).with_columns(consent=pl.lit("yes"))
        self._append("cohort", cohort, COHORT_SCHEMA)
        if labelled:
            label = [("ALL", "AML")[place % 2] for place in range(patients)]
            about = {"label_name": pl.lit("who"), "label_version": pl.lit("1")}
            labels = pl.DataFrame(rows).with_columns(**about, label_value=pl.Series(label))
            self._append("labels", labels, LABELS_SCHEMA)
        self.fusions(names, day=day, mean=mean, tool=tool)
        ages = pl.Series(self.rng.normal(60, 10, patients))
        clinical = pl.DataFrame(rows).with_columns(
            clinical_performed=pl.lit(value=True), age_at_index_years=ages
        )
        self._append("clinical_features", clinical, CLINICAL.schema())

    def fusions(self, names, *, day, mean, tool="STAR-Fusion"):
        """Fusion files of some patients, read on a day."""
        rows = pl.DataFrame([self._row(name, day) for name in names]).with_columns(
            fusion_performed=pl.lit(value=True),
            fusion_count=pl.Series(self.rng.poisson(mean, len(names))),
            tool=pl.lit(tool),
        )
        self._append("fusion_features", rows, FUSION.schema())

    def _row(self, name, day):
        times = {
            "event_timestamp": self.hospital.at(BEFORE),
            "created_timestamp": self.hospital.at(day),
        }
        return {
            "patient_id": name,
            **times,
            "source_sha256": "x",
            "code_version": "1",
            "run_id": "r",
        }

    def _append(self, table, rows, schema):
        """All rows in one commit: one of each patient would take seconds."""
        absent = [pl.lit(None, t).alias(n) for n, t in schema.items() if n not in rows.columns]
        rows = rows.with_columns(absent).select(list(schema)).cast(dict(schema))
        self.hospital.lake.append(table, rows)

    def frame(self, *, day, everyone=False):
        study = self.hospital.study()
        request = FrameRequest(study, self.hospital.at(day), None, everyone)
        return self.builder.build(request)["frame_id"]

    def judge(self, reference, current, **more):
        return judge_drift(
            self.hospital.lake, self.frames, reference=reference, current=current, **more
        ).verdict


@pytest.fixture
def hall(hospital):
    hall = Hall(hospital)
    hall.wave(LEARNED, day=BEFORE)
    return hall


@pytest.fixture
def reference(hall):
    return hall.frame(day=BUILT)


def test_judge_drift__finds_what_a_new_tool_changed_and_names_it(hall, reference):
    """A caller that sees twice as many fusions, and nobody told the statisticians."""
    hall.wave(ARRIVED, day=AFTER, mean=6.0, tool="Arriba 9")
    current = hall.frame(day=AFTER, everyone=True)
    verdict = hall.judge(reference, current)
    assert verdict.drifted
    assert verdict.columns == (COUNT,)
    assert "Arriba 9" in verdict.cause
    assert (verdict.reference_patients, verdict.current_patients) == (LEARNED, ARRIVED)
    assert (verdict.reference_frame_id, verdict.current_frame_id) == (reference, current)


def test_judge_drift__is_silent_about_patients_like_the_others(hall, reference):
    """An alarm every week is switched off, and with it the one that counts."""
    hall.wave(ARRIVED, day=AFTER)
    verdict = hall.judge(reference, hall.frame(day=AFTER, everyone=True))
    assert not verdict.drifted
    assert verdict.current_patients == ARRIVED
    assert verdict.sentence.startswith(f"no drift in {ARRIVED} new patients against {LEARNED}")


def test_judge_drift__has_nobody_to_judge_on_the_day_of_the_training(hall, reference):
    """A frame without a newcomer is no error."""
    verdict = hall.judge(reference, hall.frame(day=BUILT, everyone=True))
    assert (verdict.drifted, verdict.current_patients) == (False, 0)


def test_judge_drift__takes_patients_without_label_who_were_there_for_no_arrivals(hall):
    """They are in no training frame, and would look like drift every night, for ever."""
    hall.wave(ARRIVED, day=BEFORE, mean=6.0, labelled=False)
    reference = hall.frame(day=BUILT)
    current = hall.frame(day=AFTER, everyone=True)
    assert not hall.judge(reference, current).drifted
    assert hall.judge(reference, current).current_patients == 0
    # Of the challenger that they led to, they are judged.
    early = hall.hospital.at(BEFORE) - timedelta(days=1)
    assert hall.judge(reference, current, since=early).current_patients == ARRIVED


def test_judge_drift__judges_arrivals_without_label(hall, reference):
    """Labels come weeks after the files; a drift that waits for them is found weeks late."""
    hall.wave(ARRIVED, day=AFTER, mean=6.0, labelled=False)
    assert hall.judge(reference, hall.frame(day=AFTER, everyone=True)).drifted


def test_judge_drift__judges_patients_whose_values_changed(hall, reference):
    """Another code version computes other values of the same files."""
    again = [f"P{number:03d}" for number in range(ARRIVED)]
    hall.fusions(again, day=AFTER, mean=50.0, tool="other")
    verdict = hall.judge(reference, hall.frame(day=AFTER, everyone=True))
    assert verdict.drifted
    assert verdict.current_patients == ARRIVED


class Scale(ClassifierMixin, BaseEstimator):
    """Surer of AML, the more fusions there are."""

    classes_ = np.array(["ALL", "AML"], dtype=object)

    def predict_proba(self, features):
        share = np.clip(features[COUNT].to_numpy(dtype=float) / 12, 0.01, 0.99)
        return np.column_stack([1 - share, share])


@pytest.fixture
def model(hall, reference, tmp_path):
    """What the model said of patients of the reference, in two repeats, one of them kept."""
    rows = read_frame(hall.frames / reference).rows
    said = Scale().predict_proba(rows.to_pandas())
    given = {"p[ALL]": 0.5, "p[AML]": 0.5, "calibrated[ALL]": said[:, 0]}
    given |= {"calibrated[AML]": said[:, 1]}
    table = pl.DataFrame({"patient_id": rows["patient_id"], "repeat": 0, **given})
    other = table.with_columns(
        pl.lit(1, pl.Int32).alias("repeat"), pl.lit(None).alias("calibrated[ALL]")
    )
    table = table.filter(pl.col("patient_id") != "P000").reverse()
    pl.concat([table, other.cast(table.schema)]).write_parquet(tmp_path / "predictions.parquet")
    served = ServedModel(
        Scale(), Scale.classes_, Inputs((COUNT, AGE), ()), Scaling(), None, Conformal()
    )
    return AskedModel(StoredModel("run", "scale", "all", tmp_path, None), served)


def test_out_of_fold__is_in_the_order_of_the_frame(hall, reference, model):
    """A probability of another patient: the calibration of a model would be that of a dice."""
    frame = read_frame(hall.frames / reference)
    found = out_of_fold(model.stored, frame)
    expected = Scale().predict_proba(frame.rows.to_pandas())
    assert found.classes == ["ALL", "AML"]
    np.testing.assert_allclose(found.probabilities[1:], expected[1:])
    assert np.isnan(found.probabilities[0]).all()
    assert list(found.labels) == frame.rows["label"].to_list()


def test_judge_drift__compares_predictions_and_calibration(hall, reference, model):
    """A model that is sure of AML in patients who have it or not: only their labels tell."""
    hall.wave(ARRIVED, day=AFTER, mean=8.0)
    current = hall.frame(day=AFTER, everyone=True)
    verdict = hall.judge(reference, current, model=model)
    assert {"predictions", "calibration"} <= verdict.modalities.keys()
    assert verdict.modalities["predictions"]["drifted"] > 0
    assert verdict.modalities["calibration"]["drifted"] > 0


def test_data_version__changes_with_what_a_frame_is_made_of(hall):
    """A retraining would be left out, or done for nothing."""
    lake, study = hall.hospital.lake, hall.hospital.study()
    contracts = service_contracts(SERVICE)

    def now(of=study):
        return data_version(lake, of, contracts)

    first = now()
    hall.hospital.attempt("P000", "snv", "quarantined")
    assert now() == first, "an attempt that failed says nothing new"
    assert now(hall.hospital.study(title="Another")) != first
    hall.wave(1, day=AFTER)
    assert now() != first
    assert data_version(lake, study, contracts[:1]) != now()


def test_data_version__of_a_frame_is_that_of_the_lake_it_was_built_on(hall, reference):
    """The verdict of the night would be held against data that it never saw."""
    lake, study = hall.hospital.lake, hall.hospital.study()
    version = data_version(lake, study, service_contracts(SERVICE))
    current = hall.frame(day=BUILT, everyone=True)
    hall.wave(1, day=AFTER)
    assert hall.judge(reference, current).data_version == version
    assert "ledger" not in frame_tables(service_contracts(SERVICE))


VERDICT = StoredVerdict(
    study="toy", reference_frame_id="one", current_frame_id="now", data_version="d",
    judged_at=datetime(2024, 1, 1, tzinfo=UTC), drifted=True, columns=("a", "b", "c", "d"),
    effect=0.5, cause=None, reference_patients=9, current_patients=3,
    modalities={"snv": {"tested": 2, "drifted": 1, "share": 0.5, "causes": []}}, page="p.html",
)  # fmt: skip


def test_newest_verdict__is_what_was_stored(tmp_path):
    assert newest_verdict(tmp_path, "toy") is None
    store_verdict(tmp_path, VERDICT)
    assert newest_verdict(tmp_path, "toy") == VERDICT
    assert newest_verdict(tmp_path, "other") is None


def test_newest_verdict__is_the_last_one_against_a_frame(tmp_path):
    """The gate would read the verdict on another model."""
    later = VERDICT.judged_at + timedelta(days=1)
    other = replace(VERDICT, reference_frame_id="two", drifted=False, judged_at=later)
    for verdict in (VERDICT, other):
        store_verdict(tmp_path, verdict)
    assert newest_verdict(tmp_path, "toy") == other
    assert newest_verdict(tmp_path, "toy", reference_frame_id="one") == VERDICT
    store_verdict(tmp_path, replace(VERDICT, drifted=False))
    assert not newest_verdict(tmp_path, "toy", reference_frame_id="one").drifted
    assert newest_verdict(tmp_path, "toy", reference_frame_id="three") is None


def test_sentence__names_some_columns_and_says_when_no_cause_is_known():
    """The reason of a retraining is read in a list of runs, not in a report."""
    assert VERDICT.sentence == (
        "drift in 3 new patients against 9 of frame one: a, b, c and 1 more; "
        "likely cause: no recorded covariate goes with it"
    )
