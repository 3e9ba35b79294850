"""What happens in one seed: a repository that is edited by people, and everything that goes wrong meanwhile."""

import json
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from syncd import config
from syncd.platforms import sql
from syncd.sandbox.firewall import Firewall
from syncd.sandbox.server import Sandbox
from syncd.sandbox.world import Account, World
from syncd.settings import Settings
from syncd.store import Store, database, schema
from tests.simulation.network import Network, Weather
from tests.simulation.process import Killed, Machine, Process, shared_connection
from tests.simulation.time import START, Time, TimeStands
from tests.site import ATTRIBUTES

PREFIX = "10.5072"
STORY_SECONDS = 1500.0
QUIET_ROUNDS = 60
_QUERY = "SELECT id AS record_key, doi, status, url, metadata, modified FROM record"


@dataclass(frozen=True)
class Version:
    """What the repository said of one record from one moment on; None: it had no such record."""

    since: float
    status: str | None
    metadata: dict[str, Any]


class Repository:
    """The platform's database, and its history as an outsider saw it."""

    def __init__(self, path: Path, time: Time) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._time = time
        self.history: dict[str, list[Version]] = {}
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, doi TEXT, status TEXT, url TEXT,"
            " metadata TEXT, modified TEXT)"
        )

    def put(self, number: int, status: str, metadata: dict[str, Any], *, stamped: float | None = None) -> None:
        """Write a record; ``stamped`` is when its transaction began, None: its timestamp does not move."""
        doi = f"{PREFIX}/r{number}"
        place = metadata.get("_place", "example.org")  # DataCite refuses any other, and we do not know
        modified = None if stamped is None else _stamp(stamped)
        self._connection.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET status = excluded.status,"
            " url = excluded.url, metadata = excluded.metadata, modified = coalesce(?, modified)",
            (number, doi, status, f"https://{place}/{number}", json.dumps(metadata),
             modified or _stamp(self._time.now), modified),
        )  # fmt: skip
        self.history.setdefault(doi, []).append(Version(self._time.now, status, metadata))

    def remove(self, number: int) -> None:
        self._connection.execute("DELETE FROM record WHERE id = ?", (number,))
        self.history[f"{PREFIX}/r{number}"].append(Version(self._time.now, None, {}))

    def current(self, doi: str) -> Version:
        return self.history[doi][-1]

    def between(self, doi: str, begin: float, end: float) -> list[Version]:
        """Every version that was true at some time between two moments."""
        versions = self.history.get(doi, [])
        found = [one for one in versions if begin <= one.since <= end]
        before = [one for one in versions if one.since < begin]
        return [*before[-1:], *found]

    def close(self) -> None:
        self._connection.close()


def _stamp(seconds: float) -> str:
    from datetime import timedelta

    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


@dataclass
class Outcome:
    """What a run left, for the judges."""

    seed: int
    repository: Repository
    sandbox: Sandbox
    network: Network
    store: Store
    settings: Settings
    slots: int
    processes: list[Process] = field(default_factory=list)
    vanished: set[str] = field(default_factory=set)
    steps: int = 0
    circle: str = ""


class Story:
    """One seed."""

    def __init__(self, seed: int, folder: Path, slots: int | None = None, workers: int | None = None) -> None:
        self.seed = seed
        self.folder = folder
        self.chance = random.Random(seed)
        self.time = Time(random.Random(seed + 1))
        self.machine = Machine(self.time)
        self.workers = workers
        self.page_size = 5 if slots is None else 1000
        self.slots = slots or self.chance.choice([6, 12, 30, 60])
        world = World(
            {"demo": Account("demo", "DATACITE.DEMO", "demo", [PREFIX], "example.org")}, clock=lambda: self.time.wall()
        )
        self.sandbox = Sandbox(world, Firewall(limit=10**9))
        self.network = Network(self.time, self.sandbox, random.Random(seed + 2))
        self.repository = Repository(folder / "platform.db", self.time)
        self.settings = self._settings()
        self.whole = seed % 5 == 0
        self.gives_outlines = seed % 4 == 2
        self.processes: list[Process] = []
        self.running: list[Process] = []
        self.vanished: set[str] = set()
        self.records = self.chance.randrange(4, 12)
        self._titles = 0

    def run(self) -> Outcome:
        """Everything, then quiet, then what is left."""
        for number in range(1, self.records + 1):
            self._edit(number, first=True)
        for _ in range(self.chance.choice([1, 1, 2, 3])):
            self._start()
        self._plan_edits()
        self._plan_trouble()
        circle = ""
        try:
            self.time.run(STORY_SECONDS)
            self._calm_down()
            self._quiet()
        except TimeStands as stands:
            circle = str(stands)
            for process in self.processes:
                process.kill()
        return Outcome(
            self.seed, self.repository, self.sandbox, self.network, self.processes[-1].store, self.settings, self.slots,
            self.processes, self.vanished, self.time.steps, circle,
        )  # fmt: skip

    # Processes.

    def _start(self) -> None:
        process = Process(
            f"p{len(self.processes)}",
            self.machine,
            self.settings,
            self.network,
            random.Random(self.chance.random()),
            whole=self.whole,
            gives_outlines=self.gives_outlines,
        )
        self.processes.append(process)
        self.running.append(process)
        poll, reconcile = self.chance.choice([20.0, 120.0, 180.0, 180.0]), self.chance.choice([300.0, 900.0])

        def work() -> None:
            try:
                process.run_daemon(poll=poll, reconcile=reconcile)
            except Killed:
                return

        self.time.spawn(work)

    def _kill(self, after: float) -> None:
        """At the n-th step from now, wherever that is; another one starts some time later."""
        if self.running:
            process = self.chance.choice(self.running)

            def die() -> None:
                process.kill()
                self.running = [one for one in self.running if one.alive]
                self.time.at(self.time.now + after, self._start)

            process.ambush = (self.chance.randrange(60), die)

    def _calm_down(self) -> None:
        """Faults off; every process dies, and what they left must be enough."""
        self.network.weather = Weather()
        for process in self.processes:
            process.kill()
            process.frozen_until = 0.0
        self.sandbox.world.accounts["demo"].password = "demo"
        # Late requests arrive, frozen processes die.
        self.time.run(self.time.now + 600.0)

    def _quiet(self) -> None:
        """One process without trouble, until nothing is left to do by itself."""
        process = Process(
            "last", self.machine, self.settings, self.network, random.Random(self.seed + 3), whole=self.whole,
            gives_outlines=self.gives_outlines,
        )  # fmt: skip
        self.processes.append(process)
        done: list[bool] = []

        def work() -> None:
            process.store.runs.end_wait([pause.scope for pause in process.store.runs.pauses()])
            for _ in range(QUIET_ROUNDS):
                finished = process.one_pass(full=True, accept=True)
                found = process.store.reading.sum("DATACITE.DEMO")
                if finished and not found.pending and not process.store.runs.pauses():
                    break
                process.give_way(3 * 3600.0)
            done.append(True)

        self.time.spawn(work)
        self.time.run(self.time.now + 90 * 86400.0, over=lambda: bool(done))
        process.alive = True

    # Edits.

    def _edit(self, number: int, *, first: bool = False) -> None:
        chance, doi = self.chance, f"{PREFIX}/r{number}"
        versions = self.repository.history.get(doi, [])
        status = chance.choice(["published"] * 6 + ["draft", "draft", "withdrawn", "private"])
        if versions and chance.random() < 0.3:
            metadata = chance.choice([versions[-1], chance.choice(versions)]).metadata or self._metadata()
        else:
            metadata = self._metadata()
        if versions and versions[-1].status and chance.random() < 0.7:
            status = versions[-1].status
        if chance.random() < 0.05:
            metadata = {**metadata, "types": {"resourceTypeGeneral": "Datset"}}
        # Some edits are stamped when their transaction began, long before others see them; some are not stamped.
        stamped = self.time.now - (chance.uniform(0.0, 240.0) if chance.random() < 0.3 and not first else 0.0)
        self.repository.put(number, status, metadata, stamped=None if chance.random() < 0.2 else stamped)
        if versions and chance.random() < 0.3:
            # Somebody thinks better of it soon.
            before = versions[-2]
            self.time.at(self.time.now + chance.uniform(5.0, 120.0), lambda: self._revert(number, before))

    def _revert(self, number: int, version: Version) -> None:
        if version.status is not None:
            self.repository.put(number, version.status, version.metadata, stamped=self.time.now)

    def _metadata(self) -> dict[str, Any]:
        self._titles += 1
        metadata = {**ATTRIBUTES, "titles": [{"title": f"Title {self._titles}"}]}
        if self.chance.random() < 0.5:
            metadata["subjects"] = [{"subject": f"Subject {self.chance.randrange(3)}"}]
        if self.chance.random() < 0.08:
            metadata["_place"] = "elsewhere.example"
        if self.chance.random() < 0.3:
            metadata["language"] = self.chance.choice(["en", "de"])
        return metadata

    def _plan_edits(self) -> None:
        for _ in range(self.chance.randrange(15, 45)):
            number = self.chance.randrange(1, self.records + 1)
            self.time.at(self._moment(), lambda number=number: self._edit(number))
        for _ in range(self.chance.randrange(3)):
            self.time.at(self._moment(), lambda: [self._edit(one) for one in range(1, self.records + 1)])
        for _ in range(self.chance.randrange(3)):
            number = self.chance.randrange(1, self.records + 1)
            self.time.at(self._moment(), lambda number=number: self.repository.remove(number))
        if self.chance.random() < 0.3:
            self.time.at(self._moment(), self._vanish)

    def _vanish(self) -> None:
        """Somebody deletes a draft at DataCite, and then edits it in the repository."""
        world = self.sandbox.world
        drafts = sorted(doi for doi, stored in world.dois.items() if stored.state == "draft")
        if drafts:
            doi = self.chance.choice(drafts)
            world.remove(world.dois[doi])
            self.vanished.add(doi)
            number, status = int(doi.rsplit("r", 1)[1]), self.repository.current(doi).status
            if status is not None:
                self.repository.put(number, status, self._metadata(), stamped=self.time.now)

    def _moment(self) -> float:
        return self.chance.uniform(1.0, STORY_SECONDS * 0.9)

    # Trouble.

    def _plan_trouble(self) -> None:
        chance = self.chance
        for _ in range(chance.randrange(5)):
            self.time.at(self._moment(), lambda: self._kill(chance.choice([0.5, 5.0, 120.0])))
        for _ in range(chance.randrange(4)):
            self.time.at(self._moment(), lambda: self._freeze(chance.choice([5.0, 60.0, 400.0, 1200.0])))
        for _ in range(chance.randrange(3)):
            self.time.at(self._moment(), lambda: self._set_clock(chance.choice([-3600.0, 3600.0, -5.0, 5.0, 300.0])))
        for _ in range(chance.randrange(1, 6)):
            begin, length = self._moment(), chance.choice([60.0, 300.0, 1200.0])
            weather = self._weather()
            self.time.at(begin, lambda weather=weather: setattr(self.network, "weather", weather))
            self.time.at(begin + length, lambda: setattr(self.network, "weather", Weather()))
        if chance.random() < 0.3:
            begin = self._moment()
            self.time.at(begin, lambda: self._password("another"))
            self.time.at(begin + chance.choice([60.0, 900.0]), lambda: self._password("demo"))
        for name in ("state_trouble", "commit_trouble", "platform_trouble"):
            if chance.random() < 0.4:
                begin, length, how = self._moment(), chance.choice([20.0, 300.0]), chance.choice([0.05, 0.3, 1.0])
                self.time.at(begin, lambda name=name, how=how: self._set(name, how))
                self.time.at(begin + length, lambda name=name: self._set(name, 0.0))

    def _set(self, name: str, value: float) -> None:
        for process in self.processes:
            setattr(process, name, value)

    def _password(self, password: str) -> None:
        self.sandbox.world.accounts["demo"].password = password

    def _freeze(self, seconds: float) -> None:
        if self.running:
            process = self.chance.choice(self.running)
            process.ambush = (self.chance.randrange(60), lambda: process.freeze(seconds))

    def _set_clock(self, step: float) -> None:
        self.machine.wrong_by += step

    def _weather(self) -> Weather:
        chance = self.chance
        if chance.random() < 0.2:
            return Weather(outage=True)
        kinds = ("lost_request", "lost_answer", "late", "refused_connection", "server_error", "error_after_commit",
                 "throttled", "garbage", "refusal", "slow", "handle")  # fmt: skip
        chosen = chance.sample(kinds, chance.randrange(1, 4))
        return Weather(**{kind: chance.choice([0.1, 0.3, 0.7]) for kind in chosen})

    def _settings(self) -> Settings:
        path = self.folder / "simulation.toml"
        path.write_text(
            f"""
[state]
url = "sqlite:///{self.folder}/state.db"
[datacite]
host = "http://127.0.0.1:1"
requests_per_window = {self.slots}
request_timeout = "30s"
workers = {self.workers or self.chance.choice([1, 2, 3])}
[brake]
changed = {30 if self.seed % 10 == 7 else 100}
hidden = {5 if self.seed % 10 == 7 else 100}
[[accounts]]
id = "DATACITE.DEMO"
password = "demo"
prefixes = ["{PREFIX}"]
[accounts.source]
url = "sqlite:///{self.folder}/platform.db"
mapping = "json:metadata"
page_size = {self.page_size}
overlap = "400s"
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


class Stage:
    """A folder in memory where one seed after the other is played, all on the same two engines.

    An engine of its own for every process would spend most of the time on compiling the same statements again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template.db"
        store = Store.open(f"sqlite:///{self._template}")
        schema.upgrade(store.database)
        store.close()
        self._files = {name: folder / name for name in ("state.db", "platform.db")}

    def play(self, seed: int) -> Outcome:
        """One seed from its beginning to its end."""
        shutil.copy(self._template, self._files["state.db"])
        return Story(seed, self._folder).run()

    def clear(self, outcome: Outcome) -> None:
        """Give everything back."""
        for process in outcome.processes:
            process.close()
        outcome.processes[0].platform.close()
        shared_connection(outcome.store.database.engine).close()
        shared_connection.cache_clear()
        outcome.store.close()
        outcome.repository.close()
        for path in self._files.values():
            for part in path.parent.glob(f"{path.name}*"):
                part.unlink()


@contextmanager
def stage() -> Iterator[Stage]:
    with folder_in_memory() as folder, one_engine_for_each_place():
        yield Stage(folder)


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Where nothing waits for a disk, if this machine has such a place."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@contextmanager
def one_engine_for_each_place() -> Iterator[None]:
    """Every database address has one engine, however often it is opened."""
    state, platform = cache(database._engine), cache(sql.open_engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_engine", state)
        patch.setattr(sql, "open_engine", platform)
        yield
