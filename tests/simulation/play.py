"""Plays seeds and has them judged."""

import gc
import logging
from collections.abc import Iterator

import structlog

from tests.simulation.promises import broken
from tests.simulation.story import stage

_SEEDS_BETWEEN_COLLECTIONS = 25


def silence() -> None:
    """No log lines: a seed that is worth reading is played again."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def play(seeds: range) -> Iterator[tuple[int, list[str], int]]:
    """Each seed with what it broke and how many requests it took."""
    silence()
    gc.disable()  # a third of the time would go into looking for garbage among greenlets' frames
    with stage() as one_stage:
        for seed in seeds:
            if seed % _SEEDS_BETWEEN_COLLECTIONS == 0:
                gc.collect()
            try:
                outcome = one_stage.play(seed)
            except Exception as error:
                error.add_note(f"in seed {seed}: python -m tests.simulation --seeds 1 --first {seed}")
                raise
            found = broken(outcome)
            requests = len(outcome.network.arrivals)
            one_stage.clear(outcome)
            yield seed, found, requests


def share(seeds: range) -> list[tuple[int, list[str], int]]:
    return list(play(seeds))
