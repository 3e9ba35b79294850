"""Fingerprints: RFC 8785 bytes under SHA-256, so that any tool can compute them again."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import rfc8785

VERSION = "v1"
_ATTRIBUTE_DIGITS = 16
_SAFE_INTEGER = 2**53 - 1


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value.

    Python's own encoder writes the same bytes, nine times faster, for all but floats and unusual keys;
    those go through ``rfc8785``. A property test holds the two together.

    Raises:
        ValueError: The value has no canonical form (NaN, an integer beyond 2**53, a lone surrogate, a
            value that is not JSON).
    """
    if not _plain(value):
        return rfc8785.dumps(value)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def digest(value: Any) -> str:
    """``v1:`` and the SHA-256 of the canonical form, in hex."""
    return f"{VERSION}:{hashlib.sha256(canonical(value)).hexdigest()}"


def document_digests(state: str, attributes: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The digest of a whole document and of each of its attributes, each value encoded once.

    The first equals ``digest({"attributes": attributes, "state": state})``.
    """
    encoded = {name: canonical(value) for name, value in attributes.items()}
    members = b",".join(_name(name) + b":" + encoded[name] for name in sorted(encoded, key=_utf16))
    whole = b'{"attributes":{' + members + b'},"state":' + _name(state) + b"}"
    digests = {name: hashlib.sha256(data).hexdigest()[:_ATTRIBUTE_DIGITS] for name, data in encoded.items()}
    return f"{VERSION}:{hashlib.sha256(whole).hexdigest()}", digests


@lru_cache(maxsize=256)
def _name(word: str) -> bytes:
    return canonical(str(word))


def _utf16(key: str) -> bytes:
    """RFC 8785 sorts keys by UTF-16 code units, not by code points."""
    return key.encode("utf-16-be")


def _plain(value: Any) -> bool:
    """Whether ``json.dumps`` is known to write the RFC 8785 form of this value."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_SAFE_INTEGER <= value <= _SAFE_INTEGER)
    if kind is list:
        return all(map(_plain, value))
    if kind is dict:
        return all(type(key) is str and key.isascii() for key in value) and all(map(_plain, value.values()))
    return False
