"""InvenioRDM: one record per row of ``pidstore_pid`` with a DOI, of a version, of a concept, or of a draft.

Names of affiliations, funders, licences and all other terms stand in vocabularies, whose edits move no record: the
newest edit of any vocabulary is part of every outline. A concept has no record of its own; it is sent with the
metadata of its newest public version.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from syncd.errors import ConfigurationError, OtherPlatformError
from syncd.model import Attributes, Problem, State, doi_name
from syncd.platforms.advice import Advice
from syncd.platforms.inveniordm_mapping import attributes
from syncd.platforms.preset import Ask, Document, Options
from syncd.settings import AccountSettings

_PUBLISHED, _DELETED = "P", ("D", "X")
_VOCABULARIES = ("vocabularies_metadata", "affiliation_metadata", "funder_metadata", "award_metadata",
                 "subject_metadata")  # fmt: skip
_OWN_TABLES = {"affiliations": "affiliation_metadata", "funders": "funder_metadata", "awards": "award_metadata",
               "subjects": "subject_metadata"}  # fmt: skip
_KEPT_OF_TERMS = ("title", "props", "name", "identifiers", "subject", "scheme", "number")
_LISTS = (
    "creators", "contributors", "additional_titles", "additional_descriptions", "dates", "subjects", "rights",
    "related_identifiers", "funding", "identifiers", "languages",
)  # fmt: skip


class InvenioRdmOptions(Options):
    """What an InvenioRDM site may choose."""

    concepts: bool = Field(default=True, description="whether DOIs of concepts (all versions) are minded")
    drafts: Literal[State.NONE, State.DRAFT] = Field(
        default=State.NONE, description="what an unpublished draft with a DOI is"
    )


class InvenioRdm:
    """13 and 14, on PostgreSQL."""

    key = int

    def __init__(self, ask: Ask, options: InvenioRdmOptions, account: AccountSettings) -> None:
        columns = ask.columns("rdm_records_metadata")
        if "deletion_status" not in columns or not ask.columns("pidstore_pid"):
            raise OtherPlatformError("this is no database of InvenioRDM 12 or later", hint="see source.url")
        if ask.dialect != "postgresql":
            raise ConfigurationError("InvenioRDM is read on PostgreSQL only", hint='or platform = "sql" on a view')
        self._options = options
        page = urlsplit(account.source.landing_page)
        self._site = f"{page.scheme}://{page.netloc}"
        self._tables = [table for table in _VOCABULARIES if ask.columns(table)]
        self._pids = {table for table in self._tables if "pid" in ask.columns(table)}
        zoned = ask("SELECT 1 FROM information_schema.columns WHERE table_schema = current_schema() AND"
                    " table_name = 'rdm_records_metadata' AND column_name = 'updated'"
                    " AND data_type = 'timestamp with time zone'")  # fmt: skip
        self.title = f"InvenioRDM {'14 or later' if zoned else '12 or 13'}"
        self.relations = (
            "pidstore_pid", "rdm_records_metadata", "rdm_parents_metadata", "rdm_drafts_metadata",
            "rdm_versions_state", "rdm_parents_community", "communities_metadata", "vocabularies_types", *self._tables,
        )  # fmt: skip
        concepts = "" if options.concepts else " AND c.id IS NULL"
        draft_updated = draft_columns = drafts = ""
        if options.drafts is not State.NONE:
            draft_updated, draft_columns = ", w.updated", ", w.version_id AS draft_version"
            drafts = " LEFT JOIN rdm_drafts_metadata w ON w.id = d.object_uuid AND r.id IS NULL"
        # A concept depends on all its versions. Without an index they are gathered once for each page.
        narrow = "max(updated) AS updated, sum(version_id) AS revisions, count(*) AS number FROM rdm_records_metadata"
        if _indexed(ask, "parent_id"):
            versions = f"LEFT JOIN LATERAL (SELECT {narrow} x WHERE x.parent_id = c.id) f ON c.id IS NOT NULL"
        else:
            versions = f"LEFT JOIN (SELECT parent_id, {narrow} GROUP BY parent_id) f ON f.parent_id = c.id"
        # The kind of PID is compared first: pidstore_pid holds several of other kinds for each record.
        self.outline = f"""
            SELECT d.id AS record_key, d.pid_value AS doi,
                   GREATEST(r.updated, p.updated, c.updated, n.updated, f.updated{draft_updated}) AS modified,
                   d.object_uuid, f.updated AS versions_updated, f.revisions, f.number{draft_columns},
                   r.id AS record, r.version_id, r.deletion_status, r.parent_id, c.id AS concept,
                   p.version_id AS parent_version, c.version_id AS concept_version, v.latest_id,
                   n.version_id AS newest_version, n.deletion_status AS newest_deletion
              FROM pidstore_pid d
              LEFT JOIN rdm_records_metadata r ON r.id = d.object_uuid
              LEFT JOIN rdm_parents_metadata p ON p.id = r.parent_id
              LEFT JOIN rdm_parents_metadata c ON c.id = d.object_uuid
              LEFT JOIN rdm_versions_state v ON v.parent_id = c.id
              LEFT JOIN rdm_records_metadata n ON n.id = v.latest_id
              {versions}{drafts}
             WHERE d.pid_type = 'doi' AND COALESCE(d.pid_provider, 'datacite') = 'datacite'{concepts}
        """  # noqa: S608 - words of ours

    def mark(self, ask: Ask) -> str:
        """The newest edit of any vocabulary."""
        tables = [*self._tables, "communities_metadata"]
        parts = (f"SELECT '{table}' AS name, max(updated) AS at, count(*) AS n FROM {table}" for table in tables)  # noqa: S608
        rows = ask(" UNION ALL ".join(parts))  # in any order
        return str(sorted((row["name"], str(row["at"]), row["n"]) for row in rows))

    def documents(self, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Records with parents, versions, communities and the terms that they use."""
        versions = self._versions(ask, [row["concept"] for row in rows if row["concept"]])
        shown = {row["record_key"]: _newest(row, versions.get(row["concept"], [])) for row in rows}
        records = self._jsons(ask, "rdm_records_metadata", shown.values())
        drafts = self._drafts(ask, rows)
        parents = self._jsons(ask, "rdm_parents_metadata", (row["concept"] or row["parent_id"] for row in rows))
        communities = self._communities(ask, list(parents))
        contents = {
            row["record_key"]: _sound(records.get(shown[row["record_key"]]) or drafts.get(row["object_uuid"]))
            for row in rows
        }
        terms = self._terms(ask, [one for one in contents.values() if one])
        return [
            self._document(
                row,
                contents[row["record_key"]],
                parents.get(row["concept"] or row["parent_id"]) or {},
                communities.get(row["concept"] or row["parent_id"], []),
                versions.get(row["concept"], []),
                terms,
            )
            for row in rows
        ]

    def _versions(self, ask: Ask, concepts: Sequence[Any]) -> dict[Any, list[dict[str, Any]]]:
        """All versions of these concepts, oldest first."""
        found: dict[Any, list[dict[str, Any]]] = {}
        if concepts:
            for row in ask(_VERSIONS, ids=list(concepts)):
                found.setdefault(row["parent_id"], []).append(row)
        return found

    def _jsons(self, ask: Ask, table: str, ids: Any) -> dict[Any, dict[str, Any] | None]:
        wanted = sorted({one for one in ids if one is not None}, key=str)
        if not wanted:
            return {}
        rows = ask(f"SELECT id, json FROM {table} WHERE id IN :ids", ids=wanted)  # noqa: S608 - tables of ours
        return {row["id"]: _decoded(row["json"]) for row in rows}

    def _drafts(self, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> dict[Any, dict[str, Any] | None]:
        """Unpublished drafts, where they are wanted; an open edit of a published record is nobody's business."""
        if self._options.drafts is State.NONE:
            return {}
        return self._jsons(
            ask,
            "rdm_drafts_metadata",
            (row["object_uuid"] for row in rows if row["record"] is None and row["concept"] is None),
        )

    def _communities(self, ask: Ask, parents: Sequence[Any]) -> dict[Any, list[str]]:
        found: dict[Any, list[str]] = {}
        if parents:
            for row in ask(_COMMUNITIES, ids=list(parents)):
                found.setdefault(row["parent_id"], []).append(row["slug"])
        return found

    def _terms(self, ask: Ask, contents: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
        wanted: dict[str, set[str]] = {}
        for content in contents:
            for kind, one in _used(content.get("metadata") or {}):
                wanted.setdefault(kind, set()).add(one)
        generic = {kind: ones for kind, ones in wanted.items() if kind not in _OWN_TABLES}
        found = self._generic(ask, generic)
        for kind, table in _OWN_TABLES.items():
            if kind in wanted and table in self._tables:
                found |= {(kind, one): term for one, term in self._own(ask, table, sorted(wanted[kind])).items()}
        return found

    def _generic(self, ask: Ask, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], Any]:
        """Terms of the common table; old ones are known by their PID only, others by what they say themselves."""
        ids = sorted({one for ones in wanted.values() for one in ones})
        if not ids or "vocabularies_metadata" not in self._tables:
            return {}
        found = {(row["kind"], row["id"]): _decoded(row["json"]) for row in ask(_TERMS, ids=ids)}
        missing = sorted({one for kind, ones in wanted.items() for one in ones if (kind, one) not in found})
        for row in ask(_TERMS_BY_THEMSELVES, ids=missing) if missing else ():
            found.setdefault((row["kind"], row["id"]), _decoded(row["json"]))
        return found

    def _own(self, ask: Ask, table: str, ids: list[str]) -> dict[str, Any]:
        """Terms of a vocabulary with a table of its own."""
        column = "pid" if table in self._pids else "json ->> 'id'"
        query = f"SELECT {column} AS id, json FROM {table} WHERE {column} IN :ids"  # noqa: S608 - words of ours
        return {row["id"]: _decoded(row["json"]) for row in ask(query, ids=ids)}

    def _document(
        self,
        row: Mapping[str, Any],
        content: Mapping[str, Any] | None,
        parent: Mapping[str, Any],
        communities: Sequence[str],
        versions: Sequence[Mapping[str, Any]],
        terms: Mapping[tuple[str, str], Any],
    ) -> Document:
        content = content or {}
        metadata = content.get("metadata") or {}
        is_concept = row["concept"] is not None
        pids = (parent if is_concept else content).get("pids") or {}
        own = pids.get("doi") or {}
        used = {
            f"{kind}/{one}": {name: terms[kind, one].get(name) for name in _KEPT_OF_TERMS}
            for kind, one in sorted(set(_used(metadata)))
            if terms.get((kind, one))
        }
        concept = (parent.get("pids") or {}).get("doi") or {}
        return {
            "doi": row["doi"],
            "recid": (parent if is_concept else content).get("id"),
            "kind": "concept" if is_concept else "record" if row["record"] is not None else "draft",
            "ours": own.get("provider") in (None, "datacite") and _same_doi(own.get("identifier"), row["doi"]),
            "deleted": (_PUBLISHED if is_concept else row["deletion_status"]) in _DELETED,
            "there": bool(metadata),
            "access": (content.get("access") or {}).get("record"),
            "metadata": metadata,
            "pids": {scheme: pid.get("identifier") for scheme, pid in pids.items() if isinstance(pid, Mapping)},
            "concept_doi": None if is_concept else concept.get("identifier"),
            "versions": [
                one["doi"] for one in versions
                if one["doi"] and one["deletion_status"] == _PUBLISHED and one["access"] != "restricted"
            ],
            "communities": list(communities),
            "terms": used,
        }  # fmt: skip

    def state(self, document: Document) -> State | Problem:
        """Public is a published record whose metadata everybody may read; a concept follows its newest version."""
        if not document["there"] or document["deleted"] or not document["ours"]:
            return State.NONE
        access = document["access"]
        if document["kind"] == "draft":
            return self._options.drafts if access in (None, "public") else State.NONE
        if access == "public":
            return State.FINDABLE
        if access == "restricted":
            return State.NONE
        return Problem("status_unknown", f"access.record is {access!r}; known are 'public' and 'restricted'")

    def attributes(self, document: Document) -> Attributes:
        """The rules of the platform's own serializer."""
        return attributes(document, self._site)

    def template(self, site: str) -> str:
        """What the platform registers."""
        return f"{site}/doi/{{doi}}"

    def advice(self, ask: Ask) -> Iterator[Advice]:
        """The indexes for quick looks and for concepts; and the platform's own sender."""
        for column, reason in (("updated", "every quick look"), ("parent_id", "every page with a concept's DOI")):
            if not _indexed(ask, column):
                yield Advice(
                    "index",
                    f"rdm_records_metadata.{column} has no index, so {reason} reads the whole table",
                    f"fine below 100,000 records; else CREATE INDEX ON rdm_records_metadata ({column}, id)",
                )
        recent = ask(
            "SELECT 1 FROM pidstore_pid WHERE pid_type = 'doi' AND pid_provider = 'datacite' AND status = 'R'"
            " AND updated > CURRENT_TIMESTAMP - INTERVAL '7 days' LIMIT 1"
        )
        if recent:
            yield Advice(
                "other sender",
                "InvenioRDM registered a DOI in the last week: it sends as well (DATACITE_ENABLED)",
                "share the account, or let it mint without sending: deploy/platforms/inveniordm.md",
            )


class _Opener:
    name = "inveniordm"
    options: type[Options] = InvenioRdmOptions

    def __call__(self, ask: Ask, options: InvenioRdmOptions, account: AccountSettings) -> InvenioRdm:
        return InvenioRdm(ask, options, account)


INVENIORDM = _Opener()
"""How an InvenioRDM database is opened."""

_VERSIONS = """
    SELECT id, parent_id, index, deletion_status, json #>> '{pids,doi,identifier}' AS doi,
           json #>> '{access,record}' AS access
      FROM rdm_records_metadata WHERE parent_id IN :ids AND json IS NOT NULL ORDER BY index, created, id
"""
_COMMUNITIES = """
    SELECT m.record_id AS parent_id, c.slug FROM rdm_parents_community m
      JOIN communities_metadata c ON c.id = m.community_id
     WHERE m.record_id IN :ids AND c.deletion_status = 'P' ORDER BY c.slug
"""
_TERMS = """
    SELECT t.id AS kind, p.pid_value AS id, m.json FROM pidstore_pid p
      JOIN vocabularies_types t ON t.pid_type = p.pid_type JOIN vocabularies_metadata m ON m.id = p.object_uuid
     WHERE p.pid_value IN :ids
"""
_TERMS_BY_THEMSELVES = """
    SELECT json #>> '{type,id}' AS kind, json ->> 'id' AS id, json FROM vocabularies_metadata
     WHERE json ->> 'id' IN :ids
"""


def _indexed(ask: Ask, column: str) -> bool:
    return bool(
        ask(
            "SELECT 1 FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'rdm_records_metadata'"
            " AND indexdef LIKE '%(' || :column || '%'",
            column=column,
        )
    )


def _same_doi(one: Any, other: Any) -> bool:
    return doi_name(str(one or "")) == doi_name(str(other))


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _newest(row: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]) -> Any:
    """Whose metadata is sent: the record's own, or for a concept that of its newest version that is not deleted."""
    if row["concept"] is None:
        return row["record"]
    public = [one["id"] for one in versions if one["deletion_status"] == _PUBLISHED]
    return row["latest_id"] if row["latest_id"] in public else public[-1] if public else None


def _sound(content: Any) -> dict[str, Any]:
    """A record whose lists hold objects only, whatever an import left in them."""
    if not isinstance(content, Mapping):
        return {}
    metadata = content.get("metadata")
    known = {**metadata} if isinstance(metadata, Mapping) else {}
    for name in _LISTS:
        values = known.get(name)
        known[name] = [one for one in values if isinstance(one, Mapping)] if isinstance(values, list) else []
    return {**content, "metadata": known if isinstance(metadata, Mapping) and metadata else {}}


def _used(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every vocabulary term that metadata links, as (vocabulary, id)."""
    links: list[tuple[str, Any]] = [("resourcetypes", metadata.get("resource_type"))]
    for name in ("creators", "contributors"):
        for one in metadata.get(name) or ():
            links += [("affiliations", each) for each in one.get("affiliations") or ()]
            links.append(("contributorsroles", one.get("role")))
    links += [("titletypes", one.get("type")) for one in metadata.get("additional_titles") or ()]
    links += [("descriptiontypes", one.get("type")) for one in metadata.get("additional_descriptions") or ()]
    links += [("datetypes", one.get("type")) for one in metadata.get("dates") or ()]
    links += [("subjects", one) for one in metadata.get("subjects") or ()]
    links += [("licenses", one) for one in metadata.get("rights") or ()]
    for one in metadata.get("related_identifiers") or ():
        links += [("relationtypes", one.get("relation_type")), ("resourcetypes", one.get("resource_type"))]
    for one in metadata.get("funding") or ():
        links += [("funders", one.get("funder")), ("awards", one.get("award"))]
    for kind, link in links:
        if isinstance(link, Mapping) and link.get("id"):
            yield kind, str(link["id"])
