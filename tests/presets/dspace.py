"""A DSpace: the tables of its migrations, 7.6 to 9.3, reduced to the columns that matter."""

import itertools
import uuid
from typing import Any

from tests.presets.site import EACH, PREFIX, Edit, Installation

SCHEMA = """
CREATE TABLE dspaceobject (uuid uuid PRIMARY KEY);
CREATE TABLE item (item_id integer, in_archive boolean, withdrawn boolean, last_modified timestamp with time zone,
    discoverable boolean, uuid uuid PRIMARY KEY, submitter_id uuid, owning_collection uuid);
CREATE TABLE collection (collection_id integer, uuid uuid PRIMARY KEY, template_item_id uuid, logo_bitstream_id uuid);
CREATE TABLE metadataschemaregistry (metadata_schema_id integer PRIMARY KEY, namespace varchar(256),
    short_id varchar(32));
CREATE TABLE metadatafieldregistry (metadata_field_id serial PRIMARY KEY, metadata_schema_id integer NOT NULL,
    element varchar(64), qualifier varchar(64), scope_note text);
CREATE TABLE metadatavalue (metadata_value_id serial PRIMARY KEY, metadata_field_id integer, text_value text,
    text_lang varchar(24), place integer, authority varchar(100), confidence integer DEFAULT -1, dspace_object_id uuid);
CREATE INDEX metadatavalue_object ON metadatavalue (dspace_object_id);
CREATE TABLE doi (doi_id serial PRIMARY KEY, doi varchar(256) UNIQUE, resource_type_id integer, resource_id integer,
    status integer, dspace_object uuid);
CREATE TABLE handle (handle_id serial PRIMARY KEY, handle varchar(256) UNIQUE, resource_type_id integer,
    resource_legacy_id integer, resource_id uuid);
CREATE TABLE workspaceitem (workspace_item_id serial PRIMARY KEY, item_id uuid);
CREATE TABLE cwf_workflowitem (workflowitem_id serial PRIMARY KEY, item_id uuid);
CREATE TABLE versionhistory (versionhistory_id serial PRIMARY KEY);
CREATE TABLE versionitem (versionitem_id serial PRIMARY KEY, item_id uuid, version_number integer,
    version_date timestamp, version_summary varchar(255), versionhistory_id integer);
CREATE TABLE epersongroup (eperson_group_id integer, permanent boolean, name varchar(250), uuid uuid PRIMARY KEY);
CREATE TABLE resourcepolicy (policy_id serial PRIMARY KEY, resource_type_id integer, action_id integer,
    start_date date, end_date date, rpname varchar(30), rptype varchar(30), rpdescription text,
    eperson_id uuid, epersongroup_id uuid, dspace_object uuid);
CREATE TABLE entity_type (id serial PRIMARY KEY, label varchar(32));
CREATE TABLE relationship_type (id serial PRIMARY KEY, left_type integer, right_type integer,
    leftward_type varchar(64), rightward_type varchar(64));
CREATE TABLE relationship (id serial PRIMARY KEY, left_id uuid, type_id integer, right_id uuid, left_place integer,
    right_place integer, leftward_value varchar, rightward_value varchar, latest_version_status integer DEFAULT 0);
CREATE INDEX relationship_by_left_id_idx ON relationship (left_id);
INSERT INTO metadataschemaregistry VALUES (1, 'http://dublincore.org/documents/dcmi-terms/', 'dc'),
    (2, '', 'person'), (3, '', 'organization'), (4, '', 'dspace');
INSERT INTO entity_type (label) VALUES ('Publication'), ('Person'), ('OrgUnit');
INSERT INTO relationship_type (left_type, right_type, leftward_type, rightward_type)
    VALUES (1, 2, 'isAuthorOfPublication', 'isPublicationOfAuthor'),
           (1, 3, 'isAuthorOfPublication', 'isPublicationOfAuthor'),
           (1, 2, 'isProjectOfPublication', 'isPublicationOfProject')
"""
SCHEMAS = {"dc": 1, "person": 2, "organization": 3, "dspace": 4}
OLD = "2024-01-01 10:00:00+00"
REGISTERED, TO_REGISTER, DELETED, MINTED = 3, 1, 9, 11
ANONYMOUS = uuid.uuid5(uuid.NAMESPACE_URL, "Anonymous")
_minutes = itertools.count()

PLAIN = {
    "dc.contributor.author": ["Roe, Jo"],
    "dc.title": ["A title"],
    "dc.publisher": ["A Publisher"],
    "dc.date.issued": ["2023-05-06"],
    "dc.type": ["Article"],
}
RICH: dict[str, list[Any]] = {
    "dc.contributor.author": ["Roe, Jo", "A consortium"],
    "dc.contributor.editor": ["Doe, Jane"],
    "dc.contributor.advisor": ["Poe, Ann"],
    "dc.contributor.other": ["Moe"],
    "dc.title": ["Water &amp; <i>birds</i>"],
    "dc.title.alternative": ["Another name"],
    "dc.publisher": ["A Publisher", "Not this one"],
    "dc.date.accessioned": ["2023-06-01T10:11:12Z"],
    "dc.date.available": ["2023-06-02T10:11:12Z"],
    "dc.date.issued": ["2019-02"],
    "dc.type": ["Recording, oral"],
    "dc.subject": [("water", "en_US"), ("Vögel", "de")],
    "dc.subject.ddc": ["590"],
    "dc.language.iso": ["en_US"],
    "dc.identifier.issn": ["1234-5678"],
    "dc.format.extent": ["11 pages"],
    "dc.format.mimetype": ["application/pdf"],
    "dc.rights": ["Attribution 4.0 International"],
    "dc.rights.uri": ["https://creativecommons.org/licenses/by/4.0/"],
    "dc.description.abstract": [("<p>First.</p><p>Second.</p>", "en")],
    "dc.description.tableofcontents": ["One; two"],
    "dc.description": [("A note", "not a language!")],
    "dc.description.provenance": ["Submitted by jo@example.org"],
    "dc.description.sponsorship": ["A donor"],
    "dc.relation.ispartof": ["A series"],
}


def identifier(*parts: object) -> uuid.UUID:
    """The same for the same words."""
    return uuid.uuid5(uuid.NAMESPACE_URL, " ".join(map(str, parts)))


class DSpace:
    """Makes items and edits them as DSpace does, timestamps included."""

    def __init__(self, site: Installation, version: str) -> None:
        assert version == "7 to 9"
        self.site = site
        site.script(SCHEMA)
        site.insert("epersongroup", uuid=ANONYMOUS, name="Anonymous", permanent=True)
        self._fields: dict[str, int] = {}
        self._handles = itertools.count(1)

    def field(self, name: str) -> int:
        if name not in self._fields:
            schema, element, *qualifier = name.split(".")
            number = len(self._fields) + 1
            self.site.insert("metadatafieldregistry", metadata_field_id=number, metadata_schema_id=SCHEMAS[schema],
                             element=element, qualifier=qualifier[0] if qualifier else None)  # fmt: skip
            self._fields[name] = number
        return self._fields[name]

    def metadata(self, one: uuid.UUID, values: dict[str, Any]) -> None:
        rows = [
            {
                "metadata_field_id": self.field(name), "dspace_object_id": one, "place": place,
                "text_value": value[0] if isinstance(value, tuple) else value,
                "text_lang": value[1] if isinstance(value, tuple) else None,
            }
            for name, several in values.items()
            for place, value in enumerate(several)
        ]  # fmt: skip
        if rows:
            self.site.insert_all("metadatavalue", list(reversed(rows)))  # row order is not the order

    def item(
        self,
        name: str,
        *,
        metadata: dict[str, Any] | None = None,
        in_archive: bool = True,
        withdrawn: bool = False,
        discoverable: bool = True,
        status: int | None = REGISTERED,
        doi: bool = True,
        public: bool = True,
    ) -> uuid.UUID:
        one = identifier(name)
        self.site.insert("dspaceobject", uuid=one)
        self.site.insert("item", uuid=one, in_archive=in_archive, withdrawn=withdrawn, discoverable=discoverable,
                         last_modified=OLD)  # fmt: skip
        self.metadata(one, PLAIN if metadata is None else metadata)
        self.site.insert("handle", handle=f"123456789/{name}", resource_type_id=2, resource_id=one)
        if doi:
            self.site.insert("doi", doi=f"{PREFIX}/{name}", resource_type_id=2, status=status, dspace_object=one)
        if public:
            self.site.insert("resourcepolicy", action_id=0, epersongroup_id=ANONYMOUS, dspace_object=one)
        return one

    def person(self, name: str, family: str, given: str, orcid: str | None = None) -> uuid.UUID:
        values = {"person.familyName": [family], "person.givenName": [given], "dc.title": [f"{family}, {given}"]}
        if orcid:
            values["person.identifier.orcid"] = [orcid]
        return self.item(name, metadata=values, doi=False)

    def author(
        self, item: uuid.UUID, person: uuid.UUID, place: int, *, variant: str | None = None, kind: int = 1,
        latest: int = 0,
    ) -> None:  # fmt: skip
        self.site.insert("relationship", left_id=item, right_id=person, type_id=kind, left_place=place, right_place=0,
                         leftward_value=variant, latest_version_status=latest)  # fmt: skip

    def fill(self) -> None:
        """Thirty items of every kind."""
        roe = self.person("person-roe", "Entity", "Eve", "0000-0002-1825-0097")
        old = self.person("person-old", "Entity", "Older")
        union = self.item("organisation", metadata={"organization.legalName": ["Example Union"]}, doi=False)
        for number in range(1, EACH + 1):
            self.item(f"public-{number}", metadata={**PLAIN, "dc.title": [f"Item {number}"]})
            uris = [f"https://hdl.handle.net/123456789/rich-{number}", f"https://doi.org/{PREFIX}/rich-{number}"]
            self.item(f"rich-{number}", metadata={**RICH, "dc.identifier.uri": uris})
            entity = self.item(
                f"entity-{number}", metadata={**PLAIN, "dc.contributor.author": ["First, Fay", "Fourth, Flo"]}
            )
            self.site.execute("UPDATE metadatavalue SET place = 3 WHERE dspace_object_id = :id AND"
                              " text_value = 'Fourth, Flo'", id=entity)  # fmt: skip
            self.author(entity, roe, 1)
            self.author(entity, union, 2, kind=2)
            self.author(entity, old, 4, latest=1)
            self.author(entity, roe, 5, variant="Entity, E.")
            self.item(f"withdrawn-{number}", in_archive=False, withdrawn=True)
            one = self.item(f"submission-{number}", in_archive=False)
            self.site.insert("workspaceitem", item_id=one)
            one = self.item(f"workflow-{number}", in_archive=False, status=MINTED)
            self.site.insert("cwf_workflowitem", item_id=one)
            one = self.item(f"superseded-{number}", in_archive=False)
            self.site.insert("versionitem", item_id=one, version_number=1)
            one = self.item(f"template-{number}", in_archive=False, doi=False)
            self.site.insert("collection", uuid=identifier("collection", number), template_item_id=one)
            self.item(f"hidden-{number}", discoverable=False, public=False)
            self.item(f"unqueued-{number}", status=MINTED)
            self.item(f"queued-{number}", status=TO_REGISTER)
            self.site.insert("doi", doi=f"{PREFIX}/deleted-{number}", resource_type_id=2, status=DELETED)
            self.item(f"bare-{number}", metadata={"dc.date.accessioned": ["2022-01-01T00:00:00Z"],
                      "dc.publisher": [None, "", "A Publisher"]})  # fmt: skip
        touch(self.site, "template-1")
        touch(self.site, "submission-1")


def touch(site: Installation, name: str) -> None:
    """A save through the item service: a minute after the last one."""
    moment = f"timestamptz '2024-05-06 08:00:00+00' + interval '{next(_minutes)} minutes'"
    site.execute(f"UPDATE item SET last_modified = {moment} WHERE uuid = :id", id=identifier(name))


def _value(site: Installation, name: str, old: str, new: str) -> None:
    site.execute("UPDATE metadatavalue SET text_value = :new WHERE dspace_object_id = :id AND text_value = :old",
                 id=identifier(name), old=old, new=new)  # fmt: skip


def _archived(site: Installation, name: str, *, archived: bool) -> None:
    site.execute("UPDATE item SET in_archive = :yes, withdrawn = NOT :yes WHERE uuid = :id", yes=archived,
                 id=identifier(name))  # fmt: skip


def _dois(*names: str) -> frozenset[str]:
    return frozenset(f"{PREFIX}/{name}" for name in names)


_ENTITIES = frozenset(f"{PREFIX}/entity-{number}" for number in range(1, EACH + 1))
EDITS = [
    Edit("metadata edited", lambda site: (
        _value(site, "public-1", "Item 1", "Another"), touch(site, "public-1")), _dois("public-1"), "changed"),
    Edit("a bitstream added, which no DOI shows", lambda site: touch(site, "public-2"), frozenset(), "changed"),
    Edit("withdrawn", lambda site: (
        _archived(site, "public-3", archived=False), touch(site, "public-3")), _dois("public-3"), "changed"),
    Edit("reinstated", lambda site: (
        _archived(site, "public-3", archived=True), touch(site, "public-3")), _dois("public-3"), "changed"),
    Edit("a new version archived, the old one un-archived", lambda site: (
        site.execute("UPDATE item SET in_archive = false WHERE uuid = :id", id=identifier("public-4")),
        site.insert("versionitem", item_id=identifier("public-4"), version_number=1),
        touch(site, "public-4")), frozenset(), "changed"),
    Edit("a submission archived", lambda site: (
        site.execute("DELETE FROM workspaceitem WHERE item_id = :id", id=identifier("submission-2")),
        site.execute("UPDATE item SET in_archive = true WHERE uuid = :id", id=identifier("submission-2")),
        touch(site, "submission-2")), _dois("submission-2"), "changed"),
    Edit("a related person renamed, which touches the person only", lambda site: (
        _value(site, "person-roe", "Eve", "Evelyn"), touch(site, "person-roe")), _ENTITIES, "changed"),
    Edit("an item deleted: its rows vanish, the DOI's stays", lambda site: (
        site.execute("UPDATE doi SET dspace_object = NULL, status = 8 WHERE doi = :doi", doi=f"{PREFIX}/public-5"),
        *(site.execute(f"DELETE FROM {table} WHERE {column} = :id", id=identifier("public-5"))
          for table, column in (("metadatavalue", "dspace_object_id"), ("item", "uuid"), ("dspaceobject", "uuid")))),
        _dois("public-5"), "outline"),
    Edit("the organiser writes a status", lambda site: site.execute(
        "UPDATE doi SET status = 6 WHERE doi = :doi", doi=f"{PREFIX}/public-6"), frozenset(), "outline"),
    Edit("MetadataValueService.update or SQL, without last_modified", lambda site: _value(
        site, "public-7", "Item 7", "Cleaned up"), _dois("public-7"), "full"),
]  # fmt: skip
