"""Entity rows: every way of writing a time means the same, and what cannot be joined is refused."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl
import pytest
from feast.errors import EntityTimestampInferenceException, FeastEntityDFMissingColumnsError

from oncoframe.errors import StudyError

pytestmark = pytest.mark.filterwarnings(
    "ignore:On demand feature view is an experimental:RuntimeWarning"
)

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
#: A minute before and after the second row becomes true.
MOMENTS = [EPOCH + timedelta(days=1, minutes=minutes) for minutes in (-1, 1)]
NAIVE = [moment.replace(tzinfo=None) for moment in MOMENTS]
BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(pd.to_datetime(NAIVE), id="pandas naive is UTC"),
        pytest.param(pd.to_datetime(MOMENTS).tz_convert(BERLIN), id="pandas in one zone"),
        pytest.param(
            pd.Series([MOMENTS[0].astimezone(BERLIN), MOMENTS[1].astimezone(TOKYO)], dtype=object),
            id="pandas in a zone each",
        ),
        pytest.param([moment.isoformat() for moment in MOMENTS], id="text"),
        pytest.param(pl.Series(NAIVE), id="polars naive is UTC"),
        pytest.param(pl.Series(MOMENTS).dt.convert_time_zone("Asia/Tokyo"), id="polars in a zone"),
        pytest.param(pl.Series(MOMENTS).dt.cast_time_unit("ns"), id="polars nanoseconds"),
    ],
)
def test_as_of__is_the_same_moment_however_it_is_written(clinic, times):
    """A time read in the wrong zone shifts the as-of time by hours and nobody notices."""
    clinic.write("blood", "A", 0, 0, count=1)
    clinic.write("blood", "A", 1, 1, count=2)
    frame = pl.DataFrame if isinstance(times, pl.Series) else pd.DataFrame
    entities = frame({"patient_id": ["A", "A"], "event_timestamp": times})

    got = clinic.store().get_historical_features(entities, ["blood:count"]).to_polars()

    assert got["event_timestamp"].to_list() == MOMENTS
    assert got["count"].to_list() == [1, 2]


def test_as_of__of_a_day_is_its_first_moment(clinic):
    """Read as the end of the day, it would see what happened on that day."""
    clinic.write("blood", "A", 0, 0, count=1)
    clinic.write("blood", "A", 1, 1, count=2)
    early = pl.DataFrame({"patient_id": ["A"], "event_timestamp": [date(2020, 1, 1)]})
    assert clinic.counts(early) == [1]


def test_as_of__is_the_only_time_column_under_any_name(clinic):
    """As in other Feast stores; known_by is never taken for it."""
    clinic.write("blood", "A", 1, 1, count=1)
    for frame in (pd.DataFrame, pl.DataFrame):
        entities = frame({"patient_id": ["A"], "seen_on": [EPOCH], "known_by": [MOMENTS[1]]})
        assert clinic.counts(entities) == [None]


@pytest.mark.parametrize(
    "entities",
    [
        pd.DataFrame({"patient_id": pd.Categorical(["B", "A"]), "event_timestamp": [EPOCH] * 2}),
        pl.DataFrame(
            {"patient_id": ["B", "A"], "event_timestamp": [EPOCH] * 2},
            schema_overrides={"patient_id": pl.Categorical},
        ),
    ],
)
def test_patients__may_be_categories(clinic, entities):
    """The code of a category is no patient."""
    clinic.write("blood", "A", 0, 0, count=1)
    assert clinic.counts(entities) == [None, 1]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_entity_rows__may_be_none(clinic, frame):
    """A study without a patient gives an empty frame of the right types, not an error."""
    clinic.write("blood", "A", 0, 0, count=1)
    entities = frame({"patient_id": ["A"], "event_timestamp": [EPOCH]}).head(0)

    got = clinic.store().get_historical_features(entities, ["blood:count"]).to_polars()

    assert got.select("count").schema == {"count": pl.Int64}
    assert got.is_empty()


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"event_timestamp": None}, EntityTimestampInferenceException, "event_timestamp"),
        ({"patient_id": None}, FeastEntityDFMissingColumnsError, "patient_id"),
        ({"patient_id": [7, 8]}, StudyError, "patient_id: the key has another type"),
        ({"event_timestamp": [EPOCH, None]}, StudyError, "needs its time; got 1 rows without"),
        ({"event_timestamp": [2020, 2021]}, StudyError, "event_timestamp: a time cannot be read"),
        ({"known_by": ["now", "then"]}, StudyError, "known_by: a time cannot be read"),
        ({"count": [1, 2]}, StudyError, "named like other columns; got count"),
    ],
)
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_entity_rows__that_cannot_be_joined_are_refused(clinic, frame, columns, error, message):
    """A frame that finds nothing must not come back as a cohort of nulls."""
    clinic.write("blood", "A", 0, 0, count=1)
    columns = {"patient_id": ["A", "B"], "event_timestamp": [EPOCH, EPOCH], **columns}
    entities = frame({name: values for name, values in columns.items() if values is not None})
    with pytest.raises(error, match=message):
        clinic.counts(entities)


def test_entity_rows__as_a_query_are_refused(clinic):
    """There is no SQL engine behind the lake; nothing must be guessed from the text."""
    with pytest.raises(StudyError, match="as a query"):
        clinic.counts("SELECT patient_id, event_timestamp FROM cohort")
