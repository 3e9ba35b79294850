"""``syncd plan`` and ``syncd sync``: see what would be sent, and send it."""

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from syncd.causes import CAUSES
from syncd.cli.looking import attribute_names, sums_table
from syncd.cli.options import account_option, accounts, config_option, json_option, load
from syncd.cli.output import console, emit_json, table
from syncd.cli.running import Others, for_each_account
from syncd.config import AccountSettings, Settings
from syncd.cycle import Report, connect, run
from syncd.errors import ExitCode
from syncd.platforms import open_platform
from syncd.preview import ACTIONS, Planned, preview
from syncd.send import COUNTED
from syncd.store import Store
from syncd.store.reading import Sum

_SHOWN = 20


@click.command()
@config_option
@account_option
@json_option
@click.option("--exit-code", is_flag=True, help="Exit with 3 when something would be sent.")
@click.pass_context
def plan(ctx: click.Context, config_path: Path | None, account_id: str | None, as_json: bool, exit_code: bool) -> int:
    """Show what a pass would send, and send nothing: reads the platform and our own tables.

    Example: syncd plan --json
    """
    settings = load(ctx, config_path, calm=True)
    return show_plan(settings, account_id, as_json=as_json, exit_code=exit_code)


@click.command()
@config_option
@account_option
@json_option
@click.option("--quick", is_flag=True, help="Only records whose timestamps moved: fast, but no proof.")
@click.option("--dry-run", is_flag=True, help="The same as `syncd plan`.")
@click.option("--accept-missing", is_flag=True, help="Go on although half of the records are gone.")
@click.pass_context
def sync(
    ctx: click.Context,
    config_path: Path | None,
    account_id: str | None,
    as_json: bool,
    quick: bool,
    dry_run: bool,
    accept_missing: bool,
) -> int:
    """One pass: scan the platform, then send until nothing is due.

    Example: syncd sync --account DATACITE.EXAMPLE
    """
    settings = load(ctx, config_path, calm=sys.stderr.isatty())
    if dry_run:
        return show_plan(settings, account_id, as_json=as_json, exit_code=False)

    def work(account: AccountSettings, store: Store, others: Others) -> tuple[Report, Sum]:
        report = run(settings, account, store, full=not quick, accept_missing=accept_missing, **others)
        return report, store.reading.sum(account.id)

    done = for_each_account(settings, account_id, work)
    reports, sums = [report for report, _ in done.results], [found for _, found in done.results]
    _print_reports(reports, sums, as_json=as_json)
    return done.code(_exit_code(reports, sums))


def _print_reports(reports: list[Report], sums: list[Sum], *, as_json: bool) -> None:
    if as_json:
        emit_json([_as_json(report) for report in reports])
        return
    for report, found in zip(reports, sums, strict=True):
        click.echo(_sentence(report, found))
    if sums:
        console().print(sums_table(sums))


def show_plan(settings: Settings, account_id: str | None, *, as_json: bool, exit_code: bool) -> int:
    """Print the plan of each account; the exit code says whether anything would be sent."""
    store = connect(settings)
    documents = []
    requests = 0
    try:
        for account in accounts(settings, account_id):
            platform = open_platform(account)
            try:
                planned = list(preview(account, platform, store, host=settings.datacite.base_url))
            finally:
                platform.close()
            requests += sum(one.action not in ("set aside", "foreign") for one in planned)
            documents.append((account.id, planned))
    finally:
        store.close()
    if as_json:
        emit_json([{"account": name, "plan": [one.as_json() for one in planned]} for name, planned in documents])
    else:
        for name, planned in documents:
            _print_plan(name, planned)
    return ExitCode.CHANGES if exit_code and requests else ExitCode.DONE


def _print_plan(account: str, planned: list[Planned]) -> None:
    counts = Counter(one.action for one in planned)
    if not planned:
        click.echo(f"{account}: nothing to do, DataCite is up to date as far as known.")
        return
    summary = ", ".join(f"{counts[action]} {action}" for action in ACTIONS if counts[action])
    size = sum(one.bytes for one in planned)
    click.echo(f"{account}: {summary}; {size:,} bytes in request bodies")
    for action in ACTIONS:
        rows = [one for one in planned if one.action == action]
        if rows:
            console().print(_plan_table(action, rows[:_SHOWN]))
        if len(rows) > _SHOWN:
            click.echo(f"… and {len(rows) - _SHOWN:,} more to {action}; --json has all")


def _plan_table(action: str, rows: list[Planned]) -> Any:
    cells = [(one.doi, one.reason, attribute_names(one.attributes), one.bytes) for one in rows]
    return table((action, "why", "attributes", "bytes"), cells, numbers=("bytes",))


def _as_json(report: Report) -> dict[str, Any]:
    sent = {name: getattr(report.send, name) for name in (*COUNTED, "halted", "paused", "trouble")}
    return {"account": report.account, "scan": asdict(report.scan), "send": sent}


def _sentence(report: Report, found: Sum) -> str:
    scan, send = report.scan, report.send
    without = f" ({scan.without_doi:,} without a DOI)" if scan.without_doi else ""
    words = (
        f"{report.account}: {scan.records:,} records read{without}, {scan.changed:,} changed, {scan.gone:,} gone;"
        f" {send.requests:,} requests, {send.accepted:,} accepted, {scan.set_aside + send.rejected:,} set aside"
    )
    if send.halted:
        words += f"\n  → {CAUSES[send.halted].sentence} {CAUSES[send.halted].action}"
    elif _in_trouble(report):
        words += f"\n  → DataCite does not answer as it should ({send.trouble}); what is pending is sent later"
    elif found.pending:
        words += f"\n  → {found.pending:,} pending; the next pass sends them"
    if found.quarantined:
        words += f"\n  → {found.quarantined:,} stand failed: syncd failures"
    if found.foreign:
        words += f"\n  → {found.foreign:,} DOIs lie under none of the account's prefixes and are left alone"
    return words


def _in_trouble(report: Report) -> bool:
    return report.send.paused or (report.send.failures_in_a_row > 0 and report.send.accepted == 0)


def _exit_code(reports: list[Report], sums: list[Sum]) -> ExitCode:
    if any(report.send.halted for report in reports):
        return ExitCode.CREDENTIALS
    if any(map(_in_trouble, reports)):
        return ExitCode.UNREACHABLE
    newly_failed = any(report.send.rejected or report.scan.set_aside for report in reports)
    if newly_failed or any(found.pending for found in sums):
        return ExitCode.RECORDS_FAILED
    return ExitCode.DONE
