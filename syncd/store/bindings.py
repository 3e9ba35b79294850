"""Whose state this is: one DataCite, one platform database, and whether what DataCite held was looked at first."""

import json
from collections.abc import Iterable

from sqlalchemy import select, update

from syncd.errors import CloneError
from syncd.model import State
from syncd.store.database import Database
from syncd.store.insert import insert_ignoring
from syncd.store.tables import doi, fingerprint


class Bindings:
    """Ties each account's state to the world it was made with, so that a copy of it does no harm elsewhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def bind(self, account: str, host: str, platform: str) -> None:
        """Tie the account's state to one DataCite and one platform database, on first use.

        Raises:
            CloneError: The state was made with another one: writing would harm it.
        """
        with self._database.writing() as connection:
            row = {"account": account, "host": host, "platform": platform, "bound_at": self._database.now(connection)}
            insert_ignoring(connection, fingerprint, [row])
        self.check(account, host, platform)

    def check(self, account: str, host: str, platform: str) -> None:
        """Whether the account's state belongs to this DataCite and this platform database, or to none yet.

        Raises:
            CloneError: It belongs to another one.
        """
        with self._database.reading() as connection:
            found = connection.execute(select(fingerprint).where(fingerprint.c.account == account)).one_or_none()
        for name, value in {"host": host, "platform": platform}.items():
            if found is not None and getattr(found, name) != value:
                raise CloneError(
                    f"the state of {account} belongs to the {name} {getattr(found, name)}, not to {value};"
                    " is this a copy of another system?",
                    hint=(
                        "a copy needs a state database of its own, and the test system; if the system itself moved:"
                        f" syncd adopt --account {account} --rebind"
                    ),
                )

    def rebind(self, account: str, host: str, platform: str) -> None:
        """The account's state belongs to these from now on; what DataCite holds must be looked at anew.

        At another DataCite nothing is known of any DOI.
        """
        with self._database.writing() as connection:
            row = {"account": account, "host": host, "platform": platform, "bound_at": self._database.now(connection)}
            before = connection.execute(select(fingerprint.c.host).where(fingerprint.c.account == account)).scalar()
            if insert_ignoring(connection, fingerprint, [row]) == 0:
                connection.execute(
                    update(fingerprint).where(fingerprint.c.account == account).values(**row, adopted_at=None)
                )
            if before is not None and before != host:
                unknown = {
                    "synced_digest": None, "synced_state": State.NONE, "synced_attributes": None, "resolves": True,
                    "unsure_since": None, "verified_at": None, "version": None, "quarantined_digest": None,
                    "row_digest": None,
                }  # fmt: skip
                connection.execute(update(doi).where(doi.c.account == account).values(**unknown))

    def adopted(self, account: str) -> bool:
        """Whether what DataCite held at first was looked at (see ``mark_adopted``)."""
        query = select(fingerprint.c.adopted_at).where(fingerprint.c.account == account)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none() is not None

    def mark_adopted(self, account: str) -> None:
        """From now on what differs may be sent."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            connection.execute(update(fingerprint).where(fingerprint.c.account == account).values(adopted_at=now))

    def mass_ceiling(self, account: str) -> int | None:
        """How many slots mass work of this account may take in a window, where somebody ordered fewer."""
        query = select(fingerprint.c.mass_per_window).where(fingerprint.c.account == account)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def order_mass_ceiling(self, account: str, per_window: int | None) -> None:
        """Mass work of this account takes no more than so many slots in a window, whoever sends it; None: as usual."""
        with self._database.writing() as connection:
            order = update(fingerprint).where(fingerprint.c.account == account).values(mass_per_window=per_window)
            connection.execute(order)

    def hosts(self, account: str) -> frozenset[str]:
        """The hosts of all landing pages that were ever wanted."""
        query = select(fingerprint.c.hosts).where(fingerprint.c.account == account)
        with self._database.reading() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return frozenset(json.loads(found)) if found else frozenset()

    def remember_hosts(self, account: str, hosts: Iterable[str]) -> None:
        """These hosts are known from now on."""
        known = self.hosts(account)
        if new := known | set(hosts):
            if new == known:
                return
            text = json.dumps(sorted(new))
            with self._database.writing() as connection:
                connection.execute(update(fingerprint).where(fingerprint.c.account == account).values(hosts=text))
