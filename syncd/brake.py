"""Stop before harm: how many DOIs a scan would change, and whether a person has to look first. Pure.

Counted are DOIs that DataCite has because of us. New ones are created in any number: that harms nobody.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from syncd.config import BrakeSettings
from syncd.model import Desired, State
from syncd.store.facts import Note, Stored

_HALF_GONE_FROM = 3
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a scan stops, and the option that lets it pass."""

    words: str
    option: str


@dataclass
class Impact:
    """What a scan would do to the DOIs that DataCite has.

    Attributes:
        known: How many there are.
        changed: Whose content, landing page or state would change, or that would be set aside.
        hidden: Of these and of the gone: how many would be hidden or deleted.
        gone: Whose records the platform does not have any more.
        set_aside: The changed ones that could not be sent, by cause.
        attributes: The changed ones by attribute.
        hosts: The changed ones by the host of their landing page, if that was never seen before.
    """

    known: int
    changed: int = 0
    hidden: int = 0
    gone: int = 0
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
        if hides(note, stored):
            self.hidden += 1
        if note.gone:
            self.gone += 1
            return
        self.changed += 1
        if note.quarantine is not None:
            self.set_aside[note.quarantine[0]] += 1
        if desired is None:
            return
        if held is not None:
            names = held.keys() | desired.digests.keys()
            self.attributes.update(name for name in names if held.get(name) != desired.digests.get(name))
        host = host_of(desired.attributes.get("url"))
        if host and hosts and host not in hosts:
            self.hosts[host] += 1


def known(stored: Stored | None) -> bool:
    """Whether DataCite has this DOI, or rightly has not, because of us."""
    return stored is not None and stored.standing is None and (
        stored.synced_digest is not None or stored.synced_state is not State.NONE
    )  # fmt: skip


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


def judge(impact: Impact, limits: BrakeSettings, *, missing: bool, changes: bool) -> Refusal | None:
    """Why a person has to look first; None when nobody has to.

    Args:
        impact: What the scan would do.
        limits: What is unusual.
        missing: Somebody said that records are rightly gone.
        changes: Somebody said that the changes are right.
    """
    hidden = impact.hidden - (impact.gone if missing else 0)
    too_many_hidden = hidden >= limits.at_least and hidden > impact.known * limits.hidden / 100
    too_many_changed = impact.known >= limits.at_least and impact.changed > impact.known * limits.changed / 100
    if too_many_hidden and not changes:
        gone = "; ".join(filter(None, [f"{impact.gone:,} records are gone" if impact.gone else "", _what(impact)]))
        option = "--accept-missing" if impact.gone and not too_many_changed and hidden <= impact.gone else None
        words = f"{hidden:,} of {impact.known:,} known DOIs would be hidden or deleted ({gone})"
        return Refusal(words, option or "--accept-changes")
    if too_many_changed and not changes:
        words = f"{impact.changed:,} of {impact.known:,} known DOIs changed at once ({_what(impact)})"
        return Refusal(words, "--accept-changes")
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
    return "; ".join(parts) or "their states change"


def _most(attributes: Counter[str]) -> Iterable[str]:
    return [f"{name} in {count:,}" for name, count in attributes.most_common(_NAMED)]
