"""From a DSpace item to DataCite's words. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from syncd.model import Attributes
from syncd.platforms import crosswalk
from syncd.platforms.preset import Document

_TYPES = {
    "animation": "Audiovisual", "video": "Audiovisual", "article": "JournalArticle", "book": "Book",
    "book chapter": "BookChapter", "dataset": "Dataset", "learning object": "InteractiveResource", "map": "Model",
    "plan or blueprint": "Model", "preprint": "Preprint", "software": "Software", "technical report": "Report",
    "thesis": "Dissertation", "working paper": "Text",
}  # fmt: skip
_TYPES_BY_BEGINNING = {"image": "Image", "recording": "Sound"}
_TITLES = {"": None, "alternative": "AlternativeTitle", "subtitle": "Subtitle", "translated": "TranslatedTitle"}
CONTRIBUTORS = {"editor": "Editor", "advisor": "RelatedPerson", "illustrator": "Other", "other": "Other", "": "Other"}
"""Other roles, such as referees, are nobody's business and are not even read."""

_RELATED_AS = {"isEditorOf": "Editor", "isContributorOf": "Editor", "isOrgUnitOf": "Other"}
_DATES = {
    "accessioned": "Accepted", "available": "Available", "copyright": "Copyrighted", "created": "Created",
    "issued": "Issued", "submitted": "Submitted", "updated": "Updated",
}  # fmt: skip
_DESCRIPTIONS = {"abstract": "Abstract", "tableofcontents": "TableOfContents", "": "Other"}
_UNKNOWN_CREATOR, _UNKNOWN_TITLE = "(:unkn) unknown", "(:unas) unassigned"


def attributes(document: Document, prefixes: Sequence[str]) -> Attributes:
    """The rules of the stock crosswalk, with the licence's address as such; own DOIs are no alternate identifiers."""
    values = _Values(document["metadata"])
    return {
        "creators": _creators(values, document["persons"]) or [{"name": _UNKNOWN_CREATOR}],
        "titles": _titles(values) or [{"title": _UNKNOWN_TITLE}],
        "publisher": values.first("dc.publisher"),
        "publicationYear": _year(values),
        "types": _types(values.first("dc.type")),
        "subjects": [
            {"subject": crosswalk.one_line(one["value"]), "subjectScheme": qualifier or None, "lang": _lang(one)}
            for qualifier, one in values.of("dc.subject")
        ],
        "contributors": _contributors(values, document["persons"]),
        "dates": [
            {"date": one["value"][:10], "dateType": _DATES[qualifier]}
            for qualifier, one in values.of("dc.date")
            if qualifier in _DATES
        ],
        "language": crosswalk.language(values.first("dc.language.iso") or values.first("dc.language.rfc3066")),
        "identifiers": [
            {"identifier": one["value"].strip(), "identifierType": qualifier}
            for qualifier, one in values.of("dc.identifier")
            if qualifier and not any(f"{prefix}/" in one["value"] for prefix in prefixes)
        ],
        "sizes": [one["value"] for qualifier, one in values.of("dc.format") if qualifier == "extent"],
        "formats": [one["value"] for qualifier, one in values.of("dc.format") if qualifier != "extent"],
        "rightsList": _rights(values),
        "descriptions": [
            {
                "description": crosswalk.text_of(one["value"]),
                "descriptionType": _DESCRIPTIONS[qualifier],
                "lang": _lang(one),
            }
            for qualifier, one in values.of("dc.description")
            if qualifier in _DESCRIPTIONS
        ],
    }


class _Values:
    """An item's metadata by field."""

    def __init__(self, metadata: Sequence[Mapping[str, Any]]) -> None:
        self._metadata = metadata

    def of(self, field: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The values of a field and of its qualified forms, each with its qualifier."""
        found = []
        for one in self._metadata:
            name = one["field"]
            if name == field or name.startswith(f"{field}."):
                found.append((name[len(field) + 1 :], one))
        return found

    def all(self, field: str) -> list[Mapping[str, Any]]:
        """The values of exactly this field."""
        return [one for one in self._metadata if one["field"] == field]

    def first(self, field: str) -> str | None:
        """The first one's text."""
        return next((crosswalk.one_line(one["value"]) for one in self.all(field)), None)


def _lang(one: Mapping[str, Any]) -> str | None:
    return crosswalk.language(one["lang"])


def _creators(values: _Values, persons: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Plain authors and persons of the repository, by their common places."""
    plain = [(one["place"], 0, crosswalk.family_first(one["value"])) for one in values.all("dc.contributor.author")]
    related = [(one["place"], 1, _person(one)) for one in persons if one["type"].startswith("isAuthorOf")]
    ordered = sorted([*plain, *related], key=lambda entry: (entry[0] is None, entry[0] or 0, entry[1]))
    return [one for _, _, one in ordered if one["name"]]


def _person(related: Mapping[str, Any]) -> dict[str, Any]:
    about = related["person"]
    organisation = about.get("organization.legalName")
    orcid = crosswalk.orcid(about.get("person.identifier.orcid"))
    if related["variant"]:
        return {**crosswalk.family_first(related["variant"]), "nameIdentifiers": [orcid] if orcid else []}
    if organisation:
        return {"name": crosswalk.one_line(organisation), "nameType": "Organizational"}
    family, given = about.get("person.familyName"), about.get("person.givenName")
    if not (family or given):
        return {**crosswalk.family_first(about.get("dc.title")), "nameIdentifiers": [orcid] if orcid else []}
    return crosswalk.person(family=family, given=given, kind="Personal", identifiers=[orcid])


def _contributors(values: _Values, persons: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    plain = [
        {**crosswalk.family_first(one["value"]), "contributorType": CONTRIBUTORS[qualifier]}
        for qualifier, one in values.of("dc.contributor")
        if qualifier in CONTRIBUTORS
    ]
    related = [
        {**_person(one), "contributorType": kind}
        for one in persons
        for beginning, kind in _RELATED_AS.items()
        if one["type"].startswith(beginning)
    ]
    return [one for one in [*plain, *related] if one["name"]]


def _titles(values: _Values) -> list[dict[str, Any]]:
    return [
        {"title": crosswalk.one_line(one["value"]), "titleType": _TITLES[qualifier], "lang": _lang(one)}
        for qualifier, one in sorted(values.of("dc.title"), key=lambda entry: entry[0] != "")
        if qualifier in _TITLES
    ]


def _year(values: _Values) -> int | None:
    dates = values.of("dc.date")
    order = {"issued": 0, "available": 1}
    years = [
        (order.get(qualifier, 2), number, crosswalk.year(one["value"])) for number, (qualifier, one) in enumerate(dates)
    ]
    return next((year for _, _, year in sorted(years, key=lambda entry: entry[:2]) if year is not None), None)


def _types(kind: str | None) -> dict[str, Any]:
    word = (kind or "").lower()
    begins = next((general for start, general in _TYPES_BY_BEGINNING.items() if word.startswith(start)), "Other")
    return {"resourceTypeGeneral": _TYPES.get(word, begins), "resourceType": kind}


def _rights(values: _Values) -> list[dict[str, Any]]:
    """Texts and addresses; one of each belong together."""
    entries = values.of("dc.rights")
    texts = [one for qualifier, one in entries if qualifier != "uri"]
    uris = (one["value"].strip() for qualifier, one in entries if qualifier == "uri")
    addresses = [uri for uri in uris if uri.startswith("http")]
    if len(texts) == len(addresses) == 1:
        text = texts[0]
        return [{"rights": crosswalk.one_line(text["value"]), "rightsUri": addresses[0], "lang": _lang(text)}]
    return [
        *({"rights": crosswalk.one_line(one["value"]), "lang": _lang(one)} for one in texts),
        *({"rightsUri": address} for address in addresses),
    ]
