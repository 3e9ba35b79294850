"""What DataCite says of its DOIs when it is asked: one by one, or in lists of a thousand.

A list comes from a search index that lags behind and forgets; one DOI comes from the database. Neither answer says
by its status whether the credentials were accepted (datacite-api 1.2, 8): the identity header does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from syncd.datacite.answer import Answer, NoAnswer
from syncd.datacite.request import path
from syncd.model import MANAGED_ATTRIBUTES, State, doi_name

LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Remote:
    """One DOI as DataCite holds it.

    Attributes:
        owner: The account that it belongs to, in upper case.
        resolves: A public DOI that the handle system knows; true for a draft.
        version: Counts every change of the metadata, whoever made it.
        attributes: The managed ones.
    """

    doi: str
    state: State
    owner: str
    resolves: bool
    version: int | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and where the next one begins; None: this was the last."""

    items: list[Remote]
    cursor: str | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Unread:
    """Why an answer does not tell what was asked; every cause but ``credentials`` may pass by itself.

    Attributes:
        retry_after: Not before so many seconds, if DataCite said so.
    """

    cause: str
    message: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class RemoteAccount:
    """An account as DataCite has it.

    Attributes:
        domains: Where landing pages may lie; ``*`` for anywhere.
        prefixes: Under which DOIs may be made; None when DataCite does not say.
    """

    active: bool
    domains: str
    prefixes: frozenset[str] | None


def account_target(account_id: str) -> str:
    """The address of an account."""
    return f"/clients/{account_id.lower()}"


def account_of(answer: Answer | NoAnswer) -> RemoteAccount | Unread:
    """The account that an answer describes."""
    document = answer.json() if isinstance(answer, Answer) and answer.status == 200 else None
    data = document.get("data") if isinstance(document, dict) else None
    attributes = data.get("attributes") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(attributes, dict):
        return _trouble(answer)
    relationships = data.get("relationships")
    prefixes = relationships.get("prefixes") if isinstance(relationships, dict) else None
    listed = prefixes.get("data") if isinstance(prefixes, dict) else None
    names = None
    if isinstance(listed, list):
        names = frozenset(str(one.get("id")) for one in listed if isinstance(one, dict))
    return RemoteAccount(bool(attributes.get("isActive", True)), str(attributes.get("domains") or ""), names)


def one_target(doi: str) -> str:
    """The address of one DOI, as it is in DataCite's database."""
    return f"{path(doi)}?affiliation=true&publisher=true"


def list_target(account_id: str, cursor: str | None, size: int) -> str:
    """The address of a page of an account's DOIs in every state, oldest first.

    Always built anew: the server's own link to the next page forgets filters (datacite-api 8).
    """
    query = {
        "client-id": account_id.lower(),
        "page[size]": str(size),
        "page[cursor]": cursor or "1",
        "affiliation": "true",
        "publisher": "true",
        "disable-facets": "true",
    }
    return f"/dois?{urlencode(query)}"


def page_of(answer: Answer | NoAnswer, account_id: str) -> Page | Unread:
    """The page that an answer holds, or why there is none."""
    document = answer.json() if isinstance(answer, Answer) and answer.status == 200 else None
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(answer, Answer) or not isinstance(document, dict) or not isinstance(data, list):
        return _trouble(answer)
    if not answer.names_account(account_id):
        return Unread("credentials", "the list does not name the account: it shows what everybody sees")
    items = [one for one in map(_remote, data) if one is not None]
    if len(items) != len(data):
        return Unread("bad_answer", "the list holds what is no DOI")
    links, meta = document.get("links"), document.get("meta")
    following = links.get("next") if isinstance(links, dict) else None
    total = meta.get("total") if isinstance(meta, dict) else None
    cursor = _cursor(following) if following else None
    if following and cursor is None:
        return Unread("bad_answer", "the list goes on, but does not say where")
    return Page(items, cursor, total if isinstance(total, int) else None)


def one_of(answer: Answer | NoAnswer, doi: str, account_id: str) -> Remote | Unread | None:
    """The DOI that an answer to ``GET /dois/…`` holds; None when DataCite has none, or shows it to others only.

    A wrong password reads like a 404 as well, so the caller must know that the credentials work.
    """
    if isinstance(answer, Answer) and answer.status == 404 and answer.from_datacite:
        return None
    document = answer.json() if isinstance(answer, Answer) and answer.status == 200 else None
    found = _remote(document.get("data")) if isinstance(document, dict) else None
    if not isinstance(answer, Answer) or found is None or found.doi != doi:
        return _trouble(answer)
    if not answer.names_account(account_id):
        return Unread("credentials", "the answer does not name the account")
    return found


def _trouble(answer: Answer | NoAnswer) -> Unread:
    if isinstance(answer, NoAnswer):
        return Unread("no_answer" if answer.sent else "unreachable", answer.message)
    if answer.throttled:
        return Unread("throttled", answer.words, answer.retry_after)
    if answer.status == 401:
        return Unread("credentials", answer.words)
    if answer.status >= 500:
        return Unread("server_error", f"HTTP {answer.status}: {answer.words}", answer.retry_after)
    return Unread("bad_answer", f"HTTP {answer.status}: {answer.words}")


def _remote(item: Any) -> Remote | None:
    attributes = item.get("attributes") if isinstance(item, dict) else None
    if not isinstance(attributes, dict) or not isinstance(attributes.get("doi"), str):
        return None
    try:
        state = State(str(attributes.get("state")))
        owner = str(item["relationships"]["client"]["data"]["id"]).upper()
    except (ValueError, KeyError, TypeError):
        return None
    version = attributes.get("metadataVersion")
    return Remote(
        doi=doi_name(attributes["doi"]),
        state=state,
        owner=owner,
        resolves=not state.public or attributes.get("registered") is not None,
        version=version if isinstance(version, int) else None,
        attributes={name: attributes.get(name) for name in MANAGED_ATTRIBUTES},
    )


def _cursor(link: Any) -> str | None:
    """Only the cursor is taken over from the server's link."""
    values = parse_qs(urlsplit(str(link)).query).get("page[cursor]")
    return values[0] if values else None
