"""Client and sandbox, written apart, hold each other to the same rules."""

from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.datacite.answer import Answer
from syncd.datacite.client import Client
from syncd.datacite.normal import differences
from syncd.datacite.outcome import Accepted, judge
from syncd.datacite.request import Put
from syncd.datacite.validation import problems
from syncd.digest import document_digests
from syncd.model import Desired, Held, State
from syncd.plan import Nothing, decide
from syncd.platforms.mapping import tidy
from syncd.sandbox.api import Api
from syncd.sandbox.http import Request
from syncd.sandbox.server import RunningSandbox
from syncd.sandbox.world import World
from tests.documents import attributes

AUTHORIZATION = {"authorization": "Basic REFUQUNJVEUuREVNTzpkZW1v", "content-type": "application/vnd.api+json"}
states = st.sampled_from([State.DRAFT, State.FINDABLE])


def desired(state: State, document: dict[str, Any]) -> Desired:
    content = tidy(document)
    return Desired("10.5072/x", state, content, *document_digests(state, content))


def put(api: Api, step: Put) -> Answer:
    response = api.answer(
        Request("PUT", "/dois/10.5072%2Fx?affiliation=true&publisher=true", AUTHORIZATION, step.body())
    )
    return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.body)


def send(api: Api, held: Held, wanted: Desired) -> Held:
    """One step towards what is wanted, as the sender makes it."""
    step = decide(held, wanted)
    if isinstance(step, Nothing):
        return held
    assert isinstance(step, Put)
    outcome = judge(step, held, put(api, step), "DATACITE.DEMO")
    assert isinstance(outcome, Accepted), outcome
    return outcome.held


def content(api: Api) -> dict[str, Any]:
    """What DataCite holds, without its own bookkeeping."""
    response = api.answer(Request("GET", "/dois/10.5072/x?affiliation=true&publisher=true", AUTHORIZATION))
    kept = Answer(200, {}, response.body).json()["data"]["attributes"]
    for name in ("created", "updated", "registered", "metadataVersion", "xml", "reason"):
        kept.pop(name, None)
    return dict(kept)


@settings(max_examples=300)
@given(attributes, attributes)
def test_put_a_then_the_difference_to_b_leaves_the_same_as_put_b(a: dict[str, Any], b: dict[str, Any]) -> None:
    stepwise, directly = Api(World()), Api(World())

    held = send(stepwise, Held(), desired(State.FINDABLE, a))
    send(stepwise, held, desired(State.FINDABLE, b))
    send(directly, Held(), desired(State.FINDABLE, b))

    assert content(stepwise) == content(directly)


@settings(max_examples=150)
@given(st.lists(st.tuples(states, attributes), min_size=2, max_size=4))
def test_any_path_of_states_and_contents_ends_where_the_last_one_would(
    path: list[tuple[State, dict[str, Any]]],
) -> None:
    stepwise = Api(World())
    held = Held()
    for state, document in path:
        held = send(stepwise, held, desired(state, document))
    directly = Api(World())
    send(directly, Held(), desired(*path[-1]))

    ours, theirs = content(stepwise), content(directly)
    public = State.FINDABLE in [state for state, _ in path[:-1]]
    if path[-1][0] is State.DRAFT and public:
        assert ours.pop("state") == "registered"  # there is no way back to a draft
        theirs.pop("state")
    assert ours == theirs


@settings(max_examples=200)
@given(attributes)
def test_the_same_document_again_sends_nothing(document: dict[str, Any]) -> None:
    held = send(Api(World()), Held(), desired(State.FINDABLE, document))

    assert isinstance(decide(held, desired(State.FINDABLE, document)), Nothing)


@settings(max_examples=200)
@given(attributes)
def test_what_the_validation_lets_pass_datacite_accepts(document: dict[str, Any]) -> None:
    wanted = desired(State.FINDABLE, document)
    assert problems(wanted.attributes, public=True) == []

    send(Api(World()), Held(), wanted)


BROKEN: list[tuple[str, Any]] = [
    ("titles", []),
    ("creators", []),
    ("publisher", None),
    ("publicationYear", None),
    ("publicationYear", 23),
    ("types", {"resourceTypeGeneral": "dataset"}),
    ("titles", [{"title": "A", "titleType": "Bogus"}]),
    ("titles", [{"title": "A", "lang": "not a lang!"}]),
    ("dates", [{"date": "2020", "dateType": "Bogus"}]),
    ("descriptions", [{"description": "d", "descriptionType": "Bogus"}]),
    ("fundingReferences", [{"funderIdentifier": "x", "funderIdentifierType": "ROR"}]),
    ("fundingReferences", [{"funderName": "F", "funderIdentifier": "x"}]),
    ("fundingReferences", [{"funderName": "F", "funderIdentifier": "x", "funderIdentifierType": "Bogus"}]),
    ("contributors", [{"name": "x", "contributorType": "Funder"}]),
    ("contributors", [{"name": "x"}]),
    ("geoLocations", [{"geoLocationPoint": {"pointLatitude": 95, "pointLongitude": 1}}]),
    ("relatedIdentifiers", [{"relatedIdentifier": "x", "relatedIdentifierType": "Doi", "relationType": "Cites"}]),
    ("url", "HTTPS://EXAMPLE.ORG"),
    ("url", "not a url"),
    ("url", None),
    ("rightsList", [{"rights": "x" * 2001}]),
]


@pytest.mark.parametrize(("name", "value"), BROKEN)
def test_what_datacite_refuses_the_validation_refuses_too(name: str, value: Any) -> None:
    from tests.site import ATTRIBUTES

    wanted = desired(State.FINDABLE, {**ATTRIBUTES, "url": "https://example.org/1", name: value})
    step = decide(Held(), wanted)
    assert isinstance(step, Put)

    assert put(Api(World()), step).status == 422
    assert problems(wanted.attributes, public=True) != []


@pytest.mark.parametrize("domains", ["*", "example.org", "*.example.org", "example.net,*.example.net"])
@pytest.mark.parametrize("url", ["https://example.org/x", "https://a.example.net:80/x", "http://EXAMPLE.org/x"])
def test_domains_mean_the_same_on_both_sides(domains: str, url: str) -> None:
    from tests.site import ATTRIBUTES

    world = World()
    world.accounts["demo"].domains = domains
    wanted = desired(State.FINDABLE, {**ATTRIBUTES, "url": url})
    step = decide(Held(), wanted)
    assert isinstance(step, Put)

    refused = put(Api(world), step).status == 422

    assert refused == bool(problems(wanted.attributes, public=True, domains=domains))


def test_normalisation_is_no_difference_and_a_loss_is_one() -> None:
    sent = {
        "rightsList": [{"rightsIdentifier": "CC-BY-4.0"}, {"rights": "Own", "rightsIdentifier": "ABC"}],
        "language": "en-GB",
        "subjects": [{"subject": "a <i>b</i> & c  d"}, {"subject": "same"}, {"subject": "same"}],
        "geoLocations": [{"geoLocationPoint": {"pointLatitude": "5.5", "pointLongitude": 7}}],
        "creators": [{"name": "A"}],
        "identifiers": [],
    }
    answered = {
        "rightsList": [
            {
                "rights": "Creative Commons Attribution 4.0 International",
                "rightsUri": "https://creativecommons.org/licenses/by/4.0/legalcode",
                "rightsIdentifier": "cc-by-4.0",
                "rightsIdentifierScheme": "SPDX",
                "schemeUri": "https://spdx.org/licenses/",
            },
            {"rights": "Own", "rightsIdentifier": "abc"},
        ],
        "language": "en",
        "subjects": [{"subject": "a <i>b</i> &amp; c d"}, {"subject": "same"}],
        "geoLocations": [{"geoLocationPoint": {"pointLatitude": 5.5, "pointLongitude": 7}}],
        "creators": [{"name": "A", "affiliation": [], "nameIdentifiers": []}],
        "identifiers": [],
    }

    assert differences(sent, answered) == []
    assert differences(sent, {**answered, "creators": [{"name": "B"}], "subjects": []}) == ["creators", "subjects"]
    assert differences({"language": "en"}, {"language": None}) == ["language"]


def test_the_client_says_who_it_is_from_the_first_request_and_encodes_the_doi(sandbox: RunningSandbox) -> None:
    client = Client(sandbox.address, "DATACITE.DEMO", "demo", "team@example.org", 5)
    wanted = desired(State.DRAFT, {"titles": "T"})
    step = decide(Held(), wanted)
    assert isinstance(step, Put)

    answer = client.write(step)
    client.close()

    assert isinstance(answer, Answer)
    request = sandbox.application.control.requests[0]
    assert request["path"] == "/dois/10.5072%2Fx?affiliation=true&publisher=true"
    assert (request["account"], answer.headers["x-credential-username"]) == ("datacite.demo", "datacite.demo")
    assert client._agent.endswith("(mailto:team@example.org)")


def test_the_client_follows_no_redirect_and_repeats_nothing() -> None:
    seen: list[httpx.Request] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(302, headers={"Location": "https://elsewhere.example.org/"})

    client = Client("https://api.example.org", "DATACITE.DEMO", "demo", "", 5)
    client._http = httpx.Client(
        transport=httpx.MockTransport(redirect), base_url="https://api.example.org", follow_redirects=False
    )
    answer = client.read("/dois/10.5072%2Fx")
    client.close()

    assert isinstance(answer, Answer)
    assert (answer.status, len(seen)) == (302, 1)
