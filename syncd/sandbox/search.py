"""What the search index finds: the filters of a list, and a working part of its query language.

The language: words and ``field:value``, quoted phrases, wildcards, ranges ``[a TO b]``, ``AND``, ``OR``, ``NOT``, a
leading ``-``, and parentheses; all words are needed unless something else is said.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from syncd.sandbox.world import StoredDoi

Test = Callable[[StoredDoi], bool]
_TOKEN = re.compile(r'\(|\)|(?:[-+])?(?:[\w.\\]+:)?(?:"[^"]*"|[\[{][^\]}]*[\]}]|[^\s()"]+)')
_RANGE = re.compile(r"^[\[{](.+?) TO (.+?)[\]}]$")


class BadQueryError(ValueError):
    """The search engine cannot parse it."""


def filters(query: Mapping[str, str], *, accepted: bool) -> list[Test]:
    """What a DOI must satisfy; only what was asked for, because every DOI is asked.

    Raises:
        BadQueryError: The query's quotes or parentheses do not match.
    """
    if query.get("ids"):
        names = _folded(query["ids"])
        return [lambda one: one.doi in names]  # nothing else is looked at then, who asks neither
    state = query.get("state") if accepted else "findable"
    exact: list[tuple[str | None, Callable[[StoredDoi], Any]]] = [
        (state, lambda one: one.state),
        (query.get("prefix"), lambda one: one.doi.split("/")[0]),
        (query.get("source"), lambda one: one.attributes.get("source") or "api"),
        (query.get("resource-type"), lambda one: (one.attributes.get("types") or {}).get("resourceType")),
        (query.get("schema-version"), _version),
    ]
    found = [_is_one_of(asked, value) for asked, value in exact if asked]
    if query.get("subject"):
        found.append(_has_one_of(query["subject"], lambda one: _members(one, "subjects", "subject")))
    if query.get("license"):
        found.append(_has_one_of(query["license"], lambda one: _members(one, "rightsList", "rightsIdentifier")))
    if query.get("resource-type-id"):
        kinds = _folded(query["resource-type-id"])
        found.append(lambda one: _kind(one) in kinds)
    years: list[tuple[str, Callable[[StoredDoi], int | None]]] = [
        ("created", lambda one: one.created.year),
        ("registered", lambda one: one.registered.year if one.registered else None),
        ("published", lambda one: one.attributes.get("publicationYear")),
    ]
    found += [_between_years(query[name], value) for name, value in years if query.get(name)]
    found += _relations(query)
    clients, providers = _folded(query.get("client-id", "")), _folded(query.get("provider-id", ""))
    if query.get("client-id") or query.get("provider-id"):  # alternatives, not both needed
        found.append(lambda one: one.account.key in clients or one.account.key.split(".")[0] in providers)
    words = query.get("query", "")
    if words.strip():
        found.append(parse(words))
    return found


def parse(words: str) -> Test:
    """A query as a test.

    Raises:
        BadQueryError: Its quotes or parentheses do not match.
    """
    if words.count('"') % 2 or words.count("(") != words.count(")"):
        raise BadQueryError(f"parse_exception: Failed to parse query [{words}]")
    tokens = _Tokens(words)
    test = _alternatives(tokens)
    if tokens.next is not None:
        raise BadQueryError(f"parse_exception: Failed to parse query [{words}]")
    return test


class _Tokens:
    """A query word by word."""

    def __init__(self, words: str) -> None:
        self._tokens: Iterator[str] = iter(_TOKEN.findall(words))
        self.next: str | None = next(self._tokens, None)

    def take(self) -> str:
        token = self.next or ""
        self.next = next(self._tokens, None)
        return token


def _alternatives(tokens: _Tokens) -> Test:
    tests = [_conjunction(tokens)]
    while tokens.next in ("OR", "||"):
        tokens.take()
        tests.append(_conjunction(tokens))
    return tests[0] if len(tests) == 1 else lambda one: any(test(one) for test in tests)


def _conjunction(tokens: _Tokens) -> Test:
    tests: list[Test] = []
    while tokens.next is not None and tokens.next not in (")", "OR", "||"):
        if tokens.next in ("AND", "&&"):
            tokens.take()
            continue
        tests.append(_single(tokens))
    return lambda one: all(test(one) for test in tests)


def _single(tokens: _Tokens) -> Test:
    word = tokens.take()
    if word in ("NOT", "!"):
        test = _single(tokens)
        return lambda one: not test(one)
    if word == "(":
        test = _alternatives(tokens)
        tokens.take()
        return test
    signed = word[0] in "+-" and len(word) > 1
    clause = _clause(word[1:] if signed else word)
    return (lambda one: not clause(one)) if signed and word[0] == "-" else clause


def _clause(token: str) -> Test:
    match = re.match(r"^([\w.]+):(?!//)(.+)$", token.replace("\\", ""))
    if match is None:
        wanted = _pattern(token)
        return lambda one: wanted.search(_everything(one)) is not None
    field, value = match[1], match[2]
    limits = _RANGE.match(value)
    if limits is not None:
        return lambda one: any(_within(text, limits[1], limits[2]) for text in _texts(one, field))
    if value == "*":
        return lambda one: bool(_texts(one, field))
    wanted = _pattern(value)
    whole = field in _EXACT
    return lambda one: any(
        (wanted.fullmatch(text) if whole else wanted.search(text)) is not None for text in _texts(one, field)
    )


def _pattern(value: str) -> re.Pattern[str]:
    text = re.escape(value.strip('"').replace("\\", "").lower())
    return re.compile(text.replace(r"\*", ".*").replace(r"\?", "."))


def _within(text: str, low: str, high: str) -> bool:
    low, high = low.strip('"').lower(), high.strip('"').lower()
    return (low == "*" or text >= low) and (high == "*" or text[: len(high)] <= high)


def _everything(one: StoredDoi) -> str:
    return json.dumps({"doi": one.doi, **one.attributes}, ensure_ascii=False, default=str).lower()


_EXACT = ("doi", "uid", "id", "aasm_state", "prefix", "client_id", "client.id", "provider_id", "provider.id", "source")


def _texts(one: StoredDoi, field: str) -> list[str]:
    """The values of a field of the index, in lower case; none for a field that it does not have."""
    special: dict[str, Any] = {
        "doi": one.doi, "uid": one.doi, "id": one.doi, "aasm_state": one.state, "prefix": one.doi.split("/")[0],
        "client_id": one.account.key, "client.id": one.account.key,
        "provider_id": one.account.key.split(".")[0], "provider.id": one.account.key.split(".")[0],
        "created": one.created.isoformat(), "updated": one.updated.isoformat(),
        "registered": one.registered.isoformat() if one.registered else None,
    }  # fmt: skip
    if field in special:
        return [] if special[field] is None else [str(special[field]).lower()]
    if field == "state":
        return []  # the index calls it aasm_state
    value: Any = one.attributes
    for step in field.split("."):
        name = re.sub(r"_([a-z])", lambda match: match[1].upper(), step)
        listed = value if isinstance(value, list) else [value]
        value = [entry[name] for entry in listed if isinstance(entry, dict) and entry.get(name) is not None]
        value = [deep for entry in value for deep in (entry if isinstance(entry, list) else [entry])]
    return [json.dumps(entry, ensure_ascii=False, default=str).strip('"').lower() for entry in value]


def _is_one_of(asked: str, value: Callable[[StoredDoi], Any]) -> Test:
    words = set(asked.split(","))
    return lambda one: value(one) in words


def _has_one_of(asked: str, values: Callable[[StoredDoi], list[Any]]) -> Test:
    words = set(asked.split(","))
    return lambda one: not words.isdisjoint(values(one))


def _folded(asked: str) -> set[str]:
    return {word.strip().lower() for word in asked.split(",")}


def _between_years(asked: str, value: Callable[[StoredDoi], int | None]) -> Test:
    years = [word.strip() for word in asked.split(",")]
    first, last = min(years), max(years)

    def test(one: StoredDoi) -> bool:
        year = value(one)
        return year is not None and first <= str(year) <= last

    return test


def _relations(query: Mapping[str, str]) -> list[Test]:
    """Nothing here has citations, parts, versions or views; people and organisations are looked for."""
    found: list[Test] = []
    for name in ("references", "citations", "parts", "part-of", "versions", "version-of", "views", "downloads"):
        least = query.get(f"has-{name}", "")
        if least and (int(least) if least.isdecimal() else 0) > 0:
            found.append(lambda _one: False)
    if query.get("has-person"):
        found.append(lambda one: "ORCID" in _schemes(one))
    if query.get("consortium-id"):
        found.append(lambda _one: False)
    return found


def _schemes(one: StoredDoi) -> list[Any]:
    people = one.attributes.get("creators") or []
    identifiers = [identifier for person in people for identifier in person.get("nameIdentifiers") or []]
    return [identifier.get("nameIdentifierScheme") for identifier in identifiers]


def _members(one: StoredDoi, name: str, member: str) -> list[Any]:
    return [entry.get(member) for entry in one.attributes.get(name) or [] if isinstance(entry, dict)]


def _kind(one: StoredDoi) -> str:
    types = one.attributes.get("types")
    general = types.get("resourceTypeGeneral") if isinstance(types, dict) else ""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", str(general or "")).lower()


def _version(one: StoredDoi) -> str:
    return str(one.attributes.get("schemaVersion") or "").rsplit("kernel-", 1)[-1]
