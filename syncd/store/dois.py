"""One row per account and DOI: what is desired, what DataCite confirmed, and who works on it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
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

from syncd.model import Held, State
from syncd.store.database import Database
from syncd.store.facts import EXCLUDED, FOREIGN, GONE_DIGEST, Claim, Failed, Note, Settlement, Stored, Written
from syncd.store.tables import PENDING, UtcDateTime, doi, failure, write


class Dois:
    """Reads and writes ``syncd_doi``, and the failures and writes that belong to a row's story."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # A scan compares and notes.

    def of_records(self, account: str, keys: Sequence[str]) -> dict[str, list[Stored]]:
        """Our rows of these records, by record key; a record whose DOI changed has more than one."""
        found: dict[str, list[Stored]] = {}
        for row in self._stored(account, doi.c.record_key, keys):
            found.setdefault(row.record_key, []).append(row)
        return found

    def of_dois(self, account: str, names: Sequence[str]) -> dict[str, Stored]:
        """Our rows of these DOIs, by DOI."""
        return {row.doi: row for row in self._stored(account, doi.c.doi, names)}

    def _stored(self, account: str, column: Any, values: Sequence[str]) -> list[Stored]:
        if not values:
            return []
        with self._database.reading() as connection:
            return [_stored(row) for row in connection.execute(_STORED[column.name], {"a": account, "v": list(values)})]

    def held(self, account: str, names: Sequence[str]) -> dict[str, Held]:
        """What DataCite last confirmed for these DOIs."""
        columns = (doi.c.doi, doi.c.synced_state, doi.c.synced_attributes, doi.c.resolves, doi.c.unsure_since)
        query = select(*columns).where(doi.c.account == account, doi.c.doi.in_(list(names)))
        with self._database.reading() as connection:
            return {row.doi: _held(row) for row in connection.execute(query)}

    def pending(self, account: str, page_size: int = 1000) -> Iterator[list[Stored]]:
        """The rows that are to be sent, in pages, whether due now or later."""
        after = 0
        while True:
            query = select(*_STORED_COLUMNS).where(doi.c.account == account, PENDING, doi.c.id > after)
            with self._database.reading() as connection:
                page = [_stored(row) for row in connection.execute(query.order_by(doi.c.id).limit(page_size))]
            if not page:
                return
            yield page
            after = page[-1].id

    def highest_id(self, account: str) -> int:
        """The newest row's number; rows after it did not exist when a scan began."""
        with self._database.reading() as connection:
            return connection.execute(select(func.max(doi.c.id)).where(doi.c.account == account)).scalar_one() or 0

    def present(self, account: str, up_to: int, page_size: int = 20_000) -> Iterator[Sequence[int]]:
        """The numbers of our rows that are not known to be gone, in pages."""
        after = 0
        while True:
            query = (
                select(doi.c.id)
                .where(doi.c.account == account, doi.c.id > after, doi.c.id <= up_to, doi.c.gone_at.is_(None))
                .order_by(doi.c.id)
                .limit(page_size)
            )
            with self._database.reading() as connection:
                page = connection.execute(query).scalars().all()
            if not page:
                return
            yield page
            after = page[-1]

    def of_ids(self, row_ids: Sequence[int]) -> list[Stored]:
        """Our rows of these numbers."""
        with self._database.reading() as connection:
            return [_stored(row) for row in connection.execute(select(*_STORED_COLUMNS).where(doi.c.id.in_(row_ids)))]

    def note(self, account: str, notes: Iterable[tuple[Note, Stored | None]]) -> None:
        """Write down what a scan found: rows of ours are changed, the others added."""
        fresh: list[dict[str, Any]] = []
        set_aside: list[dict[str, Any]] = []
        wanted: list[dict[str, Any]] = []
        with self._database.writing() as connection:
            now = self._database.now(connection)
            for note, stored in notes:
                if stored is None:
                    fresh.append(_fresh(account, note, now))
                else:
                    (set_aside if note.quarantine else wanted).append(_parameters(stored.id, note, now))
            if fresh:
                connection.execute(insert(doi), fresh)
            if wanted:
                connection.execute(_NOTE_WANTED, wanted)
            if set_aside:
                connection.execute(_NOTE_SET_ASIDE, set_aside)
            for note, _ in notes:
                if note.quarantine:
                    failed = Failed(*note.quarantine)
                    connection.execute(insert(failure), _failure(account, note.doi, note.record_key, failed, now))

    def forget(self, row_ids: Sequence[int]) -> None:
        """Drop rows of DOIs that were never ours and are gone."""
        with self._database.writing() as connection:
            connection.execute(delete(doi).where(doi.c.id.in_(row_ids), doi.c.standing == FOREIGN))

    def touch(self, rows: Sequence[tuple[Stored, str]]) -> None:
        """Remember new row digests of records whose desired did not change.

        A row whose desired did change, because a worker settled it since it was read, is left alone.
        """
        if rows:
            values = [{"row_id": one.id, "noted": one.desired_digest, "new_row": digest} for one, digest in rows]
            with self._database.writing() as connection:
                connection.execute(_TOUCH, values)

    # A worker claims, marks and settles.

    def claim(self, account: str, owner: str, *, duration: timedelta, grace: timedelta) -> Claim | None:
        """Take the most urgent DOI that is due, so that nobody else works on it until ``duration`` is over."""
        with self._database.writing() as connection:
            now = self._database.steady.corrected(connection)
            times = {"steady": now, "rested": now - grace, "new_until": now + duration}
            row = connection.execute(_CLAIM, {"a": account, "new_owner": owner, **times}).one_or_none()
            return None if row is None else _claim(row, owner)

    def mark_unsure(self, claim: Claim, time_left: timedelta) -> bool:
        """Before a request leaves: from now on DataCite's content counts as unknown.

        Returns:
            False when the claim is not ours any more, or not for ``time_left``; then nothing may be sent.
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
                row = _failure(claim.account, claim.doi, claim.record_key, settlement.failed, now)
                connection.execute(insert(failure), row)
            ours = _whose(claim)
            if settlement.forget and connection.execute(_FORGET, ours).rowcount == 1:
                return True
            values = _settled(claim, settlement, now, self._database.steady.corrected(connection))
            return connection.execute(_SETTLE, {**ours, **values}).rowcount == 1


_STORED_COLUMNS = (
    doi.c.id, doi.c.doi, doi.c.record_key, doi.c.row_digest, doi.c.desired_digest, doi.c.synced_digest,
    doi.c.synced_state, doi.c.standing, doi.c.cause, doi.c.rival_key, doi.c.quarantined_digest,
)  # fmt: skip
_STORED = {
    column.name: select(*_STORED_COLUMNS).where(
        doi.c.account == bindparam("a"), column.in_(bindparam("v", expanding=True))
    )
    for column in (doi.c.record_key, doi.c.doi)
}

_STEADY = bindparam("steady", type_=UtcDateTime)
_CLAIM = (
    update(doi)
    .where(
        doi.c.id
        == select(doi.c.id)
        .where(
            doi.c.account == bindparam("a"),
            PENDING,
            or_(doi.c.next_try_at.is_(None), doi.c.next_try_at <= _STEADY),
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
_OURS = and_(
    doi.c.id == bindparam("row_id"), doi.c.claim_owner == bindparam("owner"), doi.c.claim_number == bindparam("number")
)
_MARK_UNSURE = (
    update(doi)
    .where(_OURS, doi.c.claim_until > bindparam("needed", type_=UtcDateTime))
    .values(unsure_since=bindparam("new_unsure", type_=UtcDateTime), synced_digest=null(), synced_attributes=null())
)
_RELEASE = update(doi).where(_OURS).values(claim_owner=null(), claim_until=null())

_NOW = bindparam("now", type_=UtcDateTime)
# If a scan noted another content since the claim, the scan's word stands, and the row is pending for it.
_UNCHANGED = doi.c.desired_digest.is_not_distinct_from(bindparam("claimed_digest", type_=Text))


def _new(name: str) -> Any:
    return bindparam(f"new_{name}", type_=doi.c[name].type)


_JUDGED = (
    "desired_digest", "desired_state", "row_digest", "attempts", "next_try_at", "cause", "message",
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
            # The rest is about the content that the worker read.
            **{name: case((_UNCHANGED, _new(name)), else_=doi.c[name]) for name in _JUDGED},
            changed_at=case((and_(_UNCHANGED, bindparam("in_sync", type_=Boolean)), None), else_=doi.c.changed_at),
            gone_at=case((and_(_UNCHANGED, bindparam("there", type_=Boolean)), None), else_=doi.c.gone_at),
        )
    )


_SETTLE = _settling(_OURS)
_FORGET = delete(doi).where(_OURS, doi.c.desired_digest == GONE_DIGEST)
_NOTED = {
    "record_key": bindparam("new_key"),
    "row_digest": bindparam("new_row"),
    "desired_digest": bindparam("new_digest"),
    "desired_state": bindparam("new_state"),
    "lane": bindparam("new_lane"),
    # Only an operator ends an exclusion.
    "standing": case((doi.c.standing == EXCLUDED, EXCLUDED), else_=bindparam("new_standing", type_=Text)),
    "rival_key": bindparam("new_rival"),
    "gone_at": case((bindparam("is_gone", type_=Boolean), func.coalesce(doi.c.gone_at, _NOW))),
    "noted_at": _NOW,
    "changed_at": case(
        (doi.c.synced_digest.is_not_distinct_from(bindparam("new_digest")), None),
        (doi.c.desired_digest.is_distinct_from(doi.c.synced_digest), func.coalesce(doi.c.changed_at, _NOW)),
        else_=_NOW,
    ),
}
_SAME = doi.c.desired_digest.is_not_distinct_from(bindparam("new_digest"))
_STAYS_REFUSED = and_(
    doi.c.quarantined_digest == bindparam("new_digest"), bindparam("judge_again", type_=Boolean).is_(False)
)
_NOTE_WANTED = (
    update(doi)
    .where(doi.c.id == bindparam("row_id"))
    .values(
        **_NOTED,
        # Refused content stays refused until it differs; so do the attempts of a transient failure.
        quarantined_digest=case((_STAYS_REFUSED, doi.c.quarantined_digest)),
        cause=case((_SAME, doi.c.cause)),
        message=case((_SAME, doi.c.message)),
        attempts=case((_SAME, doi.c.attempts), else_=0),
        next_try_at=case((_SAME, doi.c.next_try_at)),
    )
)
_NOTE_SET_ASIDE = (
    update(doi)
    .where(doi.c.id == bindparam("row_id"))
    .values(
        **_NOTED,
        quarantined_digest=bindparam("new_quarantine"),
        cause=bindparam("new_cause"),
        message=bindparam("new_message"),
    )
)
_TOUCH = (
    update(doi)
    .where(doi.c.id == bindparam("row_id"), doi.c.desired_digest.is_not_distinct_from(bindparam("noted", type_=Text)))
    .values(row_digest=bindparam("new_row"))
)


_STATES = {state.value: state for state in State}


def _stored(row: Any) -> Stored:
    # By position, in the order of _STORED_COLUMNS: a full scan makes one of these for every record.
    row_id, name, record_key, row_digest, desired, synced, state, standing, cause, rival, aside = row
    return Stored(row_id, name, record_key, row_digest, desired, synced, _STATES[state], standing, cause, rival, aside)


def _parameters(row_id: int, note: Note, now: datetime) -> dict[str, Any]:
    cause, message = note.quarantine or (None, None)
    parameters = {
        "row_id": row_id,
        "new_key": note.record_key,
        "new_row": note.row_digest,
        "new_digest": note.desired_digest,
        "new_state": note.desired_state,
        "new_lane": note.lane,
        "new_standing": note.standing,
        "new_rival": note.rival_key,
        "is_gone": note.gone,
        "judge_again": note.judge_again,
        "now": now,
    }
    if note.quarantine:
        del parameters["judge_again"]
        parameters |= {"new_quarantine": note.quarantined_digest, "new_cause": cause, "new_message": message}
    return parameters


def _fresh(account: str, note: Note, now: datetime) -> dict[str, Any]:
    cause, message = note.quarantine or (None, None)
    return {
        "account": account,
        "doi": note.doi,
        "record_key": note.record_key,
        "row_digest": note.row_digest,
        "desired_digest": note.desired_digest,
        "desired_state": note.desired_state,
        "synced_state": State.NONE,
        "lane": note.lane,
        "standing": note.standing,
        "cause": cause,
        "message": message,
        "quarantined_digest": note.quarantined_digest,
        "rival_key": note.rival_key,
        "changed_at": now,
        "noted_at": now,
    }


def _whose(claim: Claim) -> dict[str, Any]:
    return {"row_id": claim.id, "owner": claim.owner, "number": claim.number}


def _held(row: Any) -> Held:
    digests = None if row.synced_attributes is None else json.loads(row.synced_attributes)
    return Held(State(row.synced_state), digests, row.resolves, sure=row.unsure_since is None)


def _claim(row: Row[Any], owner: str) -> Claim:
    return Claim(
        id=row.id,
        account=row.account,
        doi=row.doi,
        record_key=row.record_key,
        owner=owner,
        number=row.claim_number,
        until=row.claim_until,
        held=_held(row),
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
        "now": now,
        "claimed_digest": claim.desired_digest,
        "new_desired_digest": settlement.desired_digest,
        "new_desired_state": settlement.desired_state,
        "new_row_digest": settlement.row_digest,
        "new_attempts": settlement.attempts,
        "new_next_try_at": None if settlement.retry_in is None else steady + settlement.retry_in,
        "new_cause": failed.cause if failed else None,
        "new_message": failed.message if failed else None,
        "new_quarantined_digest": quarantine if settlement.quarantine else None,
        "in_sync": in_sync,
        "there": settlement.row_digest is not None,
    }


def _failure(account: str, name: str, record_key: str, failed: Failed, now: datetime) -> dict[str, Any]:
    return {
        "account": account,
        "doi": name,
        "record_key": record_key,
        "at": now,
        "cause": failed.cause,
        "message": failed.message,
        "status": failed.status,
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
