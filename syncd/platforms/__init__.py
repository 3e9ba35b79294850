"""How a platform's database is read and turned into what DataCite should hold.

A platform gives rows in pages and maps one row at a time; ``sql`` is the operator's own schema.
"""

from collections.abc import Iterator
from typing import Any, Protocol

from syncd.clock import Clock, SystemClock
from syncd.config import AccountSettings
from syncd.model import Desired, Problem, Row
from syncd.platforms.sql import SqlPlatform

__all__ = ["Platform", "open_platform"]


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

    def map(self, row: Row) -> Desired | Problem:
        """What DataCite should hold for this row. Pure: reads nothing but the row."""

    def identity(self) -> str:
        """Which database this is, without a password: what the state is bound to."""

    def may_write(self) -> list[str]:
        """What the database account could write, in words; empty when it may only read."""

    def close(self) -> None:
        """Give all connections back."""


def open_platform(account: AccountSettings, clock: Clock | None = None) -> Platform:
    """The platform that feeds an account; connects lazily."""
    return SqlPlatform(account, clock or SystemClock())
