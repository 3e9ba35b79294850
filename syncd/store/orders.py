"""What a person orders about DOIs: try again, leave alone, mind again."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, null, update

from syncd.store.database import Database
from syncd.store.facts import EXCLUDED, FOREIGN
from syncd.store.tables import doi


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
