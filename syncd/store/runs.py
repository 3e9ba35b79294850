"""Bookkeeping around the cycle: runs with their watermark, leases, and pauses."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from syncd.store.database import Database
from syncd.store.insert import insert_ignoring
from syncd.store.tables import UtcDateTime, doi, lease, pause, run

HOST = "host"
"""The scope of a pause that holds for every account."""

BY_HAND, BRAKE = "by_hand", "brake"
WAITS_FOR_A_PERSON = (BY_HAND, BRAKE)
"""The causes of pauses that no request ends: somebody ordered one, or has to look first."""


_MINE = (lease.c.name == bindparam("lease")) & (lease.c.holder == bindparam("who"))
_UNTIL = bindparam("new_until", type_=UtcDateTime)
_TAKE_LEASE = (
    update(lease)
    .where(_MINE | ((lease.c.name == bindparam("lease")) & (lease.c.until <= bindparam("steady", type_=UtcDateTime))))
    .values(holder=bindparam("who"), until=_UNTIL, epoch=lease.c.epoch + 1)
)
_END_LEASE = update(lease).where(_MINE).values(until=_UNTIL)
_WATERMARK = (
    select(run.c.watermark)
    .where(run.c.account == bindparam("a"), run.c.result == "done", run.c.watermark.is_not(None))
    .order_by(run.c.id.desc())
    .limit(1)
)
_CONCERNED = select(pause.c.scope).where(pause.c.scope.in_([bindparam("a"), HOST])).limit(1)


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nothing is sent for an account, or for all of them.

    Attributes:
        until: When one request tries again; None: not before somebody resumes it.
        attempts: How many tries in a row failed.
        several: Requests of more than one DOI failed, so it is not the record.
    """

    scope: str
    cause: str
    message: str
    since: datetime
    until: datetime | None
    attempts: int
    several: bool


class Runs:
    """Writes down what the cycle as a whole did."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, account: str, kind: str, *, at_once: bool) -> "OpenRun":
        """A run begins; it is written down now or, if it may turn out to have been nothing, at its end."""
        run = OpenRun(self._database, account, kind)
        if at_once:
            run.write()
        return run

    def watermark(self, account: str) -> Any:
        """Where the next scan of changes begins; None: scan all."""
        with self._database.reading() as connection:
            found = connection.execute(_WATERMARK, {"a": account}).scalar_one_or_none()
        return None if found is None else json.loads(found)

    def last_done(self, account: str, kind: str) -> datetime | None:
        """When the last run of this kind that came to its end began."""
        query = select(func.max(run.c.started_at)).where(
            run.c.account == account, run.c.kind == kind, run.c.result == "done"
        )
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def take_lease(self, name: str, holder: str, duration: timedelta) -> bool:
        """Become the only one who does ``name`` for a while, or stay it; False: another one is."""
        return bool(self.take_leases([name], holder, duration))

    def take_leases(self, names: Iterable[str], holder: str, duration: timedelta) -> frozenset[str]:
        """The same for several at once; returns those of them that are the holder's now."""
        with self._database.writing() as connection:
            now = self._database.steady.corrected(connection)
            # In one order, so that two who want the same ones do not wait for each other.
            return frozenset(name for name in sorted(names) if _taken(connection, name, holder, now, now + duration))

    def release_lease(self, name: str, holder: str) -> None:
        """Let the next one begin at once."""
        self.release_leases([name], holder)

    def release_leases(self, names: Iterable[str], holder: str) -> None:
        """The same for several at once."""
        with self._database.writing() as connection:
            now = self._database.steady.corrected(connection)
            for name in sorted(names):
                connection.execute(_END_LEASE, {"lease": name, "who": holder, "new_until": now})

    def pause(
        self,
        scope: str,
        cause: str,
        message: str,
        duration: Callable[[int], timedelta | None],
        *,
        told_by: str | None = None,
        tried: bool = False,
    ) -> Pause:
        """Send nothing for ``scope`` (an account, or ``HOST``) for a while; then one request tries again.

        Args:
            scope: What rests.
            cause: Why, in the stable word.
            message: Why, in DataCite's or our words.
            duration: From how many tries in a row failed to how long; None: until somebody resumes it.
            told_by: The DOI whose request told it; a second one shows that it is not the record.
            tried: The caller's was the one request that ``leave`` allowed. Others that were on their way only
                say again what is known, and change nothing.
        """
        with self._database.writing() as connection:
            wall = self._database.now(connection)
            steady = self._database.steady.corrected(connection)
            found = connection.execute(select(pause).where(pause.c.scope == scope).with_for_update()).one_or_none()
            if found is not None and found.until is None and cause not in (found.cause, BY_HAND):
                return self._shown(connection, found)  # it waits for a person, whatever is still on its way
            if found is not None and found.cause != cause:
                found = None
            several = found is not None and (found.several or found.doi != told_by)
            if found is not None and not tried and (found.until is None or found.until > steady):
                # Another worker's request told the same before.
                words = message if cause == BY_HAND else found.message
                connection.execute(update(pause).where(pause.c.scope == scope).values(several=several, message=words))
                return replace(self._shown(connection, found), several=several)
            attempts = 1 if found is None else found.attempts + 1
            rest = duration(attempts)
            values = {
                "cause": cause,
                "message": message,
                "since": wall if found is None else found.since,
                "until": None if rest is None else steady + rest,
                "attempts": attempts,
                "doi": told_by if found is None else found.doi,
                "several": several,
            }
            if connection.execute(update(pause).where(pause.c.scope == scope).values(values)).rowcount == 0:
                insert_ignoring(connection, pause, [{"scope": scope, **values}])
            row = connection.execute(select(pause).where(pause.c.scope == scope)).one()
            return self._shown(connection, row)

    def leave(self, account: str, probe: timedelta) -> tuple[str, ...] | None:
        """Whether something may be sent for an account now.

        Args:
            account: For which.
            probe: How long one request may take that tries whether a pause can end.

        Returns:
            None when it may not. Otherwise the scopes whose pause is over by time: exactly one caller gets
            them, for one request, and says afterwards how it went (``resume`` or ``pause``).
        """
        concerned = pause.c.scope.in_([account, HOST])
        with self._database.reading() as connection:
            if not connection.execute(_CONCERNED, {"a": account}).first():
                return ()
        with self._database.writing() as connection:
            steady = self._database.steady.corrected(connection)
            rows = connection.execute(select(pause).where(concerned).with_for_update()).all()
            if any(row.until is None or row.until > steady for row in rows):
                return None
            scopes = tuple(row.scope for row in rows)
            connection.execute(update(pause).where(pause.c.scope.in_(scopes)).values(until=steady + probe))
            return scopes

    def end_wait(self, scopes: Sequence[str]) -> None:
        """Let the next request try at once whether these pauses can end."""
        with self._database.writing() as connection:
            steady = self._database.steady.corrected(connection)
            due = pause.c.scope.in_(scopes) & pause.c.until.is_not(None)
            connection.execute(update(pause).where(due).values(until=steady))

    def resume(self, scope: str, *, by_itself: bool = False) -> bool:
        """End a pause; returns whether there was one. What only waited for better weather is due at once.

        Args:
            scope: What rests.
            by_itself: A request passed; that ends no pause that waits for a person.
        """
        which = pause.c.scope == scope
        if by_itself:
            which &= pause.c.until.is_not(None)
        with self._database.writing() as connection:
            there = connection.execute(delete(pause).where(which)).rowcount > 0
            if there and scope == HOST:
                waiting = doi.c.next_try_at.is_not(None) & doi.c.cause.is_(None)
                connection.execute(update(doi).where(waiting).values(next_try_at=None))
            return there

    def pauses(self, account: str | None = None) -> list[Pause]:
        """The pauses that hold, all or the ones that concern one account; ``until`` as the wall clock has it."""
        query = select(pause).order_by(pause.c.since, pause.c.scope)
        if account is not None:
            query = query.where(pause.c.scope.in_([account, HOST]))
        with self._database.reading() as connection:
            return [self._shown(connection, row) for row in connection.execute(query).all()]

    def _shown(self, connection: Connection, row: Row[Any]) -> Pause:
        until = None if row.until is None else self._database.steady.wall(connection, row.until)
        return Pause(row.scope, row.cause, row.message, row.since, until, row.attempts, row.several)


class OpenRun:
    """One run on its way."""

    def __init__(self, database: Database, account: str, kind: str) -> None:
        self.kind = kind
        self._database = database
        self._account = account
        self._id: int | None = None
        self._began = database.monotonic()

    def write(self) -> None:
        """People see from now on that it runs."""
        with self._database.writing() as connection:
            self._insert(connection)

    def end(
        self,
        result: str,
        counts: Mapping[str, int],
        watermark: Any = None,
        *,
        quiet: bool = False,
        message: str = "",
    ) -> None:
        """It is over: ``done`` or ``failed``, and why; a quiet one that was not written down before never is."""
        if quiet and self._id is None:
            return
        with self._database.writing() as connection:
            if self._id is None:
                self._insert(connection)
            values = {
                "finished_at": self._database.now(connection),
                "result": result,
                "counts": json.dumps(dict(counts)),
                "watermark": None if watermark is None else json.dumps(watermark),
                "message": message or None,
            }
            connection.execute(update(run).where(run.c.id == self._id).values(values))

    def _insert(self, connection: Connection) -> None:
        ago = timedelta(seconds=self._database.monotonic() - self._began)
        row = {"account": self._account, "kind": self.kind, "started_at": self._database.now(connection) - ago}
        self._id = connection.execute(insert(run).values(row).returning(run.c.id)).scalar_one()


def _taken(connection: Connection, name: str, holder: str, now: datetime, until: datetime) -> bool:
    parameters = {"lease": name, "who": holder, "steady": now, "new_until": until}
    if connection.execute(_TAKE_LEASE, parameters).rowcount == 1:
        return True
    if connection.execute(select(lease.c.name).where(lease.c.name == name)).first():
        return False
    return insert_ignoring(connection, lease, [{"name": name, "holder": holder, "until": until, "epoch": 1}]) == 1
