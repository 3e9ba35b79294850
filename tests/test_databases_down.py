"""Databases that are away, full, locked, restarted or of another version: nothing is sent, nothing is lost."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text, update

from syncd import cycle
from syncd.clock import SystemClock
from syncd.errors import ConfigurationError, ExitCode, PlatformError, SchemaError, StateError, SyncdError
from syncd.platforms.sql import SqlPlatform
from syncd.sandbox.server import RunningSandbox
from syncd.store import Store, schema
from syncd.store.tables import doi
from tests import servers
from tests.site import Site


@dataclass(frozen=True)
class Trouble:
    """One row of the table: what is broken, what the operator reads, and how the world is mended."""

    name: str
    break_it: Callable[[Site], Any]
    mend: Callable[[Site, Any], None]
    kind: type[SyncdError]
    code: ExitCode
    says: str
    hint: str


def _hide(attribute: str) -> Callable[[Site], str]:
    """The file of a database is away, as on a disk that is not mounted."""

    def away(site: Site) -> str:
        site.engine.dispose()
        site.store.close()
        path = Path(getattr(site, attribute).removeprefix("sqlite:///"))
        path.rename(path.with_suffix(".away"))
        path.mkdir()  # else SQLite would make a new, empty one
        return str(path)

    return away


def _bring_back(site: Site, path: str) -> None:
    Path(path).rmdir()
    Path(path).with_suffix(".away").rename(path)


def _fill(site: Site) -> None:
    """The disk of the state database is full: SQLite may not take another page."""
    site.store.database.engine.dispose()
    event.listen(site.store.database.engine, "connect", _no_more_pages)


def _no_more_pages(connection: Any, _record: Any) -> None:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")


def _empty(site: Site, _broken: None) -> None:
    event.remove(site.store.database.engine, "connect", _no_more_pages)
    site.store.database.engine.dispose()


def _set_revision(revision: str) -> Callable[..., None]:
    def change(site: Site, *_broken: Any) -> None:
        with site.store.database.writing() as connection:
            connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '{revision}'"))

    return change


def _drop_tables(site: Site) -> None:
    with site.store.database.writing() as connection:
        connection.execute(text(f"ALTER TABLE {schema.VERSION_TABLE} RENAME TO mislaid"))


def _restore_tables(site: Site, _broken: None) -> None:
    with site.store.database.writing() as connection:
        connection.execute(text(f"DROP TABLE IF EXISTS {schema.VERSION_TABLE}"))
        connection.execute(text(f"ALTER TABLE mislaid RENAME TO {schema.VERSION_TABLE}"))


def _rename_table(site: Site) -> None:
    site.execute("ALTER TABLE record RENAME TO elsewhere")


def _rename_back(site: Site, _broken: None) -> None:
    site.execute("ALTER TABLE elsewhere RENAME TO record")


TROUBLES = [
    Trouble("the platform's SQLite file is away", _hide("platform_url"), _bring_back,
            ConfigurationError, ExitCode.CONFIGURATION, "there is no SQLite database", "source.url"),
    Trouble("the platform's table is gone", _rename_table, _rename_back,
            ConfigurationError, ExitCode.CONFIGURATION, "no such table: record", "database's own shell"),
    Trouble("the state database is away", _hide("state_url"), _bring_back,
            StateError, ExitCode.TRY_AGAIN, "state database cannot be used", "state.url"),
    Trouble("the state database's disk is full", _fill, _empty,
            StateError, ExitCode.TRY_AGAIN, "disk is full", "the disk"),
    Trouble("the state has no tables", _drop_tables, _restore_tables,
            SchemaError, ExitCode.CONFIGURATION, "no syncd tables yet", "syncd db upgrade"),
    Trouble("the state is of a newer version", _set_revision("9999"), _set_revision(schema.head()),
            SchemaError, ExitCode.CONFIGURATION, "does not know", "newer syncd"),
]  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: one.name)
def test_trouble_of_a_database_stops_the_pass_before_any_request_and_ends_by_itself(
    site: Site, trouble: Trouble
) -> None:
    for number in range(1, 300):
        site.add(number)

    broken = trouble.break_it(site)
    for _ in range(3):
        with pytest.raises(trouble.kind, match=trouble.says) as stop:
            _pass_from_the_beginning(site)
    told = stop.value

    assert trouble.hint in told.hint
    assert told.exit_code is trouble.code
    assert site.requests == []
    trouble.mend(site, broken)
    assert _pass_from_the_beginning(site).send.accepted == 299
    assert site.store.reading.sum("DATACITE.DEMO").in_sync == 299


def _pass_from_the_beginning(site: Site) -> cycle.Report:
    """As a new process does: with the check of our tables."""
    schema.check(site.store.database)
    return site.sync()


def test_a_disk_that_fills_up_while_requests_are_on_their_way_loses_nothing(site: Site) -> None:
    for number in range(1, 40):
        site.add(number)
    site.scan()
    site.fault("latency", seconds=0.1, count=100)
    stop = threading.Timer(0.5, lambda: _fill(site))
    stop.start()

    with pytest.raises(StateError, match="full"):
        site.send()

    sent = len(site.requests)
    assert 0 < sent < 39
    _empty(site, None)
    site.sandbox.application.faults.replace([])
    _until_in_sync(site, 39)
    assert len(site.requests) <= 39 + 4  # at most what each of the four workers had on its way is sent again
    _nothing_was_created_twice(site)


_HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


def test_a_state_database_that_another_process_locks_for_a_minute_delays_and_loses_nothing(site: Site) -> None:
    for number in range(1, 20):
        site.add(number)
    site.scan()
    path = site.state_url.removeprefix("sqlite:///")
    begin = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", _HOLD, path, "60"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(StateError, match="locked") as stop:
            site.sync()
        assert site.requests == []
        _until_in_sync(site, 19)
    assert "state.url" in stop.value.hint
    assert time.monotonic() - begin >= 60.0
    assert len(site.requests) == 19


@pytest.fixture
def own_server() -> Iterator[servers.Server]:
    """A PostgreSQL that this test may take down."""
    with servers.postgresql() as server:
        yield server


@pytest.fixture
def on_postgresql(tmp_path: Path, sandbox: RunningSandbox, own_server: servers.Server) -> Iterator[Site]:
    made = Site(tmp_path, sandbox, own_server.database(), own_server.database())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("away", "says"),
    [("platform", "platform's database cannot be read"), ("state", "state database cannot be used")],
)
def test_a_postgresql_that_is_down_stops_a_pass_with_a_sentence(
    away: str, says: str, tmp_path: Path, sandbox: RunningSandbox, own_server: servers.Server,
    database: Callable[[str], str],
) -> None:  # fmt: skip
    urls = {one: own_server.database() if one == away else database("sqlite") for one in ("platform", "state")}
    site = Site(tmp_path, sandbox, urls["platform"], urls["state"])
    site.add(1)
    own_server.down()

    with pytest.raises(SyncdError, match=says) as stop:
        site.sync()

    assert "url" in stop.value.hint
    assert site.requests == []
    own_server.up()
    assert site.sync().send.accepted == 1
    site.close()


@pytest.mark.parametrize("back", ["before the next page", "after the next page failed"])
def test_a_postgresql_that_restarts_during_a_scan_is_not_half_a_platform(
    on_postgresql: Site, own_server: servers.Server, monkeypatch: pytest.MonkeyPatch, back: str
) -> None:
    site = on_postgresql
    _many(site, 1200)
    assert site.sync().scan.records == 1200
    site.execute("UPDATE record SET metadata = replace(metadata, 'A title', 'Another') WHERE id % 4 = 0")
    requests = len(site.requests)
    pages = SqlPlatform.all

    def restarting(self: SqlPlatform) -> Iterator[Any]:
        for number, page in enumerate(pages(self)):
            yield page
            if number == 0:
                own_server.down()
                if back == "before the next page":
                    own_server.up()

    with monkeypatch.context() as patch:
        patch.setattr(SqlPlatform, "all", restarting)
        if back == "before the next page":
            site.sync()  # connections are tried before they are used, so nobody notices
        else:
            with pytest.raises(SyncdError, match="cannot be"):
                site.sync()
            own_server.up()
            assert len(site.requests) == requests  # nothing was hidden because it was not seen

    found = site.store.reading.sum("DATACITE.DEMO")
    assert (found.wanted, found.adds_up) == (1200, True)
    _until_in_sync(site, 1200)
    assert site.title(1200) == "Another"
    assert len(site.requests) == requests + 300


def test_a_postgresql_that_restarts_while_requests_are_on_their_way_loses_nothing(
    on_postgresql: Site, own_server: servers.Server
) -> None:
    site = on_postgresql
    _many(site, 150)
    site.scan()
    site.fault("latency", seconds=0.1, count=100)
    troubles: list[SyncdError] = []

    def send() -> None:
        try:
            site.send()
        except SyncdError as error:
            troubles.append(error)

    sending = threading.Thread(target=send)
    sending.start()
    time.sleep(0.8)
    own_server.down()
    sending.join(60)
    assert not sending.is_alive()
    assert 0 < len(site.requests) < 150
    own_server.up()

    assert isinstance(troubles[0], (StateError, PlatformError))
    _until_in_sync(site, 150)
    assert len(site.requests) <= 150 + 4
    _nothing_was_created_twice(site)


def _many(site: Site, count: int) -> None:
    site.execute(
        "INSERT INTO record SELECT n, '10.5072/r' || n, 'published', 'https://example.org/' || n, :metadata,"
        " '2026-01-01 10:00:00' FROM generate_series(1, :count) AS n",
        metadata='{"titles": [{"title": "A title"}], "creators": [{"name": "Doe, Jane"}], "publisher": {"name": "P"},'
        ' "publicationYear": 2024, "types": {"resourceTypeGeneral": "Dataset"}}',
        count=count,
    )


def _until_in_sync(site: Site, count: int) -> None:
    """Pass after pass, as the daemon makes them, until everything is done."""
    clock = SystemClock()
    deadline = clock.monotonic() + 200.0
    while clock.monotonic() < deadline:
        try:
            site.sync()
        except (StateError, PlatformError):
            continue
        found = site.store.reading.sum("DATACITE.DEMO")
        assert found.adds_up
        if found.in_sync == count:
            return
        _end_claims_of_the_failed(site.store)
        time.sleep(0.2)
    raise AssertionError(f"not in sync after 200 s: {found}")


def _end_claims_of_the_failed(store: Store) -> None:
    """A worker whose settling failed leaves its claim, which ends by itself after two minutes: not waited for."""
    with store.database.writing() as connection:
        connection.execute(update(doi).values(claim_until=None, claim_owner=None, next_try_at=None))


def _nothing_was_created_twice(site: Site) -> None:
    created = [one["path"] for one in site.requests if one["status"] == 201]
    assert len(created) == len(set(created))
