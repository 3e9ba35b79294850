"""Writes what is made of the code: ``python -m tests.reference`` renews deploy/reference.md, man pages, completions.

The tests compare what is in the tree with what this makes, so that no document says something else than the program.
"""

import ast
import inspect
import re
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class
from click_man.core import generate_man_page
from pydantic import BaseModel

import syncd
from syncd.causes import CAUSES
from syncd.cli import COMMANDS
from syncd.cli import syncd as group
from syncd.config import _sections_in
from syncd.errors import ExitCode
from syncd.events import EVENTS
from syncd.metrics import METRICS
from syncd.settings import Settings
from syncd.store import tables

ROOT = Path(syncd.__file__).parent.parent
DEPLOY = ROOT / "deploy"
_SETTING = re.compile(r"^#? ?(\w+) = (.*)$")
_HEAD = re.compile(r"^\[+([\w.]+)\]+$")

_EXITS = {
    ExitCode.DONE: "Done.",
    ExitCode.RECORDS_FAILED: "Some records failed or still wait, or an audit found drift, or the pass had to stop.",
    ExitCode.USAGE: "The command line asks for something that cannot be.",
    ExitCode.CHANGES: "`syncd plan --exit-code`: there are changes.",
    ExitCode.UNREACHABLE: "DataCite does not answer, or throttles.",
    ExitCode.TRY_AGAIN: "Try again: another process holds the lease, or the state database is away.",
    ExitCode.CREDENTIALS: "DataCite does not accept an account's credentials.",
    ExitCode.CONFIGURATION: "Configuration, schema, or the state of another system.",
    ExitCode.INTERRUPTED: "Interrupted.",
}


def described_settings() -> dict[str, tuple[str, str]]:
    """Every setting of the example file: its full name to the example and its comment."""
    found: dict[str, tuple[str, str]] = {}
    section, comment = "", []
    for line in (DEPLOY / "syncd.example.toml").read_text().splitlines():
        head, setting = _HEAD.match(line), _SETTING.match(line)
        if head:
            section = head[1]
            if comment:
                found[section] = ("", " ".join(comment))
            comment = []
        elif setting and not (line.startswith("#") and " " in setting[1]):
            found[f"{section}.{setting[1]}"] = (setting[2].split("  #")[0], " ".join(comment))
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        else:
            comment = []
    return found


def settings() -> Iterator[tuple[str, str]]:
    """Every setting that the program knows, by its full name, with its default."""
    sections: list[tuple[str, type[BaseModel]]] = [("", Settings)]
    while sections:
        prefix, section = sections.pop(0)
        for name, field in section.model_fields.items():
            below = _sections_in(field.annotation)
            if below:
                sections.append((f"{prefix}{name}.", below[0]))
            else:
                yield f"{prefix}{name}", _default(field)


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "-" if value in (None, "", {}) else repr(value)


def logged() -> dict[str, dict[str, set[str]]]:
    """Every event that the code logs: its levels and its fields."""
    found: dict[str, dict[str, set[str]]] = {}
    for path in sorted((ROOT / "syncd").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            if not (isinstance(call.func.value, ast.Name) and call.func.value.id == "_log"):
                continue
            names = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            entry = found.setdefault(names[0], {"levels": set(), "fields": set()})
            entry["levels"].add({"exception": "error", "log": "info"}.get(call.func.attr, call.func.attr))
            entry["fields"] |= {keyword.arg or "…" for keyword in call.keywords}
    return found


def reference() -> str:
    """deploy/reference.md."""
    lines = [
        "# Reference", "",
        "Made of the program itself (`python -m tests.reference`); a test fails when it says something else.", "",
        "[Settings](#settings) · [Commands](#commands) · [Exit codes](#exit-codes) · [Causes](#causes-of-failures) ·"
        " [Metrics](#metrics) · [Log events](#log-events) · [Tables](#tables)", "",
        "## Settings", "",
        "One TOML file, `-c FILE` or `SYNCD_CONFIG`. Every setting also comes from the environment: `SYNCD_` and the"
        " name in capitals, with two underscores where a dot stands and a number for the account:"
        " `SYNCD_DATACITE__HOST`, `SYNCD_ACCOUNTS__0__SOURCE__URL`. The environment goes over the file.", "",
        "| setting | default | meaning |", "|---|---|---|",
    ]  # fmt: skip
    described = described_settings()
    for name, default in settings():
        example, meaning = described.get(name, ("", ""))
        if example and default in ("-", "required"):
            meaning += f" Such as `{example}`."
        elif example:
            default = example  # as it is written in the file
        lines.append(f"| `{name}` | {_code(default)} | {_cell(meaning)} |")
    lines += ["", "## Commands", ""]
    for name in COMMANDS:
        lines += _command(name)
    lines += ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {words} |" for code, words in _EXITS.items()]
    lines += ["", "## Causes of failures", "", "What a failed DOI is grouped by.", ""]
    lines += ["| cause | what happened | what to do |", "|---|---|---|"]
    lines += [f"| `{word}` | {_cell(cause.sentence)} | {_cell(cause.action)} |" for word, cause in CAUSES.items()]
    lines += ["", "## Metrics", "", "At `/metrics`; with `process_*` for memory, time and files of the process.", ""]
    lines += ["| metric | labels | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {labels or '-'} | {_cell(meaning)} |" for name, (labels, meaning) in METRICS.items()]
    lines += [
        "",
        "## Log events",
        "",
        "One line each on stderr: JSON off a terminal, with a priority under journald.",
        "",
    ]
    lines += ["| event | level | fields | meaning |", "|---|---|---|---|"]
    known = logged()
    for name, meaning in EVENTS.items():
        entry = known.get(name, {"levels": set(), "fields": set()})
        fields = ", ".join(sorted(entry["fields"]))
        lines.append(f"| `{name}` | {', '.join(sorted(entry['levels']))} | {fields} | {_cell(meaning)} |")
    lines += ["", "## Tables", "", "syncd's own, in the state database. Read them as you like; write them never.", ""]
    for table in tables.metadata.sorted_tables:
        lines += [f"### {table.name}", "", "| column | type | meaning |", "|---|---|---|"]
        for column in table.columns:
            kind = type(column.type).__name__ if column.type.__class__.__name__ != "UtcDateTime" else "time, UTC"
            lines.append(f"| {column.name} | {kind} | {_cell(column.comment or '')} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str) -> list[str]:
    context = click.Context(group, info_name="syncd")
    command = group.get_command(context, name)
    assert command is not None
    below = {f"{name} {one}": sub for one, sub in getattr(command, "commands", {}).items()} or {name: command}
    lines: list[str] = []
    for full, one in below.items():
        arguments = " ".join(_argument(parameter) for parameter in one.params if isinstance(parameter, click.Argument))
        text = inspect.cleandoc(one.help or "").replace("Example: ", "\n    ")
        lines += [f"### syncd {full}{' ' + arguments if arguments else ''}", "", text, ""]
        options = [
            parameter for parameter in one.params if isinstance(parameter, click.Option) and not parameter.hidden
        ]
        if options:
            lines += ["| option | meaning |", "|---|---|"]
            lines += [f"| `{', '.join(one.opts)}` | {_cell(one.help or '')} |" for one in options]
            lines.append("")
    return lines


def _argument(parameter: click.Argument) -> str:
    name = (parameter.name or "").upper()
    return f"{name}…" if parameter.nargs == -1 else name


def _code(text: str) -> str:
    return text if text in ("-", "required") else f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def man_pages() -> dict[str, str]:
    """File name to man page, for the program and each command."""
    context = click.Context(group, info_name="syncd")
    found = {"syncd.1": _man(context)}
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        found[f"syncd-{name}.1"] = _man(inner)
        for below, one in getattr(command, "commands", {}).items():
            found[f"syncd-{name}-{below}.1"] = _man(click.Context(one, info_name=below, parent=inner))
    return found


def _man(context: click.Context) -> str:
    if context.info_name in COMMANDS:
        context.command.short_help = COMMANDS[context.info_name][1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # click-man still asks click for an old name
        return generate_man_page(context, version=syncd.__version__, date="2026") + "\n"


def completions() -> dict[str, str]:
    """File name to script, for each shell."""
    names = {"bash": "syncd.bash", "zsh": "_syncd", "fish": "syncd.fish"}
    found = {}
    for shell, name in names.items():
        kind = get_completion_class(shell)
        assert kind is not None
        found[name] = click.shell_completion.ShellComplete.source(kind(group, {}, "syncd", "_SYNCD_COMPLETE"))
    return found


@cache
def made() -> dict[Path, str]:
    """Every file that is made, with its content."""
    files = {DEPLOY / "reference.md": reference()}
    files |= {DEPLOY / "man" / name: text for name, text in man_pages().items()}
    return files | {DEPLOY / "completions" / name: text for name, text in completions().items()}


def main() -> int:
    for path, text in made().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
