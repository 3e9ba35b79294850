"""Our own tables: the only place with SQL on them.

``tables`` names them, ``schema`` creates and upgrades them, ``database`` opens a connection with the right
habits, ``facts`` are the values that go in and out. ``dois`` is what a scan notes, ``claims`` what a worker does
with it, ``slots`` what the limiter takes, ``runs`` the bookkeeping around them, ``leases`` who may,
``bindings`` whose state it is, ``copies`` what an audit saw at DataCite, ``weights`` what the brake remembers,
``reading`` what people are shown, ``orders`` what they decide, ``pruning`` what is forgotten.
"""

from dataclasses import dataclass
from typing import Self

from syncd.clock import Clock, SystemClock
from syncd.store.bindings import Bindings
from syncd.store.claims import Claims
from syncd.store.copies import Copies
from syncd.store.database import Database
from syncd.store.dois import Dois
from syncd.store.orders import Orders
from syncd.store.pruning import Pruning
from syncd.store.reading import Reading
from syncd.store.runs import Runs
from syncd.store.slots import Slots
from syncd.store.weights import Weights

__all__ = ["Database", "Store"]


@dataclass(frozen=True)
class Store:
    """The state database, by what is done with it."""

    database: Database
    dois: Dois
    claims: Claims
    slots: Slots
    runs: Runs
    reading: Reading
    orders: Orders
    bindings: Bindings
    copies: Copies
    weights: Weights
    pruning: Pruning

    @classmethod
    def open(cls, url: str, clock: Clock | None = None) -> Self:
        """Connect lazily; nothing is created (see ``schema.upgrade``)."""
        return cls.on(Database(url, clock or SystemClock()))

    @classmethod
    def on(cls, database: Database) -> Self:
        """The state in this database."""
        return cls(
            database,
            Dois(database),
            Claims(database),
            Slots(database),
            Runs(database),
            Reading(database),
            Orders(database),
            Bindings(database),
            Copies(database),
            Weights(database),
            Pruning(database),
        )

    def close(self) -> None:
        """Give all connections back."""
        self.database.engine.dispose()
