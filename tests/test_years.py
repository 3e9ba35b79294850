"""Days of the daemon in minutes: ``python -m tests.test_years [DAYS]``, twelve virtual days by default.

The real daemon, threads, tables and sandbox; only its clock runs faster than ours. Edits go on all the time. What a
daemon may not do is grow: memory, threads, connections and tables are measured every virtual hour.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import func, select

from syncd import cycle
from syncd.daemon import Daemon, Surroundings
from syncd.errors import ExitCode
from syncd.pulse import Pulse, WatchedClock
from syncd.store import tables
from syncd.systemd import Systemd
from tests.site import Site

SPEED = 2400.0
_RECORDS = 60
_BEGAN, _EPOCH = time.monotonic(), datetime(2026, 3, 1, tzinfo=UTC)


class FastClock(WatchedClock):
    """Every second of ours is forty minutes of its."""

    def __init__(self) -> None:
        super().__init__()
        self.pulse = Pulse(self.monotonic)

    def now(self) -> datetime:
        return _EPOCH + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - _BEGAN) * SPEED

    @property
    def boot(self) -> str:
        return "a fast machine"

    def sleep(self, seconds: float) -> bool:
        self.pulse.beat(max(0.0, seconds))
        return self.stop.wait(max(0.0, seconds / SPEED))


@dataclass
class Told:
    """Stands for the signals; SIGTERM arrives when ``end`` is set."""

    end: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> list[int]:
        if not self.end.wait(seconds / 20):
            return []
        self.end.clear()  # a second one would end it at once
        return [signal.SIGTERM]


@dataclass(frozen=True)
class Measured:
    """What must not grow."""

    hour: int
    memory: int
    threads: int
    files: int
    rows: dict[str, int]


def live(days: float, folder: Path, show: Callable[[str], None] = lambda _line: None) -> list[Measured]:
    """Let it live so long; what was measured every virtual hour."""
    found: list[Measured] = []
    with sandbox() as running:
        site = Site(folder, running, f"sqlite:///{folder}/platform.db", f"sqlite:///{folder}/state.db")
        site.more = """
[brake]
changed = 100
hidden = 100
[schedule]
poll = "10m"
stuck = "12h"
reconcile = "02:30"
audit = "03:30"
repair = ["url"]
[keep]
writes = "2d"
failures = "2d"
runs = "2d"
[web]
listen = "off"
"""
        settings = site.settings
        # A request takes as long as it takes, which is long on its clock.
        datacite = settings.datacite.model_copy(update={"request_timeout": 5 * SPEED})
        settings = settings.model_copy(update={"datacite": datacite})
        for number in range(_RECORDS):
            site.add(number)
        clock = FastClock()
        store = cycle.connect(settings, clock)
        told = Told()
        world = Surroundings(
            Systemd({}), lambda: settings, clock=FastClock, real_seconds=lambda seconds: seconds / SPEED
        )
        daemon = Daemon(settings, store, told, world)
        codes: list[ExitCode] = []
        thread = threading.Thread(target=lambda: codes.append(daemon.run()), name="daemon", daemon=True)
        thread.start()
        watch = ExitStack()
        watch.callback(thread.join, 30)
        watch.callback(told.end.set)
        with watch:
            _edit(days, site, clock, found, show)
            assert site.store.reading.sum(site.account).adds_up
            kinds = {run["kind"]: run for run in site.store.reading.last_runs(site.account)}
            if days >= 1:
                assert kinds["audit"]["result"] == kinds["full"]["result"] == "done"
        assert codes == [ExitCode.DONE]
        store.close()
        site.close()
    return found


def _edit(days: float, site: Site, clock: FastClock, found: list[Measured], show: Callable[[str], None]) -> None:
    """Edit and measure so long; in the end DataCite says what the repository says."""
    began, hour = clock.now(), 0
    while clock.now() - began < timedelta(days=days):
        time.sleep(3600 / SPEED / 4)
        edit = int((clock.now() - began).total_seconds())
        bad = edit % 5 == 0
        site.edit(edit % _RECORDS, titles=[] if bad else [{"title": f"Edit {edit}"}])
        if (clock.now() - began) // timedelta(hours=1) > hour:
            hour = (clock.now() - began) // timedelta(hours=1)
            found.append(_measured(hour, site))
            if hour % 24 == 0:
                show(f"day {hour // 24}: {found[-1]}")
    for number in range(_RECORDS):
        site.edit(number, titles=[{"title": f"The end of {number}"}])
    deadline = time.monotonic() + 60
    wanted = {f"10.5072/r{number}": f"The end of {number}" for number in range(_RECORDS)}
    outside: Any = site.sandbox
    while outside.titles() != wanted:
        assert time.monotonic() < deadline, site.store.reading.sum(site.account)
        time.sleep(0.1)


class Outside:
    """A sandbox in a process of its own, so that what it remembers is not taken for the daemon's."""

    def __init__(self, address: str) -> None:
        self.address = address

    def titles(self) -> dict[str, str]:
        """DOI to title."""
        with urllib.request.urlopen(f"{self.address}/_sandbox/world", timeout=30) as answer:
            world = json.loads(answer.read())
        return {one["doi"]: str((one["attributes"].get("titles") or [{}])[0].get("title")) for one in world["dois"]}


@contextmanager
def sandbox() -> Iterator[Any]:
    command = [sys.executable, "-m", "syncd", "sandbox", "--port", "0", "--rate-limit", "1000000/300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().rsplit(" ", 1)[1].strip()
        try:
            yield Outside(address)
        finally:
            process.terminate()


def _measured(hour: int, site: Site) -> Measured:
    gc.collect()
    rows = {}
    with site.store.database.reading() as connection:
        for table in tables.metadata.sorted_tables:
            rows[table.name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
    files = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208 - names suffice
    return Measured(hour, tracemalloc.get_traced_memory()[0], threading.active_count(), files, rows)


def judge(found: list[Measured], days: float) -> list[str]:
    """What grew: the last quarter against the second one, when everything has found its size."""
    second, last = found[len(found) // 4 : len(found) // 2], found[-(len(found) // 4) :]
    wrong = []
    for name in ("threads", "files"):
        # Who sends and who looks is there for a moment only.
        before, after = (sorted(getattr(one, name) for one in part)[len(part) // 2] for part in (second, last))
        # Connections of those who are at work at the moment; a leak of one in each run would be hundreds.
        if after > before + 12:
            wrong.append(f"{name}: {before}, then {after}")
    memory, later = (sorted(one.memory for one in part)[len(part) // 2] for part in (second, last))
    if later > memory * 1.1 + 500_000:
        wrong.append(f"memory: {memory:,}, then {later:,} bytes")
    if days >= 8:
        for table in found[-1].rows:
            # What an audit copies is there for a moment only.
            before, after = (sorted(one.rows[table] for one in part)[len(part) // 2] for part in (second, last))
            if after > before * 1.3 + 20:
                wrong.append(f"{table}: {before} rows, then {after}")
    return wrong


@pytest.mark.timeout(600)
def test_a_day_of_the_daemon_grows_nothing(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        found = live(1.1, tmp_path)
    finally:
        tracemalloc.stop()

    assert len(found) > 20
    assert judge(found, 1.1) == []


def main() -> int:
    days = float(sys.argv[1]) if len(sys.argv) > 1 else 12.0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as folder:
        found = live(days, Path(folder), lambda line: print(line, flush=True))  # noqa: T201 - a command's output
    wrong = judge(found, days)
    print(f"{days} virtual days, {len(found)} hours measured; {found[-1]}")  # noqa: T201
    print("\n".join(wrong) or "nothing grew")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
