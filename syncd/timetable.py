"""When something is done again: words such as "02:30" and "Sun 03:00", and waiting that follows the work. Pure."""

import re
from datetime import UTC, datetime, timedelta

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WORDS = re.compile(r"^(?:(?P<day>[A-Za-z]{3})\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})$")
OFF = "off"

_SHARE = 10
_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 5.0, 300.0


def parse(words: str) -> tuple[int | None, int, int] | None:
    """Weekday (Monday is 0; None: every day), hour and minute, in UTC; None when it is never done.

    Raises:
        ValueError: The words are not understood.
    """
    if words.strip().lower() == OFF:
        return None
    match = _WORDS.match(words.strip())
    if match is not None:
        day, hour, minute = match["day"], int(match["hour"]), int(match["minute"])
        if hour < 24 and minute < 60 and (day is None or day.lower() in _DAYS):
            return None if day is None else _DAYS.index(day.lower()), hour, minute
    msg = 'a time in UTC looks like "02:30" or "Sun 03:00", and "off" is never'
    raise ValueError(msg)


def next_after(words: str, moment: datetime) -> datetime | None:
    """The first time after ``moment`` that the words mean; None when it is never."""
    parsed = parse(words)
    if parsed is None:
        return None
    day, hour, minute = parsed
    moment = moment.astimezone(UTC)
    found = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
    while found <= moment or (day is not None and found.weekday() != day):
        found += timedelta(days=1)
    return found


def seconds_until(words: str, last: datetime, now: datetime) -> float | None:
    """How long to wait; 0 when its time passed since it was last done, or since nobody did it; None when it never is.

    Whoever asks again and again needs a moment that stays: asked from *now* on, no time is ever past.
    """
    due = next_after(words, min(last, now))
    return None if due is None else max(0.0, (due - now).total_seconds())


def rest_after(took: float, usual: float) -> float:
    """How long work that reads everything rests: as usual, but at least ten times as long as it took."""
    return max(usual, took * _SHARE)


def retry_after(failures: int) -> float:
    """How long to wait after so many failures in a row, in seconds."""
    return min(_LONGEST_RETRY_SECONDS, _RETRY_SECONDS * 2.0 ** min(failures - 1, 16))
