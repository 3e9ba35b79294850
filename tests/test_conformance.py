"""The sandbox answers as DataCite's own server code does, case by case."""

import json
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


def test_the_runner_works_against_a_server_that_has_no_control_interface(runner: Runner, monkeypatch: Any) -> None:
    from tests.conformance import __main__ as real

    world = {"accounts": {"x": {"id": "MEMBER.REPO", "password": "secret", "prefixes": ["10.5555"]}}}
    runner.send("PUT", "/_sandbox/world", {}, json.dumps(world).encode())
    monkeypatch.setattr(real, "_PAUSE_SECONDS", 0)
    base_url = f"http://{runner._address.netloc}"

    assert len(list(real.portable("MEMBER.REPO", "10.5555", "r"))) > 200
    assert real.main(base_url, "MEMBER.REPO", "10.5555", "secret") == 0
