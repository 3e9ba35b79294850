"""What to write down about a DOI after a worker's turn. Pure: claim, turn and outcome in, a settlement out."""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum

from syncd.datacite.outcome import Accepted, Deferred, Halted, Outcome, Rejected
from syncd.datacite.request import Put, Write
from syncd.model import Desired, Problem, Row, State
from syncd.plan import Nothing, Policy, decide, delay, exhausted
from syncd.store.facts import GONE_DIGEST, Claim, Failed, Settlement, Written

_HELP_AT_ONCE = ("recreated", "refused", "state_not_reached", "not_a_draft", "conflict")


_SHORTEST_TURN, _LONGEST_TURN = 90.0, 300.0
"""While the host is in trouble one request a minute tries; the next one is to be another record's."""


class Weather(Enum):
    """Whether a failure is the host's: others fail too, nobody knows yet, or not."""

    FAIR = "fair"
    DOUBTFUL = "doubtful"
    FOUL = "foul"


@dataclass(frozen=True, slots=True)
class Turn:
    """What a worker found when it read the record again.

    Attributes:
        row: The record as it is now; None when it is not there, or has another DOI.
        desired: What DataCite should hold, or why that cannot be said.
        step: What to do; None: wait for a whole scan.
    """

    row: Row | None
    desired: Desired | Problem
    step: Nothing | Write | Problem | None


def unsent(claim: Claim, turn: Turn, chance: float) -> Settlement:
    """No request was needed, or none was possible."""
    if turn.step is None:
        attempts = claim.attempts + 1
        wait = _wait(attempts, None, chance)
        # What is noted stays, and without a row digest the next scan looks at the record anew.
        return replace(
            _read_again(claim, turn),
            desired_digest=claim.desired_digest,
            desired_state=claim.desired_state,
            row_digest=None,
            signature=None,
            retry_in=wait,
            attempts=attempts,
        )
    if isinstance(turn.step, Problem):
        failed = Failed(turn.step.cause, str(turn.step))
        return replace(_read_again(claim, turn), quarantine=True, failed=failed)
    digest = _digest(turn.desired)
    forget = digest == GONE_DIGEST and claim.held.state is State.NONE
    return replace(_read_again(claim, turn), synced_digest=digest, forget=forget)


def not_done(claim: Claim, failed: Failed, chance: float, *, sent: bool = False, limited: bool = False) -> Settlement:
    """The turn broke off on our side.

    Args:
        claim: Whose turn it was.
        failed: Why.
        chance: A random number between 0 and 1, for the waiting time.
        sent: A request may have left, so DataCite's content is unknown.
        limited: Set the record aside when the same happens a few times in a row.
    """
    attempts = claim.attempts + 1 if not limited or claim.cause == failed.cause else 1
    return Settlement(
        held=replace(claim.held, digests=None, sure=False) if sent else claim.held,
        synced_digest=None if sent else claim.synced_digest,
        desired_digest=claim.desired_digest,
        desired_state=claim.desired_state,
        row_digest=None,
        retry_in=_wait(attempts, None, chance),
        attempts=attempts,
        quarantine=limited and exhausted(attempts),
        failed=failed,
    )


def answered(
    claim: Claim,
    turn: Turn,
    request: Write,
    outcome: Outcome,
    policy: Policy,
    chance: float,
    weather: Weather = Weather.FAIR,
) -> Settlement:
    """A request left; this is what came of it."""
    unchanged = outcome.held == claim.held
    settlement = replace(
        _read_again(claim, turn),
        held=outcome.held,
        synced_digest=claim.synced_digest if unchanged else None,
        written=_written(request, turn, outcome),
    )
    match outcome:
        case Accepted():
            return _accepted(settlement, turn, outcome, policy)
        case Rejected(cause, message, _, status):
            failed = Failed(cause, message, status)
            return _refused(settlement, failed, claim.attempts + 1)
        case Deferred():
            return _deferred(claim, settlement, outcome, chance, weather)
        case Halted():
            return settlement  # the account's trouble, not the record's


def _accepted(settlement: Settlement, turn: Turn, outcome: Accepted, policy: Policy) -> Settlement:
    """In sync only if the plan finds nothing left to do: a hide may have gone ahead of its content."""
    digest = _digest(turn.desired)
    done = isinstance(turn.desired, Desired) and isinstance(decide(outcome.held, turn.desired, policy), Nothing)
    forget = digest == GONE_DIGEST and outcome.held.state is State.NONE
    return replace(
        settlement,
        synced_digest=digest if done else None,
        verified=True,
        attempts=0,
        forget=forget,
        version=outcome.version,
    )


def _refused(settlement: Settlement, failed: Failed, attempts: int) -> Settlement:
    """Set aside until the record changes; a record that is gone cannot, so its DOI is tried once a day."""
    if settlement.desired_digest == GONE_DIGEST:
        return replace(settlement, failed=failed, attempts=attempts, retry_in=timedelta(days=1))
    return replace(settlement, quarantine=True, failed=failed, attempts=attempts)


def _deferred(claim: Claim, settlement: Settlement, outcome: Deferred, chance: float, weather: Weather) -> Settlement:
    attempts = claim.attempts + 1
    failed = Failed(outcome.cause, outcome.message, outcome.status)
    if weather is Weather.FOUL or (outcome.host_wide and not outcome.unsure):
        # An outage is nobody's failure: no record is charged with it.
        return replace(settlement, retry_in=timedelta(seconds=outcome.retry_after or 0) + _turn(chance))
    if outcome.limited:
        # Other troubles before do not count against a step that should help at once; several such steps
        # that follow on each other do.
        attempts = attempts if claim.cause in _HELP_AT_ONCE else 1
        if exhausted(attempts):
            return _refused(settlement, failed, attempts)
    wait = _wait(attempts, outcome.retry_after, chance)
    if weather is Weather.DOUBTFUL:
        wait += _turn(chance)
    if outcome.transient and not exhausted(attempts):
        # Once or twice is the weather; the record is named when it happens to it again and again.
        return replace(settlement, retry_in=wait, attempts=attempts)
    return replace(settlement, retry_in=wait, attempts=attempts, failed=failed)


def _read_again(claim: Claim, turn: Turn) -> Settlement:
    """The record as it was read again, with DataCite as it was before."""
    return Settlement(
        held=claim.held,
        synced_digest=claim.synced_digest,
        desired_digest=_digest(turn.desired),
        desired_state=turn.desired.state if isinstance(turn.desired, Desired) else State.NONE,
        row_digest=turn.row.digest if turn.row else None,
        signature=turn.row.signature if turn.row else None,
        attempts=claim.attempts,
    )


def _digest(desired: Desired | Problem) -> str | None:
    return desired.digest if isinstance(desired, Desired) else None


def _wait(attempts: int, retry_after: float | None, chance: float) -> timedelta:
    return timedelta(seconds=delay(attempts, retry_after, chance))


def _turn(chance: float) -> timedelta:
    return timedelta(seconds=_SHORTEST_TURN + (_LONGEST_TURN - _SHORTEST_TURN) * chance)


def _written(request: Write, turn: Turn, outcome: Outcome) -> Written:
    put = request if isinstance(request, Put) else None
    return Written(
        method=request.method,
        reason=request.reason,
        event=put.event if put else None,
        attributes=sorted(put.attributes) if put else [],
        bytes=len(request.body()),
        status=outcome.status,
        result="accepted" if isinstance(outcome, Accepted) else outcome.cause,
        state_after=outcome.held.state if outcome.held.sure else None,
        digest_after=_digest(turn.desired) if isinstance(outcome, Accepted) else None,
    )
