"""What a pass would do, without doing it: no request, and not a row of ours is written."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from syncd.brake import NOBODY, Impact, host_of
from syncd.clock import SystemClock
from syncd.datacite.request import Delete, Put, Write
from syncd.finding import Finding
from syncd.model import MANAGED_ATTRIBUTES, Desired, Held, Problem, State
from syncd.plan import Nothing, Policy, next_step
from syncd.platforms import Platform
from syncd.scan import Scan
from syncd.settings import WINDOW_SECONDS, AccountSettings, Settings
from syncd.store import Store
from syncd.store.facts import GONE_DIGEST, Stored

ACTIONS = ("create", "publish", "update", "hide", "delete", "set aside", "foreign")
"""What can be planned; the last two cost no request."""

_FREE = ("set aside", "foreign")
_CHECKSUM_DIGITS = 12
_REASON_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Planned:
    """What one DOI is in for.

    Attributes:
        attributes: Which attributes the request carries.
        bytes: The size of its body.
        host: The host of the landing page, where the request carries one.
        digest: Of the request; another request has another one.
        values: What the attributes are to become.
        before: What DataCite holds of them now, where somebody asked (``--remote``).
    """

    doi: str
    action: str
    reason: str
    attributes: Sequence[str] = ()
    bytes: int = 0
    host: str | None = None
    digest: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None

    @property
    def costs(self) -> bool:
        """Whether a request would be sent."""
        return self.action not in _FREE

    def as_json(self) -> dict[str, Any]:
        """For ``plan --json``."""
        document: dict[str, Any] = {
            "doi": self.doi, "action": self.action, "reason": self.reason, "attributes": list(self.attributes),
            "bytes": self.bytes,
        }  # fmt: skip
        if self.before is not None:
            document["changes"] = {
                name: {"before": self.before.get(name), "after": self.values.get(name)} for name in self.attributes
            }
        return document


@dataclass(frozen=True, slots=True)
class Group:
    """DOIs that are in for the same.

    Attributes:
        what: The change in a few words.
        examples: Some of them.
    """

    action: str
    what: str
    count: int
    bytes: int
    examples: Sequence[Planned]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass over an account would do.

    Attributes:
        unchanged: DOIs that would be left as they are, because they are as they should be; new ones that need
            nothing are among them.
        excluded: DOIs that an operator took out.
        failed: DOIs that stand failed and wait for a change, besides those in ``planned``.
        refusal: Why a pass would stop before it begins; empty when it would not.
        option: What would let it pass.
        seconds: How long sending takes at the configured ceiling.
        impact: What it would change for the DOIs that DataCite has.
    """

    account: str
    planned: Sequence[Planned]
    unchanged: int
    excluded: int
    failed: int
    refusal: str
    option: str
    seconds: float
    impact: Impact

    @property
    def requests(self) -> int:
        """How many requests it costs."""
        return sum(one.costs for one in self.planned)

    @property
    def bytes(self) -> int:
        """The size of their bodies."""
        return sum(one.bytes for one in self.planned)

    @property
    def counts(self) -> dict[str, int]:
        """DOIs by action."""
        found = Counter(one.action for one in self.planned)
        return {action: found[action] for action in ACTIONS if found[action]}

    @property
    def checksum(self) -> str:
        """The same for the same requests in any order; it no longer holds when one of them is another one."""
        lines = sorted(f"{one.doi} {one.action} {one.digest}" for one in self.planned)
        return hashlib.sha256("\n".join([self.account, *lines]).encode()).hexdigest()[:_CHECKSUM_DIGITS]

    def groups(self, examples: int = 3) -> list[Group]:
        """Equal changes together, by action, the largest first."""
        found: dict[tuple[str, str], list[Planned]] = {}
        for one in self.planned:
            found.setdefault((one.action, _what(one)), []).append(one)
        groups = [
            Group(action, what, len(members), sum(one.bytes for one in members), members[:examples])
            for (action, what), members in found.items()
        ]
        return sorted(groups, key=lambda group: (ACTIONS.index(group.action), -group.count, group.what))


def _what(one: Planned) -> str:
    """What a change has in common with others: never a value that only one DOI has."""
    if not one.costs:
        cause = one.reason.split(":")[0]
        return one.reason[:_REASON_LENGTH] if cause == "metadata_invalid" else cause
    if one.action == "create" or not one.attributes:
        return one.reason
    names = [name for name in one.attributes if name != "url"]
    if len(one.attributes) == len(MANAGED_ATTRIBUTES):
        names = ["the complete record"]
    parts = [", ".join(names)] if names else []
    if "url" in one.attributes:
        before = host_of((one.before or {}).get("url"))
        moved = f"from {before} to {one.host}" if before and before != one.host else f"at {one.host}"
        parts.append(f"landing page {moved}")
    return f"{one.reason}: {'; '.join(parts)}"


def preview(
    settings: Settings, account: AccountSettings, platform: Platform, store: Store, *, values: bool = False
) -> Plan:
    """Every DOI that a full pass would send something for, or set aside.

    Args:
        settings: The whole configuration.
        account: The one to look at.
        platform: Its platform.
        store: The state database.
        values: Keep the new values too, which takes much memory.
    """
    policy = Policy(account.source.withdrawn_drafts == "keep", account.source.hide_reason)
    store.bindings.check(account.id, settings.datacite.base_url, platform.identity())
    scan = Scan(account, platform, store, SystemClock(), settings.brake)
    planned: list[Planned] = []
    seen: set[str] = set()
    moving = needless = again = 0
    for findings in scan.weighed():
        held = store.dois.held(account.id, [one.note.doi for one in findings])
        for finding in findings:
            seen.add(finding.note.doi)
            one = _of_finding(finding, held.get(finding.note.doi, Held()), policy, account)
            stored = finding.stored
            if one is None:
                needless += stored is None
                continue
            planned.append(one if values else replace(one, values={}))
            moving += stored is not None and stored.in_sync
            again += stored is not None and stored.quarantined_digest is not None
    waiting = _waiting(account, platform, store, policy, seen)
    planned += [one if values else replace(one, values={}) for one in waiting]
    found = store.reading.sum(account.id)
    refusal = scan.harm(NOBODY)
    requests = sum(one.costs for one in planned)
    return Plan(
        account=account.id,
        planned=planned,
        unchanged=found.in_sync - moving + needless,
        excluded=found.excluded,
        failed=found.quarantined - again,
        refusal=refusal.words if refusal else "",
        option=refusal.option if refusal else "",
        impact=scan.impact,
        seconds=requests / settings.datacite.slots * WINDOW_SECONDS,
    )


def _waiting(
    account: AccountSettings, platform: Platform, store: Store, policy: Policy, seen: set[str]
) -> Iterator[Planned]:
    """What is pending although the scan found nothing new."""
    for page in store.dois.pending(account.id):
        waiting = [one for one in page if one.doi not in seen]
        held = store.dois.held(account.id, [one.doi for one in waiting])
        for stored in waiting:
            planned = _of_waiting(stored, held[stored.doi], platform, policy, account)
            if planned is not None:
                yield planned


def _of_finding(finding: Finding, held: Held, policy: Policy, account: AccountSettings) -> Planned | None:
    note = finding.note
    if note.gone and finding.stored is not None and finding.stored.standing is not None:
        return None
    if note.standing is not None:
        return Planned(note.doi, note.standing, f"under none of {', '.join(account.prefixes)}")
    if note.quarantine is not None:
        return Planned(note.doi, "set aside", f"{note.quarantine[0]}: {note.quarantine[1]}")
    if finding.stored is not None and finding.stored.quarantined_digest is not None and finding.same_content:
        return None  # refused before, and nothing that matters changed
    desired = finding.desired or Desired(note.doi, State.NONE, {}, GONE_DIGEST, {})
    return planned_step(desired, held, policy, account)


def _of_waiting(
    stored: Stored, held: Held, platform: Platform, policy: Policy, account: AccountSettings
) -> Planned | None:
    row = platform.one(stored.record_key)
    mapped: Desired | Problem = Desired(stored.doi, State.NONE, {}, GONE_DIGEST, {})
    if row is not None and row.doi == stored.doi:
        mapped = platform.map(row)
    elif stored.desired_digest != GONE_DIGEST:
        return None  # only a whole scan says that a record is gone
    if isinstance(mapped, Problem):
        return Planned(stored.doi, "set aside", f"{mapped.cause}: {mapped}")
    return planned_step(mapped, held, policy, account)


def planned_step(desired: Desired, held: Held, policy: Policy, account: AccountSettings) -> Planned | None:
    """The plan's word for the step that would be taken; None when there is none. Pure."""
    step = next_step(held, desired, policy, prefixes=account.prefixes, domains=account.domains)
    if isinstance(step, Nothing):
        return None
    if isinstance(step, Problem):
        return Planned(desired.doi, "set aside", f"{step.cause}: {step}")
    if isinstance(step, Delete):
        return Planned(desired.doi, "delete", step.reason, digest=_digest(step))
    host = host_of(step.attributes.get("url"))
    attributes = sorted(step.attributes)
    body = step.body()
    return Planned(
        desired.doi, _word(step, held), step.reason, attributes, len(body), host, _digest(step), step.attributes
    )


def _digest(step: Write) -> str:
    return hashlib.sha256(step.method.encode() + step.body()).hexdigest()


def _word(step: Put, held: Held) -> str:
    if step.event is not None and not (held.state is State.NONE and step.event == "publish"):
        return step.event
    return "create" if held.state is State.NONE else "update"
