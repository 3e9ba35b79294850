"""What goes out to people by itself: a heartbeat while the work goes on, and one digest a day of what needs them."""

import json
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import httpx

from syncd import __version__
from syncd.causes import action_of
from syncd.errors import SyncdError
from syncd.settings import NotifySettings
from syncd.snapshot import DaemonState, Snapshot
from syncd.words import ago, counted

_SECONDS = 15.0
_AGENT = {"User-Agent": f"syncd/{__version__}"}


@dataclass(frozen=True)
class Digest:
    """What needs a person.

    Attributes:
        subject: One line.
        lines: The whole as text.
        document: The same for programs.
    """

    subject: str
    lines: Sequence[str]
    document: dict[str, Any]


def digest_of(snapshot: Snapshot, state: DaemonState, page: str) -> Digest | None:
    """What needs a person now; None when nothing does. Pure."""
    failed = [one for one in snapshot.failures if one.quarantined]
    pauses = [
        {"scope": one.scope, "cause": one.cause, "message": one.message, "for": ago(one.since, snapshot.at)}
        for one in snapshot.pauses
    ]
    troubles: list[dict[str, str]] = [
        {"account": name, "message": message, "next": hint, "for": ago(since, snapshot.at)}
        for name, (message, hint, since) in sorted(state.troubles.items())
    ]
    failures: list[dict[str, Any]] = [
        {"account": one.account, "cause": one.cause, "count": one.quarantined, "next": action_of(one.cause),
         "examples": [name for name, _ in one.examples]}
        for one in failed
    ]  # fmt: skip
    if not failures and not pauses and not troubles:
        return None
    total = sum(one.quarantined for one in failed)
    parts = [f"{counted(total, 'DOI')} failed"] if total else []
    parts += [counted(len(pauses), "pause")] if pauses else []
    parts += [f"{counted(len(troubles), 'account')} in trouble"] if troubles else []
    subject = f"syncd: {', '.join(parts)}"
    lines = [f"{one['scope']} is paused for {one['for']} ({one['cause']}): {one['message']}" for one in pauses]
    for trouble in troubles:
        lines.append(f"{trouble['account']} is in trouble for {trouble['for']}: {trouble['message']}")
        lines.append(f"  → {trouble['next']}")
    for group in failures:
        lines.append(f"{group['account']}: {group['count']:,} × {group['cause']} ({', '.join(group['examples'])})")
        lines.append(f"  → {group['next']}")
    lines += ["", f"All of it: syncd failures; syncd status; {page}"]
    document = {"subject": subject, "pauses": pauses, "troubles": troubles, "failures": failures}
    return Digest(subject, lines, document)


def beat(settings: NotifySettings) -> None:
    """Tell a receiver that the work goes on; it raises the alarm when it hears nothing.

    Raises:
        SyncdError: It could not be reached.
    """
    if settings.heartbeat is not None:
        _ask("the heartbeat", "GET", settings.heartbeat.get_secret_value())


def send(settings: NotifySettings, digest: Digest) -> None:
    """By mail, to a web hook, or both.

    Raises:
        SyncdError: One of them could not be reached; the other one was tried.
    """
    troubles: list[str] = []
    if settings.webhook is not None:
        try:
            _ask("the web hook", "POST", settings.webhook.get_secret_value(), digest.document | {"text": _text(digest)})
        except SyncdError as error:
            troubles.append(error.message)
    if settings.mail_to:
        try:
            _mail(settings, digest)
        except (OSError, smtplib.SMTPException) as error:
            troubles.append(f"{settings.smtp} does not take the mail: {error}")
    if troubles:
        raise SyncdError("; ".join(troubles), hint="see [notify] in the configuration; it is tried again in an hour")


def _ask(what: str, method: str, address: str, document: Any = None) -> None:
    # The address may be a secret, so no error names it.
    content = None if document is None else json.dumps(document, ensure_ascii=False).encode()
    headers = _AGENT if content is None else {**_AGENT, "Content-Type": "application/json"}
    try:
        answer = httpx.request(method, address, content=content, headers=headers, timeout=_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SyncdError(f"{what} could not be reached: {type(error).__name__}") from None
    if not answer.is_success:
        raise SyncdError(f"{what} answered with {answer.status_code}")


def _mail(settings: NotifySettings, digest: Digest) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = digest.subject, settings.mail_from, ", ".join(settings.mail_to)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(digest))
    host, _, port = settings.smtp.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=_SECONDS) as relay:
        relay.send_message(message)


def _text(digest: Digest) -> str:
    return "\n".join(digest.lines)
