"""What an answer means: judged by its body, because many of DataCite's answers are 200 and wrong. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from syncd.datacite.answer import Answer, NoAnswer
from syncd.datacite.normal import differences
from syncd.datacite.request import Delete, Put, Write
from syncd.model import Held, State


@dataclass(frozen=True, slots=True)
class Accepted:
    """DataCite holds what was sent, in the state that was wanted.

    Attributes:
        version: DataCite's ``metadataVersion``: a higher one later tells that somebody else wrote.
    """

    held: Held
    status: int
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """DataCite refuses this record; repeating changes nothing."""

    cause: str
    message: str
    held: Held
    status: int


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not done, nobody's fault: again later.

    Attributes:
        held: What DataCite holds now, as far as known.
        unsure: The request may still arrive: nothing more goes out for the DOI during the grace time.
        retry_after: Not before so many seconds; 0: at once, None: by the usual backoff.
        host_wide: It concerns every DOI, so all sending pauses.
        limited: A few times only, then it is a rejection.
    """

    cause: str
    message: str
    held: Held
    status: int | None
    unsure: bool = False
    retry_after: float | None = None
    host_wide: bool = False
    limited: bool = False

    @property
    def transient(self) -> bool:
        """Whether it may befall any record at any time: the network, DataCite's servers, its firewall."""
        return self.cause in ("throttled", "unreachable", "no_answer", "server_error", "bad_answer")


@dataclass(frozen=True, slots=True)
class Halted:
    """The account cannot go on: its credentials are not accepted."""

    cause: str
    message: str
    held: Held
    status: int


Outcome = Accepted | Rejected | Deferred | Halted


def judge(request: Write, before: Held, answer: Answer | NoAnswer, account_id: str) -> Outcome:
    """What DataCite's answer to a write means.

    Args:
        request: What was sent.
        before: What DataCite held before it, as far as known.
        answer: What came back.
        account_id: Whose credentials were sent; a success must name them (datacite-api 1.4).
    """
    unknown = replace(before, digests=None, sure=False)
    if isinstance(answer, NoAnswer):
        if not answer.sent:
            return Deferred("unreachable", answer.message, before, None, host_wide=True)
        return Deferred("no_answer", answer.message, unknown, None, unsure=True)
    if answer.status in (200, 201, 204):
        return _succeeded(request, answer, account_id, unknown)
    if answer.throttled:
        wait = answer.retry_after
        return Deferred("throttled", answer.words, before, answer.status, retry_after=wait, host_wide=True)
    return _failed(request, before, answer, unknown)


def _succeeded(request: Write, answer: Answer, account_id: str, unknown: Held) -> Outcome:
    if isinstance(request, Delete) and answer.status == 204:
        return Accepted(Held(), answer.status)
    document = answer.json()
    attributes = _attributes(document)
    wrong = attributes is None or str(attributes.get("doi", "")).lower() != request.doi
    if isinstance(request, Delete) or attributes is None or wrong:
        return Deferred("bad_answer", answer.words, unknown, answer.status, unsure=True)
    if not answer.names_account(account_id):
        message = "the answer does not name the account: its credentials were not accepted"
        return Halted("credentials", message, unknown, answer.status)
    try:
        state = State(str(attributes.get("state")))
    except ValueError:
        return Deferred("bad_answer", answer.words, unknown, answer.status, unsure=True)
    return _stored(request, answer, attributes, state)


def _stored(request: Put, answer: Answer, attributes: Mapping[str, Any], state: State) -> Outcome:
    """DataCite stored something: is it what was sent, and in the wanted state?"""
    if answer.status == 201 and not request.complete:
        # The DOI had vanished, and this has made a stub that holds these attributes only.
        held = Held(state, None)
        return Deferred("recreated", "a partial update created the DOI", held, 201, retry_after=0, limited=True)
    different = differences(request.attributes, attributes)
    digests = request.digests
    if digests is not None:
        digests = {name: value for name, value in digests.items() if name not in different}
    resolves = not state.public or attributes.get("registered") is not None
    held = Held(state, digests, resolves)
    if different:
        message = f"stored differently: {', '.join(different)}"
        return Rejected("stored_differently", message, held, answer.status)
    if state not in request.expects:
        wanted = " or ".join(sorted(request.expects))
        message = f"DataCite left the DOI {state}, wanted was {wanted}"
        return Deferred("state_not_reached", message, held, answer.status, retry_after=0, limited=True)
    if not resolves:
        message = "the handle system has not registered the DOI (registered is null)"
        return Deferred("not_resolving", message, held, answer.status)
    version = attributes.get("metadataVersion")
    return Accepted(held, answer.status, version if isinstance(version, int) else None)


def _failed(request: Write, before: Held, answer: Answer, unknown: Held) -> Outcome:
    status, words = answer.status, answer.words
    if 400 <= status < 500 and status != 413 and not answer.from_datacite:
        # A proxy, a captive portal, a wrong address: nobody who knows anything about the record.
        return Deferred("bad_answer", f"HTTP {status}: {words}", unknown, status, unsure=True, host_wide=True)
    if isinstance(request, Delete) and status in (404, 405):
        return _not_deleted(status, words)
    if status in (401, 404):
        hint = " (a wrong password reads like a 404 when the DOI is new)" if status == 404 else ""
        return Halted("credentials", words + hint, before, status)
    if status == 409:
        return Deferred("conflict", words, unknown, status, unsure=True, limited=True)
    if status == 500 and _made_by_the_client(answer):
        return Rejected("server_exception", words, unknown, status)
    if status >= 500:
        return Deferred("server_error", words, unknown, status, unsure=True, retry_after=answer.retry_after or None)
    if status == 422 and isinstance(request, Put) and request.completable and not request.complete:
        # Either the DOI vanished and these attributes alone make no record, or what is stored is invalid
        # (datacite-api 5.5): the complete record mends both, and if it is refused too, that is the answer.
        return Deferred("refused", words, replace(before, digests=None), status, retry_after=0, limited=True)
    if status >= 400:
        # A 400 can come after the commit: the resolver is told afterwards.
        cause = {403: "forbidden", 413: "too_large"}.get(status, "refused")
        return Rejected(cause, words, unknown if status == 400 else before, status)
    return Deferred("bad_answer", f"HTTP {status}: {words}", unknown, status, unsure=True, host_wide=True)


def _not_deleted(status: int, words: str) -> Outcome:
    if status == 404:
        return Accepted(Held(), status)
    # It was published meanwhile; which of the two public states it has, a hide does not mind.
    return Deferred("not_a_draft", words, Held(State.FINDABLE, None), status, retry_after=0, limited=True)


def _made_by_the_client(answer: Answer) -> bool:
    """The bare object of an unhandled exception: repeating never helps (datacite-api 2.2)."""
    document = answer.json()
    return isinstance(document, dict) and "errors" not in document and document.get("status") == 400


def _attributes(document: Any) -> Mapping[str, Any] | None:
    data = document.get("data") if isinstance(document, dict) else None
    attributes = data.get("attributes") if isinstance(data, dict) else None
    return attributes if isinstance(attributes, dict) else None
