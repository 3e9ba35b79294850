"""What a scan costs, and what it must not do."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update

from syncd.clock import SystemClock
from syncd.errors import BusyError
from syncd.look import Look
from syncd.platforms.sql import SqlPlatform
from syncd.sandbox import writes
from syncd.sandbox.server import RunningSandbox
from syncd.scan import Scan
from syncd.store import tables
from tests.site import ATTRIBUTES, Site

RECORDS = 10_000


@pytest.fixture(params=["sqlite", "postgresql"])
def large_site(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]
) -> Iterator[Site]:
    """A repository of 10,000 records whose DOIs are in sync."""
    site = Site(tmp_path, sandbox, database("sqlite"), database(request.param))
    site.add(1)
    site.execute(
        "INSERT INTO record WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
        " SELECT i, '10.5072/r' || i, 'published', url, metadata, modified FROM n, record WHERE id = 1",
        count=RECORDS,
    )
    site.scan()
    # As if all of them had been sent.
    site.store.database.engine.dispose()
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE syncd_doi SET synced_digest = desired_digest, synced_state = 'findable'")
    yield site
    site.close()


def test_three_scans_of_unchanged_records_send_write_and_map_nothing(
    large_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, written, mapped = large_site, [], []

    def watch(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "syncd_doi" in statement and not statement.lstrip().upper().startswith("SELECT"):
            written.append(statement)

    event.listen(site.store.database.engine, "before_cursor_execute", watch)
    original = SqlPlatform.map
    monkeypatch.setattr(SqlPlatform, "map", lambda self, row: mapped.append(row.key) or original(self, row))

    reports = [site.sync() for _ in range(3)]

    # Each pass asks once whether something is due: an UPDATE that finds nothing.
    claims = [statement for statement in written if "claim_owner" in statement]
    assert [statement for statement in written if statement not in claims] == []
    assert len(claims) == 3
    assert (site.requests, mapped) == ([], [])
    assert [report.scan.untouched for report in reports] == [RECORDS] * 3
    with site.store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT max(claim_number) FROM syncd_doi").scalar_one() == 0


def test_a_record_removed_from_ten_thousand_is_found(large_site: Site) -> None:
    application = large_site.sandbox.application
    published = {**ATTRIBUTES, "doi": "10.5072/r4321", "url": "https://example.org/1", "event": "publish"}
    assert writes.give(application.world, application.world.accounts["demo"], published) == []
    large_site.remove(4321)

    report = large_site.sync()

    assert (report.scan.gone, report.send.requests) == (1, 1)
    assert application.world.dois["10.5072/r4321"].state == "registered"


def test_the_plan_writes_nothing_and_sends_nothing(site: Site) -> None:
    from syncd.preview import preview

    site.add(1)
    site.add(2, types={"resourceTypeGeneral": "Nope"})
    site.add(3, status="draft")
    site.add(4, doi="10.1234/x")
    site.sync()
    site.edit(1, titles=[{"title": "Another title"}])
    site.edit(3, status="published")
    site.add(5)
    site.remove(4)
    site.requests.clear()
    settings = site.settings
    platform = SqlPlatform(settings.accounts[0], SystemClock())
    before = _everything(site)

    planned = {one.doi: one for one in preview(settings, settings.accounts[0], platform, site.store).planned}

    platform.close()
    assert _everything(site) == before
    assert site.requests == []
    assert {doi: (one.action, one.attributes) for doi, one in planned.items() if one.action != "create"} == {
        "10.5072/r1": ("update", ["titles"]),
        "10.5072/r3": ("publish", []),
    }
    assert planned["10.5072/r5"].action == "create"
    assert len(planned["10.5072/r5"].attributes) == 21


def test_the_plan_says_what_the_pass_then_does(site: Site) -> None:
    from syncd.preview import preview

    for number in range(1, 9):
        site.add(number, status="draft" if number % 2 else "published")
    site.sync()
    site.edit(1, status="published")
    site.edit(2, status="withdrawn")
    site.edit(3, titles=[{"title": "x"}])
    site.edit(4, subjects=[{"subject": "x"}])
    site.remove(5)
    site.remove(6)
    settings = site.settings
    platform = SqlPlatform(settings.accounts[0], SystemClock())
    planned = sorted(
        (one.doi, one.attributes, one.bytes)
        for one in preview(settings, settings.accounts[0], platform, site.store).planned
    )
    platform.close()
    site.requests.clear()

    site.sync()

    done = sorted(
        (row["doi"], row["writes"][0]["attributes"], row["writes"][0]["bytes"])
        for row in (site.row(number) for number in range(1, 7) if number != 5)
    )
    assert [one for one in planned if one[0] != "10.5072/r5"] == done
    assert len(site.requests) == len(planned) == 6


def test_the_plan_sets_aside_what_the_pass_would_for_its_size(site: Site) -> None:
    from syncd.preview import preview

    site.add(1, descriptions=[{"description": "x" * (10 * 1024 * 1024), "descriptionType": "Abstract"}])
    settings = site.settings
    platform = SqlPlatform(settings.accounts[0], SystemClock())

    (planned,) = preview(settings, settings.accounts[0], platform, site.store).planned

    platform.close()
    site.sync()
    assert (planned.action, site.row(1)["cause"]) == ("set aside", "too_large")
    assert planned.reason.startswith("too_large")
    assert site.requests == []


def test_only_one_process_scans_an_account_at_a_time(site: Site) -> None:
    from datetime import timedelta

    site.add(1)
    assert site.store.runs.take_lease("scan:DATACITE.DEMO", "another process", timedelta(minutes=1))

    with pytest.raises(BusyError, match="another process scans"):
        site.sync()


@pytest.mark.parametrize("silent_for", ["between reading and noting", "after it noted"])
def test_a_process_that_stood_still_longer_than_its_lease_notes_nothing_over_another_ones_scan(
    silent_for: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add(1)
    site.sync()
    site.edit(1, titles=[{"title": "Old"}])
    site.add(2)
    note = Scan._note
    stood_still = []

    def stands_still(self: Scan, findings: Any) -> None:
        if not stood_still and self._lease is not None and self._lease.holder != "another process":
            stood_still.append(self)
            if silent_for == "after it noted":
                note(self, findings)
            with site.store.database.writing() as connection:  # the time that its lease lasts passes
                connection.execute(update(tables.lease).values(until=datetime(2020, 1, 1, tzinfo=UTC)))
            site.edit(1, titles=[{"title": "New"}])
            site.scan()
            if silent_for == "after it noted":
                return
        note(self, findings)

    monkeypatch.setattr(Scan, "_note", stands_still)
    monkeypatch.setattr(Scan, "_stay", lambda _self: None)
    with pytest.raises(BusyError, match="taken over"):
        site.sync()
    monkeypatch.undo()

    assert stood_still
    site.send()
    assert (site.title(1), site.title(2)) == ("New", "A title")


def test_a_scan_that_fails_half_way_takes_nothing_for_gone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 6):
        site.add(number)
    site.sync()
    examine = Look._examine
    monkeypatch.setattr(Look, "_examine", lambda self, page: (_ for _ in ()).throw(OSError("gone")))

    with pytest.raises(OSError, match="gone"):
        site.sync()

    monkeypatch.setattr(Look, "_examine", examine)
    assert site.store.reading.sum("DATACITE.DEMO").in_sync == 5
    assert site.store.reading.last_runs("DATACITE.DEMO")[0]["result"] == "failed"


def _everything(site: Site) -> dict[str, Any]:
    tables = ("syncd_doi", "syncd_failure", "syncd_write", "syncd_run", "syncd_slot")
    with site.store.database.reading() as connection:
        return {name: connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in tables}


def test_what_a_scan_held_back_is_not_noted_over_what_a_worker_settled_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add(1)
    site.sync()
    site.edit(1, titles=[{"title": "Noted"}])
    site.scan()
    site.edit(1, titles=[{"title": "Read by the scan"}])
    judged = Scan.harm

    def and_meanwhile(self: Scan, consent: Any) -> Any:
        site.edit(1, titles=[{"title": "Refused"}])
        site.fault("status", status=422, count=2)
        site.send()
        return judged(self, consent)

    with monkeypatch.context() as patch:
        patch.setattr(Scan, "harm", and_meanwhile)
        site.scan()
    assert site.row(1)["bucket"] == "quarantined"

    assert site.sync().send.requests == 0  # once refused
    site.edit(1, titles=[{"title": "Corrected"}])
    assert site.sync().send.accepted == 1
