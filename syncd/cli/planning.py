"""``syncd plan``: one value, shown as text, JSON, Markdown or HTML."""

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from syncd.cli.looking import attribute_names
from syncd.cli.options import account_option, accounts, config_option, json_option, load
from syncd.cli.output import console, emit_json, table
from syncd.cycle import connect, opened
from syncd.errors import ExitCode
from syncd.inquiry import Inquiry
from syncd.preview import Plan, Planned, preview
from syncd.settings import AccountSettings, Settings
from syncd.store import Store
from syncd.words import counted, duration

_GROUPS_SHOWN = 16
_VALUE_LENGTH = 100


@click.command()
@config_option
@account_option
@json_option
@click.option("--exit-code", is_flag=True, help="Exit with 3 when something would be sent.")
@click.option("--full", is_flag=True, help="Every DOI, not only groups of equal changes.")
@click.option("--remote", is_flag=True, help="Ask DataCite for the old values: one request for each DOI.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown", "html"]), default="text")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it there.")
@click.pass_context
def plan(
    ctx: click.Context,
    config_path: Path | None,
    account_id: str | None,
    as_json: bool,
    exit_code: bool,
    full: bool,
    remote: bool,
    form: str,
    output: Path | None,
) -> int:
    """Show what a pass would send, and send nothing.

    Reads the platform and our own tables. Its checksum can be given to `syncd sync --plan`, which then does that
    or nothing.

    Example: syncd plan --format html --output plan.html
    """
    settings = load(ctx, config_path, calm=True)
    plans = make_plans(settings, account_id, remote=remote)
    show(plans, "json" if as_json else form, full=full, output=output)
    return ExitCode.CHANGES if exit_code and any(one.requests for one in plans) else ExitCode.DONE


def make_plans(settings: Settings, account_id: str | None, *, remote: bool = False) -> list[Plan]:
    """The plan of each chosen account."""
    store = connect(settings)
    try:
        return [_make(settings, account, store, remote=remote) for account in accounts(settings, account_id)]
    finally:
        store.close()


def _make(settings: Settings, account: AccountSettings, store: Store, *, remote: bool) -> Plan:
    if not remote:
        return plan_of(settings, account, store)
    with opened(settings, account, store, bind=False) as (parts, limiter):
        made = preview(settings, account, parts.platform, store, values=True)
        inquiry = Inquiry(
            account.id, store, limiter, parts.client, parts.clock, chance=parts.chance, stopping=parts.stopping
        )
        inquiry.page(None, size=1)  # only a list tells that the credentials work
        return replace(made, planned=[_with_old_values(one, inquiry) for one in made.planned])


def plan_of(settings: Settings, account: AccountSettings, store: Store) -> Plan:
    """The plan of one account, without asking DataCite."""
    from syncd.platforms import open_platform

    platform = open_platform(account)
    try:
        return preview(settings, account, platform, store)
    finally:
        platform.close()


def _with_old_values(one: Planned, inquiry: Inquiry) -> Planned:
    if not one.costs or one.action == "create":
        return one
    found = inquiry.one(one.doi)
    return one if found is None else replace(one, before=found.attributes)


def show(plans: Sequence[Plan], form: str, *, full: bool, output: Path | None = None) -> None:
    """Print plans, or write them to a file."""
    if form == "text" and output is None:
        for one in plans:
            _print_text(one, full=full)
        return
    forms: dict[str, Callable[[], str]] = {
        "text": lambda: markdown(plans, full=full),
        "json": lambda: json.dumps([as_json(one) for one in plans], ensure_ascii=False, indent=2, default=str),
        "markdown": lambda: markdown(plans, full=full),
        "html": lambda: page(plans),
    }
    if output is not None:
        output.write_text(forms[form](), encoding="utf-8")
        click.echo(f"written to {output}", err=True)
    elif form == "json":
        emit_json([as_json(one) for one in plans])
    else:
        click.echo(forms[form]())


def as_json(one: Plan) -> dict[str, Any]:
    """The whole plan."""
    return {
        "account": one.account,
        "checksum": one.checksum,
        "counts": one.counts,
        "unchanged": one.unchanged,
        "excluded": one.excluded,
        "requests": one.requests,
        "bytes": one.bytes,
        "seconds": round(one.seconds),
        "failed": one.failed,
        "refusal": one.refusal or None,
        "option": one.option or None,
        "groups": [
            {
                "action": group.action, "what": group.what, "count": group.count, "bytes": group.bytes,
                "examples": [example.doi for example in group.examples],
            }
            for group in one.groups()
        ],
        "plan": [planned.as_json() for planned in one.planned],
    }  # fmt: skip


def _summary(one: Plan) -> str:
    counts = ", ".join(f"{count:,} {action}" for action, count in one.counts.items())
    return f"{counts}; {one.unchanged:,} unchanged, {one.failed:,} stand failed, {one.excluded:,} excluded"


def _command(one: Plan) -> str:
    brake = f" {one.option}   # lets the brake pass" if one.refusal else ""
    return f"syncd sync --account {one.account} --plan {one.checksum}{brake}"


def _cost(one: Plan) -> str:
    if not one.requests:
        return "no request: all of it is set aside before it would be sent"
    words = f"{counted(one.requests, 'request')}, {counted(one.bytes, 'byte')}"
    return f"{words}, about {duration(one.seconds)} at the ceiling"


def _print_text(one: Plan, *, full: bool) -> None:
    if not one.planned:
        failed = f"; {one.failed:,} stand failed: syncd failures" if one.failed else ""
        click.echo(f"{one.account}: nothing to send, DataCite is up to date as far as known{failed}.")
        return
    click.echo(f"{one.account}: {_summary(one)}\n{_cost(one)}")
    if full:
        cells = [(each.action, each.doi, each.reason, _changes(each), each.bytes) for each in one.planned]
        console().print(table(("action", "DOI", "why", "changes", "bytes"), cells, numbers=("bytes",)))
    else:
        groups = one.groups()
        rows = [(each.action, each.what, each.count, each.bytes, each.examples[0].doi) for each in groups]
        columns = ("action", "what", "DOIs", "bytes", "for example")
        console().print(table(columns, rows[:_GROUPS_SHOWN], numbers=("DOIs", "bytes")))
        if len(groups) > _GROUPS_SHOWN:
            left = groups[_GROUPS_SHOWN:]
            click.echo(
                f"… and {counted(sum(each.count for each in left), 'DOI')} in {counted(len(left), 'more group')}"
            )
        click.echo("every DOI → syncd plan --full   a page to read → syncd plan --format html --output plan.html")
    if one.refusal:
        click.echo(f"A pass would stop: {one.refusal}")
    click.echo(f"exactly this, or nothing → {_command(one)}")


def _changes(one: Planned) -> str:
    if one.before is None:
        return ", ".join(one.attributes)
    return "\n".join(
        f"{name}: {_short(one.before.get(name))} → {_short(one.values.get(name))}" for name in one.attributes
    )


def _short(value: Any) -> str:
    text = "-" if value in (None, "", [], {}) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"


def markdown(plans: Sequence[Plan], *, full: bool) -> str:
    """For an issue or a merge request."""
    lines = []
    for one in plans:
        lines += [f"## Plan {one.checksum} of {one.account}", "", _escaped(f"{_summary(one)}; {_cost(one)}"), ""]
        if one.refusal:
            lines += [f"**A pass would stop:** {_escaped(one.refusal)}", ""]
        lines += ["| action | what | DOIs | bytes | for example |", "|---|---|---:|---:|---|"]
        for group in one.groups():
            cells = (group.action, group.what, f"{group.count:,}", f"{group.bytes:,}", group.examples[0].doi)
            lines.append(f"| {' | '.join(map(_escaped, cells))} |")
        if full:
            lines += ["", "| action | DOI | why | changes |", "|---|---|---|---|"]
            for each in one.planned:
                row = (each.action, each.doi, each.reason, _changes(each))
                lines.append(f"| {' | '.join(map(_escaped, row))} |")
        lines.append("")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    for sign in "\\|<>`*_[]":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", "<br>")


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --mark: #2a6df4; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td { overflow-wrap: anywhere; } .doi { min-width: 11rem; }
summary { cursor: pointer; padding: .3rem 0; } code { font-size: .92em; }
.stop { border-left: 4px solid #d33; padding: .5rem 1rem; background: #d331; }
del { text-decoration: none; opacity: .65; } ins { text-decoration: none; color: var(--mark); }
"""


def page(plans: Sequence[Plan]) -> str:
    """A page that stands alone: groups first, every DOI behind them; nothing is loaded from elsewhere."""
    body = "".join(_section(one) for one in plans)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>syncd plan</title><style>{_STYLE}</style></head><body><h1>What syncd would do</h1>{body}</body></html>"
    )


def _section(one: Plan) -> str:
    parts = [
        f"<h2>{html.escape(one.account)}</h2><p>{html.escape(_summary(one))}<br>{html.escape(_cost(one))}</p>"
        f"<p>Exactly this, or nothing: <code>{html.escape(_command(one))}</code></p>"
    ]
    if one.refusal:
        parts.append(f'<p class="stop">A pass would stop: {html.escape(one.refusal)}</p>')
    for group in one.groups(examples=one.requests + len(one.planned)):
        rows = "".join(_row(each) for each in group.examples)
        parts.append(
            f"<details><summary><strong>{group.count:,}</strong> × {html.escape(group.action)}:"
            f" {html.escape(group.what)} ({group.bytes:,} bytes)</summary><table><thead><tr><th>DOI</th><th>why</th>"
            f'<th>changes</th><th class="n">bytes</th></tr></thead><tbody>{rows}</tbody></table></details>'
        )
    return "".join(parts)


def _row(one: Planned) -> str:
    if one.before is None:
        changes = html.escape(attribute_names(one.attributes))
    else:
        changes = "<br>".join(
            f"{html.escape(name)}: <del>{html.escape(_short(one.before.get(name)))}</del> →"
            f" <ins>{html.escape(_short(one.values.get(name)))}</ins>"
            for name in one.attributes
        )
    cells = f'<td class="doi">{html.escape(one.doi)}</td>'
    cells += f"<td>{html.escape(one.reason)}</td><td>{changes}</td>"
    return f'<tr>{cells}<td class="n">{one.bytes:,}</td></tr>'
