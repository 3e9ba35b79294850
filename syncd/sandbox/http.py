"""Requests and responses as values, so that the sandbox needs no socket to be asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived.

    Attributes:
        target: Path and query, verbatim.
        headers: Names in lower case.
        address: Where it came from.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    address: str = "127.0.0.1"

    @property
    def raw_path(self) -> str:
        """The path, percent-encoding untouched."""
        return self.target.split("?", 1)[0]

    @property
    def path(self) -> str:
        """The path as a person writes it."""
        return unquote(self.raw_path)

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, words joined by hyphens as the server takes them; the last of a name counts."""
        _, _, text = self.target.partition("?")
        return {name.replace("_", "-"): value for name, value in parse_qsl(text, keep_blank_values=True)}


@dataclass(slots=True)
class Response:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_response(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A response with a JSON body."""
    body = json.dumps(document, ensure_ascii=False).encode(errors="replace")
    return Response(status, body, {"Content-Type": JSON_TYPE, **(headers or {})})


def error(status: int, title: str, headers: Mapping[str, str] | None = None) -> Response:
    """The exception handler's shape: one error, the status as text, no source."""
    return json_response(status, {"errors": [{"status": str(status), "title": title}]}, headers)
