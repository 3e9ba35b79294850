import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from syncd.sandbox.firewall import Firewall
from syncd.sandbox.server import RunningSandbox, Sandbox
from syncd.store import Store, schema
from tests import servers
from tests.programs import missing
from tests.site import Site

hypothesis_settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("default")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SYNCD_") and not name.startswith("SYNCD_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_log_settings_from_before() -> Iterator[None]:
    """The simulation silences logging in its process, and the next test there may ask what is logged."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[servers.Server]:
    with servers.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[servers.Server]:
    if servers.mariadb_binaries() is None:
        missing("MariaDB", package="mariadb-server")
    with servers.mariadb() as server:
        yield server


@pytest.fixture
def database(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Makes an empty database of a kind: sqlite, postgresql or mariadb."""
    numbers = itertools.count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/db{next(numbers)}.sqlite"
        server: servers.Server = request.getfixturevalue(f"{kind}_server")
        return server.database()

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, database: Callable[[str], str]) -> Iterator[Store]:
    """Own tables on each database that they may live in."""
    made = Store.open(database(request.param))
    schema.upgrade(made.database)
    yield made
    made.close()


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A DataCite over real HTTP, whose firewall lets everything pass."""
    running = RunningSandbox(Sandbox(firewall=Firewall(limit=10**9)))
    with running.in_background():
        yield running


@pytest.fixture
def site(tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]) -> Iterator[Site]:
    """A small repository on SQLite with its syncd and its DataCite."""
    made = Site(tmp_path, sandbox, database("sqlite"), database("sqlite"))
    yield made
    made.close()
