"""Listens for browsers and probes, in a thread beside the daemon's work."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from syncd.errors import ConfigurationError
from syncd.settings import WebSettings, is_loopback
from syncd.snapshot import Board
from syncd.web.application import application

_log = structlog.get_logger()
_START_SECONDS = 10.0
_OURS = ["localhost", "127.0.0.1", "[::1]"]


@contextmanager
def serving(settings: WebSettings, board: Board) -> Iterator[int | None]:
    """Answer while the block runs; gives the port, or None when nobody is to listen.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    place = settings.place
    if place is None:
        yield None
        return
    host, port = place
    listening = _listen(host, port)
    port = listening.getsockname()[1]
    # Beyond loopback the operator's proxy or network decides who may ask: by any name, unless some are given.
    hosts = [*_OURS, *settings.hosts] if is_loopback(host) or settings.hosts else ["*"]
    server = uvicorn.Server(
        uvicorn.Config(
            application(board, hosts), log_config=None, access_log=False, lifespan="off", server_header=False,
            timeout_keep_alive=15, timeout_graceful_shutdown=2, h11_max_incomplete_event_size=16384,
            limit_concurrency=100,
        )
    )  # fmt: skip
    thread = threading.Thread(target=_run, args=(server, listening), name="web", daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_SECONDS
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    if not server.started:
        raise ConfigurationError(f"the status page at {settings.listen} did not start", hint="see the log")
    _log.info("web.listening", host=host, port=port)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(5)
        listening.close()


def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Signals are the main thread's, so ``Server.run``, which takes them, is not used."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(server._serve([listening]))
    finally:
        loop.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or Nagle's algorithm makes each answer 40 ms late.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(64)
    except OSError as error:
        listening.close()
        hint = 'choose another port in web.listen, or "off"'
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from error
    return listening
