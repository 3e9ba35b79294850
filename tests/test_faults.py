"""The table of faults: for each what it is called, whom it stops, how much it costs in a month, and that it ends.

A month of virtual time with one record under the fault and one beside it. Troubles of the host are tried for three
hours here, and for the whole month by ``python -m tests.test_faults``, which prints the table.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from syncd.causes import CAUSES
from syncd.sandbox.http import Request, Response, error, json_response
from tests.simulation.network import Lost
from tests.simulation.play import silence
from tests.simulation.story import PREFIX
from tests.simulation.trial import DAY, Fate, Trial, trial

OURS = {"X-Credential-Username": "datacite.demo"}
HTML = {"Content-Type": "text/html"}


def always(response: Response) -> Fate:
    return lambda _request: Response(response.status, response.body, dict(response.headers))


def lost(words: str, *, sent: bool) -> Fate:
    def fate(_request: Request) -> Response | None:
        raise Lost(words, sent=sent)

    return fate


def for_one(fate: Fate) -> Fate:
    return lambda request: fate(request) if request.path.endswith("/r1") else None


def stored(**changes: object) -> Fate:
    """A success with a body that is not quite right."""

    def fate(request: Request) -> Response:
        sent = json.loads(request.body)["data"]["attributes"] if request.body else {}
        name = request.path.removeprefix("/dois/")
        attributes = {**sent, "doi": name, "state": "findable", "registered": "2026-03-01T08:00:00.000Z", **changes}
        return json_response(200, {"data": {"id": name, "attributes": attributes}}, OURS)

    return fate


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        scope: Whom it stops: ``record``, ``account`` or ``host``.
        cause: What it is called, in failures or in pauses.
        bucket: Where the record stands meanwhile.
        most: How many requests it may cost in 30 days (a host's trouble: in three hours; see ``_in_a_month``).
    """

    name: str
    fate: Fate
    scope: str
    cause: str
    bucket: str
    most: int


def _record(name: str, fate: Fate, cause: str, bucket: str, most: int) -> Fault:
    return Fault(name, for_one(fate), "record", cause, bucket, most)


def _host(name: str, fate: Fate, cause: str, most: int = 140) -> Fault:
    return Fault(name, fate, "host", cause, "pending", most)


QUIET = {"errors": [{"source": "titles", "title": "Is invalid"}]}
FAULTS = [
    # DataCite refuses this record.
    _record("422 with a source", always(json_response(422, QUIET, OURS)), "refused", "quarantined", 1),
    _record("422 without a source", always(error(422, "param is missing", OURS)), "refused", "quarantined", 1),
    _record("400 in JSON", always(error(400, "unexpected token")), "refused", "quarantined", 1),
    _record("403 in JSON: the prefix or the DOI belongs to another account",
            always(error(403, "You are not authorized to access this resource.")), "forbidden", "quarantined", 1),
    _record("405", always(error(405, "Method not allowed", OURS)), "refused", "quarantined", 1),
    _record("413 from the proxy, in HTML", always(Response(413, b"<html>too large</html>", HTML)),
            "too_large", "quarantined", 1),
    _record("500 in the form that a wrong value makes",
            always(Response(500, b'{"status":400,"title":"no implicit conversion"}')), "server_exception",
            "quarantined", 1),
    _record("success in another state", stored(state="draft"), "state_not_reached", "quarantined", 3),
    _record("success with something else stored", stored(titles=[{"title": "Another"}]), "stored_differently",
            "quarantined", 3),
    # It may get better by itself.
    _record("stored but it does not resolve", stored(registered=None), "not_resolving", "pending", 70),
    _record("409", always(error(409, "The resource already exists.")), "conflict", "quarantined", 3),
    _record("500 for one record only", always(error(500, "Internal error")), "server_error", "pending", 70),
    _record("no answer for one record only", lost("timed out", sent=True), "no_answer", "pending", 70),
    # The account.
    Fault("401", always(error(401, "Bad credentials.")), "account", "credentials", "pending", 140),
    Fault("404 on an upsert: a wrong password", always(error(404, "The resource you are looking for doesn't exist.")),
          "account", "credentials", "pending", 140),
    Fault("success without the identity header", lambda request: _nameless(request), "account", "credentials",
          "pending", 140),
    # The host.
    _host("429 in JSON", always(json_response(429, {"message": "too many"})), "throttled", 20),
    _host("429 with Retry-After in seconds", always(Response(429, b"", {"Retry-After": "120"})), "throttled", 20),
    _host("429 with Retry-After as a date",
          always(Response(429, b"", {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"})), "throttled", 20),
    _host("429 with a senseless Retry-After", always(Response(429, b"", {"Retry-After": "-soon"})), "throttled", 20),
    _host("429 with an enormous Retry-After", always(Response(429, b"", {"Retry-After": "9" * 30})), "throttled", 20),
    _host("403 in the test system's style", always(json_response(403, {"message": "rate limit exceeded"})),
          "throttled", 20),
    _host("403 in HTML", always(Response(403, b"<html>Forbidden</html>", HTML)), "throttled", 20),
    _host("502 in HTML", always(Response(502, b"<html>bad gateway</html>", HTML)), "server_error"),
    _host("503", always(Response(503, b"")), "server_error"),
    _host("503 with Retry-After", always(Response(503, b"", {"Retry-After": "600"})), "server_error", 20),
    _host("504", always(Response(504, b"<html>gateway timeout</html>", HTML)), "server_error"),
    _host("a redirect", always(Response(302, b"", {"Location": "https://login.example.org/"})), "bad_answer"),
    _host("a captive portal", always(Response(200, b"<html>Please log in</html>", HTML)), "bad_answer"),
    _host("cut off JSON", always(Response(200, b'{"data": {"id": "10.50')), "bad_answer"),
    _host("JSON of somebody else", always(json_response(200, {"ok": True})), "bad_answer"),
    _host("an answer about another DOI", stored(doi="10.5072/other"), "bad_answer"),
    _host("407 of a proxy", always(Response(407, b"<html>proxy</html>", HTML)), "bad_answer"),
    _host("connection refused", lost("ConnectError: connection refused", sent=False), "unreachable"),
    _host("no such host", lost("ConnectError: name not known", sent=False), "unreachable"),
    _host("TLS name mismatch", lost("ConnectError: certificate is not valid for", sent=False), "unreachable"),
    _host("no answer at all", lost("ReadTimeout", sent=True), "no_answer"),
    _host("reset", lost("ReadError: connection reset by peer", sent=True), "no_answer"),
]  # fmt: skip


def _nameless(request: Request) -> Response:
    response = stored()(request)
    assert response is not None
    del response.headers["X-Credential-Username"]
    return response


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    silence()
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_has_a_name_a_cost_and_an_end(fault: Fault, tmp_path: Path) -> None:
    cost = _suffered(fault, tmp_path, 3 * 3600.0 if fault.scope == "host" else 30 * DAY)

    assert 1 <= cost <= fault.most


def _suffered(fault: Fault, folder: Path, seconds: float) -> int:
    """How many requests the fault costs in so long a time; everything else that it must not do is asserted."""
    with trial(folder) as one:
        one.fate = fault.fate
        cost = one.live(seconds) - (fault.scope == "record")  # the record beside it costs one

        row, beside = one.row(1), one.row(2)
        assert CAUSES[fault.cause].action
        assert row["bucket"] == fault.bucket
        if fault.scope == "record":
            assert (row["cause"], one.paused()) == (fault.cause, {})
            assert beside["bucket"] == "in_sync"
        else:
            scope = "host" if fault.scope == "host" else "DATACITE.DEMO"
            assert one.paused() == {scope: fault.cause}
            assert (row["cause"], beside["cause"]) == (None, None)  # nobody's record is to blame

        one.fate = lambda _request: None
        if fault.bucket == "quarantined":
            one.put(1, titles=[{"title": "Corrected"}])
        one.live(2 * DAY)
        assert (one.row(1)["bucket"], one.row(2)["bucket"], one.paused()) == ("in_sync", "in_sync", {})
    return cost


def _deactivated(one: Trial) -> None:
    one.sandbox.world.accounts["demo"].active = False


def _activated(one: Trial) -> None:
    one.sandbox.world.accounts["demo"].active = True


def _prefix_moved(one: Trial) -> None:
    world = one.sandbox.world
    world.accounts["demo"].prefixes.remove(PREFIX)


def _prefix_back(one: Trial) -> None:
    one.sandbox.world.accounts["demo"].prefixes.append(PREFIX)


@pytest.mark.parametrize(
    ("begin", "end"), [(_deactivated, _activated), (_prefix_moved, _prefix_back)], ids=["deactivated", "prefix moved"]
)
def test_an_account_that_may_write_nothing_is_paused_and_not_asked_for_every_record(
    begin: Callable[[Trial], None], end: Callable[[Trial], None], tmp_path: Path
) -> None:
    with trial(tmp_path) as one:
        for number in range(3, 400):
            one.put(number)
        begin(one)

        requests = one.live(30 * DAY)

        assert one.paused() == {"DATACITE.DEMO": "account_refused"}
        (failed,) = one.process.store.reading.failures("DATACITE.DEMO")
        assert failed.cause == "forbidden"
        assert failed.count <= 10 + 2 + 130  # until it is clear, then ever more seldom, at last every six hours
        assert requests <= 2 * failed.count  # and DataCite is asked how the account is

        end(one)
        one.process.store.orders.retry("DATACITE.DEMO", cause="forbidden")
        one.live(DAY)
        assert (one.sum().in_sync, one.paused()) == (399, {})


def test_many_dois_that_went_to_another_account_do_not_pause_an_account_that_is_well(tmp_path: Path) -> None:
    with trial(tmp_path) as one:
        for number in range(3, 100):
            one.put(number)
        one.fate = lambda request: error(403, "no") if request.method == "PUT" and "r9" not in request.path else None

        requests = one.live(DAY)

        assert one.paused() == {}
        found = one.sum()
        assert (found.in_sync, found.quarantined) == (11, 88)
        assert 99 < requests <= 99 + 9  # and every tenth refusal asks once how the account is


def test_a_few_forbidden_records_among_others_do_not_pause_the_account(tmp_path: Path) -> None:
    with trial(tmp_path) as one:
        for number in range(3, 100):
            one.put(number)
        one.fate = lambda request: error(403, "no") if request.path.endswith(("7", "8", "9")) else None

        one.live(DAY)

        assert one.paused() == {}
        assert (one.sum().in_sync, one.sum().quarantined) == (69, 30)


def test_an_hour_of_outage_with_ten_thousand_pending_costs_a_request_a_minute_and_no_herd_follows(
    tmp_path: Path,
) -> None:
    slots, count = 300, 10_000
    with trial(tmp_path, slots=slots) as one:
        for number in range(3, count + 1):
            one.put(number)
        one.fate = always(Response(503, b""))
        requests = one.live(3600.0)
        failed = one.process.store.reading.failures("DATACITE.DEMO")

        begin = one.time.now
        one.fate = lambda _request: None
        one.live(65.0)
        first = min(arrival.at for arrival in one.network.arrivals)
        one.live(900.0)

        assert requests <= 60
        assert failed == []
        assert one.sum().pending + one.sum().in_sync == count
        assert first - begin <= 61.0
        assert one.sandbox.firewall.max_in_window <= slots
        assert len(one.network.arrivals) >= 3 * slots  # and the rate is used


def test_the_table_is_long_enough() -> None:
    assert len(FAULTS) >= 30
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def _in_a_month(fault: Fault) -> int:
    """The most requests in 30 days: two hours of one a minute, then one every five, or one every 10 if asked for."""
    if fault.scope != "host":
        return fault.most
    return 120 + 30 * 288 if fault.most > 20 else 30 * 144


def main() -> int:
    """Print the table, each fault suffered for 30 virtual days."""
    silence()
    too_many = 0
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            cost = _suffered(fault, Path(folder), 30 * DAY)
        too_many += cost > _in_a_month(fault)
        sys.stdout.write(f"{fault.name} | {fault.scope} | {fault.cause} | {fault.bucket} | {cost}\n")
        sys.stdout.flush()
    return too_many


if __name__ == "__main__":
    sys.exit(main())
