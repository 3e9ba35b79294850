"""Everything that is at work in the process that works: duties for every account, and what keeps the house clean."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from syncd import notify
from syncd.duties import Watch
from syncd.errors import StateError, SyncdError
from syncd.platforms.listening import Listener
from syncd.pulse import Silence, WatchedClock
from syncd.rota import Duty, Rota
from syncd.settings import Settings
from syncd.snapshot import Board
from syncd.store import Store
from syncd.tally import Tally
from syncd.timetable import seconds_until

_log = structlog.get_logger()

POOLS = {"look": 4, "send": 4, "whole": 2, "house": 1}
"""Threads for quick looks, for sending, for looks at everything and audits, and for what keeps the house clean."""

_PRUNE_EVERY = 6 * 3600.0
_BEAT_SECONDS, _DIGEST_AGAIN_SECONDS, _LOOK_AGAIN_SECONDS = 60.0, 3600.0, 900.0
_SPREAD_SECONDS = 0.05


class Work:
    """Everything that runs while this process is the one that works: one generation, ended by a reload."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        tally: Tally,
        board: Board,
        clock: WatchedClock,
        real_seconds: Callable[[float], float],
    ) -> None:
        """Args: ``clock``: its ``stop`` ends the work; ``real_seconds``: of a clock that is faster."""
        self.settings = settings
        self.clock = clock
        self._board = board
        self._beaten_at: datetime | None = None
        self._began = clock.now()
        self._rota = Rota(clock, POOLS, real_seconds)
        self.watches = [
            Watch(
                settings, account, store, self.clock, tally,
                wake=self._rota.wake, crowded=lambda: self._rota.crowded("send"),
            )
            for account in settings.accounts
        ]  # fmt: skip
        self._house = f"- {settings.accounts[0].id}"  # whose runs are those that belong to no account
        self._listeners: list[Listener] = []
        self._store = store

    def begin(self) -> None:
        """Every duty has its turn from now on."""
        self._rota.start()
        for number, watch in enumerate(self.watches):
            names = watch.names
            later = number * _SPREAD_SECONDS  # a hundred accounts do not open their databases in one moment
            self._add(Duty(names["poll"], "look", watch.poll), later)
            self._add(Duty(names["send"], "send", watch.send), later + self.settings.schedule.poll)
            self._add(Duty(names["reconcile"], "whole", watch.reconcile), later + 1.0)
            self._add(Duty(names["audit"], "whole", watch.audit), later + 1.0)
        self._add(Duty("prune", "house", self._prune), 60.0)
        if self.settings.notify.heartbeat is not None:
            self._add(Duty("heartbeat", "house", self._beat), _BEAT_SECONDS / 6)
        if self.settings.notify.webhook is not None or self.settings.notify.mail_to:
            self._add(Duty("digest", "house", self._digest), _BEAT_SECONDS / 3)
        by_place: dict[tuple[str, str], list[Watch]] = {}
        for watch in self.watches:
            source = watch.account.source
            if source.channel:
                by_place.setdefault((source.url, source.channel), []).append(watch)
        for (url, channel), watches in by_place.items():
            listener = Listener(url, channel, _all_changed(watches))
            listener.start()
            self._listeners.append(listener)

    def look(self) -> Silence | None:
        """Once a second: begin what is overdue; returns a thread that is silent for too long."""
        self._rota.look()
        silence = self.clock.pulse.longest()
        return silence if silence is not None and silence.seconds > self.settings.schedule.stuck else None

    def next_due(self) -> float | None:
        """In how many seconds the next duty begins."""
        return self._rota.next_due()

    def end(self) -> None:
        """Take nothing new, finish what is on its way, and give everything back."""
        self.clock.stop.set()
        for listener in self._listeners:
            listener.stop()
        self._rota.end()
        for watch in self.watches:
            watch.close()

    def _add(self, duty: Duty, delay: float) -> None:
        work, pulse = duty.work, self.clock.pulse

        def watched() -> float | None:
            with pulse.working(duty.name):
                return work()

        duty.work = watched
        self._rota.add(duty, delay)

    def _prune(self) -> float:
        keep = self.settings.keep

        def stopping() -> bool:
            self.clock.pulse.beat()  # it is asked between any two thousands
            return self.clock.stop.is_set()

        try:
            gone = self._store.pruning.prune(
                writes=timedelta(seconds=keep.writes), failures=timedelta(seconds=keep.failures),
                runs=timedelta(seconds=keep.runs), stopping=stopping,
            )  # fmt: skip
        except StateError as error:
            _log.warning("state.not_pruned", message=error.message)
            return _PRUNE_EVERY / 6
        if any(gone.values()):
            _log.info("state.pruned", **gone)
        return _PRUNE_EVERY

    def _beat(self) -> float:
        """Only what was looked at since then is a sign of life."""
        newest = max((one.looked_at for one in self.watches if one.looked_at is not None), default=None)
        if newest is None or newest == self._beaten_at:
            return _BEAT_SECONDS / 6
        try:
            notify.beat(self.settings.notify)
        except SyncdError as error:
            _log.warning("heartbeat.failed", message=error.message)
            return _BEAT_SECONDS / 2
        self._beaten_at = newest
        return _BEAT_SECONDS

    def _digest(self) -> float | None:
        """Once a day, whichever process works then; the run's row remembers it."""
        runs, settings = self._store.runs, self.settings
        try:
            last = runs.last_done(self._house, "digest") or self._began
            wait = seconds_until(settings.notify.digest, last, self.clock.now())
            if wait is None or wait > 0:
                return None if wait is None else min(wait, _LOOK_AGAIN_SECONDS)
            page = "the status page" if settings.web.place is None else f"http://{settings.web.listen}/"
            digest = notify.digest_of(self._board.fresh(), self._board.state(), page)
            if digest is not None:
                notify.send(settings.notify, digest)
                _log.info("digest.sent", subject=digest.subject)
            runs.begin(self._house, "digest", at_once=False).end("done", {"needed": digest is not None})
        except SyncdError as error:
            _log.warning("digest.failed", message=error.message, hint=error.hint)
            return _DIGEST_AGAIN_SECONDS
        return _LOOK_AGAIN_SECONDS


def _all_changed(watches: Sequence[Watch]) -> Callable[[], None]:
    def changed() -> None:
        for watch in watches:
            watch.changed()

    return changed
