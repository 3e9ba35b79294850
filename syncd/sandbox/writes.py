"""What a request may do to a DOI: create, upsert, delete, validate, with the state machine and its silent no-ops."""

import random
import re
from typing import Any

from syncd.sandbox import attributes as content
from syncd.sandbox import rules
from syncd.sandbox.document import as_container, included, resource
from syncd.sandbox.http import Request, Response, error, json_response
from syncd.sandbox.identity import Identity, Refusal, forbidden, not_found, unauthorized
from syncd.sandbox.rendering import as_bytes, rendered
from syncd.sandbox.rules import Error
from syncd.sandbox.world import Account, StoredDoi, World
from syncd.vocabularies import SCHEMA_VERSION

_NO_PAYLOAD = "You need to provide a payload following the JSONAPI spec"
_DOI_IN_PATH = re.compile(
    r"^(?:https?:/(?:/)?(?:dx\.)?(?:doi\.org|handle\.stage\.datacite\.org|handle\.test\.datacite\.org)/)?(?:doi:)?"
    r"(10\.\d{4,5}/.+)$"
)
_PREFIX = re.compile(r"^(10\.\d{4,5})(?:/(.+))?$")
_ALLOWED_METHODS = "HEAD, GET, POST, PATCH, PUT, OPTIONS"
_MOST_PROPOSALS = 10_000
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
TRANSITIONS = {
    ("draft", "register"): "registered",
    ("draft", "publish"): "findable",
    ("registered", "publish"): "findable",
    ("registered", "show"): "findable",
    ("findable", "hide"): "registered",
}
"""Everything else is a silent no-op."""


def create(world: World, request: Request, identity: Identity, document: Any) -> Response:
    """POST /dois."""
    if identity.account is None and not identity.rejected:
        raise unauthorized()
    data = _data(document)
    sent = data["attributes"]
    account = _client_of(world, identity, data)
    name = _new_name(world, sent)
    stored, response = _made(world, request, identity, account, name, sent)
    if response.status == 201:
        response.headers["Location"] = f"http://{request.headers.get('host', 'localhost')}/dois/{stored.number}"
    return response


def upsert(world: World, request: Request, identity: Identity, name: str, document: Any) -> Response:
    """PUT and PATCH /dois/{doi}: one code path; what is absent is created."""
    existing = world.dois.get(name.lower())
    if existing is not None:
        _may_write(identity, existing)
        return _update(world, request, identity, existing, _data(document)["attributes"])
    # A resolver's address is understood when the DOI is made, not when it is looked up.
    match = _DOI_IN_PATH.match(name)
    if match is None:
        raise not_found()
    data = _data(document)
    account = _client_of(world, identity, data, creating=False)
    return _made(world, request, identity, account, match[1].replace("\u200b", ""), data["attributes"])[1]


def delete(world: World, identity: Identity, name: str) -> Response:
    """DELETE /dois/{doi}: drafts only."""
    stored = world.dois.get(name.lower())
    if stored is None:
        raise not_found()
    _may_write(identity, stored)
    if stored.state != "draft":
        return error(405, "Method not allowed", {"Allow": _ALLOWED_METHODS, **identity.headers})
    world.remove(stored)
    return Response(204, b"", identity.headers)


def validate(world: World, request: Request, identity: Identity, document: Any) -> Response:
    """POST /dois/validate: a full check, nothing is stored; the answer is 200 either way."""
    data = _data(document)
    sent = data["attributes"]
    account = _client_of(world, identity, data, creating=False)
    if identity.account is not account or not account.active:
        raise forbidden()
    if not sent.get("doi") and not sent.get("prefix"):
        return error(400, "undefined method 'downcase' for nil")
    stored = world.new(_new_name(world, sent), account)
    xml_changed = _change(stored, sent, upsert=False)
    errors = rules.check(stored, strict=True, creating=True, taken=False, xml_changed=xml_changed, saving=False)
    if errors:
        return json_response(200, {"errors": errors}, identity.headers)
    document = _document(request, stored, detail=False)
    document["data"]["attributes"] |= dict.fromkeys(("created", "updated", "source"))  # given when it is saved
    return json_response(200, document, identity.headers)


def proposals(request: Request, identity: Identity) -> Response:
    """GET /dois/random: names that are not reserved, and only not taken at this moment."""
    asked = request.query.get("prefix", "")
    if not asked:
        raise Refusal(error(422, "Parameter prefix is required"))
    stem = _stem(asked)
    text = request.query.get("size", "1")
    count = min(int(text), _MOST_PROPOSALS) if text.isdecimal() else 1
    return json_response(200, {"dois": [stem + _suffix() for _ in range(count)]}, identity.headers)


def give(world: World, account: Account, sent: dict[str, Any]) -> list[Error]:
    """Create a DOI as one POST of its account would; the errors, if it cannot be."""
    stored = world.new(str(sent["doi"]), account)
    return _saved(world, stored, sent, creating=True)


def render(stored: StoredDoi) -> None:
    """Make the record's XML from its attributes as they are now."""
    stored.xml = as_bytes(rendered(stored.doi, stored.attributes, as_container(stored.attributes)))


def _made(
    world: World, request: Request, identity: Identity, account: Account, name: str, sent: dict[str, Any]
) -> tuple[StoredDoi, Response]:
    if identity.account is None:
        raise unauthorized()
    # The named repository's prefixes count, whoever asks: a hole of the real server.
    if name.split("/", 1)[0] not in account.prefixes or not identity.account.active:
        raise forbidden()
    stored = world.new(name, account)
    errors = _saved(world, stored, sent, creating=True)
    return stored, _answer(request, identity, stored, errors, 201)


def _update(world: World, request: Request, identity: Identity, existing: StoredDoi, sent: dict[str, Any]) -> Response:
    if sent.get("mode") == "transfer":
        raise forbidden()
    stored = existing.copy()
    errors = _saved(world, stored, sent, creating=False)
    return _answer(request, identity, stored, errors, 200)


def _saved(world: World, stored: StoredDoi, sent: dict[str, Any], *, creating: bool) -> list[Error]:
    """Lay the request over the record and keep the result, if nothing is wrong with it."""
    xml_changed = _change(stored, sent, upsert=not creating)
    strict = stored.state != "draft" or _cast(sent.get("should_validate"))
    taken = creating and stored.doi in world.dois
    errors = rules.check(stored, strict=strict, creating=creating, taken=taken, xml_changed=xml_changed, saving=True)
    if errors:
        return errors
    content.check_lengths(stored.doi, stored.attributes)
    if stored.state != "draft" and world.handles_answer:
        stored.registered = stored.registered or world.now()
    world.keep(stored)
    return []


def _change(stored: StoredDoi, sent: dict[str, Any], *, upsert: bool) -> bool:
    """The record as the request would leave it; returns whether its XML differs from before."""
    if not sent.get("schemaVersion"):
        # A blank token counts as none.
        sent = {name: value for name, value in sent.items() if name != "schemaVersion"}
    content.assign(stored.attributes, sent)
    if upsert and not stored.attributes.get("schemaVersion"):
        stored.attributes["schemaVersion"] = SCHEMA_VERSION
    before = stored.xml
    if content.METADATA & sent.keys() or _cast(sent.get("regenerate")):
        render(stored)
    content.normalise(stored.attributes, sent)
    changed = stored.xml != before
    if changed and before is not None:
        stored.metadata_version += 1
    event = sent.get("event")
    if isinstance(event, str):
        stored.state = TRANSITIONS.get((stored.state, event), stored.state)
    return changed


def _cast(value: Any) -> bool:
    """As the database casts a boolean: everything but a few words is true."""
    return value not in (None, "", False, 0, "0", "f", "F", "false", "FALSE", "False", "off", "OFF", "no")


def _answer(request: Request, identity: Identity, stored: StoredDoi, errors: list[Error], status: int) -> Response:
    if errors:
        return json_response(422, {"errors": errors}, identity.headers)
    return json_response(status, _document(request, stored), identity.headers)


def _document(request: Request, stored: StoredDoi, *, detail: bool = True) -> dict[str, Any]:
    document: dict[str, Any] = {"data": resource(stored, request.query, detail=detail)}
    return {**document, **included([stored], request.query)}


# Who may, and under which name.


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
    listed = alternate if isinstance(alternate, list) else [alternate]
    for entry in listed if "identifiers" not in sent else ():
        for key in ("alternateIdentifier", "alternateIdentifierType"):
            if isinstance(entry, dict) and key not in entry:
                raise Refusal(error(422, f"param is missing or the value is empty or invalid: {key}"))
    return dict(data)


def _client_of(world: World, identity: Identity, data: dict[str, Any], *, creating: bool = True) -> Account:
    """The repository is looked up before permission is checked: a wrong password is a 404 here."""
    relationships = data.get("relationships")
    try:
        named = relationships["client"]["data"]["id"] if relationships else None
    except (KeyError, TypeError):
        named = None
    if named is not None:
        account = world.account(str(named))
        if account is None:
            raise not_found()
        if identity.account is None:
            raise unauthorized()
        return account
    if identity.account is None:
        raise not_found() if identity.rejected or not creating else unauthorized()
    return identity.account


def _may_write(identity: Identity, stored: StoredDoi) -> None:
    if identity.account is None:
        raise unauthorized()
    if identity.account is not stored.account or not identity.account.active:
        raise forbidden()


def _new_name(world: World, sent: dict[str, Any]) -> str:
    name, prefix = sent.get("doi"), sent.get("prefix")
    if isinstance(name, str) and name:
        return name
    if not prefix:
        raise forbidden()
    stem = _stem(str(prefix))
    while True:
        name = stem + _suffix()
        if name.lower() not in world.dois:
            return name


def _stem(prefix: str) -> str:
    """What a generated name begins with; a prefix may carry a shoulder."""
    match = _PREFIX.match(prefix)
    if match is None:
        raise content.ServerError("No valid prefix found")
    return f"{match[1]}/{match[2]}-" if match[2] else f"{match[1]}/"


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
