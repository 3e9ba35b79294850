"""Ask DataCite what it holds: every question has a slot, respects the host's pauses, and is repeated with patience."""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, TypeVar

import structlog

from syncd.clock import Clock
from syncd.datacite.answer import Answer, NoAnswer
from syncd.datacite.remote import (
    LARGEST_PAGE,
    Page,
    Remote,
    RemoteAccount,
    Unread,
    account_of,
    account_target,
    list_target,
    one_of,
    one_target,
    page_of,
)
from syncd.errors import CredentialsError, StoppedError, UnreachableError
from syncd.limiter import Limiter
from syncd.plan import delay, pause_length
from syncd.store import Store
from syncd.store.runs import BY_HAND, HOST

_log = structlog.get_logger()
_T = TypeVar("_T")
_PATIENCE_SECONDS = 30.0
_MOST_ATTEMPTS = 12
_SMALLEST_PAGE = 10
_SHRINKING = ("no_answer", "server_error", "bad_answer")


class Reader(Protocol):
    """Reads from DataCite; ``datacite.client.Client`` is the real one."""

    def read(self, target: str, leave_by: float | None = None) -> Answer | NoAnswer:
        """Ask, not after ``leave_by``, and wait for the answer."""


class Inquiry:
    """Questions about one account's DOIs; several threads may ask at once."""

    def __init__(
        self,
        account_id: str,
        store: Store,
        limiter: Limiter,
        client: Reader,
        clock: Clock,
        *,
        chance: Callable[[], float],
        stopping: Callable[[], bool],
        attempts: int = _MOST_ATTEMPTS,
        mass: bool = True,
    ) -> None:
        """Args: ``attempts``: how often a question is asked before it is given up; ``mass``: others go first."""
        self._account_id = account_id
        self._store = store
        self._limiter = limiter
        self._client = client
        self._clock = clock
        self._chance = chance
        self._stopping = stopping
        self._size = LARGEST_PAGE
        self._attempts = attempts
        self._mass = mass
        self.requests = 0

    def page(self, cursor: str | None, size: int | None = None) -> Page:
        """A page of the account's DOIs, oldest first; smaller ones when DataCite cannot give large ones.

        Raises:
            CredentialsError: DataCite does not accept the account's credentials.
            UnreachableError: It does not answer, however often it is asked.
            StoppedError: The program is to stop.
        """

        def target() -> str:
            return list_target(self._account_id, cursor, size or self._size)

        return self._ask(target, lambda answer: page_of(answer, self._account_id))

    def one(self, doi: str) -> Remote | None:
        """One DOI from DataCite's database; None when it has none, or another account's that is not findable.

        Ask for a page first: only a list tells that the credentials work. Raises as ``page`` does.
        """
        target = one_target(doi)
        return self._ask(lambda: target, lambda answer: one_of(answer, doi, self._account_id))

    def account(self) -> RemoteAccount:
        """The account as DataCite has it. Raises as ``page`` does."""
        return self._ask(lambda: account_target(self._account_id), account_of)

    def _ask(self, target: Callable[[], str], understood: Callable[[Answer | NoAnswer], _T | Unread]) -> _T:
        attempts = 0
        while True:
            waited = self._wait_for_the_host()
            answer = self._once(target())
            if answer is None:
                continue
            found = understood(answer)
            if not isinstance(found, Unread):
                if waited:
                    self._store.runs.resume(HOST, by_itself=True)
                return found
            attempts += 1
            self._give_up(found, attempts)
            _log.warning("inquiry.repeated", account=self._account_id, cause=found.cause, message=found.message)
            if found.cause in _SHRINKING:
                self._size = max(_SMALLEST_PAGE, self._size // 2)
            self._clock.sleep(delay(attempts, found.retry_after, self._chance()))

    def _once(self, target: str) -> Answer | NoAnswer | None:
        if self._stopping():
            raise StoppedError("stopped", hint="the same command goes on where this one ended")
        with self._limiter.slot(mass=self._mass, patience=_PATIENCE_SECONDS) as slot:
            if slot is None or not slot.use():
                return None
            answer = self._client.read(target, slot.leave_by)
            slot.end(answered=isinstance(answer, Answer) or not answer.sent)
        self.requests += 1
        return answer

    def _give_up(self, found: Unread, attempts: int) -> None:
        if found.cause == "credentials":
            raise CredentialsError(
                f"DataCite does not accept the credentials of {self._account_id}: {found.message}",
                hint="correct the password, then syncd check",
            )
        if found.cause == "throttled":
            self._limiter.slow_down()
            self._store.runs.pause(
                HOST, found.cause, found.message,
                lambda several: timedelta(seconds=pause_length(found.cause, several, found.retry_after)),
            )  # fmt: skip
        if attempts >= self._attempts:
            raise UnreachableError(
                f"DataCite does not answer as it should: {found.cause}: {found.message}",
                hint="the same command goes on where this one ended; see DataCite's status page",
            )

    def _wait_for_the_host(self) -> bool:
        """While DataCite throttles or is away, nobody asks; a person's pause of sending stops no question.

        Returns:
            Whether there is such a pause, which an answer then ends.
        """
        for pause in self._store.runs.pauses():
            if pause.scope == HOST and pause.cause != BY_HAND and pause.until is not None:
                self._clock.sleep((pause.until - self._clock.now()).total_seconds())
                return True
        return False
