"""``syncd run``: the daemon."""

from pathlib import Path

import click

from syncd import config
from syncd.cli.options import config_option, load, path_of
from syncd.cycle import connect
from syncd.daemon import Daemon, Surroundings
from syncd.errors import ExitCode
from syncd.signals import Signals
from syncd.systemd import Systemd
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
