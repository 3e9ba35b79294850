from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from syncd.errors import ConfigurationError
from syncd.platforms.mapping import from_columns, from_json, mapper, tidy


def test_columns_are_found_by_name_whatever_their_case_and_underscores() -> None:
    row = {"publication_year": 2024, "publicationyear": 2024, "TITLES": "T", "rights_list": None, "internal_id": 7}

    assert from_columns(row) == {"publicationYear": 2024, "titles": "T", "rightsList": None}


def test_resource_type_columns_make_types() -> None:
    assert from_columns({"resource_type_general": "Dataset", "resource_type": "Survey"}) == {
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Survey"}
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("titles", "Plain", [{"title": "Plain"}]),
        ("titles", '[{"title": "A"}, {"title": null}, null]', [{"title": "A"}]),
        ("titles", '{"title": "One object"}', [{"title": "One object"}]),
        ("titles", "[brackets] are text too", [{"title": "[brackets] are text too"}]),
        ("creators", '["Doe, Jane", "Roe, Jo"]', [{"name": "Doe, Jane"}, {"name": "Roe, Jo"}]),
        ("creators", [{"name": "A", "givenName": "", "orcid": None}], [{"name": "A"}]),
        ("subjects", '["a", "", null]', [{"subject": "a"}]),
        ("descriptions", "Text", [{"description": "Text", "descriptionType": "Abstract"}]),
        ("rightsList", "https://example.org/terms", [{"rightsUri": "https://example.org/terms"}]),
        ("rightsList", "All rights reserved", [{"rights": "All rights reserved"}]),
        ("publisher", "Press", {"name": "Press"}),
        ("publisher", '{"name": "Press", "lang": null}', {"name": "Press"}),
        ("types", "Dataset", {"resourceTypeGeneral": "Dataset"}),
        ("types", {"resourceTypeGeneral": "Text", "ris": "GEN", "citeproc": "x"}, {"resourceTypeGeneral": "Text"}),
        ("publicationYear", "2024", 2024),
        ("publicationYear", date(2024, 5, 6), 2024),
        ("publicationYear", datetime(2024, 5, 6, 7), 2024),  # noqa: DTZ001
        ("publicationYear", Decimal("2024.0"), 2024),
        ("publicationYear", "n. d.", "n. d."),
        ("version", 2, "2"),
        ("version", Decimal("1.5"), "1.5"),
        ("language", " en ", "en"),
        ("dates", [{"date": date(2024, 1, 2), "dateType": "Issued"}], [{"date": "2024-01-02", "dateType": "Issued"}]),
        ("identifiers", [{"identifier": UUID(int=1), "identifierType": "uuid"}],
         [{"identifier": "00000000-0000-0000-0000-000000000001", "identifierType": "uuid"}]),
        ("identifiers", [{"identifier": "10.1/x", "identifierType": "DOI"}, {"identifier": "a", "identifierType": "b"}],
         [{"identifier": "a", "identifierType": "b"}]),
        ("sizes", "12 pages", ["12 pages"]),
        ("formats", b'["text/csv"]', ["text/csv"]),
    ],
)  # fmt: skip
def test_values_as_databases_have_them_become_what_datacite_wants(name: str, value: Any, expected: Any) -> None:
    assert tidy({name: value}) == {name: expected}


@pytest.mark.parametrize("value", [None, "", "  ", "[]", "[null]", [], {}, '[{"title": null}]', [{}]])
def test_what_is_empty_is_absent(value: Any) -> None:
    assert tidy({"titles": value}) == {}


def test_flat_people_become_datacite_objects() -> None:
    people = [{"name": "A", "orcid": "0000-0001", "affiliation": "Uni", "ror": "https://ror.org/x"}, {"name": "B"}]

    creators = tidy({"creators": people})["creators"]

    assert creators[0]["nameIdentifiers"] == [
        {"nameIdentifier": "0000-0001", "nameIdentifierScheme": "ORCID", "schemeUri": "https://orcid.org"}
    ]
    assert creators[0]["affiliation"][0]["affiliationIdentifier"] == "https://ror.org/x"
    assert creators[1] == {"name": "B"}


def test_affiliations_given_as_text_are_never_sent_as_text() -> None:
    creators = tidy({"creators": [{"name": "A", "affiliation": ["Uni", {"name": "Lab"}]}]})["creators"]

    assert creators[0]["affiliation"] == [{"name": "Uni"}, {"name": "Lab"}]


def test_alternate_identifiers_are_identifiers() -> None:
    given = [{"alternateIdentifier": "x", "alternateIdentifierType": "local"}]

    assert tidy({"alternateIdentifiers": given}) == {"identifiers": [{"identifier": "x", "identifierType": "local"}]}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("relatedItems", "text", "needs a JSON array of objects"),
        ("titles", '{"title": ', "broken JSON"),
        ("funding_references", None, None),
        ("dates", ["2024"], "text where an object is expected"),
        ("language", ["en"], "where text is expected"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_in_words(name: str, value: Any, message: str | None) -> None:
    if message is None:
        assert tidy({name: value}) == {}
        return
    with pytest.raises(ValueError, match=message):
        tidy({name: value})


def test_a_json_column_is_the_base_and_named_columns_go_over_it() -> None:
    row = {"metadata": '{"titles": [{"title": "In JSON"}], "language": "en"}', "language": "de", "version": None}

    assert from_json(row, "metadata") == {"titles": [{"title": "In JSON"}], "language": "de"}
    with pytest.raises(ValueError, match="no column other"):
        from_json(row, "other")


def test_a_function_of_the_operator_maps(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "our_mapping.py").write_text("def map_row(row):\n    return {'titles': row['name'].upper()}\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert mapper("our_mapping:map_row")({"name": "x"}) == {"titles": "X"}
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        mapper("our_mapping:nothing")
