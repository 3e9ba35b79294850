"""What every answer means: the class, the cause, and what is known of DataCite afterwards."""

import json
from typing import Any

import pytest

from syncd.datacite.answer import Answer, NoAnswer
from syncd.datacite.client import Client
from syncd.datacite.outcome import Accepted, Deferred, Halted, Outcome, Rejected, judge
from syncd.datacite.request import Delete, Put
from syncd.model import Held, State

NAMED = {"x-credential-username": "datacite.demo"}
BEFORE = Held(State.FINDABLE, {"titles": "1", "url": "2"})
UNKNOWN = Held(State.FINDABLE, None, sure=False)
SENT = {"titles": [{"title": "T"}]}
UPDATE = Put("10.5072/x", SENT, None, False, frozenset({State.FINDABLE}), {"titles": "9", "url": "2"}, "changed")
COMPLETE = Put("10.5072/x", SENT, "publish", True, frozenset({State.FINDABLE}), {"titles": "9"}, "new")
DELETE = Delete("10.5072/x", "gone")
ERRORS = {"errors": [{"source": "titles", "title": "Can't be blank", "uid": "10.5072/x"}]}
HTML = b"<html><head><title>502</title></head><body>Bad\n Gateway</body></html>"


def stored(**changes: Any) -> dict[str, Any]:
    attributes = {"doi": "10.5072/X", "state": "findable", "registered": "2026-01-01T00:00:00Z", **SENT, **changes}
    return {"data": {"id": "10.5072/x", "attributes": attributes}}


def answer(status: int, document: Any = None, headers: dict[str, str] | None = None) -> Answer:
    body = document if isinstance(document, bytes) else b"" if document is None else json.dumps(document).encode()
    return Answer(status, NAMED if headers is None else headers, body)


def judged(reply: Answer | NoAnswer, request: Put | Delete = UPDATE, before: Held = BEFORE) -> Outcome:
    return judge(request, before, reply, "DATACITE.DEMO")


def test_a_success_is_one_whose_body_says_so() -> None:
    outcome = judged(answer(200, stored()))

    assert outcome == Accepted(Held(State.FINDABLE, {"titles": "9", "url": "2"}), 200)


@pytest.mark.parametrize("headers", [{}, {"x-credential-username": ""}, {"x-credential-username": "datacite.other"}])
def test_a_success_that_does_not_name_the_account_is_none(headers: dict[str, str]) -> None:
    outcome = judged(answer(200, stored(), headers))

    assert isinstance(outcome, Halted)
    assert (outcome.cause, outcome.held) == ("credentials", UNKNOWN)


@pytest.mark.parametrize(
    "body",
    [b"", b"OK", HTML, b'{"data": {"id": "10.', b"[]", b"null", b"{}", {"data": []}, {"data": {"attributes": None}},
     stored(doi="10.5072/other"), stored(state="tombstone"), stored(state=None)],
)  # fmt: skip
def test_a_success_without_the_record_is_unknown(body: Any) -> None:
    outcome = judged(answer(200, body))

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.unsure, outcome.held) == ("bad_answer", True, UNKNOWN)


def test_another_state_is_no_success_but_what_datacite_holds_is_known() -> None:
    outcome = judged(answer(200, stored(state="draft")))

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.retry_after, outcome.limited) == ("state_not_reached", 0, True)
    assert outcome.held == Held(State.DRAFT, {"titles": "9", "url": "2"})


def test_registered_null_means_that_the_doi_does_not_resolve() -> None:
    outcome = judged(answer(200, stored(registered=None)))

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.held.resolves, outcome.retry_after) == ("not_resolving", False, None)


def test_a_partial_update_that_created_left_a_stub() -> None:
    outcome = judged(answer(201, stored(state="draft")))

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.retry_after, outcome.held) == ("recreated", 0, Held(State.DRAFT, None))
    assert isinstance(judged(answer(201, stored()), COMPLETE), Accepted)


def test_what_is_stored_otherwise_is_not_counted_as_held() -> None:
    outcome = judged(answer(200, stored(titles=[])))

    assert isinstance(outcome, Rejected)
    assert (outcome.cause, outcome.held.digests) == ("stored_differently", {"url": "2"})


@pytest.mark.parametrize(
    ("reply", "cause", "held"),
    [
        (answer(403, {"errors": [{"status": "403", "title": "You are not authorized."}]}), "forbidden", BEFORE),
        (answer(413, HTML), "too_large", BEFORE),
        (answer(400, {"errors": [{"status": "400", "title": "unexpected token"}]}), "refused", UNKNOWN),
        (answer(405, {"errors": [{"status": "405", "title": "Method not allowed"}]}), "refused", BEFORE),
        (answer(500, {"status": 400, "title": "no implicit conversion"}), "server_exception", UNKNOWN),
    ],
)
def test_what_repeating_does_not_help_is_rejected(reply: Answer, cause: str, held: Held) -> None:
    outcome = judged(reply)

    assert isinstance(outcome, Rejected)
    assert (outcome.cause, outcome.held) == (cause, held)


def test_a_refused_complete_record_is_rejected_in_datacites_words() -> None:
    outcome = judged(answer(422, ERRORS), COMPLETE)

    assert isinstance(outcome, Rejected)
    assert (outcome.cause, outcome.message, outcome.held) == ("refused", "titles: Can't be blank", BEFORE)


def test_a_refused_partial_update_is_tried_once_complete() -> None:
    outcome = judged(answer(422, ERRORS))

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.retry_after, outcome.limited, outcome.held.digests) == ("refused", 0, True, None)


@pytest.mark.parametrize("status", [401, 404])
def test_credentials_stop_the_account_and_nothing_changed(status: int) -> None:
    outcome = judged(answer(status, {"errors": [{"status": str(status), "title": "Bad credentials."}]}))

    assert isinstance(outcome, Halted)
    assert (outcome.cause, outcome.held) == ("credentials", BEFORE)


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (answer(429, {"message": "slow"}), None),
        (answer(429, b"", {"retry-after": "17"}), 17.0),
        (answer(429, b"", {"retry-after": "-3"}), None),
        (answer(429, b"", {"retry-after": "soon"}), None),
        (answer(429, b"", {"retry-after": "99999999"}), 900.0),
        (answer(429, b"", {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}), 0.0),
        (answer(403, HTML), None),
        (answer(403, {"message": "Too many requests"}), None),
        (answer(403, {"errors": [{"title": "Rate limit exceeded"}]}), None),
    ],
)
def test_throttling_in_every_style_concerns_the_host_and_changed_nothing(reply: Answer, seconds: Any) -> None:
    outcome = judged(reply)

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.host_wide, outcome.unsure, outcome.held) == ("throttled", True, False, BEFORE)
    assert outcome.retry_after == seconds


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_a_server_error_may_hide_a_write(status: int) -> None:
    outcome = judged(answer(status, HTML))

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.unsure, outcome.held) == ("server_error", True, UNKNOWN)
    assert outcome.message == "502 Bad Gateway"


@pytest.mark.parametrize("status", [301, 302, 307, 206, 100])
def test_a_redirect_or_anything_else_is_no_answer_of_datacite(status: int) -> None:
    outcome = judged(answer(status, b""))

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.unsure) == ("bad_answer", True)


def test_a_request_that_never_left_changed_nothing_and_one_that_left_is_unknown() -> None:
    refused, lost = judged(NoAnswer("refused", sent=False)), judged(NoAnswer("timeout", sent=True))

    assert isinstance(refused, Deferred)
    assert (refused.cause, refused.unsure, refused.held, refused.host_wide) == ("unreachable", False, BEFORE, True)
    assert isinstance(lost, Deferred)
    assert (lost.cause, lost.unsure, lost.held) == ("no_answer", True, UNKNOWN)


def test_a_deleted_draft_is_gone_and_so_is_one_that_was_not_there() -> None:
    absent = answer(404, {"errors": [{"status": "404", "title": "The resource you are looking for doesn't exist."}]})

    assert judged(answer(204), DELETE) == Accepted(Held(), 204)
    assert judged(absent, DELETE) == Accepted(Held(), 404)


@pytest.mark.parametrize("reply", [answer(200, HTML), answer(404, HTML), answer(200, stored())])
def test_a_draft_is_not_deleted_because_a_proxy_says_something(reply: Answer) -> None:
    outcome = judged(reply, DELETE)

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.unsure) == ("bad_answer", True)


@pytest.mark.parametrize("status", [400, 401, 404, 405, 407, 408, 421, 422])
@pytest.mark.parametrize("body", [HTML, b"", b"[]", {"message": "please log in"}])
def test_an_error_that_is_not_datacites_own_is_a_proxys_and_nobodys_refusal(status: int, body: Any) -> None:
    outcome = judged(answer(status, body))

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.host_wide, outcome.held) == ("bad_answer", True, UNKNOWN)


def test_a_hide_of_a_gone_record_that_is_refused_is_not_repeated() -> None:
    hide = Put("10.5072/x", {}, "hide", False, frozenset({State.REGISTERED}), None, "gone", completable=False)

    assert isinstance(judged(answer(422, ERRORS), hide), Rejected)


def test_a_draft_that_became_public_is_hidden_instead() -> None:
    outcome = judged(answer(405, {"errors": [{"status": "405", "title": "Method not allowed"}]}), DELETE)

    assert isinstance(outcome, Deferred)
    assert (outcome.cause, outcome.held.state, outcome.retry_after) == ("not_a_draft", State.FINDABLE, 0)


def test_a_port_that_nobody_listens_on_is_a_request_that_never_left() -> None:
    client = Client("http://127.0.0.1:9", "DATACITE.DEMO", "demo", "", 2)

    reply = client.write(UPDATE)

    client.close()
    assert isinstance(reply, NoAnswer)
    assert reply.sent is False


@pytest.mark.parametrize("document", [{"errors": {"title": "syntax"}}, {"errors": []}, {"errors": ["x"]}])
def test_every_shape_of_error_becomes_words(document: Any) -> None:
    outcome = judged(answer(400, document))

    assert isinstance(outcome, Rejected)
    assert 0 < len(outcome.message) <= 500
