"""N slots that rest: no window of 300 s sees more than N requests, wherever it starts.

A slot is taken before a request leaves and comes free one window after the request is over. A request
arrives at DataCite between the two, so two arrivals through one slot are at least a window apart, and N slots
cannot put N + 1 arrivals into one window: whatever the latency, the jitter or the number of processes. A
crash leaves the slot taken for time-out and window together. A request without an answer may arrive after the
client gave up, so its slot rests the grace time longer. The slots live in the state database, which
all processes behind one address share, and are measured with its steady time (``store.steady``).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from syncd.clock import Clock
from syncd.settings import DataCiteSettings
from syncd.store.slots import Slots, Taken
from syncd.store.steady import MARGIN_SECONDS

_DESIGNED_FOR_SECONDS = 300.0
_CRASH_SECONDS = 30.0
_RESERVE = 60
_LONGEST_NAP, _NAP_OF_MASS = 5.0, 4.0


class Slot:
    """The right to have one request on its way; unused, it is given back at the end."""

    def __init__(self, slots: Slots, taken: Taken, rest: timedelta, late: timedelta, clock: Clock) -> None:
        self._slots = slots
        self._taken = taken
        self._rest = rest
        self._late = late
        self._taken_at = clock.monotonic()
        self._clock = clock
        self._used = False
        self._ended = False

    def use(self) -> bool:
        """A request leaves now; False when too much time went by since the slot was taken, and none may.

        The slot comes free by itself some time after it was taken, for the case of a crash: a request that
        begins late could then outlive it.
        """
        self._used = self.lasts
        return self._used

    @property
    def lasts(self) -> bool:
        """Whether a request that began now would be over before the slot comes free by itself."""
        return self._clock.monotonic() - self._taken_at < _CRASH_SECONDS / 2

    @property
    def leave_by(self) -> float:
        """The monotonic time by which the request must have left."""
        return self._taken_at + _CRASH_SECONDS / 2

    def end(self, *, answered: bool = False) -> None:
        """The request is over, or there was none; a second call changes nothing.

        Args:
            answered: Its answer came, so it has certainly arrived by now.
        """
        if self._ended:
            return
        self._ended = True
        if self._used:
            self._slots.finish(self._taken, self._rest if answered else self._rest + self._late)
        else:
            self._slots.give_back(self._taken)


class Limiter:
    """Hands out slots; every request to DataCite needs one: reads, probes and repetitions too."""

    def __init__(self, slots: Slots, settings: DataCiteSettings, clock: Clock) -> None:
        self._slots = slots
        self._clock = clock
        window = settings.window
        # Clocks that part slowly add up over a window, so the margin is a share of it.
        self._rest = timedelta(seconds=window + MARGIN_SECONDS * window / _DESIGNED_FOR_SECONDS)
        self._late = timedelta(seconds=settings.grace)
        self._hold = self._rest + self._late + timedelta(seconds=settings.request_timeout + _CRASH_SECONDS)
        self._count = settings.slots
        self._configured = settings.backfill_per_window or settings.slots
        self._not_for_mass = 0
        self._mass_from = 0.0
        self.order_mass(None)

    def prepare(self) -> None:
        """Make the table hold exactly as many slots as configured."""
        self._slots.resize(self._count, self._hold, self._rest)

    def order_mass(self, ceiling: int | None) -> None:
        """Mass work takes no more than so many slots, or than is configured, whatever is fewer."""
        # It leaves some in any case, so that a publish need not wait for the window.
        reserve = min(_RESERVE, self._count // 10)
        mass = min(self._configured, self._configured if ceiling is None else ceiling)
        kept, self._not_for_mass = self._not_for_mass, max(reserve, self._count - mass)
        if kept != self._not_for_mass:
            self._mass_from = 0.0  # when there is a slot for it is another question now

    def slow_down(self) -> None:
        """DataCite counts more than we do: half of the slots rest for a window, whoever used them."""
        self._slots.rest_some(self._count // 2, self._rest)

    def mass_rests(self) -> bool:
        """Whether there was no slot for mass work a moment ago; comes back after a nap, so it may be asked at once."""
        rest = min(self._mass_from - self._clock.monotonic(), _NAP_OF_MASS)
        if rest > 0:
            self._clock.sleep(rest)
        return rest > 0

    def mass_ahead(self, count: int) -> "Ahead":
        """What the slots say of so many requests of mass work that are still to be made."""
        return ahead(self._slots.until_free(), self._not_for_mass, self._rest.total_seconds(), count)

    @contextmanager
    def slot(self, *, mass: bool = False, patience: float = 30.0) -> Iterator[Slot | None]:
        """A slot, or None when none came free within ``patience`` seconds or the program is to stop."""
        taken = self._take(self._not_for_mass if mass else 0, patience)
        if taken is None:
            yield None
            return
        slot = Slot(self._slots, taken, self._rest, self._late, self._clock)
        try:
            yield slot
        finally:
            slot.end()

    def _take(self, keep_free: int, patience: float) -> Taken | None:
        deadline = self._clock.monotonic() + patience
        while True:
            taken = self._slots.take(self._hold, keep_free)
            if isinstance(taken, Taken):
                return taken
            left = deadline - self._clock.monotonic()
            if left <= 0:
                if keep_free:
                    self._mass_from = self._clock.monotonic() + taken.total_seconds()
                return None
            if self._clock.sleep(min(taken.total_seconds() + 0.001, left, _LONGEST_NAP)):
                return None


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is to come for mass work, if nothing else takes slots.

    Attributes:
        seconds: Until the last request can leave.
        scarce: None can leave at this moment.
        a_rest: How many can leave in each ``rest``.
        rest: How long a slot rests.
    """

    seconds: float
    scarce: bool
    a_rest: int
    rest: float


def ahead(until_free: Sequence[float], kept: int, rest: float, count: int) -> Ahead:
    """When the last of ``count`` requests can leave. Pure.

    Mass work takes a slot only while more than ``kept`` are free, so its first request takes the place of the slot
    that comes free after ``kept`` others; and each slot that it took is there again one rest later.

    Args:
        until_free: In how many seconds each slot is free, sorted; one that is in use counts as if it were done now.
        kept: How many are left to others.
        rest: How long a used slot rests, in seconds.
        count: How many requests.
    """
    usable = [min(max(0.0, one), rest) for one in until_free[kept:]]
    if count <= 0 or not usable:
        return Ahead(0.0, not usable, len(usable), rest)
    rounds, last = divmod(count - 1, len(usable))
    return Ahead(usable[last] + rounds * rest, usable[0] > 0, len(usable), rest)
