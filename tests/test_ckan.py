"""CKAN with ckanext-doi, from its tables to DataCite."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.errors import SafetyError
from syncd.sandbox.server import RunningSandbox
from tests.presets import ckan
from tests.presets.ckan import Ckan
from tests.presets.site import Installation, check_cold_start, check_edits, check_page_cost

OPTIONS = """
[accounts.source.options.extras]
creators = { from = "authors/*", members = { name = "name", orcid = "orcid", affiliation = "institute" } }
geoLocations = "spatial"
[accounts.source.defaults]
publisher = { name = "The portal" }
"""


@pytest.fixture(params=["2.11", "2.12"])
def portal(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]
) -> Iterator[Ckan]:
    site = Installation("ckan", database("postgresql"), tmp_path, sandbox, database("sqlite"), more=OPTIONS)
    yield Ckan(site, request.param)
    site.close()


def test_a_cold_start_brings_every_kind_of_dataset_to_datacite_as_the_file_says(portal: Ckan) -> None:
    portal.fill()

    check_cold_start(portal.site, "ckan")


def test_each_edit_changes_exactly_its_dois_and_is_seen_by_the_quickest_look_that_can(portal: Ckan) -> None:
    portal.fill()
    portal.site.adopt()
    portal.site.sync()

    check_edits(portal.site, ckan.EDITS)


def test_a_page_costs_the_same_queries_whatever_its_size(portal: Ckan) -> None:
    portal.fill()

    check_page_cost(portal.site, most=5)


# The sheet's traps.


@pytest.fixture
def known(portal: Ckan) -> Ckan:
    """Three public datasets that DataCite has; a fourth one is the newest."""
    for number in range(1, 4):
        portal.dataset("public", number)
    portal.dataset("newest", 1)
    portal.site.execute(f"UPDATE package SET {ckan.touched('newest-1')}")
    portal.site.adopt()
    portal.site.sync()
    return portal


def state(portal: Ckan, doi: str) -> str:
    found = portal.site.remote(f"10.5072/{doi}")
    return found.state if found else "none"


def test_package_delete_and_bulk_actions_hide_although_no_timestamp_moves(known: Ckan) -> None:
    known.site.execute("UPDATE package SET state = 'deleted' WHERE id = 'public-1'")
    known.site.execute("UPDATE package SET private = true WHERE id = 'public-2'")

    known.site.sync(full=False)

    assert [state(known, f"public-{n}") for n in (1, 2, 3)] == ["registered", "registered", "findable"]


def test_a_purge_takes_the_doi_row_along_and_the_doi_is_hidden_from_memory(known: Ckan) -> None:
    known.site.execute("DELETE FROM package WHERE id = 'public-1'")

    known.site.sync(full=False)

    assert state(known, "public-1") == "registered"


def test_renaming_an_organisation_renames_the_publisher_of_all_its_datasets(known: Ckan) -> None:
    known.site.execute("UPDATE \"group\" SET title = 'Renamed'")

    before = known.site.requests
    known.site.sync(full=False)

    assert known.site.requests - before == 4
    found = known.site.remote("10.5072/public-1")
    assert found is not None
    assert found.attributes["publisher"]["name"] == "Renamed"


def test_published_is_local_time_of_the_plugin_and_never_a_watermark(known: Ckan) -> None:
    known.site.execute("UPDATE doi SET published = '2999-01-01 00:00:00' WHERE package_id = 'public-1'")
    known.site.sync(full=False)
    known.site.execute(f"UPDATE package SET title = 'Edited', {ckan.touched('public-2')}")

    known.site.sync(full=False, outline=False)

    found = known.site.remote("10.5072/public-2")
    assert found is not None
    assert found.attributes["titles"] == [{"title": "Edited"}]


def test_the_author_is_one_string_and_never_split(known: Ckan) -> None:
    assert known.site.documents()["10.5072/public-1"]["attributes"]["creators"] == [{"name": "Roe, Jo and Doe, Jane"}]


def test_a_dataset_is_public_by_state_and_private_and_not_by_published(portal: Ckan) -> None:
    portal.dataset("never-sent", 1, published=None)
    portal.dataset("sent-once", 1, private=True)
    portal.site.adopt()

    portal.site.sync()

    assert (state(portal, "never-sent-1"), state(portal, "sent-once-1")) == ("findable", "none")


def test_a_timestamp_that_somebody_set_to_the_past_hides_no_edit_from_the_outline(known: Ckan) -> None:
    known.site.execute(
        "UPDATE package SET title = 'Harvested', metadata_modified = '2001-01-01 00:00:00' WHERE id = 'public-1'"
    )

    known.site.sync(full=False)

    found = known.site.remote("10.5072/public-1")
    assert found is not None
    assert found.attributes["titles"] == [{"title": "Harvested"}]


def test_a_showcase_or_harvest_source_with_a_doi_is_a_record_too(portal: Ckan) -> None:
    portal.dataset("showcase", 1, type="showcase")
    portal.site.adopt()
    portal.site.sync()

    types = portal.site.documents()["10.5072/showcase-1"]["attributes"]["types"]
    assert types == {"resourceTypeGeneral": "Dataset", "resourceType": "showcase"}


def test_an_embargo_in_an_extra_ends_without_any_write(portal: Ckan) -> None:
    portal.site.more = '[accounts.source.options]\nembargo_extra = "embargo_until"\n'
    portal.dataset("waits", 1, extras={"embargo_until": "2999-01-01"})
    portal.dataset("free", 1, extras={"embargo_until": "2020-01-01"})
    portal.site.adopt()
    portal.site.sync()

    assert (state(portal, "waits-1"), state(portal, "free-1")) == ("none", "findable")


def test_a_dataset_without_notes_is_sent_all_the_same(portal: Ckan) -> None:
    portal.dataset("bare", 1, notes=None)
    portal.site.adopt()
    portal.site.sync()

    assert state(portal, "bare-1") == "findable"


def test_a_doi_may_come_from_an_extra_where_ckanext_doi_is_not_installed(portal: Ckan) -> None:
    portal.site.execute("DROP TABLE doi")
    portal.site.more = '[accounts.source.options]\ndoi_extra = "doi"\n'
    portal.dataset("plain", 1, doi=False, extras={"doi": "https://doi.org/10.5072/OWN-1"})
    portal.dataset("other", 1, doi=False)
    portal.site.adopt()
    portal.site.sync()

    assert state(portal, "own-1") == "findable"
    assert portal.site.store.reading.sum(portal.site.account).wanted == 1


def test_an_embargo_that_is_no_day_is_reported_and_publishes_nothing(portal: Ckan) -> None:
    portal.site.more = '[accounts.source.options]\nembargo_extra = "embargo_until"\n'
    portal.dataset("odd", 1, extras={"embargo_until": "31.12.2999"})
    portal.dataset("over", 1, extras={"embargo_until": "2020-01-01T00:00:00"})
    portal.site.adopt()
    portal.site.sync()

    assert (state(portal, "odd-1"), state(portal, "over-1")) == ("none", "findable")
    (failed,) = portal.site.store.reading.failures(portal.site.account)
    assert failed.cause == "status_unknown"


def test_texts_that_look_like_json_stay_texts_and_places_take_any_form(portal: Ckan) -> None:
    portal.site.more = (
        '[accounts.source.options.extras]\nversion = "release"\ngeoLocations = "spatial"\nsubjects = "topic"\n'
    )
    forms = {
        "text": "Berlin",
        "feature": '{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}',
        "broken": '{"type": "Polygon", "coordinates": [[]]}',
    }
    for name, spatial in forms.items():
        portal.dataset(name, 1, extras={"release": "1.10", "topic": "2020", "spatial": spatial})
    found = portal.site.documents()

    assert {found[f"10.5072/{name}-1"]["attributes"]["version"] for name in forms} == {"1.10"}
    assert found["10.5072/text-1"]["attributes"]["subjects"] == [{"subject": "2020"}]
    places = {name: found[f"10.5072/{name}-1"]["attributes"].get("geoLocations") for name in forms}
    assert places == {
        "text": [{"geoLocationPlace": "Berlin"}],
        "feature": [{"geoLocationPoint": {"pointLongitude": 1, "pointLatitude": 2}}],
        "broken": None,
    }


def test_blank_texts_are_no_values_and_leave_room_for_defaults(portal: Ckan) -> None:
    portal.dataset("blank", 1, author=" ", maintainer="<br>", notes="<img src='x'>", owner_org=None)
    found = portal.site.documents()["10.5072/blank-1"]["attributes"]

    assert found["publisher"] == {"name": "The portal"}
    assert not {"contributors", "descriptions", "creators"} & set(found)


def test_addresses_in_the_notes_survive(portal: Ckan) -> None:
    portal.dataset("links", 1, notes="See <https://example.org/x>, write to <me@example.org>.")
    (description,) = portal.site.documents()["10.5072/links-1"]["attributes"]["descriptions"]

    assert description["description"] == "See https://example.org/x, write to me@example.org."


def test_a_table_that_is_suddenly_half_empty_stops_a_quick_look_before_anything_is_hidden(known: Ckan) -> None:
    known.site.execute("DELETE FROM package WHERE id IN ('public-1', 'public-2', 'public-3')")
    before = known.site.requests

    with pytest.raises(SafetyError, match="3 DOIs are missing from the platform and 1 are there"):
        known.site.sync(full=False)

    assert known.site.requests == before
    assert [state(known, f"public-{n}") for n in (1, 2, 3)] == ["findable"] * 3
