"""Duties that come again: at their time, once at a time, whatever happens to the clock or to them."""

import itertools
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import apscheduler.schedulers.base
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from syncd import rota as rota_module
from syncd.clock import SystemClock
from syncd.pulse import Pulse, WatchedClock
from syncd.rota import Duty, Rota
from syncd.timetable import next_after, parse, rest_after, retry_after, seconds_until
from tests.daemons import until


@pytest.fixture
def rota() -> Iterator[Rota]:
    made = Rota(SystemClock(), {"one": 1, "many": 3})
    made.start()
    yield made
    made.end()


def test_a_duty_comes_again_when_it_said_so(rota: Rota) -> None:
    at: list[float] = []

    def work() -> float:
        at.append(time.monotonic())
        return 0.2

    rota.add(Duty("a", "one", work))

    until(lambda: len(at) >= 4, 5.0)
    assert all(0.2 <= after - before < 0.5 for before, after in itertools.pairwise(at))


def test_a_duty_that_raises_is_told_and_comes_again(rota: Rota) -> None:
    calls: list[int] = []

    def work() -> float:
        calls.append(1)
        raise ValueError("broken")

    with capture_logs() as logged:
        rota.add(Duty("a", "one", work))
        until(lambda: logged, 5.0)
        rota.wake("a")
        until(lambda: len(calls) == 2, 5.0)

    assert (logged[0]["event"], logged[0]["error"]) == ("duty.failed", "ValueError: broken")


def test_who_is_woken_at_work_works_once_more_and_never_twice_at_once(rota: Rota) -> None:
    running, most, calls = 0, 0, 0
    lock = threading.Lock()

    def work() -> float:
        nonlocal running, most, calls
        with lock:
            running, calls = running + 1, calls + 1
            most = max(most, running)
        time.sleep(0.1)
        with lock:
            running -= 1
        return 60.0

    rota.add(Duty("a", "many", work))
    until(lambda: running == 1, 5.0)
    for _ in range(20):
        rota.wake("a")

    until(lambda: calls == 2 and running == 0, 5.0)
    time.sleep(0.3)
    assert (calls, most) == (2, 1)


def test_a_turn_that_is_over_at_once_does_not_take_the_next_one_with_it(rota: Rota) -> None:
    turns = 0

    def work() -> float:
        nonlocal turns
        turns += 1
        return 0.0

    rota.add(Duty("a", "many", work))

    until(lambda: turns > 2000, 30.0)


def test_a_wake_is_never_lost_however_it_meets_the_end_of_a_turn(rota: Rota) -> None:
    asked = done = 0

    def work() -> float:
        nonlocal done
        done = asked  # everything that was asked for before this turn began
        return 60.0

    rota.add(Duty("a", "many", work))
    for number in range(1, 400):
        asked = number
        rota.wake("a")
        if number % 7 == 0:
            time.sleep(0.001)

    until(lambda: done == 399, 5.0)


def test_others_that_wait_for_a_thread_are_seen(rota: Rota) -> None:
    go = threading.Event()
    rota.add(Duty("a", "one", lambda: go.wait(5.0) and 60.0))
    time.sleep(0.2)
    assert not rota.crowded("one")
    rota.add(Duty("b", "one", lambda: 60.0))

    until(lambda: rota.crowded("one"), 5.0)
    rota.look()
    go.set()
    until(lambda: not rota.crowded("one"), 5.0)


class _Set(datetime):
    """The wall clock that somebody has set."""

    by = timedelta(0)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) + cls.by


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_is_set_by_an_hour_stops_nothing(
    hours: int, rota: Rota, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[float] = []

    def work() -> float:
        calls.append(time.monotonic())
        return 0.3

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", _Set)
    monkeypatch.setattr(rota_module, "datetime", _Set)
    monkeypatch.setattr(_Set, "by", timedelta(0))
    rota.add(Duty("a", "one", work))
    until(lambda: len(calls) >= 2, 5.0)
    monkeypatch.setattr(_Set, "by", timedelta(hours=hours))
    before = len(calls)

    def look() -> bool:
        rota.look()  # as the main thread does once a second
        return len(calls) >= before + 5

    until(look, 10.0)


def test_at_the_end_what_is_at_work_is_finished_and_nothing_begins_any_more() -> None:
    made = Rota(SystemClock(), {"one": 1})
    made.start()
    done: list[str] = []

    def work() -> float:
        time.sleep(0.3)
        done.append("done")
        return 0.0

    made.add(Duty("a", "one", work))
    time.sleep(0.15)
    made.end()

    assert done == ["done"]
    made.wake("a")
    time.sleep(0.2)
    assert done == ["done"]


def test_the_end_never_waits_for_a_turn_that_waits_for_it() -> None:
    for _ in range(150):
        made = Rota(SystemClock(), {"many": 8})
        made.start()
        for number in range(8):
            made.add(Duty(str(number), "many", lambda: 0.0))
        time.sleep(0.003)
        ended = threading.Thread(target=made.end, daemon=True)
        ended.start()
        ended.join(10.0)

        assert not ended.is_alive()


# Times.


@pytest.mark.parametrize(
    ("words", "after", "found"),
    [
        ("02:30", "2026-11-26 01:00", "2026-11-26 02:30"),
        ("02:30", "2026-11-26 02:30", "2026-11-27 02:30"),
        ("Sun 03:00", "2026-11-26 01:00", "2026-11-29 03:00"),
        ("sun 3:00", "2026-11-29 03:00", "2026-12-06 03:00"),
    ],
)
def test_the_next_time_of_words(words: str, after: str, found: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)

    assert next_after(words, moment) == datetime.fromisoformat(found).replace(tzinfo=UTC)


@pytest.mark.parametrize("words", ["25:00", "02:60", "Sunday 03:00", "", "02.30", "xyz 02:30"])
def test_words_that_are_no_time_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="looks like"):
        parse(words)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.sampled_from(["02:30", "Sun 03:00"]))  # noqa: DTZ001
def test_the_next_time_is_the_first_one_after_the_moment(moment: datetime, words: str) -> None:
    moment = moment.replace(tzinfo=UTC)
    found = next_after(words, moment)

    assert found is not None
    assert moment < found <= moment + timedelta(days=7 if " " in words else 1)
    assert next_after(words, found - timedelta(seconds=1)) == found


def test_what_was_missed_is_due_now_and_what_is_off_never() -> None:
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)

    assert seconds_until("02:30", now - timedelta(days=2), now) == 0
    assert seconds_until("02:30", now - timedelta(hours=1), now) == 14.5 * 3600
    assert seconds_until("02:30", now + timedelta(days=300), now) == 14.5 * 3600  # the clock was wrong then
    assert seconds_until("off", now, now) is None


def test_who_asks_all_the_time_is_told_once_that_it_is_time() -> None:
    began = datetime(2026, 11, 26, 1, tzinfo=UTC)
    asked = [seconds_until("02:30", began, began + timedelta(minutes=minute)) for minute in range(0, 200, 7)]

    assert asked[0] == 5400
    assert all(wait == 0 for wait in asked[13:])


def test_reading_everything_takes_a_tenth_of_the_time_at_most() -> None:
    assert rest_after(0.5, 30.0) == 30.0
    assert rest_after(60.0, 30.0) == 600.0


def test_failures_are_repeated_ever_more_seldom_up_to_five_minutes() -> None:
    assert [retry_after(number) for number in (1, 2, 3, 7, 1000)] == [5.0, 10.0, 20.0, 300.0, 300.0]


# Signs of life.


def test_the_most_silent_thread_is_known_and_who_waits_or_sleeps_on_purpose_is_not_silent() -> None:
    now = 0.0
    pulse = Pulse(lambda: now)
    assert pulse.longest() is None
    with pulse.working("a"):
        now = 10.0
        found = pulse.longest()
        assert found is not None
        assert (found.what, found.seconds) == ("a", 10.0)
        pulse.beat(ahead=50.0)
        now = 55.0
        found = pulse.longest()
        assert found is not None
        assert found.seconds == 0.0
        with pulse.waiting():
            assert pulse.longest() is None
    assert pulse.longest() is None


def test_a_clock_that_is_watched_wakes_its_sleepers_at_the_stop() -> None:
    clock = WatchedClock()
    threading.Timer(0.1, clock.stop.set).start()
    began = time.monotonic()

    with clock.pulse.working("a"):
        assert clock.sleep(30.0)
    assert time.monotonic() - began < 5.0
