"""OJS, and OPS with its preprints: one record per DOI of an article, an issue or a galley of one journal.

What is public is the current publication of a submission; a DOI may belong to older and to unpublished ones as well.
ORCID iDs, contributors and galleys change without a timestamp, and are found by a full look.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from syncd.model import Attributes, Problem, State
from syncd.platforms.advice import Advice
from syncd.platforms.ojs_mapping import ARTICLE, GALLEY, ISSUE, attributes
from syncd.platforms.ojs_reading import PUBLISHED, SCHEDULED, Layout, Page
from syncd.platforms.preset import Ask, Document, Options
from syncd.settings import AccountSettings


class OjsOptions(Options):
    """What a journal may choose."""

    journal: str = Field(default="", description="the journal's path, where an installation has several")
    subtitles: bool = Field(default=False, description="whether titles go with their subtitles")
    unpublished: Literal[State.NONE, State.DRAFT] = Field(default=State.NONE, description="what was never public is")
    disabled: Literal[State.FINDABLE, State.REGISTERED] = Field(
        default=State.FINDABLE, description="what all is while the journal is disabled"
    )


class Ojs:
    """3.3 to 3.5, on MySQL, MariaDB or PostgreSQL."""

    key: type[int] | type[str] = int

    def __init__(self, ask: Ask, options: OjsOptions, account: AccountSettings) -> None:  # noqa: ARG002
        self._options = options
        self._layout = layout = Layout.of(ask, options.journal)
        self.title = layout.title
        self.relations = layout.relations
        if not layout.has_dois:
            self.key = str
        self.outline = self._outline()

    def _outline(self) -> str:
        """What has a DOI, its state, and every timestamp that may tell a change."""
        journal = self._layout.journal_id
        objects = f"{self._articles()} UNION ALL {self._galleys()}"
        if not self._layout.preprints:
            objects += f" UNION ALL {self._issues()}"
        columns = (
            "o.kind, o.object_id, o.submission_id, o.publication_id, o.issue_id, o.submission_status,"
            " o.publication_status, o.issue_published, o.is_current, o.modified"
        )
        if not self._layout.has_dois:
            return f"SELECT o.record_key, o.doi, {columns} FROM ({objects}) o WHERE o.doi IS NOT NULL"  # noqa: S608
        return (
            f"SELECT d.doi_id AS record_key, d.doi, {columns} FROM dois d"  # noqa: S608
            f" LEFT JOIN ({objects}) o ON o.doi_id = d.doi_id WHERE d.context_id = {journal}"
        )

    def _articles(self) -> str:
        doi, settings = self._doi_of("p", "publication_settings", "publication_id")
        source = "submissions s JOIN publications p ON p.submission_id = s.submission_id"
        columns = f"{self._key(_numbered(ARTICLE, 'p.publication_id'))}{doi}"
        newer = f"publications n{self._same_doi('n', 'p', 'publication_settings', 'publication_id')}"
        return self._of_publication(columns, ARTICLE, "s.submission_id", f"{source}{{join}}{settings}", newer)

    def _galleys(self) -> str:
        doi, settings = self._doi_of("g", "publication_galley_settings", "galley_id")
        source = (
            "submissions s JOIN publications p ON p.submission_id = s.submission_id"
            " JOIN publication_galleys g ON g.publication_id = p.publication_id"
        )
        columns = f"{self._key(_numbered(GALLEY, 'g.galley_id'))}{doi}"
        newer = (
            "publications n JOIN publication_galleys h ON h.publication_id = n.publication_id"
            f"{self._same_doi('h', 'g', 'publication_galley_settings', 'galley_id')}"
        )
        return self._of_publication(columns, GALLEY, "g.galley_id", f"{source}{{join}}{settings}", newer)

    def _same_doi(self, one: str, other: str, table: str, key: str) -> str:
        """The end of a FROM and the beginning of its WHERE: ``one`` has the DOI of ``other``."""
        if self._layout.has_dois:
            return f" WHERE {one}.doi_id = {other}.doi_id"
        return (
            f" JOIN {table} y ON y.{key} = {one}.{key}"
            " WHERE y.setting_name = 'pub-id::doi' AND y.setting_value = x.setting_value"
        )

    def _of_publication(self, columns: str, kind: str, object_id: str, source: str, newer: str) -> str:
        """The current publication of each submission, and older public ones whose DOI is not that of a newer one."""
        join, issue, published, changed = self._layout.issue_join()
        times = ("s.last_modified", "p.last_modified", changed)
        # MySQL's GREATEST is NULL where one of them is, so each falls back to the others.
        newest = ", ".join(f"COALESCE({', '.join(dict.fromkeys((one, *times)))})" for one in times)
        return f"""
            SELECT {columns}, '{kind}' AS kind, {object_id} AS object_id,
                   s.submission_id, p.publication_id, {issue} AS issue_id, s.status AS submission_status,
                   p.status AS publication_status, {published} AS issue_published,
                   CASE WHEN p.publication_id = s.current_publication_id THEN 1 ELSE 0 END AS is_current,
                   GREATEST({newest}) AS modified
              FROM {source.format(join=join)}
             WHERE s.context_id = {self._layout.journal_id} AND (p.publication_id = s.current_publication_id
                   OR (p.status = {PUBLISHED} AND NOT EXISTS (
                       SELECT 1 FROM {newer} AND n.submission_id = s.submission_id
                          AND (n.publication_id = s.current_publication_id
                               OR (n.status = {PUBLISHED} AND n.publication_id > p.publication_id)))))
        """  # noqa: S608 - numbers and words of ours

    def _issues(self) -> str:
        doi, settings = self._doi_of("i", "issue_settings", "issue_id")
        return f"""
            SELECT {self._key(_numbered(ISSUE, "i.issue_id"))}{doi}, '{ISSUE}' AS kind, i.issue_id AS object_id,
                   NULL AS submission_id, NULL AS publication_id, i.issue_id, NULL AS submission_status,
                   NULL AS publication_status, i.published AS issue_published, 1 AS is_current,
                   i.last_modified AS modified
              FROM issues i{settings} WHERE i.journal_id = {self._layout.journal_id}
        """  # noqa: S608

    def _key(self, key: str) -> str:
        return "" if self._layout.has_dois else f"{key} AS record_key, "

    def _doi_of(self, alias: str, table: str, key: str) -> tuple[str, str]:
        """A DOI is a row of its own since 3.4, and a setting before."""
        if self._layout.has_dois:
            return f"{alias}.doi_id", ""
        join = f" LEFT JOIN {table} x ON x.{key} = {alias}.{key} AND x.setting_name = 'pub-id::doi'"
        # Tables of an installation that was upgraded may have different collations.
        value = (
            "CONVERT(x.setting_value USING utf8mb4) COLLATE utf8mb4_bin" if self._layout.mysql else "x.setting_value"
        )
        return f"{value} AS doi", join

    def mark(self, ask: Ask) -> str:
        """The journal: its name and ISSN stand in every record."""
        return hashlib.sha256(repr(self._layout.journal(ask)).encode()).hexdigest()

    def documents(self, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Articles, galleys and issues with the settings, authors and keywords that they have in every locale."""
        page = Page(self._layout, ask, rows)
        return [page.document(row) for row in rows]

    def state(self, document: Document) -> State | Problem:
        """Public is a published submission's published current publication; an issue by its own word."""
        if document["kind"] is None:
            return State.NONE  # nothing refers to this DOI any more
        if document["kind"] == ISSUE:
            public = bool(document["issue_published"])
        else:
            public = document["submission_status"] == document["publication_status"] == PUBLISHED
        if not public:
            never = document["date_published"] is None or document["publication_status"] == SCHEDULED
            return self._options.unpublished if never else State.NONE
        return State.FINDABLE if document["enabled"] else self._options.disabled

    def attributes(self, document: Document) -> Attributes:
        """The rules of the datacite plugin."""
        return attributes(document, subtitles=self._options.subtitles, preprints=self._layout.preprints)

    def template(self, site: str) -> str:
        """Below the address that the configuration file of OJS has as base_url, with index.php if the site uses it."""
        return f"{site}{{page}}" if site.endswith(f"/{self._layout.path}") else f"{site}/{{journal}}{{page}}"

    def advice(self, ask: Ask) -> Iterator[Advice]:
        """The plugin that deposits by itself."""
        agency = ask(
            f"SELECT setting_value FROM {self._layout.place}_settings WHERE {self._layout.place}_id = :id"  # noqa: S608
            " AND setting_name IN ('registrationAgency', 'automaticDoiDeposit')",
            id=self._layout.journal_id,
        )
        if any("datacite" in str(one["setting_value"]).lower() for one in agency):
            yield Advice(
                "other sender",
                "the journal's registration agency is the datacite plugin, which deposits as well",
                "leave the registration agency empty, or switch automatic deposits off",
            )


class _Opener:
    name = "ojs"
    options: type[Options] = OjsOptions

    def __call__(self, ask: Ask, options: OjsOptions, account: AccountSettings) -> Ojs:
        return Ojs(ask, options, account)


OJS = _Opener()
"""How a database of OJS or OPS is opened."""


def _numbered(kind: str, number: str) -> str:
    return f"CONCAT('{kind}-', {number})"
