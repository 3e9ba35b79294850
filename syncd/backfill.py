"""Send many DOIs once more, complete, behind everything that changes meanwhile, and know how long it takes.

Choosing only marks rows: from then on they are pending as mass work, whoever sends them, and a program that ends
in between leaves nothing to remember.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from syncd.cycle import Parts, send
from syncd.limiter import Ahead, Limiter
from syncd.model import Row

_log = structlog.get_logger()
_NAP_SECONDS = 5.0
_IDLE_SECONDS = 120.0
"""What is not due for so long waits for a scan, or for better times: the daemon sends it."""

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

    The slots tell when the last request can leave; what really was done in their last whole rest tells whether
    somebody else takes a share of them, or whether there are too few workers to use them.

    Attributes:
        total: How many DOIs there were to send.
        left: How many there are now.
        failed: How many stand failed that did not before.
    """

    total: int
    left: int
    failed: int = 0
    _seen: deque[tuple[float, int]] = field(default_factory=deque, repr=False)
    _ahead: Ahead | None = field(default=None, repr=False)
    _scarce_at: float = field(default=float("-inf"), repr=False)

    @property
    def done(self) -> int:
        """How many were dealt with."""
        return self.total - self.left

    def see(self, now: float, left: int, ahead: Ahead) -> None:
        """So many are left at this moment, in seconds of a clock that does not jump, and so the slots are."""
        self.left = left
        self._ahead = ahead
        if ahead.scarce:
            self._scarce_at = now
        self._seen.append((now, left))
        while len(self._seen) > 2 and self._seen[1][0] <= now - ahead.rest:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """DOIs a second, over one rest of the slots: bursts and pauses in it come again and again."""
        done, seconds = self._lately()
        return done / seconds if seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None while nobody knows."""
        if self._ahead is None:
            return None
        ahead, (done, seconds) = self._ahead, self._lately()
        if self._seen[-1][0] - self._scarce_at > ahead.rest:
            # No slot was missing for so long: the workers are what it waits for.
            return max(ahead.seconds, self.left / done * seconds) if done else None
        if seconds < ahead.rest:
            return ahead.seconds
        return ahead.seconds * max(1.0, ahead.a_rest / done) if done else None

    def _lately(self) -> tuple[float, float]:
        """What was done in the last rest, or since the beginning, and how long that is."""
        if self._ahead is None or len(self._seen) < 2:
            return 0.0, 0.0
        (before, then), (after, next_), (now, left) = self._seen[0], self._seen[1], self._seen[-1]
        begin = max(before, now - self._ahead.rest)
        at_begin = then + (next_ - then) * (begin - before) / max(after - before, 1e-9)
        return at_begin - left, now - begin


def work_off(parts: Parts, limiter: Limiter, tell: Callable[[Progress], None] = lambda _progress: None) -> Progress:
    """Send until no mass work is left, through pauses of the host, or until the program is to stop.

    Returns:
        How far it came; a pause that waits for a person, or credentials, end it early, and so do DOIs that are
        not due for minutes.
    """
    reading, account, clock = parts.store.reading, parts.account.id, parts.clock
    failed_before = reading.sum(account).quarantined
    total = reading.mass_work(account)
    progress = Progress(total, total)
    looking = threading.Lock()
    next_look = 0.0

    def look(*, at_once: bool = False) -> None:
        nonlocal next_look
        now = clock.monotonic()
        if (now >= next_look or at_once) and looking.acquire(blocking=False):
            next_look = now + _NAP_SECONDS
            left = reading.mass_work(account)
            progress.see(now, left, limiter.mass_ahead(left))
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
