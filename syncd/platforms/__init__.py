"""How a platform's database is read and turned into what DataCite should hold.

A platform gives rows in pages and maps one row at a time. ``sql`` is the operator's own schema; ``ckan``, ``dspace``,
``inveniordm`` and ``ojs`` are presets for schemas that we know (``preset``), and an operator's own package may add
another one under the entry point ``syncd.platforms``.
"""

import difflib
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol

from syncd.clock import Clock, SystemClock
from syncd.errors import ConfigurationError
from syncd.model import Desired, Outline, Problem, Row
from syncd.platforms.advice import Advice
from syncd.platforms.preset import Opener, PresetPlatform, options_of
from syncd.platforms.sql import SqlPlatform
from syncd.settings import AccountSettings

__all__ = ["Platform", "check_options", "known", "open_platform", "opener", "openers"]

_ENTRY_POINTS = "syncd.platforms"
_PRESETS = {"ckan": "CKAN", "dspace": "DSPACE", "inveniordm": "INVENIORDM", "ojs": "OJS"}


class Platform(Protocol):
    """One platform's database, read only.

    Every method raises ``PlatformError`` when the database cannot be read and ``ConfigurationError`` when
    a query is wrong.
    """

    def all(self) -> Iterator[list[Row]]:
        """Every record, in pages; no transaction stays open between two pages."""

    def changed(self, since: Any) -> Iterator[list[Row]]:
        """The records whose timestamps moved since a watermark, in pages: quick, but no proof."""

    def matching(self, condition: str) -> Iterator[list[Row]]:
        """The records that the operator's own SQL condition chooses, in pages."""

    @property
    def finds_changes(self) -> bool:
        """Whether ``changed`` can be asked."""

    @property
    def watermark(self) -> Any:
        """Where the next ``changed`` may begin, after the pages seen so far; JSON, None if unknown."""

    def one(self, key: str) -> Row | None:
        """The record as it is now; None when it is gone."""

    def some(self, keys: Sequence[str]) -> list[Row]:
        """The records of these keys, without those that are gone."""

    @property
    def gives_outlines(self) -> bool:
        """Whether ``outlines`` can be asked."""

    def outlines(self) -> Iterator[list[Outline]]:
        """Every record from far away, in pages: cheap, and no change of a state or a deletion hides from it."""

    def relations(self) -> list[str]:
        """The tables and views that are read."""

    def advice(self) -> list[Advice]:
        """What an operator should know about this platform."""

    def map(self, row: Row) -> Desired | Problem:
        """What DataCite should hold for this row. Pure: reads nothing but the row."""

    def identity(self) -> str:
        """Which database this is, without a password: what the state is bound to."""

    def may_write(self) -> list[str]:
        """What the database account could write, in words; empty when it may only read."""

    def close(self) -> None:
        """Give all connections back."""


def open_platform(account: AccountSettings, clock: Clock | None = None) -> Platform:
    """The platform that feeds an account; connects lazily.

    Raises:
        ConfigurationError: There is no such platform, or its options are wrong.
    """
    clock = clock or SystemClock()
    if account.source.platform == "sql":
        return SqlPlatform(account, clock)
    return PresetPlatform(account, clock, opener(account.source.platform))


def check_options(account: AccountSettings) -> None:
    """Whether an account's platform is known and its options are right; nothing is connected.

    Raises:
        ConfigurationError: They are not.
    """
    if account.source.platform != "sql":
        options_of(opener(account.source.platform), account)


def openers() -> list[Opener]:
    """The presets, an operator's own ones first."""
    own = [opener(one.name) for one in entry_points(group=_ENTRY_POINTS)]
    return [*own, *map(opener, _PRESETS)]


def known() -> list[str]:
    """The platforms that a configuration may name."""
    return sorted(["sql", *_PRESETS, *(one.name for one in entry_points(group=_ENTRY_POINTS))])


def opener(name: str) -> Opener:
    """How a platform's database is opened.

    Raises:
        ConfigurationError: There is no such platform.
    """
    if name in _PRESETS:
        own: Opener = getattr(import_module(f"syncd.platforms.{name}"), _PRESETS[name])
        return own
    found = next(iter(entry_points(group=_ENTRY_POINTS, name=name)), None)
    if found is None:
        near = difflib.get_close_matches(name, known(), 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known())}"
        raise ConfigurationError(f'there is no platform "{name}"', hint=hint)
    try:
        loaded: Opener = found.load()
    except Exception as error:  # whatever the operator's package does when it is imported
        raise ConfigurationError(f'the platform "{name}" cannot be imported from {found.value}: {error}') from error
    return loaded
