"""Signals as news that the main thread reads between two steps: nothing of ours runs inside a handler."""

import select
import signal
import socket
from typing import Any, Self

_LISTENED_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Collects SIGTERM, SIGINT and SIGHUP while the block runs; for the main thread only.

    A handler that sets an event can stand still for ever when the signal arrives while the main thread waits for
    that event; the interpreter writes signals to a socket itself, and reading from it is safe.
    """

    def __enter__(self) -> Self:
        self._news, self._writer = socket.socketpair()
        self._news.setblocking(False)
        self._writer.setblocking(False)
        self._woken_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._handled_before = {number: signal.signal(number, _read_later) for number in _LISTENED_TO}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._handled_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._woken_before)
        self._news.close()
        self._writer.close()

    def wait(self, seconds: float) -> list[int]:
        """The signals that arrived; waits for the first one so long."""
        if not select.select([self._news], [], [], max(0.0, seconds))[0]:
            return []
        return [number for number in self._news.recv(256) if number in _LISTENED_TO]


def _read_later(_number: int, _frame: Any) -> None:
    """The interpreter has written the number to the socket before it calls this."""
