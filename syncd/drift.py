"""In what DataCite differs from what is wanted, in the words of the plan: what it would send is what differs. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from syncd.datacite.normal import fingerprints
from syncd.datacite.remote import Remote
from syncd.datacite.request import Delete, Put
from syncd.model import MANAGED_ATTRIBUTES, Desired, Held, State
from syncd.plan import Nothing, Policy, decide
from syncd.store.copies import Drift
from syncd.store.facts import Stored

KINDS = {
    "metadata": "attributes differ",
    "url": "the landing page differs",
    "state": "the state differs",
    "unresolved": "DataCite has not registered the DOI in the handle system",
    "missing": "DataCite does not have it",
    "moved": "it belongs to another account",
    "only_there": "no record of the platform has it",
}
"""What can differ; one DOI may differ in several ways."""

REPAIRABLE = ("metadata", "url", "state", "unresolved", "missing")
"""What sending mends; the others need a person."""

_DIFFERENT = "other"
"""Stands for the digest of an attribute that DataCite holds otherwise."""


def held_as(state: State, resolves: bool, theirs: Mapping[str, str], desired: Desired) -> Held:
    """What DataCite holds, in the words of the plan: an attribute that is equal has the digest that is wanted. Pure."""
    ours = fingerprints(desired.attributes)
    digests = {}
    for name in MANAGED_ATTRIBUTES:
        if ours.get(name) != theirs.get(name):
            digests[name] = _DIFFERENT
        elif name in desired.digests:
            digests[name] = desired.digests[name]
    return Held(state, digests, resolves)


def difference(held: Held, desired: Desired, remote: Remote, policy: Policy) -> Drift | None:
    """In what DataCite differs, which is what the plan would change; None: in nothing. Pure."""
    step = decide(held, desired, policy)
    if isinstance(step, Nothing):
        return None
    kinds: list[str] = []
    attributes: dict[str, tuple[Any, Any]] = {}
    if isinstance(step, Delete) or step.event is not None:
        kinds.append("state")
        attributes["state"] = (str(desired.state), str(remote.state))
    if isinstance(step, Put):
        for name in step.attributes:
            attributes[name] = (desired.attributes.get(name), remote.attributes.get(name))
        kinds += ["url"] if "url" in step.attributes else []
        kinds += ["metadata"] if set(step.attributes) - {"url"} else []
    if not held.resolves:
        kinds.append("unresolved")
    words = "; ".join(KINDS[kind] if kind != "metadata" else _named(attributes) for kind in kinds)
    return Drift(desired.doi, tuple(kinds), attributes, words, remote.version)


def _named(attributes: Iterable[str]) -> str:
    return f"{', '.join(sorted(set(attributes) - {'url', 'state'}))} differ"


def absent(ours: Stored, remote: Remote | None) -> Drift:
    """DataCite does not show the DOI, or shows it as another account's. Pure.

    A public DOI cannot be deleted, so one that is not shown any more was moved.
    """
    if remote is not None:
        return Drift(ours.doi, ("moved",), {}, f"it belongs to {remote.owner}", remote.version)
    if ours.synced_state.public:
        return Drift(ours.doi, ("moved",), {}, "it was public, and is not shown to this account any more")
    return Drift(ours.doi, ("missing",), {}, KINDS["missing"])


def orphan(remote: Remote) -> Drift:
    """Only DataCite knows the DOI. Pure."""
    titles = remote.attributes.get("titles") or [{}]
    title = titles[0].get("title") if isinstance(titles[0], dict) else None
    words = f"{remote.state}, {title!r}" if title else str(remote.state)
    return Drift(remote.doi, ("only_there",), {"state": (str(State.NONE), str(remote.state))}, words, remote.version)


def as_drifted(held: Held, drift: Drift, kinds: frozenset[str]) -> Held:
    """What DataCite holds, as far as these kinds of drift are concerned. Pure."""
    if "missing" in kinds.intersection(drift.kinds):
        return Held()
    digests = dict(held.digests or {})
    for name in drift.attributes:
        if name in MANAGED_ATTRIBUTES and ("url" if name == "url" else "metadata") in kinds:
            digests[name] = _DIFFERENT
    state = held.state
    if "state" in kinds and "state" in drift.attributes:
        state = State(drift.attributes["state"][1])
    resolves = held.resolves and not ("unresolved" in kinds and "unresolved" in drift.kinds)
    return replace(held, state=state, digests=digests, resolves=resolves)
