"""The facts that modules pass to each other: frozen values, no behaviour beyond their own words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Attributes: TypeAlias = dict[str, Any]
"""DataCite attributes by their REST name, ``url`` among them; an absent one is to be empty at DataCite."""

LIST_ATTRIBUTES = (
    "creators", "titles", "subjects", "contributors", "dates", "identifiers", "relatedIdentifiers",
    "relatedItems", "sizes", "formats", "rightsList", "descriptions", "geoLocations", "fundingReferences",
    "contentUrl",
)  # fmt: skip
SCALAR_ATTRIBUTES = ("url", "publicationYear", "language", "version")
OBJECT_ATTRIBUTES = ("publisher", "types")
MANAGED_ATTRIBUTES = tuple(sorted((*LIST_ATTRIBUTES, *SCALAR_ATTRIBUTES, *OBJECT_ATTRIBUTES)))
"""Every attribute that syncd keeps true. ``container`` is derived by DataCite (datacite-api 6.4),
``alternateIdentifiers`` is another name of ``identifiers``."""

_RESOLVER = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", re.IGNORECASE)


class State(StrEnum):
    """A DOI's state at DataCite; ``NONE``: DataCite has no such DOI, or none is wanted."""

    NONE = "none"
    DRAFT = "draft"
    REGISTERED = "registered"
    FINDABLE = "findable"

    @property
    def public(self) -> bool:
        """Whether the DOI resolves, and DataCite therefore checks its metadata strictly."""
        return self in (State.REGISTERED, State.FINDABLE)


def doi_name(text: str) -> str:
    """The one form in which we compare and store a DOI: lower case, without resolver or ``doi:``."""
    return _RESOLVER.sub("", text.strip()).lower()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a platform's query, JSON still as text.

    Attributes:
        key: The platform's own key of the record, as text.
        doi: The record's DOI in our one form; empty when the record has none.
        digest: SHA-256 (hex) of the raw values and of the mapping's fingerprint.
        values: The columns as the driver gave them.
        signature: The record's ``Outline.signature`` when it was read; None where the platform gives no outlines.
    """

    key: str
    doi: str
    digest: str
    values: Mapping[str, Any] = field(repr=False)
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """A record from far away: cheap to read for all records at once.

    Attributes:
        signature: Differs when something changed that a timestamp may not tell, such as a state or a deletion
            elsewhere. An equal one proves nothing about the content.
    """

    key: str
    doi: str
    signature: str


@dataclass(frozen=True, slots=True)
class Desired:
    """What DataCite should hold for one DOI: made from a row by a pure mapping.

    Attributes:
        digest: ``v1:`` digest of state and attributes together.
        digests: One short digest for each attribute that is present.
    """

    doi: str
    state: State
    attributes: Attributes
    digest: str
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """What DataCite last confirmed for one DOI.

    Attributes:
        state: The last confirmed state.
        digests: One digest per attribute, or None when the content is unknown (never sent, or unsure).
        resolves: False while DataCite has not entered a public DOI in the handle system yet.
        sure: False after an answer that never arrived: then the state may be another one as well.
    """

    state: State = State.NONE
    digests: Mapping[str, str] | None = None
    resolves: bool = True
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a record cannot be sent: a stable cause, where, and a sentence for the operator."""

    cause: str
    message: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message
