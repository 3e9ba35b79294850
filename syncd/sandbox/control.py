"""The control interface below ``/_sandbox/``: set up the world, order faults, read what arrived."""

import json
import time
from typing import Any

from syncd.sandbox import writes
from syncd.sandbox.api import Api
from syncd.sandbox.faults import Faults
from syncd.sandbox.firewall import Firewall
from syncd.sandbox.http import Request, Response, error, json_response
from syncd.sandbox.page import page
from syncd.sandbox.world import Account, World

PREFIX = "/_sandbox/"
_EVENTS = {"registered": "register", "findable": "publish"}


class Control:
    """Changes and shows the sandbox from outside."""

    def __init__(self, api: Api, firewall: Firewall, faults: Faults) -> None:
        self._api = api
        self._firewall = firewall
        self._faults = faults
        self.requests: list[dict[str, Any]] = []

    def answer(self, request: Request) -> Response:
        """One request of the control interface."""
        what = request.path.removeprefix(PREFIX)
        try:
            document: Any = json.loads(request.body) if request.body else None
            match request.method, what.split("/"):
                case "GET", [""]:
                    return self._page()
                case "GET", ["world"]:
                    return json_response(200, describe(self._api.world))
                case "PUT", ["world"]:
                    self.replace(document)
                    return json_response(200, {"dois": len(self._api.world.dois)})
                case "PATCH", ["accounts", name]:
                    return self._change_account(name, document)
                case "PUT", ["faults"]:
                    self._faults.replace(document, int(request.query.get("seed", 0)))
                    return json_response(200, {"faults": len(document)})
                case "GET", ["requests"]:
                    arrived = {"requests": self.requests, "max_in_window": self._firewall.max_in_window}
                    return json_response(200, arrived)
                case "DELETE", ["requests"]:
                    self.requests.clear()
                    self._firewall.forget()
                    return json_response(200, {})
        except (ValueError, KeyError, TypeError) as problem:
            return error(400, f"{type(problem).__name__}: {problem}")
        return error(404, f"no {request.method} {request.path} here")

    def replace(self, document: dict[str, Any]) -> None:
        """Make the world that a document describes, and forget what arrived before.

        Raises:
            ValueError: A DOI cannot be made as described.
        """
        world = self._api.world
        world.accounts = {name: _account(name, one) for name, one in document["accounts"].items()}
        world.clear()
        for given in document.get("dois", []):
            self._give(given)
        self.requests.clear()
        self._firewall.forget()
        self._faults.replace([])

    def _page(self) -> Response:
        in_window = self._firewall.in_window(time.monotonic())
        body = page(self._api.world, self.requests, in_window, self._firewall.limit)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        }
        return Response(200, body, headers)

    def _give(self, given: dict[str, Any]) -> None:
        """Create a DOI as its client would: one POST with the event that leads to its state."""
        world = self._api.world
        account = world.accounts.get(given["client"]) or world.account(given["client"])
        if account is None:
            raise ValueError(f"no account {given['client']}")
        attributes = {"doi": given["doi"], **given.get("attributes", {})}
        if "url" in given:
            attributes["url"] = given["url"]
        if given.get("state") in _EVENTS:
            attributes["event"] = _EVENTS[given["state"]]
        problems = writes.give(world, account, attributes)
        if problems:
            raise ValueError(f"{given['doi']}: {problems}")
        stored = self._api.world.dois[given["doi"].lower()]
        straight = given.get("stored") or {}
        stored.attributes.update(straight)
        if straight.keys() - {"schemaVersion"}:
            writes.render(stored)

    def _change_account(self, name: str, document: dict[str, Any]) -> Response:
        account = self._api.world.accounts.get(name)
        if account is None:
            return error(404, f"no account {name}")
        for member, value in document.items():
            if member not in ("id", "password", "prefixes", "domains", "active", "api_keys"):
                raise ValueError(f"an account has no {member}")
            setattr(account, member, value)
        account.__dict__.pop("key", None)  # made from the id
        return json_response(200, _describe_account(account))


def describe(world: World) -> dict[str, Any]:
    """The world as a document that ``replace`` makes again."""
    dois = []
    for stored in sorted(world.dois.values(), key=lambda one: one.number):
        kept = {name: value for name, value in stored.attributes.items() if value not in (None, [], {})}
        version = kept.pop("schemaVersion", None)
        given = {"doi": stored.doi, "client": stored.account.name, "state": stored.state, "attributes": kept}
        dois.append({**given, "stored": {"schemaVersion": version}})
    return {"accounts": {name: _describe_account(one) for name, one in world.accounts.items()}, "dois": dois}


def _describe_account(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "password": account.password,
        "prefixes": account.prefixes,
        "domains": account.domains,
        "active": account.active,
        "api_keys": account.api_keys,
    }


def _account(name: str, document: dict[str, Any]) -> Account:
    return Account(
        name=name,
        id=document["id"],
        password=document.get("password", f"{name}-password"),
        prefixes=list(document.get("prefixes", [])),
        domains=document.get("domains", "*"),
        active=document.get("active", True),
        api_keys=list(document.get("api_keys", [])),
    )
