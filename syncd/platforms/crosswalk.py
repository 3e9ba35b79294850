"""Words that every platform has, in DataCite's form: text out of HTML, years, persons, languages, identifiers. Pure."""

import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from typing import Any

_BLOCKS = frozenset(
    ("p", "div", "br", "li", "ul", "ol", "tr", "table", "section", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6")
)
_HIDDEN = frozenset(("script", "style"))
_INLINE = frozenset(
    ("a", "abbr", "b", "big", "cite", "code", "em", "font", "i", "img", "italic", "bold", "mark", "q", "s", "small",
     "span", "strike", "strong", "sub", "sup", "sc", "tt", "u", "var", "kbd", "pre", "hr", "td", "th", "tbody", "thead",
     "dl", "dt", "dd", "inline-formula", "title", "jats")
)  # fmt: skip
_ELEMENTS = "|".join(sorted(_BLOCKS | _HIDDEN | _INLINE))
_MARKUP = re.compile(
    rf"<(?:/?(?:jats:)?(?:{_ELEMENTS})(?:\s[^<>]*)?/?>|!--)|&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]+\d*);", re.IGNORECASE
)
_NO_TAG = re.compile(rf"<(?!/?(?:jats:)?(?:{_ELEMENTS})(?:\s[^<>]*)?/?>|!--)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_YEAR = re.compile(r"^-?(\d{4})(?!\d(?!\d{3}))")
_ORCID = re.compile(r"\b(\d{4}-\d{4}-\d{4}-\d{3}[\dXx])\b")
_ROR = re.compile(r"\b(0[a-z0-9]{6}\d{2})/?$")
_DOI = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.\d{4,9}/\S+)$", re.IGNORECASE)
_LANGUAGE = re.compile(r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$")
_FAMILY_FIRST = re.compile(r"^([^,]+),\s*([^,]+)$")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._hidden += tag in _HIDDEN
        if tag.removeprefix("jats:") in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN and self._hidden > 0
        if tag.removeprefix("jats:") in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def text_of(value: Any) -> str:
    """Text without markup and control characters, a line for each block; what is no HTML stays as it is."""
    text: str = _CONTROL.sub("", str(value or ""))
    if _MARKUP.search(text):
        reader = _Text()
        reader.feed(_NO_TAG.sub("&lt;", text))  # "T<Tc" is no tag
        reader.close()
        text = "".join(reader.parts).replace("\u00a0", " ")
        text = re.sub(r"[ \t]*\n\s*", "\n", text)
    return text.strip()


def one_line(text: Any) -> str:
    """The same in one line, as a title wants it."""
    return " ".join(text_of(text).split())


def year(text: Any) -> int | None:
    """The year at the beginning of a date, also of an interval (EDTF); None when there is none."""
    found = _YEAR.match(str(text or "").strip())
    return int(found[1]) if found else None


def day(moment: Any) -> str | None:
    """The day of a moment, or of its text."""
    text = str(moment or "").strip()[:10]
    return text or None


def language(code: Any) -> str | None:
    """A language code as BCP 47 spells it; None when it cannot be one."""
    text = str(code or "").strip().replace("_", "-")
    return text if _LANGUAGE.match(text) else None


def doi(text: Any) -> str | None:
    """The DOI that a text is, without resolver; None when it is none."""
    found = _DOI.match(str(text or "").strip())
    return found[1] if found else None


def orcid(text: Any) -> dict[str, str] | None:
    """A name identifier from an ORCID iD in any spelling."""
    found = _ORCID.search(str(text or ""))
    if found is None:
        return None
    return {
        "nameIdentifier": f"https://orcid.org/{found[1].upper()}",
        "nameIdentifierScheme": "ORCID",
        "schemeUri": "https://orcid.org",
    }


def orcid_adds_up(text: Any) -> bool:
    """Whether the last character of an ORCID iD is the one that the others ask for (ISO 7064, MOD 11-2)."""
    found = _ORCID.search(str(text or ""))
    if found is None:
        return False
    digits = found[1].replace("-", "").upper()
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    return digits[-1] == "0123456789X"[(12 - total % 11) % 11]


def is_ror(text: Any) -> bool:
    """Whether a text is a ROR id."""
    return bool(_ROR.fullmatch(str(text or "").removeprefix("https://ror.org/")))


def affiliation(name: Any, ror: Any = None) -> dict[str, str] | None:
    """An affiliation, with its ROR id where it has one."""
    result = {"name": one_line(name)}
    found = _ROR.search(str(ror or ""))
    if found:
        result |= {
            "affiliationIdentifier": f"https://ror.org/{found[1]}",
            "affiliationIdentifierScheme": "ROR",
            "schemeUri": "https://ror.org",
        }
    return result if result["name"] else None


def person(
    *,
    name: Any = None,
    family: Any = None,
    given: Any = None,
    kind: str | None = None,
    identifiers: Iterable[Mapping[str, Any] | None] = (),
    affiliations: Iterable[Mapping[str, Any] | None] = (),
) -> dict[str, Any]:
    """A creator or contributor; the name is "Family, Given" where both are known."""
    family_name, given_name, whole = one_line(family), one_line(given), one_line(name)
    if not whole:
        whole = ", ".join(part for part in (family_name, given_name) if part)
    return {
        "name": whole,
        "nameType": kind,
        "familyName": family_name,
        "givenName": given_name,
        "nameIdentifiers": [one for one in identifiers if one],
        "affiliation": [one for one in affiliations if one],
    }


def family_first(name: Any) -> dict[str, Any]:
    """A person from "Family, Given"; a name without one comma is only a name."""
    whole = one_line(name)
    parts = _FAMILY_FIRST.match(whole)
    if parts is None:
        return {"name": whole}
    return {"name": whole, "nameType": "Personal", "familyName": parts[1].strip(), "givenName": parts[2].strip()}


def complete(entries: Iterable[dict[str, Any]], needed: str) -> list[dict[str, Any]]:
    """The entries that have what DataCite needs of them; a type alone is none."""
    return [one for one in entries if one.get(needed)]


def without_twins(entries: Iterable[Any]) -> list[Any]:
    """Each entry once, in order."""
    found: list[Any] = []
    for entry in entries:
        if entry and entry not in found:
            found.append(entry)
    return found


def places(geometry: Any, name: Any = None) -> dict[str, Any] | None:
    """A geoLocation from GeoJSON, whose coordinates are longitude, then latitude; None for what has no such form."""
    if isinstance(geometry, Mapping) and geometry.get("type") == "Feature":
        geometry = geometry.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    coordinates = geometry.get("coordinates") if isinstance(geometry, Mapping) else None
    result: dict[str, Any] = {"geoLocationPlace": one_line(name)} if name else {}
    if kind == "Point" and isinstance(coordinates, list) and _is_point(coordinates):
        result["geoLocationPoint"] = _point(coordinates)
    elif kind == "Polygon" and isinstance(coordinates, list) and _is_ring(coordinates):
        ring = coordinates[0]
        box = _box(ring)
        if box is not None:
            result["geoLocationBox"] = box
        elif len(ring) >= 4:
            result["geoLocationPolygon"] = [{"polygonPoint": _point(one)} for one in ring]
    return result or None


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= 2
        and all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in value[:2])
    )


def _is_ring(coordinates: Any) -> bool:
    """Whether the outer ring of a polygon is one; holes are of no use to DataCite."""
    ring = coordinates[0] if isinstance(coordinates, list) and coordinates else None
    return isinstance(ring, list) and len(ring) >= 3 and all(map(_is_point, ring))


def _point(pair: list[float]) -> dict[str, float]:
    return {"pointLongitude": pair[0], "pointLatitude": pair[1]}


def _box(ring: list[list[float]]) -> dict[str, float] | None:
    """A ring of four corners that is a rectangle along the axes."""
    corners = {(one[0], one[1]) for one in ring}
    west, east = min(one[0] for one in ring), max(one[0] for one in ring)
    south, north = min(one[1] for one in ring), max(one[1] for one in ring)
    if corners != {(west, south), (west, north), (east, south), (east, north)}:
        return None
    return {
        "westBoundLongitude": west, "eastBoundLongitude": east,
        "southBoundLatitude": south, "northBoundLatitude": north,
    }  # fmt: skip
