"""Note what differs, unless so much would change that a person has to look first (``brake``).

A scan that is braked leaves no mark on what was there before it: findings about rows of ours are held back until
the whole look was judged. Only one process scans an account at a time.
"""

from collections.abc import Callable, Iterator, Sequence

from syncd.brake import NOBODY, Consent, Impact, Refusal, apart, emptied, judge
from syncd.clock import Clock
from syncd.counts import ScanCounts
from syncd.errors import BusyError, SafetyError
from syncd.finding import Finding, in_lane
from syncd.look import CHANGED, FULL, LEASE, Look
from syncd.platforms import Platform
from syncd.settings import USUAL, AccountSettings, BrakeSettings
from syncd.store import Store
from syncd.store.facts import FOREIGN
from syncd.store.leases import Lease

_HELD_BACK = 1000


class Scan:
    """One scan of one account."""

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
        self._look = self._new_look()
        self.impact = Impact(0)
        self._hosts: frozenset[str] = frozenset()
        self._weighed = False
        self._noted = 0
        self._lease: Lease | None = None

    @property
    def counts(self) -> ScanCounts:
        """What it saw so far."""
        return self._look.counts

    def _new_look(self) -> Look:
        return Look(self._account, self._platform, self._store, self._clock)

    def run(
        self,
        kind: str,
        *,
        since: object,
        holder: str,
        consent: Consent = NOBODY,
        stopping: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Note everything that a look of this kind finds; False when the program is to stop before the end.

        Raises:
            BusyError: Another process scans this account.
            SafetyError: The platform suddenly has no records, or so much would change that a person has to look.
        """
        runs = self._store.runs
        self._lease = lease = Lease(f"scan:{self._account.id}", holder, LEASE)
        if kind == CHANGED and (quiet := self._quiet(since, stopping)) is not None:
            return quiet  # the usual end of a quick look: nothing is written, not even a lease
        self._leased_at = self._clock.monotonic()
        if not runs.take_lease(lease.name, holder, LEASE):
            raise BusyError(f"another process scans {self._account.id} now", hint="try again in a few minutes")
        try:
            held_back, again = [], False
            for findings in self._weighed_differences(kind, since):
                self._stay()
                # A scan that is braked leaves no mark on what was there before it.
                self._note([one for one in findings if not one.waits])
                held_back += [] if again else [one for one in findings if one.waits]
                if len(held_back) > _HELD_BACK:
                    held_back, again = [], True  # too many to keep: they are looked for once more
                if stopping():
                    return False
            self._refuse(self.harm(consent))
            for findings in self._once_more(kind, since) if again else [held_back]:
                self._stay()
                self._note(self._still_so(findings))
                if stopping():
                    return False
            if consent.given and consent.remembered:
                self._store.weights.let_pass(self._account.id)
            if self._look.hosts:
                self._store.bindings.remember_hosts(self._account.id, self._look.hosts)
            return True
        finally:
            runs.release_lease(lease.name, holder)

    def _once_more(self, kind: str, since: object) -> Iterator[list[Finding]]:
        """The same look, not counted, and only as long as it finds about the same.

        Raises:
            SafetyError: It finds notably more, so what was judged is not what is there.
        """
        if not self._weighed:
            self._look_at_what_weighs()
        second = Impact(self.impact.known)
        for findings in self._new_look().differences(kind, since):
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
            again = None if current is None else self._look.asked_again(one, current)
            kept += [] if again is None else [again]
        return kept

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
        return self._weighed_differences(FULL, None)

    def _weighed_differences(self, kind: str, since: object) -> Iterator[list[Finding]]:
        if kind != CHANGED:
            self._look_at_what_weighs()
        for findings in self._look.differences(kind, since):
            self._weigh(findings, self.impact)
            yield findings

    def harm(self, consent: Consent) -> Refusal | None:
        """Why a person has to look first, before anything is noted that changes more at DataCite than is usual."""
        gone = None if consent.missing else emptied(self.counts.gone, self._look.found)
        return gone or judge(self.impact, self._limits, consent)

    def _refuse(self, refusal: Refusal | None) -> None:
        if refusal is None:
            return
        account = self._account.id
        way = f"; if it is right: syncd sync --account {account} {refusal.option}" if refusal.option else ""
        raise SafetyError(f"{account}: {refusal.words}: nothing is sent", hint=f"syncd plan shows it{way}")

    def _quiet(self, since: object, stopping: Callable[[], bool]) -> bool | None:
        """What ``run`` returns after a quick look that found nothing; None: it found something."""
        look = self._new_look()
        for findings in look.differences(CHANGED, since):
            if findings:
                return None
            if stopping():  # asked for every page: whole tables get new timestamps and nothing else
                return False
        self.counts.records = self.counts.untouched = look.counts.records
        return True

    def _stay(self) -> None:
        """Stay the only one, without a write for every page that holds nothing new.

        Raises:
            BusyError: Another process scans this account now.
        """
        if self._lease is None or self._clock.monotonic() - self._leased_at < LEASE.total_seconds() / 4:
            return
        self._leased_at = self._clock.monotonic()
        with self._store.database.writing() as connection:
            self._lease.keep(self._store.database, connection)

    def _note(self, findings: Sequence[Finding]) -> None:
        touched = [one for one in findings if one.same_content]
        changed = [one for one in findings if not one.same_content]
        changed = [in_lane(one, self._noted + number) for number, one in enumerate(changed)]
        self._noted += len(changed)
        strangers = [
            one.stored.id for one in changed if one.note.gone and one.stored and one.stored.standing == FOREIGN
        ]
        if strangers:
            self._store.dois.forget(strangers, lease=self._lease)
            changed = [one for one in changed if not (one.stored and one.stored.id in strangers)]
        self._store.dois.touch([(one.stored, one.note) for one in touched if one.stored], lease=self._lease)
        if changed:
            notes = [(one.note, one.stored) for one in changed]
            self._store.dois.note(self._account.id, notes, lease=self._lease)
