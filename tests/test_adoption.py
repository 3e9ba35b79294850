"""Adoption and drift at size, and the comparison itself: what was sent and read back is equal, every change is not.

``python -m tests.test_adoption [COUNT]`` takes over 80,000 DOIs with 800 differences, then finds drift in them.
"""

import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.audit import Audit
from syncd.cycle import opened, scan
from syncd.datacite.answer import Answer
from syncd.datacite.normal import fingerprints
from syncd.datacite.remote import Remote, one_of, page_of
from syncd.drift import held_as
from syncd.model import State
from syncd.plan import Nothing, decide
from syncd.sandbox.api import Api
from syncd.sandbox.firewall import Firewall
from syncd.sandbox.http import Request
from syncd.sandbox.server import RunningSandbox, Sandbox
from syncd.sandbox.world import World
from tests.documents import attributes
from tests.elsewhere import Elsewhere
from tests.site import ATTRIBUTES, PREFIX, Site
from tests.test_datacite_agreement import AUTHORIZATION, desired, put

COUNT = 2000


def read(api: Api, target: str) -> Answer:
    response = api.answer(Request("GET", target, AUTHORIZATION))
    return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, response.body)


def both(api: Api) -> list[Remote]:
    """The one DOI as a GET and as a list show it."""
    one = one_of(read(api, "/dois/10.5072%2Fx?affiliation=true&publisher=true"), "10.5072/x", "DATACITE.DEMO")
    page = page_of(
        read(api, "/dois?client-id=datacite.demo&page[size]=10&page[cursor]=1&affiliation=true&publisher=true"),
        "DATACITE.DEMO",
    )
    assert isinstance(one, Remote)
    return [one, *page.items]  # type: ignore[union-attr]


@given(document=attributes, state=st.sampled_from([State.DRAFT, State.FINDABLE]))
@settings(max_examples=150)
def test_what_was_sent_and_is_read_back_is_equal(document: dict[str, Any], state: State) -> None:
    api, wanted = Api(World()), desired(state, document)
    step = decide(held_as(State.NONE, True, {}, wanted), wanted)
    assert put(api, step).status == 201  # type: ignore[arg-type]

    for remote in both(api):
        held = held_as(remote.state, remote.resolves, fingerprints(remote.attributes), wanted)
        assert isinstance(decide(held, wanted), Nothing), (held, remote)


def _changed(value: Any) -> Any:
    """The value with one difference, as deep as it must be."""
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, list):
        return [_changed(value[0]), *value[1:]]
    key = next(key for key, member in sorted(value.items()) if member not in (None, "", [], {}) and key not in _DERIVED)
    return {**value, key: _changed(value[key])}


_DERIVED = ("schemaOrg", "citeproc", "bibtex", "ris")


def _mutations(remote: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The stored attributes with one change each: another value, or an entry less."""
    for name, value in remote.items():
        if name == "language" and value:
            yield name, {**remote, name: "nl" if value != "nl" else "fr"}
        elif value not in (None, [], {}, ""):
            # A licence that DataCite knows has one form there; only another one is a change.
            changed = [{"rights": "Another licence"}, *value[1:]] if name == "rightsList" else _changed(value)
            yield name, {**remote, name: changed}
            if isinstance(value, list):
                yield name, {**remote, name: value[1:]}


@given(document=attributes)
@settings(max_examples=60)
def test_every_single_change_of_the_remote_copy_is_found_and_named(document: dict[str, Any]) -> None:
    api, wanted = Api(World()), desired(State.FINDABLE, document)
    put(api, decide(held_as(State.NONE, True, {}, wanted), wanted))  # type: ignore[arg-type]
    remote = both(api)[0]

    for name, changed in _mutations(dict(remote.attributes)):
        held = held_as(remote.state, remote.resolves, fingerprints(changed), wanted)
        step = decide(held, wanted)
        assert not isinstance(step, Nothing), (name, changed)
        # What is compared by its address alone (identifiers that equal the url) moves with it.
        assert set(step.attributes) - {"identifiers"} == {name} - {"identifiers"}, (name, step)  # type: ignore[union-attr]


class Large:
    """Many DOIs that DataCite has already, as it writes them down itself, and differences of eight kinds."""

    def __init__(self, site: Site, count: int) -> None:
        self.site = site
        self.count = count
        self.elsewhere = Elsewhere(site.sandbox.application)
        self.expected: dict[str, list[str]] = {}

    def fill(self) -> None:
        """Every tenth is a draft."""
        rows = []
        for number in range(1, self.count + 1):
            document, draft = self.document(number), number % 10 == 0
            self.elsewhere.write(self.name(number), document, event=None if draft else "publish")
            url = document.pop("url")
            rows.append(
                {"id": number, "doi": self.name(number), "url": url, "metadata": json.dumps(document),
                 "status": "draft" if draft else "published", "modified": "2026-01-01 10:00:00"}
            )  # fmt: skip
        self.site.execute_many("INSERT INTO record VALUES (:id, :doi, :status, :url, :metadata, :modified)", rows)

    def name(self, number: int) -> str:
        return f"{PREFIX}/r{number}"

    def document(self, number: int) -> dict[str, Any]:
        """Attributes that DataCite stores in another form than they were sent."""
        return {
            **ATTRIBUTES,
            "titles": [{"title": f"Title {number}"}],
            "url": f"https://example.org/{number}",
            "subjects": [{"subject": f"  Physics &  more {number % 7} "}, {"subject": "Physics"}],
            "rightsList": [{"rightsIdentifier": "CC-BY-4.0"}],
            "language": ["eng", "German", "fr-CA", "en"][number % 4],
            "publicationYear": 1990 + number % 30,
            "geoLocations": [{"geoLocationPoint": {"pointLongitude": "8.5", "pointLatitude": f"{number % 80}"}}],
            "creators": [{"name": "Doe, Jane", "affiliation": [{"name": "An Institute"}]}],
        }

    def differ(self, each: int) -> None:
        """So many DOIs of each of the first five kinds, more of the others."""
        public = [number for number in range(1, self.count + 1) if number % 10]
        take = iter(random.Random(1).sample(public, 7 * each))

        def chosen(kind: list[str], change: Callable[[int], None]) -> None:
            for _ in range(each):
                number = next(take)
                change(number)
                self.expected[f"r{number}"] = kind

        write = self.elsewhere.write
        chosen(["metadata"], lambda n: write(self.name(n), {"titles": [{"title": "Another"}]}))
        chosen(["url"], lambda n: write(self.name(n), {"url": "https://old.example.org/"}))
        chosen(["metadata"], lambda n: write(self.name(n), {"subjects": []}))
        chosen(["metadata"], lambda n: write(self.name(n), {"language": "nl"}))
        chosen(["state"], lambda n: self.elsewhere.hide(self.name(n)))
        chosen(["unresolved"], lambda n: self.elsewhere.unregister(self.name(n)))
        chosen(["url", "metadata"], lambda n: write(self.name(n), {"url": "https://old.example.org/x", "version": "9"}))
        for number in range(2 * each):
            write(f"{PREFIX}/there{number}", {**ATTRIBUTES, "url": "https://example.org/t"})
            self.expected[f"there{number}"] = ["only_there"]
        for number in range(each):
            self.site.add(self.count + 1 + number)
            self.expected[f"r{self.count + 1 + number}"] = ["missing"]

    def drift(self, each: int) -> None:
        """What others do behind our back: so many DOIs of each of eight kinds, and an index that shows none of it."""
        chance, elsewhere = random.Random(2), self.elsewhere
        public = iter(chance.sample([number for number in range(1, self.count + 1) if number % 10], 6 * each))
        drafts = iter(chance.sample(range(10, self.count + 1, 10), 2 * each))
        self.expected = {}

        def happen(kind: str, numbers: Iterator[int], change: Callable[[str], None]) -> None:
            for _ in range(each):
                number = next(numbers)
                change(self.name(number))
                self.expected[f"r{number}"] = [kind]

        happen("metadata", public, lambda doi: elsewhere.write(doi, {"titles": [{"title": "Another"}]}))
        happen("url", public, lambda doi: elsewhere.write(doi, {"url": "https://old.example.org/"}))
        happen("state", public, elsewhere.hide)
        happen("state", drafts, lambda doi: elsewhere.write(doi, {}))
        happen("missing", drafts, elsewhere.delete)
        happen("moved", public, elsewhere.move)
        happen("unresolved", public, elsewhere.unregister)
        for number in range(each):
            elsewhere.write(f"{PREFIX}/intruder{number}", {**ATTRIBUTES, "url": "https://example.org/t"})
            self.expected[f"intruder{number}"] = ["only_there"]
        elsewhere.catch_up()
        # From here on the index lags: what happens and is undone, it shows for ever.
        for _ in range(each):
            doi = self.name(next(public))
            elsewhere.write(doi, {"version": "for a moment"})
            elsewhere.catch_up()
            elsewhere.write(doi, {"version": None})

    def compare(self, *, adopt: bool) -> dict[str, Any]:
        chosen = self.site.settings
        begin = time.monotonic()
        before = len(self.site.requests)
        with opened(chosen, chosen.accounts[0], self.site.store) as (parts, limiter):
            if adopt:
                scan(parts, full=True)
            counts = Audit(parts, limiter, adopt=adopt).run()
        requests = self.site.requests[before:]
        found = {one.doi.split("/")[1]: list(one.kinds) for one in self.site.store.copies.drift("DATACITE.DEMO")}
        return {
            "counts": counts,
            "found": found,
            "requests": len(requests),
            "writes": sum(one["method"] != "GET" for one in requests),
            "seconds": time.monotonic() - begin,
        }


@pytest.fixture
def large(tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]) -> Large:
    site = Site(tmp_path, sandbox, database("sqlite"), database("sqlite"), adopted=False)
    site.more = "requests_per_window = 3000"
    return Large(site, COUNT)


def test_an_adoption_names_all_differences_and_none_else(large: Large) -> None:
    large.fill()
    large.differ(8)

    result = large.compare(adopt=True)

    assert result["found"] == large.expected
    assert result["writes"] == 0
    assert result["requests"] <= 2 + 1 + 1 + len(large.expected)
    assert result["counts"].equal == COUNT - 7 * 8
    found = large.site.store.reading.sum("DATACITE.DEMO")
    assert found.adds_up
    assert (found.in_sync, found.pending) == (COUNT - 7 * 8, 8 * 8)
    again = large.compare(adopt=False)
    assert again["found"].keys() == {f"there{number}" for number in range(16)}  # the rest waits to be sent
    large.site.close()


def test_drift_of_eight_kinds_is_found_and_none_else(large: Large) -> None:
    large.fill()
    large.compare(adopt=True)
    large.drift(6)

    result = large.compare(adopt=False)

    assert result["found"] == large.expected
    assert result["writes"] == 0
    assert result["counts"].equal == COUNT - 7 * 6
    large.site.close()


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 80_000
    running = RunningSandbox(Sandbox(firewall=Firewall(limit=10**9)))
    wrong = 0
    for what, size, each in (("adoption", count, 80), ("drift", count // 4, 50)):
        with tempfile.TemporaryDirectory() as folder, running.in_background():
            site = Site(Path(folder), running, f"sqlite:///{folder}/p.db", f"sqlite:///{folder}/s.db", adopted=False)
            site.more = "requests_per_window = 3000"
            large = Large(site, size)
            large.fill()
            if what == "adoption":
                large.differ(each)
            else:
                large.compare(adopt=True)
                large.drift(each)
            result = large.compare(adopt=what == "adoption")
            site.close()
        right = result["found"] == large.expected and not result["writes"]
        wrong += not right
        kinds = Counter(kind for one in result["found"].values() for kind in one)
        sys.stdout.write(
            f"{what} of {size} DOIs with {len(large.expected)} differences: {result['requests']} requests,"
            f" {result['writes']} writes, {result['seconds']:.0f} s, {'every one' if right else 'NOT all'} named"
            f" rightly: {dict(kinds)}\n"
        )
        running = RunningSandbox(Sandbox(firewall=Firewall(limit=10**9)))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
