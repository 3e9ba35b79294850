"""Who is at work, and when each thread last made progress: what the watchdog is fed with."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from syncd.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Silence:
    """A thread without progress: what it does, and for how many seconds it has said nothing."""

    what: str
    seconds: float


class Pulse:
    """The last sign of life of every thread that has something to do."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._marks: dict[int, tuple[str, float]] = {}

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """This thread works on something; inside, it has to give signs of life."""
        mine = threading.get_ident()
        with self._lock:
            before = self._marks.get(mine)
            self._marks[mine] = (what, self._monotonic())
        try:
            yield
        finally:
            with self._lock:
                if before is None:
                    self._marks.pop(mine, None)
                else:
                    self._marks[mine] = (before[0], self._monotonic())

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """This thread waits for others, which give the signs of life."""
        mine = threading.get_ident()
        with self._lock:
            before = self._marks.pop(mine, None)
        try:
            yield
        finally:
            if before is not None:
                with self._lock:
                    self._marks[mine] = (before[0], self._monotonic())

    def beat(self, ahead: float = 0.0) -> None:
        """This thread made progress, or will be silent for so many seconds on purpose."""
        mine = threading.get_ident()
        with self._lock:
            if mine in self._marks:
                self._marks[mine] = (self._marks[mine][0], self._monotonic() + ahead)

    def longest(self) -> Silence | None:
        """The thread that was silent for longest; None when nobody works."""
        with self._lock:
            if not self._marks:
                return None
            what, at = min(self._marks.values(), key=lambda mark: mark[1])
        return Silence(what, max(0.0, self._monotonic() - at))


class WatchedClock(SystemClock):
    """The machine's clock; a thread that sleeps is silent on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.pulse = Pulse(self.monotonic)

    def sleep(self, seconds: float) -> bool:
        """Wait; returns True, at once, when ``stop`` is set."""
        self.pulse.beat(max(0.0, seconds))
        stopped = super().sleep(seconds)
        self.pulse.beat()
        return stopped
