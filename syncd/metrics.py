"""Metrics for Prometheus: stable names, base units, and never a DOI as a label."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from syncd import __version__
from syncd.errors import StateError
from syncd.snapshot import Board, DaemonState, Snapshot
from syncd.store import schema
from syncd.store.facts import LANE_BACKFILL, LANE_STATE, LANE_UPDATE
from syncd.store.reading import BUCKETS

_LANES = {LANE_STATE: "state", LANE_UPDATE: "update", LANE_BACKFILL: "backfill"}

METRICS = {
    "syncd_build_info": ("version, tables", "Always 1; the versions of the program and of its tables."),
    "syncd_working": ("", "1 when this process works, 0 when it stands by for the one that does."),
    "syncd_stuck": ("", "1 when a thread made no progress for longer than schedule.stuck."),
    "syncd_configuration_refused": ("", "1 when the last reload was refused, and the old configuration holds."),
    "syncd_state_database_up": ("", "0 when the state database could not be read for this answer."),
    "syncd_dois": ("account, standing", "DOIs by where they stand: in_sync, pending, quarantined, excluded, foreign."),
    "syncd_pending": ("account, lane", "DOIs to be sent: state (publish, hide), update or backfill."),
    "syncd_oldest_unsent_change_seconds": ("account", "Age of the oldest change that DataCite lacks; or 0."),
    "syncd_failures": ("account, cause", "DOIs that stand failed."),
    "syncd_paused": ("scope, cause", "1 for every pause that holds; the scope is an account, or host for all."),
    "syncd_trouble": ("account", "1 when something keeps the account's duties from being done."),
    "syncd_slots": ("", "Requests that any window of five minutes may see."),
    "syncd_slots_in_use": ("", "Slots that are taken or still rest."),
    "syncd_requests_total": ("account, method, status", "Requests of this process by answer; or no_answer."),
    "syncd_last_look_timestamp_seconds": ("account", "When the platform was last looked at with success."),
    "syncd_run_duration_seconds": ("account, kind", "How long the newest run of each kind took."),
    "syncd_run_started_timestamp_seconds": ("account, kind", "When the newest run began."),
    "syncd_run_failed": ("account, kind", "1 when the newest run of this kind came to no good end."),
    "syncd_drift": ("account, kind", "DOIs that the last audit found to differ at DataCite."),
    "syncd_backfill_left": ("account", "DOIs that mass work has still to send."),
    "syncd_backfill_seconds_left": ("account", "How long that will take."),
}  # fmt: skip
"""Every name with its labels and its meaning; the reference is made of it."""


def exposition(board: Board) -> bytes:
    """All metrics now, in Prometheus' text form."""
    registry = CollectorRegistry()
    registry.register(_Collector(board))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """Every family; without the state database only what this process knows itself."""
        state = self._board.state()
        yield from _own(state)
        try:
            snapshot = self._board.snapshot()
        except StateError:
            yield _gauge("syncd_state_database_up", [((), 0)])
            return
        yield _gauge("syncd_state_database_up", [((), 1)])
        yield from _of_state(snapshot)
        yield from _of_runs(snapshot)


def _own(state: DaemonState) -> Iterator[Metric]:
    build = InfoMetricFamily("syncd_build", METRICS["syncd_build_info"][1])
    build.add_metric([], {"version": __version__, "tables": schema.head()})
    yield build
    yield _gauge("syncd_working", [((), state.working)])
    yield _gauge("syncd_stuck", [((), state.stuck is not None)])
    yield _gauge("syncd_configuration_refused", [((), bool(state.reload_error))])
    yield _gauge("syncd_trouble", [((name,), name in state.troubles) for name in state.accounts])
    yield _gauge("syncd_last_look_timestamp_seconds", [((name,), at.timestamp()) for name, at in state.looked.items()])
    requests = CounterMetricFamily(
        "syncd_requests", METRICS["syncd_requests_total"][1], labels=_labels("syncd_requests_total")
    )
    for labels, count in sorted(state.requests.items()):
        requests.add_metric(list(labels), count)
    yield requests


def _of_state(snapshot: Snapshot) -> Iterator[Metric]:
    sums, now = snapshot.sums, snapshot.at
    yield _gauge("syncd_dois", [((one.account, name), getattr(one, name)) for one in sums for name in BUCKETS])
    yield _gauge(
        "syncd_pending",
        [
            ((one.account, word), snapshot.lanes.get((one.account, lane), 0))
            for one in sums
            for lane, word in _LANES.items()
        ],
    )
    yield _gauge(
        "syncd_oldest_unsent_change_seconds",
        [((one.account,), (now - one.oldest_change).total_seconds() if one.oldest_change else 0) for one in sums],
    )
    yield _gauge("syncd_failures", [((one.account, one.cause), one.count) for one in snapshot.failures])
    yield _gauge("syncd_paused", [((one.scope, one.cause), 1) for one in snapshot.pauses])
    yield _gauge("syncd_slots", [((), snapshot.slots_total)])
    yield _gauge("syncd_slots_in_use", [((), snapshot.slots_used)])
    yield _gauge("syncd_backfill_left", [((name,), one.left) for name, one in snapshot.mass.items()])
    known = [(name, one.seconds_left) for name, one in snapshot.mass.items() if one.seconds_left is not None]
    yield _gauge("syncd_backfill_seconds_left", [((name,), seconds) for name, seconds in known])


def _of_runs(snapshot: Snapshot) -> Iterator[Metric]:
    runs = [(account, run) for account, mine in snapshot.runs.items() for run in mine]
    over = [(account, run) for account, run in runs if run["finished_at"]]
    yield _gauge(
        "syncd_run_duration_seconds",
        [((a, run["kind"]), (_at(run["finished_at"]) - _at(run["started_at"])).total_seconds()) for a, run in over],
    )
    yield _gauge(
        "syncd_run_started_timestamp_seconds",
        [((a, run["kind"]), _at(run["started_at"]).timestamp()) for a, run in runs],
    )
    yield _gauge("syncd_run_failed", [((a, run["kind"]), run["result"] != "done") for a, run in over])
    audits = [(account, run["counts"]) for account, run in over if run["kind"] == "audit" and run["counts"]]
    yield _gauge("syncd_drift", [((a, kind), count) for a, counts in audits for kind, count in counts["found"].items()])


def _gauge(name: str, values: list[tuple[tuple[str, ...], Any]]) -> Metric:
    family = GaugeMetricFamily(name, METRICS[name][1], labels=_labels(name))
    for labels, value in values:
        family.add_metric(list(labels), float(value))
    return family


def _labels(name: str) -> list[str]:
    return [label for label in METRICS[name][0].split(", ") if label]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
