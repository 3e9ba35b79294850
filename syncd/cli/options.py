"""Options that several commands have, and what they give: the settings, log lines, the chosen accounts."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from syncd import config, logs
from syncd.settings import AccountSettings, Settings

_F = TypeVar("_F", bound=Callable[..., Any])
_DEFAULT, _INSTALLED = Path("syncd.toml"), Path("/etc/syncd/syncd.toml")

json_option = click.option("--json", "as_json", is_flag=True, help="As one JSON document on stdout.")
account_option = click.option("--account", "account_id", metavar="ID", help="Only this account.")


def config_option(function: _F) -> _F:
    """``-c``, ``-v`` and ``-q`` after the command's name as well as before it."""
    for decorate in (
        click.option("-q", "--quiet", is_flag=True, expose_value=False, hidden=True, callback=_also),
        click.option("-v", "--verbose", count=True, expose_value=False, hidden=True, callback=_also),
        click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), help="The configuration file."),
    ):
        function = decorate(function)
    return function


def _also(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        ctx.obj = {**ctx.obj, param.name: value}


def load(ctx: click.Context, config_path: Path | None, *, calm: bool = False) -> Settings:
    """Read the configuration and set up logging.

    Args:
        ctx: The command's context, for options that stood before its name.
        config_path: ``-c`` after the command's name.
        calm: Warnings only, unless ``-v`` was given: somebody looks at the screen.
    """
    set_up_logging(ctx, calm=calm)
    settings = config.load(path_of(ctx, config_path))
    set_up_logging(ctx, settings, calm=calm)
    return settings


def path_of(ctx: click.Context, config_path: Path | None) -> Path:
    """Where the configuration is: as somebody said, or here, or where the service has it."""
    path: Path | None = config_path or ctx.obj["config"]
    return path or (_INSTALLED if not _DEFAULT.exists() and os.access(_INSTALLED, os.R_OK) else _DEFAULT)


def set_up_logging(ctx: click.Context, settings: Settings | None = None, *, calm: bool = False) -> None:
    """Log to stderr at the level that options and settings ask for."""
    level = settings.log.level if settings else "info"
    if ctx.obj["quiet"] or (calm and not ctx.obj["verbose"]):
        level = "warning"
    elif ctx.obj["verbose"]:
        level = "debug" if ctx.obj["verbose"] > 1 else "info"
    logs.configure(level, settings.log.format if settings else "auto")


def accounts(settings: Settings, account_id: str | None) -> list[AccountSettings]:
    """The accounts that a command is about."""
    return [settings.account(account_id)] if account_id else list(settings.accounts)
