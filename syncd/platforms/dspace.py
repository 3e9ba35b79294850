"""DSpace: one record per row of ``doi``, or per DOI that an item carries in its metadata.

Metadata has no timestamps of its own, embargoes end without a write, and an author who is a person of the repository
stands in no row of the item: the outline follows what it can, a full look proves the rest.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from syncd.errors import ConfigurationError, OtherPlatformError
from syncd.model import Attributes, Problem, State
from syncd.platforms.advice import Advice
from syncd.platforms.dspace_mapping import CONTRIBUTORS, attributes
from syncd.platforms.preset import Ask, Document, Options
from syncd.settings import AccountSettings

_PERSON_FIELDS = ("person.familyName", "person.givenName", "organization.legalName", "person.identifier.orcid")
_LEFT_IS_LATEST, _TO_BE_DELETED, _DELETED, _PENDING = 1, 8, 9, 10
_ITEM = 2


class DSpaceOptions(Options):
    """What a DSpace site may choose."""

    dois: Literal["table", "metadata"] = Field(default="table", description="where DOIs are: table doi, or metadata")
    fields: list[str] = Field(
        default=["dc.identifier.doi", "dc.identifier.uri"], description="the metadata fields with DOIs"
    )
    in_progress: Literal[State.NONE, State.DRAFT] = Field(
        default=State.NONE, description="what a submission in progress is"
    )
    withdrawn: Literal[State.REGISTERED, State.FINDABLE] = Field(
        default=State.REGISTERED, description="what a withdrawn item is"
    )
    unqueued: Literal["leave", "findable"] = Field(default="leave", description="archived, but DSpace's filter said no")
    not_public: Literal["findable", "registered"] = Field(
        default="findable", description="what an item is that anonymous readers cannot find or read"
    )


class DSpace:
    """7 to 9, whose tables are the same."""

    key = int

    def __init__(self, ask: Ask, options: DSpaceOptions, account: AccountSettings) -> None:
        if "in_archive" not in ask.columns("item") or not ask.columns("metadatafieldregistry"):
            raise OtherPlatformError("this is no database of DSpace 7 or later", hint="see source.url")
        self._options = options
        self._prefixes = account.prefixes
        self.title = f"DSpace {'10' if 'security_level' in ask.columns('metadatavalue') else '7 to 9'}"
        self._fields = self._doi_fields(ask) if options.dois == "metadata" else []
        self._related = bool(ask.columns("relationship"))
        self.relations = (
            "item", "doi", "handle", "metadatavalue", "metadatafieldregistry", "metadataschemaregistry",
            "workspaceitem", "cwf_workflowitem", "versionitem", "collection", "resourcepolicy", "epersongroup",
            "relationship", "relationship_type",
        )  # fmt: skip
        self.outline = self._outline()

    def _doi_fields(self, ask: Ask) -> list[int]:
        found = [
            row["metadata_field_id"]
            for row in ask(_FIELDS)
            if _name(row["short_id"], row["element"], row["qualifier"]) in self._options.fields
        ]
        if not found:
            raise ConfigurationError(
                f"this DSpace has none of the metadata fields {', '.join(self._options.fields)}",
                hint="name the field with the DOI in options.fields",
            )
        return found

    def _outline(self) -> str:
        if self._options.dois == "table":
            # What is archived and was never queued is left alone; for all else the status says nothing.
            queued = f"AND (d.status < {_PENDING} OR i.in_archive IS DISTINCT FROM true)"
            filtered = queued if self._options.unqueued == "leave" else ""
            key, doi, status = "d.doi_id", "d.doi", "d.status"
            source = "doi d LEFT JOIN item i ON i.uuid = d.dspace_object"
            which = f"(d.resource_type_id = {_ITEM} OR d.dspace_object IS NULL) {filtered}"
        else:
            key, doi, status = "m.metadata_value_id", "m.text_value", "NULL"
            # The same DOI may stand in two fields, and a new version in progress begins with a copy of it.
            source = f"({self._of_metadata()}) m JOIN item i ON i.uuid = m.dspace_object_id"
            which = "true"
        related = (
            "(SELECT max(o.last_modified) FROM relationship r JOIN item o ON o.uuid = r.right_id"
            " WHERE r.left_id = i.uuid)"
            if self._related
            else "NULL"
        )
        return f"""
            SELECT {key} AS record_key, {doi} AS doi, GREATEST(i.last_modified, {related}) AS modified,
                   {status} AS status, i.uuid, i.in_archive, i.withdrawn, i.discoverable,
                   EXISTS (SELECT 1 FROM workspaceitem w WHERE w.item_id = i.uuid)
                       OR EXISTS (SELECT 1 FROM cwf_workflowitem f WHERE f.item_id = i.uuid) AS in_progress,
                   EXISTS (SELECT 1 FROM versionitem v WHERE v.item_id = i.uuid) AS has_versions,
                   EXISTS (SELECT 1 FROM collection c WHERE c.template_item_id = i.uuid) AS template,
                   {self._readable()} AS readable
              FROM {source} WHERE {which}
        """  # noqa: S608 - numbers, and words that the configuration checked

    def _of_metadata(self) -> str:
        """One value for each DOI: of an archived item before a superseded, a withdrawn and an unfinished one."""
        ours = " OR ".join(f"v.text_value LIKE '%{prefix}/%'" for prefix in self._prefixes)
        return f"""
            SELECT metadata_value_id, text_value, dspace_object_id FROM (
                SELECT v.metadata_value_id, v.text_value, v.dspace_object_id, row_number() OVER (
                           PARTITION BY lower(substring(v.text_value FROM '10\\.[0-9]+/.*$'))
                           ORDER BY o.in_archive DESC NULLS LAST,
                                    EXISTS (SELECT 1 FROM versionitem h WHERE h.item_id = o.uuid)
                                        AND NOT EXISTS (SELECT 1 FROM workspaceitem w WHERE w.item_id = o.uuid) DESC,
                                    o.withdrawn DESC NULLS LAST, v.metadata_value_id
                       ) AS place
                  FROM metadatavalue v JOIN item o ON o.uuid = v.dspace_object_id
                 WHERE v.metadata_field_id IN ({", ".join(map(str, self._fields))}) AND ({ours})
            ) ranked WHERE place = 1
        """  # noqa: S608 - numbers, and prefixes that the configuration checked

    def _readable(self) -> str:
        """Whether everybody may read the item today; only asked where it matters."""
        if self._options.not_public == "findable":
            return "true"
        return """EXISTS (
            SELECT 1 FROM resourcepolicy p JOIN epersongroup g ON g.uuid = p.epersongroup_id
             WHERE p.dspace_object = i.uuid AND p.action_id = 0 AND g.name = 'Anonymous'
               AND (p.start_date IS NULL OR p.start_date <= CURRENT_DATE)
               AND (p.end_date IS NULL OR p.end_date >= CURRENT_DATE)
        )"""

    def mark(self, ask: Ask) -> str:  # noqa: ARG002
        """Nothing that all items share is stored in the database."""
        return ""

    def documents(self, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Items with metadata, handles, and the persons and organisations that are their authors."""
        ids = sorted({row["uuid"] for row in rows if row["uuid"] is not None}, key=str)
        related = self._relationships(ask, ids)
        persons = sorted({one["right_id"] for ones in related.values() for one in ones}, key=str)
        metadata = self._metadata(ask, [*ids, *(one for one in persons if one not in set(ids))])
        handles: dict[Any, str] = {}
        if ids:
            for row in ask(
                "SELECT resource_id, handle FROM handle WHERE resource_id IN :ids ORDER BY handle_id DESC", ids=ids
            ):
                handles[row["resource_id"]] = row["handle"]
        return [self._document(row, metadata, related, handles) for row in rows]

    def _metadata(self, ask: Ask, ids: Sequence[Any]) -> dict[Any, list[dict[str, Any]]]:
        found: dict[Any, list[dict[str, Any]]] = {}
        for row in ask(_METADATA, ids=list(ids)) if ids else ():
            name = _name(row["short_id"], row["element"], row["qualifier"])
            # Provenance holds names and mail addresses of those who handled the item.
            if row["text_value"] and name != "dc.description.provenance" and (
                name in _PERSON_FIELDS or (name.startswith("dc.") and _public(name))
            ):  # fmt: skip
                found.setdefault(row["dspace_object_id"], []).append(
                    {"field": name, "value": row["text_value"], "lang": row["text_lang"], "place": row["place"]}
                )
        return found

    def _relationships(self, ask: Ask, ids: Sequence[Any]) -> dict[Any, list[dict[str, Any]]]:
        found: dict[Any, list[dict[str, Any]]] = {}
        if not self._related or not ids:
            return found
        for row in ask(_RELATIONSHIPS, ids=list(ids)):
            if row["latest_version_status"] != _LEFT_IS_LATEST:
                found.setdefault(row["left_id"], []).append(row)
        return found

    def _document(
        self,
        row: Mapping[str, Any],
        metadata: Mapping[Any, list[dict[str, Any]]],
        related: Mapping[Any, list[dict[str, Any]]],
        handles: Mapping[Any, str],
    ) -> Document:
        uuid = row["uuid"]
        persons = [
            {
                "type": one["leftward_type"],
                "place": one["left_place"],
                "variant": one["leftward_value"],
                "person": {
                    each["field"]: each["value"]
                    for each in reversed(metadata.get(one["right_id"], []))
                    if each["field"] in (*_PERSON_FIELDS, "dc.title")
                },
            }
            for one in related.get(uuid, ())
        ]
        return {
            "doi": row["doi"],
            "uuid": None if uuid is None else str(uuid),
            "handle": handles.get(uuid),
            **{name: row[name] for name in ("status", "in_archive", "withdrawn", "discoverable", "in_progress")},
            **{name: row[name] for name in ("has_versions", "template", "readable")},
            "metadata": metadata.get(uuid, []),
            "persons": persons,
        }

    def state(self, document: Document) -> State | Problem:
        """The sheet's order: gone, in progress, withdrawn, archived, superseded, template."""
        options = self._options
        if document["uuid"] is None or document["status"] in (_TO_BE_DELETED, _DELETED):
            return State.NONE
        if document["in_progress"]:
            return options.in_progress
        if document["withdrawn"]:
            return options.withdrawn
        if document["in_archive"] or document["has_versions"]:
            # A superseded version is merely un-archived: its DOI stays what it was.
            hidden = options.not_public == "registered" and not (document["readable"] and document["discoverable"])
            return State.NONE if hidden else State.FINDABLE
        if document["template"]:
            return State.NONE
        return Problem(
            "status_unknown", "the item is neither archived, withdrawn, in progress, a version nor a template"
        )

    def attributes(self, document: Document) -> Attributes:
        """The rules of the stock crosswalk, with the licence's address as such."""
        return attributes(document, self._prefixes)

    def template(self, site: str) -> str:
        """The page of the handle, as DSpace registers it."""
        return f"{site}/handle/{{handle}}"

    def advice(self, ask: Ask) -> Iterator[Advice]:
        """The index for quick looks; and the DOI organiser, which sends by itself."""
        indexed = ask(
            "SELECT 1 FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'item'"
            " AND indexdef LIKE '%(last_modified%'"
        )
        if not indexed:
            yield Advice(
                "index",
                "item.last_modified has no index, so every quick look reads the whole table",
                "fine below 100,000 items; else CREATE INDEX ON item (last_modified, uuid)",
            )
        if self._options.dois == "table":
            queued = ask("SELECT count(*) AS waiting FROM doi WHERE status IN (1, 2, 5, 6, 7)")[0]["waiting"]
            if not queued and ask("SELECT 1 FROM doi WHERE status IN (3, 4) LIMIT 1"):
                yield Advice(
                    "other sender",
                    "no DOI waits in DSpace's own queue, so doi-organiser probably still sends from cron",
                    "remove its cron entries, and leave `doi` out of event.dispatcher.default.consumers",
                )


class _Opener:
    name = "dspace"
    options: type[Options] = DSpaceOptions

    def __call__(self, ask: Ask, options: DSpaceOptions, account: AccountSettings) -> DSpace:
        return DSpace(ask, options, account)


DSPACE = _Opener()
"""How a DSpace database is opened."""

_FIELDS = """
    SELECT f.metadata_field_id, s.short_id, f.element, f.qualifier FROM metadatafieldregistry f
      JOIN metadataschemaregistry s ON s.metadata_schema_id = f.metadata_schema_id
"""
_METADATA = """
    SELECT m.dspace_object_id, s.short_id, f.element, f.qualifier, m.text_value, m.text_lang, m.place
      FROM metadatavalue m JOIN metadatafieldregistry f ON f.metadata_field_id = m.metadata_field_id
      JOIN metadataschemaregistry s ON s.metadata_schema_id = f.metadata_schema_id
     WHERE m.dspace_object_id IN :ids ORDER BY m.metadata_field_id, m.place, m.metadata_value_id
"""
_RELATIONSHIPS = """
    SELECT r.left_id, r.right_id, r.left_place, r.leftward_value, r.latest_version_status, t.leftward_type
      FROM relationship r JOIN relationship_type t ON t.id = r.type_id
     WHERE r.left_id IN :ids AND (t.leftward_type LIKE 'isAuthorOf%' OR t.leftward_type LIKE 'isEditorOf%'
           OR t.leftward_type LIKE 'isContributorOf%' OR t.leftward_type LIKE 'isOrgUnitOf%')
     ORDER BY r.left_place, r.id
"""


def _public(name: str) -> bool:
    """Whether a field may leave the house: of contributors only roles that are known to be public."""
    _, element, *qualifier = name.split(".")
    return element != "contributor" or (qualifier[0] if qualifier else "") in (*CONTRIBUTORS, "author")


def _name(schema: str, element: str, qualifier: str | None) -> str:
    return f"{schema}.{element}.{qualifier}" if qualifier else f"{schema}.{element}"
