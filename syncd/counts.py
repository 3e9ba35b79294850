"""The numbers of one pass: what its scan saw, and what its sending did."""

import threading
from dataclasses import dataclass, field, fields

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
