"""A state database as a consortium has it: 150 accounts, 200,000 DOIs, 3,000 failures, hostile titles among them."""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from syncd.causes import CAUSES
from syncd.store import Store, schema
from syncd.store.runs import BRAKE
from syncd.store.tables import doi, failure, pause, run, slot, write

HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)>\u202e'
_WORDS = ("metadata_invalid", "refused", "status_unknown", "doi_duplicate", "url_not_allowed", "server_exception")
_AT_ONCE = 5000


def fill(store: Store, accounts: int = 150, dois: int = 200_000, failures: int = 3000) -> list[str]:
    """Fill empty tables; returns the accounts' names."""
    schema.upgrade(store.database)
    chance = random.Random(7)
    now = datetime.now(UTC)
    names = [f"CONSORT.REPO{number:03}" for number in range(accounts)]
    failing = set(chance.sample(range(dois), failures))
    rows = (_row(number, names[number % accounts], now, chance, failed=number in failing) for number in range(dois))
    with store.database.writing() as connection:
        for part in _parts(rows):
            connection.execute(insert(doi), part)
        connection.execute(insert(slot), [
            {"number": number, "free_at": now + timedelta(seconds=200 if number < 1400 else -10)}
            for number in range(2940)
        ])  # fmt: skip
        connection.execute(insert(run), [_run(name, kind, now, chance) for name in names for kind in ("full", "audit")])
        connection.execute(insert(pause), [
            {"scope": names[3], "cause": BRAKE, "message": f"{names[3]}: 812 of 1,333 known DOIs would change",
             "since": now - timedelta(minutes=40), "until": None, "attempts": 1, "several": False},
            {"scope": names[7], "cause": "credentials", "message": "DataCite does not accept the password",
             "since": now - timedelta(hours=3), "until": now + timedelta(minutes=20), "attempts": 4, "several": True},
        ])  # fmt: skip
        connection.execute(insert(failure), [
            {"account": names[0], "doi": "10.5072/r0", "record_key": "0", "at": now, "cause": "refused",
             "message": HOSTILE, "status": 422},
        ])  # fmt: skip
        connection.execute(insert(write), [
            {"account": names[0], "doi": "10.5072/r0", "at": now - timedelta(hours=hour), "method": "PUT",
             "reason": "changed", "event": None, "attributes": json.dumps(["titles"]), "bytes": 412, "status": 422,
             "result": "rejected"}
            for hour in range(5)
        ])  # fmt: skip
    return names


def _row(number: int, account: str, now: datetime, chance: random.Random, *, failed: bool) -> dict[str, Any]:
    cause = None
    if failed or number == 0:
        cause = "refused" if number == 0 else chance.choice(_WORDS)
    pending = not cause and number % 97 == 0
    mass = pending and number % 2 == 0
    claimed = pending and number % 5000 == 97 * 15 % 5000
    message = HOSTILE if number % 3 == 0 else "creators: can't be blank (attribute 'creators', line 7)"
    return {
        "account": account,
        "doi": f"10.5072/r{number}",
        "record_key": str(number),
        "row_digest": f"r{number}",
        "desired_digest": f"v1:{number}",
        "desired_state": "findable",
        "synced_digest": None if pending or cause else f"v1:{number}",
        "synced_state": "findable",
        "resolves": True,
        "changed_at": now - timedelta(minutes=chance.randint(1, 90)) if pending or cause else None,
        "lane": 2 if mass else 1,
        "attempts": 0,
        "cause": cause,
        "message": message if cause else None,
        "quarantined_digest": f"v1:{number}" if cause else None,
        "standing": "foreign" if number % 991 == 0 and not cause else None,
        "claim_number": 0,
        "claim_owner": "host:1:a" if claimed else None,
        "claim_until": now + timedelta(hours=1) if claimed else None,
        "noted_at": now,
        "verified_at": now - timedelta(days=1),
    }


def _run(account: str, kind: str, now: datetime, chance: random.Random) -> dict[str, Any]:
    found = {"metadata": chance.randint(1, 40), "url": 3} if kind == "audit" and chance.random() < 0.08 else {}
    began = now - timedelta(hours=chance.randint(1, 30))
    counts = json.dumps({"found": found} if kind == "audit" else {"records": 1333})
    return {
        "account": account,
        "kind": kind,
        "started_at": began,
        "finished_at": began + timedelta(seconds=chance.randint(2, 90)),
        "result": "done",
        "counts": counts,
        "watermark": None,
    }


def _parts(rows: Iterator[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == _AT_ONCE:
            yield part
            part = []
    if part:
        yield part


assert set(_WORDS) <= set(CAUSES)
