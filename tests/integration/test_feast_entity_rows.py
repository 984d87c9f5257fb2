"""Entity rows: every way of writing a time means the same, and what cannot be joined is refused."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl
import pytest
from feast.errors import EntityTimestampInferenceException, FeastEntityDFMissingColumnsError

from feature_repo.home import StoreWarning
from oncoframe.errors import StudyError

pytestmark = pytest.mark.filterwarnings(
    "ignore:On demand feature view is an experimental:RuntimeWarning"
)

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
#: A minute before and after the second row becomes true.
MOMENTS = [EPOCH + timedelta(days=1, minutes=minutes) for minutes in (-1, 1)]
NAIVE = [moment.replace(tzinfo=None) for moment in MOMENTS]
BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")


@pytest.mark.filterwarnings("ignore:entity column event_timestamp has no time zone")
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
    clinic.write("blood", "A", 0, 0, count=1)
    clinic.write("blood", "A", 1, 1, count=2)
    for frame in (pd.DataFrame, pl.DataFrame):
        entities = frame({"patient_id": ["A"], "seen_on": [EPOCH], "known_by": [MOMENTS[1]]})
        assert clinic.counts(entities) == [1]


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


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    ("zone", "message"),
    [
        (None, "entity column event_timestamp has no time zone and is read as UTC"),
        (BERLIN, r"1 of 2 times are midnight in Europe/Berlin, .* another hour in UTC"),
    ],
)
def test_as_of__that_is_hardly_meant_is_warned_of(clinic, frame, zone, message):
    """A diagnosis dated in local midnight lies on the day before in UTC, where nothing is known."""
    clinic.write("blood", "A", 0, 0, count=1)
    clinic.write("blood", "A", 9, 9, count=2)
    midnight, noon = datetime(2020, 1, 10, tzinfo=zone), datetime(2020, 1, 10, 12, tzinfo=zone)
    entities = frame({"patient_id": ["A", "A"], "event_timestamp": [midnight, noon]})

    with pytest.warns(StoreWarning, match=message):
        counts = clinic.counts(entities)

    assert counts == ([2, 2] if zone is None else [1, 2])


def test_as_of__in_utc_is_believed(clinic):
    """A warning at each pull would be read by nobody; pytest makes errors of them."""
    clinic.write("blood", "A", 0, 0, count=1)
    for day in (EPOCH, EPOCH.date()):
        assert clinic.counts(pl.DataFrame({"patient_id": ["A"], "event_timestamp": [day]})) == [1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"patient_id": "A", "day": 1}, "blood: .* all 1 rows of these patients became true"),
        ({"patient_id": "A", "day": 3}, "blood: .* all 1 rows that were true by then were learned"),
        ({"patient_id": "a", "day": 9}, "none of the 1 entity rows names a patient .*other ids"),
    ],
)
def test_ask__that_matches_nothing_is_told_why(clinic, asked, message):
    """Nulls alone look like an assay that was never done."""
    clinic.write("blood", "A", 2, 5, count=1)
    with pytest.warns(StoreWarning, match=message):
        assert clinic.counts(clinic.asks(asked["patient_id"], as_of=asked["day"])) == [None]


def test_ask__of_an_empty_lake_is_told_so(clinic):
    """A home in another place, or one that was never filled, answers every question with null."""
    with pytest.warns(StoreWarning, match=r"the lake has no row of any table .* oncoframe run"):
        assert clinic.counts(clinic.asks("A")) == [None]


def test_ask__of_a_view_that_few_have_is_no_reason_to_warn(clinic):
    """Most patients never had a CT; pytest makes errors of warnings."""
    clinic.write("blood", "A", 1, 1, count=1)
    clinic.write("marrow", "B", 1, 1, count=2)
    references = ["blood:count", "marrow:count"]
    job = clinic.store().get_historical_features(clinic.asks("A"), references, True)
    assert job.to_polars()["blood__count"].to_list() == [1]
