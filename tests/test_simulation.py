"""The promises under everything that can go wrong at once, and programs with mistakes that must be found out.

Many more seeds are played by ``python -m tests.simulation``; here are a few, and for each planted mistake the first
seed that finds it. A seed's meaning changes with the program: when one here finds nothing any more, look for
another with ``python -m tests.simulation --mutants``.
"""

from collections.abc import Callable

import pytest

from tests.simulation.mutants import freeze_in_hand, much_arrives_late, planted
from tests.simulation.play import play
from tests.simulation.story import stage

SEEDS = range(24)
ENOUGH = 400
FOUND_BY = {
    "no_unsure_mark": 0,
    "no_grace_time": 41,
    "no_owner_check": 3,
    "slot_freed_when_taken": 49,
    "slot_forgets_late_arrivals": 10,
    "clock_steps_count": 72,
    "status_trusted_and_not_the_state": 8,
    "settled_without_comparing": 15,
    "refusal_repeated": 0,
    "not_read_again": 0,
    "lost_answer_counts_as_failure": 21,
    "row_sent_twice": 0,
    "watermark_without_overlap": 0,
    "claim_never_expires": 0,
    "removal_not_cleared": 0,
    "stub_taken_for_a_record": 8,
    "pauses_ignored": 16,
    "late_send_allowed": 3,
    "what_waits_for_a_scan_is_claimed_early": 131,
}


def test_no_promise_is_broken_whatever_goes_wrong() -> None:
    assert [(seed, found) for seed, found, _ in play(SEEDS) if found] == []


def test_a_seed_is_a_run_that_can_be_repeated() -> None:
    runs = []
    for _ in range(2):
        with stage() as one_stage:
            outcome = one_stage.play(7)
            runs.append([(one.at, one.process, one.doi, one.body, one.status) for one in outcome.network.arrivals])
            one_stage.clear(outcome)

    assert runs[0]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("name", FOUND_BY)
def test_a_program_with_a_mistake_is_found_out(name: str) -> None:
    """Begins at the seed that found it last: another transaction more or less in the program moves it."""
    first = FOUND_BY[name]

    with planted(name):
        found = next((seed for seed, broken, _ in play(range(first, first + ENOUGH)) if broken), None)

    assert found is not None
    assert [broken for _, broken, _ in play(range(found, found + 1))] == [[]]  # it is the mistake that is found


@pytest.mark.parametrize("aim", [freeze_in_hand, much_arrives_late])
def test_what_helps_to_find_a_mistake_is_none_itself(aim: Callable[[pytest.MonkeyPatch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        aim(patch)

        assert [(seed, found) for seed, found, _ in play(range(40)) if found] == []
