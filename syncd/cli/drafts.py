"""The configurations that ``syncd init`` writes: for an operator to read, to fill in and to keep."""

import json
from collections.abc import Mapping, Sequence

from syncd.model import MANAGED_ATTRIBUTES
from syncd.platforms.survey import Survey

_UNDERSTOOD = ("record_key", "doi", "status", "url", "modified")
_OTHER_NAMES = ("resourcetype", "resourcetypegeneral", "alternateidentifiers")
_NEEDED = ("titles", "creators", "publisher", "publication_year", "types")
_CHANGED = ("modified", "updated_at", "last_modified", "updated", "modified_at", "changed_at")
_GUESSES = {"published": "findable", "public": "findable", "draft": "draft", "withdrawn": "registered"}


def configuration(url: str | None, view: str | None, columns: Sequence[str] | None, statuses: Sequence[str]) -> str:
    """For ``platform = "sql"``.

    Args:
        url: The platform's database; None: not known yet.
        view: What holds the records.
        columns: Its columns, if somebody looked.
        statuses: The words of its column ``status``.
    """
    found = list(columns) if columns is not None else [*_UNDERSTOOD, *_NEEDED]
    bare = {_bare(column) for column in found}
    key = "record_key" if "record_key" in found else f"{_first_key(found)} AS record_key"
    modified = next((name for name in _CHANGED if name in found), None)
    kept = [column for column in found if column != _first_key(found) and _meant(column) and column != "record_key"]
    selected = [key, *kept, *(f"CHANGE AS {name}" for name in ("doi", "status") if name not in bare)]
    if modified and modified not in kept:
        selected.append(f"{modified} AS modified")
    select = ",\n       ".join(selected)
    others = sorted(column for column in found if column not in (*kept, _first_key(found), "record_key", modified))
    missing = [name for name in _NEEDED if _bare(name) not in bare and not (name == "types" and bare & {*_OTHER_NAMES})]
    notes = []
    if others:
        notes.append(f"# Not named like DataCite attributes, and left out: {', '.join(others)}")
    if missing:
        notes.append(f"# CHANGE: DataCite needs these, and no column is called so: {', '.join(missing)}")
    source = view or "datacite_records  -- CHANGE: your table or view, one row per record"
    query = f"SELECT {select}\n  FROM {source}"  # noqa: S608 - a file for the operator to read and change
    return f"""{_head("[]", known=False)}
[accounts.source]
platform = "sql"
url = {json.dumps(url or "postgresql://reader:PASSWORD@localhost/repository")}
# The landing page, when no column `url` holds it; {{column}} stands for a column of the query.
# landing_page = "https://repository.example.org/{{record_key}}"

{"".join(f"{note}{chr(10)}" for note in notes)}# One row per record: record_key and doi, status, modified, and
# columns named like DataCite attributes (titles, creators, publicationYear or publication_year, …), JSON or plain text.
all = \"\"\"
{query}
\"\"\"
one = \"\"\"
SELECT * FROM (
{query}
) AS record WHERE record.record_key = :key
\"\"\"
{_quick(query) if modified else _NOT_QUICK}
# What a record's status means: findable, registered (withdrawn), draft, or none (no DOI at DataCite).
# A status that is not here is never published; it is reported.
[accounts.source.states]
{_states(statuses)}
"""  # noqa: S608 - a file for the operator to read and change


def preset_configuration(found: Survey, url: str, site: str | None, options: Mapping[str, str]) -> str:
    """For a platform that is known."""
    prefixes = [prefix for prefix, _ in found.prefixes.most_common()]
    chosen = "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
    landing = json.dumps(site) if site else '"https://CHANGE.example.org"'
    return f"""{_head(json.dumps(prefixes), known=bool(prefixes))}
[accounts.source]
# {found.title}: {found.records:,} DOIs when this was written.
platform = {json.dumps(found.platform)}
url = {json.dumps(url)}
# The site's address: pages are where the platform registers them. A pattern such as
# "https://repository.example.org/items/{{uuid}}" is possible too.
landing_page = {landing}

# What the platform cannot say: attributes for records that have none, and attributes for all records.
# [accounts.source.defaults]
# publisher = {{ name = "Example University" }}
# [accounts.source.override]
# language = "en"

# Choices of this platform's preset: see the README.
[accounts.source.options]
{chosen}"""


def _head(prefixes: str, *, known: bool) -> str:
    return f"""\
# syncd: keeps DataCite true. Every setting can also come from the environment, e.g. SYNCD_DATACITE__HOST.

[state]
# syncd's own tables: SQLite (one host) or PostgreSQL (several processes and hosts).
url = "sqlite:///syncd-state.db"

[datacite]
# "test" until you trust it, then "production"; or the address of `syncd sandbox`.
host = "test"
contact = "CHANGE@example.org"          # DataCite writes here if something is wrong

[[accounts]]
id = "CHANGE.REPOSITORY"                # your DataCite repository account
password_file = "/etc/syncd/credentials/change.repository"   # CHANGE; readable by syncd's user only
prefixes = {prefixes if known else '["10.5072"]'}{" " * 18}# {"as found; only the account's own" if known else "CHANGE"}
# domains = "*.example.org"             # as at DataCite, if your account is limited to some hosts
"""


def _quick(query: str) -> str:
    return f"""\
# The quick look between two full scans.
changed = \"\"\"
SELECT * FROM (
{query}
) AS record WHERE record.modified >= :since
\"\"\"
"""  # noqa: S608


_NOT_QUICK = """\
# No column is called like a time of change (modified, updated_at, …), so every look is a full one. With one, select it
# AS modified in both queries above, and add:  changed = "… WHERE record.modified >= :since"
"""


def _states(statuses: Sequence[str]) -> str:
    words = list(statuses) or ["published", "draft", "withdrawn"]
    lines = [f'{json.dumps(word, ensure_ascii=False)} = "{_GUESSES.get(word.lower(), "none")}"' for word in words]
    note = "" if statuses else "   # CHANGE: your own words"
    return "\n".join(
        line + (note or ("" if word.lower() in _GUESSES else "   # CHANGE?"))
        for line, word in zip(lines, words, strict=True)
    )


def _first_key(columns: Sequence[str]) -> str:
    return next((name for name in ("record_key", "id", "uuid", "key") if name in columns), columns[0])


def _bare(column: str) -> str:
    return column.replace("_", "").lower()


def _meant(column: str) -> bool:
    return _bare(column) in {*map(str.lower, MANAGED_ATTRIBUTES), *_OTHER_NAMES} or column in _UNDERSTOOD
