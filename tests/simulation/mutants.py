"""Programs with one mistake each: what the simulation must find, or it proves nothing.

Every mutant changes the real program from outside, while a block runs; none of this is in the product.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Boolean, and_, bindparam, or_, select, update

from syncd import send, settle
from syncd.datacite import outcome as outcomes
from syncd.datacite.client import Client
from syncd.limiter import Limiter, Slot
from syncd.look import CHANGED, FULL
from syncd.model import Desired, Held
from syncd.platforms.sql import SqlPlatform
from syncd.scan import Scan
from syncd.store import claims
from syncd.store.claims import Claims
from syncd.store.runs import Runs
from syncd.store.slots import Slots
from syncd.store.steady import SteadyTime
from syncd.store.tables import PENDING, UtcDateTime, doi
from tests.simulation.network import Plain
from tests.simulation.process import Process
from tests.simulation.story import Story

Patch = pytest.MonkeyPatch
MUTANTS: dict[str, Callable[[Patch], None]] = {}


def mutant(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
    """Register a mistake under its name."""
    MUTANTS[plant.__name__] = plant
    return plant


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The program with this mistake, while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        MUTANTS[name](patch)
        yield


@mutant
def no_unsure_mark(patch: Patch) -> None:
    """A request leaves without a mark: after a lost answer or a crash the row looks as before."""
    patch.setattr(Claims, "mark_unsure", lambda self, claim, time_left: True)
    answered = settle.answered

    def forgetful(claim: Any, turn: Any, request: Any, outcome: Any, *rest: Any, **named: Any) -> Any:
        settlement = answered(claim, turn, request, outcome, *rest, **named)
        return settlement if settlement.held.sure else replace(settlement, held=claim.held)

    patch.setattr(settle, "answered", forgetful)


@mutant
def no_grace_time(patch: Patch) -> None:
    """After an unknown outcome the next request may leave at once, and the late one arrives after it."""
    much_arrives_late(patch)
    claim = Claims.claim
    patch.setattr(Claims, "claim", lambda self, account, owner, **how: claim(
        self, account, owner, **{**how, "grace": timedelta(0)}))  # fmt: skip


@mutant
def no_owner_check(patch: Patch) -> None:
    """Who was frozen beyond its claim goes on as if nothing had happened."""
    freeze_in_hand(patch)
    ours = doi.c.id == bindparam("row_id")
    patch.setattr(claims, "_MARK_UNSURE", _marking(ours))
    patch.setattr(claims, "_SETTLE", claims._settling(ours))
    patch.setattr(Slot, "lasts", property(lambda self: True))
    patch.setattr(Slot, "leave_by", property(lambda self: None))


@mutant
def slot_freed_when_taken(patch: Patch) -> None:
    """The window begins when a slot is taken, not when its request is over."""
    patch.setattr(Slots, "finish", lambda self, taken, rest: None)
    init = Limiter.__init__

    def short(self: Limiter, *arguments: Any) -> None:
        init(self, *arguments)
        self._hold = self._rest

    patch.setattr(Limiter, "__init__", short)


@mutant
def slot_forgets_late_arrivals(patch: Patch) -> None:
    """A slot without an answer rests no longer than one with."""
    much_arrives_late(patch)
    end = Slot.end
    patch.setattr(Slot, "end", lambda self, answered=False: end(self, answered=True))


@mutant
def clock_steps_count(patch: Patch) -> None:
    """Slots rest by the wall clock, which somebody sets."""
    patch.setattr(SteadyTime, "corrected", SteadyTime.read)


@mutant
def status_trusted_and_not_the_state(patch: Patch) -> None:
    """A 200 counts as done, whatever state the body reports."""

    def trusting(request: Any, answer: Any, attributes: Any, state: Any) -> Any:
        wanted = next(iter(request.expects)) if request.expects else state
        return outcomes.Accepted(Held(wanted, request.digests), answer.status)

    patch.setattr(outcomes, "_stored", trusting)


@mutant
def settled_without_comparing(patch: Patch) -> None:
    """What the platform says when the answer comes counts as confirmed, not what was sent."""
    answered = settle.answered
    look = send.Sender._look
    senders: dict[int, send.Sender] = {}

    def looking(self: send.Sender, claim: Any) -> Any:
        senders[claim.id] = self
        return look(self, claim)

    def trusting(claim: Any, turn: Any, request: Any, outcome: Any, *rest: Any, **named: Any) -> Any:
        fresh = look(senders[claim.id], claim)
        if isinstance(outcome, outcomes.Accepted) and isinstance(fresh.desired, Desired) and fresh.row is not None:
            held = replace(outcome.held, digests=fresh.desired.digests)
            return answered(claim, fresh, request, replace(outcome, held=held), *rest, **named)
        return answered(claim, turn, request, outcome, *rest, **named)

    patch.setattr(send.Sender, "_look", looking)
    patch.setattr(settle, "answered", trusting)


@mutant
def refusal_repeated(patch: Patch) -> None:
    """A 422 is treated like bad weather."""
    patch.setattr(settle, "_refused", lambda settlement, failed, attempts: replace(
        settlement, failed=failed, attempts=attempts, retry_in=timedelta(seconds=1)))  # fmt: skip


@mutant
def not_read_again(patch: Patch) -> None:
    """What is sent is what was read when the DOI was first looked at."""
    one = SqlPlatform.one
    seen: dict[tuple[int, str], Any] = {}

    def remembered(self: SqlPlatform, key: str) -> Any:
        place = (id(self), key)
        if place not in seen:
            seen[place] = one(self, key)
        return seen[place]

    patch.setattr(SqlPlatform, "one", remembered)


@mutant
def lost_answer_counts_as_failure(patch: Patch) -> None:
    """No answer is taken for "not done": what DataCite holds counts as before."""
    judge = outcomes.judge

    def sure(request: Any, before: Held, answer: Any, account_id: str) -> Any:
        outcome = judge(request, before, answer, account_id)
        if isinstance(outcome, outcomes.Deferred) and outcome.cause == "no_answer":
            return replace(outcome, held=before, unsure=False)
        return outcome

    patch.setattr(send, "judge", sure)


@mutant
def row_sent_twice(patch: Patch) -> None:
    """A claim does not keep others away."""
    due = (
        select(doi.c.id)
        .where(doi.c.account == bindparam("a"), PENDING, doi.c.lane < bindparam("below"), claims._DUE)
        .order_by(doi.c.lane, doi.c.changed_at, doi.c.id).limit(1).scalar_subquery()
    )  # fmt: skip
    patch.setattr(claims, "_CLAIM", _claiming(due))
    patch.setattr(claims, "_MARK_UNSURE", _marking(doi.c.id == bindparam("row_id")))


@mutant
def watermark_without_overlap(patch: Patch) -> None:
    """A quick look begins where the last one ended; and nobody ever looks at everything."""
    patch.setattr("syncd.platforms.watermark.rewound", lambda mark, seconds, now: mark)
    run = Scan.run
    looked: set[str] = set()

    def only_quick(self: Scan, kind: str, *, since: Any, **named: Any) -> bool:
        account = self._account.source.url
        since = since if since is not None else self._store.runs.watermark(self._account.id)
        first = account not in looked or since is None
        looked.add(account)
        return run(self, FULL if kind == FULL and first else CHANGED, since=since, **named)

    patch.setattr(Scan, "run", only_quick)


@mutant
def claim_never_expires(patch: Patch) -> None:
    """Who dies takes its DOI along."""
    due = (
        select(doi.c.id)
        .where(
            doi.c.account == bindparam("a"), PENDING, doi.c.lane < bindparam("below"),
            claims._DUE,
            doi.c.claim_owner.is_(None),
            or_(doi.c.unsure_since.is_(None), doi.c.unsure_since <= bindparam("rested", type_=UtcDateTime)),
        )
        .order_by(doi.c.lane, doi.c.changed_at, doi.c.id).limit(1).scalar_subquery()
    )  # fmt: skip
    patch.setattr(claims, "_CLAIM", _claiming(due))


@mutant
def removal_not_cleared(patch: Patch) -> None:
    """An update carries only what the record has: what it lost stays at DataCite."""
    from syncd import plan

    difference = plan.difference
    patch.setattr(plan, "difference", lambda held, desired: {
        name: value for name, value in difference(held, desired).items() if name in desired.attributes})  # fmt: skip


@mutant
def stub_taken_for_a_record(patch: Patch) -> None:
    """A partial update that created the DOI counts as an update."""
    stored = outcomes._stored
    patch.setattr(outcomes, "_stored", lambda request, answer, attributes, state: stored(
        request, replace(answer, status=200), attributes, state))  # fmt: skip


@mutant
def pauses_ignored(patch: Patch) -> None:
    """Every process finds out for itself that DataCite is away, again and again."""
    patch.setattr(Runs, "leave", lambda self, account, probe: ())


@mutant
def what_waits_for_a_scan_is_claimed_early(patch: Patch) -> None:
    """Whoever tries whether a pause can end takes a row that it may not send, leaves it, and takes it again."""
    weather = Story._weather
    patch.setattr(Story, "_weather", lambda self: replace(weather(self), refused_connection=0.7))
    rested = or_(doi.c.unsure_since.is_(None), doi.c.unsure_since <= bindparam("rested", type_=UtcDateTime))
    free = or_(doi.c.claim_until.is_(None), doi.c.claim_until <= bindparam("steady", type_=UtcDateTime))
    early = or_(claims._DUE, and_(bindparam("early", type_=Boolean), doi.c.cause.is_(None)))
    due = (
        select(doi.c.id)
        .where(doi.c.account == bindparam("a"), PENDING, doi.c.lane < bindparam("below"), early, free, rested)
        .order_by(doi.c.lane, doi.c.changed_at, doi.c.id).limit(1).scalar_subquery()
    )  # fmt: skip
    patch.setattr(claims, "_CLAIM", _claiming(due))


@mutant
def late_send_allowed(patch: Patch) -> None:
    """Who was frozen with a request in hand sends it when it wakes.

    By chance a freeze strikes there once in thousands of seeds, so here it waits for such a moment.
    """
    freeze_in_hand(patch)
    patch.setattr(Slot, "lasts", property(lambda self: True))
    for client in (Client, Plain):
        patch.setattr(client, "write", _whenever(client.write))


def freeze_in_hand(patch: Patch) -> None:
    """No mistake, only an aim: who is to be frozen is frozen when its next request is about to leave."""
    freeze, write = Process.freeze, Plain.write

    def aimed(self: Any, request: Any, leave_by: float | None = None) -> Any:
        seconds = vars(self._process).pop("in_hand", 0.0)
        if seconds:
            freeze(self._process, seconds)
        return write(self, request, leave_by)

    patch.setattr(Process, "freeze", lambda self, seconds: setattr(self, "in_hand", seconds))
    patch.setattr(Plain, "write", aimed)


def much_arrives_late(patch: Patch) -> None:
    """No mistake, only weather: what is sent often arrives when nobody waits for it any more."""
    weather = Story._weather
    patch.setattr(Story, "_weather", lambda self: replace(weather(self), late=0.7))


def _whenever(write: Any) -> Any:
    return lambda self, request, leave_by=None: write(self, request, None)


def _claiming(due: Any) -> Any:
    return (
        update(doi)
        .where(and_(doi.c.id == due))
        .values(
            claim_owner=bindparam("new_owner"),
            claim_number=doi.c.claim_number + 1,
            claim_until=bindparam("new_until", type_=UtcDateTime),
        )
        .returning(doi)
    )


def _marking(whose: Any) -> Any:
    unsure = bindparam("new_unsure", type_=UtcDateTime)
    return update(doi).where(whose).values(unsure_since=unsure, synced_digest=None, synced_attributes=None)
