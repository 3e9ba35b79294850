"""Send many DOIs once more, complete, behind everything that changes meanwhile, and know how long it takes.

Choosing only marks rows: from then on they are pending as mass work, whoever sends them, and a program that ends
in between leaves nothing to remember.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from syncd.config import WINDOW_SECONDS
from syncd.cycle import Parts, send
from syncd.limiter import Limiter
from syncd.model import Row

_log = structlog.get_logger()
_NAP_SECONDS = 5.0
_IDLE_SECONDS = 120.0
"""What is not due for so long waits for a scan, or for better times: the daemon sends it."""

_SAYS_SOMETHING = 0.01
_REST, _WINDOWS_KEPT, _STALE, _OUTDONE = 0.05, 2.5, 1.5, 3
SUSTAINED = 100_000
"""From about so many writes a day DataCite wants to be asked first, and 300 to 500 requests in 5 minutes (10)."""


Choice = Iterable[Sequence[str]] | None
"""DOIs, in parts; None: all."""


def of_pages(pages: Iterable[Sequence[Row]]) -> Choice:
    """The DOIs of these records."""
    return ([row.doi for row in page if row.doi] for page in pages)


def choose(parts: Parts, choice: Choice, *, dry_run: bool = False) -> int:
    """Mark DOIs that are to be sent once more; returns how many, and only that with ``dry_run``."""
    orders, account = parts.store.orders, parts.account.id
    mark = orders.refreshable if dry_run else orders.refresh
    return mark(account) if choice is None else sum(mark(account, part) for part in choice)


@dataclass
class Progress:
    """How far mass work is, and when it will be done.

    The limiter lets a burst through and then rests for about a window. So the time from the beginning of one burst
    to the next tells what the next ones will be like; where nothing rests, the last window does.

    Attributes:
        total: How many DOIs there were to send.
        left: How many there are now.
        failed: How many stand failed that did not before.
        window: How long the limiter's window is, in seconds.
    """

    total: int
    left: int
    failed: int = 0
    window: float = WINDOW_SECONDS
    _seen: deque[tuple[float, int]] = field(default_factory=deque, repr=False)
    _bursts: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=2), repr=False)
    _began: tuple[float, int] = field(default=(0.0, 0), repr=False)
    _moved_at: float = field(default=float("-inf"), repr=False)

    @property
    def done(self) -> int:
        """How many were dealt with."""
        return self.total - self.left

    def see(self, now: float, left: int) -> None:
        """So many are left at this moment, in seconds of a clock that does not jump."""
        if self._moves(now, left):
            if now - self._moved_at > self.window * _REST:
                self._bursts.append(self._seen[-1])
            self._moved_at = now
        if self._bursts and now - self._bursts[-1][0] > _STALE * self.window:
            self._bursts.clear()  # slots come free evenly by now, and nothing rests any more
        if len(self._bursts) == 2:
            (_, first), (_, second) = self._bursts
            if second - left > _OUTDONE * (first - second):
                self._bursts.popleft()  # what came before was no burst, only a few that somebody edited
        self.left = left
        self._seen.append((now, left))
        while self._seen[0][0] < now - _WINDOWS_KEPT * self.window:
            self._seen.popleft()

    def _moves(self, now: float, left: int) -> bool:
        """Whether it goes on as it usually does; a single DOI that somebody edited meanwhile is no burst."""
        if not self._seen:
            self._began = (now, left)
            return False
        (begin, at_first), (before, then) = self._began, self._seen[-1]
        usual = (at_first - left) / max(now - begin, 1.0)
        return then > left and (then - left) / max(now - before, 1.0) >= usual / 2

    @property
    def rate(self) -> float:
        """DOIs a second."""
        pattern = self._pattern()
        return pattern.done / pattern.seconds if pattern and pattern.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """As if what happened last happened again and again; None while nobody knows."""
        pattern = self._pattern()
        if pattern is None or not self._seen:
            return None
        now = self._seen[-1][0]
        if now - self._began[0] < self.window and pattern.done < self.left * _SAYS_SOMETHING:
            return None
        again, rest = divmod(pattern.before, pattern.done)
        return max(0.0, pattern.begin + again * pattern.seconds + pattern.reached(rest) - now)

    def _pattern(self) -> "_Pattern | None":
        """What happened last and will happen again."""
        if not self._seen:
            return None
        now = self._seen[-1][0]
        if len(self._bursts) == 2:
            (first, before), (second, after) = self._bursts
            return _Pattern(second, after, second - first, before - after, self._between(first, second, before))
        since = next((one for one in self._seen if one[0] > now - self.window), self._seen[0])
        if self._bursts:
            since = self._bursts[0]
        if since[1] <= self.left:
            return None
        seconds = max(now - since[0], self.window)
        return _Pattern(since[0], since[1], seconds, since[1] - self.left, self._between(since[0], now, since[1]))

    def _between(self, begin: float, end: float, before: int) -> list[tuple[float, int]]:
        return [(at - begin, before - left) for at, left in self._seen if begin <= at <= end]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """So many done in so many seconds, and how; counted from a moment at which so many were left."""

    begin: float
    before: int
    seconds: float
    done: int
    steps: Sequence[tuple[float, int]]

    def reached(self, count: int) -> float:
        """After how many seconds so many were done."""
        return next((after for after, done in self.steps if done >= count), self.seconds)


def work_off(parts: Parts, limiter: Limiter, tell: Callable[[Progress], None] = lambda _progress: None) -> Progress:
    """Send until no mass work is left, through pauses of the host, or until the program is to stop.

    Returns:
        How far it came; a pause that waits for a person, or credentials, end it early, and so do DOIs that are
        not due for minutes.
    """
    reading, account, clock = parts.store.reading, parts.account.id, parts.clock
    failed_before = reading.sum(account).quarantined
    total = reading.mass_work(account)
    progress = Progress(total, total, window=parts.datacite.window)
    looking = threading.Lock()
    next_look = 0.0

    def look(*, at_once: bool = False) -> None:
        nonlocal next_look
        now = clock.monotonic()
        if (now >= next_look or at_once) and looking.acquire(blocking=False):
            next_look = now + _NAP_SECONDS
            progress.see(now, reading.mass_work(account))
            tell(progress)
            looking.release()

    def stopping() -> bool:
        look()  # this is asked between any two records
        return parts.stopping()

    watched = replace(parts, stopping=stopping)
    idle_since = clock.monotonic()
    while progress.left and not parts.stopping() and clock.monotonic() - idle_since < _IDLE_SECONDS:
        sent = send(watched, limiter)
        if sent.requests or sent.unneeded or sent.rejected or sent.paused:
            idle_since = clock.monotonic()
        look(at_once=True)
        progress.failed = max(0, reading.sum(account).quarantined - failed_before)
        if any(pause.until is None or pause.scope == account for pause in parts.store.runs.pauses(account)):
            break
        if progress.left:
            clock.sleep(_NAP_SECONDS)
    _log.info("backfill.ended", account=account, done=progress.done, left=progress.left, failed=progress.failed)
    return progress
