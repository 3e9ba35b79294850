"""Long work over accounts: one after the other, with progress, stopped by signals, every refusal told."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

import click
import structlog

from syncd.backfill import Progress
from syncd.cli.options import accounts
from syncd.clock import SystemClock
from syncd.counts import AuditCounts, ScanCounts, SendCounts
from syncd.cycle import connect
from syncd.errors import ExitCode, StoppedError, SyncdError
from syncd.settings import AccountSettings, Settings
from syncd.store import Store
from syncd.words import duration

_log = structlog.get_logger()
_LOG_EVERY = 30.0
_T = TypeVar("_T")

Others: TypeAlias = dict[str, Any]
"""The members of ``cycle.Parts`` that belong to a command: its clock, when to stop, whom to tell."""


@dataclass
class Done(Generic[_T]):
    """What came of the accounts."""

    results: list[_T] = field(default_factory=list)
    refusals: list[SyncdError] = field(default_factory=list)
    stopped: bool = False

    def code(self, otherwise: ExitCode) -> ExitCode:
        """The exit code, after every refusal but the last was told.

        Raises:
            SyncdError: The last refusal.
        """
        for earlier in self.refusals[:-1]:
            click.echo(f"syncd: {earlier}", err=True)
        if self.refusals:
            raise self.refusals[-1]
        return ExitCode.INTERRUPTED if self.stopped else otherwise


def for_each_account(
    settings: Settings, account_id: str | None, work: Callable[[AccountSettings, Store, Others], _T]
) -> Done[_T]:
    """Do it for the chosen accounts; one account's trouble does not keep the others from being true."""
    done: Done[_T] = Done()
    clock = SystemClock()
    store = connect(settings, clock)
    try:
        with _stopped_by_signals(clock), _progress() as progress:
            others: Others = {"clock": clock, "stopping": clock.stop.is_set, "tell": progress.watch}
            for account in accounts(settings, account_id):
                if clock.stop.is_set():
                    break
                try:
                    done.results.append(work(account, store, others))
                except StoppedError:
                    break
                except SyncdError as refusal:
                    done.refusals.append(refusal)
    finally:
        store.close()
    done.stopped = clock.stop.is_set()
    return done


@contextmanager
def _stopped_by_signals(clock: SystemClock) -> Iterator[None]:
    """The first signal lets what is on its way finish; the second ends at once."""

    def stop(number: int, _frame: Any) -> None:
        clock.stop.set()
        signal.signal(number, signal.SIG_DFL)
        click.echo("stopping: requests on their way are finished first; again to stop at once", err=True)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Watcher:
    """Shows live counts: in one line on a terminal, as a log line every 30 s elsewhere."""

    def __init__(self) -> None:
        self._counts: Any = None
        self._done = threading.Event()
        self._terminal = sys.stderr.isatty()

    def watch(self, counts: Any) -> None:
        """From now on these are shown."""
        self._counts = counts

    def show(self) -> None:
        """Until the end."""
        last_log = time.monotonic()
        while not self._done.wait(0.2):
            if self._counts is None:
                continue
            if self._terminal:
                click.echo(f"\r\x1b[K{self._line()}", err=True, nl=False)
            elif time.monotonic() - last_log >= _LOG_EVERY:
                last_log = time.monotonic()
                _log.info("pass.progress", progress=self._line())
        if self._terminal:
            click.echo("\r\x1b[K", err=True, nl=False)

    def end(self) -> None:
        """Show no more."""
        self._done.set()

    def _line(self) -> str:
        match self._counts:
            case ScanCounts() as counts:
                return f"scanning: {counts.records:,} records, {counts.changed:,} changed"
            case SendCounts() as counts:
                return (
                    f"sending: {counts.requests:,} requests, {counts.rejected:,} failed, {counts.deferred:,} to retry"
                )
            case AuditCounts() as counts:
                return (
                    f"comparing: {counts.listed:,} DOIs listed, {counts.equal:,} equal, {counts.different:,} different"
                )
            case Progress() as progress:
                ends = progress.seconds_left
                left = f"{duration(ends)} left" if ends is not None else "no rate yet"
                return (
                    f"backfill: {progress.done:,} of {progress.total:,}, {progress.rate:.1f} a second,"
                    f" {progress.failed:,} failed, {left}"
                )
            case _:
                return ""


@contextmanager
def _progress() -> Iterator[Watcher]:
    watcher = Watcher()
    thread = threading.Thread(target=watcher.show, name="progress", daemon=True)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.end()
        thread.join()
