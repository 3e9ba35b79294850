"""What the API says about accounts, prefixes and tokens."""

import json
import secrets
from typing import Any
from urllib.parse import parse_qs

from syncd.sandbox.document import client
from syncd.sandbox.http import Request, Response, error, json_response
from syncd.sandbox.identity import NOT_FOUND
from syncd.sandbox.world import Account, World

_THIRTY_DAYS = 30 * 86400


def answer(world: World, request: Request, path: str) -> Response:
    """``/clients/{id}`` (and its other name, ``/repositories/{id}``), ``/prefixes`` and ``/prefixes/{id}``."""
    _, kind, *rest = path.split("/")
    if kind == "prefixes":
        return _prefixes(world, request.query.get("client-id")) if not rest else _prefix(world, rest[0])
    if len(rest) == 2 and rest[1] == "prefixes":
        return _prefixes(world, rest[0])
    account = world.account(rest[0]) if len(rest) == 1 else None
    if account is None:
        return error(404, NOT_FOUND)
    return json_response(200, {"data": client(account, kind)})


def token(world: World, request: Request) -> Response:
    """A bearer token for account id and password; a wrong password is a 400 here."""
    form = _form(request)
    if form.get("grant_type") != "password":
        return error(400, "Wrong grant type.")
    if not form.get("username") or not form.get("password"):
        return error(400, "Missing account ID or password.")
    account = world.account(form["username"])
    if account is None or account.password != form.get("password"):
        return error(400, "Wrong account ID or password.")
    value = secrets.token_urlsafe(32)
    world.tokens[value] = account
    return json_response(200, {"access_token": value, "expires_in": _THIRTY_DAYS})


def _form(request: Request) -> dict[str, str]:
    try:
        if "json" in request.headers.get("content-type", ""):
            document = json.loads(request.body)
            return {str(key): str(value) for key, value in document.items()} if isinstance(document, dict) else {}
        return {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
    except ValueError:
        return {}


def _prefixes(world: World, asked: str | None) -> Response:
    owners = [one for one in world.accounts.values() if asked is None or one.key == asked.lower()]
    data = [_prefix_document(prefix, one) for one in owners for prefix in one.prefixes]
    return json_response(200, {"data": data, "meta": {"total": len(data), "totalPages": 1, "page": 1}})


def _prefix(world: World, prefix: str) -> Response:
    for account in world.accounts.values():
        if prefix in account.prefixes:
            return json_response(200, {"data": _prefix_document(prefix, account)})
    return error(404, NOT_FOUND)


def _prefix_document(prefix: str, account: Account) -> dict[str, Any]:
    clients = {"clients": {"data": [{"id": account.key, "type": "clients"}]}}
    related = {**clients, "providers": {"data": [{"id": account.key.split(".")[0], "type": "providers"}]}}
    attributes = {"prefix": prefix, "createdAt": "2020-01-01T00:00:00Z"}
    return {"id": prefix, "type": "prefixes", "attributes": attributes, "relationships": related}
