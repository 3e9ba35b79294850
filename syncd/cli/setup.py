"""``syncd init`` and ``check-config``: from nothing to a configuration that holds."""

import json
from pathlib import Path

import click

from syncd.cli.options import config_option, load
from syncd.config import AccountSettings
from syncd.errors import ConfigurationError, UsageError
from syncd.model import MANAGED_ATTRIBUTES

_UNDERSTOOD = ("record_key", "doi", "status", "url", "modified")


@click.command()
@click.option("--platform", type=click.Choice(["sql"]), default="sql", show_default=True)
@click.option("--url", help="The platform's database, e.g. postgresql://reader@/repository; looked at, not written.")
@click.option("--view", help="A table or view with one row per record: its columns are written into the queries.")
@click.option("--output", type=click.Path(path_type=Path), default="syncd.toml", show_default=True)
def init(platform: str, url: str | None, view: str | None, output: Path) -> None:
    """Write a commented configuration from a database.

    Example: syncd init --platform sql --url sqlite:////srv/repository.db --view datacite_records
    """
    if output.exists():
        raise UsageError(f"{output} exists already", hint="choose another place with --output")
    if view and not url:
        raise UsageError("--view needs --url", hint="say in which database the view is")
    columns = _columns(url, view) if url and view else None
    text = _configuration(platform, url, view, columns, _statuses(url, view) if columns and "status" in columns else [])
    try:
        output.write_text(text, encoding="utf-8")
        output.chmod(0o600)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error
    click.echo(f"Wrote {output}. Fill in what is marked with CHANGE, then:")
    for command in ("check-config", "db upgrade", "check", "adopt", "plan"):
        click.echo(f"  syncd {command} -c {output}")


@click.command("check-config")
@config_option
@click.pass_context
def check_config(ctx: click.Context, config_path: Path | None) -> None:
    """Check the configuration offline, all mistakes at once; exit code 78 when there are any.

    Example: syncd check-config -c /etc/syncd/syncd.toml
    """
    from syncd.platforms.mapping import mapper

    settings = load(ctx, config_path, calm=True)
    mistakes = []
    for account in settings.accounts:
        for check in (account.secret, lambda one=account: mapper(one.source.mapping)):
            try:
                check()
            except ConfigurationError as error:
                mistakes.append(f"  {account.id}: {error}")
        mistakes += [f"  {place}: still says CHANGE" for place in _unfilled(account)]
    if "CHANGE" in settings.datacite.contact:
        mistakes.append("  datacite.contact: still says CHANGE")
    if mistakes:
        raise ConfigurationError("the configuration has mistakes:\n" + "\n".join(mistakes))
    click.echo(f"The configuration is right: {len(settings.accounts)} account(s), {settings.datacite.base_url}.")


def _unfilled(account: AccountSettings) -> list[str]:
    source = account.source
    values = {"id": account.id, "all": source.all, "one": source.one, "changed": source.changed}
    return [f"{account.id} {name}" for name, value in values.items() if "CHANGE" in value]


def _columns(url: str, view: str) -> list[str]:
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    from syncd.platforms.connection import open_engine

    engine = open_engine(url, 30)
    try:
        return [column["name"] for column in inspect(engine).get_columns(view)]
    except SQLAlchemyError as error:
        raise ConfigurationError(
            f"there is no table or view {view} to look at in that database: {getattr(error, 'orig', None) or error}"
        ) from error
    finally:
        engine.dispose()


def _statuses(url: str | None, view: str | None) -> list[str]:
    """The words that the view's status column has now, so that none is forgotten."""
    from sqlalchemy import MetaData, Table, select

    from syncd.platforms.connection import open_engine
    from syncd.platforms.sql import status_word

    engine = open_engine(url or "", 30)
    try:
        with engine.connect() as connection:
            table = Table(view or "", MetaData(), autoload_with=connection)
            found = connection.execute(select(table.c.status).distinct().limit(50)).scalars().all()
    finally:
        engine.dispose()
    return sorted(status_word(value) for value in found)


def _states(statuses: list[str]) -> str:
    guesses = {"published": "findable", "public": "findable", "draft": "draft", "withdrawn": "registered"}
    words = statuses or ["published", "draft", "withdrawn"]
    lines = [f'{json.dumps(word, ensure_ascii=False)} = "{guesses.get(word.lower(), "none")}"' for word in words]
    note = "" if statuses else "   # CHANGE: your own words"
    return "\n".join(
        line + (note or ("" if word.lower() in guesses else "   # CHANGE?"))
        for line, word in zip(lines, words, strict=True)
    )


def _configuration(
    platform: str, url: str | None, view: str | None, columns: list[str] | None, statuses: list[str]
) -> str:
    source = view or "datacite_records  -- CHANGE: your table or view, one row per record"
    found = (
        columns
        if columns is not None
        else [*_UNDERSTOOD, "titles", "creators", "publisher", "publication_year", "types"]
    )
    names = {column.replace("_", "").lower() for column in found}
    key = "record_key" if "record_key" in found else f"{_first_key(found)} AS record_key"
    others = [column for column in found if column not in ("record_key", _first_key(found))]
    missing = [name for name in ("doi", "status") if name not in names]
    select = ",\n       ".join([key, *others, *(f"CHANGE AS {name}" for name in missing)])
    ignored = sorted(column for column in others if not _meant(column))
    note = (
        f"# These columns are not named like DataCite attributes and are ignored: {', '.join(ignored)}\n"
        if ignored
        else ""
    )
    modified = "modified" if "modified" in names else "CHANGE_modified"
    return f"""\
# syncd: keeps DataCite true. Every setting can also come from the environment, e.g. SYNCD_DATACITE__HOST.

[state]
# syncd's own tables: SQLite (one host) or PostgreSQL (several processes and hosts).
url = "sqlite:///syncd-state.db"

[datacite]
# "test" until you trust it, then "production"; or the address of `syncd sandbox`.
host = "test"
contact = "CHANGE@example.org"          # DataCite writes here if something is wrong

[[accounts]]
id = "CHANGE.REPOSITORY"                # your DataCite repository account
password_file = "/etc/syncd/password"   # CHANGE; readable by syncd's user only
prefixes = ["10.5072"]                  # CHANGE
# domains = "*.example.org"             # as at DataCite, if your account is limited to some hosts

[accounts.source]
platform = {json.dumps(platform)}
url = {json.dumps(url or "postgresql://reader@/repository")}
# The landing page, when no column `url` holds it; {{column}} stands for a column of the query.
# landing_page = "https://repository.example.org/{{record_key}}"

{note}# One row per record: record_key and doi, status, modified, and columns named like DataCite attributes
# (titles, creators, publicationYear or publication_year, …), as JSON or as plain text.
all = \"\"\"
SELECT {select}
  FROM {source}
\"\"\"
one = \"\"\"
SELECT * FROM (
SELECT {select}
  FROM {source}
) AS record WHERE record.record_key = :key
\"\"\"
# The quick look between two full scans; leave it out if no column tells when a record changed.
changed = \"\"\"
SELECT * FROM (
SELECT {select}
  FROM {source}
) AS record WHERE record.{modified} >= :since
\"\"\"

# What a record's status means: findable, registered (withdrawn), draft, or none (no DOI at DataCite).
# A status that is not here is never published; it is reported.
[accounts.source.states]
{_states(statuses)}
"""  # noqa: S608 - a file for the operator to read and change


def _first_key(columns: list[str]) -> str:
    for name in ("record_key", "id", "uuid", "key"):
        if name in columns:
            return name
    return columns[0]


def _meant(column: str) -> bool:
    bare = column.replace("_", "").lower()
    known = {name.lower() for name in MANAGED_ATTRIBUTES} | {
        "resourcetype",
        "resourcetypegeneral",
        "alternateidentifiers",
    }
    return bare in known or column in _UNDERSTOOD
