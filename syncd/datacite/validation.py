"""Refuse what DataCite would refuse, before it costs a request: pure, offline, all problems at once."""

import difflib
import re
from collections.abc import Iterable
from functools import cache
from urllib.parse import urlsplit

import jsonschema_rs

from syncd.datacite.schema import schema
from syncd.model import Attributes, Problem

MAX_BODY_BYTES = 10 * 1024 * 1024
"""nginx in front of DataCite answers 413 above it."""

CONTROL_CHARACTERS = re.compile(r"[\u0000-\u0008\u000b\u000c\u000e-\u001f]")
_DOI = re.compile(r"^10\.\d{4,5}/[-._;()/:a-zA-Z0-9*~$=]+$")
_DOI_LENGTH = 255
_HTTP_HOST = re.compile(r"^[^:/?#]+://(?:[^@/?#]*@)?([^:/?#]*)")


def problems(attributes: Attributes, *, public: bool, domains: str = "*") -> list[Problem]:
    """Why DataCite would refuse these attributes as the whole content of a DOI; empty: it would not.

    Args:
        attributes: All that the DOI is to hold.
        public: Whether it is or becomes registered or findable; drafts are checked for shape only.
        domains: The account's ``domains`` at DataCite: ``*`` or hosts and ``*.host`` with commas.
    """
    found = [_problem(error) for error in _validator(public).iter_errors(attributes)]
    url = attributes.get("url")
    if public and url and not found and not allowed(url, domains):
        found.append(Problem("url_not_allowed", f"{url} is outside {domains}", "url"))
    return found


def doi_problem(name: str) -> Problem | None:
    """Why DataCite would not create this DOI (older ones with other characters can still be updated)."""
    if len(name) > _DOI_LENGTH:
        return Problem("doi_invalid", f"{name} is longer than {_DOI_LENGTH} characters", "doi")
    if not _DOI.match(name):
        return Problem("doi_invalid", f"{name} is not a prefix, a slash and letters, digits or -._;()/:*~$=", "doi")
    return None


def looks_like_doi(name: str) -> bool:
    """Whether a text is a DOI at all, ours or somebody else's."""
    return re.match(r"^10\.\d+[\d.]*/.", name) is not None


def owned(name: str, prefixes: Iterable[str]) -> bool:
    """Whether a DOI lies under one of the account's prefixes."""
    return name.split("/", 1)[0] in prefixes


def allowed(url: str, domains: str) -> bool:
    """DataCite's domain rule (datacite-api 5.2): exact hosts or ``*.x``, case-sensitive, ``*.x`` is not ``x``."""
    match = _HTTP_HOST.match(url)
    host = match[1] if match else urlsplit(url).netloc
    for rule in domains.split(","):
        rule = rule.strip()
        if rule == "*" or host == rule or (rule.startswith("*.") and host.endswith(rule[1:])):
            return True
    return False


@cache
def _validator(public: bool) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(schema(strict=public))


def _problem(error: jsonschema_rs.ValidationError) -> Problem:
    where = ".".join(str(part) for part in error.instance_path)
    return Problem("metadata_invalid", _words(error), where)


def _words(error: jsonschema_rs.ValidationError) -> str:
    """The library's message, in plainer words where a vocabulary or a missing member is meant."""
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Enum):
        value = str(error.instance)
        near = difflib.get_close_matches(value, [str(option) for option in kind.options], 1)
        return f"{value!r} is not in DataCite's list" + (f"; did you mean {near[0]!r}?" if near else "")
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        return f"{kind.property} is missing"
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Pattern) and CONTROL_CHARACTERS.search(str(error.instance)):
        return "it holds a control character, which XML cannot"
    return error.message
