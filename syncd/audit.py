"""Compare every DOI with what DataCite holds, at a thousand DOIs a request, and write nothing there.

::

    copy      DataCite's list ──► syncd_remote, page by page; goes on after an interruption
    compare   platform rows ── map ── equal to the copy? ──► counted; with ``adopt``: in sync from now on
                                   └─ differs ──► one GET ── really? ──► drift
    only there  what no record matched ──► one GET ──► drift

A list comes from an index that lags behind, so nothing counts as different before DataCite's database said so.
``plan.decide`` judges what a difference means: what the cycle would send is what differs.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from syncd.counts import AuditCounts
from syncd.cycle import Parts
from syncd.datacite.normal import fingerprints
from syncd.datacite.remote import Remote
from syncd.datacite.validation import looks_like_doi, owned
from syncd.drift import KINDS, absent, difference, held_as, orphan
from syncd.errors import BusyError, StoppedError, UnreachableError
from syncd.inquiry import Inquiry
from syncd.limiter import Limiter
from syncd.model import MANAGED_ATTRIBUTES, Desired, Held, Problem, Row, State
from syncd.plan import Nothing, Policy, decide
from syncd.store.copies import Copy, Drift
from syncd.store.facts import EXCLUDED, FOREIGN, GONE_DIGEST, Confirmed, Stored

_log = structlog.get_logger()

_INDEX_LAG = timedelta(hours=1)
"""A list may be so much older than it is: what was sent within this time before it began is better evidence."""

_LEASE = timedelta(minutes=5)
_COPY_VALID = timedelta(hours=24)
_ASK_AT_ONCE = 200
_FEW_MISSING, _SHARE_MISSING = 10, 0.01
_FEW_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Suspect:
    """A DOI that a list shows otherwise than it is wanted, or not at all."""

    stored: Stored | None
    doi: str
    desired: Desired | None


class Audit:
    """One comparison of an account with DataCite; ``adopt`` also takes over what is equal."""

    def __init__(self, parts: Parts, limiter: Limiter, *, adopt: bool) -> None:
        self._parts = parts
        self._adopt = adopt
        self._store = parts.store
        self._account = parts.account
        source = parts.account.source
        self._policy = Policy(source.withdrawn_drafts == "keep", source.hide_reason)
        self._inquiry = Inquiry(
            parts.account.id, parts.store, limiter, parts.client, parts.clock,
            chance=parts.chance, stopping=parts.stopping,
        )  # fmt: skip
        self.counts = AuditCounts()
        self._listed_at = datetime.min.replace(tzinfo=UTC)
        self._new_account = False
        self._asked_in_vain = 0

    def run(self, then: Callable[[AuditCounts], None] = lambda _counts: None) -> AuditCounts:
        """Compare everything.

        Args:
            then: What belongs to it: it is not done before that is, so that it is made up for after a crash.

        Raises:
            BusyError: Another process compares this account.
            SyncdError: It could not be finished; the copied pages stay, and the next run goes on there.
        """
        lease = f"audit:{self._account.id}"
        runs = self._store.runs
        if not runs.take_lease(lease, self._parts.process, _LEASE):
            raise BusyError(f"another process compares {self._account.id} now", hint="try again in a few minutes")
        run = runs.begin(self._account.id, "adopt" if self._adopt else "audit", at_once=True)
        result = "failed"
        try:
            self._copy(lease)
            known = self.counts.listed or self._store.weights.before(self._account.id).known
            self._new_account = self._adopt and not known
            self._store.copies.forget_drift(self._account.id)
            self._compare(lease)
            self._look_for_orphans(lease)
            self._store.copies.drop(self._account.id)
            if self._adopt:
                self._store.bindings.mark_adopted(self._account.id)
            then(self.counts)
            result = "done"
        finally:
            self.counts.requests = self._inquiry.requests
            run.end(result, self.counts.as_json())
            runs.release_lease(lease, self._parts.process)
        _log.info("audit.finished", account=self._account.id, **self.counts.as_json())
        return self.counts

    def _keep(self, lease: str) -> None:
        if self._parts.stopping():
            raise StoppedError("stopped", hint="the same command goes on where this one ended")
        if not self._store.runs.take_lease(lease, self._parts.process, _LEASE):
            raise BusyError(f"the lease of this comparison of {self._account.id} was lost", hint="run it again")

    # What DataCite's list says.

    def _copy(self, lease: str) -> None:
        copies = self._store.copies
        listing = copies.begin(self._account.id, valid_for=_COPY_VALID)
        self._listed_at = listing.started_at - _INDEX_LAG
        cursor = listing.cursor
        if listing.pages:
            _log.info("audit.resumed", account=self._account.id, pages=listing.pages)
        while True:
            page = self._inquiry.page(cursor)
            self._keep(lease)
            new = copies.keep(self._account.id, [_copied(one) for one in page.items], page.cursor, page.total)
            self.counts.pages += 1
            self.counts.listed = copies.count(self._account.id)
            self._parts.tell(self.counts)
            if page.items and not new and page.cursor is not None:
                # A cursor that DataCite cannot read begins the list anew, without a word (datacite-api 8).
                raise UnreachableError("DataCite's list begins again and again", hint="run the command again later")
            if page.cursor is None:
                self._refuse_a_part(page.total)
                return
            cursor = page.cursor

    def _refuse_a_part(self, total: int | None) -> None:
        """A list that ends early is no proof that DOIs are not there.

        Raises:
            UnreachableError: It has notably fewer DOIs than DataCite counts.
        """
        missing = (total or 0) - self.counts.listed
        if missing > max(_FEW_MISSING, (total or 0) * _SHARE_MISSING):
            self._store.copies.forget(self._account.id)
            raise UnreachableError(
                f"DataCite counts {total:,} DOIs of {self._account.id}, and its list had {self.counts.listed:,}",
                hint="run the command again; if it lasts, report it to DataCite support",
            )

    # What the platform says.

    def _compare(self, lease: str) -> None:
        suspects: list[Suspect] = []
        for rows in self._parts.platform.all():
            self._keep(lease)
            comparable = [row for row in rows if looks_like_doi(row.doi)]
            self.counts.unmapped += sum(bool(row.doi) for row in rows) - len(comparable)
            suspects += self._compare_page(comparable)
            if len(suspects) >= _ASK_AT_ONCE:
                self._confirm(suspects)
                suspects = []
        self._confirm(suspects)

    def _compare_page(self, rows: Sequence[Row]) -> list[Suspect]:
        names = [row.doi for row in rows]
        stored = self._store.dois.of_dois(self._account.id, names)
        copies = self._store.copies.of_dois(self._account.id, names)
        self._store.copies.match(self._account.id, list(copies))
        suspects: list[Suspect] = []
        equal: list[Confirmed] = []
        for row in rows:
            ours = stored.get(row.doi)
            desired = self._comparable(row, ours)
            copy = copies.get(row.doi)
            if ours is not None and ours.quarantined_digest is not None and copy is not None:
                self.counts.failed_but_public += copy.state is State.FINDABLE
            if ours is None or desired is None:
                continue
            held = held_as(copy.state, copy.resolves, copy.fingerprints, desired) if copy else Held()
            settled = isinstance(decide(held, desired, self._policy), Nothing)
            # That DataCite rightly has nothing of a DOI, a list alone does not prove.
            if not settled and self._new_account:
                self.counts.waiting += 1  # to be sent whatever DataCite says of it, so sending may find that out
            elif settled and (copy is not None or not self._adopt or self._asked_in_vain >= _ASK_AT_ONCE):
                version = copy.version if copy else None
                equal.append(Confirmed(ours.id, ours.desired_digest, held, True, self._listed_at, version))
            else:
                suspects.append(Suspect(ours, row.doi, desired))
        self._equal(equal)
        return suspects

    def _comparable(self, row: Row, ours: Stored | None) -> Desired | None:
        """What DataCite should hold for this record now; None, counted, when that is not to be compared."""
        counts = self.counts
        if ours is None:
            counts.waiting += 1  # newer than the last scan
        elif ours.record_key != row.key:
            pass  # the second record of a DOI, which is counted with the first
        elif ours.quarantined_digest is not None and not self._adopt:
            counts.quarantined += 1
        elif ours.standing == FOREIGN:
            counts.foreign += 1
        elif ours.standing == EXCLUDED:
            counts.excluded += 1
        else:
            desired = self._parts.platform.map(row)
            if isinstance(desired, Problem):
                counts.unmapped += 1
            elif desired.digest != ours.desired_digest or not (self._adopt or ours.in_sync):
                counts.waiting += 1
            else:
                return desired
        return None

    def _equal(self, equal: Sequence[Confirmed]) -> None:
        self.counts.equal += len(equal)
        if self._adopt:
            self._store.dois.confirm(equal)

    # What no record matched.

    def _look_for_orphans(self, lease: str) -> None:
        for page in self._store.copies.unmatched(self._account.id):
            self._keep(lease)
            stored = self._store.dois.of_dois(self._account.id, [one.doi for one in page])
            suspects = [self._orphan(one, stored.get(one.doi)) for one in page]
            self._confirm([one for one in suspects if one is not None])

    def _orphan(self, copy: Copy, ours: Stored | None) -> Suspect | None:
        if not owned(copy.doi, self._account.prefixes):
            self.counts.foreign += 1
            return None
        if ours is None:
            return Suspect(None, copy.doi, None)
        if ours.standing == EXCLUDED:
            self.counts.excluded += 1
            return None
        if ours.desired_digest != GONE_DIGEST or not (self._adopt or ours.in_sync):
            self.counts.waiting += 1
            return None
        gone = Desired(copy.doi, State.NONE, {}, GONE_DIGEST, {})
        held = held_as(copy.state, copy.resolves, copy.fingerprints, gone)
        if isinstance(decide(held, gone, self._policy), Nothing):
            self._equal([Confirmed(ours.id, ours.desired_digest, held, True, self._listed_at, copy.version)])
            return None
        return Suspect(ours, copy.doi, gone)

    # DataCite's database has the last word.

    def _confirm(self, suspects: Sequence[Suspect]) -> None:
        """Ask for each one, with several workers at once, and write down what really differs."""
        asked_at = self._store.database.moment()
        answers = self._ask(suspects)
        if self._new_account and not any(answers.values()):
            self._asked_in_vain += len(suspects)  # hundreds in a row prove that the list is right to be empty
        equal: list[Confirmed] = []
        different: list[Confirmed] = []
        drifts: list[Drift] = []
        for suspect in suspects:
            remote = answers[suspect.doi]
            drift, confirmed = self._judge(suspect, remote, asked_at)
            if drift is not None:
                drifts.append(drift)
            if confirmed is not None:
                (equal if confirmed.done else different).append(confirmed)
        self._equal(equal)
        if self._adopt:
            self._store.dois.confirm(different)
        self._store.copies.found(self._account.id, drifts)
        for one in drifts:
            self.counts.different += 1
            self.counts.found.update(one.kinds)
            self.counts.attributes.update(name for name in one.attributes if name in MANAGED_ATTRIBUTES)
        self._parts.tell(self.counts)

    def _ask(self, suspects: Sequence[Suspect]) -> dict[str, Remote | None]:
        waiting = deque(suspects)
        answers: dict[str, Remote | None] = {}

        def work() -> None:
            while waiting:
                try:
                    suspect = waiting.popleft()
                except IndexError:
                    return  # another worker was quicker
                answers[suspect.doi] = self._inquiry.one(suspect.doi)

        if suspects:
            self._parts.together(work, min(self._parts.datacite.workers, len(suspects)))
        if None in answers.values():
            # A password that is not accepted any more reads like a DOI that is not there.
            self._inquiry.page(None, size=1)
        return answers

    def _judge(self, suspect: Suspect, remote: Remote | None, at: datetime) -> tuple[Drift | None, Confirmed | None]:
        ours, desired = suspect.stored, suspect.desired
        mine = remote is not None and remote.owner == self._account.id
        if ours is None or desired is None:
            if remote is None or not mine:
                return None, None  # only the index knew it still
            return orphan(remote), None
        if remote is None or not mine:
            if remote is None and isinstance(decide(Held(), desired, self._policy), Nothing):
                return None, Confirmed(ours.id, ours.desired_digest, Held(), True, at)
            return absent(ours, remote), Confirmed(ours.id, ours.desired_digest, Held(), False, at)
        held = held_as(remote.state, remote.resolves, fingerprints(remote.attributes), desired)
        drift = difference(held, desired, remote, self._policy)
        if drift is not None and ours.version is not None and (remote.version or 0) > ours.version:
            words = (
                f"{drift.words}; somebody else wrote it: metadataVersion {remote.version}, after ours {ours.version}"
            )
            drift = replace(drift, words=words)
        return drift, Confirmed(ours.id, ours.desired_digest, held, drift is None, at, remote.version)


def compare_one(parts: Parts, limiter: Limiter, doi: str, record_key: str) -> Drift | str:
    """What differs for one DOI now, or in words why nothing does, or why it cannot be said.

    Raises:
        CredentialsError: DataCite does not accept the account's credentials.
        UnreachableError: It does not answer.
    """
    source = parts.account.source
    policy = Policy(source.withdrawn_drafts == "keep", source.hide_reason)
    row = parts.platform.one(record_key)
    desired = parts.platform.map(row) if row is not None and row.doi == doi else None
    if isinstance(desired, Problem):
        return f"the record cannot be compared: {desired}"
    desired = desired or Desired(doi, State.NONE, {}, GONE_DIGEST, {})
    inquiry = Inquiry(
        parts.account.id, parts.store, limiter, parts.client, parts.clock,
        chance=parts.chance, stopping=parts.stopping, attempts=_FEW_ATTEMPTS,
    )  # fmt: skip
    inquiry.page(None, size=1)  # only a list tells that the credentials work
    remote = inquiry.one(doi)
    if remote is None:
        wanted = isinstance(decide(Held(), desired, policy), Nothing)
        return "rightly, DataCite does not have it" if wanted else Drift(doi, ("missing",), {}, KINDS["missing"])
    if remote.owner != parts.account.id:
        return Drift(doi, ("moved",), {}, f"it belongs to {remote.owner}", remote.version)
    held = held_as(remote.state, remote.resolves, fingerprints(remote.attributes), desired)
    found = difference(held, desired, remote, policy)
    return found or f"DataCite holds it as it should be: {remote.state}, metadataVersion {remote.version}"


def _copied(remote: Remote) -> Copy:
    return Copy(remote.doi, remote.state, remote.resolves, remote.version, fingerprints(remote.attributes))
