"""Adopt and audit: what DataCite holds is compared, confirmed, and never written."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd import audit
from syncd.audit import Audit
from syncd.counts import AuditCounts
from syncd.cycle import opened, scan
from syncd.datacite.normal import fingerprints
from syncd.errors import CredentialsError, SafetyError, UnreachableError
from syncd.model import MANAGED_ATTRIBUTES
from syncd.repair import repair
from syncd.sandbox.server import RunningSandbox
from tests.elsewhere import Elsewhere
from tests.site import ATTRIBUTES, PREFIX, Site


@pytest.fixture
def newcomer(tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]) -> Iterator[Site]:
    """A repository whose DOIs DataCite has, and a syncd that knows nothing of them."""
    made = Site(tmp_path, sandbox, database("sqlite"), database("sqlite"), adopted=False)
    yield made
    made.close()


def compared(
    site: Site, *, adopt: bool, mending: tuple[str, ...] = (), page_size: int = 1000, **others: Any
) -> AuditCounts:
    settings = site.settings
    source = settings.accounts[0].source.model_copy(update={"page_size": page_size})
    account = settings.accounts[0].model_copy(update={"source": source})
    with opened(settings, account, site.store, **others) as (parts, limiter):
        if adopt:
            scan(parts, full=True)
        counts = Audit(parts, limiter, adopt=adopt).run()
        if mending:
            repair(site.store, site.account, mending)
    return counts


def kinds(site: Site) -> dict[str, list[str]]:
    """What the last comparison found, by DOI."""
    return {one.doi.split("/")[1]: list(one.kinds) for one in site.store.copies.drift(site.account)}


def fill(site: Site, count: int) -> Elsewhere:
    """Records, and the same at DataCite as another program put them there."""
    elsewhere = Elsewhere(site.sandbox.application)
    for number in range(1, count + 1):
        site.add(number, titles=[{"title": f"Title {number}"}])
        elsewhere.write(name(number), document(number))
    return elsewhere


def name(number: int) -> str:
    return f"{PREFIX}/r{number}"


def document(number: int) -> dict[str, Any]:
    return {**ATTRIBUTES, "titles": [{"title": f"Title {number}"}], "url": f"https://example.org/{number}"}


def writes(site: Site) -> int:
    return sum(one["method"] != "GET" for one in site.requests)


def test_an_account_that_has_dois_already_is_not_sent_to_before_it_is_adopted(newcomer: Site) -> None:
    fill(newcomer, 5)

    with pytest.raises(SafetyError, match="holds 5 DOIs of DATACITE.DEMO already") as stop:
        newcomer.sync()

    assert "syncd adopt" in stop.value.hint
    assert writes(newcomer) == 0
    compared(newcomer, adopt=True)
    assert newcomer.sync().send.requests == 0
    assert newcomer.store.reading.sum("DATACITE.DEMO").in_sync == 5


def test_an_account_without_dois_needs_no_adoption(newcomer: Site) -> None:
    newcomer.add(1)

    assert newcomer.sync().send.accepted == 1
    newcomer.add(2)
    assert newcomer.sync().send.accepted == 1
    assert sum(one["method"] == "GET" for one in newcomer.requests) == 1


def test_adoption_names_every_difference_and_writes_nothing(newcomer: Site) -> None:
    elsewhere = fill(newcomer, 40)
    elsewhere.write(name(1), {"titles": [{"title": "Another title"}]})
    elsewhere.write(name(2), {"url": "https://old.example.org/2"})
    elsewhere.write(name(3), {"language": "fr"})
    elsewhere.write(name(4), {"subjects": [{"subject": "Only there"}]})
    elsewhere.hide(name(5))
    newcomer.edit(6, status="withdrawn")
    newcomer.edit(7, status="draft")
    elsewhere.unregister(name(8))
    elsewhere.write(f"{PREFIX}/only-there", document(99))
    newcomer.add(41)
    newcomer.add(42, types={"resourceTypeGeneral": "Datset"})
    newcomer.sandbox.application.world.accounts["demo"].prefixes.append("10.9999")
    elsewhere.write("10.9999/strange", document(98))

    counts = compared(newcomer, adopt=True)

    assert kinds(newcomer) == {
        "r1": ["metadata"], "r2": ["url"], "r3": ["metadata"], "r4": ["metadata"], "r5": ["state"], "r6": ["state"],
        "r7": ["state"], "r8": ["unresolved"], "only-there": ["only_there"], "r41": ["missing"], "r42": ["missing"],
    }  # fmt: skip
    assert counts.attributes == Counter(titles=1, url=1, language=1, subjects=1)
    assert (counts.equal, counts.different, counts.foreign) == (32, 11, 1)
    assert writes(newcomer) == 0
    assert len(newcomer.requests) == 1 + 11 + 1  # the last shows that what is missing is not a lost password
    assert newcomer.sync().send.requests == 9  # not the one that only DataCite has, nor the invalid one
    assert [one["attributes"] for one in newcomer.row(2)["writes"]] == [["url"]]
    assert newcomer.row(42)["cause"] == "metadata_invalid"


@pytest.mark.parametrize("seed", range(4))
def test_an_adoption_that_is_killed_goes_on_where_it_was(newcomer: Site, seed: int) -> None:
    fill(newcomer, 60)
    stop_after = random.Random(seed).randrange(1, 6)
    asked: list[str] = []

    class Killed(BaseException):
        pass

    settings = newcomer.settings

    def run(pages: int | None) -> None:
        with opened(settings, settings.accounts[0], newcomer.store) as (parts, limiter):
            scan(parts, full=True)
            comparison = Audit(parts, limiter, adopt=True)
            comparison._inquiry._size = 10
            read = comparison._inquiry.page

            def page(cursor: str | None, size: int | None = None) -> Any:
                if pages is not None and len(asked) >= pages:
                    raise Killed
                asked.append(str(cursor))
                return read(cursor, size)

            comparison._inquiry.page = page  # type: ignore[method-assign]
            comparison.run()

    with pytest.raises(Killed):
        run(stop_after)
    run(None)

    assert len(asked) == 7  # six full pages and an empty one
    assert newcomer.store.reading.sum("DATACITE.DEMO").in_sync == 60
    assert kinds(newcomer) == {}


def drifted(site: Site) -> Elsewhere:
    """Thirty DOIs in sync, eight of them changed there behind our back, and an index that is wrong about three more."""
    for number in range(1, 31):
        status = "draft" if number in (4, 5) else "published"
        site.add(number, status=status, titles=[{"title": f"Title {number}"}])
    elsewhere = Elsewhere(site.sandbox.application)
    site.sync()
    elsewhere.write(f"{PREFIX}/ghost", document(97), event=None)
    elsewhere.write(name(9), {"titles": [{"title": "For a moment only"}]})
    elsewhere.catch_up()
    elsewhere.delete(f"{PREFIX}/ghost")
    elsewhere.write(name(9), {"titles": [{"title": "Title 9"}]})

    world = site.sandbox.application.world
    elsewhere.write(name(1), {"titles": [{"title": "Another title"}]})
    elsewhere.write(name(2), {"url": "https://old.example.org/2"})
    elsewhere.hide(name(3))
    elsewhere.write(name(4), {})
    elsewhere.delete(name(5))
    elsewhere.move(name(6))
    elsewhere.unregister(name(7))
    elsewhere.write(f"{PREFIX}/intruder", document(99))
    world._index.update({doi: stored for doi, stored in world.dois.items() if doi != name(9)})
    for doi in (name(5), name(6)):
        world._index.pop(doi)
    return elsewhere


EIGHT = {
    "r1": ["metadata"], "r2": ["url"], "r3": ["state"], "r4": ["state"], "r5": ["missing"], "r6": ["moved"],
    "r7": ["unresolved"], "intruder": ["only_there"],
}  # fmt: skip


def test_drift_of_eight_kinds_is_found_although_the_index_lags_and_nothing_else_is(site: Site) -> None:
    drifted(site)
    before = writes(site)

    counts = compared(site, adopt=False)

    assert kinds(site) == EIGHT
    assert (counts.equal, counts.different) == (23, 8)
    assert writes(site) == before
    assert site.sync().send.requests == 0  # an audit alone repairs nothing
    words = {one.doi: one.words for one in site.store.copies.drift("DATACITE.DEMO")}
    assert words[name(1)] == "titles differ; somebody else wrote it: metadataVersion 1, after ours 0"
    assert words[name(7)] == "DataCite has not registered the DOI in the handle system"


@pytest.mark.parametrize(
    ("kind", "mended", "request_attributes"),
    [
        ("metadata", "r1", ["titles"]),
        ("url", "r2", ["url"]),
        ("unresolved", "r7", []),
        ("missing", "r5", None),
    ],
)
def test_a_repair_of_one_kind_sends_that_kind_only(
    site: Site, kind: str, mended: str, request_attributes: list[str] | None
) -> None:
    drifted(site)

    compared(site, adopt=False, mending=(kind,))
    report = site.sync()

    assert (report.send.requests, report.send.accepted) == (1, 1)
    if request_attributes is not None:
        assert site.row(int(mended[1:]))["writes"][0]["attributes"] == request_attributes
    compared(site, adopt=False)
    assert kinds(site) == {doi: found for doi, found in EIGHT.items() if doi != mended}


def test_a_repair_of_the_state_publishes_and_hides_again(site: Site) -> None:
    drifted(site)

    compared(site, adopt=False, mending=("state",))

    assert site.sync().send.accepted == 2
    assert [stored.state for number in (3, 4) if (stored := site.remote(number))] == ["findable", "registered"]


def test_what_waits_to_be_sent_is_no_drift(site: Site) -> None:
    for number in range(1, 4):
        site.add(number)
    site.sync()
    site.fault("status", status=422, count=2)
    site.edit(3, titles=[{"title": "Refused"}])
    site.scan()
    site.send()
    site.edit(1, titles=[{"title": "Not sent yet"}])
    site.scan()
    site.edit(2, titles=[{"title": "Not even scanned"}])

    counts = compared(site, adopt=False)

    assert kinds(site) == {}
    assert (counts.equal, counts.waiting, counts.quarantined, counts.different) == (0, 2, 1, 0)
    assert counts.failed_but_public == 1


def test_rejected_credentials_are_no_empty_account(newcomer: Site) -> None:
    fill(newcomer, 3)
    newcomer.sandbox.application.world.accounts["demo"].password = "another"

    with pytest.raises(CredentialsError, match="does not name the account"):
        compared(newcomer, adopt=True)
    with pytest.raises(CredentialsError):
        newcomer.sync()


def test_a_list_page_that_is_too_large_is_asked_for_in_smaller_ones(newcomer: Site) -> None:
    fill(newcomer, 30)
    newcomer.fault("status", status=502, count=2, method="GET", path="/dois")

    counts = compared(newcomer, adopt=True, chance=lambda: 0.0)

    assert counts.equal == 30
    sizes = [one["path"].split("size%5D=")[1].split("&")[0] for one in newcomer.requests]
    assert sizes == ["1000", "500", "250"]


def test_a_copy_of_the_system_is_refused_until_somebody_rebinds_it(site: Site, tmp_path: Path) -> None:
    site.add(1)
    site.sync()
    clone = tmp_path / "clone.sqlite"
    clone.write_bytes(Path(site.platform_url.removeprefix("sqlite:///")).read_bytes())
    site.platform_url = f"sqlite:///{clone}"
    site.edit(1, titles=[{"title": "Edited before the copy was made"}])
    before = len(site.requests)

    with pytest.raises(SafetyError, match="is this a copy of another system") as stop:
        site.sync()

    assert "--rebind" in stop.value.hint
    assert len(site.requests) == before
    compared(site, adopt=True, rebind=True)
    assert site.sync().send.requests == 0


def syncd(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert site.settings
    command = [sys.executable, "-m", "syncd", "-c", str(site.path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_commands_tell_what_differs_and_how_to_go_on(newcomer: Site) -> None:
    elsewhere = fill(newcomer, 10)
    elsewhere.write(name(1), {"titles": [{"title": "[red]Another[/red] title"}]})

    adopted = syncd(newcomer, "adopt")

    assert adopted.returncode == 0, adopted.stderr
    assert "10 DOIs at DataCite, 9 as they should be, 1 different" in adopted.stdout
    assert "[red]Another[/red] title" in adopted.stdout
    assert "syncd plan" in adopted.stdout
    assert syncd(newcomer, "sync").returncode == 0
    elsewhere.write(name(2), {"url": "https://old.example.org/2"})
    found = syncd(newcomer, "audit", "--json")
    assert found.returncode == 1
    (document_,) = json.loads(found.stdout)
    assert document_["found"] == {"url": 1}
    assert document_["examples"][0]["attributes"]["url"]["datacite"] == "https://old.example.org/2"
    assert "1 × the landing page differs" not in syncd(newcomer, "audit", "--last").stdout
    assert "https://old.example.org/2" in syncd(newcomer, "audit", "--last").stdout
    assert "1 DOI pending now" in syncd(newcomer, "audit", "--repair", "url").stderr
    assert syncd(newcomer, "sync").returncode == 0
    assert syncd(newcomer, "audit").returncode == 0


def test_one_doi_is_shown_with_what_datacite_holds_now(site: Site) -> None:
    site.add(1, titles=[{"title": "Ours"}])
    site.add(2)
    site.sync()
    Elsewhere(site.sandbox.application).write(name(1), {"titles": [{"title": "Theirs"}]})

    one = syncd(site, "show", name(1), "--remote")
    two = syncd(site, "show", name(2), "--remote", "--json")

    assert "titles: [{'title': 'Ours'}] → [{'title': 'Theirs'}]" in one.stdout
    assert json.loads(two.stdout)[0]["remote"]["words"].startswith("DataCite holds it as it should be: findable")
    assert "remote" not in json.loads(syncd(site, "show", name(2), "--json").stdout)[0]


def test_a_rebind_to_another_datacite_knows_nothing_of_it(site: Site) -> None:
    for number in range(1, 21):
        site.add(number)
    site.sync()
    world = site.sandbox.application.world
    world.clear()
    with site.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE syncd_fingerprint SET host = 'http://127.0.0.1:1'")

    compared(site, adopt=True, rebind=True)

    assert site.store.reading.sum("DATACITE.DEMO").in_sync == 0
    assert site.sync().send.accepted == 20
    assert len(world.dois) == 20


def test_that_datacite_rightly_has_nothing_is_not_taken_from_a_list(newcomer: Site) -> None:
    """The index does not know yet of two DOIs that should not be public."""
    elsewhere = Elsewhere(newcomer.sandbox.application)
    elsewhere.catch_up()
    for number, status in ((1, "withdrawn"), (2, "private")):
        newcomer.add(number, status=status, titles=[{"title": f"Title {number}"}])
        elsewhere.write(name(number), document(number))

    compared(newcomer, adopt=True)

    assert kinds(newcomer) == {"r1": ["state"], "r2": ["state"]}
    newcomer.sync()
    assert [stored.state for number in (1, 2) if (stored := newcomer.remote(number))] == ["registered", "registered"]


def test_adoption_of_a_new_account_does_not_ask_for_every_doi_that_will_be_sent_anyway(newcomer: Site) -> None:
    for number in range(30):
        newcomer.add(number)

    counts = compared(newcomer, adopt=True)

    assert (counts.waiting, counts.different, counts.requests) == (30, 0, 1)
    assert newcomer.sync().send.accepted == 30


def test_an_empty_list_is_believed_after_hundreds_of_questions_in_vain(
    newcomer: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_ASK_AT_ONCE", 20)
    for number in range(300):
        newcomer.add(number, status="private")

    counts = compared(newcomer, adopt=True, page_size=10)

    assert (counts.equal, counts.different) == (300, 0)
    assert counts.requests < 30


def test_an_account_that_was_emptied_at_datacite_is_no_new_one(site: Site) -> None:
    for number in range(5):
        site.add(number)
    site.sync()
    world = site.sandbox.application.world
    for stored in list(world.dois.values()):
        world.remove(stored)

    counts = compared(site, adopt=True)

    assert (counts.different, counts.waiting) == (5, 0)


def test_a_list_that_ends_early_is_no_proof(newcomer: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(newcomer, 60)
    from syncd.inquiry import Inquiry

    page = Inquiry.page

    def part(self: Inquiry, cursor: str | None, size: int | None = None) -> Any:
        found = page(self, cursor, size)
        return found if size else replace(found, items=found.items[:20], cursor=None)

    monkeypatch.setattr(Inquiry, "page", part)

    with pytest.raises(UnreachableError, match="counts 60 DOIs of DATACITE.DEMO, and its list had 20"):
        compared(newcomer, adopt=True)

    monkeypatch.undo()
    assert compared(newcomer, adopt=True).equal == 60


def test_an_older_list_does_not_overrule_what_was_sent_since(site: Site) -> None:
    site.add(1, titles=[{"title": "A"}])
    site.sync()
    Elsewhere(site.sandbox.application).catch_up()
    site.edit(1, titles=[{"title": "B"}])
    site.sync()
    site.edit(1, titles=[{"title": "A"}])

    compared(site, adopt=True)  # the list still says A, and so does the platform

    assert site.sync().send.accepted == 1
    assert site.title(1) == "A"


def test_a_repair_of_the_landing_page_leaves_a_hidden_doi_hidden(site: Site) -> None:
    site.add(1)
    site.sync()
    elsewhere = Elsewhere(site.sandbox.application)
    elsewhere.write(name(1), {"url": "https://old.example.org/1"})
    elsewhere.hide(name(1))

    compared(site, adopt=False, mending=("url",))

    assert site.sync().send.requests == 0
    stored = site.remote(1)
    assert stored is not None
    assert stored.state == "registered"
    compared(site, adopt=False, mending=("url", "state"))
    assert site.sync().send.accepted == 1


@pytest.mark.parametrize(
    "odd",
    [{"subjects": ["", None, "text"]}, {"rightsList": [None, "x"]}, {"publicationYear": 2**60},
     {"geoLocations": [{"geoLocationPoint": {"pointLatitude": "NaN", "pointLongitude": float("inf")}}]}],
    ids=str,
)  # fmt: skip
def test_what_datacite_holds_in_a_strange_form_is_different_and_stops_nothing(newcomer: Site, odd: Any) -> None:
    fill(newcomer, 3)
    newcomer.sandbox.application.world.dois[name(2)].attributes.update(odd)
    newcomer.sandbox.application.world.searchable()

    counts = compared(newcomer, adopt=True)

    assert counts.equal == 2
    assert kinds(newcomer) == {"r2": ["metadata"]}


def test_an_attribute_of_any_form_has_a_fingerprint() -> None:
    for value in (
        ["x"],
        [None],
        [[1]],
        "x",
        5,
        float("nan"),
        {"a": float("inf")},
        [{"subject": None}],
        2**70,
        "\ud800",
    ):
        for attribute in MANAGED_ATTRIBUTES:
            assert fingerprints({attribute: value, "url": "https://example.org/"}) is not None
