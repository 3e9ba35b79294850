"""The limiter with real processes and real time, and over many thousand virtual schedules."""

import heapq
import json
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.limiter import Limiter
from syncd.sandbox.firewall import Firewall
from syncd.sandbox.server import RunningSandbox, Sandbox
from syncd.store import Store, schema
from syncd.store.slots import Taken
from tests.limiter_process import SLOTS, WINDOW, WORKERS, settings

SECONDS = 12.0
SCHEDULES = 20_000


def start(state: str, sandbox: str, lane: str, seconds: float = SECONDS) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.limiter_process", state, sandbox, str(seconds), lane]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, _ = process.communicate(timeout=60)
    return dict(json.loads(out))


@pytest.fixture(params=[("postgresql", 4), ("sqlite", 2)], ids=["postgresql", "sqlite"])
def several(request: pytest.FixtureRequest, database: Callable[[str], str]) -> tuple[str, int]:
    """A state database, and how many processes share it."""
    kind, processes = request.param
    state = database(kind)
    store = Store.open(state)
    schema.upgrade(store.database)
    store.close()
    return state, processes


def test_several_processes_never_go_over_and_use_nearly_all(several: tuple[str, int]) -> None:
    state, processes = several
    running = RunningSandbox(Sandbox(firewall=Firewall(SLOTS, WINDOW)))
    with running.in_background():
        senders = [start(state, running.address, "update") for _ in range(processes)]
        time.sleep(4.0)
        senders[0].kill()
        senders[0].communicate()
        senders.append(start(state, running.address, "update", SECONDS - 5))
        results = [result(process) for process in senders[1:]]
        control = running.application.control
        arrivals = [one["at"] for one in control.requests]
        refused = [one for one in control.requests if one["status"] == 429]

    assert running.application.firewall.max_in_window <= SLOTS
    assert refused == []
    assert all(one["sent"] > 0 for one in results)
    # A slot is held for 0.1 s on average, on a busy machine longer, and rests one window after that; what the killed
    # process had on its way stays taken for the time that a request may take.
    hold = sum(one["hold"] for one in results) / len(results)
    steady = [at for at in arrivals if arrivals[0] + WINDOW <= at <= arrivals[0] + 3 * WINDOW]
    possible = 2 * WINDOW * (SLOTS - WORKERS) / (WINDOW + hold)
    assert len(steady) >= 0.97 * possible


def test_a_publish_does_not_wait_while_mass_work_takes_all_it_may(several: tuple[str, int]) -> None:
    state, processes = several
    running = RunningSandbox(Sandbox(firewall=Firewall(SLOTS, WINDOW)))
    with running.in_background():
        senders = [start(state, running.address, "backfill") for _ in range(processes)]
        urgent = start(state, running.address, "publish", SECONDS - 2)
        waited = result(urgent)
        sent = sum(result(process)["sent"] for process in senders)

    assert running.application.firewall.max_in_window <= SLOTS
    assert sent > 2 * SLOTS  # it was saturated
    assert waited["sent"] > 5
    assert waited["told_to_wait"] <= 0.5  # by the limiter; what the machine adds is not its business
    assert waited["longest_wait"] <= 3.0


def test_sessions_in_other_time_zones_share_the_slots(database: Callable[[str], str]) -> None:
    address = database("postgresql")
    stores = [Store.open(address), Store.open(address)]
    schema.upgrade(stores[0].database)
    stores[0].slots.resize(3, timedelta(seconds=60), timedelta(seconds=60))
    with stores[1].database.engine.connect() as connection:
        connection.exec_driver_sql("SET TIME ZONE 'Asia/Tokyo'")
        connection.commit()  # the pool gives this session out again

    taken = [store.slots.take(timedelta(seconds=60), 0) for store in (stores[1], stores[0], stores[1], stores[0])]

    assert [isinstance(one, Taken) for one in taken] == [True, True, True, False]
    for store in stores:
        store.close()


class Host:
    """One machine's clocks in a virtual schedule."""

    def __init__(self, world: "Schedule", name: str) -> None:
        self._world = world
        self.boot = name
        self.wrong_by = 0.0

    def now(self) -> datetime:
        return datetime.fromisoformat("2026-03-01T08:00:00+00:00") + timedelta(
            seconds=self._world.seconds + self.wrong_by
        )

    def monotonic(self) -> float:
        return self._world.seconds + 50.0

    def sleep(self, seconds: float) -> bool:
        self._world.seconds += max(0.0, seconds)
        return False


class Schedule:
    """Requests through one table of slots: taken, late, crashed, with the clock set in between."""

    def __init__(self, store: Store, host: Host, chance: random.Random) -> None:
        self.seconds = 0.0
        self.host = host
        self._store = store
        self._chance = chance
        self._arrivals: list[float] = []

    def play(self, slots: int, requests: int) -> None:
        """So many requests, several on their way at once; asserts that no window saw too many."""
        chance, host = self._chance, self.host
        real = {"requests_per_window": slots, "window": 300.0, "request_timeout": 20.0, "grace": 10.0}
        limiter = Limiter(self._store.slots, settings("http://127.0.0.1:1").model_copy(update=real), host)
        limiter.prepare()
        over: list[tuple[float, int, Taken, bool]] = []
        for number in range(requests):
            while over and over[0][0] <= self.seconds:
                self._finish(limiter, *heapq.heappop(over)[2:])
            taken = self._store.slots.take(limiter._hold, 0)
            if not isinstance(taken, Taken):
                self.seconds = min(self.seconds + taken.total_seconds(), over[0][0] if over else float("inf"))
                continue
            took = chance.choice([0.0, 0.2, 2.0, chance.uniform(0.0, 20.0)])
            answered = chance.random() < 0.8
            late = 0.0 if answered else chance.uniform(0.0, 10.0)
            self._arrivals.append(self.seconds + chance.random() * took + late)
            if chance.random() < 0.9:  # the others crash, and nobody gives the slot back
                heapq.heappush(over, (self.seconds + took, number, taken, answered))
            if chance.random() < 0.02:
                host.wrong_by += chance.choice([-3600.0, 3600.0, -5.0, 5.0])
            self.seconds += chance.choice([0.0, 0.0, 0.0, chance.uniform(0.0, 30.0)])

    def _finish(self, limiter: Limiter, taken: Taken, answered: bool) -> None:
        rest = limiter._rest if answered else limiter._rest + limiter._late
        self._store.slots.finish(taken, rest)

    def most(self, window: float) -> int:
        seen: deque[float] = deque()
        most = 0
        for arrival in sorted(self._arrivals):
            seen.append(arrival)
            while seen[0] <= arrival - window:
                seen.popleft()
            most = max(most, len(seen))
        return most


def virtual_schedules(folder: Path, count: int, first: int = 0) -> tuple[int, int]:
    """How many schedules were played, and how many went over."""
    over = 0
    for seed in range(first, first + count):
        chance = random.Random(seed)
        if seed % 50 == first % 50:
            store = Store.open(f"sqlite:///{folder / f'{seed}.db'}")
            schema.upgrade(store.database)
        host = Host.__new__(Host)
        schedule = Schedule(store, host, chance)
        Host.__init__(host, schedule, f"boot {seed}")
        store.database.steady.__init__(host, host_clock=True)  # type: ignore[misc]
        store.database._clock = host
        with store.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM syncd_slot")
            connection.exec_driver_sql("DELETE FROM syncd_witness")
        slots = chance.choice([2, 5, 9])
        schedule.play(slots, 40)
        over += schedule.most(300.0) > slots
    return count, over


def test_no_virtual_schedule_goes_over(tmp_path: Path) -> None:
    played, over = virtual_schedules(tmp_path, SCHEDULES // 100)

    assert (played, over) == (SCHEDULES // 100, 0)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as memory:
        count = int(sys.argv[1]) if len(sys.argv) > 1 else SCHEDULES
        begin = time.monotonic()
        played, over = virtual_schedules(Path(memory), count)
        sys.stdout.write(f"{played} schedules, {over} over, {time.monotonic() - begin:.0f} s\n")
