"""The page at ``/_sandbox/`` for a person: DOIs with their states, the last requests, the window."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from syncd.sandbox.world import World

_SHOWN = 200
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #8884; overflow-wrap: anywhere; }
"""


def page(world: World, requests: Sequence[dict[str, Any]], in_window: int, limit: int) -> bytes:
    """The whole page; every text in it is escaped."""
    newest = sorted(world.dois.values(), key=lambda one: one.updated, reverse=True)[:_SHOWN]
    dois = (
        (
            one.doi,
            " → ".join(state for _, state in one.history),
            one.account.key,
            _time(one.updated),
            _title(one.attributes),
        )
        for one in newest
    )
    arrived = (
        (_time(datetime.fromtimestamp(one["at"], UTC)), one["method"], one["path"], one["account"] or "-",
         str(one["status"] or "no answer"), str(one["bytes"]))
        for one in list(requests)[: -_SHOWN - 1 : -1]
    )  # fmt: skip
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>DataCite sandbox</title><style>{_STYLE}</style></head><body>
<h1>DataCite sandbox</h1>
<p>{len(world.dois):,} DOIs, {len(world.accounts)} accounts; {in_window:,} of {limit:,} requests in the window.</p>
<h2>DOIs, newest change first</h2>
{_table(("DOI", "states", "account", "updated", "title"), dois)}
<h2>Requests, newest first</h2>
{_table(("at", "method", "path", "account", "status", "bytes"), arrived)}
</body></html>
""".encode()


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _title(attributes: dict[str, Any]) -> str:
    titles = attributes.get("titles")
    first = titles[0] if isinstance(titles, list) and titles else {}
    return str(first.get("title") or "") if isinstance(first, dict) else ""


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
