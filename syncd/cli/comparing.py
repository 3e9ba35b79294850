"""``syncd adopt`` and ``syncd audit``: compare with what DataCite holds, and write nothing there."""

from pathlib import Path
from typing import Any

import click

from syncd.audit import Audit
from syncd.brake import Consent
from syncd.cli.options import account_option, accounts, config_option, json_option, load
from syncd.cli.output import console, emit_json, table
from syncd.cli.running import Others, for_each_account
from syncd.counts import AuditCounts
from syncd.cycle import connect, opened, scan
from syncd.drift import KINDS, REPAIRABLE
from syncd.errors import ExitCode, UsageError
from syncd.repair import repair
from syncd.settings import AccountSettings, Settings
from syncd.store import Store
from syncd.store.copies import Drift
from syncd.words import counted

_VALUE_LENGTH = 60


@click.command()
@config_option
@account_option
@json_option
@click.option("--limit", default=5, show_default=True, type=click.IntRange(0), help="Examples per kind; 0 shows all.")
@click.option("--rebind", is_flag=True, help="The platform or DataCite moved: the state belongs to the new one.")
@click.pass_context
def adopt(
    ctx: click.Context,
    config_path: Path | None,
    account_id: str | None,
    as_json: bool,
    limit: int,
    rebind: bool,
) -> int:
    """Take over what DataCite holds already: compare it with the platform, and write nothing at DataCite.

    What is equal counts as in sync from then on. What differs is pending: look at it with `syncd plan`
    before `syncd sync` sends it. Interrupted, the same command goes on where it ended.

    Example: syncd adopt --account DATACITE.EXAMPLE
    """
    settings = load(ctx, config_path, calm=True)
    if rebind and account_id is None and len(settings.accounts) > 1:
        raise UsageError("--rebind is for one account", hint="--account ID")

    def work(account: AccountSettings, store: Store, others: Others) -> Compared:
        with opened(settings, account, store, rebind=rebind, **others) as (parts, limiter):
            # Nothing is sent before the account is adopted; the first pass after it weighs what is pending.
            first = not store.bindings.adopted(account.id)
            scan(parts, full=True, consent=Consent(first, first, remembered=False))
            counts = Audit(parts, limiter, adopt=True).run()
            return account.id, counts, _examples(store, account.id, limit)

    done = for_each_account(settings, account_id, work)
    _print(done.results, as_json=as_json)
    if done.results and not as_json:
        click.echo("Nothing was written at DataCite. → syncd plan shows what a pass would send")
    return done.code(ExitCode.DONE)


@click.command()
@config_option
@account_option
@json_option
@click.option("--limit", default=5, show_default=True, type=click.IntRange(0), help="Examples per kind; 0 shows all.")
@click.option(
    "--repair",
    "kinds",
    multiple=True,
    type=click.Choice(["none", "ask", *REPAIRABLE]),
    default=["none"],
    show_default=True,
    help="What to make pending, so that the next pass sends it; may be repeated.",
)
@click.option("--last", is_flag=True, help="What the last audit found, without a new one.")
@click.pass_context
def audit(
    ctx: click.Context,
    config_path: Path | None,
    account_id: str | None,
    as_json: bool,
    limit: int,
    kinds: tuple[str, ...],
    last: bool,
) -> int:
    """Compare every DOI that should be in sync with what DataCite holds now.

    Everything that it reports was confirmed in DataCite's database. Exits with 1 when something differs.

    Example: syncd audit --repair url
    """
    settings = load(ctx, config_path, calm=True)
    if len(kinds) > 1 and {"none", "ask"} & set(kinds):
        raise UsageError("--repair takes none, ask, or kinds")

    def work(account: AccountSettings, store: Store, others: Others) -> Compared:
        with opened(settings, account, store, **others) as (parts, limiter):
            counts = Audit(parts, limiter, adopt=False).run()
            chosen = _chosen(kinds, counts, account.id)
            if chosen:
                mended, left = repair(store, account.id, chosen)
                words = f"{account.id}: {counted(mended, 'DOI')} pending now; the next pass sends"
                if left:
                    words += f"; {left:,} are left alone: their state differs too (--repair state), or they moved on"
                click.echo(words, err=True)
            return account.id, counts, _examples(store, account.id, limit)

    if last:
        _print(_of_the_last(settings, account_id, limit), as_json=as_json)
        return ExitCode.DONE
    done = for_each_account(settings, account_id, work)
    _print(done.results, as_json=as_json)
    differ = any(counts.different for _, counts, _ in done.results)
    return done.code(ExitCode.RECORDS_FAILED if differ else ExitCode.DONE)


Compared = tuple[str, AuditCounts, list[Drift]]
"""An account, what was counted, and examples of what differs."""


def _of_the_last(settings: Settings, account_id: str | None, limit: int) -> list[Compared]:
    store = connect(settings)
    try:
        results = []
        for account in accounts(settings, account_id):
            runs = [run for run in store.reading.last_runs(account.id) if run["kind"] in ("audit", "adopt")]
            counts = AuditCounts.from_json(runs[0]["counts"] if runs and runs[0]["counts"] else {})
            results.append((account.id, counts, _examples(store, account.id, limit)))
        return results
    finally:
        store.close()


def _chosen(kinds: tuple[str, ...], counts: AuditCounts, account_id: str) -> set[str]:
    if kinds == ("none",):
        return set()
    if kinds != ("ask",):
        return set(kinds)
    asked = [kind for kind in REPAIRABLE if counts.found[kind]]
    return {
        kind
        for kind in asked
        if click.confirm(f"{account_id}: {counts.found[kind]:,} × {KINDS[kind]}. Send these again?", err=True)
    }


def _examples(store: Store, account_id: str, limit: int) -> list[Drift]:
    """So many of each combination of kinds; all with 0."""
    shown: dict[tuple[str, ...], int] = {}
    chosen = []
    for one in store.copies.drift(account_id):
        place = tuple(one.kinds)
        shown[place] = shown.get(place, 0) + 1
        if not limit or shown[place] <= limit:
            chosen.append(one)
    return chosen


def _print(results: list[Compared], *, as_json: bool) -> None:
    if as_json:
        emit_json([
            {"account": name, **counts.as_json(), "examples": [_as_json(one) for one in examples]}
            for name, counts, examples in results
        ])  # fmt: skip
        return
    for name, counts, examples in results:
        _print_one(name, counts, examples)


def _print_one(name: str, counts: AuditCounts, examples: list[Drift]) -> None:
    click.echo(
        f"{name}: {counts.listed:,} DOIs at DataCite, {counts.equal:,} as they should be,"
        f" {counts.different:,} different ({counts.requests:,} requests, all of them reading)"
    )
    left = {
        "new or changed here, and not sent yet": counts.waiting,
        f"they stand failed, {counts.failed_but_public:,} of them findable (syncd failures)": counts.quarantined,
        "without a desired document (syncd failures)": counts.unmapped,
        "excluded": counts.excluded,
        "under none of the account's prefixes": counts.foreign,
    }
    for words, number in left.items():
        if number:
            click.echo(f"  {number:,} not compared: {words}")
    if not counts.different:
        return
    kinds = [(kind, KINDS[kind], counts.found[kind]) for kind in KINDS if counts.found[kind]]
    console().print(table(("kind", "meaning", "DOIs"), kinds, numbers=("DOIs",)))
    if counts.found["moved"]:
        click.echo("  moved: ask DataCite support to whom they belong; syncd backfill --doi-file sends them again")
    if counts.attributes:
        words = ", ".join(f"{attribute} {number:,}" for attribute, number in counts.attributes.most_common())
        click.echo(f"  attributes: {words}")
    rows = [(one.doi, ", ".join(one.kinds), values(one)) for one in sorted(examples, key=lambda one: tuple(one.kinds))]
    console().print(table(("DOI", "kind", "here → at DataCite"), rows))


def values(one: Drift) -> str:
    """What differs, a line each: here and at DataCite."""
    changes = [f"{name}: {_short(ours)} → {_short(theirs)}" for name, (ours, theirs) in sorted(one.attributes.items())]
    others = [one.words.rsplit("; ", 1)[1]] if "somebody else wrote" in one.words else []
    return "\n".join([*changes, *others]) or one.words


def _short(value: Any) -> str:
    text = "-" if value in (None, "", [], {}) else str(value)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"


def _as_json(one: Drift) -> dict[str, Any]:
    attributes = {name: {"here": ours, "datacite": theirs} for name, (ours, theirs) in one.attributes.items()}
    return {
        "doi": one.doi,
        "kinds": list(one.kinds),
        "words": one.words,
        "metadata_version": one.version,
        "attributes": attributes,
    }
