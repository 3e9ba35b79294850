"""Random but DataCite-valid documents, for property tests."""

from typing import Any

from hypothesis import strategies as st

from syncd.vocabularies import terms

text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    lambda value: value.strip() != ""
)
word = st.text("abcdefghij", min_size=1, max_size=6)


def _objects(required: dict[str, Any], optional: dict[str, Any], *, least: int = 0) -> Any:
    return st.lists(st.fixed_dictionaries(required, optional=optional), min_size=least, max_size=3)


def one_of(name: str) -> Any:
    return st.sampled_from(terms(name))


_person = {
    "nameType": one_of("nameType"),
    "givenName": text,
    "nameIdentifiers": _objects({"nameIdentifier": word, "nameIdentifierScheme": word}, {}, least=1),
    "affiliation": _objects({"name": text}, {"affiliationIdentifier": word}, least=1),
}
attributes = st.fixed_dictionaries(
    {
        "url": word.map(lambda value: f"https://example.org/{value}"),
        "creators": _objects({"name": text}, _person, least=1),
        "titles": _objects({"title": text}, {"titleType": one_of("titleType"), "lang": st.just("en")}, least=1),
        "publisher": st.fixed_dictionaries({"name": text}, optional={"publisherIdentifier": word}),
        "publicationYear": st.integers(1000, 9999),
        "types": st.fixed_dictionaries(
            {"resourceTypeGeneral": one_of("resourceTypeGeneral")}, optional={"resourceType": text}
        ),
    },
    optional={
        "subjects": _objects({"subject": word}, {"subjectScheme": word}, least=1),
        "contributors": _objects({"name": text, "contributorType": one_of("contributorType")}, _person, least=1),
        "dates": _objects({"date": st.just("2024-05-01"), "dateType": one_of("dateType")}, {}, least=1),
        "language": st.sampled_from(["en", "de", "fr"]),
        "identifiers": _objects({"identifier": word, "identifierType": word}, {}, least=1),
        "relatedIdentifiers": _objects(
            {
                "relatedIdentifier": word,
                "relatedIdentifierType": one_of("relatedIdentifierType"),
                "relationType": one_of("relationType"),
            },
            {"resourceTypeGeneral": one_of("resourceTypeGeneral")},
            least=1,
        ),
        "relatedItems": _objects(
            {"relatedItemType": one_of("resourceTypeGeneral"), "relationType": one_of("relationType")},
            {"volume": word, "titles": _objects({"title": text}, {}, least=1)},
            least=1,
        ),
        "sizes": st.lists(word, min_size=1, max_size=2),
        "formats": st.lists(word, min_size=1, max_size=2),
        "version": word,
        "rightsList": _objects(
            {"rights": word}, {"rightsIdentifier": st.sampled_from(["CC-BY-4.0", "x-own"])}, least=1),
        "descriptions": _objects({"description": text, "descriptionType": one_of("descriptionType")}, {}, least=1),
        "geoLocations": _objects(
            {}, {"geoLocationPlace": text, "geoLocationPoint": st.fixed_dictionaries(
                {"pointLatitude": st.integers(-90, 90), "pointLongitude": st.floats(-180, 180)})}, least=1,
        ).map(lambda places: [place for place in places if place]).filter(bool),
        "fundingReferences": _objects({"funderName": text}, {"awardNumber": word}, least=1),
        "contentUrl": st.lists(st.just("https://example.org/file"), min_size=1, max_size=1),
    },
)  # fmt: skip
"""Attributes that DataCite accepts for a findable DOI."""
