"""DataCite's word lists, schema 4.7: the one thing that client and sandbox share."""

import json
from functools import cache
from importlib import resources
from typing import Any

SCHEMA_VERSION = "http://datacite.org/schema/kernel-4"
"""Sent with every write: a minor version would switch DataCite's own checks off (datacite-api 5.3)."""


@cache
def load() -> dict[str, Any]:
    """The vocabularies file, read once."""
    return json.loads(_read("vocabularies.json"))  # type: ignore[no-any-return]


@cache
def terms(name: str) -> tuple[str, ...]:
    """The allowed values of one controlled list, e.g. ``resourceTypeGeneral``."""
    return tuple(load()["vocabularies"][name])


@cache
def licences() -> dict[str, Any]:
    """The SPDX table with which DataCite expands ``rightsList``."""
    return json.loads(_read("spdx.json"))  # type: ignore[no-any-return]


@cache
def languages() -> dict[str, str]:
    """ISO 639: every two- and three-letter code, and every English name, to the two-letter code."""
    table = json.loads(_read("languages.json"))
    return {word: two for two, threes, name in table["languages"] for word in (two, *threes, name)}


def _read(name: str) -> str:
    return resources.files("syncd").joinpath(name).read_text(encoding="utf-8")
