"""An OJS: the tables of its install migrations, 3.3 to 3.5, reduced to the columns that matter."""

import itertools
from typing import Any

from sqlalchemy import text

from tests.presets.site import EACH, PREFIX, Edit, Installation

_DOI = {"3.3": "", "3.4": ", doi_id bigint", "3.5": ", doi_id bigint"}
COMMON = """
CREATE TABLE journals (journal_id bigint PRIMARY KEY, path varchar(32), seq double precision,
    primary_locale varchar(28), enabled smallint);
CREATE TABLE journal_settings (journal_id bigint, locale varchar(28), setting_name varchar(255), setting_value text);
CREATE TABLE submissions (submission_id bigint PRIMARY KEY, locale varchar(28), context_id bigint,
    current_publication_id bigint, date_last_activity {datetime}, date_submitted {datetime}, last_modified {datetime},
    stage_id bigint, status smallint);
CREATE TABLE publications (publication_id bigint PRIMARY KEY, access_status bigint, date_published date,
    last_modified {datetime}, primary_contact_id bigint, section_id bigint, seq double precision, submission_id bigint,
    status smallint, url_path varchar(64), version bigint{doi}{more});
CREATE TABLE publication_settings (publication_id bigint, locale varchar(28), setting_name varchar(255),
    setting_value text);
CREATE TABLE authors (author_id bigint PRIMARY KEY, email varchar(90), include_in_browse smallint,
    publication_id bigint, seq double precision, user_group_id bigint);
CREATE TABLE author_settings (author_id bigint, locale varchar(28), setting_name varchar(255), setting_value text);
CREATE TABLE issues (issue_id bigint PRIMARY KEY, journal_id bigint, volume smallint, number varchar(40), year smallint,
    published smallint, date_published {datetime}, last_modified {datetime}, url_path varchar(64){doi});
CREATE TABLE issue_settings (issue_id bigint, locale varchar(28), setting_name varchar(255), setting_value text);
CREATE TABLE publication_galleys (galley_id bigint PRIMARY KEY, locale varchar(28), publication_id bigint,
    label varchar(255), submission_file_id bigint, seq double precision, url_path varchar(64){doi});
CREATE TABLE controlled_vocabs (controlled_vocab_id bigint PRIMARY KEY, symbolic varchar(64), assoc_type bigint,
    assoc_id bigint);
CREATE TABLE controlled_vocab_entries (controlled_vocab_entry_id bigint PRIMARY KEY, controlled_vocab_id bigint,
    seq double precision);
CREATE TABLE controlled_vocab_entry_settings (controlled_vocab_entry_id bigint, locale varchar(28),
    setting_name varchar(255), setting_value text);
CREATE TABLE edit_decisions (edit_decision_id bigint PRIMARY KEY, submission_id bigint, decision smallint,
    date_decided {datetime});
CREATE TABLE genres (genre_id bigint PRIMARY KEY, supplementary smallint);
CREATE TABLE submission_files (submission_file_id bigint PRIMARY KEY, submission_id bigint, genre_id bigint)
"""
DOIS = """;
CREATE TABLE dois (doi_id bigint PRIMARY KEY, context_id bigint, doi varchar(255), status smallint)
"""
MORE = {
    "3.3": """;
CREATE TABLE publication_galley_settings (galley_id bigint, locale varchar(28), setting_name varchar(255),
    setting_value text)
""",
    "3.4": DOIS,
    "3.5": DOIS
    + """;
CREATE TABLE author_affiliations (author_affiliation_id bigint PRIMARY KEY, author_id bigint, ror varchar(255));
CREATE TABLE author_affiliation_settings (author_affiliation_id bigint, locale varchar(28), setting_name varchar(255),
    setting_value text)
""",
}
COLUMNS = {"3.3": ", locale varchar(28)", "3.4": "", "3.5": ", issue_id bigint"}
ENGLISH, GERMAN = "en_US", "de_DE"
OLD = "2024-05-06 07:00:00"
QUEUED, PUBLISHED, DECLINED, SCHEDULED = 1, 3, 4, 5
_minutes = itertools.count()


class Ojs:
    """Makes articles and edits them as OJS does, timestamps included."""

    def __init__(self, site: Installation, version: str) -> None:
        self.site = site
        self.version = version
        datetime = "datetime" if site.engine.dialect.name in ("mysql", "mariadb") else "timestamp"
        site.script(COMMON.format(datetime=datetime, doi=_DOI[version], more=COLUMNS[version]) + MORE[version])
        self._ids = itertools.count(1)
        site.insert("journals", journal_id=1, path="birds", primary_locale=ENGLISH, enabled=1, seq=1)
        self.settings("journal", 1, name={ENGLISH: "Journal of Birds", GERMAN: "Vogelzeitschrift"},
                      onlineIssn="1234-5678", printIssn="8765-4321")  # fmt: skip
        self.site.insert("genres", genre_id=1, supplementary=0)
        self.site.insert("genres", genre_id=2, supplementary=1)
        self.issue = self.new_issue(1, None)
        self.future = self.new_issue(2, None, published=0)

    def settings(self, table: str, owner: int, **settings: Any) -> None:
        rows = [
            {f"{_KEYS.get(table, table)}_id": owner, "locale": locale, "setting_name": _NAMES.get(name, name),
             "setting_value": text}
            for name, value in settings.items()
            for locale, text in (value.items() if isinstance(value, dict) else [("", value)])
        ]  # fmt: skip
        if rows:
            self.site.insert_all(f"{table}_settings", rows)

    def doi(self, name: str | None, status: int = 3) -> dict[str, int]:
        """A row of ``dois`` and the column that points to it; nothing in 3.3."""
        if name is None or self.version == "3.3":
            return {}
        number = next(self._ids)
        self.site.insert("dois", doi_id=number, context_id=1, doi=f"{PREFIX}/{name}", status=status)
        return {"doi_id": number}

    def _old_doi(self, table: str, owner: int, name: str | None) -> None:
        if name is not None and self.version == "3.3":
            self.settings(table, owner, pub_id_doi=f"{PREFIX}/{name}")

    def new_issue(self, number: int, doi: str | None, published: int = 1) -> int:
        self.site.insert("issues", issue_id=number, journal_id=1, volume=7, number=str(number), year=2023,
                         published=published, date_published="2023-03-01 00:00:00" if published else None,
                         last_modified=OLD, **self.doi(doi))  # fmt: skip
        self._old_doi("issue", number, doi)
        return number

    def publication(self, submission: int, doi: dict[str, int], name: str | None, *, status: int, issue: int | None,
                    title: Any, version: int = 1, **settings: Any) -> int:  # fmt: skip
        one = next(self._ids)
        more: dict[str, Any] = {"issue_id": issue} if self.version == "3.5" else {}
        if self.version == "3.3":
            more["locale"] = ENGLISH
        self.site.insert("publications", publication_id=one, submission_id=submission, status=status, version=version,
                         date_published="2023-05-06" if status != QUEUED or settings.pop("was_public", False) else None,
                         last_modified=OLD, seq=one, **doi, **more)  # fmt: skip
        self._old_doi("publication", one, name)
        if self.version != "3.5" and issue is not None:
            settings["issueId"] = str(issue)
        self.settings("publication", one, title=title, **settings)
        return one

    def author(self, publication: int, seq: int, given: Any, family: Any, *, orcid: str | None = None,
               affiliation: str | None = None, ror: str | None = None) -> int:  # fmt: skip
        one = next(self._ids)
        self.site.insert("authors", author_id=one, publication_id=publication, seq=seq, include_in_browse=1)
        words: dict[str, Any] = {"givenName": given, "familyName": family}
        if orcid:
            words["orcid"] = orcid
        if affiliation and self.version != "3.5":
            words["affiliation"] = {ENGLISH: affiliation}
            if ror:
                words["rorId"] = ror
        self.settings("author", one, **{name: value for name, value in words.items() if value})
        if affiliation and self.version == "3.5":
            number = next(self._ids)
            self.site.insert("author_affiliations", author_affiliation_id=number, author_id=one, ror=ror)
            self.settings("author_affiliation", number, name={ENGLISH: affiliation})
        return one

    def galley(self, publication: int, one: int, label: str, doi: str | None, genre: int = 1) -> int:
        self.site.insert("submission_files", submission_file_id=one, genre_id=genre)
        self.site.insert("publication_galleys", galley_id=one, publication_id=publication, label=label, locale=ENGLISH,
                         submission_file_id=one, seq=one, **self.doi(doi))  # fmt: skip
        self._old_doi("publication_galley", one, doi)
        return one

    def keyword(self, publication: int, symbolic: str, locale: str, word: str) -> None:
        one = next(self._ids)
        self.site.insert("controlled_vocabs", controlled_vocab_id=one, symbolic=symbolic, assoc_type=1048588,
                         assoc_id=publication)  # fmt: skip
        self.site.insert("controlled_vocab_entries", controlled_vocab_entry_id=one, controlled_vocab_id=one, seq=1)
        self.site.insert("controlled_vocab_entry_settings", controlled_vocab_entry_id=one, locale=locale,
                         setting_name="name" if self.version == "3.5" else symbolic, setting_value=word)  # fmt: skip

    def article(self, name: str, number: int, *, status: int = PUBLISHED, publication_status: int | None = None,
                issue: int | None = 1, title: Any = None, **settings: Any) -> int:  # fmt: skip
        """A submission with one publication; its id is given, so that pages can be named."""
        doi = self.doi(name)
        self.site.insert("submissions", submission_id=number, context_id=1, locale=ENGLISH, status=status,
                         date_submitted="2022-11-01 08:00:00", last_modified=OLD)  # fmt: skip
        one = self.publication(number, doi, name, status=status if publication_status is None else publication_status,
                               issue=issue, title=title or {ENGLISH: f"Article {name}"}, **settings)  # fmt: skip
        self.site.execute(
            "UPDATE submissions SET current_publication_id = :p WHERE submission_id = :s", p=one, s=number
        )
        self.author(one, 1, {ENGLISH: "Jo"}, {ENGLISH: "Roe"})
        return one

    def fill(self) -> None:
        """Thirty of every kind."""
        for n in range(1, EACH + 1):
            self.article(f"plain-{n}", _id(1, n))
            rich = self.article(
                f"rich-{n}", _id(2, n),
                title={ENGLISH: "Water & <i>birds</i>", GERMAN: "Wasser und Vögel"}, prefix={ENGLISH: "The"},
                subtitle={ENGLISH: "A study"}, licenseUrl="https://creativecommons.org/licenses/by/4.0/",
                pages="12\u201334", abstract={ENGLISH: "<p>First.</p><p>Second.</p>", GERMAN: "<p>Erstens.</p>"},
            )  # fmt: skip
            self.author(rich, 3, {ENGLISH: "Ann"}, None)
            self.author(rich, 2, {ENGLISH: "Jane", GERMAN: "Johanna"}, {ENGLISH: "Doe"},
                        orcid="https://orcid.org/0000-0002-1825-0097", affiliation="Example Institute",
                        ror="https://ror.org/05a28rw58")  # fmt: skip
            self.keyword(rich, "submissionKeyword", ENGLISH, "birds")
            self.keyword(rich, "submissionKeyword", GERMAN, "Vögel")
            self.keyword(rich, "submissionSubject", ENGLISH, "Zoology")
            self.site.insert("edit_decisions", edit_decision_id=n, submission_id=_id(2, n), date_decided=OLD,
                             decision=1 if self.version == "3.3" else 2)  # fmt: skip
            with_galleys = self.article(f"parts-{n}", _id(3, n), issue=self.new_issue(_id(10, n), f"issue-{n}"))
            self.galley(with_galleys, _id(11, n), "PDF", f"pdf-{n}")
            self.galley(with_galleys, _id(12, n), "Data", f"data-{n}", genre=2)
            self.galley(with_galleys, _id(13, n), "HTML", None)
            self.article(f"scheduled-{n}", _id(4, n), status=SCHEDULED, issue=self.future)
            self.article(f"queued-{n}", _id(5, n), status=QUEUED, issue=None)
            self.article(f"declined-{n}", _id(6, n), status=DECLINED, publication_status=QUEUED, issue=None)
            self.article(f"unpublished-{n}", _id(7, n), status=QUEUED, was_public=True)
            self.article(f"in-german-{n}", _id(8, n), title={GERMAN: "Nur deutsch"})
            first = self.article(f"versions-{n}", _id(9, n))
            if self.version != "3.3":
                doi = self.value("SELECT doi_id FROM publications WHERE publication_id = :id", id=first)
                self.publication(_id(9, n), {"doi_id": doi}, None, status=QUEUED, issue=1, version=2,
                                 title={ENGLISH: "An unpublished version"})  # fmt: skip
            else:
                self.publication(_id(9, n), {}, f"versions-{n}", status=QUEUED, issue=1, version=2,
                                 title={ENGLISH: "An unpublished version"})  # fmt: skip
            if self.version != "3.3":
                self.doi(f"orphan-{n}")
        touch(self.site, 4001)

    def value(self, query: str, **values: Any) -> Any:
        """The one value that a query gives."""
        with self.site.engine.connect() as connection:
            return connection.execute(text(query), values).scalar_one()


def _id(kind: int, n: int) -> int:
    """Numbers that end in the record's own."""
    return int(f"{kind}00{n}")


_KEYS = {"publication_galley": "galley"}
_NAMES = {"pub_id_doi": "pub-id::doi"}


def touch(site: Installation, submission: int) -> None:
    """A save of the current publication: a minute after the last one."""
    moment = _moment()
    site.execute(
        "UPDATE publications SET last_modified = :at WHERE publication_id ="
        " (SELECT current_publication_id FROM submissions WHERE submission_id = :s)", at=moment, s=submission,
    )  # fmt: skip
    site.execute("UPDATE submissions SET last_modified = :at WHERE submission_id = :s", at=moment, s=submission)


def _moment() -> str:
    hours, minutes = divmod(next(_minutes), 60)
    return f"2024-05-06 {8 + hours:02}:{minutes:02}:00"


def set_status(site: Installation, submission: int, status: int) -> None:
    site.execute(
        "UPDATE publications SET status = :n WHERE publication_id ="
        " (SELECT current_publication_id FROM submissions WHERE submission_id = :s)", n=status, s=submission,
    )  # fmt: skip
    site.execute("UPDATE submissions SET status = :n WHERE submission_id = :s", n=status, s=submission)


def set_title(site: Installation, submission: int, title: str) -> None:
    site.execute(
        "UPDATE publication_settings SET setting_value = :title WHERE setting_name = 'title' AND publication_id ="
        " (SELECT current_publication_id FROM submissions WHERE submission_id = :s)", title=title, s=submission,
    )  # fmt: skip


def add_orcid(site: Installation, submission: int) -> None:
    """The author answered the mail: nothing is stamped."""
    site.execute(
        "INSERT INTO author_settings SELECT a.author_id, '', 'orcid', 'https://orcid.org/0000-0001-5109-3700'"
        " FROM authors a JOIN submissions s ON s.current_publication_id = a.publication_id WHERE s.submission_id = :s",
        s=submission,
    )  # fmt: skip


def _dois(*names: str) -> frozenset[str]:
    return frozenset(f"{PREFIX}/{name}" for name in names)


_ALL = frozenset(
    f"{PREFIX}/{kind}-{n}"
    for kind in ("plain", "rich", "parts", "pdf", "data", "in-german", "versions", "issue")
    for n in range(1, EACH + 1)
)
_IN_ISSUE = frozenset(
    f"{PREFIX}/{kind}-{n}" for kind in ("plain", "rich", "in-german", "versions") for n in range(1, EACH + 1)
)
EDITS = [
    Edit("unpublished, edited, published again", lambda site: (
        set_title(site, 1001, "Another"), touch(site, 1001)), _dois("plain-1"), "changed"),
    Edit("saved with nothing changed", lambda site: touch(site, 1002), frozenset(), "changed"),
    Edit("unpublished", lambda site: (set_status(site, 1003, QUEUED), touch(site, 1003)), _dois("plain-3"), "changed"),
    Edit("an ORCID iD arrives", lambda site: add_orcid(site, 1004), _dois("plain-4"), "full"),
    Edit("the journal is renamed", lambda site: site.execute(
        "UPDATE journal_settings SET setting_value = 'Journal of All Birds' WHERE setting_name = 'name'"
        " AND locale = 'en_US'"), _ALL - _dois("plain-3"), "outline"),
    Edit("an issue gets another volume, and is stamped", lambda site: site.execute(
        f"UPDATE issues SET volume = 8, last_modified = '{_moment()}' WHERE issue_id = 1"),
        _IN_ISSUE - _dois("plain-3"), "changed"),
    Edit("a scheduled issue is published", lambda site: (
        site.execute(f"UPDATE issues SET published = 1, last_modified = '{_moment()}' WHERE issue_id = 2"),
        set_status(site, 4001, PUBLISHED), touch(site, 4001)), _dois("scheduled-1"), "changed"),
]  # fmt: skip
