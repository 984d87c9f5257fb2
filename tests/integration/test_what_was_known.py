"""What was known: every path that answers it gives the same answer, and the right one.

Each path is asked in its own way, so a rule written a second time cannot go its own way unseen.
Times are small integers of days, so that corrections, late arrivals and ties are common.
"""

import json

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assets.training.data_version import last_learned
from assets.training.diff import Why, diff_frames
from assets.training.lineage import explain
from assets.training.measurement import frame_provenance, how_measured
from ml.study.definition import Study
from oncoframe import ledger
from oncoframe.contracts import Contract, Feature
from oncoframe.ledger import Entry, Outcome
from oncoframe.point_in_time import served_rows
from orchestration.patients.staleness import row_states

pytestmark = pytest.mark.filterwarnings(
    "ignore:On demand feature view is an experimental:RuntimeWarning"
)

#: What the paths beside the feature store have to know of the clinic's table.
BLOOD = Contract("blood", "blood", "Counts.", "1", (Feature("count", pl.Int64(), "1", "cells"),))
PATIENTS = ("A", "B", "C")
LAST = 6
COUNT = "blood__count"

#: January, and a February that was taken back in March.
PLANTED = [("A", 1, 1, "r"), ("A", 2, 2, "s"), ("A", 2, 3, "w")]

days = st.integers(0, LAST)
#: (patient, event, created, run): one run writes a patient's event once; run w takes it back.
histories = st.lists(
    st.tuples(st.sampled_from(PATIENTS), days, days, st.sampled_from("rsw")),
    unique=True,
    max_size=12,
)


class Ward:
    """A clinic whose rows are told apart by their number: as count, as tool and as file hash."""

    def __init__(self, clinic, history, commits=1):
        self.clinic, self.lake, self.history = clinic, clinic.lake, history
        rows = [self._row(number, *row) for number, row in enumerate(history)]
        for commit in filter(None, (rows[start::commits] for start in range(commits))):
            self.lake.append("blood", pl.concat(commit))
        ledger.append(self.lake, [self._entry(patient) for patient in PATIENTS])

    def _row(self, number, patient, event, created, run):
        back = run == "w"
        return self.clinic.row(
            "blood", patient, event, created, count=None if back else number, withdrawn=back,
            tool=str(number), source_sha256=str(number), run_id=run,
        )  # fmt: skip

    def _entry(self, patient):
        now = self.clinic.at(LAST)
        said = dict.fromkeys(("error", "message", "file", "tool"))
        return Entry(
            patient_id=patient, modality="blood", outcome=Outcome.OK, source_sha256="x",
            code_version="1", attempts=1, first_seen=now, last_seen=now, run_id="r", **said,
        )  # fmt: skip

    def known(self, as_of=LAST, known_by=LAST):
        """Patient -> number of the row that counts: the definition, row by row."""
        counting = sorted(
            (event, created, run, number, patient)
            for number, (patient, event, created, run) in enumerate(self.history)
            if event <= as_of and created <= known_by
        )
        corrected = {(row[-1], row[0]): row for row in counting}
        standing = [row for row in corrected.values() if row[2] != "w"]
        newest = {row[-1]: row[3] for row in sorted(standing)}
        return {patient: newest.get(patient) for patient in PATIENTS}

    def entities(self, as_of):
        return pl.DataFrame({"patient_id": PATIENTS}).with_columns(
            pl.lit(self.clinic.at(as_of)).cast(pl.Datetime("us", "UTC")).alias("index_timestamp")
        )

    def sidecar(self, known_by):
        about = {"modality": "blood", "feature": "count", "unit": "1", "known": "at_index"}
        return {
            "frame_id": "f", "study": "toy", "label_name": "who", "modalities": ["blood"],
            "as_of": self.clinic.at(known_by).isoformat(), "excluded": {},
            "versions": {"blood": self.lake.version("blood")},
            "columns": {COUNT: {**about, "view": "blood", "kind": "scalar"}},
        }  # fmt: skip


def answers(rows, column="tool"):
    found = dict(rows.select("patient_id", column).iter_rows())
    return {p: None if found.get(p) is None else int(found[p]) for p in PATIENTS}


def ask_store(ward, as_of, known_by):
    entities = ward.entities(as_of).rename({"index_timestamp": "event_timestamp"})
    entities = entities.with_columns(
        pl.lit(ward.clinic.at(known_by)).cast(pl.Datetime("us", "UTC")).alias("known_by")
    )
    job = ward.clinic.store().get_historical_features(entities, ["blood:count"])
    return answers(job.to_polars(), "count")


def ask_served(ward, as_of, known_by):
    rows = served_rows(
        ward.lake, "blood", ward.entities(as_of), ("tool",),
        known_by=ward.clinic.at(known_by), version=ward.lake.version("blood"),
    )  # fmt: skip
    return answers(rows) if rows.width > 1 else dict.fromkeys(PATIENTS)


def ask_guards(ward, as_of, known_by):
    study = Study.model_validate(
        {
            "name": "toy", "title": "Toy", "features": {"service": "both"}, "recipes": ["lightgbm"],
            "label": {"name": "who", "version": "1", "min_patients_per_class": 2},
            "clocks": {"index": "diagnosis"}, "modality_sets": {"all": ["snv"]},
            "cross_validation": {"folds": 2, "repeats": 1, "seed": 1}, "guards": {"same": ["tool"]},
        }
    )  # fmt: skip
    measured = how_measured(
        ward.lake, ["blood"], study, ward.entities(as_of),
        known_by=ward.clinic.at(known_by), versions={"blood": ward.lake.version("blood")},
    )["blood"]  # fmt: skip
    return answers(measured) if measured.width > 1 else dict.fromkeys(PATIENTS)


def ask_provenance(ward, as_of, known_by):
    found = frame_provenance(ward.lake, ward.sidecar(known_by), ward.entities(as_of))
    return answers(found, "blood__tool") if found.width > 1 else dict.fromkeys(PATIENTS)


def ask_explain(ward, _, known_by):
    at = ward.clinic.at(known_by)
    return {p: explain(ward.lake, [BLOOD], p, "count", known_by=at).value for p in PATIENTS}


def ask_online(ward, *_):
    from feature_repo.lake_source import LakeTable  # noqa: PLC0415  (seconds)
    from feature_repo.latest import newest_rows  # noqa: PLC0415

    version = ward.lake.version("blood")
    rows = newest_rows(
        LakeTable(version, None if version is None else ward.lake.scan("blood")),
        keys=["patient_id"],
        features=["count"],
        clocks=["event_timestamp", "created_timestamp"],
        span=(ward.clinic.at(0), ward.clinic.at(LAST)),
    )
    return answers(rows, "count")


def ask_staleness(ward, *_):
    states = row_states(ward.lake, BLOOD, PATIENTS)
    return {p: int(max(found)[1]) if (found := states[p]) else None for p in PATIENTS}


#: Path -> who answers, whether it can be asked as of a time, whether as known by a time.
PATHS = {
    "feature store": (ask_store, True, True),
    "served rows": (ask_served, True, True),
    "guards": (ask_guards, True, True),
    "provenance": (ask_provenance, True, True),
    "explain": (ask_explain, False, True),
    "online": (ask_online, False, False),
    "staleness": (ask_staleness, False, False),
}


@pytest.mark.filterwarnings("ignore::feature_repo.home.StoreWarning")  # of nothing known then
@settings(max_examples=40, deadline=None)
@given(history=histories, as_of=days, known_by=days, commits=st.integers(1, 3))
@example(history=PLANTED, as_of=6, known_by=6, commits=1)
@example(history=[("A", 1, 1, "s"), ("A", 1, 1, "r")], as_of=6, known_by=6, commits=2)
@example(history=[("A", 1, 1, "r"), ("A", 1, 2, "w")], as_of=6, known_by=1, commits=1)
def test_every_path__answers_what_was_known(new_clinic, history, as_of, known_by, commits):
    """A guard that looks at other rows than the model sees lets through what it should stop."""
    ward = Ward(new_clinic(), history, commits)

    for name, (ask, by_event, by_knowledge) in PATHS.items():
        asked = as_of if by_event else LAST, known_by if by_knowledge else LAST
        assert (name, ask(ward, *asked)) == (name, ward.known(*asked))


@settings(max_examples=40, deadline=None)
@given(history=histories, as_of=days, known_by=st.tuples(days, days))
@example(history=PLANTED, as_of=6, known_by=(2, 6))
def test_diff__explains_by_the_rows_that_were_known(
    new_clinic, tmp_path_factory, history, as_of, known_by
):
    """A reason read off a row that the frame does not show explains another value."""
    ward = Ward(new_clinic(), history)
    folder = tmp_path_factory.mktemp("frames")
    before, after = (ward.known(as_of, day) for day in known_by)
    for name, found, day in zip("ab", (before, after), known_by, strict=True):
        (folder / name).mkdir()
        (folder / name / "frame.json").write_text(json.dumps(ward.sidecar(day)))
        values = pl.Series(COUNT, [found[p] for p in PATIENTS], dtype=pl.Int64)
        rows = ward.entities(as_of).with_columns(values, label=pl.lit("x"))
        rows.write_parquet(folder / name / "frame.parquet")

    got = diff_frames(ward.lake, folder, "a", "b").values

    later = known_by[1] >= known_by[0]
    assert dict(got.select("patient_id", "why").iter_rows()) == {
        p: reason(ward, before[p], after[p], later=later) for p in PATIENTS if before[p] != after[p]
    }


def reason(ward, before, after, *, later):
    """Why a value is another one, told by the numbers of the two rows."""
    if after is None:
        return Why.TAKEN_BACK if later else Why.NOT_KNOWN_YET
    if before is None:
        return Why.LATE_ARRIVAL
    events = [ward.history[number][1] for number in (before, after)]
    if events[1] < events[0] and later:
        return Why.TAKEN_BACK
    return Why.CORRECTION if events[0] == events[1] else Why.NEW_SPECIMEN


@pytest.fixture
def planted(new_clinic):
    """January by tool 0; February by tool 1, taken back."""
    return Ward(new_clinic(), PLANTED)


@pytest.mark.parametrize("path", PATHS)
def test_withdrawn_row__is_seen_by_nobody(planted, path):
    """The guards once saw the February that no frame showed."""
    ask, *_ = PATHS[path]

    assert ask(planted, LAST, LAST)["A"] == 0


def test_last_learned__is_the_time_of_the_row_that_is_shown(planted):
    """A model would count as trained on knowledge that it never saw."""
    found = last_learned(planted.lake, planted.sidecar(LAST), planted.entities(LAST))

    assert found["learned"].to_list() == [planted.clinic.at(1), None, None]
