"""What an outcome means beyond its record: go on, rest the account or the whole host, or end such a rest."""

import threading
from collections.abc import Callable, Iterable
from datetime import timedelta

import structlog

from syncd.counts import SendCounts
from syncd.datacite.outcome import Deferred, Halted, Outcome, Rejected
from syncd.datacite.remote import RemoteAccount
from syncd.errors import CredentialsError, StoppedError, UnreachableError
from syncd.limiter import Limiter
from syncd.plan import exhausted, pause_length
from syncd.settle import Weather
from syncd.store.facts import Claim
from syncd.store.runs import HOST, Pause, Runs

_log = structlog.get_logger()
_FAILURES_TO_PAUSE = 3
_FORBIDDEN_TO_ASK = 10
REFUSED = "account_refused"

Probed = tuple[str, ...]
"""The pauses that one request is to try."""


class Trouble:
    """Watches the outcomes of one account's requests, over all workers of this process."""

    def __init__(
        self, account_id: str, runs: Runs, limiter: Limiter, counts: SendCounts, ask: Callable[[], RemoteAccount]
    ) -> None:
        """Args: ``ask``: what DataCite says of the account; raises as ``Inquiry.account`` does."""
        self._account_id = account_id
        self._runs = runs
        self._limiter = limiter
        self._counts = counts
        self._ask = ask
        self._lock = threading.Lock()
        self._failures = 0
        self._forbidden = 0
        self._answered = False

    def after(self, outcome: Outcome, probed: Probed, claim: Claim) -> tuple[bool, Weather]:
        """Pause the account or the host where the outcome asks for it.

        Args:
            outcome: What came of a request.
            probed: The pauses that this request was to try.
            claim: Whose request it was.

        Returns:
            Whether to go on, and what is known of the host.
        """
        match outcome:
            case Halted(cause, message):
                return self._halt(cause, message, probed, claim)
            case Deferred() if outcome.transient:
                return self._wait_out(outcome, probed, claim)
            case _:
                self._count_failure(more=False)
                refusal = self._refusal(outcome, probed, claim)
                if refusal is not None:
                    return self._halt(REFUSED, refusal, probed, claim)
                self._resume(probed)
                return True, Weather.FAIR

    def _halt(self, cause: str, message: str, probed: Probed, claim: Claim) -> tuple[bool, Weather]:
        """DataCite takes nothing of this account, but it did answer, so the host is well."""
        self._counts.halted = cause
        self._pause(self._account_id, cause, message, probed, claim.doi)
        self._resume(scope for scope in probed if scope == HOST)
        return False, Weather.FAIR

    def _refusal(self, outcome: Outcome, probed: Probed, claim: Claim) -> str | None:
        """Why the account may write nothing, when one DOI after the other was refused; None when it may.

        A 403 does not say whether it means the account or the DOI (datacite-api 2), so DataCite is asked.
        """
        forbidden = isinstance(outcome, Rejected) and outcome.cause == "forbidden"
        several = self._count_forbidden(more=forbidden) == _FORBIDDEN_TO_ASK  # whoever comes later waits for this one
        # One that tries whether such a pause can end tells by itself; after another pause it is one DOI only.
        if not isinstance(outcome, Rejected) or not (several or (forbidden and self._tries_again(probed))):
            return None
        try:
            account = self._ask()
        except (CredentialsError, StoppedError, UnreachableError) as error:
            return f"{outcome.message} (what DataCite says of the account is unknown: {error.message})"
        prefix = claim.doi.split("/", 1)[0]
        if not account.active:
            return "the account is not active"
        if account.prefixes is not None and prefix not in account.prefixes:
            return f"the account does not have the prefix {prefix} any more"
        _log.warning("account.may_write", account=self._account_id, doi=claim.doi, message=outcome.message)
        self._count_forbidden(more=False)
        return None

    def _tries_again(self, probed: Probed) -> bool:
        here = self._account_id
        return here in probed and any(one.scope == here and one.cause == REFUSED for one in self._runs.pauses(here))

    def _wait_out(self, outcome: Deferred, probed: Probed, claim: Claim) -> tuple[bool, Weather]:
        """Trouble of the host: at once where nothing has worked yet, else when it comes several times in a row."""
        self._counts.trouble = f"{outcome.cause}: {outcome.message}"
        several = _FAILURES_TO_PAUSE if self._answered and not probed else 1
        if self._count_failure(more=True) < several and outcome.cause != "throttled":
            return True, Weather.FAIR
        self._counts.paused = outcome.cause
        pause = self._pause(HOST, outcome.cause, outcome.message, probed, claim.doi, outcome.retry_after)
        self._runs.end_wait([scope for scope in probed if scope != HOST])
        if outcome.cause == "throttled":
            self._limiter.slow_down()
        elif pause.until is not None and not pause.several and exhausted(claim.attempts + 1):
            # It happens to this record again and again and to no other: it is not the host.
            self._resume([HOST])
            return True, Weather.FAIR
        return False, Weather.FOUL if pause.several else Weather.DOUBTFUL

    def _count_failure(self, *, more: bool) -> int:
        """Count transient failures in a row; any answer from DataCite itself begins anew."""
        with self._lock:
            self._failures = self._failures + 1 if more else 0
            self._answered = self._answered or not more
            self._counts.struggling = self._failures > 0
            return self._failures

    def _count_forbidden(self, *, more: bool) -> int:
        with self._lock:
            self._forbidden = self._forbidden + 1 if more else 0
            return self._forbidden

    def _pause(
        self, scope: str, cause: str, message: str, probed: Probed, doi: str, retry_after: float | None = None
    ) -> Pause:
        pause = self._runs.pause(
            scope,
            cause,
            message,
            lambda attempts: timedelta(seconds=pause_length(cause, attempts, retry_after)),
            told_by=doi,
            tried=scope in probed,
        )
        _log.warning("sending.paused", scope=scope, cause=cause, message=message, until=str(pause.until))
        return pause

    def _resume(self, scopes: Iterable[str]) -> None:
        for scope in scopes:
            if self._runs.resume(scope, by_itself=True):
                _log.info("sending.resumed", scope=scope)
