"""Rules of the sheet that no conformance case covers, each by its sentence."""

import base64
import json
import re
from typing import Any

import pytest

from syncd.sandbox.api import Api
from syncd.sandbox.http import Request, Response
from syncd.sandbox.world import Account, World
from syncd.vocabularies import SCHEMA_VERSION
from tests.site import ATTRIBUTES

HEADERS = {"authorization": "Basic REFUQUNJVEUuREVNTzpkZW1v", "content-type": "application/vnd.api+json"}
FINDABLE = {
    **ATTRIBUTES,
    "url": "https://example.org/1",
    "event": "publish",
    "schemaVersion": "http://datacite.org/schema/kernel-4",
}


@pytest.fixture
def api() -> Api:
    return Api(World())


def ask(api: Api, method: str, target: str, headers: dict[str, str] | None = None, **attributes: Any) -> Response:
    body = json.dumps({"data": {"attributes": attributes}}).encode() if method in ("PUT", "POST", "PATCH") else b""
    return api.answer(Request(method, target, {**HEADERS, **(headers or {})}, body))


def kept(response: Response) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(response.body)["data"]["attributes"]
    return document


def test_encoded_slashes_are_part_of_the_name_and_raw_ones_collapse(api: Api) -> None:
    encoded = ask(api, "PUT", "/dois/10.5072%2Fa%2F%2Fb%2F")
    raw = ask(api, "PUT", "/dois/10.5072/a//b/")

    assert (kept(encoded)["doi"], kept(raw)["doi"]) == ("10.5072/a//b/", "10.5072/a/b")


def test_a_resolver_address_makes_a_doi_once_and_is_taken_afterwards(api: Api) -> None:
    target = "/dois/https%3A%2F%2Fdoi.org%2F10.5072%2Fx"

    assert ask(api, "PUT", target).status == 201
    assert "10.5072/x" in api.world.dois
    again = ask(api, "PUT", target)
    assert (again.status, json.loads(again.body)["errors"][0]["source"]) == (422, "doi")


def test_head_is_get_without_a_body(api: Api) -> None:
    ask(api, "PUT", "/dois/10.5072/x")

    response = ask(api, "HEAD", "/dois/10.5072/x")

    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize(
    ("accept", "status"), [("*/*", 200), ("text/html", 200), ("application/json", 200), ("image/png", 406)]
)
def test_an_unknown_format_is_a_406_on_get_and_does_not_matter_for_writes(api: Api, accept: str, status: int) -> None:
    assert ask(api, "PUT", "/dois/10.5072/x", {"accept": accept}).status == 201
    assert ask(api, "GET", "/dois/10.5072/x", {"accept": accept}).status == status


@pytest.mark.parametrize(
    "name", ["dates", "identifiers", "relatedIdentifiers", "relatedItems", "fundingReferences", "geoLocations"]
)
def test_empty_text_is_refused_where_objects_are_wanted(api: Api, name: str) -> None:
    assert ask(api, "PUT", "/dois/10.5072/x", **{name: ""}).status == 422


@pytest.mark.parametrize(
    ("name", "status"), [("titles", 201), ("subjects", 201), ("creators", 500), ("contributors", 500)]
)
def test_empty_text_is_stored_as_junk_or_breaks_the_server(api: Api, name: str, status: int) -> None:
    assert ask(api, "PUT", "/dois/10.5072/x", **{name: ""}).status == status


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({"publisher": {"name": "P", "lang": 5}}, "publisher_obj"),
        ({"contributors": [{"name": "X", "contributorType": "Nobody"}]}, "contributors"),
        ({"relatedItems": [{"relatedItemType": "Book", "relationType": "Cites", "number": 1, "numberType": "x"}]},
         "number', attribute 'numberType"),
        ({"relatedItems": [{"relatedItemType": "Book", "relationType": "Sees"}]},
         "relatedItem', attribute 'relationType"),
        ({"relatedIdentifiers": [{"relatedIdentifier": "x", "relatedIdentifierType": "DOI"}]}, "relatedIdentifier"),
        ({"geoLocations": [{"geoLocationBox": {"westBoundLongitude": 200}}]}, "westBoundLongitude"),
        ({"contributors": [{"contributorType": "Editor", "name": ""}]}, "contributorName"),
        ({"language": "not a language"}, "language"),
        ({"rightsList": [{"rights": "X", "rightsUri": "http://%zz"}]}, "rights', attribute 'rightsURI"),
        ({"creators": [{"name": "X", "nameType": "Robot"}]}, "creatorName', attribute 'nameType"),
        ({"url": None}, "url"),
    ],
)  # fmt: skip
def test_a_findable_record_is_checked_and_a_draft_is_not(api: Api, changes: dict[str, Any], source: str) -> None:
    refused = ask(api, "PUT", "/dois/10.5072/x", **{**FINDABLE, **changes})

    assert refused.status == 422
    assert source in [one["source"] for one in json.loads(refused.body)["errors"]]
    if source != "contributors":
        draft = {name: value for name, value in {**FINDABLE, **changes}.items() if name != "event"}
        assert ask(api, "PUT", "/dois/10.5072/x", **draft).status == 201


@pytest.mark.parametrize("event", ["publish", "register"])
def test_an_invalid_stored_record_refuses_any_update(api: Api, event: str) -> None:
    ask(api, "PUT", "/dois/10.5072/x", **{**FINDABLE, "event": event})
    stored = api.world.dois["10.5072/x"]
    assert stored.xml is not None
    stored.xml = re.sub(rb"<titles>.*</titles>", b"<titles />", stored.xml, flags=re.DOTALL)

    for change in ({"url": "https://example.org/2"}, {"event": "hide"}, {}):
        assert ask(api, "PUT", "/dois/10.5072/x", **change).status == 422
    assert ask(api, "PUT", "/dois/10.5072/x", titles=[{"title": "Mended"}]).status == 200


def test_metadata_version_rises_only_when_the_metadata_changes(api: Api) -> None:
    first = kept(ask(api, "PUT", "/dois/10.5072/x", **FINDABLE))["metadataVersion"]
    same = kept(ask(api, "PUT", "/dois/10.5072/x", **FINDABLE))["metadataVersion"]
    url = kept(ask(api, "PUT", "/dois/10.5072/x", url="https://example.org/2"))["metadataVersion"]
    title = kept(ask(api, "PUT", "/dois/10.5072/x", titles=[{"title": "New"}]))["metadataVersion"]

    assert (same - first, url - first, title - first) == (0, 0, 1)


def test_a_clients_dois_are_also_listed_below_the_client(api: Api) -> None:
    ask(api, "PUT", "/dois/10.5072/x")

    document = json.loads(ask(api, "GET", "/clients/datacite.demo/dois?disable-facets=true").body)

    assert document["meta"]["total"] == 1
    assert json.loads(ask(api, "GET", "/clients/other.one/dois").body)["data"] == []


@pytest.mark.parametrize(
    ("query", "found"),
    [("doi:10.5072/a", ["10.5072/a"]), ("titles.title:first", ["10.5072/a"]), ("second", ["10.5072/b"]),
     ("*", ["10.5072/a", "10.5072/b"]),
     ("aasm_state:draft AND second", ["10.5072/b"]), ("state:draft", []),
     ("doi:10.5072/a OR doi:10.5072/b", ["10.5072/a", "10.5072/b"]), ("NOT doi:10.5072/a", ["10.5072/b"]),
     ("-doi:10.5072/a", ["10.5072/b"]), ("updated:[2020-01-01 TO *]", ["10.5072/a", "10.5072/b"]),
     ("updated:[2020-01-01 TO 2021]", []), ("prefix:10.5072 AND (first OR nothing)", ["10.5072/a"]),
     ("nothing", []), ('"Doe, Jane"', ["10.5072/a", "10.5072/b"])],
)  # fmt: skip
def test_a_query_finds_by_field_and_by_word(api: Api, query: str, found: list[str]) -> None:
    from urllib.parse import quote

    for name, title in (("a", "First"), ("b", "Second")):
        ask(api, "PUT", f"/dois/10.5072/{name}", **{**ATTRIBUTES, "titles": [{"title": title}]})

    document = json.loads(ask(api, "GET", f"/dois?sort=name&query={quote(query)}").body)

    assert [one["id"] for one in document["data"]] == found


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("fra", "fr"), ("ger", "de"), ("deu", "de"), ("French", "fr"), ("french", "fr"), ("en-GB", "en"),
     ("Spanish", "Spanish"), ("Spanish; Castilian", "es"), ("FR", "FR"), ("zz", "zz"), ("tlh", "tlh"),
     ("not a language", None), ("x" * 9, None)],
)  # fmt: skip
def test_languages_are_mapped_by_code_or_by_the_standards_own_name(api: Api, sent: str, stored: str | None) -> None:
    assert kept(ask(api, "PUT", "/dois/10.5072/x", language=sent))["language"] == stored


@pytest.mark.parametrize(
    ("general", "free", "derived"),
    [
        ("Text", "JournalArticle", ("ScholarlyArticle", "article-journal", "article", "JOUR")),
        ("Text", "journal-article", ("ScholarlyArticle", "article-journal", "article", "RPRT")),
        ("Text", "Journal Article", ("ScholarlyArticle", "article-journal", "article", "RPRT")),
        ("Text", "JournalIssue", ("PublicationIssue", "article", "misc", "RPRT")),
        ("Book", "", ("Book", "article", "misc", "BOOK")),
        ("Text", "Monograph", ("Book", "book", "book", "BOOK")),
        ("Dissertation", "PhD", ("Thesis", "thesis", "phdthesis", "THES")),
        ("Nope", "", ("CreativeWork", "article", "misc", "GEN")),
    ],
)
def test_derived_types_follow_the_free_text_first(api: Api, general: str, free: str, derived: tuple[str, ...]) -> None:
    types = {"resourceTypeGeneral": general, **({"resourceType": free} if free else {})}

    found = kept(ask(api, "PUT", "/dois/10.5072/x", types=types))["types"]

    assert tuple(found[key] for key in ("schemaOrg", "citeproc", "bibtex")) == derived[:3]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("a  b", "a b"), ("<script>x</script>y", "xy"), ("<i>x</i>", "<i>x</i>"), ("a & b", "a &amp; b"),
     ("1 < 2", "1 &lt; 2"), ("&amp;", "&amp;"), (" x ", "x")],
)  # fmt: skip
def test_subjects_are_cleaned(api: Api, sent: str, stored: str) -> None:
    assert kept(ask(api, "PUT", "/dois/10.5072/x", subjects=[{"subject": sent}]))["subjects"] == [{"subject": stored}]


def test_nested_members_that_datacite_does_not_know_are_dropped(api: Api) -> None:
    item = {"relatedItemType": "Book", "relationType": "Cites", "x": 1,
            "relatedItemIdentifier": {"relatedItemIdentifier": "a", "schemeURI": "u", "schemeUri": "v"}}  # fmt: skip
    person = {
        "name": "A",
        "orcid": "x",
        "affiliation": [{"name": "U", "x": 1}, "text"],
        "nameIdentifiers": {"nameIdentifier": "1"},
    }

    found = kept(ask(api, "PUT", "/dois/10.5072/x?affiliation=true", relatedItems=[item], creators=[person]))

    assert found["relatedItems"][0]["relatedItemIdentifier"] == {"relatedItemIdentifier": "a", "schemeURI": "u"}
    assert "x" not in found["relatedItems"][0]
    assert found["creators"] == [
        {"name": "A", "affiliation": [{"name": "U"}], "nameIdentifiers": [{"nameIdentifier": "1"}]}
    ]


OTHER = "Basic REFUQUNJVEUuT1RIRVI6b3RoZXI="
BAD = "Basic REFUQUNJVEUuREVNTzp3cm9uZw=="


@pytest.fixture
def two(api: Api) -> Api:
    api.world.accounts["other"] = Account("other", "DATACITE.OTHER", "other", ["10.1234"])
    ask(api, "PUT", "/dois/10.5072/mine")
    return api


@pytest.mark.parametrize(
    ("method", "target", "authorization", "body", "status"),
    [
        ("POST", "/dois", "", b"{}", 401),
        ("POST", "/dois", "", b"{", 400),
        ("POST", "/dois", "", b'{"data": {"type": "dois"}}', 401),
        ("POST", "/dois", "Bearer x", b"{}", 401),
        ("POST", "/dois", "Bearer x", b'{"data": "x"}', 401),
        ("PUT", "/dois/10.5072/mine", "", b"{}", 401),
        ("PUT", "/dois/10.5072/mine", OTHER, b"{}", 403),
        ("PUT", "/dois/xyz", HEADERS["authorization"], b"{}", 404),
        ("POST", "/nowhere", HEADERS["authorization"], b"", 404),
        ("PUT", "/dois/10.5072/mine", HEADERS["authorization"], b"{}", 400),
    ],
)
def test_who_asks_is_known_before_what_is_asked_but_not_before_json(
    two: Api, method: str, target: str, authorization: str, body: bytes, status: int
) -> None:
    headers = {**HEADERS, "authorization": authorization}

    assert two.answer(Request(method, target, headers, body)).status == status


@pytest.mark.parametrize(
    ("method", "authorization", "client", "doi", "status"),
    [
        ("POST", HEADERS["authorization"], "datacite.other", "10.1234/x", 201),  # a hole of the real server
        ("POST", HEADERS["authorization"], "datacite.other", "10.5072/x", 403),
        ("POST", HEADERS["authorization"], "nobody.here", "10.5072/x", 404),
        ("POST", BAD, "datacite.demo", "10.5072/x", 401),
        ("POST", "", "nobody.here", "10.5072/x", 401),
        ("PUT", HEADERS["authorization"], "nobody.here", "10.5072/x", 404),
        ("PUT", HEADERS["authorization"], "datacite.other", "10.5072/x", 403),
        ("PUT", "", "datacite.demo", "10.5072/x", 401),
        ("PUT", "", None, "10.5072/x", 404),
    ],
)
def test_a_repository_named_in_relationships_is_honoured_when_a_doi_is_made(
    two: Api, method: str, authorization: str, client: str | None, doi: str, status: int
) -> None:
    data: dict[str, Any] = {"attributes": {"doi": doi}}
    if client is not None:
        data["relationships"] = {"client": {"data": {"id": client, "type": "clients"}}}
    target = "/dois" if method == "POST" else f"/dois/{doi}"

    answer = two.answer(
        Request(method, target, {**HEADERS, "authorization": authorization}, json.dumps({"data": data}).encode())
    )

    assert answer.status == status


def test_an_upsert_fills_the_schema_version_in_only_when_the_doi_exists(api: Api) -> None:
    made = kept(ask(api, "PUT", "/dois/10.5072/x", url="https://example.org/"))["schemaVersion"]
    updated = kept(ask(api, "PUT", "/dois/10.5072/x"))["schemaVersion"]
    blank = kept(ask(api, "PUT", "/dois/10.5072/x", schemaVersion=None))["schemaVersion"]

    assert (made, updated, blank) == (None, SCHEMA_VERSION, SCHEMA_VERSION)


def test_the_first_metadata_has_version_zero(api: Api) -> None:
    assert kept(ask(api, "PUT", "/dois/10.5072/x", **FINDABLE))["metadataVersion"] == 0


def test_validate_needs_an_account_and_keeps_nothing(api: Api) -> None:
    assert ask(api, "POST", "/dois/validate", {"authorization": ""}, **FINDABLE).status == 404
    answer = ask(api, "POST", "/dois/validate", doi="10.5072/x", **FINDABLE)

    assert (answer.status, answer.headers["X-Credential-Username"]) == (200, "datacite.demo")
    assert "xml" not in kept(answer)
    assert api.world.dois == {}


@pytest.mark.parametrize("name", ["types", "container"])
def test_text_in_the_place_of_an_object_is_refused(api: Api, name: str) -> None:
    answer = ask(api, "PUT", "/dois/10.5072/x", **{name: "Dataset"})

    assert (answer.status, json.loads(answer.body)["errors"][0]["source"]) == (422, name)


def test_errors_of_validation_name_the_account(api: Api) -> None:
    answer = ask(api, "PUT", "/dois/10.5072/x", url="no address")

    assert (answer.status, answer.headers["X-Credential-Username"]) == (422, "datacite.demo")


def test_errors_stand_in_the_servers_order_one_for_each_source(api: Api) -> None:
    ask(api, "PUT", "/dois/10.5072/x", **FINDABLE)
    attributes = {**FINDABLE, "url": "no address", "doi": "10.5072/x", "titles": [], "rightsList": [
        {"rights": "x" * 2001}], "contributors": [{"name": "X"}]}  # fmt: skip

    refused = ask(api, "POST", "/dois", **attributes)

    errors = json.loads(refused.body)["errors"]
    assert [one["source"] for one in errors] == [
        "url", "doi", "titles", "contributor', attribute 'contributorType", "rights_list", "contributors",
    ]  # fmt: skip


def test_a_check_of_a_draft_does_not_ask_for_an_address(api: Api) -> None:
    attributes = {name: value for name, value in FINDABLE.items() if name not in ("url", "event")}

    assert ask(api, "PUT", "/dois/10.5072/x", should_validate=True, **attributes).status == 201
    assert "errors" not in json.loads(ask(api, "POST", "/dois/validate", doi="10.5072/y", **attributes).body)


def test_a_publisher_that_is_missing_is_taken_from_the_container_that_would_be_read_back(api: Api) -> None:
    attributes = {name: value for name, value in FINDABLE.items() if name != "publisher"}
    series = [{"description": "A series, 12(3), 4-5", "descriptionType": "SeriesInformation"}]

    assert ask(api, "PUT", "/dois/10.5072/x", **attributes).status == 422
    made = kept(ask(api, "PUT", "/dois/10.5072/x", **attributes, descriptions=series))
    assert made["container"] == {
        "type": "DataRepository", "title": "A series", "volume": "12", "issue": "3", "firstPage": "4", "lastPage": "5",
    }  # fmt: skip
    assert b"<publisher>A series</publisher>" in base64.b64decode(made["xml"])


def test_the_xml_holds_what_was_sent_and_not_what_was_made_of_it(api: Api) -> None:
    refused = ask(api, "PUT", "/dois/10.5072/x", **FINDABLE, language="English language")
    draft = ask(api, "PUT", "/dois/10.5072/y", **{**FINDABLE, "event": None}, language="English language")

    assert [one["source"] for one in json.loads(refused.body)["errors"]] == ["language"]
    assert kept(draft)["language"] is None
    assert b"<language>English language</language>" in base64.b64decode(kept(draft)["xml"])


def test_a_general_type_is_guessed_from_what_was_derived_once(api: Api) -> None:
    """A quirk: a draft without a general type can be published after any later write of metadata."""
    ask(api, "PUT", "/dois/10.5072/x", **{**FINDABLE, "event": None, "types": {"resourceType": "Notes"}})

    assert ask(api, "PUT", "/dois/10.5072/x", event="publish").status == 422
    assert ask(api, "PUT", "/dois/10.5072/x", event="publish", titles=[{"title": "T"}]).status == 200


def test_an_unknown_schema_token_is_checked_only_when_the_xml_changes(api: Api) -> None:
    token = "http://datacite.org/schema/kernel-4.6"
    ask(api, "PUT", "/dois/10.5072/x", url="https://example.org/1", titles=[{"title": "T"}], schemaVersion=token)

    changed = ask(api, "PUT", "/dois/10.5072/x", event="publish", titles=[{"title": "U"}])
    same = ask(api, "PUT", "/dois/10.5072/x", event="publish", titles=[{"title": "T"}])

    assert [one["source"] for one in json.loads(changed.body)["errors"]] == ["metadata"]
    assert (same.status, kept(same)["state"]) == (200, "findable")


@pytest.mark.parametrize("form", ["https:/doi.org/", "doi:", "http://dx.doi.org/", "https://handle.test.datacite.org/"])
def test_forms_of_a_doi_in_the_path_are_understood_when_it_is_made(api: Api, form: str) -> None:
    assert kept(ask(api, "PUT", f"/dois/{form}10.5072/x"))["doi"] == "10.5072/x"


def test_a_doi_that_its_column_cannot_hold_breaks_the_server_and_is_not_stored(api: Api) -> None:
    answer = ask(api, "PUT", "/dois/10.5072/" + "x" * 250)

    assert (answer.status, api.world.dois) == (500, {})


def test_published_is_the_year_unless_a_date_is_called_issued_in_lower_case(api: Api) -> None:
    dates = [{"date": "2019-01-01", "dateType": "Issued"}]
    assert kept(ask(api, "PUT", "/dois/10.5072/x", publicationYear=2020, dates=dates))["published"] == "2020"

    dates = [{"date": "2019-01-01", "dateType": "issued"}]
    assert kept(ask(api, "PUT", "/dois/10.5072/x", dates=dates))["published"] == "2019-01-01"


def test_lists_take_words_with_either_joint_and_include_the_account(api: Api) -> None:
    ask(api, "PUT", "/dois/10.5072/x")

    for name in ("client-id", "client_id"):
        document = json.loads(ask(api, "GET", f"/dois?{name}=datacite.demo&include=client&disable_facets=true").body)
        assert [one["id"] for one in document["data"]] == ["10.5072/x"]
        assert [one["id"] for one in document["included"]] == ["datacite.demo"]
    assert json.loads(ask(api, "GET", "/dois?client_id=other.one").body)["data"] == []


def test_named_dois_are_listed_whatever_else_is_asked(api: Api) -> None:
    ask(api, "PUT", "/dois/10.5072/x")

    document = json.loads(ask(api, "GET", "/dois?ids=10.5072/X&state=findable", {"authorization": ""}).body)

    assert [one["id"] for one in document["data"]] == ["10.5072/x"]


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer DC.0123456789abcdef0123456789abcdef",
        "Basic " + base64.b64encode(b"DATACITE.DEMO:DC.0123456789abcdef0123456789abcdef").decode(),
        "Basic " + base64.b64encode(b"DC.0123456789abcdef0123456789abcdef:").decode(),
    ],
)
def test_an_api_key_stands_for_its_account(api: Api, authorization: str) -> None:
    assert ask(api, "PUT", "/dois/10.5072/x", {"authorization": authorization}).status in (401, 404)
    api.world.accounts["demo"].api_keys = ["DC.0123456789abcdef0123456789abcdef"]

    made = ask(api, "PUT", "/dois/10.5072/x", {"authorization": authorization})

    assert (made.status, made.headers["X-Credential-Username"]) == (201, "datacite.demo")


def test_datacite_xml_is_given_where_it_is_asked_for(api: Api) -> None:
    ask(api, "PUT", "/dois/10.5072/x", **FINDABLE)

    answer = ask(api, "GET", "/dois/10.5072/x", {"accept": "application/vnd.datacite.datacite+xml"})

    assert answer.body.startswith(b"<?xml")
    assert b"10.5072/X" in answer.body


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"data": {"attributes": {"titles": [{"title": "a\\ud800b"}]}}}', 201),
        (b'{"data": {"attributes": {"titles": [{"title": "a\\u0000b"}]}}}', 500),
        (b'{"data": {"attributes": {"titles": [{"title": "a\\u0001b"}]}}}', 201),
        (b'{"data": {"attributes": {"publicationYear": NaN}}}', 400),
        (b'{"data": {"attributes": {"version": "\xff1"}}}', 201),
    ],
)
def test_text_that_is_none_is_cleaned_or_breaks_the_server(api: Api, body: bytes, status: int) -> None:
    answer = api.answer(Request("PUT", "/dois/10.5072/x", HEADERS, body))

    assert answer.status == status
    assert "\ud800" not in answer.body.decode()


def test_the_link_to_the_next_page_of_a_clients_list_stays_with_the_client(api: Api) -> None:
    for name in ("a", "b", "c"):
        ask(api, "PUT", f"/dois/10.5072/{name}")

    document = json.loads(ask(api, "GET", "/clients/datacite.demo/dois?page[size]=2").body)

    assert "client-id=datacite.demo" in document["links"]["next"]
    assert json.loads(ask(api, "GET", "/repositories/other.one/dois").body)["meta"]["total"] == 3  # nobody reads whose


def test_years_are_ranges_and_states_are_exact(api: Api) -> None:
    for name, year in (("a", 2018), ("b", 2019), ("c", 2020), ("d", 2021)):
        ask(api, "PUT", f"/dois/10.5072/{name}", publicationYear=year)

    def found(query: str) -> list[str]:
        return [one["id"][-1] for one in json.loads(ask(api, "GET", f"/dois?sort=name&{query}").body)["data"]]

    assert found("published=2018,2020") == ["a", "b", "c"]
    assert found("state=draft") == ["a", "b", "c", "d"]
    assert found("state=Draft") == []
    assert found("has-citations=1") == []
    assert found("source=mine") == []


def test_pages_by_number_end_at_ten_thousand(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.sandbox import lists

    monkeypatch.setattr(lists, "_DEEPEST", 4)
    for name in "abcdef":
        ask(api, "PUT", f"/dois/10.5072/{name}")

    document = json.loads(ask(api, "GET", "/dois?page[size]=2&page[number]=9").body)

    assert (document["meta"]["total"], document["meta"]["totalPages"], document["meta"]["page"]) == (6, 2, 2)
    assert "next" not in document["links"]


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ({"geoLocationPolygon": {"polygonPoint": [{"pointLatitude": 1, "pointLongitude": 1}] * 4}}, 500),
        ({"geoLocationPoint": [{"pointLatitude": 1, "pointLongitude": 1}]}, 500),
        ({"geoLocationPolygon": [{"inPolygonPoint": {"pointLatitude": 1, "pointLongitude": 1}}]}, 422),
        ({"geoLocationPolygon": [{"polygonPoint": {"pointLatitude": 1, "pointLongitude": 1}}] * 4
          + [{"inPolygonPoint": {"pointLatitude": 1, "pointLongitude": 1}}]}, 201),
        ({"geoLocationPolygon": [{"polygonPoint": {"pointLatitude": 1, "pointLongitude": 1}}] * 3}, 422),
        ({"geoLocationPoint": {"pointLatitude": "-.5", "pointLongitude": " 2.5"}}, 201),
    ],
)  # fmt: skip
def test_places_have_one_right_form(api: Api, place: dict[str, Any], status: int) -> None:
    answer = ask(api, "PUT", "/dois/10.5072/x", **FINDABLE, geoLocations=[place])

    assert answer.status == status
    if status == 201 and "geoLocationPoint" in place:
        assert kept(answer)["geoLocations"] == [{"geoLocationPoint": {"pointLatitude": -0.5, "pointLongitude": 2.5}}]


@pytest.mark.parametrize(
    ("method", "target", "sent", "status"),
    [
        ("POST", "/dois", {"prefix": ""}, 403),
        ("POST", "/dois", {"doi": "10.5072"}, 422),
        ("POST", "/dois", {"doi": "https://doi.org/10.5072/x"}, 403),
        ("POST", "/dois", {"prefix": "nothing"}, 500),
        ("POST", "/dois/validate", {}, 400),
        ("GET", "/dois/random?prefix=nothing", {}, 500),
        ("GET", "/dois/random", {}, 422),
        ("PUT", "/dois/10.5072/x", {"publicationYear": 99999999999}, 500),
        ("PUT", "/dois/10.5072/x", {"rightsList": [{"rights": 5}]}, 500),
        ("PUT", "/dois/10.5072/x", {"client": {"id": 1}}, 201),
        ("PUT", "/dois/10.5072/x", {"should_validate": "true", "titles": []}, 422),
        ("GET", "/clients/demo", {}, 404),
        ("GET", "/clients/datacite.demo/prefixes", {}, 200),
    ],
)
def test_odd_values_have_odd_answers(api: Api, method: str, target: str, sent: dict[str, Any], status: int) -> None:
    if "should_validate" in sent:
        sent = {**FINDABLE, "event": None, **sent}

    assert ask(api, method, target, **sent).status == status


def test_generated_names_keep_the_shoulder(api: Api) -> None:
    [name] = json.loads(ask(api, "GET", "/dois/random?prefix=10.5072/abc").body)["dois"]

    assert re.fullmatch(r"10\.5072/abc-\w{4}-\w{4}", name)


@pytest.mark.parametrize(
    ("sent", "identifier"),
    [
        ("CC-BY-4.0", "cc-by-4.0"),
        ([{"rights": "CC-BY-4.0"}], None),
        ([{"rights": "http://creativecommons.org/licenses/by/4.0/legalcode"}], "cc-by-4.0"),
        ([{"rightsIdentifier": "MIT"}], "mit"),
    ],
)
def test_licences_are_known_by_identifier_name_and_address(api: Api, sent: Any, identifier: str | None) -> None:
    [right] = kept(ask(api, "PUT", "/dois/10.5072/x", rightsList=sent))["rightsList"]

    assert right.get("rightsIdentifier") == identifier


@pytest.mark.parametrize("authorization", ["Bearer ", "Basic ", "Basic"])
def test_a_scheme_without_credentials_counts_as_none(api: Api, authorization: str) -> None:
    answer = ask(api, "GET", "/dois", {"authorization": authorization})

    assert (answer.status, answer.headers["X-Anonymous-Consumer"]) == (200, "true")
