"""The judges: each looks at what arrived, at the repository's history and at the store, and names what was broken."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.simulation.network import Arrival
from tests.simulation.process import MISCOUNTED
from tests.simulation.story import PREFIX, Outcome

_MOST_IN_TEN_MINUTES = 10 + 6
_LONGEST_HOLD = 16.0
"""A slot may be 15 s old when its request leaves; the record was read after it was taken."""


def broken(outcome: Outcome) -> list[str]:
    """Every promise that this run broke, in words."""
    if outcome.circle:
        return [f"no-storm: {outcome.circle}"]  # it did not come to an end, so the others have nothing to judge
    return [
        *counts_add_up(outcome),
        *never_over(outcome),
        *newest_wins(outcome),
        *nothing_lost(outcome),
        *only_changed(outcome),
        *once_refused(outcome),
        *one_create(outcome),
        *no_harm(outcome),
        *no_storm(outcome),
    ]


def counts_add_up(outcome: Outcome) -> Iterator[str]:
    found = outcome.store.reading.sum("DATACITE.DEMO")
    if not found.adds_up:
        yield f"counts-add-up: {found}"
    if any(MISCOUNTED in process.errors for process in outcome.processes):
        yield f"counts-add-up: {MISCOUNTED}"


def never_over(outcome: Outcome) -> Iterator[str]:
    most = outcome.sandbox.firewall.max_in_window
    if most > outcome.slots:
        yield f"never-over: {most} arrivals in one window of 300 s, allowed are {outcome.slots}"


def newest_wins(outcome: Outcome) -> Iterator[str]:
    """What left was what the repository said when it left, and one at a time."""
    for arrival in outcome.network.arrivals:
        if arrival.method != "PUT":
            continue
        versions = outcome.repository.between(arrival.doi, arrival.departed - _LONGEST_HOLD, arrival.departed)
        titles = arrival.attributes.get("titles")
        if titles is not None and not any(one.metadata.get("titles") == titles for one in versions):
            yield f"newest-wins: {arrival.doi} sent {titles} at {arrival.departed:.1f}, not true then: {versions}"
        event = arrival.attributes.get("event")
        if event == "publish" and not any(one.status == "published" for one in versions):
            yield f"newest-wins: {arrival.doi} published at {arrival.departed:.1f} though it was {versions}"
    yield from _overlaps(outcome)


def _overlaps(outcome: Outcome) -> Iterator[str]:
    """A later departure that arrives earlier, or a departure while the one before is still on its way."""
    by_doi: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in outcome.network.arrivals:
        by_doi[arrival.doi].append(arrival)
    for doi, arrivals in by_doi.items():
        latest = -1.0
        for arrival in arrivals:
            if arrival.departed < latest:
                yield f"newest-wins: {doi} got a request of {arrival.departed:.1f} after one of {latest:.1f}"
            latest = max(latest, arrival.departed)


def nothing_lost(outcome: Outcome) -> Iterator[str]:
    """In the end DataCite says what the repository says, or the DOI stands in failures with a cause."""
    for doi in outcome.repository.history:
        row = outcome.store.reading.doi("DATACITE.DEMO", doi)
        wrong = list(_differences(outcome, doi))
        if row is None:
            if outcome.repository.current(doi).status is not None or outcome.sandbox.world.dois.get(doi):
                yield f"nothing-lost: {doi} is unknown to the store: {wrong}"
        elif doi in outcome.vanished and doi not in outcome.sandbox.world.dois:
            pass  # somebody deleted it there, and nothing changed here: only an audit can see that
        elif row["bucket"] == "in_sync" and wrong:
            yield f"nothing-lost: {doi} counts as in sync, but {wrong}"
        elif row["bucket"] == "pending" and not row["cause"]:
            yield f"nothing-lost: {doi} is still pending without a cause after a quiet time: {wrong}"
        elif row["bucket"] == "quarantined" and not row["cause"]:
            yield f"nothing-lost: {doi} is set aside without a cause"
        elif row["cause"] == "crashed":
            yield f"nothing-lost: the program failed on {doi}: {row['message']}"


def _differences(outcome: Outcome, doi: str) -> Iterator[str]:
    version = outcome.repository.current(doi)
    stored = outcome.sandbox.world.dois.get(doi)
    state = stored.state if stored else "absent"
    public = any(state != "draft" for _, state in stored.history) if stored else False
    wanted = {
        "published": {"findable"},
        "draft": {"registered"} if public else {"draft"},
        "withdrawn": {"registered"} if public else {"absent"},
        "private": {"registered"} if public else {"absent"},
        None: {"registered"} if public else {"absent"},
    }[version.status]
    if state not in wanted:
        yield f"it is {state} where {wanted} is wanted ({version.status})"
    if version.status in ("published", "draft") and stored is not None:
        for name in ("titles", "subjects", "language", "publicationYear"):
            ours: Any = version.metadata.get(name) or None
            theirs: Any = stored.attributes.get(name) or None
            if ours != theirs:
                yield f"{name} is {theirs} where {ours} is wanted"
        if stored.state != "draft" and stored.registered is None:
            yield "it does not resolve"


def only_changed(outcome: Outcome) -> Iterator[str]:
    """A payload that was acknowledged is not sent again, unless something unknown or other lay between."""
    last: dict[str, Arrival] = {}
    before: dict[str, int] = {}
    for number, arrival in enumerate(outcome.network.arrivals):
        same = last.get(arrival.doi)
        accepted = arrival.status in (200, 201) and arrival.told
        if (
            same is not None
            and same.body == arrival.body
            and same.process == arrival.process
            and before[arrival.doi] == number_of(outcome, arrival.doi, number) - 1
            and accepted
            and not _trouble_between(outcome, same, arrival)
        ):
            yield f"only-changed: {arrival.doi} got the same payload at {same.at:.1f} and {arrival.at:.1f}"
        if accepted:
            last[arrival.doi] = arrival
            before[arrival.doi] = number_of(outcome, arrival.doi, number)
        else:
            last.pop(arrival.doi, None)


def number_of(outcome: Outcome, doi: str, index: int) -> int:
    return sum(one.doi == doi for one in outcome.network.arrivals[: index + 1])


def _trouble_between(outcome: Outcome, first: Arrival, second: Arrival) -> bool:
    """The process's own database failed, it was frozen, or the DOI did not resolve: then a repetition is right."""
    process = next(one for one in outcome.processes if one.name == second.process)
    stored = outcome.sandbox.world.dois.get(second.doi)
    unresolved = stored is not None and stored.state != "draft"
    edited = [one for one in outcome.repository.history.get(second.doi, []) if first.departed <= one.since]
    return bool(process.errors) or process.was_frozen or unresolved or bool(edited)


def once_refused(outcome: Outcome) -> Iterator[str]:
    """A refusal that was heard is not asked for again by the same process while nothing changed."""
    refused: dict[tuple[str, bytes], Arrival] = {}
    for arrival in outcome.network.arrivals:
        if arrival.status != 422 or not arrival.told:
            continue
        place = (arrival.doi, arrival.body)
        earlier = refused.get(place)
        if earlier is not None and earlier.process == arrival.process:
            process = next(one for one in outcome.processes if one.name == arrival.process)
            versions = outcome.repository.between(arrival.doi, earlier.departed, arrival.departed)
            gone = outcome.repository.current(arrival.doi).status is None or versions[-1].status is None
            if len(versions) <= 1 and not process.errors and not process.was_frozen and not gone:
                yield f"once-refused: {arrival.doi} was refused at {earlier.at:.1f} and asked again at {arrival.at:.1f}"
        refused[place] = arrival


def one_create(outcome: Outcome) -> Iterator[str]:
    created: dict[str, int] = defaultdict(int)
    deleted: dict[str, int] = defaultdict(int)
    for arrival in outcome.network.arrivals:
        created[arrival.doi] += arrival.status == 201
        deleted[arrival.doi] += arrival.method == "DELETE" and arrival.status == 204
        if not arrival.doi.startswith(f"{PREFIX}/"):
            yield f"no-harm: {arrival.doi} is not ours"
    for doi, times in created.items():
        if times > 1 + deleted[doi] + (doi in outcome.vanished):
            yield f"no-harm: {doi} was created {times} times"


def no_harm(outcome: Outcome) -> Iterator[str]:
    """Nothing became public that the repository never published."""
    for doi, stored in outcome.sandbox.world.dois.items():
        versions = outcome.repository.history[doi]
        if any(state != "draft" for _, state in stored.history) and not any(
            one.status == "published" for one in versions
        ):
            yield f"no-harm: {doi} is public and never was meant to be"


def no_storm(outcome: Outcome) -> Iterator[str]:
    """No DOI costs more than a few requests for each thing that happened to it."""
    sent: dict[str, int] = defaultdict(int)
    for arrival in outcome.network.arrivals:
        sent[arrival.doi] += 1
    attempts = outcome.network.in_outage
    for number, at in enumerate(attempts):
        # Whoever finds out, what is on its way, and one try a minute; a new process knows what the others found.
        within = sum(at <= other <= at + 600.0 for other in attempts[number:])
        if within > _MOST_IN_TEN_MINUTES:
            yield f"smallest-request: {within} attempts within ten minutes of an outage from {at:.0f} on"
            break
    for doi, count in sent.items():
        most = 12 + 6 * len(outcome.repository.history[doi])
        if count > most:
            yield f"smallest-request: {doi} cost {count} requests for {len(outcome.repository.history[doi])} versions"
