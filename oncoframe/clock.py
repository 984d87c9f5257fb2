"""Times that people give: text in ISO format or an object, UTC unless it names a zone."""

from datetime import UTC, datetime

from oncoframe.errors import SettingsError


def utc_time(given: datetime | str, *, where: str) -> datetime:
    """Time with a zone.

    Parameters
    ----------
    given
        ``2024-03-31``, ``2024-03-31T12:00+02:00``, or a time; UTC unless it names a zone.
    where
        Option or argument it was given for.

    Raises
    ------
    SettingsError
        If the text is no time in ISO format.
    """
    try:
        time = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError as error:
        raise SettingsError(
            "not a time", where=where, expected="ISO format, such as 2024-03-31"
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)
