"""The slots of the limiter: N rows that rest (the reasoning is in ``syncd.limiter``)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Integer, bindparam, delete, func, select, update

from syncd.store.database import Database
from syncd.store.insert import insert_ignoring
from syncd.store.tables import UtcDateTime, slot

_AT = bindparam("now", type_=UtcDateTime)
_UNTIL = bindparam("until", type_=UtcDateTime)
_NUMBERED = slot.c.number == bindparam("slot")
_LONGEST_FREE = (
    select(slot.c.number, slot.c.free_at)
    .where(slot.c.free_at <= _AT)
    .order_by(slot.c.free_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_HOLD = update(slot).where(_NUMBERED).values(free_at=_UNTIL)
_END_HOLD = update(slot).where(_NUMBERED, slot.c.free_at == bindparam("held", type_=UtcDateTime)).values(free_at=_UNTIL)
_COUNT_FREE = select(func.count()).where(slot.c.free_at <= _AT)
_FREE_AFTER = select(slot.c.free_at).order_by(slot.c.free_at).offset(bindparam("others", type_=Integer)).limit(1)


@dataclass(frozen=True, slots=True)
class Taken:
    """One slot in use.

    Attributes:
        number: Which one.
        rested_until: What its ``free_at`` was before, to give it back unused.
        held_until: What its ``free_at`` is now: the careful value that a crash leaves.
    """

    number: int
    rested_until: datetime
    held_until: datetime


class Slots:
    """Takes and gives back slots, by steady time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def resize(self, count: int, hold: timedelta, rest: timedelta) -> None:
        """Make it exactly ``count`` slots.

        The ones longest free go first, so that what is still resting keeps counting; slots that are added to
        others rest first, because a removed one may have been in their place. A ``free_at`` further away than
        any slot can be held comes from a clock that was wrong and is brought back.
        """
        with self._database.writing() as connection:
            now = self._database.steady.corrected(connection)
            latest = now + hold
            connection.execute(update(slot).where(slot.c.free_at > latest).values(free_at=latest))
            numbers = connection.execute(select(slot.c.number).order_by(slot.c.free_at, slot.c.number)).scalars()
            have = list(numbers)
            surplus = have[: max(0, len(have) - count)]
            if surplus:
                connection.execute(delete(slot).where(slot.c.number.in_(surplus)))
            missing = count - len(have)
            if missing > 0:
                first = max(have, default=0) + 1
                free_at = now + rest if have else now
                rows = [{"number": number, "free_at": free_at} for number in range(first, first + missing)]
                # Another process may be making the same ones.
                insert_ignoring(connection, slot, rows)

    def take(self, hold: timedelta, keep_free: int) -> Taken | timedelta:
        """Take the slot that rested longest.

        Args:
            hold: How long it stays taken when nobody gives it back: request time-out and window.
            keep_free: So many free slots are left for more urgent work.

        Returns:
            The slot, or how long to wait until one may be free.
        """
        with self._database.writing() as connection:
            now = self._database.steady.corrected(connection)
            if keep_free and self._free(connection, now) <= keep_free:
                return self._wait(connection, now, keep_free)
            found = connection.execute(_LONGEST_FREE, {"now": now}).one_or_none()
            if found is None:
                return self._wait(connection, now, 0)
            held_until = now + hold
            connection.execute(_HOLD, {"slot": found.number, "until": held_until})
            return Taken(found.number, found.free_at, held_until)

    def finish(self, taken: Taken, rest: timedelta) -> None:
        """The request is over: the slot rests for one window from now."""
        with self._database.writing() as connection:
            self._free_at(connection, taken, self._database.steady.corrected(connection) + rest)

    def rest_some(self, count: int, rest: timedelta) -> None:
        """Let so many of the free slots rest as if they had been used: somebody else behind this address was."""
        with self._database.writing() as connection:
            now = self._database.steady.corrected(connection)
            free = select(slot.c.number).where(slot.c.free_at <= now).order_by(slot.c.free_at).limit(count)
            connection.execute(update(slot).where(slot.c.number.in_(free)).values(free_at=now + rest))

    def give_back(self, taken: Taken) -> None:
        """Nothing was sent through this slot: it is as free as it was."""
        with self._database.writing() as connection:
            self._free_at(connection, taken, taken.rested_until)

    def until_free(self) -> list[float]:
        """In how many seconds each slot is free, the soonest first; zero or less: it is."""
        with self._database.reading() as connection:
            now = self._database.steady.read(connection)
            moments = connection.execute(select(slot.c.free_at).order_by(slot.c.free_at)).scalars()
            return [(moment - now).total_seconds() for moment in moments]

    def in_use(self) -> tuple[int, int]:
        """How many slots rest or are taken, and how many there are."""
        with self._database.reading() as connection:
            now = self._database.steady.read(connection)
            total = connection.execute(select(func.count()).select_from(slot)).scalar_one()
            return total - self._free(connection, now), total

    @staticmethod
    def _free_at(connection: Connection, taken: Taken, free_at: datetime) -> None:
        # Only our own hold is ended: after a crash and a restart the slot may be another's.
        parameters = {"slot": taken.number, "held": taken.held_until, "until": free_at}
        connection.execute(_END_HOLD, parameters)

    @staticmethod
    def _free(connection: Connection, now: datetime) -> int:
        return connection.execute(_COUNT_FREE, {"now": now}).scalar_one()

    @staticmethod
    def _wait(connection: Connection, now: datetime, keep_free: int) -> timedelta:
        """Until the slot that the caller may take comes free (at once if it did meanwhile)."""
        free_at = connection.execute(_FREE_AFTER, {"others": keep_free}).scalar_one_or_none()
        return max(timedelta(0), free_at - now) if free_at else timedelta(seconds=1)
