"""Hear at once that a PostgreSQL platform changed something: LISTEN, and the trigger that notifies.

It only makes a poll begin sooner. When the connection is lost, or the trigger was never made, the polls go on as
without it.
"""

import threading
from collections.abc import Callable, Sequence

import structlog
from psycopg import sql as postgresql
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from syncd.errors import ConfigurationError
from syncd.logs import without_password
from syncd.platforms.connection import explained, open_engine
from syncd.timetable import retry_after

_log = structlog.get_logger()
_HEARD_EVERY = 1.0
_CONNECT_STATEMENT_SECONDS = 30.0

_BELOW = """\
    WITH RECURSIVE named AS (
      SELECT to_regclass(name)::oid AS id FROM unnest(ARRAY[{names}]) AS name
      UNION
      SELECT below.refobjid FROM named
        JOIN pg_rewrite AS rule ON rule.ev_class = named.id
        JOIN pg_depend AS below ON below.objid = rule.oid AND below.refclassid = 'pg_class'::regclass
    )
    SELECT pg_class.oid::regclass FROM named JOIN pg_class ON pg_class.oid = named.id
     WHERE pg_class.relkind IN ('r', 'p')
"""
_WITHOUT = (
    " AND NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = pg_class.oid AND tgname = 'syncd_notify'"
    " AND tgenabled IN ('O', 'A'))"
)
_TRIGGER = """\
-- One notification for each transaction that writes; syncd only learns that something changed.
CREATE OR REPLACE FUNCTION syncd_notify() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  PERFORM pg_notify('{channel}', '');
  RETURN NULL;
END $body$;
DO $body$
DECLARE
  here regclass;
BEGIN
  FOR here IN
{below}  LOOP
    EXECUTE format('DROP TRIGGER IF EXISTS syncd_notify ON %s', here);
    EXECUTE format('CREATE TRIGGER syncd_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION syncd_notify()', here);
  END LOOP;
END $body$;
"""


def notifying_trigger(names: Sequence[str], channel: str) -> str:
    """Statements for an administrator of the platform's database; views become the tables below them. Pure."""
    return _TRIGGER.format(channel=channel, below=_below(names))


def without_trigger(url: str, names: Sequence[str]) -> list[str]:
    """The tables below these relations that do not notify anybody.

    Raises:
        PlatformError: The platform's database cannot be asked.
    """
    engine = open_engine(url, _CONNECT_STATEMENT_SECONDS)
    try:
        with engine.connect() as connection:
            return [str(row[0]) for row in connection.execute(text(_below(names).replace(":", "\\:") + _WITHOUT))]
    except SQLAlchemyError as error:
        raise explained(error, "the question which tables have the trigger") from error
    finally:
        engine.dispose()


def _below(names: Sequence[str]) -> str:
    return _BELOW.format(names=", ".join("'" + name.replace("'", "''") + "'" for name in names))


class Listener:
    """A thread that listens to one channel of one database."""

    def __init__(self, url: str, channel: str, changed: Callable[[], None]) -> None:
        self._url = url
        self._channel = channel
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen_on, name=f"listen {channel}", daemon=True)

    def start(self) -> None:
        """From now on ``changed`` is called for each notification."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()
        self._thread.join(5 * _HEARD_EVERY)

    def _listen_on(self) -> None:
        """Whatever happens to the connection, another one is made."""
        failures = 0
        while not self._stop.is_set():
            try:
                self._listen()
                failures = 0
            except Exception as error:  # drivers raise their own; polls do the work meanwhile
                failures += 1
                words = without_password(str(getattr(error, "orig", None) or error).strip())
                _log.warning("platform.unheard", channel=self._channel, message=words)
                self._stop.wait(retry_after(failures))

    def _listen(self) -> None:
        engine = open_engine(self._url, _CONNECT_STATEMENT_SECONDS)
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                driver = connection.connection.driver_connection
                if driver is None or engine.dialect.name != "postgresql":
                    raise ConfigurationError("only PostgreSQL has channels", hint="remove source.channel")
                driver.execute(postgresql.SQL("LISTEN {}").format(postgresql.Identifier(self._channel)))
                _log.info("platform.heard", channel=self._channel)
                self._changed()  # whatever was said while nobody listened
                while not self._stop.is_set():
                    for _ in driver.notifies(timeout=_HEARD_EVERY, stop_after=1):
                        self._changed()
        finally:
            engine.dispose()
