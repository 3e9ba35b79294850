"""Virtual time and who runs next: greenlets that give way at every transaction, request and wait."""

import heapq
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from greenlet import getcurrent, greenlet

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
STEPS_AT_ONCE = 20_000
"""Far more than a pass over all records takes; a program that takes more while no time passes turns in a circle."""


class TimeStands(AssertionError):
    """Something goes on and on without ever waiting: on a real machine a busy processor and a busy database."""


class Time:
    """The scheduler: whoever is due next runs; of several at once, the seed picks one."""

    def __init__(self, chance: random.Random) -> None:
        self.now = 0.0
        self._chance = chance
        self._due: list[tuple[float, float, int, Callable[[], Any]]] = []
        self._numbers = itertools.count()
        self._hub: greenlet | None = None
        self.steps = 0

    def at(self, moment: float, what: Callable[[], Any]) -> None:
        """Do something at a moment, whoever waits meanwhile."""
        heapq.heappush(self._due, (max(self.now, moment), self._chance.random(), next(self._numbers), what))

    def spawn(self, work: Callable[[], None]) -> None:
        """Begin something that may wait."""
        self.at(self.now, greenlet(work, parent=self._hub).switch)

    def wait(self, seconds: float = 0.0) -> None:
        """Give way, and go on after so many seconds."""
        assert self._hub is not None
        self.at(self.now + max(0.0, seconds), getcurrent().switch)
        self._hub.switch()

    def park(self) -> None:
        """Give way until somebody schedules the caller again."""
        assert self._hub is not None
        self._hub.switch()

    def run(self, until: float, over: Callable[[], bool] = lambda: False) -> None:
        """Let time pass."""
        self._hub = getcurrent()
        at_once = 0
        while self._due and self._due[0][0] <= until and not over():
            moment, _, _, what = heapq.heappop(self._due)
            at_once = at_once + 1 if moment == self.now else 0
            if at_once > STEPS_AT_ONCE:
                raise TimeStands(f"{STEPS_AT_ONCE} steps at {moment:.0f} s, and no time passes")
            self.now = moment
            self.steps += 1
            what()
        if not over():
            self.now = until

    def wall(self, offset: float = 0.0) -> datetime:
        """The wall clock of a machine that is so many seconds wrong."""
        return START + timedelta(seconds=self.now + offset)
