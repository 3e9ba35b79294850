"""START HERE: one pass over one account, scan then send.

::

    scan    platform rows ── known digest? ──► untouched
                          └─ map, note what differs ──► syncd_doi
    send    syncd_doi ── claim what is pending, wait for a slot, read the record again,
                         decide, mark unsure, one request, judge, settle

Both halves can stop at any instruction: everything that matters is in the state database, and pending is a
query, not a queue.
"""

import os
import random
import socket
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

import structlog

from syncd.clock import Clock, SystemClock
from syncd.config import AccountSettings, Settings
from syncd.datacite.client import Client
from syncd.limiter import Limiter
from syncd.platforms import Platform, open_platform
from syncd.scan import Scan, ScanCounts
from syncd.send import SendCounts, Sender
from syncd.store import Store, schema
from syncd.store.runs import Runs

_log = structlog.get_logger()

FULL, CHANGED, SEND = "full", "changed", "send"
_ENDED_BY_HAND = ("credentials", "unreachable", "no_answer", "server_error", "bad_answer")


@dataclass(frozen=True, slots=True)
class Report:
    """What one pass did."""

    account: str
    scan: ScanCounts
    send: SendCounts


def connect(settings: Settings, clock: Clock | None = None) -> Store:
    """The state database, with tables of the right revision.

    Raises:
        SchemaError: They are missing, older or newer.
    """
    store = Store.open(settings.state.url, clock)
    schema.check(store.database)
    return store


def run(
    settings: Settings,
    account: AccountSettings,
    store: Store,
    *,
    full: bool = True,
    accept_missing: bool = False,
    clock: Clock | None = None,
    stopping: Callable[[], bool] = lambda: False,
    chance: Callable[[], float] = random.random,
    tell: Callable[[ScanCounts | SendCounts], None] = lambda _counts: None,
) -> Report:
    """Scan one account and send until nothing is due.

    Args:
        full: Look at every record; otherwise at those whose timestamps moved, where the platform can tell
            and an earlier full scan left a watermark.
        accept_missing: Go on although half of the records, or all, are missing.
        stopping: Asked between two records; True ends the pass early.
        chance: Numbers between 0 and 1 for waiting times.
        tell: Given the live counts of each half when it begins.

    Raises:
        SyncdError: The pass could not go on; what was settled until then stays.
    """
    clock = clock or SystemClock()
    platform = open_platform(account)
    secret = account.secret()
    client = Client(
        settings.datacite.base_url,
        account.id,
        secret,
        settings.datacite.contact,
        settings.datacite.request_timeout,
    )
    limiter = Limiter(store.slots, settings.datacite, clock)
    try:
        store.runs.bind(account.id, settings.datacite.base_url, platform.identity)
        limiter.prepare()
        _end_pauses_that_end_by_trying(store.runs, account.id)
        counts = scan(account, platform, store, full=full, accept_missing=accept_missing, stopping=stopping, tell=tell)
        sender = Sender(
            account,
            settings.datacite,
            platform,
            store,
            limiter,
            client,
            owner=_process_name(),
            chance=chance,
            stopping=stopping,
        )
        tell(sender.counts)
        send(account, store, sender)
        return Report(account.id, counts, sender.counts)
    finally:
        client.close()
        platform.close()


def scan(
    account: AccountSettings,
    platform: Platform,
    store: Store,
    *,
    full: bool,
    accept_missing: bool = False,
    stopping: Callable[[], bool] = lambda: False,
    tell: Callable[[ScanCounts | SendCounts], None] = lambda _counts: None,
) -> ScanCounts:
    """The first half: note what differs."""
    since = store.runs.watermark(account.id)
    full = full or since is None or not platform.finds_changes
    look = Scan(account, platform, store)
    tell(look.counts)
    run_id = store.runs.start(account.id, FULL if full else CHANGED)
    try:
        finished = look.run(
            full=full, since=since, holder=_process_name(), accept_missing=accept_missing, stopping=stopping
        )
    except BaseException:
        store.runs.finish(run_id, "failed", asdict(look.counts))
        raise
    if not finished:
        store.runs.finish(run_id, "failed", asdict(look.counts))
        return look.counts
    # A quick look that saw nothing keeps the place it began at.
    watermark = platform.watermark if platform.watermark is not None else since
    store.runs.finish(run_id, "done", asdict(look.counts), watermark)
    _log.info("scan.finished", account=account.id, kind=FULL if full else CHANGED, **asdict(look.counts))
    return look.counts


def send(account: AccountSettings, store: Store, sender: Sender) -> None:
    """The second half: bring what is pending up to date."""
    run_id = store.runs.start(account.id, SEND)
    result = "failed"
    try:
        sender.run()
        result = "done"
    finally:
        counts = {
            name: int(getattr(sender.counts, name))
            for name in ("requests", "accepted", "rejected", "deferred", "unneeded")
        }
        store.runs.finish(run_id, result, counts)
    _log.info("send.finished", account=account.id, **counts)


def _end_pauses_that_end_by_trying(runs: Runs, account: str) -> None:
    """Somebody asked for a pass: one request tells whether credentials or network work again."""
    for pause in runs.pauses(account):
        if pause.cause in _ENDED_BY_HAND:
            runs.resume(pause.scope)


def _process_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_RUN}"


_RUN = uuid.uuid4().hex[:8]
