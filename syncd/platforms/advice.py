"""What an operator should know about a platform."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """A warning, and what to do.

    Attributes:
        about: In a word or two.
        words: What was seen.
        hint: What to do.
    """

    about: str
    words: str
    hint: str
