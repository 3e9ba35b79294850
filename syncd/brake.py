"""Stop before harm: how many DOIs a scan would change, and whether a person has to look first. Pure.

Counted are DOIs that DataCite has because of us. New ones are created in any number: that harms nobody.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from syncd.model import Desired, State
from syncd.settings import BrakeSettings
from syncd.store.facts import Note, Stored

_HALF_GONE_FROM = 3
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a scan stops, and the option that lets it pass."""

    words: str
    option: str


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person said is right.

    Attributes:
        missing: That records are gone.
        changes: That many DOIs change.
        at_most: Not more than this, which they saw in a plan.
        remembered: It holds until what is pending now was sent; otherwise that weighs again.
    """

    missing: bool = False
    changes: bool = False
    at_most: "Impact | None" = None
    remembered: bool = True

    @property
    def given(self) -> bool:
        """Whether anything was said to be right."""
        return self.missing or self.changes


NOBODY = Consent()
"""Nobody said anything."""


@dataclass
class Impact:
    """What a scan would do to the DOIs that DataCite has.

    Attributes:
        known: How many there are.
        changed: Whose content, landing page or state would change, or that would be set aside.
        hidden: Of these and of the gone: how many would be hidden or deleted.
        gone: Whose records the platform does not have any more.
        gone_hidden: Of these, the ones that would be hidden or deleted.
        changed_before: Pending before the scan, and let pass by nobody.
        hidden_before: Likewise of those to be hidden, and those hidden in the last 24 hours.
        set_aside: The changed ones that could not be sent, by cause.
        attributes: The changed ones by attribute.
        hosts: The changed ones by the host of their landing page, if that was never seen before.
    """

    known: int
    changed: int = 0
    hidden: int = 0
    gone: int = 0
    gone_hidden: int = 0
    changed_before: int = 0
    hidden_before: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    attributes: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)

    def add(
        self, note: Note, stored: Stored, desired: Desired | None, held: Mapping[str, str] | None, hosts: frozenset[str]
    ) -> None:
        """One known DOI that a scan found changed or gone.

        Args:
            note: What the scan would write down.
            stored: Our row so far.
            desired: What DataCite should hold.
            held: A digest for each attribute that DataCite holds; None: unknown.
            hosts: The hosts of landing pages that are known.
        """
        vanishes = hides(note, stored)
        self.hidden += vanishes
        if note.gone:
            self.gone += 1
            self.gone_hidden += vanishes
            return
        self.changed += 1
        if note.quarantine is not None:
            self.set_aside[note.quarantine[0]] += 1
        if desired is None:
            return
        if held is not None and not vanishes:
            names = held.keys() | desired.digests.keys()
            self.attributes.update(name for name in names if held.get(name) != desired.digests.get(name))
        host = host_of(desired.attributes.get("url"))
        if host and hosts and host not in hosts:
            self.hosts[host] += 1


def known(stored: Stored | None) -> bool:
    """Whether DataCite has this DOI because of us."""
    return stored is not None and stored.standing is None and stored.synced_state is not State.NONE


def hides(note: Note, stored: Stored) -> bool:
    """Whether a DOI would vanish: hidden where it is findable, deleted where it is a draft."""
    if note.quarantine is not None:
        return False
    match stored.synced_state:
        case State.FINDABLE:
            return note.desired_state is not State.FINDABLE
        case State.DRAFT:
            return note.desired_state in (State.NONE, State.REGISTERED)
        case _:
            return False


def host_of(url: object) -> str | None:
    """The host of a landing page; None without one."""
    try:
        return urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return None


def judge(impact: Impact, limits: BrakeSettings, consent: Consent) -> Refusal | None:
    """Why a person has to look first; None when nobody has to."""
    if consent.at_most is not None and (more := _beyond(impact, consent.at_most)) is not None:
        return more
    if consent.changes:
        return None
    hidden = impact.hidden + impact.hidden_before - (impact.gone_hidden if consent.missing else 0)
    changed = impact.changed + impact.changed_before
    too_many_changed = impact.known >= limits.at_least and changed > impact.known * limits.changed / 100
    if hidden >= limits.at_least and hidden > impact.known * limits.hidden / 100:
        only_gone = not too_many_changed and impact.hidden == impact.gone_hidden and not impact.hidden_before
        earlier = f"{impact.hidden_before:,} of them noted or sent before" if impact.hidden_before else ""
        gone = f"{impact.gone:,} records are gone" if impact.gone else ""
        what = "; ".join(filter(None, [earlier, gone, _what(impact)]))
        words = f"{hidden:,} of {impact.known:,} known DOIs would be hidden or deleted ({what})"
        return Refusal(words, "--accept-missing" if only_gone and not consent.missing else "--accept-changes")
    if too_many_changed:
        earlier = f"{impact.changed_before:,} of them noted before" if impact.changed_before else ""
        what = "; ".join(filter(None, [earlier, _what(impact)]))
        words = f"{changed:,} of {impact.known:,} known DOIs changed at once ({what})"
        return Refusal(words, "--accept-changes")
    return None


def _beyond(impact: Impact, seen: Impact) -> Refusal | None:
    """Whether it is more by now than somebody saw."""
    for what in ("hidden", "gone", "changed"):
        now, then = getattr(impact, what), getattr(seen, what)
        if now > then:
            return Refusal(f"{now:,} known DOIs would be {what}, and the plan showed {then:,}", "")
    return None


def apart(first: Impact, second: Impact, limits: BrakeSettings) -> Refusal | None:
    """Whether a second look at the same records finds notably more than the first, which was judged."""
    for what in ("hidden", "changed"):
        then, now = getattr(first, what), getattr(second, what)
        if now > then + limits.at_least:
            return Refusal(f"{now:,} known DOIs would be {what} now, a moment ago it were {then:,}", "")
    return None


def emptied(gone: int, found: int) -> Refusal | None:
    """Whether the source was emptied: all records are missing, or more than are there.

    Args:
        gone: DOIs that we knew and that are missing.
        found: DOIs that we knew and that are there; rows that lost their DOI are not.
    """
    if gone and (found == 0 or (gone >= _HALF_GONE_FROM and gone > found)):
        return Refusal(f"{gone:,} DOIs are missing from the platform and {found:,} are there", "--accept-missing")
    return None


def _what(impact: Impact) -> str:
    """What the changes have in common, the most telling first."""
    parts = []
    for host, count in impact.hosts.most_common(1):
        parts.append(f"landing pages of {count:,} move to {host}, which no DOI had before")
    parts += [f"{count:,} cannot be sent: {cause}" for cause, count in impact.set_aside.most_common(_NAMED)]
    parts += _most(impact.attributes)
    return "; ".join(parts) or ("their states change" if impact.changed else "")


def _most(attributes: Counter[str]) -> Iterable[str]:
    most = sorted(attributes.items(), key=lambda one: (-one[1], one[0]))[:_NAMED]
    return [f"{name} in {count:,}" for name, count in most]
