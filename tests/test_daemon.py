"""``syncd run`` as systemd runs it: real processes, real signals, a real notification socket."""

import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from syncd.platforms.listening import notifying_trigger, without_trigger
from syncd.sandbox.server import RunningSandbox
from syncd.sandbox.world import Account
from syncd.store.runs import BY_HAND
from tests.daemons import Daemon, until
from tests.programs import needed_library
from tests.site import Site

FAST = """
[schedule]
poll = "200ms"
[web]
listen = "off"
[log]
level = "info"
"""


Sites = Callable[..., Site]


@pytest.fixture
def sites(tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]) -> Iterator[Sites]:
    """Makes repositories with a daemon that is quick, on databases of a kind."""
    made: list[Site] = []

    def make(platform: str = "sqlite", state: str = "sqlite", **options: bool) -> Site:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        site = Site(folder, sandbox, database(platform), database(state), **options)
        site.more = FAST
        site.settings  # noqa: B018 - writes the file
        made.append(site)
        return site

    yield make
    for one in made:
        one.close()


@pytest.fixture
def site(sites: Sites) -> Site:
    return sites()


def test_it_is_ready_when_the_databases_answered_and_then_sends_what_changes(site: Site) -> None:
    site.add(1)
    with Daemon(site.path) as daemon:
        daemon.ready()
        until(lambda: site.remote(1))

        site.edit(1, titles=[{"title": "Edited"}])
        site.execute("UPDATE record SET modified = '2026-01-02 10:00:00'")

        until(lambda: site.title(1) == "Edited")
        assert daemon.stop() == 0
    assert any("STATUS=" in text for _, text in daemon.told)
    assert "STOPPING=1" in [text for _, text in daemon.told]


def test_the_first_sigterm_lets_every_request_on_its_way_finish_and_be_settled(site: Site) -> None:
    for number in range(40):
        site.add(number)
    site.fault("latency", seconds=1.0, count=1000)
    with Daemon(site.path) as daemon:
        until(lambda: len(site.requests) >= 4)
        daemon.signal(signal.SIGTERM)
        at_the_signal = len(site.requests)

        assert daemon.ends() == 0

    assert len(site.requests) <= at_the_signal + 4  # one for each worker that had its slot already
    rows = [site.store.reading.doi(site.account, f"10.5072/r{number}") for number in range(40)]
    assert all(row is None or (row["unsure_since"] is None and row["claim_owner"] is None) for row in rows)
    answered = {one["path"].split("?")[0] for one in site.requests if one["status"] == 201}
    synced = [row["doi"] for row in rows if row is not None and row["synced_digest"] == row["desired_digest"]]
    assert len(synced) == len(answered)
    daemon.logs("daemon.stopped")


def test_the_second_sigterm_ends_it_at_once(site: Site) -> None:
    site.add(1)
    site.fault("latency", seconds=4.0, count=1000)
    with Daemon(site.path) as daemon:
        until(lambda: site.requests)
        daemon.signal(signal.SIGTERM)
        daemon.logs("daemon.stopping")
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)

        assert daemon.ends() == 128 + signal.SIGTERM
        assert time.monotonic() - began < 2.0


def test_a_sigterm_during_a_reload_still_lets_what_is_on_its_way_finish(site: Site) -> None:
    for number in range(8):
        site.add(number)
    site.fault("latency", seconds=1.5, count=1000)
    with Daemon(site.path) as daemon:
        until(lambda: site.requests)
        daemon.signal(signal.SIGHUP)
        daemon.logs("configuration.reloaded")
        daemon.signal(signal.SIGTERM)

        assert daemon.ends() == 0
    left = [site.store.reading.doi(site.account, f"10.5072/r{number}") for number in range(8)]
    assert [row["doi"] for row in left if row is not None and row["unsure_since"]] == []
    assert "daemon.ended_at_once" not in daemon.raw


def test_sighup_reads_a_good_file_again_and_goes_on_with_it(site: Site) -> None:
    site.add(1)
    with Daemon(site.path) as daemon:
        daemon.ready()
        until(lambda: site.remote(1))
        site.path.write_text(site.path.read_text().replace('host = "', 'contact = "x@example.org"\nhost = "'))
        daemon.signal(signal.SIGHUP)

        logged = daemon.logs("configuration.reloaded")
        assert (logged["changed"], logged["needs_restart"]) == (["datacite"], [])
        site.add(2)
        until(lambda: site.remote(2))
        told = [text for _, text in daemon.told if "STATUS" not in text and "WATCHDOG" not in text]
        assert told[-2].startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert told[-1] == "READY=1"
        assert daemon.stop() == 0


def test_a_second_sighup_while_the_first_one_drains_is_not_lost(site: Site) -> None:
    for number in range(8):
        site.add(number)
    site.fault("latency", seconds=3.0, count=1000)
    with Daemon(site.path) as daemon:
        until(lambda: site.requests)
        daemon.signal(signal.SIGHUP)
        daemon.logs("configuration.reloaded")
        site.path.write_text(site.path.read_text().replace("workers = 4", "workers = 3"))
        daemon.signal(signal.SIGHUP)

        daemon.logs("configuration.reloaded", changed=["datacite"])
        assert daemon.stop() == 0


def test_a_reload_that_drains_for_long_does_not_hand_the_work_to_a_standby_with_the_old_file(site: Site) -> None:
    site.path.write_text(site.path.read_text().replace('request_timeout = "5s"', 'request_timeout = "40s"'))
    site.add(1)
    site.fault("latency", seconds=22.0, count=1)
    with Daemon(site.path) as working:
        until(lambda: site.requests)
        with Daemon(site.path) as standby:
            standby.logs("daemon.stands_by")
            working.signal(signal.SIGHUP)
            working.logs("configuration.reloaded")

            until(lambda: sum(one["event"] == "daemon.works" for one in working.events) == 2, 40.0)
            assert "daemon.works" not in [one["event"] for one in standby.events]
            assert standby.stop() == 0
        assert working.stop() == 0


def test_sighup_with_a_broken_file_changes_nothing_and_names_every_mistake(site: Site) -> None:
    site.add(1)
    with Daemon(site.path) as daemon:
        daemon.ready()
        text = site.path.read_text()
        site.path.write_text(text.replace("workers = 4", "workers = 0\nwindw = 3"))
        daemon.signal(signal.SIGHUP)

        message = daemon.logs("configuration.refused")["message"]
        assert "workers" in message
        assert "windw" in message
        site.add(2)
        until(lambda: site.remote(2))
        assert daemon.stop() == 0


def test_settings_that_need_a_restart_are_named_and_kept(site: Site, database: Callable[[str], str]) -> None:
    with Daemon(site.path) as daemon:
        daemon.ready()
        other = database("sqlite")
        site.path.write_text(site.path.read_text().replace(site.state_url, other))
        daemon.signal(signal.SIGHUP)

        assert daemon.logs("configuration.reloaded")["needs_restart"] == ["state"]
        site.add(2)
        until(lambda: site.remote(2))


def _with_a_mapping_that_can_hang(site: Site, folder: Path) -> Daemon:
    """A daemon that works until the file ``hang`` exists, and a watchdog."""
    (folder / "hanging.py").write_text(
        "import json, pathlib, time\n"
        "def mapping(row):\n"
        "    while pathlib.Path(__file__).with_name('hang').exists(): time.sleep(0.1)\n"
        "    return {**json.loads(row['metadata']), 'url': row['url']}\n"
    )
    site.more = FAST.replace('poll = "200ms"', 'poll = "200ms"\nstuck = "2s"')
    text = (site.settings, site.path.read_text())[1]
    site.path.write_text(text.replace("json:metadata", "hanging:mapping"))
    return Daemon(site.path, watchdog=2.0, PYTHONPATH=str(folder))


def _fed(daemon: Daemon) -> float:
    """When the watchdog was fed last."""
    return max(at for at, said in daemon.told if said == "WATCHDOG=1")


def test_the_watchdog_is_not_fed_while_a_worker_hangs(site: Site, tmp_path: Path) -> None:
    site.add(1)
    with _with_a_mapping_that_can_hang(site, tmp_path) as daemon:
        daemon.ready()
        until(lambda: site.remote(1))
        daemon.hears("WATCHDOG=1")
        (tmp_path / "hang").touch()
        site.add(2)

        assert daemon.logs("worker.stuck")["duty"] in (f"poll {site.account}", f"send {site.account}")
        fed = _fed(daemon)
        time.sleep(3.0)
        assert _fed(daemon) == fed
        assert any("stuck" in said for _, said in daemon.told)

        (tmp_path / "hang").unlink()
        until(lambda: _fed(daemon) > fed)
        until(lambda: site.remote(2))


def test_nor_is_it_fed_while_a_worker_that_hangs_keeps_the_program_from_ending(site: Site, tmp_path: Path) -> None:
    site.add(1)
    with _with_a_mapping_that_can_hang(site, tmp_path) as daemon:
        daemon.ready()
        until(lambda: site.remote(1))
        (tmp_path / "hang").touch()
        site.add(2)
        time.sleep(0.6)  # somebody holds the record now
        daemon.signal(signal.SIGTERM)
        signalled = time.monotonic()
        daemon.logs("daemon.stopping")
        time.sleep(5.0)
        assert _fed(daemon) < signalled + 4.0  # until the silence has lasted two seconds it is fed
        assert daemon.process.poll() is None

        (tmp_path / "hang").unlink()
        assert daemon.ends() == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_second_daemon_stands_by_and_takes_over_within_thirty_seconds_of_a_kill(kind: str, sites: Sites) -> None:
    site = sites(state=kind)
    site.add(1)
    with Daemon(site.path) as first, Daemon(site.path) as second:
        first.ready(), second.ready()
        until(lambda: site.remote(1))
        working, waiting = (first, second) if any(one["event"] == "daemon.works" for one in first.events) else (
            second, first)  # fmt: skip
        assert not any(one["event"] == "daemon.works" for one in waiting.events)
        working.process.kill()
        killed = time.monotonic()
        site.add(2)

        until(lambda: site.remote(2))
        assert time.monotonic() - killed < 30.0
        waiting.logs("daemon.works", 1.0)
        assert waiting.stop() == 0
    assert len([one for one in site.requests if one["method"] == "PUT"]) == 2


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_daemons_with_different_accounts_work_side_by_side_on_one_state_database(
    kind: str, sites: Sites, tmp_path: Path, database: Callable[[str], str]
) -> None:
    site = sites(state=kind)
    world = site.sandbox.application.world
    world.accounts["other"] = Account("other", "DATACITE.OTHER", "demo", ["10.5073"], "example.org")
    other = Site(tmp_path, site.sandbox, database("sqlite"), site.state_url, "DATACITE.OTHER", "10.5073")
    other.more = FAST
    assert other.settings
    both = tmp_path / "both.toml"
    text, another = site.path.read_text(), other.path.read_text()
    both.write_text(text + another[another.index("[[accounts]]") :])
    both.chmod(0o600)
    site.add(1), other.add(1)

    with Daemon(site.path) as first, Daemon(other.path) as second:
        until(lambda: site.remote(1) and other.remote(1))
        with Daemon(both) as third:
            third.logs("daemon.stands_by")
            second.process.kill()
            other.add(2)

            until(lambda: other.remote(2), 30.0)
            works = third.logs("daemon.works")
            assert (works["accounts"], works["others"]) == (1, 1)
            assert first.stop() == 0
            site.add(2)
            until(lambda: site.remote(2), 30.0)
            third.logs("daemon.works", accounts=2)
            assert third.stop() == 0
    other.close()


def test_a_daemon_that_is_stopped_lets_the_next_one_work_at_once(site: Site) -> None:
    with Daemon(site.path) as first:
        first.ready()
        first.logs("daemon.works")
        with Daemon(site.path) as second:
            second.logs("daemon.stands_by")
            assert first.stop() == 0
            site.add(2)
            until(lambda: site.remote(2), 10.0)


def test_one_account_in_trouble_does_not_keep_the_others_from_being_true(site: Site) -> None:
    site.add(1)
    text = site.path.read_text()
    account = text[text.index("[[accounts]]") :].replace(site.account, "DATACITE.AWAY").replace(
        site.platform_url, site.platform_url + ".away")  # fmt: skip
    site.path.write_text(text + account)
    with Daemon(site.path) as daemon:
        daemon.ready()
        until(lambda: site.remote(1))
        trouble = daemon.logs("account.in_trouble")

        assert trouble["account"] == "DATACITE.AWAY"
        assert "there is no SQLite database" in trouble["message"]
        assert trouble["hint"]
        time.sleep(1.0)
        assert len([one for one in daemon.events if one["event"] == "account.in_trouble"]) == 1
        assert daemon.stop() == 0


def test_when_every_account_waits_for_a_person_it_ends_with_the_exit_code_that_systemd_does_not_restart(
    site: Site,
) -> None:
    site.path.write_text(site.path.read_text().replace(site.platform_url, site.platform_url + ".away"))
    with Daemon(site.path) as daemon:
        assert daemon.ends() == 78
    assert "there is no SQLite database" in daemon.raw


def test_an_account_that_nobody_adopted_is_left_alone_until_somebody_does(sites: Sites) -> None:
    site = sites()
    site.add(1)
    site.sync()
    other = sites(adopted=False)
    other.add(1, titles=[{"title": "Another"}])
    before = len(site.requests)
    with Daemon(other.path) as daemon:
        trouble = daemon.logs("account.in_trouble")
        assert "syncd adopt" in trouble["hint"]
        time.sleep(1.5)
        assert [one["method"] for one in site.requests[before:]] == ["GET"]

        other.store.bindings.mark_adopted(other.account)
        until(lambda: site.title(1) == "Another")
        daemon.logs("account.works_again")


def test_the_health_command_asks_the_daemon_and_tells_by_its_exit_code(site: Site) -> None:
    _with_a_page(site)

    def health(*options: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "syncd", "-c", str(site.path), "health", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout

    code, words = health()
    assert (code, words[:19]) == (1, "not well: no answer")
    site.add(1)
    with Daemon(site.path) as daemon:
        daemon.ready()
        assert health() == (0, "well\n")
        assert health("--ready") == (0, "well\n")
        assert '"role": "works"' in health("--ready", "--json")[1]
        daemon.stop()
    assert health("--ready")[0] == 1


# The quickest way.


def test_with_a_trigger_an_edit_is_there_in_under_two_seconds(sites: Sites) -> None:
    site = sites(platform="postgresql")
    site.more = FAST.replace('poll = "200ms"', 'poll = "10m"')
    configured = (site.settings, site.path.read_text())[1]
    site.path.write_text(configured.replace('mapping = "json', 'channel = "syncd"\nmapping = "json'))
    printed = subprocess.run(
        [sys.executable, "-m", "syncd", "-c", str(site.path), "db", "trigger"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    site.add(1)
    with site.engine.begin() as connection:
        connection.execute(text("SELECT 1"))  # begins the transaction that the driver's statement belongs to
        connection.connection.driver_connection.execute(printed)
    waited = []
    with Daemon(site.path) as daemon:
        daemon.ready()
        until(lambda: site.remote(1))
        daemon.logs("platform.heard")
        for number in range(15):
            title = f"Edit {number}"
            began = time.monotonic()
            site.edit(1, titles=[{"title": title}])
            until(lambda title=title: site.title(1) == title, 20.0)
            waited.append(time.monotonic() - began)

    assert statistics.median(waited) < 2.0, waited


def test_without_a_trigger_an_edit_is_there_within_poll_and_ten_seconds(site: Site) -> None:
    site.more = FAST.replace('poll = "200ms"', 'poll = "2s"')
    site.settings  # noqa: B018
    site.add(1)
    waited = []
    with Daemon(site.path) as daemon:
        daemon.ready()
        until(lambda: site.remote(1))
        for number in range(20):
            title = f"Edit {number}"
            began = time.monotonic()
            site.edit(1, titles=[{"title": title}])
            until(lambda title=title: site.title(1) == title, 20.0)
            waited.append(time.monotonic() - began)

    assert sorted(waited)[-2] < 12.0, waited
    assert statistics.median(waited) < 4.0, waited


def test_the_trigger_of_a_view_stands_on_its_tables(database: Callable[[str], str]) -> None:
    engine = create_engine(database("postgresql"))
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE item (id int)", 'CREATE TABLE "Odd Name" (id int)', "CREATE TABLE stranger (id int)",
            'CREATE VIEW inner_view AS SELECT id FROM "Odd Name"',
            "CREATE VIEW outer_view AS SELECT item.id FROM item JOIN inner_view USING (id)",
        ):  # fmt: skip
            connection.execute(text(statement))
        for _ in range(2):  # it may be run again
            connection.connection.driver_connection.execute(notifying_trigger(["outer_view", "not_there"], "syncd"))
        found = connection.execute(text("SELECT tgrelid::regclass::text FROM pg_trigger ORDER BY 1")).scalars().all()
    url = engine.url.render_as_string(hide_password=False)
    assert found == ['"Odd Name"', "item"]
    assert without_trigger(url, ["outer_view", "not_there"]) == []

    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER syncd_notify ON item"))
        connection.execute(text('ALTER TABLE "Odd Name" DISABLE TRIGGER syncd_notify'))
    engine.dispose()
    assert sorted(without_trigger(url, ["outer_view"])) == ['"Odd Name"', "item"]


def test_a_pause_by_hand_and_its_end_are_told_by_the_daemon(site: Site) -> None:
    with Daemon(site.path) as daemon:
        daemon.ready()
        site.store.runs.pause(site.account, BY_HAND, "maintenance", lambda _attempts: None)
        assert daemon.logs("sending.paused")["message"] == "maintenance"
        until(lambda: any("paused: by_hand" in said for _, said in daemon.told))

        site.store.runs.resume(site.account)
        assert daemon.logs("sending.resumed")["cause"] == BY_HAND
        assert daemon.stop() == 0


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_somebody_sets_by_an_hour_stops_nothing(hours: int, site: Site, tmp_path: Path) -> None:
    library = needed_library("libfaketime.so.1", package="faketime")
    said = tmp_path / "clock"
    said.write_text("+0s")
    site.more = FAST.replace('poll = "200ms"', 'poll = "3s"')
    site.settings  # noqa: B018 - writes the file
    site.add(1)
    # The kernel's own clock that counts from boot stays as it is, as when an administrator sets the date.
    faked = {
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(said), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1",
    }  # fmt: skip
    with Daemon(site.path, **faked) as daemon:
        daemon.ready()
        until(lambda: site.remote(1))
        time.sleep(1.0)  # so that the next poll waits for its time
        said.write_text(f"{hours * 3600:+d}s")
        set_at = time.monotonic()
        for number in range(2, 5):
            site.add(number)
            until(lambda number=number: site.remote(number), 15.0)

        assert time.monotonic() - set_at < 40.0
        assert daemon.stop() == 0
    if hours < 0:
        daemon.logs("duty.overdue")


def test_tables_of_a_newer_syncd_are_refused_with_what_to_do(site: Site) -> None:
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE syncd_version SET version_num = '9999'")
    with Daemon(site.path) as daemon:
        assert daemon.ends() == 78
    assert "run the newer syncd" in daemon.raw


def test_a_platform_that_cannot_tell_what_moved_is_read_as_a_whole_and_that_is_not_told_each_time(site: Site) -> None:
    lines = [line for line in site.path.read_text().splitlines() if not line.startswith("changed = ")]
    site.path.write_text("\n".join(lines))
    site.add(1)
    with Daemon(site.path) as daemon:
        daemon.ready()
        until(lambda: site.remote(1))
        time.sleep(2.0)
        site.edit(1, titles=[{"title": "Edited"}])
        until(lambda: site.title(1) == "Edited")
        assert daemon.stop() == 0

    looks = [one for one in daemon.events if one["event"] == "scan.finished"]
    assert [(one["kind"], one["changed"]) for one in looks] == [("full", 1), ("full", 1)]
    assert len(site.store.reading.last_runs(site.account)) == 2


def _with_a_page(site: Site) -> int:
    """Let the daemon listen; returns the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    site.path.write_text(site.path.read_text().replace('listen = "off"', f'listen = "127.0.0.1:{port}"'))
    return port


# What a newcomer met.


def test_after_an_outage_the_only_pending_doi_is_sent_as_soon_as_the_pause_is_over(site: Site) -> None:
    site.add(1)
    site.fault("status", status=503, count=2)
    with Daemon(site.path) as daemon:
        daemon.logs("send.finished")
        paused = time.monotonic()
        # The pause lasts a minute, and the DOI itself would wait for up to six.
        with site.store.database.writing() as connection:
            connection.exec_driver_sql("UPDATE syncd_doi SET next_try_at = '2099-01-01 00:00:00'")
            connection.exec_driver_sql("UPDATE syncd_pause SET until = '2020-01-01 00:00:00'")
        # The second answer is written down, too: what the test writes now is not written over.
        until(lambda: [one["event"] for one in daemon.events].count("send.finished") >= 2)
        with site.store.database.writing() as connection:
            connection.exec_driver_sql("UPDATE syncd_pause SET until = '2020-01-01 00:00:00'")
            connection.exec_driver_sql("UPDATE syncd_doi SET unsure_since = NULL")

        until(lambda: site.remote(1), 20.0)
        assert time.monotonic() - paused < 20.0
        daemon.logs("sending.resumed")


def test_a_lower_ceiling_of_a_backfill_holds_for_the_daemon_that_sends_it(site: Site) -> None:
    for number in range(60):
        site.add(number)
    site.sync()
    with site.store.database.writing() as connection:  # the slots of the first pass have rested
        connection.exec_driver_sql("UPDATE syncd_slot SET free_at = '2020-01-01 00:00:00'")
    before = len(site.requests)
    with Daemon(site.path) as daemon:
        daemon.ready()
        command = [sys.executable, "-m", "syncd", "-c", str(site.path), "backfill", "--all", "--per-window", "20"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as backfill:
            until(lambda: len(site.requests) - before >= 20)
            time.sleep(3.0)
            backfill.kill()
        time.sleep(2.0)
        assert len(site.requests) - before == 20
        site.edit(3, titles=[{"title": "Daily"}])
        until(lambda: site.title(3) == "Daily")


def test_the_health_command_does_not_mind_a_file_with_mistakes_that_the_daemon_has_refused(site: Site) -> None:
    port = _with_a_page(site)
    command = [sys.executable, "-m", "syncd", "-c", str(site.path), "health"]
    with Daemon(site.path) as daemon:
        daemon.ready()
        site.path.write_text(site.path.read_text().replace("workers = 4", "workers = 0"))
        daemon.signal(signal.SIGHUP)
        daemon.logs("configuration.refused")

        assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
        until(lambda: any("not reloaded" in said for _, said in daemon.told))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert b"syncd_configuration_refused 1.0" in answer.read()


def test_status_says_why_a_run_failed(site: Site) -> None:
    site.add(1)
    with Daemon(site.path) as daemon:
        daemon.ready()
        site.execute("ALTER TABLE record RENAME TO away")
        daemon.logs("account.in_trouble")
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "-c", str(site.path), "status"], capture_output=True, text=True, check=True
    )

    assert "failed\n  the platform's database refuses" in done.stdout
    assert "no such table: record" in done.stdout


def test_the_sandbox_saves_its_world_when_it_is_told_to_end(tmp_path: Path) -> None:
    world = tmp_path / "world.json"
    command = [sys.executable, "-m", "syncd", "sandbox", "--port", "0", "--world", str(world), "--save"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout is not None
        sandbox.stdout.readline()
        sandbox.terminate()
        sandbox.wait(20)

    assert "DATACITE.DEMO" in world.read_text()
