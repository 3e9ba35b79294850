"""DataCite's metadata rules (schema 4.7) as JSON Schema, in REST names, made from the word lists.

DataCite checks XML made from the attributes against its XSD; there is no official JSON Schema. Drafts are
checked for shape only, as DataCite does; registered and findable records for everything.
"""

from typing import Any

from syncd.vocabularies import load, terms

Schema = dict[str, Any]

# DataCite renders XML, which has no control characters.
_PRINTABLE = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f]*$"
_TEXT: Schema = {"type": "string", "minLength": 1, "pattern": _PRINTABLE}
_ANY_TEXT: Schema = {"type": "string", "pattern": _PRINTABLE}
_LANG: Schema = {"type": "string", "pattern": r"^[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*$"}
_NUMBER: Schema = {"type": ["number", "string"]}
_COLUMN_LENGTH = 191
_RIGHTS_LENGTH = 2000


def schema(*, strict: bool) -> Schema:
    """The schema of all attributes together.

    Args:
        strict: True for what is or becomes registered or findable.
    """
    rules = _Rules(strict)
    properties = {
        "url": {"type": "string", "pattern": r"^(ftp|http|https)://\S+$"},
        "creators": rules.people([]),
        "titles": rules.objects(
            {"title": _TEXT, "titleType": rules.one_of("titleType"), "lang": rules.lang}, ["title"]
        ),
        "publisher": rules.publisher(),
        "publicationYear": {"type": "integer", "minimum": 1000, "maximum": 9999} if strict else {"type": "integer"},
        "types": rules.object(
            {"resourceTypeGeneral": rules.one_of("resourceTypeGeneral"), "resourceType": _ANY_TEXT},
            ["resourceTypeGeneral"],
        ),
        "subjects": rules.objects(
            {"subject": _TEXT, "lang": rules.lang, **dict.fromkeys(
                ("subjectScheme", "schemeUri", "valueUri", "classificationCode"), _ANY_TEXT)},
            ["subject"],
        ),
        "contributors": rules.contributors(),
        "dates": rules.objects(
            {"date": {"type": ["string", "integer"]}, "dateType": rules.one_of("dateType"),
             "dateInformation": _ANY_TEXT},
            ["date", "dateType"],
        ),
        "language": {**_LANG, "maxLength": _COLUMN_LENGTH} if strict else _ANY_TEXT,
        "identifiers": rules.objects({"identifier": _TEXT, "identifierType": _TEXT}, ["identifier", "identifierType"]),
        "relatedIdentifiers": rules.related_identifiers(),
        "relatedItems": rules.related_items(),
        "sizes": {"type": "array", "items": _ANY_TEXT},
        "formats": {"type": "array", "items": _ANY_TEXT},
        "contentUrl": {"type": "array", "items": _ANY_TEXT},
        "version": {"type": "string", "maxLength": _COLUMN_LENGTH},
        "rightsList": rules.objects(
            {"rights": {"type": "string", "maxLength": _RIGHTS_LENGTH}, "lang": rules.lang, **dict.fromkeys(
                ("rightsUri", "rightsIdentifier", "rightsIdentifierScheme", "schemeUri"), _ANY_TEXT)},
            [],
        ),
        "descriptions": rules.objects(
            {"description": _TEXT, "descriptionType": rules.one_of("descriptionType"), "lang": rules.lang},
            ["description", "descriptionType"],
        ),
        "geoLocations": rules.geo_locations(),
        "fundingReferences": rules.funding(),
    }  # fmt: skip
    required = [name.split(".")[0] for name in load()["mandatoryForFindableOrRegistered"]] if strict else []
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": sorted(set(required)),
        "additionalProperties": False,
    }


class _Rules:
    """Builds the parts; a draft keeps the shapes and drops word lists, mandatory members and ranges."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.lang = _LANG if strict else _ANY_TEXT

    def one_of(self, name: str) -> Schema:
        """One word of a controlled list."""
        return {"enum": list(terms(name))} if self.strict else _ANY_TEXT

    def object(self, properties: Schema, required: list[str]) -> Schema:
        """An object of these members; DataCite drops members that it does not know, so we refuse them."""
        needed = required if self.strict else []
        return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}

    def objects(self, properties: Schema, required: list[str], least: int = 0) -> Schema:
        """A list of such objects."""
        return {"type": "array", "items": self.object(properties, required), "minItems": least}

    def publisher(self) -> Schema:
        """Text or an object with text members only."""
        members = ("publisherIdentifier", "publisherIdentifierScheme", "schemeUri")
        properties = {"name": _TEXT, "lang": self.lang, **dict.fromkeys(members, _ANY_TEXT)}
        return self.object(properties, ["name"])

    def people(self, extra: list[tuple[str, Schema]]) -> Schema:
        """Creators, and with a type contributors."""
        identifier = {"nameIdentifier": _TEXT, "nameIdentifierScheme": _ANY_TEXT, "schemeUri": _ANY_TEXT}
        affiliation = {
            "name": _TEXT,
            "affiliationIdentifier": _ANY_TEXT,
            "affiliationIdentifierScheme": _ANY_TEXT,
            "schemeUri": _ANY_TEXT,
        }
        properties = {
            "name": _TEXT,
            "nameType": self.one_of("nameType"),
            "givenName": _ANY_TEXT,
            "familyName": _ANY_TEXT,
            "lang": self.lang,
            "nameIdentifiers": self.objects(identifier, ["nameIdentifier", "nameIdentifierScheme"]),
            "affiliation": self.objects(affiliation, ["name"]),
            **dict(extra),
        }
        return self.objects(properties, ["name"], least=1 if self.strict and not extra else 0)

    def contributors(self) -> Schema:
        """The type is checked for drafts too (datacite-api 5.1)."""
        people = self.people([("contributorType", {"enum": list(terms("contributorType"))})])
        people["items"]["required"] = [*people["items"]["required"], "contributorType"]
        return people

    def related_identifiers(self) -> Schema:
        """Other works, by identifier."""
        texts = ("relationTypeInformation", "relatedMetadataScheme", "schemeUri", "schemeType")
        properties = {
            "relatedIdentifier": _TEXT,
            "relatedIdentifierType": self.one_of("relatedIdentifierType"),
            "relationType": self.one_of("relationType"),
            "resourceTypeGeneral": self.one_of("resourceTypeGeneral"),
            **dict.fromkeys(texts, _ANY_TEXT),
        }
        return self.objects(properties, ["relatedIdentifier", "relatedIdentifierType", "relationType"])

    def related_items(self) -> Schema:
        """Other works, described."""
        person = {
            "name": _TEXT,
            "nameType": self.one_of("nameType"),
            "givenName": _ANY_TEXT,
            "familyName": _ANY_TEXT,
        }
        contributor = {**person, "contributorType": self.one_of("contributorType")}
        identifier = {
            "relatedItemIdentifier": _TEXT,
            "relatedItemIdentifierType": self.one_of("relatedIdentifierType"),
            **dict.fromkeys(("relatedMetadataScheme", "schemeURI", "schemeType"), _ANY_TEXT),
        }
        texts = (
            "volume",
            "issue",
            "number",
            "firstPage",
            "lastPage",
            "publisher",
            "edition",
            "relationTypeInformation",
        )
        properties = {
            "relatedItemType": self.one_of("resourceTypeGeneral"),
            "relationType": self.one_of("relationType"),
            "relatedItemIdentifier": self.object(identifier, ["relatedItemIdentifier"]),
            "creators": self.objects(person, ["name"]),
            "titles": self.objects({"title": _ANY_TEXT, "titleType": self.one_of("titleType")}, []),
            "publicationYear": {
                "type": ["integer", "string"],
                "pattern": r"^\d{4}$",
                "minimum": 1000,
                "maximum": 9999,
            },
            "numberType": self.one_of("numberType"),
            "contributors": self.objects(contributor, ["name", "contributorType"]),
            **dict.fromkeys(texts, _ANY_TEXT),
        }
        return self.objects(properties, ["relatedItemType", "relationType"])

    def geo_locations(self) -> Schema:
        """Places, points, boxes and polygons; DataCite turns numbers given as text into numbers."""
        latitude, longitude = self._degrees(90), self._degrees(180)
        point = {"pointLatitude": latitude, "pointLongitude": longitude}
        box = {
            "westBoundLongitude": longitude,
            "eastBoundLongitude": longitude,
            "southBoundLatitude": latitude,
            "northBoundLatitude": latitude,
        }
        corner = {
            "polygonPoint": self.object(point, list(point)),
            "inPolygonPoint": self.object(point, list(point)),
        }
        polygon = {"type": "array", "items": self.object(corner, []), "minItems": 4 if self.strict else 0}
        properties = {
            "geoLocationPlace": _ANY_TEXT,
            "geoLocationPoint": self.object(point, list(point)),
            "geoLocationBox": self.object(box, list(box)),
            # One polygon as a list of points, or several as a list of such lists.
            "geoLocationPolygon": {"anyOf": [polygon, {"type": "array", "items": polygon}]},
        }
        return self.objects(properties, [])

    def _degrees(self, most: int) -> Schema:
        return {"type": "number", "minimum": -most, "maximum": most} if self.strict else _NUMBER

    def funding(self) -> Schema:
        """Funders and awards; an identifier needs its type."""
        properties = {
            "funderName": _TEXT,
            "funderIdentifier": _ANY_TEXT,
            "funderIdentifierType": self.one_of("funderIdentifierType"),
            **dict.fromkeys(("schemeUri", "awardNumber", "awardUri", "awardTitle"), _ANY_TEXT),
        }
        references = self.objects(properties, ["funderName"])
        if self.strict:
            references["items"]["dependentRequired"] = {"funderIdentifier": ["funderIdentifierType"]}
        return references
