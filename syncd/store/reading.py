"""What people are shown: sums, failures, and everything about one DOI."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, select

from syncd.store.database import Database
from syncd.store.facts import LANE_BACKFILL
from syncd.store.tables import PENDING, doi, failure, run, write

BUCKETS = ("in_sync", "pending", "quarantined", "excluded", "foreign")
"""Every DOI is in exactly one; together they are what is wanted."""

BUCKET = case(
    (doi.c.standing == "foreign", "foreign"),
    (doi.c.standing == "excluded", "excluded"),
    (doi.c.quarantined_digest.is_not(None), "quarantined"),
    (and_(doi.c.desired_digest == doi.c.synced_digest, doi.c.unsure_since.is_(None)), "in_sync"),
    else_="pending",
)
"""In which of them a row is."""


@dataclass(frozen=True, slots=True)
class Sum:
    """One account's DOIs by where they stand; ``wanted`` is counted apart, so that it can be checked."""

    account: str
    wanted: int
    in_sync: int
    pending: int
    quarantined: int
    excluded: int
    foreign: int
    oldest_change: datetime | None

    @property
    def adds_up(self) -> bool:
        """The promise counts-add-up."""
        parts: int = sum(getattr(self, bucket) for bucket in BUCKETS)
        return self.wanted == parts


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """The DOIs that stand failed under one cause; the examples with DataCite's or our words."""

    account: str
    cause: str
    count: int
    quarantined: int
    examples: Sequence[tuple[str, str]]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class InFlight:
    """A DOI that a worker has claimed now: who, why, and since when it waits to be true."""

    account: str
    doi: str
    process: str
    wanted: str
    lane: int
    changed_at: datetime | None
    attempts: int


class Reading:
    """Queries for ``status``, ``failures`` and ``show``; they work while a daemon runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sum(self, account: str) -> Sum:
        """Where this account's DOIs stand."""
        return self.sums([account])[0]

    def sums(self, accounts: Sequence[str]) -> list[Sum]:
        """Where these accounts' DOIs stand, in their order."""
        counts: dict[str, dict[str, int]] = {account: {} for account in accounts}
        oldest: dict[str, datetime | None] = {}
        bucket = BUCKET.label("bucket")
        by_bucket = select(doi.c.account, bucket, func.count(), func.min(doi.c.changed_at))
        wanted = select(doi.c.account, func.count()).group_by(doi.c.account)
        if len(accounts) == 1:
            by_bucket, wanted = (query.where(doi.c.account == accounts[0]) for query in (by_bucket, wanted))
        with self._database.reading() as connection:
            totals: dict[str, int] = {account: count for account, count in connection.execute(wanted)}  # noqa: C416
            for account, name, count, since in connection.execute(by_bucket.group_by(doi.c.account, bucket)).all():
                counts.setdefault(account, {})[name] = count
                if name == "pending":
                    oldest[account] = since
        return [
            Sum(
                account,
                totals.get(account, 0),
                **{name: counts[account].get(name, 0) for name in BUCKETS},
                oldest_change=oldest.get(account),
            )
            for account in accounts
        ]

    def lanes(self) -> dict[tuple[str, int], int]:
        """How many DOIs are pending, by account and lane."""
        query = select(doi.c.account, doi.c.lane, func.count()).where(PENDING).group_by(doi.c.account, doi.c.lane)
        with self._database.reading() as connection:
            return {(account, lane): count for account, lane, count in connection.execute(query)}

    def in_flight(self, limit: int) -> list[InFlight]:
        """What is being sent now, by any process, the oldest change first."""
        columns = (doi.c.account, doi.c.doi, doi.c.claim_owner, doi.c.desired_state, doi.c.lane, doi.c.changed_at,
                   doi.c.attempts)  # fmt: skip
        with self._database.reading() as connection:
            now = self._database.steady.read(connection)
            claimed = select(*columns).where(PENDING, doi.c.claim_until > now).order_by(doi.c.changed_at).limit(limit)
            return [InFlight(*row) for row in connection.execute(claimed)]

    def failures(self, account: str, examples: int = 5) -> list[FailureGroup]:
        """The DOIs that are failed now, by cause, most first; with so many examples, 0: all."""
        failed = and_(doi.c.account == account, doi.c.cause.is_not(None), doi.c.standing.is_(None))
        groups = []
        with self._database.reading() as connection:
            by_cause = (
                select(
                    doi.c.cause,
                    func.count().label("n"),
                    func.count(doi.c.quarantined_digest),
                    func.min(doi.c.changed_at),
                )
                .where(failed)
                .group_by(doi.c.cause)
                .order_by(func.count().desc(), doi.c.cause)
            )
            for cause, count, quarantined, since in connection.execute(by_cause).all():
                example = select(doi.c.doi, doi.c.message).where(failed, doi.c.cause == cause)
                rows = connection.execute(example.order_by(doi.c.doi).limit(examples or None)).all()
                shown = [(row.doi, row.message or "") for row in rows]
                groups.append(FailureGroup(account, cause, count, quarantined, shown, since))
        return groups

    def pending(self, account: str) -> int:
        """How many DOIs are due or will be."""
        return self.sum(account).pending

    def mass_work(self, account: str) -> int:
        """How many DOIs are pending as mass work."""
        query = select(func.count()).where(doi.c.account == account, PENDING, doi.c.lane == LANE_BACKFILL)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def doi(self, account: str, name: str) -> dict[str, Any] | None:
        """Everything known about one DOI: its row, its newest requests and failures."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(doi, BUCKET.label("bucket")).where(doi.c.account == account, doi.c.doi == name)
            ).one_or_none()
            if row is None:
                return None
            shown = dict(row._mapping)
            for moment in _STEADY_COLUMNS:
                if shown[moment] is not None:
                    shown[moment] = self._database.steady.wall(connection, shown[moment])
            history = {
                label: [
                    _plain(entry._mapping)
                    for entry in connection.execute(
                        select(table)
                        .where(table.c.account == account, table.c.doi == name)
                        .order_by(table.c.id.desc())
                        .limit(20)
                    )
                ]
                for label, table in (("writes", write), ("failures", failure))
            }
        return {**_plain(shown), **history}

    def beginning_with(self, text: str, limit: int) -> list[str]:
        """DOIs that begin so, of any account."""
        accounts = select(doi.c.account).distinct()
        found: set[str] = set()
        with self._database.reading() as connection:
            for account in connection.execute(accounts).scalars().all():
                mine = (doi.c.account == account) & (doi.c.doi >= text) & (doi.c.doi < f"{text}\U0010ffff")
                query = select(doi.c.doi).where(mine, doi.c.doi.startswith(text, autoescape=True))
                found |= set(connection.execute(query.order_by(doi.c.doi).limit(limit)).scalars())
        return sorted(found)[:limit]

    def last_runs(self, account: str) -> list[dict[str, Any]]:
        """The newest run of each kind."""
        return self.newest_runs([account])[account]

    def newest_runs(self, accounts: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """The newest run of each kind, newest first, for each of these accounts."""
        newest = select(func.max(run.c.id)).group_by(run.c.account, run.c.kind)
        query = select(run).where(run.c.id.in_(newest)).order_by(run.c.id.desc())
        found: dict[str, list[dict[str, Any]]] = {account: [] for account in accounts}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                if row.account in found:
                    found[row.account].append(_plain(row._mapping))
        return found


_STEADY_COLUMNS = ("unsure_since", "next_try_at", "claim_until")
_JSON_COLUMNS = ("synced_attributes", "attributes", "counts", "watermark")


def _plain(mapping: Any) -> dict[str, Any]:
    """A row as JSON can carry it."""
    plain = {}
    for name, value in mapping.items():
        if isinstance(value, datetime):
            plain[name] = value.isoformat()
        elif name in _JSON_COLUMNS and isinstance(value, str):
            plain[name] = json.loads(value)
        else:
            plain[name] = value
    return plain
