"""What people and probes are shown: everything at one moment, as one value; taken seldom, shown often."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from syncd.backfill import Progress
from syncd.clock import SystemClock
from syncd.errors import StateError
from syncd.limiter import Limiter
from syncd.pulse import Silence
from syncd.settings import DataCiteSettings
from syncd.store import Store
from syncd.store.facts import LANE_BACKFILL
from syncd.store.reading import BUCKETS, FailureGroup, InFlight, Sum
from syncd.store.runs import Pause

_log = structlog.get_logger()
_FRESH_SECONDS, _TOO_OLD_SECONDS, _SHARE = 5.0, 60.0, 20
_IN_FLIGHT_SHOWN = 30
_EXAMPLES = 3
_REFRESH_SECONDS = 30.0

HISTORY = 360
"""How many samples of the window's use are kept, one every ten seconds: an hour."""


@dataclass(frozen=True, slots=True)
class DaemonState:
    """What one process says of itself.

    Attributes:
        working: It does the work; otherwise it stands by for the one that does.
        turning: Its main thread looked a moment ago.
        stuck: The thread that made no progress for too long.
        troubles: Account to message, next step and since when, where its duties cannot be done.
        looked: When each account's platform was last looked at with success.
        next_due: In how many seconds the next duty begins.
        requests: By account, method and answer, since the process began.
    """

    accounts: tuple[str, ...]
    working: bool
    ready: bool
    turning: bool
    stuck: Silence | None
    troubles: Mapping[str, tuple[str, str, datetime]]
    looked: Mapping[str, datetime]
    reload_error: str
    started_at: datetime
    next_due: float | None
    requests: Mapping[tuple[str, str, str], int]


@dataclass(frozen=True, slots=True)
class Mass:
    """Mass work of one account: how much is left, how fast it goes, when it will be done."""

    left: int
    rate: float
    seconds_left: float | None


@dataclass(frozen=True)
class Snapshot:
    """Everything at one moment.

    Attributes:
        lanes: Account and lane to how many DOIs are pending in it.
        runs: Account to the newest run of each kind.
        used: How many slots were in use, every ten seconds, oldest first.
        took: How long it took to find out, in seconds.
    """

    at: datetime
    sums: Sequence[Sum]
    lanes: Mapping[tuple[str, int], int]
    failures: Sequence[FailureGroup]
    pauses: Sequence[Pause]
    in_flight: Sequence[InFlight]
    runs: Mapping[str, Sequence[Mapping[str, Any]]]
    mass: Mapping[str, Mass]
    slots_used: int
    slots_total: int
    used: Sequence[tuple[datetime, int]]
    took: float = field(default=0.0, compare=False)

    @property
    def total(self) -> Sum:
        """All accounts together."""
        counts = {name: sum(getattr(one, name) for one in self.sums) for name in ("wanted", *BUCKETS)}
        changes = [one.oldest_change for one in self.sums if one.oldest_change is not None]
        return Sum("all", **counts, oldest_change=min(changes, default=None))


class Board:
    """Keeps the newest snapshot, and takes another when somebody asks and it is old."""

    def __init__(self, store: Store, datacite: DataCiteSettings, state: Callable[[], DaemonState]) -> None:
        self.store = store
        self.state = state
        self._limiter = Limiter(store.slots, datacite, SystemClock())
        self._latest: Snapshot | None = None
        self._taken_at = 0.0
        self._taking = threading.Lock()
        self._used: deque[tuple[datetime, int]] = deque(maxlen=HISTORY)
        self._mass: dict[str, Progress] = {}

    def snapshot(self) -> Snapshot:
        """Everything, at most a minute old; while a newer one is being taken, the last one.

        Raises:
            StateError: The state database cannot be read.
        """
        latest, age = self._latest, time.monotonic() - self._taken_at
        if latest is None or age > _TOO_OLD_SECONDS:
            with self._taking:
                if self._latest is None or time.monotonic() - self._taken_at > _TOO_OLD_SECONDS:
                    return self._take()
                return self._latest
        self.refresh(_FRESH_SECONDS)
        return latest

    def fresh(self) -> Snapshot:
        """Everything now. Raises as ``snapshot`` does."""
        with self._taking:
            return self._take()

    def sample(self) -> None:
        """Note how many slots are in use now; called every ten seconds."""
        try:
            used, _ = self.store.slots.in_use()
            self._used.append((self.store.database.moment(), used))
        except StateError as error:
            _log.debug("state.unavailable", message=error.message)
            return
        self.refresh(_REFRESH_SECONDS)

    def line(self) -> str:
        """One line for ``systemctl status``."""
        state, latest = self.state(), self._latest
        if state.stuck is not None:
            return f"stuck: {state.stuck.what}, silent for {state.stuck.seconds:.0f} s"
        if not state.working:
            return "standing by: another syncd works" if state.ready else "starting"
        words = ["the configuration was not reloaded, see the log"] if state.reload_error else []
        words += [f"{name}: {message}" for name, (message, _, _) in list(state.troubles.items())[:1]]
        if latest is not None:
            total = latest.total
            words.insert(0, f"{total.in_sync:,} in sync, {total.pending:,} pending, {total.quarantined:,} failed")
            words += [f"{one.scope} paused: {one.cause}" for one in latest.pauses[:1]]
        return "; ".join(words) or "working"

    def refresh(self, oldest: float) -> None:
        """Take another one aside, in a thread of its own, unless one is at it or the last one is younger than that.

        However often it is asked for, that takes no more than a twentieth of the time.
        """
        latest, age = self._latest, time.monotonic() - self._taken_at
        if latest is not None and age <= max(oldest, _SHARE * latest.took):
            return
        if self._taking.acquire(blocking=False):
            threading.Thread(target=self._take_and_release, name="snapshot", daemon=True).start()

    def _take_and_release(self) -> None:
        try:
            self._take()
        except StateError as error:
            _log.debug("state.unavailable", message=error.message)
        finally:
            self._taking.release()

    def _take(self) -> Snapshot:
        began = time.monotonic()
        reading, ids = self.store.reading, self.state().accounts
        sums, lanes = reading.sums(ids), reading.lanes()
        used, total = self.store.slots.in_use()
        self._latest = Snapshot(
            at=self.store.database.moment(),
            sums=sums,
            lanes=lanes,
            failures=[group for one in ids for group in reading.failures(one, _EXAMPLES)],
            pauses=self.store.runs.pauses(),
            in_flight=reading.in_flight(_IN_FLIGHT_SHOWN),
            runs=reading.newest_runs(ids),
            mass=self._mass_work(lanes, began),
            slots_used=used,
            slots_total=total,
            used=list(self._used),
            took=time.monotonic() - began,
        )
        self._taken_at = time.monotonic()
        return self._latest

    def _mass_work(self, lanes: Mapping[tuple[str, int], int], now: float) -> dict[str, Mass]:
        left = {account: count for (account, lane), count in lanes.items() if lane == LANE_BACKFILL and count}
        self._mass = {account: self._mass.get(account, Progress(count, count)) for account, count in left.items()}
        found, total = {}, sum(left.values())
        for account, progress in self._mass.items():
            self._limiter.order_mass(self.store.bindings.mass_ceiling(account))
            ahead = self._limiter.mass_ahead(total)
            progress.see(now, left[account], ahead)
            found[account] = Mass(progress.left, progress.rate, progress.seconds_left)
        return found
