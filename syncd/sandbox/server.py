"""The sandbox over HTTP: the same application for ``syncd sandbox``, the demo and the tests."""

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from syncd.sandbox.api import Api
from syncd.sandbox.control import PREFIX, Control, describe
from syncd.sandbox.faults import Fault, Faults
from syncd.sandbox.firewall import Firewall
from syncd.sandbox.http import Request, Response, error
from syncd.sandbox.identity import Refusal, identify
from syncd.sandbox.world import World

_HTML_403 = b"<html><head><title>403 Forbidden</title></head><body><center>403 Forbidden</center></body></html>"
_GARBAGE = b'{"data": {"id": "10.'
_LONG = 3600.0

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Sandbox:
    """A local DataCite as an ASGI application."""

    def __init__(self, world: World | None = None, firewall: Firewall | None = None) -> None:
        self.world = world or World()
        self.api = Api(self.world)
        self.firewall = firewall or Firewall()
        self.faults = Faults()
        self.control = Control(self.api, self.firewall, self.faults)

    def respond(self, request: Request, now: float) -> Response:
        """The answer without any fault: firewall first, then the API."""
        return self._refusal(request, now) or self.api.answer(request)

    def _refusal(self, request: Request, now: float) -> Response | None:
        return self.firewall.refusal(request, now, accepted=self._account_of(request) is not None)

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        request = await _request(scope, receive)
        if request.raw_path.startswith(PREFIX):
            await _send(send, self.control.answer(request))
            return
        entry = self._arrived(request)
        fault = self.faults.next(request)
        response: Response | None
        if fault is None:
            response = self.respond(request, time.monotonic())
        else:
            await self._before(fault, send)
            response = self._faulty(fault, request)
        entry["status"] = response.status if response else 0
        if response is None:
            _reset(send)
        else:
            await _send(send, _deflated(request, response), cut=fault is not None and fault.kind == "truncate")

    def _arrived(self, request: Request) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "at": time.time(),
            "method": request.method,
            "path": request.target,
            "account": self._account_of(request),
            "status": None,
            "bytes": len(request.body),
        }
        self.control.requests.append(entry)
        return entry

    def _account_of(self, request: Request) -> str | None:
        try:
            found = identify(self.world, request.headers.get("authorization")).account
        except Refusal:
            return None
        return found.key if found else None

    @staticmethod
    async def _before(fault: Fault, _send: Send) -> None:
        if fault.kind in ("latency", "handle"):
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "hang":
            await asyncio.sleep(fault.seconds if fault.seconds > 1 else _LONG)

    def _faulty(self, fault: Fault, request: Request) -> Response | None:
        """The answer that a fault makes of it; None: the connection is reset."""
        now = time.monotonic()
        match fault.kind:
            case "latency" | "truncate":
                return self.respond(request, now)
            case "handle":
                return self._without_handles(request, now)
            case "reset-after-commit":
                self.respond(request, now)
                return None
            case "reset" | "hang":
                self._refusal(request, now)
                return None
            case "garbage":
                self._refusal(request, now)
                return Response(200, _GARBAGE, {"Content-Type": "application/json"})
            case "html-403":
                self._refusal(request, now)
                return Response(403, _HTML_403, {"Content-Type": "text/html"})
            case "html-error":
                self._refusal(request, now)
                return Response(
                    fault.status, _HTML_403.replace(b"403 Forbidden", b"proxy"), {"Content-Type": "text/html"}
                )
            case "retry-after":
                self._refusal(request, now)
                return error(429, "Too many requests", {"Retry-After": str(int(fault.seconds))})
            case _:
                self._refusal(request, now)
                return error(fault.status, "ordered by a fault of the sandbox")

    def _without_handles(self, request: Request, now: float) -> Response:
        """The handle server does not answer: the record is stored all the same, and does not resolve."""
        before, self.world.handles_answer = self.world.handles_answer, False
        try:
            return self.respond(request, now)
        finally:
            self.world.handles_answer = before


class RunningSandbox:
    """A sandbox that serves on a port of its own, in a thread."""

    def __init__(self, application: Sandbox, host: str = "127.0.0.1", port: int = 0) -> None:
        self.application = application
        # Without the protocol number asyncio leaves Nagle's algorithm on: 40 ms for each request.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        # From here on a client that knows the address is answered, if a moment later.
        self._socket.listen(128)
        self.address = f"http://{host}:{self._socket.getsockname()[1]}"
        configuration = uvicorn.Config(
            application, log_config=None, access_log=False, lifespan="off", proxy_headers=False, server_header=False,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self.server = uvicorn.Server(configuration)

    def serve(self) -> None:
        """Serve until the process is told to stop."""
        self.server.run(sockets=[self._socket])

    @contextmanager
    def in_background(self) -> Iterator["RunningSandbox"]:
        """Serve while the block runs."""
        # Signals belong to the main thread's program.
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=lambda: loop.run_until_complete(self.server._serve([self._socket])),
            name="sandbox",
            daemon=True,
        )
        thread.start()
        try:
            while not self.server.started:
                if not thread.is_alive():
                    raise RuntimeError("the sandbox did not start")
                time.sleep(0.005)
            yield self
        finally:
            self.server.should_exit = True
            thread.join(10)
            loop.close()
            self._socket.close()

    def world(self) -> dict[str, Any]:
        """What it holds, as a document."""
        return describe(self.application.world)


async def _request(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]]) -> Request:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    target = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode("latin-1")
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    address = scope["client"][0] if scope.get("client") else ""
    return Request(scope["method"], target, headers, body, address)


def _deflated(request: Request, response: Response) -> Response:
    """Compressed where the client takes it, as the real server's answers are."""
    if "gzip" not in request.headers.get("accept-encoding", "") or not response.body:
        return response
    body = gzip.compress(response.body, compresslevel=1, mtime=0)
    return Response(response.status, body, {**response.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"})


async def _send(send: Send, response: Response, *, cut: bool = False) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    if response.status != 204:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if cut:
        await send(
            {
                "type": "http.response.body",
                "body": response.body[: len(response.body) // 2],
                "more_body": True,
            }
        )
        _reset(send)
        return
    await send({"type": "http.response.body", "body": response.body})


def _reset(send: Send) -> None:
    """Close the connection without an answer: ASGI has no word for it, so uvicorn's own transport is used."""
    send.__self__.transport.abort()  # type: ignore[attr-defined]


def load_world(sandbox: Sandbox, document: str) -> None:
    """Fill a sandbox from a world file's text.

    Raises:
        ValueError: It is not such a document.
    """
    sandbox.control.replace(json.loads(document))
