"""A CKAN with ckanext-doi: its tables as ``ckan db init`` makes them, reduced to the columns that exist for us."""

import itertools
import json
from typing import Any

from tests.presets.site import EACH, PREFIX, Edit, Installation

COMMON = """
CREATE TABLE "group" (id text PRIMARY KEY, name text NOT NULL UNIQUE, title text, type text NOT NULL,
    description text, created timestamp, state text, approval_status text, image_url text,
    is_organization boolean DEFAULT false);
CREATE TABLE package (id text PRIMARY KEY, name varchar(100) NOT NULL UNIQUE, title text, version varchar(100),
    url text, notes text, author text, author_email text, maintainer text, maintainer_email text, state text,
    license_id text,
    type text, owner_org text, private boolean DEFAULT false, metadata_modified timestamp, creator_user_id text,
    metadata_created timestamp, plugin_data jsonb);
CREATE TABLE tag (id text PRIMARY KEY, name varchar(100) NOT NULL, vocabulary_id varchar(100));
CREATE TABLE package_tag (id text PRIMARY KEY, state text, package_id text REFERENCES package (id),
    tag_id text REFERENCES tag (id));
CREATE TABLE resource (id text PRIMARY KEY, url text NOT NULL, format text, description text, position integer,
    hash text, state text, extras text, name text, resource_type text, mimetype text, mimetype_inner text, size bigint,
    last_modified timestamp, cache_url text, cache_last_updated timestamp, created timestamp, url_type text,
    package_id text NOT NULL DEFAULT '' REFERENCES package (id), metadata_modified timestamp);
CREATE TABLE package_relationship (id text PRIMARY KEY, subject_package_id text REFERENCES package (id),
    object_package_id text REFERENCES package (id), type text, comment text, state text);
"""
DOI = """
CREATE TABLE doi (identifier text PRIMARY KEY,
    package_id text NOT NULL UNIQUE REFERENCES package (id) ON DELETE CASCADE ON UPDATE CASCADE, published timestamp)
"""
VERSIONS = {
    "2.11": COMMON
    + DOI
    + """;
CREATE TABLE package_extra (id text PRIMARY KEY, key text, value text, state text,
    package_id text REFERENCES package (id))
""",
    "2.12": COMMON + DOI + "; ALTER TABLE package ADD COLUMN extras jsonb",
}
CREATED = "2023-04-05 06:07:08.123456"
MODIFIED = "2024-05-06 07:08:09.654321"
AUTHORS = [
    {"name": "Roe, Jo", "orcid": "0000-0002-1825-0097", "mail": "jo@example.org"},
    {"name": "Doe, Jane", "institute": "Example University"},
]
_minutes = itertools.count()


class Ckan:
    """Makes datasets and edits them as CKAN's actions do, timestamps included."""

    def __init__(self, site: Installation, version: str, *, empty: bool = True) -> None:
        """Args: ``empty``: the database has no tables yet."""
        self.site = site
        self.version = version
        if empty:
            site.script(VERSIONS[version])
        site.insert("group", id="org-1", name="uni", title="Example University", type="organization", state="active",
                    is_organization=True)  # fmt: skip

    def dataset(
        self,
        kind: str,
        number: int,
        *,
        state: str = "active",
        private: bool = False,
        published: str | None = "2023-04-06 09:00:00",
        extras: dict[str, str] | None = None,
        doi: bool = True,
        **values: Any,
    ) -> str:
        one = f"{kind}-{number}"
        given = {
            "title": f"Dataset {number}, {kind}", "notes": None, "author": "Roe, Jo and Doe, Jane", "maintainer": None,
            "version": None, "license_id": None, "type": "dataset", "owner_org": "org-1", **values,
        }  # fmt: skip
        self.site.insert(
            "package", id=one, name=f"name-of-{one}", state=state, private=private, metadata_created=CREATED,
            metadata_modified=MODIFIED, **given,
        )  # fmt: skip
        if doi:
            self.site.insert("doi", identifier=f"{PREFIX}/{one}", package_id=one, published=published)
        for key, value in (extras or {}).items():
            self.note(one, key, value)
        return one

    def note(self, package: str, key: str, value: str, state: str = "active") -> None:
        if self.version == "2.12":
            if state == "active":
                self.site.execute(
                    "UPDATE package SET extras = COALESCE(extras, '{}') || CAST(:more AS jsonb) WHERE id = :id",
                    more=json.dumps({key: value}), id=package,
                )  # fmt: skip
            return
        self.site.insert("package_extra", id=f"{package}-{key}-{state}", key=key, value=value, state=state,
                         package_id=package)  # fmt: skip

    def tag(self, package: str, name: str, state: str = "active") -> None:
        self.site.execute("INSERT INTO tag (id, name) VALUES (:id, :name) ON CONFLICT DO NOTHING", id=name, name=name)
        self.site.insert("package_tag", id=f"{package}-{name}-{state}", state=state, package_id=package, tag_id=name)

    def resource(self, package: str, position: int, form: str, size: int | None, state: str = "active") -> None:
        self.site.insert(
            "resource", id=f"{package}-{position}", url=f"https://example.org/{package}/{position}", format=form,
            size=size, position=position, state=state, package_id=package,
        )  # fmt: skip

    def fill(self) -> None:
        """Thirty datasets of every kind."""
        for number in range(1, EACH + 1):
            self.dataset("public", number)
            rich = self.dataset(
                "rich", number, notes="# What it is\n\nSome *words*.", maintainer="Data office", version="1.2",
                license_id="cc-by", type="showcase",
                extras={
                    "authors": json.dumps(AUTHORS),
                    "spatial": json.dumps({"type": "Point", "coordinates": [4.5, 52.25]}),
                    "internal": "never sent",
                },
            )  # fmt: skip
            self.note(rich, "authors", "[]", state="deleted")
            for name in ("water", "birds"):
                self.tag(rich, name)
            self.tag(rich, "dropped", state="deleted")
            self.resource(rich, 0, "CSV", 2048)
            self.resource(rich, 1, "CSV", 1024)
            self.resource(rich, 2, "PDF", None)
            self.resource(rich, 3, "ZIP", 10_000, state="deleted")
            self.dataset("private-new", number, private=True, published=None)
            self.dataset("private-since", number, private=True)
            self.dataset("draft", number, state="draft", published=None)
            self.dataset("deleted", number, state="deleted")
            self.dataset("no-doi", number, doi=False)
            self.dataset("without-organisation", number, owner_org=None, license_id="notspecified")
            self.dataset("own-licence", number, license_id="site-licence")
        self.site.execute(f"UPDATE package SET {touched('no-doi-1')}")
        self.site.execute(f"UPDATE package SET {touched('draft-1')}")  # the newest, so that an overlap shows no other


def touched(package: str) -> str:
    """A save, a minute after the last one and on the same day as all others."""
    moment = f"timestamp '2024-05-06 08:00:00' + interval '{next(_minutes)} minutes'"
    return f"metadata_modified = {moment} WHERE id = '{package}'"


def _ids(kind: str, *numbers: int) -> frozenset[str]:
    return frozenset(f"{PREFIX}/{kind}-{number}" for number in numbers)


EDITS = [
    Edit("package_patch of the title", lambda site: site.execute(
        f"UPDATE package SET title = 'Another title', {touched('public-1')}"), _ids("public", 1), "changed"),
    Edit("package_patch of nothing", lambda site: site.execute(f"UPDATE package SET {touched('public-2')}"),
         frozenset(), "changed"),
    Edit("resource_create", lambda site: (
        site.insert("resource", id="new", url="https://example.org/new", format="XLSX", size=512, position=0,
                    state="active", package_id="public-3"),
        site.execute(f"UPDATE package SET {touched('public-3')}"),
    ), _ids("public", 3), "changed"),
    Edit("package_delete leaves no trace in the timestamp", lambda site: site.execute(
        "UPDATE package SET state = 'deleted' WHERE id = 'public-4'"), _ids("public", 4), "outline"),
    Edit("undelete", lambda site: site.execute(f"UPDATE package SET state = 'active', {touched('public-4')}"),
         _ids("public", 4), "changed"),
    Edit("bulk_update_private leaves no trace", lambda site: site.execute(
        "UPDATE package SET private = true WHERE id IN ('public-5', 'public-6')"), _ids("public", 5, 6), "outline"),
    Edit("an edit of a private dataset is not sent", lambda site: site.execute(
        f"UPDATE package SET title = 'Secret', {touched('public-5')}"), frozenset(), "changed"),
    Edit("bulk_update_public leaves no trace", lambda site: site.execute(
        "UPDATE package SET private = false WHERE id = 'public-6'"), _ids("public", 6), "outline"),
    Edit("bulk_update_delete leaves no trace", lambda site: site.execute(
        "UPDATE package SET state = 'deleted' WHERE id IN ('rich-1', 'rich-2')"), _ids("rich", 1, 2), "outline"),
    Edit("package_owner_org_update leaves no trace", lambda site: (
        site.insert("group", id="org-2", name="other", title="Another University", type="organization",
                    state="active", is_organization=True),
        site.execute("UPDATE package SET owner_org = 'org-2' WHERE id = 'public-7'"),
    ), _ids("public", 7), "outline"),
    Edit("organization_patch renames the publisher of all its datasets", lambda site: site.execute(
        "UPDATE \"group\" SET title = 'Renamed University' WHERE id = 'org-2'"), _ids("public", 7), "outline"),
    Edit("ckanext-doi writes published", lambda site: site.execute(
        "UPDATE doi SET published = '2024-01-01 01:00:00' WHERE package_id = 'public-8'"),
        _ids("public", 8), "outline"),
    Edit("dataset_purge takes the row of doi with it", lambda site: (
        site.execute("DELETE FROM package WHERE id = 'public-9'")), _ids("public", 9), "outline"),
    Edit("a dataset gets public", lambda site: site.execute(
        f"UPDATE package SET private = false, {touched('private-new-1')}"), _ids("private-new", 1), "changed"),
    Edit("SQL that leaves no trace at all", lambda site: site.execute(
        "UPDATE package SET notes = 'Corrected by hand' WHERE id = 'public-10'"), _ids("public", 10), "full"),
]  # fmt: skip
