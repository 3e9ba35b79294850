"""The commands. Each group of them is a file, imported only when one of its commands runs."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from syncd.errors import ExitCode, SyncdError

COMMANDS = {
    "demo": ("demo", "Show the whole path on a made-up repository and a local DataCite."),
    "init": ("setup", "Write a commented configuration from a database."),
    "check-config": ("setup", "Check the configuration offline, all mistakes at once."),
    "check": ("checking", "Look whether everything is there that a pass needs."),
    "adopt": ("comparing", "Take over what DataCite holds already, without a write."),
    "plan": ("planning", "Show what a pass would send, and send nothing."),
    "sync": ("passes", "One pass: scan the platform, then send until nothing is due."),
    "run": ("daemon", "The daemon: watch, send, compare, until it is told to stop."),
    "health": ("daemon", "Ask the daemon on this machine whether it is well."),
    "backfill": ("mass", "Send DOIs once more, complete, behind everything that changes."),
    "audit": ("comparing", "Compare every DOI that should be in sync with what DataCite holds now."),
    "status": ("looking", "Where every DOI stands, and what is paused."),
    "failures": ("looking", "The DOIs that failed, by cause, with what to do next."),
    "show": ("looking", "Everything known about one DOI."),
    "retry": ("acting", "Send failed DOIs again, although nothing changed."),
    "pause": ("acting", "Send nothing until `syncd resume`."),
    "resume": ("acting", "End pauses."),
    "exclude": ("acting", "Leave DOIs alone, whatever the platform says."),
    "db": ("database", "Create and upgrade syncd's own tables."),
    "sandbox": ("sandbox", "Serve a local DataCite to try things with."),
    "version": ("version", "Versions of syncd and of what it stands on."),
}
"""Command name to module and one-line help, so that ``syncd --help`` imports none of them."""


class _LazyGroup(click.Group):
    """Knows its commands by name; imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"syncd.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="SYNCD_CONFIG",
    help="The configuration file  [env: SYNCD_CONFIG; default: syncd.toml, else /etc/syncd/syncd.toml]",
)
@click.option("-v", "--verbose", count=True, help="More messages; twice: all.")
@click.option("-q", "--quiet", is_flag=True, help="Warnings and errors only.")
@click.pass_context
def syncd(ctx: click.Context, config_path: Path | None, verbose: int, quiet: bool) -> None:
    """Keep DataCite true: bring exactly the DOIs whose records changed up to date.

    New here? `syncd demo` shows it in a minute, without an account and without a database.
    """
    ctx.obj = {"config": config_path, "verbose": verbose, "quiet": quiet}


def main() -> None:
    """Run a command; every refusal ends with its sentence, its next step and its exit code."""
    as_json = "--json" in sys.argv
    try:
        code = syncd(standalone_mode=False)
    except SyncdError as error:
        _report(error.message, error.hint, error.exit_code, as_json=as_json)
    except click.exceptions.Abort:
        sys.exit(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(ExitCode.DONE)
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)


def _report(message: str, hint: str, code: ExitCode, *, as_json: bool) -> Any:
    if as_json:
        click.echo(json.dumps({"error": message, "hint": hint, "exit_code": int(code)}), err=True)
    else:
        click.echo(f"syncd: {message}" + (f"\n  → {hint}" if hint else ""), err=True)
    sys.exit(code)
