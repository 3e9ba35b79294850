"""One write as a value, and its bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from syncd.model import Attributes, State
from syncd.vocabularies import SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Put:
    """Create or update a DOI.

    Attributes:
        attributes: What is sent; an empty value clears.
        event: The state change that is asked for, if any.
        complete: Every managed attribute is in it, so it may create the DOI.
        expects: The states in which the answer may leave the DOI.
        digests: What DataCite holds afterwards, one digest per attribute; None: unknown.
        reason: Why this is sent, in words.
        comment: DataCite's attribute ``reason``, sent with a hide.
        completable: A complete request could follow; not when the record is gone or invalid.
    """

    doi: str
    attributes: Attributes
    event: str | None
    complete: bool
    expects: frozenset[State]
    digests: Mapping[str, str] | None
    reason: str
    comment: str | None = None
    completable: bool = True

    method = "PUT"

    def body(self) -> bytes:
        """The request's body as it leaves."""
        attributes: dict[str, Any] = {**self.attributes, "schemaVersion": SCHEMA_VERSION}
        if self.event:
            attributes["event"] = self.event
        if self.comment:
            attributes["reason"] = self.comment
        document = {"data": {"type": "dois", "attributes": attributes}}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a draft."""

    doi: str
    reason: str

    method = "DELETE"

    def body(self) -> bytes:
        """Nothing."""
        return b""


Write = Put | Delete


def path(doi: str) -> str:
    """The DOI's place below the API: every reserved character encoded, the slash too (datacite-api 2)."""
    return f"/dois/{quote(doi, safe='')}"
