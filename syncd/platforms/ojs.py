"""OJS, and OPS with its preprints: one record per DOI of an article, an issue or a galley of one journal.

What is public is the current publication of a submission; a DOI may belong to older and to unpublished ones as well.
ORCID iDs, contributors and galleys change without a timestamp, and are found by a full look.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from syncd.config import AccountSettings
from syncd.errors import ConfigurationError
from syncd.model import Attributes, Problem, State
from syncd.platforms import crosswalk
from syncd.platforms.advice import Advice
from syncd.platforms.ojs_mapping import ARTICLE, GALLEY, ISSUE, Settings, attributes
from syncd.platforms.preset import Ask, Document, Options

_PUBLISHED, _SCHEDULED = 3, 5
_PUBLICATION_SETTINGS = ("title", "prefix", "subtitle", "abstract", "licenseUrl", "pages", "issueId")
_AUTHOR_SETTINGS = ("givenName", "familyName", "preferredPublicName", "affiliation", "orcid", "rorId")
_JOURNAL_SETTINGS = ("name", "onlineIssn", "printIssn")
_VOCABULARIES = ("submissionKeyword", "submissionSubject")
_PUBLICATION = 1048588


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
        publications = ask.columns("publications")
        if "submission_id" not in publications:
            raise ConfigurationError("this is no database of OJS or OPS 3.3 or later", hint="see source.url")
        self._options = options
        self._place = "server" if ask.columns("servers") else "journal"  # OPS called them journals as well at first
        self._preprints = not ask.columns("issues")
        self._has_dois = bool(ask.columns("dois"))
        self._issue_column = "issue_id" in publications
        self._locale_of_publication = "locale" in publications
        self._versions = "version" in publications
        self._affiliations = bool(ask.columns("author_affiliations"))
        self._entry_names = "name" if self._affiliations else None
        self._genres = bool(ask.columns("genres")) and bool(ask.columns("submission_files"))
        self._decisions = bool(ask.columns("edit_decisions"))
        self._mysql = ask.dialect in ("mysql", "mariadb")
        self._rors = bool(ask.columns("rors")) and bool(ask.columns("ror_settings"))
        version = "3.5" if self._affiliations else "3.4" if self._has_dois else "3.3"
        self.title = f"{'OPS' if self._preprints else 'OJS'} {version}"
        self._journal = self._find_journal(ask)
        more = [name for name in ("dois", "author_affiliations", "author_affiliation_settings", "genres",
                "submission_files", "edit_decisions", "rors", "ror_settings") if ask.columns(name)]  # fmt: skip
        issues = () if self._preprints else ("issues", "issue_settings")
        self.relations = (
            f"{self._place}s", f"{self._place}_settings", "submissions", "publications", "publication_settings",
            "authors", "author_settings", "publication_galleys", "controlled_vocabs", "controlled_vocab_entries",
            "controlled_vocab_entry_settings", *issues, *more,
        )  # fmt: skip
        if not self._has_dois:
            self.key = str
        self.outline = self._outline()

    def _find_journal(self, ask: Ask) -> dict[str, Any]:
        key = f"{self._place}_id"
        found = ask(f"SELECT {key} AS id, path, primary_locale, enabled FROM {self._place}s ORDER BY {key}")  # noqa: S608
        wanted = self._options.journal
        chosen = [one for one in found if not wanted or wanted in (one["path"], str(one["id"]))]
        if len(chosen) != 1:
            known = ", ".join(one["path"] for one in found) or "none"
            raise ConfigurationError(
                f"which journal is meant? The installation has: {known}",
                hint="name its path in options.journal; one account of this configuration feeds from one journal",
            )
        return chosen[0]

    def _outline(self) -> str:
        """What has a DOI, its state, and every timestamp that may tell a change."""
        journal = self._journal["id"]
        objects = f"{self._articles()} UNION ALL {self._galleys()}"
        if not self._preprints:
            objects += f" UNION ALL {self._issues()}"
        columns = (
            "o.kind, o.object_id, o.submission_id, o.publication_id, o.issue_id, o.submission_status,"
            " o.publication_status, o.issue_published, o.is_current, o.modified"
        )
        if not self._has_dois:
            return f"SELECT o.record_key, o.doi, {columns} FROM ({objects}) o WHERE o.doi IS NOT NULL"  # noqa: S608
        return (
            f"SELECT d.doi_id AS record_key, d.doi, {columns} FROM dois d"  # noqa: S608
            f" LEFT JOIN ({objects}) o ON o.doi_id = d.doi_id WHERE d.context_id = {journal}"
        )

    def _issue_join(self) -> tuple[str, str, str, str]:
        """How a publication's issue is found: the joins, its id, whether it is published, when it changed."""
        if self._preprints:
            return "", "NULL", "NULL", "NULL"
        if self._issue_column:
            join = " LEFT JOIN issues i ON i.issue_id = p.issue_id"
        else:
            # What is no number, as migrations leave it, is no issue; PostgreSQL would stop at it.
            number = "CAST(NULLIF(n.setting_value, '') AS SIGNED)"
            if not self._mysql:
                number = "CASE WHEN n.setting_value ~ '^[0-9]{1,18}$' THEN CAST(n.setting_value AS BIGINT) END"
            join = (
                " LEFT JOIN publication_settings n ON n.publication_id = p.publication_id"
                " AND n.setting_name = 'issueId'"
                f" LEFT JOIN issues i ON i.issue_id = {number}"
            )
        return join, "i.issue_id", "i.published", "i.last_modified"

    def _articles(self) -> str:
        doi, settings = self._doi_of("p", "publication_settings", "publication_id")
        same = "n.doi_id = p.doi_id"
        others = "publications n"
        if not self._has_dois:
            others += " JOIN publication_settings y ON y.publication_id = n.publication_id"
            same = "y.setting_name = 'pub-id::doi' AND y.setting_value = x.setting_value"
        source = "submissions s JOIN publications p ON p.submission_id = s.submission_id"
        columns = f"{self._key(_numbered(ARTICLE, 'p.publication_id'))}{doi}"
        return self._of_publication(columns, ARTICLE, "s.submission_id", source, settings, others, same)

    def _galleys(self) -> str:
        doi, settings = self._doi_of("g", "publication_galley_settings", "galley_id")
        same = "h.doi_id = g.doi_id"
        others = "publications n JOIN publication_galleys h ON h.publication_id = n.publication_id"
        if not self._has_dois:
            others += " JOIN publication_galley_settings y ON y.galley_id = h.galley_id"
            same = "y.setting_name = 'pub-id::doi' AND y.setting_value = x.setting_value"
        source = (
            "submissions s JOIN publications p ON p.submission_id = s.submission_id"
            " JOIN publication_galleys g ON g.publication_id = p.publication_id"
        )
        columns = f"{self._key(_numbered(GALLEY, 'g.galley_id'))}{doi}"
        return self._of_publication(columns, GALLEY, "g.galley_id", source, settings, others, same)

    def _of_publication(
        self, columns: str, kind: str, object_id: str, source: str, settings: str, others: str, same: str
    ) -> str:
        """The current publication of each submission, and older public ones whose DOI is not that of a newer one."""
        join, issue, published, changed = self._issue_join()
        times = ("s.last_modified", "p.last_modified", changed)
        # MySQL's GREATEST is NULL where one of them is, so each falls back to the others.
        newest = ", ".join(f"COALESCE({', '.join(dict.fromkeys((one, *times)))})" for one in times)
        return f"""
            SELECT {columns}, '{kind}' AS kind, {object_id} AS object_id,
                   s.submission_id, p.publication_id, {issue} AS issue_id, s.status AS submission_status,
                   p.status AS publication_status, {published} AS issue_published,
                   CASE WHEN p.publication_id = s.current_publication_id THEN 1 ELSE 0 END AS is_current,
                   GREATEST({newest}) AS modified
              FROM {source}{join}{settings}
             WHERE s.context_id = {self._journal["id"]} AND (p.publication_id = s.current_publication_id
                   OR (p.status = {_PUBLISHED} AND NOT EXISTS (
                       SELECT 1 FROM {others} WHERE n.submission_id = s.submission_id AND {same}
                          AND (n.publication_id = s.current_publication_id
                               OR (n.status = {_PUBLISHED} AND n.publication_id > p.publication_id)))))
        """  # noqa: S608 - numbers and words of ours

    def _issues(self) -> str:
        doi, settings = self._doi_of("i", "issue_settings", "issue_id")
        return f"""
            SELECT {self._key(_numbered(ISSUE, "i.issue_id"))}{doi}, '{ISSUE}' AS kind, i.issue_id AS object_id,
                   NULL AS submission_id, NULL AS publication_id, i.issue_id, NULL AS submission_status,
                   NULL AS publication_status, i.published AS issue_published, 1 AS is_current,
                   i.last_modified AS modified
              FROM issues i{settings} WHERE i.journal_id = {self._journal["id"]}
        """  # noqa: S608

    def _key(self, key: str) -> str:
        return "" if self._has_dois else f"{key} AS record_key, "

    def _doi_of(self, alias: str, table: str, key: str) -> tuple[str, str]:
        """A DOI is a row of its own since 3.4, and a setting before."""
        if self._has_dois:
            return f"{alias}.doi_id", ""
        join = f" LEFT JOIN {table} x ON x.{key} = {alias}.{key} AND x.setting_name = 'pub-id::doi'"
        # Tables of an installation that was upgraded may have different collations.
        value = "CONVERT(x.setting_value USING utf8mb4) COLLATE utf8mb4_bin" if self._mysql else "x.setting_value"
        return f"{value} AS doi", join

    def mark(self, ask: Ask) -> str:
        """The journal: its name and ISSN stand in every record."""
        return hashlib.sha256(repr(self._journal_facts(ask)).encode()).hexdigest()

    def _journal_facts(self, ask: Ask) -> dict[str, Any]:
        key, place = f"{self._place}_id", self._place
        (row,) = ask(f"SELECT path, primary_locale, enabled FROM {place}s WHERE {key} = :id", id=self._journal["id"])  # noqa: S608
        settings = ask(
            f"SELECT {key} AS owner, locale, setting_name, setting_value FROM {place}_settings"  # noqa: S608
            f" WHERE {key} = :id AND setting_name IN :names ORDER BY setting_name, locale",
            id=self._journal["id"],
            names=list(_JOURNAL_SETTINGS),
        )
        return {**row, "settings": _settings(settings).get(self._journal["id"], {})}

    def documents(self, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Articles, galleys and issues with the settings, authors and keywords that they have in every locale."""
        page = _Page(self, ask, rows)
        return [page.document(row) for row in rows]

    def state(self, document: Document) -> State | Problem:
        """Public is a published submission's published current publication; an issue by its own word."""
        if document["kind"] is None:
            return State.NONE  # nothing refers to this DOI any more
        if document["kind"] == ISSUE:
            public = bool(document["issue_published"])
        else:
            public = document["submission_status"] == document["publication_status"] == _PUBLISHED
        if not public:
            never = document["date_published"] is None or document["publication_status"] == _SCHEDULED
            return self._options.unpublished if never else State.NONE
        return State.FINDABLE if document["enabled"] else self._options.disabled

    def attributes(self, document: Document) -> Attributes:
        """The rules of the datacite plugin."""
        return attributes(document, subtitles=self._options.subtitles, preprints=self._preprints)

    def template(self, site: str) -> str:
        """Below the address that the configuration file of OJS has as base_url, with index.php if the site uses it."""
        return f"{site}{{page}}" if site.endswith(f"/{self._journal['path']}") else f"{site}/{{journal}}{{page}}"

    def advice(self, ask: Ask) -> Iterator[Advice]:
        """The plugin that deposits by itself."""
        agency = ask(
            f"SELECT setting_value FROM {self._place}_settings WHERE {self._place}_id = :id"  # noqa: S608
            " AND setting_name IN ('registrationAgency', 'automaticDoiDeposit')",
            id=self._journal["id"],
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


class _Page:
    """Everything that the records of one page need, read at once."""

    def __init__(self, ojs: Ojs, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> None:
        self._ojs = ojs
        self._journal = ojs._journal_facts(ask)
        publications = sorted({row["publication_id"] for row in rows if row["publication_id"] is not None})
        self._publications = {}
        self._authors: dict[int, list[dict[str, Any]]] = {}
        self._keywords: dict[int, list[tuple[str, str]]] = {}
        self._galleys: dict[int, list[dict[str, Any]]] = {}
        self._accepted: dict[int, Any] = {}
        if publications:
            locale = "p.locale" if ojs._locale_of_publication else "s.locale"
            doi = "d.doi" if ojs._has_dois else "NULL"
            join = " LEFT JOIN dois d ON d.doi_id = p.doi_id" if ojs._has_dois else ""
            found = ask(
                "SELECT p.publication_id, p.submission_id, p.date_published, p.last_modified, p.url_path,"  # noqa: S608
                f" {locale} AS locale, s.date_submitted, {doi} AS doi FROM publications p"
                f" JOIN submissions s ON s.submission_id = p.submission_id{join} WHERE p.publication_id IN :ids",
                ids=publications,
            )
            self._publications = {row["publication_id"]: row for row in found}
            self._settings = _settings(
                ask(
                    "SELECT publication_id AS owner, locale, setting_name, setting_value FROM publication_settings"
                    " WHERE publication_id IN :ids AND setting_name IN :names",
                    ids=publications,
                    names=[*_PUBLICATION_SETTINGS, "pub-id::doi"],
                )
            )
            self._read_authors(ask, publications)
            self._read_keywords(ask, publications)
            self._read_galleys(ask, publications)
            if ojs._decisions:
                submissions = sorted({row["submission_id"] for row in found})
                accept = 2 if ojs._has_dois else 1
                for row in ask(
                    "SELECT submission_id, max(date_decided) AS decided FROM edit_decisions"
                    " WHERE submission_id IN :ids AND decision = :accept GROUP BY submission_id",
                    ids=submissions,
                    accept=accept,
                ):
                    self._accepted[row["submission_id"]] = row["decided"]
        self._read_issues(ask, rows)

    def _read_authors(self, ask: Ask, publications: list[int]) -> None:
        authors = ask(
            "SELECT author_id, publication_id FROM authors WHERE publication_id IN :ids ORDER BY seq, author_id",
            ids=publications,
        )
        ids = [row["author_id"] for row in authors]
        settings: dict[Any, Settings] = {}
        affiliations: dict[int, list[dict[str, Any]]] = {}
        if ids:
            settings = _settings(
                ask(
                    "SELECT author_id AS owner, locale, setting_name, setting_value FROM author_settings"
                    " WHERE author_id IN :ids AND setting_name IN :names",
                    ids=ids,
                    names=list(_AUTHOR_SETTINGS),
                )
            )
            if self._ojs._affiliations:
                affiliations = self._read_affiliations(ask, ids)
        for row in authors:
            about = {"settings": settings.get(row["author_id"], {}), "affiliations": affiliations.get(row["author_id"])}
            self._authors.setdefault(row["publication_id"], []).append(about)

    def _read_affiliations(self, ask: Ask, authors: list[int]) -> dict[int, list[dict[str, Any]]]:
        """Since 3.5 a table of their own."""
        found = ask(
            "SELECT a.author_affiliation_id AS id, a.author_id, a.ror FROM author_affiliations a"
            " WHERE a.author_id IN :ids ORDER BY a.author_affiliation_id",
            ids=authors,
        )
        names: dict[Any, Settings] = {}
        if found:
            names = _settings(
                ask(
                    "SELECT author_affiliation_id AS owner, locale, setting_name, setting_value"
                    " FROM author_affiliation_settings WHERE author_affiliation_id IN :ids AND setting_name = 'name'",
                    ids=[row["id"] for row in found],
                )
            )
        registered = self._read_rors(ask, sorted({row["ror"] for row in found if row["ror"]}))
        result: dict[int, list[dict[str, Any]]] = {}
        for row in found:
            one = {"ror": row["ror"], "settings": names.get(row["id"]) or registered.get(row["ror"], {})}
            result.setdefault(row["author_id"], []).append(one)
        return result

    def _read_rors(self, ask: Ask, rors: list[str]) -> dict[str, Settings]:
        """The names that OJS keeps of organisations, by their own languages and by that which they show first."""
        found: dict[str, Settings] = {}
        if self._ojs._rors and rors:
            for row in ask(
                "SELECT r.ror, r.display_locale, s.locale, s.setting_value FROM rors r"
                " JOIN ror_settings s ON s.ror_id = r.ror_id AND s.setting_name = 'name' WHERE r.ror IN :rors",
                rors=rors,
            ):
                names = found.setdefault(row["ror"], {"name": {}})["name"]
                names[row["locale"] or ""] = row["setting_value"]
                if row["locale"] == row["display_locale"]:
                    names["shown"] = row["setting_value"]
        return found

    def _read_keywords(self, ask: Ask, publications: list[int]) -> None:
        for row in ask(
            "SELECT v.assoc_id, s.locale, s.setting_value FROM controlled_vocabs v"
            " JOIN controlled_vocab_entries e ON e.controlled_vocab_id = v.controlled_vocab_id"
            " JOIN controlled_vocab_entry_settings s ON s.controlled_vocab_entry_id = e.controlled_vocab_entry_id"
            " WHERE v.assoc_type = :kind AND v.assoc_id IN :ids AND v.symbolic IN :names AND s.setting_name IN :words"
            " ORDER BY v.symbolic, e.seq, e.controlled_vocab_entry_id",
            kind=_PUBLICATION,
            ids=publications,
            names=list(_VOCABULARIES),
            words=["name", *_VOCABULARIES],
        ):
            self._keywords.setdefault(row["assoc_id"], []).append((row["locale"] or "", row["setting_value"]))

    def _read_galleys(self, ask: Ask, publications: list[int]) -> None:
        ojs = self._ojs
        if ojs._has_dois:
            doi, join = "d.doi", " LEFT JOIN dois d ON d.doi_id = g.doi_id"
        else:
            doi = "x.setting_value"
            join = (
                " LEFT JOIN publication_galley_settings x ON x.galley_id = g.galley_id"
                " AND x.setting_name = 'pub-id::doi'"
            )
        supplementary = "NULL"
        if ojs._genres:
            supplementary = "n.supplementary"
            join += (
                " LEFT JOIN submission_files f ON f.submission_file_id = g.submission_file_id"
                " LEFT JOIN genres n ON n.genre_id = f.genre_id"
            )
        for row in ask(
            f"SELECT g.publication_id, g.galley_id, g.label, g.locale, g.url_path, {doi} AS doi,"  # noqa: S608
            f" {supplementary} AS supplementary FROM publication_galleys g{join} WHERE g.publication_id IN :ids"
            " ORDER BY g.seq, g.galley_id",
            ids=publications,
        ):
            self._galleys.setdefault(row["publication_id"], []).append(row)

    def _read_issues(self, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> None:
        ojs = self._ojs
        self._issues: dict[int, dict[str, Any]] = {}
        self._contents: dict[int, list[str]] = {}
        ids = sorted({row["issue_id"] for row in rows if row["issue_id"] is not None})
        if ojs._preprints or not ids:
            return
        if ojs._has_dois:
            doi, join = "d.doi", " LEFT JOIN dois d ON d.doi_id = i.doi_id"
        else:
            doi = "x.setting_value"
            join = " LEFT JOIN issue_settings x ON x.issue_id = i.issue_id AND x.setting_name = 'pub-id::doi'"
        for row in ask(
            "SELECT i.issue_id, i.volume, i.number, i.year, i.published, i.date_published, i.last_modified, i.url_path,"  # noqa: S608
            f" {doi} AS doi FROM issues i{join} WHERE i.issue_id IN :ids",
            ids=ids,
        ):
            self._issues[row["issue_id"]] = row
        self._issue_settings = _settings(
            ask(
                "SELECT issue_id AS owner, locale, setting_name, setting_value FROM issue_settings"
                " WHERE issue_id IN :ids AND setting_name IN ('title', 'description')",
                ids=ids,
            )
        )
        whole = sorted({row["issue_id"] for row in rows if row["kind"] == ISSUE})
        if whole:
            self._read_contents(ask, whole)

    def _read_contents(self, ask: Ask, issues: list[int]) -> None:
        """The titles of what is public in these issues."""
        join, issue, _, _ = self._ojs._issue_join()
        for row in ask(
            f"SELECT {issue} AS issue_id, p.publication_id, t.setting_value AS title FROM submissions s"  # noqa: S608
            f" JOIN publications p ON p.publication_id = s.current_publication_id{join}"
            " JOIN publication_settings t ON t.publication_id = p.publication_id AND t.setting_name = 'title'"
            f" AND t.locale = {'p' if self._ojs._locale_of_publication else 's'}.locale"
            f" WHERE {issue} IN :ids AND s.status = {_PUBLISHED} AND p.status = {_PUBLISHED}"
            " ORDER BY p.seq, p.publication_id",
            ids=issues,
        ):
            self._contents.setdefault(row["issue_id"], []).append(row["title"])

    def document(self, row: Mapping[str, Any]) -> Document:
        """One record."""
        kind, publication = row["kind"], self._publications.get(row["publication_id"], {})
        issue = self._issues.get(row["issue_id"], {})
        primary = self._journal["primary_locale"]
        galleys = self._galleys.get(row["publication_id"], [])
        galley: Mapping[str, Any] = {}
        if kind == GALLEY:
            galley = next((one for one in galleys if one["galley_id"] == row["object_id"]), {})
        settings = self._settings.get(row["publication_id"], {}) if publication else {}
        about = issue if kind == ISSUE else publication
        return {
            "doi": row["doi"],
            "id": row["object_id"],
            "kind": kind,
            "journal": self._journal["path"],
            "journal_id": self._ojs._journal["id"],
            "submission_id": row["submission_id"],
            "issue_id": row["issue_id"],
            "page": _path(row, publication, issue, galley, preprints=self._ojs._preprints),
            "enabled": bool(self._journal["enabled"]),
            "submission_status": row["submission_status"],
            "publication_status": row["publication_status"],
            "issue_published": row["issue_published"],
            "locale": publication.get("locale") or primary,
            "primary_locale": primary,
            "journal_settings": self._journal["settings"],
            "settings": {name: value for name, value in settings.items() if name != "pub-id::doi"},
            "issue_settings": self._issue_settings.get(row["issue_id"], {}) if issue else {},
            "issue": {name: issue.get(name) for name in ("volume", "number", "year")},
            "issue_doi": issue.get("doi") if issue.get("published") else None,
            "authors": self._authors.get(row["publication_id"], []),
            "keywords": self._keywords.get(row["publication_id"], []),
            "galley": {name: galley.get(name) for name in ("label", "locale", "supplementary")},
            "galley_dois": [one["doi"] for one in galleys if one["doi"]],
            "article_doi": publication.get("doi") or _only(settings.get("pub-id::doi")),
            "contents": self._contents.get(row["object_id"], []) if kind == ISSUE else [],
            "date_published": crosswalk.day(about.get("date_published")),
            "date_submitted": crosswalk.day(publication.get("date_submitted")),
            "date_accepted": crosswalk.day(self._accepted.get(row["submission_id"])),
            "last_modified": crosswalk.day(about.get("last_modified")),
        }


def _settings(rows: Sequence[Mapping[str, Any]]) -> dict[Any, dict[str, dict[str, str]]]:
    found: dict[Any, dict[str, dict[str, str]]] = {}
    for row in rows:
        if row["setting_value"] not in (None, ""):
            by_locale = found.setdefault(row["owner"], {}).setdefault(row["setting_name"], {})
            by_locale[row["locale"] or ""] = row["setting_value"]
    return found


def _only(values: Mapping[str, str] | None) -> str | None:
    return next(iter(values.values()), None) if values else None


def _path(
    row: Mapping[str, Any], publication: Mapping[str, Any], issue: Mapping[str, Any], galley: Mapping[str, Any],
    *, preprints: bool,
) -> str | None:  # fmt: skip
    """The page below the journal's own."""
    if row["kind"] == ISSUE:
        return f"/issue/view/{issue.get('url_path') or row['object_id']}"
    if row["kind"] is None:
        return None
    article = publication.get("url_path") or row["submission_id"]
    page = f"/{'preprint' if preprints else 'article'}/view/{article}"
    if not row["is_current"]:
        page += f"/version/{row['publication_id']}"
    return f"{page}/{galley.get('url_path') or row['object_id']}" if row["kind"] == GALLEY else page
