"""``syncd backfill``: many DOIs once more, behind everything that changes meanwhile."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from syncd.backfill import SUSTAINED, Choice, Progress, choose, of_pages, work_off
from syncd.cli.options import account_option, config_option, json_option, load
from syncd.cli.output import emit_json
from syncd.cli.running import Others, for_each_account
from syncd.cycle import Parts, end_pauses_that_end_by_trying, opened, refuse_unadopted
from syncd.errors import ExitCode, UsageError
from syncd.model import doi_name
from syncd.plan import ACCOUNT_CAUSES
from syncd.settings import AccountSettings
from syncd.store import Store
from syncd.words import duration


@click.command()
@config_option
@account_option
@json_option
@click.option("--all", is_flag=True, help="Every DOI that DataCite is to have.")
@click.option("--since", metavar="TIME", help="Records that changed since then, in the form of your column `modified`.")
@click.option("--doi-file", type=click.File("r", encoding="utf-8"), help="One DOI a line; - for stdin.")
@click.option("--where", metavar="SQL", help="Records for which this condition on your columns holds.")
@click.option("--resume", is_flag=True, help="Nothing new: go on with what is left.")
@click.option(
    "--per-window", type=click.IntRange(1), metavar="N", help="A lower ceiling: so many in 5 minutes, whoever sends."
)
@click.option("--dry-run", is_flag=True, help="Say how many it would be and how long it takes, and choose nothing.")
@click.pass_context
def backfill(
    ctx: click.Context,
    /,
    config_path: Path | None,
    account_id: str | None,
    as_json: bool,
    per_window: int | None,
    dry_run: bool,
    resume: bool,
    **choice: Any,
) -> int:
    """Send DOIs once more, complete, although nothing changed, and show how far it is.

    What really changes meanwhile goes first. Interrupted, `--resume` goes on; so does a daemon.

    Example: syncd backfill --where "publication_year < 2000" --per-window 400
    """
    settings = load(ctx, config_path, calm=sys.stderr.isatty())
    if sum(map(bool, choice.values())) + resume != 1:
        raise UsageError("choose by one of --all, --since, --doi-file, --where, --resume")
    names = [doi_name(line) for line in choice["doi_file"].read().split()] if choice["doi_file"] else []

    refused: list[bool] = []

    def work(account: AccountSettings, store: Store, others: Others) -> tuple[str, Progress]:
        tell = others["tell"]
        with opened(settings, account, store, **others) as (parts, limiter):
            refuse_unadopted(parts, limiter)
            if not dry_run and (per_window is not None or not resume):
                # It belongs to the order: whoever sends, this command or a daemon, keeps to it.
                store.bindings.order_mass_ceiling(account.id, per_window)
            count = 0 if resume else choose(parts, _chosen(parts, choice, names), dry_run=dry_run)
            left = count if dry_run else store.reading.mass_work(account.id)
            _tell(parts, count, left, len(names), resume=resume, per_window=per_window)
            if dry_run:
                return account.id, Progress(left, left)
            end_pauses_that_end_by_trying(store.runs, account.id)
            progress = work_off(replace(parts, tell=lambda _counts: None), limiter, tell)
            refused.append(any(one.cause in ACCOUNT_CAUSES for one in store.runs.pauses(account.id)))
            return account.id, progress

    done = for_each_account(settings, account_id, work)
    _print(done.results, as_json=as_json, dry_run=dry_run)
    bad = any(one.left or one.failed for _, one in done.results) and not dry_run
    code = ExitCode.CREDENTIALS if any(refused) else ExitCode.RECORDS_FAILED if bad else ExitCode.DONE
    return done.code(code)


def _chosen(parts: Parts, choice: Mapping[str, Any], names: list[str]) -> Choice:
    if choice["where"]:
        return of_pages(parts.platform.matching(choice["where"]))
    if choice["since"]:
        return of_pages(parts.platform.changed(choice["since"]))
    return [names] if choice["doi_file"] else None


def _print(results: list[tuple[str, Progress]], *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        emit_json([
            {"account": name, "total": one.total, "done": one.done, "left": one.left, "failed": one.failed}
            for name, one in results
        ])  # fmt: skip
        return
    if dry_run:
        return  # what would be sent was told
    for name, one in results:
        click.echo(f"{name}: {one.done:,} of {one.total:,} dealt with, {one.failed:,} failed, {one.left:,} left")
        if one.left:
            click.echo("  → syncd status tells why; syncd backfill --resume goes on")


def _tell(parts: Parts, count: int, left: int, named: int, *, resume: bool, per_window: int | None) -> None:
    """What was chosen, how long it takes, and what DataCite asks for."""
    datacite, account = parts.datacite, parts.account.id
    words = [f"{account}: {left:,} DOIs left" if resume else f"{account}: {count:,} DOIs chosen, {left:,} to send"]
    if named > count and not resume:
        words.append(f"{named - count:,} of the {named:,} that were named are unknown here, failed, or chosen already")
    ordered = per_window or parts.store.bindings.mass_ceiling(account) or datacite.slots
    ceiling = min(ordered, datacite.backfill_per_window or datacite.slots, datacite.slots)
    words.append(f"about {duration(left / ceiling * datacite.window)} at the ceiling")
    if left > SUSTAINED:
        words.append(
            f"more than {SUSTAINED:,} writes a day: DataCite asks to be written to first, and to keep to 300 to 500"
            " in 5 minutes (--per-window 400)"
        )
    click.echo("; ".join(words), err=True)
