"""Time that does not jump: what slots, claims, leases and pauses are measured with.

The database's clock tells every process the same time, but somebody may set it. Steady time is that clock plus a
shift, kept in one row. Every process compares how far steady time went with how far its own monotonic clock went;
when the two part, somebody has set the clock, and whoever notices first, before it acts, changes the shift by as
much. The others find the row changed and have nothing left to correct. So a slot that rests for 300 seconds does
so for 300 seconds, whatever the wall clock was told meanwhile.

A process that has just started has no past to compare with; it takes the word of another one that ran on the same
boot of the same machine (``syncd_witness``), because those share a monotonic clock.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Select, func, literal, select, update

from syncd.clock import Clock
from syncd.store.insert import insert_ignoring
from syncd.store.tables import shift, witness

_log = structlog.get_logger()

TOLERANCE_SECONDS = 0.05
"""Smaller steps pass as the slow adjustment that every clock gets."""
_COMPARED_WITH_SECONDS = 60.0
_WITNESS_SECONDS = 600.0
_DISPUTED_SECONDS = 1.0
MARGIN_SECONDS = 6 * TOLERANCE_SECONDS
"""What the steps that pass can add up to in a window of five minutes."""


@dataclass(frozen=True, slots=True)
class _Anchor:
    monotonic: float
    steady: datetime


class SteadyTime:
    """One process's view of steady time."""

    def __init__(self, clock: Clock, *, host_clock: bool) -> None:
        """Args: ``host_clock``: the wall clock is this host's (SQLite), not the database server's."""
        self._clock = clock
        self._host_clock = host_clock
        self._anchor: _Anchor | None = None
        self._epoch = -1
        self._lock = threading.Lock()
        columns = (shift.c.microseconds, shift.c.epoch)
        self._query: Select[Any] = select(literal(None) if host_clock else func.clock_timestamp(), *columns)

    def read(self, connection: Connection) -> datetime:
        """Steady time now, as the last process that noticed a step left it."""
        return self._look(connection)[0]

    def corrected(self, connection: Connection) -> datetime:
        """Steady time now; a step of the wall clock since this process last looked is taken out of it first.

        Needs a transaction that writes, and holds for the rest of it.
        """
        while True:
            before = self._clock.monotonic()
            steady, epoch = self._look(connection)
            after = self._clock.monotonic()
            with self._lock:
                if self._anchor is None:
                    self._anchor = self._first(connection, after, steady)
                anchor = self._anchor
            earliest = anchor.steady + timedelta(seconds=before - anchor.monotonic)
            latest = anchor.steady + timedelta(seconds=after - anchor.monotonic)
            step = steady - latest if steady > latest else min(steady - earliest, timedelta(0))
            allowed = TOLERANCE_SECONDS
            if epoch != self._epoch:
                # Another process has just corrected; so small a rest is its clock's rate against ours.
                allowed = _DISPUTED_SECONDS
            if abs(step.total_seconds()) <= allowed:
                self._settle(connection, after, steady, epoch)
                return steady
            correction = {"microseconds": shift.c.microseconds - step // timedelta(microseconds=1)}
            ours = update(shift).where(shift.c.epoch == epoch).values(**correction, epoch=epoch + 1)
            # If another process was quicker, the step is gone when we look again.
            if connection.execute(ours).rowcount == 1:
                # Told each time: two hosts that contradict each other (one was stopped, its clock with it) are seen so.
                _log.warning("clock.stepped", seconds=round(step.total_seconds(), 3))
            self._epoch = epoch + 1

    def wall(self, connection: Connection, moment: datetime) -> datetime:
        """A steady moment as the wall clock would show it, for people."""
        microseconds = connection.execute(select(shift.c.microseconds)).scalar_one()
        return moment - timedelta(microseconds=microseconds)

    def _look(self, connection: Connection) -> tuple[datetime, int]:
        wall, microseconds, epoch = connection.execute(self._query).one()
        now = self._clock.now() if self._host_clock else wall
        return now + timedelta(microseconds=microseconds), epoch

    def _first(self, connection: Connection, monotonic: float, steady: datetime) -> _Anchor:
        """What an earlier process on this boot saw, if it is not so long ago that nothing rests any more."""
        row = connection.execute(select(witness).where(witness.c.boot == self._clock.boot)).one_or_none()
        self._epoch = self._look(connection)[1]
        if row is not None and 0 <= monotonic - row.monotonic <= _WITNESS_SECONDS:
            return _Anchor(row.monotonic, row.steady)
        self._testify(connection, monotonic, steady)
        return _Anchor(monotonic, steady)

    def _settle(self, connection: Connection, monotonic: float, steady: datetime, epoch: int) -> None:
        """Compare with this moment from now on, where the earlier one is long ago or another's word was taken."""
        with self._lock:
            late = self._anchor is None or monotonic - self._anchor.monotonic > _COMPARED_WITH_SECONDS
            if late or epoch != self._epoch:
                self._anchor, self._epoch = _Anchor(monotonic, steady), epoch
        if late:
            self._testify(connection, monotonic, steady)

    def _testify(self, connection: Connection, monotonic: float, steady: datetime) -> None:
        values = {"monotonic": monotonic, "steady": steady}
        boot = self._clock.boot
        if connection.execute(update(witness).where(witness.c.boot == boot).values(values)).rowcount == 0:
            insert_ignoring(connection, witness, [{"boot": boot, **values}])
