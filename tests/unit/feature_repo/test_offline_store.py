"""The point-in-time join against a reference that reads like the definition.

Times are small integers of days, so that ties, corrections and late arrivals are common.
"""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oncoframe.contracts import UTC_TIME, WITHDRAWN
from oncoframe.point_in_time import AS_OF, KNOWN_BY, latest_known_rows, take_rows

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
CLOCKS = ("event", "created", "run")

days = st.integers(0, 6)
patients = st.sampled_from(["A", "B", "C"])
#: (patient, event, created, run): the same event again is a correction, created long after it a
#: late arrival, equal in all four a row that was appended twice. Run w takes its event back.
histories = st.lists(st.tuples(patients, days, days, st.sampled_from("rsw")), max_size=15)
#: (patient, as-of, known-by); patient Z has no history.
questions = st.lists(st.tuples(patients | st.just("Z"), days, days), max_size=8)
ttls = st.none() | st.integers(0, 4)


def at(day):
    return EPOCH + timedelta(days=day)


def history_frame(history):
    columns = [list(column) for column in zip(*history, strict=True)] or [[], [], [], []]
    return pl.DataFrame(
        {
            "patient": columns[0],
            "event": [at(day) for day in columns[1]],
            "created": [at(day) for day in columns[2]],
            "run": columns[3],
        },
        schema={"patient": pl.String, "event": UTC_TIME, "created": UTC_TIME, "run": pl.String},
    ).with_columns(pl.col("run").eq("w").alias(WITHDRAWN))


def ask_frame(asked, *, both):
    schema = {"patient": pl.String, AS_OF: UTC_TIME, KNOWN_BY: UTC_TIME}
    rows = [(patient, at(as_of), at(known_by)) for patient, as_of, known_by in asked]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame if both else frame.drop(KNOWN_BY)


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
        keys={"patient": "patient"},
        clocks=CLOCKS,
        ttl=None if ttl is None else timedelta(days=ttl),
    )

    got = [None if row is None else history[row][1:] for row in seen]
    assert got == [
        reference(history, patient, as_of, known_by if both else None, ttl)
        for patient, as_of, known_by in asked
    ]


def test_latest_known_rows__know_the_entity_column_by_another_name():
    """A donor's history must not be looked up under the recipient's id."""
    asks = pl.DataFrame({"patient": ["A"], "donor": ["B"], AS_OF: [at(5)]})
    history = history_frame([("A", 1, 1, "r"), ("B", 2, 2, "r")])

    seen = latest_known_rows(asks, history, keys={"patient": "donor"}, clocks=CLOCKS)

    assert seen.to_list() == [1]


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
