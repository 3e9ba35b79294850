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

    The limiter lets a burst through and then rests, so the last window as a whole tells what the next ones will see.

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

    @property
    def done(self) -> int:
        """How many were dealt with."""
        return self.total - self.left

    def see(self, now: float, left: int) -> None:
        """So many are left at this moment, in seconds of a clock that does not jump."""
        self.left = left
        self._seen.append((now, left))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self.window:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """DOIs a second, over the last window."""
        return self._done_in_window() / self.window

    @property
    def seconds_left(self) -> float | None:
        """As if the last window happened again and again; None while nobody knows."""
        done = self._done_in_window()
        if done <= 0:
            return None
        windows, rest = divmod(self.left, done)
        (begin, before), (now, _) = self._seen[0], self._seen[-1]
        reached = next((at - begin for at, left in self._seen if before - left >= rest), self.window)
        unseen = max(0.0, self.window - (now - begin))
        return unseen + windows * self.window + reached

    def _done_in_window(self) -> int:
        return self._seen[0][1] - self._seen[-1][1] if self._seen else 0


def work_off(parts: Parts, limiter: Limiter, tell: Callable[[Progress], None] = lambda _progress: None) -> Progress:
    """Send until no mass work is left, through pauses of the host, or until the program is to stop.

    Returns:
        How far it came; a pause that waits for a person, or credentials, end it early.
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
    while progress.left and not parts.stopping():
        send(watched, limiter)
        look(at_once=True)
        progress.failed = max(0, reading.sum(account).quarantined - failed_before)
        if any(pause.until is None or pause.scope == account for pause in parts.store.runs.pauses(account)):
            break
        if progress.left:
            clock.sleep(_NAP_SECONDS)
    _log.info("backfill.ended", account=account, done=progress.done, left=progress.left, failed=progress.failed)
    return progress
