"""DataCite's REST API for DOIs: which request goes where, and the odd answers before it gets there."""

import gzip
import json
import re
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from syncd.sandbox import accounts, writes
from syncd.sandbox.attributes import ServerError
from syncd.sandbox.document import included, resource
from syncd.sandbox.http import Request, Response, error, json_response
from syncd.sandbox.identity import NOT_FOUND, Identity, Refusal, forbidden, identify, not_found
from syncd.sandbox.lists import listing
from syncd.sandbox.world import World

_JSON_TYPES = ("application/vnd.api+json", "application/json", "text/x-json", "application/jsonrequest")
_UNKNOWN_FORMAT = "The content type is not recognized."
_XML_TYPES = ("application/vnd.datacite.datacite+xml", "application/x-datacite+xml")

Routes = dict[str, Callable[[], Response]]


class Api:
    """Answers one request at a time from the world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def answer(self, request: Request) -> Response:
        """The server's answer to a request."""
        try:
            return self._dispatch(request)
        except Refusal as refusal:
            return refusal.response
        except ServerError as failure:
            body = json.dumps({"status": 400, "title": str(failure)}).encode()
            return Response(500, body, {})

    def _dispatch(self, request: Request) -> Response:
        if request.path == "/heartbeat" and request.method == "GET":
            return Response(200, b"OK", {"Content-Type": "text/plain; charset=utf-8"})
        if request.path == "/token" and request.method == "POST":
            return accounts.token(self.world, request)
        payload = _parsed(request) if request.method in ("POST", "PUT", "PATCH") else None
        method = "GET" if request.method == "HEAD" else request.method
        identity = identify(self.world, request.headers.get("authorization"))
        if isinstance(payload, dict) and (payload.get("data") == [] or isinstance(payload.get("data"), (str, list))):
            raise ServerError("no implicit conversion of String into Integer")
        # The router collapses slashes as they arrive; encoded ones are part of the name (datacite-api 2).
        path = unquote(re.sub(r"/+", "/", request.raw_path).rstrip("/"))
        route = self._routes(request, identity, payload, path).get(method)
        if route is None:
            return error(404, NOT_FOUND)
        response = route()
        if request.method == "HEAD":
            response.body = b""
        return response

    def _routes(self, request: Request, identity: Identity, payload: Any, path: str) -> Routes:
        """What may be done with a path, by method."""
        if path == "/dois":
            return {
                "GET": lambda: self._listed(request, identity, {}),
                "POST": lambda: writes.create(self.world, request, identity, payload),
            }
        if path == "/dois/validate":
            return {"POST": lambda: writes.validate(self.world, request, identity, payload)}
        if path == "/dois/random":
            return {"GET": lambda: writes.proposals(request, identity)}
        nested = re.fullmatch(r"/(clients|providers|repositories)/([^/]+)/dois", path)
        if nested is not None:
            # Below /repositories/ nobody reads whose: everything is listed.
            owner = {} if nested[1] == "repositories" else {f"{nested[1].rstrip('s')}-id": nested[2]}
            return {"GET": lambda: self._listed(request, identity, owner)}
        if path.startswith(("/clients/", "/repositories/", "/prefixes")):
            return {"GET": lambda: _with_identity(accounts.answer(self.world, request, path), identity)}
        return self._of_one(request, identity, payload, path) if path.startswith("/dois/") else {}

    def _of_one(self, request: Request, identity: Identity, payload: Any, path: str) -> Routes:
        name = path.removeprefix("/dois/")
        if re.search(r"/(media|events)/[^/]+$", request.raw_path):
            return {}
        other = re.search(r"/(metadata|media|activities|events|edit|get-url)$", request.raw_path)
        return {
            "GET": lambda: self._other(identity, name) if other else self._read(request, identity, name),
            "PUT": lambda: writes.upsert(self.world, request, identity, name, payload),
            "PATCH": lambda: writes.upsert(self.world, request, identity, name, payload),
            "DELETE": lambda: writes.delete(self.world, identity, name),
        }

    def _listed(self, request: Request, identity: Identity, owner: dict[str, str]) -> Response:
        if not _readable(request):
            return error(406, _UNKNOWN_FORMAT)
        accepted = identity.account is not None
        return _with_identity(listing(self.world, request, accepted=accepted, owner=owner), identity)

    def _read(self, request: Request, identity: Identity, name: str) -> Response:
        stored = self.world.dois.get(name.lower())
        own = stored is not None and identity.account is stored.account
        if stored is None or not (own or stored.state == "findable"):
            raise not_found()
        if not _readable(request):
            return error(406, _UNKNOWN_FORMAT)
        if _accepted(request)[0] in _XML_TYPES:
            headers = {"Content-Type": f"{_XML_TYPES[0]}; charset=utf-8", **identity.headers}
            return Response(200, stored.xml or b"", headers)
        document = {"data": resource(stored, request.query, detail=True), **included([stored], request.query)}
        return json_response(200, document, identity.headers)

    def _other(self, identity: Identity, path: str) -> Response:
        """With raw slashes some suffixes belong to other controllers (datacite-api 2); ``get-url`` is served."""
        name, _, what = path.rpartition("/")
        stored = self.world.dois.get(name.lower())
        if what != "get-url" or stored is None:
            raise not_found()
        # Nobody may ask for any, an account only for its own.
        if identity.account is not None and (identity.account is not stored.account or not identity.account.active):
            raise forbidden()
        # A draft's own url; for the others, what the handle system was told.
        if stored.state != "draft" and stored.registered is None:
            return error(404, "Handle not found", identity.headers)
        url = stored.attributes.get("url")
        return json_response(200, {"url": url}, identity.headers) if url else Response(204, b"", identity.headers)


def _parsed(request: Request) -> Any:
    """The body as JSON; broken JSON is refused before anybody asks who sends it."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in _JSON_TYPES or not request.body:
        return None
    inflated = _inflated(request)
    try:
        text = inflated.decode(errors="ignore")
        document = json.loads(text, parse_constant=_refused_constant)
    except (ValueError, RecursionError) as problem:
        raise Refusal(error(400, str(problem))) from None
    # Halves of surrogate pairs are cleaned away like any other broken UTF-8.
    return _clean(document) if "\\ud" in text.lower() else document


def _refused_constant(word: str) -> Any:
    raise ValueError(f"unexpected token at '{word}'")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="ignore").decode()
    if isinstance(value, list):
        return [_clean(member) for member in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(member) for key, member in value.items()}
    return value


def _inflated(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "").lower()
    if encoding not in ("gzip", "deflate") or request.method == "PATCH":
        return request.body
    try:
        return gzip.decompress(request.body) if encoding == "gzip" else zlib.decompress(request.body)
    except (OSError, EOFError, zlib.error) as problem:
        raise ServerError(str(problem)) from None  # below the part that answers broken JSON with a 400


def _with_identity(response: Response, identity: Identity) -> Response:
    if response.status == 200:
        response.headers |= identity.headers
    return response


def _accepted(request: Request) -> list[str]:
    return [kind.split(";")[0].strip().lower() for kind in request.headers.get("accept", "*/*").split(",")]


def _readable(request: Request) -> bool:
    """Whether a GET can be answered; of the real server's other formats only DataCite XML is offered here."""
    known = ("", "*/*", "text/html", "application/*", *_JSON_TYPES)
    kinds = _accepted(request)
    return any(kind in known for kind in kinds) or (request.path != "/dois" and kinds[0] in _XML_TYPES)
