"""START HERE: one pass over one account, scan then send.

::

    scan    platform rows ── known digest? ──► untouched
                          └─ map, note what differs ──► syncd_doi
    send    syncd_doi ── claim what is pending, wait for a slot, read the record again,
                         decide, mark unsure, one request, judge, settle

Both halves can stop at any instruction: everything that matters is in the state database, and pending is a
query, not a queue.
"""

import logging
import os
import random
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from syncd.brake import NOBODY, Consent
from syncd.clock import Clock, SystemClock
from syncd.counts import COUNTED, ScanCounts, SendCounts
from syncd.datacite.client import Client
from syncd.errors import SafetyError, SyncdError
from syncd.inquiry import Inquiry
from syncd.limiter import Limiter
from syncd.look import CHANGED, FULL, OUTLINE
from syncd.plan import ACCOUNT_CAUSES
from syncd.platforms import Platform, open_platform
from syncd.scan import Scan
from syncd.send import Caller, Sender, Together, in_threads
from syncd.settings import USUAL, AccountSettings, BrakeSettings, DataCiteSettings, Settings
from syncd.store import Store, schema
from syncd.store.runs import BRAKE, Runs

_log = structlog.get_logger()

SEND = "send"
_WORTH_A_NEW_PLACE = 1000
_FEW_ATTEMPTS = 3
_ENDED_BY_HAND = (*ACCOUNT_CAUSES, "unreachable", "no_answer", "server_error", "bad_answer")


@dataclass(frozen=True, slots=True)
class Report:
    """What one pass did."""

    account: str
    scan: ScanCounts
    send: SendCounts


@dataclass(frozen=True)
class Parts:
    """What a pass over one account works with; everything that touches the world outside comes from here.

    Attributes:
        process: What this process is called in claims and leases.
        brake: How much a scan may change before a person has to look.
        chance: Numbers between 0 and 1 for waiting times.
        stopping: Asked between two records; True ends the pass early.
        together: How several workers run at once.
        tell: Given the live counts of each half when it begins.
    """

    account: AccountSettings
    datacite: DataCiteSettings
    platform: Platform
    store: Store
    client: Caller
    clock: Clock
    process: str
    brake: BrakeSettings = USUAL
    chance: Callable[[], float] = random.random
    stopping: Callable[[], bool] = lambda: False
    together: Together = in_threads
    tell: Callable[[Any], None] = lambda _counts: None


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
    consent: Consent = NOBODY,
    clock: Clock | None = None,
    **others: Any,
) -> Report:
    """One pass by hand over one account, with the real platform, DataCite and clock.

    Args:
        settings: The whole configuration.
        account: The one to look at.
        store: The state database.
        full: See ``one_pass``.
        consent: What a person said is right.
        clock: The time.
        others: Other members of ``Parts``.

    Raises:
        SyncdError: The pass could not go on; what was settled until then stays.
    """
    with opened(settings, account, store, clock=clock, **others) as (parts, limiter):
        refuse_unadopted(parts, limiter)
        end_pauses_that_end_by_trying(store.runs, account.id)
        return one_pass(parts, limiter, full=full, consent=consent)


@contextmanager
def opened(
    settings: Settings,
    account: AccountSettings,
    store: Store,
    *,
    clock: Clock | None = None,
    bind: bool = True,
    rebind: bool = False,
    **others: Any,
) -> Iterator[tuple[Parts, Limiter]]:
    """The real platform, DataCite and clock for one account, and its limiter, while the block runs.

    Args:
        settings: The whole configuration.
        account: The one to work on.
        store: The state database.
        clock: The time.
        bind: Tie the state to this DataCite and platform, if it belongs to none yet; not for those who only look.
        rebind: The state belongs to this DataCite and platform from now on, whatever it belonged to.
        others: Other members of ``Parts``.

    Raises:
        SafetyError: The state was made with another DataCite or another platform database.
    """
    clock = clock or SystemClock()
    datacite = settings.datacite
    secret = account.secret()
    platform = open_platform(account, clock)
    client = Client(datacite.base_url, account.id, secret, datacite.contact, datacite.request_timeout)
    try:
        if rebind:
            store.bindings.rebind(account.id, datacite.base_url, platform.identity())
        parts = Parts(account, datacite, platform, store, client, clock, process_name(), settings.brake, **others)
        if bind:
            store.bindings.bind(account.id, datacite.base_url, platform.identity())
        yield parts, prepare(parts)
    finally:
        client.close()
        platform.close()


def refuse_unadopted(parts: Parts, limiter: Limiter) -> None:
    """Before the first pass: what DataCite holds already must be looked at, or all of it would be sent once.

    Costs one request, once for an account whose list is empty.

    Raises:
        SafetyError: DataCite holds DOIs of this account that were never compared with the platform.
    """
    bindings, account = parts.store.bindings, parts.account.id
    if bindings.adopted(account):
        return
    inquiry = Inquiry(
        account, parts.store, limiter, parts.client, parts.clock, chance=parts.chance, stopping=parts.stopping,
        attempts=_FEW_ATTEMPTS,
    )  # fmt: skip
    page = inquiry.page(None, size=1)
    if page.items:
        raise SafetyError(
            f"DataCite holds {page.total or 'some'} DOIs of {account} already, and syncd knows nothing of them yet",
            hint=f"syncd adopt --account {account}: it compares them and writes nothing at DataCite",
        )
    bindings.mark_adopted(account)


def prepare(parts: Parts) -> Limiter:
    """Once for a process, before its first request: as many slots as configured."""
    limiter = Limiter(parts.store.slots, parts.datacite, parts.clock)
    limiter.prepare()
    return limiter


def one_pass(parts: Parts, limiter: Limiter, *, full: bool, outline: bool = True, consent: Consent = NOBODY) -> Report:
    """Scan one account and send until nothing is due.

    Args:
        parts: What it works with.
        limiter: Where its slots come from (see ``prepare``).
        full: Look at every record; otherwise at those whose timestamps moved, where the platform can tell
            and an earlier full scan left a watermark.
        outline: After such a quick look also compare outlines, where the platform gives any.
        consent: What a person said is right, so that the brake lets it pass.

    Raises:
        SyncdError: The pass could not go on; what was settled until then stays.
    """
    counts = scan(parts, full=full, outline=outline, consent=consent)
    return Report(parts.account.id, counts, send(parts, limiter))


def scan(parts: Parts, *, full: bool, outline: bool = True, consent: Consent = NOBODY) -> ScanCounts:
    """The first half: note what differs; when it would change too much, the account waits for a person."""
    if full or not can_look_quickly(parts):
        return look(parts, FULL, consent)
    counts = look(parts, CHANGED, consent)
    if outline and parts.platform.gives_outlines and not parts.stopping():
        counts = counts.and_then(look(parts, OUTLINE, consent))
    return counts


def can_look_quickly(parts: Parts) -> bool:
    """Whether the platform can tell what moved, and a full look left a watermark to ask from."""
    return parts.platform.finds_changes and parts.store.runs.watermark(parts.account.id) is not None


def look(parts: Parts, kind: str, consent: Consent = NOBODY, *, routine: bool = False) -> ScanCounts:
    """Note what one look of this kind (see ``syncd.look``) finds. Raises as ``one_pass`` does.

    Args:
        parts: What it works with.
        kind: Which look.
        consent: What a person said is right.
        routine: It is one of many, so it is told and written down only when it found something; quick looks are.
    """
    account, platform, runs = parts.account, parts.platform, parts.store.runs
    full = kind == FULL
    since = None if full else runs.watermark(account.id)
    scan = Scan(account, platform, parts.store, parts.clock, parts.brake)
    parts.tell(scan.counts)
    routine = routine or not full
    run = runs.begin(account.id, kind, at_once=not routine)
    result, watermark, message = "failed", None, ""
    try:
        if scan.run(kind, since=since, holder=parts.process, consent=consent, stopping=parts.stopping):
            # A quick look that saw nothing keeps the place it began at. So does a look at outlines: it reads no
            # timestamps, and those of an earlier look that broke off would leave out what that look did not reach.
            keeps = kind == OUTLINE or platform.watermark is None
            result, watermark = "done", since if keeps else platform.watermark
            if full or consent.given:
                _release_brake(runs, account.id)
    except SafetyError as refusal:
        # Whoever sends for this account stops as well, until a scan passes or a person says that it is right.
        pause = runs.pause(account.id, BRAKE, f"{refusal.message} → {refusal.hint}", lambda _attempts: None)
        _log.error("scan.braked", account=account.id, message=refusal.message, since=str(pause.since))
        message = refusal.message
        raise
    except SyncdError as error:
        message = str(error)
        raise
    finally:
        # An old watermark is a safe one; it moves before reading again costs much.
        seen = scan.counts.records if kind == CHANGED else 0
        quiet = routine and not scan.counts.changed and not scan.counts.gone and seen < _WORTH_A_NEW_PLACE
        run.end(result, asdict(scan.counts), watermark, quiet=quiet and result == "done", message=message)
    _log.log(
        logging.DEBUG if quiet else logging.INFO,
        "scan.finished",
        account=account.id,
        kind=run.kind,
        result=result,
        **asdict(scan.counts),
    )
    return scan.counts


def send(parts: Parts, limiter: Limiter) -> SendCounts:
    """The second half: bring what is pending up to date."""
    sender = Sender(
        parts.account,
        parts.datacite,
        parts.platform,
        parts.store,
        limiter,
        parts.client,
        parts.clock,
        owner=parts.process,
        chance=parts.chance,
        stopping=parts.stopping,
        together=parts.together,
    )
    parts.tell(sender.counts)
    run = parts.store.runs.begin(parts.account.id, SEND, at_once=False)
    result, message = "failed", ""
    try:
        sender.run()
        result = "done"
    except SyncdError as error:
        message = str(error)
        raise
    finally:
        counts = {name: int(getattr(sender.counts, name)) for name in COUNTED}
        idle = not any(counts.values())
        run.end(result, counts, quiet=idle and result == "done", message=message)
    _log.log(logging.DEBUG if idle else logging.INFO, "send.finished", account=parts.account.id, **counts)
    return sender.counts


def _release_brake(runs: Runs, account: str) -> None:
    if any(pause.scope == account and pause.cause == BRAKE for pause in runs.pauses(account)):
        runs.resume(account)


def end_pauses_that_end_by_trying(runs: Runs, account: str) -> None:
    """Somebody asked for a pass: one request tells whether credentials or network work again."""
    runs.end_wait([pause.scope for pause in runs.pauses(account) if pause.cause in _ENDED_BY_HAND])


def process_name() -> str:
    """What this process is called in claims and leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{_RUN}"


_RUN = uuid.uuid4().hex[:8]
