"""Heartbeat and digest: silent when all is well, and never with a secret in a message."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from syncd import notify
from syncd.errors import SyncdError
from syncd.settings import DataCiteSettings, NotifySettings
from syncd.snapshot import Board
from syncd.store.runs import BY_HAND
from syncd.store.tables import run
from tests.daemons import Daemon, until
from tests.site import Site
from tests.test_web import stated


class Hook(BaseHTTPRequestHandler):
    """Receives what is sent; answers with ``status``."""

    received: ClassVar[list[tuple[str, str, Any]]] = []
    status: ClassVar[int] = 200

    def _take(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        Hook.received.append((self.command, self.path, json.loads(body) if body else None))
        self.send_response(Hook.status)
        self.end_headers()

    do_GET = do_POST = _take  # noqa: N815 - http.server's names

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[str]:
    Hook.received, Hook.status = [], 200
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hush-hush"
        server.shutdown()


@contextmanager
def relay() -> Iterator[tuple[str, list[str]]]:
    """A mail relay that keeps what it was given."""
    lines: list[str] = []

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            data = False
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                lines.append(line)
                if data and line != ".":
                    continue
                data = line.upper() == "DATA"
                if line.upper() == "QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"354 go on\r\n" if data else b"250 yes\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Smtp) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", lines
        server.shutdown()


def digest(site: Site, **changes: Any) -> notify.Digest | None:
    state = replace(stated((site.account,)), **changes)
    return notify.digest_of(Board(site.store, DataCiteSettings(), lambda: state).snapshot(), state, "http://page/")


def test_nothing_is_said_when_nothing_needs_a_person(site: Site) -> None:
    site.add(1)
    site.sync()

    assert digest(site) is None


def test_the_digest_names_what_needs_a_person_and_the_next_step(site: Site) -> None:
    site.add(1, creators=[])
    site.sync()
    site.store.runs.pause(site.account, BY_HAND, "maintenance", lambda _attempts: None)
    found = digest(site, troubles={site.account: ("the platform is away", "look at it", datetime.now(UTC))})

    assert found is not None
    assert found.subject == "syncd: 1 DOI failed, 1 pause, 1 account in trouble"
    text = "\n".join(found.lines)
    for words in ("metadata_invalid", "10.5072/r1", "Correct the record", "maintenance", "look at it", "http://page/"):
        assert words in text
    assert found.document["failures"][0]["count"] == 1


def test_it_goes_to_a_web_hook_and_by_mail(site: Site, hook: str) -> None:
    site.add(1, creators=[])
    site.sync()
    found = digest(site)
    assert found is not None
    with relay() as (smtp, lines):
        notify.send(
            NotifySettings(webhook=SecretStr(hook), mail_to=["a@example.org", "b@example.org"], smtp=smtp), found
        )

    assert [(method, path) for method, path, _ in Hook.received] == [("POST", "/hush-hush")]
    assert Hook.received[0][2]["subject"] == "syncd: 1 DOI failed"
    assert "Subject: syncd: 1 DOI failed" in lines
    assert [line for line in lines if line.lower().startswith("rcpt to")] == [
        "rcpt TO:<a@example.org>", "rcpt TO:<b@example.org>"
    ]  # fmt: skip


def test_a_receiver_that_fails_is_told_without_its_address_and_the_other_one_is_tried(site: Site, hook: str) -> None:
    site.add(1, creators=[])
    site.sync()
    found = digest(site)
    assert found is not None
    Hook.status = 500
    with relay() as (smtp, lines):
        settings = NotifySettings(webhook=SecretStr(hook), mail_to=["a@example.org"], smtp=smtp)
        with pytest.raises(SyncdError) as refused:
            notify.send(settings, found)
    assert lines
    assert "500" in refused.value.message
    assert "hush" not in str(refused.value) + repr(settings)

    with pytest.raises(SyncdError) as refused:
        notify.beat(NotifySettings(heartbeat=SecretStr("http://127.0.0.1:1/hush-hush")))
    assert "hush" not in str(refused.value)


def test_the_daemon_beats_while_it_works_and_sends_the_digest_once(site: Site, hook: str) -> None:
    site.add(1)
    site.add(2, creators=[])
    minute = datetime.now(UTC).strftime("%H:%M")
    site.more = f"""
[schedule]
poll = "200ms"
[web]
listen = "off"
[notify]
heartbeat = "{hook}"
webhook = "{hook}"
digest = "{minute}"
"""
    site.settings  # noqa: B018 - writes the file
    # The last digest is a day old, so today's is due.
    site.store.runs.begin(f"- {site.account}", "digest", at_once=True).end("done", {})
    with site.store.database.writing() as connection:
        connection.execute(update(run).values(started_at=datetime.now(UTC) - timedelta(days=1, hours=1)))
    with Daemon(site.path) as daemon:
        daemon.ready()
        until(lambda: {method for method, _, _ in Hook.received} == {"GET", "POST"})
        daemon.logs("digest.sent")
        assert daemon.stop() == 0
    assert [method for method, _, _ in Hook.received].count("POST") == 1
    assert "hush" not in daemon.raw
