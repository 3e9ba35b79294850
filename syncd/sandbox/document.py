"""What is read back: the stored record in the server's form, which is not always what was sent."""

import base64
import re
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from syncd.sandbox.attributes import OBJECT_LISTS
from syncd.sandbox.world import StoredDoi

_COUNTERS = (
    "viewCount", "downloadCount", "referenceCount", "citationCount", "partCount", "partOfCount", "versionCount",
    "versionOfCount",
)  # fmt: skip
_SERIES = re.compile(
    r"^(?P<title>[^,]+?)(?:,\s*(?P<volume>[^,(]+?)(?:\((?P<issue>[^)]+)\))?)?"
    r"(?:,\s*(?P<firstPage>[^-,]+)(?:-(?P<lastPage>[^,]+))?)?$"
)


def resource(
    stored: StoredDoi, *, affiliation: bool, publisher: bool, detail: bool, agency: bool = False
) -> dict[str, Any]:
    """One DOI as a JSON:API resource.

    Args:
        affiliation: Affiliations as objects instead of names.
        publisher: The publisher as an object instead of its name.
        detail: With the members that only a single DOI has.
        agency: With the registration agency.
    """
    attributes = _attributes(stored, affiliation=affiliation, publisher=publisher)
    relationships: dict[str, Any] = {"client": {"data": {"id": stored.account.key, "type": "clients"}}}
    if detail:
        attributes |= {
            "prefix": stored.doi.split("/")[0],
            "suffix": stored.doi.split("/", 1)[1],
            "alternateIdentifiers": [
                {
                    "alternateIdentifierType": one.get("identifierType"),
                    "alternateIdentifier": one.get("identifier"),
                }
                for one in attributes["identifiers"]
            ],
            "xml": base64.b64encode(_xml(stored)).decode() if stored.has_xml else None,
        }
        provider = stored.account.key.split(".")[0]
        relationships["provider"] = {"data": {"id": provider, "type": "providers"}}
        relationships["media"] = {"data": {"id": stored.doi, "type": "media"}}
    if agency:
        attributes["agency"] = "datacite"
    return {"id": stored.doi, "type": "dois", "attributes": attributes, "relationships": relationships}


def _attributes(stored: StoredDoi, *, affiliation: bool, publisher: bool) -> dict[str, Any]:
    kept = stored.attributes
    lists = {name: kept.get(name) or [] for name in OBJECT_LISTS}
    for name in ("creators", "contributors"):
        lists[name] = [_person(person, affiliation) for person in lists[name] if isinstance(person, dict)]
    lists["identifiers"] = [one for one in lists["identifiers"] if one.get("identifier") != kept.get("url")]
    name_of_publisher = kept.get("publisher")
    return {
        "doi": stored.doi,
        **lists,
        "publisher": name_of_publisher if publisher else (name_of_publisher or {}).get("name"),
        "container": _container(stored),
        "publicationYear": kept.get("publicationYear"),
        "language": kept.get("language"),
        "types": kept.get("types") or {},
        "sizes": kept.get("sizes") or [],
        "formats": kept.get("formats") or [],
        "version": kept.get("version"),
        "url": kept.get("url"),
        "contentUrl": kept.get("contentUrl"),
        "metadataVersion": stored.metadata_version,
        "schemaVersion": kept.get("schemaVersion"),
        "source": kept.get("source") or "api",
        "isActive": stored.state == "findable",
        "state": stored.state,
        "reason": kept.get("reason"),
        "landingPage": kept.get("landingPage"),
        **dict.fromkeys(_COUNTERS, 0),
        "created": _time(stored.created),
        "registered": _time(stored.registered),
        "published": None if kept.get("publicationYear") is None else str(kept["publicationYear"]),
        "updated": _time(stored.updated),
    }


def _person(person: dict[str, Any], affiliation: bool) -> dict[str, Any]:
    given = person.get("affiliation") or []
    shown = given if affiliation else [one["name"] for one in given if one.get("name")]
    return {**person, "affiliation": shown, "nameIdentifiers": person.get("nameIdentifiers") or []}


def _container(stored: StoredDoi) -> dict[str, Any]:
    """Computed: from an IsPublishedIn item, else a SeriesInformation description, else as stored."""
    kept = stored.attributes
    types = kept.get("types")
    general = types.get("resourceTypeGeneral") if isinstance(types, dict) else None
    kind = "DataRepository" if general == "Dataset" else "Series"
    for item in kept.get("relatedItems") or []:
        if item.get("relationType") == "IsPublishedIn":
            return _from_item(item, kind)
    for description in kept.get("descriptions") or []:
        if description.get("descriptionType") == "SeriesInformation":
            return _from_series(str(description.get("description") or ""), kept.get("relatedIdentifiers") or [], kind)
    return kept.get("container") or {}


def _from_item(item: dict[str, Any], kind: str) -> dict[str, Any]:
    identifier = item.get("relatedItemIdentifier") or {}
    titles = item.get("titles") or [{}]
    members = {
        "type": kind,
        "identifier": identifier.get("relatedItemIdentifier"),
        "identifierType": identifier.get("relatedItemIdentifierType"),
        "title": titles[0].get("title"),
        **{name: item.get(name) for name in ("volume", "issue", "firstPage", "lastPage")},
    }
    return {name: value for name, value in members.items() if value is not None}


def _from_series(text: str, related: list[Any], kind: str) -> dict[str, Any]:
    match = _SERIES.match(text)
    members: dict[str, Any] = {"type": kind, **(match.groupdict() if match else {"title": text})}
    part_of = next((one for one in related if one.get("relationType") == "IsPartOf"), None)
    if part_of:
        members["identifier"] = part_of.get("relatedIdentifier")
        members["identifierType"] = part_of.get("relatedIdentifierType")
    return {name: value for name, value in members.items() if value is not None}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _xml(stored: StoredDoi) -> bytes:
    """The identifying part of the metadata as XML; enough to see that it changed."""
    root = ElementTree.Element("resource", {"xmlns": "http://datacite.org/schema/kernel-4"})
    ElementTree.SubElement(root, "identifier", {"identifierType": "DOI"}).text = stored.doi.upper()
    for title in stored.attributes.get("titles") or []:
        if isinstance(title, dict):
            ElementTree.SubElement(root, "title").text = str(title.get("title") or "")
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
