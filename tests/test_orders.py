"""What an operator orders holds at once, beside a pass that runs, and says what it did."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.brake import Consent
from syncd.sandbox.server import RunningSandbox
from syncd.sandbox.world import Account
from tests.site import Site


def syncd(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert site.settings
    command = [sys.executable, "-m", "syncd", "-c", str(site.path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def neighbours(tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]) -> Iterator[tuple[Site, Site]]:
    """Two accounts, each with its platform, and one state database."""
    sandbox.application.world.accounts["other"] = Account("other", "DATACITE.OTHER", "demo", ["10.5073"])
    state = database("sqlite")
    one = Site(tmp_path, sandbox, database("sqlite"), state)
    other = Site(tmp_path, sandbox, database("sqlite"), state, "DATACITE.OTHER", "10.5073")
    yield one, other
    one.close()
    other.close()


def test_credentials_revoked_during_a_run_stop_that_account_only_and_resume_brings_everything(
    neighbours: tuple[Site, Site],
) -> None:
    one, other = neighbours
    for site in neighbours:
        for number in range(1, 80):
            site.add(number)
        site.scan()
    one.fault("latency", seconds=0.1, count=1000)
    runs = [threading.Thread(target=site.send) for site in neighbours]
    for run in runs:
        run.start()
    time.sleep(0.7)

    one.sandbox.application.world.accounts["demo"].password = "another"
    for run in runs:
        run.join()

    refused = [request["path"] for request in one.requests if request["status"] == 404]
    assert 1 <= len(refused) <= one.settings.datacite.workers  # each had one on its way
    assert all("/10.5072%2F" in path for path in refused)
    assert other.store.reading.sum("DATACITE.OTHER").in_sync == 79
    assert [pause.scope for pause in one.store.runs.pauses()] == ["DATACITE.DEMO"]
    assert one.store.reading.failures("DATACITE.DEMO") == []
    before = len(one.requests)
    one.send()
    assert len(one.requests) == before

    one.sandbox.application.world.accounts["demo"].password = "demo"
    one.sandbox.application.faults.replace([])
    done = syncd(one, "resume", "--account", "datacite.demo")
    assert (done.returncode, done.stdout) == (0, "resumed: DATACITE.DEMO\n")
    one.send()
    assert one.store.reading.sum("DATACITE.DEMO").in_sync == 79


def test_a_pause_by_hand_holds_whatever_else_happens_until_resume(site: Site) -> None:
    for number in range(1, 4):
        site.add(number)
    assert syncd(site, "pause", "--reason", "migration until Friday").returncode == 0

    site.sync()
    site.store.runs.pause("DATACITE.DEMO", "credentials", "a late answer", lambda _attempts: None)
    site.sync()

    assert site.requests == []
    assert "by_hand" in syncd(site, "status").stdout
    assert "migration until Friday" in syncd(site, "status").stdout
    assert site.store.reading.sum("DATACITE.DEMO").pending == 3
    assert syncd(site, "resume").returncode == 0
    assert site.sync().send.accepted == 3
    nothing = syncd(site, "resume")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "syncd status" in nothing.stderr


def test_a_pause_of_all_is_the_hosts(site: Site) -> None:
    site.add(1)
    syncd(site, "pause", "--all")
    site.sync()
    assert site.requests == []
    assert "resumed: host" in syncd(site, "resume", "--all").stdout
    assert site.sync().send.accepted == 1


def test_retry_sends_what_was_refused_although_nothing_changed(site: Site) -> None:
    for number in range(1, 4):
        site.add(number)
    site.fault("status", status=422, count=2)
    site.sync()
    assert site.sync().send.requests == 0

    assert syncd(site, "retry").returncode == 2
    assert "2 DOIs are tried again" in syncd(site, "retry", "--cause", "refused").stdout
    assert syncd(site, "retry", "--cause", "throttled").returncode == 1

    assert site.sync().send.accepted == 2
    assert site.store.reading.sum("DATACITE.DEMO").in_sync == 3


def test_retry_of_one_doi_takes_it_in_any_spelling(site: Site) -> None:
    site.add(1)
    site.add(2)
    site.fault("status", status=422, count=2)
    site.sync()

    assert syncd(site, "retry", "https://doi.org/10.5072/R1").returncode == 0

    site.sync()
    assert (site.row(1)["bucket"], site.row(2)["bucket"]) == ("in_sync", "quarantined")


def test_retry_maps_anew_what_could_not_be_mapped(site: Site) -> None:
    site.add(1, status="unheard-of")
    site.sync()
    assert site.row(1)["cause"] == "status_unknown"

    assert syncd(site, "retry", "--all").returncode == 0

    assert site.sync().scan.set_aside == 1
    found = site.store.reading.sum("DATACITE.DEMO")
    assert (found.quarantined, found.adds_up) == (1, True)


def test_an_excluded_doi_is_left_alone_until_the_exclusion_ends(site: Site) -> None:
    site.add(1)
    site.add(2)
    site.sync()
    assert syncd(site, "exclude", "10.5072/r1").returncode == 2
    assert syncd(site, "exclude", "10.5072/r1", "--reason", "curated in Fabrica").returncode == 0
    before = len(site.requests)

    site.edit(1, titles=[{"title": "Edited while excluded"}])
    site.sync()
    site.remove(1)
    site.sync(consent=Consent(missing=True))
    site.add(1, titles=[{"title": "Back again"}])
    site.sync()

    assert len(site.requests) == before
    assert site.store.reading.sum("DATACITE.DEMO").excluded == 1
    assert "curated in Fabrica" in syncd(site, "show", "10.5072/r1").stdout
    assert syncd(site, "exclude", "10.5072/unknown", "--reason", "x").returncode == 1
    assert syncd(site, "exclude", "--end", "10.5072/r1").returncode == 0
    site.sync()
    assert site.title(1) == "Back again"
    assert site.store.reading.sum("DATACITE.DEMO").in_sync == 2


def test_a_pass_while_somebody_paused_says_so_and_not_that_datacite_is_away(site: Site) -> None:
    site.add(1)
    syncd(site, "pause", "--reason", "first")
    syncd(site, "pause", "--reason", "second")

    done = syncd(site, "sync")

    assert done.returncode == 1
    assert "Paused by an operator." in done.stdout
    assert "second" in syncd(site, "status").stdout


def test_a_request_that_passes_ends_no_pause_that_somebody_ordered_meanwhile(site: Site) -> None:
    site.add(1)
    runs = site.store.runs
    runs.pause("DATACITE.DEMO", "credentials", "no", lambda _attempts: timedelta(0))
    assert runs.leave("DATACITE.DEMO", timedelta(minutes=1)) == ("DATACITE.DEMO",)
    runs.pause("DATACITE.DEMO", "by_hand", "wait", lambda _attempts: None)

    assert not runs.resume("DATACITE.DEMO", by_itself=True)

    site.sync()
    assert site.requests == []


def test_a_doi_that_is_excluded_while_a_worker_has_it_is_not_sent(site: Site) -> None:
    site.add(1)
    site.scan()
    claim = site.store.claims.claim("DATACITE.DEMO", "me", duration=timedelta(minutes=5), grace=timedelta(0))
    assert claim is not None

    site.store.orders.exclude("DATACITE.DEMO", ["10.5072/r1"], "by hand")

    assert not site.store.claims.mark_unsure(claim, timedelta(seconds=1))
