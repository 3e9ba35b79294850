"""``syncd sandbox``: a local DataCite."""

import ipaddress
import json
import re
import signal
import sys
from pathlib import Path

import click

from syncd import logs
from syncd.errors import ExitCode, UsageError
from syncd.sandbox.firewall import STYLES, Firewall
from syncd.sandbox.server import RunningSandbox, Sandbox, load_world


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8085, show_default=True, help="0 picks a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond loopback only with --expose.")
@click.option("--expose", is_flag=True, help="Really listen beyond loopback: it has no secrets, and no protection.")
@click.option("--world", type=click.Path(path_type=Path, dir_okay=False), help="Accounts and DOIs, JSON.")
@click.option(
    "--save",
    is_flag=True,
    help="Write them back to --world at the end (it need not exist yet); without it all is forgotten.",
)
@click.option("--rate-limit", default="3000/300", show_default=True, metavar="N/SECONDS", help="The firewall's limit.")
@click.option(
    "--throttle-status",
    type=click.Choice(STYLES),
    default="429",
    show_default=True,
    help="How refusals look: production, test system, or the HTML of 2022.",
)
@click.option("--index-lag", type=click.FloatRange(0), default=0.0, help="Seconds until lists know of a change.")
def sandbox(
    port: int,
    host: str,
    expose: bool,
    world: Path | None,
    save: bool,
    rate_limit: str,
    throttle_status: str,
    index_lag: float,
) -> None:
    """Serve a local DataCite to try things with; prints its address when it is ready.

    In a browser, its address with /_sandbox/ shows what it holds and what arrived.

    Without --world there is one account: DATACITE.DEMO, password demo, prefix 10.5072.

    Example: syncd sandbox --port 0
    """
    logs.configure("warning")
    match = re.fullmatch(r"(\d+)/(\d+(?:\.\d+)?)", rate_limit)
    if match is None:
        raise UsageError("--rate-limit looks like 3000/300: requests, and seconds")
    if not (ipaddress.ip_address(host).is_loopback or expose):
        raise UsageError(f"{host} is not loopback", hint="the sandbox has no protection; add --expose if you mean it")
    application = Sandbox(firewall=Firewall(int(match[1]), float(match[2]), throttle_status))
    application.world.index_lag = index_lag
    if save and world is None:
        raise UsageError("--save needs --world", hint="--world FILE says where")
    if world is not None and not (save and not world.exists()):
        try:
            load_world(application, world.read_text(encoding="utf-8"))
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise UsageError(f"{world} is no world file: {error}") from error
    try:
        running = RunningSandbox(application, host, port)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="--port 0 picks a free port"
        ) from error
    try:
        # Told to end by a service manager it saves as well, and has done what it was told: from the moment on that
        # somebody knows of it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.DONE))
        click.echo(f"DataCite sandbox at {running.address}")
        running.serve()
    finally:
        if save and world is not None:
            world.write_text(json.dumps(running.world(), ensure_ascii=False), encoding="utf-8")
