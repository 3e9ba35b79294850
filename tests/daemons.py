"""A real ``syncd run`` with a service manager that listens to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

_PATIENCE = 60.0


def until(what: Callable[[], Any], seconds: float = _PATIENCE, *, why: str = "") -> Any:
    """What it returns, as soon as that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, why or f"not within {seconds} s"
        time.sleep(0.02)


class Daemon:
    """The process, its log lines as values, and what it told its service manager."""

    def __init__(self, config: Path, *, watchdog: float | None = None, **environment: str) -> None:
        # A socket's path may have 107 characters only, so this is not pytest's folder.
        self._folder = tempfile.TemporaryDirectory(prefix="syncd-")
        address = f"{self._folder.name}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self.told: list[tuple[float, str]] = []
        self.events: list[dict[str, Any]] = []
        self.raw = ""
        more = {"NOTIFY_SOCKET": address, **environment}
        if watchdog is not None:
            more["WATCHDOG_USEC"] = str(int(watchdog * 1_000_000))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "syncd", "-c", str(config), "run"],
            stderr=subprocess.PIPE, text=True, env={**os.environ, **more},
        )  # fmt: skip
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._read, self._hear)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._threads[0].join(5)
        self._socket.close()
        self._folder.cleanup()
        if kind is not None:
            print(self.raw)  # noqa: T201 - pytest shows it with the failure

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ready(self) -> Self:
        self.hears("READY=1")
        return self

    def hears(self, message: str, seconds: float = _PATIENCE) -> float:
        """When the service manager was told this."""

        def told() -> Any:
            assert self.process.poll() is None, self.raw
            return next((at for at, text in list(self.told) if message in text.split("\n")), None)

        return float(until(told, seconds, why=f"{message} was not told: {self.raw}"))

    def logs(self, event: str, seconds: float = _PATIENCE, **fields: Any) -> dict[str, Any]:
        """The first log line of this event with these fields."""

        def logged() -> Any:
            return next(
                (one for one in list(self.events) if one["event"] == event and fields.items() <= one.items()), None
            )

        found: dict[str, Any] = until(logged, seconds, why=f"{event} was not logged: {self.raw}")
        return found

    def ends(self, seconds: float = _PATIENCE) -> int:
        code = self.process.wait(seconds)
        self._threads[0].join(5)
        return code

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.ends()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.raw += line
            if line.startswith("{"):
                self.events.append(json.loads(line))

    def _hear(self) -> None:
        while True:
            try:
                text = self._socket.recv(4096).decode()
            except OSError:
                return
            self.told.append((time.monotonic(), text))
