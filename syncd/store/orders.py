"""What a person orders about DOIs: try again, leave alone, mind again."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, null, select, update

from syncd.model import State
from syncd.store.database import Database
from syncd.store.facts import EXCLUDED, FOREIGN, LANE_BACKFILL
from syncd.store.tables import doi

_NAMES_AT_ONCE, _ROWS_AT_ONCE = 500, 1000
_NOW = object()


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
        return self._named(
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

        Left alone is what DataCite is to have nothing of, what stands failed, and what is pending already: so the
        same order twice sends nothing twice, and nothing urgent becomes mass work.

        Args:
            account: Whose.
            dois: Only these; None: all.
        """
        values = {"synced_digest": null(), "synced_attributes": null(), "lane": LANE_BACKFILL, "changed_at": _NOW}
        return sum(self._change(which, **values) for which in _refreshable(account, dois))

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
        return self._named(account, dois, ours, standing=EXCLUDED, excluded_because=reason)

    def include(self, account: str, dois: Sequence[str]) -> int:
        """Mind excluded DOIs again; the next full scan looks at their records anew. Returns how many."""
        excluded = doi.c.standing == EXCLUDED
        # As it was when it was last sent: the scan finds what changed meanwhile, and its brake weighs it.
        values = {"desired_digest": doi.c.synced_digest, "row_digest": null(), "gone_at": null()}
        return self._named(account, dois, excluded, standing=null(), excluded_because=null(), **values)

    def _named(self, account: str, dois: Sequence[str], which: ColumnElement[bool], **values: Any) -> int:
        where = and_(doi.c.account == account, which)
        return self._change(and_(where, doi.c.doi.in_(list(dois))) if dois else where, **values)

    def _change(self, which: ColumnElement[bool], **values: Any) -> int:
        """Rows in the order of their numbers, as everybody locks them, and a part at a time."""
        changed, after = 0, 0
        query = select(doi.c.id).where(which, doi.c.id > bindparam("after")).order_by(doi.c.id).limit(_ROWS_AT_ONCE)
        while True:
            with self._database.writing() as connection:
                found = connection.execute(query.with_for_update(), {"after": after}).scalars().all()
                if not found:
                    return changed
                now = self._database.now(connection)
                fresh = {name: now if value is _NOW else value for name, value in values.items()}
                changed += connection.execute(update(doi).where(doi.c.id.in_(found)).values(**fresh)).rowcount
            after = found[-1]


def _refreshable(account: str, dois: Sequence[str] | None) -> Iterator[ColumnElement[bool]]:
    """The rows to send once more, in parts that a statement can name."""
    those = and_(
        doi.c.account == account,
        doi.c.standing.is_(None),
        doi.c.quarantined_digest.is_(None),
        doi.c.desired_digest.is_not(None),
        doi.c.desired_state != State.NONE,
        doi.c.desired_digest == doi.c.synced_digest,
        doi.c.synced_state != State.NONE,
    )
    if dois is None:
        yield those
        return
    for first in range(0, len(dois), _NAMES_AT_ONCE):
        yield and_(those, doi.c.doi.in_(dois[first : first + _NAMES_AT_ONCE]))
