"""Create, upgrade and check our tables with alembic; no ``alembic.ini``, the connection is handed over."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import syncd
from syncd.errors import SchemaError
from syncd.store.database import Database

VERSION_TABLE = "syncd_version"
_LOCK = 0x73796E6364  # "syncd": one upgrade at a time, whoever starts it


def upgrade(database: Database) -> str:
    """Bring our tables to this program's revision, and return it."""
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
    return head()


def check(database: Database) -> None:
    """Refuse to work on other tables than this program's.

    Raises:
        SchemaError: They are missing, older or newer.
    """
    with database.reading() as connection:
        found = current(connection)
    expected = head()
    if found == expected:
        return
    if found is None:
        raise SchemaError("the state database has no syncd tables yet", hint="syncd db upgrade")
    known = {script.revision for script in ScriptDirectory.from_config(_configuration()).walk_revisions()}
    if found in known:
        raise SchemaError(f"the state database is at revision {found}, not {expected}", hint="syncd db upgrade")
    raise SchemaError(
        f"the state database is at revision {found}, which this syncd ({syncd.__version__}) does not know",
        hint="run the newer syncd that upgraded it",
    )


def current(connection: Connection) -> str | None:
    """The revision that the tables are at; None when there are none."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def head() -> str:
    """The revision that this program works with."""
    revision = ScriptDirectory.from_config(_configuration()).get_current_head()
    if revision is None:
        raise SchemaError("this installation of syncd lacks its migrations", hint="install it again")
    return revision


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(_migrations()).replace("%", "%%"))
    return configuration


def _migrations() -> Path:
    """Inside an installed package, or beside it in a source tree."""
    package = Path(syncd.__file__).parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"
