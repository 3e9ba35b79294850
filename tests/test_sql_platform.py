"""The sql platform on every database that an operator may have."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from syncd.clock import SystemClock
from syncd.errors import ConfigurationError, PlatformError
from syncd.model import Desired, Problem, State
from syncd.platforms.connection import open_engine
from syncd.platforms.sql import SqlPlatform
from syncd.settings import AccountSettings

KINDS = ["sqlite", "postgresql", "mariadb"]
SELECT = "SELECT id AS record_key, doi, status, title AS titles, data AS rights_list, modified FROM thing"


class Thing:
    """A table of the operator's, and syncd's view of it."""

    def __init__(self, url: str, kind: str) -> None:
        self.url, self.kind = url, kind
        self.engine = create_engine(url)
        json_type = {"sqlite": "TEXT", "postgresql": "JSONB", "mariadb": "JSON"}[kind]
        stamp = {"sqlite": "TEXT", "postgresql": "TIMESTAMPTZ", "mariadb": "DATETIME"}[kind]
        self.execute(
            f"CREATE TABLE thing (id INTEGER PRIMARY KEY, doi VARCHAR(100), status VARCHAR(20), title VARCHAR(200),"
            f" data {json_type}, modified {stamp}, open BOOLEAN, day DATE)"
        )

    def execute(self, statement: str, **parameters: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), parameters)

    def add(self, number: int, modified: str = "2026-01-01 10:00:00", data: Any = None) -> None:
        self.execute(
            "INSERT INTO thing VALUES (:id, :doi, 'published', :title, :data, :modified, :open, '2024-02-03')",
            id=number, doi=f"10.5072/T{number}", title=f"Ä title “{number}” 東", modified=modified,
            open=number % 2 == 0, data=None if data is None else json.dumps(data),
        )  # fmt: skip

    def platform(self, **source: Any) -> SqlPlatform:
        queries = {"all": SELECT, "one": f"{SELECT} WHERE id = :key", "changed": f"{SELECT} WHERE modified >= :since"}
        settings = {
            "id": "DATACITE.DEMO",
            "prefixes": ["10.5072"],
            "source": {"url": self.url, "states": {"published": "findable"}, "page_size": 4, **queries, **source},
        }
        return SqlPlatform(AccountSettings.model_validate(settings), SystemClock())


@pytest.fixture(params=KINDS)
def thing(request: pytest.FixtureRequest, database: Callable[[str], str]) -> Iterator[Thing]:
    made = Thing(database(request.param), request.param)
    yield made
    made.engine.dispose()


@pytest.fixture
def sqlite_thing(database: Callable[[str], str]) -> Iterator[Thing]:
    made = Thing(database("sqlite"), "sqlite")
    yield made
    made.engine.dispose()


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 9])
def test_keyset_pages_give_every_record_once(thing: Thing, count: int) -> None:
    for number in range(1, count + 1):
        thing.add(number)
    platform = thing.platform()

    pages = list(platform.all())

    assert [row.key for page in pages for row in page] == [str(number) for number in range(1, count + 1)]
    assert all(len(page) <= 4 for page in pages)
    platform.close()


def test_a_record_is_found_by_key_and_none_when_it_is_gone(thing: Thing) -> None:
    thing.add(7)
    platform = thing.platform()

    row = platform.one("7")

    assert row is not None
    assert (row.key, row.doi) == ("7", "10.5072/t7")
    assert platform.one("8") is None
    platform.close()


def test_a_row_has_the_same_digest_from_every_query_and_in_a_new_process(thing: Thing) -> None:
    thing.add(1, data=[{"rights": "R"}])
    first, second = thing.platform(), thing.platform()

    one = first.one("1")
    (all_page,) = list(second.all())
    (changed_page,) = list(second.changed(_since(thing)))

    assert one is not None
    assert one.digest == all_page[0].digest == changed_page[0].digest
    first.close()
    second.close()


def test_json_comes_undecoded_and_maps_the_same_on_every_database(thing: Thing) -> None:
    thing.add(1, data=[{"rights": "R", "lang": None}])
    platform = thing.platform()
    row = platform.one("1")
    assert row is not None

    mapped = platform.map(row)

    assert isinstance(row.values["rights_list"], str)
    assert isinstance(mapped, Desired)
    assert mapped.state is State.FINDABLE
    assert mapped.attributes == {"titles": [{"title": "Ä title “1” 東"}], "rightsList": [{"rights": "R"}]}
    platform.close()


def test_the_digest_changes_with_any_column_but_not_with_the_timestamp_alone(thing: Thing) -> None:
    thing.add(1)
    platform = thing.platform()
    before = platform.one("1")
    thing.execute("UPDATE thing SET modified = '2026-03-03 03:03:03'")
    touched = platform.one("1")
    thing.execute("UPDATE thing SET title = NULL")
    changed = platform.one("1")

    assert before is not None
    assert touched is not None
    assert changed is not None
    assert before.digest == touched.digest != changed.digest
    platform.close()


def test_the_mapping_is_part_of_the_digest_so_a_new_one_maps_every_record_again(thing: Thing) -> None:
    thing.add(1)
    first, second = thing.platform(), thing.platform(landing_page="https://example.org/{record_key}")
    one, other = first.one("1"), second.one("1")

    assert one is not None
    assert other is not None
    assert one.digest != other.digest
    mapped = second.map(other)
    assert isinstance(mapped, Desired)
    assert mapped.attributes["url"] == "https://example.org/1"
    first.close()
    second.close()


def test_booleans_and_dates_are_status_and_attributes(thing: Thing) -> None:
    thing.add(2)
    select = "SELECT id AS record_key, doi, open AS status, day AS publication_year FROM thing"
    states = {"true": "findable", "1": "findable", "0": "none", "false": "none"}
    platform = thing.platform(all=select, one=f"{select} WHERE id = :key", changed="", states=states)
    row = platform.one("2")
    assert row is not None

    mapped = platform.map(row)

    assert isinstance(mapped, Desired)
    assert (mapped.state, mapped.attributes) == (State.FINDABLE, {"publicationYear": 2024})
    platform.close()


def test_the_watermark_is_the_newest_timestamp_less_the_overlap(thing: Thing) -> None:
    thing.add(1, modified="2026-01-01 10:00:00")
    thing.add(2, modified="2026-01-01 12:00:00")
    thing.add(3, modified="2026-01-01 11:55:00")
    platform = thing.platform(overlap="10m")
    list(platform.all())
    watermark = platform.watermark

    (page,) = list(platform.changed(json.loads(json.dumps(watermark))))

    assert [row.key for row in page] == ["2", "3"]
    platform.close()


def test_a_timestamp_from_the_future_does_not_hide_later_changes(sqlite_thing: Thing) -> None:
    sqlite_thing.add(1, modified="2999-01-01 10:00:00")
    platform = sqlite_thing.platform()
    list(platform.all())

    assert str(platform.watermark) < str(datetime.now(UTC).year + 1)
    platform.close()


def test_the_connection_cannot_write(thing: Thing) -> None:
    thing.add(1)
    engine = open_engine(thing.url, 5)

    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(text("UPDATE thing SET title = 'x'"))

    engine.dispose()


_ENDLESS = "SELECT COUNT(*) FROM " + ", ".join(f"information_schema.columns AS c{n}" for n in range(4))


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_statement_that_takes_too_long_is_ended(kind: str, database: Callable[[str], str]) -> None:
    engine = open_engine(database(kind), 0.2)
    sleep = {"postgresql": "SELECT pg_sleep(20)", "mariadb": _ENDLESS}[kind]

    with pytest.raises(DBAPIError), engine.connect() as connection:
        connection.execute(text(sleep))

    engine.dispose()


def test_a_query_may_page_itself(sqlite_thing: Thing) -> None:
    for number in range(1, 10):
        sqlite_thing.add(number)
    paged = f"{SELECT} WHERE :after IS NULL OR id > :after ORDER BY id LIMIT :limit"
    platform = sqlite_thing.platform(all=paged)

    assert [row.key for page in platform.all() for row in page] == [str(number) for number in range(1, 10)]
    platform.close()


def test_several_rows_for_one_record_are_a_mistake_that_is_explained(sqlite_thing: Thing) -> None:
    for number in range(1, 9):
        sqlite_thing.add(number)
    for edge in (2, 4, 8):
        twice = f"{SELECT} UNION ALL {SELECT} WHERE id = {edge}"
        platform = sqlite_thing.platform(all=twice)
        with pytest.raises(ConfigurationError, match="JSON aggregation|more than one row") as refusal:
            list(platform.all())
        assert "JSON aggregation" in refusal.value.hint
        platform.close()


def test_a_query_one_that_finds_nothing_stops_the_scan_before_records_look_deleted(sqlite_thing: Thing) -> None:
    sqlite_thing.add(1)
    platform = sqlite_thing.platform(one=f"{SELECT} WHERE doi = :key")

    with pytest.raises(ConfigurationError, match='"one" does not find the record 1'):
        list(platform.all())

    platform.close()


def test_queries_with_different_columns_are_a_mistake(sqlite_thing: Thing) -> None:
    sqlite_thing.add(1)
    platform = sqlite_thing.platform(one="SELECT id AS record_key, doi, status, modified FROM thing WHERE id = :key")

    with pytest.raises(ConfigurationError, match="different columns: rights_list, titles"):
        list(platform.all())

    platform.close()


def test_a_quick_look_without_a_timestamp_to_begin_at_is_a_mistake(sqlite_thing: Thing) -> None:
    sqlite_thing.add(1)
    select = "SELECT id AS record_key, doi, status FROM thing"
    platform = sqlite_thing.platform(all=select, one=f"{select} WHERE id = :key")

    with pytest.raises(ConfigurationError, match='no column "modified"'):
        list(platform.all())

    platform.close()


def test_missing_columns_and_wrong_sql_are_mistakes_of_the_configuration(thing: Thing) -> None:
    thing.add(1)
    for query in ("SELECT id AS record_key FROM thing", "SELECT nothing FROM thing", "SELEC"):
        platform = thing.platform(all=query)
        with pytest.raises(ConfigurationError):
            list(platform.all())
        platform.close()


def test_a_database_that_is_not_there_is_no_mistake_of_the_configuration(database: Callable[[str], str]) -> None:
    url = database("postgresql").replace("?host=", "?host=/nowhere")
    settings = {"id": "A.B", "prefixes": ["10.5072"], "source": {"url": url, "all": SELECT, "one": "x :key"}}
    platform = SqlPlatform(AccountSettings.model_validate(settings), SystemClock())

    with pytest.raises(PlatformError, match="cannot be read"):
        list(platform.all())

    platform.close()


@pytest.mark.parametrize("status", ["", "Published", "null", "embargo"])
def test_an_unknown_status_is_a_problem_and_never_findable(sqlite_thing: Thing, status: str) -> None:
    sqlite_thing.add(1)
    sqlite_thing.execute("UPDATE thing SET status = :status", status=None if status == "null" else status)
    platform = sqlite_thing.platform()
    row = platform.one("1")
    assert row is not None

    mapped = platform.map(row)

    assert isinstance(mapped, Problem)
    assert mapped.cause == "status_unknown"
    platform.close()


def test_a_mapping_that_fails_concerns_its_record_only(sqlite_thing: Thing) -> None:
    sqlite_thing.add(1)
    sqlite_thing.execute("UPDATE thing SET data = '{\"broken\": '")
    platform = sqlite_thing.platform()
    row = platform.one("1")
    assert row is not None

    mapped = platform.map(row)

    assert isinstance(mapped, Problem)
    assert mapped.cause == "mapping_failed"
    assert "rightsList holds broken JSON" in mapped.message
    platform.close()


def _since(thing: Thing) -> Any:
    if thing.kind == "sqlite":
        return "2025-01-01 00:00:00"
    zone = "+00:00" if thing.kind == "postgresql" else ""
    return {"datetime": f"2025-01-01T00:00:00{zone}"}


def test_a_database_is_known_by_more_than_its_address(thing: Thing, database: Callable[[str], str]) -> None:
    """A restored copy behind the same address is another database."""
    identities = []
    for one in (thing, thing, Thing(database(thing.kind), thing.kind)):
        platform = one.platform()
        identities.append(platform.identity())
        platform.close()
        one.engine.dispose()

    mine, again, other = identities
    assert mine == again
    assert mine != other
    assert "@" not in mine
    if thing.kind != "sqlite":
        assert len(mine.split("#")[1]) > 10
