"""CKAN with ckanext-doi: one record per row of ``doi``, or per dataset that keeps its DOI in an extra.

Deleting, making private in bulk, renaming an organisation and purging leave ``metadata_modified`` as it is; the
outline sees them. A dataset that is private, a draft or deleted is never sent, only hidden.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from syncd.errors import ConfigurationError, OtherPlatformError
from syncd.model import MANAGED_ATTRIBUTES, Attributes, Problem, State
from syncd.platforms import crosswalk
from syncd.platforms.advice import Advice
from syncd.platforms.desired import placeholders
from syncd.platforms.mapping import is_empty
from syncd.platforms.preset import Ask, Document, Options
from syncd.settings import AccountSettings

_DAY = re.compile(r"^\d{4}-\d\d-\d\d(\D|$)")
_AUTOLINK = re.compile(r"<((?:https?|ftp)://[^\s<>]+|[^\s<>@]+@[^\s<>@]+)>")
_REGISTER = "http://www.opendefinition.org/licenses/"
_OGL = "https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/"
_LICENCES = {
    "odc-pddl": ("Open Data Commons Public Domain Dedication and License (PDDL)", f"{_REGISTER}odc-pddl"),
    "odc-odbl": ("Open Data Commons Open Database License (ODbL)", f"{_REGISTER}odc-odbl"),
    "odc-by": ("Open Data Commons Attribution License", f"{_REGISTER}odc-by"),
    "cc-zero": ("Creative Commons CCZero", f"{_REGISTER}cc-zero"),
    "cc-by": ("Creative Commons Attribution", f"{_REGISTER}cc-by"),
    "cc-by-sa": ("Creative Commons Attribution Share-Alike", f"{_REGISTER}cc-by-sa"),
    "gfdl": ("GNU Free Documentation License", f"{_REGISTER}gfdl"),
    "uk-ogl": ("UK Open Government Licence (OGL)", _OGL),
    "cc-nc": ("Creative Commons Non-Commercial (Any)", "http://creativecommons.org/licenses/by-nc/2.0/"),
    "other-open": ("Other (Open)", None),
    "other-pd": ("Other (Public Domain)", None),
    "other-at": ("Other (Attribution)", None),
    "other-nc": ("Other (Non-Commercial)", None),
    "other-closed": ("Other (Not Open)", None),
}
"""CKAN's own register, which is code and not a table; a site may have others, which are sent by their id."""


class CkanOptions(Options):
    """What a CKAN site may choose."""

    doi_extra: str = Field(default="", pattern=r"^[\w.-]*$", description="the extra with the DOI, without ckanext-doi")
    embargo_extra: str = Field(default="", pattern=r"^[\w.-]*$", description="the extra with the day of release")
    extras: dict[str, str | dict[str, Any]] = Field(default_factory=dict, description="attributes from extras")

    @field_validator("extras")
    @classmethod
    def _attributes(cls, extras: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(extras) - set(MANAGED_ATTRIBUTES))
        if unknown:
            msg = f"no DataCite attributes: {', '.join(unknown)}"
            raise ValueError(msg)
        return extras


class Ckan:
    """2.10 and later."""

    key = str

    def __init__(self, ask: Ask, options: CkanOptions, account: AccountSettings) -> None:
        columns = ask.columns("package")
        if not {"private", "owner_org", "metadata_modified"} <= columns:
            raise OtherPlatformError("this is no database of CKAN: it has no table package", hint="see source.url")
        self._options = options
        self._extras_in_package = "extras" in columns
        self._plugin = "identifier" in ask.columns("doi")
        self._activity = bool(ask.columns("activity"))
        if not self._plugin and not options.doi_extra:
            raise ConfigurationError(
                "this CKAN has no table doi", hint="install ckanext-doi, or name the extra with the DOI: doi_extra"
            )
        page = account.source.landing_page
        parts = urlsplit(page)
        self._site = f"{parts.scheme}://{parts.netloc}" if placeholders(page) else page.rstrip("/")
        self.title = f"CKAN {'2.12 or later' if self._extras_in_package else '2.10 or 2.11'}"
        extras = () if self._extras_in_package else ("package_extra",)
        doi = ("doi",) if self._plugin else ()
        self.relations = ("package", *extras, "package_tag", "tag", "resource", "group", *doi)
        self.outline = self._outline()

    def _outline(self) -> str:
        kept = {name: self._extra(name) for name in (self._options.doi_extra, self._options.embargo_extra) if name}
        doi = "d.identifier" if self._plugin else kept[self._options.doi_extra]
        source = "doi d JOIN package p ON p.id = d.package_id" if self._plugin else "package p"
        published = "d.published" if self._plugin else "NULL"
        embargo = kept.get(self._options.embargo_extra, "NULL")
        only = "" if self._plugin else f" WHERE {doi} IS NOT NULL"
        return f"""
            SELECT p.id AS record_key, {doi} AS doi, p.metadata_modified AS modified, p.state, p.private, p.owner_org,
                   g.title AS organisation, {published} AS published, {embargo} AS embargo,
                   left({embargo}, 10) > to_char(CURRENT_DATE, 'YYYY-MM-DD') AS embargoed
              FROM {source} LEFT JOIN "group" g ON g.id = p.owner_org{only}
        """  # noqa: S608 - the names of extras are checked words

    def _extra(self, name: str) -> str:
        if self._extras_in_package:
            return f"p.extras ->> '{name}'"
        return (
            f"(SELECT max(e.value) FROM package_extra e WHERE e.package_id = p.id AND e.key = '{name}'"  # noqa: S608
            " AND e.state = 'active')"
        )

    def mark(self, ask: Ask) -> str:  # noqa: ARG002
        """Nothing: each outline tells its organisation's title."""
        return ""

    def documents(self, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Datasets with extras, tags and resources."""
        ids = [row["record_key"] for row in rows]
        extras_column = ", extras" if self._extras_in_package else ""
        packages = {
            row["id"]: row
            for row in ask(
                "SELECT id, name, title, notes, author, maintainer, version, license_id, type, metadata_created"  # noqa: S608
                f"{extras_column} FROM package WHERE id IN :ids",
                ids=ids,
            )
        }
        extras: dict[str, dict[str, Any]] = {one: {} for one in ids}
        if self._extras_in_package:
            for one, package in packages.items():
                extras[one] = _decoded(package["extras"]) or {}
        else:
            for row in ask(
                "SELECT package_id, key, value FROM package_extra WHERE package_id IN :ids AND state = 'active'",
                ids=ids,
            ):
                extras[row["package_id"]][row["key"]] = row["value"]
        tags = _grouped(
            ask(
                "SELECT pt.package_id, t.name FROM package_tag pt JOIN tag t ON t.id = pt.tag_id"
                " WHERE pt.package_id IN :ids AND pt.state = 'active' ORDER BY t.name, t.id",
                ids=ids,
            )
        )
        resources = _grouped(
            ask(
                "SELECT package_id, format, size FROM resource WHERE package_id IN :ids AND state = 'active'"
                " ORDER BY position, id",
                ids=ids,
            )
        )
        return [
            self._document(row, packages[row["record_key"]], extras[row["record_key"]], tags, resources) for row in rows
        ]

    def _document(
        self,
        row: Mapping[str, Any],
        package: Mapping[str, Any],
        extras: Mapping[str, Any],
        tags: Mapping[str, list[dict[str, Any]]],
        resources: Mapping[str, list[dict[str, Any]]],
    ) -> Document:
        one = row["record_key"]
        wanted = {_source_of(source)[0] for source in self._options.extras.values()}
        return {
            "id": one,
            "doi": row["doi"],
            **{name: package[name] for name in ("name", "title", "notes", "author", "maintainer", "version", "type")},
            "license_id": package["license_id"],
            "state": row["state"],
            "private": bool(row["private"]),
            "embargo": row["embargo"],
            "embargoed": bool(row["embargoed"]),
            "organisation": row["organisation"],
            "created": crosswalk.day(package["metadata_created"]),
            "modified": crosswalk.day(row["modified"]),
            "published": crosswalk.day(row["published"]),
            "tags": [tag["name"] for tag in tags.get(one, ())],
            "resources": [{"format": each["format"], "size": each["size"]} for each in resources.get(one, ())],
            "extras": {name: value for name, value in extras.items() if name in wanted},
        }

    def state(self, document: Document) -> State | Problem:
        """Findable is what is active, public and not under embargo."""
        state = document["state"]
        if state not in ("active", "draft", "deleted"):
            return Problem("status_unknown", f"package.state is {state!r}; known are 'active', 'deleted', 'draft'")
        if document["embargo"] and not _DAY.match(document["embargo"]):
            name = self._options.embargo_extra
            return Problem("status_unknown", f"the extra {name} is {document['embargo']!r}, and no day like 2030-12-31")
        if state == "active" and not document["private"] and not document["embargoed"]:
            return State.FINDABLE
        return State.NONE  # it may have been public: then it is hidden, and nothing of it is sent

    def attributes(self, document: Document) -> Attributes:
        """As ckanext-doi maps it, with the organisation as publisher, and extras over it."""
        author, maintainer = (crosswalk.one_line(document[name]) for name in ("author", "maintainer"))
        notes = crosswalk.text_of(_AUTOLINK.sub(r"\1", document["notes"] or ""))
        found: Attributes = {
            "titles": [{"title": crosswalk.one_line(document["title"] or document["name"])}],
            "creators": [{"name": author}],
            "contributors": crosswalk.complete(
                [
                    {"name": author, "contributorType": "Researcher"},
                    {"name": maintainer, "contributorType": "DataManager"},
                ],
                "name",
            ),
            "publisher": {"name": crosswalk.one_line(document["organisation"])},
            "publicationYear": crosswalk.year(document["created"]),
            "types": {"resourceTypeGeneral": "Dataset", "resourceType": document["type"]},
            "subjects": [{"subject": tag} for tag in document["tags"]],
            "dates": [
                {"date": document[name], "dateType": kind}
                for name, kind in (("created", "Created"), ("modified", "Updated"), ("published", "Issued"))
                if document[name]
            ],
            "identifiers": [{"identifier": f"{self._site}/dataset/{document['id']}", "identifierType": "URL"}],
            "sizes": _sizes(document["resources"]),
            "formats": crosswalk.without_twins(one["format"] for one in document["resources"]),
            "version": document["version"],
            "rightsList": _rights(document["license_id"]),
            "descriptions": [{"description": notes, "descriptionType": "Other"}] if notes else [],
        }
        for name, source in self._options.extras.items():
            value = _from_extra(name, source, document["extras"])
            if not is_empty(value):
                found[name] = value
        return found

    def template(self, site: str) -> str:
        """What ckanext-doi registers."""
        return f"{site}/dataset/{{id}}"

    def advice(self, ask: Ask) -> Iterator[Advice]:
        """The index for quick looks; and that ckanext-doi sends by itself."""
        if not _indexed(ask, "package", "metadata_modified"):
            yield Advice(
                "index",
                "package.metadata_modified has no index, so every quick look reads the whole table",
                "fine below 100,000 datasets; else CREATE INDEX ON package (metadata_modified, id)",
            )
        if self._plugin and ask("SELECT 1 FROM doi WHERE published > CURRENT_TIMESTAMP - INTERVAL '7 days' LIMIT 1"):
            yield Advice(
                "other sender",
                "ckanext-doi sent something in the last week: it uses the same account, and hides nothing",
                "share the account, or let syncd send alone: deploy/platforms/ckan.md",
            )


class _Opener:
    name = "ckan"
    options: type[Options] = CkanOptions

    def __call__(self, ask: Ask, options: CkanOptions, account: AccountSettings) -> Ckan:
        return Ckan(ask, options, account)


CKAN = _Opener()
"""How a CKAN database is opened."""


def _grouped(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["package_id"], []).append(row)
    return found


def _decoded(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _indexed(ask: Ask, table: str, column: str) -> bool:
    return bool(
        ask(
            "SELECT 1 FROM pg_indexes WHERE schemaname = current_schema() AND tablename = :table"
            " AND indexdef LIKE '%(' || :column || '%'",
            table=table,
            column=column,
        )
    )


def _sizes(resources: Sequence[Mapping[str, Any]]) -> list[str]:
    total = sum(int(one["size"]) for one in resources if one["size"] is not None)
    return [f"{total // 1024} kb"] if total else []


def _rights(licence: str | None) -> list[dict[str, Any]]:
    if not licence or licence == "notspecified":
        return []
    title, url = _LICENCES.get(licence, (licence, None))
    return [{"rights": title, "rightsUri": url, "rightsIdentifier": licence}]


def _source_of(source: str | Mapping[str, Any]) -> tuple[str, list[str], Mapping[str, str]]:
    """The extra, the way into its JSON, and what its members are called in DataCite's words."""
    path = source if isinstance(source, str) else str(source.get("from", ""))
    key, *way = path.split("/")
    return key, way, {} if isinstance(source, str) else source.get("members", {})


def _from_extra(name: str, source: str | Mapping[str, Any], extras: Mapping[str, Any]) -> Any:
    key, way, members = _source_of(source)
    raw = extras.get(key)
    # "1.10" and "1984" are text; only what looks like JSON, or is to be gone into, is decoded.
    is_json = bool(way or members) or str(raw or "").lstrip().startswith(("[", "{"))
    value = _along(_decoded(raw), way) if is_json else raw
    if members:
        listed = value if isinstance(value, list) else [value]
        value = [
            {word: one.get(theirs) for word, theirs in members.items()} for one in listed if isinstance(one, Mapping)
        ]
    if name == "geoLocations":
        return [place for one in (value if isinstance(value, list) else [value]) if (place := _place(one))]
    return value


def _place(value: Any) -> Any:
    """GeoJSON is translated, text is a place's name, and what already has DataCite's words stays."""
    if isinstance(value, Mapping):
        return crosswalk.places(value) if "type" in value else value
    return {"geoLocationPlace": crosswalk.one_line(value)} if value else None


def _along(value: Any, way: Sequence[str]) -> Any:
    for step in way:
        if step == "*":
            return [_along(one, way[way.index(step) + 1 :]) for one in value] if isinstance(value, list) else None
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
