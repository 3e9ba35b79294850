"""What is done again and again for one account: look quickly, look at everything, send, compare with DataCite.

Each duty returns after how many seconds it wants to come again, and none raises what an operator can mend: it is
kept as the account's ``trouble``, told once, and tried again later, while the other accounts go on.
"""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from syncd import cycle
from syncd.audit import Audit
from syncd.counts import AuditCounts
from syncd.cycle import Parts
from syncd.errors import BusyError, ExitCode, SafetyError, StoppedError, SyncdError
from syncd.limiter import Limiter
from syncd.look import CHANGED, FULL, OUTLINE
from syncd.pulse import WatchedClock
from syncd.repair import repair
from syncd.send import in_threads
from syncd.settings import AccountSettings, Settings
from syncd.store import Store
from syncd.store.runs import BRAKE, BY_HAND, HOST, WAITS_FOR_A_PERSON
from syncd.tally import Counted, Tally
from syncd.timetable import rest_after, retry_after, seconds_until

_log = structlog.get_logger()

AUDIT = "audit"
_BUSY_SECONDS = 2.0
_SLICE_SECONDS = 20.0
_BRAKED_SECONDS, _LONGEST_BRAKED_SECONDS = 600.0, 6 * 3600.0
_SOON_SECONDS = 60.0
_SHORTEST_SECONDS = 1.0
_WOKEN_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an account's duties cannot be done now."""

    message: str
    hint: str
    exit_code: ExitCode
    since: datetime


class Watch:
    """One account that the daemon minds.

    Attributes:
        looked_at: When its platform was last looked at with success.
        done: How many changes were noted and requests made; it only grows.
    """

    def __init__(
        self,
        settings: Settings,
        account: AccountSettings,
        store: Store,
        clock: WatchedClock,
        tally: Tally,
        *,
        wake: Callable[[str], None],
        crowded: Callable[[], bool],
    ) -> None:
        """Args: ``wake``: makes the duty of this name begin at once; ``crowded``: others wait to send."""
        self.account = account
        self.looked_at: datetime | None = None
        self.done = 0
        self._settings = settings
        self._store = store
        self._clock = clock
        self._tally = tally
        self._wake = wake
        self._crowded = crowded
        self._opening = threading.Lock()
        self._looking = threading.Lock()
        self._began = clock.now()
        self._stack = ExitStack()
        self._opened: tuple[Parts, Limiter] | None = None
        self._troubles: dict[str, Trouble] = {}
        self._failures: Counter[str] = Counter()
        self._outline_at = 0.0
        self._full_at = 0.0
        self._braked = 0
        self._woken = False
        self._polled_at = 0.0
        self._changes = 0
        self._to_adopt = False
        self._waiting: dict[str, str] = {}

    # What the daemon asks of it.

    @property
    def names(self) -> dict[str, str]:
        """What its duties are called."""
        return {kind: f"{kind} {self.account.id}" for kind in ("poll", "send", "reconcile", AUDIT)}

    @property
    def opened(self) -> bool:
        """Its platform answered once."""
        return self._opened is not None

    def open(self) -> Parts:
        """Platform, client and limiter; kept open from the first time on.

        Raises:
            SyncdError: The platform does not answer, the state belongs elsewhere, or nobody adopted the account.
        """
        with self._opening:
            if self._opened is None:
                with ExitStack() as stack:
                    self._opened = self._adopted(stack)
                    self._stack = stack.pop_all()
            return self._opened[0]

    def close(self) -> None:
        """Give back what was opened."""
        self._stack.close()

    def changed(self) -> None:
        """The platform's database says that something changed."""
        self._woken = True
        self._wake(self.names["poll"])

    @property
    def trouble(self) -> Trouble | None:
        """Why one of its duties cannot be done now; None when all can."""
        return next(iter(list(self._troubles.values())), None)

    # The duties.

    def poll(self) -> float:
        """Look for what changed, as quickly as the platform can tell it, and let it be sent."""
        return self._guarded("poll", self._poll, self._settings.schedule.poll)

    def reconcile(self) -> float | None:
        """Look at every record: the proof."""
        # The first look at everything is the first poll's.
        wait = self._wait(self._settings.schedule.reconcile, FULL)
        if wait is None or wait > 0:
            self._over("reconcile")
            return wait
        return self._guarded("reconcile", self._reconcile, _SOON_SECONDS)

    def audit(self) -> float | None:
        """Compare with what DataCite holds."""
        wait = self._wait(self._settings.schedule.audit, AUDIT)
        if wait is None or wait > 0:
            self._over("audit")
            return wait
        return self._guarded("audit", self._audit, _LOOK_AGAIN_SECONDS)

    def send(self) -> float:
        """Send what is due; when others wait to send, not for long at once."""
        return self._guarded("send", self._send, self._settings.schedule.poll)

    # How they are done.

    def _poll(self) -> float:
        parts = self.open()
        since_last = self._clock.monotonic() - self._polled_at
        if self._woken and since_last < _WOKEN_SECONDS:
            return _WOKEN_SECONDS - since_last  # who is woken all the time still breathes in between
        woken, self._woken = self._woken, False
        if not self._looking.acquire(blocking=False):
            return _BUSY_SECONDS  # the look at everything is on its way
        try:
            self._polled_at = self._clock.monotonic()
            return self._look_for_changes(parts, woken=woken)
        finally:
            self._looking.release()
            self._wake(self.names["send"])

    def _look_for_changes(self, parts: Parts, *, woken: bool) -> float:
        poll, now = self._settings.schedule.poll, self._clock.monotonic
        braked = any(pause.cause == BRAKE for pause in parts.store.runs.pauses(self.account.id))
        if braked and now() < self._full_at:
            return poll
        if braked or not cycle.can_look_quickly(parts):
            routine = not braked and not parts.platform.finds_changes
            took = self._look(parts, FULL, routine=routine)
            return poll if cycle.can_look_quickly(parts) else rest_after(took, poll)
        before = self._changes
        self._look(parts, CHANGED)
        nothing = before == self._changes
        if parts.platform.gives_outlines and (now() >= self._outline_at or (woken and nothing)):
            self._outline_at = now() + rest_after(self._look(parts, OUTLINE), self._settings.schedule.outline)
        return poll

    def _look(self, parts: Parts, kind: str, *, routine: bool = False) -> float:
        """Note what it finds; returns how many seconds it took.

        One that is braked was told by the cycle, and stands as a pause. It is looked again, at everything, at once
        and then ever more seldom: a table that was only half loaded is whole again by itself.
        """
        began = self._clock.monotonic()
        try:
            counts = cycle.look(parts, kind, routine=routine)
            self.looked_at = self._clock.now()
            self.done += counts.changed + counts.gone
            self._changes += counts.changed + counts.gone
            if kind == FULL:
                self._braked = 0
        except SafetyError:
            rest = 0.0 if kind != FULL else min(_LONGEST_BRAKED_SECONDS, _BRAKED_SECONDS * 2.0**self._braked)
            self._braked += kind == FULL
            self._full_at = self._clock.monotonic() + rest
        return self._clock.monotonic() - began

    def _reconcile(self) -> float | None:
        parts = self.open()
        if not self._looking.acquire(blocking=False):
            return _SOON_SECONDS  # who waited here for a long look would be taken for stuck
        try:
            self._look(parts, FULL)
        finally:
            self._looking.release()
        self._wake(self.names["send"])
        # One that is braked did not come to its end, and is not repeated before the polls do.
        return max(_SOON_SECONDS, self._full_at - self._clock.monotonic()) if self._braked else _SOON_SECONDS

    def _audit(self) -> float | None:
        parts = self.open()
        settings = self._settings.schedule
        limiter = self._limiter()

        def mend(found: AuditCounts) -> None:
            if settings.repair and found.different:
                mended, left = repair(parts.store, self.account.id, settings.repair)
                _log.info("audit.repaired", account=self.account.id, pending=mended, left_alone=left)
                self._wake(self.names["send"])

        Audit(parts, limiter, adopt=False).run(mend)
        return _SOON_SECONDS

    def _send(self) -> float:
        parts = self.open()
        self._mind_a_person(parts)
        began = self._clock.monotonic()
        over = False

        def stopping() -> bool:
            nonlocal over
            over = over or (self._clock.monotonic() - began > _SLICE_SECONDS and self._crowded())
            return over or parts.stopping()

        sent = cycle.send(replace(parts, stopping=stopping), self._limiter())
        self.done += sent.requests + sent.rejected
        return 0.0 if over else min(self._settings.schedule.poll, self._until_a_probe(parts))

    def _mind_a_person(self, parts: Parts) -> None:
        """Tell what somebody paused or resumed by a command; what this process did itself was told."""
        pauses = parts.store.runs.pauses(self.account.id)
        # The host's pause is every account's, and told once.
        mine = [one for one in pauses if one.scope != HOST or self.account is self._settings.accounts[0]]
        waiting = {one.scope: one.cause for one in mine if one.cause in WAITS_FOR_A_PERSON}
        for one in mine:
            if one.cause == BY_HAND and one.scope not in self._waiting:
                _log.warning("sending.paused", scope=one.scope, cause=one.cause, message=one.message, until=None)
        for scope, cause in self._waiting.items():
            if scope not in waiting:
                _log.info("sending.resumed", scope=scope, cause=cause)
        if waiting != self._waiting:
            self._waiting = waiting
            self.done += 1  # whoever looks at the page sees it soon

    def _until_a_probe(self, parts: Parts) -> float:
        """How long until one request may look whether a pause is over."""
        moments = [pause.until for pause in parts.store.runs.pauses(self.account.id) if pause.until is not None]
        waits = [(moment - self._clock.now()).total_seconds() for moment in moments]
        longest = max(waits, default=0.0)
        # One that was due already had nothing to try it with: the next poll may find something.
        return max(_SHORTEST_SECONDS, longest) if longest > 0 else self._settings.schedule.poll

    # What they share.

    def _adopted(self, stack: ExitStack) -> tuple[Parts, Limiter]:
        clock, pulse, name = self._clock, self._clock.pulse, self.account.id

        def stopping() -> bool:
            pulse.beat()  # this is asked between any two records and pages
            return clock.stop.is_set()

        def together(work: Callable[[], None], count: int) -> None:
            def watched() -> None:
                with pulse.working(f"send {name}"):
                    work()

            with pulse.waiting():
                in_threads(watched, count)

        others: dict[str, Any] = {"stopping": stopping, "together": together}
        parts, limiter = stack.enter_context(
            cycle.opened(self._settings, self.account, self._store, clock=clock, **others)
        )
        parts = replace(parts, client=Counted(parts.client, name, self._tally, pulse))
        if self._to_adopt and not self._store.bindings.adopted(name):
            # Asked once: DataCite does not hold less because it is asked again.
            raise SafetyError(f"{name} is not adopted yet", hint=f"syncd adopt --account {name}")
        try:
            cycle.refuse_unadopted(parts, limiter)
        except SafetyError:
            self._to_adopt = True
            raise
        return parts, limiter

    def _limiter(self) -> Limiter:
        assert self._opened is not None  # noqa: S101 - whoever asks has opened it
        return self._opened[1]

    def _wait(self, words: str, kind: str) -> float | None:
        """How long until it is time for such a run; the wall clock may be set, so it is asked again and again."""
        last = self._store.runs.last_done(self.account.id, kind) or self._began
        wait = seconds_until(words, last, self._clock.now())
        return None if wait is None else min(wait, _LOOK_AGAIN_SECONDS)

    def _guarded(self, kind: str, duty: Callable[[], float | None], otherwise: float) -> float:
        """Do it; what an operator can mend is told once and tried again."""
        try:
            rest = duty()
        except StoppedError:
            return otherwise
        except BusyError as busy:
            _log.debug("duty.busy", account=self.account.id, message=busy.message)
            return _BUSY_SECONDS
        except SyncdError as error:
            self._failures[kind] += 1
            self._in_trouble(kind, error)
            return max(otherwise, retry_after(self._failures[kind]))
        self._over(kind)
        return _SOON_SECONDS if rest is None else rest

    def _over(self, kind: str) -> None:
        """This duty is done, by us or by somebody who did it by hand."""
        self._failures[kind] = 0
        over = self._troubles.pop(kind, None)
        if over is not None:
            _log.info("account.works_again", account=self.account.id, duty=kind, after=over.message)

    def _in_trouble(self, kind: str, error: SyncdError) -> None:
        known = self._troubles.get(kind)
        if known is not None and known.message == error.message:
            return
        told = any(one.message == error.message for one in list(self._troubles.values()))
        self._troubles[kind] = Trouble(error.message, error.hint, error.exit_code, self._clock.now())
        if not told:
            fields = {"account": self.account.id, "duty": kind, "message": error.message, "hint": error.hint}
            _log.error("account.in_trouble", **fields)
