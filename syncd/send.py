"""Bring one pending DOI up to date: claim, slot, read again, decide, mark, send, judge, settle."""

import contextlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import structlog

from syncd import settle
from syncd.clock import Clock
from syncd.counts import SendCounts
from syncd.datacite.answer import Answer, NoAnswer
from syncd.datacite.outcome import Accepted, Deferred, Halted, Outcome, Rejected, judge
from syncd.datacite.request import Delete, Put, Write
from syncd.errors import ConfigurationError, PlatformError, StateError, SyncdError
from syncd.inquiry import Inquiry, Reader
from syncd.limiter import Limiter, Slot
from syncd.model import MANAGED_ATTRIBUTES, Desired, Problem, State
from syncd.plan import Nothing, Policy, next_step
from syncd.platforms import Platform
from syncd.settings import AccountSettings, DataCiteSettings
from syncd.settle import Turn
from syncd.store import Store
from syncd.store.facts import GONE_DIGEST, LANE_BACKFILL, Claim, Failed
from syncd.store.runs import HOST
from syncd.trouble import Probed, Trouble

_log = structlog.get_logger()
_PATIENCE_SECONDS = 30.0
_MARGIN_SECONDS = 30.0
_UNREADABLE_TO_STOP = 5
_ATTEMPTS_TO_ASK = 2
_ORDER_HOLDS_SECONDS = 10.0


class Caller(Reader, Protocol):
    """Writes to DataCite and reads from it; ``datacite.client.Client`` is the real one."""

    def write(self, request: Write, leave_by: float | None = None) -> Answer | NoAnswer:
        """Send, not after ``leave_by``, and wait for the answer."""


Together = Callable[[Callable[[], None], int], None]
"""Runs one piece of work so many times at once, and returns when all are over."""


def in_threads(work: Callable[[], None], count: int) -> None:
    """Run ``work`` in ``count`` threads; the first exception of any ends up here."""
    with ThreadPoolExecutor(count, thread_name_prefix="send") as pool:
        running = [pool.submit(copy_context().run, work) for _ in range(count)]
        for worker in running:
            worker.result()


class Sender:
    """Sends what is due for one account, with as many workers as configured."""

    def __init__(
        self,
        account: AccountSettings,
        settings: DataCiteSettings,
        platform: Platform,
        store: Store,
        limiter: Limiter,
        client: Caller,
        clock: Clock,
        *,
        owner: str,
        chance: Callable[[], float] = random.random,
        stopping: Callable[[], bool] = lambda: False,
        together: Together = in_threads,
    ) -> None:
        self._account = account
        self._settings = settings
        self._platform = platform
        self._store = store
        self._limiter = limiter
        self._client = client
        self._clock = clock
        self._owner = owner
        self._chance = chance
        self._stopping = stopping
        self._together = together
        source = account.source
        self._policy = Policy(source.withdrawn_drafts == "keep", source.hide_reason)
        self._request_time = timedelta(seconds=settings.request_timeout + _MARGIN_SECONDS)
        self._grace = timedelta(seconds=settings.grace)
        self._claim_time = 2 * self._request_time + self._grace + timedelta(seconds=_PATIENCE_SECONDS)
        self._mass_waits = False
        self._ordered_at: float | None = None
        self._broken = False
        self._unreadable_in_a_row = 0
        self.counts = SendCounts()
        inquiry = Inquiry(
            account.id, store, limiter, client, clock, chance=chance, stopping=stopping,
            attempts=_ATTEMPTS_TO_ASK, mass=False,
        )  # fmt: skip
        self._trouble = Trouble(account.id, store.runs, limiter, self.counts, inquiry.account)

    def run(self) -> None:
        """Send until nothing is due, a pause begins or the program is to stop."""
        # One request tells whether the account's credentials work, before many do.
        while self.counts.requests == 0:
            if not self.step():
                return
        self._together(self._work, self._settings.workers)

    def step(self) -> bool:
        """Bring one DOI up to date; returns whether to call again."""
        if self._stopping() or self.counts.halted or self._broken:
            return False
        probed = self._store.runs.leave(self._account.id, self._claim_time)
        if probed is None:
            pauses = self._store.runs.pauses(self._account.id)
            self.counts.paused = next((pause.cause for pause in pauses), self.counts.paused)
            return False
        claim = self._claim()
        if claim is None and probed and not self._stopping():
            # In a quiet repository the one DOI that could tell whether DataCite is back would sleep on.
            claim = self._store.claims.claim(
                self._account.id, self._owner, duration=self._claim_time, grace=self._grace, early=True
            )
        if claim is None and HOST in probed and not self._store.claims.any_pending():
            # No request can try it, and it holds nothing up: the next change finds out for itself.
            self._store.runs.resume(HOST, by_itself=True)
        before = self.counts.requests
        try:
            return claim is not None and self._turn(claim, probed)
        finally:
            if probed and self.counts.requests == before:
                with contextlib.suppress(StateError):
                    self._store.runs.end_wait(probed)

    def _claim(self) -> Claim | None:
        """The most urgent DOI; while mass work has no slots, what is urgent is still looked for."""
        claim = self._store.claims.claim
        what: dict[str, Any] = {"duration": self._claim_time, "grace": self._grace}
        account, owner = self._account.id, self._owner
        while True:
            self._mind_the_order()
            # Once, for this look: another worker may find meanwhile that mass work has slots again.
            mass = not self._mass_waits
            found = claim(account, owner, **what, mass=mass)
            if found is not None or mass or self._stopping():
                return found
            self._mass_waits = self._limiter.mass_rests()

    def _mind_the_order(self) -> None:
        """How many slots mass work may take is ordered while it goes on, too."""
        now = self._clock.monotonic()
        if self._ordered_at is None or now - self._ordered_at >= _ORDER_HOLDS_SECONDS:
            self._ordered_at = now
            self._limiter.order_mass(self._store.bindings.mass_ceiling(self._account.id))

    def _turn(self, claim: Claim, probed: Probed) -> bool:
        sent = False
        try:
            mass = claim.lane == LANE_BACKFILL
            # Whoever waits for a slot of mass work is not there for what is urgent.
            patience = 0.0 if mass else _PATIENCE_SECONDS
            with self._limiter.slot(mass=mass, patience=patience) as slot:
                if slot is None or self.counts.halted:
                    self._mass_waits = mass and slot is None
                    self._store.claims.release(claim)
                    return not self.counts.halted
                try:
                    turn = self._look(claim)
                except (PlatformError, ConfigurationError) as error:
                    return self._settle_unread(claim, error)
                self._unreadable_in_a_row = 0
                if isinstance(turn.step, Write):
                    if not slot.use() or not self._store.claims.mark_unsure(claim, self._request_time):
                        return self._not_sent(claim)
                    sent = True
                    return self._send(claim, turn, turn.step, slot, probed)
            return self._settle_unsent(claim, turn)
        except SyncdError:
            # After a request left, the row stays claimed and unsure: both end by themselves.
            if not sent:
                with contextlib.suppress(StateError):
                    self._store.claims.release(claim)
            raise
        except Exception as error:
            # A record that makes the program fail must not stop the others, nor come back at once.
            _log.exception("record.crashed", account=claim.account, doi=claim.doi)
            failed = Failed("crashed", f"{type(error).__name__}: {error}")
            self._store.claims.settle(claim, settle.not_done(claim, failed, self._chance(), sent=sent, limited=True))
            return True

    def _work(self) -> None:
        try:
            while self.step():
                pass
        except BaseException:
            # The others end as well, so that the pass says what is wrong now, and the next one has all its workers.
            self._broken = True
            raise

    # Before anything is sent.

    def _look(self, claim: Claim) -> Turn:
        """Read the record as it is now and decide: nothing that waited for a slot is sent."""
        row = self._platform.one(claim.record_key)
        if row is None or row.doi != claim.doi:
            gone = Desired(claim.doi, State.NONE, {}, GONE_DIGEST, {})
            if claim.desired_digest != GONE_DIGEST:
                # Only a whole scan, with its brake, may say that a record is gone: one empty answer may be a
                # table that is being loaded, or a replica that lags.
                return Turn(None, gone, None)
            return Turn(None, gone, self._next(claim, gone))
        mapped = self._platform.map(row)
        if isinstance(mapped, Problem):
            return Turn(row, mapped, mapped)
        step = self._next(claim, mapped)
        if _is_for_a_scan(claim, mapped, step):
            return Turn(row, mapped, None)
        return Turn(row, mapped, step)

    def _next(self, claim: Claim, desired: Desired) -> Nothing | Write | Problem:
        account = self._account
        step = next_step(claim.held, desired, self._policy, prefixes=account.prefixes, domains=account.domains)
        if claim.lane == LANE_BACKFILL and isinstance(step, Put) and step.event is None:
            return replace(step, reason="somebody ordered it once more")
        return step

    def _settle_unsent(self, claim: Claim, turn: Turn) -> bool:
        """Nothing is to be sent, or nothing can be."""
        settlement = settle.unsent(claim, turn, self._chance())
        if isinstance(turn.step, Problem):
            self.counts.add("rejected")
            words = str(turn.step)
            _log.warning("record.rejected", account=claim.account, doi=claim.doi, cause=turn.step.cause, message=words)
        elif turn.step is None:
            _log.info("record.left_to_a_scan", doi=claim.doi, account=claim.account, there=turn.row is not None)
        else:
            self.counts.add("unneeded")
        self._store.claims.settle(claim, settlement)
        return True

    def _settle_unread(self, claim: Claim, error: SyncdError) -> bool:
        """The platform could not give this record: the others go on, unless it gives none.

        Raises:
            SyncdError: Several in a row failed, so it is not the record.
        """
        failed = Failed("unreadable", error.message)
        self._store.claims.settle(claim, settle.not_done(claim, failed, self._chance()))
        self.counts.add("deferred")
        self._unreadable_in_a_row += 1
        if self._unreadable_in_a_row >= _UNREADABLE_TO_STOP:
            raise error
        return True

    def _not_sent(self, claim: Claim) -> bool:
        """Reading the record took so long that claim or slot do not cover a request any more."""
        _log.warning("claim.too_late", doi=claim.doi, account=claim.account)
        failed = Failed("unreadable", "reading the record took so long that its request could not begin in time")
        self._store.claims.settle(claim, settle.not_done(claim, failed, self._chance()))
        self.counts.add("deferred")
        return True

    # The request and its answer.

    def _send(self, claim: Claim, turn: Turn, request: Write, slot: Slot, probed: Probed) -> bool:
        answer = self._client.write(request, slot.leave_by)
        slot.end(answered=isinstance(answer, Answer) or not answer.sent)
        self.counts.add("requests")
        outcome = judge(request, claim.held, answer, self._account.id)
        go_on, weather = self._trouble.after(outcome, probed, claim)
        settlement = settle.answered(claim, turn, request, outcome, self._policy, self._chance(), weather)
        if not self._store.claims.settle(claim, settlement):
            _log.warning("claim.lost", doi=claim.doi, account=claim.account)
        self._report(claim, request, outcome)
        return go_on

    def _report(self, claim: Claim, request: Write, outcome: Outcome) -> None:
        fields = {
            "account": claim.account,
            "doi": claim.doi,
            "reason": request.reason,
            "status": outcome.status,
        }
        match outcome:
            case Accepted(held, _):
                self.counts.add("accepted")
                # A complete record names none of them.
                complete = isinstance(request, Put) and len(request.attributes) == len(MANAGED_ATTRIBUTES)
                named = [] if complete or not isinstance(request, Put) else sorted(request.attributes)
                _log.info("record.synced", **fields, state=str(held.state), complete=complete, attributes=named)
            case Rejected(cause, message):
                self.counts.add("rejected")
                _log.warning("record.rejected", **fields, cause=cause, message=message)
            case Deferred(cause, message):
                self.counts.add("deferred")
                _log.warning("record.deferred", **fields, cause=cause, message=message)
            case Halted(cause, message):
                _log.error("account.halted", **fields, cause=cause, message=message)


def _is_for_a_scan(claim: Claim, desired: Desired, step: Nothing | Write | Problem) -> bool:
    """Whether the record turned, since a scan saw it, into what only a scan with its brake may decide. Pure.

    To hide or delete what the scan wanted otherwise, and any change of what is mass work: the next scan notes it,
    and what it lets pass is sent then.
    """
    if desired.digest == claim.desired_digest:
        return False
    vanishes = isinstance(step, Delete) or (isinstance(step, Put) and step.event == "hide")
    return claim.lane == LANE_BACKFILL or (vanishes and desired.state is not claim.desired_state)
