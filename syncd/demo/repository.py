"""A made-up repository: works, their people, subjects and grants, with the records that real ones have."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    create_engine,
    delete,
    insert,
    update,
)
from sqlalchemy.engine import make_url

PREFIX = "10.5072"
RECORDS = 240

metadata = MetaData()
work = Table(
    "work",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("doi", String(200)),
    Column("status", String(20), nullable=False),
    Column("title", Text, nullable=False),
    Column("abstract", Text),
    Column("kind", String(40), nullable=False),
    Column("year", Integer, nullable=False),
    Column("licence", String(60)),
    Column("slug", String(200), nullable=False),
    Column("modified", DateTime, nullable=False, index=True),
)
person = Table(
    "person",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("work_id", Integer, ForeignKey("work.id"), nullable=False, index=True),
    Column("place", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("orcid", String(60)),
    Column("affiliation", String(200)),
    Column("ror", String(60)),
)
keyword = Table(
    "keyword",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("work_id", Integer, ForeignKey("work.id"), nullable=False, index=True),
    Column("term", String(200), nullable=False),
)
grant = Table(
    "project_grant",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("work_id", Integer, ForeignKey("work.id"), nullable=False, index=True),
    Column("funder", String(200), nullable=False),
    Column("number", String(60)),
)

_FIRST_DAY = datetime(2026, 1, 1, 8)  # noqa: DTZ001 - as such databases have it, without a zone
_TITLES = (
    "Soil moisture in the Po valley", "Übergänge im Hörspiel", "東京湾の水温観測", "مخطوطات القاهرة",
    "Измерения озона над Уралом", "Café corpora: spoken French", "Sounding rockets, re-analysed",
    "Náttúrufar á Ströndum", "Notes on “smart” quotes & ampersands", "Ecology of the Wadden Sea",
)  # fmt: skip
_NAMES = (
    "Rossi, Ada", "Müller, Jörg", "山田, 太郎", "Nguyễn, Thị Mai", "O’Neill, Siobhán", "Haddad, Layla",
    "Öztürk, Elif", "García Márquez, Inés", "Иванова, Ольга", "Smith, Jo",
)  # fmt: skip
_KINDS = ("Dataset", "Software", "Text", "Image")
_TERMS = ("hydrology", "phonetics", "remote sensing", "history", "atmosphere", "ecology")


def create(url: str) -> None:
    """Make the tables and fill them; the same content every time."""
    engine = create_engine(url)
    with engine.begin() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
        _fill(connection, random.Random(5072))
    engine.dispose()


def _fill(connection: Connection, chance: random.Random) -> None:
    for number in range(1, RECORDS + 1):
        connection.execute(insert(work), _work(number, chance))
        people = 120 if number == 17 else chance.randint(1, 4)
        connection.execute(insert(person), [_person(number, place, chance) for place in range(people)])
        terms = chance.sample(_TERMS, chance.randint(0, 3))
        if terms:
            connection.execute(insert(keyword), [{"work_id": number, "term": term} for term in terms])
        if number % 3 == 0:
            row = {"work_id": number, "funder": "European Research Council", "number": str(100_000 + number)}
            connection.execute(insert(grant), row)


def _status(number: int) -> str:
    if number % 10 == 4:
        return "draft"
    if number % 24 == 9:
        return "restricted"
    if number % 24 == 15:
        return "withdrawn"
    return "published"


def _work(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "id": number,
        "doi": f"{PREFIX}/DEMO.{number:04d}" if number != 200 else None,
        "status": _status(number),
        "title": f"{_TITLES[number % len(_TITLES)]}, part {number}",
        "abstract": f"What was measured, how, and why it matters ({number})." * chance.randint(1, 8),
        # One record that DataCite would refuse: a typing error in its kind.
        "kind": "Datset" if number == 42 else _KINDS[number % len(_KINDS)],
        "year": 2000 + number % 26,
        "licence": "CC-BY-4.0" if number % 4 else None,
        "slug": f"works/{number}",
        "modified": _FIRST_DAY + timedelta(hours=number),
    }


def _person(number: int, place: int, chance: random.Random) -> dict[str, Any]:
    known = chance.random() < 0.5
    return {
        "work_id": number,
        "place": place,
        "name": _NAMES[(number + place) % len(_NAMES)],
        "orcid": f"https://orcid.org/0000-0001-{number:04d}-{place:04d}" if chance.random() < 0.4 else None,
        "affiliation": "University of Somewhere" if known else None,
        "ror": "https://ror.org/04wxnsj81" if known else None,
    }


@dataclass(frozen=True, slots=True)
class Edit:
    """One change that somebody makes in the repository."""

    what: str
    work: int
    make: Callable[[Connection], None]

    @property
    def doi(self) -> str:
        """The DOI of the record."""
        return f"{PREFIX}/demo.{self.work:04d}"


def edits() -> Sequence[Edit]:
    """Seven changes of seven kinds; only the first moves the record's own timestamp."""
    return (
        Edit("title corrected", 11, lambda c: _set(c, 11, title="A better title", modified=datetime(2026, 6, 1))),  # noqa: DTZ001
        Edit("ORCID added to a creator", 12, _add_orcid),
        Edit("landing page moved", 13, lambda c: _set(c, 13, slug="collections/thirteen")),
        Edit("rights removed", 18, lambda c: _set(c, 18, licence=None)),
        Edit("draft published", 24, lambda c: _set(c, 24, status="published")),
        Edit("record withdrawn", 19, lambda c: _set(c, 19, status="withdrawn")),
        Edit("record deleted", 20, _delete),
    )


def apply(url: str, changes: Sequence[Edit]) -> None:
    """Make the edits."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for edit in changes:
            edit.make(connection)
    engine.dispose()


def _set(connection: Connection, number: int, **values: Any) -> None:
    connection.execute(update(work).where(work.c.id == number).values(values))


def _add_orcid(connection: Connection) -> None:
    first = (person.c.work_id == 12) & (person.c.place == 0)
    connection.execute(update(person).where(first).values(orcid="https://orcid.org/0000-0002-1825-0097"))


def _delete(connection: Connection) -> None:
    for table in (person, keyword, grant):
        connection.execute(delete(table).where(table.c.work_id == bindparam("number")), {"number": 20})
    connection.execute(delete(work).where(work.c.id == 20))


def query(url: str) -> str:
    """The operator's SELECT: one row per record, child rows as JSON, in the database's own dialect."""
    people, terms, grants = _CHILDREN[make_url(url).get_backend_name()]
    return f"""\
SELECT work.id AS record_key, work.doi, work.status, work.modified, work.slug,
       work.title AS titles, work.abstract AS descriptions, work.kind AS types,
       work.year AS publication_year, 'Demo Repository' AS publisher,
       {people} AS creators,
       {terms} AS subjects,
       {grants} AS funding_references,
       {_rights(url)} AS rights_list
  FROM work"""  # noqa: S608 - our own constants


_CHILDREN = {
    "sqlite": (
        "(SELECT json_group_array(json_object('name', name, 'orcid', orcid, 'affiliation', affiliation, 'ror', ror))\n"
        "          FROM (SELECT * FROM person WHERE person.work_id = work.id ORDER BY place))",
        "(SELECT json_group_array(term) FROM (SELECT * FROM keyword WHERE keyword.work_id = work.id ORDER BY id))",
        "(SELECT json_group_array(json_object('funderName', funder, 'awardNumber', number))\n"
        "          FROM (SELECT * FROM project_grant WHERE project_grant.work_id = work.id ORDER BY id))",
    ),
    "postgresql": (
        "(SELECT json_agg(json_build_object('name', name, 'orcid', orcid, 'affiliation', affiliation, 'ror', ror)\n"
        "                        ORDER BY place) FROM person WHERE person.work_id = work.id)",
        "(SELECT json_agg(term ORDER BY id) FROM keyword WHERE keyword.work_id = work.id)",
        "(SELECT json_agg(json_build_object('funderName', funder, 'awardNumber', number) ORDER BY id)\n"
        "          FROM project_grant WHERE project_grant.work_id = work.id)",
    ),
    "mysql": (
        "(SELECT JSON_ARRAYAGG(JSON_OBJECT('name', name, 'orcid', orcid, 'affiliation', affiliation, 'ror', ror)\n"
        "                        ORDER BY place) FROM person WHERE person.work_id = work.id)",
        "(SELECT JSON_ARRAYAGG(term ORDER BY id) FROM keyword WHERE keyword.work_id = work.id)",
        "(SELECT JSON_ARRAYAGG(JSON_OBJECT('funderName', funder, 'awardNumber', number) ORDER BY id)\n"
        "          FROM project_grant WHERE project_grant.work_id = work.id)",
    ),
}
_CHILDREN["mariadb"] = _CHILDREN["mysql"]


def _rights(url: str) -> str:
    """A licence as the one object that DataCite completes from SPDX; nothing without one."""
    maker = "json_build_object" if make_url(url).get_backend_name() == "postgresql" else "json_object"
    return f"CASE WHEN work.licence IS NOT NULL THEN {maker}('rightsIdentifier', work.licence) END"
