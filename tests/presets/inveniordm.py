"""An InvenioRDM: the tables as its own models make them (13: without time zones, 14: with them)."""

import itertools
import json
import uuid
from typing import Any

from tests.presets.site import EACH, PREFIX, Edit, Installation

_MOMENTS = "created {moment} NOT NULL, updated {moment} NOT NULL"
_RECORD = "id UUID PRIMARY KEY, json JSONB, version_id INTEGER NOT NULL, " + _MOMENTS
SCHEMA = f"""
CREATE TABLE pidstore_pid (id SERIAL PRIMARY KEY, pid_type VARCHAR(6) NOT NULL, pid_value VARCHAR(255) NOT NULL,
    pid_provider VARCHAR(8), status CHAR(1) NOT NULL, object_type VARCHAR(3), object_uuid UUID, {_MOMENTS});
CREATE UNIQUE INDEX uidx_type_pid ON pidstore_pid (pid_type, pid_value);
CREATE INDEX idx_object ON pidstore_pid (object_type, object_uuid);
CREATE TABLE rdm_parents_metadata ({_RECORD});
CREATE TABLE rdm_records_metadata (bucket_id UUID, media_bucket_id UUID, deletion_status VARCHAR(1) NOT NULL, {_RECORD},
    index INTEGER, parent_id UUID REFERENCES rdm_parents_metadata (id));
CREATE TABLE rdm_drafts_metadata (bucket_id UUID, media_bucket_id UUID, fork_version_id INTEGER, expires_at {{moment}},
    {_RECORD}, index INTEGER, parent_id UUID REFERENCES rdm_parents_metadata (id));
CREATE TABLE rdm_versions_state (latest_index INTEGER, parent_id UUID PRIMARY KEY REFERENCES rdm_parents_metadata (id),
    latest_id UUID REFERENCES rdm_records_metadata (id), next_draft_id UUID REFERENCES rdm_drafts_metadata (id));
CREATE TABLE communities_metadata (slug VARCHAR(255) UNIQUE, bucket_id UUID, deletion_status VARCHAR(1) NOT NULL,
    {_RECORD});
CREATE TABLE rdm_parents_community (community_id UUID REFERENCES communities_metadata (id),
    record_id UUID REFERENCES rdm_parents_metadata (id), request_id UUID, PRIMARY KEY (community_id, record_id));
CREATE TABLE vocabularies_types (id VARCHAR(255) PRIMARY KEY, pid_type VARCHAR(255) UNIQUE);
CREATE TABLE vocabularies_metadata ({_RECORD});
CREATE TABLE affiliation_metadata (pid VARCHAR(255) UNIQUE, {_RECORD});
CREATE TABLE funder_metadata (pid VARCHAR(255) UNIQUE, {_RECORD});
CREATE TABLE award_metadata (pid VARCHAR(255) UNIQUE, {_RECORD});
CREATE TABLE subject_metadata ({_RECORD})
"""
MOMENTS = {"13": "TIMESTAMP WITHOUT TIME ZONE", "14": "TIMESTAMP WITH TIME ZONE"}
OLD = "2024-01-01 10:00:00"
_minutes = itertools.count()

TERMS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("resourcetypes", "rsrct"): [
        {"id": "dataset", "props": {"datacite_general": "Dataset", "datacite_type": ""}},
        {"id": "publication-article",
         "props": {"datacite_general": "JournalArticle", "datacite_type": "Journal article"}},
    ],
    ("titletypes", "ttyp"): [{"id": "subtitle", "props": {"datacite": "Subtitle"}}],
    ("descriptiontypes", "dty"): [{"id": "methods", "props": {"datacite": "Methods"}}],
    ("contributorsroles", "crr"): [{"id": "datacollector", "props": {"datacite": "DataCollector"}}],
    ("datetypes", "dat"): [{"id": "collected", "props": {"datacite": "Collected"}}],
    ("relationtypes", "rlt"): [{"id": "cites", "props": {"datacite": "Cites"}}],
    ("languages", "lng"): [{"id": "eng", "title": {"en": "English"}}],
    ("licenses", "lic"): [{"id": "cc-by-4.0", "title": {"de": "Namensnennung", "en": "Attribution 4.0"},
                           "props": {"url": "https://creativecommons.org/licenses/by/4.0/", "scheme": "spdx"}}],
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "affiliation_metadata": {"id": "05a28rw58", "name": "Example Institute",
                             "identifiers": [{"scheme": "isni", "identifier": "0000000000000000"},
                                             {"scheme": "ror", "identifier": "05a28rw58"}]},
    "funder_metadata": {"id": "00k4n6c32", "name": "Example Commission",
                        "identifiers": [{"scheme": "doi", "identifier": "10.13039/501100000780"},
                                        {"scheme": "ror", "identifier": "00k4n6c32"}]},
    "award_metadata": {"id": "00k4n6c32::17", "number": "17", "title": {"en": "A grant"},
                       "identifiers": [{"scheme": "url", "identifier": "https://example.org/grants/17"}]},
    "subject_metadata": {"id": "https://example.org/subjects/water", "scheme": "EX", "subject": "Water"},
}  # fmt: skip
METADATA: dict[str, Any] = {
    "title": "A title", "publisher": "A Publisher", "publication_date": "2023-05", "resource_type": {"id": "dataset"},
    "creators": [{"person_or_org": {"type": "personal", "name": "Roe, Jo", "given_name": "Jo", "family_name": "Roe"}}],
}  # fmt: skip
RICH: dict[str, Any] = {
    **METADATA,
    "title": "Water &amp; <i>birds</i>",
    "additional_titles": [{"title": "A subtitle", "type": {"id": "subtitle"}, "lang": {"id": "eng"}}],
    "creators": [
        {
            "person_or_org": {
                "type": "personal", "name": "Roe, Jo", "given_name": "Jo", "family_name": "Roe",
                "identifiers": [{"scheme": "orcid", "identifier": "0000-0002-1825-0097"}],
            },
            "affiliations": [{"id": "05a28rw58"}, {"name": "Free text"}],
        },
        {"person_or_org": {"type": "organizational", "name": "A consortium",
                           "identifiers": [{"scheme": "ror", "identifier": "05a28rw58"}]}},
    ],
    "contributors": [{"person_or_org": {"type": "personal", "name": "Doe, Jane"}, "role": {"id": "datacollector"}}],
    "publication_date": "2018-03/2019-02",
    "resource_type": {"id": "publication-article"},
    "subjects": [{"id": "https://example.org/subjects/water"}, {"subject": "birds"}],
    "dates": [{"date": "2017", "type": {"id": "collected"}, "description": "in summer"}],
    "languages": [{"id": "eng"}, {"id": "deu"}],
    "identifiers": [{"scheme": "isbn", "identifier": "978-3-16-148410-0"}, {"scheme": "doi", "identifier": "10.1/x"}],
    "related_identifiers": [
        {"identifier": "10.1234/cited", "scheme": "doi", "relation_type": {"id": "cites"},
         "resource_type": {"id": "dataset"}},
        {"identifier": "Q42", "scheme": "wikidata", "relation_type": {"id": "cites"}},
    ],
    "sizes": ["11 pages"],
    "formats": ["application/pdf"],
    "version": "1.0",
    "rights": [{"id": "cc-by-4.0"}, {"title": {"en": "Own terms"}, "link": "https://example.org/terms"}],
    "copyright": "(c) 2023 Jo Roe",
    "description": "<p>First.</p><p>Second &lt; third.</p>",
    "additional_descriptions": [{"description": "How", "type": {"id": "methods"}}],
    "locations": {"features": [
        {"place": "Here", "geometry": {"type": "Point", "coordinates": [4.5, 52.25]}},
        {"geometry": {"type": "Polygon", "coordinates": [[[1, 2], [3, 2], [3, 4], [1, 4], [1, 2]]]}},
    ]},
    "funding": [{"funder": {"id": "00k4n6c32"}, "award": {"id": "00k4n6c32::17"}}, {"funder": {"name": "A donor"}}],
}  # fmt: skip


def identifier(*parts: object) -> uuid.UUID:
    """The same for the same words."""
    return uuid.uuid5(uuid.NAMESPACE_URL, " ".join(map(str, parts)))


class InvenioRdm:
    """Makes records and edits them as the services do, timestamps included."""

    def __init__(self, site: Installation, version: str, *, empty: bool = True) -> None:
        """Args: ``empty``: the database has no tables yet."""
        self.site = site
        if empty:
            site.script(SCHEMA.format(moment=MOMENTS[version]))
        for (kind, pid_type), terms in TERMS.items():
            site.insert("vocabularies_types", id=kind, pid_type=pid_type)
            for term in terms:
                one = identifier(kind, term["id"])
                self._row("vocabularies_metadata", one, {**term, "type": {"id": kind, "pid_type": pid_type}})
                self.pid(pid_type, term["id"], one, provider=None)
        for table, term in OWN.items():
            more = {} if table == "subject_metadata" else {"pid": term["id"]}
            self._row(table, identifier(table, term["id"]), term, **more)
        self._row("communities_metadata", identifier("community"), {}, slug="birds", deletion_status="P")

    def _row(self, table: str, one: uuid.UUID, document: Any, at: str = OLD, **columns: Any) -> None:
        self.site.insert(table, id=one, json=None if document is None else json.dumps(document), version_id=1,
                         created=at, updated=at, **columns)  # fmt: skip

    def pid(
        self, pid_type: str, value: str, one: uuid.UUID, provider: str | None = "datacite", status: str = "R"
    ) -> None:
        self.site.insert("pidstore_pid", pid_type=pid_type, pid_value=value, pid_provider=provider, status=status,
                         object_type="rec", object_uuid=one, created=OLD, updated=OLD)  # fmt: skip

    def concept(self, name: str, *, doi: bool = True) -> uuid.UUID:
        parent = identifier("parent", name)
        pids = {"doi": {"identifier": f"{PREFIX}/{name}", "provider": "datacite"}} if doi else {}
        self._row("rdm_parents_metadata", parent, {"id": name, "pids": pids, "access": {"owned_by": {"user": "1"}}})
        self.pid("recid", name, parent, provider="recid")
        if doi:
            self.pid("doi", f"{PREFIX}/{name}", parent)
        self.site.insert("rdm_versions_state", parent_id=parent, latest_index=0)
        return parent

    def record(
        self,
        name: str,
        *,
        metadata: dict[str, Any] = METADATA,
        access: str = "public",
        deletion: str = "P",
        provider: str = "datacite",
        doi: bool = True,
        parent: uuid.UUID | None = None,
        index: int = 1,
        empty: bool = False,
    ) -> uuid.UUID:
        one = identifier("record", name)
        own_parent = self.concept(f"all-{name}", doi=False) if parent is None else parent
        pids = {"oai": {"identifier": f"oai:example:{name}", "provider": "oai"}}
        if doi:
            pids["doi"] = {"identifier": f"{PREFIX}/{name}", "provider": provider}
            self.pid("doi", f"{PREFIX}/{name}", one, provider=provider)
        document = {
            "id": name, "pids": pids, "metadata": metadata, "access": {"record": access, "files": "public"},
            "internal_notes": [{"note": "never sent"}], "files": {"enabled": True},
        }  # fmt: skip
        if deletion != "P":
            document["tombstone"] = {"note": "removed"}
        self._row("rdm_records_metadata", one, None if empty else document, deletion_status=deletion, index=index,
                  parent_id=own_parent)  # fmt: skip
        self.pid("recid", name, one, provider="recid")
        self._row("rdm_drafts_metadata", one, None, index=index, parent_id=own_parent)
        self.site.execute("UPDATE rdm_versions_state SET latest_id = :id, latest_index = :n WHERE parent_id = :p",
                          id=one, n=index, p=own_parent)  # fmt: skip
        return one

    def draft(self, name: str) -> None:
        parent, one = self.concept(f"all-{name}", doi=False), identifier("record", name)
        self._row("rdm_drafts_metadata", one, {"id": name, "pids": {"doi": {"identifier": f"{PREFIX}/{name}",
                  "provider": "datacite"}}, "metadata": METADATA}, index=1, parent_id=parent)  # fmt: skip
        self.pid("doi", f"{PREFIX}/{name}", one, status="N")

    def fill(self) -> None:
        """Thirty records of every kind."""
        for number in range(1, EACH + 1):
            self.record(f"public-{number}", metadata={**METADATA, "title": f"Record {number}"})
            rich = self.record(f"rich-{number}", metadata=RICH)
            self.site.execute(
                "INSERT INTO rdm_parents_community SELECT :c, parent_id FROM rdm_records_metadata WHERE id = :id",
                c=identifier("community"), id=rich,
            )  # fmt: skip
            self.record(f"files-restricted-{number}")
            self.record(f"restricted-since-{number}", access="restricted")
            self.record(f"restricted-always-{number}", access="restricted", doi=False)
            self.record(f"deleted-{number}", deletion="D")
            self.record(f"purged-{number}", deletion="X")
            self.record(f"external-{number}", provider="external")
            self.record(f"emptied-{number}", empty=True)
            self.draft(f"draft-{number}")
            parent = self.concept(f"concept-{number}")
            for index in (1, 2):
                self.record(f"version-{index}-{number}", parent=parent, index=index,
                            metadata={**METADATA, "version": str(index)})  # fmt: skip
            gone = self.concept(f"concept-gone-{number}")
            self.record(f"version-gone-{number}", parent=gone, deletion="D")
            hidden = self.concept(f"concept-restricted-{number}")
            self.record(f"version-restricted-{number}", parent=hidden, access="restricted")
        edit(self.site, "rdm_records_metadata", identifier("record", "draft-of-nobody"))
        edit(self.site, "rdm_records_metadata", identifier("record", "emptied-1"))


def edit(site: Installation, table: str, one: uuid.UUID, **members: Any) -> None:
    """A save: a minute after the last one."""
    moment = f"timestamp '2024-05-06 08:00:00' + interval '{next(_minutes)} minutes'"
    site.execute(
        f"UPDATE {table} SET updated = {moment}, version_id = version_id + 1,"
        " json = CASE WHEN :more = '{}' THEN json ELSE json || CAST(:more AS jsonb) END WHERE id = :id",
        more=json.dumps(members), id=one,
    )  # fmt: skip


def _record(name: str) -> uuid.UUID:
    return identifier("record", name)


def _set(site: Installation, name: str, statement: str, **values: Any) -> None:
    site.execute(f"UPDATE rdm_records_metadata SET {statement} WHERE id = :id", id=_record(name), **values)
    edit(site, "rdm_records_metadata", _record(name))


def _dois(*names: str) -> frozenset[str]:
    return frozenset(f"{PREFIX}/{name}" for name in names)


def _draft_opened(site: Installation) -> None:
    site.execute("UPDATE rdm_drafts_metadata SET json = :json, updated = '2025-01-01' WHERE id = :id",
                 json=json.dumps({"pids": {"doi": {"identifier": f"{PREFIX}/public-2", "provider": "datacite"}},
                                  "metadata": {"title": "Unpublished"}}), id=_record("public-2"))  # fmt: skip


def _new_version(site: Installation) -> None:
    portal = InvenioRdm.__new__(InvenioRdm)
    portal.site = site
    parent = identifier("parent", "concept-1")
    portal.record("version-3-1", parent=parent, index=3, metadata={**METADATA, "title": "Third"})
    edit(site, "rdm_parents_metadata", parent)
    edit(site, "rdm_records_metadata", _record("version-3-1"))


EDITS = [
    Edit("edit published", lambda site: edit(site, "rdm_records_metadata", _record("public-1"),
         metadata={**METADATA, "title": "Another"}), _dois("public-1"), "changed"),
    Edit("edit published with nothing changed", lambda site: edit(site, "rdm_records_metadata", _record("public-3")),
         frozenset(), "changed"),
    Edit("edit draft opened and saved", _draft_opened, frozenset(), "changed"),
    Edit("new version published: the concept and the new one", _new_version, _dois("concept-1", "version-3-1"),
         "changed"),
    Edit("deleted with a tombstone", lambda site: _set(site, "public-4", "deletion_status = 'D'"), _dois("public-4"),
         "changed"),
    Edit("restored", lambda site: _set(site, "public-4", "deletion_status = 'P'"), _dois("public-4"), "changed"),
    Edit("restricted by an administrator", lambda site: edit(site, "rdm_records_metadata", _record("public-5"),
         access={"record": "restricted", "files": "restricted"}), _dois("public-5"), "changed"),
    Edit("an edit of a restricted record is not sent", lambda site: edit(
         site, "rdm_records_metadata", _record("public-5"), metadata={**METADATA, "title": "Secret"}), frozenset(),
         "changed"),
    Edit("community added", lambda site: (
         site.execute("INSERT INTO rdm_parents_community SELECT :c, parent_id FROM rdm_records_metadata WHERE id = :id",
                      c=identifier("community"), id=_record("public-6")),
         edit(site, "rdm_parents_metadata", identifier("parent", "all-public-6")),
         ), _dois("public-6"), "changed"),
    Edit("owner changed, share link created", lambda site: edit(
         site, "rdm_parents_metadata", identifier("parent", "all-public-7")), frozenset(), "changed"),
    Edit("an affiliation is renamed, which moves no record", lambda site: site.execute(
         "UPDATE affiliation_metadata SET updated = '2025-02-01', json = jsonb_set(json, '{name}', '\"Renamed\"')"),
         frozenset(f"{PREFIX}/rich-{n}" for n in range(1, EACH + 1)), "outline"),
    Edit("a licence is corrected, which moves no record", lambda site: site.execute(
         "UPDATE vocabularies_metadata SET updated = '2025-02-02',"
         " json = jsonb_set(json, '{title,en}', '\"CC BY 4.0\"') WHERE json ->> 'id' = 'cc-by-4.0'"),
         frozenset(f"{PREFIX}/rich-{n}" for n in range(1, EACH + 1)), "outline"),
    Edit("the newest version is deleted, the concept falls back to the one before", lambda site: _set(
         site, "version-3-1", "deletion_status = 'D'"), _dois("concept-1", "version-3-1"), "changed"),
    Edit("a concept loses its only version", lambda site: (
         _set(site, "version-1-2", "deletion_status = 'D'"), _set(site, "version-2-2", "deletion_status = 'D'"),
         ), _dois("concept-2", "version-1-2", "version-2-2"), "changed"),
    Edit("SQL that leaves no trace at all", lambda site: site.execute(
         "UPDATE rdm_records_metadata SET json = jsonb_set(json, '{metadata,title}', '\"By hand\"') WHERE id = :id",
         id=_record("public-8")), _dois("public-8"), "full"),
]  # fmt: skip
