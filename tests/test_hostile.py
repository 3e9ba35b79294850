"""Records that nobody would write by hand: each ends in a named cause or in a right request, and delays no other."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from syncd.causes import CAUSES
from syncd.datacite.answer import NoAnswer
from syncd.datacite.client import Client
from syncd.datacite.request import Put
from syncd.model import MANAGED_ATTRIBUTES, State
from tests.site import ATTRIBUTES, PREFIX, Site

CREATORS = [{"name": f"Person {number}"} for number in range(10_000)]
METADATA: dict[str, tuple[Any, set[str]]] = {
    # What it is, and in which causes it may end; an empty set: it is sent.
    "15 MB": ({"descriptions": [{"description": "x" * 15_000_000, "descriptionType": "Abstract"}]}, {"too_large"}),
    "NUL": ({"titles": [{"title": "a\0b"}]}, {"metadata_invalid"}),
    "a lone surrogate": ({"titles": [{"title": "a\ud800b"}]}, {"mapping_failed", "metadata_invalid"}),
    "ten thousand creators": ({"creators": CREATORS}, set()),
    "a number beyond 2^53": ({"titles": [{"title": 2**60}]}, {"mapping_failed", "metadata_invalid"}),
    "NaN": ({"publicationYear": float("nan")}, {"mapping_failed", "metadata_invalid"}),
    "infinity": ({"publicationYear": float("inf")}, {"mapping_failed", "metadata_invalid"}),
    "an empty mapping": (dict.fromkeys(ATTRIBUTES), {"metadata_invalid"}),
    "300 nested levels": ({"titles": json.loads("[" * 300 + "]" * 300)}, {"mapping_failed", "metadata_invalid"}),
    "a control character": ({"titles": [{"title": "a\x01b"}]}, {"metadata_invalid"}),
}  # fmt: skip
WRONG: list[Any] = [5, True, "text", [], {}, [5], ["text"], [None], [[]], [{"a": {"b": 1}}], {"a": [1]}]


def put(site: Site, number: int, metadata: str, doi: str | None = None) -> None:
    site.execute(
        "INSERT INTO record VALUES (:id, :doi, 'published', :url, :metadata, '2026-01-01 10:00:00')",
        id=number,
        doi=doi if doi is not None else f"{PREFIX}/r{number}",
        url=f"https://example.org/{number}",
        metadata=metadata,
    )


@pytest.mark.parametrize("name", METADATA)
def test_hostile_metadata_ends_in_a_cause_or_in_a_request_and_delays_nobody(site: Site, name: str) -> None:
    changes, causes = METADATA[name]
    put(site, 1, json.dumps({**ATTRIBUTES, **changes}))
    site.add(2)

    site.sync()

    row = site.row(1)
    assert (row["cause"] in causes) if causes else (row["bucket"] == "in_sync"), (row["cause"], row["message"])
    assert site.row(2)["bucket"] == "in_sync"


@pytest.mark.parametrize("attribute", [name for name in MANAGED_ATTRIBUTES if name != "url"])
def test_no_wrong_type_in_any_attribute_stops_the_others(site: Site, attribute: str) -> None:
    for number, value in enumerate(WRONG, start=2):
        put(site, number, json.dumps({**ATTRIBUTES, attribute: value}))
    site.add(1)

    report = site.sync()

    assert site.row(1)["bucket"] == "in_sync"
    for number in range(2, 2 + len(WRONG)):
        row = site.row(number)
        assert row["bucket"] == "in_sync" or row["cause"] in CAUSES, (WRONG[number - 2], row)
        assert row["cause"] not in ("crashed", "server_exception"), (WRONG[number - 2], row["message"])
    assert report.send.requests <= 1 + 2 * len(WRONG)


@pytest.mark.parametrize(
    "suffix",
    ["a//b", "a/", "a/metadata", "UPPER", "a%b", "a b", "a+b", "ä", "", "a\nb", "get-url", "a/media/b", "x" * 300,
     "a?b", "a#b", "..", "a/../b", "%2F"],
)  # fmt: skip
def test_hostile_names_are_sent_rightly_or_set_aside(site: Site, suffix: str) -> None:
    put(site, 1, json.dumps(ATTRIBUTES), doi=f"{PREFIX}/{suffix}")
    site.add(2)

    site.sync()

    stored = set(site.sandbox.application.world.dois)
    assert f"{PREFIX}/r2" in stored
    assert stored - {f"{PREFIX}/r2"} <= {f"{PREFIX}/{suffix}".lower()}
    found = site.store.reading.sum("DATACITE.DEMO")
    assert found.adds_up
    assert found.in_sync + found.quarantined == 2


@contextmanager
def dripping(part: bytes, every: float) -> Iterator[str]:
    """A peer that sends its answer a byte at a time."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            for number in range(len(part)):
                if over.wait(every):
                    return
                try:
                    peer.sendall(part[number : number + 1])
                except OSError:
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000],
    ids=["headers", "body"],
)
def test_a_peer_that_drips_its_answer_is_cut_off_in_time(answer: bytes) -> None:
    request = Put("10.5072/x", {}, None, True, frozenset({State.DRAFT}), {}, "new")
    begin = time.monotonic()
    with dripping(answer, 0.02) as address:
        client = Client(address, "DATACITE.DEMO", "demo", "", 1.0)
        outcome = client.write(request)
        client.close()

    assert isinstance(outcome, NoAnswer)
    assert outcome.sent
    assert time.monotonic() - begin < 3.0


def test_a_request_that_was_held_up_too_long_does_not_leave() -> None:
    with dripping(b"", 1.0) as address:
        client = Client(address, "DATACITE.DEMO", "demo", "", 1.0, monotonic=lambda: 100.0)
        outcome = client.write(Put("10.5072/x", {}, None, True, frozenset({State.DRAFT}), {}, "new"), leave_by=99.0)
        client.close()
        socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1]))).close()  # lets the peer end

    assert isinstance(outcome, NoAnswer)
    assert not outcome.sent


def test_a_mapping_that_raises_stops_only_its_record(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.platforms import mapping

    tidy: Callable[..., Any] = mapping.tidy

    def bad(attributes: Any) -> Any:
        if attributes.get("titles") == [{"title": "bad"}]:
            raise RecursionError("it loops")
        return tidy(attributes)

    monkeypatch.setattr(mapping, "tidy", bad)
    put(site, 1, json.dumps({**ATTRIBUTES, "titles": [{"title": "bad"}]}))
    site.add(2)

    site.sync()

    assert (site.row(1)["cause"], site.row(2)["bucket"]) == ("mapping_failed", "in_sync")
