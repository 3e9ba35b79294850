"""The sandbox's own promises: control, faults, firewall."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from syncd.sandbox import writes
from syncd.sandbox.api import Api
from syncd.sandbox.control import describe
from syncd.sandbox.firewall import STYLES, Firewall
from syncd.sandbox.http import Request
from syncd.sandbox.server import RunningSandbox, Sandbox
from syncd.sandbox.world import World
from tests.conformance.runner import Reply, Runner
from tests.site import ATTRIBUTES

BASIC = {"Authorization": "Basic REFUQUNJVEUuREVNTzpkZW1v", "Content-Type": "application/vnd.api+json"}


def put(sandbox: RunningSandbox, doi: str, **attributes: Any) -> Reply:
    body = json.dumps({"data": {"attributes": attributes}}).encode()
    return Runner(sandbox.address).send("PUT", f"/dois/{doi}", BASIC, body)


def fault(sandbox: RunningSandbox, kind: str, **rule: Any) -> None:
    rules = json.dumps([{"match": {"method": "PUT"}, "count": 1, "kind": kind, **rule}]).encode()
    assert Runner(sandbox.address).send("PUT", "/_sandbox/faults", {}, rules).status == 200


@pytest.mark.parametrize(("kind", "committed"), [("reset", False), ("reset-after-commit", True), ("truncate", True)])
def test_a_broken_connection_leaves_the_doi_as_its_kind_says(
    sandbox: RunningSandbox, kind: str, committed: bool
) -> None:
    fault(sandbox, kind)

    with pytest.raises((ConnectionError, OSError, Exception)):
        put(sandbox, "10.5072/x", url="https://example.org/")

    assert ("10.5072/x" in sandbox.application.world.dois) == committed
    assert put(sandbox, "10.5072/x").status == (200 if committed else 201)


@pytest.mark.parametrize(
    ("kind", "rule", "status", "body"),
    [
        ("status", {"status": 502}, 502, "ordered"),
        ("garbage", {}, 200, '{"data": {"id"'),
        ("html-403", {}, 403, "<html>"),
        ("retry-after", {"seconds": 7}, 429, "Too many"),
    ],
)
def test_a_fault_answers_in_the_place_of_the_server(
    sandbox: RunningSandbox, kind: str, rule: dict[str, Any], status: int, body: str
) -> None:
    fault(sandbox, kind, **rule)

    reply = put(sandbox, "10.5072/x")

    assert reply.status == status
    assert body in (reply.body if isinstance(reply.body, str) else json.dumps(reply.body))
    assert sandbox.application.world.dois == {}
    assert reply.headers.get("retry-after") == (str(rule["seconds"]) if kind == "retry-after" else None)


def test_the_firewall_lets_the_last_request_of_a_window_pass_and_refuses_the_next() -> None:
    firewall = Firewall(limit=3000, window=300.0)
    request = Request("GET", "/dois/10.1/x", {})

    passed = [firewall.refusal(request, second * 0.05, accepted=True) is None for second in range(3000)]

    assert all(passed)
    refused = firewall.refusal(request, 299.99, accepted=True)
    assert refused is not None
    assert refused.status == 429
    assert firewall.max_in_window == 3001


def test_a_body_over_ten_megabytes_meets_the_proxy(sandbox: RunningSandbox) -> None:
    reply = put(sandbox, "10.5072/x", descriptions=[{"description": "x" * (10 * 1024 * 1024 + 1)}])

    assert reply.status == 413
    assert "html" in str(reply.body)


def test_a_world_that_was_read_out_can_be_put_back(sandbox: RunningSandbox) -> None:
    put(sandbox, "10.5072/a", **ATTRIBUTES, url="https://example.org/a", event="publish")
    put(sandbox, "10.5072/b", titles=[{"title": "draft"}])
    runner = Runner(sandbox.address)
    world = runner.send("GET", "/_sandbox/world", {}, b"").body

    runner.send("PUT", "/_sandbox/world", {}, json.dumps(world).encode())

    assert runner.send("GET", "/_sandbox/world", {}, b"").body == world
    assert {doi: one.state for doi, one in sandbox.application.world.dois.items()} == {
        "10.5072/a": "findable",
        "10.5072/b": "draft",
    }
    assert runner.send("GET", "/_sandbox/requests", {}, b"").body["requests"] == []


def test_requests_are_listed_with_what_an_operator_asks(sandbox: RunningSandbox) -> None:
    put(sandbox, "10.5072/a")

    body = Runner(sandbox.address).send("GET", "/_sandbox/requests", {}, b"").body

    (request,) = body["requests"]
    assert (request["method"], request["path"], request["account"]) == ("PUT", "/dois/10.5072/a", "datacite.demo")
    assert (request["status"], body["max_in_window"]) == (201, 1)
    assert request["bytes"] > 10


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"accounts": {"a": {}}}', b'[{"kind": "nonsense"}]', b""])
@pytest.mark.parametrize("target", ["world", "faults"])
def test_a_wrong_control_request_is_refused(sandbox: RunningSandbox, target: str, body: bytes) -> None:
    if (target, body) == ("faults", b"[]"):
        return  # no faults: that is right
    assert Runner(sandbox.address).send("PUT", f"/_sandbox/{target}", {}, body).status == 400


def test_the_command_prints_its_address_and_ends_on_a_signal() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "syncd", "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    match = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert match is not None
    with urllib.request.urlopen(f"{match[0]}/heartbeat", timeout=10) as answer:
        assert answer.read() == b"OK"
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) in (0, -signal.SIGTERM)
    process.stdout.close()


def test_it_does_not_listen_beyond_loopback_unless_told_twice() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "sandbox", "--port", "0", "--host", "0.0.0.0"],  # noqa: S104
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 2
    assert "--expose" in done.stderr


def test_a_port_in_use_is_explained() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "syncd", "sandbox", "--port", port], capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip

    assert done.returncode == 2
    assert "--port 0" in done.stderr


def test_describing_needs_no_server() -> None:
    assert describe(Sandbox().world)["dois"] == []


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("accepted", "agent", "limit"), [(True, "x", 3000), (False, "x (mailto:a@example.org)", 1000), (False, "x", 500)]
)
def test_each_tier_has_its_limit_and_each_style_its_refusal(style: str, accepted: bool, agent: str, limit: int) -> None:
    firewall = Firewall(style=style)
    request = Request("GET", "/dois/10.1/x", {"user-agent": agent})

    answers = [firewall.refusal(request, number * 0.001, accepted=accepted) for number in range(limit + 1)]

    assert all(answer is None for answer in answers[:limit])
    refused = answers[limit]
    assert refused is not None
    assert refused.status == (429 if style == "429" else 403)
    assert refused.headers["Content-Type"].startswith("text/html" if style == "html" else "application/json")
    # The window slides: what is refused counts too, and the first place is free after 300 s.
    assert firewall.refusal(request, 300.0005, accepted=accepted) is not None
    assert firewall.refusal(request, 300.0005 + 300, accepted=accepted) is None


def test_addresses_and_tiers_are_counted_apart_and_all_arrivals_together() -> None:
    firewall = Firewall(limit=6, window=10)
    for number in range(6):
        one = Request("GET", "/dois/10.1/x", {}, address=f"10.0.0.{number}")
        assert firewall.refusal(one, 0.0, accepted=False) is None
        assert firewall.refusal(one, 0.0, accepted=True) is None

    assert firewall.max_in_window == 12


def test_in_real_time_the_window_slides_too(sandbox: RunningSandbox) -> None:
    sandbox.application.firewall.limit, sandbox.application.firewall.window = 20, 0.5
    deadline = time.monotonic() + 1.5
    statuses = []
    while time.monotonic() < deadline:
        statuses.append(put(sandbox, "10.5072/x").status)

    assert statuses[:20] == [201] + [200] * 19
    assert 429 in statuses


def test_lists_know_of_a_change_only_after_the_lag() -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime(2026, 1, 1, tzinfo=UTC)
    world = World(clock=lambda: now)
    world.index_lag = 5
    api = Api(world)
    account = world.accounts["demo"]
    assert writes.give(api.world, account, {"doi": "10.5072/a"}) == []
    headers = {"authorization": BASIC["Authorization"]}
    listing = Request("GET", "/dois?disable-facets=true", headers)

    def total() -> int:
        return int(json.loads(api.answer(listing).body)["meta"]["total"])

    assert total() == 0
    assert api.answer(Request("GET", "/dois/10.5072/a", headers)).status == 200
    now += timedelta(seconds=6)
    assert total() == 1
    assert api.answer(Request("DELETE", "/dois/10.5072/a", headers)).status == 204
    assert total() == 1
    now += timedelta(seconds=6)
    assert total() == 0


def test_a_cursor_walks_over_everything_once_with_one_empty_page_at_an_exact_multiple() -> None:
    world = World()
    api = Api(world)
    for number in range(20):
        assert writes.give(api.world, world.accounts["demo"], {"doi": f"10.5072/{number:02d}"}) == []
    headers = {"authorization": BASIC["Authorization"], "host": "sandbox"}
    target, pages = "/dois?page[cursor]=1&page[size]=5&client-id=datacite.demo&state=draft&disable-facets=true", []
    while target:
        document = json.loads(api.answer(Request("GET", target, headers)).body)
        pages.append([one["id"] for one in document["data"]])
        link = document["links"].get("next", "")
        target = link.removeprefix("http://sandbox")
        assert "state" not in link  # the next link forgets this filter

    assert [len(page) for page in pages] == [5, 5, 5, 5, 0]
    assert sorted(doi for page in pages for doi in page) == sorted(f"10.5072/{number:02d}" for number in range(20))


def test_a_doi_whose_handle_is_not_registered_is_findable_and_does_not_resolve(sandbox: RunningSandbox) -> None:
    fault(sandbox, "handle", seconds=0)

    first = put(sandbox, "10.5072/x", **ATTRIBUTES, url="https://example.org/", event="publish").body
    second = put(sandbox, "10.5072/x").body

    assert (first["data"]["attributes"]["state"], first["data"]["attributes"]["registered"]) == ("findable", None)
    assert second["data"]["attributes"]["registered"] is not None


def test_a_token_is_as_good_as_a_password_and_a_wrong_password_gets_none(sandbox: RunningSandbox) -> None:
    runner = Runner(sandbox.address)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    wanted = b"grant_type=password&username=datacite.demo&password="

    refused = runner.send("POST", "/token", form, wanted + b"wrong")
    token = runner.send("POST", "/token", form, wanted + b"demo").body["access_token"]

    assert (refused.status, refused.body["errors"][0]["title"]) == (400, "Wrong account ID or password.")
    bearer = {"Authorization": f"Bearer {token}"}
    client = runner.send("GET", "/clients/DATACITE.DEMO", bearer, b"")
    assert client.headers["x-credential-username"] == "datacite.demo"
    assert client.body["data"]["attributes"]["isActive"] is True
    assert runner.send("GET", "/prefixes?client-id=datacite.demo", bearer, b"").body["data"][0]["id"] == "10.5072"


def test_the_page_for_people_escapes_what_it_shows(sandbox: RunningSandbox) -> None:
    put(sandbox, "10.5072/x", titles=[{"title": "<script>alert(1)</script>"}])

    reply = Runner(sandbox.address).send("GET", "/_sandbox/", {}, b"")

    assert reply.status == 200
    assert "&lt;script&gt;" in reply.body
    assert "<script>" not in reply.body
    assert "1 DOIs" in reply.body


def test_latency_comes_before_the_answer_and_the_doi_is_stored(sandbox: RunningSandbox) -> None:
    fault(sandbox, "latency", seconds=0.3)
    begin = time.monotonic()

    assert put(sandbox, "10.5072/x").status == 201

    assert time.monotonic() - begin >= 0.3
    assert "10.5072/x" in sandbox.application.world.dois


def test_a_request_that_hangs_is_never_answered_and_nothing_is_stored(sandbox: RunningSandbox) -> None:
    import http.client

    fault(sandbox, "hang", seconds=1.5)
    connection = http.client.HTTPConnection(sandbox.address.removeprefix("http://"), timeout=0.4)

    connection.request("PUT", "/dois/10.5072/x", b'{"data": {"attributes": {"url": "https://e.org"}}}', BASIC)
    with pytest.raises(TimeoutError):
        connection.getresponse()

    connection.close()
    assert sandbox.application.world.dois == {}
    assert put(sandbox, "10.5072/x").status == 201


def test_faults_with_a_probability_are_the_same_for_the_same_seed() -> None:
    from syncd.sandbox.faults import Faults

    request = Request("GET", "/dois/10.1/x", {})

    def run(seed: int) -> list[bool]:
        faults = Faults()
        faults.replace([{"kind": "status", "probability": 0.5}], seed)
        return [faults.next(request) is not None for _ in range(64)]

    assert run(1) == run(1) != run(2)
    assert 10 < sum(run(1)) < 54
