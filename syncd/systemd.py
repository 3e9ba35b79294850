"""Talk to systemd: ready, reloading, stopping, alive, and one line for people (sd_notify(3))."""

import os
import socket
from collections.abc import Mapping

import structlog

_log = structlog.get_logger()


class Systemd:
    """The service manager that started this process, or nobody.

    Attributes:
        watchdog: How often it wants to hear that we are alive, in seconds; None: it does not mind.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with @ and begins with NUL.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        seconds = int(environment.get("WATCHDOG_USEC") or 0) / 1_000_000
        self.watchdog = seconds if mine and seconds > 0 else None
        self._told = ""

    def ready(self) -> None:
        """Everything that is needed answered."""
        self._tell("READY=1")

    def reloading(self, monotonic_ns: int) -> None:
        """The configuration is read again; ``ready`` says when that is over."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns // 1000}")

    def stopping(self) -> None:
        """The end began."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """The work makes progress."""
        self._tell("WATCHDOG=1")

    def status(self, line: str) -> None:
        """What ``systemctl status`` shows; said only when it changed."""
        if line != self._told:
            self._told = line
            self._tell(f"STATUS={line}")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _log.warning("systemd.unheard", message=str(error))
