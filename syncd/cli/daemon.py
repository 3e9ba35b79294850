"""``syncd run``, the daemon, and ``syncd health``, which asks it."""

from pathlib import Path

import click

from syncd import config
from syncd.cli.options import config_option, json_option, load, path_of, set_up_logging
from syncd.cli.output import emit_json
from syncd.cycle import connect
from syncd.daemon import Daemon, Surroundings
from syncd.errors import ExitCode, UsageError
from syncd.signals import Signals
from syncd.systemd import Systemd
from syncd.web.probe import asked
from syncd.web.server import serving


@click.command()
@config_option
@click.pass_context
def run(ctx: click.Context, config_path: Path | None) -> ExitCode:
    """The daemon: watch, send, compare, until it is told to stop.

    SIGTERM finishes what is on its way and ends with 0, a second one ends at once; SIGHUP reads the configuration
    again. A second daemon on the same state database stands by and takes over.

    Example: syncd run -c /etc/syncd/syncd.toml
    """
    settings = load(ctx, config_path)
    path = path_of(ctx, config_path)
    surroundings = Surroundings(Systemd(), lambda: config.load(path))
    with Signals() as signals:
        store = connect(settings)
        try:
            daemon = Daemon(settings, store, signals, surroundings)
            with serving(settings.web, daemon.board):
                return daemon.run()
        finally:
            store.close()


@click.command()
@config_option
@json_option
@click.option("--ready", is_flag=True, help="Whether it can work, not only whether it is alive.")
@click.pass_context
def health(ctx: click.Context, config_path: Path | None, as_json: bool, ready: bool) -> ExitCode:
    """Ask the daemon on this machine whether it is well; exits with 0 when it is, with 1 when not.

    Example: syncd health --ready
    """
    set_up_logging(ctx, calm=True)
    # A file with mistakes says nothing of the daemon, which goes on with what it read before.
    place = config.where_it_listens(path_of(ctx, config_path))
    if place is None:
        raise UsageError('web.listen is "off", so nobody can be asked', hint="set it to an address of this machine")
    well, document = asked(place, "readyz" if ready else "healthz")
    if as_json:
        emit_json(document)
    else:
        why = document.get("problem") or document.get("stuck") or document.get("main")
        click.echo("well" if well else f"not well: {why}")
    return ExitCode.DONE if well else ExitCode.RECORDS_FAILED
