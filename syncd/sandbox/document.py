"""What is read back: the stored record in the server's form, which is not always what was sent."""

import base64
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from syncd.sandbox.attributes import OBJECT_LISTS
from syncd.sandbox.rendering import entries
from syncd.sandbox.world import Account, Attributes, StoredDoi

_COUNTERS = (
    "viewCount", "downloadCount", "referenceCount", "citationCount", "partCount", "partOfCount", "versionCount",
    "versionOfCount",
)  # fmt: skip
_RELATED = ("references", "citations", "parts", "partOf", "versions", "versionOf")
_LAST_PARENTHESIS = re.compile(r"\(([^)]+)\)(?!.*\([^)]+\))")


def resource(stored: StoredDoi, query: Mapping[str, str], *, detail: bool, single: bool = True) -> dict[str, Any]:
    """One DOI as a JSON:API resource.

    Args:
        stored: Which.
        query: The request's parameters: ``affiliation`` and ``publisher`` choose between names and objects.
        detail: With the members that lists leave out.
        single: Not one of a list.
    """
    attributes = _attributes(
        stored, affiliation=query.get("affiliation") == "true", publisher=query.get("publisher") == "true"
    )
    relationships: dict[str, Any] = {"client": {"data": {"id": stored.account.key, "type": "clients"}}}
    if detail:
        attributes |= _details(stored, attributes["identifiers"])
        provider = stored.account.key.split(".")[0]
        relationships["provider"] = {"data": {"id": provider, "type": "providers"}}
        if single:
            relationships["media"] = {"data": {"id": stored.doi, "type": "media"}}
        relationships |= {name: {"data": []} for name in _RELATED}
    if query.get("include-other-registration-agencies"):
        attributes["agency"] = "datacite"
    return {"id": stored.doi, "type": "dois", "attributes": attributes, "relationships": relationships}


def included(page: Iterable[StoredDoi], query: Mapping[str, str]) -> dict[str, Any]:
    """The member ``included`` with the accounts of a page, when the request asks for them."""
    if "client" not in query.get("include", "").split(","):
        return {}
    accounts = {one.account.key: one.account for one in page}
    return {"included": [client(account, "clients") for account in accounts.values()]}


def client(account: Account, kind: str) -> dict[str, Any]:
    """An account as a resource; ``clients`` and ``repositories`` are two names of one thing."""
    return {
        "id": account.key,
        "type": kind,
        "attributes": {
            "name": account.name,
            "symbol": account.id.upper(),
            "domains": account.domains,
            "isActive": account.active,
        },
        "relationships": {
            "provider": {"data": {"id": account.key.split(".")[0], "type": "providers"}},
            "prefixes": {"data": [{"id": prefix, "type": "prefixes"} for prefix in account.prefixes]},
        },
    }


def _details(stored: StoredDoi, identifiers: list[Any]) -> dict[str, Any]:
    return {
        "prefix": stored.doi.split("/")[0],
        "suffix": stored.doi.split("/", 1)[-1],
        "alternateIdentifiers": [
            {"alternateIdentifierType": one.get("identifierType"), "alternateIdentifier": one.get("identifier")}
            for one in identifiers
        ],
        "xml": base64.b64encode(stored.xml).decode() if stored.xml else None,
        **{name: [] for name in ("viewsOverTime", "downloadsOverTime", "citationsOverTime")},
    }


def _attributes(stored: StoredDoi, *, affiliation: bool, publisher: bool) -> dict[str, Any]:
    kept = stored.attributes
    lists = {name: kept.get(name) or [] for name in OBJECT_LISTS}
    for name in ("creators", "contributors"):
        lists[name] = [_person(person, affiliation) for person in lists[name] if isinstance(person, dict)]
    hidden = (stored.doi.upper(), kept.get("url"))
    lists["identifiers"] = [one for one in lists["identifiers"] if one.get("identifier") not in hidden]
    name_of_publisher = kept.get("publisher")
    return {
        "doi": stored.doi,
        **lists,
        "publisher": name_of_publisher if publisher else (name_of_publisher or {}).get("name"),
        "container": as_container(kept),
        "publicationYear": kept.get("publicationYear"),
        "language": kept.get("language"),
        "types": kept.get("types") or {},
        "sizes": kept.get("sizes") or [],
        "formats": kept.get("formats") or [],
        "version": kept.get("version"),
        "url": kept.get("url"),
        "contentUrl": kept.get("contentUrl"),
        "metadataVersion": stored.metadata_version,
        "schemaVersion": kept.get("schemaVersion"),
        "source": kept.get("source") or "api",
        "isActive": stored.state == "findable",
        "state": stored.state,
        "reason": kept.get("reason"),
        "landingPage": kept.get("landingPage"),
        **dict.fromkeys(_COUNTERS, 0),
        "created": _time(stored.created),
        "registered": _time(stored.registered),
        "published": _published(kept),
        "updated": _time(stored.updated),
    }


def _person(person: dict[str, Any], affiliation: bool) -> dict[str, Any]:
    given = person.get("affiliation") or []
    shown = given if affiliation else [one["name"] for one in given if one.get("name")]
    return {**person, "affiliation": shown, "nameIdentifiers": person.get("nameIdentifiers") or []}


def as_container(kept: Attributes) -> Attributes:
    """Computed: from an IsPublishedIn item, else a SeriesInformation description, else as stored."""
    types = kept.get("types")
    general = types.get("resourceTypeGeneral") if isinstance(types, dict) else None
    kind = "DataRepository" if general == "Dataset" else "Series"
    for item in entries(kept, "relatedItems"):
        if item.get("relationType") == "IsPublishedIn":
            return _from_item(item, kind)
    for description in entries(kept, "descriptions"):
        if description.get("descriptionType") == "SeriesInformation":
            found = _from_series(str(description.get("description") or ""), entries(kept, "relatedIdentifiers"), kind)
            if found:
                return found
            break
    stored = kept.get("container")
    return stored if isinstance(stored, dict) else {}


def _from_item(item: dict[str, Any], kind: str) -> Attributes:
    identifier = item.get("relatedItemIdentifier")
    identifier = identifier if isinstance(identifier, dict) else {}
    titles = entries(item, "titles")
    members = {
        "type": kind,
        "identifier": identifier.get("relatedItemIdentifier"),
        "identifierType": identifier.get("relatedItemIdentifierType"),
        "title": titles[0].get("title") if titles else None,
        **{name: item.get(name) for name in ("volume", "issue", "edition", "number", "firstPage", "lastPage")},
        "chapterNumber": item.get("number") if item.get("numberType") == "Chapter" else None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _from_series(text: str, related: list[Any], kind: str) -> Attributes:
    """``title, volume(issue), first-last`` as far as it goes; nothing without a title."""
    parts = [part.strip() for part in text.rstrip(",").split(",")]
    if not parts[0]:
        return {}
    volume = issue = None
    if len(parts) > 2:
        match = _LAST_PARENTHESIS.search(parts[1])
        volume = (parts[1][: match.start()] or parts[1][match.end() :] if match else parts[1]) or None
        issue = match[1] if match else None
    pages = [page.strip() for page in parts[-1].rstrip("-").split("-")] if len(parts) > 1 else []
    part_of: Attributes = next((one for one in related if one.get("relationType") == "IsPartOf"), {})
    members = {
        "type": kind,
        "identifier": part_of.get("relatedIdentifier"),
        "identifierType": part_of.get("relatedIdentifierType"),
        "title": parts[0],
        "volume": volume,
        "issue": issue,
        "firstPage": (pages[0] or None) if pages else None,
        "lastPage": pages[1] if len(pages) > 1 else None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _published(kept: Attributes) -> str:
    """The year; a date of the type ``issued``, in lower case, would win, and the real ``Issued`` does not."""
    for date in entries(kept, "dates"):
        if date.get("dateType") == "issued":
            return str(date.get("date"))
    year = kept.get("publicationYear")
    return "" if year is None else str(year)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
