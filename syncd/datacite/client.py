"""One HTTP request to DataCite and its answer: no redirect, no hidden repetition, a limit on time and size.

The caller holds a slot of the limiter for each call; nothing in here sends a second request.
"""

import contextlib
import ssl
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx

from syncd import __version__
from syncd.clock import monotonic
from syncd.datacite.answer import Answer, NoAnswer
from syncd.datacite.deadline import Deadline, TooLateError, guard
from syncd.datacite.request import Put, Write, path
from syncd.settings import is_loopback

_CONNECT_SECONDS = 10.0
_MAX_ANSWER_BYTES = 32 * 1024 * 1024
_QUERY = "?affiliation=true&publisher=true"
_MEDIA_TYPE = "application/vnd.api+json"


class Client:
    """Sends with one account's credentials, from the first request on: DataCite never challenges."""

    def __init__(
        self,
        base_url: str,
        account_id: str,
        password: str,
        contact: str,
        timeout: float,
        *,
        monotonic: Callable[[], float] = monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Args: ``timeout``: for a whole request, in seconds; ``transport``: another network than the real one."""
        self._base_url = base_url
        self._timeout = timeout
        self._transport = transport
        self._monotonic = monotonic
        self.deadline = Deadline(monotonic)
        self._auth = httpx.BasicAuth(account_id, password)
        self._agent = f"syncd/{__version__}" + (f" (mailto:{contact})" if contact else "")
        self._lock = threading.Lock()
        self._http = self._open()

    def write(self, request: Write, leave_by: float | None = None) -> Answer | NoAnswer:
        """Send a write and wait for its answer.

        Args:
            request: What to send.
            leave_by: The monotonic time after which its first byte may not leave any more: the slot and the
                claim that cover it end some time after.
        """
        body = request.body()
        query = _QUERY if isinstance(request, Put) else ""
        return self._send(request.method, path(request.doi) + query, body, leave_by)

    def read(self, target: str, leave_by: float | None = None) -> Answer | NoAnswer:
        """Read what lies at an address below the API (see ``remote``), and wait for the answer."""
        return self._send("GET", target, b"", leave_by)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _send(self, method: str, target: str, body: bytes, leave_by: float | None = None) -> Answer | NoAnswer:
        headers = {"Content-Type": _MEDIA_TYPE} if body else {}
        http = self._http
        try:
            with (
                self.deadline.of(self._timeout, leave_by) as end,
                http.stream(method, target, content=body or None, headers=headers) as response,
            ):
                return self._read(response, end)
        except TooLateError as error:
            return NoAnswer(_words(error), sent=False)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.ProxyError) as error:
            return NoAnswer(_words(error), sent=False)
        except httpx.PoolTimeout as error:
            # A pool that is full of dead connections never recovers by itself (httpcore issue 1093).
            self._replace(http)
            return NoAnswer(_words(error), sent=False)
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            return NoAnswer(_words(error), sent=True)

    def _open(self) -> httpx.Client:
        http = httpx.Client(
            base_url=self._base_url,
            transport=self._transport,
            auth=self._auth,
            headers={"User-Agent": self._agent, "Accept": _MEDIA_TYPE},
            timeout=httpx.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout)),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
            follow_redirects=False,
            # The system's trust store, not the one that the library carries: a site may have its own CA.
            verify=ssl.create_default_context() if self._transport is None else False,
            trust_env=not is_loopback(urlsplit(self._base_url).hostname or ""),
        )
        if self._transport is None:
            guard(http, self.deadline)
        return http

    def _read(self, response: httpx.Response, end: float) -> Answer | NoAnswer:
        """The whole body, unless it takes too long or is too large: a peer may send a byte every few seconds."""
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > _MAX_ANSWER_BYTES:
                return NoAnswer(f"the answer is larger than {_MAX_ANSWER_BYTES} bytes", sent=True)
            if self._monotonic() > end:
                return NoAnswer("the answer took longer than datacite.request_timeout", sent=True)
        return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, b"".join(chunks))

    def _replace(self, broken: httpx.Client) -> None:
        with self._lock:
            if self._http is broken:
                self._http = self._open()
        with contextlib.suppress(httpx.HTTPError, OSError, RuntimeError):
            broken.close()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
