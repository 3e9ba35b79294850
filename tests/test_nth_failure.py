"""One scenario, in which the n-th statement, the n-th commit, the n-th request fails; n = 1, 2, 3 … until none does.

The tests take every seventh n; ``python -m tests.test_nth_failure`` takes all.
"""

import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import event

from syncd.errors import StateError
from syncd.sandbox.http import Request, Response
from tests.simulation.network import Lost
from tests.simulation.play import silence
from tests.simulation.process import shared_connection
from tests.simulation.trial import DAY, Trial, trial

STRIDE = 7
NEW_TITLE = [{"title": "Another title"}]


class Nth:
    """Fails the n-th of something, once."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.failed = False

    def now(self) -> bool:
        self._left -= 1
        self.failed = self.failed or self._left == 0
        return self._left == 0


@contextmanager
def statement(one: Trial, nth: Nth, *, after: bool) -> Iterator[None]:
    """The n-th statement on our own tables fails, before or after it was carried out."""
    engine = shared_connection(one.process.store.database.engine).engine

    def fail(*_: Any) -> None:
        if not one.looking and nth.now():
            raise StateError("the state database is away, says the test")

    name = "after_cursor_execute" if after else "before_cursor_execute"
    event.listen(engine, name, fail)
    try:
        yield
    finally:
        event.remove(engine, name, fail)


@contextmanager
def commit(one: Trial, nth: Nth) -> Iterator[None]:
    """The answer to the n-th COMMIT is lost."""

    def fail() -> None:
        if nth.now():
            raise StateError("the answer to COMMIT was lost, says the test")

    one.process.after_commit = fail  # type: ignore[method-assign]
    yield
    del one.process.after_commit


@contextmanager
def request(one: Trial, nth: Nth, *, after: bool) -> Iterator[None]:
    """The n-th request is lost on its way, or its answer is."""

    def fate(asked: Request) -> Response | None:
        if nth.now():
            if after:
                one.sandbox.respond(asked, one.time.now)
            raise Lost("reset by the test", sent=True)
        return None

    one.fate = fate
    yield
    one.fate = lambda _request: None


KINDS: dict[str, Callable[[Trial, Nth], Any]] = {
    "a statement fails": lambda one, nth: statement(one, nth, after=False),
    "a statement fails after it was carried out": lambda one, nth: statement(one, nth, after=True),
    "the answer to a commit is lost": commit,
    "a request is lost": lambda one, nth: request(one, nth, after=False),
    "an answer is lost": lambda one, nth: request(one, nth, after=True),
}


def scenario(one: Trial, kind: str, number: int) -> bool:
    """Create, edit, withdraw, with one failure in between; whether there was one."""
    nth = Nth(number)
    with KINDS[kind](one, nth):
        one.live(30.0)
        one.put(1, titles=NEW_TITLE)
        one.put(2, status="withdrawn")
        one.live(30.0)
    one.live(DAY)
    rows = {number: one.row(number) for number in (1, 2)}
    first, second = (one.sandbox.world.dois.get(f"10.5072/r{number}") for number in (1, 2))
    created = [arrival.doi for arrival in one.network.arrivals if arrival.status == 201]

    assert [row["bucket"] for row in rows.values()] == ["in_sync", "in_sync"], (kind, number, rows)
    assert first is not None
    assert (first.state, first.attributes["titles"]) == ("findable", NEW_TITLE), (kind, number)
    # Where the failure came before the second record was published, there was nothing to hide.
    assert second is None or second.state == "registered", (kind, number)
    assert len(set(created)) == len(created), (kind, number)
    assert one.sandbox.firewall.max_in_window <= one.slots, (kind, number)
    assert one.process.store.reading.sum("DATACITE.DEMO").adds_up, (kind, number)
    return nth.failed


def every_nth(kind: str, folder: Path, stride: int) -> int:
    """Fail the 1st, the (1 + stride)-th … until a run has no failure; how many runs there were."""
    silence()
    for runs in itertools.count(1):
        place = folder / f"{runs}"
        place.mkdir()
        with trial(place) as one:
            if not scenario(one, kind, 1 + (runs - 1) * stride):
                return runs
    raise AssertionError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(600)
def test_all_promises_hold_after_the_nth_failure(kind: str, tmp_path: Path) -> None:
    try:
        assert every_nth(kind, tmp_path, 1 if "commit" not in kind and "statement" not in kind else STRIDE) > 2
    finally:
        structlog.reset_defaults()


if __name__ == "__main__":
    for name in KINDS:
        with tempfile.TemporaryDirectory() as memory:
            sys.stdout.write(f"{name}: {every_nth(name, Path(memory), 1)} runs\n")
            sys.stdout.flush()
