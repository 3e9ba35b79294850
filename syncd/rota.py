"""Duties that come again and again, on APScheduler: each says at its end how long it wants to rest.

APScheduler waits for moments of the wall clock, which somebody may set back; so the main thread calls ``look`` every
second, and what is overdue by a clock that does not jump is begun. A duty is never begun twice at once, and one
that fails is told about and comes again: nothing here ends by itself.

Every turn is a job of its own: one that is over before APScheduler has noted that it began would otherwise take the
next turn of the same name with it.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_SUBMITTED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from syncd.clock import Clock
from syncd.timetable import retry_after

_log = structlog.get_logger()
_OVERDUE_SECONDS = 2.0
_FOR_EVER = timedelta(days=3650).total_seconds()


@dataclass
class Duty:
    """Something that is done again and again.

    Attributes:
        name: Unique; what logs and the watchdog call it.
        pool: Which threads do it.
        work: Does it once, and returns after how many seconds it is to be done again; None: when it is woken.
        due: When it begins, on the clock that does not jump.
        turn: The number of the turn that is to come or at work.
        queued: It waits for a thread.
        running: It is at work.
        again: It was woken while it was at work.
        failures: How often in a row it raised what nobody expected.
    """

    name: str
    pool: str
    work: Callable[[], float | None]
    due: float = 0.0
    turn: int = 0
    queued: bool = False
    running: bool = False
    again: bool = False
    failures: int = 0

    @property
    def job(self) -> str:
        """What APScheduler calls the turn that is to come."""
        return f"{self.name} {self.turn}"


class Rota:
    """Who is on duty when."""

    def __init__(
        self, clock: Clock, pools: Mapping[str, int], real_seconds: Callable[[float], float] = lambda seconds: seconds
    ) -> None:
        """Args: ``pools``: how many threads each has; ``real_seconds``: of a clock that is faster."""
        self._clock = clock
        self._real_seconds = real_seconds
        self._duties: dict[str, Duty] = {}
        self._lock = threading.Lock()
        self._ended = False
        # A turn that is late is a turn all the same; and no time zone of the host may play a part.
        self._scheduler = BackgroundScheduler(
            executors={name: ThreadPoolExecutor(count, {"thread_name_prefix": name}) for name, count in pools.items()},
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._queued, EVENT_JOB_SUBMITTED)

    def start(self) -> None:
        """Begin."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # what happens to duties is told as ours
        self._scheduler.start()

    def add(self, duty: Duty, delay: float = 0.0) -> None:
        """Do this from now on, first in so many seconds."""
        with self._lock:
            self._duties[duty.name] = duty
        self._arm(duty, delay)

    def wake(self, name: str) -> None:
        """Do it at once; if it is at work, once more right after."""
        with self._lock:
            duty = self._duties.get(name)
            if duty is None:
                return
            duty.again = duty.running
            if duty.running or duty.queued:
                return
        self._arm(duty, 0.0)

    def crowded(self, pool: str) -> bool:
        """Whether a duty waits because all threads of its pool are at work."""
        with self._lock:
            return any(one.queued for one in self._duties.values() if one.pool == pool)

    def look(self) -> None:
        """Begin what is overdue: somebody set the wall clock back."""
        now = self._clock.monotonic()
        with self._lock:
            idle = [one for one in self._duties.values() if not one.running and not one.queued]
            late = [one for one in idle if now > one.due + _OVERDUE_SECONDS]
        for duty in late:
            _log.warning("duty.overdue", duty=duty.name, seconds=round(now - duty.due, 1))
            self._arm(duty, 0.0)

    def next_due(self) -> float | None:
        """In how many seconds the next duty begins."""
        with self._lock:
            waiting = [one.due for one in self._duties.values() if not one.running]
        return max(0.0, min(waiting) - self._clock.monotonic()) if waiting else None

    def end(self) -> None:
        """Begin nothing any more, and wait until what is at work is done."""
        with self._lock:
            self._ended = True
        # What is due in this very moment would be given to threads that take nothing any more.
        self._scheduler.pause()
        self._scheduler.remove_all_jobs()
        self._scheduler.shutdown(wait=True)

    def _arm(self, duty: Duty, delay: float) -> None:
        """The next turn is then; one that was to come instead is not."""
        # Within the lock: while APScheduler shuts down, it waits for our threads, and none of them may wait for it.
        with self._lock:
            if self._ended:
                return
            with contextlib.suppress(JobLookupError):
                self._scheduler.remove_job(duty.job)
            duty.turn += 1
            duty.queued = False
            duty.due = self._clock.monotonic() + delay
            at = datetime.now(UTC) + timedelta(seconds=self._real_seconds(delay))
            self._scheduler.add_job(
                self._take_turn, "date", run_date=at, args=[duty, duty.turn], id=duty.job, executor=duty.pool
            )

    def _queued(self, event: JobEvent) -> None:
        """It waits for a thread, unless it has begun before we hear of it."""
        with self._lock:
            for duty in self._duties.values():
                if duty.job == event.job_id and not duty.running:
                    duty.queued = True

    def _take_turn(self, duty: Duty, turn: int) -> None:
        with self._lock:
            if self._ended:
                return
            if duty.running:
                duty.again = True  # woken in the very moment in which it had begun
                return
            if turn != duty.turn:
                return
            duty.running, duty.queued, duty.again = True, False, False
        rest: float | None
        try:
            rest = duty.work()
            duty.failures = 0
        except Exception as error:
            # Whatever it is, it must not end a duty that nobody would miss for weeks.
            duty.failures += 1
            rest = retry_after(duty.failures)
            _log.exception("duty.failed", duty=duty.name, error=f"{type(error).__name__}: {error}")
        with self._lock:
            woken, duty.again, duty.running = duty.again, False, False
        self._arm(duty, 0.0 if woken else _FOR_EVER if rest is None else rest)
