"""Times and numbers as people read them. Pure."""

from datetime import UTC, datetime


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, in one unit."""
    if moment is None:
        return "-"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def duration(seconds: float) -> str:
    """How long, in one unit."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return counted(max(1, round(seconds)), "second")


def counted(count: int, noun: str) -> str:
    """So many of something, in English."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
