"""What the server refuses, in its order: checks on every record, and the schema's for all but drafts."""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from syncd.sandbox import kernel
from syncd.sandbox.rendering import NAMESPACE
from syncd.sandbox.world import Account, Attributes, StoredDoi
from syncd.vocabularies import SCHEMA_VERSION, load, terms

Error = dict[str, str]

_DOI = re.compile(r"10\.\d{4,5}/[-._;()/:a-zA-Z0-9*~$=]+")
_URL = re.compile(r"(ftp|http|https)://\S+")
_LONGEST_RIGHT = 2000
_OBJECTS = {
    "dates": "Date", "rightsList": "Rights", "titles": "Title", "descriptions": "Description", "types": "Types",
    "container": "Container", "subjects": "Subject", "creators": "Creator", "contributors": "Contributor",
    "landingPage": "Landing page", "identifiers": "Identifier", "relatedIdentifiers": "Related identifier",
    "relatedItems": "Related item", "fundingReferences": "Funding reference", "geoLocations": "Geolocation",
}  # fmt: skip
"""In the order in which the server looks at them."""
_TAKE_EMPTY_TEXT = ("titles", "subjects", "descriptions", "rightsList", "types", "container")
_COLUMNS = {
    "relatedIdentifiers": "related_identifiers", "relatedItems": "related_items",
    "fundingReferences": "funding_references", "geoLocations": "geo_locations", "rightsList": "rights_list",
    "landingPage": "landing_page",
}  # fmt: skip
_SOURCES = {
    "date": "dates", "publicationYear": "publication_year", "alternateIdentifiers": "identifiers",
    "relatedIdentifiers": "related_identifiers", "relatedItems": "related_items", "geoLocations": "geo_locations",
    "rightsList": "rights_list", "fundingReferences": "funding_references", "version": "version_info",
    "resource": "xml",
}  # fmt: skip
"""How the server names what its XML schema complains of; everything else keeps the element's name."""


def check(
    stored: StoredDoi, *, strict: bool, creating: bool, taken: bool, xml_changed: bool, saving: bool
) -> list[Error]:
    """Every error of a record as it would be stored, one per source, in the server's order.

    Args:
        stored: The record with the request laid over it.
        strict: It is or becomes registered or findable, or a check was asked for.
        creating: The DOI is new, so its form is looked at.
        taken: The DOI is new, and exists.
        xml_changed: The request gave the record another XML.
        saving: It is to be stored, not only checked.
    """
    found = list(_errors(stored, strict=strict, creating=creating, taken=taken))
    if not found and saving and xml_changed and stored.state != "draft" and _unchecked(stored) and any(_schema(stored)):
        found = [("metadata", "is invalid")]
    once: dict[str, Error] = {}
    for source, title in found:
        error = {"source": source, "title": title[:1].upper() + title[1:], "uid": stored.doi}
        once.setdefault(source, {name: value for name, value in error.items() if value})
    return list(once.values())


def allowed_host(url: str, account: Account) -> bool:
    """Whether an address lies inside the account's domains; case counts, ``*.x`` does not cover ``x``."""
    match = re.match(r"^[a-z]+://(?:[^@/]*@)?([^:/?#]+)", url)
    host = match[1] if match else ""
    rules = account.domains.split(",")
    return account.domains == "*" or any(
        host == rule or (rule[:2] == "*." and host.endswith(rule[1:])) for rule in rules
    )


def _errors(stored: StoredDoi, *, strict: bool, creating: bool, taken: bool) -> Iterator[tuple[str, str]]:
    attributes, public = stored.attributes, stored.state != "draft"
    url = attributes.get("url")
    if not stored.doi:
        yield "doi", "can't be blank"
    if public and not url:
        yield "url", "can't be blank"
    if strict:
        yield from _publisher(attributes.get("publisher") or {})
    if creating and not _DOI.fullmatch(stored.doi):
        yield "doi", "is invalid"
    if url and not _URL.fullmatch(url):
        yield "url", "URL is not valid"
    if taken:
        yield "doi", "This DOI has already been taken"
    if strict:
        yield from _xml(stored)
    yield from _looked_at_last(stored)


def _looked_at_last(stored: StoredDoi) -> Iterator[tuple[str, str]]:
    url = stored.attributes.get("url")
    if stored.state != "draft" and url and not allowed_host(url, stored.account):
        yield "url", f"URL {url} is not allowed by repository {stored.account.key} domain settings."
    for name, word in _OBJECTS.items():
        yield from _shape(stored.attributes, name, word)


def _publisher(publisher: Attributes) -> Iterator[tuple[str, str]]:
    for name, member in publisher.items():
        if not isinstance(member, str):
            yield "publisher_obj", f"value at `/{name}` is not a string"


def _shape(attributes: Attributes, name: str, word: str) -> Iterator[tuple[str, str]]:
    """Objects where objects are wanted, and what is looked at beside."""
    value = attributes.get(name)
    single = name in ("types", "container", "landingPage")
    wrong = value is not None and not isinstance(value, dict if single else list)
    if wrong and not (value == "" and name in _TAKE_EMPTY_TEXT):
        shown = f"{value}" if name == "dates" else f"'{value}'"
        yield _COLUMNS.get(name, name), f"{word} {shown} should be an object instead of a string."
    if name == "rightsList" and not wrong:
        for right in _objects(value):
            if len(str(right.get("rights") or "")) > _LONGEST_RIGHT:
                yield "rights_list", f"Rights should not have a length of more than {_LONGEST_RIGHT} characters."
    if name == "contributors" and attributes.get("schemaVersion") == SCHEMA_VERSION:
        yield from _contributor_types(_objects(value))


def _contributor_types(contributors: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for contributor in contributors:
        kind = contributor.get("contributorType")
        if not kind:
            yield "contributors", f"Contributor '{contributor}' is missing a required element: contributor type."
        elif kind not in terms("contributorType"):
            words = f"has a contributor type that is not supported in schema 4: '{kind}'."
            yield "contributors", f"Contributor '{contributor}' {words}"


def _xml(stored: StoredDoi) -> Iterator[tuple[str, str]]:
    """How much is checked depends on the stored schema version (datacite-api 5.3)."""
    version, versions = stored.attributes.get("schemaVersion"), load()["schemaVersion"]
    if stored.xml is None:
        yield "xml", "can't be blank"
    if version in versions["tokensRejectedOutsideDraft"]:
        yield "xml", f"DOI {stored.doi}: Schema {version} is no longer supported"
    elif not _unchecked(stored):
        yield from _schema(stored)


def _unchecked(stored: StoredDoi) -> bool:
    """Whether the record's token is none that the server knows a schema for."""
    version, versions = stored.attributes.get("schemaVersion"), load()["schemaVersion"]
    return version not in (*versions["tokensWithDetailedValidation"], *versions["tokensRejectedOutsideDraft"])


def _schema(stored: StoredDoi) -> Iterator[tuple[str, str]]:
    if stored.xml is None:
        yield "The document has no document element", f"DOI {stored.doi}:  at line 0, column 0"
        return
    root = ElementTree.fromstring(stored.xml.replace(f' xmlns="{NAMESPACE}"'.encode(), b""))  # noqa: S314 - our own
    for source, words in kernel.errors(root):
        yield _SOURCES.get(source, source), f"DOI {stored.doi}: {words}"


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
