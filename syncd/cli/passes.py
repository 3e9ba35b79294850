"""``syncd sync``: one pass by hand."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from syncd.brake import Consent
from syncd.causes import CAUSES
from syncd.cli.looking import print_sums
from syncd.cli.options import account_option, accounts, config_option, json_option, load
from syncd.cli.output import emit_json
from syncd.cli.planning import make_plans, plan_of, show
from syncd.cli.running import Others, for_each_account
from syncd.counts import COUNTED
from syncd.cycle import Report, run
from syncd.errors import ExitCode, SafetyError, UsageError
from syncd.plan import ACCOUNT_CAUSES
from syncd.preview import Plan
from syncd.settings import AccountSettings
from syncd.store import Store
from syncd.store.reading import Sum
from syncd.store.runs import WAITS_FOR_A_PERSON


@click.command()
@config_option
@account_option
@json_option
@click.option("--quick", is_flag=True, help="Only records whose timestamps moved: fast, but no proof.")
@click.option("--dry-run", is_flag=True, help="The same as `syncd plan`.")
@click.option("--accept-missing", is_flag=True, help="Go on although many records, or all, are gone.")
@click.option("--accept-changes", is_flag=True, help="Go on although unusually many DOIs would change.")
@click.option("--plan", "checksum", metavar="CHECKSUM", help="Do exactly what `syncd plan` showed, or nothing.")
@click.pass_context
def sync(
    ctx: click.Context,
    config_path: Path | None,
    account_id: str | None,
    as_json: bool,
    quick: bool,
    dry_run: bool,
    accept_missing: bool,
    accept_changes: bool,
    checksum: str | None,
) -> int:
    """One pass: scan the platform, then send until nothing is due.

    Example: syncd sync --account DATACITE.EXAMPLE
    """
    settings = load(ctx, config_path, calm=sys.stderr.isatty())
    if dry_run:
        show(make_plans(settings, account_id), "json" if as_json else "text", full=False)
        return ExitCode.DONE
    chosen = accounts(settings, account_id)
    if checksum is not None and (quick or len(chosen) > 1):
        raise UsageError("--plan is for a full pass over one account", hint="--account ID, without --quick")

    def work(account: AccountSettings, store: Store, others: Others) -> tuple[Report, Sum]:
        consent = Consent(accept_missing, accept_changes)
        if checksum is not None:
            made = plan_of(settings, account, store)
            _refuse_another_plan(checksum, made)
            consent = Consent(accept_missing, accept_changes, at_most=made.impact)
        report = run(settings, account, store, full=not quick, consent=consent, **others)
        return report, store.reading.sum(account.id)

    done = for_each_account(settings, account_id, work)
    reports, sums = [report for report, _ in done.results], [found for _, found in done.results]
    _print_reports(reports, sums, as_json=as_json)
    return done.code(_exit_code(reports, sums))


def _refuse_another_plan(checksum: str, made: Plan) -> None:
    if made.checksum != checksum:
        raise SafetyError(
            f"the plan of {made.account} is {made.checksum} now, not {checksum}: something changed since it was made",
            hint="syncd plan shows what it is now",
        )


def _print_reports(reports: list[Report], sums: list[Sum], *, as_json: bool) -> None:
    if as_json:
        emit_json([_as_json(report) for report in reports])
        return
    for report, found in zip(reports, sums, strict=True):
        click.echo(_sentence(report, found))
    if sums:
        print_sums(sums)


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
    elif send.paused in WAITS_FOR_A_PERSON:
        words += f"\n  → sending is paused: {CAUSES[send.paused].sentence} syncd status"
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
    send = report.send
    away = send.paused and send.paused not in (*WAITS_FOR_A_PERSON, *ACCOUNT_CAUSES)
    return bool(away) or (send.struggling and send.accepted == 0)


def _exit_code(reports: list[Report], sums: list[Sum]) -> ExitCode:
    if any(report.send.halted or report.send.paused in ACCOUNT_CAUSES for report in reports):
        return ExitCode.CREDENTIALS
    if any(map(_in_trouble, reports)):
        return ExitCode.UNREACHABLE
    newly_failed = any(report.send.rejected or report.scan.set_aside for report in reports)
    waits = any(report.send.paused for report in reports)
    if newly_failed or waits or any(found.pending for found in sums):
        return ExitCode.RECORDS_FAILED
    return ExitCode.DONE
