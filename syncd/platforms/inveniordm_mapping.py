"""From an InvenioRDM record to DataCite's words. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from syncd.model import Attributes
from syncd.platforms import crosswalk
from syncd.platforms.mapping import MappingError
from syncd.platforms.preset import Document

_IDENTIFIERS = {
    "ark": "ARK", "arxiv": "arXiv", "ads": "bibcode", "bibcode": "bibcode", "crossreffunderid": "Crossref Funder ID",
    "doi": "DOI", "ean13": "EAN13", "eissn": "EISSN", "grid": "GRID", "handle": "Handle", "igsn": "IGSN",
    "isbn": "ISBN", "isni": "ISNI", "issn": "ISSN", "istc": "ISTC", "lissn": "LISSN", "lsid": "LSID", "pmid": "PMID",
    "purl": "PURL", "upc": "UPC", "url": "URL", "urn": "URN", "w3id": "w3id", "other": "Other",
    "wikidata": "Other", "geonames": "Other", "cstr": "CSTR", "rrid": "RRID",
}  # fmt: skip
_RELATED = frozenset(_IDENTIFIERS.values()) - {"Crossref Funder ID", "GRID", "ISNI", "Other"}
_PERSONS = {"orcid": "ORCID", "isni": "ISNI", "gnd": "GND", "ror": "ROR"}
_FUNDERS = {"ror": "ROR", "doi": "Crossref Funder ID", "grid": "GRID", "isni": "ISNI", "gnd": "GND"}
_AFFILIATIONS = ("ror", "isni", "gnd")
_COPYRIGHT = "http://rightsstatements.org/vocab/InC/1.0/"


class _Terms:
    """The vocabulary terms that one record uses."""

    def __init__(self, terms: Mapping[str, Mapping[str, Any]]) -> None:
        self._terms = terms

    def of(self, kind: str, linked: Any) -> Mapping[str, Any]:
        """The term that a value links by its id; what stands beside the id when there is no such term."""
        one = linked.get("id") if isinstance(linked, Mapping) else None
        found = self._terms.get(f"{kind}/{one}") if one else None
        return found if found is not None else linked if isinstance(linked, Mapping) else {}

    def props(self, kind: str, linked: Any) -> Mapping[str, Any]:
        """What the term is in other vocabularies."""
        return self.of(kind, linked).get("props") or {}

    def datacite(self, kind: str, linked: Any) -> str | None:
        """What the term is at DataCite."""
        return self.props(kind, linked).get("datacite")


def attributes(document: Document, site: str) -> Attributes:
    """The rules of the platform's own serializer; ``site`` is the address of its pages."""
    metadata, terms = document["metadata"], _Terms(document["terms"])
    return {
        "titles": _texts(metadata, "title", terms, one_line=True),
        "creators": [_person(one, terms) for one in metadata["creators"]],
        "contributors": [
            {
                **_person(one, terms),
                "contributorType": terms.datacite("contributorsroles", one.get("role")) or "Other",
            }
            for one in metadata["contributors"]
        ],
        "publisher": {"name": crosswalk.one_line(metadata.get("publisher"))},
        "publicationYear": crosswalk.year(metadata.get("publication_date")),
        "types": _types(metadata.get("resource_type"), terms),
        "subjects": crosswalk.complete([_subject(one, terms) for one in metadata["subjects"]], "subject"),
        "dates": _dates(metadata, terms),
        "language": next((one.get("id") for one in metadata["languages"]), None),
        "identifiers": _identifiers(document, site),
        "relatedIdentifiers": _relations(document, terms, site),
        "sizes": metadata.get("sizes"),
        "formats": metadata.get("formats"),
        "version": metadata.get("version"),
        "rightsList": _rights(metadata, terms),
        "descriptions": _texts(metadata, "description", terms, usual="Abstract"),
        "geoLocations": [
            place
            for one in (metadata.get("locations") or {}).get("features") or ()
            if (place := crosswalk.places(one.get("geometry"), one.get("place")))
        ],
        "fundingReferences": crosswalk.complete([_funding(one, terms) for one in metadata["funding"]], "funderName"),
    }


def _identifiers(document: Document, site: str) -> list[dict[str, Any]]:
    found = [{"identifier": f"{site}/records/{document['recid']}", "identifierType": "URL"}]
    for scheme, identifier in document["pids"].items():
        if scheme != "doi":
            found.append({"identifier": str(identifier or ""), "identifierType": _IDENTIFIERS.get(scheme, scheme)})
    for one in document["metadata"]["identifiers"]:
        kind = _IDENTIFIERS.get(one.get("scheme"), one.get("scheme")) or "Other"
        if kind != "DOI":
            found.append({"identifier": str(one.get("identifier") or ""), "identifierType": kind})
    return crosswalk.complete(found, "identifier")


def _relations(document: Document, terms: _Terms, site: str) -> list[dict[str, Any]]:
    found = []
    for one in document["metadata"]["related_identifiers"]:
        kind = _IDENTIFIERS.get(one.get("scheme"))
        relation = terms.datacite("relationtypes", one.get("relation_type"))
        if kind in _RELATED and relation:
            general = terms.props("resourcetypes", one.get("resource_type")).get("datacite_general")
            found.append(
                {
                    "relatedIdentifier": one.get("identifier"), "relatedIdentifierType": kind,
                    "relationType": relation, "resourceTypeGeneral": general,
                }
            )  # fmt: skip
    found += [_related_doi(doi, "HasVersion") for doi in document["versions"]]
    if document["concept_doi"]:
        found.append(_related_doi(document["concept_doi"], "IsVersionOf"))
    found += [
        {
            "relatedIdentifier": f"{site}/communities/{slug}", "relatedIdentifierType": "URL",
            "relationType": "IsPartOf",
        }
        for slug in document["communities"]
    ]  # fmt: skip
    return found


def _english(words: Any) -> str | None:
    if isinstance(words, Mapping):
        words = words.get("en") or next(iter(words.values()), None)
    return None if words is None else str(words)


def _texts(
    metadata: Mapping[str, Any], name: str, terms: _Terms, *, usual: str | None = None, one_line: bool = False
) -> list[dict[str, Any]]:
    """The main title or description, and the additional ones."""
    clean = crosswalk.one_line if one_line else crosswalk.text_of
    found = [{name: clean(metadata.get(name)), f"{name}Type": usual}] if metadata.get(name) else []
    for one in metadata[f"additional_{name}s"]:
        kind = terms.datacite(f"{name}types", one.get("type"))
        language = crosswalk.language((one.get("lang") or {}).get("id"))
        found.append({name: clean(one.get(name)), f"{name}Type": kind or (usual and "Other"), "lang": language})
    return [one for one in found if one[name]]


def _person(one: Mapping[str, Any], terms: _Terms) -> dict[str, Any]:
    about = one.get("person_or_org") or {}
    return crosswalk.person(
        name=about.get("name"),
        family=about.get("family_name"),
        given=about.get("given_name"),
        kind=str(about.get("type") or "").title() or None,
        identifiers=[_name_identifier(each) for each in about.get("identifiers") or ()],
        affiliations=[_affiliation(each, terms) for each in one.get("affiliations") or ()],
    )


def _name_identifier(one: Mapping[str, Any]) -> dict[str, Any] | None:
    scheme, identifier = one.get("scheme"), one.get("identifier")
    if scheme == "orcid":
        return crosswalk.orcid(identifier)
    return {"nameIdentifier": identifier, "nameIdentifierScheme": _PERSONS.get(str(scheme), scheme)}


def _preferred(identifiers: Any, order: Sequence[str]) -> Mapping[str, Any] | None:
    by_scheme = {one.get("scheme"): one for one in reversed(identifiers or ())}
    return next((by_scheme[scheme] for scheme in order if scheme in by_scheme), None)


def _affiliation(one: Mapping[str, Any], terms: _Terms) -> dict[str, Any] | None:
    term = terms.of("affiliations", one)
    name = term.get("name") or one.get("name")
    best = _preferred(term.get("identifiers"), _AFFILIATIONS) if one.get("id") else None
    if best is None:
        return crosswalk.affiliation(name)
    if best["scheme"] == "ror":
        return crosswalk.affiliation(name, best.get("identifier"))
    named = crosswalk.affiliation(name)
    identified = {
        "affiliationIdentifier": best.get("identifier"), "affiliationIdentifierScheme": str(best["scheme"]).upper()
    }  # fmt: skip
    return named and {**named, **identified}


def _types(linked: Any, terms: _Terms) -> dict[str, Any]:
    props = terms.props("resourcetypes", linked)
    if linked and not props:
        raise MappingError(f"the resource type {linked.get('id')!r} is in no vocabulary")
    return {
        "resourceTypeGeneral": props.get("datacite_general") or "Other", "resourceType": props.get("datacite_type")
    }  # fmt: skip


def _subject(one: Mapping[str, Any], terms: _Terms) -> dict[str, Any]:
    term = terms.of("subjects", one)
    identifier = str(one.get("id") or "")
    return {
        "subject": crosswalk.one_line(term.get("subject") or one.get("subject")),
        "subjectScheme": term.get("scheme") if identifier else None,
        "valueUri": identifier if identifier.startswith(("http://", "https://")) else None,
    }


def _dates(metadata: Mapping[str, Any], terms: _Terms) -> list[dict[str, Any]]:
    found = [{"date": metadata.get("publication_date"), "dateType": "Issued"}]
    found += [
        {
            "date": one.get("date"), "dateType": terms.datacite("datetypes", one.get("type")) or "Other",
            "dateInformation": one.get("description"),
        }
        for one in metadata["dates"]
    ]  # fmt: skip
    return [one for one in found if one["date"]]


def _rights(metadata: Mapping[str, Any], terms: _Terms) -> list[dict[str, Any]]:
    found = []
    for one in metadata["rights"]:
        term = terms.of("licenses", one)
        props = term.get("props") or {}
        found.append(
            {
                "rights": _english(term.get("title") or one.get("title")),
                "rightsUri": props.get("url") or one.get("link"),
                "rightsIdentifier": one.get("id"),
                "rightsIdentifierScheme": props.get("scheme") if one.get("id") else None,
            }
        )
    if metadata.get("copyright"):
        found.append({"rights": metadata["copyright"], "rightsUri": _COPYRIGHT})
    return found


def _funding(one: Mapping[str, Any], terms: _Terms) -> dict[str, Any]:
    funder, award = terms.of("funders", one.get("funder")), terms.of("awards", one.get("award"))
    best = _preferred(funder.get("identifiers"), tuple(_FUNDERS))
    where = _preferred(award.get("identifiers"), ("doi", "url"))
    own = (one.get("funder") or {}).get("id")
    if (best is None or best["scheme"] != "ror") and crosswalk.is_ror(own):
        best = {"scheme": "ror", "identifier": own}  # vocabularies of funders are made of ROR ids
    identifier = best.get("identifier") if best else None
    if best and best["scheme"] == "ror" and identifier and not str(identifier).startswith("http"):
        identifier = f"https://ror.org/{identifier}"
    address = where.get("identifier") if where else None
    if where and where["scheme"] == "doi" and address and not str(address).startswith("http"):
        address = f"https://doi.org/{address}"
    return {
        "funderName": funder.get("name") or (one.get("funder") or {}).get("name"),
        "funderIdentifier": identifier,
        "funderIdentifierType": _FUNDERS[best["scheme"]] if best else None,
        "awardNumber": award.get("number"),
        "awardTitle": _english(award.get("title")),
        "awardUri": address,
    }


def _related_doi(doi: str, relation: str) -> dict[str, Any]:
    return {"relatedIdentifier": doi, "relatedIdentifierType": "DOI", "relationType": relation}
