"""What DataCite's XML schema, kernel 4.7, refuses in a rendered record, in the words and order of its validator."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from syncd.sandbox.rendering import LANG, NAMESPACE
from syncd.vocabularies import terms

_YEAR = re.compile(r"\d{4}", re.ASCII)
_LANGUAGE = re.compile(r"[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*")
_FLOAT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_ADDRESS = re.compile(r"(?:[^%\[\]#]|%[0-9a-fA-F]{2}|//\[[^\]]*\])*(?:#(?:[^%#\[\]]|%[0-9a-fA-F]{2})*)?")
_LEAST_POINTS = 4
_BAD_SCHEME = re.compile(r"^(?![a-zA-Z][a-zA-Z0-9+.-]*:)[^/?#]*:")

Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """What the schema says of one element.

    Attributes:
        content: What its text must be.
        attributes: What each checked attribute's value must be.
        required: Attributes that may not be missing.
        children: Elements that may not be missing, each at least so often.
    """

    content: Check | None = None
    attributes: Mapping[str, Check] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    children: Mapping[str, int] = field(default_factory=dict)


def errors(root: Element) -> Iterator[tuple[str, str]]:
    """Every error as (source, text): the source is the last name in the validator's sentence, quotes and all."""
    yield from _of_element(root, "resource", _Line(2))


class _Line:
    """Which line of the document an element stands on; the declaration is the first."""

    def __init__(self, number: int) -> None:
        self.number = number


def _of_element(element: Element, path: str, line: _Line) -> Iterator[tuple[str, str]]:
    own = line.number
    rule = _RULES.get(path) or _RULES.get(element.tag, _ANYTHING)
    for source, words in _of_attributes(element, rule):
        yield source, f"{words} at line {own}, column 0"
    if len(element):
        unexpected = _unexpected(element)
        for child in element:
            line.number += 1
            if child is unexpected:
                yield child.tag, f"This element is not expected. at line {line.number}, column 0"
                line.number = _last_line(element, own)
                return
            yield from _of_element(child, f"{path}/{child.tag}", line)
        line.number += 1
    elif rule.content is not None and not rule.content(element.text or ""):
        shown = element.text or ""
        yield element.tag, f"'{shown}' is not a valid value of the type. at line {own}, column 0"
    missing = [name for name, count in rule.children.items() if len(element.findall(name)) < count]
    if missing:
        expected = ", ".join(f"{{{NAMESPACE}}}{name}" for name in missing)
        yield element.tag, f"Missing child element(s). Expected is ( {expected} ). at line {own}, column 0"


def _unexpected(element: Element) -> Element | None:
    """The first child of a polygon out of order: four points at the least, then one inside at the most."""
    if element.tag != "geoLocationPolygon":
        return None
    for number, child in enumerate(element):
        inside = child.tag == "inPolygonPoint"
        if (inside and number < _LEAST_POINTS) or any(one.tag == "inPolygonPoint" for one in element[:number]):
            return child
    return None


def _last_line(element: Element, first: int) -> int:
    """Where an element ends when every child and every closing tag has a line."""
    lines = sum(2 if len(one) else 1 for one in element.iter())
    return first + lines - 1


def _of_attributes(element: Element, rule: Rule) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        check = rule.attributes.get(name) if name != LANG else _is_xml_lang
        if check is not None and not check(value):
            # The validator glues element and attribute together; the server takes it from the last brace on.
            source = "lang" if name == LANG else f"{element.tag}', attribute '{name}"
            yield source, f"'{value}' is not a valid value of the type."
    for name in rule.required:
        if name not in element.attrib:
            yield element.tag, f"The attribute '{name}' is required but missing."


def _is_word_of(vocabulary: str) -> Check:
    return lambda text: text in terms(vocabulary)


def _is_not_empty(text: str) -> bool:
    return text != ""


def _is_year(text: str) -> bool:
    return _YEAR.fullmatch(" ".join(text.split())) is not None


def _is_language(text: str) -> bool:
    return _LANGUAGE.fullmatch(" ".join(text.split())) is not None


def _is_xml_lang(text: str) -> bool:
    return text == "" or _is_language(text)


def _is_address(text: str) -> bool:
    text = " ".join(text.split())
    return _ADDRESS.fullmatch(text) is not None and _BAD_SCHEME.match(text) is None


def _is_between(most: int) -> Check:
    def check(text: str) -> bool:
        text = text.strip()
        return _FLOAT.fullmatch(text) is not None and abs(float(text)) <= most

    return check


_LONGITUDE, _LATITUDE = Rule(_is_between(180)), Rule(_is_between(90))
_PERSON = Rule(attributes={"nameType": _is_word_of("nameType")})
_CONTRIBUTOR = Rule(attributes={"contributorType": _is_word_of("contributorType")}, required=("contributorType",))
_TITLE = Rule(attributes={"titleType": _is_word_of("titleType")})
_GENERAL, _RELATION = _is_word_of("resourceTypeGeneral"), _is_word_of("relationType")
_IDENTIFIER_TYPE = _is_word_of("relatedIdentifierType")
_ANYTHING = Rule()

_RULES: dict[str, Rule] = {
    "resource": Rule(children={"resourceType": 1}),
    "resource/creators": Rule(children={"creator": 1}),
    "creatorName": _PERSON,
    "contributorName": _PERSON,
    "resource/contributors/contributor/contributorName": Rule(_is_not_empty, _PERSON.attributes),
    "contributor": _CONTRIBUTOR,
    "resource/titles": Rule(children={"title": 1}),
    "title": _TITLE,
    "resource/publisher": Rule(_is_not_empty, {"schemeURI": _is_address}),
    "publicationYear": Rule(_is_year),
    "resourceType": Rule(attributes={"resourceTypeGeneral": _GENERAL}),
    "subject": Rule(
        attributes={"schemeURI": _is_address, "valueURI": _is_address, "classificationCode": _is_address}
    ),
    "date": Rule(attributes={"dateType": _is_word_of("dateType")}),
    "language": Rule(_is_language),
    "relatedIdentifier": Rule(
        attributes={
            "relatedIdentifierType": _IDENTIFIER_TYPE, "relationType": _RELATION, "resourceTypeGeneral": _GENERAL,
        },
        required=("relatedIdentifierType", "relationType"),
    ),
    "relatedItem": Rule(
        attributes={"relatedItemType": _GENERAL, "relationType": _RELATION},
        required=("relatedItemType", "relationType"),
    ),
    "relatedItemIdentifier": Rule(
        attributes={"relatedItemIdentifierType": _IDENTIFIER_TYPE, "schemeURI": _is_address}
    ),
    "number": Rule(attributes={"numberType": _is_word_of("numberType")}),
    "rights": Rule(attributes={"rightsURI": _is_address, "schemeURI": _is_address}),
    "description": Rule(attributes={"descriptionType": _is_word_of("descriptionType")}),
    "pointLatitude": _LATITUDE, "southBoundLatitude": _LATITUDE, "northBoundLatitude": _LATITUDE,
    "pointLongitude": _LONGITUDE, "westBoundLongitude": _LONGITUDE, "eastBoundLongitude": _LONGITUDE,
    "geoLocationPolygon": Rule(children={"polygonPoint": 4}),
    "funderName": Rule(_is_not_empty),
    "funderIdentifier": Rule(
        attributes={"funderIdentifierType": _is_word_of("funderIdentifierType")}, required=("funderIdentifierType",)
    ),
    "awardNumber": Rule(attributes={"awardURI": _is_address}),
}  # fmt: skip
"""By element, or by the whole path where the same name means two things."""
