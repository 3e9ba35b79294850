import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from syncd.clock import SystemClock
from syncd.limiter import Limiter
from syncd.settings import DataCiteSettings
from syncd.store import Store, schema
from syncd.store.slots import Taken


class VirtualClock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> bool:
        self.seconds += max(0.0, seconds)
        return False

    boot = "virtual"


def settings(slots: int, timeout: float = 1.0, window: float = 300.0) -> DataCiteSettings:
    return DataCiteSettings(
        host="http://127.0.0.1:1", requests_per_window=slots, request_timeout=timeout, window=window
    )


def most_in_a_window(arrivals: list[float], window: float) -> int:
    arrivals = sorted(arrivals)
    most = start = 0
    for end, arrival in enumerate(arrivals):
        while arrivals[start] <= arrival - window:
            start += 1
        most = max(most, end - start + 1)
    return most


@pytest.mark.parametrize("seed", range(20))
def test_no_window_sees_more_arrivals_than_slots_whatever_the_latency(
    seed: int, database: Callable[[str], str]
) -> None:
    chance, clock = random.Random(seed), VirtualClock()
    store = Store.open(database("sqlite"), clock)
    schema.upgrade(store.database)
    limiter = Limiter(store.slots, settings(8, window=10.0), clock)
    limiter.prepare()
    arrivals: list[float] = []
    for _ in range(120):
        with limiter.slot(patience=100) as slot:
            assert slot is not None
            slot.use()
            before = clock.seconds
            clock.sleep(chance.choice([0.0, 0.001, chance.random() * 3]))
            arrivals.append(before + chance.random() * (clock.seconds - before))
        if chance.random() < 0.02:
            limiter.prepare()  # a restart
        clock.sleep(chance.choice([0.0, 0.0, chance.random() * 5]))
    store.close()

    assert most_in_a_window(arrivals, 10.0) <= 8


def test_real_threads_and_processes_worth_of_limiters_share_the_slots(store: Store) -> None:
    window, arrivals, lock = 0.5, [], threading.Lock()
    end = time.monotonic() + 2.2

    def work() -> None:
        limiter = Limiter(store.slots, settings(10, window=window), SystemClock())
        while time.monotonic() < end:
            with limiter.slot(patience=0.5) as slot:
                if slot is not None:
                    slot.use()
                    with lock:
                        arrivals.append(time.monotonic())
                    slot.end(answered=True)

    Limiter(store.slots, settings(10, window=window), SystemClock()).prepare()
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert most_in_a_window(arrivals, window) <= 10
    assert len(arrivals) >= 20  # at least two windows' worth: nobody starved everybody


def test_a_slot_that_a_crash_left_taken_comes_back_after_timeout_and_window(store: Store) -> None:
    store.slots.resize(1, timedelta(seconds=100), timedelta(seconds=10))
    hold = timedelta(seconds=60)

    taken = store.slots.take(hold, 0)
    wait = store.slots.take(hold, 0)

    assert isinstance(taken, Taken)
    assert isinstance(wait, timedelta)
    assert timedelta(seconds=55) < wait <= hold


def test_an_unused_slot_is_as_free_as_before(store: Store) -> None:
    store.slots.resize(1, timedelta(seconds=100), timedelta(seconds=10))
    limiter = Limiter(store.slots, settings(1), SystemClock())

    with limiter.slot() as slot:
        assert slot is not None

    with limiter.slot(patience=0) as again:
        assert again is not None
        again.use()
    with limiter.slot(patience=0) as third:
        assert third is None


def test_mass_work_leaves_the_last_slots_to_more_urgent_work(store: Store) -> None:
    limiter = Limiter(store.slots, settings(20), SystemClock())
    limiter.prepare()
    taken = 0
    while True:
        with limiter.slot(mass=True, patience=0) as slot:
            if slot is None:
                break
            slot.use()
            taken += 1

    assert taken == 18
    with limiter.slot(patience=0) as urgent:
        assert urgent is not None


@pytest.mark.parametrize(("before", "after"), [(5, 9), (9, 5), (4, 4)])
def test_the_number_of_slots_follows_the_configuration_and_keeps_what_rests(
    store: Store, before: int, after: int
) -> None:
    rest = timedelta(seconds=100)
    store.slots.resize(before, rest, rest)
    for _ in range(3):
        taken = store.slots.take(rest, 0)
        assert isinstance(taken, Taken)

    store.slots.resize(after, rest, rest)

    used, total = store.slots.in_use()
    # What was added rests too: a removed slot may have been in its place.
    assert (used, total) == (3 + max(0, after - before), after)


def test_lowering_and_raising_the_limit_grants_no_request_twice(store: Store) -> None:
    hold = timedelta(seconds=100)
    store.slots.resize(20, hold, hold)
    granted = 0
    for count in (20, 5, 20):
        store.slots.resize(count, hold, hold)
        while isinstance(store.slots.take(hold, 0), Taken):
            granted += 1

    assert granted == 20


def test_many_processes_may_make_the_slots_at_the_same_time(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    hold = timedelta(seconds=100)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: store.slots.resize(50, hold, hold), range(6)))

    assert store.slots.in_use()[1] == 50


def test_a_slot_that_was_held_too_long_before_its_request_may_not_be_used(store: Store) -> None:
    clock = VirtualClock()
    limiter = Limiter(store.slots, settings(1), clock)
    limiter.prepare()
    with limiter.slot() as slot:
        assert slot is not None
        clock.sleep(60)

        assert not slot.use()


def test_a_time_that_a_wrong_clock_left_is_brought_back(store: Store) -> None:
    from sqlalchemy import update

    from syncd.store.tables import slot

    store.slots.resize(1, timedelta(seconds=10), timedelta(seconds=10))
    with store.database.writing() as connection:
        connection.execute(update(slot).values(free_at=datetime(2999, 1, 1, tzinfo=UTC)))

    store.slots.resize(1, timedelta(seconds=10), timedelta(seconds=10))

    wait = store.slots.take(timedelta(seconds=10), 0)
    assert isinstance(wait, timedelta)
    assert wait <= timedelta(seconds=10)


def test_a_stop_ends_the_wait_for_a_slot(store: Store) -> None:
    clock = SystemClock()
    limiter = Limiter(store.slots, settings(1), clock)
    limiter.prepare()
    with limiter.slot() as slot:
        assert slot is not None
        slot.use()
        threading.Timer(0.1, clock.stop.set).start()
        begin = time.monotonic()

        with limiter.slot(patience=60) as second:
            assert second is None

    assert time.monotonic() - begin < 10
