"""``syncd db``: our own tables."""

from pathlib import Path

import click

from syncd.cli.options import config_option, load
from syncd.errors import UsageError
from syncd.platforms import open_platform
from syncd.platforms.grants import reading_grants
from syncd.platforms.listening import notifying_trigger
from syncd.store import Store, schema


@click.group()
def db() -> None:
    """Create and upgrade syncd's own tables.

    Example: syncd db upgrade
    """


@db.command()
@config_option
@click.pass_context
def upgrade(ctx: click.Context, config_path: Path | None) -> None:
    """Create the tables, or bring them to this version; harmless when they are.

    Example: syncd db upgrade -c /etc/syncd/syncd.toml
    """
    settings = load(ctx, config_path)
    store = Store.open(settings.state.url)
    try:
        revision = schema.upgrade(store.database)
    finally:
        store.close()
    click.echo(f"The state database is at revision {revision}.")


@db.command()
@config_option
@click.option("--role", default="syncd_reader", show_default=True, help="The database account to make.")
@click.pass_context
def grants(ctx: click.Context, config_path: Path | None, role: str) -> None:
    """Print the SQL that makes an account which can read what the configuration reads, and nothing else.

    Example: syncd db grants | psql repository
    """
    settings = load(ctx, config_path)
    for account in settings.accounts:
        platform = open_platform(account)
        try:
            click.echo(f"-- {account.id}")
            click.echo(reading_grants(account.source.url, platform.relations(), role))
        finally:
            platform.close()


@db.command()
@config_option
@click.pass_context
def trigger(ctx: click.Context, config_path: Path | None) -> None:
    """Print the SQL for PostgreSQL platforms that lets the daemon hear of a change at once.

    For accounts with a `channel` in their source. Without it, polls see the change some seconds later.

    Example: syncd db trigger | psql repository
    """
    settings = load(ctx, config_path)
    with_channel = [account for account in settings.accounts if account.source.channel]
    if not with_channel:
        raise UsageError("no account has a channel", hint='channel = "syncd" in [accounts.source], then again')
    for account in with_channel:
        platform = open_platform(account)
        try:
            click.echo(f"-- {account.id}")
            click.echo(notifying_trigger(platform.relations(), account.source.channel))
        finally:
            platform.close()
