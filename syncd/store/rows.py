"""Rows of ours as values, and values as rows: what both sides of ``syncd_doi`` need."""

import json
from datetime import datetime
from typing import Any

from syncd.model import Held, State
from syncd.store.facts import Failed


def held_of(row: Any) -> Held:
    """What DataCite holds, as the row knows it."""
    digests = None if row.synced_attributes is None else json.loads(row.synced_attributes)
    return Held(State(row.synced_state), digests, row.resolves, sure=row.unsure_since is None)


def failure_row(account: str, name: str, record_key: str, failed: Failed, now: datetime) -> dict[str, Any]:
    """A line of ``syncd_failure``."""
    return {
        "account": account,
        "doi": name,
        "record_key": record_key,
        "at": now,
        "cause": failed.cause,
        "message": failed.message,
        "status": failed.status,
    }
