"""What would wear a daemon out over the years: each sequence here was found by a reviewer who tried to."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from syncd import cycle, duties, send
from syncd.audit import Audit
from syncd.datacite.client import Client
from syncd.errors import StateError
from syncd.look import CHANGED
from syncd.model import State
from syncd.settings import DataCiteSettings
from syncd.snapshot import Board, DaemonState
from syncd.store import Store, copies, schema
from syncd.store import database as state_database
from syncd.store.claims import Claims
from syncd.store.copies import Copy
from syncd.store.runs import HOST, Runs
from syncd.store.tables import run
from tests.daemons import until
from tests.site import Site
from tests.test_duties import looks, watch_of

pytestmark = pytest.mark.timeout(60)


def test_a_worker_that_outlives_a_halt_ends_though_the_pause_was_lifted_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        site.add(number)
    site.scan()
    pause, write = Runs.pause, Client.write

    def lifted_at_once(self: Runs, scope: str, *arguments: Any, **named: Any) -> Any:
        made = pause(self, scope, *arguments, **named)
        self.resume(scope)  # a person is quick
        return made

    def after_the_first(self: Client, request: Any, leave_by: float) -> Any:
        answer = write(self, request, leave_by)
        site.sandbox.application.world.accounts["demo"].password = "another"
        return answer

    monkeypatch.setattr(Runs, "pause", lifted_at_once)
    monkeypatch.setattr(Client, "write", after_the_first)

    site.send()

    assert len(site.requests) <= 1 + 4  # whoever was on its way


def test_one_worker_that_fails_ends_the_pass_so_that_the_next_one_has_them_all(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        site.add(number)
    site.scan()
    claim, calls = Claims.claim, []

    def failing_once(self: Claims, *arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise StateError("deadlock detected")
        return claim(self, *arguments, **named)

    monkeypatch.setattr(Claims, "claim", failing_once)

    with pytest.raises(StateError, match="deadlock"):
        site.send()

    assert len(site.requests) < 20
    site.send()
    assert site.store.reading.sum(site.account).in_sync == 30


def test_a_lower_ceiling_reaches_a_pass_that_is_on_its_way(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "_ORDER_HOLDS_SECONDS", 0.0)
    for number in range(60):
        site.add(number)
    site.sync()
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE syncd_slot SET free_at = '2020-01-01 00:00:00'")
        connection.exec_driver_sql("UPDATE syncd_doi SET synced_digest = NULL, synced_attributes = NULL, lane = 2")
    site.requests.clear()
    site.fault("latency", seconds=0.2, count=1000)
    sending = threading.Thread(target=site.send)

    sending.start()
    until(lambda: len(site.requests) >= 6)
    site.store.bindings.order_mass_ceiling(site.account, 12)
    time.sleep(3.0)

    assert len(site.requests) <= 12 + 4
    site.store.bindings.order_mass_ceiling(site.account, None)
    sending.join(30.0)
    assert len(site.requests) == 60


def test_a_pause_of_the_host_ends_when_nothing_is_left_that_could_try_it(site: Site) -> None:
    site.add(1)
    site.sync()
    site.store.runs.pause(HOST, "unreachable", "away", lambda _: timedelta(0))

    site.send()

    assert site.store.runs.pauses() == []
    site.edit(1, titles=[{"title": "Edited"}])
    site.scan()
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE syncd_doi SET next_try_at = '2099-01-01', cause = 'no_answer'")
    site.store.runs.pause(HOST, "unreachable", "away", lambda _: timedelta(0))
    site.send()
    assert [pause.scope for pause in site.store.runs.pauses()] == [HOST]  # something waits for its time


def test_an_answer_to_a_question_ends_a_pause_of_the_host(site: Site) -> None:
    site.add(1)
    site.sync()
    site.store.runs.pause(HOST, "throttled", "slow down", lambda _: timedelta(seconds=0.3))
    settings = site.settings

    with cycle.opened(settings, settings.accounts[0], site.store) as (parts, limiter):
        Audit(parts, limiter, adopt=False).run()

    assert site.store.runs.pauses() == []


def test_who_may_try_a_pause_and_has_nothing_to_try_it_with_asks_again_with_the_next_poll(site: Site) -> None:
    made = watch_of(site)
    made.watch.poll()
    site.store.runs.pause(site.account, "credentials", "refused", lambda _: timedelta(0))

    assert made.watch.send() == site.settings.schedule.poll
    made.watch.close()


def test_a_quick_look_over_records_that_were_only_touched_gives_signs_of_life_and_can_be_stopped(site: Site) -> None:
    for number in range(100):
        site.add(number)
    site.sync()
    settings = site.settings
    source = settings.accounts[0].source.model_copy(update={"page_size": 5, "overlap": 1e9})
    account = settings.accounts[0].model_copy(update={"source": source})
    asked: list[int] = []

    with cycle.opened(settings, account, site.store) as (parts, _):
        cycle.look(replace(parts, stopping=lambda: bool(asked.append(1))), CHANGED)
        assert len(asked) >= 20
        before = site.store.runs.watermark(site.account)
        asked.clear()
        cycle.look(replace(parts, stopping=lambda: asked.append(1) or len(asked) >= 3), CHANGED)

    assert len(asked) == 3
    assert site.store.runs.watermark(site.account) == before


def test_a_trouble_that_somebody_ended_by_hand_is_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.more = '[schedule]\nreconcile = "02:30"\naudit = "02:45"\n'
    site.add(1)
    made = watch_of(site)
    made.watch.poll()
    made.watch.send()
    made.watch._began -= timedelta(days=9)
    with monkeypatch.context() as patch:
        patch.setattr(duties, "Audit", lambda *_arguments, **_named: (_ for _ in ()).throw(StateError("locked")))
        made.watch.audit()
    assert made.watch.trouble is not None
    settings = site.settings

    with cycle.opened(settings, settings.accounts[0], site.store) as (parts, limiter):
        Audit(parts, limiter, adopt=False).run()
    made.watch.audit()

    assert made.watch.trouble is None
    made.watch.close()


def test_an_audit_whose_repair_failed_is_not_done(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.more = '[schedule]\naudit = "02:45"\nrepair = ["metadata"]\n'
    site.add(1)
    made = watch_of(site)
    made.watch.poll()
    made.watch.send()
    stored = site.remote(1)
    assert stored is not None
    stored.attributes["titles"] = [{"title": "By somebody else"}]
    made.watch._began -= timedelta(days=9)
    with site.store.database.writing() as connection:
        connection.execute(update(run).values(started_at=datetime.now(UTC) - timedelta(days=9)))

    def locked(*_arguments: Any) -> Any:
        raise StateError("the state database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(duties, "repair", locked)
        made.watch.audit()
    assert looks(site, "audit") == 0
    made.watch.audit()

    assert looks(site, "audit") == 1
    made.watch.send()
    assert site.title(1) == "A title"
    made.watch.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_state_database_without_a_free_connection_says_so(
    kind: str, database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_database, "_POOL", 1)
    monkeypatch.setattr(state_database, "_PATIENCE_SECONDS", 1)
    made = Store.open(database(kind))

    with (
        made.database.reading(),
        pytest.raises(StateError, match="none of its 1 connections came free"),
        made.database.reading(),
    ):
        pass
    made.close()


def test_a_table_that_somebody_locks_is_not_waited_for_for_ever(
    database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_database, "_PATIENCE_SECONDS", 1)
    store = Store.open(database("postgresql"))
    schema.upgrade(store.database)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE syncd_pause IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(StateError, match="lock timeout"):
            store.runs.pauses()
    store.close()


def test_the_page_is_refreshed_no_more_than_a_twentieth_of_the_time(store: Store) -> None:
    state = DaemonState((), True, True, True, None, {}, {}, "", datetime.now(UTC), None, {})
    board = Board(store, DataCiteSettings(), lambda: state)
    first = board.fresh()
    board._latest = replace(first, took=10.0)

    board._taken_at -= 100.0
    board.refresh(1.0)
    time.sleep(0.3)
    assert board._latest.took == 10.0

    board._taken_at -= 101.0
    board.refresh(1.0)
    until(lambda: board._latest is not None and board._latest.took != 10.0, 10.0)


def test_a_copy_of_a_long_list_is_dropped_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_DELETED_AT_ONCE", 2)
    rows = [Copy(f"10.5072/{number}", State.DRAFT, False, 0, {}) for number in range(5)]
    for account in ("A", "B"):
        store.copies.begin(account, valid_for=timedelta(hours=1))
        store.copies.keep(account, rows, None, 5)

    store.copies.drop("A")

    assert (store.copies.count("A"), store.copies.count("B")) == (0, 5)
