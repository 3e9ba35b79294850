"""``syncd run``: who works and who stands by, signals, reload, drain, and the watchdog.

::

    start ── configuration, tables ──► stand by ── lease ──► work ── SIGTERM ──► drain ──► end
                                          ▲                   │ SIGHUP: drain, read again, work
                                          └──── lease lost ───┘

The main thread does nothing else than to look, once a second: for signals, whether the lease is still ours, whether
a duty is overdue (``rota``) or a thread silent (``pulse``). What is done meanwhile is in ``work``, and for one
account in ``duties``. Whatever ends this process at whatever moment, nothing is lost: the daemon keeps nothing that is
not in the state database.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from syncd import cycle
from syncd.errors import ExitCode, StateError, SyncdError
from syncd.pulse import Silence, WatchedClock
from syncd.settings import Settings
from syncd.snapshot import Board, DaemonState
from syncd.store import Store
from syncd.systemd import Systemd
from syncd.tally import Tally
from syncd.timetable import retry_after
from syncd.work import Work

_log = structlog.get_logger()

LEASE = timedelta(seconds=15)
_RENEW_SECONDS = 4.0
_TICK_SECONDS = 1.0
_SAMPLE_SECONDS = 10.0

_NEED_A_RESTART = ("state", "web", "log")


class SignalSource(Protocol):
    """Where signals come from; ``signals.Signals`` is the real one."""

    def wait(self, seconds: float) -> list[int]:
        """The signals that arrived; waits for the first one so long."""


@dataclass(frozen=True)
class Surroundings:
    """What the daemon needs of the world outside; a test may be it.

    Attributes:
        read_again: Reads the configuration once more; raises ``SyncdError`` when it has mistakes.
        leave: Ends the process at once with this code.
        clock: Makes the clock of one generation of work.
        real_seconds: Where that clock runs faster than APScheduler's.
    """

    systemd: Systemd
    read_again: Callable[[], Settings]
    leave: Callable[[int], Any] = os._exit
    clock: Callable[[], WatchedClock] = WatchedClock
    real_seconds: Callable[[float], float] = lambda seconds: seconds


class Daemon:
    """The process as a whole."""

    def __init__(self, settings: Settings, store: Store, signals: SignalSource, world: Surroundings) -> None:
        self._settings = settings
        self._store = store
        self._signals = signals
        self._world = world
        self._systemd = world.systemd
        self._name = cycle.process_name()
        self.tally = Tally()
        self.board = Board(store, settings.datacite, self.state)
        self._work: Work | None = None
        self._draining: Work | None = None
        self._works_for: frozenset[str] = frozenset()
        self._reload_asked = False
        self._ready = False
        self._stuck: Silence | None = None
        self._reload_error = ""
        self._ticked_at = time.monotonic()
        self._next_renewal = 0.0
        self._next_sample = 0.0
        self._state_failures = 0
        self._done = 0
        self._stops = 0
        self._started_at = datetime.now(UTC)

    @property
    def _leases(self) -> dict[str, str]:
        """Account to the name of its lease: two daemons with different accounts share a state database."""
        return {account.id: f"daemon:{account.id}" for account in self._settings.accounts}

    def run(self) -> ExitCode:
        """Work, or stand by, until a signal says otherwise.

        Raises:
            SyncdError: No account can be worked on for a reason that only a person can mend.
        """
        _log.info("daemon.started", process=self._name, accounts=len(self._settings.accounts))
        try:
            while True:
                for number in self._signals.wait(_TICK_SECONDS):
                    self._asked(number)
                if self._stops:
                    self._systemd.stopping()
                    return ExitCode.DONE
                if self._reload_asked:
                    self._reload()
                self._tick()
        finally:
            self._end_work()
            self._release()
            _log.info("daemon.stopped", process=self._name)

    def _asked(self, number: int) -> None:
        """Remember what a signal asks for; one that comes during a drain counts as well.

        The first time that it is to stop, what is on its way is finished; the second time nothing is.
        """
        if number == signal.SIGHUP:
            self._reload_asked = True
            return
        self._stops += 1
        name = signal.Signals(number).name
        if self._stops == 1:
            _log.info("daemon.stopping", signal=name)
        else:
            _log.warning("daemon.ended_at_once", signal=name)
            self._world.leave(128 + number)

    def state(self) -> DaemonState:
        """What people and probes are told of this process."""
        work = self._work or self._draining
        watches = [] if work is None else work.watches
        troubles = {watch.account.id: trouble for watch in watches if (trouble := watch.trouble) is not None}
        return DaemonState(
            accounts=tuple(account.id for account in self._settings.accounts),
            working=work is not None,
            ready=self._ready,
            turning=time.monotonic() - self._ticked_at < 60.0,
            stuck=self._stuck,
            troubles={name: (one.message, one.hint, one.since) for name, one in troubles.items()},
            looked={watch.account.id: watch.looked_at for watch in watches if watch.looked_at is not None},
            reload_error=self._reload_error,
            started_at=self._started_at,
            next_due=None if work is None else work.next_due(),
            requests=self.tally.counts(),
        )

    # Once a second.

    def _tick(self) -> None:
        self._ticked_at = time.monotonic()
        self._mind_the_lease()
        if self._work is not None:
            self._mind_the_work(self._work)
        self._mind_the_silence()
        if time.monotonic() >= self._next_sample:
            self._next_sample = time.monotonic() + _SAMPLE_SECONDS
            self.board.sample()
        done = 0 if self._work is None else sum(watch.done for watch in self._work.watches)
        if done != self._done:
            self._done = done
            self.board.refresh(_TICK_SECONDS)
        self._systemd.status(self.board.line())

    def _mind_the_lease(self) -> None:
        """Become the one who works, or stay it; who does not get the lease stands by."""
        if time.monotonic() < self._next_renewal:
            return
        self._next_renewal = time.monotonic() + _RENEW_SECONDS
        try:
            held = self._store.runs.take_leases(self._leases.values(), self._name, LEASE)
        except StateError as error:
            # What is on its way goes on: claims and slots keep it safe, with the lease or without.
            self._state_failures += 1
            if self._state_failures == 1:
                _log.error("state.unavailable", message=error.message, hint=error.hint)
            self._next_renewal = time.monotonic() + min(_RENEW_SECONDS, retry_after(self._state_failures))
            return
        if self._state_failures:
            _log.info("state.available_again", after_failures=self._state_failures)
            self._state_failures = 0
        mine = frozenset(account for account, name in self._leases.items() if name in held)
        if self._work is not None and not self._works_for <= mine:
            _log.warning("daemon.superseded", process=self._name, accounts=sorted(self._works_for - mine))
            self._end_work()
        elif self._work is not None and mine != self._works_for:
            self._end_work()  # another daemon left accounts to us
        if mine and self._work is None and not self._stops:
            _log.info("daemon.works", process=self._name, accounts=len(mine), others=len(self._leases) - len(mine))
            self._begin_work(mine)
        elif not mine and not self._ready:
            self._ready = True
            _log.info("daemon.stands_by", process=self._name)
            self._systemd.ready()

    def _mind_the_work(self, work: Work) -> None:
        stuck = work.look()
        if stuck is not None and self._stuck is None:
            _log.critical("worker.stuck", duty=stuck.what, seconds=round(stuck.seconds))
        self._stuck = stuck
        if not self._ready:
            self._become_ready(work)

    def _become_ready(self, work: Work) -> None:
        """As soon as one account can be worked on.

        Raises:
            SyncdError: Every account waits for a person.
        """
        troubles = [watch.trouble for watch in work.watches]
        if any(watch.opened for watch in work.watches):
            self._ready = True
            _log.info("daemon.ready", accounts=sum(watch.opened for watch in work.watches))
            self._systemd.ready()
        elif all(trouble is not None and trouble.exit_code in _FOR_A_PERSON for trouble in troubles):
            first = next(trouble for trouble in troubles if trouble is not None)
            error = SyncdError(first.message, hint=first.hint)
            error.exit_code = first.exit_code
            raise error

    def _mind_the_silence(self) -> None:
        if self._stuck is None:
            self._systemd.alive()

    # Beginning, ending, and beginning again.

    def _begin_work(self, mine: frozenset[str]) -> None:
        clock, real_seconds = self._world.clock(), self._world.real_seconds
        accounts = [account for account in self._settings.accounts if account.id in mine]
        self._works_for = mine
        settings = self._settings.model_copy(update={"accounts": accounts})
        self._work = Work(settings, self._store, self.tally, self.board, clock, real_seconds)
        self._work.begin()

    def _end_work(self) -> None:
        """Let what is on its way finish; a second signal ends everything at once.

        Until the program is to stop the lease stays ours, or a daemon that stands by would work by an older file.
        """
        work, self._work = self._work, None
        self._stuck = None
        if work is None:
            return
        self._draining = work
        drained = threading.Thread(target=work.end, name="drain", daemon=True)
        drained.start()
        while drained.is_alive():
            for number in self._signals.wait(0.05):
                self._asked(number)
            if work.look() is None:
                self._ticked_at = time.monotonic()
                self._systemd.alive()  # a worker that hangs keeps the drain from ending, and must bark
            if not self._stops:
                self._hold_the_lease()
            drained.join(0.05)
        self._draining = None

    def _hold_the_lease(self) -> None:
        if time.monotonic() < self._next_renewal:
            return
        self._next_renewal = time.monotonic() + _RENEW_SECONDS
        try:
            self._store.runs.take_leases(self._leases.values(), self._name, LEASE)
        except StateError as error:
            _log.warning("state.unavailable", message=error.message, hint=error.hint)

    def _release(self) -> None:
        """Let the next one begin at once."""
        try:
            self._store.runs.release_leases(self._leases.values(), self._name)
        except StateError as error:
            _log.warning("state.unavailable", message=error.message, hint=error.hint)

    def _reload(self) -> None:
        """Read the configuration again; one with mistakes changes nothing."""
        self._reload_asked = False
        self._systemd.reloading(time.clock_gettime_ns(time.CLOCK_MONOTONIC))
        try:
            new = self._world.read_again()
        except SyncdError as error:
            self._reload_error = error.message
            _log.error("configuration.refused", message=error.message, hint=error.hint)
        else:
            self._reload_error = ""
            fixed = [name for name in _NEED_A_RESTART if getattr(new, name) != getattr(self._settings, name)]
            kept = {name: getattr(self._settings, name) for name in fixed}
            changed = [name for name in type(new).model_fields if getattr(new, name) != getattr(self._settings, name)]
            level = logging.WARNING if fixed else logging.INFO
            _log.log(level, "configuration.reloaded", changed=changed, needs_restart=fixed)
            self._settings = new.model_copy(update=kept)
            self._end_work()
            self._next_renewal = 0.0  # the next tick begins again, if this process is still the one that works
        self._systemd.ready()


_FOR_A_PERSON = (ExitCode.CONFIGURATION, ExitCode.CREDENTIALS)
