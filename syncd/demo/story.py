"""The demo's story: a first pass, a second that costs nothing, seven edits, and where everything stands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from syncd import config
from syncd.cycle import Report, run
from syncd.datacite.request import Put
from syncd.demo import repository
from syncd.model import Desired, Held
from syncd.plan import decide
from syncd.platforms import open_platform
from syncd.sandbox.server import RunningSandbox
from syncd.settings import Settings
from syncd.store import Store, schema
from syncd.store.reading import FailureGroup, Sum

ACCOUNT = "DATACITE.DEMO"
PASSWORD = "demo"  # noqa: S105 - of the local sandbox


@dataclass(frozen=True, slots=True)
class SentEdit:
    """What one edit cost and did."""

    doi: str
    what: str
    request: str
    attributes: Sequence[str]
    bytes: int
    full_bytes: int
    state: str


@dataclass
class Story:
    """Everything that the demo shows."""

    records: int = 0
    first: Report | None = None
    first_requests: int = 0
    second_requests: int = 0
    third_requests: int = 0
    max_in_window: int = 0
    edits: list[SentEdit] = field(default_factory=list)
    failures: Sequence[FailureGroup] = ()
    sum: Sum | None = None


def write_configuration(folder: Path, platform_url: str, state_url: str, address: str) -> Path:
    """The configuration that an operator would write for the demo's repository."""
    path = folder / "syncd.toml"
    select = repository.query(platform_url)
    path.write_text(
        f"""\
# Made by `syncd demo`: a repository with one DataCite account, against the local sandbox.

[state]
url = "{state_url}"

[datacite]
host = "{address}"
contact = "demo@example.org"

[[accounts]]
id = "{ACCOUNT}"
password = "{PASSWORD}"       # of the sandbox; for a real account use password_file
prefixes = ["{repository.PREFIX}"]

[accounts.source]
url = "{platform_url}"
platform = "sql"
landing_page = "https://repository.example.org/{{slug}}"

all = \"\"\"
{select}
\"\"\"
one = \"\"\"
{select}
 WHERE work.id = :key
\"\"\"
changed = \"\"\"
{select}
 WHERE work.modified >= :since
\"\"\"

[accounts.source.states]
draft = "draft"
published = "findable"
withdrawn = "registered"
restricted = "none"
""",
        encoding="utf-8",
    )
    path.chmod(0o600)
    return path


def play(
    configuration: Path, sandbox: RunningSandbox, tell: Callable[[str, Story], None] = lambda _chapter, _story: None
) -> Story:
    """Play the story against a sandbox.

    Args:
        configuration: A file from ``write_configuration``.
        sandbox: The DataCite that it names.
        tell: Called after each chapter with its name and the story so far.
    """
    settings = config.load(configuration)
    account = settings.accounts[0]
    repository.create(account.source.url)
    store = Store.open(settings.state.url)
    story = Story(records=repository.RECORDS)
    try:
        schema.upgrade(store.database)
        tell("start", story)
        story.first, story.first_requests = _pass(settings, store, sandbox)
        tell("first", story)
        _, story.second_requests = _pass(settings, store, sandbox)
        tell("second", story)
        edits = repository.edits()
        sizes = _full_sizes(settings, edits)
        repository.apply(account.source.url, edits)
        tell("edits", story)
        _, story.third_requests = _pass(settings, store, sandbox)
        story.edits = [_sent(store, sandbox, edit, sizes[edit.doi]) for edit in edits]
        story.max_in_window = sandbox.application.firewall.max_in_window
        tell("third", story)
        story.failures = store.reading.failures(account.id)
        story.sum = store.reading.sum(account.id)
        tell("end", story)
    finally:
        store.close()
    return story


def _pass(settings: Settings, store: Store, sandbox: RunningSandbox) -> tuple[Report, int]:
    before = _writes(sandbox)
    report = run(settings, settings.accounts[0], store)
    return report, _writes(sandbox) - before


def _writes(sandbox: RunningSandbox) -> int:
    """Requests that changed something; the first pass also asks once what is there already."""
    return sum(one["method"] != "GET" for one in sandbox.application.control.requests)


def _full_sizes(settings: Settings, edits: Sequence[repository.Edit]) -> dict[str, int]:
    """What each record would cost if it were sent whole."""
    platform = open_platform(settings.accounts[0])
    try:
        sizes = {}
        for edit in edits:
            row = platform.one(str(edit.work))
            desired = platform.map(row) if row else None
            step = decide(Held(), desired) if isinstance(desired, Desired) else None
            sizes[edit.doi] = len(step.body()) if isinstance(step, Put) else 0
        return sizes
    finally:
        platform.close()


def _sent(store: Store, sandbox: RunningSandbox, edit: repository.Edit, full_bytes: int) -> SentEdit:
    entry = (store.reading.doi(ACCOUNT, edit.doi) or {"writes": [{}]})["writes"][0]
    event = entry.get("event")
    request = entry.get("method", "none") + (f" {event}" if event else "")
    stored = sandbox.application.world.dois.get(edit.doi)
    return SentEdit(
        doi=edit.doi,
        what=edit.what,
        request=request,
        attributes=entry.get("attributes", []),
        bytes=entry.get("bytes", 0),
        full_bytes=full_bytes,
        state=stored.state if stored else "absent",
    )
