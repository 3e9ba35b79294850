"""One process that sends as fast as the limiter lets it.

``python -m tests.limiter_process STATE SANDBOX SECONDS LANE``

Started several times over by the tests of the limiter, and killed in the middle. Loopback only; ends by itself.
Prints one JSON line: how many requests it sent, how long it held a slot on average, how long its longest wait was, and
for how long the limiter told it to wait at the most: on a busy machine a process waits for its turn as well.
"""

import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from syncd.clock import SystemClock
from syncd.datacite.client import Client
from syncd.limiter import Limiter
from syncd.settings import DataCiteSettings
from syncd.store import Store
from syncd.store.slots import Taken

WINDOW, SLOTS, WORKERS = 3.0, 300, 12


def settings(sandbox: str) -> DataCiteSettings:
    return DataCiteSettings(host=sandbox, window=WINDOW, requests_per_window=SLOTS, request_timeout=2.0, grace=1.0)


def main(state: str, sandbox: str, seconds: float, lane: str) -> None:
    clock = SystemClock()
    store = Store.open(state, clock)
    limiter = Limiter(store.slots, settings(sandbox), clock)
    limiter.prepare()
    end = time.monotonic() + seconds
    waits: list[float] = []
    holds: list[float] = []
    told: list[float] = []
    take = store.slots.take

    def watched(hold: timedelta, keep_free: int) -> Taken | timedelta:
        answer = take(hold, keep_free)
        told.append(answer.total_seconds() if isinstance(answer, timedelta) else 0.0)
        return answer

    store.slots.take = watched  # type: ignore[method-assign]

    def work(number: int) -> int:
        chance = random.Random(f"{number}")
        client = Client(sandbox, "DATACITE.DEMO", "demo", "", 2.0)
        sent = 0
        while time.monotonic() < end:
            if lane == "publish":
                time.sleep(0.25)
            begin = time.monotonic()
            with limiter.slot(mass=lane == "backfill", patience=seconds) as slot:
                if slot is None or time.monotonic() > end:
                    continue
                taken = time.monotonic()
                waits.append(taken - begin)
                time.sleep(chance.uniform(0.0, 0.2) if lane != "publish" else 0.0)  # between the slot and the wire
                if slot.use():
                    client.read(f"/dois/10.5072%2F{number}")
                    slot.end(answered=True)
                    holds.append(time.monotonic() - taken)
                    sent += 1
        client.close()
        return sent

    workers = 1 if lane == "publish" else WORKERS
    with ThreadPoolExecutor(workers) as pool:
        sent = sum(pool.map(work, range(workers)))
    store.close()
    found = {
        "sent": sent,
        "hold": sum(holds) / len(holds),
        "longest_wait": max(waits, default=0.0),
        "told_to_wait": max(told, default=0.0),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
