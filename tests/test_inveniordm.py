"""InvenioRDM, from its tables to DataCite."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.sandbox.server import RunningSandbox
from tests.presets import inveniordm
from tests.presets.inveniordm import METADATA, PREFIX, RICH, InvenioRdm, edit, identifier
from tests.presets.site import Installation, check_cold_start, check_edits, check_page_cost

OPTIONS = ""


@pytest.fixture(params=["13", "14"])
def portal(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]
) -> Iterator[InvenioRdm]:
    site = Installation("inveniordm", database("postgresql"), tmp_path, sandbox, database("sqlite"), more=OPTIONS)
    yield InvenioRdm(site, request.param)
    site.close()


def test_a_cold_start_brings_every_kind_of_record_to_datacite_as_the_file_says(portal: InvenioRdm) -> None:
    portal.fill()

    check_cold_start(portal.site, "inveniordm")


def test_each_edit_changes_exactly_its_dois_and_is_seen_by_the_quickest_look_that_can(portal: InvenioRdm) -> None:
    portal.fill()
    portal.site.adopt()
    portal.site.sync()

    check_edits(portal.site, inveniordm.EDITS)


def test_a_page_costs_the_same_queries_whatever_its_size(portal: InvenioRdm) -> None:
    portal.fill()

    check_page_cost(portal.site, most=14)


# The sheet's traps.


@pytest.fixture
def known(portal: InvenioRdm) -> InvenioRdm:
    """A plain record, a rich one, and a concept with two versions, all at DataCite."""
    portal.record("plain")
    portal.record("rich", metadata=RICH)
    parent = portal.concept("concept")
    for index in (1, 2):
        portal.record(f"version-{index}", parent=parent, index=index)
    portal.site.adopt()
    portal.site.sync()
    return portal


def state(portal: InvenioRdm, name: str) -> str:
    found = portal.site.remote(f"{PREFIX}/{name}")
    return found.state if found else "none"


def attributes(portal: InvenioRdm, name: str) -> dict[str, object]:
    found = portal.site.remote(f"{PREFIX}/{name}")
    assert found is not None
    return found.attributes


def test_an_edited_vocabulary_term_reaches_the_records_that_use_it(known: InvenioRdm) -> None:
    known.site.execute(
        "UPDATE funder_metadata SET updated = '2025-03-01', json = jsonb_set(json, '{name}', '\"Renamed\"')"
    )
    before = known.site.requests

    known.site.sync(full=False)

    assert known.site.written(before) == {f"{PREFIX}/rich"}
    assert known.site.documents()[f"{PREFIX}/rich"]["attributes"]["fundingReferences"][0]["funderName"] == "Renamed"


def test_an_open_edit_of_a_published_record_shows_nothing_of_its_draft(known: InvenioRdm) -> None:
    draft = {"pids": {"doi": {"identifier": f"{PREFIX}/plain", "provider": "datacite"}}, "metadata": {"title": "No"}}
    known.site.execute(
        "UPDATE rdm_drafts_metadata SET json = :json WHERE id = :id",
        json=json.dumps(draft), id=identifier("record", "plain"),
    )  # fmt: skip
    before = known.site.requests

    known.site.sync()

    assert known.site.requests == before


def test_a_concept_has_no_row_among_the_records_and_follows_its_newest_version(known: InvenioRdm) -> None:
    edit(known.site, "rdm_records_metadata", identifier("record", "version-2"),
         metadata={**METADATA, "title": "Second"})  # fmt: skip

    known.site.sync(full=False, outline=False)

    assert attributes(known, "concept")["titles"] == [{"title": "Second"}]


def test_a_concept_is_hidden_when_its_only_version_is_deleted(known: InvenioRdm) -> None:
    for name in ("version-1", "version-2"):
        known.site.execute(
            "UPDATE rdm_records_metadata SET deletion_status = 'D' WHERE id = :id", id=identifier("record", name)
        )
        edit(known.site, "rdm_records_metadata", identifier("record", name))

    known.site.sync(full=False)

    assert [state(known, name) for name in ("concept", "version-1", "version-2")] == ["registered"] * 3


def test_restricting_a_record_hides_it_and_sends_nothing_of_its_metadata(known: InvenioRdm) -> None:
    edit(known.site, "rdm_records_metadata", identifier("record", "plain"), access={"record": "restricted"},
         metadata={**METADATA, "title": "Secret"})  # fmt: skip

    known.site.sync(full=False)

    assert state(known, "plain") == "registered"
    assert attributes(known, "plain")["titles"] == [{"title": "A title"}]


def test_timestamps_with_and_without_time_zones_make_watermarks(known: InvenioRdm) -> None:
    with known.site.platform() as platform:
        for _ in platform.all():
            pass
        mark = platform.watermark
        pages = list(platform.changed(mark))
    assert {row.doi for page in pages for row in page} >= {f"{PREFIX}/plain"}


def test_markup_and_intervals_become_text_and_a_year(known: InvenioRdm) -> None:
    found = known.site.documents()[f"{PREFIX}/rich"]["attributes"]

    assert found["titles"][0]["title"] == "Water & birds"
    assert found["descriptions"][0]["description"] == "First.\nSecond < third."
    assert found["publicationYear"] == 2018


def test_internal_notes_and_access_lists_are_neither_sent_nor_kept(known: InvenioRdm) -> None:
    with known.site.platform() as platform:
        rows = [row for page in platform.all() for row in page]
    assert rows
    assert not [row for row in rows if "never sent" in str(row.values) or "owned_by" in str(row.values)]


def test_the_status_of_a_pid_says_nothing_of_visibility(portal: InvenioRdm) -> None:
    portal.record("new")
    portal.site.execute("UPDATE pidstore_pid SET status = 'K' WHERE pid_type = 'doi'")
    portal.site.adopt()
    portal.site.sync()

    assert state(portal, "new") == "findable"


def test_an_external_doi_under_the_own_prefix_is_never_touched(portal: InvenioRdm) -> None:
    portal.record("elsewhere", provider="external")
    portal.site.adopt()
    portal.site.sync()

    assert state(portal, "elsewhere") == "none"
    assert portal.site.store.reading.sum(portal.site.account).wanted == 0


def test_a_discarded_drafts_doi_is_forgotten_and_costs_nothing(portal: InvenioRdm) -> None:
    portal.draft("thought-better")
    portal.record("other")
    portal.site.adopt()
    portal.site.sync()
    portal.site.execute("DELETE FROM pidstore_pid WHERE pid_value = :doi", doi=f"{PREFIX}/thought-better")
    before = portal.site.requests

    portal.site.sync()

    assert portal.site.requests == before


def test_what_nobody_expects_in_a_record_stops_no_other_record(portal: InvenioRdm) -> None:
    portal.record("fine")
    portal.record("lists", metadata={**METADATA, "creators": [None, *METADATA["creators"]], "dates": ["2020"],
                  "funding": [None], "additional_titles": ["x"]})  # fmt: skip
    portal.record("persons", metadata={**METADATA, "creators": [{"person_or_org": 5}]})
    portal.site.execute(
        "UPDATE rdm_records_metadata SET json = json || '{\"access\": 7}' WHERE id = :id",
        id=portal.record("access"),
    )
    portal.site.adopt()

    report = portal.site.sync()

    assert report.scan.records == 4
    assert (state(portal, "fine"), state(portal, "lists")) == ("findable", "findable")
    assert (state(portal, "persons"), state(portal, "access")) == ("none", "none")
    assert {one.cause for one in portal.site.store.reading.failures(portal.site.account)} <= {
        "mapping_failed", "metadata_invalid"}  # fmt: skip


def test_an_older_version_that_is_deleted_leaves_its_concept_at_the_next_look(known: InvenioRdm) -> None:
    known.site.execute(
        "UPDATE rdm_records_metadata SET deletion_status = 'D' WHERE id = :id", id=identifier("record", "version-1")
    )
    edit(known.site, "rdm_records_metadata", identifier("record", "version-1"))
    before = known.site.requests

    known.site.sync(full=False, outline=False)

    assert known.site.written(before) == {f"{PREFIX}/version-1", f"{PREFIX}/concept"}
    relations = known.site.documents()[f"{PREFIX}/concept"]["attributes"]["relatedIdentifiers"]
    assert [one["relatedIdentifier"] for one in relations] == [f"{PREFIX}/version-2"]


@pytest.mark.parametrize("indexed", [True, False])
def test_an_index_on_the_parents_changes_how_versions_are_gathered_and_nothing_else(
    known: InvenioRdm, indexed: bool
) -> None:
    if indexed:
        known.site.execute("CREATE INDEX ON rdm_records_metadata (parent_id, id)")
    with known.site.platform() as platform:
        assert ("LATERAL" in platform.preset.outline) is indexed
    before = known.site.requests

    known.site.sync()

    assert known.site.requests == before


def test_a_restricted_draft_is_never_sent_and_a_public_one_only_where_drafts_are_wanted(portal: InvenioRdm) -> None:
    portal.site.more = '[accounts.source.options]\ndrafts = "draft"\n'
    portal.draft("open")
    portal.draft("closed")
    portal.site.execute(
        'UPDATE rdm_drafts_metadata SET json = json || \'{"access": {"record": "restricted"}}\' WHERE id = :id',
        id=identifier("record", "closed"),
    )
    portal.site.adopt()
    portal.site.sync()

    assert (state(portal, "open"), state(portal, "closed")) == ("draft", "none")


def test_a_default_publisher_fills_a_record_without_one(portal: InvenioRdm) -> None:
    portal.site.more = '[accounts.source.defaults]\npublisher = { name = "The house" }\n'
    portal.record("bare", metadata={name: value for name, value in METADATA.items() if name != "publisher"})

    assert portal.site.documents()[f"{PREFIX}/bare"]["attributes"]["publisher"] == {"name": "The house"}


def test_a_resource_type_without_a_term_is_named_and_not_guessed(portal: InvenioRdm) -> None:
    portal.record("odd", metadata={**METADATA, "resource_type": {"id": "nonsense"}})
    portal.site.adopt()
    portal.site.sync()

    (failed,) = portal.site.store.reading.failures(portal.site.account)
    assert "'nonsense' is in no vocabulary" in failed.examples[0][1]
