"""A limit on a whole request, which the HTTP library has not: it limits each read, and a peer may drip bytes.

The limit is laid over the library's own network streams: every read and write gets what is left of the time, and
the first byte of a request leaves only while the slot and the claim behind it still hold.
"""

import contextlib
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx


class TooLateError(Exception):
    """The request did not leave: what covers it would have ended before it."""


_END: ContextVar[float | None] = ContextVar("end", default=None)
_LEAVE_BY: ContextVar[float | None] = ContextVar("leave_by", default=None)


class Deadline:
    """The limits of the request that the caller has on its way; each thread has its own."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic

    @contextlib.contextmanager
    def of(self, seconds: float, leave_by: float | None) -> Iterator[float]:
        """Limit what is sent and read inside; gives the monotonic time of the end."""
        end = self._monotonic() + seconds
        _END.set(end)
        _LEAVE_BY.set(leave_by)
        try:
            yield end
        finally:
            _END.set(None)
            _LEAVE_BY.set(None)

    def left(self, timeout: float | None) -> float | None:
        """What a read or write may take at the most."""
        end = _END.get()
        if end is None:
            return timeout
        left = max(0.001, end - self._monotonic())
        return left if timeout is None else min(timeout, left)

    def over(self) -> bool:
        """Whether the whole request has taken too long."""
        end = _END.get()
        return end is not None and self._monotonic() > end

    def depart(self) -> None:
        """The first byte is about to leave.

        Raises:
            TooLateError: It may not any more.
        """
        leave_by = _LEAVE_BY.get()
        if leave_by is not None and self._monotonic() > leave_by:
            raise TooLateError("the request was held up on this machine until it was too late to send it")
        _LEAVE_BY.set(None)


class _Stream(httpcore.NetworkStream):
    """A network stream that knows the limits of whoever uses it now."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._deadline.over():
            raise httpcore.ReadTimeout("the answer took longer than datacite.request_timeout")
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._deadline.depart()
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _Stream(secure, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Opens connections whose streams know the limits."""

    def __init__(self, deadline: Deadline) -> None:
        self._backend = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options), self._deadline)


def guard(http: httpx.Client, deadline: Deadline) -> None:
    """Put the limits below a client.

    The library has no public place for a network backend of ours; the test with a peer that drips headers
    tells when this one has moved.
    """
    for transport in (http._transport, *http._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = _Backend(deadline)
