"""One account's duties without a process around them: when each comes again, and what trouble does to it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from syncd.duties import Watch
from syncd.pulse import WatchedClock
from syncd.store.runs import BRAKE
from syncd.store.tables import run
from syncd.tally import Tally
from tests.site import Site


class Clock(WatchedClock):
    """Time goes on when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)


@dataclass
class Watched:
    """A watch with the names that it woke."""

    watch: Watch
    clock: Clock
    site: Site
    woken: list[str] = field(default_factory=list)


@pytest.fixture
def watched(site: Site) -> Iterator[Watched]:
    site.more = '[schedule]\nreconcile = "02:30"\naudit = "02:45"\n'
    made = watch_of(site)
    yield made
    made.watch.close()


def watch_of(site: Site) -> Watched:
    settings, clock = site.settings, Clock()
    woken: list[str] = []
    watch = Watch(settings, settings.accounts[0], site.store, clock, Tally(), wake=woken.append, crowded=lambda: False)
    return Watched(watch, clock, site, woken)


def looks(site: Site, kind: str) -> int:
    """How many looks of this kind came to their end."""
    with site.store.database.reading() as connection:
        rows = connection.exec_driver_sql(f"SELECT count(*) FROM syncd_run WHERE kind = '{kind}' AND result = 'done'")
        return int(rows.scalar_one())


def test_the_first_poll_looks_at_everything_and_the_next_ones_ask_what_moved(watched: Watched) -> None:
    watched.site.add(1)
    assert watched.watch.poll() == 30.0
    assert looks(watched.site, "full") == 1
    watched.site.add(2)
    watched.site.execute("UPDATE record SET modified = '2027-01-01 00:00:00' WHERE id = 2")
    assert watched.watch.poll() == 30.0
    assert (looks(watched.site, "full"), looks(watched.site, "changed")) == (1, 1)
    assert watched.woken == [f"send {watched.site.account}"] * 2


def test_reconciliation_and_audit_come_at_their_time_once_and_are_made_up_for(watched: Watched) -> None:
    site = watched.site
    site.add(1)
    watched.watch.poll()
    watched.watch.send()
    with site.store.database.writing() as connection:  # the night before last
        connection.execute(update(run).values(started_at=datetime.now(UTC) - timedelta(days=2)))
    watched.watch._began -= timedelta(days=2)

    assert watched.watch.reconcile() == 60.0
    assert watched.watch.audit() == 60.0
    assert (looks(site, "full"), looks(site, "audit")) == (2, 1)
    for _ in range(3):
        assert 60.0 < (watched.watch.reconcile() or 0) <= 900.0
        assert 60.0 < (watched.watch.audit() or 0) <= 900.0
    assert (looks(site, "full"), looks(site, "audit")) == (2, 1)


def test_a_reconciliation_does_not_stand_and_wait_for_a_long_look(watched: Watched) -> None:
    watched.site.add(1)
    watched.watch.poll()
    watched.watch._began -= timedelta(days=2)
    with watched.site.store.database.writing() as connection:
        connection.execute(update(run).values(started_at=datetime.now(UTC) - timedelta(days=2)))
    watched.watch._looking.acquire()

    assert watched.watch.reconcile() == 60.0
    assert looks(watched.site, "full") == 1
    watched.watch._looking.release()
    watched.watch.reconcile()
    assert looks(watched.site, "full") == 2


def test_what_is_off_is_never_done(site: Site) -> None:
    site.more = '[schedule]\nreconcile = "off"\naudit = "off"\n'
    made = watch_of(site)

    assert made.watch.reconcile() is None
    assert made.watch.audit() is None
    made.watch.close()


def test_a_braked_account_is_looked_at_ever_more_seldom_and_goes_on_by_itself_when_it_is_over(
    watched: Watched,
) -> None:
    site = watched.site
    for number in range(20):
        site.add(number)
    watched.watch.poll()
    watched.watch.send()
    site.execute("UPDATE record SET status = 'withdrawn'")
    with capture_logs() as logged:
        for _ in range(60):  # five hours
            watched.watch.poll()
            watched.watch.reconcile()
            watched.watch.send()
            watched.clock.ahead += 300.0
    assert [pause.cause for pause in site.store.runs.pauses()] == [BRAKE]
    assert 4 <= len([one for one in logged if one["event"] == "scan.braked"]) <= 9
    assert watched.watch.trouble is None  # a pause, which is told as one

    site.execute("UPDATE record SET status = 'published'")
    watched.clock.ahead += 7 * 3600.0
    watched.watch.poll()
    assert site.store.runs.pauses() == []
    assert len(site.requests) == 20


def test_trouble_is_told_once_tried_again_ever_more_seldom_and_told_when_it_is_over(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.site.add(1)
    watched.watch.poll()
    watched.site.execute("ALTER TABLE record RENAME TO away")
    with capture_logs() as logged:
        rests = [watched.watch.poll() for _ in range(7)]
        watched.site.execute("ALTER TABLE away RENAME TO record")
        assert watched.watch.poll() == 30.0

    assert rests[:3] == [30.0, 30.0, 30.0]
    assert rests[-1] == 300.0
    told: list[Any] = [one["event"] for one in logged if one["event"].startswith("account.")]
    assert told == ["account.in_trouble", "account.works_again"]
    assert watched.watch.trouble is None


def test_long_sending_gives_way_when_others_wait(site: Site) -> None:
    for number in range(30):
        site.add(number)
    made = watch_of(site)
    made.watch._crowded = lambda: True
    made.watch.poll()
    made.clock.ahead = 0.0
    site.fault("latency", seconds=0.05, count=1000)
    began = made.clock.monotonic()
    made.watch._clock = _Later(made.clock, began)  # type: ignore[assignment]

    assert made.watch.send() == 0.0
    assert 0 < len(site.requests) < 30
    made.watch._clock = made.clock
    made.watch._crowded = lambda: False
    assert made.watch.send() == 30.0
    assert len(site.requests) == 30
    made.watch.close()


class _Later:
    """After the first question, the time slice is over."""

    def __init__(self, clock: Clock, began: float) -> None:
        self._clock = clock
        self._asked = 0
        self._began = began

    def monotonic(self) -> float:
        self._asked += 1
        return self._began if self._asked < 8 else self._began + 60.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)
