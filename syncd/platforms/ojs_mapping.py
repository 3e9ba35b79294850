"""From an OJS article, galley or issue to DataCite's words. Pure."""

from collections.abc import Mapping
from typing import Any

from syncd.model import Attributes
from syncd.platforms import crosswalk
from syncd.platforms.preset import Document

ARTICLE, ISSUE, GALLEY = "article", "issue", "galley"
Settings = dict[str, dict[str, str]]
"""Values of one object: by name, then by locale; "" where there is none."""


def _word(settings: Settings, name: str, *locales: str) -> str:
    """A value in the first of these locales that has one; then in any, then without one."""
    values = settings.get(name) or {}
    found = next((values[locale] for locale in locales if values.get(locale)), None)
    return found or next((values[locale] for locale in sorted(values)), "")


def _language(locale: str) -> str | None:
    return crosswalk.language(locale[:2]) if locale else None


def attributes(document: Document, *, subtitles: bool, preprints: bool) -> Attributes:
    """The rules of the datacite plugin, with ROR ids."""
    locale, primary = document["locale"], document["primary_locale"]
    is_issue = document["kind"] == ISSUE
    journal = crosswalk.one_line(_word(document["journal_settings"], "name", locale, primary))
    settings, issue = document["settings"], document["issue"]
    licence = _word(settings, "licenseUrl", "", locale)
    return {
        "titles": _issue_titles(document, journal) if is_issue else _titles(settings, locale, subtitles=subtitles),
        "creators": [{"name": journal, "nameType": "Organizational"}] if is_issue else [
            _author(one, locale, primary) for one in document["authors"]
        ],
        "publisher": {"name": journal},
        "publicationYear": crosswalk.year(document["date_published"]) or issue["year"],
        "types": _types(document, preprints=preprints),
        "subjects": _subjects(document, primary),
        "dates": [
            {"date": document[name], "dateType": kind}
            for name, kind in (
                ("date_submitted", "Submitted"), ("date_accepted", "Accepted"), ("date_published", "Issued"),
                ("last_modified", "Updated"),
            )
            if document[name]
        ],
        "language": _language(document["galley"]["locale"] or locale),
        "identifiers": _identifiers(document),
        "relatedIdentifiers": _relations(document),
        "relatedItems": [] if is_issue or preprints else [_container(document, journal)],
        "rightsList": [{"rightsUri": licence}] if licence.startswith("http") else [],
        "descriptions": _descriptions(document),
    }  # fmt: skip


def _titles(settings: Settings, locale: str, *, subtitles: bool) -> list[dict[str, Any]]:
    titles = settings.get("title") or {}
    order = sorted(titles, key=lambda one: (one != locale, one))
    found: list[dict[str, Any]] = []
    for number, one in enumerate(order):
        prefix, subtitle = (settings.get(name, {}).get(one, "") for name in ("prefix", "subtitle"))
        title = " ".join(filter(None, (crosswalk.one_line(prefix), crosswalk.one_line(titles[one]))))
        if subtitles and subtitle:
            title = f"{title}: {crosswalk.one_line(subtitle)}"
        found.append({"title": title, "titleType": "TranslatedTitle" if number else None, "lang": _language(one)})
    return found


def _issue_titles(document: Document, journal: str) -> list[dict[str, Any]]:
    issue, locale = document["issue"], document["locale"]
    parts = (("Vol.", issue["volume"]), ("No.", issue["number"]))
    numbers = " ".join(f"{word} {value}" for word, value in parts if value)
    name = crosswalk.one_line(_word(document["issue_settings"], "title", locale, document["primary_locale"]))
    words = ", ".join(filter(None, (journal, numbers + (f" ({issue['year']})" if issue["year"] else ""))))
    return [{"title": f"{words}: {name}" if name else words, "lang": _language(locale)}]


def _author(author: Mapping[str, Any], locale: str, primary: str) -> dict[str, Any]:
    settings = author["settings"]
    given = _word(settings, "givenName", locale, primary)
    # A family name of another language does not belong to this given name.
    named = next((one for one in (locale, primary) if (settings.get("givenName") or {}).get(one)), None)
    families = settings.get("familyName") or {}
    family = families.get(named or "", "") if named else _word(settings, "familyName", locale, primary)
    if author["affiliations"] is not None:
        affiliations = [
            crosswalk.affiliation(
                _word(one["settings"], "name", locale, locale[:2], primary, "shown") or one["ror"], one["ror"]
            )
            for one in author["affiliations"]
        ]
    else:
        name = _word(settings, "affiliation", locale, primary)
        affiliations = [crosswalk.affiliation(name, _word(settings, "rorId", ""))]
    return crosswalk.person(
        family=family,
        given=given,
        kind="Personal",
        identifiers=[crosswalk.orcid(_word(settings, "orcid", ""))],
        affiliations=affiliations,
    )


def _types(document: Document, *, preprints: bool) -> dict[str, Any]:
    if document["kind"] == ISSUE:
        return {"resourceTypeGeneral": "Text", "resourceType": "Journal Issue"}
    if document["galley"]["supplementary"]:
        return {"resourceTypeGeneral": "Dataset", "resourceType": None}
    if preprints:
        return {"resourceTypeGeneral": "Preprint", "resourceType": "Preprint"}
    return {"resourceTypeGeneral": "JournalArticle", "resourceType": "Article"}


def _subjects(document: Document, primary: str) -> list[dict[str, Any]]:
    words = [crosswalk.one_line(word) for locale, word in document["keywords"] if locale == primary]
    return [{"subject": word} for word in crosswalk.without_twins(words)]


def _issn(document: Document) -> str:
    settings = document["journal_settings"]
    return _word(settings, "onlineIssn", "") or _word(settings, "printIssn", "")


def _identifiers(document: Document) -> list[dict[str, Any]]:
    numbers = [document["journal_id"], document["issue_id"]]
    if document["kind"] != ISSUE:
        numbers.append(document["submission_id"])
    if document["kind"] == GALLEY:
        numbers.append(f"g{document['id']}")
    own = "-".join(str(number) for number in numbers if number is not None)
    found = [{"identifier": own, "identifierType": "publisherId"}]
    if issn := _issn(document):
        found.append({"identifier": issn, "identifierType": "ISSN"})
    return found


def _relations(document: Document) -> list[dict[str, Any]]:
    related = []
    if document["kind"] == ARTICLE:
        related += [(doi, "HasPart") for doi in document["galley_dois"]]
        related.append((document["issue_doi"], "IsPartOf"))
    elif document["kind"] == GALLEY:
        related.append((document["article_doi"], "IsPartOf"))
    return [
        {"relatedIdentifier": doi, "relatedIdentifierType": "DOI", "relationType": relation}
        for doi, relation in related
        if doi
    ]


def _container(document: Document, journal: str) -> dict[str, Any]:
    issue, issn = document["issue"], _issn(document)
    pages = crosswalk.one_line(_word(document["settings"], "pages", ""))
    first, _, last = pages.replace("\u2013", "-").partition("-")
    return {
        "relatedItemType": "Journal",
        "relationType": "IsPublishedIn",
        "titles": [{"title": journal}],
        "relatedItemIdentifier": {"relatedItemIdentifier": issn, "relatedItemIdentifierType": "ISSN"} if issn else None,
        "volume": None if issue["volume"] is None else str(issue["volume"]),
        "issue": None if issue["number"] is None else str(issue["number"]),
        "firstPage": first.strip(),
        "lastPage": last.strip(),
    }


def _descriptions(document: Document) -> list[dict[str, Any]]:
    if document["kind"] == ISSUE:
        contents = "\n".join(map(crosswalk.one_line, document["contents"]))
        return [{"description": contents, "descriptionType": "TableOfContents"}] if contents else []
    abstracts = document["settings"].get("abstract") or {}
    order = sorted(abstracts, key=lambda one: (one != document["locale"], one))
    return [
        {"description": crosswalk.text_of(abstracts[one]), "descriptionType": "Abstract", "lang": _language(one)}
        for one in order
    ]
