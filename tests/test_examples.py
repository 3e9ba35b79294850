"""The example configurations for Dataverse and EPrints, on small schemas of theirs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from syncd import config
from syncd.model import Desired
from syncd.platforms import open_platform
from tests.presets.site import config_url

EXAMPLES = Path(__file__).parent.parent / "deploy" / "examples"
DATAVERSE = """
CREATE TABLE dvobject (id int PRIMARY KEY, dtype text, protocol text, authority text, separator text, identifier text,
    publicationdate timestamp, modificationtime timestamp);
CREATE TABLE dataset (id int PRIMARY KEY, harvestingclient_id int);
CREATE TABLE license (id int PRIMARY KEY, name text, uri text);
CREATE TABLE termsofuseandaccess (id int PRIMARY KEY, license_id int);
CREATE TABLE datasetversion (id int PRIMARY KEY, dataset_id int, versionnumber int, minorversionnumber int,
    versionstate text, lastupdatetime timestamp, releasetime timestamp, version int, termsofuseandaccess_id int);
CREATE TABLE datasetfieldtype (id int PRIMARY KEY, name text);
CREATE TABLE datasetfield (id int PRIMARY KEY, datasetversion_id int, datasetfieldtype_id int,
    parentdatasetfieldcompoundvalue_id int);
CREATE TABLE datasetfieldvalue (id serial PRIMARY KEY, datasetfield_id int, value text, displayorder int);
CREATE TABLE datasetfieldcompoundvalue (id int PRIMARY KEY, parentdatasetfield_id int, displayorder int);
CREATE TABLE controlledvocabularyvalue (id int PRIMARY KEY, strvalue text);
CREATE TABLE datasetfield_controlledvocabularyvalue (datasetfield_id int, controlledvocabularyvalues_id int);
INSERT INTO license VALUES (1, 'CC0 1.0', 'http://creativecommons.org/publicdomain/zero/1.0');
INSERT INTO termsofuseandaccess VALUES (1, 1);
INSERT INTO datasetfieldtype VALUES (1, 'title'), (2, 'author'), (3, 'authorName'), (4, 'authorAffiliation'),
    (5, 'authorIdentifier'), (6, 'authorIdentifierScheme'), (7, 'subject'), (8, 'dsDescription'),
    (9, 'dsDescriptionValue');
INSERT INTO controlledvocabularyvalue VALUES (1, 'ORCID'), (2, 'Physics');
INSERT INTO dvobject SELECT n, 'Dataset', 'doi', '10.5072', '/', 'FK2/' || n,
    CASE WHEN n <> 2 THEN timestamp '2023-01-01' END, timestamp '2024-01-01' FROM generate_series(1, 4) n;
INSERT INTO dataset VALUES (1, NULL), (2, NULL), (3, NULL), (4, 7);
INSERT INTO datasetversion VALUES (11, 1, 1, 0, 'RELEASED', '2023-01-01', '2023-01-01', 1, 1),
    (12, 1, 1, 1, 'RELEASED', '2023-02-01', '2023-02-01', 1, 1),
    (13, 1, NULL, NULL, 'DRAFT', '2024-02-01', NULL, 1, 1),
    (21, 2, NULL, NULL, 'DRAFT', '2024-01-01', NULL, 1, 1),
    (31, 3, 1, 0, 'DEACCESSIONED', '2023-01-01', '2023-01-01', 2, 1);
INSERT INTO datasetfield VALUES (101, 12, 1, NULL), (102, 12, 2, NULL), (103, NULL, 3, 1), (104, NULL, 4, 1),
    (105, NULL, 5, 1), (106, NULL, 6, 1), (107, NULL, 3, 2), (108, 12, 7, NULL), (109, 12, 8, NULL), (110, NULL, 9, 3),
    (111, 13, 1, NULL);
INSERT INTO datasetfieldcompoundvalue VALUES (1, 102, 0), (2, 102, 1), (3, 109, 0);
INSERT INTO datasetfieldvalue (datasetfield_id, value, displayorder) VALUES (101, 'Released title', 0),
    (103, 'Roe, Jo', 0),
    (104, 'Example Institute', 0), (105, '0000-0002-1825-0097', 0), (107, 'Doe, Jane', 0), (110, '<p>Words.</p>', 0),
    (111, 'Unpublished title', 0);
INSERT INTO datasetfield_controlledvocabularyvalue VALUES (106, 1), (108, 2)
"""
EPRINTS = """
CREATE TABLE eprint (eprintid int PRIMARY KEY, eprint_status varchar(255), metadata_visibility varchar(255),
    type varchar(255), title text, abstract text, publisher text, id_number varchar(255), date_year smallint,
    datestamp_year smallint, lastmod_year smallint, lastmod_month smallint, lastmod_day smallint, lastmod_hour smallint,
    lastmod_minute smallint, lastmod_second smallint);
CREATE TABLE eprint_creators_name (eprintid int, pos int, creators_name_family varchar(255),
    creators_name_given varchar(255));
CREATE TABLE eprint_creators_orcid (eprintid int, pos int, creators_orcid varchar(255));
CREATE TABLE eprint_subjects (eprintid int, pos int, subjects varchar(255));
CREATE TABLE subject_name_name (subjectid varchar(255), pos int, subject_name_name varchar(255));
INSERT INTO subject_name_name VALUES ('QL', 0, 'Zoology');
INSERT INTO eprint_subjects VALUES (1, 0, 'QL');
INSERT INTO eprint_creators_name VALUES (1, 1, 'Doe', 'Jane'), (1, 0, 'Roe', 'Jo');
INSERT INTO eprint_creators_orcid VALUES (1, 0, '0000-0002-1825-0097')
"""


def _records(name: str, url: str, statements: str) -> dict[str, Any]:
    engine = create_engine(config_url(url))
    view = (EXAMPLES / f"{name}.sql").read_text()
    code = "\n".join(line for line in view.splitlines() if not line.startswith("--"))
    with engine.begin() as connection:
        for statement in filter(str.strip, f"{statements};{code}".split(";")):
            connection.exec_driver_sql(statement.replace("%", "%%") if "mysql" in str(engine.url) else statement)
    engine.dispose()
    path = EXAMPLES / f"{name}.toml"
    account = config.load(path, {"SYNCD_ACCOUNTS__0__SOURCE__URL": url}).accounts[0]
    platform = open_platform(account)
    try:
        rows = [row for page in platform.all() for row in page]
        assert [platform.one(row.key) for row in rows] == rows
        return {row.doi: platform.map(row) for row in rows}
    finally:
        platform.close()


def test_dataverse_shows_the_newest_released_version_and_no_draft_beside_it(database: Callable[[str], str]) -> None:
    found = _records("dataverse", database("postgresql"), DATAVERSE)

    assert {doi: str(one.state) for doi, one in found.items()} == {
        "10.5072/fk2/1": "findable", "10.5072/fk2/2": "none", "10.5072/fk2/3": "registered",
    }  # fmt: skip
    one = found["10.5072/fk2/1"]
    assert isinstance(one, Desired)
    assert one.attributes == {
        "titles": [{"title": "Released title"}],
        "creators": [
            {
                "name": "Roe, Jo",
                "affiliation": [{"name": "Example Institute"}],
                "nameIdentifiers": [
                    {
                        "nameIdentifier": "0000-0002-1825-0097", "nameIdentifierScheme": "ORCID",
                        "schemeUri": "https://orcid.org",
                    }
                ],
            },
            {"name": "Doe, Jane"},
        ],
        "subjects": [{"subject": "Physics"}],
        "descriptions": [{"description": "Words.", "descriptionType": "Abstract"}],
        "publicationYear": 2023,
        "types": {"resourceTypeGeneral": "Dataset"},
        "version": "1.1",
        "rightsList": [{"rights": "CC0 1.0", "rightsUri": "http://creativecommons.org/publicdomain/zero/1.0"}],
        "publisher": {"name": "CHANGE"},
        "url": "https://CHANGE.example.org/citation?persistentId=doi:10.5072/FK2/1",
    }  # fmt: skip


def test_eprints_status_and_visibility_decide_and_creators_keep_their_order(database: Callable[[str], str]) -> None:
    rows = [
        (1, "archive", "show"), (2, "archive", "hide"), (3, "buffer", "show"), (4, "inbox", "show"),
        (5, "deletion", "show"),
    ]  # fmt: skip
    inserts = ";".join(
        f"INSERT INTO eprint VALUES ({n}, '{status}', '{visible}', 'article', 'Title {n}', 'Words', 'A Publisher',"
        f" '10.5072/{n}', 2020, 2021, 2024, 5, 6, 7, 8, 9)"
        for n, status, visible in rows
    )

    found = _records("eprints", database("mariadb"), f"{EPRINTS};{inserts}")

    assert [str(found[f"10.5072/{n}"].state) for n in range(1, 6)] == [
        "findable", "registered", "none", "none", "registered"]  # fmt: skip
    one = found["10.5072/1"]
    assert isinstance(one, Desired)
    assert [creator["name"] for creator in one.attributes["creators"]] == ["Roe, Jo", "Doe, Jane"]
    assert one.attributes["creators"][0]["nameIdentifiers"][0]["nameIdentifier"] == "0000-0002-1825-0097"
    assert one.attributes["types"] == {"resourceTypeGeneral": "JournalArticle"}
    assert one.attributes["subjects"] == [{"subject": "Zoology"}]
    assert one.attributes["publicationYear"] == 2020


def test_the_examples_name_every_place_that_is_to_be_changed() -> None:
    for name in ("dataverse", "eprints"):
        assert (EXAMPLES / f"{name}.toml").read_text().count("CHANGE") >= 5
