"""The page of one DOI: where it stands, and everything that was sent for it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from syncd.causes import action_of
from syncd.model import MANAGED_ATTRIBUTES
from syncd.web.markup import Child, Html, element, prose
from syncd.web.page import Row, doi_link, frame, table

_TONES = {"in_sync": "good", "pending": "work", "quarantined": "bad"}


def doi_page(query: str, known: Sequence[Mapping[str, Any]], similar: Sequence[str]) -> bytes:
    """What is known of a DOI; where nothing is, DOIs that begin alike."""
    if not known:
        return frame(f"{query} · syncd", _unknown(query, similar), query=query)
    return frame(f"{query} · syncd", [_one(document) for document in known], query=query)


def _unknown(query: str, similar: Sequence[str]) -> Child:
    links = [element("li", doi_link(one)) for one in similar]
    return (
        element("p", f"{query} is not known here", class_="verdict"),
        element("p", prose("Is it in the platform? `syncd plan` looks.")),
        element("section", element("h2", "These begin alike"), element("ul", links)) if links else None,
    )


def _one(document: Mapping[str, Any]) -> Child:
    bucket = document["bucket"]
    gone = f", gone since {document['gone_at'][:19]}" if document["gone_at"] else ""
    facts: list[tuple[str, Child]] = [
        ("account", document["account"]),
        ("record", f"{document['record_key']}{gone}"),
        ("wanted", (document["desired_state"], " ", element("code", document["desired_digest"] or "-"))),
        (
            "at DataCite",
            (document["synced_state"], " ", element("code", document["synced_digest"] or "unknown or never sent")),
        ),
        ("confirmed", _moment(document["verified_at"])),
        ("waits since", _moment(document["changed_at"])),
    ]
    if document["excluded_because"]:
        facts.append(("excluded", document["excluded_because"]))
    if document["next_try_at"]:
        facts.append(("next attempt", _moment(document["next_try_at"])))
    return (
        element("p", element("span", document["doi"], class_="doi"), class_="verdict"),
        element("p", bucket.replace("_", " "), class_=_TONES.get(bucket, "soft")),
        _failed(document),
        element("section", element("dl", [(element("dt", name), element("dd", value)) for name, value in facts])),
        _writes(document["writes"]),
        _failures(document["failures"]),
    )


def _failed(document: Mapping[str, Any]) -> Html | None:
    if not document["cause"]:
        return None
    return element(
        "section",
        element("p", element("strong", document["cause"]), ": ", document["message"]),
        element("p", "→ ", prose(action_of(document["cause"]))),
        class_="notice",
    )


def _writes(writes: Sequence[Mapping[str, Any]]) -> Html | None:
    rows: list[Row] = [
        (
            ("", _moment(one["at"])),
            ("", one["method"] + (f" {one['event']}" if one["event"] else "")),
            ("", str(one["status"] or "no answer")),
            ("", one["result"]),
            ("message", f"{one['reason']}: {_attributes(one['attributes'])}"),
            ("number", one["bytes"]),
        )
        for one in writes
    ]
    heads = ("at", "request", "answer", "result", "why, and what was sent", "bytes")
    return element("section", element("h2", "Requests"), table(heads, rows, numbers=("bytes",))) if rows else None


def _failures(failures: Sequence[Mapping[str, Any]]) -> Html | None:
    rows: list[Row] = [
        (("", _moment(one["at"])), ("", one["cause"]), ("", str(one["status"] or "-")), ("message", one["message"]))
        for one in failures
    ]
    heads = ("at", "cause", "status", "message")
    return element("section", element("h2", "Failures"), table(heads, rows)) if rows else None


def _attributes(names: Sequence[str]) -> str:
    return (
        f"all {len(names)} attributes" if len(names) == len(MANAGED_ATTRIBUTES) else ", ".join(names) or "no attributes"
    )


def _moment(text: str | None) -> str:
    return "-" if not text else text[:19].replace("T", " ")
