"""In which form DataCite stores what was sent (datacite-api 7), so that what it answers or lists can be compared."""

import hashlib
import html
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from syncd.digest import digest
from syncd.model import MANAGED_ATTRIBUTES, Attributes
from syncd.vocabularies import languages, licences

_TAG = re.compile(r"<[^>]*>")
_SPACE = re.compile(r"\s+")
_DERIVED_TYPES = ("schemaOrg", "citeproc", "bibtex", "ris")
_SPDX_URI = "https://spdx.org/licenses/"
_FIELD = "FOS: "
_DIGITS = 12
_EMPTY: tuple[Any, ...] = (None, "", [], {})


def differences(sent: Attributes, answered: Mapping[str, Any]) -> list[str]:
    """The sent attributes that DataCite stored otherwise than its own normalisation explains.

    Args:
        sent: Attributes as they went out, cleared ones with their empty value.
        answered: The answer's attributes, read with ``affiliation=true&publisher=true``.
    """
    url = sent.get("url", answered.get("url"))
    return [
        name
        for name, value in sorted(sent.items())
        if _normal(name, value, url) != _normal(name, answered.get(name), url)
    ]


def fingerprints(attributes: Mapping[str, Any]) -> dict[str, str]:
    """A short digest of the normal form of every managed attribute that is not empty.

    Equal for what was sent and what DataCite made of it, so that the two can be compared where they never meet:
    a list of DataCite's and the platform's records.
    """
    url = attributes.get("url")
    normal = ((name, _normal(name, attributes.get(name), url)) for name in MANAGED_ATTRIBUTES)
    return {name: _digest(form) for name, form in normal if form not in _EMPTY}


def _digest(form: Any) -> str:
    """A form that JSON knows no canonical bytes for, such as NaN on a draft, equals nothing that we send."""
    try:
        return digest(form)[-_DIGITS:]
    except ValueError:
        return hashlib.sha256(repr(form).encode(errors="replace")).hexdigest()[-_DIGITS:]


def _normal(name: str, value: Any, url: Any) -> Any:
    if name in _NORMAL_OF_LIST:
        return _pruned(_NORMAL_OF_LIST[name](value if isinstance(value, list) else []))
    if name == "identifiers":
        entries = value if isinstance(value, list) else []
        return _pruned([one for one in entries if not (isinstance(one, dict) and one.get("identifier") == url)])
    if name == "types" and isinstance(value, dict):
        value = {key: member for key, member in value.items() if key not in _DERIVED_TYPES}
    if name == "language":
        return _language(value)
    if name == "publicationYear":
        return int(value) if isinstance(value, str) and value.isdecimal() else value
    if name == "version" and value is not None:
        return str(value)
    return _pruned(value)


def _language(value: Any) -> Any:
    """The two-letter code of what stands before the hyphen, where ISO 639 knows it."""
    if not isinstance(value, str):
        return None
    known, first = languages(), value.split("-")[0]
    return known.get(first) or known.get(first.capitalize()) or value or None


def _subjects(entries: Any) -> Any:
    """Each once, without the field of science that DataCite once added by itself for a subject of that name."""
    normal: list[Any] = []
    for entry in map(_subject, entries):
        if entry not in normal:
            normal.append(entry)
    plain = {entry["subject"] for entry in normal if isinstance(entry, dict)}
    return [one for one in normal if not (isinstance(one, dict) and _added_by_itself(one["subject"], plain))]


def _added_by_itself(subject: str, others: set[str]) -> bool:
    return subject.startswith(_FIELD) and subject.removeprefix(_FIELD) in others


def _subject(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    text = str(entry.get("subject", ""))
    bare = html.unescape(_TAG.sub("", html.unescape(text)))
    return {**entry, "subject": _SPACE.sub(" ", bare).strip()}


def _right(entry: Any) -> Any:
    """SPDX licences are replaced by DataCite's own table; other identifiers become lower case."""
    if not isinstance(entry, dict):
        return entry
    match = _licence(entry)
    if match is not None:
        licence_id, name, address = match
        known = {
            "rights": name,
            "rightsUri": address,
            "rightsIdentifier": licence_id.lower(),
            "rightsIdentifierScheme": "SPDX",
            "schemeUri": _SPDX_URI,
        }
        return {**known, "lang": entry.get("lang")}
    if isinstance(entry.get("rightsIdentifier"), str):
        return {**entry, "rightsIdentifier": entry["rightsIdentifier"].lower()}
    return entry


def _licence(entry: Mapping[str, Any]) -> tuple[str, str, str] | None:
    identifier = str(entry.get("rightsIdentifier") or "").lower()
    rights = str(entry.get("rights") or "")
    by_id, by_name, by_address = _licence_tables()
    # Every address is compared as https, Creative Commons' also without what comes after the licence.
    https = re.sub(r"^(http|ftp)://", "https://", rights)
    address = licences()["ccUrlNormalisation"].get(https.rstrip("/"), https)
    return by_id.get(identifier) or by_name.get(rights) or by_address.get(address)


@cache
def _licence_tables() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    by_id: dict[str, Any] = {}
    by_name: dict[str, Any] = {}
    by_address: dict[str, Any] = {}
    for row in licences()["licenses"]:
        licence_id, name, address = row
        by_id.setdefault(licence_id.lower(), tuple(row))
        by_name.setdefault(name, tuple(row))
        by_address.setdefault(address, tuple(row))
    return by_id, by_name, by_address


def _numbers(value: Any) -> Any:
    """Coordinates as numbers, whether they were sent as text or not."""
    if isinstance(value, dict):
        return {key: member if key == "geoLocationPlace" else _numbers(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_numbers(member) for member in value]
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return value
    return number if math.isfinite(number) else str(value)


_NORMAL_OF_LIST = {
    "subjects": _subjects,
    "rightsList": lambda entries: [_right(entry) for entry in entries],
    "geoLocations": _numbers,
}


def _pruned(value: Any) -> Any:
    """DataCite adds empty lists and keeps nulls; neither is a difference."""
    if isinstance(value, dict):
        members = ((key, _pruned(member)) for key, member in value.items())
        return {key: member for key, member in members if member not in _EMPTY} or None
    if isinstance(value, list):
        return [member for member in map(_pruned, value) if member not in _EMPTY] or None
    return None if value in _EMPTY else value
