"""Things that go wrong on order: each rule matches some requests, so often or with some probability."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from syncd.sandbox.http import Request

KINDS = (
    "status", "latency", "hang", "reset", "reset-after-commit", "garbage", "truncate", "html-403", "html-error",
    "retry-after", "handle",
)  # fmt: skip


@dataclass
class Fault:
    """One rule.

    Attributes:
        kind: What goes wrong.
        method: For which method; None: any.
        path: A regular expression on the path; None: any.
        count: How many more times; None: no end.
        probability: How likely, when it matches.
        status: For ``status`` and ``html-error``: which.
        seconds: For ``latency``, ``hang``, ``handle`` and ``retry-after``.
    """

    kind: str
    method: str | None = None
    path: str | None = None
    count: int | None = None
    probability: float = 1.0
    status: int = 503
    seconds: float = 1.0

    def matches(self, request: Request) -> bool:
        """Whether the rule is about this request."""
        return (
            self.count != 0
            and (self.method is None or self.method == request.method)
            and (self.path is None or re.search(self.path, request.path) is not None)
        )


class Faults:
    """The rules in force; the first that matches counts."""

    def __init__(self, seed: int = 0) -> None:
        self._chance = random.Random(seed)
        self._rules: list[Fault] = []

    def replace(self, documents: Sequence[dict[str, Any]], seed: int = 0) -> None:
        """Take other rules, in the control interface's form.

        Raises:
            ValueError: A rule has an unknown kind or member.
        """
        self._chance = random.Random(seed)
        self._rules = [_fault(document) for document in documents]

    def next(self, request: Request) -> Fault | None:
        """The fault that befalls this request."""
        for rule in self._rules:
            if rule.matches(request) and self._chance.random() < rule.probability:
                if rule.count is not None:
                    rule.count -= 1
                return rule
        return None


def _fault(document: dict[str, Any]) -> Fault:
    members = dict(document)
    match = members.pop("match", {})
    if members.get("kind") not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}")
    try:
        return Fault(**members, **match)
    except TypeError as error:
        raise ValueError(str(error)) from None
