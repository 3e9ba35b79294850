"""Compare every record with what we noted of it, and note what differs.

A record whose raw row is known costs one comparison of digests: it is not decoded, not mapped, not written.
What was seen is kept as one bit per row of ours, not as keys; so the platform's sort order does not matter,
and five million records need 600 kB. After a full scan, a row of ours without its bit is a record that is gone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from syncd.brake import NOBODY, Consent, Impact, Refusal, apart, emptied, host_of, judge, known
from syncd.causes import CAUSES
from syncd.clock import Clock
from syncd.config import USUAL, AccountSettings, BrakeSettings
from syncd.datacite.validation import doi_problem, looks_like_doi, owned
from syncd.errors import BusyError, SafetyError
from syncd.model import Desired, Problem, Row, State
from syncd.platforms import Platform
from syncd.store import Store
from syncd.store.facts import FOREIGN, GONE_DIGEST, LANE_BACKFILL, LANE_STATE, LANE_UPDATE, Note, Stored

_log = structlog.get_logger()
_LEASE = timedelta(minutes=2)
_HELD_BACK = 1000
_NOTES_AT_ONCE = 1000
_MASS_FROM = 300
DUPLICATE = "doi_duplicate"


@dataclass(frozen=True, slots=True)
class Finding:
    """One record that differs from what we noted.

    Attributes:
        note: What is to be remembered.
        stored: Our row so far; None for a DOI that is new to us.
        desired: What DataCite should hold; None when the mapping could not say.
    """

    note: Note
    stored: Stored | None
    desired: Desired | None

    @property
    def same_content(self) -> bool:
        """Whether only the raw row differs: the record was touched, what DataCite should hold was not."""
        stored, note = self.stored, self.note
        return (
            stored is not None
            and note.quarantine is None
            and not note.judge_again
            and (stored.desired_digest, stored.record_key, stored.standing, stored.rival_key)
            == (note.desired_digest, note.record_key, note.standing, None)
        )

    @property
    def waits(self) -> bool:
        """Whether it is noted only when the brake let the whole scan pass: it changes a row of ours."""
        return self.stored is not None and not self.same_content

    @property
    def weighs(self) -> bool:
        """Whether something would change for a DOI that DataCite has because of us."""
        same = self.note.quarantine is None and self.stored is not None and (
            self.note.desired_digest == self.stored.synced_digest
        )  # fmt: skip
        return known(self.stored) and not self.same_content and not same and self.note.standing is None


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


class Scan:
    """One look at a platform's records."""

    def __init__(
        self,
        account: AccountSettings,
        platform: Platform,
        store: Store,
        clock: Clock,
        limits: BrakeSettings = USUAL,
    ) -> None:
        self._account = account
        self._limits = limits
        self._clock = clock
        self._leased_at = 0.0
        self._platform = platform
        self._store = store
        self.counts = ScanCounts()
        self.impact = Impact(0)
        self._hosts: frozenset[str] = frozenset()
        self._weighed = False
        self._seen = _Seen(0)
        self._found = 0
        self._noted = 0
        self._new_hosts: set[str] = set()

    def differences(self, *, full: bool, since: object = None, again: bool = False) -> Iterator[list[Finding]]:
        """What differs, page by page; nothing is written.

        Args:
            full: Look at all records, and so find the ones that are gone as well.
            since: Otherwise: the watermark from which changes are asked for.
            again: The same look once more, which is not counted.
        """
        counted = self.counts
        if again:
            self.counts = ScanCounts()
        self._found = 0
        if full and not again:
            self._look_at_what_weighs()
        pages = self._platform.all() if full else self._platform.changed(since)
        if full:
            self._seen = _Seen(self._store.dois.highest_id(self._account.id))
        asked_at = self._clock.monotonic()
        for page in pages:
            findings = self._examine(page)
            if self._clock.monotonic() - asked_at > _LEASE.total_seconds():
                # Somebody else may have scanned since: what is compared with must not be newer than what was read.
                findings = [now for one in findings if (now := self._asked_again(one, one.stored)) is not None]
            self._count(findings)
            yield findings
            asked_at = self._clock.monotonic()
        if full:
            yield from self._gone()
        if again:
            self.counts = counted

    def run(
        self,
        *,
        full: bool,
        since: object,
        holder: str,
        consent: Consent = NOBODY,
        stopping: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Note everything that differs; False when the program is to stop before the end.

        Raises:
            BusyError: Another process scans this account.
            SafetyError: The platform suddenly has no records, or so much would change that a person has to look.
        """
        lease = f"scan:{self._account.id}"
        runs = self._store.runs
        if not full and self._nothing_new(since):
            return True  # the usual end of a quick look: nothing is written, not even a lease
        self._leased_at = self._clock.monotonic()
        if not runs.take_lease(lease, holder, _LEASE):
            raise BusyError(f"another process scans {self._account.id} now", hint="try again in a few minutes")
        try:
            held_back, again = [], False
            for findings in self.differences(full=full, since=since):
                self._stay(lease, holder)
                self._weigh(findings, self.impact)
                # A scan that is braked leaves no mark on what was there before it.
                self._note([one for one in findings if not one.waits])
                held_back += [] if again else [one for one in findings if one.waits]
                if len(held_back) > _HELD_BACK:
                    held_back, again = [], True  # too many to keep: they are looked for once more
                if stopping():
                    return False
            self._refuse(self.harm(consent))
            for findings in self._once_more(full=full, since=since) if again else [held_back]:
                self._stay(lease, holder)
                self._note(self._still_so(findings))
                if stopping():
                    return False
            if consent.given and consent.remembered:
                self._store.weights.let_pass(self._account.id)
            self._remember_hosts()
            return True
        finally:
            runs.release_lease(lease, holder)

    def _once_more(self, *, full: bool, since: object) -> Iterator[list[Finding]]:
        """The same look, not counted, and only as long as it finds about the same.

        Raises:
            SafetyError: It finds notably more, so what was judged is not what is there.
        """
        second = Impact(self.impact.known)
        for findings in self.differences(full=full, since=since, again=True):
            self._weigh(findings, second)
            self._refuse(apart(self.impact, second, self._limits))
            yield findings

    def _still_so(self, findings: Sequence[Finding]) -> list[Finding]:
        """What was held back, as it is now: where a worker settled something newer, the record is asked again.

        Otherwise an older reading would be noted over a newer one, and lift what was refused with it.
        """
        rows = self._store.dois.of_ids([one.stored.id for one in findings if one.stored is not None])
        now = {row.id: row for row in rows}
        kept: list[Finding] = []
        for one in findings:
            before, current = one.stored, now.get(one.stored.id) if one.stored is not None else None
            if before is None or (current is not None and before.noted == current.noted):
                kept.append(one)
                continue
            again = None if current is None else self._asked_again(one, current)
            kept += [] if again is None else [again]
        return kept

    def _asked_again(self, one: Finding, current: Stored | None) -> Finding | None:
        """The same record as the platform has it now; None when it is not there, which only a whole look may say."""
        row = self._platform.one(one.note.record_key)
        return None if row is None or row.doi != one.note.doi else self._finding(row, current, None)

    def _weigh(self, findings: Sequence[Finding], impact: Impact) -> None:
        """Add what these findings would change at DataCite."""
        heavy = [one for one in findings if one.weighs]
        if not heavy:
            return
        if not self._weighed:
            self._look_at_what_weighs()
            impact = self.impact
        held = self._store.dois.held(self._account.id, [one.note.doi for one in heavy])
        for one in heavy:
            if one.stored is not None:
                digests = held[one.note.doi].digests if one.note.doi in held else None
                impact.add(one.note, one.stored, one.desired, digests, self._hosts)

    def _look_at_what_weighs(self) -> None:
        """What the brake knows before the scan; a quick look that finds nothing does not ask."""
        before = self._store.weights.before(self._account.id)
        self.impact = Impact(before.known, changed_before=before.changed, hidden_before=before.hidden)
        self._hosts = self._store.bindings.hosts(self._account.id)
        self._weighed = True

    def weighed(self) -> Iterator[list[Finding]]:
        """Every difference of a full look, weighed into ``impact``; nothing is written."""
        for findings in self.differences(full=True):
            self._weigh(findings, self.impact)
            yield findings

    def harm(self, consent: Consent) -> Refusal | None:
        """Why a person has to look first, before anything is noted that changes more at DataCite than is usual."""
        gone = None if consent.missing else emptied(self.counts.gone, self._found)
        return gone or judge(self.impact, self._limits, consent)

    def _refuse(self, refusal: Refusal | None) -> None:
        if refusal is None:
            return
        account = self._account.id
        way = f"; if it is right: syncd sync --account {account} {refusal.option}" if refusal.option else ""
        raise SafetyError(f"{account}: {refusal.words}: nothing is sent", hint=f"syncd plan shows it{way}")

    def _remember_hosts(self) -> None:
        if self._new_hosts:
            self._store.bindings.remember_hosts(self._account.id, self._new_hosts)

    def _nothing_new(self, since: object) -> bool:
        look = Scan(self._account, self._platform, self._store, self._clock)
        if any(look.differences(full=False, since=since)):
            return False
        self.counts.records = self.counts.untouched = look.counts.records
        return True

    def _stay(self, lease: str, holder: str) -> None:
        """Stay the only one, without a write for every page.

        Raises:
            BusyError: Another process scans this account now.
        """
        if self._clock.monotonic() - self._leased_at < _LEASE.total_seconds() / 4:
            return
        self._leased_at = self._clock.monotonic()
        if not self._store.runs.take_lease(lease, holder, _LEASE):
            raise BusyError(f"the lease of this scan of {self._account.id} was lost", hint="run it again")

    def _examine(self, page: Sequence[Row]) -> list[Finding]:
        self.counts.records += len(page)
        rows = [row for row in page if row.doi]
        self.counts.without_doi += len(page) - len(rows)
        known = self._store.dois.of_records(self._account.id, [row.key for row in rows])
        candidates = []
        for row in rows:
            stored = next((one for one in known.get(row.key, ()) if one.doi == row.doi), None)
            if stored is not None:
                self._seen.add(stored.id)
                if stored.row_digest == row.digest and stored.rival_key is None:
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
            return replace(earlier, note=_contested(earlier.note, row.key), desired=None)
        if stored is not None:
            self._seen.add(stored.id)
            rival = self._rival(row, stored)
            if rival is not None:
                if stored.cause == DUPLICATE:
                    return None  # said before
                mine = Note(row.doi, stored.record_key, None, None, State.NONE)
                return Finding(_contested(mine, rival), stored, None)
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
            self._found += len(page) - gone
        if not self.counts.gone:
            return
        for page in self._ours():
            unseen = [row_id for row_id in page if row_id not in self._seen]
            for chunk in range(0, len(unseen), _NOTES_AT_ONCE):
                rows = self._store.dois.of_ids(unseen[chunk : chunk + _NOTES_AT_ONCE])
                yield [Finding(_gone_note(stored), stored, None) for stored in rows]

    def _ours(self) -> Iterator[Sequence[int]]:
        return self._store.dois.present(self._account.id, self._seen.highest)

    def _count(self, findings: Sequence[Finding]) -> None:
        changed = [one for one in findings if not one.same_content]
        self.counts.touched += len(findings) - len(changed)
        self.counts.changed += sum(not one.note.gone for one in changed)
        self.counts.set_aside += sum(one.note.quarantine is not None for one in changed)
        self._new_hosts |= {
            host for one in changed if one.desired and (host := host_of(one.desired.attributes.get("url")))
        }

    def _note(self, findings: Sequence[Finding]) -> None:
        touched = [one for one in findings if one.same_content]
        changed = [one for one in findings if not one.same_content]
        changed = [_in_lane(one, self._noted + number) for number, one in enumerate(changed)]
        self._noted += len(changed)
        strangers = [
            one.stored.id for one in changed if one.note.gone and one.stored and one.stored.standing == FOREIGN
        ]
        if strangers:
            self._store.dois.forget(strangers)
            changed = [one for one in changed if not (one.stored and one.stored.id in strangers)]
        self._store.dois.touch([(one.stored, one.note.row_digest or "") for one in touched if one.stored])
        if changed:
            self._store.dois.note(self._account.id, [(one.note, one.stored) for one in changed])


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


def _in_lane(finding: Finding, before: int) -> Finding:
    """What a scan finds beyond the usual is mass work and waits behind it; what is to be hidden never waits.

    Args:
        finding: What differs.
        before: How many the scan had found before this one.
    """
    note = finding.note
    hides = note.lane == LANE_STATE and note.desired_state is not State.FINDABLE
    if before < _MASS_FROM or note.gone or hides:
        return finding
    return replace(finding, note=replace(note, lane=LANE_BACKFILL))


def note_of(row: Row, mapped: Desired | Problem, stored: Stored | None, account: AccountSettings) -> Note:
    """What to remember of a row. Pure."""
    held = stored.synced_state if stored else State.NONE
    if not looks_like_doi(row.doi):
        problem = doi_problem(row.doi) or Problem("doi_invalid", f"{row.doi} is no DOI", "doi")
        return Note(row.doi, row.key, row.digest, None, State.NONE, quarantine=(problem.cause, str(problem)))
    if not owned(row.doi, account.prefixes):
        return Note(row.doi, row.key, row.digest, None, State.NONE, standing=FOREIGN)
    if isinstance(mapped, Desired) and held is State.NONE and mapped.state is not State.NONE:
        mapped = doi_problem(row.doi) or mapped
    if isinstance(mapped, Problem):
        quarantine = (mapped.cause, str(mapped))
        return Note(row.doi, row.key, row.digest, None, State.NONE, quarantine=quarantine)
    # Whatever becomes visible or invisible goes before corrections.
    visibility = State.FINDABLE in (held, mapped.state) and held is not mapped.state
    lane = LANE_STATE if visibility else LANE_UPDATE
    # Our own refusal may be another one now: the domains, the mapping or this program may have changed.
    again = stored is not None and stored.cause is not None and CAUSES[stored.cause].ours
    return Note(row.doi, row.key, row.digest, mapped.digest, mapped.state, lane, judge_again=again)


def _gone_note(stored: Stored) -> Note:
    return Note(stored.doi, stored.record_key, None, GONE_DIGEST, State.NONE, LANE_STATE, gone=True)


def _contested(note: Note, rival: str) -> Note:
    """Two records claim one DOI: neither is sent until one of them gives it up."""
    message = f"{note.doi} is claimed by the records {note.record_key} and {rival}"
    return replace(note, row_digest=None, desired_digest=None, rival_key=rival, quarantine=(DUPLICATE, message))
