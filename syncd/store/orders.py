"""What a person orders about DOIs: try again, leave alone, mind again."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, null, or_, select, update

from syncd.model import State
from syncd.store.database import Database
from syncd.store.facts import EXCLUDED, FOREIGN, LANE_BACKFILL
from syncd.store.tables import doi

_NAMES_AT_ONCE = 500


class Orders:
    """Changes where DOIs stand, on an operator's word; works beside a running daemon."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def retry(self, account: str, *, cause: str | None = None, dois: Sequence[str] = ()) -> int:
        """Make failed DOIs due at once, whatever they wait for; returns how many.

        What could not even be mapped is mapped anew by the next full scan. Two records with one DOI stay
        set aside: only one of the two can end that.

        Args:
            account: Whose.
            cause: Only those that failed so.
            dois: Only these; none: all.
        """
        why = doi.c.cause.is_not(None) if cause is None else doi.c.cause == cause
        failed = and_(why, doi.c.standing.is_(None), doi.c.rival_key.is_(None))
        mapped = doi.c.desired_digest.is_not(None)
        return self._change(
            account,
            dois,
            failed,
            row_digest=null(),
            quarantined_digest=case((mapped, null()), else_=doi.c.quarantined_digest),
            next_try_at=null(),
            attempts=0,
        )

    def refresh(self, account: str, dois: Sequence[str] | None = None) -> int:
        """Have DOIs sent once more, complete, behind everything that really changed; returns how many.

        Left alone is what DataCite is to have nothing of, what stands failed, and what is pending as mass work
        already: so the same order twice sends nothing twice.

        Args:
            account: Whose.
            dois: Only these; None: all.
        """
        with self._database.writing() as connection:
            now = self._database.now(connection)
            values = {
                "synced_digest": null(),
                "synced_attributes": null(),
                "lane": LANE_BACKFILL,
                "changed_at": func.coalesce(doi.c.changed_at, now),
            }
            return sum(
                connection.execute(update(doi).where(which).values(values)).rowcount
                for which in _refreshable(account, dois)
            )

    def refreshable(self, account: str, dois: Sequence[str] | None = None) -> int:
        """How many DOIs ``refresh`` would have sent once more."""
        with self._database.reading() as connection:
            return sum(
                connection.execute(select(func.count()).select_from(doi).where(which)).scalar_one()
                for which in _refreshable(account, dois)
            )

    def exclude(self, account: str, dois: Sequence[str], reason: str) -> int:
        """Leave these DOIs alone from now on; returns how many were ours."""
        ours = doi.c.standing.is_distinct_from(FOREIGN)
        return self._change(account, dois, ours, standing=EXCLUDED, excluded_because=reason)

    def include(self, account: str, dois: Sequence[str]) -> int:
        """Mind excluded DOIs again; the next full scan looks at their records anew. Returns how many."""
        excluded = doi.c.standing == EXCLUDED
        return self._change(account, dois, excluded, standing=null(), excluded_because=null(), row_digest=null())

    def _change(self, account: str, dois: Sequence[str], which: ColumnElement[bool], **values: Any) -> int:
        where = and_(doi.c.account == account, which)
        if dois:
            where = and_(where, doi.c.doi.in_(list(dois)))
        with self._database.writing() as connection:
            return connection.execute(update(doi).where(where).values(**values)).rowcount


def _refreshable(account: str, dois: Sequence[str] | None) -> Iterator[ColumnElement[bool]]:
    """The rows to send once more, in parts that a statement can name."""
    those = and_(
        doi.c.account == account,
        doi.c.standing.is_(None),
        doi.c.quarantined_digest.is_(None),
        doi.c.desired_digest.is_not(None),
        doi.c.desired_state != State.NONE,
        or_(doi.c.lane != LANE_BACKFILL, doi.c.desired_digest.is_not_distinct_from(doi.c.synced_digest)),
    )
    if dois is None:
        yield those
        return
    for first in range(0, len(dois), _NAMES_AT_ONCE):
        yield and_(those, doi.c.doi.in_(dois[first : first + _NAMES_AT_ONCE]))
