"""Real ``syncd`` processes, SIGKILL at random moments, on both kinds of state database."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.killing import rounds

ROUNDS = 50 if os.environ.get("CI") else 10


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_is_lost_or_done_twice_by_processes_that_are_killed(
    kind: str, tmp_path: Path, database: Callable[[str], str]
) -> None:
    killed, found = rounds(ROUNDS, database(kind), tmp_path)

    assert found == []
    assert killed > ROUNDS / 2
