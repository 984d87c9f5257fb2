"""The point-in-time join against a reference that reads like the definition.

Times are small integers of days, so that ties, corrections and late arrivals are common.
"""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oncoframe.contracts import UTC_TIME, WITHDRAWN
from oncoframe.errors import SettingsError
from oncoframe.point_in_time import (
    AS_OF,
    CREATED_TIME,
    EVENT_TIME,
    KNOWN_BY,
    RUN,
    latest_events,
    latest_known_rows,
    latest_rows,
    take_rows,
    utc_time,
)

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)

HISTORY = {
    "patient_id": pl.String, EVENT_TIME: UTC_TIME, CREATED_TIME: UTC_TIME, RUN: pl.String,
}  # fmt: skip

days = st.integers(0, 6)
patients = st.sampled_from(["A", "B", "C"])
#: (patient, event, created, run): the same event again is a correction, created long after it a
#: late arrival, equal in all four a row that was appended twice. Run w takes its event back.
histories = st.lists(st.tuples(patients, days, days, st.sampled_from("rsw")), max_size=15)
#: (patient, as-of, known-by); patient Z has no history.
questions = st.lists(st.tuples(patients | st.just("Z"), days, days), max_size=8)
LAST = 6
ttls = st.none() | st.integers(0, 4)


def at(day):
    return EPOCH + timedelta(days=day)


def history_frame(history):
    columns = [list(column) for column in zip(*history, strict=True)] or [[], [], [], []]
    return pl.DataFrame(
        {
            "patient_id": columns[0],
            EVENT_TIME: [at(day) for day in columns[1]],
            CREATED_TIME: [at(day) for day in columns[2]],
            RUN: columns[3],
        },
        schema=HISTORY,
    ).with_columns(pl.col(RUN).eq("w").alias(WITHDRAWN))


def ask_frame(asked, *, both):
    schema = {"patient_id": pl.String, AS_OF: UTC_TIME, KNOWN_BY: UTC_TIME}
    rows = [(patient, at(as_of), at(known_by)) for patient, as_of, known_by in asked]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame if both else frame.drop(KNOWN_BY)


def told(rows):
    """Rows as :func:`reference` gives them."""
    days = [[(time - EPOCH).days for time in rows[clock]] for clock in (EVENT_TIME, CREATED_TIME)]
    return list(zip(*days, rows[RUN], strict=True))


def reference(history, patient, as_of, known_by, ttl):
    """Latest (event, created, run) that counts: the definition, row by row."""
    counting = [
        (event, created, run)
        for owner, event, created, run in history
        if owner == patient and event <= as_of and (known_by is None or created <= known_by)
    ]
    corrected = {event: (event, created, run) for event, created, run in sorted(counting)}
    standing = [row for row in corrected.values() if row[2] != "w"]
    latest = max(standing, default=None)
    return None if latest and ttl and latest[0] < as_of - ttl else latest


@pytest.mark.slow
@settings(max_examples=350, deadline=None)  # of three patients each: 1,000 histories
@given(history=histories, asked=questions, ttl=ttls, both=st.booleans())
@example(history=[("A", 1, 3, "r")], asked=[("A", 2, 2)], ttl=None, both=True)  # known too late
@example(history=[("A", 1, 1, "r"), ("A", 1, 2, "r")], asked=[("A", 5, 5)], ttl=None, both=True)
@example(history=[("A", 3, 3, "r"), ("A", 1, 5, "r")], asked=[("A", 6, 6)], ttl=None, both=True)
@example(history=[("A", 1, 1, "r")], asked=[("A", 3, 3), ("A", 4, 4)], ttl=2, both=False)
@example(
    history=[("A", 1, 1, "r"), ("A", 2, 2, "r"), ("A", 2, 4, "w")],
    asked=[("A", 5, 3), ("A", 5, 5)],
    ttl=None,
    both=True,
)  # taken back on day 4
def test_latest_known_rows__agree_with_the_definition(history, asked, ttl, both):
    """A value from the future, or a correction not taken, changes no type and no count."""
    seen = latest_known_rows(
        ask_frame(asked, both=both),
        history_frame(history),
        keys={"patient_id": "patient_id"},
        ttl=None if ttl is None else timedelta(days=ttl),
    )

    got = [None if row is None else history[row][1:] for row in seen]
    assert got == [
        reference(history, patient, as_of, known_by if both else None, ttl)
        for patient, as_of, known_by in asked
    ]


def test_latest_known_rows__know_the_entity_column_by_another_name():
    """A donor's history must not be looked up under the recipient's id."""
    asks = pl.DataFrame({"patient_id": ["A"], "donor": ["B"], AS_OF: [at(5)]})
    history = history_frame([("A", 1, 1, "r"), ("B", 2, 2, "r")])

    seen = latest_known_rows(asks, history, keys={"patient_id": "donor"})

    assert seen.to_list() == [1]


@settings(max_examples=200, deadline=None)
@given(history=histories, known_by=st.none() | days)
def test_latest_rows__agree_with_the_definition(history, known_by):
    """Row by row: the newest correction of each event, unless it takes the event back."""
    rows = history_frame(history).lazy()
    by = ("patient_id", EVENT_TIME)

    got = latest_rows(rows, by=by, known_by=None if known_by is None else at(known_by)).collect()

    known = [row for row in history if known_by is None or row[2] <= known_by]
    corrected = {row[:2]: row for row in sorted(known)}
    standing = [row for row in corrected.values() if row[3] != "w"]
    assert got.drop(WITHDRAWN).sort(by).equals(history_frame(sorted(standing)).drop(WITHDRAWN))


@settings(max_examples=200, deadline=None)
@given(history=histories)
@example(history=[("A", 1, 1, "w"), ("A", 2, 2, "w")])
def test_latest_events__agree_with_the_definition(history):
    """Online, a patient whose rows were all taken back has to be overwritten, not left standing."""
    rows = history_frame(history).lazy()

    standing = latest_events(rows, by=("patient_id",)).collect()
    all_of = latest_events(rows, by=("patient_id",), taken_back=True).collect()

    expected = {p: reference(history, p, LAST, LAST, None) for p in sorted({h[0] for h in history})}
    assert dict(zip(standing["patient_id"], told(standing), strict=True)) == {
        patient: row for patient, row in expected.items() if row
    }
    assert dict(zip(all_of["patient_id"], told(all_of), strict=True)) == {
        patient: row or max(h for h in sorted(history) if h[0] == patient)[1:]
        for patient, row in expected.items()
    }


def test_latest_rows__break_ties_by_run_as_the_join_does():
    """Two runs of one moment: which of the rows counts must not depend on who asks."""
    rows = history_frame([("A", 1, 1, "s"), ("A", 1, 1, "r")])
    asks = ask_frame([("A", 2, 2)], both=True)

    newest = latest_rows(rows.lazy(), by=("patient_id", EVENT_TIME)).collect()

    assert newest[RUN].to_list() == ["s"]
    assert latest_known_rows(asks, rows, keys={"patient_id": "patient_id"}).to_list() == [0]


@pytest.mark.parametrize(("day", "run"), [(None, "c"), (2, "b"), (1, "a")])
def test_latest_rows__take_what_was_known(day, run):
    """A correction learned later must not be seen earlier, and must win afterwards."""
    rows = history_frame([("A", 0, 2, "b"), ("A", 0, 3, "c"), ("A", 0, 1, "a")])
    known_by = None if day is None else at(day)

    for table in (rows, rows.drop(WITHDRAWN)):
        latest = latest_rows(table.lazy(), by=["patient_id"], known_by=known_by).collect()
        assert latest[RUN].to_list() == [run]


def test_latest_events__take_tables_that_take_nothing_back():
    """A table written before rows could be taken back has no such column."""
    rows = history_frame([("A", 1, 1, "r"), ("A", 2, 1, "r")]).drop(WITHDRAWN)

    for taken_back in (False, True):
        newest = latest_events(rows.lazy(), by=("patient_id",), taken_back=taken_back).collect()
        assert newest[EVENT_TIME].to_list() == [at(2)]


@pytest.mark.parametrize(
    "positions",
    [
        pytest.param([], id="none asked"),
        pytest.param([None, None], id="all unknown"),
        pytest.param([0, 1, 2, 3, 4, 5], id="all rows in order"),
        pytest.param([3, 1, None, 1, 5, 0], id="permuted, repeated, unknown"),
        pytest.param([2, 0, 1], id="permuted"),
        pytest.param([2, 3, 4], id="a run of rows"),
        pytest.param([4, None, 4], id="one row twice"),
    ],
)
def test_take_rows__return_each_row_asked_for(tmp_path, positions):
    """Rows come from several files; one position off gives every patient another one's values."""
    values = [10.0, 11.0, 12.0, None, 14.0, 15.0]
    vectors = [[value, 0.5] if value is not None else None for value in values]
    frame = pl.DataFrame(
        {"value": values, "vector": vectors},
        schema={"value": pl.Float64, "vector": pl.List(pl.Float32)},
    )
    for part, rows in enumerate(frame.iter_slices(2)):
        rows.write_parquet(tmp_path / f"{part}.parquet")

    got = take_rows(
        pl.scan_parquet(tmp_path / "*.parquet"),
        pl.Series(positions, dtype=pl.UInt32),
        {"vector": pl.List(pl.Float32()), "value": pl.Float64(), "later": pl.Int64()},
    )

    assert got.schema == {"vector": pl.List(pl.Float32), "value": pl.Float64, "later": pl.Int64}
    assert got["value"].to_list() == [None if p is None else values[p] for p in positions]
    assert got["vector"].to_list() == [None if p is None else vectors[p] for p in positions]
    assert got["later"].to_list() == [None] * len(positions)


def test_take_rows__do_not_copy_what_is_already_in_order():
    """A copy of a cohort's expression vectors is gigabytes."""
    frame = pl.DataFrame({"vector": pl.Series([[1.0], [2.0]], dtype=pl.List(pl.Float32))})

    got = take_rows(frame.lazy(), pl.Series([0, 1], dtype=pl.UInt32), dict(frame.schema))

    before, after = (part["vector"].to_arrow().values.buffers()[1] for part in (frame, got))
    assert before.address == after.address


@pytest.mark.parametrize(
    ("said", "hour"),
    [("2024-03-31", 0), ("2024-03-31T12:00+02:00", 10), (datetime(2024, 3, 31, 5), 5)],  # noqa: DTZ001
)
def test_utc_time__is_utc_unless_a_zone_is_named(said, hour):
    """The clock of the machine decides nothing."""
    assert utc_time(said, where="as_of") == datetime(2024, 3, 31, hour, tzinfo=UTC)


def test_utc_time__says_what_a_time_looks_like():
    with pytest.raises(SettingsError, match="as_of: not a time; expected ISO format"):
        utc_time("soon", where="as_of")
