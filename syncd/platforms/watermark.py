"""Where the next quick look begins: the newest timestamp seen, less an overlap.

Platforms keep time as zoned or naive datetimes, as text in several forms, or as seconds since 1970. The
watermark is compared with their own column, so it keeps their form.
"""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

_MILLISECONDS_FROM = 10**11
_TEXT = re.compile(r"^(\d{4}-\d\d-\d\d)([ T])(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$")


def newest(marks: list[Any]) -> Any:
    """The greatest mark; None without one. Marks of the future count as well: see ``rewound``."""
    present = [mark for mark in marks if mark is not None]
    # MySQL's zero date comes as text among datetimes; what is of another kind than the rest says nothing.
    kinds = [type(mark) for mark in present]
    usual = max(kinds, key=kinds.count, default=None)
    return max((mark for mark in present if type(mark) is usual), default=None)


def rewound(mark: Any, seconds: float, now: datetime) -> Any:
    """The mark, ``seconds`` earlier, in its own form; a mark from the future counts as now.

    None when the mark is text in an unknown form: then every look is a full one.

    A clock that ran ahead would otherwise hide every later change.
    """
    back = timedelta(seconds=seconds)
    if isinstance(mark, datetime):
        return min(mark, now if mark.tzinfo else _without_zone(now)) - back
    if isinstance(mark, date):
        return min(mark, now.date()) - timedelta(days=1 + int(seconds // 86400))
    if isinstance(mark, (int, float, Decimal)):
        unit = 1000 if mark > _MILLISECONDS_FROM else 1
        latest = now.timestamp() * unit
        return type(mark)(min(float(mark), latest) - seconds * unit)
    return _text_rewound(str(mark), back, now)


def _text_rewound(mark: str, back: timedelta, now: datetime) -> str | None:
    match = _TEXT.match(mark)
    if match is None:
        try:
            day = min(date.fromisoformat(mark), now.date())
        except ValueError:
            return None
        return (day - timedelta(days=1) - back).isoformat()
    separator, fraction, zone = match[2], match[4] or "", match[5] or ""
    try:
        moment = datetime.fromisoformat(mark)
        latest = now if moment.tzinfo else _without_zone(now)
        earlier = min(moment, latest) - back
    except (ValueError, OverflowError):
        return None  # MySQL's zero date, or one before all time
    digits = f".{earlier.microsecond:06d}"[: len(fraction)] if fraction else ""
    offset = "Z" if zone == "Z" else zone
    return earlier.strftime(f"%Y-%m-%d{separator}%H:%M:%S") + digits + offset


def _without_zone(now: datetime) -> datetime:
    """Now, for a column that does not say in which zone it is: UTC or this host's, whichever is earlier.

    Too early is safe: some records are looked at again. Too late would hide changes.
    """
    return min(now.replace(tzinfo=None), now.astimezone().replace(tzinfo=None))


def to_json(mark: Any) -> Any:
    """A mark as the run's row keeps it."""
    if isinstance(mark, datetime):
        return {"datetime": mark.isoformat()}
    if isinstance(mark, date):
        return {"date": mark.isoformat()}
    if isinstance(mark, Decimal):
        return {"decimal": str(mark)}
    return mark


def from_json(stored: Any) -> Any:
    """The mark as the platform's column is compared with."""
    if not isinstance(stored, dict):
        return stored
    if "datetime" in stored:
        return datetime.fromisoformat(stored["datetime"])
    if "date" in stored:
        return date.fromisoformat(stored["date"])
    return Decimal(stored["decimal"])
