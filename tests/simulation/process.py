"""One ``syncd`` in the simulation: its clock, its store, its client; frozen or killed wherever it waits."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from greenlet import getcurrent
from sqlalchemy import Connection, Engine, case, false, func, select, true

from syncd import cycle
from syncd.brake import Consent
from syncd.datacite.client import Client
from syncd.errors import BusyError, StateError, SyncdError
from syncd.limiter import Limiter
from syncd.model import Desired, Outline, Problem, Row
from syncd.platforms import Platform, open_platform
from syncd.settings import Settings
from syncd.store import Store
from syncd.store.database import Database
from syncd.store.reading import BUCKET
from syncd.store.tables import PENDING, doi
from tests.simulation.network import Network, Plain, Wire
from tests.simulation.time import Time

MISCOUNTED = "a DOI counts as pending and will never be sent, or will be sent and does not count"
_SHOWN, _SENT = (case((which, true()), else_=false()) for which in (BUCKET == "pending", PENDING))
_MISCOUNTED = select(func.count()).select_from(doi).where(_SHOWN != _SENT)


class Killed(BaseException):
    """The process is no more: nothing that it does from here on has an effect."""


class Machine:
    """What all processes of one host share: a wall clock that may be set, and one that may not."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.wrong_by = 0.0
        self.boot = "simulated"


class VirtualDatabase(Database):
    """The state database of one process; it gives way before each transaction begins and after each commit.

    No transaction is open while others run, so one connection serves all processes.
    """

    def __init__(self, url: str, process: "Process") -> None:
        super().__init__(url, process)
        self._process = process
        self._connection = shared_connection(self.engine)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        self._process.give_way()
        self._process.before_transaction()
        with self._connection.begin():
            yield self._connection
        self._process.count(self._connection)
        self._process.give_way()
        self._process.after_commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self._process.give_way()
        self._process.before_transaction()
        with self._connection.begin():
            yield self._connection


@cache
def shared_connection(engine: Engine) -> Connection:
    """The one connection of an engine."""
    return engine.connect()


class VirtualPlatform:
    """The platform as one process sees it: others may do something between two pages, and before each record.

    In some seeds it gives outlines as a preset does: they tell a record's status and timestamp, so that what is gone
    or hidden is seen soon, and an edit without a timestamp only by a full look.
    """

    def __init__(self, platform: Platform, process: "Process", from_afar: Platform | None) -> None:
        """Args: ``from_afar``: reads the outlines; None: there are none."""
        self._platform = platform
        self._process = process
        self._from_afar = from_afar

    @property
    def gives_outlines(self) -> bool:
        return self._from_afar is not None

    def all(self) -> Iterator[list[Row]]:
        yield from self._pages(self._platform.all())

    def changed(self, since: Any) -> Iterator[list[Row]]:
        yield from self._pages(self._platform.changed(since))

    def _pages(self, pages: Iterator[list[Row]]) -> Iterator[list[Row]]:
        self._process.read_platform()
        for page in pages:
            yield [self._signed(row) for row in page]
            self._process.read_platform()

    @property
    def finds_changes(self) -> bool:
        return self._platform.finds_changes

    @property
    def watermark(self) -> Any:
        return self._platform.watermark

    def outlines(self) -> Iterator[list[Outline]]:
        assert self._from_afar is not None
        self._process.read_platform()
        for page in self._from_afar.all():
            yield [Outline(row.key, row.doi, _outline(row)) for row in page]
            self._process.read_platform()

    def some(self, keys: Sequence[str]) -> list[Row]:
        self._process.read_platform()
        return [self._signed(row) for row in self._platform.some(keys)]

    def identity(self) -> str:
        return self._platform.identity()

    def one(self, key: str) -> Row | None:
        self._process.read_platform()
        row = self._platform.one(key)
        return None if row is None else self._signed(row)

    def map(self, row: Row) -> Desired | Problem:
        return self._platform.map(row)

    def close(self) -> None:
        self._platform.close()
        if self._from_afar is not None:
            self._from_afar.close()

    def _signed(self, row: Row) -> Row:
        return replace(row, signature=_outline(row)) if self.gives_outlines else row


def _outline(row: Row) -> str:
    return f"{row.values['status']} {row.values['modified']}"


class Process:
    """One running program, also its own clock."""

    def __init__(
        self,
        name: str,
        machine: Machine,
        settings: Settings,
        network: Network,
        chance: random.Random,
        *,
        whole: bool,
        gives_outlines: bool = False,
    ) -> None:
        """Args: ``whole``: with the HTTP library; ``gives_outlines``: its platform does."""
        self.name = name
        self.machine = machine
        self.settings = settings
        self.chance = chance
        self.alive = True
        self.frozen_until = 0.0
        self.was_frozen = False
        self.ambush: tuple[int, Callable[[], None]] | None = None
        self.errors: list[str] = []
        self.limiter: Limiter | None = None
        self.state_trouble = 0.0
        self.commit_trouble = 0.0
        self.platform_trouble = 0.0
        self.store = Store.on(VirtualDatabase(settings.state.url, self))
        account, datacite = settings.accounts[0], settings.datacite
        wire = Wire(network, self)
        secret = account.secret({})
        self.client: Client | Plain
        if whole:
            self.client = wire.client = Client(
                datacite.base_url, account.id, secret, "", datacite.request_timeout,
                monotonic=self.monotonic, transport=wire,
            )  # fmt: skip
        else:
            self.client = Plain(wire, self, account.id, secret)
        self.platform = VirtualPlatform(
            open_platform(account, self), self, open_platform(account, self) if gives_outlines else None
        )
        self.parts = cycle.Parts(
            account, datacite, self.platform, self.store, self.client, self, name, settings.brake, chance=chance.random,
            together=self._together,
        )  # fmt: skip

    # Its clock.

    def now(self) -> datetime:
        return self.machine.time.wall(self.machine.wrong_by)

    def monotonic(self) -> float:
        return 1000.0 + self.machine.time.now

    def sleep(self, seconds: float) -> bool:
        self.give_way(seconds)
        return False

    @property
    def boot(self) -> str:
        return self.machine.boot

    # Where it gives way.

    def give_way(self, seconds: float = 0.0) -> None:
        """Let others go on; does not come back when the process was killed, or not before it is thawed."""
        if not self.alive:
            raise Killed
        time = self.machine.time
        if self.ambush is not None:
            steps, what = self.ambush
            self.ambush = (steps - 1, what) if steps else None
            if not steps:
                what()
        time.wait(seconds)
        while self.frozen_until > time.now:
            time.wait(self.frozen_until - time.now)
        if not self.alive:
            raise Killed

    def before_transaction(self) -> None:
        if self.chance.random() < self.state_trouble:
            raise StateError("the state database is away, says the simulation")

    def after_commit(self) -> None:
        if self.chance.random() < self.commit_trouble:
            raise StateError("the answer to COMMIT was lost, says the simulation")

    def count(self, connection: Connection) -> None:
        """After every commit: what is shown as pending is what will be claimed, and nothing else will be."""
        with connection.begin():
            wrong = connection.execute(_MISCOUNTED).scalar_one()
        if wrong:
            self.errors.append(MISCOUNTED)

    def read_platform(self) -> None:
        self.give_way()
        if self.chance.random() < self.platform_trouble:
            from syncd.errors import PlatformError

            raise PlatformError("the platform's database is away, says the simulation")

    def kill(self) -> None:
        """SIGKILL."""
        self.alive = False

    def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT so many seconds later."""
        self.frozen_until = self.machine.time.now + seconds
        self.was_frozen = True

    # What it does.

    def run_daemon(self, *, poll: float, reconcile: float) -> None:
        """Look for changes again and again; everything every so often."""
        last_full = -reconcile
        while True:
            time = self.machine.time
            if self.one_pass(full=time.now - last_full >= reconcile):
                last_full = time.now
            self.give_way(poll)

    def one_pass(self, *, full: bool, accept: bool = False) -> bool:
        """A pass, and whether it looked at everything and came to its end."""
        try:
            if self.limiter is None:
                self.limiter = cycle.prepare(self.parts)
            try:
                cycle.scan(self.parts, full=full, consent=Consent(accept, accept))
            except BusyError:
                full = False
            cycle.send(self.parts, self.limiter)
        except SyncdError as error:
            self.errors.append(f"{self.machine.time.now:.0f}: {error.message}")
            return False
        return full

    def _together(self, work: Callable[[], None], count: int) -> None:
        left = count
        problems: list[BaseException] = []

        def one() -> None:
            nonlocal left
            try:
                work()
            except BaseException as problem:
                problems.append(problem)
            finally:
                left -= 1
                if left == 0:
                    self.machine.time.at(self.machine.time.now, parent.switch)

        parent = getcurrent()
        for _ in range(count):
            self.machine.time.spawn(one)
        self.machine.time.park()
        self.give_way()
        if problems:
            raise problems[0]

    def close(self) -> None:
        if isinstance(self.client, Client):
            self.client.close()
