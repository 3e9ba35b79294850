"""What the server refuses: checks on every record, and the schema's for all but drafts."""

import re
from collections.abc import Iterator
from typing import Any

from syncd.sandbox.attributes import OBJECT_LISTS
from syncd.sandbox.world import Account, Attributes, StoredDoi
from syncd.vocabularies import SCHEMA_VERSION, load, terms

Error = dict[str, str]

_URL = re.compile(r"^(ftp|http|https)://\S+$")
_LANG = re.compile(r"^[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*$")
_NAMESPACE = "{http://datacite.org/schema/kernel-4}"
_SINGULAR = {
    "titles": "Title", "creators": "Creator", "contributors": "Contributor", "descriptions": "Description",
    "dates": "Date", "identifiers": "Identifier", "relatedIdentifiers": "Related identifier",
    "relatedItems": "Related item", "fundingReferences": "Funding reference", "geoLocations": "Geolocation",
    "subjects": "Subject", "rightsList": "Rights",
}  # fmt: skip
_TAKE_EMPTY_TEXT = ("titles", "subjects", "descriptions", "rightsList")
_COLUMNS = {
    "relatedIdentifiers": "related_identifiers", "relatedItems": "related_items",
    "fundingReferences": "funding_references", "geoLocations": "geo_locations", "rightsList": "rights_list",
}  # fmt: skip


def check(stored: StoredDoi, *, strict: bool, xml_changed: bool) -> list[Error]:
    """Every error of a record as it would be stored, one per source, in the server's order.

    Args:
        strict: It is or becomes registered or findable, or a check was asked for.
        xml_changed: The request makes the server render its XML again.
    """
    found = [*_always(stored)]
    if strict:
        found += _strict(stored, xml_changed=xml_changed)
    once: dict[str, Error] = {}
    for source, title in found:
        once.setdefault(source, {"source": source, "title": title[:1].upper() + title[1:], "uid": stored.doi})
    return list(once.values())


def allowed_host(url: str, account: Account) -> bool:
    """Whether an address lies inside the account's domains; case counts, ``*.x`` does not cover ``x``."""
    match = re.match(r"^[a-z]+://(?:[^@/]*@)?([^:/?#]+)", url)
    host = match[1] if match else ""
    rules = [rule.strip() for rule in account.domains.split(",")]
    return any(rule == "*" or host == rule or (rule[:2] == "*." and host.endswith(rule[1:])) for rule in rules)


def _always(stored: StoredDoi) -> Iterator[tuple[str, str]]:
    attributes = stored.attributes
    url = attributes.get("url")
    if url and not _URL.fullmatch(url):
        yield "url", "URL is not valid"
    for name in OBJECT_LISTS:
        value = attributes.get(name)
        if value is not None and not isinstance(value, list) and not (value == "" and name in _TAKE_EMPTY_TEXT):
            words = f"{value}" if name == "dates" else f"'{value}'"
            yield (
                _COLUMNS.get(name, name),
                f"{_SINGULAR[name]} {words} should be an object instead of a string.",
            )
    for name in ("types", "container"):
        if isinstance(attributes.get(name), str):
            yield name, f"{name.capitalize()} '{attributes[name]}' should be an object instead of a string."
    for right in _objects(attributes, "rightsList"):
        if len(str(right.get("rights") or "")) > 2000:
            yield "rights_list", "Rights should not have a length of more than 2000 characters."
    if attributes.get("schemaVersion") == SCHEMA_VERSION:
        yield from _contributor_types(attributes)
    if attributes.get("landingPage") is not None and not isinstance(attributes["landingPage"], dict):
        yield "landing_page", f"Landing page '{attributes['landingPage']}' should be an object instead of a string."


def _contributor_types(attributes: Attributes) -> Iterator[tuple[str, str]]:
    for contributor in _objects(attributes, "contributors"):
        kind = contributor.get("contributorType")
        if not kind:
            yield "contributors", f"Contributor '{contributor}' is missing a required element: contributor type."
        elif kind not in terms("contributorType"):
            yield (
                "contributors",
                f"Contributor has a contributor type that is not supported in schema 4: '{kind}'.",
            )


def _strict(stored: StoredDoi, *, xml_changed: bool) -> Iterator[tuple[str, str]]:
    attributes, version = stored.attributes, stored.attributes.get("schemaVersion")
    url = attributes.get("url")
    if not url:
        yield "url", "can't be blank"
    elif not allowed_host(url, stored.account):
        yield "url", f"URL {url} is not allowed by repository {stored.account.key} domain settings."
    if not stored.has_xml:
        yield "xml", "can't be blank"
        if version == SCHEMA_VERSION:
            yield "metadata", "is invalid"
        return
    versions = load()["schemaVersion"]
    if version in versions["tokensRejectedOutsideDraft"]:
        yield "xml", f"DOI {stored.doi}: Schema {version} is no longer supported"
    elif version in versions["tokensWithDetailedValidation"]:
        for line, (source, words) in enumerate(_schema_errors(attributes), start=2):
            yield source, f"DOI {stored.doi}: {words} at line {line}, column 0"
    elif xml_changed and any(_schema_errors(attributes)):
        yield "metadata", "is invalid"


def _schema_errors(attributes: Attributes) -> Iterator[tuple[str, str]]:
    yield from _people(attributes, "creators", "creator", "creatorName", least_one=True)
    yield from _titles(attributes)
    yield from _publication(attributes)
    for subject in _objects(attributes, "subjects"):
        yield from _lang(subject)
        if not subject.get("subject"):
            yield "subject", _too_short("subject")
    yield from _people(attributes, "contributors", "contributor", "contributorName", least_one=False)
    for contributor in _objects(attributes, "contributors"):
        if not contributor.get("contributorType"):
            yield "contributor", "The attribute 'contributorType' is required but missing."
        yield from _word("contributor", "contributorType", contributor.get("contributorType"))
    yield from _dates_and_descriptions(attributes)
    yield from _related(attributes)
    yield from _places(attributes)
    yield from _funding(attributes)
    language = attributes.get("language")
    if language and not _LANG.match(language):
        yield "language", _bad_value("language", language)


def _publication(attributes: Attributes) -> Iterator[tuple[str, str]]:
    publisher = attributes.get("publisher")
    container = attributes.get("container")
    fallback = container.get("title") if isinstance(container, dict) else None
    if not ((publisher or {}).get("name") or fallback):
        yield "publisher", _too_short("publisher")
    elif not all(isinstance(member, str) for member in (publisher or {}).values()):
        yield "publisher", _bad_value("publisher", publisher)
    if not re.match(r"^\d{4}$", str(attributes.get("publicationYear") or "")):
        yield "publication_year", _bad_value("publicationYear", attributes.get("publicationYear"))
    types = attributes.get("types")
    general = types.get("resourceTypeGeneral") if isinstance(types, dict) else None
    if not general:
        yield "xml", "Missing child element(s). Expected is ( resourceType )."
    else:
        yield from _word("resourceType", "resourceTypeGeneral", general)


def _people(
    attributes: Attributes, name: str, element: str, child: str, *, least_one: bool
) -> Iterator[tuple[str, str]]:
    people = _objects(attributes, name)
    if least_one and not people:
        yield name, f"Missing child element(s). Expected is ( {_NAMESPACE}{element} )."
    for person in people:
        if not (person.get("name") or person.get("givenName") or person.get("familyName")):
            yield child, _too_short(child)
        yield from _word(child, "nameType", person.get("nameType"))
        yield from _lang(person)
        for identifier in person.get("nameIdentifiers") or []:
            if not identifier.get("nameIdentifier"):
                yield "nameIdentifier", _too_short("nameIdentifier")
        for affiliation in person.get("affiliation") or []:
            if not affiliation.get("name"):
                yield "affiliation", _too_short("affiliation")


def _titles(attributes: Attributes) -> Iterator[tuple[str, str]]:
    titles = _objects(attributes, "titles")
    if not titles:
        yield "titles", f"Missing child element(s). Expected is ( {_NAMESPACE}title )."
    for title in titles:
        if not title.get("title"):
            yield "title", _too_short("title")
        yield from _word("title", "titleType", title.get("titleType"))
        yield from _lang(title)


def _dates_and_descriptions(attributes: Attributes) -> Iterator[tuple[str, str]]:
    for date in _objects(attributes, "dates"):
        yield from _word("date", "dateType", date.get("dateType"))
    for description in _objects(attributes, "descriptions"):
        yield from _word("description", "descriptionType", description.get("descriptionType"))
        yield from _lang(description)
    for right in _objects(attributes, "rightsList"):
        yield from _lang(right)


def _related(attributes: Attributes) -> Iterator[tuple[str, str]]:
    for entry in _objects(attributes, "relatedIdentifiers"):
        for name in ("relatedIdentifierType", "relationType"):
            if not entry.get(name):
                yield "related_identifiers", f"The attribute '{name}' is required but missing."
            yield from _word("relatedIdentifier", name, entry.get(name))
        yield from _word("relatedIdentifier", "resourceTypeGeneral", entry.get("resourceTypeGeneral"))
    for entry in _objects(attributes, "relatedItems"):
        for name, vocabulary in (
            ("relatedItemType", "resourceTypeGeneral"),
            ("relationType", "relationType"),
        ):
            if not entry.get(name):
                yield "relatedItem", f"The attribute '{name}' is required but missing."
            yield from _word("relatedItem", name, entry.get(name), vocabulary)
        yield from _word("number", "numberType", entry.get("numberType"))
        for title in entry.get("titles") or []:
            yield from _word("title", "titleType", title.get("titleType"))
        for contributor in entry.get("contributors") or []:
            yield from _word("contributor", "contributorType", contributor.get("contributorType"))
        year = entry.get("publicationYear")
        if year is not None and not re.fullmatch(r"\d{4}", str(year)):
            yield "publicationYear", _bad_value("publicationYear", year)
        identifier = entry.get("relatedItemIdentifier") or {}
        kind = identifier.get("relatedItemIdentifierType") if isinstance(identifier, dict) else None
        yield from _word("relatedItemIdentifier", "relatedItemIdentifierType", kind, "relatedIdentifierType")


def _places(attributes: Attributes) -> Iterator[tuple[str, str]]:
    for entry in _objects(attributes, "geoLocations"):
        for part in ("geoLocationPoint", "geoLocationBox"):
            members = entry.get(part)
            for name, value in (members if isinstance(members, dict) else {}).items():
                most = 90 if name.endswith("Latitude") else 180
                if not isinstance(value, (int, float)) or abs(value) > most:
                    yield name, _bad_value(name, value)


def _funding(attributes: Attributes) -> Iterator[tuple[str, str]]:
    for entry in _objects(attributes, "fundingReferences"):
        if not entry.get("funderName"):
            yield "funderName", _too_short("funderName")
        kind = entry.get("funderIdentifierType")
        if entry.get("funderIdentifier") and not kind:
            yield "funderIdentifier", "The attribute 'funderIdentifierType' is required but missing."
        yield from _word("funderIdentifier", "funderIdentifierType", kind)


def _objects(attributes: Attributes, name: str) -> list[dict[str, Any]]:
    value = attributes.get(name)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _word(element: str, attribute: str, value: Any, vocabulary: str | None = None) -> Iterator[tuple[str, str]]:
    """A controlled word; the source is glued from element and attribute, quotes included, as on the server."""
    if value and value not in terms(vocabulary or attribute):
        words = f"Element '{element}', attribute '{attribute}': '{value}' is not an element of the set."
        yield f"{element}', attribute '{attribute}", words


def _lang(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if entry.get("lang") and not _LANG.match(str(entry["lang"])):
        yield "lang", _bad_value("lang", entry["lang"])


def _too_short(element: str) -> str:
    return f"Element '{element}': [facet 'minLength'] The value has a length of '0'."


def _bad_value(element: str, value: Any) -> str:
    return f"Element '{element}': '{value if value is not None else ''}' is not a valid value."
