"""Real processes, killed at random moments while records are edited: ``python -m tests.killing [ROUNDS] [STATE_URL]``.

In the end DataCite must say what the repository says, no DOI was created twice, and no window was over. Loopback
only; ends by itself.
"""

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from syncd.sandbox.firewall import Firewall
from syncd.sandbox.server import RunningSandbox, Sandbox
from syncd.store import Store, schema
from tests.site import ATTRIBUTES, PREFIX

RECORDS, SLOTS, WINDOW = 60, 300, 2.0
_QUERY = "SELECT id AS record_key, doi, status, url, metadata FROM record"


def configuration(folder: Path, sandbox: str, state: str) -> Path:
    path = folder / "syncd.toml"
    path.write_text(
        f"""
[state]
url = "{state}"
[datacite]
host = "{sandbox}"
window = "{WINDOW}s"
requests_per_window = {SLOTS}
request_timeout = "1s"
grace = "1s"
workers = 3
[[accounts]]
id = "DATACITE.DEMO"
password = "demo"
prefixes = ["{PREFIX}"]
[accounts.source]
url = "sqlite:///{folder}/platform.db"
mapping = "json:metadata"
all = "{_QUERY}"
one = "{_QUERY} WHERE id = :key"
[accounts.source.states]
published = "findable"
draft = "draft"
"""
    )
    path.chmod(0o600)
    return path


def edit(platform: sqlite3.Connection, number: int, title: str, chance: random.Random) -> None:
    status = chance.choice(["published", "published", "draft"])
    metadata = json.dumps({**ATTRIBUTES, "titles": [{"title": title}]})
    platform.execute(
        "INSERT INTO record VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET status = excluded.status,"
        " metadata = excluded.metadata",
        (number, f"{PREFIX}/r{number}", status, f"https://example.org/{number}", metadata),
    )


def wrong(platform: sqlite3.Connection, sandbox: Sandbox) -> list[str]:
    """What DataCite says otherwise than the repository."""
    found = []
    for doi, status, metadata in platform.execute("SELECT doi, status, metadata FROM record"):
        stored = sandbox.world.dois.get(doi)
        if stored is None:
            found.append(f"{doi} is not there")
            continue
        public = any(state != "draft" for _, state in stored.history)
        state = "findable" if status == "published" else "registered" if public else "draft"
        if (stored.state, stored.attributes["titles"]) != (state, json.loads(metadata)["titles"]):
            found.append(f"{doi} is {stored.state} {stored.attributes['titles']}, not {state} {metadata}")
    created = Counter(one["path"].split("?")[0] for one in sandbox.control.requests if one["status"] == 201)
    found += [f"{path} was created {times} times" for path, times in created.items() if times > 1]
    if sandbox.firewall.max_in_window > SLOTS:
        found.append(f"{sandbox.firewall.max_in_window} requests in one window")
    return found


def rounds(count: int, state: str, folder: Path, seed: int = 0) -> tuple[int, list[str]]:
    """Kill so often; how many processes really were killed on their way, and what is wrong in the end."""
    chance = random.Random(seed)
    platform = sqlite3.connect(folder / "platform.db", isolation_level=None)
    platform.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, doi, status, url, metadata)")
    store = Store.open(state)
    schema.upgrade(store.database)
    running = RunningSandbox(Sandbox(firewall=Firewall(SLOTS, WINDOW)))
    running.application.faults.replace([{"kind": "latency", "seconds": 0.2}])
    path = configuration(folder, running.address, state)
    command = [sys.executable, "-m", "syncd", "sync", "-c", str(path)]
    killed = 0
    with running.in_background():
        for turn in range(count):
            for number in chance.sample(range(1, RECORDS + 1), 4):
                edit(platform, number, f"Title {turn} of {number}", chance)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            before = len(running.application.control.requests)
            deadline = time.monotonic() + 3.0
            while len(running.application.control.requests) == before and time.monotonic() < deadline:
                if process.poll() is not None:
                    break
                time.sleep(0.002)
            time.sleep(chance.uniform(0.0, 0.2))
            killed += process.poll() is None
            process.kill()
            process.wait()
        # Claims of the dead end by themselves; then a quiet run or two must do.
        for _ in range(40):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            left = store.reading.sum("DATACITE.DEMO")
            if done.returncode == 0 and not left.pending:
                break
            time.sleep(3.0)
        found = wrong(platform, running.application)
        if not left.adds_up or left.in_sync != left.wanted:
            found.append(f"in the end: {left}")
    store.close()
    platform.close()
    return killed, found


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        state = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{folder}/state.db"
        killed, found = rounds(count, state, Path(folder))
    sys.stdout.write(f"{count} rounds, {killed} killed on their way\n" + "".join(f"{one}\n" for one in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
