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
    assert "2 DOIs to be tried again" in syncd(site, "retry", "--cause", "refused").stdout
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


def test_retry_says_why_two_records_with_one_doi_stay(site: Site) -> None:
    site.add(1)
    site.add(2)
    site.execute("UPDATE record SET doi = '10.5072/r1'")
    site.sync()

    tried = syncd(site, "retry", "--all")

    assert tried.returncode == 1
    assert "1 DOI of DATACITE.DEMO stay: two records claim each of them" in tried.stderr


def test_exclude_names_what_is_not_known(site: Site) -> None:
    site.add(1)
    site.sync()

    tried = syncd(site, "exclude", "10.5072/r1", "10.5072/missing", "--reason", "by hand")

    assert tried.returncode == 1
    assert "1 DOI left alone" in tried.stdout
    assert "10.5072/missing is not known here" in tried.stderr


def test_resume_says_that_the_brake_holds_again_at_the_next_scan(site: Site) -> None:
    for number in range(1, 21):
        site.add(number)
    site.sync()
    site.execute("UPDATE record SET metadata = replace(metadata, 'A title', '')")
    assert syncd(site, "sync").returncode == 1

    resumed = syncd(site, "resume")

    assert resumed.returncode == 0
    assert "the next scan stops again" in resumed.stderr


def test_failures_tell_that_nothing_was_sent_yet(site: Site) -> None:
    site.add(1)
    site.scan()

    assert "No failures.\n1 DOI still to be sent" in syncd(site, "failures").stdout


def test_options_for_messages_stand_before_and_after_the_commands_name(site: Site) -> None:
    site.add(1)

    assert "record.synced" in syncd(site, "sync", "-v").stderr
    site.execute("UPDATE record SET metadata = replace(metadata, 'A title', 'Another')")
    assert "record.synced" not in syncd(site, "sync", "-q").stderr


def test_sums_are_sentences_where_a_table_would_not_fit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from syncd.cli import looking

    site.add(1)
    site.scan()
    narrow = Console(width=80, record=True)
    monkeypatch.setattr(looking, "console", lambda: narrow)

    looking.print_sums([site.store.reading.sum("DATACITE.DEMO")])

    shown = " ".join(narrow.export_text().split())
    assert shown.startswith("DATACITE.DEMO: 1 wanted = 0 in sync + 1 pending + 0 quarantined + 0 excluded + 0 foreign;")
