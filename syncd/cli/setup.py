"""``syncd init`` and ``check-config``: from nothing to a configuration that holds."""

from pathlib import Path

import click

from syncd.cli.drafts import configuration, preset_configuration
from syncd.cli.options import config_option, load
from syncd.errors import ConfigurationError, UsageError
from syncd.settings import AccountSettings


@click.command()
@click.option("--platform", default="auto", show_default=True, help="ckan, dspace, inveniordm, ojs, sql, or one's own.")
@click.option(
    "--url", help="The platform's database, postgresql://reader:PASSWORD@localhost/repository; looked at only."
)
@click.option("--site", help="The address of the repository's pages, e.g. https://repository.example.org")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="A choice of the platform's preset.")
@click.option(
    "--prefix", "prefixes", multiple=True, help="The account's prefix, where only it tells which DOIs are yours."
)
@click.option("--view", help="For sql: a table or view with one row per record; its columns are written into queries.")
@click.option("--output", type=click.Path(path_type=Path), default="syncd.toml", show_default=True)
def init(
    platform: str,
    url: str | None,
    site: str | None,
    options: tuple[str, ...],
    prefixes: tuple[str, ...],
    view: str | None,
    output: Path,
) -> None:
    """Write a commented configuration from a database.

    Example: syncd init --url postgresql://reader:PASSWORD@localhost/repository --site https://repository.example.org
    """
    if output.exists():
        raise UsageError(f"{output} exists already", hint="choose another place with --output")
    if view and not url:
        raise UsageError("--view needs --url", hint="say in which database the view is")
    if platform == "sql" or view or not url:
        text = _of_a_view(url, view)
    else:
        text = _of_a_preset(platform, url, site, dict(_pair(one) for one in options), prefixes)
    try:
        output.write_text(text, encoding="utf-8")
        output.chmod(0o600)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error
    click.echo(f"Wrote {output}. Fill in what is marked with CHANGE, then:")
    for command in ("check-config", "db upgrade", "check", "adopt", "plan"):
        click.echo(f"  syncd {command} -c {output}")


def _pair(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals:
        raise UsageError(f"--option {option}: NAME=VALUE is meant")
    return name, value


def _of_a_preset(platform: str, url: str, site: str | None, options: dict[str, str], own: tuple[str, ...]) -> str:
    """What was found is told, and written."""
    from syncd.platforms import opener, openers
    from syncd.platforms.survey import detect, survey

    found = detect(openers(), url, options, own) if platform == "auto" else survey(opener(platform), url, options, own)
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(found.states.items())) or "none"
    part = "" if found.looked_at == found.records else f" (of the first {found.looked_at:,})"
    prefixes = ", ".join(f"{prefix} ({count:,})" for prefix, count in found.prefixes.most_common())
    click.echo(f"{found.title}: {found.records:,} DOIs; {states}{part}; prefixes: {prefixes or 'none'}")
    if found.problem:
        click.echo(f"cannot be sent, for example: {found.problem}")
    for one in found.advice:
        click.echo(f"{one.about}: {one.words}\n  → {one.hint}")
    return preset_configuration(found, url, site, options)


def _of_a_view(url: str | None, view: str | None) -> str:
    columns = _columns(url, view) if url and view else None
    return configuration(url, view, columns, _statuses(url, view) if columns and "status" in columns else [])


@click.command("check-config")
@config_option
@click.pass_context
def check_config(ctx: click.Context, config_path: Path | None) -> None:
    """Check the configuration offline, all mistakes at once; exit code 78 when there are any.

    Example: syncd check-config -c /etc/syncd/syncd.toml
    """
    from syncd.platforms import check_options
    from syncd.platforms.desired import Finish
    from syncd.platforms.mapping import mapper

    settings = load(ctx, config_path, calm=True)
    mistakes = []
    for account in settings.accounts:
        for check in (
            account.secret,
            lambda one=account: mapper(one.source.mapping),
            lambda one=account: Finish(one.source),
            lambda one=account: check_options(one),
        ):
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
    values = {
        "id": account.id,
        "landing_page": source.landing_page,
        "all": source.all,
        "one": source.one,
        "changed": source.changed,
    }
    return [f"{account.id} {name}" for name, value in values.items() if "CHANGE" in value]


def _columns(url: str, view: str) -> list[str]:
    from sqlalchemy import inspect
    from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

    from syncd.platforms.connection import explained, open_engine

    engine = open_engine(url, 30)
    try:
        return [column["name"] for column in inspect(engine).get_columns(view)]
    except SQLAlchemyError as error:
        if isinstance(error, NoSuchTableError):
            hint = "make the view first (README, ten minutes to your own database)"
            raise ConfigurationError(f"there is no table or view {view} in that database", hint=hint) from error
        raise explained(error, f"the question for the columns of {view}") from error
    finally:
        engine.dispose()


def _statuses(url: str | None, view: str | None) -> list[str]:
    """The words that the view's status column has now, so that none is forgotten."""
    from sqlalchemy import MetaData, Table, select
    from sqlalchemy.exc import SQLAlchemyError

    from syncd.platforms.connection import explained, open_engine
    from syncd.platforms.sql import status_word

    engine = open_engine(url or "", 30)
    try:
        with engine.connect() as connection:
            table = Table(view or "", MetaData(), autoload_with=connection)
            found = connection.execute(select(table.c.status).distinct().limit(50)).scalars().all()
    except SQLAlchemyError as error:
        raise explained(error, f"the question which statuses {view} has") from error
    finally:
        engine.dispose()
    return sorted(status_word(value) for value in found)
