"""Somebody else at DataCite: another program, a person in Fabrica, DataCite's own staff, a search index that lags."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from syncd.sandbox.http import Request
from syncd.sandbox.server import Sandbox
from syncd.sandbox.world import Account, StoredDoi

_AUTHORIZATION = "Basic " + base64.b64encode(b"DATACITE.DEMO:demo").decode()
_HEADERS = {"authorization": _AUTHORIZATION, "content-type": "application/vnd.api+json"}


class Elsewhere:
    """Changes what DataCite holds, through its API where that can be done and past it where it cannot."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world

    def write(self, doi: str, attributes: dict[str, Any], event: str | None = "publish") -> None:
        """A PUT with the account's own credentials."""
        content = {**attributes, "schemaVersion": "http://datacite.org/schema/kernel-4"}
        if event:
            content["event"] = event
        body = json.dumps({"data": {"type": "dois", "attributes": content}}).encode()
        response = self._sandbox.api.answer(Request("PUT", f"/dois/{doi.replace('/', '%2F')}", _HEADERS, body))
        assert response.status in (200, 201), response.body

    def hide(self, doi: str) -> None:
        self.write(doi, {}, "hide")

    def delete(self, doi: str) -> None:
        """A draft vanishes."""
        self._world.remove(self._world.dois[doi])

    def move(self, doi: str) -> None:
        """DataCite's staff moves the DOI to another account."""
        other = self._world.accounts.setdefault("other", Account("other", "DATACITE.OTHER", "demo", []))
        self._change(doi, lambda stored: setattr(stored, "account", other))

    def unregister(self, doi: str) -> None:
        """The handle system lost the DOI."""
        self._change(doi, lambda stored: setattr(stored, "registered", None))

    def _change(self, doi: str, change: Callable[[StoredDoi], None]) -> None:
        stored = self._world.dois[doi].copy()
        change(stored)
        self._world.keep(stored)

    def catch_up(self) -> None:
        """The search index knows everything now, and nothing that comes after."""
        self._world.index_lag = 0.0
        self._world.searchable()
        self._world.index_lag = timedelta(days=365).total_seconds()
