"""A first look at a platform's database: which platform, which version, how many records of which kind."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from syncd.clock import SystemClock
from syncd.errors import OtherPlatformError
from syncd.model import Problem, Row
from syncd.platforms.advice import Advice
from syncd.platforms.preset import Opener, PresetPlatform
from syncd.settings import AccountSettings

_LOOKED_AT = 20_000
_ANYWHERE = "https://repository.example.org"


@dataclass
class Survey:
    """What was found.

    Attributes:
        platform: Its name in a configuration.
        title: The platform and its version, for people.
        records: How many DOIs there are.
        states: How many of the first ones would be in which state.
        looked_at: How many these first ones are.
        prefixes: DOIs by prefix.
        problem: What the first record that cannot be sent lacks.
    """

    platform: str
    title: str
    records: int = 0
    looked_at: int = 0
    states: Counter[str] = field(default_factory=Counter)
    prefixes: Counter[str] = field(default_factory=Counter)
    problem: str = ""
    advice: list[Advice] = field(default_factory=list)


def survey(opener: Opener, url: str, options: dict[str, Any], prefixes: Sequence[str] = ()) -> Survey:
    """Look at a database with a preset; nothing is written, and no DataCite is asked.

    Args:
        opener: The preset's.
        url: The database's address.
        options: The operator's choices.
        prefixes: The account's, where DOIs stand among others' and can only be told by them.

    Raises:
        OtherPlatformError: It is not of this platform.
        SyncdError: It cannot be read.
    """
    account = AccountSettings.model_validate(
        {
            "id": "SURVEY.SURVEY",
            "prefixes": list(prefixes) or ["10.0000"],
            "source": {"platform": opener.name, "url": url, "options": options, "landing_page": _ANYWHERE},
        }
    )
    platform = PresetPlatform(account, SystemClock(), opener)
    try:
        found = Survey(opener.name, platform.preset.title)
        for page in platform.outlines():
            found.records += len(page)
            found.prefixes.update(one.doi.split("/")[0] for one in page if "/" in one.doi)
        for row in islice(_rows(platform), _LOOKED_AT):
            mapped = platform.map(row)
            found.looked_at += 1
            if isinstance(mapped, Problem):
                found.problem = found.problem or f"{row.doi}: {mapped}"
            else:
                found.states[str(mapped.state)] += 1
        found.advice = platform.advice()
        return found
    finally:
        platform.close()


def detect(openers: list[Opener], url: str, options: dict[str, Any], prefixes: Sequence[str] = ()) -> Survey:
    """What the first preset that knows a database finds; see ``survey``.

    Raises:
        OtherPlatformError: None does.
        SyncdError: The database cannot be read.
    """
    for opener in openers:
        try:
            return survey(opener, url, options, prefixes)
        except OtherPlatformError:
            continue
    names = ", ".join(opener.name for opener in openers)
    raise OtherPlatformError(
        f"this is no database of a platform that is known: {names}",
        hint="syncd init --platform sql --view VIEW, for a schema of your own",
    )


def _rows(platform: PresetPlatform) -> Iterator[Row]:
    for page in platform.all():
        yield from page
