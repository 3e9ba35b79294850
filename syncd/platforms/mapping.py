"""From a row to DataCite attributes: three ways, all pure.

``columns``: columns named like DataCite attributes, case and underscores aside; JSON text or plain text.
``json:COLUMN``: one column holds all attributes; columns named like attributes go over it.
``module:function``: the operator's own function from a row (a dict) to attributes (a dict).
"""

import hashlib
import importlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from syncd.errors import ConfigurationError
from syncd.model import LIST_ATTRIBUTES, MANAGED_ATTRIBUTES, OBJECT_ATTRIBUTES, Attributes

Mapper = Callable[[Mapping[str, Any]], Attributes]

_DERIVED_TYPES = ("schemaOrg", "citeproc", "bibtex", "ris")
_EMPTY: tuple[Any, ...] = (None, "", [], {})


class MappingError(ValueError):
    """A row's value cannot be what its attribute needs; the message is for the operator."""


def mapper(mapping: str) -> Mapper:
    """The function that a ``mapping`` setting names.

    Raises:
        ConfigurationError: The operator's function cannot be imported.
    """
    if mapping == "columns":
        return from_columns
    if mapping.startswith("json:"):
        column = mapping.removeprefix("json:")
        return lambda row: from_json(row, column)
    return _imported(mapping)


def override(path: str) -> Callable[[Attributes, Mapping[str, Any]], Mapping[str, Any]]:
    """The operator's function that changes mapped attributes: from attributes and the record to attributes.

    Raises:
        ConfigurationError: It cannot be imported.
    """
    return _imported(path)


def source_digest(mapping: str) -> str:
    """What the operator's function is made of, so that a corrected one maps every record again."""
    module_name, colon, _ = mapping.partition(":")
    if not colon or module_name == "json":
        return ""
    path = getattr(importlib.import_module(module_name), "__file__", None)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""


def from_columns(row: Mapping[str, Any]) -> Attributes:
    """Every column that is named like an attribute."""
    found: Attributes = {}
    for column, value in row.items():
        name = _ATTRIBUTE_OF.get(_bare(column))
        if name is not None:
            found[name] = value
    general, free = (_column(row, name) for name in ("resourceTypeGeneral", "resourceType"))
    if general or free:
        found["types"] = {"resourceTypeGeneral": general, "resourceType": free}
    return found


def from_json(row: Mapping[str, Any], column: str) -> Attributes:
    """One column with all attributes; other columns named like attributes take precedence."""
    if column not in row:
        raise MappingError(f"the query has no column {column}")
    document = decoded(row[column])
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise MappingError(f"column {column} holds no JSON object")
    others = from_columns({name: value for name, value in row.items() if name != column})
    return {**document, **{name: value for name, value in others.items() if value is not None}}


def tidy(attributes: Mapping[str, Any]) -> Attributes:
    """Attributes in the one form that is compared, validated and sent.

    Dates and numbers become JSON, JSON text is decoded, plain text becomes the object that DataCite wants,
    what is empty disappears at every depth, and what DataCite derives by itself is left out.

    Raises:
        ValueError: A value cannot be JSON, or a structured attribute holds text that is neither JSON nor
            has a plain form.
    """
    result: Attributes = {}
    for name, value in _with_one_name(attributes).items():
        if name in LIST_ATTRIBUTES:
            entries = [_entry(name, entry) for entry in _listed(name, value)]
            result[name] = _pruned(_without_doi(entries) if name == "identifiers" else entries)
        elif name in OBJECT_ATTRIBUTES:
            result[name] = _pruned(_object(name, value))
        elif name in MANAGED_ATTRIBUTES:
            result[name] = _scalar(name, value)
    return {name: value for name, value in result.items() if value not in _EMPTY}


def _with_one_name(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """``alternateIdentifiers`` is another name of ``identifiers``, used where that one is empty."""
    if "alternateIdentifiers" not in attributes:
        return attributes
    rest = {name: value for name, value in attributes.items() if name != "alternateIdentifiers"}
    if not _listed("identifiers", rest.get("identifiers")):
        given = _listed("alternateIdentifiers", attributes["alternateIdentifiers"])
        rest["identifiers"] = [_identifier(entry) for entry in given]
    return rest


def decoded(value: Any) -> Any:
    """JSON text as a value; anything else as it is; empty text is nothing."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).decode()
    if isinstance(value, str):
        return json.loads(value) if value.strip() else None
    return value


def plain(value: Any) -> Any:
    """A database's single value as JSON has it: times in ISO form, whole decimals as integers, UUIDs as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (date, UUID)):
        return str(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode()
    return value


_ATTRIBUTE_OF = {name.lower(): name for name in (*MANAGED_ATTRIBUTES, "alternateIdentifiers")}


def _bare(column: str) -> str:
    return column.replace("_", "").lower()


def _column(row: Mapping[str, Any], name: str) -> Any:
    return next((value for column, value in row.items() if _bare(column) == name.lower()), None)


def _listed(name: str, value: Any) -> list[Any]:
    """The value as a list: a JSON array, one JSON object, or plain text standing for one entry."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).decode()
    given_as_text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, str):
        text = given_as_text
        if not text:
            return []
        if text[0] in "[{":
            try:
                value = json.loads(text)
            except ValueError as error:
                # "[not] JSON" is a title; what begins like JSON and breaks off is not.
                if _LIKE_JSON.match(text) or name not in _TEXT_ENTRY:
                    raise MappingError(f"{name} holds broken JSON: {error}") from None
        elif name not in _TEXT_ENTRY:
            raise MappingError(f"{name} holds text; it needs a JSON array of objects{_example(name)}")
    if value is None:
        return []
    if isinstance(value, list) and given_as_text and name in _TEXT_ENTRY and not _are_entries(value):
        return [given_as_text]  # "[1984]" is a title
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _are_entries(values: list[Any]) -> bool:
    return all(value is None or isinstance(value, (str, dict)) for value in values)


_LIKE_JSON = re.compile(r'^(\{|\[\s*[\[{"])')
_EXAMPLES = {
    "dates": '[{"date": "2024-05-01", "dateType": "Issued"}]',
    "contributors": '[{"name": "Roe, Jo", "contributorType": "Editor"}]',
    "identifiers": '[{"identifier": "A-17", "identifierType": "local"}]',
    "relatedIdentifiers": '[{"relatedIdentifier": "10.1/x", "relatedIdentifierType": "DOI", "relationType": "Cites"}]',
    "fundingReferences": '[{"funderName": "ERC", "awardNumber": "17"}]',
    "geoLocations": '[{"geoLocationPlace": "Rome"}]',
}


def _example(name: str) -> str:
    return f", such as {_EXAMPLES[name]}" if name in _EXAMPLES else ""


_TEXT_ENTRY: dict[str, Callable[[str], Any]] = {
    "titles": lambda text: {"title": text},
    "creators": lambda text: {"name": text},
    "subjects": lambda text: {"subject": text},
    "descriptions": lambda text: {"description": text, "descriptionType": "Abstract"},
    "rightsList": lambda text: {"rightsUri": text} if text.startswith(("http://", "https://")) else {"rights": text},
    "sizes": str,
    "formats": str,
    "contentUrl": str,
}


def _entry(name: str, entry: Any) -> Any:
    """One entry of a list; DataCite drops bare text where it wants an object (datacite-api 6.3)."""
    if isinstance(entry, str):
        if name not in _TEXT_ENTRY:
            raise MappingError(f"{name} holds text where an object is expected{_example(name)}")
        return _TEXT_ENTRY[name](entry) if entry.strip() else None
    if name in ("creators", "contributors") and isinstance(entry, dict):
        return _with_objects(entry)
    return entry


def _with_objects(person: dict[str, Any]) -> dict[str, Any]:
    """Flat members, easy to make in SQL, become DataCite's objects.

    ``orcid`` becomes a name identifier; an ``affiliation`` given as text becomes an object (as text DataCite
    would wipe it), with ``ror`` as its identifier.
    """
    flat = {name: person[name] for name in ("orcid", "ror") if person.get(name)}
    result = {name: value for name, value in person.items() if name not in ("orcid", "ror")}
    if "orcid" in flat:
        given = result.get("nameIdentifiers")
        orcid = {"nameIdentifier": flat["orcid"], "nameIdentifierScheme": "ORCID", "schemeUri": "https://orcid.org"}
        result["nameIdentifiers"] = [*(given if isinstance(given, list) else []), orcid]
    affiliations = result.get("affiliation")
    if affiliations not in _EMPTY:
        listed = affiliations if isinstance(affiliations, list) else [affiliations]
        if "ror" in flat and (len(listed) != 1 or not isinstance(listed[0], str)):
            raise MappingError("ror stands for one affiliation given as text; give several as objects")
        result["affiliation"] = [_affiliation(one, flat.get("ror")) for one in listed]
    elif "ror" in flat:
        raise MappingError("a person has a ror but no affiliation, and DataCite needs its name")
    return result


def _affiliation(given: Any, ror: str | None) -> Any:
    if not isinstance(given, str):
        return given
    if ror is None:
        return {"name": given}
    return {
        "name": given,
        "affiliationIdentifier": ror,
        "affiliationIdentifierScheme": "ROR",
        "schemeUri": "https://ror.org",
    }


def _identifier(entry: Any) -> Any:
    if not isinstance(entry, dict) or "alternateIdentifier" not in entry:
        return entry
    return {
        "identifier": entry["alternateIdentifier"],
        "identifierType": entry.get("alternateIdentifierType"),
    }


def _without_doi(entries: list[Any]) -> list[Any]:
    """DataCite removes identifiers of type DOI (datacite-api 6.4)."""
    return [entry for entry in entries if not (isinstance(entry, dict) and entry.get("identifierType") == "DOI")]


def _object(name: str, value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            value = json.loads(text)
        else:
            return {"name": text} if name == "publisher" and text else {"resourceTypeGeneral": text or None}
    if name == "types" and isinstance(value, dict):
        return {key: member for key, member in value.items() if key not in _DERIVED_TYPES}
    return value


def _scalar(name: str, value: Any) -> Any:
    if isinstance(value, Decimal) and name == "version":
        return str(value)  # 1.10 is not 1.1
    value = plain(value)
    if name == "publicationYear":
        return _year(value)
    if value is None or isinstance(value, str):
        return (value or "").strip() or None
    if isinstance(value, (int, float)):
        return str(value)
    raise MappingError(f"{name} holds a JSON {'array' if isinstance(value, list) else 'object'} where text is expected")


def _year(value: Any) -> Any:
    """A year from a number, a text or a date; what is none stays and is refused by the validation."""
    if isinstance(value, str):
        text = value.strip()
        digits = text[:4] if len(text) > 4 and text[4] == "-" else text
        return int(digits) if digits.isdecimal() else text or None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def is_empty(value: Any) -> bool:
    """Whether nothing of a value is left for DataCite."""
    return value is None or _pruned(value) in _EMPTY


def _pruned(value: Any) -> Any:
    """The value as JSON, without empty members at every depth; text is not touched otherwise.

    One walk for both: every changed record comes through here.
    """
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is dict:
        members = ((key if type(key) is str else str(key), _pruned(member)) for key, member in value.items())
        return {key: member for key, member in members if member is not None and member not in _EMPTY}
    if kind is list or kind is tuple:
        return [member for member in map(_pruned, value) if member is not None and member not in _EMPTY]
    return plain(value)


def _imported(path: str) -> Callable[..., Any]:
    module_name, _, function_name = path.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:  # whatever the module does when it is imported
        raise ConfigurationError(
            f"the mapping {path} cannot be imported: {error}",
            hint="the module must lie on PYTHONPATH of the user that runs syncd",
        ) from error
    if not callable(function):
        raise ConfigurationError(f"the mapping {path} is not a function")
    return function  # type: ignore[no-any-return]
