"""The right to be the only one who does something: taken for a while, kept by writing, lost by silence."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, bindparam, update

from syncd.errors import BusyError
from syncd.store.database import Database
from syncd.store.tables import UtcDateTime, lease

_KEEP = (
    update(lease)
    .where(lease.c.name == bindparam("lease"), lease.c.holder == bindparam("who"))
    .values(until=bindparam("new_until", type_=UtcDateTime))
)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken (see ``Runs.take_lease``), with which writing can be fenced.

    Attributes:
        name: What only one may do.
        holder: Who took it.
        duration: How long it is held without a word.
    """

    name: str
    holder: str
    duration: timedelta

    def keep(self, database: Database, connection: Connection) -> None:
        """Within the caller's transaction: nobody took it meanwhile, and nobody can before this one commits.

        A process that stood still for longer than its lease, at whatever instruction, writes nothing any more.

        Raises:
            BusyError: Another one took it; the caller's transaction must not commit.
        """
        until = database.steady.corrected(connection) + self.duration
        parameters = {"lease": self.name, "who": self.holder, "new_until": until}
        if connection.execute(_KEEP, parameters).rowcount == 0:
            raise BusyError(f"another process has taken over ({self.name})", hint="run it again")
