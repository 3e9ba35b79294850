"""The XML that the server makes of a record: rendered on a write with metadata, checked, and kept.

The order of elements and what stands in for a missing value follow the server's own writer; what it does not
write (a person's language, the scheme of a related identifier) cannot be refused either.
"""

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from syncd.sandbox.attributes import ServerError
from syncd.sandbox.world import Attributes

NAMESPACE = "http://datacite.org/schema/kernel-4"
_TEXT_MEMBER = {"titles": "title", "subjects": "subject", "descriptions": "description", "rightsList": "rights"}
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_NOT_IN_XML = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_SCHEMA_ORG_TO_GENERAL = {
    "AudioObject": "Sound", "Book": "Book", "Chapter": "BookChapter", "Collection": "Collection",
    "DataCatalog": "Dataset", "Dataset": "Dataset", "Event": "Event", "ImageObject": "Image", "Movie": "Audiovisual",
    "Report": "Report", "Service": "Service", "Review": "PeerReview", "SoftwareSourceCode": "Software",
    "VideoObject": "Audiovisual",
    **dict.fromkeys(
        ("Article", "Blog", "BlogPosting", "PublicationIssue", "ScholarlyArticle", "Thesis", "WebPage", "WebSite"),
        "Text",
    ),
}  # fmt: skip


def rendered(doi: str, attributes: Attributes, container: Attributes) -> Element:
    """A record's metadata as the server's XML.

    Args:
        doi: Its name.
        attributes: As the request left them, before the server's own normalisation.
        container: As it would be read back; its title stands in for a missing publisher.
    """
    root = Element("resource", {"xmlns": NAMESPACE})
    _leaf(root, "identifier", doi.upper(), identifierType="DOI")
    people = _below(root, "creators")
    for person in entries(attributes, "creators"):
        _person(_below(people, "creator"), person, "creatorName")
    titles = _below(root, "titles")
    for title in entries(attributes, "titles"):
        _leaf(titles, "title", title.get("title"), titleType=title.get("titleType"), lang=title.get("lang"))
    _publication(root, attributes, container)
    _optional(root, attributes)
    return root


def as_bytes(root: Element) -> bytes:
    """The document with its declaration, indented as the server's."""
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def entries(attributes: Attributes, name: str) -> list[dict[str, Any]]:
    """The objects of a list attribute; text in the place of one is written as the member that text can be."""
    value = attributes.get(name)
    listed = value if isinstance(value, list) else [] if value is None else [value]
    member = _TEXT_MEMBER.get(name)
    return [
        entry if isinstance(entry, dict) else {member: entry} if member else {}
        for entry in listed
        if isinstance(entry, dict) or (isinstance(entry, str) and (entry or name == "titles"))
    ]


def _publication(root: Element, attributes: Attributes, container: Attributes) -> None:
    publisher = attributes.get("publisher") or {}
    _leaf(
        root,
        "publisher",
        container.get("title") if publisher.get("name") is None else publisher["name"],
        publisherIdentifier=publisher.get("publisherIdentifier"),
        publisherIdentifierScheme=publisher.get("publisherIdentifierScheme"),
        schemeURI=publisher.get("schemeUri"),
        lang=publisher.get("lang"),
    )
    _leaf(root, "publicationYear", attributes.get("publicationYear"))
    types = attributes.get("types")
    if isinstance(types, dict) and (types.get("schemaOrg") or types.get("resourceTypeGeneral") is not None):
        schema_org = _SCHEMA_ORG_TO_GENERAL.get(str(types.get("schemaOrg")), "Other")
        general = types.get("resourceTypeGeneral")
        _leaf(root, "resourceType", types.get("resourceType"),
              resourceTypeGeneral=schema_org if general is None else general)  # fmt: skip


def _optional(root: Element, attributes: Attributes) -> None:
    _list(root, attributes, "subjects", _subject)
    _list(root, attributes, "contributors", _contributor)
    _list(root, attributes, "dates", _date)
    if attributes.get("language"):
        _leaf(root, "language", attributes["language"])
    _list(root, attributes, "identifiers", _alternate_identifier, "alternateIdentifiers")
    _list(root, attributes, "relatedIdentifiers", _related_identifier)
    _list(root, attributes, "relatedItems", _related_item)
    _texts_of(root, attributes, "sizes", "size")
    _texts_of(root, attributes, "formats", "format")
    if attributes.get("version"):
        _leaf(root, "version", attributes["version"])
    _list(root, attributes, "rightsList", _right)
    _list(root, attributes, "descriptions", _description)
    _list(root, attributes, "geoLocations", _place)
    _list(root, attributes, "fundingReferences", _funding)


def _list(
    root: Element, attributes: Attributes, name: str, write: Callable[[Element, dict[str, Any]], None], tag: str = ""
) -> None:
    """An optional list, below one wrapper element that is written only when there are entries."""
    found = entries(attributes, name)
    if found:
        wrapper = _below(root, tag or name)
        for entry in found:
            write(wrapper, entry)


def _texts_of(root: Element, attributes: Attributes, name: str, element: str) -> None:
    wrapper = _below(root, name)
    for text in attributes.get(name) or []:
        _leaf(wrapper, element, text)


def _subject(parent: Element, subject: dict[str, Any]) -> None:
    _leaf(parent, "subject", subject.get("subject"), **_named(subject, _SUBJECT))


def _contributor(parent: Element, contributor: dict[str, Any]) -> None:
    # A missing type is written as an empty one.
    below = _below(parent, "contributor", contributorType=contributor.get("contributorType") or "")
    _person(below, contributor, "contributorName")


def _date(parent: Element, date: dict[str, Any]) -> None:
    kind = date.get("dateType")
    information = date.get("dateInformation")
    _leaf(parent, "date", date.get("date"), dateType="Issued" if kind is None else kind, dateInformation=information)


def _alternate_identifier(parent: Element, identifier: dict[str, Any]) -> None:
    kind = identifier.get("identifierType")
    if kind != "DOI":
        _leaf(parent, "alternateIdentifier", identifier.get("identifier"), alternateIdentifierType=kind or "")


def _related_identifier(parent: Element, related: dict[str, Any]) -> None:
    _leaf(parent, "relatedIdentifier", related.get("relatedIdentifier"), **_named(related, _RELATED))


def _right(parent: Element, right: dict[str, Any]) -> None:
    _leaf(parent, "rights", right.get("rights"), **_named(right, _RIGHTS))


def _description(parent: Element, description: dict[str, Any]) -> None:
    kind = description.get("descriptionType")
    text, lang = description.get("description"), description.get("lang")
    _leaf(parent, "description", text, descriptionType="Abstract" if kind is None else kind, lang=lang)


_SUBJECT = {"subjectScheme": "subjectScheme", "schemeURI": "schemeUri", "valueURI": "valueUri",
            "classificationCode": "classificationCode", "lang": "lang"}  # fmt: skip
_RELATED = {name: name for name in ("relatedIdentifierType", "relationType", "resourceTypeGeneral")}
_RIGHTS = {"rightsURI": "rightsUri", "rightsIdentifier": "rightsIdentifier",
           "rightsIdentifierScheme": "rightsIdentifierScheme", "schemeURI": "schemeUri", "lang": "lang"}  # fmt: skip
_ITEM_IDENTIFIER = {name: name for name in (
    "relatedItemIdentifierType", "relatedMetadataScheme", "schemeURI", "schemeType")}  # fmt: skip


def _related_item(parent: Element, item: dict[str, Any]) -> None:
    below = _below(
        parent, "relatedItem", relatedItemType=item.get("relatedItemType"), relationType=item.get("relationType")
    )
    identifier = item.get("relatedItemIdentifier")
    if isinstance(identifier, dict) and identifier:
        text = identifier.get("relatedItemIdentifier")
        _leaf(below, "relatedItemIdentifier", text, **_named(identifier, _ITEM_IDENTIFIER))
    if entries(item, "creators"):
        people = _below(below, "creators")
        for person in entries(item, "creators"):
            _person(_below(people, "creator"), person, "creatorName")
    titles = _below(below, "titles")
    for title in entries(item, "titles"):
        _leaf(titles, "title", title.get("title"), titleType=title.get("titleType"))
    for name in ("publicationYear", "volume", "issue", "number", "firstPage", "lastPage", "publisher", "edition"):
        if item.get(name) not in (None, "", False):
            _leaf(below, name, item[name], numberType=item.get("numberType") if name == "number" else None)
    if entries(item, "contributors"):
        people = _below(below, "contributors")
        for person in entries(item, "contributors"):
            kind = person.get("contributorType")
            _person(_below(people, "contributor", contributorType="Other" if kind is None else kind), person,
                    "contributorName")  # fmt: skip


def _person(parent: Element, person: dict[str, Any], element: str) -> None:
    name = person.get("name")
    if person.get("familyName"):
        name = ", ".join(str(part) for part in (person["familyName"], person.get("givenName")) if part is not None)
    _leaf(parent, element, name, nameType=person.get("nameType"))
    for part in ("givenName", "familyName"):
        if person.get(part):
            _leaf(parent, part, person[part])
    for identifier in entries(person, "nameIdentifiers"):
        _leaf(parent, "nameIdentifier", identifier.get("nameIdentifier"))
    for affiliation in entries(person, "affiliation"):
        _leaf(parent, "affiliation", affiliation.get("name"))


def _place(wrapper: Element, place: dict[str, Any]) -> None:
    parent = _below(wrapper, "geoLocation")
    if place.get("geoLocationPlace") is not None:
        _leaf(parent, "geoLocationPlace", place["geoLocationPlace"])
    for part, names in (
        ("geoLocationPoint", ("pointLatitude", "pointLongitude")),
        ("geoLocationBox", ("westBoundLongitude", "eastBoundLongitude", "southBoundLatitude", "northBoundLatitude")),
    ):
        if isinstance(place.get(part), list) and place[part]:
            raise ServerError("no implicit conversion of String into Integer")
        if isinstance(place.get(part), dict):
            below = _below(parent, part)
            for name in names:
                _leaf(below, name, place[part].get(name))
    if place.get("geoLocationPolygon") is not None:
        polygon = _below(parent, "geoLocationPolygon")
        for point in entries(place, "geoLocationPolygon"):
            name = "polygonPoint" if "polygonPoint" in point else "inPolygonPoint"
            if isinstance(point.get(name), list):
                raise ServerError("no implicit conversion of String into Integer")
            below = _below(polygon, name)
            for coordinate in ("pointLatitude", "pointLongitude"):
                _leaf(below, coordinate, (point.get(name) or {}).get(coordinate))


def _funding(wrapper: Element, funding: dict[str, Any]) -> None:
    parent = _below(wrapper, "fundingReference")
    _leaf(parent, "funderName", funding.get("funderName"))
    if funding.get("funderIdentifier"):
        kind = funding.get("funderIdentifierType")
        _leaf(parent, "funderIdentifier", funding["funderIdentifier"], funderIdentifierType=kind)
    if funding.get("awardNumber") or funding.get("awardUri"):
        _leaf(parent, "awardNumber", funding.get("awardNumber"), awardURI=funding.get("awardUri"))
    if funding.get("awardTitle"):
        _leaf(parent, "awardTitle", funding["awardTitle"])


def _named(entry: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {attribute: entry.get(member) for attribute, member in names.items()}


def _below(parent: Element, name: str, **attributes: Any) -> Element:
    return ElementTree.SubElement(parent, name, _texts(attributes))


def _leaf(parent: Element, name: str, content: Any, **attributes: Any) -> None:
    element = _below(parent, name, **attributes)
    element.text = None if content is None else _text(content)


def _texts(attributes: dict[str, Any]) -> dict[str, str]:
    given = {name: value for name, value in attributes.items() if value is not None}
    return {LANG if name == "lang" else name: _text(value) for name, value in given.items()}


def _text(value: Any) -> str:
    """As the writer puts it; NUL makes it fail, other control characters are lost when the XML is read again."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "\0" in text:
        raise ServerError("string contains null byte")
    return _NOT_IN_XML.sub("", text)
