"""Is everything there that a pass needs? Looks at databases, clock, credentials and account; writes nothing."""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy.engine import make_url

from syncd.cycle import opened
from syncd.datacite.validation import looks_like_doi, owned
from syncd.errors import ExitCode, SyncdError
from syncd.inquiry import Inquiry
from syncd.model import Desired, Problem
from syncd.platforms import Platform
from syncd.platforms.crosswalk import orcid_adds_up
from syncd.platforms.listening import without_trigger
from syncd.settings import AccountSettings, Settings
from syncd.store import Store, schema

OK, WARN, FAIL = "ok", "warn", "fail"
_FEW_ATTEMPTS = 2
_SAMPLE = 100
_SKEW_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Checked:
    """One line of the check.

    Attributes:
        about: An account, or nothing for what all of them share.
        level: ``ok``, ``warn`` or ``fail``.
        code: With which a program should end that cannot go on.
    """

    about: str
    name: str
    level: str
    words: str
    hint: str = ""
    code: ExitCode = ExitCode.DONE


def check(settings: Settings, store: Store, accounts: list[AccountSettings]) -> Iterator[Checked]:
    """Everything, in the order in which a pass would need it."""
    ready = False
    for finding in _attempt("", "state database", lambda: _state(store)):
        ready = finding.level == OK
        yield finding
    if ready:
        yield _clock(store)
    for account in accounts:
        yield from _account(settings, account, store, ready=ready)


def open_file(path: Path, settings: Settings) -> list[Checked]:
    """A warning when everybody on this machine can read a database's password in the configuration."""
    addresses = [settings.state.url, *(account.source.url for account in settings.accounts)]
    passwords = {str(found) for one in addresses if (found := make_url(one).password)}
    try:
        open_to_all = bool(path.stat().st_mode & stat.S_IROTH) and any(one in path.read_text() for one in passwords)
    except (OSError, UnicodeDecodeError):
        return []  # it was read a moment ago; what is wrong with it now is not this check's to say
    words = f"everybody on this machine can read the password of a database in {path}"
    return [Checked("", "configuration", WARN, words, f"chmod 640 {path}")] if open_to_all else []


def _attempt(about: str, name: str, work: Callable[[], Checked | list[Checked]]) -> list[Checked]:
    """A refusal is a finding."""
    try:
        found = work()
    except SyncdError as error:
        return [Checked(about, name, FAIL, error.message, error.hint, error.exit_code)]
    return found if isinstance(found, list) else [found]


def _state(store: Store) -> Checked:
    schema.check(store.database)
    return Checked("", "state database", OK, f"reachable, revision {schema.head()}")


def _clock(store: Store) -> Checked:
    with store.database.reading() as connection:
        apart = abs((store.database.now(connection) - datetime.now(UTC)).total_seconds())
    if apart > _SKEW_SECONDS:
        words = f"this machine's clock and the state database's are {apart:.0f} s apart"
        return Checked("", "clock", WARN, words, "slots do not mind; timestamps in tables and logs will differ")
    return Checked("", "clock", OK, f"{apart:.1f} s from the state database's")


def _account(settings: Settings, account: AccountSettings, store: Store, *, ready: bool) -> Iterator[Checked]:
    from syncd.platforms import open_platform

    yield from _attempt(account.id, "password", lambda: _password(account))
    try:
        platform = open_platform(account)
    except SyncdError as error:
        yield Checked(account.id, "platform", FAIL, error.message, error.hint, error.exit_code)
        return
    try:
        sampled = _attempt(account.id, "platform", lambda: _sample(account, platform))
        yield from sampled
        bound: list[Checked] = []
        if all(finding.level != FAIL for finding in sampled):  # else these would fail in the same words
            yield from _attempt(account.id, "read-only", lambda: _read_only(account, platform))
            yield from _attempt(account.id, "platform", lambda: _advice(account, platform))
            bound = _attempt(account.id, "binding", lambda: _bound(settings, account, store, platform)) if ready else []
        yield from bound
    finally:
        platform.close()
    if ready and all(finding.level != FAIL for finding in bound):
        yield from _attempt(account.id, "DataCite", lambda: _datacite(settings, account, store))
    elif not ready:
        words = "not asked: it needs the state database, which counts requests"
        yield Checked(account.id, "DataCite", WARN, words, "syncd db upgrade")


def _password(account: AccountSettings) -> Checked:
    account.secret()
    return Checked(account.id, "password", OK, "there")


def _sample(account: AccountSettings, platform: Platform) -> Checked:
    """The first records, mapped: a mistake that all of them share is seen here."""
    rows = list(islice((row for page in platform.all() for row in page), _SAMPLE))
    with_doi = [row for row in rows if row.doi]
    problems = [found for row in with_doi if isinstance(found := platform.map(row), Problem)]
    odd = [row.doi for row in with_doi if not looks_like_doi(row.doi)]
    foreign = sum(not owned(row.doi, account.prefixes) for row in with_doi if row.doi not in odd)
    if not rows:
        hint = "check the query `all`; a pass over nothing would stop"
        return Checked(account.id, "platform", WARN, "reachable, but it gives no record", hint)
    words = f"reachable; of the first {len(rows)} records {len(with_doi)} have a DOI"
    wrong = [orcid for row in with_doi for orcid in _wrong_orcids(platform.map(row))]
    if wrong:
        # DataCite takes them, and nobody's ORCID record ever shows the work.
        words += f"; {len(wrong)} ORCID iDs in them cannot be right, e.g. {wrong[0]}"
    if foreign:
        words += f"; {foreign} of them under none of {', '.join(account.prefixes)}"
    if odd:
        words += f"; {len(odd)} of them no DOI at all, e.g. {odd[0]!r}"
    if problems:
        words += f"; {len(problems)} cannot be mapped, e.g. {problems[0]}"
        return Checked(account.id, "platform", WARN, words, "syncd plan names them all")
    return Checked(account.id, "platform", WARN if wrong or odd or foreign == len(with_doi) else OK, words)


def _wrong_orcids(mapped: Desired | Problem) -> list[str]:
    people = [] if isinstance(mapped, Problem) else [
        person for name in ("creators", "contributors") for person in mapped.attributes.get(name, ())
    ]  # fmt: skip
    return [
        str(one.get("nameIdentifier"))
        for person in people
        for one in person.get("nameIdentifiers", ())
        if one.get("nameIdentifierScheme") == "ORCID" and not orcid_adds_up(one.get("nameIdentifier"))
    ]


def _read_only(account: AccountSettings, platform: Platform) -> Checked:
    grants = platform.may_write()
    if grants:
        words = f"the database account could write ({grants[0]}{', …' if len(grants) > 1 else ''}); syncd never does"
        return Checked(account.id, "read-only", WARN, words, "syncd db grants prints an account that cannot")
    return Checked(account.id, "read-only", OK, "our sessions cannot write, nor can the account")


def _advice(account: AccountSettings, platform: Platform) -> list[Checked]:
    """What the platform's preset knows: indexes worth having, and the platform's own sender."""
    found = [Checked(account.id, one.about, WARN, one.words, one.hint) for one in platform.advice()]
    if account.source.channel:
        dumb = without_trigger(account.source.url, platform.relations())
        words = f"source.channel is set, and {', '.join(dumb[:3])}{', …' if len(dumb) > 3 else ''} tell nobody"
        hint = "syncd db trigger prints it anew; a table that was made anew lost it"
        found += [Checked(account.id, "trigger", WARN, words, hint)] if dumb else []
    return found


def _bound(settings: Settings, account: AccountSettings, store: Store, platform: Platform) -> Checked:
    store.bindings.check(account.id, settings.datacite.base_url, platform.identity())
    return Checked(account.id, "binding", OK, "the state belongs to this platform and this DataCite, or to none yet")


def _datacite(settings: Settings, account: AccountSettings, store: Store) -> list[Checked]:
    with opened(settings, account, store, bind=False) as (parts, limiter):
        inquiry = Inquiry(
            account.id, store, limiter, parts.client, parts.clock, chance=parts.chance, stopping=parts.stopping,
            attempts=_FEW_ATTEMPTS,
        )  # fmt: skip
        page = inquiry.page(None, size=1)
        remote = inquiry.account()
    name, base = account.id, settings.datacite.base_url
    found = [Checked(name, "DataCite", OK, f"{base} accepts the credentials; {page.total or 0:,} DOIs")]
    if not remote.active:
        words = "the account is not active: DataCite refuses every write with 403"
        found.append(Checked(name, "account", FAIL, words, "ask DataCite support", ExitCode.CREDENTIALS))
    missing = [] if remote.prefixes is None else sorted(set(account.prefixes) - remote.prefixes)
    if missing:
        words = f"DataCite does not list {', '.join(missing)} for this account"
        hint = "correct `prefixes`, or have the prefix assigned in Fabrica"
        found.append(Checked(name, "prefixes", FAIL, words, hint, ExitCode.CONFIGURATION))
    else:
        found.append(Checked(name, "prefixes", OK, ", ".join(account.prefixes)))
    if remote.domains and remote.domains != account.domains:
        words = f"DataCite allows landing pages at {remote.domains}; the configuration says {account.domains}"
        hint = f'write domains = "{remote.domains}", so that others are refused before they cost a request'
        found.append(Checked(name, "domains", WARN, words, hint))
    if page.items and not store.bindings.adopted(name):
        words = "DataCite holds DOIs of this account that were never compared with the platform"
        found.append(Checked(name, "adoption", WARN, words, f"syncd adopt --account {name}"))
    return found
