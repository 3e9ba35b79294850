"""Compare every record with what we noted of it; nothing is written.

There are three ways to look. A *full* look reads every record. An *outline* look reads of every record only what is
cheap, and those records whose outline is not the noted one. A *changed* look asks for the records whose timestamps
moved: the quickest, and no proof. Only the first two see what is gone.

A record whose raw row is known costs one comparison of digests: it is not decoded, not mapped, not written.
What was seen is kept as one bit per row of ours, not as keys; so the platform's sort order does not matter,
and five million records need 600 kB. After a full look, a row of ours without its bit is a record that is gone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from syncd.brake import host_of
from syncd.clock import Clock
from syncd.counts import ScanCounts
from syncd.finding import DUPLICATE, Finding, contested, gone_note, note_of
from syncd.model import Desired, Outline, Row, State
from syncd.platforms import Platform
from syncd.settings import AccountSettings
from syncd.store import Store
from syncd.store.facts import Note, Stored

FULL, OUTLINE, CHANGED = "full", "outline", "changed"

LEASE = timedelta(seconds=25)
"""How long a scan is the only one without saying so again; what was read longer ago may be overtaken.

After a kill the next one has to wait for so long."""

_ROWS_AT_ONCE = 1000


class Look:
    """One look at a platform's records.

    Attributes:
        counts: What it saw so far.
        found: How many rows of ours it saw; known when a full look counted what is gone.
        hosts: Those of the landing pages of everything that differs.
    """

    def __init__(self, account: AccountSettings, platform: Platform, store: Store, clock: Clock) -> None:
        self._account = account
        self._platform = platform
        self._store = store
        self._clock = clock
        self._seen = _Seen(0)
        self.counts = ScanCounts()
        self.found = 0
        self.hosts: set[str] = set()

    def differences(self, kind: str, since: object = None) -> Iterator[list[Finding]]:
        """What differs, page by page.

        Args:
            kind: ``FULL``, ``OUTLINE`` or ``CHANGED``.
            since: For the last one: the watermark from which changes are asked for.
        """
        if kind != CHANGED:
            self._seen = _Seen(self._store.dois.highest_id(self._account.id))
        asked_at = self._clock.monotonic()
        for page in self._pages(kind, since):
            findings = self._examine(page)
            if self._clock.monotonic() - asked_at > LEASE.total_seconds():
                # Somebody else may have scanned since: what is compared with must not be newer than what was read.
                findings = [now for one in findings if (now := self.asked_again(one, one.stored)) is not None]
            self._count(findings)
            yield findings
            asked_at = self._clock.monotonic()
        if kind != CHANGED:
            yield from self._gone()

    def _pages(self, kind: str, since: object) -> Iterator[list[Row]]:
        if kind == FULL:
            return self._platform.all()
        return self._platform.changed(since) if kind == CHANGED else self._outlined()

    def _outlined(self) -> Iterator[list[Row]]:
        """The records whose outline is not the one that was noted, in pages."""
        for page in self._platform.outlines():
            known = self._store.dois.of_records(self._account.id, [one.key for one in page])
            unlike = [one.key for one in page if not self._as_noted(one, known.get(one.key, ()))]
            self.counts.records += len(page) - len(unlike)
            self.counts.untouched += len(page) - len(unlike)
            # An empty page as well: whoever looks goes on with its lease, and may be told to stop.
            yield self._platform.some(unlike) if unlike else []

    def _as_noted(self, outline: Outline, known: Sequence[Stored]) -> bool:
        stored = next((one for one in known if one.doi == outline.doi), None)
        if stored is None:
            return False
        self._seen.add(stored.id)
        return stored.signature == outline.signature and stored.row_digest is not None and stored.rival_key is None

    def asked_again(self, one: Finding, current: Stored | None) -> Finding | None:
        """The same record as the platform has it now; None when it is not there, which only a whole look may say."""
        row = self._platform.one(one.note.record_key)
        return None if row is None or row.doi != one.note.doi else self._finding(row, current, None)

    def _examine(self, page: Sequence[Row]) -> list[Finding]:
        if not page:
            return []
        self.counts.records += len(page)
        rows = [row for row in page if row.doi]
        self.counts.without_doi += len(page) - len(rows)
        known = self._store.dois.of_records(self._account.id, [row.key for row in rows])
        candidates = []
        for row in rows:
            stored = next((one for one in known.get(row.key, ()) if one.doi == row.doi), None)
            if stored is not None:
                self._seen.add(stored.id)
                noted = (stored.row_digest, stored.signature, stored.rival_key)
                if noted == (row.digest, row.signature, None):
                    self.counts.untouched += 1
                    continue
            candidates.append((row, stored))
        return self._findings(candidates)

    def _findings(self, candidates: Sequence[tuple[Row, Stored | None]]) -> list[Finding]:
        strangers = [row.doi for row, stored in candidates if stored is None]
        others = self._store.dois.of_dois(self._account.id, strangers)
        found: dict[str, Finding] = {}
        for row, stored in candidates:
            finding = self._finding(row, stored or others.get(row.doi), found.get(row.doi))
            if finding is not None:
                found[row.doi] = finding
        return list(found.values())

    def _finding(self, row: Row, stored: Stored | None, earlier: Finding | None) -> Finding | None:
        """What a row that is new or different means; None when it says nothing that we do not know."""
        if earlier is not None:
            if row.key in (earlier.note.record_key, earlier.note.rival_key):
                return earlier  # it is one of the two that were named
            return replace(earlier, note=contested(earlier.note, row.key), desired=None)
        if stored is not None:
            self._seen.add(stored.id)
            rival = self._rival(row, stored)
            if rival is not None:
                if stored.cause == DUPLICATE:
                    return None  # said before
                mine = Note(row.doi, stored.record_key, None, None, State.NONE)
                return Finding(contested(mine, rival), stored, None)
        mapped = self._platform.map(row)
        note = note_of(row, mapped, stored, self._account)
        return Finding(note, stored, mapped if isinstance(mapped, Desired) else None)

    def _rival(self, row: Row, stored: Stored) -> str | None:
        """The record beside the noted one that claims the same DOI now; None when there is only one.

        A row of ours names the record that had the DOI first, and its rival if there is one. ``row`` is one
        of the two, or a newcomer; the other one is asked whether it still has the DOI.
        """
        other = stored.rival_key if row.key == stored.record_key else stored.record_key
        if other is None or other == row.key:
            return None
        found = self._platform.one(other)
        if found is None or found.doi != row.doi:
            return None
        return row.key if other == stored.record_key else other

    def _gone(self) -> Iterator[list[Finding]]:
        """Our rows that the platform did not show: counted first, so that too many can stop the run."""
        for page in self._ours():
            gone = sum(row_id not in self._seen for row_id in page)
            self.counts.gone += gone
            self.found += len(page) - gone
        if not self.counts.gone:
            return
        for page in self._ours():
            unseen = [row_id for row_id in page if row_id not in self._seen]
            for chunk in range(0, len(unseen), _ROWS_AT_ONCE):
                rows = self._store.dois.of_ids(unseen[chunk : chunk + _ROWS_AT_ONCE])
                yield [Finding(gone_note(stored), stored, None) for stored in rows]

    def _ours(self) -> Iterator[Sequence[int]]:
        return self._store.dois.present(self._account.id, self._seen.highest)

    def _count(self, findings: Sequence[Finding]) -> None:
        changed = [one for one in findings if not one.same_content]
        self.counts.touched += len(findings) - len(changed)
        self.counts.changed += sum(not one.note.gone for one in changed)
        self.counts.set_aside += sum(one.note.quarantine is not None for one in changed)
        self.hosts |= {host for one in changed if one.desired and (host := host_of(one.desired.attributes.get("url")))}


class _Seen:
    """One bit for each row of ours up to the highest that existed when the scan began."""

    def __init__(self, highest: int) -> None:
        self.highest = highest
        self._bits = bytearray(highest // 8 + 1)

    def add(self, row_id: int) -> None:
        if row_id <= self.highest:
            self._bits[row_id >> 3] |= 1 << (row_id & 7)

    def __contains__(self, row_id: int) -> bool:
        return bool(self._bits[row_id >> 3] & 1 << (row_id & 7))
