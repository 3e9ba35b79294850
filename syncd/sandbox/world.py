"""The accounts and DOIs that the sandbox holds, and how they are set up and read out as a whole."""

import copy
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

Attributes = dict[str, Any]


@dataclass
class Account:
    """One repository account."""

    name: str
    id: str
    password: str
    prefixes: list[str]
    domains: str = "*"
    active: bool = True
    api_keys: list[str] = field(default_factory=list)

    @cached_property
    def key(self) -> str:
        """The id as DataCite writes it back."""
        return self.id.lower()


@dataclass
class StoredDoi:
    """One DOI as the server's database has it.

    Attributes:
        xml: The metadata as the server rendered it on the last write that carried some.
        place: Where lists with a cursor have it: created, in milliseconds, then name.
    """

    number: int
    doi: str
    account: Account
    created: datetime
    updated: datetime
    state: str = "draft"
    attributes: Attributes = field(default_factory=dict)
    registered: datetime | None = None
    xml: bytes | None = None
    metadata_version: int = 0
    history: list[tuple[datetime, str]] = field(default_factory=list)
    place: tuple[int, str] = field(init=False)

    def __post_init__(self) -> None:
        self.place = (int(self.created.timestamp() * 1000), self.doi)

    def copy(self) -> "StoredDoi":
        """A copy to change and, if everything is right, to put in its place."""
        other = copy.copy(self)
        other.attributes = copy.deepcopy(self.attributes)
        return other


def default_accounts() -> dict[str, Account]:
    """The account that a sandbox starts with when nobody says otherwise."""
    return {"demo": Account("demo", "DATACITE.DEMO", "demo", ["10.5072"])}


class World:
    """All that DataCite knows."""

    def __init__(
        self, accounts: Mapping[str, Account] | None = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.accounts: dict[str, Account] = dict(accounts or default_accounts())
        self.dois: dict[str, StoredDoi] = {}
        self.now: Callable[[], datetime] = clock or (lambda: datetime.now(UTC))
        self.handles_answer = True
        self.index_lag = 0.0
        self.tokens: dict[str, Account] = {}
        self._numbers = 0
        self._index: dict[str, StoredDoi] = {}
        self._unindexed: deque[tuple[datetime, str, StoredDoi | None]] = deque()

    def account(self, account_id: str) -> Account | None:
        """The account with this id, in any case."""
        wanted = account_id.lower()
        return next((account for account in self.accounts.values() if account.key == wanted), None)

    def new(self, doi: str, account: Account) -> StoredDoi:
        """A DOI that does not exist yet; ``keep`` makes it exist."""
        self._numbers += 1
        now = self.now()
        return StoredDoi(self._numbers, doi.lower(), account, now, now)

    def keep(self, stored: StoredDoi) -> None:
        """Commit: from now on the DOI is so."""
        stored.updated = self.now()
        if not stored.history or stored.history[-1][1] != stored.state:
            stored.history = [*stored.history, (stored.updated, stored.state)]
        self.dois[stored.doi] = stored
        self._unindexed.append((stored.updated, stored.doi, stored))

    def remove(self, stored: StoredDoi) -> None:
        """Commit: from now on there is no such DOI."""
        del self.dois[stored.doi]
        self._unindexed.append((self.now(), stored.doi, None))

    def clear(self) -> None:
        """No DOI any more, in the index neither."""
        self.dois.clear()
        self._index.clear()
        self._unindexed.clear()

    def searchable(self) -> Iterable[StoredDoi]:
        """What the search index knows: everything but the newest changes."""
        until = self.now() - timedelta(seconds=self.index_lag)
        while self._unindexed and self._unindexed[0][0] <= until:
            _, name, stored = self._unindexed.popleft()
            if stored is None:
                self._index.pop(name, None)
            else:
                self._index[name] = stored
        return self._index.values()
