"""One engine on the state database, with the habits that make it safe: who waits, what is durable, whose clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from syncd.clock import Clock
from syncd.errors import ConfigurationError, StateError
from syncd.logs import without_password
from syncd.store.steady import SteadyTime

_BUSY_MILLISECONDS = 30_000
_POOL = 40
_PATIENCE_SECONDS = 20
"""For a connection or a lock: whoever feeds the watchdog asks the database, too, and must not wait for a minute."""
_CONNECT_SECONDS = 10


class Database:
    """The state database: PostgreSQL (its own clock rules) or SQLite (one host, so the host's clock)."""

    def __init__(self, url: str, clock: Clock) -> None:
        try:
            self.engine = _engine(url)
        except (ArgumentError, ValueError) as error:
            hint = "such as sqlite:////var/lib/syncd/state.db or postgresql://user@host/database"
            raise ConfigurationError(f"state.url is not a database address: {error}", hint=hint) from error
        self._clock = clock
        self.steady = SteadyTime(clock, host_clock=self.is_sqlite)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self.engine.dialect.name == "sqlite"

    def now(self, connection: Connection) -> datetime:
        """The wall clock that all processes share, for what people read; ``steady`` is for what is measured."""
        if self.is_sqlite:
            return self._clock.now()
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return now

    def monotonic(self) -> float:
        """Seconds of this process's clock that do not jump, to measure how long something takes."""
        return self._clock.monotonic()

    def moment(self) -> datetime:
        """The wall clock that all processes share, now."""
        with self.reading() as connection:
            return self.now(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at the end; on SQLite it holds the write lock from its beginning.

        Raises:
            StateError: The database is away, locked, full or read-only; nothing was committed, as far as known.
        """
        with _explained(self.engine), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees committed data and blocks nobody.

        Raises:
            StateError: The database is away.
        """
        with _explained(self.engine), self.engine.connect() as connection:
            yield connection.execution_options(syncd_reading=True)


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError):
        raise  # our own mistakes, not the database's state
    except PoolTimeout as error:
        words = f"none of its {_POOL} connections came free within {_PATIENCE_SECONDS} s"
        raise StateError(f"the state database cannot be used: {words}", hint="is a table of it locked?") from error
    except DBAPIError as error:
        words = without_password(str(error.orig).strip()) + _where(engine)
        hint = "check state.url, the disk and the database's own log; nothing is sent without it"
        raise StateError(f"the state database cannot be used: {words}", hint=hint) from error


def _where(engine: Engine) -> str:
    """The file of an SQLite database, and whether there is a folder for it."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return ""
    path = Path(engine.url.database).absolute()
    return f" ({path})" if path.parent.is_dir() else f" (there is no folder {path.parent})"


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        arguments = {"connect_timeout": _CONNECT_SECONDS, "keepalives_idle": 30, "tcp_user_timeout": 30_000}
        engine = create_engine(
            url, connect_args=arguments, pool_size=_POOL, pool_timeout=_PATIENCE_SECONDS, max_overflow=0,
            pool_pre_ping=True,
        )  # fmt: skip
        event.listen(engine, "connect", _postgresql_session)
        return engine
    engine = create_engine(url, pool_size=_POOL, pool_timeout=_PATIENCE_SECONDS, max_overflow=0)
    event.listen(engine, "connect", _sqlite_session)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _postgresql_session(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute(f"SET lock_timeout = '{_PATIENCE_SECONDS}s'")
    connection.commit()


def _sqlite_session(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see below
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode = WAL")
    # The unsure mark must outlive a power cut, or a lost answer would go unnoticed.
    connection.execute("PRAGMA synchronous = FULL")


def _sqlite_begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get("syncd_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
