"""The promises of the design, each on a real repository, a real store and a real HTTP server."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest

from syncd.brake import Consent
from syncd.errors import SafetyError, StateError
from syncd.model import State
from syncd.store.facts import Note
from syncd.store.runs import HOST
from tests.site import PREFIX, Site

NEW_TITLE = [{"title": "Another title"}]


def test_only_changed_an_unchanged_record_costs_no_request(site: Site) -> None:
    site.add(1)
    site.sync()
    site.requests.clear()

    report = site.sync()

    assert site.requests == []
    assert (report.scan.untouched, report.send.requests) == (1, 0)


def test_only_changed_a_touched_record_costs_no_request(site: Site) -> None:
    site.add(1)
    site.sync()
    site.requests.clear()
    site.execute("UPDATE record SET metadata = ' ' || metadata, modified = '2026-05-05 05:05:05'")

    report = site.sync()

    assert site.requests == []
    assert report.scan.touched == 1


def test_smallest_request_only_the_changed_attribute_is_sent(site: Site) -> None:
    site.add(1)
    site.sync()
    site.edit(1, titles=NEW_TITLE)

    site.sync()

    assert site.row(1)["writes"][0]["attributes"] == ["titles"]
    assert site.title(1) == "Another title"


def test_smallest_request_a_removed_attribute_is_cleared_explicitly(site: Site) -> None:
    site.add(1, subjects=[{"subject": "one"}], language="en")
    site.sync()
    site.edit(1, titles=NEW_TITLE)

    site.sync()

    stored = site.remote(1)
    assert stored is not None
    assert site.row(1)["writes"][0]["attributes"] == ["language", "subjects", "titles"]
    assert (stored.attributes["subjects"], stored.attributes["language"]) == ([], None)


def test_nothing_lost_an_answer_that_never_arrived_is_followed_by_the_complete_record(site: Site) -> None:
    site.add(1)
    site.sync()
    site.edit(1, titles=NEW_TITLE)
    site.fault("reset-after-commit", method="PUT")
    site.grace = "1h"
    site.sync()
    assert site.title(1) == "Another title"  # DataCite committed, and we do not know
    assert site.row(1)["bucket"] == "pending"
    site.edit(1, titles=[{"title": "A title"}])  # the platform reverts the edit
    site.requests.clear()
    site.sync()
    assert site.requests == []  # it rests for the grace time, so that a late arrival cannot win

    site.grace = "0s"
    _make_due(site)
    site.sync()

    assert len(site.requests) == 1
    assert site.title(1) == "A title"
    last = site.row(1)["writes"][0]
    assert len(last["attributes"]) == 21  # every managed attribute
    assert site.row(1)["bucket"] == "in_sync"


def test_nothing_lost_a_doi_that_vanished_at_datacite_is_sent_complete_at_once(site: Site) -> None:
    site.add(1, status="draft")
    site.sync()
    del site.sandbox.application.world.dois[f"{PREFIX}/r1"]
    site.edit(1, titles=NEW_TITLE)
    site.requests.clear()

    site.sync()

    assert [request["status"] for request in site.requests] == [201, 200]
    writes = site.row(1)["writes"]
    assert (writes[1]["result"], writes[1]["attributes"]) == ("recreated", ["titles"])
    assert len(writes[0]["attributes"]) == 21
    stored = site.remote(1)
    assert stored is not None
    assert stored.attributes["creators"][0]["name"] == "Doe, Jane"


@pytest.mark.parametrize("kind", ["reset", "garbage", "truncate", "status"])
def test_nothing_lost_every_kind_of_broken_answer_is_repeated_until_it_is_there(site: Site, kind: str) -> None:
    site.add(1)
    site.fault(kind)
    site.sync()
    assert site.row(1)["bucket"] == "pending"

    _make_due(site)
    site.sync()

    assert site.row(1)["bucket"] == "in_sync"
    assert site.title(1) == "A title"


def test_newest_wins_what_is_sent_is_what_the_platform_says_at_the_moment_of_sending(site: Site) -> None:
    site.add(1)
    site.scan()
    site.edit(1, titles=NEW_TITLE)  # between scan and send

    site.sync()

    assert site.title(1) == "Another title"
    assert len(site.requests) == 1


def test_once_refused_a_refused_record_is_not_sent_again_until_it_changes(site: Site) -> None:
    site.add(1)
    site.fault("status", status=422)
    site.sync()
    assert site.row(1)["bucket"] == "quarantined"
    site.requests.clear()
    site.sync()
    site.execute("UPDATE record SET metadata = ' ' || metadata")  # touched, not changed
    site.sync()
    assert site.requests == []

    site.edit(1, titles=NEW_TITLE)
    site.sync()

    assert len(site.requests) == 1
    assert site.row(1)["bucket"] == "in_sync"


def test_once_refused_an_invalid_record_costs_no_request_and_says_what_to_do(site: Site) -> None:
    site.add(1, types={"resourceTypeGeneral": "Datset"})

    site.sync()

    assert site.requests == []
    group = site.store.reading.failures("DATACITE.DEMO")[0]
    assert (group.cause, group.count, group.quarantined) == ("metadata_invalid", 1, 1)
    assert "did you mean 'Dataset'?" in group.examples[0][1]


def test_a_wrong_state_behind_a_success_is_no_success(site: Site) -> None:
    site.add(1)
    site.sync()
    site.edit(1, status="withdrawn")
    # Somebody publishes between our request and its answer's reading: hide answers 200 and stays findable.
    world = site.sandbox.application.world
    from syncd.sandbox import writes

    before = dict(writes.TRANSITIONS)
    writes.TRANSITIONS.pop(("findable", "hide"))
    try:
        site.sync()
    finally:
        writes.TRANSITIONS.update(before)

    assert world.dois[f"{PREFIX}/r1"].state == "findable"
    assert site.row(1)["cause"] == "state_not_reached"
    assert site.row(1)["bucket"] == "quarantined"


def test_a_public_doi_that_does_not_resolve_yet_is_sent_again(site: Site) -> None:
    site.add(1)
    site.sandbox.application.world.handles_answer = False
    site.sync()
    assert (site.row(1)["bucket"], site.row(1)["cause"]) == ("pending", "not_resolving")
    site.sandbox.application.world.handles_answer = True

    _make_due(site)
    site.sync()

    assert site.row(1)["bucket"] == "in_sync"
    assert site.row(1)["writes"][0]["attributes"] == []


def test_an_attribute_that_datacite_stores_otherwise_is_a_failure(site: Site) -> None:
    site.add(1, titles=[{"title": "T", "lang": "en"}])
    from syncd.sandbox.attributes import OBJECT_LISTS

    OBJECT_LISTS["titles"].remove("lang")
    try:
        site.sync()
    finally:
        OBJECT_LISTS["titles"].add("lang")

    row = site.row(1)
    assert (row["cause"], row["bucket"]) == ("stored_differently", "quarantined")
    assert "titles" in row["message"]


def test_wrong_credentials_stop_the_account_and_charge_no_record(site: Site) -> None:
    for number in range(1, 30):
        site.add(number)
    site.sandbox.application.world.accounts["demo"].password = "another"

    report = site.sync()

    assert report.send.halted
    assert len(site.requests) == 1
    assert [pause.cause for pause in site.store.runs.pauses("DATACITE.DEMO")] == ["credentials"]
    assert site.store.reading.failures("DATACITE.DEMO") == []
    site.sandbox.application.world.accounts["demo"].password = "demo"
    assert site.sync().send.accepted == 29


def test_throttling_pauses_the_host_and_charges_no_record(site: Site) -> None:
    for number in range(1, 30):
        site.add(number)
    site.sandbox.application.faults.replace([{"kind": "retry-after", "seconds": 120}])

    report = site.sync()

    assert report.send.paused
    assert len(site.requests) <= 4
    pause = site.store.runs.pauses()[0]
    assert (pause.scope, pause.cause) == (HOST, "throttled")
    assert pause.until is not None
    assert pause.until - pause.since >= timedelta(seconds=119)
    assert site.store.reading.failures("DATACITE.DEMO") == []


def test_a_403_from_the_firewall_is_throttling_and_not_a_refusal(site: Site) -> None:
    site.add(1)
    site.fault("html-403")

    site.sync()

    assert site.row(1)["bucket"] == "pending"
    assert [pause.cause for pause in site.store.runs.pauses()] == ["throttled"]


def test_a_server_that_is_down_is_asked_a_few_times_and_not_more(site: Site) -> None:
    for number in range(1, 60):
        site.add(number)
    site.sandbox.application.faults.replace([{"kind": "status", "status": 503}])

    report = site.sync()

    assert report.send.paused
    assert len(site.requests) <= 5 + 4


def test_no_harm_an_emptied_source_stops_the_run(site: Site) -> None:
    site.add(1)
    site.sync()
    site.requests.clear()
    site.remove(1)

    with pytest.raises(SafetyError, match="DATACITE.DEMO: 1 DOIs are missing"):
        site.sync()

    assert site.requests == []
    assert site.row(1)["bucket"] == "in_sync"
    site.sync(consent=Consent(missing=True))
    stored = site.remote(1)
    assert stored is not None
    assert stored.state == "registered"


def test_no_harm_half_of_the_records_gone_stops_the_run(site: Site) -> None:
    for number in range(1, 30):
        site.add(number)
    site.sync()
    site.requests.clear()
    site.execute("DELETE FROM record WHERE id > 10")

    with pytest.raises(SafetyError, match="19 DOIs"):
        site.sync()

    assert site.requests == []


def test_no_harm_an_unknown_status_publishes_nothing_and_is_reported(site: Site) -> None:
    site.add(1, status="embargoed until further notice")

    site.sync()

    assert site.requests == []
    assert site.row(1)["cause"] == "status_unknown"
    assert site.row(1)["bucket"] == "quarantined"


def test_no_harm_the_state_of_one_datacite_refuses_another(site: Site) -> None:
    site.add(1)
    site.sync()
    settings = site.settings
    other = settings.model_copy(
        update={"datacite": settings.datacite.model_copy(update={"host": "http://127.0.0.1:9"})}
    )
    from syncd import cycle

    with pytest.raises(SafetyError, match="belongs to the host") as refusal:
        cycle.run(other, other.accounts[0], site.store)
    assert refusal.value.exit_code == 78


def test_a_doi_outside_the_prefixes_is_foreign_and_never_touched(site: Site) -> None:
    site.add(1, doi="10.1234/elsewhere")

    site.sync()

    assert site.requests == []
    assert site.store.reading.sum("DATACITE.DEMO").foreign == 1


def test_a_gone_draft_is_deleted_and_forgotten(site: Site) -> None:
    site.add(1, status="draft")
    site.add(2)
    site.sync()
    site.remove(1)

    site.sync()

    assert site.remote(1) is None
    assert site.store.reading.sum("DATACITE.DEMO").wanted == 1


def test_a_gone_record_that_comes_back_is_published_again(site: Site) -> None:
    site.add(1)
    site.add(2)
    site.sync()
    site.remove(1)
    site.sync()
    hidden = site.remote(1)
    assert hidden is not None
    assert hidden.state == "registered"
    site.add(1)

    site.sync()

    shown = site.remote(1)
    assert shown is not None
    assert shown.state == "findable"
    assert site.row(1)["writes"][0]["attributes"] == []  # its content had not changed


def test_two_records_with_one_doi_are_named_and_neither_is_sent(site: Site) -> None:
    site.add(1)
    site.add(2, doi=f"{PREFIX.upper()}/R1")

    site.sync()

    assert site.requests == []
    row = site.row(1)
    assert (row["cause"], row["bucket"]) == ("doi_duplicate", "quarantined")
    assert "records 1 and 2" in row["message"]
    site.sync()
    assert len(site.row(1)["failures"]) == 1  # said once, not at every scan
    site.remove(2)
    site.sync()
    assert site.row(1)["bucket"] == "in_sync"


def test_a_second_record_that_takes_a_doi_stops_it_until_the_first_gives_it_up(site: Site) -> None:
    site.add(1)
    site.sync()
    site.add(2, doi=f"{PREFIX}/r1", titles=NEW_TITLE)
    site.sync()
    assert site.row(1)["cause"] == "doi_duplicate"
    site.remove(1)

    site.sync()

    assert site.row(1)["record_key"] == "2"
    assert site.title(1) == "Another title"


def test_a_record_whose_doi_changed_hides_the_old_and_publishes_the_new(site: Site) -> None:
    site.add(1)
    site.add(2)
    site.sync()
    site.execute(f"UPDATE record SET doi = '{PREFIX}/r9' WHERE id = 1")

    site.sync()

    old, new = site.remote(1), site.remote(9)
    assert old is not None
    assert new is not None
    assert (old.state, new.state) == ("registered", "findable")


def test_counts_add_up_over_every_kind_of_record(site: Site) -> None:
    for number, status in enumerate(["published", "draft", "withdrawn", "private", "strange"], start=1):
        site.add(number, status=status)
    site.add(10, doi="10.1234/foreign")
    site.add(11, doi="")
    site.sync()
    site.add(12)
    site.scan()

    found = site.store.reading.sum("DATACITE.DEMO")

    assert (found.wanted, found.in_sync, found.pending, found.quarantined, found.foreign) == (7, 4, 1, 1, 1)
    assert found.adds_up


def test_read_only_the_platform_refuses_a_write_through_our_connection(site: Site) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    from syncd.platforms.connection import open_engine

    site.add(1)
    engine = open_engine(site.platform_url, 5)
    with pytest.raises(OperationalError, match="readonly"), engine.begin() as connection:
        connection.execute(text("DELETE FROM record"))
    engine.dispose()


def test_the_quick_look_finds_what_its_timestamp_tells(site: Site) -> None:
    site.add(1)
    site.add(2)
    site.sync()
    site.requests.clear()
    site.edit(1, titles=NEW_TITLE)
    site.execute("UPDATE record SET modified = '2026-06-01 10:00:00' WHERE id = 1")
    site.edit(2, titles=NEW_TITLE)  # silently, and long ago
    site.execute("UPDATE record SET modified = '2025-01-01 10:00:00' WHERE id = 2")

    report = site.sync(full=False)

    assert report.scan.records == 1
    assert (site.title(1), site.title(2)) == ("Another title", "A title")
    site.sync()
    assert site.title(2) == "Another title"  # the full scan is the proof


def test_a_partial_update_that_is_refused_is_followed_by_the_complete_record(site: Site) -> None:
    site.add(1, status="draft")
    site.sync()
    del site.sandbox.application.world.dois[f"{PREFIX}/r1"]
    site.edit(1, status="published")
    site.requests.clear()

    site.sync()

    assert [request["status"] for request in site.requests] == [422, 201]
    stored = site.remote(1)
    assert stored is not None
    assert stored.state == "findable"
    assert site.row(1)["bucket"] == "in_sync"


def test_a_record_that_makes_syncd_fail_does_not_stop_the_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd import send

    for number in range(1, 10):
        site.add(number)
    next_step = send.next_step

    def poisoned(held: Any, desired: Any, policy: Any, **account: Any) -> Any:
        if desired.doi.endswith("/r5"):
            raise RecursionError("poison")
        return next_step(held, desired, policy, **account)

    monkeypatch.setattr(send, "next_step", poisoned)
    for _ in range(3):
        site.sync()
        _make_due(site)

    row = site.row(5)
    assert site.store.reading.sum("DATACITE.DEMO").in_sync == 8
    assert (row["cause"], row["bucket"], row["attempts"]) == ("crashed", "quarantined", 3)
    assert "poison" in row["message"]


def test_no_state_no_send(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    site.add(1)

    def no_commit(*_arguments: Any) -> bool:
        with site.store.database.writing():
            raise OperationalError("UPDATE", {}, Exception("disk is full"))

    monkeypatch.setattr(type(site.store.claims), "mark_unsure", no_commit)

    with pytest.raises(StateError, match="disk is full"):
        site.sync()

    assert site.requests == []
    monkeypatch.undo()
    site.sync()
    assert site.row(1)["bucket"] == "in_sync"


def _make_due(site: Site) -> None:
    """As if the waiting time were over."""
    from sqlalchemy import update

    from syncd.store.tables import doi

    with site.store.database.writing() as connection:
        connection.execute(update(doi).values(next_try_at=None))
    for pause in site.store.runs.pauses():
        site.store.runs.resume(pause.scope)


def test_every_failure_in_the_store_has_a_cause_with_a_next_action(site: Site) -> None:
    from syncd.causes import CAUSES

    site.add(1, status="strange")
    site.add(2, types={"resourceTypeGeneral": "Nope"})
    site.add(3, url=None, publisher=None)
    site.sync()

    for group in site.store.reading.failures("DATACITE.DEMO"):
        assert CAUSES[group.cause].action
    assert json.dumps(site.row(2))


# Sequences that a hostile review found.


def test_a_correction_noted_while_the_wrong_version_is_on_its_way_is_sent(site: Site, monkeypatch: Any) -> None:
    from syncd.datacite.client import Client

    site.add(1)
    write = Client.write

    def slow(self: Client, request: Any, leave_by: float) -> Any:
        site.fault("status", status=422)
        answer = write(self, request, leave_by)
        monkeypatch.setattr(Client, "write", write)
        site.edit(1, titles=NEW_TITLE)
        site.scan()  # another process, before the answer is settled
        return answer

    monkeypatch.setattr(Client, "write", slow)
    site.sync()
    site.sync()

    assert site.title(1) == "Another title"
    assert site.row(1)["bucket"] == "in_sync"


def test_a_duplicate_noted_while_a_request_is_on_its_way_stays_known(site: Site, monkeypatch: Any) -> None:
    from syncd.datacite.client import Client

    site.add(1)
    write = Client.write

    def slow(self: Client, request: Any, leave_by: float) -> Any:
        monkeypatch.setattr(Client, "write", write)
        site.add(2, doi=f"{PREFIX}/r1")
        site.scan()
        return write(self, request, leave_by)

    monkeypatch.setattr(Client, "write", slow)
    site.sync()

    assert (site.row(1)["bucket"], site.row(1)["cause"]) == ("quarantined", "doi_duplicate")


@pytest.mark.parametrize("second", ["retry-after", "invalid", "html-403"])
def test_a_lost_first_publish_is_hidden_when_the_record_goes_whatever_came_between(site: Site, second: str) -> None:
    site.add(1)
    site.add(2)
    site.fault("reset-after-commit", path="r1$")
    site.sync()
    _make_due(site)
    published = site.remote(1)
    assert published is not None
    assert published.state == "findable"
    if second == "invalid":
        site.edit(1, types={"resourceTypeGeneral": "Nope"})
    else:
        site.fault(second, path="r1$")
    site.sync()
    _make_due(site)
    assert site.row(1)["bucket"] != "in_sync"
    site.remove(1)
    for _ in range(2):
        site.sync()
        _make_due(site)

    hidden = site.remote(1)
    assert hidden is not None
    assert hidden.state == "registered"


@pytest.mark.parametrize("value", ["NULL", "'10.9999/x' || id"])
def test_no_harm_records_that_lose_their_dois_stop_the_run(site: Site, value: str) -> None:
    for number in range(1, 30):
        site.add(number)
    site.sync()
    site.requests.clear()
    site.execute(f"UPDATE record SET doi = {value}")

    with pytest.raises(SafetyError, match="29 DOIs"):
        site.sync()

    assert site.requests == []


def test_no_harm_a_table_that_is_empty_between_scan_and_send_hides_nothing(site: Site) -> None:
    for number in range(1, 5):
        site.add(number)
    site.sync()
    for number in range(1, 5):
        site.edit(number, titles=NEW_TITLE)
    site.scan()
    site.execute("ALTER TABLE record RENAME TO loaded")
    site.execute("CREATE TABLE record AS SELECT * FROM loaded WHERE 0")
    site.requests.clear()
    site.send()

    assert site.requests == []
    site.execute("DROP TABLE record")
    site.execute("ALTER TABLE loaded RENAME TO record")
    _make_due(site)
    site.sync()
    assert [site.title(number) for number in range(1, 5)] == ["Another title"] * 4


def test_what_waits_for_a_scan_does_not_keep_a_worker_busy_that_tries_whether_a_pause_can_end(site: Site) -> None:
    """The only DOI that could tell is none of a worker's business: it leaves it alone, and does not ask for it on."""
    site.add(1)
    site.sync()
    site.edit(1, titles=NEW_TITLE)
    site.scan()
    site.execute("UPDATE record SET status = 'withdrawn'")
    site.send()
    site.store.runs.pause(HOST, "unreachable", "away", lambda _: timedelta(seconds=0))
    before = site.row(1)
    requests = len(site.requests)

    site.send()

    assert len(site.requests) == requests
    assert site.row(1)["claim_number"] == before["claim_number"]
    site.store.runs.resume(HOST)
    _make_due(site)
    site.sync()
    hidden = site.remote(1)
    assert hidden is not None
    assert hidden.state == "registered"


def test_a_record_that_was_gone_for_a_moment_is_missed_when_it_really_goes(site: Site) -> None:
    for number in range(1, 5):
        site.add(number)
    site.sync()
    site.remove(1)
    site.scan()
    site.add(1)
    site.send()
    site.sync()
    site.remove(1)

    report = site.sync()

    stored = site.remote(1)
    assert stored is not None
    assert (report.scan.gone, stored.state) == (1, "registered")


def test_nothing_lost_a_proxy_that_answers_for_datacite_sets_no_record_aside(site: Site) -> None:
    for number in range(1, 30):
        site.add(number)
    site.sandbox.application.faults.replace([{"kind": "html-error", "status": 407}])
    report = site.sync()

    assert report.send.paused
    assert len(site.requests) <= 5 + 4
    assert site.store.reading.sum("DATACITE.DEMO").quarantined == 0
    site.sandbox.application.faults.replace([])
    _make_due(site)
    assert site.sync().send.accepted == 29


def test_once_refused_our_own_refusal_is_judged_again_when_the_configuration_changes(site: Site) -> None:
    from syncd import cycle

    site.add(1)
    settings = site.settings
    narrow = settings.model_copy(
        update={"accounts": [settings.accounts[0].model_copy(update={"domains": "other.example.net"})]}
    )
    cycle.run(narrow, narrow.accounts[0], site.store)
    assert site.row(1)["cause"] == "url_not_allowed"

    site.sync()

    assert site.row(1)["bucket"] == "in_sync"


def test_a_corrected_mapping_function_maps_every_record_again(site: Site, monkeypatch: Any) -> None:
    import importlib
    import sys

    from syncd import cycle

    monkeypatch.syspath_prepend(site.folder)
    module = site.folder / "own_mapping.py"
    text = "import json\ndef attributes(row):\n    return {**json.loads(row['metadata']), 'titles': 'TITLE'}\n"
    for title in ("first", "second"):
        module.write_text(text.replace("TITLE", title))
        importlib.invalidate_caches()
        sys.modules.pop("own_mapping", None)
        site.add({"first": 1, "second": 2}[title])
        account = site.settings.accounts[0]
        source = account.source.model_copy(
            update={"mapping": "own_mapping:attributes", "landing_page": "https://example.org/{record_key}"}
        )
        cycle.run(site.settings, account.model_copy(update={"source": source}), site.store)

    assert (site.title(1), site.title(2)) == ("second", "second")


def test_earlier_troubles_do_not_count_against_a_step_that_helps_at_once(site: Site) -> None:
    site.add(1, status="draft")
    site.add(2)
    site.sync()
    published = site.remote(1)
    assert published is not None
    published.state = "findable"  # by hand, in Fabrica
    site.remove(1)
    for _ in range(2):
        site.fault("status", status=503, path="r1$")
        site.sync()
        _make_due(site)

    site.sync()

    hidden = site.remote(1)
    assert hidden is not None
    assert hidden.state == "registered"


def test_a_record_that_cannot_be_read_does_not_stop_the_others(site: Site, monkeypatch: Any) -> None:
    from syncd.errors import PlatformError
    from syncd.platforms.sql import SqlPlatform

    for number in range(1, 30):
        site.add(number)
    one = SqlPlatform.one

    def unreadable(self: SqlPlatform, key: str) -> Any:
        if key == "3":
            raise PlatformError("statement timeout")
        return one(self, key)

    monkeypatch.setattr(SqlPlatform, "one", unreadable)
    site.sync()

    assert site.store.reading.sum("DATACITE.DEMO").in_sync == 28
    assert site.row(3)["cause"] == "unreadable"


def test_an_invalid_record_that_is_withdrawn_is_hidden_all_the_same(site: Site) -> None:
    site.add(1)
    site.sync()
    site.edit(1, status="withdrawn", titles=[])

    site.sync()

    stored = site.remote(1)
    assert stored is not None
    assert stored.state == "registered"
    assert (site.row(1)["cause"], site.row(1)["bucket"]) == ("metadata_invalid", "quarantined")
    assert site.title(1) == "A title"


def test_a_foreign_record_that_disappears_is_no_failure(site: Site) -> None:
    site.add(1)
    site.add(2, doi="10.1234/elsewhere")
    site.sync()
    site.remove(2)

    report = site.sync()

    assert (report.send.requests, report.send.rejected) == (0, 0)
    found = site.store.reading.sum("DATACITE.DEMO")
    assert (found.wanted, found.foreign, found.quarantined) == (1, 0, 0)


def test_a_timestamp_from_the_future_does_not_blind_the_quick_look(site: Site) -> None:
    from datetime import UTC, datetime

    site.add(1)
    site.add(2)
    ahead = (datetime.now(UTC) + timedelta(minutes=47)).strftime("%Y-%m-%d %H:%M:%S")
    site.execute("UPDATE record SET modified = :ahead WHERE id = 2", ahead=ahead)
    site.sync()
    site.edit(1, titles=NEW_TITLE)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    site.execute("UPDATE record SET modified = :now WHERE id = 1", now=now)

    site.sync(full=False)

    assert site.title(1) == "Another title"


def test_a_touch_does_not_hide_what_a_worker_settled_meanwhile(site: Site) -> None:
    site.add(1)
    site.scan()
    noted = site.store.dois.of_records("DATACITE.DEMO", ["1"])["1"][0]
    site.edit(1, titles=NEW_TITLE)
    site.send()  # reads and sends the new title
    site.edit(1, titles=[{"title": "A title"}])
    between = Note(noted.doi, "1", "the row as a scan in between read it", noted.desired_digest, State.FINDABLE)
    site.store.dois.touch([(noted, between)])

    site.sync()

    assert site.title(1) == "A title"


def test_steps_that_help_at_once_end_even_if_they_take_turns(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.sandbox import writes
    from syncd.sandbox.http import error

    site.add(1, status="draft")
    site.add(2)
    site.sync()
    monkeypatch.setattr(writes, "delete", lambda world, identity, name: error(405, "Method not allowed"))
    site.remove(1)
    site.requests.clear()

    site.sync()

    assert len(site.requests) <= 3
    assert site.row(1)["bucket"] == "pending"  # nothing in the platform could correct it: tried once a day
    assert site.row(1)["cause"] in ("not_a_draft", "state_not_reached")


def test_a_hide_that_was_refused_once_is_tried_again_though_its_record_is_gone(site: Site) -> None:
    site.add(1)
    site.add(2)
    site.sync()
    site.remove(1)
    site.fault("status", status=422)
    site.sync()
    assert (site.row(1)["bucket"], site.row(1)["cause"]) == ("pending", "refused")
    _make_due(site)

    site.sync()

    stored = site.remote(1)
    assert stored is not None
    assert stored.state == "registered"


def test_a_stop_is_obeyed_between_two_pages_of_a_scan(site: Site) -> None:
    for number in range(1, 30):
        site.add(number)
    settings = site.settings
    from syncd import cycle

    small = settings.accounts[0].source.model_copy(update={"page_size": 5})
    account = settings.accounts[0].model_copy(update={"source": small})

    report = cycle.run(settings, account, site.store, stopping=lambda: True)

    assert report.scan.records == 5
    assert site.requests == []
    assert site.store.runs.watermark("DATACITE.DEMO") is None
    assert site.sync().send.accepted == 29


def test_a_record_that_reads_too_slowly_does_not_block_the_account(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd import limiter
    from syncd.platforms.sql import SqlPlatform

    for number in range(1, 10):
        site.add(number)
    monkeypatch.setattr(limiter, "_CRASH_SECONDS", 0.4)
    one = SqlPlatform.one

    def slow(self: SqlPlatform, key: str) -> Any:
        if key == "3":
            time.sleep(0.3)
        return one(self, key)

    monkeypatch.setattr(SqlPlatform, "one", slow)
    site.sync()

    assert site.row(3)["cause"] == "unreadable"
    assert site.store.reading.sum("DATACITE.DEMO").in_sync == 8
