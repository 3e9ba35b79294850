"""A copy of what DataCite's lists say, to be compared with the platform, and what the comparison found.

A list comes in the order of creation, the platform in the order of its keys, and neither fits into memory; so the
list is laid down here first, a page and its cursor in one transaction, and can go on after any interruption.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from syncd.model import State
from syncd.store.database import Database
from syncd.store.insert import insert_ignoring
from syncd.store.tables import drift, listing, remote

_NEVER = datetime.min.replace(tzinfo=UTC)
_DELETED_AT_ONCE = 5000
_ROWS_AT_ONCE = 100  # an insert of many rows has a limit of parameters
_OF_DOIS = select(remote).where(
    remote.c.account == bindparam("a"), remote.c.doi.in_(bindparam("names", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Copy:
    """What a list said of one DOI.

    Attributes:
        fingerprints: A digest of the normal form of each attribute that is not empty.
        version: DataCite's ``metadataVersion``.
    """

    doi: str
    state: State
    resolves: bool
    version: int | None
    fingerprints: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Listing:
    """How far the copying of a list is.

    Attributes:
        total: How many DOIs DataCite counted with the last page.
    """

    started_at: datetime
    cursor: str | None
    pages: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Drift:
    """One DOI that is not at DataCite as it should be.

    Attributes:
        kinds: What differs, see ``drift.KINDS``.
        attributes: Attribute to what we want and what DataCite has.
        words: The same as a sentence.
        version: DataCite's ``metadataVersion``; None when DataCite does not have the DOI.
        found_at: When it was asked.
    """

    doi: str
    kinds: Sequence[str]
    attributes: Mapping[str, tuple[Any, Any]]
    words: str
    version: int | None = None
    found_at: datetime = _NEVER


class Copies:
    """Reads and writes the copy and the drift of each account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, account: str, *, valid_for: timedelta) -> Listing:
        """Go on with an unfinished copy that is not too old, or begin a new one."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            found = connection.execute(select(listing).where(listing.c.account == account)).one_or_none()
            if found is not None and found.finished_at is None and found.started_at > now - valid_for:
                return Listing(found.started_at, found.cursor, found.pages, found.total)
            connection.execute(delete(listing).where(listing.c.account == account))
        self.drop(account)
        with self._database.writing() as connection:
            now = self._database.now(connection)
            connection.execute(insert(listing).values(account=account, started_at=now, pages=0))
            return Listing(now, None, 0, None)

    def keep(self, account: str, copies: Sequence[Copy], cursor: str | None, total: int | None) -> int:
        """Lay down a page and where the next one begins (None: this was the last); returns how many DOIs were new."""
        rows = [
            {
                "account": account,
                "doi": one.doi,
                "state": one.state,
                "resolves": one.resolves,
                "version": one.version,
                "fingerprints": json.dumps(dict(one.fingerprints), separators=(",", ":")),
                "matched": False,
            }
            for one in copies
        ]
        with self._database.writing() as connection:
            new = sum(
                insert_ignoring(connection, remote, rows[begin : begin + _ROWS_AT_ONCE])
                for begin in range(0, len(rows), _ROWS_AT_ONCE)
            )
            values: dict[str, Any] = {"cursor": cursor, "pages": listing.c.pages + 1, "total": total}
            if cursor is None:
                values["finished_at"] = self._database.now(connection)
            connection.execute(update(listing).where(listing.c.account == account).values(values))
        return new

    def of_dois(self, account: str, names: Sequence[str]) -> dict[str, Copy]:
        """What the list said of these DOIs."""
        if not names:
            return {}
        with self._database.reading() as connection:
            return {row.doi: _copy(row) for row in connection.execute(_OF_DOIS, {"a": account, "names": list(names)})}

    def match(self, account: str, names: Sequence[str]) -> None:
        """The platform has records for these DOIs."""
        which = (remote.c.account == account) & remote.c.doi.in_(list(names))
        with self._database.writing() as connection:
            connection.execute(update(remote).where(which).values(matched=True))

    def unmatched(self, account: str, page_size: int = 1000) -> Iterator[list[Copy]]:
        """What only DataCite has, in pages."""
        after = ""
        while True:
            which = (remote.c.account == account) & ~remote.c.matched & (remote.c.doi > after)
            with self._database.reading() as connection:
                rows = connection.execute(select(remote).where(which).order_by(remote.c.doi).limit(page_size))
                page = [_copy(row) for row in rows]
            if not page:
                return
            yield page
            after = page[-1].doi

    def count(self, account: str) -> int:
        """How many DOIs were copied."""
        query = select(func.count()).where(remote.c.account == account)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def forget(self, account: str) -> None:
        """The copy was worth nothing: the next one begins anew."""
        with self._database.writing() as connection:
            connection.execute(delete(listing).where(listing.c.account == account))
        self.drop(account)

    def drop(self, account: str) -> None:
        """The copy has served; only the moment it was made stays."""
        some = select(remote.c.doi).where(remote.c.account == account).limit(_DELETED_AT_ONCE)
        while True:
            # Millions in one transaction would keep everybody else waiting.
            with self._database.writing() as connection:
                which = (remote.c.account == account) & remote.c.doi.in_(some.scalar_subquery())
                if connection.execute(delete(remote).where(which)).rowcount < _DELETED_AT_ONCE:
                    return

    def found(self, account: str, drifts: Sequence[Drift]) -> None:
        """Write down what differs."""
        names = [one.doi for one in drifts]
        with self._database.writing() as connection:
            now = self._database.now(connection)
            connection.execute(delete(drift).where(drift.c.account == account, drift.c.doi.in_(names)))
            if drifts:
                connection.execute(insert(drift), [_drift_row(account, one, now) for one in drifts])

    def forget_drift(self, account: str) -> None:
        """A new comparison begins."""
        with self._database.writing() as connection:
            connection.execute(delete(drift).where(drift.c.account == account))

    def drift(self, account: str, page_size: int = 1000) -> Iterator[Drift]:
        """What the last comparison found."""
        after = ""
        while True:
            which = (drift.c.account == account) & (drift.c.doi > after)
            with self._database.reading() as connection:
                rows = connection.execute(select(drift).where(which).order_by(drift.c.doi).limit(page_size)).all()
            yield from (_drift(row) for row in rows)
            if len(rows) < page_size:
                return
            after = rows[-1].doi


def _copy(row: Any) -> Copy:
    return Copy(row.doi, State(row.state), row.resolves, row.version, json.loads(row.fingerprints))


def _drift_row(account: str, one: Drift, now: datetime) -> dict[str, Any]:
    return {
        "account": account,
        "doi": one.doi,
        "kinds": json.dumps(list(one.kinds)),
        "attributes": json.dumps(dict(one.attributes), ensure_ascii=False),
        "words": one.words,
        "version": one.version,
        "found_at": now,
    }


def _drift(row: Any) -> Drift:
    attributes = {name: (ours, theirs) for name, (ours, theirs) in json.loads(row.attributes).items()}
    return Drift(row.doi, json.loads(row.kinds), attributes, row.words, row.version, row.found_at)
