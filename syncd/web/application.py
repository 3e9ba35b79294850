"""Answers: the status page, one DOI, health, metrics; reading only, and nothing of it can be framed or scripted."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncd.errors import StateError
from syncd.metrics import exposition
from syncd.model import doi_name
from syncd.snapshot import Board
from syncd.store.runs import HOST
from syncd.web.doi_page import doi_page
from syncd.web.page import frame, status_page

_HTML, _METRICS = "text/html; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"
_LONGEST_QUERY = 300
_SIMILAR = 20
_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    b" connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}

Answer = Callable[[Request], Response]


def application(board: Board, hosts: list[str]) -> Starlette:
    """The ASGI application.

    Args:
        board: Where everything that is shown comes from.
        hosts: The names by which it may be asked. A page of somebody else's could otherwise read ours through a
            name of its own that leads to this machine. ``*`` is any.
    """
    pages = _Pages(board)
    routes = [
        Route("/", pages.status),
        Route("/doi", pages.doi),
        Route("/status.json", pages.as_json),
        Route("/metrics", pages.metrics),
        Route("/healthz", pages.healthz),
        Route("/readyz", pages.readyz),
        Route("/style.css", _file("style.css", "text/css; charset=utf-8")),
        Route("/page.js", _file("page.js", "text/javascript; charset=utf-8")),
    ]
    middleware = [
        Middleware(_Guarded),
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(GZipMiddleware, minimum_size=2000, compresslevel=1),
    ]
    return Starlette(routes=routes, middleware=middleware, exception_handlers={StateError: _no_state})


class _Pages:
    """One method for each address."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def status(self, _request: Request) -> Response:
        return Response(status_page(self._board.snapshot(), self._board.state()), media_type=_HTML)

    def doi(self, request: Request) -> Response:
        query = doi_name(request.query_params.get("q", "")[:_LONGEST_QUERY])
        reading = self._board.store.reading
        found = [reading.doi(account, query) for account in self._board.state().accounts]
        known = [document for document in found if document is not None]
        similar = [] if known or not query else reading.beginning_with(query, _SIMILAR)
        return Response(doi_page(query, known, similar), 200 if known else 404, media_type=_HTML)

    def as_json(self, _request: Request) -> Response:
        return _json(200, {"snapshot": asdict(self._board.snapshot()), "daemon": _stated(self._board)})

    def metrics(self, _request: Request) -> Response:
        return Response(exposition(self._board), media_type=_METRICS)

    def healthz(self, _request: Request) -> Response:
        """Alive: its main thread turns and no worker is stuck; a database that is away is no reason to kill it."""
        state = self._board.state()
        well = state.turning and state.stuck is None
        words = "turning" if state.turning else "the main thread does not turn"
        return _json(200 if well else 503, {"ok": well, "main": words, "stuck": state.stuck and asdict(state.stuck)})

    def readyz(self, _request: Request) -> Response:
        """Able to work, or to take over: the state database answers, and an account can be worked on."""
        state, problem = self._board.state(), ""
        try:
            paused = {pause.scope: pause.message for pause in self._board.store.runs.pauses()}
        except StateError as error:
            paused, problem = {}, error.message
        if not state.ready:
            problem = problem or "starting: no account was opened yet"
        elif state.working and not problem:
            reasons = [
                state.troubles[name][0] if name in state.troubles else paused.get(name) for name in state.accounts
            ]
            problem = paused.get(HOST) or (str(reasons[0]) if all(reasons) else "")
        role = "works" if state.working else "stands by"
        return _json(503 if problem else 200, {"ok": not problem, "role": role, "problem": problem})


def _stated(board: Board) -> dict[str, Any]:
    state = asdict(board.state())
    state["requests"] = [
        {"account": account, "method": method, "status": status, "count": count}
        for (account, method, status), count in state["requests"].items()
    ]
    return state


def _json(status: int, document: Any) -> Response:
    text = json.dumps(_with_text_keys(document), ensure_ascii=False, indent=1, default=_plain)
    return Response(text, status, media_type="application/json")


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            "/".join(map(str, key)) if isinstance(key, tuple) else key: _with_text_keys(one)
            for key, one in value.items()
        }
    return [_with_text_keys(one) for one in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _file(name: str, kind: str) -> Answer:
    content = files("syncd.web").joinpath(name).read_bytes()

    def answer(_request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


async def _no_state(request: Request, error: Exception) -> Response:
    if request.url.path.endswith(".json"):
        return _json(503, {"error": str(error)})
    if request.headers.get("accept", "").startswith("text/html"):
        return Response(frame("syncd", str(error)), 503, media_type=_HTML)
    return PlainTextResponse(str(error), 503)


class _Guarded:
    """Puts the headers on every answer, refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)
