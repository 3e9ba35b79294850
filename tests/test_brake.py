"""Six disasters, and the brake that stops each of them before the first request."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd import scan
from syncd.backfill import choose
from syncd.brake import NOBODY, Consent, Impact, emptied, judge
from syncd.cycle import opened, send
from syncd.errors import SafetyError
from syncd.platforms.sql import SqlPlatform
from syncd.sandbox.server import RunningSandbox
from syncd.settings import USUAL
from tests.site import Site

COUNT = 40


@pytest.fixture
def running(site: Site) -> Site:
    """A repository whose DOIs are all in sync."""
    for number in range(1, COUNT + 1):
        site.add(number, titles=[{"title": f"Title {number}"}])
    assert site.sync().send.accepted == COUNT
    return site


def _broken_mapping(site: Site) -> None:
    site.execute("UPDATE record SET metadata = replace(metadata, '\"titles\"', '\"title\"')")


def _empty_titles(site: Site) -> None:
    site.execute("UPDATE record SET metadata = replace(metadata, 'Title ', '')")
    site.execute("UPDATE record SET metadata = json_set(metadata, '$.titles[0].title', '')")


def _emptied(site: Site) -> None:
    site.execute("DELETE FROM record")


def _half_gone(site: Site) -> None:
    site.execute("DELETE FROM record WHERE id % 2 = 0")


def _other_host(site: Site) -> None:
    site.execute("UPDATE record SET url = replace(url, 'example.org', 'staging.example.org')")


def _unknown_statuses(site: Site) -> None:
    site.execute("UPDATE record SET status = 'archived_v2'")


def _all_withdrawn(site: Site) -> None:
    site.execute("UPDATE record SET status = 'withdrawn' WHERE id <= 11")


DISASTERS = [
    (_broken_mapping, "40 of 40 known DOIs changed at once", "titles in 40", "--accept-changes"),
    (_empty_titles, "40 of 40 known DOIs changed at once", "titles in 40", "--accept-changes"),
    (_emptied, "40 DOIs are missing from the platform and 0 are there", "nothing is sent", "--accept-missing"),
    (_half_gone, "20 of 40 known DOIs would be hidden or deleted", "20 records are gone", "--accept-missing"),
    (_other_host, "40 of 40 known DOIs changed at once",
     "landing pages of 40 move to staging.example.org, which no DOI had before", "--accept-changes"),
    (_unknown_statuses, "40 of 40 known DOIs changed at once", "40 cannot be sent: status_unknown",
     "--accept-changes"),
    (_all_withdrawn, "11 of 40 known DOIs would be hidden or deleted", "their states change", "--accept-changes"),
]  # fmt: skip


@pytest.mark.parametrize(("disaster", "seen", "why", "option"), DISASTERS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_disaster_sends_nothing_and_says_what_was_seen_and_what_to_type(
    running: Site, disaster: Callable[[Site], None], seen: str, why: str, option: str
) -> None:
    site = running
    before = len(site.requests)
    disaster(site)

    for _ in range(2):
        with pytest.raises(SafetyError) as stop:
            site.sync()

    assert len(site.requests) == before
    assert seen in stop.value.message
    assert why in stop.value.message
    assert "syncd plan" in stop.value.hint
    assert f"syncd sync --account DATACITE.DEMO {option}" in stop.value.hint
    (pause,) = site.store.runs.pauses("DATACITE.DEMO")
    assert pause.cause == "brake"
    assert seen in pause.message
    # Another process that sends stops as well, and what was noted before is what it was.
    site.send()
    assert len(site.requests) == before
    found = site.store.reading.sum("DATACITE.DEMO")
    assert (found.in_sync, found.adds_up) == (COUNT, True)


def test_what_a_person_accepts_is_done_and_ends_the_pause(running: Site) -> None:
    site = running
    _other_host(site)
    with pytest.raises(SafetyError):
        site.sync()

    report = site.sync(consent=Consent(changes=True))

    assert report.send.accepted == COUNT
    assert site.store.runs.pauses() == []
    _half_gone(site)
    assert site.sync(consent=Consent(missing=True)).send.accepted == COUNT // 2


def test_a_disaster_that_was_undone_leaves_nothing_behind(running: Site) -> None:
    site = running
    before = len(site.requests)
    _unknown_statuses(site)
    with pytest.raises(SafetyError):
        site.sync()

    site.execute("UPDATE record SET status = 'published'")
    site.edit(1, titles=[{"title": "One edit"}])
    report = site.sync()

    assert (report.send.requests, len(site.requests)) == (1, before + 1)
    assert site.store.runs.pauses() == []


def test_a_quick_look_has_the_same_brake(running: Site) -> None:
    site = running
    site.execute("UPDATE record SET url = url || '/new', modified = '2026-01-02 10:00:00'")

    with pytest.raises(SafetyError, match="40 of 40 known DOIs changed at once"):
        site.sync(full=False)

    assert site.store.reading.sum("DATACITE.DEMO").in_sync == COUNT


def test_more_changes_than_are_held_in_memory_are_weighed_before_any_is_noted(
    running: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_HELD_BACK", 3)
    site = running
    _other_host(site)
    site.add(COUNT + 1)
    with pytest.raises(SafetyError):
        site.sync()
    assert site.store.reading.sum("DATACITE.DEMO").in_sync == COUNT

    report = site.sync(consent=Consent(changes=True))

    assert (report.scan.records, report.scan.changed) == (COUNT + 1, COUNT)
    assert report.send.accepted == COUNT + 1


def test_new_records_in_any_number_do_not_brake(running: Site) -> None:
    for number in range(COUNT + 1, 5 * COUNT):
        running.add(number)

    assert running.sync().send.accepted == 4 * COUNT - 1


def test_a_small_repository_may_change_all_of_it(site: Site) -> None:
    for number in range(1, 10):
        site.add(number)
    site.sync()
    _other_host(site)

    assert site.sync().send.accepted == 9


def test_the_limits_are_the_configurations(running: Site) -> None:
    running.more = "[brake]\nchanged = 100\n"
    _other_host(running)

    assert running.sync().send.accepted == COUNT


@pytest.mark.parametrize(
    ("known", "changed", "hidden", "stops"),
    [(10, 3, 0, False), (10, 4, 0, True), (9, 9, 0, False), (1000, 300, 0, False), (1000, 301, 0, True),
     (200, 0, 10, False), (200, 0, 11, True), (100, 0, 9, False), (20, 0, 10, True)],
)  # fmt: skip
def test_the_brake_grips_above_its_limits_and_not_at_them(known: int, changed: int, hidden: int, stops: bool) -> None:
    impact = Impact(known, changed=changed, hidden=hidden)

    assert (judge(impact, USUAL, NOBODY) is not None) is stops


@pytest.mark.parametrize(("gone", "found", "stops"), [(0, 0, False), (1, 0, True), (2, 1, False), (3, 2, True)])
def test_an_emptied_source_has_more_gone_than_there(gone: int, found: int, stops: bool) -> None:
    assert (emptied(gone, found) is not None) is stops


def test_a_staging_clone_that_points_to_the_same_datacite_sends_nothing(
    running: Site, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """Platform and state were copied, the configuration as well; only the addresses are others."""
    copies = {}
    for name, url in (("platform", running.platform_url), ("state", running.state_url)):
        copies[name] = f"sqlite:///{tmp_path}/staging-{name}.sqlite"
        source, target = (sqlite3.connect(one.removeprefix("sqlite:///")) for one in (url, copies[name]))
        source.backup(target)
        source.close()
        target.close()
    assert running.settings
    text = running.path.read_text().replace(running.platform_url, copies["platform"])
    staging = tmp_path / "staging.toml"
    staging.write_text(text.replace(running.state_url, copies["state"]))
    staging.chmod(0o600)
    before = len(running.requests)

    done = subprocess.run(
        [sys.executable, "-m", "syncd", "sync", "-c", str(staging)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 78
    assert "is this a copy of another system?" in done.stderr
    assert "--rebind" in done.stderr
    assert len(running.requests) == before
    assert sandbox.application.control.requests[before:] == []


def test_what_the_platform_says_in_a_second_look_is_not_trusted_blindly(
    running: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look finds more than is kept in memory; before the second one, everything is withdrawn."""
    monkeypatch.setattr(scan, "_HELD_BACK", 3)
    site = running
    pages, looks = SqlPlatform.all, []
    for number in range(1, 6):
        site.edit(number, titles=[{"title": "An edit"}])

    def all_pages(self: SqlPlatform) -> Any:
        looks.append(1)
        if len(looks) == 2:
            site.execute("UPDATE record SET status = 'withdrawn'")
        yield from pages(self)

    monkeypatch.setattr(SqlPlatform, "all", all_pages)
    before = len(site.requests)
    with pytest.raises(SafetyError, match="a moment ago it were 0"):
        site.sync()

    assert len(site.requests) == before


def test_a_quiet_scan_looks_once(running: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, looks = SqlPlatform.all, []
    monkeypatch.setattr(SqlPlatform, "all", lambda self: looks.append(1) or pages(self))

    running.sync()
    running.edit(1, titles=[{"title": "An edit"}])
    running.sync()

    assert len(looks) == 2


def test_many_small_withdrawals_add_up(running: Site) -> None:
    site = running

    def withdraw(first: int, last: int) -> None:
        site.execute(
            "UPDATE record SET status = 'withdrawn', modified = '2026-01-02 10:00:00' WHERE id BETWEEN :a AND :b",
            a=first, b=last,
        )  # fmt: skip

    withdraw(1, 9)
    assert site.sync(full=False).send.accepted == 9
    withdraw(10, 18)
    with pytest.raises(SafetyError, match="18 of 40 known DOIs .*9 of them noted or sent before"):
        site.sync(full=False)
    assert site.sync(full=False, consent=Consent(changes=True)).send.accepted == 9
    withdraw(19, 27)
    assert site.sync(full=False).send.accepted == 9  # a person looked: it counts anew


def test_a_worker_hides_nothing_that_no_scan_saw(running: Site) -> None:
    site = running
    for number in range(1, 5):
        site.edit(number, titles=[{"title": "An edit"}])
    site.scan()
    before = len(site.requests)
    site.execute("UPDATE record SET status = 'withdrawn'")

    site.send()

    assert len(site.requests) == before
    site.execute("UPDATE record SET status = 'published'")
    assert site.sync().send.accepted == 0  # each waits a moment
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE syncd_doi SET next_try_at = NULL")
    assert site.sync().send.accepted == 4


def test_a_backfill_of_a_broken_platform_sends_nothing(running: Site) -> None:
    site = running
    settings = site.settings
    _all_titles_alike(site)
    before = len(site.requests)
    with opened(settings, settings.accounts[0], site.store, chance=lambda: 1.0) as (parts, limiter):
        assert choose(parts, None) == COUNT
        send(parts, limiter)

    assert len(site.requests) == before
    with pytest.raises(SafetyError):
        site.sync()


def _all_titles_alike(site: Site) -> None:
    site.execute("UPDATE record SET metadata = json_set(metadata, '$.titles[0].title', 'OOPS')")


def test_records_without_a_doi_at_datacite_do_not_dilute_the_brake(running: Site) -> None:
    site = running
    for number in range(COUNT + 1, 5 * COUNT):
        site.add(number, status="private")
    site.sync()
    site.execute(
        "UPDATE record SET metadata = json_set(metadata, '$.titles[0].title', 'OOPS') WHERE status = 'published'"
    )

    with pytest.raises(SafetyError, match="40 of 40 known DOIs changed at once"):
        site.sync()


def test_excluded_dois_come_back_under_the_brake(running: Site) -> None:
    site = running
    names = [f"10.5072/r{number}" for number in range(1, COUNT + 1)]
    site.store.orders.exclude("DATACITE.DEMO", names, "by hand")
    site.execute("UPDATE record SET status = 'withdrawn'")
    site.sync()
    before = len(site.requests)

    assert site.store.orders.include("DATACITE.DEMO", names) == COUNT
    with pytest.raises(SafetyError, match="40 of 40 known DOIs would be hidden"):
        site.sync()

    assert len(site.requests) == before


def test_a_braked_scan_leaves_no_mark(running: Site) -> None:
    site = running
    site.add(COUNT + 1, doi="10.5072/r.dup")
    site.add(COUNT + 2, doi="10.5072/r.dup")
    site.add(COUNT + 3, types={"resourceTypeGeneral": "Datset"})
    site.sync()
    before = site.store.reading.sum("DATACITE.DEMO")
    for hidden in ("id % 2 = 1", "id > 1"):
        site.execute(f"CREATE TABLE aside AS SELECT * FROM record WHERE {hidden}")
        site.execute(f"DELETE FROM record WHERE {hidden}")
        with pytest.raises(SafetyError):
            site.sync()
        site.execute("INSERT INTO record SELECT * FROM aside")
        site.execute("DROP TABLE aside")
        assert site.store.reading.sum("DATACITE.DEMO") == before
        site.sync()

    assert site.sandbox.application.world.dois.get("10.5072/r.dup") is None
    assert site.store.reading.sum("DATACITE.DEMO") == before


def test_two_records_that_come_back_with_one_doi_are_still_two(running: Site) -> None:
    site = running
    for number in (COUNT + 1, COUNT + 2):
        site.add(number, doi="10.5072/r.dup")
    site.sync()
    site.execute("CREATE TABLE aside AS SELECT * FROM record WHERE id > 40")
    for _ in range(2):
        site.execute("DELETE FROM record WHERE id > 40")
        site.sync(consent=Consent(missing=True))
        site.execute("INSERT INTO record SELECT * FROM aside")
        site.sync()

    assert site.sandbox.application.world.dois.get("10.5072/r.dup") is None
    found = site.store.reading.doi("DATACITE.DEMO", "10.5072/r.dup")
    assert found is not None
    assert found["cause"] == "doi_duplicate"
    assert "records 41 and 42" in found["message"] or "records 42 and 41" in found["message"]
