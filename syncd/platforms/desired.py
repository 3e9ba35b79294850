"""From a record's state and attributes to what DataCite should hold: landing page, the operator's own values, digests.

Every platform's mapping ends here. Pure.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from syncd import __version__
from syncd.digest import digest, document_digests
from syncd.model import Attributes, Desired, Problem, State
from syncd.platforms import mapping
from syncd.settings import AccountSettings, SourceSettings

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Finish:
    """What an account's configuration makes of mapped attributes."""

    def __init__(self, source: SourceSettings) -> None:
        """Raises: ConfigurationError: the operator's own function cannot be imported."""
        self._source = source
        self._override = mapping.override(source.override) if isinstance(source.override, str) else None

    def desired(
        self, doi: str, state: State, attributes: Callable[[], Mapping[str, Any]], values: Mapping[str, Any]
    ) -> Desired | Problem:
        """The desired of one record, or why it cannot be made.

        Args:
            doi: The record's DOI.
            state: What its visibility means.
            attributes: The mapping, not called where nothing is to be sent; whatever it raises is this record's own.
            values: What the landing page's placeholders stand for, and what the operator's function is shown.
        """
        if state is State.NONE:
            return desired(doi, state, {})
        try:
            return desired(doi, state, mapping.tidy(self._finished(attributes(), values)))
        except mapping.MappingError as error:
            return Problem("mapping_failed", str(error))
        except Exception as error:  # whatever the operator's function or data do, only this record waits
            return Problem("mapping_failed", f"{type(error).__name__}: {error}")

    def _finished(self, found: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
        if not isinstance(found, Mapping):
            raise TypeError(f"the mapping gave {type(found).__name__} where a dict is expected")
        source = self._source
        result = {**found}
        if not result.get("url") and source.landing_page:
            result["url"] = filled(source.landing_page, values)
        for name, value in source.defaults.items():
            if mapping.is_empty(result.get(name)):
                result[name] = value
        if isinstance(source.override, dict):
            result |= source.override
        if self._override is not None:
            result = dict(self._override(result, values))
        return result


def desired(name: str, state: State, attributes: Attributes) -> Desired:
    """A desired with its digests.

    Raises:
        ValueError: A value has no canonical form.
    """
    whole, digests = document_digests(state, attributes)
    return Desired(name, state, attributes, whole, digests)


def fingerprint(account: AccountSettings, semantics: str) -> bytes:
    """What else, besides the row, decides what is sent: when it changes, every row is mapped again.

    Args:
        account: Whose settings.
        semantics: Raised by a module when it makes other attributes from the same row.
    """
    source = account.source
    facts = {
        "semantics": semantics,
        "version": __version__,
        "platform": source.platform,
        "options": source.options,
        "mapping": source.mapping,
        "mapping_source": mapping.source_digest(source.mapping),
        "defaults": source.defaults,
        "override": source.override,
        "override_source": mapping.source_digest(source.override) if isinstance(source.override, str) else "",
        "landing_page": source.landing_page,
        "state": source.state,
        "states": {word: str(state) for word, state in source.states.items()},
        "prefixes": sorted(account.prefixes),
        "domains": account.domains,
    }
    return digest(facts).encode()


def filled(template: str, values: Mapping[str, Any]) -> str | None:
    """The landing page, or None when a column that it needs is empty or missing."""
    names = placeholders(template)
    if any(values.get(name) in (None, "") for name in names):
        return None
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), template)


def placeholders(template: str) -> list[str]:
    """The names in braces."""
    return _PLACEHOLDER.findall(template)
