"""Times that people give."""

from datetime import UTC, datetime

import pytest

from oncoframe.clock import utc_time
from oncoframe.errors import SettingsError


@pytest.mark.parametrize(
    ("given", "hour"),
    [("2024-03-31", 0), ("2024-03-31T12:00+02:00", 10), (datetime(2024, 3, 31, 5), 5)],  # noqa: DTZ001
)
def test_utc_time__is_utc_unless_a_zone_is_named(given, hour):
    """The clock of the machine decides nothing."""
    assert utc_time(given, where="as_of") == datetime(2024, 3, 31, hour, tzinfo=UTC)


def test_utc_time__says_what_a_time_looks_like():
    with pytest.raises(SettingsError, match="as_of: not a time; expected ISO format"):
        utc_time("soon", where="as_of")
