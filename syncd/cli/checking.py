"""``syncd check``: is everything there that a pass needs?"""

from dataclasses import asdict
from pathlib import Path

import click

from syncd.check import FAIL, open_file
from syncd.check import check as checks
from syncd.cli.options import account_option, accounts, config_option, json_option, load, path_of
from syncd.cli.output import console, emit_json, table
from syncd.errors import ExitCode
from syncd.store import Store


@click.command()
@config_option
@account_option
@json_option
@click.pass_context
def check(ctx: click.Context, config_path: Path | None, account_id: str | None, as_json: bool) -> int:
    """Look whether everything is there that a pass needs; nothing is written anywhere else than here.

    Databases, clock, tables, the platform's first records, grants, credentials, prefixes, domains.

    Example: syncd check --json
    """
    settings = load(ctx, config_path, calm=True)
    store = Store.open(settings.state.url)
    try:
        found = open_file(path_of(ctx, config_path), settings)
        found += checks(settings, store, accounts(settings, account_id))
    finally:
        store.close()
    if as_json:
        emit_json([asdict(one) for one in found])
    else:
        rows = [(one.level, one.about, one.name, one.words + (f"\n→ {one.hint}" if one.hint else "")) for one in found]
        console().print(table(("", "account", "what", "found"), rows))
    return next((one.code for one in found if one.level == FAIL), ExitCode.DONE)
