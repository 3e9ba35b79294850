"""A worker's side of ``syncd_doi``: claim what is due, mark it unsure, settle it."""

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Integer,
    Row,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from syncd.model import State
from syncd.store.database import Database
from syncd.store.facts import GONE_DIGEST, LANE_BACKFILL, Claim, Settlement, Written
from syncd.store.rows import failure_row, held_of
from syncd.store.tables import PENDING, UtcDateTime, doi, failure, write


class Claims:
    """Who works on which DOI until when, and what came of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        account: str,
        owner: str,
        *,
        duration: timedelta,
        grace: timedelta,
        mass: bool = True,
        early: bool = False,
    ) -> Claim | None:
        """Take the most urgent DOI that is due, so that nobody else works on it until ``duration`` is over.

        Args:
            account: Whose.
            owner: Who takes it.
            duration: How long it is the owner's.
            grace: How long a DOI rests after an answer was lost.
            mass: Mass work too.
            early: Before its time as well, if it only waits for better weather: somebody has to look whether
                that has come.
        """
        with self._database.writing() as connection:
            now = self._database.steady.corrected(connection)
            times = {"steady": now, "rested": now - grace, "new_until": now + duration}
            below = LANE_BACKFILL + 1 if mass else LANE_BACKFILL
            parameters = {"a": account, "new_owner": owner, "below": below, "early": early, **times}
            row = connection.execute(_CLAIM, parameters).one_or_none()
            return None if row is None else _claim(row, owner)

    def any_pending(self) -> bool:
        """Whether anything is to be sent for any account, now or later."""
        with self._database.reading() as connection:
            return connection.execute(_ANY_PENDING).first() is not None

    def mark_unsure(self, claim: Claim, time_left: timedelta) -> bool:
        """Before a request leaves: from now on DataCite's content counts as unknown.

        Returns:
            False when the claim is not ours any more, or not for ``time_left``, or the DOI was excluded; then
            nothing may be sent.
        """
        with self._database.writing() as connection:
            now = self._database.steady.corrected(connection)
            times = {"new_unsure": now, "needed": now + time_left}
            return connection.execute(_MARK_UNSURE, {**_whose(claim), **times}).rowcount == 1

    def release(self, claim: Claim) -> None:
        """Give the DOI back untouched."""
        with self._database.writing() as connection:
            connection.execute(_RELEASE, _whose(claim))

    def settle(self, claim: Claim, settlement: Settlement) -> bool:
        """Write down the end of a worker's turn, and end the claim.

        Returns:
            False when the claim is not ours any more: the row then stays as another worker made it, but
            the request that left still stands in the trail.
        """
        with self._database.writing() as connection:
            now = self._database.now(connection)
            if settlement.written:
                connection.execute(insert(write), _written(claim, settlement.written, now))
            if settlement.failed:
                row = failure_row(claim.account, claim.doi, claim.record_key, settlement.failed, now)
                connection.execute(insert(failure), row)
            ours = _whose(claim)
            if settlement.forget and connection.execute(_FORGET, ours).rowcount == 1:
                return True
            values = _settled(claim, settlement, now, self._database.steady.corrected(connection))
            return connection.execute(_SETTLE, {**ours, **values}).rowcount == 1


_STEADY = bindparam("steady", type_=UtcDateTime)
_DUE = or_(
    doi.c.next_try_at.is_(None),
    doi.c.next_try_at <= _STEADY,
    # A turn that ends without a request leaves a cause or takes the row digest away (it is then a scan's to look),
    # so nobody can take the same row early again and again.
    and_(bindparam("early", type_=Boolean), doi.c.cause.is_(None), doi.c.row_digest.is_not(None)),
)
_CLAIM = (
    update(doi)
    .where(
        doi.c.id
        == select(doi.c.id)
        .where(
            doi.c.account == bindparam("a"),
            PENDING,
            doi.c.lane < bindparam("below"),
            _DUE,
            or_(doi.c.claim_until.is_(None), doi.c.claim_until <= _STEADY),
            or_(doi.c.unsure_since.is_(None), doi.c.unsure_since <= bindparam("rested", type_=UtcDateTime)),
        )
        .order_by(doi.c.lane, doi.c.changed_at, doi.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        claim_owner=bindparam("new_owner"),
        claim_number=doi.c.claim_number + 1,
        claim_until=bindparam("new_until", type_=UtcDateTime),
    )
    .returning(doi)
)
_ANY_PENDING = select(doi.c.id).where(PENDING).limit(1)
_OURS = and_(
    doi.c.id == bindparam("row_id"), doi.c.claim_owner == bindparam("owner"), doi.c.claim_number == bindparam("number")
)
_MARK_UNSURE = (
    update(doi)
    .where(_OURS, doi.c.claim_until > bindparam("needed", type_=UtcDateTime), doi.c.standing.is_(None))
    .values(unsure_since=bindparam("new_unsure", type_=UtcDateTime), synced_digest=null(), synced_attributes=null())
)
_RELEASE = update(doi).where(_OURS).values(claim_owner=null(), claim_until=null())

_NOW = bindparam("now", type_=UtcDateTime)
# If a scan noted another content since the claim than the worker read, the scan's word stands, and the row is
# pending for it.
_UNCHANGED = or_(
    doi.c.desired_digest.is_not_distinct_from(bindparam("claimed_digest", type_=Text)),
    doi.c.desired_digest == bindparam("new_desired_digest", type_=Text),
)


def _new(name: str) -> Any:
    return bindparam(f"new_{name}", type_=doi.c[name].type)


_JUDGED = (
    "desired_digest", "desired_state", "row_digest", "signature", "attempts", "next_try_at", "cause", "message",
    "quarantined_digest",
)  # fmt: skip
_HELD = ("synced_digest", "synced_state", "synced_attributes", "resolves", "unsure_since")


def _settling(whose: Any) -> Any:
    return (
        update(doi)
        .where(whose)
        .values(
            # What DataCite holds is true whatever a scan noted meanwhile.
            **{name: _new(name) for name in _HELD},
            claim_owner=null(),
            claim_until=null(),
            verified_at=case((bindparam("verified", type_=Boolean), _NOW), else_=doi.c.verified_at),
            version=func.coalesce(bindparam("new_version", type_=Integer), doi.c.version),
            # The rest is about the content that the worker read.
            **{name: case((_UNCHANGED, _new(name)), else_=doi.c[name]) for name in _JUDGED},
            changed_at=case((and_(_UNCHANGED, bindparam("in_sync", type_=Boolean)), None), else_=doi.c.changed_at),
            gone_at=case((and_(_UNCHANGED, bindparam("there", type_=Boolean)), None), else_=doi.c.gone_at),
        )
    )


_SETTLE = _settling(_OURS)
_FORGET = delete(doi).where(_OURS, doi.c.desired_digest == GONE_DIGEST)


def _whose(claim: Claim) -> dict[str, Any]:
    return {"row_id": claim.id, "owner": claim.owner, "number": claim.number}


def _claim(row: Row[Any], owner: str) -> Claim:
    return Claim(
        id=row.id,
        account=row.account,
        doi=row.doi,
        record_key=row.record_key,
        owner=owner,
        number=row.claim_number,
        until=row.claim_until,
        held=held_of(row),
        desired_digest=row.desired_digest,
        desired_state=State(row.desired_state),
        synced_digest=row.synced_digest,
        attempts=row.attempts,
        cause=row.cause,
        lane=row.lane,
    )


def _settled(claim: Claim, settlement: Settlement, now: datetime, steady: datetime) -> dict[str, Any]:
    held, failed = settlement.held, settlement.failed
    in_sync = settlement.synced_digest is not None and settlement.synced_digest == settlement.desired_digest
    quarantine = settlement.desired_digest or f"row:{settlement.row_digest}"
    return {
        "new_synced_digest": settlement.synced_digest,
        "new_synced_state": held.state,
        "new_synced_attributes": None if held.digests is None else json.dumps(dict(held.digests), sort_keys=True),
        "new_resolves": held.resolves,
        # The grace time begins when we gave up waiting: until then the request was ours to answer for.
        "new_unsure_since": None if held.sure else steady,
        "verified": settlement.verified,
        "new_version": settlement.version,
        "now": now,
        "claimed_digest": claim.desired_digest,
        "new_desired_digest": settlement.desired_digest,
        "new_desired_state": settlement.desired_state,
        "new_row_digest": settlement.row_digest,
        "new_signature": settlement.signature,
        "new_attempts": settlement.attempts,
        "new_next_try_at": None if settlement.retry_in is None else steady + settlement.retry_in,
        "new_cause": failed.cause if failed else None,
        "new_message": failed.message if failed else None,
        "new_quarantined_digest": quarantine if settlement.quarantine else None,
        "in_sync": in_sync,
        "there": settlement.row_digest is not None,
    }


def _written(claim: Claim, written: Written, now: datetime) -> dict[str, Any]:
    return {
        "account": claim.account,
        "doi": claim.doi,
        "at": now,
        "method": written.method,
        "reason": written.reason,
        "event": written.event,
        "attributes": json.dumps(list(written.attributes)),
        "bytes": written.bytes,
        "digest_before": claim.synced_digest,
        "digest_after": written.digest_after,
        "state_after": written.state_after,
        "status": written.status,
        "result": written.result,
    }
