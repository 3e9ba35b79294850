"""Runs a conformance case against any base URL: a request, its expectation, step by step."""

import base64
import gzip
import http.client
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent
MEDIA_TYPE = "application/vnd.api+json"
PASSWORDS = {"owner": "owner-password", "other": "other-password", "restricted": "restricted-password"}
CATEGORIES = (
    "auth", "create", "delete", "get", "list", "malformed", "partial", "readback", "states", "upsert", "validation",
)  # fmt: skip


def cases() -> list[dict[str, Any]]:
    """Every case of every category."""
    return [case for category in CATEGORIES for case in json.loads((HERE / f"{category}.json").read_text())]


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: Any


class Runner:
    """Talks to one server; ``world`` replaces its content by the control interface of the sandbox."""

    def __init__(self, base_url: str) -> None:
        self._address = urlsplit(base_url)
        self._world = json.loads((HERE / "world.json").read_text())

    def run(self, case: dict[str, Any]) -> None:
        """Assert every step of a case."""
        self.prepare(case)
        previous: Any = None
        for number, step in enumerate(case["steps"]):
            reply = self._ask(step["request"], previous)
            expected = step["expect"]
            where = f"{case['name']} step {number}: {json.dumps(reply.body)[:600]}"
            assert reply.status == expected["status"], where
            if "body" in expected:
                _match(expected["body"], reply.body, "body", where)
            for name, value in expected.get("headers", {}).items():
                _match(value, reply.headers.get(name.lower(), _ABSENT), name, where)
            previous = reply.body

    def prepare(self, case: dict[str, Any]) -> None:
        """Make the case's start: the accounts and the DOIs that are given."""
        accounts = {name: {**one, "password": PASSWORDS[name]} for name, one in self._world["accounts"].items()}
        document = {"accounts": accounts, "dois": case.get("given", [])}
        reply = self.send("PUT", "/_sandbox/world", {}, json.dumps(document).encode())
        assert reply.status == 200, reply.body

    def _ask(self, request: dict[str, Any], previous: Any) -> Reply:
        path = request["path"]
        if isinstance(path, dict):
            link = urlsplit(previous["links"]["next"])
            path = f"{link.path}?{link.query}"
        headers: dict[str, Any] = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
        headers |= self._credentials(request["auth"])
        headers |= {name: self._header(value) for name, value in (request.get("headers") or {}).items()}
        body = b""
        if "body" in request:
            body = json.dumps(request["body"]).encode()
        elif "rawBody" in request:
            body = request["rawBody"].encode()
        elif "gzipBody" in request:
            body = gzip.compress(json.dumps(request["gzipBody"]).encode())
        present = {name: value for name, value in headers.items() if value is not None}
        return self.send(request["method"], path, present, body)

    def _credentials(self, kind: str) -> dict[str, Any]:
        if kind == "none":
            return {}
        if kind == "inactive":
            self.send("PATCH", "/_sandbox/accounts/owner", {}, b'{"active": false}')
        account = "owner" if kind in ("bad", "inactive") else kind
        password = "wrong" if kind == "bad" else self.password(account)
        return {"Authorization": _basic(self._world["accounts"][account]["id"], password)}

    def password(self, account: str) -> str:
        """What the account's requests are signed with."""
        return PASSWORDS[account]

    def _header(self, value: Any) -> Any:
        if isinstance(value, dict):
            user, password = value["$basic"]
            return _basic(user, password.replace("$owner_password", self.password("owner")))
        return value

    def send(self, method: str, target: str, headers: dict[str, Any], body: bytes) -> Reply:
        kind = http.client.HTTPSConnection if self._address.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._address.hostname or "", self._address.port, timeout=60)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body or method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            data = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()
        try:
            document: Any = json.loads(data)
        except ValueError:
            document = data.decode()
        return Reply(response.status, found, document)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


_ABSENT = object()


def _match(expected: Any, found: Any, path: str, where: str, *, exact: bool = False) -> None:
    if isinstance(expected, dict) and len(expected) == 1 and next(iter(expected)).startswith("$"):
        _matcher(*next(iter(expected.items())), found, path, where)
        return
    assert found is not _ABSENT, f"{path} is absent; {where}"
    if isinstance(expected, dict):
        assert isinstance(found, dict), f"{path}: {found!r}; {where}"
        if exact:
            assert set(found) == set(expected), f"{path}: {found!r}; {where}"
        for key, value in expected.items():
            _match(value, found.get(key, _ABSENT), f"{path}.{key}", where, exact=exact)
    elif isinstance(expected, list):
        assert isinstance(found, list), f"{path}: {found!r}; {where}"
        assert len(found) == len(expected), f"{path}: {found!r}; {where}"
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            _match(one, other, f"{path}.{number}", where, exact=exact)
    else:
        assert (type(found), found) == (type(expected), expected), f"{path}: {found!r}, not {expected!r}; {where}"


def _matcher(kind: str, value: Any, found: Any, path: str, where: str) -> None:
    message = f"{path}: {found!r} is not {kind} {value!r}; {where}"
    if kind == "$absent":
        assert found is _ABSENT, message
        return
    assert found is not _ABSENT, message
    if kind == "$exact":
        _match(value, found, path, where, exact=True)
    elif kind == "$regex":
        assert re.search(value, str(found)), message
    elif kind == "$len":
        assert len(found) == value, message
    elif kind == "$empty":
        assert found in ("", None), message
    else:
        assert kind == "$any", message
