"""One process, two records, one fault for a long virtual time, and then a world in order again."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from syncd.sandbox.http import Request, Response
from syncd.store import Store, schema
from syncd.store.reading import Sum
from syncd.store.tables import PENDING, doi, pause
from tests.simulation.network import Network
from tests.simulation.process import Killed, Process, shared_connection
from tests.simulation.story import PREFIX, Story, one_engine_for_each_place
from tests.site import ATTRIBUTES

Fate = Callable[[Request], Response | None]
"""What a fault makes of a request: an answer in DataCite's place, ``Lost`` raised, or nothing."""

LONGEST_NAP = 6 * 3600.0
DAY = 86400.0


class Trial(Story):
    """A repository of two records whose every request a fault may take."""

    def __init__(self, folder: Path, slots: int | None) -> None:
        shutil.copy(_template(folder), folder / "state.db")
        super().__init__(0, folder, slots)
        self.fate: Fate = lambda _request: None
        self.network = FatefulNetwork(self.time, self.sandbox, self.network.chance, trial=self)
        self.requests: list[Request] = []
        self.looking = False
        self.process = Process("trial", self.machine, self.settings, self.network, self.chance, whole=False)
        for number in (1, 2):
            self.put(number)

    def put(self, number: int, status: str = "published", **changes: Any) -> None:
        """A record as it is from now on."""
        self.repository.put(number, status, {**ATTRIBUTES, **changes}, stamped=self.time.now)

    def live(self, seconds: float) -> int:
        """Let the program run so long, waking whenever something is due; returns how many requests it made."""
        before = len(self.requests)
        end = self.time.now + seconds

        def work() -> None:
            try:
                while self.time.now < end:
                    self.process.one_pass(full=True, accept=True)
                    self.process.give_way(min(self._until_something_is_due(), max(0.0, end - self.time.now)))
            except Killed:
                return

        self.time.spawn(work)
        self.time.run(end + 1.0)
        return len(self.requests) - before

    def _until_something_is_due(self) -> float:
        connection = shared_connection(self.process.store.database.engine)
        self.looking = True  # these are not the program's statements
        with connection.begin():
            ends = connection.execute(select(func.min(pause.c.until))).scalar_one()
            rows = connection.execute(select(doi.c.next_try_at, doi.c.unsure_since).where(PENDING)).all()
        self.looking = False
        grace = timedelta(seconds=self.settings.datacite.grace)
        now = self.process.now()
        due = [max(next_try or now, unsure + grace if unsure else now) for next_try, unsure in rows]
        if not due:
            return LONGEST_NAP
        moment = max(min(due), ends or now)
        return min(LONGEST_NAP, max(1.0, (moment - now).total_seconds()))

    def row(self, number: int = 1) -> dict[str, Any]:
        """What the store knows of a record's DOI."""
        found = self.process.store.reading.doi("DATACITE.DEMO", f"{PREFIX}/r{number}")
        assert found is not None
        return found

    def sum(self) -> Sum:
        """Where the DOIs stand."""
        found = self.process.store.reading.sum("DATACITE.DEMO")
        assert found.adds_up
        return found

    def paused(self) -> dict[str, str]:
        """The pauses that hold: scope and cause."""
        return {one.scope: one.cause for one in self.process.store.runs.pauses()}


class FatefulNetwork(Network):
    """Before a request arrives, the trial's fault may take it."""

    def __init__(self, *arguments: Any, trial: Trial) -> None:
        super().__init__(*arguments)
        self._trial = trial

    def fated(self, request: Request) -> Response | None:
        self._trial.requests.append(request)
        return self._trial.fate(request)


def _template(folder: Path) -> Path:
    path = folder / "template.db"
    store = Store.open(f"sqlite:///{path}")
    schema.upgrade(store.database)
    store.close()
    return path


@contextmanager
def trial(folder: Path, slots: int | None = None) -> Iterator[Trial]:
    """A trial on files in a folder."""
    with one_engine_for_each_place():
        one = Trial(folder, slots)
        try:
            yield one
        finally:
            one.process.kill()
            one.time.run(one.time.now + 10 * DAY)
            shared_connection(one.process.store.database.engine).close()
            shared_connection.cache_clear()
            one.process.store.close()
            one.repository.close()
