"""DSpace, from its tables to DataCite."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.platforms import opener
from syncd.platforms.survey import survey
from syncd.sandbox.server import RunningSandbox
from tests.presets import dspace
from tests.presets.dspace import PLAIN, PREFIX, DSpace, identifier, touch
from tests.presets.site import Installation, check_cold_start, check_edits, check_page_cost

OPTIONS = ""


@pytest.fixture
def portal(tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]) -> Iterator[DSpace]:
    site = Installation("dspace", database("postgresql"), tmp_path, sandbox, database("sqlite"), more=OPTIONS)
    yield DSpace(site, "7 to 9")
    site.close()


def test_a_cold_start_brings_every_kind_of_item_to_datacite_as_the_file_says(portal: DSpace) -> None:
    portal.fill()

    check_cold_start(portal.site, "dspace")


def test_each_edit_changes_exactly_its_dois_and_is_seen_by_the_quickest_look_that_can(portal: DSpace) -> None:
    portal.fill()
    portal.site.adopt()
    portal.site.sync()

    check_edits(portal.site, dspace.EDITS)


def test_a_page_costs_the_same_queries_whatever_its_size(portal: DSpace) -> None:
    portal.fill()

    check_page_cost(portal.site, most=6)


# The sheet's traps.


def state(portal: DSpace, name: str) -> str:
    found = portal.site.remote(f"{PREFIX}/{name}")
    return found.state if found else "none"


def creators(portal: DSpace, name: str) -> list[str]:
    return [one["name"] for one in portal.site.documents()[f"{PREFIX}/{name}"]["attributes"]["creators"]]


def begin(portal: DSpace) -> None:
    portal.site.adopt()
    portal.site.sync()


def test_metadata_without_timestamps_is_proved_by_a_full_look(portal: DSpace) -> None:
    portal.item("one")
    begin(portal)
    portal.site.execute("UPDATE metadatavalue SET text_value = 'Cleaned' WHERE text_value = 'A title'")

    portal.site.sync()

    found = portal.site.remote(f"{PREFIX}/one")
    assert found is not None
    assert found.attributes["titles"] == [{"title": "Cleaned"}]


def test_values_stand_in_the_order_of_place_and_not_of_rows(portal: DSpace) -> None:
    portal.item("one", metadata={**PLAIN, "dc.contributor.author": ["First", "Second", "Third"]})

    assert creators(portal, "one") == ["First", "Second", "Third"]


def test_an_author_who_is_a_person_of_the_repository_takes_its_place_among_plain_ones(portal: DSpace) -> None:
    one = portal.item("one", metadata={**PLAIN, "dc.contributor.author": ["Plain, First"]})
    portal.author(one, portal.person("person", "Entity", "Eve"), 1)
    begin(portal)
    portal.site.execute("UPDATE metadatavalue SET text_value = 'Eva' WHERE text_value = 'Eve'")
    touch(portal.site, "person")

    portal.site.sync(full=False, outline=False)

    found = portal.site.remote(f"{PREFIX}/one")
    assert found is not None
    assert [one["name"] for one in found.attributes["creators"]] == ["Plain, First", "Entity, Eva"]


def test_a_superseded_version_looks_like_a_submission_and_stays_findable(portal: DSpace) -> None:
    portal.item("old")
    portal.item("new")
    begin(portal)
    portal.site.execute("UPDATE item SET in_archive = false WHERE uuid = :id", id=identifier("old"))
    portal.site.insert("versionitem", item_id=identifier("old"), version_number=1)
    touch(portal.site, "old")

    portal.site.sync()

    assert (state(portal, "old"), state(portal, "new")) == ("findable", "findable")


def test_an_open_edit_of_a_new_version_is_a_submission_and_not_public(portal: DSpace) -> None:
    one = portal.item("next", in_archive=False)
    portal.site.insert("versionitem", item_id=one, version_number=2)
    portal.site.insert("workspaceitem", item_id=one)
    begin(portal)

    assert state(portal, "next") == "none"


def test_a_template_item_with_a_doi_is_never_sent(portal: DSpace) -> None:
    portal.site.insert("collection", uuid=identifier("c"), template_item_id=portal.item("template", in_archive=False))
    begin(portal)

    assert state(portal, "template") == "none"


def test_two_dois_of_one_item_are_both_kept_true(portal: DSpace) -> None:
    one = portal.item("one")
    portal.site.insert("doi", doi=f"{PREFIX}/second", resource_type_id=2, status=3, dspace_object=one)
    begin(portal)

    assert (state(portal, "one"), state(portal, "second")) == ("findable", "findable")


def test_empty_values_control_characters_and_markup_are_cleaned(portal: DSpace) -> None:
    portal.item("one", metadata={**PLAIN, "dc.title": [None, "", "A\x0b <b>title</b>\n"], "dc.subject": [None, ""]})

    found = portal.site.documents()[f"{PREFIX}/one"]["attributes"]

    assert found["titles"] == [{"title": "A title"}]
    assert "subjects" not in found


def test_a_deleted_item_leaves_its_doi_without_object_and_is_hidden(portal: DSpace) -> None:
    portal.item("one")
    portal.item("other")
    begin(portal)
    portal.site.execute("UPDATE doi SET dspace_object = NULL, status = 8 WHERE doi = :doi", doi=f"{PREFIX}/one")
    portal.site.execute("DELETE FROM item WHERE uuid = :id", id=identifier("one"))

    portal.site.sync(full=False)

    assert (state(portal, "one"), state(portal, "other")) == ("registered", "findable")


def test_an_item_embargo_ends_without_a_write(portal: DSpace) -> None:
    portal.site.more = '[accounts.source.options]\nnot_public = "registered"\n'
    one = portal.item("one", public=False)
    portal.item("other")
    portal.site.insert("resourcepolicy", action_id=0, epersongroup_id=dspace.ANONYMOUS, dspace_object=one,
                       start_date="2999-01-01")  # fmt: skip
    begin(portal)
    assert state(portal, "one") == "none"
    portal.site.execute(
        "UPDATE resourcepolicy SET start_date = CURRENT_DATE - 1 WHERE start_date IS NOT NULL"
    )  # a day later

    portal.site.sync(full=False)

    assert state(portal, "one") == "findable"


def test_an_edit_stamped_by_a_clock_that_is_behind_is_seen_by_the_outline(portal: DSpace) -> None:
    portal.item("one")
    portal.item("newest")
    touch(portal.site, "newest")
    begin(portal)
    portal.site.execute("UPDATE metadatavalue SET text_value = 'Edited' WHERE text_value = 'A title'")
    portal.site.execute(
        "UPDATE item SET last_modified = '2024-01-02 00:00:00+00' WHERE uuid = :id", id=identifier("one")
    )

    portal.site.sync(full=False)

    found = portal.site.remote(f"{PREFIX}/one")
    assert found is not None
    assert found.attributes["titles"] == [{"title": "Edited"}]


def test_dois_may_stand_in_metadata_only_and_a_publishers_doi_is_left_alone(portal: DSpace) -> None:
    portal.site.more = '[accounts.source.options]\ndois = "metadata"\n'
    portal.item(
        "one",
        doi=False,
        metadata={
            **PLAIN,
            "dc.identifier.uri": [
                f"https://doi.org/{PREFIX}/one",
                "https://doi.org/10.1234/publisher",
                "https://hdl.handle.net/123456789/one",
            ],
        },
    )
    begin(portal)

    assert state(portal, "one") == "findable"
    assert portal.site.store.reading.sum(portal.site.account).wanted == 1


def test_a_status_of_dspaces_own_queue_is_no_visibility(portal: DSpace) -> None:
    for status in range(1, 8):
        portal.item(f"status-{status}", status=status)
    portal.item("filtered", status=dspace.MINTED)
    portal.item("null", status=None)
    begin(portal)

    assert {state(portal, f"status-{status}") for status in range(1, 8)} == {"findable"}
    assert (state(portal, "filtered"), state(portal, "null")) == ("none", "none")


def test_provenance_with_its_mail_addresses_is_neither_sent_nor_kept(portal: DSpace) -> None:
    portal.item("one", metadata=dspace.RICH)
    with portal.site.platform() as platform:
        rows = [row for page in platform.all() for row in page]

    assert rows
    assert "jo@example.org" not in str(rows[0].values)


def test_a_doi_in_two_fields_and_in_a_copy_that_is_in_progress_is_one_record(portal: DSpace) -> None:
    portal.site.more = '[accounts.source.options]\ndois = "metadata"\n'
    both = {"dc.identifier.doi": [f"{PREFIX}/one"], "dc.identifier.uri": [f"https://doi.org/{PREFIX}/ONE"]}
    portal.item("one", doi=False, metadata={**PLAIN, **both})
    copy = portal.item("copy", doi=False, in_archive=False, metadata={**PLAIN, **both})
    portal.site.insert("workspaceitem", item_id=copy)
    begin(portal)

    assert state(portal, "one") == "findable"
    assert portal.site.store.reading.failures(portal.site.account) == []


def test_a_submission_may_reserve_its_doi_as_a_draft_whatever_the_queue_says(portal: DSpace) -> None:
    portal.site.more = '[accounts.source.options]\nin_progress = "draft"\n'
    one = portal.item("one", in_archive=False, status=dspace.MINTED)
    portal.site.insert("workspaceitem", item_id=one)
    begin(portal)

    assert state(portal, "one") == "draft"


def test_referees_and_other_roles_are_neither_sent_nor_kept(portal: DSpace) -> None:
    portal.item("one", metadata={**PLAIN, "dc.contributor.referee": ["Secret, Sue"], "dc.contributor.editor": ["Ed"]})
    with portal.site.platform() as platform:
        (row,) = [row for page in platform.all() for row in page]

    assert "Secret" not in str(row.values)
    contributors = portal.site.documents()[f"{PREFIX}/one"]["attributes"]["contributors"]
    assert contributors == [{"name": "Ed", "contributorType": "Editor"}]


def test_less_than_signs_are_no_markup_and_days_without_dashes_have_a_year(portal: DSpace) -> None:
    portal.item("one", metadata={**PLAIN, "dc.title": ["Effect of T<Tc on H>Hc in <i>Homo</i>"],
                "dc.date.issued": ["20230506"]})  # fmt: skip
    found = portal.site.documents()[f"{PREFIX}/one"]["attributes"]

    assert found["titles"] == [{"title": "Effect of T<Tc on H>Hc in Homo"}]
    assert found["publicationYear"] == 2023


def test_a_first_look_at_dois_in_metadata_needs_the_prefix(portal: DSpace) -> None:
    portal.item("one", doi=False, metadata={**PLAIN, "dc.identifier.doi": [f"{PREFIX}/one", "10.1234/publisher"]})

    found = survey(opener("dspace"), portal.site.url, {"dois": "metadata"}, [PREFIX])

    assert (found.records, dict(found.states), dict(found.prefixes)) == (1, {"findable": 1}, {PREFIX: 1})
