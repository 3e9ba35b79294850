"""How many requests left and how they were answered, for metrics."""

import threading
from collections import Counter

from syncd.datacite.answer import Answer, NoAnswer
from syncd.datacite.request import Write
from syncd.pulse import Pulse
from syncd.send import Caller


class Tally:
    """How many requests of which kind left, and how they were answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, account: str, method: str, status: str) -> None:
        """One more."""
        with self._lock:
            self._counts[account, method, status] += 1

    def counts(self) -> dict[tuple[str, str, str], int]:
        """By account, method and status, ``no_answer`` among them."""
        with self._lock:
            return dict(self._counts)


class Counted:
    """A client whose requests are counted, each of them a sign of life."""

    def __init__(self, client: Caller, account: str, tally: Tally, pulse: Pulse) -> None:
        self._client = client
        self._account = account
        self._tally = tally
        self._pulse = pulse

    def write(self, request: Write, leave_by: float | None = None) -> Answer | NoAnswer:
        """Send, not after ``leave_by``, and wait for the answer."""
        return self._counted(request.method, self._client.write(request, leave_by))

    def read(self, target: str, leave_by: float | None = None) -> Answer | NoAnswer:
        """Ask, not after ``leave_by``, and wait for the answer."""
        return self._counted("GET", self._client.read(target, leave_by))

    def _counted(self, method: str, answer: Answer | NoAnswer) -> Answer | NoAnswer:
        self._pulse.beat()
        self._tally.add(self._account, method, str(answer.status) if isinstance(answer, Answer) else "no_answer")
        return answer
