"""Bring one pending DOI up to date: claim, slot, read again, decide, mark, send, judge, settle."""

import contextlib
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

import structlog

from syncd.config import AccountSettings, DataCiteSettings
from syncd.datacite.client import Answer, NoAnswer
from syncd.datacite.outcome import Accepted, Deferred, Halted, Outcome, Rejected, judge
from syncd.datacite.request import Put, Write
from syncd.datacite.validation import MAX_BODY_BYTES, owned, problems
from syncd.errors import ConfigurationError, PlatformError, StateError, SyncdError
from syncd.limiter import Limiter, Slot
from syncd.model import Desired, Held, Problem, Row, State
from syncd.plan import Nothing, Policy, decide, delay, exhausted, hide_alone
from syncd.platforms import Platform
from syncd.store import Store
from syncd.store.facts import GONE_DIGEST, LANE_BACKFILL, Claim, Failed, Settlement, Written
from syncd.store.runs import HOST

_log = structlog.get_logger()
_PATIENCE_SECONDS = 30.0
_MARGIN_SECONDS = 30.0
_FAILURES_TO_PAUSE = 5
_UNREADABLE_TO_STOP = 5
_PAUSE = timedelta(seconds=30)
_THROTTLE_PAUSE = timedelta(seconds=60)


class Writer(Protocol):
    """Sends one write; ``datacite.client.Client`` is the real one."""

    def write(self, request: Write) -> Answer | NoAnswer:
        """Send, and wait for the answer."""


@dataclass
class SendCounts:
    """What sending did, over all workers."""

    requests: int = 0
    accepted: int = 0
    rejected: int = 0
    deferred: int = 0
    unneeded: int = 0
    halted: bool = False
    paused: bool = False
    failures_in_a_row: int = 0
    unreadable_in_a_row: int = 0
    trouble: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, name: str) -> None:
        """One more."""
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)

    def failures(self, *, more: bool) -> int:
        """Count transient failures in a row; any answer from DataCite itself begins anew."""
        with self.lock:
            self.failures_in_a_row = self.failures_in_a_row + 1 if more else 0
            return self.failures_in_a_row


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one worker found out about one DOI before anything was sent; without a step it has to wait."""

    row: Row | None
    desired: Desired | Problem
    step: Nothing | Write | Problem | None


class Sender:
    """Sends what is due for one account, with as many workers as configured."""

    def __init__(
        self,
        account: AccountSettings,
        settings: DataCiteSettings,
        platform: Platform,
        store: Store,
        limiter: Limiter,
        client: Writer,
        *,
        owner: str,
        chance: Callable[[], float] = random.random,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._account = account
        self._settings = settings
        self._platform = platform
        self._store = store
        self._limiter = limiter
        self._client = client
        self._owner = owner
        self._chance = chance
        self._stopping = stopping
        source = account.source
        self._policy = Policy(source.withdrawn_drafts == "keep", source.hide_reason)
        self._request_time = timedelta(seconds=settings.request_timeout + _MARGIN_SECONDS)
        self._grace = timedelta(seconds=settings.grace)
        self._claim_time = 2 * self._request_time + self._grace + timedelta(seconds=_PATIENCE_SECONDS)
        self.counts = SendCounts()

    def run(self) -> None:
        """Send until nothing is due, a pause begins or the program is to stop."""
        # One request tells whether the account's credentials work, before many do.
        while self.counts.requests == 0:
            if not self.step():
                return
        workers = self._settings.workers
        with ThreadPoolExecutor(workers, thread_name_prefix="send") as pool:
            running = [pool.submit(copy_context().run, self._work) for _ in range(workers)]
            for worker in running:
                worker.result()

    def step(self) -> bool:
        """Bring one DOI up to date; returns whether to call again."""
        if self._stopping() or self._store.runs.pauses(self._account.id):
            return False
        claim = self._store.dois.claim(self._account.id, self._owner, duration=self._claim_time, grace=self._grace)
        if claim is None:
            return False
        sent = False
        try:
            mass = claim.lane == LANE_BACKFILL
            with self._limiter.slot(mass=mass, patience=_PATIENCE_SECONDS) as slot:
                if slot is None or self.counts.halted:
                    self._store.dois.release(claim)
                    return True
                try:
                    turn = self._look(claim)
                except (PlatformError, ConfigurationError) as error:
                    return self._settle_unread(claim, error)
                self.counts.unreadable_in_a_row = 0
                if isinstance(turn.step, Put | Write):
                    sent = slot.use() and self._store.dois.mark_unsure(claim, self._request_time)
                    return self._send(claim, turn, slot) if sent else self._not_sent(claim)
            return self._settle_unsent(claim, turn)
        except SyncdError:
            # After a request left, the row stays claimed and unsure: both end by themselves.
            if not sent:
                with contextlib.suppress(StateError):
                    self._store.dois.release(claim)
            raise
        except Exception as error:
            # A record that makes the program fail must not stop the others, nor come back at once.
            _log.exception("record.crashed", account=claim.account, doi=claim.doi)
            self._settle_crashed(claim, error, sent=sent)
            return True

    def _work(self) -> None:
        while self.step():
            pass

    # Before anything is sent.

    def _look(self, claim: Claim) -> _Turn:
        """Read the record as it is now and decide: nothing that waited for a slot is sent."""
        row = self._platform.one(claim.record_key)
        if row is None or row.doi != claim.doi:
            gone = Desired(claim.doi, State.NONE, {}, GONE_DIGEST, {})
            if claim.desired_digest != GONE_DIGEST:
                # Only a whole scan, with its brake, may say that a record is gone: one empty answer may be a
                # table that is being loaded, or a replica that lags.
                return _Turn(None, gone, None)
            return _Turn(None, gone, self._decide(claim, gone))
        mapped = self._platform.map(row)
        if isinstance(mapped, Problem):
            return _Turn(row, mapped, mapped)
        return _Turn(row, mapped, self._decide(claim, mapped))

    def _decide(self, claim: Claim, desired: Desired) -> Nothing | Write | Problem:
        if not owned(claim.doi, self._account.prefixes):
            return Problem("forbidden", f"{claim.doi} lies under none of {', '.join(self._account.prefixes)}")
        step = decide(claim.held, desired, self._policy)
        if not isinstance(step, Put) or not (step.attributes or step.event == "publish"):
            return step
        public = any(state.public for state in step.expects)
        found = problems(desired.attributes, public=public, domains=self._account.domains)
        if found and step.event == "hide":
            return hide_alone(claim.held, desired, self._policy)
        if found:
            return Problem(found[0].cause, "; ".join(map(str, found[:10])))
        if len(step.body()) > MAX_BODY_BYTES:
            return Problem("too_large", f"the metadata has {len(step.body())} bytes")
        return step

    def _settle_unsent(self, claim: Claim, turn: _Turn) -> bool:
        if turn.step is None:
            _log.info("record.missing", doi=claim.doi, account=claim.account)
            waiting = replace(
                _unchanged(claim, turn),
                desired_digest=claim.desired_digest,
                retry_in=self._wait(claim.attempts + 1),
                attempts=claim.attempts + 1,
            )
            self._store.dois.settle(claim, waiting)
            return True
        if isinstance(turn.step, Problem):
            self.counts.add("rejected")
            _log.warning("record.rejected", doi=claim.doi, cause=turn.step.cause, message=str(turn.step))
            failed = Failed(turn.step.cause, str(turn.step))
            settlement = replace(_unchanged(claim, turn), quarantine=True, failed=failed)
        else:
            self.counts.add("unneeded")
            digest = _digest(turn.desired)
            gone = digest == GONE_DIGEST and claim.held.state is State.NONE
            settlement = replace(_unchanged(claim, turn), synced_digest=digest, forget=gone)
        self._store.dois.settle(claim, settlement)
        return True

    def _settle_unread(self, claim: Claim, error: SyncdError) -> bool:
        """The platform could not give this record: the others go on, unless it gives none.

        Raises:
            SyncdError: Several in a row failed, so it is not the record.
        """
        attempts = claim.attempts + 1
        self._store.dois.settle(
            claim,
            Settlement(
                held=claim.held,
                synced_digest=claim.synced_digest,
                desired_digest=claim.desired_digest,
                desired_state=claim.desired_state,
                row_digest=None,
                retry_in=self._wait(attempts),
                attempts=attempts,
                failed=Failed("unreadable", error.message),
            ),
        )
        self.counts.add("deferred")
        self.counts.add("unreadable_in_a_row")
        if self.counts.unreadable_in_a_row >= _UNREADABLE_TO_STOP:
            raise error
        return True

    def _not_sent(self, claim: Claim) -> bool:
        """Reading the record took so long that claim or slot do not cover a request any more."""
        _log.warning("claim.too_late", doi=claim.doi, account=claim.account)
        self._store.dois.release(claim)
        return True

    # The request and its answer.

    def _send(self, claim: Claim, turn: _Turn, slot: Slot) -> bool:
        request = turn.step
        assert isinstance(request, Write)  # noqa: S101 - narrowed by the caller
        answer = self._client.write(request)
        slot.end()
        self.counts.add("requests")
        outcome = judge(request, claim.held, answer, self._account.id)
        settlement = self._settlement(claim, turn, request, outcome)
        kept = self._store.dois.settle(claim, settlement)
        if not kept:
            _log.warning("claim.lost", doi=claim.doi, account=claim.account)
        self._report(claim, request, outcome)
        return self._go_on(outcome)

    def _settlement(self, claim: Claim, turn: _Turn, request: Write, outcome: Outcome) -> Settlement:
        """What to write down about an outcome."""
        same = outcome.held == claim.held
        settlement = replace(
            _unchanged(claim, turn),
            held=outcome.held,
            synced_digest=claim.synced_digest if same else None,
            written=_written(request, turn, outcome),
        )
        match outcome:
            case Accepted(held, _):
                digest = _digest(turn.desired)
                gone = digest == GONE_DIGEST and held.state is State.NONE
                done = isinstance(turn.desired, Desired) and isinstance(
                    decide(held, turn.desired, self._policy), Nothing
                )
                return replace(
                    settlement, synced_digest=digest if done else None, verified=True, attempts=0, forget=gone
                )
            case Rejected(cause, message, _, status):
                failed = Failed(cause, message, status)
                return replace(settlement, quarantine=True, failed=failed, attempts=claim.attempts + 1)
            case Deferred() as deferred:
                return self._deferred(claim, settlement, deferred)
            case Halted():
                return settlement

    def _deferred(self, claim: Claim, settlement: Settlement, outcome: Deferred) -> Settlement:
        attempts = claim.attempts + 1
        failed = Failed(outcome.cause, outcome.message, outcome.status)
        if outcome.host_wide and not outcome.unsure:
            # An outage is nobody's failure: no record is charged with it.
            return replace(settlement, retry_in=self._wait(attempts, outcome.retry_after))
        if outcome.limited:
            # Other troubles before do not count against a step that should help at once.
            attempts = attempts if claim.cause == outcome.cause else 1
            if exhausted(attempts):
                return replace(settlement, quarantine=True, failed=failed, attempts=attempts)
        wait = self._wait(attempts, outcome.retry_after)
        return replace(settlement, retry_in=wait, attempts=attempts, failed=failed)

    def _wait(self, attempts: int, retry_after: float | None = None) -> timedelta:
        return timedelta(seconds=delay(attempts, retry_after, self._chance()))

    def _settle_crashed(self, claim: Claim, error: Exception, *, sent: bool) -> None:
        attempts = claim.attempts + 1 if claim.cause == "crashed" else 1
        held = replace(claim.held, digests=None, sure=False) if sent else claim.held
        self._store.dois.settle(
            claim,
            Settlement(
                held=held,
                synced_digest=None if sent else claim.synced_digest,
                desired_digest=claim.desired_digest,
                desired_state=claim.desired_state,
                row_digest=None,
                retry_in=self._wait(attempts),
                attempts=attempts,
                quarantine=exhausted(attempts),
                failed=Failed("crashed", f"{type(error).__name__}: {error}"),
            ),
        )

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
                sent = sorted(request.attributes) if isinstance(request, Put) else []
                _log.info("record.synced", **fields, state=str(held.state), attributes=sent)
            case Rejected(cause, message):
                self.counts.add("rejected")
                _log.warning("record.rejected", **fields, cause=cause, message=message)
            case Deferred(cause, message):
                self.counts.add("deferred")
                _log.warning("record.deferred", **fields, cause=cause, message=message)
            case Halted(cause, message):
                _log.error("account.halted", **fields, cause=cause, message=message)

    def _go_on(self, outcome: Outcome) -> bool:
        """Pause the account or the host where the outcome asks for it; returns whether to call again."""
        runs = self._store.runs
        match outcome:
            case Halted(cause, message):
                self.counts.halted = True
                runs.pause(self._account.id, cause, message, None)
                return False
            case Deferred(cause="throttled", message=message, retry_after=seconds):
                self.counts.paused = True
                self.counts.trouble = f"throttled: {message}"
                runs.pause(HOST, "throttled", message, timedelta(seconds=seconds) if seconds else _THROTTLE_PAUSE)
                _log.warning("host.paused", cause="throttled", message=message)
                return False
            case Deferred(cause, message) if outcome.host_wide or outcome.unsure:
                self.counts.trouble = f"{cause}: {message}"
                if self.counts.failures(more=True) >= _FAILURES_TO_PAUSE:
                    self.counts.paused = True
                    runs.pause(HOST, cause, message, _PAUSE)
                    _log.warning("host.paused", cause=cause, message=message)
                    return False
            case _:
                self.counts.failures(more=False)
        return True


def _digest(desired: Desired | Problem) -> str | None:
    return desired.digest if isinstance(desired, Desired) else None


def _unchanged(claim: Claim, turn: _Turn) -> Settlement:
    """The record as it was read again, with DataCite as it was before."""
    return Settlement(
        held=claim.held,
        synced_digest=claim.synced_digest,
        desired_digest=_digest(turn.desired),
        desired_state=turn.desired.state if isinstance(turn.desired, Desired) else State.NONE,
        row_digest=turn.row.digest if turn.row else None,
        attempts=claim.attempts,
    )


def _written(request: Write, turn: _Turn, outcome: Outcome) -> Written:
    held: Held = outcome.held
    cause = getattr(outcome, "cause", "")
    return Written(
        method=request.method,
        reason=request.reason,
        event=request.event if isinstance(request, Put) else None,
        attributes=sorted(request.attributes) if isinstance(request, Put) else [],
        bytes=len(request.body()),
        status=outcome.status,
        result=cause or "accepted",
        state_after=held.state if held.sure else None,
        digest_after=_digest(turn.desired) if isinstance(outcome, Accepted) else None,
    )
