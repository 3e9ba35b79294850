"""Time as an argument: the real clock, and the two questions that the rest of the program asks of it."""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the core asks of time, so that a test can be the time."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> bool:
        """Wait; returns whether a stop ended the wait."""


class SystemClock:
    """The machine's clock; ``stop`` wakes every sleeper."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> bool:
        """Wait; returns True, at once, when ``stop`` is set."""
        return self.stop.wait(max(0.0, seconds))
