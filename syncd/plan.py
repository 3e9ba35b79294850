"""What to do with a DOI, from what DataCite holds and what is wanted. Pure: values in, a value out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from syncd.datacite.request import Delete, Put, Write
from syncd.datacite.validation import MAX_BODY_BYTES, owned, problems
from syncd.model import LIST_ATTRIBUTES, MANAGED_ATTRIBUTES, Attributes, Desired, Held, Problem, State

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 3600.0
_LIMITED_ATTEMPTS = 3
_HOURLY_FROM, _DAILY_FROM = 9, 33
_DAY = 86400.0
_PROBE_EVERY, _PROBES_AT_FIRST, _PROBE_EVERY_LATER = 60.0, 120, 300.0
_LONGEST_THROTTLE = 900.0
_FIRST_CREDENTIALS = 300.0
_LONGEST_CREDENTIALS = 6 * 3600.0

ACCOUNT_CAUSES = ("credentials", "account_refused")
"""Why DataCite takes nothing of one account, whatever the record."""

_CLEARED: dict[str, Any] = {
    **{name: [] for name in LIST_ATTRIBUTES},
    "publisher": {},  # null has no effect
    **dict.fromkeys(("types", "publicationYear", "language", "version", "url"), None),  # [] is ignored or a 500
}
"""What empties an attribute; a missing key never does (datacite-api 6.2)."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No request is needed, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator may choose."""

    keep_withdrawn_drafts: bool = False
    hide_comment: str = "withdrawn or removed by the repository"


Step = Nothing | Write


def decide(held: Held, desired: Desired, policy: Policy = Policy()) -> Step:
    """The one next step towards what is wanted.

    The table of the four wanted states by the four held ones; after a lost answer the held state is the
    last confirmed one, and the step is chosen so that it is right whichever state DataCite is in.
    """
    match desired.state:
        case State.NONE:
            return _remove(held, desired, policy)
        case State.DRAFT:
            return _keep_draft(held, desired, policy)
        case State.REGISTERED:
            return _withdraw(held, desired, policy)
        case State.FINDABLE:
            return _publish(held, desired)


def next_step(held: Held, desired: Desired, policy: Policy, *, prefixes: Sequence[str], domains: str) -> Step | Problem:
    """The step that may be taken: what ``decide`` says, unless DataCite would refuse it.

    ``plan`` shows it and ``sync`` takes it. What must not be seen is hidden even if its metadata is not valid.
    """
    if not owned(desired.doi, prefixes):
        return Problem("forbidden", f"{desired.doi} lies under none of {', '.join(prefixes)}")
    step = decide(held, desired, policy)
    if not isinstance(step, Put) or not (step.attributes or step.event == "publish"):
        return step
    public = any(state.public for state in step.expects)
    found = problems(desired.attributes, public=public, domains=domains)
    if found and step.event == "hide":
        return hide_alone(held, desired, policy)
    if found:
        return Problem(found[0].cause, "; ".join(map(str, found[:10])))
    if len(step.body()) > MAX_BODY_BYTES:
        return Problem("too_large", f"the metadata has {len(step.body())} bytes")
    return step


def delay(attempts: int, retry_after: float | None, chance: float) -> float:
    """Seconds until the next attempt: full jitter, doubling from 1 s to 1 h, never before ``Retry-After``.

    What failed eight times in a row is tried once an hour, and after a day of that once a day.

    Args:
        attempts: How many failed in a row, at least 1.
        chance: A random number between 0 and 1.
    """
    if retry_after == 0:
        return 0.0
    if attempts >= _HOURLY_FROM:
        return max(retry_after or 0.0, _DAY if attempts >= _DAILY_FROM else _LONGEST_DELAY)
    most = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempts, 32))
    return max(retry_after or 0.0, most * chance)


def pause_length(cause: str, attempts: int, retry_after: float | None = None) -> float:
    """Seconds that an account or the host rests before one request tries again.

    An outage is tried once a minute for two hours, then every five minutes; an account that DataCite does not
    accept after 5 minutes, then ever more seldom, at last every six hours.

    Args:
        cause: Why it rests.
        attempts: How many tries in a row failed, at least 1.
        retry_after: What DataCite asked for, if it did.
    """
    doubled = 2.0 ** min(attempts - 1, 16)
    if cause == "throttled":
        return max(retry_after or 0.0, min(_LONGEST_THROTTLE, _PROBE_EVERY * doubled))
    if cause in ACCOUNT_CAUSES:
        return min(_LONGEST_CREDENTIALS, _FIRST_CREDENTIALS * doubled)
    return max(retry_after or 0.0, _PROBE_EVERY if attempts <= _PROBES_AT_FIRST else _PROBE_EVERY_LATER)


def exhausted(attempts: int) -> bool:
    """Whether a step that should help at once has been tried often enough."""
    return attempts >= _LIMITED_ATTEMPTS


def difference(held: Held, desired: Desired) -> Attributes:
    """The attributes to send, those that became empty with their clearing value; all when in doubt."""
    names = MANAGED_ATTRIBUTES
    if held.digests is not None:
        known = held.digests
        names = tuple(name for name in names if known.get(name) != desired.digests.get(name))
    return {name: desired.attributes.get(name, _CLEARED[name]) for name in names}


def _remove(held: Held, desired: Desired, policy: Policy) -> Step:
    """The record is gone, or is to have no DOI."""
    if held.sure and held.state is State.NONE:
        return Nothing("DataCite never had it")
    if held.state is State.REGISTERED and held.sure:
        return Nothing("it is hidden already")
    if held.state is State.DRAFT or (held.state is State.NONE and not held.sure):
        # A DELETE is safe in doubt: it removes a draft only, and anything else says what it is.
        return Delete(desired.doi, "it is to have no DOI any more; a draft can be deleted")
    return _hide_only(held, desired, policy, "no record shows this DOI any more; it stays, hidden")


def _keep_draft(held: Held, desired: Desired, policy: Policy) -> Step:
    if held.state is State.FINDABLE:
        reason = "findable cannot become a draft again; it is hidden and stays registered"
        return _put(held, desired, "hide", {State.REGISTERED}, reason, policy.hide_comment)
    if held.state is State.REGISTERED:
        return _update(held, desired, {State.REGISTERED}, "registered cannot become a draft again; it stays hidden")
    return _update(held, desired, {State.DRAFT}, "a draft")


def _withdraw(held: Held, desired: Desired, policy: Policy) -> Step:
    if held.state is State.NONE and held.sure:
        return Nothing("withdrawn before DataCite had it: nothing to hide")
    if held.state in (State.NONE, State.DRAFT):
        if not policy.keep_withdrawn_drafts:
            return Delete(desired.doi, "withdrawn while a draft")
        if held.sure:
            return Nothing("withdrawn while a draft; kept by policy")
        # It may have been published: a hide does nothing to a draft.
        expects = {State.DRAFT, State.REGISTERED}
        return _put(held, desired, "hide", expects, "withdrawn", policy.hide_comment)
    if held.state is State.REGISTERED and held.sure:
        return _update(held, desired, {State.REGISTERED}, "withdrawn")
    return _put(held, desired, "hide", {State.REGISTERED}, "withdrawn", policy.hide_comment)


def _publish(held: Held, desired: Desired) -> Step:
    if held.state is State.FINDABLE and held.sure:
        return _update(held, desired, {State.FINDABLE}, "changed")
    reason = {State.NONE: "new", State.DRAFT: "published", State.REGISTERED: "visible again"}
    return _put(held, desired, "publish", {State.FINDABLE}, reason.get(held.state, "changed"))


def _update(held: Held, desired: Desired, expects: set[State], reason: str) -> Step:
    """Only what differs; nothing when nothing does."""
    attributes = difference(held, desired)
    if not attributes and held.resolves:
        return Nothing("in sync")
    if not held.resolves:
        reason = "the DOI does not resolve yet; sent again so that DataCite registers it"
    return _request(held, desired, attributes, None, expects, reason)


def _put(held: Held, desired: Desired, event: str, expects: set[State], reason: str, comment: str | None = None) -> Put:
    return _request(held, desired, difference(held, desired), event, expects, reason, comment)


def hide_alone(held: Held, desired: Desired, policy: Policy) -> Put:
    """Hide now, although the content cannot be sent: what must not be seen does not wait for its metadata."""
    return _hide_only(held, desired, policy, "withdrawn; its metadata is not valid and stays as it was")


def _hide_only(held: Held, desired: Desired, policy: Policy, reason: str) -> Put:
    """Hide without touching the content; the platform does not know it any more."""
    return Put(
        doi=desired.doi,
        attributes={},
        event="hide",
        complete=False,
        expects=frozenset({State.REGISTERED}),
        digests=held.digests,
        reason=reason,
        comment=policy.hide_comment,
        completable=False,
    )


def _request(
    held: Held,
    desired: Desired,
    attributes: Attributes,
    event: str | None,
    expects: set[State],
    reason: str,
    comment: str | None = None,
) -> Put:
    complete = held.digests is None
    return Put(
        doi=desired.doi,
        attributes=attributes,
        event=event,
        complete=complete,
        expects=frozenset(expects),
        digests=desired.digests,
        reason=reason if held.sure else f"{reason}; complete, because an answer was lost",
        comment=comment,
    )
