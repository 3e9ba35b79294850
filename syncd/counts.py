"""The numbers of one pass and of one comparison: what a scan saw, what sending did, what an audit found."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

COUNTED = ("requests", "accepted", "rejected", "deferred", "unneeded")
"""The numbers of ``SendCounts`` that a run writes down."""


@dataclass
class ScanCounts:
    """What a scan saw."""

    records: int = 0
    without_doi: int = 0
    untouched: int = 0
    touched: int = 0
    changed: int = 0
    gone: int = 0
    set_aside: int = 0

    def and_then(self, later: "ScanCounts") -> "ScanCounts":
        """Of two looks that follow on each other; the later one saw the same records once more."""
        found = {one.name: getattr(self, one.name) + getattr(later, one.name) for one in fields(self)}
        return ScanCounts(**{**found, "records": later.records, "without_doi": later.without_doi})


@dataclass
class SendCounts:
    """What sending did, over all workers.

    Attributes:
        halted: Why DataCite takes nothing of this account; empty when it does.
        paused: The cause of a pause that held or began; empty when there was none.
        trouble: The last trouble of the host, in words.
        struggling: Whether the last answers, or missing ones, were the host's trouble.
    """

    requests: int = 0
    accepted: int = 0
    rejected: int = 0
    deferred: int = 0
    unneeded: int = 0
    halted: str = ""
    paused: str = ""
    trouble: str = ""
    struggling: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, name: str) -> None:
        """One more."""
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)


@dataclass
class AuditCounts:
    """What a comparison saw.

    Attributes:
        listed: DOIs in DataCite's list.
        equal: DOIs that are there as they are wanted, or rightly not there.
        different: DOIs in at least one kind of ``found``.
        waiting: Not compared: changed here, and not sent yet.
        quarantined: Not compared: they stand failed.
        failed_but_public: How many of these DataCite shows to everybody, with what it got last.
        unmapped: Not compared: no desired document can be made of the record.
        found: DOIs by kind.
        attributes: DOIs by attribute that differs.
    """

    pages: int = 0
    requests: int = 0
    listed: int = 0
    equal: int = 0
    different: int = 0
    waiting: int = 0
    quarantined: int = 0
    failed_but_public: int = 0
    unmapped: int = 0
    excluded: int = 0
    foreign: int = 0
    found: Counter[str] = field(default_factory=Counter)
    attributes: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the run's row."""
        return {**asdict(self), "found": dict(self.found), "attributes": dict(self.attributes)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What ``as_json`` made."""
        counted = {name: Counter(document.get(name) or {}) for name in ("found", "attributes")}
        return cls(**{**document, **counted})
