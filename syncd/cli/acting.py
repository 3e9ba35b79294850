"""``syncd retry``, ``pause``, ``resume`` and ``exclude``: a person decides; it holds for a running daemon at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from syncd.causes import CAUSES
from syncd.cli.options import account_option, accounts, config_option, load
from syncd.cycle import connect
from syncd.errors import ExitCode, UsageError
from syncd.finding import DUPLICATE
from syncd.model import doi_name
from syncd.settings import AccountSettings
from syncd.store import Store
from syncd.store.runs import BRAKE, BY_HAND, HOST
from syncd.words import counted

_MOST_WORDS = 500


@contextmanager
def _opened(
    ctx: click.Context, config_path: Path | None, account_id: str | None
) -> Iterator[tuple[Store, list[AccountSettings]]]:
    settings = load(ctx, config_path, calm=True)
    store = connect(settings)
    try:
        yield store, accounts(settings, account_id)
    finally:
        store.close()


@click.command()
@click.argument("dois", metavar="[DOI]...", nargs=-1)
@click.option("--cause", type=click.Choice(sorted(CAUSES)), metavar="CAUSE", help="All that failed so.")
@click.option("--all", "everything", is_flag=True, help="All that failed.")
@config_option
@account_option
@click.pass_context
def retry(
    ctx: click.Context,
    dois: tuple[str, ...],
    cause: str | None,
    everything: bool,
    config_path: Path | None,
    account_id: str | None,
) -> int:
    """Send failed DOIs again, at once, although nothing changed.

    Example: syncd retry --cause forbidden
    """
    if bool(dois) + bool(cause) + everything != 1:
        raise UsageError("name DOIs, a cause or --all", hint="syncd failures shows the causes")
    names = [doi_name(doi) for doi in dois]
    with _opened(ctx, config_path, account_id) as (store, chosen):
        count = sum(store.orders.retry(one.id, cause=cause, dois=names) for one in chosen)
        contested = [group for one in chosen for group in store.reading.failures(one.id, 0) if group.cause == DUPLICATE]
    click.echo(f"{counted(count, 'DOI')} to be tried again by the daemon, or by `syncd sync`.")
    if not dois and cause in (None, DUPLICATE):
        for group in contested:
            words = f"{counted(group.count, 'DOI')} of {group.account} stay: two records claim each of them"
            click.echo(f"{words}, and only the platform can end that → syncd failures", err=True)
    return ExitCode.DONE if count else _nothing("no failed DOI is meant by this", "syncd failures")


@click.command()
@config_option
@account_option
@click.option("--all", "everything", is_flag=True, help="Every account: the whole host.")
@click.option("--reason", default="paused by hand", help="What status shows.")
@click.pass_context
def pause(ctx: click.Context, config_path: Path | None, account_id: str | None, everything: bool, reason: str) -> int:
    """Send nothing until `syncd resume`; changes are noted all the same.

    Requests that are on their way are finished.

    Example: syncd pause --account DATACITE.EXAMPLE --reason "migration until Friday"
    """
    with _opened(ctx, config_path, account_id) as (store, chosen):
        for scope in _scopes(chosen, account_id, everything=everything):
            store.runs.pause(scope, BY_HAND, reason[:_MOST_WORDS], lambda _attempts: None)
            click.echo(f"paused: {scope} → syncd resume {_again(scope)}")
    return ExitCode.DONE


@click.command()
@config_option
@account_option
@click.option("--all", "everything", is_flag=True, help="Every account, and the host.")
@click.pass_context
def resume(ctx: click.Context, config_path: Path | None, account_id: str | None, everything: bool) -> int:
    """End pauses, whoever began them.

    Example: syncd resume --account DATACITE.EXAMPLE
    """
    with _opened(ctx, config_path, account_id) as (store, chosen):
        scopes = _scopes(chosen, account_id, everything=everything)
        if everything:
            scopes += [one.id for one in chosen]
        braked = {one.scope for one in store.runs.pauses() if one.cause == BRAKE}
        ended = [scope for scope in scopes if store.runs.resume(scope)]
        left = store.runs.pauses()
    for scope in ended:
        click.echo(f"resumed: {scope}")
        if scope in braked:
            words = "what the brake saw was not noted, and the next scan stops again"
            click.echo(f"{words} → syncd plan; if it is right, the `syncd sync` that it names", err=True)
    for one in left:
        words = f"still paused: {one.scope}, {one.cause}: {one.message}"
        click.echo(f"{words} → syncd resume {_again(one.scope)}", err=True)
    if ended:
        return ExitCode.DONE
    named = account_id or everything or left
    return _nothing("nothing that was named is paused" if named else "nothing is paused", "syncd status")


@click.command()
@click.argument("dois", metavar="DOI...", nargs=-1, required=True)
@click.option("--reason", help="Why; status and show tell it.")
@click.option("--end", is_flag=True, help="Mind these DOIs again.")
@config_option
@account_option
@click.pass_context
def exclude(
    ctx: click.Context,
    dois: tuple[str, ...],
    reason: str | None,
    end: bool,
    config_path: Path | None,
    account_id: str | None,
) -> int:
    """Leave DOIs alone, whatever the platform says of them.

    Example: syncd exclude 10.5072/example --reason "curated by hand in Fabrica"
    """
    if bool(reason) == end:
        raise UsageError("an exclusion needs its --reason, and --end needs none")
    names = [doi_name(doi) for doi in dois]
    with _opened(ctx, config_path, account_id) as (store, chosen):
        if end:
            count = sum(store.orders.include(one.id, names) for one in chosen)
        else:
            count = sum(store.orders.exclude(one.id, names, (reason or "")[:_MOST_WORDS]) for one in chosen)
        unknown = [name for name in names if not any(store.reading.doi(one.id, name) for one in chosen)]
    click.echo(f"{counted(count, 'DOI')} {'minded again' if end else 'left alone'}.")
    for name in unknown:
        _nothing(f"{name} is not known here", f"syncd show {name}")
    if count + len(unknown) < len(names):
        return _nothing("the others were so already", "syncd show DOI")
    return ExitCode.RECORDS_FAILED if unknown else ExitCode.DONE


def _scopes(chosen: list[AccountSettings], account_id: str | None, *, everything: bool) -> list[str]:
    """What is meant; a configuration with one account needs no name.

    Raises:
        UsageError: Nothing was named, and there are several.
    """
    if everything:
        return [HOST]
    if account_id is None and len(chosen) > 1:
        raise UsageError("name an account, or all", hint="--account ID, or --all")
    return [chosen[0].id]


def _again(scope: str) -> str:
    return "--all" if scope == HOST else f"--account {scope}"


def _nothing(words: str, hint: str) -> ExitCode:
    click.echo(f"{words} → {hint}", err=True)
    return ExitCode.RECORDS_FAILED
