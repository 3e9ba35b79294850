"""A connection to a platform's database that cannot write and cannot hang.

Values come as the database has them: JSON stays text until somebody needs it, times are UTC.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, ProgrammingError, SQLAlchemyError

from syncd.errors import ConfigurationError, PlatformError, SyncdError
from syncd.logs import without_password
from syncd.settings import is_loopback

_POOL = 34
_CONNECT_SECONDS = 10
_KEEPALIVE_SECONDS = 60
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}


def open_engine(address: str, statement_timeout: float) -> Engine:
    """An engine whose every connection is read-only and gives up after ``statement_timeout`` seconds.

    Raises:
        ConfigurationError: The address is not one, or its driver is not installed.
    """
    try:
        url = _with_driver(make_url(address))
        backend = url.get_backend_name()
        options = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql, "mariadb": _mysql}
        prepare = options.get(backend)
        arguments: dict[str, Any] = {}
        if backend == "sqlite" and url.database and not Path(url.database).is_file():
            # SQLite would make an empty one, and every record would look deleted.
            hint = "check source.url of the account, and whether its disk is mounted"
            raise ConfigurationError(f"there is no SQLite database at {Path(url.database).absolute()}", hint=hint)
        if backend in ("postgresql", "mysql", "mariadb"):
            arguments["connect_timeout"] = _CONNECT_SECONDS
        if backend == "postgresql":
            arguments["keepalives_idle"] = _KEEPALIVE_SECONDS  # a server that vanished is noticed in minutes
        engine = create_engine(
            url, connect_args=arguments, pool_size=_POOL, max_overflow=0, pool_pre_ping=backend != "sqlite"
        )
    except ModuleNotFoundError as error:
        hint = "pip install PyMySQL (syncd's extra: mysql)" if "pymysql" in str(error) else f"install {error.name}"
        raise ConfigurationError(f"no driver for {address.split(':')[0]}: {error}", hint=hint) from error
    except (SQLAlchemyError, ValueError) as error:
        hint = "such as postgresql://reader@host/database, mysql://… or sqlite:////full/path.db"
        raise ConfigurationError(f"{without_password(address)!r} is not a database address", hint=hint) from error
    if prepare is not None:
        event.listen(engine, "connect", prepare(statement_timeout))
    return engine


def _with_driver(url: URL) -> URL:
    if url.drivername in ("mysql", "mariadb"):
        return url.set(drivername=f"{url.drivername}+pymysql")
    return url


_Listener = Callable[[Any, Any], None]


def _sqlite(_timeout: float) -> _Listener:
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA busy_timeout = 10000")
        connection.execute("PRAGMA query_only = ON")

    return prepare


def _postgresql(timeout: float) -> _Listener:
    def prepare(connection: Any, _record: Any) -> None:
        from psycopg.types.string import TextLoader

        # The driver would decode every JSON value of a page, needed or not: three times the cost of the scan.
        for kind in ("json", "jsonb"):
            connection.adapters.register_loader(kind, TextLoader)
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.execute("SET default_transaction_read_only = on")
            cursor.execute(f"SET statement_timeout = {int(timeout * 1000)}")
        connection.commit()

    return prepare


def _mysql(timeout: float) -> _Listener:
    def prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00'")
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
            cursor.execute("SELECT VERSION()")
            mariadb = "mariadb" in cursor.fetchone()[0].lower()
            if mariadb:
                cursor.execute(f"SET SESSION max_statement_time = {timeout}")
            else:
                cursor.execute(f"SET SESSION max_execution_time = {int(timeout * 1000)}")
            # A page with long JSON aggregations must not be cut off silently at the default of 1 MB.
            cursor.execute("SET SESSION group_concat_max_len = 1073741824")
        connection.commit()

    return prepare


def identity(engine: Engine, account: str) -> str:
    """Which database this is: its address without user and password, and what a copy elsewhere would not share.

    Behind one address a PostgreSQL cluster and its standbys have one identifier, a restored dump has another.
    MySQL's and MariaDB's servers each have their own, so it says something only where the address is this machine.

    Raises:
        PlatformError: The database that feeds ``account`` cannot be asked.
    """
    with _asking(f"the question which database feeds {account}"):
        return _identity(engine)


def _identity(engine: Engine) -> str:
    url = engine.url
    backend = url.get_backend_name()
    port = url.port or (_PORTS.get(backend) if url.host else None)
    address = URL.create(backend, host=url.host, port=port, database=url.database)
    own = ""
    if engine.dialect.name == "postgresql":
        cluster = _first(engine, "SELECT system_identifier FROM pg_control_system()")
        database = _first(engine, "SELECT oid FROM pg_database WHERE datname = current_database()")
        own = f"{cluster}:{database}"
    elif engine.dialect.name in ("mysql", "mariadb") and is_loopback(url.host or "localhost"):
        own = _first(engine, "SHOW VARIABLES WHERE variable_name IN ('server_uid', 'server_uuid')", column=1)
    return address.render_as_string() + (f"#{own}" if own.strip(":") else "")


def _first(engine: Engine, query: str, column: int = 0) -> str:
    """One value; empty when the account may not ask for it."""
    with engine.connect() as connection:
        try:
            row = connection.execute(text(query)).first()
        except ProgrammingError:
            return ""
    return "" if row is None else str(row[column])


@contextmanager
def _asking(question: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise explained(error, question) from error


def may_write(engine: Engine, account: str) -> list[str]:
    """What the database account could write if it were not for our read-only session; empty: nothing, as it should be.

    Raises:
        PlatformError: The database that feeds ``account`` cannot be asked.
    """
    with _asking(f"the question what the account of {account} may write"):
        return _may_write(engine)


def _may_write(engine: Engine) -> list[str]:
    if engine.dialect.name == "postgresql":
        own = (
            "SELECT DISTINCT privilege_type || ' on ' || table_schema || '.' || table_name"
            " FROM information_schema.table_privileges WHERE grantee IN (SELECT rolname FROM pg_roles"
            " WHERE pg_has_role(current_user, oid, 'member')) AND privilege_type IN"
            " ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE') AND table_schema NOT IN ('pg_catalog', 'information_schema')"
            " ORDER BY 1 LIMIT 20"
        )
        superuser = _first(engine, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        return (["everything: it is a superuser"] if superuser == "True" else []) + _column(engine, own)
    if engine.dialect.name in ("mysql", "mariadb"):
        grants = _column(engine, "SHOW GRANTS")
        harmless = re.compile(r"GRANT (SELECT|USAGE|SHOW VIEW|, )+ ON", re.IGNORECASE)
        return [without_password(grant) for grant in grants if not harmless.match(grant)]
    return []


def _column(engine: Engine, query: str) -> list[str]:
    with engine.connect() as connection:
        return [str(row[0]) for row in connection.execute(text(query))]


def explained(error: SQLAlchemyError, query: str) -> SyncdError:
    """A database error in the operator's words; wrong SQL is a mistake of the configuration."""
    words = without_password(str(getattr(error, "orig", None) or error).strip())
    if isinstance(error, DBAPIError) and not error.connection_invalidated:
        kind = type(error).__name__
        if kind == "ProgrammingError" or (kind == "OperationalError" and _about_sql(words)):
            if "page.record_key" in words:
                words = "it gives no column record_key"
            hint = "try it in the database's own shell; record_key, doi and status are columns that syncd understands"
            if "denied" in words:
                hint = "syncd db grants prints what the account needs; a view that was made anew lost its grants"
            return ConfigurationError(f"the platform's database refuses {query}: {words}", hint=hint)
    return PlatformError(
        f"the platform's database cannot be read: {words}",
        hint="check source.url, the network and the grants" + _about_url(words),
    )


def _about_url(words: str) -> str:
    """What is most often wrong with an address that leads nowhere."""
    if "resolve host" in words or "Name or service" in words:
        return "; in a password write @ as %40, / as %2F and : as %3A"
    if "Peer authentication" in words:
        return (
            "; without a host PostgreSQL expects a system user of the same name: postgresql://ROLE:PASSWORD@localhost/…"
        )
    return ""


def _about_sql(words: str) -> bool:
    return any(sign in words for sign in ("syntax error", "no such table", "no such column", "Unknown column"))
