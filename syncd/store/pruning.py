"""Forget what people only look at, when it is old: the trail of writes, failures, runs; never where a DOI stands."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, delete, func, select

from syncd.store.database import Database
from syncd.store.tables import failure, run, witness, write

_AT_ONCE = 1000
_WITNESS = timedelta(days=1)


class Pruning:
    """Deletes old rows, a thousand in a transaction, so that nobody waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def prune(
        self, *, writes: timedelta, failures: timedelta, runs: timedelta, stopping: Callable[[], bool] = lambda: False
    ) -> dict[str, int]:
        """Delete what is older than that; returns how many rows of each kind.

        The newest run of each kind stays, whatever its age, and so does the one with the watermark.
        """
        now = self._database.moment()
        return {
            "writes": self._old(write, write.c.at < now - writes, stopping),
            "failures": self._old(failure, failure.c.at < now - failures, stopping),
            "runs": self._old(run, self._superseded(now - runs), stopping),
            "witnesses": self._witnesses(),
        }

    def _old(self, table: Table, old: ColumnElement[bool], stopping: Callable[[], bool]) -> int:
        key: Column[Any] = table.c.id
        gone = 0
        while not stopping():
            with self._database.writing() as connection:
                numbers = connection.execute(select(key).where(old).order_by(key).limit(_AT_ONCE)).scalars().all()
                if numbers:
                    connection.execute(delete(table).where(key.in_(numbers)))
            gone += len(numbers)
            if len(numbers) < _AT_ONCE:
                break
        return gone

    @staticmethod
    def _superseded(before: datetime) -> ColumnElement[bool]:
        newest = select(func.max(run.c.id)).group_by(run.c.account, run.c.kind, run.c.result)
        marked = select(func.max(run.c.id)).where(run.c.watermark.is_not(None)).group_by(run.c.account)
        return (run.c.started_at < before) & run.c.id.not_in(newest) & run.c.id.not_in(marked)

    def _witnesses(self) -> int:
        """The word of a machine that was started anew since then is worth nothing."""
        with self._database.writing() as connection:
            old = self._database.steady.corrected(connection) - _WITNESS
            return connection.execute(delete(witness).where(witness.c.steady < old)).rowcount
