"""Time as an argument: the real clock, and the two questions that the rest of the program asks of it."""

import threading
import time
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """What the core asks of time, so that a test can be the time."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> bool:
        """Wait; returns whether a stop ended the wait."""

    @property
    def boot(self) -> str:
        """Which start of which machine ``monotonic`` counts from: equal values may be compared."""


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The machine's clock; ``stop`` wakes every sleeper."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back, and go on while the machine is suspended where it can tell."""
        return monotonic()

    @property
    def boot(self) -> str:
        """The kernel's name for this start; where there is none, for this process only."""
        return _boot()

    def sleep(self, seconds: float) -> bool:
        """Wait; returns True, at once, when ``stop`` is set."""
        return self.stop.wait(max(0.0, seconds))


def monotonic() -> float:
    """Seconds since this machine was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@cache
def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"process {uuid.uuid4()}"
