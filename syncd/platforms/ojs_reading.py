"""How OJS and OPS lay their tables out in each version, and one page of records read from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from syncd.errors import ConfigurationError, OtherPlatformError
from syncd.platforms import crosswalk
from syncd.platforms.ojs_mapping import GALLEY, ISSUE, Settings
from syncd.platforms.preset import Ask, Document

PUBLISHED, SCHEDULED = 3, 5
_PUBLICATION_SETTINGS = ("title", "prefix", "subtitle", "abstract", "licenseUrl", "pages", "issueId")
_AUTHOR_SETTINGS = ("givenName", "familyName", "preferredPublicName", "affiliation", "orcid", "rorId")
_JOURNAL_SETTINGS = ("name", "onlineIssn", "printIssn")
_VOCABULARIES = ("submissionKeyword", "submissionSubject")
_PUBLICATION = 1048588
_SOMETIMES = (
    "dois", "author_affiliations", "author_affiliation_settings", "genres", "submission_files", "edit_decisions",
    "rors", "ror_settings", "issues", "issue_settings", "publication_galley_settings",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """What differs from version to version, and the journal that is meant.

    Attributes:
        place: What a journal is called in tables: OPS has servers, and called them journals at first.
        tables: Those of ``_SOMETIMES`` that are there.
        issue_column: The issue is a column of the publication, and no setting.
        locale_of_publication: So is its language; otherwise the submission's.
    """

    place: str
    tables: frozenset[str]
    issue_column: bool
    locale_of_publication: bool
    mysql: bool
    journal_id: int
    path: str

    @classmethod
    def of(cls, ask: Ask, journal: str) -> Self:
        """Look at the database.

        Raises:
            ConfigurationError: It is no OJS, or nobody said which of its journals is meant.
        """
        publications = ask.columns("publications")
        if "submission_id" not in publications:
            raise OtherPlatformError("this is no database of OJS or OPS 3.3 or later", hint="see source.url")
        place = "server" if ask.columns("servers") else "journal"
        key = f"{place}_id"
        found = ask(f"SELECT {key} AS id, path FROM {place}s ORDER BY {key}")  # noqa: S608
        chosen = [one for one in found if not journal or journal in (one["path"], str(one["id"]))]
        if len(chosen) != 1:
            known = ", ".join(one["path"] for one in found) or "none"
            raise ConfigurationError(
                f"which journal is meant? The installation has: {known}",
                hint="name its path in options.journal; one account of this configuration feeds from one journal",
            )
        return cls(
            place=place,
            tables=frozenset(name for name in _SOMETIMES if ask.columns(name)),
            issue_column="issue_id" in publications,
            locale_of_publication="locale" in publications,
            mysql=ask.dialect in ("mysql", "mariadb"),
            journal_id=int(chosen[0]["id"]),
            path=chosen[0]["path"],
        )

    @property
    def has_dois(self) -> bool:
        """DOIs have a table since 3.4; they were settings before."""
        return "dois" in self.tables

    @property
    def preprints(self) -> bool:
        """OPS has no issues."""
        return "issues" not in self.tables

    @property
    def affiliations(self) -> bool:
        """Affiliations have tables since 3.5; they were settings before."""
        return "author_affiliations" in self.tables

    @property
    def title(self) -> str:
        """The platform and its version."""
        version = "3.5" if self.affiliations else "3.4" if self.has_dois else "3.3"
        return f"{'OPS' if self.preprints else 'OJS'} {version}"

    @property
    def relations(self) -> tuple[str, ...]:
        """All tables that are read."""
        return (
            f"{self.place}s", f"{self.place}_settings", "submissions", "publications", "publication_settings",
            "authors", "author_settings", "publication_galleys", "controlled_vocabs", "controlled_vocab_entries",
            "controlled_vocab_entry_settings", *sorted(self.tables),
        )  # fmt: skip

    def issue_join(self) -> tuple[str, str, str, str]:
        """How a publication's issue is found: the joins, its id, whether it is published, when it changed."""
        if self.preprints:
            return "", "NULL", "NULL", "NULL"
        if self.issue_column:
            join = " LEFT JOIN issues i ON i.issue_id = p.issue_id"
        else:
            # What is no number, as migrations leave it, is no issue; PostgreSQL would stop at it.
            number = "CAST(NULLIF(n.setting_value, '') AS SIGNED)"
            if not self.mysql:
                number = "CASE WHEN n.setting_value ~ '^[0-9]{1,18}$' THEN CAST(n.setting_value AS BIGINT) END"
            join = (
                " LEFT JOIN publication_settings n ON n.publication_id = p.publication_id"
                " AND n.setting_name = 'issueId'"
                f" LEFT JOIN issues i ON i.issue_id = {number}"
            )
        return join, "i.issue_id", "i.published", "i.last_modified"

    def journal(self, ask: Ask) -> dict[str, Any]:
        """What every record of the journal says of it."""
        key, place = f"{self.place}_id", self.place
        (row,) = ask(f"SELECT path, primary_locale, enabled FROM {place}s WHERE {key} = :id", id=self.journal_id)  # noqa: S608
        settings = ask(
            f"SELECT {key} AS owner, locale, setting_name, setting_value FROM {place}_settings"  # noqa: S608
            f" WHERE {key} = :id AND setting_name IN :names ORDER BY setting_name, locale",
            id=self.journal_id,
            names=list(_JOURNAL_SETTINGS),
        )
        return {**row, "settings": _settings(settings).get(self.journal_id, {})}


class Page:
    """Everything that the records of one page need, read at once."""

    def __init__(self, layout: Layout, ask: Ask, rows: Sequence[Mapping[str, Any]]) -> None:
        self._layout = layout
        self._journal = layout.journal(ask)
        publications = sorted({row["publication_id"] for row in rows if row["publication_id"] is not None})
        self._publications = {}
        self._authors: dict[int, list[dict[str, Any]]] = {}
        self._keywords: dict[int, list[tuple[str, str]]] = {}
        self._galleys: dict[int, list[dict[str, Any]]] = {}
        self._accepted: dict[int, Any] = {}
        if publications:
            locale = "p.locale" if layout.locale_of_publication else "s.locale"
            doi = "d.doi" if layout.has_dois else "NULL"
            join = " LEFT JOIN dois d ON d.doi_id = p.doi_id" if layout.has_dois else ""
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
            if "edit_decisions" in layout.tables:
                submissions = sorted({row["submission_id"] for row in found})
                accept = 2 if layout.has_dois else 1
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
            if self._layout.affiliations:
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
        if {"rors", "ror_settings"} <= self._layout.tables and rors:
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
        layout = self._layout
        if layout.has_dois:
            doi, join = "d.doi", " LEFT JOIN dois d ON d.doi_id = g.doi_id"
        else:
            doi = "x.setting_value"
            join = (
                " LEFT JOIN publication_galley_settings x ON x.galley_id = g.galley_id"
                " AND x.setting_name = 'pub-id::doi'"
            )
        supplementary = "NULL"
        if {"genres", "submission_files"} <= layout.tables:
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
        layout = self._layout
        self._issues: dict[int, dict[str, Any]] = {}
        self._contents: dict[int, list[str]] = {}
        ids = sorted({row["issue_id"] for row in rows if row["issue_id"] is not None})
        if layout.preprints or not ids:
            return
        if layout.has_dois:
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
        join, issue, _, _ = self._layout.issue_join()
        for row in ask(
            f"SELECT {issue} AS issue_id, p.publication_id, t.setting_value AS title FROM submissions s"  # noqa: S608
            f" JOIN publications p ON p.publication_id = s.current_publication_id{join}"
            " JOIN publication_settings t ON t.publication_id = p.publication_id AND t.setting_name = 'title'"
            f" AND t.locale = {'p' if self._layout.locale_of_publication else 's'}.locale"
            f" WHERE {issue} IN :ids AND s.status = {PUBLISHED} AND p.status = {PUBLISHED}"
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
            "journal_id": self._layout.journal_id,
            "submission_id": row["submission_id"],
            "issue_id": row["issue_id"],
            "page": _path(row, publication, issue, galley, preprints=self._layout.preprints),
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
