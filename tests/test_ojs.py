"""OJS, from its tables to DataCite."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.errors import ConfigurationError
from syncd.sandbox.server import RunningSandbox
from tests.presets import ojs
from tests.presets.ojs import PREFIX, Ojs
from tests.presets.site import Installation, check_cold_start, check_edits, check_page_cost

OPTIONS = ""
SITE = "https://repository.example.org/index.php"


@pytest.fixture(
    params=[("3.3", "mariadb"), ("3.4", "mariadb"), ("3.4", "postgresql"), ("3.5", "mariadb")], ids="-".join
)
def portal(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: RunningSandbox, database: Callable[[str], str]
) -> Iterator[Ojs]:
    version, kind = request.param
    site = Installation("ojs", database(kind), tmp_path, sandbox, database("sqlite"), landing_page=SITE, more=OPTIONS)
    yield Ojs(site, version)
    site.close()


def test_a_cold_start_brings_every_kind_of_publication_to_datacite_as_the_file_says(portal: Ojs) -> None:
    portal.fill()

    check_cold_start(portal.site, "ojs", leaving_out={"orphan"} if portal.version == "3.3" else set())


def test_each_edit_changes_exactly_its_dois_and_is_seen_by_the_quickest_look_that_can(portal: Ojs) -> None:
    portal.fill()
    portal.site.adopt()
    portal.site.sync()

    check_edits(portal.site, ojs.EDITS)


def test_a_page_costs_the_same_queries_whatever_its_size(portal: Ojs) -> None:
    portal.fill()

    check_page_cost(portal.site, most=15)


# The sheet's traps.


def state(portal: Ojs, name: str) -> str:
    found = portal.site.remote(f"{PREFIX}/{name}")
    return found.state if found else "none"


def titles(portal: Ojs, name: str) -> list[str]:
    found = portal.site.remote(f"{PREFIX}/{name}")
    assert found is not None
    return [one["title"] for one in found.attributes["titles"]]


@pytest.fixture
def known(portal: Ojs) -> Ojs:
    """Two articles that DataCite has; the second is the newest."""
    portal.article("one", 1)
    portal.article("two", 2)
    ojs.touch(portal.site, 2)
    portal.site.adopt()
    portal.site.sync()
    return portal


def test_an_unpublished_version_with_the_same_doi_is_not_sent(known: Ojs) -> None:
    if known.version == "3.3":
        known.publication(1, {}, "one", status=ojs.QUEUED, issue=1, version=2, title={ojs.ENGLISH: "Secret"})
    else:
        doi = known.value("SELECT doi_id FROM dois WHERE doi = :doi", doi=f"{PREFIX}/one")
        known.publication(1, {"doi_id": doi}, None, status=ojs.QUEUED, issue=1, version=2, title={ojs.ENGLISH: "No"})
    before = known.site.requests

    known.site.sync()

    assert known.site.requests == before


def test_a_scheduled_article_waits_for_its_issue(portal: Ojs) -> None:
    portal.article("soon", 1, status=ojs.SCHEDULED, issue=2)
    portal.article("now", 2)
    portal.site.adopt()
    portal.site.sync()

    assert (state(portal, "soon"), state(portal, "now")) == ("none", "findable")


def test_an_unpublished_article_is_hidden_although_its_date_stays(known: Ojs) -> None:
    ojs.set_status(known.site, 1, ojs.QUEUED)
    ojs.touch(known.site, 1)

    known.site.sync(full=False)

    assert (state(known, "one"), state(known, "two")) == ("registered", "findable")


def test_an_orcid_id_that_arrives_without_a_stamp_is_found_by_the_next_full_look(known: Ojs) -> None:
    ojs.add_orcid(known.site, 1)

    known.site.sync()

    found = known.site.remote(f"{PREFIX}/one")
    assert found is not None
    assert found.attributes["creators"][0]["nameIdentifiers"][0]["nameIdentifier"].endswith("0000-0001-5109-3700")


def test_a_journal_that_is_renamed_is_another_publisher_of_all_it_has(known: Ojs) -> None:
    known.site.execute("UPDATE journal_settings SET setting_value = 'New name' WHERE setting_name = 'name'")
    before = known.site.requests

    known.site.sync(full=False)

    assert known.site.written(before) == {f"{PREFIX}/one", f"{PREFIX}/two"}


def test_a_record_in_another_language_than_the_journals_has_its_own_words(portal: Ojs) -> None:
    portal.article("german", 1, title={ojs.GERMAN: "Nur deutsch"})
    portal.site.adopt()
    portal.site.sync()

    assert titles(portal, "german") == ["Nur deutsch"]


def test_datetimes_without_zone_make_watermarks_that_miss_nothing(known: Ojs) -> None:
    ojs.set_title(known.site, 1, "Edited")
    ojs.touch(known.site, 1)

    known.site.sync(full=False, outline=False)

    assert titles(known, "one") == ["Edited"]


def test_settings_in_several_locales_are_one_record(portal: Ojs) -> None:
    portal.article("both", 1, title={ojs.ENGLISH: "English", ojs.GERMAN: "Deutsch"})
    portal.site.adopt()
    report = portal.site.sync()

    assert report.scan.records == 1
    assert titles(portal, "both") == ["English", "Deutsch"]


def test_galleys_and_issues_have_dois_of_their_own(portal: Ojs) -> None:
    issue = portal.new_issue(7, "issue")
    one = portal.article("article", 1, issue=issue)
    portal.galley(one, 1, "PDF", "galley")
    portal.site.adopt()
    portal.site.sync()

    assert [state(portal, name) for name in ("article", "galley", "issue")] == ["findable"] * 3


def test_an_article_that_is_deleted_is_hidden_from_memory(known: Ojs) -> None:
    mine = "(SELECT publication_id FROM publications WHERE submission_id = 1)"
    known.site.execute(f"DELETE FROM publication_settings WHERE publication_id IN {mine}")
    known.site.execute("DELETE FROM publications WHERE submission_id = 1")
    known.site.execute("DELETE FROM submissions WHERE submission_id = 1")

    known.site.sync(full=False)

    assert (state(known, "one"), state(known, "two")) == ("registered", "findable")


def test_a_journals_articles_are_not_those_of_its_neighbour(known: Ojs) -> None:
    known.site.insert("journals", journal_id=2, path="other", primary_locale=ojs.ENGLISH, enabled=1, seq=2)
    known.site.more = '[accounts.source.options]\njournal = "birds"\n'
    before = known.site.requests

    known.site.sync()

    assert known.site.requests == before
    known.site.more = ""
    with pytest.raises(ConfigurationError, match="which journal is meant"):
        known.site.sync()


def test_an_older_public_version_with_a_doi_of_its_own_stays_findable(known: Ojs) -> None:
    number = 1
    newer = known.publication(number, known.doi("one.v2"), "one.v2", status=ojs.PUBLISHED, issue=1, version=2,
                              title={ojs.ENGLISH: "Second"})  # fmt: skip
    known.author(newer, 1, {ojs.ENGLISH: "Jo"}, {ojs.ENGLISH: "Roe"})
    known.site.execute("UPDATE submissions SET current_publication_id = :p WHERE submission_id = 1", p=newer)
    ojs.touch(known.site, 1)

    known.site.sync()

    assert (state(known, "one"), state(known, "one.v2")) == ("findable", "findable")
    found = known.site.remote(f"{PREFIX}/one")
    assert found is not None
    assert "/article/view/1/version/" in found.attributes["url"]


def test_an_issue_id_that_is_no_number_stops_nothing(known: Ojs) -> None:
    known.site.execute("UPDATE publication_settings SET setting_value = 'null' WHERE setting_name = 'issueId'")

    report = known.site.sync()

    # Both lose their volume; since 3.5 the issue is a column.
    assert report.send.accepted == (0 if known.version == "3.5" else 2)


def test_a_submission_without_a_timestamp_is_seen_by_its_publications(known: Ojs) -> None:
    known.site.execute("UPDATE submissions SET last_modified = NULL WHERE submission_id = 1")
    known.site.sync()
    ojs.set_title(known.site, 1, "Edited")
    known.site.execute("UPDATE publications SET last_modified = '2024-05-06 23:00:00' WHERE submission_id = 1")

    known.site.sync(full=False, outline=False)

    assert titles(known, "one") == ["Edited"]
