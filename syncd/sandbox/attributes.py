"""What of a request's attributes is stored, and in which form: filters, wrapping, clearing, normalisation.

The server renders its XML between ``assign`` and ``normalise``, so the XML holds what was sent.
"""

import html
import re
from typing import Any

from syncd.sandbox.world import Attributes
from syncd.vocabularies import languages, licences, load


class ServerError(Exception):
    """The real server's code fails here: 500 with a bare object."""


_PERSON = {
    "name", "nameType", "givenName", "familyName", "lang",
    ("nameIdentifiers", ("nameIdentifier", "nameIdentifierScheme", "schemeUri")),
    ("affiliation", ("name", "affiliationIdentifier", "affiliationIdentifierScheme", "schemeUri")),
}  # fmt: skip
_ITEM_IDENTIFIER = (
    "relatedItemIdentifier", "relatedItemIdentifierType", "relatedMetadataScheme", "schemeURI", "schemeType",
)  # fmt: skip
_ITEM_NAME = "relatedItemIdentifier"
_RELATED_PERSON = {"name", "nameType", "givenName", "familyName", "contributorType"}

OBJECT_LISTS: dict[str, Any] = {
    "creators": _PERSON,
    "contributors": {*_PERSON, "contributorType"},
    "titles": {"title", "titleType", "lang"},
    "subjects": {"subject", "subjectScheme", "schemeUri", "valueUri", "classificationCode", "lang"},
    "dates": {"date", "dateType", "dateInformation"},
    "identifiers": {"identifier", "identifierType"},
    "relatedIdentifiers": {
        "relatedIdentifier", "relatedIdentifierType", "relationType", "relationTypeInformation",
        "resourceTypeGeneral", "relatedMetadataScheme", "schemeUri", "schemeType",
    },
    "relatedItems": {
        "relatedItemType", "relationType", "relationTypeInformation", "publicationYear", "volume", "issue", "number",
        "numberType", "firstPage", "lastPage", "publisher", "edition",
        (_ITEM_NAME, _ITEM_IDENTIFIER),
        ("titles", ("title", "titleType")), ("creators", tuple(_RELATED_PERSON)),
        ("contributors", tuple(_RELATED_PERSON)),
    },
    "rightsList": {"rights", "rightsUri", "rightsIdentifier", "rightsIdentifierScheme", "schemeUri", "lang"},
    "descriptions": {"description", "descriptionType", "lang"},
    "geoLocations": {
        "geoLocationPlace",
        ("geoLocationPoint", ("pointLongitude", "pointLatitude")),
        ("geoLocationBox", ("westBoundLongitude", "eastBoundLongitude", "southBoundLatitude", "northBoundLatitude")),
        ("geoLocationPolygon", (
            ("polygonPoint", ("pointLongitude", "pointLatitude")),
            ("inPolygonPoint", ("pointLongitude", "pointLatitude")),
        )),
    },
    "fundingReferences": {
        "funderName", "funderIdentifier", "funderIdentifierType", "schemeUri", "awardNumber", "awardUri", "awardTitle",
    },
}  # fmt: skip
TEXT_LISTS = ("sizes", "formats", "contentUrl")
TEXTS = ("url", "language", "version", "source", "reason", "schemaVersion")
METADATA = {
    *OBJECT_LISTS, *TEXT_LISTS, "alternateIdentifiers", "language", "version", "publisher", "publicationYear", "types",
    "container", "schemaVersion",
}  # fmt: skip
"""Sending one of these makes the server render its XML again, and check it."""

_CONTAINER = ("type", "identifier", "identifierType", "title", "volume", "issue", "firstPage", "lastPage")
_PUBLISHER = ("name", "publisherIdentifier", "publisherIdentifierScheme", "schemeUri", "lang")
_TYPES = ("resourceTypeGeneral", "resourceType", "schemaOrg", "citeproc", "bibtex", "ris")
_KEPT_TAGS = re.compile(r"<(?!/?(?:strong|em|b|i|code|pre|sub|sup|br)\b)[^>]*>")
_LENGTHS = {"reason": 255, "version": 191, "source": 191, "schemaVersion": 191, "language": 191}
_LONGEST_DOI = 255
_LARGEST_INTEGER = 2**31 - 1
_DECIMAL = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def assign(stored: Attributes, sent: Attributes) -> None:
    """Lay a request's attributes over the stored ones, as far as they are understood.

    Raises:
        ServerError: One of the values that make the real server fail.
    """
    if sent.get("client") is not None and not isinstance(sent["client"], (dict, list)):
        raise ServerError("Client(#1) expected, got an instance of String")
    if "identifiers" not in sent and "alternateIdentifiers" in sent:
        sent = {**sent, "identifiers": _alternate(sent["alternateIdentifiers"])}
    for name, allowed in OBJECT_LISTS.items():
        if name in sent:
            _apply_objects(stored, name, sent[name], allowed)
    for name in TEXT_LISTS:
        if name in sent:
            _apply_texts(stored, name, sent[name])
    for name in TEXTS:
        if name in sent:
            _apply_text(stored, name, sent[name])
    _apply_others(stored, sent)


def check_lengths(doi: str, stored: Attributes) -> None:
    """What the database's columns do not hold; they say so after everything else was found right.

    Raises:
        ServerError: A value is too long.
    """
    for name, most in _LENGTHS.items():
        if len(stored.get(name) or "") > most:
            raise ServerError(f"Data too long for column '{name}'")
    if len(doi) > _LONGEST_DOI:
        raise ServerError("Data too long for column 'doi'")


def _alternate(value: Any) -> Any:
    value = [value] if isinstance(value, dict) else value
    if not isinstance(value, list):
        return value
    return [
        {"identifier": entry.get("alternateIdentifier"), "identifierType": entry.get("alternateIdentifierType")}
        for entry in value
        if isinstance(entry, dict)
    ]


def _apply_objects(stored: Attributes, name: str, value: Any, allowed: Any) -> None:
    if value is None:
        stored[name] = []
    elif isinstance(value, dict):
        stored[name] = [_filtered(value, allowed)]
    elif isinstance(value, list):
        stored[name] = [_filtered(entry, allowed) for entry in value if isinstance(entry, dict)]
    elif value == "" and name in ("creators", "contributors"):
        raise ServerError("no implicit conversion of String into Integer")
    elif isinstance(value, str) and name == "subjects":
        stored[name] = [{"subject": value}]
    elif isinstance(value, str) and name == "rightsList":
        # A text may be a licence's name, its address or, unlike inside an object, its identifier.
        known = any(row[0] == value for row in licences()["licenses"])
        stored[name] = [{"rights": value, "rightsIdentifier": value} if known else {"rights": value}]
    else:
        stored[name] = value  # refused by the rules, which want objects
    if name == "relatedItems" and any(isinstance(one.get(_ITEM_NAME), list) for one in _dicts(stored[name])):
        raise ServerError("no implicit conversion of String into Integer")


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _filtered(entry: dict[str, Any], allowed: Any) -> dict[str, Any]:
    """Known members only: single values where one is meant, objects or lists of them where those are."""
    nested = {item[0]: item[1] for item in allowed if isinstance(item, tuple)}
    kept: dict[str, Any] = {}
    for key, value in entry.items():
        if key in nested:
            if isinstance(value, dict):
                one = _filtered(value, nested[key])
                kept[key] = [one] if key in ("nameIdentifiers", "affiliation") else one
            elif isinstance(value, list):
                kept[key] = [_filtered(member, nested[key]) for member in value if isinstance(member, dict)]
        elif key in allowed and not isinstance(value, (dict, list)):
            kept[key] = value
    return kept


def _apply_texts(stored: Attributes, name: str, value: Any) -> None:
    if value is None:
        stored[name] = []
    elif isinstance(value, str):
        stored[name] = [value]
    elif isinstance(value, list) and not any(isinstance(entry, (dict, list)) for entry in value):
        stored[name] = list(value)  # with anything else inside, the whole is dropped


def _apply_text(stored: Attributes, name: str, value: Any) -> None:
    if value is None or isinstance(value, str):
        stored[name] = value
    elif isinstance(value, (int, float)):
        stored[name] = str(value)


def _apply_others(stored: Attributes, sent: Attributes) -> None:
    if "publicationYear" in sent and not isinstance(sent["publicationYear"], (list, dict)):
        stored["publicationYear"] = _integer(sent["publicationYear"])
    if sent.get("publisher") is not None:
        stored["publisher"] = _publisher(sent["publisher"])
    for name, allowed in (("types", _TYPES), ("container", _CONTAINER)):
        if name in sent:
            value = sent[name]
            if isinstance(value, list):
                raise ServerError(f"undefined method for an instance of Array ({name})")
            if isinstance(value, str) and value:
                stored[name] = value  # refused by the rules, which want an object
                continue
            members = value.items() if isinstance(value, dict) else ()
            stored[name] = {key: member for key, member in members if key in allowed}
    if "landingPage" in sent:
        stored["landingPage"] = sent["landingPage"]


def _publisher(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        return None
    return {key: value[key] for key in _PUBLISHER if value.get(key) is not None} or None


def _integer(value: Any) -> Any:
    """As the database's integer column casts it: text that is no number becomes 0."""
    if value is None or isinstance(value, bool):
        return None if value is None else int(value)
    if isinstance(value, (int, float)):
        if abs(value) > _LARGEST_INTEGER:
            raise ServerError(f"{value} is out of range for ActiveModel::Type::Integer with limit 4 bytes")
        return int(value)
    match = re.match(r"\s*([+-]?\d+)", str(value))
    return int(match[1]) if match else (0 if str(value) else None)


def normalise(stored: Attributes, sent: Attributes) -> None:
    """Bring what was sent into the server's form."""
    if "language" in sent and stored.get("language"):
        stored["language"] = _language(stored["language"])
    if "subjects" in sent and isinstance(stored.get("subjects"), list):
        stored["subjects"] = _subjects(stored["subjects"])
    if "rightsList" in sent and isinstance(stored.get("rightsList"), list):
        rights = [_right(entry) for entry in stored["rightsList"] if any(v is not None for v in entry.values())]
        stored["rightsList"] = rights
    if "types" in sent and isinstance(stored["types"], dict):
        given = {key: value for key, value in stored["types"].items() if value is not None}
        stored["types"] = {**_derived(given), **given}
    if "geoLocations" in sent and isinstance(stored.get("geoLocations"), list):
        stored["geoLocations"] = [
            {key: _place_member(key, member) for key, member in entry.items()} for entry in stored["geoLocations"]
        ]
    if isinstance(stored.get("identifiers"), list):
        stored["identifiers"] = [one for one in stored["identifiers"] if one.get("identifierType") != "DOI"]


def _place_member(key: str, member: Any) -> Any:
    if key == "geoLocationPlace":
        return member
    if key == "geoLocationPolygon" and isinstance(member, dict):
        member = [member]
    return _numbers(member)


def _language(text: str) -> str | None:
    known = languages()
    first = text.split("-")[0]
    code = known.get(first) or known.get(first[:1].upper() + first[1:])
    if code:
        return code
    return text if re.match(r"^[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*$", text) else None


def _subjects(entries: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for entry in entries:
        clean = {key: value for key, value in entry.items() if value is not None}
        if isinstance(clean.get("subject"), str):
            text = html.escape(html.unescape(_KEPT_TAGS.sub("", clean["subject"])), quote=False)
            text = re.sub(r"&lt;(/?(?:strong|em|b|i|code|pre|sub|sup|br))&gt;", r"<\1>", text)
            clean["subject"] = re.sub(r"\s+", " ", text).strip()
        if clean and clean not in kept:
            kept.append(clean)
    return kept


def _right(entry: dict[str, Any]) -> dict[str, Any]:
    found = _licence(entry)
    if found is None:
        identifier = entry.get("rightsIdentifier")
        lower = {"rightsIdentifier": identifier.lower()} if isinstance(identifier, str) else {}
        return {key: value for key, value in {**entry, **lower}.items() if value is not None}
    licence_id, name, address = found
    expanded = {
        "rights": name,
        "rightsUri": address,
        "rightsIdentifier": licence_id.lower(),
        "rightsIdentifierScheme": "SPDX",
        "schemeUri": "https://spdx.org/licenses/",
    }
    return {**expanded, "lang": entry["lang"]} if entry.get("lang") else expanded


def _licence(entry: dict[str, Any]) -> Any:
    identifier = str(entry.get("rightsIdentifier") or "").lower()
    rights = entry.get("rights")
    if rights is not None and not isinstance(rights, str):
        raise ServerError(f"Can't convert {type(rights).__name__} into String.")
    address = None
    if rights and re.match(r"(https?|ftp)://[^/]", rights):
        https = re.sub(r"^(http|ftp)://", "https://", rights)
        address = licences()["ccUrlNormalisation"].get(https.rstrip("/"), https)
    for row in licences()["licenses"]:
        if row[0].lower() == identifier or row[1] == rights or (address and row[2] == address):
            return row
    return None


def _derived(types: dict[str, Any]) -> dict[str, str]:
    """The four derived keys: each by the free text first, then by way of the general type.

    citeproc and bibtex follow from the schema.org type that is derived, not from one that was sent.
    """
    tables = load()["derivedTypes"]
    free = tables["byResourceType"].get(_camel(str(types.get("resourceType") or "")), {})
    general = tables["byResourceTypeGeneral"].get(types.get("resourceTypeGeneral"), {})
    fallback = tables["fallback"]
    schema_org = free.get("schemaOrg") or general.get("schemaOrg") or fallback["schemaOrg"]
    derived = {"schemaOrg": schema_org}
    for key, table in (("citeproc", "schemaOrgToCiteproc"), ("bibtex", "schemaOrgToBibtex")):
        by_schema_org = tables[table].get(schema_org)
        derived[key] = free.get(key) or (fallback[key] if by_schema_org is None else by_schema_org)
    derived["ris"] = free.get("ris") or general.get("ris") or fallback["ris"]
    return derived


def _camel(text: str) -> str:
    """Rails' ``underscore`` and ``camelize``: hyphens join words, spaces do not."""
    text = re.sub(r"([A-Z\d]+)([A-Z][a-z])", r"\1_\2", text)
    text = re.sub(r"([a-z\d])([A-Z])", r"\1_\2", text).replace("-", "_").lower()
    return re.sub(r"(?:^|_)([a-z\d]*)", lambda match: match[1][:1].upper() + match[1][1:], text)


def _numbers(value: Any) -> Any:
    """Coordinates as numbers where they are some; without a point they become integers, ``1e1`` then 1."""
    if isinstance(value, dict):
        return {key: _numbers(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_numbers(member) for member in value]
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return float(value) if "." in value else int(value.lower().split("e")[0])
    return value
