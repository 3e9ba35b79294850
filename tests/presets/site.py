"""An installation of a platform, its syncd and its DataCite; and what every preset has to show."""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, event, make_url, text

from syncd import config, cycle
from syncd.model import Desired
from syncd.platforms import open_platform
from syncd.platforms.preset import PresetPlatform
from syncd.sandbox.server import RunningSandbox
from syncd.sandbox.world import StoredDoi
from syncd.settings import Settings
from syncd.store import Store, schema

PREFIX = "10.5072"
SITE = "https://repository.example.org"
EACH = 30


@dataclass(frozen=True)
class Edit:
    """Something that happens at a platform.

    Attributes:
        name: What it is, in words.
        do: Given the installation.
        dois: Which DOIs change at DataCite because of it.
        seen: By what it is seen at the earliest: ``changed``, ``outline`` or ``full``.
    """

    name: str
    do: Callable[["Installation"], object]
    dois: frozenset[str]
    seen: str


@dataclass
class Installation:
    """A platform's database with the account that it feeds."""

    name: str
    url: str
    folder: Path
    sandbox: RunningSandbox
    state_url: str
    landing_page: str = SITE
    more: str = ""
    account: str = "DATACITE.DEMO"
    _statements: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = create_engine(config_url(self.url))
        self.store = Store.open(self.state_url)
        schema.upgrade(self.store.database)

    def close(self) -> None:
        self.engine.dispose()
        self.store.close()

    def execute(self, statement: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def insert(self, table: str, **values: Any) -> None:
        """One row."""
        self.insert_all(table, [values])

    def insert_all(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Rows with the same columns."""
        quote = self.engine.dialect.identifier_preparer.quote
        columns = ", ".join(quote(column) for column in rows[0])
        places = ", ".join(f":{column}" for column in rows[0])
        with self.engine.begin() as connection:
            connection.execute(text(f"INSERT INTO {quote(table)} ({columns}) VALUES ({places})"), rows)

    def script(self, statements: str) -> None:
        """Statements that are separated by semicolons."""
        with self.engine.begin() as connection:
            for statement in filter(str.strip, statements.split(";")):
                connection.execute(text(statement))

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.toml"

    @property
    def settings(self) -> Settings:
        self.path.write_text(
            f"""
[state]
url = "{self.state_url}"
[datacite]
host = "{self.sandbox.address}"
grace = "0s"
request_timeout = "5s"
workers = 4
[brake]
changed = 100
hidden = 100
[[accounts]]
id = "{self.account}"
password = "demo"
prefixes = ["{PREFIX}"]
[accounts.source]
platform = "{self.name}"
url = "{self.url}"
landing_page = "{self.landing_page}"
overlap = "1s"
{self.more}
"""
        )
        self.path.chmod(0o600)
        return config.load(self.path, {})

    def adopt(self) -> None:
        """As `syncd adopt` for an account that has nothing at DataCite."""
        with self.platform() as platform:
            self.store.bindings.bind(self.account, self.sandbox.address, platform.identity())
            self.store.bindings.mark_adopted(self.account)

    @contextmanager
    def platform(self) -> Iterator[PresetPlatform]:
        opened = open_platform(self.settings.accounts[0])
        assert isinstance(opened, PresetPlatform)
        try:
            yield opened
        finally:
            opened.close()

    def sync(self, *, full: bool = True, outline: bool = True) -> cycle.Report:
        settings = self.settings
        account = settings.accounts[0]
        with cycle.opened(settings, account, self.store, chance=lambda: 1.0) as (parts, limiter):
            return cycle.one_pass(parts, limiter, full=full, outline=outline)

    def remote(self, doi: str) -> StoredDoi | None:
        return self.sandbox.application.world.dois.get(doi)

    def written(self, since: int) -> set[str]:
        """The DOIs that were written after so many requests."""
        requests = self.sandbox.application.control.requests[since:]
        return {
            request["path"].split("/dois/")[1].split("?")[0].replace("%2F", "/").lower()
            for request in requests
            if request["method"] != "GET"
        }

    @property
    def requests(self) -> int:
        return len(self.sandbox.application.control.requests)

    def documents(self) -> dict[str, dict[str, Any]]:
        """What is desired, by DOI, in the form of the readable file."""
        found: dict[str, dict[str, Any]] = {}
        with self.platform() as platform:
            for page in platform.all():
                for row in page:
                    mapped = platform.map(row)
                    assert isinstance(mapped, Desired), (row.doi, mapped)
                    found[row.doi] = {"doi": row.doi, "state": str(mapped.state)}
                    if mapped.attributes:
                        found[row.doi]["attributes"] = mapped.attributes
        return found

    def statements_of_a_page(self, page_size: int) -> int:
        """How many queries the second page of a full look costs."""
        account = self.settings.accounts[0]
        source = account.source.model_copy(update={"page_size": page_size})
        platform = open_platform(account.model_copy(update={"source": source}))
        assert isinstance(platform, PresetPlatform)
        seen: list[str] = []
        try:
            pages = platform.all()
            assert len(next(pages)) == page_size
            event.listen(platform._engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
            next(pages)
        finally:
            platform.close()
        return len(seen)


def config_url(url: str) -> URL:
    """The address with the driver that syncd takes."""
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
    made = make_url(url)
    return made.set(drivername=drivers.get(made.drivername, made.drivername))


def expected(name: str) -> dict[str, Any]:
    """What DataCite should hold, by kind of record: a document with ``{n}`` for the record's number."""
    path = Path(__file__).parent / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def numbered(document: Any, number: int) -> Any:
    return json.loads(json.dumps(document).replace("{n}", str(number)))


def check_cold_start(site: Installation, name: str, leaving_out: Collection[str] = ()) -> None:
    """Every record of every kind is mapped as the readable file says and stands at DataCite; then nothing is sent."""
    site.adopt()
    report = site.sync()
    assert report.scan.set_aside == report.send.rejected == 0, site.store.reading.failures(site.account)
    check_documents(site, name, leaving_out, there=True)
    assert site.store.reading.sum(site.account).in_sync == site.store.reading.sum(site.account).wanted
    before = site.requests
    site.sync()
    site.sync(full=False)
    assert site.requests == before


def check_documents(site: Installation, name: str, leaving_out: Collection[str] = (), *, there: bool) -> None:
    """Every record is mapped as the file says, and (``there``) DataCite has it in that state."""
    documents = site.documents()
    for kind, document in expected(name).items():
        if kind in leaving_out:
            continue
        for number in range(1, EACH + 1) if "{n}" in document["doi"] else [1]:
            wanted = numbered(document, number)
            assert documents.pop(wanted["doi"]) == wanted, kind
            if there:
                found = site.remote(wanted["doi"])
                # Accepted means that DataCite answered with these attributes. What was never sent need not be hidden.
                state = "none" if wanted["state"] == "registered" else wanted["state"]
                assert (found.state if found else "none") == state, kind
    assert not documents


def check_edits(site: Installation, edits: list[Edit]) -> None:
    """Each edit changes exactly its DOIs, seen by the quickest look that can see it and by none before."""
    depth = ["changed", "outline", "full"]
    site.sync(full=False)
    for edit in edits:
        edit.do(site)
        for kind in depth:
            before = site.requests
            site.sync(full=kind == "full", outline=kind == "outline")
            written = site.written(before)
            if kind == edit.seen:
                assert written == edit.dois, f"{edit.name}: seen by {kind}"
            else:
                assert written == set(), f"{edit.name}: seen by {kind} and not by {edit.seen}"


def check_page_cost(site: Installation, most: int) -> None:
    """A page costs the same number of queries, whatever its size."""
    few, many = site.statements_of_a_page(10), site.statements_of_a_page(100)
    assert few == many <= most
