"""What a pass would do, without doing it: no request, and not a row of ours is written."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from syncd.clock import SystemClock
from syncd.config import AccountSettings
from syncd.datacite.request import Delete, Put
from syncd.model import Desired, Held, Problem, State
from syncd.plan import Nothing, Policy, next_step
from syncd.platforms import Platform
from syncd.scan import Finding, Scan
from syncd.store import Store
from syncd.store.facts import GONE_DIGEST, Stored

ACTIONS = ("create", "publish", "update", "hide", "delete", "set aside", "foreign")
"""What can be planned; the last two cost no request."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What one DOI is in for.

    Attributes:
        attributes: Which attributes the request carries.
        bytes: The size of its body.
    """

    doi: str
    action: str
    reason: str
    attributes: list[str] = field(default_factory=list)
    bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """For ``plan --json``."""
        return asdict(self)


def preview(
    account: AccountSettings, platform: Platform, store: Store, *, host: str, accept_missing: bool = False
) -> Iterator[Planned]:
    """Every DOI that a full pass would send something for, or set aside.

    Raises:
        SafetyError: Where the pass would stop for the same reason.
    """
    policy = Policy(account.source.withdrawn_drafts == "keep", account.source.hide_reason)
    seen: set[str] = set()
    store.bindings.check(account.id, host, platform.identity)
    scan = Scan(account, platform, store, SystemClock())
    for findings in scan.differences(full=True):
        if not accept_missing:
            scan.refuse_an_emptied_source(findings)
        held = store.dois.held(account.id, [one.note.doi for one in findings])
        for finding in findings:
            seen.add(finding.note.doi)
            planned = _of_finding(finding, held.get(finding.note.doi, Held()), policy, account)
            if planned is not None:
                yield planned
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
        return Planned(desired.doi, "delete", step.reason)
    return Planned(desired.doi, _word(step, held), step.reason, sorted(step.attributes), len(step.body()))


def _word(step: Put, held: Held) -> str:
    if step.event is not None and not (held.state is State.NONE and step.event == "publish"):
        return step.event
    return "create" if held.state is State.NONE else "update"
