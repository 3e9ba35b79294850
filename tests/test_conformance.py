"""The sandbox answers as DataCite's own server code does, case by case."""

from collections.abc import Iterator
from typing import Any

import pytest

from syncd.sandbox.firewall import Firewall
from syncd.sandbox.server import RunningSandbox, Sandbox
from tests.conformance.runner import Runner, cases


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    running = RunningSandbox(Sandbox(firewall=Firewall(limit=10**9)))
    with running.in_background():
        yield Runner(running.address)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_case(case: dict[str, Any], runner: Runner) -> None:
    runner.run(case)
