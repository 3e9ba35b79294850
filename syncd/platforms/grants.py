"""The SQL that makes a database account which may read what syncd reads, and nothing else. Pure."""

import re
from collections.abc import Sequence

from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url

from syncd.errors import ConfigurationError
from syncd.settings import SourceSettings

_RELATION = re.compile(r"\b(?:FROM|JOIN)\s+((?:\w+\.)?\w+)\b(?!\s*\()", re.IGNORECASE)

_NOTE = '-- Put a password of your own in place of CHANGE, and the account into the configuration: url = "{url}"'


def relations(source: SourceSettings) -> list[str]:
    """The tables and views that the operator's queries name."""
    found = {name for query in (source.all, source.one, source.changed) for name in _RELATION.findall(query)}
    return sorted(name for name in found if name.upper() != "SELECT")


def reading_grants(address: str, names: Sequence[str], role: str) -> str:
    """Statements for an administrator of the platform's database.

    Args:
        address: The database's.
        names: The tables and views that are read.
        role: What the account is to be called.

    Raises:
        ConfigurationError: The database has no accounts, or no statements are known for it.
    """
    url = make_url(address)
    backend = url.get_backend_name()
    if not re.match(r"^\w+$", role):
        raise ConfigurationError(f"{role!r} is no name for an account", hint="letters, digits and underscores")
    if backend == "postgresql":
        schemas = sorted({name.split(".")[0] if "." in name else "public" for name in names})
        lines = [f"CREATE ROLE {role} LOGIN PASSWORD 'CHANGE';", f"GRANT CONNECT ON DATABASE {url.database} TO {role};"]
        lines += [f"GRANT USAGE ON SCHEMA {schema} TO {role};" for schema in schemas]
        lines += [f"GRANT SELECT ON {_quoted(name)} TO {role};" for name in names]
        lines += [_NOTE.format(url=f"postgresql://{role}:…@{url.host or 'localhost'}/{url.database}")]
        return "\n".join([*lines, f"ALTER ROLE {role} SET default_transaction_read_only = on;"])
    if backend in ("mysql", "mariadb"):
        account = f"'{role}'@'localhost'"
        qualified = [name if "." in name else f"{url.database}.{name}" for name in names]
        lines = [f"CREATE USER {account} IDENTIFIED BY 'CHANGE';"]
        lines += [_NOTE.format(url=f"mysql://{role}:…@{url.host or 'localhost'}/{url.database}")]
        return "\n".join([*lines, *(f"GRANT SELECT ON {name} TO {account};" for name in qualified)])
    if backend == "sqlite":
        return "-- SQLite has no accounts: let the file be readable for syncd's user, and writable for others only."
    raise ConfigurationError(f"no statements are known for {backend}", hint="grant SELECT on what your queries name")


def _quoted(name: str) -> str:
    """A name as PostgreSQL takes it, though it may be a word of SQL, as CKAN's table ``group`` is."""
    quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]
    return ".".join(quote(part) for part in name.split("."))
