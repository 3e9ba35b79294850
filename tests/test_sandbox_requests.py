"""The sandbox under requests that nobody here chose: random ones, and another project's client."""

import copy
import json
import random
from typing import Any

import pytest

from syncd.sandbox.api import Api
from syncd.sandbox.http import Request, Response
from syncd.sandbox.server import RunningSandbox
from syncd.sandbox.world import Account, World
from tests.site import ATTRIBUTES

REQUESTS = 6000
OWN, OTHER = "Basic REFUQUNJVEUuREVNTzpkZW1v", "Basic REFUQUNJVEUuT1RIRVI6b3RoZXI="
JUNK: list[Any] = [
    None, "", "text", 0, -1, 1.5, 10**20, True, [], {}, [None], [[]], ["a"], [{}], {"a": 1}, "10.5072/x", "\u0000",
    "😀" * 300,
    [{"title": None}], {"name": []}, [{"nameIdentifiers": "x", "affiliation": "y"}], "2024-13-45", "http://x",
    "x" * 3000,
]  # fmt: skip
NAMES = [
    *ATTRIBUTES, "url", "event", "doi", "prefix", "subjects", "contributors", "dates", "language", "identifiers",
    "alternateIdentifiers", "relatedIdentifiers", "relatedItems", "sizes", "formats", "version", "rightsList",
    "descriptions", "geoLocations", "fundingReferences", "container", "contentUrl", "schemaVersion", "reason", "mode",
    "landingPage", "should_validate", "state", "client", "xml", "unknown",
]  # fmt: skip
EVENTS = ["publish", "register", "hide", "show", "draft", None, 7]
DOIS = ["10.5072/a", "10.5072/B", "10.5072/c%2Fd", "10.1234/e", "10.9999/f", "xyz", "10.5072/g+h", ""]
PATHS = [
    "/dois", "/dois", "/dois/validate", "/nowhere", "/dois/random?prefix=10.5072", "/clients/datacite.demo",
    "/prefixes", "/heartbeat",
]  # fmt: skip
QUERIES = [
    "page[size]=2", "page[cursor]=1", "page[number]=9", "state=draft", "query=a", "random=true", "sort=name",
    "fields[dois]=doi", "query=%22", "ids=10.5072/a", "page[cursor]=%FF", "page[size]=x",
]  # fmt: skip
ALLOWED = {
    ("absent", "draft"), ("absent", "registered"), ("absent", "findable"), ("draft", "absent"), ("draft", "registered"),
    ("draft", "findable"), ("registered", "findable"), ("findable", "registered"),
}  # fmt: skip


def test_thousands_of_random_requests_get_an_answer_that_datacite_could_give() -> None:
    chance = random.Random(20261122)
    world = World({
        "demo": Account("demo", "DATACITE.DEMO", "demo", ["10.5072"]),
        "other": Account("other", "DATACITE.OTHER", "other", ["10.1234"], domains="example.org"),
    })  # fmt: skip
    api = Api(world)
    statuses: dict[int, int] = {}
    for number in range(REQUESTS):
        request = _random_request(chance)
        before = {doi: one.state for doi, one in world.dois.items()}
        kept = copy.copy(world.dois)

        response = api.answer(request)

        _check_shape(request, response)
        _check_states(before, {doi: one.state for doi, one in world.dois.items()})
        if response.status >= 400:
            assert world.dois == kept, (number, request)  # a refused request stores nothing
        statuses[response.status] = statuses.get(response.status, 0) + 1

    assert {200, 201, 204, 400, 401, 403, 404, 405, 422, 500} <= set(statuses)
    assert statuses[500] < REQUESTS / 10


def _random_request(chance: random.Random) -> Request:
    doi = chance.choice(DOIS)
    path = chance.choice([f"/dois/{doi}"] * 8 + [f"/dois/{doi}/get-url", *PATHS])
    if path == "/dois" and chance.random() < 0.5:
        path += "?" + "&".join(chance.sample(QUERIES, 3))
    elif chance.random() < 0.3:
        path += "?affiliation=true&publisher=true"
    method = chance.choice(["GET", "PUT", "PUT", "PUT", "PATCH", "POST", "DELETE", "HEAD"])
    headers = {"authorization": chance.choice([OWN] * 6 + [OTHER, "Basic eDp5", "Bearer x", "Basic !!", ""])}
    headers["content-type"] = chance.choice(["application/vnd.api+json"] * 9 + ["text/plain"])
    return Request(method, path, headers, _random_body(chance))


def _random_body(chance: random.Random) -> bytes:
    attributes: dict[str, Any] = copy.deepcopy(ATTRIBUTES) if chance.random() < 0.7 else {}
    if chance.random() < 0.8:
        attributes["url"] = "https://example.org/x"
    if chance.random() < 0.6:
        attributes["event"] = chance.choice(EVENTS)
    if chance.random() < 0.5:
        attributes["schemaVersion"] = chance.choice(
            ["http://datacite.org/schema/kernel-4", "http://datacite.org/schema/kernel-3"]
        )
    if chance.random() < 0.5:
        attributes["doi"] = chance.choice(["10.5072/a", "10.5072/new", "10.1234/e", "https://doi.org/10.5072/a"])
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        attributes[chance.choice(NAMES)] = chance.choice(JUNK)
    data: Any = {"type": "dois", "attributes": attributes}
    if chance.random() < 0.05:
        data = chance.choice(JUNK)
    document: Any = {"data": data} if chance.random() < 0.97 else chance.choice(JUNK)
    body = json.dumps(document).encode()
    return body if chance.random() < 0.97 else body[: chance.randrange(len(body) + 1)]


def _check_shape(request: Request, response: Response) -> None:
    where = f"{request} -> {response}"
    if response.status == 204:
        assert response.body == b"", where
        return
    if request.path == "/heartbeat" and response.status == 200:
        return
    if request.method == "HEAD" and response.body == b"":
        return
    document = json.loads(response.body)
    if response.status in (200, 201):
        assert isinstance(document, dict), where
        assert {"data", "errors", "dois", "url"} & set(document), where
    elif response.status == 500:
        assert set(document) == {"status", "title"}, where
        assert document["status"] == 400, where
    else:
        assert response.status in (400, 401, 403, 404, 405, 406, 409, 422), where
        errors = document["errors"]
        for one in errors if isinstance(errors, list) else [errors]:
            assert isinstance(one["title"], str), where
            assert one.get("status") in (None, str(response.status)), where
        assert response.status != 405 or "Allow" in response.headers, where


def _check_states(before: dict[str, str], after: dict[str, str]) -> None:
    for doi in before.keys() | after.keys():
        move = (before.get(doi, "absent"), after.get(doi, "absent"))
        assert move[0] == move[1] or move in ALLOWED, (doi, move)


def test_the_client_of_another_project_works_with_it(sandbox: RunningSandbox) -> None:
    from datacite import DataCiteRESTClient
    from datacite.errors import DataCiteError, DataCiteNotFoundError

    client = DataCiteRESTClient("DATACITE.DEMO", "demo", "10.5072", url=sandbox.address, timeout=20)
    metadata = {**ATTRIBUTES, "schemaVersion": "http://datacite.org/schema/kernel-4"}

    assert client.draft_doi(copy.deepcopy(metadata), doi="10.5072/theirs") == "10.5072/theirs"
    assert client.draft_doi(copy.deepcopy(metadata)).startswith("10.5072/")
    client.update_url("10.5072/theirs", "https://example.org/1")
    assert client.get_doi("10.5072/theirs") == "https://example.org/1"
    assert client.show_doi("10.5072/theirs")["state"] in ("draft", "findable", "registered")
    assert client.public_doi(copy.deepcopy(metadata), "https://example.org/2", doi="10.5072/public") == "10.5072/public"
    changed = client.update_doi("10.5072/public", metadata={**metadata, "titles": [{"title": "New"}]})
    assert changed["titles"] == [{"title": "New"}]
    assert client.get_metadata("10.5072/public")["state"] == "findable"
    assert client.hide_doi("10.5072/public")["state"] == "registered"
    with pytest.raises(DataCiteError):
        client.delete_doi("10.5072/public")
    client.draft_doi(copy.deepcopy(metadata), doi="10.5072/short-lived")
    client.delete_doi("10.5072/short-lived")
    with pytest.raises(DataCiteNotFoundError):
        client.get_metadata("10.5072/short-lived")
