"""``syncd status``, ``failures`` and ``show``: they read our own tables only, daemon or not."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from syncd.causes import CAUSES, action_of, sentence_of
from syncd.cli.options import account_option, accounts, config_option, json_option, load
from syncd.cli.output import NARROW, console, emit_json, table
from syncd.cycle import connect
from syncd.errors import ExitCode
from syncd.model import MANAGED_ATTRIBUTES, doi_name
from syncd.settings import AccountSettings, Settings
from syncd.store import Store
from syncd.store.reading import BUCKETS, Sum
from syncd.words import ago, counted


@click.command()
@config_option
@account_option
@json_option
@click.pass_context
def status(ctx: click.Context, config_path: Path | None, account_id: str | None, as_json: bool) -> None:
    """Where every DOI stands, and what is paused.

    wanted = in sync + pending + quarantined + excluded + foreign, for every account.

    Example: syncd status --json
    """
    settings = load(ctx, config_path, calm=True)
    store = connect(settings)
    try:
        ids = [account.id for account in accounts(settings, account_id)]
        sums = [store.reading.sum(one) for one in ids]
        used, total = store.slots.in_use()
        document: dict[str, Any] = {
            "accounts": [{**asdict(one), "adds_up": one.adds_up} for one in sums],
            "pauses": [asdict(pause) for pause in store.runs.pauses()],
            "slots": {"in_use": used, "total": total},
            "runs": {one: store.reading.last_runs(one) for one in ids},
        }
    finally:
        store.close()
    if as_json:
        emit_json(document)
        return
    out = console()
    print_sums(sums)
    for pause in document["pauses"]:
        cause = CAUSES.get(pause["cause"])
        out.print(
            f"paused: {pause['scope']}, {pause['cause']} for {ago(pause['since'])}: {pause['message']}", markup=False
        )
        if cause:
            out.print(f"  → {cause.action}", markup=False)
    if any(one.quarantined for one in sums):
        out.print("some DOIs stand failed → syncd failures")
    out.print(f"{used} of {total} request slots in use")
    for name, runs in document["runs"].items():
        for run in runs:
            out.print(f"last {run['kind']} of {name}: {run['started_at'][:19]} {run['result'] or 'running or killed'}")
            if run["message"]:
                out.print(f"  {run['message']}", markup=False)


@click.command()
@config_option
@account_option
@json_option
@click.option("--limit", default=5, show_default=True, type=click.IntRange(0), help="Examples per cause; 0 shows all.")
@click.pass_context
def failures(ctx: click.Context, config_path: Path | None, account_id: str | None, as_json: bool, limit: int) -> None:
    """The DOIs that failed, by cause, with what to do next.

    Example: syncd failures --account DATACITE.EXAMPLE
    """
    settings = load(ctx, config_path, calm=True)
    store = connect(settings)
    try:
        chosen = [one.id for one in accounts(settings, account_id)]
        groups = [group for one in chosen for group in store.reading.failures(one, limit)]
        pending = 0 if groups else sum(store.reading.sum(one).pending for one in chosen)
    finally:
        store.close()
    if as_json:
        emit_json([{**asdict(group), "next": action_of(group.cause)} for group in groups])
        return
    print_failures(groups)
    if pending:
        click.echo(f"{counted(pending, 'DOI')} still to be sent → syncd sync")


@click.command()
@click.argument("doi")
@config_option
@account_option
@json_option
@click.option("--remote", is_flag=True, help="Ask DataCite what it holds now, and in what it differs: two requests.")
@click.pass_context
def show(
    ctx: click.Context, doi: str, config_path: Path | None, account_id: str | None, as_json: bool, remote: bool
) -> int:
    """Everything known about one DOI.

    Example: syncd show 10.5072/example --remote
    """
    settings = load(ctx, config_path, calm=True)
    store = connect(settings)
    try:
        known = []
        for account in accounts(settings, account_id):
            document = store.reading.doi(account.id, doi_name(doi))
            if document is not None:
                known.append(document)
                if remote:
                    document["remote"] = _compared(settings, account, store, document)
    finally:
        store.close()
    if as_json:
        emit_json(known)
    elif not known:
        click.echo(f"{doi_name(doi)} is not known here. Is it in the platform? `syncd plan` looks.", err=True)
    else:
        for document in known:
            _print_doi(document)
    return ExitCode.DONE if known else ExitCode.RECORDS_FAILED


def _compared(settings: Settings, account: AccountSettings, store: Store, document: dict[str, Any]) -> dict[str, Any]:
    """What DataCite holds now, beside what the platform wants now."""
    from syncd.audit import compare_one
    from syncd.cli.comparing import values
    from syncd.cycle import opened

    with opened(settings, account, store, bind=False) as (parts, limiter):
        found = compare_one(parts, limiter, document["doi"], document["record_key"])
    if isinstance(found, str):
        return {"kinds": [], "words": found}
    return {"kinds": list(found.kinds), "words": found.words, "attributes": found.attributes, "text": values(found)}


def print_sums(sums: list[Sum]) -> None:
    """The sum per account: a table, or sentences where its columns would not fit."""
    out = console()
    if out.width >= NARROW:
        out.print(_sums_table(sums))
        return
    for one in sums:
        parts = " + ".join(f"{getattr(one, bucket):,} {bucket.replace('_', ' ')}" for bucket in BUCKETS)
        out.print(f"{one.account}: {one.wanted:,} wanted = {parts}; oldest unsent {ago(one.oldest_change)}")


def _sums_table(sums: list[Sum]) -> Any:
    rows = [
        (one.account, one.wanted, *(getattr(one, bucket) for bucket in BUCKETS), ago(one.oldest_change)) for one in sums
    ]
    columns = ("account", "wanted", *(f"{'+' if n else '='} {b.replace('_', ' ')}" for n, b in enumerate(BUCKETS)))
    return table((*columns, "oldest unsent"), rows, numbers=columns[1:])


def attribute_names(names: Sequence[str]) -> str:
    """Attribute names in a line; a complete record names none."""
    return f"all {len(names)} attributes" if len(names) == len(MANAGED_ATTRIBUTES) else ", ".join(names)


def print_failures(groups: Any) -> None:
    """The groups as people read them."""
    if not groups:
        click.echo("No failures.")
    for group in groups:
        waiting = "waits for a change" if group.quarantined else "is tried again by itself"
        click.echo(f"{group.cause}: {group.count} in {group.account}, {waiting}")
        click.echo(f"  {sentence_of(group.cause)}")
        for name, message in group.examples:
            click.echo(f"  {name}: {message}")
        if group.count > len(group.examples):
            click.echo(f"  … and {group.count - len(group.examples):,} more: syncd failures --limit 0")
        click.echo(f"  → {action_of(group.cause)}")


def _print_doi(document: dict[str, Any]) -> None:
    click.echo(f"{document['doi']}  {document['account']}  {document['bucket'].replace('_', ' ')}")
    click.echo(
        f"  record     {document['record_key']}{'  gone since ' + document['gone_at'] if document['gone_at'] else ''}"
    )
    click.echo(f"  wanted     {document['desired_state']}  {document['desired_digest'] or '-'}")
    click.echo(f"  DataCite   {document['synced_state']}  {document['synced_digest'] or 'unknown or never sent'}")
    if document["excluded_because"]:
        click.echo(f"  excluded   {document['excluded_because']}")
    if "remote" in document:
        remote = document["remote"]
        lines = [remote["words"], *str(remote.get("text", "")).splitlines()]
        click.echo("  now        " + "\n             ".join(filter(None, lines)))
    if document["verified_at"]:
        click.echo(f"  confirmed  {document['verified_at'][:19]}")
    if document["cause"]:
        click.echo(f"  failed     {document['cause']}: {document['message']}")
        click.echo(f"             → {action_of(document['cause'])}")
        if document["next_try_at"]:
            click.echo(f"             next attempt {document['next_try_at'][:19]}")
    for write in document["writes"]:
        attributes = attribute_names(write["attributes"]) or "no attributes"
        event = f" {write['event']}" if write["event"] else ""
        click.echo(
            f"  {write['at'][:19]}  {write['method']}{event}  {write['status'] or 'no answer'}  {write['result']}"
            f"  ({write['reason']}: {attributes}; {write['bytes']} bytes)"
        )
