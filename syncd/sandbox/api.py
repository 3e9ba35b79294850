"""DataCite's REST API for DOIs: who may do what, what happens, and the odd answers in between."""

import base64
import binascii
import gzip
import json
import random
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from syncd.sandbox import accounts
from syncd.sandbox import attributes as content
from syncd.sandbox.document import resource
from syncd.sandbox.http import Request, Response, error, json_response
from syncd.sandbox.lists import listing
from syncd.sandbox.rules import Error, check
from syncd.sandbox.world import Account, StoredDoi, World
from syncd.vocabularies import SCHEMA_VERSION

_NOT_FOUND = "The resource you are looking for doesn't exist."
_UNAUTHORIZED = "Bad credentials."
_FORBIDDEN = "You are not authorized to access this resource."
_NO_PAYLOAD = "You need to provide a payload following the JSONAPI spec"
_JSON_TYPES = ("application/vnd.api+json", "application/json", "text/x-json", "application/jsonrequest")
_DOI = re.compile(r"^10\.\d{4,5}/[-._;()/:a-zA-Z0-9*~$=]+$")
_LOOKS_LIKE_DOI = re.compile(r"^10\.\d{4,5}/.+$")
_RESOLVER = re.compile(r"^https?://(?:dx\.)?doi\.org/", re.IGNORECASE)
_PREFIX = re.compile(r"^(10\.\d{4,5})(?:/(.+))?$")
_ALLOWED_METHODS = "HEAD, GET, POST, PATCH, PUT, OPTIONS"
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_TRANSITIONS = {
    ("draft", "register"): "registered",
    ("draft", "publish"): "findable",
    ("registered", "publish"): "findable",
    ("registered", "show"): "findable",
    ("findable", "hide"): "registered",
}
"""Everything else is a silent no-op."""


class Refusal(Exception):
    """An answer that ends the request."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: an account, nobody (``rejected``: with credentials that were not accepted)."""

    account: Account | None = None
    rejected: bool = False


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
        except content.ServerError as failure:
            body = json.dumps({"status": 400, "title": str(failure)}).encode()
            return Response(500, body, {})

    def _dispatch(self, request: Request) -> Response:
        if request.path == "/heartbeat" and request.method == "GET":
            return Response(200, b"OK", {"Content-Type": "text/plain; charset=utf-8"})
        if request.path == "/token" and request.method == "POST":
            return accounts.token(self.world, request)
        payload = self._parsed(request) if request.method in ("POST", "PUT", "PATCH") else None
        method = "GET" if request.method == "HEAD" else request.method
        identity = identify(self.world, request.headers.get("authorization"))
        if isinstance(payload, dict) and (payload.get("data") == [] or isinstance(payload.get("data"), (str, list))):
            raise content.ServerError("no implicit conversion of String into Integer")
        # The router collapses slashes as they arrive; encoded ones are part of the name (datacite-api 2).
        path = unquote(re.sub(r"/+", "/", request.raw_path).rstrip("/"))
        route = self._routes(request, identity, payload, path).get(method)
        if route is None:
            return error(404, _NOT_FOUND)
        if method == "GET" and not _readable(request.headers.get("accept", "*/*")):
            return error(406, "The content type is not recognized.")
        response = route()
        if request.method == "HEAD":
            response.body = b""
        return response

    def _routes(
        self, request: Request, identity: Identity, payload: Any, path: str
    ) -> dict[str, Callable[[], Response]]:
        """What may be done with a path, by method."""
        if path == "/dois":
            accepted = identity.account is not None
            return {
                "GET": lambda: self._with_identity(listing(self.world, request, accepted=accepted), identity),
                "POST": lambda: self._create(request, identity, payload),
            }
        if path == "/dois/validate":
            return {"POST": lambda: self._validate(request, identity, payload)}
        if path == "/dois/random":
            return {"GET": lambda: self._random(request, identity)}
        nested = re.fullmatch(r"/(clients|providers)/([^/]+)/dois", path.replace("/repositories/", "/clients/"))
        if nested is not None:
            accepted = identity.account is not None
            owner = {f"{nested[1].rstrip('s')}-id": nested[2]}
            return {
                "GET": lambda: self._with_identity(
                    listing(self.world, request, accepted=accepted, owner=owner), identity
                )
            }
        if path.startswith(("/clients/", "/repositories/", "/prefixes")):
            return {"GET": lambda: self._with_identity(accounts.answer(self.world, request, path), identity)}
        if not path.startswith("/dois/"):
            return {}
        name = path.removeprefix("/dois/")
        if re.search(r"/(media|events)/[^/]+$", request.raw_path):
            return {}
        other = re.search(r"/(metadata|media|activities|events|edit|get-url)$", request.raw_path)
        return {
            "GET": lambda: self._other_route(path) if other else self._read(request, identity, name),
            "PUT": lambda: self._upsert(request, identity, name, payload),
            "PATCH": lambda: self._upsert(request, identity, name, payload),
            "DELETE": lambda: self._delete(identity, name),
        }

    # The body.

    @staticmethod
    def _parsed(request: Request) -> Any:
        """The body as JSON; broken JSON is refused before anybody asks who sends it."""
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in _JSON_TYPES or not request.body:
            return None
        try:
            return json.loads(_inflated(request))
        except (ValueError, RecursionError) as problem:
            raise Refusal(error(400, str(problem))) from None

    @staticmethod
    def _data(document: Any) -> dict[str, Any]:
        """The envelope's ``data`` with its attributes, looked at only when the caller may write."""
        data = document.get("data") if isinstance(document, dict) else None
        if not data or not isinstance(data, dict):
            raise Refusal(error(400, _NO_PAYLOAD))
        sent = data.get("attributes")
        if sent is not None and not isinstance(sent, dict):
            raise content.ServerError("no implicit conversion of String into Integer")
        if sent is None:
            raise Refusal(error(422, "param is missing or the value is empty or invalid: attributes"))
        alternate = sent.get("alternateIdentifiers") or []
        entries = alternate if isinstance(alternate, list) else [alternate]
        for entry in entries if "identifiers" not in sent else ():
            for key in ("alternateIdentifierType", "alternateIdentifier"):
                if isinstance(entry, dict) and key not in entry:
                    raise Refusal(error(422, f"key not found: :{key}"))
        return dict(data)

    # Operations.

    def _create(self, request: Request, identity: Identity, document: Any) -> Response:
        if identity.account is None and not identity.rejected:
            raise Refusal(error(401, _UNAUTHORIZED))
        data = self._data(document)
        sent = data["attributes"]
        account = self._client_of(identity, data)
        name = self._new_name(sent)
        if identity.account is None:
            raise Refusal(error(401, _UNAUTHORIZED))
        self._may_create(identity.account, account, name)
        if name.lower() in self.world.dois:
            return _invalid([_taken(name)], identity)
        stored = self.world.new(name, account)
        errors = self._change(stored, sent, upsert=False)
        errors = _doi_errors(stored) + errors
        if errors:
            return _invalid(errors, identity)
        self.world.keep(stored)
        location = f"http://{request.headers.get('host', 'localhost')}/dois/{stored.number}"
        return self._written(request, identity, stored, 201, {"Location": location})

    def _upsert(self, request: Request, identity: Identity, name: str, document: Any) -> Response:
        existing = self.world.dois.get(name.lower())
        if existing is not None:
            self._may_write(identity, existing)
            return self._update(request, identity, existing, self._data(document)["attributes"])
        # A resolver's address is understood when the DOI is made, not when it is looked up.
        name = _RESOLVER.sub("", name)
        if not _LOOKS_LIKE_DOI.match(name):
            raise Refusal(error(404, _NOT_FOUND))
        data = self._data(document)
        account = self._client_of(identity, data, creating=False)
        if identity.account is None:
            raise Refusal(error(404, _NOT_FOUND))
        self._may_create(identity.account, account, name)
        if name.lower() in self.world.dois:
            return _invalid([_taken(name)], identity)
        stored = self.world.new(name, account)
        errors = _doi_errors(stored) + self._change(stored, data["attributes"], upsert=False)
        if errors:
            return _invalid(errors, identity)
        self.world.keep(stored)
        return self._written(request, identity, stored, 201)

    def _update(self, request: Request, identity: Identity, existing: StoredDoi, sent: dict[str, Any]) -> Response:
        if sent.get("mode") == "transfer":
            raise Refusal(error(403, _FORBIDDEN))
        stored = existing.copy()
        errors = self._change(stored, sent, upsert=True)
        if errors:
            return _invalid(errors, identity)
        self.world.keep(stored)
        return self._written(request, identity, stored, 200)

    def _delete(self, identity: Identity, name: str) -> Response:
        stored = self.world.dois.get(name.lower())
        if stored is None:
            raise Refusal(error(404, _NOT_FOUND))
        self._may_write(identity, stored)
        if stored.state != "draft":
            return error(405, "Method not allowed", {"Allow": _ALLOWED_METHODS, **_identity_headers(identity)})
        self.world.remove(stored)
        return Response(204, b"", _identity_headers(identity))

    def _read(self, request: Request, identity: Identity, name: str) -> Response:
        stored = self.world.dois.get(name.lower())
        own = stored is not None and identity.account is stored.account
        if stored is None or not (own or stored.state == "findable"):
            raise Refusal(error(404, _NOT_FOUND))
        document: dict[str, Any] = {"data": self._resource(request, stored)}
        if "client" in request.query.get("include", "").split(","):
            client = {
                "id": stored.account.key,
                "type": "clients",
                "attributes": {"symbol": stored.account.id.upper()},
            }
            document["included"] = [client]
        return json_response(200, document, _identity_headers(identity))

    def _other_route(self, path: str) -> Response:
        """With raw slashes some suffixes belong to other controllers (datacite-api 2)."""
        name, _, what = path.removeprefix("/dois/").rpartition("/")
        stored = self.world.dois.get(name.lower())
        if what != "get-url" or stored is None:
            raise Refusal(error(404, _NOT_FOUND))
        url = stored.attributes.get("url") if stored.registered else None
        return json_response(200, {"url": url}) if url else Response(204)

    @staticmethod
    def _with_identity(response: Response, identity: Identity) -> Response:
        if response.status == 200:
            response.headers |= _identity_headers(identity)
        return response

    def _random(self, request: Request, identity: Identity) -> Response:
        """Proposals: not reserved, and only not taken at this moment."""
        prefix = request.query.get("prefix", "")
        match = _PREFIX.match(prefix)
        if match is None:
            raise Refusal(error(422, "Parameter prefix is required"))
        text = request.query.get("size", "1")
        count = min(int(text), 500) if text.isdecimal() else 1
        names = [f"{match[1]}/{_suffix()}" for _ in range(count)]
        return json_response(200, {"dois": names}, _identity_headers(identity))

    def _validate(self, request: Request, identity: Identity, document: Any) -> Response:
        data = self._data(document)
        sent = data["attributes"]
        account = self._client_of(identity, data, creating=False)
        if identity.account is not account or not account.active:
            raise Refusal(error(403, _FORBIDDEN))
        stored = self.world.new(str(sent.get("doi") or ""), account)
        if not stored.doi and sent.get("prefix"):
            stored = self.world.new(self._new_name(sent), account)
        errors = _doi_errors(stored) + self._change(stored, {**sent, "should_validate": True}, upsert=False)
        if errors:
            return json_response(200, {"errors": errors}, _identity_headers(identity))
        document = {"data": self._resource(request, stored, detail=False)}
        return json_response(200, document, _identity_headers(identity))

    # What they share.

    def _change(self, stored: StoredDoi, sent: dict[str, Any], *, upsert: bool) -> list[Error]:
        """Lay the request over the record and check the result; the caller keeps it when nothing is wrong."""
        before = json.dumps(stored.attributes, sort_keys=True, default=str)
        had_xml = stored.has_xml
        if upsert and not sent.get("schemaVersion"):
            # On an update a blank token keeps the stored one, or is filled in.
            sent = {name: value for name, value in sent.items() if name != "schemaVersion"}
        content.apply(stored.attributes, sent)
        xml_changed = bool(content.METADATA & sent.keys())
        if upsert and not stored.attributes.get("schemaVersion"):
            stored.attributes["schemaVersion"] = SCHEMA_VERSION
        stored.has_xml = stored.has_xml or xml_changed
        if had_xml and xml_changed and json.dumps(stored.attributes, sort_keys=True, default=str) != before:
            stored.metadata_version += 1
        event = sent.get("event")
        if isinstance(event, str):
            stored.state = _TRANSITIONS.get((stored.state, event), stored.state)
        strict = stored.state != "draft" or sent.get("should_validate") is True
        errors = check(stored, strict=strict, xml_changed=xml_changed)
        if not errors and stored.state != "draft" and self.world.handles_answer:
            stored.registered = stored.registered or self.world.now()
        return errors

    def give(self, account: Account, sent: dict[str, Any]) -> list[Error]:
        """Create a DOI as one POST of its account would; the errors, if it cannot be."""
        stored = self.world.new(str(sent["doi"]), account)
        errors = _doi_errors(stored) + self._change(stored, sent, upsert=False)
        if not errors:
            self.world.keep(stored)
        return errors

    def _client_of(self, identity: Identity, data: dict[str, Any], *, creating: bool = True) -> Account:
        """The repository is looked up before permission is checked: a wrong password is a 404 here."""
        relationships = data.get("relationships")
        try:
            named = relationships["client"]["data"]["id"] if relationships else None
        except (KeyError, TypeError):
            named = None
        if named is not None:
            account = self.world.account(str(named))
            if account is None:
                raise Refusal(error(404, _NOT_FOUND))
            if identity.account is None:
                raise Refusal(error(401, _UNAUTHORIZED))
            return account
        if identity.account is None:
            unknown = identity.rejected or not creating
            raise Refusal(error(404, _NOT_FOUND) if unknown else error(401, _UNAUTHORIZED))
        return identity.account

    def _new_name(self, sent: dict[str, Any]) -> str:
        name, prefix = sent.get("doi"), sent.get("prefix")
        if isinstance(name, str) and name:
            if not re.match(r"^10\.\d{4,5}/", name):
                raise Refusal(error(403, _FORBIDDEN))
            return name
        if prefix is None:
            raise Refusal(error(403, _FORBIDDEN))
        match = _PREFIX.match(str(prefix))
        if match is None:
            raise content.ServerError("undefined method for nil (prefix)")
        while True:
            shoulder = f"{match[2]}-" if match[2] else ""
            name = f"{match[1]}/{shoulder}{_suffix()}"
            if name not in self.world.dois:
                return name

    def _may_create(self, identity: Account, account: Account, name: str) -> None:
        """The named repository's prefixes count, whoever asks: a hole of the real server."""
        if name.split("/", 1)[0] not in account.prefixes or not identity.active:
            raise Refusal(error(403, _FORBIDDEN))

    def _may_write(self, identity: Identity, stored: StoredDoi) -> None:
        if identity.account is None:
            raise Refusal(error(401, _UNAUTHORIZED))
        if identity.account is not stored.account or not identity.account.active:
            raise Refusal(error(403, _FORBIDDEN))

    def _written(
        self,
        request: Request,
        identity: Identity,
        stored: StoredDoi,
        status: int,
        headers: dict[str, str] | None = None,
    ) -> Response:
        document = {"data": self._resource(request, stored)}
        return json_response(status, document, {**_identity_headers(identity), **(headers or {})})

    def _resource(self, request: Request, stored: StoredDoi, *, detail: bool = True) -> dict[str, Any]:
        query = request.query
        agency = any(
            query.get(name) == "true"
            for name in ("include-other-registration-agencies", "include_other_registration_agencies")
        )
        return resource(
            stored,
            affiliation=query.get("affiliation") == "true",
            publisher=query.get("publisher") == "true",
            detail=detail,
            agency=agency,
        )


def identify(world: World, authorization: str | None) -> Identity:
    """Who sends this header; a wrong Basic password makes nobody, and no error.

    Raises:
        Refusal: 401 for an unknown scheme or a wrong bearer.
    """
    if not authorization:
        return Identity()
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer" and value in world.tokens:
        return Identity(world.tokens[value])
    if scheme.lower() != "basic":
        raise Refusal(error(401, _UNAUTHORIZED))
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return Identity(rejected=True)
    for account in world.accounts.values():
        if account.key == name.lower() and account.password == password:
            return Identity(account)
    return Identity(rejected=True)


def _identity_headers(identity: Identity) -> dict[str, str]:
    if identity.account:
        return {"X-Credential-Username": identity.account.key}
    return {} if identity.rejected else {"X-Anonymous-Consumer": "true"}


def _invalid(errors: list[Error], identity: Identity) -> Response:
    return json_response(422, {"errors": errors}, _identity_headers(identity))


def _taken(name: str) -> Error:
    return {"source": "doi", "title": "This DOI has already been taken", "uid": name.lower()}


def _readable(accept: str) -> bool:
    """Whether a GET can be answered in JSON; the other formats of the real server are not offered here."""
    kinds = [kind.split(";")[0].strip().lower() for kind in accept.split(",")]
    return any(kind in ("", "*/*", "text/html", "application/*", *_JSON_TYPES) for kind in kinds)


def _doi_errors(stored: StoredDoi) -> list[Error]:
    if _DOI.fullmatch(stored.doi):
        return []
    if not stored.doi:
        return [{"source": "doi", "title": "Can't be blank"}]
    return [{"source": "doi", "title": "Is invalid", "uid": stored.doi}]


def _inflated(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "").lower()
    if encoding not in ("gzip", "deflate") or request.method == "PATCH":
        return request.body
    try:
        return gzip.decompress(request.body) if encoding == "gzip" else zlib.decompress(request.body)
    except (OSError, EOFError, zlib.error) as problem:
        raise ValueError(str(problem)) from None


def _suffix() -> str:
    """Eight base32 characters in two groups; the last two are a checksum in digits."""
    number = random.randrange(32**6)
    digits = ""
    for _ in range(6):
        number, place = divmod(number, 32)
        digits = _BASE32[place] + digits
    value = 0
    for character in digits:
        value = value * 32 + _BASE32.index(character)
    checksum = 98 - (value * 100 % 97)
    return f"{digits[:4]}-{digits[4:]}{checksum:02d}"
