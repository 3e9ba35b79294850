"""A repository of one table, its configuration, and its DataCite: what most scenarios need."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from syncd import config, cycle
from syncd.clock import SystemClock
from syncd.datacite.client import Client
from syncd.limiter import Limiter
from syncd.platforms import open_platform
from syncd.sandbox.server import RunningSandbox
from syncd.sandbox.world import StoredDoi
from syncd.settings import Settings
from syncd.store import Store, schema

PREFIX = "10.5072"
ATTRIBUTES: dict[str, Any] = {
    "titles": [{"title": "A title"}],
    "creators": [{"name": "Doe, Jane"}],
    "publisher": {"name": "A Publisher"},
    "publicationYear": 2024,
    "types": {"resourceTypeGeneral": "Dataset"},
}
_QUERY = "SELECT id AS record_key, doi, status, url, metadata, modified FROM record"


class Site:
    """One repository with an account at the sandbox."""

    def __init__(
        self,
        folder: Path,
        sandbox: RunningSandbox,
        platform_url: str,
        state_url: str,
        account: str = "DATACITE.DEMO",
        prefix: str = PREFIX,
        *,
        adopted: bool = True,
    ) -> None:
        self.folder = folder
        self.account = account
        self.prefix = prefix
        self.sandbox = sandbox
        self.platform_url = platform_url
        self.state_url = state_url
        self.engine = create_engine(platform_url)
        self.grace = "0s"
        self.more = ""
        self.execute(
            "CREATE TABLE record (id INTEGER PRIMARY KEY, doi VARCHAR(300), status VARCHAR(30), url VARCHAR(300),"
            " metadata TEXT, modified VARCHAR(30))"
        )
        self.store = Store.open(state_url)
        schema.upgrade(self.store.database)
        if adopted:
            platform = open_platform(self.settings.accounts[0])
            self.store.bindings.bind(account, sandbox.address, platform.identity())
            self.store.bindings.mark_adopted(account)
            platform.close()

    def close(self) -> None:
        self.engine.dispose()
        self.store.close()

    @property
    def path(self) -> Path:
        """Where the configuration is written (by asking for ``settings``)."""
        return self.folder / f"{self.account.lower()}.toml"

    @property
    def settings(self) -> Settings:
        path = self.path
        path.write_text(
            f"""
[state]
url = "{self.state_url}"
[datacite]
host = "{self.sandbox.address}"
grace = "{self.grace}"
request_timeout = "5s"
workers = 4
{self.more}
[[accounts]]
id = "{self.account}"
password = "demo"
prefixes = ["{self.prefix}"]
[accounts.source]
url = "{self.platform_url}"
mapping = "json:metadata"
all = "{_QUERY}"
one = "{_QUERY} WHERE id = :key"
changed = "{_QUERY} WHERE modified >= :since"
[accounts.source.states]
published = "findable"
draft = "draft"
withdrawn = "registered"
private = "none"
"""
        )
        path.chmod(0o600)
        return config.load(path, {})

    def execute(self, statement: str, **parameters: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), parameters)

    def execute_many(self, statement: str, rows: list[dict[str, Any]]) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), rows)

    def add(self, number: int, status: str = "published", doi: str | None = None, **changes: Any) -> None:
        """A new record; keyword arguments go over its attributes."""
        self.execute(
            "INSERT INTO record VALUES (:id, :doi, :status, :url, :metadata, :modified)",
            id=number,
            doi=doi if doi is not None else f"{self.prefix}/r{number}",
            status=status,
            url=f"https://example.org/{number}",
            metadata=json.dumps({**ATTRIBUTES, **changes}),
            modified="2026-01-01 10:00:00",
        )

    def edit(self, number: int, status: str | None = None, **changes: Any) -> None:
        """Change attributes of a record, or its status."""
        if status is not None:
            self.execute("UPDATE record SET status = :status WHERE id = :id", status=status, id=number)
        if changes:
            metadata = json.dumps({**ATTRIBUTES, **changes})
            self.execute("UPDATE record SET metadata = :metadata WHERE id = :id", metadata=metadata, id=number)

    def remove(self, number: int) -> None:
        self.execute("DELETE FROM record WHERE id = :id", id=number)

    def sync(self, **options: Any) -> cycle.Report:
        """One pass."""
        settings = self.settings
        # The longest waiting times, so that nothing is repeated within one pass by chance.
        return cycle.run(settings, settings.accounts[0], self.store, chance=lambda: 1.0, **options)

    def scan(self) -> None:
        """The first half of a pass, as another process makes it."""
        with self._parts() as parts:
            cycle.scan(parts, full=True)

    def send(self) -> None:
        """The second half of a pass."""
        with self._parts() as parts:
            limiter = Limiter(self.store.slots, parts.datacite, parts.clock)
            limiter.prepare()
            cycle.send(parts, limiter)

    @contextmanager
    def _parts(self) -> Iterator[cycle.Parts]:
        settings = self.settings
        account, datacite = settings.accounts[0], settings.datacite
        platform = open_platform(account)
        client = Client(datacite.base_url, account.id, "demo", "", datacite.request_timeout)
        try:
            yield cycle.Parts(
                account, datacite, platform, self.store, client, SystemClock(), "another process", chance=lambda: 1.0
            )
        finally:
            client.close()
            platform.close()

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request that arrived at DataCite."""
        return self.sandbox.application.control.requests

    def fault(self, kind: str, **rule: Any) -> None:
        """The sandbox does this to the next requests that match."""
        match = {name: rule.pop(name) for name in ("method", "path") if name in rule}
        self.sandbox.application.faults.replace([{"kind": kind, "count": 1, "match": match, **rule}])

    def remote(self, number: int) -> StoredDoi | None:
        """What DataCite holds."""
        return self.sandbox.application.world.dois.get(f"{self.prefix}/r{number}")

    def title(self, number: int) -> str:
        """The title that DataCite holds."""
        stored = self.remote(number)
        assert stored is not None
        return str(stored.attributes["titles"][0]["title"])

    def row(self, number: int) -> dict[str, Any]:
        """What the store knows of a record's DOI."""
        found = self.store.reading.doi(self.account, f"{self.prefix}/r{number}")
        assert found is not None
        return found
