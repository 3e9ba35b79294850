"""A scan's side of ``syncd_doi``: what is known of records, and what is noted of them."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Connection, Text, and_, bindparam, case, delete, func, insert, or_, select, update

from syncd.model import Held, State
from syncd.store.database import Database
from syncd.store.facts import EXCLUDED, FOREIGN, Confirmed, Failed, Note, Stored
from syncd.store.leases import Lease
from syncd.store.rows import failure_row, held_of
from syncd.store.tables import PENDING, UtcDateTime, doi, failure


class Dois:
    """Which DOIs there are, and what is desired of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
            return {row.doi: held_of(row) for row in connection.execute(query)}

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

    def note(self, account: str, notes: Iterable[tuple[Note, Stored | None]], *, lease: Lease | None = None) -> None:
        """Write down what a scan found: rows of ours are changed, the others added.

        Raises:
            BusyError: The lease was lost meanwhile; nothing was written.
        """
        fresh: list[dict[str, Any]] = []
        set_aside: list[dict[str, Any]] = []
        wanted: list[dict[str, Any]] = []
        with self._writing(lease) as connection:
            now = self._database.now(connection)
            for note, stored in notes:
                if stored is None:
                    fresh.append(_fresh(account, note, now))
                else:
                    (set_aside if note.quarantine else wanted).append(_parameters(stored.id, note, now))
            if fresh:
                connection.execute(insert(doi), fresh)
            # Rows in the order of their numbers, as everybody locks them.
            changes = [(_NOTE_WANTED, one) for one in wanted] + [(_NOTE_SET_ASIDE, one) for one in set_aside]
            for statement, group in itertools.groupby(
                sorted(changes, key=lambda change: change[1]["row_id"]), key=lambda change: change[0]
            ):
                connection.execute(statement, [parameters for _, parameters in group])
            for note, _ in notes:
                if note.quarantine:
                    failed = Failed(*note.quarantine)
                    connection.execute(insert(failure), failure_row(account, note.doi, note.record_key, failed, now))

    def confirm(self, seen: Sequence[Confirmed]) -> int:
        """Write down what DataCite holds; returns of how many.

        Left alone is a DOI that somebody works on, whose last answer was lost, that is wanted otherwise by now, or
        of which DataCite confirmed something since it was seen.
        """
        if not seen:
            return 0
        with self._database.writing() as connection:
            now, steady = self._database.now(connection), self._database.steady.corrected(connection)
            ordered = sorted(seen, key=lambda one: one.row_id)  # as everybody locks them
            rows = [{**_confirmed(one), "now": now, "steady": steady} for one in ordered]
            return sum(connection.execute(_CONFIRM, row).rowcount for row in rows)

    def forget(self, row_ids: Sequence[int], *, lease: Lease | None = None) -> None:
        """Drop rows of DOIs that were never ours and are gone. Raises as ``note`` does."""
        with self._writing(lease) as connection:
            connection.execute(delete(doi).where(doi.c.id.in_(row_ids), doi.c.standing == FOREIGN))

    def touch(self, rows: Sequence[tuple[Stored, Note]], *, lease: Lease | None = None) -> None:
        """Remember new row digests and outlines of records whose desired did not change. Raises as ``note`` does.

        A row whose desired did change, because a worker settled it since it was read, is left alone.
        """
        if rows:
            ordered = sorted(rows, key=lambda row: row[0].id)  # as everybody locks them
            values = [
                {
                    "row_id": one.id,
                    "noted": one.desired_digest,
                    "new_row": note.row_digest,
                    "new_signature": note.signature,
                }
                for one, note in ordered
            ]
            with self._writing(lease) as connection:
                connection.execute(_TOUCH, values)

    @contextmanager
    def _writing(self, lease: Lease | None) -> Iterator[Connection]:
        """A transaction that belongs to the holder of the lease, if one is given."""
        with self._database.writing() as connection:
            if lease is not None:
                lease.keep(self._database, connection)
            yield connection


_STORED_COLUMNS = (
    doi.c.id, doi.c.doi, doi.c.record_key, doi.c.row_digest, doi.c.desired_digest, doi.c.synced_digest,
    doi.c.synced_state, doi.c.standing, doi.c.cause, doi.c.rival_key, doi.c.quarantined_digest,
    doi.c.unsure_since.is_(None).label("sure"), doi.c.version, doi.c.signature,
)  # fmt: skip
_STORED = {
    column.name: select(*_STORED_COLUMNS).where(
        doi.c.account == bindparam("a"), column.in_(bindparam("v", expanding=True))
    )
    for column in (doi.c.record_key, doi.c.doi)
}

_NOW = bindparam("now", type_=UtcDateTime)
_NOTED = {
    "record_key": bindparam("new_key"),
    "row_digest": bindparam("new_row"),
    "signature": bindparam("new_signature"),
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
_DONE = bindparam("done", type_=Boolean)
_CONFIRM = (
    update(doi)
    .where(
        doi.c.id == bindparam("row_id"),
        doi.c.desired_digest.is_not_distinct_from(bindparam("wanted", type_=Text)),
        doi.c.unsure_since.is_(None),
        or_(doi.c.claim_until.is_(None), doi.c.claim_until <= bindparam("steady", type_=UtcDateTime)),
        # What DataCite itself confirmed later is better evidence.
        or_(doi.c.verified_at.is_(None), doi.c.verified_at < bindparam("seen_at", type_=UtcDateTime)),
    )
    .values(
        synced_digest=case((_DONE, doi.c.desired_digest)),
        synced_state=bindparam("new_state"),
        synced_attributes=bindparam("new_attributes"),
        resolves=bindparam("new_resolves"),
        version=bindparam("new_version"),
        verified_at=_NOW,
        changed_at=case((_DONE, None), else_=func.coalesce(doi.c.changed_at, _NOW)),
        # What DataCite holds as it is wanted cannot have failed; what it holds otherwise may be sent again.
        **{name: case((_DONE, None), else_=doi.c[name]) for name in ("quarantined_digest", "cause", "message")},
        attempts=0,
        next_try_at=None,
    )
)
_TOUCH = (
    update(doi)
    .where(doi.c.id == bindparam("row_id"), doi.c.desired_digest.is_not_distinct_from(bindparam("noted", type_=Text)))
    .values(row_digest=bindparam("new_row"), signature=bindparam("new_signature"))
)


def _confirmed(one: Confirmed) -> dict[str, Any]:
    digests = one.held.digests
    return {
        "row_id": one.row_id,
        "wanted": one.desired_digest,
        "done": one.done,
        "new_state": one.held.state,
        "new_attributes": None if digests is None else json.dumps(dict(digests), sort_keys=True),
        "new_resolves": one.held.resolves,
        "new_version": one.version,
        "seen_at": one.seen_at,
    }


_STATES = {state.value: state for state in State}


def _stored(row: Any) -> Stored:
    # By position, in the order of _STORED_COLUMNS: a full scan makes one of these for every record.
    (
        row_id, name, record_key, row_digest, desired, synced, state, standing, cause, rival, aside, sure, version,
        signature,
    ) = row  # fmt: skip
    return Stored(
        row_id,
        name,
        record_key,
        row_digest,
        desired,
        synced,
        _STATES[state],
        standing,
        cause,
        rival,
        aside,
        bool(sure),
        version,
        signature,
    )


def _parameters(row_id: int, note: Note, now: datetime) -> dict[str, Any]:
    cause, message = note.quarantine or (None, None)
    parameters = {
        "row_id": row_id,
        "new_key": note.record_key,
        "new_row": note.row_digest,
        "new_signature": note.signature,
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
        "signature": note.signature,
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
