"""Results on stdout: JSON for programs, tables for people."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

_WIDTH_OFF_A_TERMINAL = 120


NARROW = 110
"""Below so many columns a table of numbers becomes sentences."""


def console() -> Console:
    """Where people read; a fixed width when it is a file or a pipe."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=_WIDTH_OFF_A_TERMINAL)


def emit_json(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()) -> Table:
    """A table; columns of numbers stand to the right. Text is never taken for markup."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        result.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        result.add_row(*(_cell(value) for value in row))
    return result


def _cell(value: object) -> str:
    from rich.markup import escape

    return escape(str(value))
