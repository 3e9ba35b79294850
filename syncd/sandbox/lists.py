"""``GET /dois``: filters, pages and cursors over the search index, with links that forget some filters."""

import base64
import binascii
import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

from syncd.sandbox.document import included, resource
from syncd.sandbox.http import Request, Response, error, json_response
from syncd.sandbox.world import StoredDoi, World

_DEFAULT_SIZE = 25
_LARGEST_SIZE = 1000
_DEEPEST = 10_000
_KEPT_IN_NEXT = re.compile(
    r"^(query|client-id|provider-id|prefix|created|registered|published|has-[a-z-]+|facets|disable-facets|detail"
    r"|resource-type-id|consortium-id|funder-id|affiliation-id|certificate|composite|affiliation-country|funded-by"
    r"|affiliation|publisher|fields\[dois\])$"
)
_SORTS: dict[str, Callable[[StoredDoi], Any]] = {
    "name": lambda one: one.doi,
    "created": lambda one: (one.created, one.doi),
    "updated": lambda one: (one.updated, one.number),
    "registered": lambda one: (one.registered or one.created, one.doi),
    "published": lambda one: (str(one.attributes.get("publicationYear") or ""), one.doi),
}
_CLAUSE = re.compile(r'(?:(\w[\w.]*):)?("[^"]*"|\([^()]*\)|[^\s"()]+)')


def listing(world: World, request: Request, *, accepted: bool, owner: dict[str, str] | None = None) -> Response:
    """A page of DOIs.

    Args:
        world: Whose index is searched; it may lag behind.
        request: With its filters.
        accepted: Whether the credentials were; otherwise only findable DOIs are listed.
        owner: Whose DOIs, when the path says so: a filter.
    """
    query = {**request.query, **(owner or {})}
    cursor = query.get("page[cursor]")
    if cursor is not None and query.get("random") == "true":
        return error(400, "The page[cursor] and random parameters cannot be combined.")
    words = query.get("query", "")
    if words.count('"') % 2 or words.count("(") != words.count(")"):
        return json_response(400, {"errors": {"title": f"parse_exception: Failed to parse query [{words}]"}})
    filters = _filters(query, accepted=accepted)
    found = [one for one in world.searchable() if all(keeps(one) for keeps in filters)]
    size = min(_number(query.get("page[size]"), _DEFAULT_SIZE), _LARGEST_SIZE)
    if cursor is not None:
        return _by_cursor(request, found, size, cursor)
    return _by_number(request, found, size)


def _by_number(request: Request, found: list[StoredDoi], size: int) -> Response:
    query = request.query
    deepest = _DEEPEST // size if size else 1
    number = max(1, min(_number(query.get("page[number]"), 1), deepest))
    name = query.get("sort", "-updated")
    key = _SORTS.get(name.lstrip("-"), _SORTS["updated"])
    found.sort(key=key, reverse=name.startswith("-"))
    pages = -(-len(found) // size) if size else 0
    page = found[(number - 1) * size : number * size]
    following = {"page[number]": str(number + 1)} if page and len(page) == size and number < pages else None
    meta = {"total": len(found), "totalPages": pages, "page": number, **_facets(query, found)}
    return _page(request, page, meta, size, following)


def _by_cursor(request: Request, found: list[StoredDoi], size: int, cursor: str) -> Response:
    # The index is nearly in this order already, which makes the sort cheap.
    found.sort(key=attrgetter("place"))
    after = _decoded(cursor)
    first = bisect_right(found, after, key=attrgetter("place")) if after is not None else 0
    page = found[first : first + size]
    pages = -(-len(found) // size) if size else 0
    more = bool(page) and len(page) == size and pages > 1
    following = {"page[cursor]": _encoded(page[-1])} if more else None
    meta = {"total": len(found), "totalPages": pages, **_facets(request.query, found)}
    return _page(request, page, meta, size, following)


def _page(
    request: Request, page: list[StoredDoi], meta: dict[str, Any], size: int, following: dict[str, str] | None
) -> Response:
    query = request.query
    detail = query.get("detail") == "true"
    items = [resource(one, query, detail=detail, single=False) for one in page]
    wanted = query.get("fields[dois]")
    if wanted is not None:
        items = [_sparse(item, wanted.split(",")) for item in items]
    host = f"http://{request.headers.get('host', 'localhost')}"
    links = {"self": host + request.target}
    if following is not None:
        kept = {name: value for name, value in query.items() if _KEPT_IN_NEXT.match(name)}
        parameters = {**kept, "page[size]": str(size), **following}
        links["next"] = f"{host}/dois?{urlencode(sorted(parameters.items()))}"
    return json_response(200, {"data": items, "meta": meta, "links": links, **included(page, query)})


def _sparse(item: dict[str, Any], names: list[str]) -> dict[str, Any]:
    attributes = {name: value for name, value in item["attributes"].items() if name in names}
    relationships = {name: value for name, value in item["relationships"].items() if name in names}
    return {**item, "attributes": attributes, "relationships": relationships}


def _filters(query: dict[str, str], *, accepted: bool) -> list[Callable[[StoredDoi], bool]]:
    """What a DOI must satisfy; only what was asked for, because every DOI is asked."""
    if query.get("ids"):
        return [_one_of(query["ids"], lambda one: one.doi)]  # nothing else is looked at then, who asks neither
    state = query.get("state") if accepted else "findable"
    wanted: list[tuple[str | None, Callable[[StoredDoi], str]]] = [
        (state, lambda one: one.state),
        (query.get("prefix"), lambda one: one.doi.split("/")[0]),
        (query.get("created"), lambda one: str(one.created.year)),
        (query.get("registered"), lambda one: str(one.registered.year) if one.registered else ""),
        (query.get("published"), lambda one: str(one.attributes.get("publicationYear") or "")),
        (query.get("resource-type-id"), _kind),
        (query.get("schema-version"), _version),
    ]
    filters = [_one_of(asked, value) for asked, value in wanted if asked]
    # client-id and provider-id are alternatives, not both needed.
    owners = [
        _one_of(asked, value)
        for asked, value in (
            (query.get("client-id"), lambda one: one.account.key),
            (query.get("provider-id"), lambda one: one.account.key.split(".")[0]),
        )
        if asked
    ]
    if owners:
        filters.append(lambda one: any(owner(one) for owner in owners))
    words = query.get("query", "")
    if words.strip() not in ("", "*"):
        filters.append(lambda one: _found_by(one, words))
    return filters


def _one_of(asked: str, value: Callable[[StoredDoi], str]) -> Callable[[StoredDoi], bool]:
    words = {word.strip().lower() for word in asked.split(",")}
    return lambda one: value(one).lower() in words


def _kind(one: StoredDoi) -> str:
    types = one.attributes.get("types")
    general = types.get("resourceTypeGeneral") if isinstance(types, dict) else ""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", str(general or "")).lower()


def _version(one: StoredDoi) -> str:
    return str(one.attributes.get("schemaVersion") or "").rsplit("kernel-", 1)[-1]


def _found_by(one: StoredDoi, words: str) -> bool:
    """A small part of the query language: ``field:value`` and free words, all of them needed."""
    text = json.dumps({"doi": one.doi, "state": one.state, **one.attributes}, ensure_ascii=False, default=str).lower()
    for field, value in _CLAUSE.findall(words):
        wanted = value.strip('"()').replace("\\", "").lower()
        if value in ("AND", "OR", "NOT") or wanted == "*":
            continue
        place = _field(one, field).lower() if field else text
        if not re.search(re.escape(wanted).replace(r"\*", ".*").replace(r"\?", "."), place):
            return False
    return True


def _field(one: StoredDoi, path: str) -> str:
    value: Any = {"doi": one.doi, "id": one.doi, "state": one.state, **one.attributes}
    value["client.id"] = value["client_id"] = one.account.key
    if path in value:
        return json.dumps(value[path], ensure_ascii=False, default=str)
    for step in path.split("."):
        name = re.sub(r"_([a-z])", lambda match: match[1].upper(), step)
        entries = value if isinstance(value, list) else [value]
        value = [entry.get(name) for entry in entries if isinstance(entry, dict)]
        value = [deep for entry in value for deep in (entry if isinstance(entry, list) else [entry])]
    return json.dumps(value, ensure_ascii=False, default=str)


def _facets(query: dict[str, str], found: Iterable[StoredDoi]) -> dict[str, Any]:
    if query.get("disable-facets") == "true":
        return {}
    found = list(found)
    counted = {
        "states": Counter(one.state for one in found),
        "prefixes": Counter(one.doi.split("/")[0] for one in found),
        "clients": Counter(one.account.key for one in found),
        "created": Counter(str(one.created.year) for one in found),
    }
    return {
        name: [{"id": word, "title": word, "count": count} for word, count in counter.most_common()]
        for name, counter in counted.items()
    }


def _encoded(one: StoredDoi) -> str:
    created, doi = one.place
    return base64.urlsafe_b64encode(f"{created},{doi}".encode()).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[int, str] | None:
    """The place that a cursor names; what cannot be decoded starts from the beginning, without a word."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        created, _, doi = text.partition(",")
        return (int(created), doi) if doi else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _number(text: str | None, default: int) -> int:
    return max(0, int(text)) if text is not None and re.fullmatch(r"-?\d{1,9}", text) else default
