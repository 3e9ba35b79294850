"""An answer of DataCite's, or of what stands in front of it: whose it is, what it says, how long to wait."""

import email.utils
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_RATE = re.compile(r"rate.?limit|too many requests|throttl", re.IGNORECASE)
_LONGEST_RETRY_AFTER = 900.0
_MESSAGE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        headers: Names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None when it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def names_account(self, account_id: str) -> bool:
        """Whether the credentials were accepted as this account's (datacite-api 1.4): a status tells nothing."""
        return self.headers.get("x-credential-username", "").lower() == account_id.lower()

    @property
    def from_datacite(self) -> bool:
        """Whether an error has one of the shapes of DataCite's API (datacite-api 2.2)."""
        document = self.json()
        return isinstance(document, dict) and isinstance(document.get("errors"), (list, dict))

    @property
    def throttled(self) -> bool:
        """429, or the firewall's 403: not DataCite's own list of errors, or one that speaks of the rate limit."""
        if self.status == 429:
            return True
        if self.status != 403:
            return False
        return not self.from_datacite or bool(_RATE.search(self.body.decode(errors="replace")))

    @property
    def retry_after(self) -> float | None:
        """Seconds that it asks to wait, from a number or a date; None when absent or senseless."""
        text = self.headers.get("retry-after", "").strip()
        if not text:
            return None
        if text.isdecimal():
            return min(float(text), _LONGEST_RETRY_AFTER)
        try:
            moment = email.utils.parsedate_to_datetime(text)
            seconds = (moment - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
        return min(max(0.0, seconds), _LONGEST_RETRY_AFTER)

    @property
    def words(self) -> str:
        """DataCite's own words, whatever shape the error has; never more than a few lines."""
        document = self.json()
        errors = document.get("errors") if isinstance(document, dict) else None
        if isinstance(errors, dict):
            errors = [errors]
        if isinstance(errors, list):
            parts = [_error_words(error) for error in errors if isinstance(error, dict)]
            text = "; ".join(part for part in parts if part)
        elif isinstance(document, dict) and "title" in document:
            text = str(document["title"])
        else:
            text = re.sub(r"(?:<[^>]+>|\s)+", " ", self.body[:4000].decode(errors="replace")).strip()
        return (text or f"HTTP {self.status} without words")[:_MESSAGE_LENGTH]


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer, or only a part of one.

    Attributes:
        sent: False when the request certainly never left this machine.
    """

    message: str
    sent: bool


def _error_words(error: Mapping[str, Any]) -> str:
    title = str(error.get("title", ""))
    return f"{error['source']}: {title}" if error.get("source") else title
