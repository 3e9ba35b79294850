"""Mass work under virtual time: the whole rate, an honest estimate, daily changes ahead of it, nothing sent twice.

``python -m tests.test_backfill 100000`` plays it at DataCite's own scale.
"""

import json
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import structlog
from sqlalchemy import Connection

from syncd import backfill
from syncd.backfill import Progress, choose, work_off
from syncd.cycle import prepare, scan, send
from syncd.limiter import ahead
from syncd.store import schema
from tests.elsewhere import Elsewhere
from tests.simulation.play import silence
from tests.simulation.process import Killed, Process, shared_connection
from tests.simulation.story import PREFIX, Story, folder_in_memory, one_engine_for_each_place
from tests.simulation.trial import _template
from tests.site import ATTRIBUTES, Site
from tests.test_orders import syncd

POLL = 30.0
EDIT_EVERY = 20.0
COUNT_EVERY = 500


@dataclass
class Result:
    """What a virtual backfill showed."""

    seconds: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    most_in_window: int = 0
    times_sent: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    estimates: list[tuple[float, float]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)


class Seldom(Process):
    """A process of a repository so large that its sum cannot be counted after every commit, as the simulation does."""

    commits = 0

    def count(self, connection: Connection) -> None:
        self.commits += 1
        if self.commits % COUNT_EVERY == 0:
            super().count(connection)


class Mass(Story):
    """A repository that is in sync, a daemon that follows its edits, and a backfill beside it."""

    def __init__(self, folder: Path, count: int, slots: int) -> None:
        shutil.copy(_template(folder), folder / "state.db")
        super().__init__(0, folder, slots, workers=16)
        self.count = count
        self.result = Result()
        self.edits: list[tuple[float, str, str]] = []
        self.stop = False
        self._fill()

    def _fill(self) -> None:
        metadata = json.dumps({**ATTRIBUTES, "titles": [{"title": "As it was"}]})
        self.repository._connection.execute(
            "INSERT INTO record WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            f" SELECT i, '{PREFIX}/r' || i, 'published', 'https://example.org/' || i, ?, '2026-01-01 10:00:00' FROM n",
            (self.count, metadata),
        )
        there = Elsewhere(self.sandbox)
        for number in range(1, self.count + 1):
            title = [{"title": "As it was"}]
            there.write(f"{PREFIX}/r{number}", {**ATTRIBUTES, "titles": title, "url": f"https://example.org/{number}"})

    def process(self, name: str) -> Process:
        made = Seldom(name, self.machine, self.settings, self.network, self.chance, whole=False)
        self.processes.append(made)
        return made

    def edit(self) -> None:
        """Somebody corrects a record."""
        number = self.chance.randrange(1, self.count + 1)
        title = f"Edit {len(self.edits)}"
        self.repository.put(number, "published", {**ATTRIBUTES, "titles": [{"title": title}]}, stamped=self.time.now)
        self.edits.append((self.time.now, f"{PREFIX}/r{number}", title))

    def play(self, stops: list[float]) -> Result:
        """Backfill everything; stopped at these moments, resumed a minute later."""
        # A daemon looks for changes while it sends.
        daemon, sender = self.process("daemon"), self.process("sender")
        self.time.spawn(lambda: self._follow(daemon))
        self.time.run(1.0)
        while daemon.store.reading.sum("DATACITE.DEMO").wanted != self.count:
            self.time.run(self.time.now + 5.0)
        connection = shared_connection(daemon.store.database.engine)
        with connection.begin():
            connection.exec_driver_sql(
                "UPDATE syncd_doi SET synced_digest = desired_digest, synced_state = 'findable', lane = 1,"
                " synced_attributes = '{}', claim_until = NULL, claim_owner = NULL, next_try_at = NULL"
            )
        self.time.spawn(lambda: self._send(sender))
        begin, before = self.time.now, len(self.network.arrivals)
        done: list[bool] = []
        for number, moment in enumerate([*stops, float("inf")]):
            self.stop = False
            worker = self.process(f"backfill {number}")
            self.time.spawn(lambda worker=worker, number=number: done.append(self._work(worker, first=number == 0)))
            if moment != float("inf"):
                self.time.at(begin + moment, lambda: setattr(self, "stop", True))
            next_edit = self.time.now
            while len(done) <= number:
                if self.time.now >= next_edit:
                    self.edit()
                    next_edit = self.time.now + EDIT_EVERY
                self.time.run(self.time.now + 5.0)
            self.result.ends.append(self.time.now)
            if moment != float("inf"):
                self.time.run(self.time.now + 60.0)
        self._tell(begin, before)
        daemon.kill()
        sender.kill()
        self.time.run(self.time.now + 100.0)
        return self.result

    def _follow(self, daemon: Process) -> None:
        full = True
        try:
            while True:
                scan(daemon.parts, full=full)
                full = False
                daemon.give_way(POLL)
        except Killed:
            return

    def _send(self, sender: Process) -> None:
        limiter = prepare(sender.parts)
        try:
            while True:
                send(sender.parts, limiter)
                sender.give_way(1.0)
        except Killed:
            return

    def _work(self, worker: Process, *, first: bool) -> bool:
        parts = replace(worker.parts, stopping=lambda: self.stop)
        limiter = prepare(parts)
        if first:
            self.result.chosen.append(choose(parts, None))
        work_off(parts, limiter, self._told)
        return True

    def _told(self, progress: Progress) -> None:
        if progress.seconds_left is not None:
            self.result.estimates.append((self.time.now, progress.seconds_left))

    def _tell(self, begin: float, before: int) -> None:
        result, arrivals = self.result, self.network.arrivals[before:]
        result.seconds = self.time.now - begin
        result.arrivals = [one.at - begin for one in arrivals]
        result.most_in_window = self.sandbox.firewall.max_in_window
        result.times_sent = Counter(one.doi for one in arrivals if len(one.attributes) > 10)
        for at, doi, title in self.edits:
            later = [one for one in self.edits if one[1] == doi and one[0] > at]
            reached = [
                one.at for one in arrivals
                if one.doi == doi and one.at >= at and one.attributes.get("titles") == [{"title": title}]
            ]  # fmt: skip
            if reached:
                result.waits.append(min(reached) - at)
            elif not later and at < self.time.now - POLL - 10.0:
                result.waits.append(float("inf"))


def played(folder: Path, count: int, slots: int, stops: list[float]) -> Result:
    silence()
    try:
        with one_engine_for_each_place():
            mass = Mass(folder, count, slots)
            result = mass.play(stops)
            for process in mass.processes:
                process.close()
            shared_connection(mass.processes[0].store.database.engine).close()
            shared_connection.cache_clear()
            mass.processes[0].store.close()
            mass.repository.close()
            return result
    finally:
        structlog.reset_defaults()


def used(result: Result, slots: int) -> float:
    """Which share of the ceiling was used in the whole windows of steady work."""
    last = max(result.arrivals)
    windows = int((last - 300.0) // 300.0)
    inside = [at for at in result.arrivals if at < windows * 300.0]
    return len(inside) / (windows * slots)


def test_a_backfill_uses_the_rate_and_daily_changes_overtake_it(tmp_path: Path) -> None:
    slots, count = 600, 3000

    result = played(tmp_path, count, slots, [])

    assert result.chosen == [count]
    assert result.most_in_window <= slots
    assert used(result, slots) >= 0.97 * (1 - 60 / slots)  # 60 slots are kept for what changes daily
    waits = sorted(result.waits)
    assert waits[int(0.95 * len(waits))] <= POLL + 10.0
    assert set(result.times_sent.values()) == {1}
    # One request for each DOI, and one for each edit that did not come before its DOI's turn.
    assert count < len(result.arrivals) <= count + len(result.waits)
    (end,) = result.ends
    begin = end - result.seconds
    steady = [(at, left) for at, left in result.estimates if begin + 300.0 <= at <= end - 600.0]
    assert steady
    assert max(abs(left - (end - at)) / (end - at) for at, left in steady) <= 0.1


def test_a_backfill_that_is_stopped_twice_sends_nothing_twice(tmp_path: Path) -> None:
    result = played(tmp_path, 1500, 600, [20.0, 500.0])

    assert len(result.ends) == 3
    assert set(result.times_sent.values()) == {1}
    assert len(result.times_sent) == 1500


REST, KEPT = 302.0, 60


def guesses(
    until_free: list[float], count: int, *, workers: float = 1e9, others: float = 0.0, looks: float = 5.0
) -> list[tuple[float, float | None]]:
    """Plays mass work on slots, and tells at every look how long it took in truth and what was said.

    Args:
        until_free: The slots at the beginning.
        count: How many DOIs.
        workers: How many requests a second they manage.
        others: How many requests a second somebody else makes on the same slots.
        looks: Seconds between two looks.
    """
    free_at, now, left, owed, theirs, next_look = sorted(until_free), 0.0, count, 0.0, 0.0, 0.0
    progress, said = Progress(count, count), []
    while left:
        now += 0.5
        owed, theirs = min(owed + workers / 2, 50.0), theirs + others / 2
        for whose in ("others", "mass"):
            while left and len(free_at) > KEPT and free_at[KEPT] <= now:
                if (theirs if whose == "others" else owed) < 1:
                    break
                free_at.pop(0)
                free_at.append(now + REST)
                if whose == "others":
                    theirs -= 1
                else:
                    owed, left = owed - 1, left - 1
        if now >= next_look:
            next_look = now + looks
            progress.see(now, left, ahead([at - now for at in free_at], KEPT, REST, left))
            said.append((now, progress.seconds_left))
    return [(now - at, guess) for at, guess in said]


def worst(said: list[tuple[float, float | None]], after: float = 0.0, until: float = 120.0) -> float:
    """By how much an answer was wrong at most, from so many seconds after the beginning until before the end."""
    end = said[0][0]
    judged = [(true, guess) for true, guess in said if end - true >= after and true >= until]
    assert judged
    assert all(guess is not None for _, guess in judged)
    return max(abs(guess - true) / true for true, guess in judged if guess is not None)


def test_the_time_left_follows_bursts_and_rests() -> None:
    assert worst(guesses([0.0] * 3000, 20_000, workers=70.0), after=10.0) <= 0.05


def test_the_time_left_where_slots_come_free_evenly() -> None:
    assert worst(guesses([one / 10 for one in range(3000)], 20_000)) <= 0.05


def test_the_time_left_after_a_resume_while_all_slots_rest() -> None:
    assert worst(guesses([240.0 + one / 100 for one in range(3000)], 20_000)) <= 0.05


def test_the_time_left_where_workers_are_too_few_for_the_slots() -> None:
    assert worst(guesses([0.0] * 3000, 4_000, workers=2.0), after=30.0) <= 0.05


def test_the_time_left_where_somebody_else_takes_a_part_of_the_slots() -> None:
    said = guesses([one / 10 for one in range(3000)], 20_000, others=5.0)

    assert worst(said, after=REST + 10.0) <= 0.1


def test_the_time_left_is_unknown_before_anybody_looked() -> None:
    assert Progress(5, 5).seconds_left is None
    assert Progress(5, 5).rate == 0.0


def test_the_command_chooses_by_file_by_condition_and_by_time(site: Site) -> None:
    for number in range(1, 11):
        site.add(number, status="private" if number == 10 else "published")
    site.sync()
    site.execute("UPDATE record SET modified = '2026-02-02 10:00:00' WHERE id IN (3, 4)")
    before = len(site.requests)
    (site.folder / "dois").write_text("https://doi.org/10.5072/R1\n10.5072/r2\n10.5072/unknown\n")

    assert syncd(site, "backfill").returncode == 2
    tried = syncd(site, "backfill", "--all", "--dry-run")
    assert (tried.returncode, len(site.requests)) == (0, before)
    assert "9 DOIs chosen, 9 to send" in tried.stderr
    named = syncd(site, "backfill", "--doi-file", str(site.folder / "dois"))
    assert named.returncode == 0
    assert "2 DOIs chosen" in named.stderr
    assert "1 of the 3 that were named are unknown here" in named.stderr
    assert len(site.requests) == before + 2
    assert syncd(site, "backfill", "--since", "2026-02-01 00:00:00").returncode == 0
    assert len(site.requests) == before + 4
    assert syncd(site, "backfill", "--where", "record_key = 5 OR doi LIKE '%r6'").returncode == 0
    assert len(site.requests) == before + 6
    wrong = syncd(site, "backfill", "--where", "nonsense = 1")
    assert (wrong.returncode, len(site.requests)) == (78, before + 6)
    done = syncd(site, "backfill", "--all", "--json")
    assert json.loads(done.stdout) == [{"account": "DATACITE.DEMO", "total": 9, "done": 9, "left": 0, "failed": 0}]
    assert site.store.reading.sum("DATACITE.DEMO").in_sync == 10
    assert {write["reason"] for write in site.row(7)["writes"]} == {"new", "somebody ordered it once more"}


def test_what_fails_in_a_backfill_is_told(site: Site) -> None:
    site.add(1)
    site.add(2)
    site.sync()
    site.fault("status", status=422)

    done = syncd(site, "backfill", "--all")

    assert done.returncode == 1
    assert "2 of 2 dealt with, 1 failed, 0 left" in done.stdout


def test_a_mass_update_names_what_datacite_asks_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.cli import mass
    from tests.test_planning import run

    site.add(1)
    site.add(2)
    site.sync()
    monkeypatch.setattr(mass, "SUSTAINED", 1)

    assert "keep to 300 to 500 in 5 minutes" in run(site, "backfill", "--all", "--dry-run")[2]


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    slots = 3000
    with folder_in_memory() as folder:
        result = played(folder, count, slots, [1000.0, 3000.0])
    waits = sorted(result.waits)
    end = result.ends[-1]
    begin = result.ends[-2] + 60.0
    steady = [(at, left) for at, left in result.estimates if begin + 300.0 <= at <= end - 600.0]
    worst = max((abs(left - (end - at)) / (end - at) for at, left in steady), default=0.0)
    twice = sum(times > 1 for times in result.times_sent.values())
    sys.stdout.write(
        f"{count} DOIs in {result.seconds:.0f} virtual seconds, {used(result, slots):.2%} of {slots} per 300 s used,"
        f" at most {result.most_in_window}; daily changes wait {waits[len(waits) // 2]:.0f} s at the median,"
        f" {waits[int(0.95 * len(waits))]:.0f} s at 95 %; estimates are wrong by {worst:.1%} at most;"
        f" {twice} sent twice\n"
    )
    return 0 if not twice and result.most_in_window <= slots and worst <= 0.1 else 1


if __name__ == "__main__":
    assert backfill
    assert schema
    sys.exit(main())
