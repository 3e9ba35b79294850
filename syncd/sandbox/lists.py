"""``GET /dois``: filters, pages and cursors over the search index, with links that forget some filters."""

import base64
import binascii
import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

from syncd.sandbox.document import included, resource
from syncd.sandbox.http import Request, Response, error, json_response
from syncd.sandbox.search import BadQueryError, filters
from syncd.sandbox.world import StoredDoi, World

_DEFAULT_SIZE = 25
_LARGEST_SIZE = 1000
_DEEPEST = 10_000
_KEPT_IN_NEXT = re.compile(
    r"^(query|client-id|provider-id|prefix|created|registered|published|has-[a-z-]+|facets|disable-facets|detail"
    r"|resource-type-id|consortium-id|funder-id|affiliation-id|certificate|composite|affiliation-country|funded-by"
    r"|affiliation|publisher|fields\[dois\])$"
)
_PLACES: dict[str, Callable[[StoredDoi], Any]] = {
    "name": lambda one: one.doi,
    "created": lambda one: (one.created, one.doi),
    "updated": lambda one: (one.updated, one.number),
    "published": lambda one: (str(one.attributes.get("publicationYear") or ""), one.doi),
    "title": lambda one: json.dumps(one.attributes.get("titles") or ""),
}
_SORTS = {f"{'-' * back}{name}": (place, bool(back)) for name, place in _PLACES.items() for back in (0, 1)}
_CURSOR_AND_RANDOM = (
    "Cursor-based pagination and random sampling are mutually exclusive, please choose one or the other."
)


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
    if cursor is not None and query.get("random", "").lower() == "true":
        return error(400, _CURSOR_AND_RANDOM)
    try:
        tests = filters(query, accepted=accepted)
    except BadQueryError as problem:
        return json_response(400, {"errors": {"title": str(problem)}})
    found = [one for one in world.searchable() if all(keeps(one) for keeps in tests)]
    size = min(_number(query["page[size]"]), _LARGEST_SIZE) if query.get("page[size]") else _DEFAULT_SIZE
    if cursor is not None:
        return _by_cursor(request, query, found, size, cursor)
    return _by_number(request, query, found, size)


def _by_number(request: Request, query: Mapping[str, str], found: list[StoredDoi], size: int) -> Response:
    deepest = _DEEPEST // size if size else 1
    number = min(_number(query.get("page[number]", "1")) or 1, deepest)
    key, backwards = _SORTS.get(query.get("sort", ""), _SORTS["-updated"])
    found.sort(key=key, reverse=backwards)
    pages = -(-min(len(found), _DEEPEST) // size) if size else 0
    page = found[(number - 1) * size : number * size]
    following = {"page[number]": str(number + 1)} if page and len(page) == size and number != pages else None
    meta = {"total": len(found), "totalPages": pages, "page": number, **_facets(query, found)}
    return _page(request, query, page, meta, size, following)


def _by_cursor(request: Request, query: Mapping[str, str], found: list[StoredDoi], size: int, cursor: str) -> Response:
    # The index is nearly in this order already, which makes the sort cheap.
    found.sort(key=attrgetter("place"))
    after = _decoded(cursor)
    first = bisect_right(found, after, key=attrgetter("place")) if after is not None else 0
    page = found[first : first + size]
    pages = -(-len(found) // size) if size else 0
    more = bool(page) and len(page) == size and pages > 1
    following = {"page[cursor]": _encoded(page[-1])} if more else None
    meta = {"total": len(found), "totalPages": pages, **_facets(query, found)}
    return _page(request, query, page, meta, size, following)


def _page(
    request: Request,
    query: Mapping[str, str],
    page: list[StoredDoi],
    meta: dict[str, Any],
    size: int,
    following: dict[str, str] | None,
) -> Response:
    items = [resource(one, query, detail=bool(query.get("detail")), single=False) for one in page]
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


def _facets(query: Mapping[str, str], found: list[StoredDoi]) -> dict[str, Any]:
    if query.get("disable-facets", "").lower() in ("true", "1") or not found:
        return {}
    counted = {
        "states": Counter(one.state for one in found),
        "prefixes": Counter(one.doi.split("/")[0] for one in found),
        "clients": Counter(one.account.key for one in found),
        "created": Counter(str(one.created.year) for one in found),
    }
    return {
        name: [{"id": word, "title": word.capitalize(), "count": count} for word, count in counter.most_common()]
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


def _number(text: str) -> int:
    """As Ruby reads a number: the digits that a text begins with, else 0."""
    match = re.match(r"\s*(\d{1,9})", text)
    return int(match[1]) if match else 0
